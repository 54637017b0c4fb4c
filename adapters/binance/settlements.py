"""Settled funding rates, as the venue lists them.

The streams tell the running estimate only; what was settled is asked for, at the start and soon after each
full hour, at which every interval that the venue uses ends.  What must stay true: a settlement is told once,
in its order, and only what the venue lists is told.

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
LOOK_BACK_NS = 24 * HOUR_NS
AGAIN_S = 60.0


async def follow_settlements(rest: Rest, instruments: Mapping[InstrumentId, Instrument], emit: Emit) -> None:
    """Tell the latest settlement of each perpetual, and each one after it, until cancelled."""
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
    """At first the latest alone, then all that are new."""
    since_ns = told.get(name, rest.clock.venue_ns() - LOOK_BACK_NS)
    try:
        body = await rest.read(requests.funding_rates(name, since_ns // MS))
    except Refused as refused:
        if refused.failure.code == BAD_SYMBOL:
            return  # the others still settle
        raise
    unread: list[Unread] = []
    listed = statements.funding_rates(rest.market, body, unread)
    for row in unread[:1]:
        reason = f"{len(unread)} rows of {name} are unread; the first: {row.reason}"
        emit(ProtocolDrift(AccountId(f"{VENUE}:{rest.market}"), "fundingRate", reason))
    fresh = [rate for rate in listed if rate.instrument == name and rate.settled_ns > told.get(name, 0)]
    for rate in fresh if name in told else fresh[-1:]:
        told[name] = rate.settled_ns
        emit(FundingSettled(name, rate.rate, rate.settled_ns))
