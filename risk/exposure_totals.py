"""Gross notional, notional by venue and net delta of many pairs, kept by one part out and one part in.

``reach`` is the sum of what each pair's delta may be at most, nothing netted: by so much a price moves the
net delta at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from bot.model.money import ZERO
from risk.exposure import PairExposure


class Exposures:
    """Gross notional, notional by venue and net delta of pairs, NAV currency."""

    __slots__ = ("_ranges", "delta", "gross", "reach", "venues")

    def __init__(self) -> None:
        self.gross = self.delta = self.reach = ZERO
        self.venues: dict[str, Decimal] = {}
        self._ranges: dict[str, tuple[Decimal, Decimal]] = {}  # base currency → lowest and highest delta

    def replace(self, old: PairExposure | None, new: PairExposure | None) -> None:
        """Take a pair's part out and put another one in."""
        venues = self.venues
        if old is not None:
            self.reach -= _widest((old.net_low, old.net_high))
            for venue, value in old.legs:
                self.gross -= value
                venues[venue] -= value
        if new is not None:
            self.reach += _widest((new.net_low, new.net_high))
            for venue, value in new.legs:
                self.gross += value
                venues[venue] = venues.get(venue, ZERO) + value
        if old is not None and new is not None and old.base == new.base:
            self._shift(new.base, new.net_low - old.net_low, new.net_high - old.net_high)
            return
        if old is not None:
            self._shift(old.base, -old.net_low, -old.net_high)
        if new is not None:
            self._shift(new.base, new.net_low, new.net_high)

    def _shift(self, base: str, low_change: Decimal, high_change: Decimal) -> None:
        before = self._ranges.get(base, (ZERO, ZERO))
        after = self._ranges[base] = before[0] + low_change, before[1] + high_change
        self.delta += _widest(after) - _widest(before)

    def delta_with(self, old: Iterable[PairExposure], new: Iterable[PairExposure]) -> Decimal:
        """Net delta if the parts ``old`` were ``new``."""
        changed: dict[str, tuple[Decimal, Decimal]] = {}
        for parts, sign in ((old, -1), (new, 1)):
            for part in parts:
                low, high = changed.get(part.base) or self._ranges.get(part.base, (ZERO, ZERO))
                changed[part.base] = low + part.net_low * sign, high + part.net_high * sign
        delta = self.delta
        for base, after in changed.items():
            delta += _widest(after) - _widest(self._ranges.get(base, (ZERO, ZERO)))
        return delta


def _widest(deltas: tuple[Decimal, Decimal]) -> Decimal:
    return max(abs(deltas[0]), abs(deltas[1]))
