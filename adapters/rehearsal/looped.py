"""A recording as an endless stream: its times moved to the present, its ids growing for ever.

One pass is the recording from its first frame to its last.  Every pass moves all times by one number, so
that its first frame is due when the pass begins, and the ids of each book and of each symbol's trades by one
number a pass, so that they lie beyond those of the pass before.  Between two passes there is a rest, at whose
end the venue's market sockets are closed: whoever listens connects anew and asks for a snapshot.

What must stay true: within a pass ids and times keep their differences, so that a gap in the recording is a
gap for whoever listens; from pass to pass ids and due times only grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters.binance.codec import EXCHANGE_INFO, enveloped
from adapters.errors import FeedError
from adapters.recorded.frames import Feed, Frame
from adapters.recorded.merge import merge

REST_NS = 1_000_000_000  # between the last frame of a pass and the first of the next
LEAP = 1_000_000  # ids between two passes: a ticker may be ahead of the diffs by some, and none may return

_MS = 1_000_000
# by kind of frame: the sequences it has ids of, and where
_IDS = {
    "depth": (("book", ("U", "u", "pu")),),
    "bookTicker": (("book", ("u",)),),
    "snapshot": (("book", ("lastUpdateId",)),),
    "trade": (("trade", ("t",)),),
    "aggTrade": (("aggregate", ("a",)), ("trade", ("f", "l"))),
}
_TIMES = ("E", "T")

Data = dict[str, Any]


class Shown(Struct, frozen=True):
    """A frame as the venue says it: ``symbol`` in lower case, ``kind`` such as ``depth``, ``bookTicker``,
    ``trade``, ``aggTrade``, ``markPrice``, ``indexPrice``, or ``snapshot`` for the REST answer that a
    recorder asked for."""

    market: str
    symbol: str
    kind: str
    data: Data


class _Ids:
    """One sequence of ids, moved by one number a pass."""

    __slots__ = ("_offset", "_pass", "_top")

    def __init__(self) -> None:
        self._pass = -1
        self._offset = 0
        self._top = 0

    def move(self, data: Data, names: tuple[str, ...], number: int) -> None:
        """Move ``data``'s ids of ``names`` in pass ``number``."""
        ids = {name: value for name in names if isinstance(value := data.get(name), int)}
        if not ids:
            return
        if number != self._pass:
            self._offset = self._top + LEAP - min(ids.values()) if self._pass >= 0 else 0
            self._pass = number
        for name, value in ids.items():
            data[name] = value + self._offset
            self._top = max(self._top, value + self._offset)


class Looped:
    """Frames by due time: ``due_ns`` is when the next one is due, `take` gives it."""

    def __init__(self, feeds: Sequence[Feed], start_ns: int) -> None:
        """Raises `FeedError` for a recording without a frame, or one that cannot be read."""
        self._feeds = feeds
        self._ids: dict[tuple[str, str, str], _Ids] = {}
        self._pass = -1
        self._frames: Iterator[Frame] = iter(())
        self._head: Frame | None = None
        self.due_ns = start_ns
        self._shift_ns = 0
        self._begin()

    def take(self) -> Shown | None:
        """The frame that is due; ``None``, once a pass, when it is over and the next one begins after a
        rest."""
        frame = self._head
        if frame is None:
            self.due_ns += REST_NS
            self._begin()
            return None
        self._next()
        return self._moved(frame)

    # --- inside -----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._pass += 1
        self._frames = (
            frame
            for frame in merge(self._feeds)
            if not frame[2].startswith(b'{"stream":"%b"' % EXCHANGE_INFO.encode())
        )
        head = next(self._frames, None)
        if head is None:
            raise FeedError("the recording holds no frame; record at least one")
        self._head = head
        # whole milliseconds: what the wire writes keeps its distance to what is due
        self._shift_ns = (self.due_ns - head[0]) // _MS * _MS
        self.due_ns = max(self.due_ns, head[0] + self._shift_ns)

    def _next(self) -> None:
        self._head = next(self._frames, None)
        if self._head is not None:
            self.due_ns = max(self.due_ns, self._head[0] + self._shift_ns)

    def _moved(self, frame: Frame) -> Shown:
        market = self._feeds[frame[1]].market
        name, payload = enveloped(frame[2], None)
        data: Data = msgspec.json.decode(payload)["data"]
        symbol, _, rest = name.partition("@")
        kind = rest.partition("@")[0]
        for sequence, names in _IDS.get(kind, ()):
            self._sequence(market, symbol, sequence).move(data, names, self._pass)
        shift_times(data, self._shift_ns // _MS)
        return Shown(market, symbol, kind, data)

    def _sequence(self, market: str, symbol: str, kind: str) -> _Ids:
        return self._ids.setdefault((market, symbol, kind), _Ids())


def shift_times(data: Data, shift_ms: int) -> None:
    """Move event, transaction and next funding time, where there are some."""
    for name in _TIMES:
        value = data.get(name)
        if isinstance(value, int) and value > 0:
            data[name] = value + shift_ms
