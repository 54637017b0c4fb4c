"""When a book is worth a fact.

A book becomes a fact when the price at which a clip could be executed moved by ``materiality_bps`` since the
last fact, at any change of the ladder while an order of ours works on the instrument, after the book was lost
or found, and when the heartbeat is due.  Everything else ends here, which is what bounds the journal.  What
must stay true: the verdict depends on frames, settings and the engine's own orders alone, so that a replay
gives the same facts.
"""

from __future__ import annotations

from math import inf

from msgspec import Struct

from bot.model.book import Book, BookSide
from bot.model.facts import Level
from bot.model.instrument import Instrument

LADDER_LEVELS = 10
LADDER_CLIPS = 2  # a ladder covers this many clips, if ten levels hold them


class Materiality(Struct, frozen=True):
    """Settings of the filter."""

    clip_quote: float
    materiality_bps: float
    heartbeat_s: float

    @property
    def heartbeat_ns(self) -> int:
        return round(self.heartbeat_s * 1e9)


class Ladder(Struct, frozen=True):
    """The near side of a book in base currency, and what one clip would cost."""

    levels: tuple[Level, ...]
    price: float  # average price of a clip, or of all ten levels when they hold less
    is_covered: bool  # the levels hold a clip


class BookFilter:
    """The filter of one book.

    ``bid_low`` to ``bid_high`` is the band in which the price of a clip sold may move unnoticed, and
    ``bid_qty`` the size, in venue units, that holds a clip at any price of the band: a touch within both
    cannot be material. The same for the ask.  Writers set ``is_pending`` (emit whatever comes next) and
    ``is_working``.
    """

    __slots__ = (
        "_instrument", "_is_covered", "_seen", "_settings", "_size", "ask_high", "ask_low", "ask_qty",
        "bid_high", "bid_low", "bid_qty", "due_ns", "is_pending", "is_working",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, settings: Materiality) -> None:
        self._instrument = instrument
        self._size = float(instrument.contract_size)
        self._settings = settings
        self.is_working = False
        self.forget()

    def forget(self) -> None:
        """Nothing has been emitted yet."""
        self.is_pending = True
        self.due_ns = 0
        self._seen: tuple[tuple[Level, ...], tuple[Level, ...]] = ((), ())
        self._is_covered = (False, False)
        self.bid_low = self.ask_low = inf
        self.bid_high = self.ask_high = -inf
        self.bid_qty = self.ask_qty = inf

    def material(self, book: Book, at_ns: int) -> tuple[Ladder, Ladder] | None:
        """The two ladders to emit, or ``None`` where nothing is.  ``book`` is neither empty nor crossed."""
        is_due = self.is_pending or at_ns >= self.due_ns
        if not is_due and not self.is_working and self._is_still(book):
            return None
        bids, asks = self._ladder(book.bids), self._ladder(book.asks)
        if not is_due:
            if self.is_working:
                if (bids.levels, asks.levels) == self._seen:
                    return None
            elif not self._moved(bids, asks):
                return None
        self._remember(bids, asks, at_ns)
        return bids, asks

    def _is_still(self, book: Book) -> bool:
        """Whether a clip is held by levels that all lie within the bands, so that its price must, too."""
        return book.bids.holds(self.bid_qty, self.bid_low, self.bid_high) and book.asks.holds(
            self.ask_qty, self.ask_low, self.ask_high
        )

    def _moved(self, bids: Ladder, asks: Ladder) -> bool:
        return (
            (bids.is_covered, asks.is_covered) != self._is_covered
            or not self.bid_low <= bids.price <= self.bid_high
            or not self.ask_low <= asks.price <= self.ask_high
        )

    def _remember(self, bids: Ladder, asks: Ladder, at_ns: int) -> None:
        band = self._settings.materiality_bps / 10_000
        self.is_pending = False
        self.due_ns = at_ns + self._settings.heartbeat_ns
        self._seen = (bids.levels, asks.levels)
        self._is_covered = (bids.is_covered, asks.is_covered)
        self.bid_low, self.bid_high = bids.price * (1 - band), bids.price * (1 + band)
        self.ask_low, self.ask_high = asks.price * (1 - band), asks.price * (1 + band)
        self.bid_qty = self._holds_clip(self.bid_low) if bids.is_covered else inf
        self.ask_qty = self._holds_clip(self.ask_low) if asks.is_covered else inf

    def _holds_clip(self, price: float) -> float:
        clip_quote = self._settings.clip_quote
        return clip_quote / self._size if self._instrument.inverse else clip_quote / (price * self._size)

    def _ladder(self, side: BookSide) -> Ladder:
        """Base-currency levels until they hold two clips, at most ten, and the average price of one clip."""
        size, inverse, clip = self._size, self._instrument.inverse, self._settings.clip_quote
        far = LADDER_CLIPS * clip
        levels: list[Level] = []
        value = clip_quote = clip_base = 0.0
        for price, qty in side.levels(LADDER_LEVELS):
            base = qty * size / price if inverse else qty * size
            levels.append((price, base))
            if value < clip:
                part = min(base * price, clip - value)
                clip_quote += part
                clip_base += part / price
            value += base * price
            if value >= far:
                break
        return Ladder(tuple(levels), clip_quote / clip_base, value >= clip)
