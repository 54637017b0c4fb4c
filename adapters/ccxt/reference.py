"""What an exchange trades and what its time is, read through ccxt at the start.

Everything an instrument needs is asked of the venue itself: markets, the account's own fee rates where the
exchange tells them, leverage tiers, and the funding interval, which is the distance of two settlements where
no answer states it.  Without keys fees and tiers may be given by settings and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.exchange import Exchange, Unreadable, answered
from adapters.ccxt.markets import Market, find_market, instrument, name_of
from adapters.ccxt.tiers import Tiers, read_tiers
from adapters.errors import FeedError
from adapters.numbers import MS_MAX, time_ns, whole
from bot.model.config import FeeRate
from bot.model.facts import AnyFact, InstrumentListed, InstrumentStatusSeen
from bot.model.ids import InstrumentId, market_of

TRADING = "TRADING"
ABSENT = "ABSENT"  # ours, as at Binance: the venue does not list the symbol, or not so that it can be used
TIME_EVERY_S = 60.0
_MS = 1_000_000
_HOUR_MS = 3_600_000
_PROBES = 3
INTERVAL_MAX_H = 168
_HISTORY_MS = 4 * 24 * _HOUR_MS
# where a venue documents the interval of a contract that its answers do not name ("Get Funding Rate Info")
_DOCUMENTED_H = dict.fromkeys(("binance", "binanceusdm", "binancecoinm"), 8)


async def measure_time(exchange: Exchange, time: VenueTime) -> None:
    """Set the venue's clock offset from the answer that travelled least, for ccxt's signatures too."""
    if not exchange.has["fetchTime"]:
        return
    best_ns, offset_ns = 0, 0
    for _ in range(_PROBES):
        sent_ns = time.clock.now_ns()
        told_ns = time_ns(await answered(exchange.fetch_time()))
        if told_ns is None:
            raise Unreadable("no time of the venue")
        round_ns = time.clock.now_ns() - sent_ns
        if not best_ns or round_ns < best_ns:
            best_ns, offset_ns = round_ns, told_ns - sent_ns - round_ns // 2
    time.offset_ns = offset_ns
    exchange.options["timeDifference"] = -offset_ns // _MS


class Given(Struct, frozen=True):
    """What the exchange need not tell: ``fees`` by wallet family, which hold over its own, and leverage
    ``tiers`` of contracts for which it states none."""

    fees: Mapping[str, FeeRate] = {}
    tiers: Tiers = {}


async def read_leg(exchange: Exchange, name: InstrumentId, given: Given) -> Leg:
    """One instrument, from ``load_markets`` on.  Raises `FeedError`, and `exchange.failures`."""
    market = find_market(exchange, name)
    symbol = market["symbol"]
    brackets = () if market["spot"] else await read_tiers(exchange, symbol) or given.tiers.get(name, ())
    interval_h = await _interval_h(exchange, market) if market["swap"] else 0
    rates = await _rates(exchange, market, given.fees.get(market_of(name)))
    return Leg(instrument(exchange, market, rates, brackets, interval_h), symbol, market)


def told_of(leg: Leg, before: Leg | None, at_ns: int) -> tuple[AnyFact, ...]:
    """The facts of an instrument that is new or has changed, and of whether it trades where that is news: a
    journal may hold what was true before the start."""
    facts: list[AnyFact] = []
    if before is None or before.instrument != leg.instrument:
        facts.append(InstrumentListed(leg.instrument))
    if before is None or status_of(leg) != status_of(before):
        facts.append(InstrumentStatusSeen(leg.id, status_of(leg), at_ns))
    return tuple(facts)


def status_of(leg: Leg) -> str:
    """ccxt says ``active`` or not; ``None`` where the venue does not say."""
    return "INACTIVE" if leg.market["active"] is False else TRADING


async def _rates(exchange: Exchange, market: Market, given: FeeRate | None) -> Mapping[str, Any]:
    """Maker and taker: given, else the account's own, else what the class says of everybody's."""
    if given is not None:
        return {"maker": given.maker_rate, "taker": given.taker_rate}
    if exchange.has["fetchTradingFee"] and exchange.check_required_credentials(False):
        return await answered(exchange.fetch_trading_fee(market["symbol"]))  # type: ignore[no-any-return]
    return market


async def _interval_h(exchange: Exchange, market: Market) -> int:
    symbol = market["symbol"]
    told = ""
    if exchange.has["fetchFundingRate"]:
        told = str((await answered(exchange.fetch_funding_rate(symbol))).get("interval") or "")
    hours = whole(told.removesuffix("h"), INTERVAL_MAX_H) if told.endswith("h") else None
    if hours:
        return hours
    times: list[int] = []
    if exchange.has["fetchFundingRateHistory"]:
        since_ms = exchange.milliseconds() - _HISTORY_MS
        rows = await answered(exchange.fetch_funding_rate_history(symbol, since_ms))
        times = sorted(at_ms for row in rows if (at_ms := whole(row.get("timestamp"), MS_MAX)))
    if len(times) < 2:
        if exchange.id in _DOCUMENTED_H:
            return _DOCUMENTED_H[exchange.id]
        name = name_of(exchange.id, market)
        raise FeedError(f"{name}: neither a funding interval nor two settlements are known; leave it out")
    hours = round((times[-1] - times[-2]) / _HOUR_MS)
    return hours if hours <= INTERVAL_MAX_H else 0
