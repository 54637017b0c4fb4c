"""When a running rate is for a settlement that its exchange does not announce."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.feed import Feed, Reach, Sources
from adapters.materiality import Materiality
from bot.model.facts import AnyFact, FundingEstimated, MarkSeen, ProtocolDrift
from bot.model.ids import InstrumentId
from tests.adapters.paper.build import LINEAR

HOUR_NS = 3_600_000_000_000
NOW_NS = 61_003 * 8 * HOUR_NS + HOUR_NS
GRID_NS = 61_004 * 8 * HOUR_NS


class Clock:
    def now_ns(self) -> int:
        return NOW_NS


class Told:
    """An exchange that tells a rate, a mark and an index, and of a settlement what it is given."""

    def __init__(self, **announced: Any) -> None:
        self.id = "binance"
        self.has = dict.fromkeys(("fetchFundingRateHistory", "fetchTime", "watchTrades"), False)
        self.has["fetchFundingRate"] = True
        self._announced = announced

    async def fetch_funding_rate(self, symbol: str) -> Any:
        return {"fundingRate": "0.0001", "markPrice": "101", "indexPrice": "100", **self._announced}


def played(
    exchange: Told, reach: Reach | None
) -> tuple[list[AnyFact], list[tuple[InstrumentId, Decimal, int]]]:
    """The facts of the first answer, and what somebody who listens was told of its rate."""

    async def play() -> None:
        feed = Feed(
            Sources(exchange, exchange),
            (Leg(LINEAR, "BTC/USDT:USDT", {}),),
            Materiality(1000.0, 0.5, 10.0),
            VenueTime(Clock()),
            facts.append,
            reach,
        )
        heard = asyncio.Event()

        def on_rate(*told: Any) -> None:
            rates.append(told)
            heard.set()

        feed.listen(lambda *_: heard.set(), on_rate)
        books, marks = feed.work()
        books.close()
        marking = asyncio.ensure_future(marks)
        async with asyncio.timeout(10):
            await heard.wait()
        marking.cancel()
        await asyncio.gather(marking, return_exceptions=True)

    facts: list[AnyFact] = []
    rates: list[tuple[InstrumentId, Decimal, int]] = []
    asyncio.run(play())
    return facts, rates


@pytest.mark.parametrize("reach", [None, lambda at_ns: None], ids=["live", "paper"])
def test_an_announced_settlement_holds(reach: Reach | None) -> None:
    facts, rates = played(Told(fundingTimestamp=GRID_NS // 1_000_000 + 5), reach)
    assert [type(fact) for fact in facts] == [MarkSeen, FundingEstimated]
    assert rates == [(LINEAR.id, Decimal("0.0001"), GRID_NS + 5_000_000)]


def test_on_paper_one_that_is_not_is_on_the_grid_of_its_interval_and_live_there_is_none() -> None:
    reached: list[int] = []
    facts, rates = played(Told(), reached.append)
    assert [type(fact) for fact in facts] == [MarkSeen, FundingEstimated]
    assert rates == [(LINEAR.id, Decimal("0.0001"), GRID_NS)]
    assert reached == [NOW_NS]
    facts, rates = played(Told(), None)
    assert ([type(fact) for fact in facts], rates) == ([MarkSeen], [])


def test_a_rate_without_prices_is_told_alone() -> None:
    unpriced = Told(fundingTimestamp=GRID_NS // 1_000_000, markPrice=None, indexPrice=None)
    asked = ("fetchMarkPrice", "fetchTicker", "fetchMarkOHLCV", "fetchIndexOHLCV")
    unpriced.has |= dict.fromkeys(asked, False)
    facts, rates = played(unpriced, lambda at_ns: None)
    assert [type(fact) for fact in facts] == [ProtocolDrift, FundingEstimated]
    assert rates == [(LINEAR.id, Decimal("0.0001"), GRID_NS)]
