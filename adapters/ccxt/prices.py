"""Mark, index and running funding rate of a contract, asked of an exchange through ccxt.

Few exchanges say all three in one answer, and which says what differs: the funding rate's answer is asked
first, then a mark price or ticker, then the running candles of mark and index, whose last close is the price
now.  Nothing is asked for that is known already.  What must stay true: what no answer says stays ``None``,
and a settlement that no answer announces 0; a question that the exchange refuses for this contract takes
nothing from what others told.

Source: the parsers of ccxt 4.5.90 (2026-11-20).  okx and kucoin tell neither price with the rate, okx the
index by candles alone; aster, bingx and backpack announce the settlement of their rate as the next one;
krakenfutures and paradex announce none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from adapters.ccxt.desk import Leg
from adapters.ccxt.exchange import Exchange, answered, library
from adapters.ccxt.markets import number
from adapters.marks import MarkUpdate
from adapters.numbers import time_ns
from bot.model.instrument import Kind

_CANDLE = "1m"
_CLOSE = 4


async def read_prices(exchange: Exchange, leg: Leg, now_ns: int) -> MarkUpdate:
    """What the exchange says of a contract now; ``now_ns`` where it does not say when.  Raises `failures`,
    but for a refusal only where nothing was answered."""
    update, has, asked = MarkUpdate(now_ns), exchange.has, _Asked()
    if leg.instrument.kind is Kind.PERP and has["fetchFundingRate"]:
        update = _filled(update, await asked(exchange.fetch_funding_rate(leg.symbol)) or {})
    if not _is_whole(update) and (has["fetchMarkPrice"] or has["fetchTicker"]):
        ask = exchange.fetch_mark_price if has["fetchMarkPrice"] else exchange.fetch_ticker
        update = _filled(update, await asked(ask(leg.symbol)) or {})
    if update.mark is None and has["fetchMarkOHLCV"]:
        mark = _last(await asked(exchange.fetch_mark_ohlcv(leg.symbol, _CANDLE)) or [])
        update = msgspec.structs.replace(update, mark=mark)
    if update.index is None and has["fetchIndexOHLCV"]:
        index = _last(await asked(exchange.fetch_index_ohlcv(leg.symbol, _CANDLE)) or [])
        update = msgspec.structs.replace(update, index=index)
    if asked.refusals and not asked.answers:
        raise asked.refusals[0]
    return update


class _Asked:
    """Questions of one contract: how many were answered, and how the exchange refused the others."""

    def __init__(self) -> None:
        self.answers = 0
        self.refusals: list[Exception] = []

    async def __call__(self, question: Awaitable[Any]) -> Any:
        """The answer, or ``None`` for a refusal: a word that says the question is wrong, not the time."""
        try:
            answer = await answered(question)
        except (library().BadRequest, library().NotSupported) as error:
            self.refusals.append(error)
            return None
        self.answers += 1
        return answer


def _is_whole(update: MarkUpdate) -> bool:
    return update.mark is not None and update.index is not None


def _filled(update: MarkUpdate, told: Mapping[str, Any]) -> MarkUpdate:
    """``update`` with what ccxt's funding rate or ticker structure says beyond it."""
    next_ms = told.get("fundingTimestamp") or told.get("nextFundingTimestamp")
    return MarkUpdate(
        venue_ns=time_ns(told.get("timestamp")) or update.venue_ns,
        mark=number(told.get("markPrice")) if update.mark is None else update.mark,
        index=number(told.get("indexPrice")) if update.index is None else update.index,
        rate=number(told.get("fundingRate")) if update.rate is None else update.rate,
        next_ns=time_ns(next_ms) or update.next_ns,
    )


def _last(candles: list[list[Any]]) -> Decimal | None:
    """The close of the newest of ccxt's candles."""
    whole_ones = [one for one in candles if len(one) > _CLOSE and time_ns(one[0])]
    newest = max(whole_ones, key=lambda one: time_ns(one[0]) or 0, default=None)
    return None if newest is None else number(newest[_CLOSE])
