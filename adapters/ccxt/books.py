"""The book of one instrument as ccxt keeps it: whole at each update, its sequence its class's affair.

Here its levels pass the filter that decides when a book is a fact, and whoever trades on the book on paper is
told what changed.  ccxt shows a window of levels, of a depth that differs from class to class: what lies
beyond the worst level shown is unknown, and is never said to be gone.  What must stay true: a book that is
lost or gapped has no touch until the next whole one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.materiality import BookFilter, Materiality
from adapters.numbers import PRICE_MAX, PRICE_MIN, SIZE_MAX, time_ns, whole
from adapters.shown import ShownBook
from bot.model.book import Quote
from bot.model.facts import BookGapped, BookSeen
from bot.model.instrument import Instrument
from bot.ports import Emit

DEPTH = 50  # levels a side


class WatchedBook(ShownBook):
    """See the module head.  Sizes are in venue units; ``heard_ns`` is the receive time of the last update."""

    __slots__ = ("_emit", "_filter", "_nonce", "heard_ns", "instrument")

    def __init__(self, instrument: Instrument, settings: Materiality, emit: Emit) -> None:
        super().__init__()
        self.instrument = instrument
        self.heard_ns = 0
        self._filter = BookFilter(instrument, settings)
        self._emit = emit
        self._nonce = 0

    def working(self, is_working: bool) -> None:
        """While an order of ours works on the instrument, any change of the ladder is a fact."""
        self._filter.is_working = is_working

    # --- what ccxt tells

    def on_book(self, told: Mapping[str, Any], at_ns: int) -> bool:
        """Take ccxt's order book structure; false where nothing can be traded on it: it is empty, crossed, or
        holds a price or size that is none."""
        self.heard_ns = at_ns
        self._nonce = whole(told.get("nonce")) or 0
        bids, asks = ([(one[0], one[1]) for one in told[side][:DEPTH]] for side in ("bids", "asks"))
        if not all(_is_level(price, qty) for price, qty in (*bids, *asks)):
            self.is_live = False
            return False
        self._replace(bids, asks)
        self._filter.is_pending |= not self.is_live
        self.is_live = True
        if self.touch() is None:
            return False
        ladders = self._filter.material(self.book, at_ns)
        if ladders is not None:
            venue_ns = time_ns(told.get("timestamp"))
            self._emit(BookSeen(self.instrument.id, ladders[0].levels, ladders[1].levels, venue_ns, at_ns))
        return True

    def on_trade(self, told: Mapping[str, Any]) -> None:
        """Pass a trade of somebody's, ccxt's structure with numbers as floats, to the listener."""
        price, qty, at_ns = told.get("price"), told.get("amount"), time_ns(told.get("timestamp"))
        if self.listener is None or not price or not _is_level(price, qty) or not at_ns:
            return
        if qty and told.get("side"):
            self.listener.on_trade(price, qty, told["side"] == "sell", at_ns)

    def gap(self, at_ns: int) -> None:
        """Updates are missing; ccxt does not say what came instead, and begins the book anew."""
        self.is_live = False
        self._emit(BookGapped(self.instrument.id, self._nonce + 1, 0, at_ns))

    def lose(self) -> None:
        """Nothing is heard any more."""
        self.is_live = False

    # --- inside

    def _replace(self, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        listener = self.listener  # one that stops listening meanwhile is still told the whole change
        if listener is None:
            self.book.replace(bids, asks)
            return
        changed = ((True, self._changes(True, bids)), (False, self._changes(False, asks)))
        self.book.replace(bids, asks)
        for is_bid, levels in changed:
            for price, qty in levels:
                listener.on_level(is_bid, price, qty)

    def _changes(self, is_bid: bool, levels: Sequence[Quote]) -> list[Quote]:
        """The levels of a side that are about to change, those first that will be gone."""
        if not levels:
            return []
        side, shown, worst = self.book.side(is_bid), dict(levels), levels[-1][0]
        gone = [
            (price, 0.0)
            for price in side.prices()
            if price not in shown and (price > worst if is_bid else price < worst)
        ]
        return gone + [(price, qty) for price, qty in levels if side.size(price) != qty]


def _is_level(price: Any, qty: Any) -> bool:
    """Whether both are numbers of this world; a comparison with NaN is false."""
    try:
        return bool(PRICE_MIN < price < PRICE_MAX and 0 <= qty < SIZE_MAX)
    except TypeError:
        return False
