"""Binance's market frames: bytes to typed values.

Streams of spot, USD-M and COIN-M differ in the fields they add, not in the ones used here, so one type per
frame serves all three: a field that a market lacks has a default.  Prices and sizes of books are floats, read
from their text in one step; marks, indices and rates stay text until they become decimals.  Only the fields
used are decoded.

Every decoder takes the combined-stream envelope ``{"stream": name, "data": frame}`` and raises
``msgspec.DecodeError`` for bytes that are not JSON, ``msgspec.ValidationError``, its subclass, for JSON that
is not such a frame, holds a price or size that is none, or more levels than a book has.  `enveloped` brings
frames without envelope into one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.json import Decoder

from adapters import numbers
from adapters.numbers import Id, Levels, Ms, Price, SizeShown

Frame = TypeVar("Frame")


class Envelope(Struct, Generic[Frame], gc=False):
    data: Frame


class DepthUpdate(Struct, gc=False):
    """``depthUpdate``: absolute sizes of changed levels.  ``previous`` (``pu``) only on futures."""

    first: Id = field(name="U")
    last: Id = field(name="u")
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")
    previous: Id | None = field(name="pu", default=None)
    event_ms: Ms | None = field(name="E", default=None)


class BookTicker(Struct, gc=False):
    """``bookTicker``: best bid and ask.  Spot carries no event time."""

    update_id: Id = field(name="u")
    bid: Price = field(name="b")
    bid_qty: SizeShown = field(name="B")
    ask: Price = field(name="a")
    ask_qty: SizeShown = field(name="A")
    event_ms: Ms | None = field(name="E", default=None)


class Trade(Struct, gc=False):
    """``trade`` and ``aggTrade``.  USD-M also reports trades of size 0, which moved nothing."""

    price: float = field(name="p")
    qty: float = field(name="q")
    trade_ms: Ms = field(name="T")
    buyer_is_maker: bool = field(name="m")


class MarkPrice(Struct, gc=False):
    """``markPriceUpdate``.  COIN-M may leave the index out; a dated contract's rate is an empty text."""

    mark: str = field(name="p")
    event_ms: Ms = field(name="E")
    index: str = field(name="i", default="")
    rate: str = field(name="r", default="")
    next_ms: Ms = field(name="T", default=0)


class IndexPrice(Struct, gc=False):
    """``indexPriceUpdate`` of a COIN-M pair."""

    index: str = field(name="p")
    event_ms: Ms = field(name="E")


class ContractInfo(Struct, gc=False):
    """``contractInfo`` of futures: a contract was listed, is being settled, or has other brackets.  After the
    announced migration one stream tells those of both markets.  Source: ``!contractInfo`` of
    binance_sdk_derivatives_trading_usds_futures 18.1.0 and _coin_futures 14.1.0 (2026-11-20)."""

    symbol: str = field(name="s")
    status: str = field(name="cs")
    contract_type: str = field(name="ct", default="")
    delivery_ms: Ms = field(name="dt", default=0)


class DepthSnapshot(Struct, gc=False):
    """Answer of the REST depth request.  Spot gives no time."""

    last: Id = field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    event_ms: Ms | None = field(name="E", default=None)


class _Bare(Struct, gc=False):
    """What names the stream of a frame without envelope."""

    stream: str = ""
    event: str = field(name="e", default="")
    symbol: str = field(name="s", default="")
    snapshot_symbol: str = field(name="symbol", default="")
    snapshot: int | None = field(name="lastUpdateId", default=None)
    best_bid_qty: object = field(name="B", default=None)
    best_ask_qty: object = field(name="A", default=None)
    index_pair: str = field(name="i", default="")
    limits: object = field(name="rateLimits", default=None)


EXCHANGE_INFO = "exchangeInfo"
CONTRACT_INFO = "!contractInfo"
_STREAMS = {
    "depthUpdate": "depth",
    "bookTicker": "bookTicker",
    "trade": "trade",
    "aggTrade": "aggTrade",
    "markPriceUpdate": "markPrice",
}

decode_depth = Decoder(Envelope[DepthUpdate], strict=False).decode
decode_touch = Decoder(Envelope[BookTicker], strict=False).decode
decode_trade = Decoder(Envelope[Trade], strict=False).decode
decode_mark = Decoder(Envelope[MarkPrice], strict=False).decode
decode_index = Decoder(Envelope[IndexPrice], strict=False).decode
decode_contract = Decoder(Envelope[ContractInfo]).decode
decode_snapshot = Decoder(Envelope[DepthSnapshot], strict=False).decode
decode_anything = Decoder(Envelope[msgspec.Raw]).decode  # for frames whose content is not used
_decode_bare = Decoder(_Bare, strict=False).decode


def positive(number: str) -> Decimal | None:
    """A price as the wire wrote it; ``None`` for an empty text.

    Raises ``msgspec.ValidationError`` for what is not a positive, finite number.
    """
    if not number:
        return None
    price = decimal(number)
    if price <= 0:
        raise msgspec.ValidationError(f"Expected `float` > 0, got {number[:40]!r}")
    return price


def decimal(number: str) -> Decimal:
    """A finite decimal.  Raises ``msgspec.ValidationError`` for anything else."""
    value = numbers.decimal(number)
    if value is None:
        raise msgspec.ValidationError(f"Expected `float`, got {number[:40]!r}")
    return value


def enveloped(payload: bytes, only_symbol: str | None) -> tuple[str, bytes]:
    """A frame's stream name, and the frame in an envelope.

    ``only_symbol`` is taken for a snapshot that names no symbol, as those of spot and USD-M do.  The name is
    empty for a frame that is known by nothing in it.  Raises ``msgspec.DecodeError``.
    """
    bare = _decode_bare(payload)
    if bare.stream:
        return bare.stream, payload
    name = _stream_of(bare, only_symbol)
    return name, b'{"stream":"%b","data":%b}' % (name.encode(), payload.strip())


def _stream_of(bare: _Bare, only_symbol: str | None) -> str:
    if bare.snapshot is not None:
        symbol = bare.snapshot_symbol or only_symbol
        return f"{symbol.lower()}@snapshot" if symbol else ""
    if bare.limits is not None:
        return EXCHANGE_INFO
    if bare.event == "contractInfo":
        return CONTRACT_INFO
    if bare.event == "indexPriceUpdate":
        return f"{bare.index_pair.lower()}@indexPrice"
    if bare.event in _STREAMS:
        return f"{bare.symbol.lower()}@{_STREAMS[bare.event]}"
    if not bare.event and bare.best_bid_qty is not None and bare.best_ask_qty is not None:
        return f"{bare.symbol.lower()}@bookTicker"
    return ""
