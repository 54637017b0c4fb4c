"""The mean of a pair's executable gap over the last day, or since the first book where that is less.

An entry that carry wants waits for a gap that is not much below its mean.  Sampled once a minute where carry
may enter, kept in sums of whole hours: a pair costs a walk of both ladders a minute.
"""

from __future__ import annotations

from bot.core import views
from bot.model.store import GapHour, Pair, Store

MINUTE_NS = 60_000_000_000
HOUR_MINUTES = 60
DAY_HOURS = 24


def sample(store: Store, at_ns: int) -> None:
    """Take each pair's gap into its mean, once a minute."""
    minute = at_ns // MINUTE_NS
    config = store.config
    if minute == store.gaps_minute or config is None:
        return
    store.gaps_minute = minute
    strategy = config.strategy
    if strategy.expected_funding != "settled" or strategy.entry_carry_apr is None:
        return
    hour, clip_quote = minute // HOUR_MINUTES, float(strategy.clip_quote)
    for pair in store.pairs.values():
        if not pair.in_config or any(leg.instrument not in store.markets for leg in pair.legs):
            continue
        gap_bps = views.gap_bps(store, pair, clip_quote, opening=True)
        if gap_bps is not None:
            _add(pair, hour, gap_bps)


def _add(pair: Pair, hour: int, gap_bps: float) -> None:
    last = pair.gap_hours[-1] if pair.gap_hours else None
    if last is not None and last.hour == hour:
        grown = GapHour(hour, last.sum_bps + gap_bps, last.samples + 1)
        pair.gap_hours = (*pair.gap_hours[:-1], grown)
        return
    young = tuple(one for one in pair.gap_hours if one.hour > hour - DAY_HOURS)
    pair.gap_hours = (*young, GapHour(hour, gap_bps, 1))


def mean_bps(pair: Pair, at_ns: int) -> float | None:
    """Mean gap of the last day, whole hours and the present one; ``None`` before the first sample."""
    oldest = at_ns // (HOUR_MINUTES * MINUTE_NS) - DAY_HOURS
    kept = [one for one in pair.gap_hours if one.hour > oldest]
    samples = sum(one.samples for one in kept)
    return sum(one.sum_bps for one in kept) / samples if samples else None
