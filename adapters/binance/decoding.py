"""What every decoder of Binance's trading side is made of: one exception, one reader, exact numbers.

The venue's bytes are hostile in principle: whatever they hold, a decoder ends in a typed value or in `Drift`.
Amounts are text on the wire and become decimals here, finite and of a size that exact arithmetic can hold;
times become nanoseconds; a name that goes into an instrument's id holds neither colon nor space."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from adapters import numbers
from bot.model.facts import OrderStatus
from bot.model.ids import InstrumentId, instrument_id
from bot.model.instrument import Side

VENUE = "binance"
_MS = 1_000_000

Symbol = Annotated[str, Meta(pattern=r"^[^:\s]{1,40}$")]
Name = Annotated[str, Meta(max_length=100)]
SideWord = Literal["BUY", "SELL"]

_Shape = TypeVar("_Shape")
_Row = TypeVar("_Row")

STATUSES = {
    "NEW": OrderStatus.OPEN,
    "PENDING_NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.OPEN,
    "PENDING_CANCEL": OrderStatus.OPEN,
    "NEW_INSURANCE": OrderStatus.OPEN,
    "NEW_ADL": OrderStatus.OPEN,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}


class Drift(Exception):
    """The venue said something that its codec does not know; the message names the place, not the content."""


def reader(shape: type[_Shape]) -> Callable[[bytes], _Shape]:
    """A decoder of JSON in ``shape`` that raises nothing but `Drift`."""
    decode = msgspec.json.Decoder(shape).decode

    def read(payload: bytes) -> _Shape:
        try:
            return decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Drift(f"not {shape_name}: {error}") from None

    shape_name = getattr(shape, "__name__", str(shape)).strip("_")
    return read


class Unread(Struct, frozen=True):
    """A row of a list that could not be read: the symbol or asset that it names, else empty, and why."""

    name: str
    reason: str


class _Names(Struct):
    symbol: str = ""
    asset: str = ""


_read_list = reader(list[msgspec.Raw])
_read_names = reader(_Names)


def rows(
    read: Callable[[bytes], _Shape],
    make: Callable[[_Shape], _Row],
    payload: bytes,
    unread: list[Unread] | None,
) -> list[_Row]:
    """The rows of a JSON list, each read and made by itself, so that none takes its neighbours down.

    Those that cannot be read are added to ``unread``.  Raises `Drift` for what is no list, and without
    ``unread`` for the first such row."""
    found: list[_Row] = []
    for raw in _read_list(payload):
        try:
            found.append(make(read(bytes(raw))))
        except Drift as drift:
            if unread is None:
                raise
            unread.append(Unread(_name(bytes(raw)), str(drift)))
    return found


def _name(row: bytes) -> str:
    try:
        names = _read_names(row)
    except Drift:
        return ""
    return (names.symbol or names.asset)[:40]


def amount(text: str) -> Decimal:
    """A finite decimal as the wire wrote it.  Raises `Drift` for anything else, an empty text included."""
    value = numbers.decimal(text)
    if value is None:
        raise Drift(f"not a number: {text[:40]!r}")
    return value


def quantity(text: str) -> Decimal:
    """An `amount` that is not negative."""
    value = amount(text)
    if value < 0:
        raise Drift(f"negative where only a quantity can stand: {text[:40]!r}")
    return value


def time_ns(ms: int) -> int:
    return ms * _MS


def side(word: str) -> Side:
    return Side.BUY if word == "BUY" else Side.SELL


def status(word: str) -> OrderStatus:
    try:
        return STATUSES[word]
    except KeyError:
        raise Drift(f"unknown order status {word[:40]!r}") from None


def instrument(market: str, symbol: str) -> InstrumentId:
    return instrument_id(VENUE, market, symbol)
