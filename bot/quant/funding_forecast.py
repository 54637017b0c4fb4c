"""What funding will pay over the next seven days, from settled rates alone.

A running estimate is a few samples right after a settlement and never a signal for days; what was settled
is.  The per-hour rate path (a settlement's rate over the hours since the one before, so that a change of
interval changes nothing) is averaged with five half-lives, and the forecast is a weighted sum of these
averages around the contract's interest constant, to which rates return: the heterogeneous autoregression of
Corsi, A Simple Approximate Long-Memory Model of Realized Volatility (2009), on funding.

The weights are least absolute deviations on six Binance coins, 2020-01 to 2024-12: in-sample for any period
before ``FIT_END``.  All rates here are simple fractions a year of one leg's notional, positive where a short
is paid.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from bot.quant.funding import YEAR_H

HALF_LIVES_H = (8.0, 24.0, 72.0, 240.0, 720.0)
WEIGHTS_7D = (0.324, 0.249, 0.081, 0.146, -0.021)
SLOW = HALF_LIVES_H.index(240.0)
FIT_END = "2024-12-31"
LONGEST_H = 25.0  # no venue settles less often than daily: a longer distance is a hole of the history
USUAL_H = 8.0


class Averages(Struct, frozen=True):
    """The rate path averaged with each of `HALF_LIVES_H`, and how many settlements that is made of."""

    levels_apr: tuple[float, ...]
    settlements: int

    @property
    def slow_apr(self) -> float:
        return self.levels_apr[SLOW]


def averages(minutes: Sequence[int], rates: Sequence[float], interval_h: float) -> Averages | None:
    """Exponentially weighted averages of the per-hour rate path, normalised by the sum of their weights, so
    that they begin at the first rate.

    ``minutes`` ascend; ``rates`` are fractions per interval.  ``interval_h`` are the hours that the first
    settlement paid for; where it is 0, eight stand for it.  Behind a hole the history begins anew.  ``None``
    without a settlement.
    """
    if not minutes:
        return None
    own_minutes = (interval_h or USUAL_H) * 60.0
    h8 = h24 = h72 = h240 = h720 = 0.0  # written out: a decision walks a thousand settlements
    d8 = d24 = d72 = d240 = d720 = 0.0
    before, known, begun, settlements = minutes[0] - own_minutes, 0.0, 0.0, 0
    for minute, rate in zip(minutes, rates, strict=True):
        gap = minute - before
        if gap > LONGEST_H * 60.0 or not settlements:
            gap, settlements = own_minutes, 0
            begun = minute - gap
            h8 = h24 = h72 = h240 = h720 = 0.0
        if gap != known:
            known = gap
            d8, d24, d72, d240, d720 = (2.0 ** (-gap / 60.0 / half) for half in HALF_LIVES_H)
        apr = rate * YEAR_H * 60.0 / gap
        h8 = apr + (h8 - apr) * d8
        h24 = apr + (h24 - apr) * d24
        h72 = apr + (h72 - apr) * d72
        h240 = apr + (h240 - apr) * d240
        h720 = apr + (h720 - apr) * d720
        before, settlements = minute, settlements + 1
    span_h = (before - begun) / 60.0
    levels = zip((h8, h24, h72, h240, h720), HALF_LIVES_H, strict=True)
    return Averages(tuple(level / (1.0 - 2.0 ** (-span_h / half)) for level, half in levels), settlements)


def forecast_7d_apr(levels_apr: Sequence[float], interest_apr: float) -> float:
    """Mean rate expected over seven days: ``i + Σ wⱼ (eⱼ − i)``, i the contract's interest constant."""
    parts = (weight * (level - interest_apr) for weight, level in zip(WEIGHTS_7D, levels_apr, strict=True))
    return interest_apr + sum(parts)
