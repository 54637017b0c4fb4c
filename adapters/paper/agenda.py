"""What the simulated venue will do, by the time at which the bot sees it.

One heap, ordered by time, then rank, then order of entry, so that a run never depends on anything but its
inputs.  ``disturbed`` tells the driver's inner loop that its horizon may have moved: every entry sets it.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable

NEVER_NS = sys.maxsize

RANK_ROW = 0  # a settled rate is published
RANK_SETTLEMENT = 1
RANK_SWEEP = 2
RANK_COMMAND = 3

Action = Callable[[], None]


class VenueClock:
    """Receive time of what is being played, on the venue's clock."""

    __slots__ = ("down_ns", "now_ns", "up_ns")

    def __init__(self, up_ns: int, down_ns: int) -> None:
        self.now_ns = 0
        self.up_ns = up_ns
        self.down_ns = down_ns

    @property
    def venue_ns(self) -> int:
        """The venue's own time of what is seen now."""
        return self.now_ns - self.down_ns


class Agenda:
    """Actions by due time.  ``due_ns`` is the earliest one's, or `NEVER_NS`."""

    __slots__ = ("_heap", "_seq", "disturbed", "due_ns")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Action]] = []
        self._seq = 0
        self.due_ns = NEVER_NS
        self.disturbed = False

    def add(self, due_ns: int, rank: int, action: Action) -> None:
        self._seq += 1
        heapq.heappush(self._heap, (due_ns, rank, self._seq, action))
        self.due_ns = self._heap[0][0]
        self.disturbed = True

    def pop(self) -> Action:
        """Take the earliest action off; raises ``IndexError`` when there is none."""
        action = heapq.heappop(self._heap)[3]
        self.due_ns = self._heap[0][0] if self._heap else NEVER_NS
        return action
