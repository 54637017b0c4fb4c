"""Exact money.

Orders, fills, fees, balances and the ledger are ``Decimal`` and every sum or product of them is exact: the
context below traps ``Inexact``, so that a result which would need rounding is a bug that stops the program
instead of a cent that goes missing.  Rounding happens in the functions of this module and nowhere else, once,
when an order, a posting or a reference price is born.

Prices and sizes of order books are floats.  ``exact`` is the only way from there to here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import lru_cache

ZERO = Decimal(0)
ONE = Decimal(1)
HALF = Decimal("0.5")
BPS = Decimal("0.0001")

PRECISION = 60
_TRAPS = [Inexact, FloatOperation, InvalidOperation, DivisionByZero, Overflow]
EXACT = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=_TRAPS)
_ROUNDING = Context(
    prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)
_UP = Context(prec=PRECISION, rounding=ROUND_CEILING, traps=[InvalidOperation, DivisionByZero, Overflow])

_DIGITS, _PLACES, _MAGNITUDE = 18, 24, 15

COIN_QUANTUM = Decimal("1e-8")  # venues book coins to eight places
REFERENCE_QUANTUM = Decimal("1e-20")  # base currency per contract at a reference price


def exact_arithmetic() -> AbstractContextManager[object]:
    """Run a block under the exact context: rounding and float mixing raise."""
    return localcontext(EXACT)


def exact(number: float) -> Decimal:
    """The decimal a book float was read from: ``repr`` gives the shortest text that parses back to it."""
    return Decimal(repr(number))


@lru_cache(maxsize=4096, typed=True)
def exact_price(price: float) -> Decimal:
    """The same of a price > 0: touches are asked for again and again."""
    return exact(price)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is ≤ ``value``."""
    return _multiple(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of ``step`` that is ≥ ``value``."""
    return _multiple(value, step, ROUND_CEILING)


def nearest_to(value: Decimal, step: Decimal) -> Decimal:
    """The multiple of ``step`` nearest to ``value``, ties to even."""
    return _multiple(value, step, ROUND_HALF_EVEN)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    return _ROUNDING.remainder(value, step) == 0


def _multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    count = _ROUNDING.divide(value, step).to_integral_value(rounding=rounding)
    return _ROUNDING.multiply(count, step)


def is_measured(value: Decimal) -> bool:
    """Whether a number is one that a venue can have measured, and products of it stay exact: finite, below a
    quadrillion, at most 18 digits that say something, none beyond the 24th place."""
    if not value.is_finite():
        return False
    _, digits, exponent = _ROUNDING.normalize(value).as_tuple()
    places = int(exponent)
    return len(digits) <= _DIGITS and places >= -_PLACES and len(digits) + places <= _MAGNITUDE


def divide(numerator: Decimal, denominator: Decimal, quantum: Decimal) -> Decimal:
    """``numerator / denominator`` rounded half-even to ``quantum``: the only division that money goes
    through."""
    return _ROUNDING.quantize(_ROUNDING.divide(numerator, denominator), quantum)


def divide_up(numerator: Decimal, denominator: Decimal, quantum: Decimal) -> Decimal:
    """``numerator / denominator`` rounded to the next multiple of ``quantum`` towards plus infinity: a bound
    that is never below what it bounds."""
    return _UP.quantize(_UP.divide(numerator, denominator), quantum)


def multiply_rounded(left: Decimal, right: Decimal, quantum: Decimal) -> Decimal:
    """``left × right`` rounded half-even to ``quantum``: a fee, a payment, a share of a cost."""
    return _ROUNDING.quantize(_ROUNDING.multiply(left, right), quantum)


def text(value: Decimal) -> str:
    """A decimal as plain digits: no exponent, no trailing zeros, no minus before zero."""
    if value == 0:
        return "0"
    digits = f"{value:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
