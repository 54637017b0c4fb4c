"""Entry and exit of a carry as one switch with a cost.

Holding or not is a two-state switching problem: each change costs half a round trip, so the rate to enter at
lies above the hurdle and the rate to leave at far below it.  `thresholds` holds the solution of that problem
on the forecast of `bot.quant.funding_forecast`: six Binance coins, 2020 to 2024, at hurdles of 0 and 4 % a
year and round trips of 5 to 40 basis points.  The optimum is flat: refits move the thresholds by 2.5 to 4.5
percentage points and the value by 0.03 a year.  In-sample for any period before the forecast's ``FIT_END``.

Rates are simple fractions a year of one leg's notional, costs basis points of it for the whole round trip.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from bot.quant.basis import BPS_PER_UNIT
from bot.quant.costs import amortised_apr

COSTS_BPS = (5.0, 10.0, 16.0, 24.0, 32.0, 40.0)
TABLE_HURDLE_APR = 0.04
ENTER_AT_0 = (0.034, 0.041, 0.041, 0.048, 0.048, 0.056)
LEAVE_AT_0 = (-0.058, -0.087, -0.111, -0.140, -0.177, -0.221)
ENTER_AT_4 = (0.074, 0.074, 0.084, 0.084, 0.084, 0.084)
LEAVE_AT_4 = (-0.023, -0.050, -0.077, -0.099, -0.125, -0.140)
FEW_SETTLEMENTS = 3
SLOW_MARGIN_APR = 0.02  # the slow average may lie this far below the hurdle: a guard of the tail, set by hand


class Band(Struct, frozen=True):
    """How far above the hurdle the forecast must be to enter and how far below it to leave, and how far below
    it the slow average may be before one leaves; fractions a year."""

    above_apr: float
    below_apr: float
    slow_apr: float = SLOW_MARGIN_APR


class Outlook(Struct, frozen=True):
    """What a decision is made from.  ``paid_bps`` is the funding paid since the position's best point, 0 for
    none held; ``settlements`` how many are known of the contract with the fewest, ``None`` where no leg has
    funding."""

    forecast_apr: float
    slow_apr: float
    hurdle_apr: float
    cost_bps: float
    paid_bps: float
    band: Band
    settlements: int | None


def thresholds(cost_bps: float, hurdle_apr: float) -> Band:
    """The band of a round trip and a hurdle: linear between the table's cells, costs clamped at its ends; at
    a hurdle beyond the table ``0.04`` and ``0.05 + 0.0037 × cost``, which fit its cells."""
    if not 0.0 <= hurdle_apr <= TABLE_HURDLE_APR:
        return Band(0.04, 0.05 + 0.0037 * cost_bps)
    share = hurdle_apr / TABLE_HURDLE_APR
    above = [_between(cost_bps, row) for row in (ENTER_AT_0, ENTER_AT_4)]
    below = [-_between(cost_bps, row) for row in (LEAVE_AT_0, LEAVE_AT_4)]
    return Band(
        above[0] + share * (above[1] - TABLE_HURDLE_APR - above[0]),
        below[0] + share * (below[1] + TABLE_HURDLE_APR - below[0]),
    )


def until_end(cost_bps: float, life_h: float) -> Band:
    """The band of a carry that ends in ``life_h`` > 0 hours: its cost must be earned in that time, and one
    leaves before when more than that is to be lost."""
    apr = amortised_apr(cost_bps / BPS_PER_UNIT, life_h)
    return Band(apr, apr, apr)


def turns_in(outlook: Outlook, floor_apr: float) -> bool:
    """Whether a carry is worth the cost of entering; ``floor_apr`` bounds the forecast besides."""
    if _says_little(outlook):
        return False
    return outlook.forecast_apr >= enter_apr(outlook, floor_apr) and outlook.slow_apr >= outlook.hurdle_apr


def turns_out(outlook: Outlook) -> bool:
    """Whether a carry has ended: it is forecast, has lately been, or has proven to be worth leaving."""
    if outlook.paid_bps >= outlook.cost_bps:
        return True
    if _says_little(outlook):
        return False
    is_slow = outlook.slow_apr <= outlook.hurdle_apr - outlook.band.slow_apr
    return is_slow or outlook.forecast_apr <= leave_apr(outlook)


def _says_little(outlook: Outlook) -> bool:
    """Whether the averages are those of the first settlements of a history, which open and end nothing."""
    return outlook.settlements is not None and outlook.settlements <= FEW_SETTLEMENTS


def enter_apr(outlook: Outlook, floor_apr: float) -> float:
    return max(outlook.hurdle_apr + outlook.band.above_apr, floor_apr)


def leave_apr(outlook: Outlook) -> float:
    return outlook.hurdle_apr - outlook.band.below_apr


def paid_since_best_bps(received: Iterable[float]) -> float:
    """Funding paid since the best point of a position, basis points, from what each settlement since its
    entry brought (fractions of notional, in order of time)."""
    paid = 0.0
    for rate in received:
        paid = max(0.0, paid - rate)
    return paid * BPS_PER_UNIT


def _between(cost_bps: float, row: tuple[float, ...]) -> float:
    if cost_bps <= COSTS_BPS[0]:
        return row[0]
    for place in range(1, len(COSTS_BPS)):
        low, high = COSTS_BPS[place - 1], COSTS_BPS[place]
        if cost_bps <= high:
            return row[place - 1] + (row[place] - row[place - 1]) * (cost_bps - low) / (high - low)
    return row[-1]
