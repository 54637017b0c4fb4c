"""What an exchange lists as settled is told once and in order, as much as its first answer holds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.exchange import library
from adapters.ccxt.feed import UNLISTED_NS, Feed, Sources
from adapters.materiality import Materiality
from bot.model.facts import AnyFact, FundingSettled
from tests.adapters.ccxt.test_feed import HOUR_NS, NOW_NS
from tests.adapters.paper.build import LINEAR
from tests.virtual.loop import run_virtual

HOURS = 4  # of an interval
MS = 1_000_000
FIRST_NS = NOW_NS - NOW_NS % (HOURS * HOUR_NS)


class LoopClock:
    """Starts at the test's present and passes with the loop's time."""

    def now_ns(self) -> int:
        return NOW_NS + int(asyncio.get_running_loop().time() * 1e9)


class Exchange:
    """It settles each four hours and lists that ``late_s`` after; a page has ``page`` rows at most."""

    def __init__(self, page: int = 1000, late_s: float = 0.0, announces: bool = True) -> None:
        self.id = "binance"
        self.has = dict.fromkeys(("fetchTime", "watchTrades"), False)
        self.has |= {"fetchFundingRate": True, "fetchFundingRateHistory": True}
        self.page, self.late_s, self.announces = page, late_s, announces
        self.asked: list[tuple[int | None, int | None]] = []
        self.clock = LoopClock()

    async def fetch_funding_rate(self, symbol: str) -> Any:
        step_ns = HOURS * HOUR_NS
        next_ms = (self.clock.now_ns() // step_ns + 1) * step_ns // MS if self.announces else None
        told = {"fundingRate": "0.0001", "markPrice": "101", "indexPrice": "100"}
        return {**told, "fundingTimestamp": next_ms}

    async def fetch_funding_rate_history(
        self, symbol: str, since: int | None = None, limit: int | None = None
    ) -> Any:
        self.asked.append((since, limit))
        if limit is not None and limit > self.page:
            raise library().BadRequest("limit")
        until_ns = self.clock.now_ns() - int(self.late_s * 1e9)
        listed = [ns // MS for ns in range(FIRST_NS - 1500 * HOURS * HOUR_NS, until_ns, HOURS * HOUR_NS)]
        rows = [{"timestamp": ms, "fundingRate": "0.0001"} for ms in listed if ms >= (since or 0)]
        return rows[-self.page :][::-1]


def told(exchange: Exchange, hours: float) -> list[int]:
    """Settlements told within so many hours, as intervals from the last one before the start."""

    async def play() -> list[AnyFact]:
        facts: list[AnyFact] = []
        leg = Leg(LINEAR, "BTC/USDT:USDT", {})
        feed = Feed(
            Sources(exchange, exchange),
            (leg,),
            Materiality(1000.0, 0.5, 10.0),
            VenueTime(exchange.clock),
            facts.append,
        )
        books, marks = feed.work()
        books.close()
        marking = asyncio.ensure_future(marks)
        await asyncio.sleep(hours * 3600)
        marking.cancel()
        await asyncio.gather(marking, return_exceptions=True)
        return facts

    settled = [fact for fact in run_virtual(play()) if isinstance(fact, FundingSettled)]
    return [(fact.settled_ns - FIRST_NS) // (HOURS * HOUR_NS) for fact in settled]


@pytest.mark.parametrize("announces", [True, False])
def test_a_page_at_first_and_then_what_is_new(announces: bool) -> None:
    exchange = Exchange(announces=announces)
    assert told(exchange, 9.0) == [*range(-999, 1), 1, 2]
    assert exchange.asked[0] == (None, 1000)
    assert len(exchange.asked) <= 5, "it is not asked between two settlements"


def test_an_exchange_that_gives_less_is_asked_for_its_own_page() -> None:
    exchange = Exchange(page=200)
    assert told(exchange, 0.5) == list(range(-199, 1))
    assert exchange.asked == [(None, 1000), (None, None)]


def test_a_settlement_that_is_listed_late_is_asked_for_again_now_and_then() -> None:
    exchange = Exchange(late_s=60.0)
    assert told(exchange, 3.2) == [*range(-999, 1), 1]
    assert 3 <= len(exchange.asked) <= 3 + 60e9 / UNLISTED_NS
