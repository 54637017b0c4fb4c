"""What a book shows to others, however it is kept: by a venue's diffs (`adapters.depth`) or whole.

What must stay true: a book that is not live, or crossed, has no touch.
"""

from __future__ import annotations

from typing import Protocol

from bot.model.book import Book, Quote


class LevelListener(Protocol):
    """Told of every level that a diff, a snapshot or a touch sets, and of every trade; venue units.

    Levels are told after the whole update has been applied; a size of 0 is a level that is gone.
    """

    def on_level(self, is_bid: bool, price: float, qty: float) -> None: ...

    def on_trade(self, price: float, qty: float, buyer_is_maker: bool, venue_ns: int) -> None: ...


class ShownBook:
    """A book as others read it, however it is kept; ``listener`` hears of its changes."""

    __slots__ = ("book", "is_live", "listener")

    def __init__(self) -> None:
        self.book = Book()
        self.is_live = False
        self.listener: LevelListener | None = None

    def touch(self) -> tuple[float, float] | None:
        """Best bid and ask in quote currency; ``None`` while the book is unknown, empty or crossed."""
        bid, ask = self.book.bids.best, self.book.asks.best
        if not self.is_live or bid is None or ask is None or bid >= ask:
            return None
        return bid, ask

    def levels(self, is_bid: bool, count: int) -> list[Quote]:
        """The ``count`` best levels of a side, best first, venue units."""
        return self.book.levels(is_bid, count)

    def size(self, is_bid: bool, price: float) -> float:
        """Size displayed at ``price`` in venue units, 0 where there is none."""
        return self.book.side(is_bid).size(price)

    def listen(self, listener: LevelListener | None) -> None:
        """Tell ``listener`` from now on, or nobody."""
        self.listener = listener
