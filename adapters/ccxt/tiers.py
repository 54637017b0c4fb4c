"""Leverage tiers of a contract: the exchange's own, where it tells them to whoever asks, else a file's.

A file is one of those with the venue's description of its instruments: JSON with a member ``leverageTiers``,
which has for each instrument's name its tiers in ccxt's form, as somebody with a key has printed them by
``fetch_market_leverage_tiers``.  What must stay true: the exchange's word is taken before a file's, and a
contract without either has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct, field

from adapters.ccxt.exchange import Exchange, answered, library
from adapters.ccxt.markets import brackets
from adapters.errors import FeedError
from bot.model.ids import InstrumentId
from bot.model.instrument import Bracket

Tiers = Mapping[InstrumentId, tuple[Bracket, ...]]
Files = tuple[tuple[str, bytes], ...]  # name for messages, JSON


class _Tier(Struct, rename="camel"):
    maintenance_margin_rate: Decimal
    max_leverage: Decimal
    min_notional: Decimal
    max_notional: Decimal | None = None


class _File(Struct):
    tiers: dict[str, list[_Tier]] | None = field(name="leverageTiers", default=None)


_decode = msgspec.json.Decoder(_File).decode


async def read_tiers(exchange: Exchange, symbol: str) -> tuple[Bracket, ...]:
    """None where the exchange tells them to nobody, or not to somebody without keys.  Raises `failures`."""
    told: Iterable[Mapping[str, Any]] = ()
    try:
        if exchange.has["fetchMarketLeverageTiers"] is True:
            told = await answered(exchange.fetch_market_leverage_tiers(symbol))
        elif exchange.has["fetchLeverageTiers"]:
            told = (await answered(exchange.fetch_leverage_tiers([symbol]))).get(symbol, ())
    except library().AuthenticationError:
        if exchange.check_required_credentials(False):
            raise
    return brackets(list(told))


def tiers_of_files(sources: Iterable[tuple[str, bytes]]) -> tuple[Tiers, Files]:
    """The tiers that ``sources`` hold, and the sources that hold something else.

    Raises `FeedError` for tiers that cannot be read."""
    found: dict[InstrumentId, tuple[Bracket, ...]] = {}
    others = []
    for name, data in sources:
        try:
            file = _decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise FeedError(f"{name}: its leverageTiers are not in ccxt's form ({error})") from None
        if file.tiers is None:
            others.append((name, data))
            continue
        for instrument, tiers in file.tiers.items():
            found.setdefault(InstrumentId(instrument), brackets(msgspec.to_builtins(tiers)))
    return found, tuple(others)
