"""Books, marks and funding of one exchange through ccxt.

ccxt.pro keeps each book in sequence itself and raises where an update is missing; here its levels only pass
the filter that decides when a book is a fact.  Marks and rates are asked for in turn, since few exchanges
stream them.  A socket that says nothing for `SILENCE_S` is taken for dead and opened anew.  What must stay
true: a book is a fact only while ccxt vouches for its sequence; a lost one is told lost before it is asked
for again.

Where an exchange has no book by socket (``watchOrderBook``), its book is polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.backoff import Backoff
from adapters.ccxt.desk import Leg
from adapters.ccxt.exchange import Exchange, answered, failures, library
from adapters.ccxt.markets import number
from adapters.marks import MarkChannel, MarkUpdate
from adapters.materiality import BookFilter, Materiality
from bot.model.book import Book
from bot.model.facts import (
    BookGapped,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    FundingSettled,
    ProtocolDrift,
)
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Kind
from bot.ports import Clock, Emit, Reading

DEPTH = 50  # levels a side
SILENCE_S = 30.0
MARK_EVERY_S = 3.0
BACKOFF = Backoff(first_s=1.0)
_POLL_S = 1.0
_MS = 1_000_000
_HOUR_NS = 3_600_000_000_000


class Feed:
    """The market side of one exchange's legs.

    ``books`` is the exchange whose numbers are floats, ``rates`` the one whose numbers are text.
    """

    def __init__(
        self,
        books: Exchange,
        rates: Exchange,
        legs: Sequence[Leg],
        settings: Materiality,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self.heard_ns: dict[InstrumentId, int] = {}
        self._books = books
        self._rates = rates
        self._legs = legs
        self._clock = clock
        self._emit = emit
        self._failures = failures()
        self._gap: type[Exception] = library().ChecksumError
        self._filters = {leg.id: BookFilter(leg.instrument, settings) for leg in legs}
        self._marks = {leg.id: MarkChannel(leg.instrument, settings, emit) for leg in legs}
        self._silent: dict[AccountId, set[InstrumentId]] = {}  # legs without a book
        for leg in legs:
            self._silent.setdefault(leg.instrument.account, set()).add(leg.id)
        self._gaps = self._losses = self._frames = 0

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        for name, one in self._filters.items():
            one.is_working = name in instruments

    def readings(self) -> tuple[Reading, ...]:
        labels = {"venue": str(self._rates.id)}
        return (
            Reading("market_frames_total", self._frames, labels),
            Reading("book_gaps_total", self._gaps, labels),
            Reading("market_losses_total", self._losses, labels),
        )

    # --- books

    async def watch(self, leg: Leg) -> None:
        """Tell one book, for ever."""
        book, tries, last = Book(), 0, 0
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    told = await self._next(leg)
                self._on_book(leg, book, told)
                tries, last = 0, int(told.get("nonce") or 0)
                continue
            except self._gap:
                self._gaps += 1
                # ccxt does not say what came instead
                self._emit(BookGapped(leg.id, last + 1, 0, self._clock.now_ns()))
                self._filters[leg.id].is_pending = True
                continue
            except TimeoutError:
                reason = f"{leg.symbol}: no book for {SILENCE_S:g} s"
                await self._books.close()
                self._books.open()
            except self._failures as error:
                reason = f"{leg.symbol}: {type(error).__name__}"
            self._lose(leg, reason)
            tries += 1
            await asyncio.sleep(BACKOFF.delay_s(tries, f"{leg.id} books"))

    async def _next(self, leg: Leg) -> Mapping[str, Any]:
        if self._books.has["watchOrderBook"]:
            return await answered(self._books.watch_order_book(leg.symbol))  # type: ignore[no-any-return]
        await asyncio.sleep(_POLL_S)
        return await answered(self._books.fetch_order_book(leg.symbol, DEPTH))  # type: ignore[no-any-return]

    def _on_book(self, leg: Leg, book: Book, told: Mapping[str, Any]) -> None:
        at_ns = self._clock.now_ns()
        self._frames += 1
        self.heard_ns[leg.id] = at_ns
        levels = {side: [(one[0], one[1]) for one in told[side][:DEPTH]] for side in ("bids", "asks")}
        book.replace(levels["bids"], levels["asks"])
        if book.best_bid is None or book.best_ask is None or book.is_crossed:
            self._emit(ProtocolDrift(leg.instrument.account, "book", f"{leg.symbol}: empty or crossed"))
            return
        silent = self._silent[leg.instrument.account]
        if leg.id in silent:
            silent.discard(leg.id)
            self._filters[leg.id].is_pending = True
            if not silent:
                self._emit(ChannelOpened(leg.instrument.account, Channel.MARKET))
        ladders = self._filters[leg.id].material(book, at_ns)
        if ladders is not None:
            venue_ms = told.get("timestamp")
            venue_ns = int(venue_ms) * _MS if venue_ms else None
            self._emit(BookSeen(leg.id, ladders[0].levels, ladders[1].levels, venue_ns, at_ns))

    def _lose(self, leg: Leg, reason: str) -> None:
        silent = self._silent[leg.instrument.account]
        if not silent:
            self._losses += 1
            self._emit(ChannelLost(leg.instrument.account, Channel.MARKET, reason))
        silent.add(leg.id)

    # --- marks and funding

    async def mark(self, leg: Leg) -> None:
        """Tell mark, index, running rate and settled rates of a contract, for ever."""
        marks, settled_ns = self._marks[leg.id], 0
        while True:
            try:
                if leg.instrument.kind is Kind.PERP:
                    told = await answered(self._rates.fetch_funding_rate(leg.symbol))
                    update = _mark_of(told, self._clock.now_ns())
                    marks.on_update(update, self._clock.now_ns())
                    if update.next_ns > settled_ns and await self._settled(leg):
                        settled_ns = update.next_ns
                else:
                    has_mark = self._rates.has["fetchMarkPrice"]
                    ask = self._rates.fetch_mark_price if has_mark else self._rates.fetch_ticker
                    marks.on_update(
                        _mark_of(await answered(ask(leg.symbol)), self._clock.now_ns()), self._clock.now_ns()
                    )
            except self._failures as error:
                self._emit(
                    ProtocolDrift(leg.instrument.account, "mark", f"{leg.symbol}: {type(error).__name__}")
                )
            await asyncio.sleep(MARK_EVERY_S)

    async def _settled(self, leg: Leg) -> bool:
        """Tell the last settled rate; false where the venue has none yet for the interval that ended."""
        if not self._rates.has["fetchFundingRateHistory"]:
            return True
        since_ms = (self._clock.now_ns() - 2 * leg.instrument.funding_interval_h * _HOUR_NS) // _MS
        rows = await answered(self._rates.fetch_funding_rate_history(leg.symbol, since_ms))
        last = max(rows, key=lambda row: int(row["timestamp"]), default=None)
        rate = None if last is None else number(last["fundingRate"])
        if last is None or rate is None:
            return False
        self._emit(FundingSettled(leg.id, rate, int(last["timestamp"]) * _MS))
        return True


def _mark_of(told: Mapping[str, Any], now_ns: int) -> MarkUpdate:
    """ccxt's funding rate or ticker structure."""
    at_ms, next_ms = told.get("timestamp"), told.get("fundingTimestamp")
    rate = number(told.get("fundingRate"))
    return MarkUpdate(
        venue_ns=int(at_ms) * _MS if at_ms else now_ns,
        mark=number(told.get("markPrice")),
        index=number(told.get("indexPrice")),
        rate=rate if next_ms else None,
        next_ns=int(next_ms) * _MS if next_ms else 0,
    )
