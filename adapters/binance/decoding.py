"""What every decoder of Binance's trading side is made of: one exception, one reader, exact numbers.

The venue's bytes are hostile in principle: whatever they hold, a decoder ends in a typed value or in `Drift`.
Amounts are text on the wire and become decimals here, finite and of a size that exact arithmetic can hold;
times become nanoseconds; a name that goes into an instrument's id holds neither colon nor space."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from bot.model.facts import OrderStatus
from bot.model.ids import InstrumentId, instrument_id
from bot.model.instrument import Side

VENUE = "binance"
_MS = 1_000_000
_DIGITS_MAX = 24  # each side of the point; far beyond any amount, far within the ledger's precision

Ms = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]  # since 1970; beyond it, nanoseconds pass 63 bits
Number = Annotated[int, Meta(ge=-1, le=2**63 - 1)]  # an id; -1 stands for none
Symbol = Annotated[str, Meta(pattern=r"^[^:\s]{1,40}$")]
Name = Annotated[str, Meta(max_length=100)]
SideWord = Literal["BUY", "SELL"]

_Shape = TypeVar("_Shape")

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


def amount(text: str) -> Decimal:
    """A finite decimal as the wire wrote it.  Raises `Drift` for anything else, an empty text included."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Drift(f"not a number: {text[:40]!r}") from None
    if not value.is_finite() or abs(value.adjusted()) > _DIGITS_MAX or len(text) > 2 * _DIGITS_MAX:
        raise Drift(f"not a number of this world: {text[:40]!r}")
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
