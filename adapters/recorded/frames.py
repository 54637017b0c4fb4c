"""What a recording is to the rest of the machine: feeds, and frames in order of time.

A recording is a file or a capture.  It holds frames of one market or of several, and gives one `Feed` for
each. What must stay true: a feed is known by its content alone, never by its path, and a recording's own
clock is corrected by one offset that is fixed before its first frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from msgspec import Struct

Frame = tuple[int, int, bytes]  # corrected receive time, index of the feed, raw frame in an envelope
HEAD_FRAMES = 4000  # frames that are looked at before the first one is played


class Recording(Protocol):
    """A source of frames in order of its own lines, one frame a line."""

    @property
    def markets(self) -> tuple[str, ...]:
        """The markets whose frames it holds."""
        ...

    def blocks(self, index_of: Mapping[str, int]) -> Iterator[list[Frame]]:
        """Frames from the first line on, in bounded lists; ``index_of`` gives the feed's index by market.

        Raises `FeedError` where the recording is truncated, corrupt, not JSON or goes back in time.
        """
        ...

    def where(self, line: int) -> str:
        """File and line of the ``line``-th line, from 1, for a message."""
        ...


class Feed(Struct, frozen=True):
    """One market's part of a recording.

    ``name`` is venue and market and does not tell two recordings of the same market apart; ``sha256``
    identifies the content; ``offset_ns`` is what is added to the recorder's clock.
    """

    name: str
    market: str
    sha256: str
    offset_ns: int
    recording: Recording
