"""What an exchange trades and what its time is, read through ccxt at the start.

Everything an instrument needs is asked of the venue itself: markets, the account's own fee rates where the
exchange tells them, leverage tiers, and the funding interval, which is the distance of two settlements where
no answer states it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.exchange import Exchange, answered, library
from adapters.ccxt.markets import Market, brackets, find_market, instrument, name_of
from adapters.errors import FeedError
from bot.model.ids import InstrumentId

_MS = 1_000_000
_HOUR_MS = 3_600_000
_PROBES = 3
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
        told_ns = int(await answered(exchange.fetch_time())) * _MS
        round_ns = time.clock.now_ns() - sent_ns
        if not best_ns or round_ns < best_ns:
            best_ns, offset_ns = round_ns, told_ns - sent_ns - round_ns // 2
    time.offset_ns = offset_ns
    exchange.options["timeDifference"] = -offset_ns // _MS


async def read_leg(exchange: Exchange, name: InstrumentId) -> Leg:
    """One instrument, from ``load_markets`` on.  Raises `FeedError`, and `exchange.failures`."""
    market = find_market(exchange, name)
    symbol = market["symbol"]
    rates: Mapping[str, Any] = market
    if exchange.has["fetchTradingFee"] and exchange.check_required_credentials(False):
        rates = await answered(exchange.fetch_trading_fee(symbol))
    tiers = () if market["spot"] else brackets(await _tiers(exchange, symbol))
    interval_h = await _interval_h(exchange, market) if market["swap"] else 0
    return Leg(instrument(exchange, market, rates, tiers, interval_h), symbol, market)


async def _tiers(exchange: Exchange, symbol: str) -> list[Mapping[str, Any]]:
    """None where the exchange tells them to nobody, or not to somebody without keys."""
    try:
        if exchange.has["fetchMarketLeverageTiers"] is True:
            return list(await answered(exchange.fetch_market_leverage_tiers(symbol)))
        if exchange.has["fetchLeverageTiers"]:
            return list((await answered(exchange.fetch_leverage_tiers([symbol]))).get(symbol, ()))
    except library().AuthenticationError:
        if exchange.check_required_credentials(False):
            raise
    return []


async def _interval_h(exchange: Exchange, market: Market) -> int:
    symbol = market["symbol"]
    told = str((await answered(exchange.fetch_funding_rate(symbol))).get("interval") or "")
    if told.endswith("h") and told[:-1].isdecimal():
        return int(told[:-1])
    times: list[int] = []
    if exchange.has["fetchFundingRateHistory"]:
        since_ms = exchange.milliseconds() - _HISTORY_MS
        rows = await answered(exchange.fetch_funding_rate_history(symbol, since_ms))
        times = sorted(int(row["timestamp"]) for row in rows)
    if len(times) < 2:
        if exchange.id in _DOCUMENTED_H:
            return _DOCUMENTED_H[exchange.id]
        name = name_of(exchange.id, market)
        raise FeedError(f"{name}: neither a funding interval nor two settlements are known; leave it out")
    return round((times[-1] - times[-2]) / _HOUR_MS)
