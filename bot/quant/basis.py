"""The price side of the basis: what a size costs from a ladder, and what the gap between two prices is worth.

A quoted best price is a promise for the size that stands there and for no more, so every comparison of two
legs goes through a walk of both ladders for the size that would be traded.  A ladder that is too thin has no
price: the answer is ``None``, never the price of the part that could be had.  All numbers are floats; nothing
here is booked.  Rates are fractions a year of 365 days.
"""

from __future__ import annotations

import math

from bot.model.facts import Level

YEAR_DAYS = 365.0
BPS_PER_UNIT = 10_000.0


def walk(levels: tuple[Level, ...], qty_base: float) -> float | None:
    """Average price at which ``qty_base`` > 0 would fill against ``levels`` (best first).

    ``None`` when the ladder holds less than that.
    """
    left_base = qty_base
    paid_quote = 0.0
    for price, size_base in levels:
        if size_base >= left_base:
            return (paid_quote + price * left_base) / qty_base
        paid_quote += price * size_base
        left_base -= size_base
    return None


def walk_quote(levels: tuple[Level, ...], notional_quote: float) -> tuple[float, float] | None:
    """Average price and base quantity that ``notional_quote`` > 0 would fill against ``levels`` (best first).

    ``None`` when the ladder is worth less than that.
    """
    left_quote = notional_quote
    qty_base = 0.0
    for price, size_base in levels:
        worth_quote = price * size_base
        if worth_quote >= left_quote:
            qty_base += left_quote / price
            return notional_quote / qty_base, qty_base
        qty_base += size_base
        left_quote -= worth_quote
    return None


def basis_bps(short_price: float, long_price: float) -> float:
    """How far the short leg's price stands above the long leg's, basis points of the long leg's."""
    return (short_price / long_price - 1.0) * BPS_PER_UNIT


def annualised_apr(basis_fraction: float, days: float) -> float:
    """Simple annual rate of a fraction earned over ``days`` > 0."""
    return basis_fraction * YEAR_DAYS / days


def compounded_apy(basis_fraction: float, days: float) -> float:
    """Annual rate when a fraction earned over ``days`` > 0 is earned again on itself all year."""
    return math.pow(1.0 + basis_fraction, YEAR_DAYS / days) - 1.0


def fair_future(spot_price: float, rate_apr: float, yield_apr: float, years: float) -> float:
    """Cost-of-carry price of a dated future, both rates continuously compounded.

    ``F = S exp((r − q) T)``: Hull, Options, Futures and Other Derivatives, chapter on forward prices.
    """
    return spot_price * math.exp((rate_apr - yield_apr) * years)


def implied_yield(future_price: float, spot_price: float, years: float) -> float:
    """The continuously compounded rate that ``fair_future`` would need: ``ln(F / S) / T``, ``years`` > 0."""
    return math.log(future_price / spot_price) / years


def held_to_expiry(basis_fraction: float, cost_fraction: float, borrow_apr: float, days: float) -> float:
    """What a basis held to expiry leaves, as a fraction: less costs, less ``days`` of borrowing."""
    return basis_fraction - cost_fraction - borrow_apr * days / YEAR_DAYS
