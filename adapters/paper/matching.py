"""Matching against a recorded book without ever changing it.

Takers walk the displayed ladder less an overlay of what was already taken from each level; the overlay of a
level is gone once the recording updates that level.  Makers queue behind what is displayed when they arrive.

What must stay true: between two updates of a level nothing takes more than it displayed; a maker never fills
more than traded at or through its price, or was displayed by a level that crosses it; a trade and the depth
update that shows it advance a queue once, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from adapters.paper.agenda import VenueClock
from adapters.paper.books import RecordedBook
from adapters.paper.orders import VenueOrder
from adapters.paper.rejects import FILL_OR_KILL, Reject, post_only
from bot.model.commands import PlaceOrder, TimeInForce
from bot.model.instrument import Instrument, Side
from bot.model.money import ONE, ZERO, exact, exact_arithmetic, floor_to

# longer than any venue's batching of depth updates, so a shrink and the trade that caused it meet within it
CREDIT_NS = 1_000_000_000

_CHUNK = 32


class Take(NamedTuple):
    price: Decimal
    qty: Decimal


class Matcher:
    """One instrument.  Listens to its book only while something of ours depends on it."""

    def __init__(
        self,
        instrument: Instrument,
        book: RecordedBook,
        clock: VenueClock,
        on_fill: Callable[[VenueOrder, Decimal], None],
    ) -> None:
        """``on_fill`` is called with a resting order and the quantity of it that just traded."""
        self.instrument = instrument
        self.book = book
        self._clock = clock
        self._on_fill = on_fill
        self.share = ONE  # of what a level displays, what there is to take
        self._taken: dict[tuple[bool, float], Decimal] = {}
        # best price first, then first come; by is_bid
        self._makers: dict[bool, list[VenueOrder]] = {True: [], False: []}

    # --- takers -----------------------------------------------------------------------------------------

    def crosses(self, side: Side, limit: Decimal) -> bool:
        """Whether an order at ``limit`` would take at once."""
        return next(self._reachable(side, limit), None) is not None

    def refusal(self, command: PlaceOrder) -> Reject | None:
        """Why the venue refuses an order that must not take, or, on futures, one that must take all of itself
        at once; spot accepts the latter and lets it expire."""
        side, limit = command.side, command.price
        match command.tif:
            case TimeInForce.POST_ONLY if self.crosses(side, limit):
                return post_only(self.instrument)
            case TimeInForce.FOK if not self.instrument.is_spot and self._there(side, limit) < command.qty:
                return FILL_OR_KILL
            case _:
                return None

    def take(self, side: Side, qty: Decimal, limit: Decimal, least: Decimal = ZERO) -> list[Take]:
        """Take up to ``qty`` (venue units) at ``limit`` or better, one `Take` a level, best first; nothing
        where that would be less than ``least``."""
        takes: list[Take] = []
        if least > 0 and min(qty, self._there(side, limit)) < least:
            return takes
        is_bid = side is Side.SELL
        for level, available in self._reachable(side, limit):
            taken = min(qty, available)
            key = (is_bid, level)
            self._taken[key] = self._taken.get(key, ZERO) + taken
            takes.append(Take(exact(level), taken))
            qty -= taken
            if qty == 0:
                break
        self._listen()
        return takes

    def _there(self, side: Side, limit: Decimal) -> Decimal:
        """What an order without end would take at ``limit`` or better, venue units."""
        return sum((available for _, available in self._reachable(side, limit)), ZERO)

    def _reachable(self, side: Side, limit: Decimal) -> Iterator[tuple[float, Decimal]]:
        """Opposite levels at ``limit`` or better that still have something, best first, in whole lots."""
        is_bid = side is Side.SELL
        for level, displayed in self._ladder(is_bid):
            price = exact(level)
            if price < limit if is_bid else price > limit:
                return
            available = self._available(is_bid, level, displayed)
            if available > 0:
                yield level, available

    def _available(self, is_bid: bool, level: float, displayed: float) -> Decimal:
        left = exact(displayed) * self.share - self._taken.get((is_bid, level), ZERO)
        return floor_to(max(left, ZERO), self.instrument.lot)

    def _ladder(self, is_bid: bool) -> Iterator[tuple[float, float]]:
        count, done = _CHUNK, 0
        while True:
            levels = self.book.levels(is_bid, count)
            yield from levels[done:]
            if len(levels) < count:
                return
            done, count = count, count * 4

    # --- makers -----------------------------------------------------------------------------------------

    def rest(self, order: VenueOrder) -> None:
        """Let what is open of ``order`` wait at its price, behind what is displayed there."""
        order.level = float(order.command.price)
        order.ahead = exact(self.book.size(order.is_bid, order.level))
        queue = self._makers[order.is_bid]
        queue.append(order)
        queue.sort(key=lambda maker: maker.level, reverse=order.is_bid)
        self._listen()

    def withdraw(self, order: VenueOrder) -> None:
        """Take an order that has ended off the queue."""
        self._makers[order.is_bid].remove(order)
        self._listen()

    def _listen(self) -> None:
        resting = self._makers[True] or self._makers[False]
        self.book.listen(self if resting or self._taken else None)

    # --- what the recording says ------------------------------------------------------------------------

    def on_level(self, is_bid: bool, price: float, qty: float) -> None:
        """A level was set to ``qty`` (venue units; 0 removes it)."""
        if self._taken.pop((is_bid, price), None) is not None:
            self._listen()
        with exact_arithmetic():
            for maker in self._makers[is_bid]:
                if maker.level == price:
                    self._shrink(maker, exact(qty))
            for maker in tuple(self._makers[not is_bid]):
                if qty > 0 and (price <= maker.level if maker.is_bid else price >= maker.level):
                    self._cross(maker, is_bid, price, qty)

    def on_trade(self, price: float, qty: float, buyer_is_maker: bool, venue_ns: int) -> None:
        """Somebody's trade of ``qty`` (venue units): a seller took from bids when ``buyer_is_maker``."""
        with exact_arithmetic():
            left = exact(qty)
            for maker in tuple(self._makers[buyer_is_maker]):
                if left == 0 or (price > maker.level if maker.is_bid else price < maker.level):
                    return  # the rest of the queue has worse prices
                if price == maker.level:
                    self._shrink(maker, exact(self.book.size(maker.is_bid, maker.level)))
                    reached = self._advance(maker, left)
                else:
                    maker.ahead = ZERO
                    reached = left
                filled = min(reached, maker.open_qty)
                if filled > 0:
                    left -= filled
                    self._on_fill(maker, filled)

    def _shrink(self, maker: VenueOrder, displayed: Decimal) -> None:
        """Nobody can be ahead who is not displayed."""
        if displayed < maker.ahead:
            if self._clock.now_ns - maker.credit_ns > CREDIT_NS:
                maker.credit = ZERO
            maker.credit += maker.ahead - displayed
            maker.credit_ns = self._clock.now_ns
            maker.ahead = displayed

    def _advance(self, maker: VenueOrder, traded: Decimal) -> Decimal:
        """Let ``traded`` pass the queue; returns what is left of it for the maker."""
        if self._clock.now_ns - maker.credit_ns > CREDIT_NS:
            maker.credit = ZERO
        shown = min(maker.credit, traded)
        maker.credit -= shown
        passed = min(maker.ahead, traded - shown)
        maker.ahead -= passed
        return traded - shown - passed

    def _cross(self, maker: VenueOrder, is_bid: bool, price: float, displayed: float) -> None:
        """The other side came to or through our price: that level would have traded with us."""
        available = self._available(is_bid, price, displayed)
        filled = min(available, maker.open_qty)
        if filled > 0:
            key = (is_bid, price)
            self._taken[key] = self._taken.get(key, ZERO) + filled
            self._on_fill(maker, filled)
