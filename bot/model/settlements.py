"""The settled funding rates of one contract, kept by their times.

What must stay true: the history is a function of the settlements told, not of the order or number of times
they were told in.  Two of one minute are one settlement, since venues date one with some milliseconds of
jitter; the first that was told stands.
"""

from __future__ import annotations

from bisect import bisect_left

from msgspec import Struct, field

MINUTE_NS = 60_000_000_000
KEPT = 1000  # what a venue lists in one answer: eleven months at eight hours, six weeks at one


class Settlements(Struct, array_like=True):
    """Times in whole minutes since 1970, ascending, and beside them rates as fractions per interval.
    ``count`` is how many were ever kept, so that it changes with each."""

    minutes: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    count: int = 0

    def keep(self, settled_ns: int, rate: float) -> bool:
        """Keep a settlement; false for one that is known, or older than a full history."""
        minute = (settled_ns + MINUTE_NS // 2) // MINUTE_NS
        place = bisect_left(self.minutes, minute)
        if place < len(self.minutes) and self.minutes[place] == minute:
            return False
        if len(self.minutes) >= KEPT:
            if place == 0:
                return False
            del self.minutes[0], self.rates[0]
            place -= 1
        self.minutes.insert(place, minute)
        self.rates.insert(place, rate)
        self.count += 1
        return True

    @property
    def last_ns(self) -> int:
        """Time of the latest settlement, to the minute; 0 where none is known."""
        return self.minutes[-1] * MINUTE_NS if self.minutes else 0
