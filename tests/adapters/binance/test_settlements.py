"""Settled funding rates are told once each."""

from __future__ import annotations

import asyncio

import msgspec

from adapters.binance.settlements import HOUR_NS, follow_settlements
from adapters.network import Reply, Unanswered
from bot.model.facts import FundingSettled
from bot.model.ids import instrument_id
from tests.adapters.binance.canned import NOW_NS, Asked, Bench, LoopClock, refusal, reply
from tests.adapters.paper.build import LINEAR
from tests.virtual.loop import run_virtual

FIRST_NS = NOW_NS - NOW_NS % HOUR_NS
HISTORY = 1200
PAST = list(range(-999, 1))  # the latest thousand


class Venue:
    """A settlement each hour, listed half a minute late now and then; ``away`` for some questions."""

    def __init__(self, away: int = 0) -> None:
        self.away = away

    def __call__(self, asked: Asked) -> Reply | Exception:
        if self.away:
            self.away -= 1
            return Unanswered("reset")
        limit, since_ms = int(asked[2]["limit"]), asked[2].get("startTime")
        hours = range(FIRST_NS - HISTORY * HOUR_NS, LoopClock().now_ns(), HOUR_NS)
        if since_ms is None:
            return reply([row(hour_ns) for hour_ns in hours[-limit:]])
        return reply([row(hour_ns) for hour_ns in hours if hour_ns >= int(since_ms) * 1_000_000][:limit])


def row(hour_ns: int) -> dict[str, object]:
    return {
        "symbol": "BTCUSDT",
        "fundingRate": "0.0001",
        "fundingTime": hour_ns // 1_000_000,
        "markPrice": "60000",
    }


def followed(venue: Venue, hours: float) -> list[int]:
    async def scene() -> Bench:
        bench = Bench("usdm", venue)
        following = asyncio.ensure_future(follow_settlements(bench.rest, bench.instruments, bench.emit))
        await asyncio.sleep(hours * 3600)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return bench

    facts = run_virtual(scene()).facts
    assert all(isinstance(fact, FundingSettled) and fact.instrument == LINEAR.id for fact in facts)
    return [(fact.settled_ns - FIRST_NS) // HOUR_NS for fact in facts if isinstance(fact, FundingSettled)]


def test_the_latest_page_is_told_at_once_and_each_settlement_after_it() -> None:
    assert followed(Venue(), 0.01) == PAST
    assert followed(Venue(), 4.1) == [*PAST, 1, 2, 3, 4]


def test_a_venue_that_is_away_is_asked_again() -> None:
    assert followed(Venue(away=7), 2.1) == [*PAST, 1, 2]


def test_a_contract_that_is_listed_no_more_does_not_keep_the_others_from_being_told() -> None:
    gone = instrument_id("binance", "usdm", "GONEUSDT")

    def said(asked: Asked) -> Reply | Exception:
        return refusal(-1121, "Invalid symbol.") if asked[2]["symbol"] == "GONEUSDT" else Venue()(asked)

    async def scene() -> Bench:
        bench = Bench("usdm", said)
        perp = bench.instruments[LINEAR.id]
        instruments = {gone: msgspec.structs.replace(perp, id=gone), LINEAR.id: perp}
        following = asyncio.ensure_future(follow_settlements(bench.rest, instruments, bench.emit))
        await asyncio.sleep(10.0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return bench

    assert run_virtual(scene()).names() == ["FundingSettled"] * len(PAST)
