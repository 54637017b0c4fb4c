"""How long to wait before trying again: doubling, bounded, and spread so that many do not come back at once.

The spread is drawn from a hash of what the caller hands in (its name, its clock), not from dice, so that a
run in virtual time is the same each time.
"""

from __future__ import annotations

from zlib import crc32

from msgspec import Struct


class Backoff(Struct, frozen=True):
    """The wait after the first failure, and the longest there is, in seconds."""

    first_s: float = 0.25
    longest_s: float = 30.0

    def delay_s(self, attempt: int, salt: str) -> float:
        """Seconds before attempt number ``attempt`` (1 is the first repetition): from half of the doubled
        wait to all of it."""
        whole_s = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 30))
        return whole_s * (0.5 + 0.5 * crc32(f"{attempt}|{salt}".encode()) / 0xFFFFFFFF)
