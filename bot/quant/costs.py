"""What a round trip in both legs costs, and what a carry leaves after it.

A carry trade takes four times: long leg in, short leg in, both out.  Each take pays the taker fee and gives
up the distance from the mid to the price that the ladder has for the size.  The exit is priced from the
present book, since no better estimate of the future one is at hand; a leg that delivery closes has none.
Costs are counted against the notional of one leg and spread over the planned hold; too thin a ladder has no
cost and therefore no carry.
"""

from __future__ import annotations

from msgspec import Struct

from bot.model.facts import Level
from bot.quant.basis import BPS_PER_UNIT, walk
from bot.quant.funding import YEAR_H


class LegView(Struct, frozen=True):
    """What one leg's cost depends on: ladders, best first, sizes in base, the taker fee (fraction), and how
    many of its two takes are paid for: one where it is held to its delivery."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    taker_rate: float
    takes: int = 2


class Carry(Struct, frozen=True):
    """One appraisal of a pair, with every number it was made from.  ``cost_bps`` is fees plus slippage."""

    expected_apr: float
    fees_bps: float
    slippage_bps: float
    cost_bps: float
    hold_h: float
    cost_apr: float
    borrow_apr: float
    net_apr: float


def slippage_bps(leg: LegView, qty_base: float) -> float | None:
    """Cost of buying and selling ``qty_base`` > 0 in one leg against its mid, basis points of the mid; of one
    take, half of it.  ``None`` when either side of the book is empty or too thin.
    """
    bid = walk(leg.bids, qty_base)
    ask = walk(leg.asks, qty_base)
    if bid is None or ask is None:
        return None
    mid = (leg.bids[0][0] + leg.asks[0][0]) / 2.0
    return (ask - bid) / mid * BPS_PER_UNIT * leg.takes / 2.0


def fees_bps(long: LegView, short: LegView) -> float:
    """Taker fees of all takes, basis points of one leg's notional."""
    return (long.takes * long.taker_rate + short.takes * short.taker_rate) * BPS_PER_UNIT


def round_trip_bps(long: LegView, short: LegView, qty_base: float) -> float | None:
    """Fees and slippage of getting into and out of both legs, basis points of one leg's notional.

    ``None`` when one of the four ladders is too thin.
    """
    long_bps = slippage_bps(long, qty_base)
    short_bps = slippage_bps(short, qty_base)
    if long_bps is None or short_bps is None:
        return None
    return fees_bps(long, short) + long_bps + short_bps


def amortised_apr(cost_fraction: float, hold_h: float) -> float:
    """A one-off cost as a fraction a year when it is spread over ``hold_h`` > 0 hours."""
    return cost_fraction * YEAR_H / hold_h


def net_carry_apr(expected_apr: float, cost_fraction: float, hold_h: float, borrow_apr: float) -> float:
    """Expected rate less amortised cost less borrowing, fraction a year."""
    return expected_apr - amortised_apr(cost_fraction, hold_h) - borrow_apr


def appraise(
    expected_apr: float, legs: tuple[LegView, LegView], qty_base: float, hold_h: float, borrow_apr: float
) -> Carry | None:
    """The carry of a pair for a size; ``legs`` is the long one, then the short one.

    ``expected_apr`` is what the pair is expected to earn before costs: funding or basis to expiry, as a
    fraction a year.  ``None`` when a ladder is too thin for ``qty_base``.
    """
    cost_bps = round_trip_bps(legs[0], legs[1], qty_base)
    if cost_bps is None:
        return None
    fees = fees_bps(legs[0], legs[1])
    cost_fraction = cost_bps / BPS_PER_UNIT
    return Carry(
        expected_apr=expected_apr,
        fees_bps=fees,
        slippage_bps=cost_bps - fees,
        cost_bps=cost_bps,
        hold_h=hold_h,
        cost_apr=amortised_apr(cost_fraction, hold_h),
        borrow_apr=borrow_apr,
        net_apr=net_carry_apr(expected_apr, cost_fraction, hold_h, borrow_apr),
    )
