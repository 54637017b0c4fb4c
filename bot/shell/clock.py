"""The live clock: what time a fact is folded at.

It reads the wall clock once, at boot, and counts monotonic time from there, so that nothing that happens to
the machine's clock afterwards can turn the journal's order around. Towards a venue it is slewed: the offset
it is told is worked off at a bounded rate; what it lacks beyond a second, as after a sleep, it jumps ahead
at once. What must stay true: it never goes back, and it reads no time but the monotonic one it was given,
so that a virtual loop can drive it.
"""

from __future__ import annotations

from collections.abc import Callable

STEP_NS = 1_000_000_000
SLEW_PPM = 500  # what NTP's own discipline allows itself (RFC 5905, 11.3)


class LiveClock:
    """``anchor_ns`` is the wall time at this moment; ``monotonic`` gives seconds from any origin, as
    ``time.monotonic`` and ``loop.time`` do."""

    def __init__(self, anchor_ns: int, monotonic: Callable[[], float], *, slew_ppm: float = SLEW_PPM) -> None:
        self._monotonic = monotonic
        self._last_s = monotonic()
        self._now_ns = anchor_ns
        self._slew = slew_ppm / 1e6
        self._owed_ns = self._told_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since 1970, slewed towards the venue's clock; never goes back."""
        at_s = self._monotonic()
        elapsed_ns = round((at_s - self._last_s) * 1e9)
        if elapsed_ns <= 0:
            return self._now_ns
        self._last_s = at_s
        if self._owed_ns:
            most_ns = int(elapsed_ns * self._slew)
            paid_ns = max(-most_ns, min(most_ns, self._owed_ns))
            self._owed_ns -= paid_ns
            elapsed_ns += paid_ns
        self._now_ns += elapsed_ns
        return self._now_ns

    def steer(self, offset_ns: int) -> None:
        """Take note that the venue is ``offset_ns`` ahead of what this clock says now; what was owed before
        is forgotten, since the new measurement contains it.  The same number again is the same measurement
        told again, and changes nothing."""
        if offset_ns == self._told_ns:
            return
        self.now_ns()
        self._told_ns = self._owed_ns = offset_ns
        if offset_ns > STEP_NS:  # monotonic time stands still while a machine sleeps
            self._now_ns += offset_ns
            self._owed_ns = 0

    @property
    def owed_ns(self) -> int:
        """What is left to be worked off."""
        return self._owed_ns
