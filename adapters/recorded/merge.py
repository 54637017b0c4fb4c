"""Several feeds as one: frames in order of time, then of venue and market, then of line.

Recordings are read in blocks; what is certain to come before everything still unread is sorted at once and
handed out by the interpreter's own iterators, so that merging costs no Python code per frame.  What must stay
true: the order does not depend on the order in which feeds are given, nor on where blocks end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter, length_hint

from adapters.recorded.frames import Feed, Frame, Recording

_time = itemgetter(0)
_time_and_feed = itemgetter(0, 1)


class _Source:
    """One recording being read: its frames not yet handed out."""

    __slots__ = ("_blocks", "feeds", "is_over", "lines", "pending", "recording")

    def __init__(self, recording: Recording, feeds: dict[str, int]) -> None:
        self.recording = recording
        self.feeds = feeds  # index by market
        self.lines = 0  # handed out before the present batch
        self.pending: list[Frame] = []
        self.is_over = False
        self._blocks = recording.blocks(feeds)

    def read(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self.is_over = True
        else:
            self.pending += block

    def take(self, until_ns: int | None) -> list[Frame]:
        """Remove and return the frames before ``until_ns``; all of them for ``None``."""
        count = len(self.pending) if until_ns is None else bisect_left(self.pending, until_ns, key=_time)
        taken = self.pending[:count]
        del self.pending[:count]
        return taken


class Merged:
    """An iterable of frames; `where` tells where the last one handed out was read."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        """A frame's index is the position of its feed in ``feeds``, which are in order of name."""
        grouped: dict[int, tuple[Recording, dict[str, int]]] = {}
        for index, feed in enumerate(feeds):
            grouped.setdefault(id(feed.recording), (feed.recording, {}))[1][feed.market] = index
        self._sources = [_Source(recording, indices) for recording, indices in grouped.values()]
        # sorting is stable: where each recording has one market, time is enough to keep the order of feeds
        self._order = _time if len(feeds) == len(self._sources) else _time_and_feed
        self._batch: list[Frame] = []
        self._taken: list[int] = []  # lines of the present batch, by source
        self._position: Iterator[Frame] = iter(())

    def __iter__(self) -> Iterator[Frame]:
        return chain.from_iterable(self._batches())

    def where(self) -> str:
        """File and line of the frame handed out last; empty before the first."""
        reached = len(self._batch) - length_hint(self._position)
        if reached == 0:
            return ""
        index = self._batch[reached - 1][1]
        source = next(source for source in self._sources if index in source.feeds.values())
        mine = set(source.feeds.values())
        return source.recording.where(source.lines + sum(frame[1] in mine for frame in self._batch[:reached]))

    def _batches(self) -> Iterator[Iterator[Frame]]:
        while True:
            for source in self._sources:
                while not source.pending and not source.is_over:
                    source.read()
            unread = [source for source in self._sources if not source.is_over]
            # nothing earlier than the last frame read of each recording can still come from it
            until_ns = min((source.pending[-1][0] for source in unread), default=None)
            self._advance(until_ns)
            if self._batch:
                yield self._position
            elif not unread:
                return
            for source in unread:
                if source.pending and source.pending[-1][0] == until_ns:
                    source.read()

    def _advance(self, until_ns: int | None) -> None:
        for source, taken in zip(self._sources, self._taken, strict=False):
            source.lines += taken
        runs = [source.take(until_ns) for source in self._sources]
        self._taken = [len(run) for run in runs]
        self._batch = list(chain.from_iterable(runs))
        self._batch.sort(key=self._order)
        self._position = iter(self._batch)


def merge(feeds: Sequence[Feed]) -> Merged:
    """Frames of all ``feeds`` in order (see `Merged`); iterating raises `FeedError` for a bad recording."""
    return Merged(feeds)
