"""What the venue reads of a recorded book.  `adapters.depth.BookChannel` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.shown import LevelListener


class RecordedBook(Protocol):
    """A book that is only read.  Sizes are in venue units."""

    def touch(self) -> tuple[float, float] | None:
        """Best bid and ask, quote currency; ``None`` while the book is unknown, empty or crossed."""
        ...

    def levels(self, is_bid: bool, count: int) -> Sequence[tuple[float, float]]:
        """At most ``count`` levels of a side, best first, as price and size."""
        ...

    def size(self, is_bid: bool, price: float) -> float:
        """Size displayed at ``price``; 0 where nothing is."""
        ...

    def listen(self, listener: LevelListener | None) -> None:
        """Tell ``listener`` from now on, or nobody."""
        ...
