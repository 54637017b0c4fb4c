"""Funding of perpetuals: the venue's rate from its premium, and what a rate is worth to a holder.

Rates are fractions of notional per funding interval, positive when longs pay shorts.  Funding does not
accrue: who holds at the settlement pays or receives the whole interval, so expectations count settlements,
and an annual rate is only a way to compare.  The interval belongs to the symbol and can change; nothing here
assumes eight hours but the published form of the formula, which quotes its parameters for eight.
"""

from __future__ import annotations

YEAR_H = 8760.0
HOUR_NS = 3_600_000_000_000
INTERVAL_MAX_H = 24
NEAR_NS = 60_000_000_000  # an announced time may be as far from the full hour
BAND_8H = 0.0005


def premium_index(impact_bid: float, impact_ask: float, index: float) -> float:
    """Premium of a perpetual over its index (``index`` > 0), as a fraction of the index.

    ``[max(0, impact bid − index) − max(0, index − impact ask)] / index``: Binance, Introduction to Futures
    Funding Rates.  An index inside the spread gives zero.
    """
    return (max(0.0, impact_bid - index) - max(0.0, index - impact_ask)) / index


def running_premium(average: float, current: float, samples: int, samples_total: int) -> float:
    """Weighted average premium after ``samples_total`` samples, given the average of the first ``samples``.

    All samples from then on are taken to equal ``current``.  With ``samples_total`` the interval's full count
    this forecasts the settlement; with ``samples + 1`` it is the venue's own update.  The k-th sample weighs
    k (Binance, Introduction to Futures Funding Rates), so the past holds ``k(k+1) / n(n+1)`` of the weight.
    Requires 0 ≤ ``samples`` ≤ ``samples_total``, ``samples_total`` > 0.
    """
    weight = samples * (samples + 1) / (samples_total * (samples_total + 1))
    return weight * average + (1.0 - weight) * current


def binance_rate(premium: float, interest_8h: float, interval_h: float, cap: float) -> float:
    """Rate of one interval from the average premium.

    ``[P + clamp(I − P, ±0.05 %)] / (8 / N)``, then limited to ``±cap``: Binance, Introduction to Futures
    Funding Rates.  ``interest_8h`` is 0.0001 for most symbols, ``cap`` is the symbol's own.
    """
    rate_8h = premium + _clamp(interest_8h - premium, BAND_8H)
    return _clamp(rate_8h * interval_h / 8.0, cap)


def funding_apr(rate: float, interval_h: float) -> float:
    """Simple annual rate of a rate paid every ``interval_h`` > 0 hours."""
    return rate * YEAR_H / interval_h


def follows_h(before_ns: int, next_ns: int, at_ns: int) -> int:
    """Hours of the interval that ends at ``next_ns``, where it follows the one that ended at ``before_ns``; 0
    where that cannot be told.

    ``at_ns`` is the venue's time at which ``next_ns`` is the next settlement.  Intervals are whole hours, so
    that within an hour after a settlement no other can have passed.
    """
    if not before_ns - NEAR_NS <= at_ns < before_ns + HOUR_NS:
        return 0
    hours, rest_ns = divmod(next_ns - before_ns + NEAR_NS, HOUR_NS)
    return hours if rest_ns <= 2 * NEAR_NS and 1 <= hours <= INTERVAL_MAX_H else 0


def fits_interval(next_ns: int, interval_h: int, at_ns: int) -> bool:
    """Whether the next settlement can be one of this interval: no further away than it."""
    return next_ns - at_ns <= interval_h * HOUR_NS + NEAR_NS


def is_on_grid(next_ns: int, interval_h: int) -> bool:
    """Whether a settlement lies on the multiples of an interval > 0 since 1970 UTC, as venues set them."""
    return (next_ns + NEAR_NS) % (interval_h * HOUR_NS) <= 2 * NEAR_NS


def settlements_within(now_ns: int, next_ns: int, interval_h: int, horizon_ns: int) -> int:
    """How many settlements fall after ``now_ns`` and at or before ``now_ns + horizon_ns``.

    ``next_ns`` is any known settlement time; when it has passed, the next one of its grid counts.
    """
    interval_ns = interval_h * HOUR_NS
    first_ns = next_ns
    if next_ns <= now_ns:
        first_ns = next_ns + ((now_ns - next_ns) // interval_ns + 1) * interval_ns
    end_ns = now_ns + horizon_ns
    if first_ns > end_ns:
        return 0
    return (end_ns - first_ns) // interval_ns + 1


def expected_carry(rate: float, interval_h: float, horizon_h: float) -> float:
    """Fraction of notional a short receives over ``horizon_h`` hours if ``rate`` persists."""
    return rate * horizon_h / interval_h


def break_even_h(cost_fraction: float, rate: float, interval_h: float) -> float | None:
    """Hours of funding at ``rate`` that pay for ``cost_fraction``; ``None`` when the rate never does."""
    if rate <= 0.0:
        return None
    return cost_fraction / rate * interval_h


def _clamp(value: float, bound: float) -> float:
    return min(max(value, -bound), bound)
