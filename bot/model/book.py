"""An order book: every level the venue told, and the order of the few that matter.

Each side keeps all sizes in a dictionary and sorted prices only for a window near the touch, because most
updates change levels that nobody will read before they are gone.  The window is rebuilt from the dictionary
when it runs dry and cut when it grows.  What must stay true: the window holds exactly the known prices that
are not worse than its edge, so that reading ``n`` levels gives the same answer as sorting the whole side.

Prices and sizes are floats in the venue's own units.  Equal text gives equal floats, which is what makes a
price a key.  Prices are positive and finite, sizes zero (the level is gone) or positive; the codec checks
that.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf

Quote = tuple[float, float]  # price, size in venue units

_WINDOW = 64  # prices in a window after a rebuild
_WINDOW_MIN = 16  # below this a window is rebuilt, if there is more to show
_WINDOW_MAX = 192  # above this it is cut
_MANY = 1_000  # levels of one update, beyond which sorting once is cheaper than inserting each


class BookSide:
    """One side of a book.  ``is_bid`` says which way is better."""

    __slots__ = ("_best", "_high", "_low", "_near", "_sizes", "is_bid")

    def __init__(self, is_bid: bool) -> None:
        self.is_bid = is_bid
        self._best = -1 if is_bid else 0  # index of the best price in the ascending window
        self._sizes: dict[float, float] = {}
        self._near: list[float] = []
        self._low = -inf
        self._high = inf

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def best(self) -> float | None:
        """Best price, ``None`` when the side is empty."""
        return self._near[self._best] if self._near else None

    def size(self, price: float) -> float:
        """Size at ``price`` in venue units, 0 where there is no level."""
        return self._sizes.get(price, 0.0)

    def apply(self, levels: Sequence[Quote]) -> None:
        """Set levels to absolute sizes; a size of 0 removes the level."""
        if len(levels) > _MANY:
            self._apply_many(levels)
            return
        sizes, near, low, high = self._sizes, self._near, self._low, self._high
        for price, qty in levels:
            if low <= price <= high:
                if qty:
                    if price not in sizes:
                        insort(near, price)
                    sizes[price] = qty
                elif sizes.pop(price, None) is not None:
                    del near[bisect_left(near, price)]
            elif qty:
                sizes[price] = qty
            else:
                sizes.pop(price, None)
        if not _WINDOW_MIN <= len(near) <= _WINDOW_MAX:
            self._fit()

    def _apply_many(self, levels: Sequence[Quote]) -> None:
        """As `apply`, sorting once: each insertion into a window that is open moves all that it holds."""
        sizes = self._sizes
        for price, qty in levels:
            if qty:
                sizes[price] = qty
            else:
                sizes.pop(price, None)
        self._rebuild(_WINDOW)

    def replace(self, levels: Iterable[Quote]) -> None:
        """Forget everything and take ``levels``."""
        self._sizes = {price: qty for price, qty in dict(levels).items() if qty}
        self._rebuild(_WINDOW)

    def set_best(self, price: float, qty: float) -> None:
        """``price`` is the best now, with size ``qty`` > 0: better levels are gone."""
        near, sizes = self._near, self._sizes
        if near:
            if near[self._best] == price:
                sizes[price] = qty
                return
            if self.is_bid:
                while near and near[-1] > price:
                    del sizes[near.pop()]
            else:
                split = bisect_left(near, price)
                for gone in near[:split]:
                    del sizes[gone]
                del near[:split]
            if not near:  # the whole window was better, and so may be levels beyond it
                for gone in self.better_than(price):
                    del sizes[gone]
                self._rebuild(_WINDOW)
        self.apply(((price, qty),))

    def better_than(self, price: float) -> list[float]:
        """Prices better than ``price``, in no particular order."""
        if self.is_bid:
            return [known for known in self._sizes if known > price]
        return [known for known in self._sizes if known < price]

    def levels(self, count: int) -> list[Quote]:
        """The ``count`` best levels, best first; fewer where the side has fewer."""
        sizes = self._sizes
        if len(self._near) < count and len(self._near) < len(sizes):
            self._rebuild(max(_WINDOW, count))
        best_first = reversed(self._near) if self.is_bid else iter(self._near)
        return [(price, sizes[price]) for price in islice(best_first, count)]

    def holds(self, qty: float, low: float, high: float) -> bool:
        """Whether the best levels hold ``qty`` > 0 at prices from ``low`` to ``high``.

        Reads the window only, so that a false may mean that it is too short to tell.
        """
        sizes, near = self._sizes, self._near
        for price in reversed(near) if self.is_bid else near:
            if not low <= price <= high:
                return False
            qty -= sizes[price]
            if qty <= 0.0:
                return True
        return False

    def prices(self) -> list[float]:
        """Every known price, in no particular order."""
        return list(self._sizes)

    def _fit(self) -> None:
        near = self._near
        if len(near) > _WINDOW_MAX:
            if self.is_bid:
                del near[:-_WINDOW]
                self._low = near[0]
            else:
                del near[_WINDOW:]
                self._high = near[-1]
        elif len(near) < len(self._sizes):
            self._rebuild(_WINDOW)

    def _rebuild(self, window: int) -> None:
        ordered = sorted(self._sizes)
        self._low, self._high = -inf, inf
        if self.is_bid:
            self._near = ordered[-window:]
            if len(ordered) > window:
                self._low = self._near[0]
        else:
            self._near = ordered[:window]
            if len(ordered) > window:
                self._high = self._near[-1]


class Book:
    """Bids and asks of one instrument."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)

    def apply(self, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        """Apply one depth update: absolute sizes, 0 removes a level."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    def replace(self, bids: Iterable[Quote], asks: Iterable[Quote]) -> None:
        """Apply a snapshot: nothing of before stays."""
        self.bids.replace(bids)
        self.asks.replace(asks)

    def touch(self, bid: float, bid_qty: float, ask: float, ask_qty: float) -> None:
        """Set the touch: levels better than it are gone.  Sizes are positive."""
        self.bids.set_best(bid, bid_qty)
        self.asks.set_best(ask, ask_qty)

    def side(self, is_bid: bool) -> BookSide:
        return self.bids if is_bid else self.asks

    def levels(self, is_bid: bool, count: int) -> list[Quote]:
        """The ``count`` best levels of a side, best first."""
        return self.side(is_bid).levels(count)

    @property
    def best_bid(self) -> float | None:
        return self.bids.best

    @property
    def best_ask(self) -> float | None:
        return self.asks.best

    @property
    def is_crossed(self) -> bool:
        """Best bid at or above best ask; false while a side is empty."""
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and bid >= ask
