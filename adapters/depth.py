"""From depth updates to book facts: sequence rule, one book, and the filter that decides what is worth a
fact.

A `BookChannel` owns the book of one instrument.  Updates must follow each other without a hole; a hole makes
the book unknown until a snapshot that the later updates connect to.  The touch stream is faster than the
depth stream: a touch newer than the book is applied at once and again after a diff that is older than it.

What must stay true: every frame handed in is counted once, as material, immaterial, stale, refused or still
waiting, and no book is emitted that is gapped, crossed or empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from typing import Protocol

from msgspec import Struct

from adapters.materiality import BookFilter, Materiality
from adapters.shown import ShownBook
from bot.model.book import Quote
from bot.model.facts import BookGapped, BookSeen
from bot.model.instrument import Instrument
from bot.ports import Emit

WAITING_MAX = 1000  # diffs kept while no snapshot has come; older ones are dropped
HELD_MAX = 50_000  # levels of a side that are kept; ten times the deepest book that a venue shows
MS = 1_000_000  # nanoseconds


class Diff(Protocol):
    """A depth update: absolute sizes of the levels that changed between two update ids."""

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def previous(self) -> int | None: ...
    @property
    def bids(self) -> Sequence[Quote]: ...
    @property
    def asks(self) -> Sequence[Quote]: ...
    @property
    def event_ms(self) -> int | None: ...


class Touch(Protocol):
    """Best bid and ask at one update id."""

    @property
    def update_id(self) -> int: ...
    @property
    def bid(self) -> float: ...
    @property
    def bid_qty(self) -> float: ...
    @property
    def ask(self) -> float: ...
    @property
    def ask_qty(self) -> float: ...
    @property
    def event_ms(self) -> int | None: ...


class Snapshot(Protocol):
    """A whole book, as deep as the venue gives it, at one update id."""

    @property
    def last(self) -> int: ...
    @property
    def bids(self) -> Sequence[Quote]: ...
    @property
    def asks(self) -> Sequence[Quote]: ...
    @property
    def event_ms(self) -> int | None: ...


class SequenceRule(Struct, frozen=True):
    """How a venue's depth updates connect, as its documentation says it.

    After a snapshot with id L, updates with ``last < L + lead`` are dropped and the first one used has
    ``first <= L + lead <= last``.  From then on each names its predecessor's last id (``chained``), or begins
    one after it.
    """

    lead: int
    chained: bool


class BookChannel(ShownBook):
    """The book of one instrument: see the module head.

    ``gaps`` counts holes found; ``dropped`` the diffs that waited for a snapshot in vain; ``refused`` counts
    frames by reason.  ``heard_ns`` is the receive time of the last frame that was not refused.
    """

    __slots__ = (
        "_asks", "_bids", "_bridged", "_emit", "_event_ms", "_filter", "_gap", "_last", "_newest", "_retold",
        "_rule", "_touch", "_waiting", "dropped", "gaps", "heard_ns", "immaterial", "instrument", "is_gapped",
        "material", "refused", "stale",
    )  # fmt: skip

    def __init__(
        self, instrument: Instrument, rule: SequenceRule, materiality: Materiality, emit: Emit
    ) -> None:
        super().__init__()
        self.instrument = instrument
        self._bids = self.book.bids
        self._asks = self.book.asks
        self.is_gapped = False
        self.heard_ns = 0
        self.gaps = 0
        self.dropped = 0
        self.material = 0
        self.immaterial = 0
        self.stale = 0
        self.refused: dict[str, int] = {}
        self._rule = rule
        self._filter = BookFilter(instrument, materiality)
        self._emit = emit
        self._bridged = False
        self._last = 0  # update id of the book
        self._event_ms = 0  # of the last diff applied
        self._newest = 0  # of the book and the touch together
        self._touch: Touch | None = None
        self._waiting: deque[tuple[Diff, bool]] = deque()  # and whether the frame has been counted
        self._gap = (0, 0)
        self._retold = False  # an open gap is still to be told

    # --- what others read

    @property
    def update_id(self) -> int:
        """Id of the last update that the book holds."""
        return self._last

    @property
    def waiting(self) -> int:
        """Frames whose disposition is open: diffs that wait for a snapshot."""
        return sum(not counted for _, counted in self._waiting)

    def working(self, is_working: bool) -> None:
        """While an order of ours works on the instrument, any change of the ladder is a fact."""
        self._filter.is_working = is_working

    def forget(self) -> None:
        """Forget what was emitted, so that the next frame emits whatever is known: a book, or its gap."""
        self._filter.forget()
        self._retold = self.is_gapped

    def interrupt(self, at_ns: int) -> None:
        """The updates have stopped: the book is unknown until a snapshot that later ones connect to."""
        self.stale += self.waiting
        self._waiting.clear()
        if not self.is_live:
            return
        self._forget_ids()
        self.is_gapped = True
        self._gap = (self._last + 1, 0)
        self._emit(BookGapped(self.instrument.id, *self._gap, at_ns))

    def refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    # --- frames

    def on_touch(self, touch: Touch, at_ns: int) -> None:
        """Apply best bid and ask, unless the book is newer or unknown."""
        if touch.update_id <= self._newest:
            self.stale += 1
            self.heard_ns = at_ns
            return
        bid, ask = touch.bid, touch.ask
        if bid >= ask:
            self.refuse("crossed book")
            return
        self._newest = touch.update_id
        self._touch = touch
        self.heard_ns = at_ns
        if not self.is_live:
            self.stale += 1
            return
        if self.listener is None:
            self._bids.set_best(bid, touch.bid_qty)
            self._asks.set_best(ask, touch.ask_qty)
        else:
            self._set_touch(touch)
        # the touch alone holds a clip and moved less than what matters: nothing else need be read
        band = self._filter
        if (
            band.bid_low <= bid <= band.bid_high
            and touch.bid_qty >= band.bid_qty
            and band.ask_low <= ask <= band.ask_high
            and touch.ask_qty >= band.ask_qty
            and at_ns < band.due_ns
            and not band.is_working
        ):
            self.immaterial += 1
        else:
            self._judge(at_ns, touch.event_ms)

    def on_diff(self, diff: Diff, at_ns: int) -> None:
        """Apply a depth update, or keep it until a snapshot comes."""
        if not self.is_live:
            self._wait(diff, at_ns)
            return
        if not self._follows(diff):
            if self._is_old(diff):
                self.stale += 1
                self.heard_ns = at_ns
                return
            self._waiting.append((diff, True))
            self._lose(diff, at_ns)
            return
        self._apply(diff)
        if len(self._bids) > HELD_MAX or len(self._asks) > HELD_MAX:
            self.refuse("more levels than are kept")
            self.interrupt(at_ns)
            return
        touch = self._touch
        if touch is not None and touch.update_id > diff.last:
            self._set_touch(touch)
        self._judge(at_ns, diff.event_ms)

    def on_snapshot(self, snapshot: Snapshot, at_ns: int) -> None:
        """Start the book anew from a snapshot, and apply the updates that waited for it."""
        if self.is_live and snapshot.last < self._last:
            self.stale += 1
            self.heard_ns = at_ns
            return
        self._replace(snapshot)
        self.is_live = True
        self._bridged = False
        self._last = snapshot.last
        self._newest = max(self._newest, snapshot.last)
        while self._waiting:
            diff, counted = self._waiting[0]
            if self._follows(diff):
                self._apply(diff)
                self.immaterial += not counted
            elif self._is_old(diff):
                self.stale += not counted
            elif self.is_gapped:
                self._forget_ids()
                self.refuse("snapshot older than the updates that follow it")
                return
            else:
                self._lose(diff, at_ns)
                return
            self._waiting.popleft()
        if self._touch is not None and self._touch.update_id > self._last:
            self._set_touch(self._touch)
        self._filter.forget()
        self._judge(at_ns, snapshot.event_ms)

    def on_trade(self, price: float, qty: float, buyer_is_maker: bool, venue_ns: int) -> None:
        """Pass a trade to the listener; the book learns of it by its own updates."""
        if self.listener is not None and 0.0 < price < inf and 0.0 < qty < inf:
            self.listener.on_trade(price, qty, buyer_is_maker, venue_ns)

    # --- the sequence

    def _follows(self, diff: Diff) -> bool:
        if self._bridged:
            return diff.previous == self._last if self._rule.chained else diff.first == self._last + 1
        return diff.first <= self._last + self._rule.lead <= diff.last

    def _is_old(self, diff: Diff) -> bool:
        """Whether the book holds a diff already that does not follow: it is older, or told twice.

        One told twice is old by its ids and by its time; by ids alone, a venue may have begun them anew.
        """
        if not self._bridged:
            return diff.last < self._last + self._rule.lead
        return diff.last <= self._last and diff.event_ms is not None and diff.event_ms <= self._event_ms

    def _apply(self, diff: Diff) -> None:
        self.book.apply(diff.bids, diff.asks)
        self._bridged = True
        self._event_ms = diff.event_ms or 0
        self._last = diff.last
        self._newest = max(self._newest, diff.last)
        if self.listener is not None:
            self._tell(diff.bids, diff.asks)

    def _wait(self, diff: Diff, at_ns: int) -> None:
        self.heard_ns = at_ns
        if self._retold:
            self._retold = False
            self.material += 1
            self._waiting.append((diff, True))
            self._emit(BookGapped(self.instrument.id, *self._gap, at_ns))
        else:
            self._waiting.append((diff, False))
        if len(self._waiting) > WAITING_MAX:
            _, counted = self._waiting.popleft()
            self.stale += not counted
            self.dropped += 1

    def _lose(self, diff: Diff, at_ns: int) -> None:
        """The book is unknown: ``diff`` does not connect to it."""
        if not self._bridged:
            expected, got = self._last + self._rule.lead, diff.first
        elif self._rule.chained:
            expected, got = self._last, diff.previous or 0
        else:
            expected, got = self._last + 1, diff.first
        self._forget_ids()
        self.heard_ns = at_ns
        self.is_gapped = True
        self.gaps += 1
        self._gap = (expected, got)
        self.material += 1
        self._emit(BookGapped(self.instrument.id, expected, got, at_ns))

    def _forget_ids(self) -> None:
        """After a loss a venue may count its ids anew."""
        self.is_live = False
        self._touch = None
        self._newest = 0

    def _replace(self, snapshot: Snapshot) -> None:
        listener = self.listener  # one that stops listening meanwhile is still told the whole change
        if listener is None:
            self.book.replace(snapshot.bids, snapshot.asks)
            return
        before = [
            (side.is_bid, price) for side in (self.book.bids, self.book.asks) for price in side.prices()
        ]
        self.book.replace(snapshot.bids, snapshot.asks)
        for is_bid, price in before:
            if not self.book.side(is_bid).size(price):
                listener.on_level(is_bid, price, 0.0)
        self._tell(snapshot.bids, snapshot.asks)

    def _set_touch(self, touch: Touch) -> None:
        book = self.book
        if self.listener is None:
            book.touch(touch.bid, touch.bid_qty, touch.ask, touch.ask_qty)
            return
        bids = [(price, 0.0) for price in book.bids.better_than(touch.bid)]
        asks = [(price, 0.0) for price in book.asks.better_than(touch.ask)]
        book.touch(touch.bid, touch.bid_qty, touch.ask, touch.ask_qty)
        self._tell((*bids, (touch.bid, touch.bid_qty)), (*asks, (touch.ask, touch.ask_qty)))

    def _tell(self, bids: Iterable[Quote], asks: Iterable[Quote]) -> None:
        listener = self.listener
        if listener is None:
            return
        for price, qty in bids:
            listener.on_level(True, price, qty)
        for price, qty in asks:
            listener.on_level(False, price, qty)

    def _judge(self, at_ns: int, event_ms: int | None) -> None:
        """Emit the book if it is material, and count the frame."""
        bid, ask = self.book.bids.best, self.book.asks.best
        if bid is None or ask is None:
            self.refuse("empty book")
            return
        if bid >= ask:
            self.refuse("crossed book")
            return
        self.heard_ns = at_ns
        ladders = self._filter.material(self.book, at_ns)
        if ladders is None:
            self.immaterial += 1
            return
        self.is_gapped = self._retold = False
        self.material += 1
        venue_ns = None if event_ms is None else event_ms * MS
        self._emit(BookSeen(self.instrument.id, ladders[0].levels, ladders[1].levels, venue_ns, at_ns))
