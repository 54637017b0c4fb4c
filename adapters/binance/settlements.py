"""Settled funding rates, as the venue lists them.

The streams tell the running estimate only; what was settled is asked for, at the start and soon after each
full hour, at which every interval that the venue uses ends.  The first answer is a page of history, which
forecasts begin with.  What must stay true: a run tells a settlement once, in its order, and only what the
venue lists is told.

Source: funding rate history of binance_sdk_derivatives_trading_usds_futures 18.1.0 and coin_futures 14.1.0
(2026-11-20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from adapters.binance import requests, statements
from adapters.binance.decoding import VENUE, Drift, Unread
from adapters.binance.rest import BAD_SYMBOL, MS, SECOND_NS, Refused, Rest
from adapters.network import Unanswered, Unsent
from bot.model.facts import FundingSettled, ProtocolDrift
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, Kind
from bot.ports import Emit

HOUR_NS = 3600 * SECOND_NS
LISTED_NS = 20 * SECOND_NS  # how long after the hour a settlement is listed
AGAIN_S = 60.0


async def follow_settlements(rest: Rest, instruments: Mapping[InstrumentId, Instrument], emit: Emit) -> None:
    """Tell the latest settlements of each perpetual, a page of them, and each one after, until cancelled."""
    told: dict[InstrumentId, int] = {}
    while True:
        try:
            for name, instrument in tuple(instruments.items()):
                if instrument.kind is Kind.PERP:
                    await _tell(rest, name, told, emit)
        except (Unsent, Unanswered, Refused):
            await asyncio.sleep(AGAIN_S)
            continue
        except Drift as drift:
            emit(ProtocolDrift(AccountId(f"{VENUE}:{rest.market}"), "fundingRate", str(drift)))
        now_ns = rest.clock.venue_ns()
        await asyncio.sleep((HOUR_NS - (now_ns - LISTED_NS) % HOUR_NS) / SECOND_NS)


async def _tell(rest: Rest, name: InstrumentId, told: dict[InstrumentId, int], emit: Emit) -> None:
    """All that are new, at first a whole page."""
    since_ms = told[name] // MS if name in told else None
    try:
        body = await rest.read(requests.funding_rates(name, since_ms))
    except Refused as refused:
        if refused.failure.code == BAD_SYMBOL:
            return  # the others still settle
        raise
    unread: list[Unread] = []
    listed = statements.funding_rates(rest.market, body, unread)
    for row in unread[:1]:
        reason = f"{len(unread)} rows of {name} are unread; the first: {row.reason}"
        emit(ProtocolDrift(AccountId(f"{VENUE}:{rest.market}"), "fundingRate", reason))
    for rate in sorted(listed, key=lambda one: one.settled_ns):
        if rate.instrument != name or rate.settled_ns <= told.get(name, 0):
            continue
        told[name] = rate.settled_ns
        emit(FundingSettled(name, rate.rate, rate.settled_ns))
