"""Who follows which market stream, and the sockets that all of them close with.

A stream is known here by what it carries (``btcusdt@depth``, ``!markPrice@arr``); update speeds are names for
the same frames, since a recording has one speed.
"""

from __future__ import annotations

from collections.abc import Callable

Ear = Callable[[bytes], None]  # is given a frame's data, without envelope
Cut = Callable[[int, str], None]  # closes a socket with a code and a reason


class Broadcast:
    """One market's streams.  Nothing here blocks or raises."""

    def __init__(self) -> None:
        self._ears: dict[str, list[Ear]] = {}
        self._sockets: list[Cut] = []

    def follow(self, stream: str, ear: Ear) -> None:
        self._ears.setdefault(stream, []).append(ear)

    def leave(self, stream: str, ear: Ear) -> None:
        """Raises ``ValueError`` for an ear that does not follow."""
        ears = self._ears[stream]
        ears.remove(ear)
        if not ears:
            del self._ears[stream]

    def is_followed(self, stream: str) -> bool:
        return stream in self._ears

    def tell(self, stream: str, data: bytes) -> None:
        for ear in tuple(self._ears.get(stream, ())):
            ear(data)

    def opened(self, cut: Cut) -> None:
        """A market socket is there, which `cut` closes."""
        self._sockets.append(cut)

    def closed(self, cut: Cut) -> None:
        self._sockets.remove(cut)

    def cut(self, code: int, reason: str) -> None:
        """Close every market socket."""
        for cut in tuple(self._sockets):
            cut(code, reason)
