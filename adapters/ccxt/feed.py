"""The market data of one wallet's legs at an exchange, through ccxt.

Some classes of ccxt.pro raise where an update of a book is missing, others are asked for whole books, and the
rest check nothing (`exchange.BOOK_STREAMS`): on those nothing is traded but paper.  `adapters.ccxt.books`
makes facts of what is shown.  Marks and rates are asked for in turn, since few exchanges stream them.  A
socket that says nothing for `SILENCE_S` is taken for dead and opened anew.  What must stay true: a book is a
fact only until its class says that an update is missing; a lost one is told lost before it is asked for
again; whoever trades on the books on paper is told the time of each update before it is taken.

Where an exchange has no book by socket (``watchOrderBook``), its book is polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters.backoff import Backoff
from adapters.ccxt.books import DEPTH, WatchedBook
from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.exchange import (
    UNREADABLE,
    Exchange,
    answered,
    book_stream_of,
    failures,
    library,
    unanswered,
)
from adapters.ccxt.markets import number
from adapters.ccxt.prices import read_prices
from adapters.marks import MarkChannel, MarkUpdate, OnMark, OnRate
from adapters.materiality import Materiality
from adapters.numbers import time_ns
from bot.model.facts import Channel, ChannelLost, ChannelOpened, FundingSettled, ProtocolDrift
from bot.model.ids import AccountId, InstrumentId
from bot.model.settlements import KEPT
from bot.ports import Emit, Reading

SILENCE_S = 30.0
MARK_EVERY_S = 3.0
BACKOFF = Backoff(first_s=1.0)
UNLISTED_NS = 10_000_000_000  # until a settlement that is not listed yet is asked for again
_POLL_S = 1.0
_MS = 1_000_000
_HOUR_NS = 3_600_000_000_000

Reach = Callable[[int], None]


class Sources(Struct, frozen=True):
    """One exchange twice: ``books`` has numbers as floats, ``rates`` as text."""

    books: Exchange
    rates: Exchange


class Feed:
    """The market side of the ``legs`` of one account.

    ``reach`` is for a simulated venue: it is called with the receive time of whatever is about to be taken,
    and trades are followed for it.
    """

    def __init__(
        self,
        sources: Sources,
        legs: Sequence[Leg],
        settings: Materiality,
        time: VenueTime,
        emit: Emit,
        reach: Reach | None = None,
    ) -> None:
        self.account: AccountId = legs[0].instrument.account
        self.channels = {leg.id: WatchedBook(leg.instrument, settings, emit) for leg in legs}
        self._books, self._rates = sources.books, sources.rates
        self._legs = legs
        self.time = time
        self._clock = time.clock
        self._emit = emit
        self._reach = reach
        self._failures = failures()
        self._limit = book_stream_of(sources.books.id).limit
        self._gap: type[Exception] = library().InvalidNonce  # a wrong checksum is one
        self._marks = {leg.id: MarkChannel(leg.instrument, settings, emit) for leg in legs}
        self._silent = {leg.id for leg in legs}  # without a book
        self._unpriced: set[InstrumentId] = set()
        self._settled_ns: dict[InstrumentId, int] = {}  # of the last settlement told
        self._gaps = self._losses = self._frames = 0

    @property
    def heard_ns(self) -> dict[InstrumentId, int]:
        """Receive time of each book's last update; 0 for none."""
        return {name: book.heard_ns for name, book in self.channels.items()}

    @property
    def offset_ns(self) -> int | None:
        """The venue's clock less ours, as last measured; ``None`` where its class tells no time."""
        return self.time.offset_ns if self._rates.has["fetchTime"] else None

    def listen(self, on_mark: OnMark | None, on_rate: OnRate | None) -> None:
        """Tell every mark, index and rate from now on, material or not."""
        for marks in self._marks.values():
            marks.on_mark, marks.on_rate = on_mark, on_rate

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        for name, book in self.channels.items():
            book.working(name in instruments)

    def readings(self) -> tuple[Reading, ...]:
        labels: dict[str, str] = {"account": self.account}
        return (
            Reading("market_frames_total", self._frames, labels),
            Reading("book_gaps_total", self._gaps, labels),
            Reading("market_losses_total", self._losses, labels),
        )

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What must run, each for ever, to bring the data in."""
        found = [self._watch(leg) for leg in self._legs]
        found += [self._mark(leg) for leg in self._legs if not leg.instrument.is_spot]
        if self._reach is not None and self._books.has["watchTrades"]:
            found += [self._trades(leg) for leg in self._legs]
        return found

    # --- books

    async def _watch(self, leg: Leg) -> None:
        book, tries = self.channels[leg.id], 0
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    told = await self._next(leg)
                self._on_book(leg, book, told)
                tries = 0
                continue
            except self._gap:
                self._gaps += 1
                book.gap(self._clock.now_ns())
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
            asked = self._books.watch_order_book(leg.symbol, self._limit)
            return await answered(asked)  # type: ignore[no-any-return]
        await asyncio.sleep(_POLL_S)
        return await answered(self._books.fetch_order_book(leg.symbol, DEPTH))  # type: ignore[no-any-return]

    def _on_book(self, leg: Leg, book: WatchedBook, told: Mapping[str, Any]) -> None:
        self._frames += 1
        try:
            is_good = book.on_book(told, self._reached())
        except UNREADABLE:
            book.lose()
            is_good = False
        if not is_good:
            self._emit(ProtocolDrift(self.account, "book", f"{leg.symbol}: empty, crossed, or no numbers"))
        elif leg.id in self._silent:
            self._silent.discard(leg.id)
            if not self._silent:
                self._emit(ChannelOpened(self.account, Channel.MARKET))

    def _lose(self, leg: Leg, reason: str) -> None:
        self.channels[leg.id].lose()
        if not self._silent:
            self._losses += 1
            self._emit(ChannelLost(self.account, Channel.MARKET, reason))
        self._silent.add(leg.id)

    def _reached(self) -> int:
        at_ns = self._clock.now_ns()
        if self._reach is not None:
            self._reach(at_ns)
        return at_ns

    # --- trades

    async def _trades(self, leg: Leg) -> None:
        """Pass the trades of others on; a stream of them that fails is asked for again and costs no fact,
        since resting orders of a simulated venue only wait the longer."""
        book, tries = self.channels[leg.id], 0
        while True:
            try:
                told = await answered(self._books.watch_trades(leg.symbol))
                self._reached()
                for trade in told:
                    book.on_trade(trade)
                tries = 0
            except self._failures:
                tries += 1
                await asyncio.sleep(BACKOFF.delay_s(tries, f"{leg.id} trades"))

    # --- marks and funding

    async def _mark(self, leg: Leg) -> None:
        """Tell mark, index, running rate and settled rates of a contract, for ever."""
        marks, due_ns = self._marks[leg.id], 0
        while True:
            try:
                update = await read_prices(self._rates, leg, self._clock.now_ns())
                self._note_prices(leg, is_whole=update.mark is not None and update.index is not None)
                marks.on_update(self._settling(leg, update), self._reached())
                if self.time.now_ns() >= due_ns:
                    next_ns = update.next_ns or self._on_grid(leg)
                    is_told = await self._settled(leg)
                    due_ns = next_ns if is_told else self.time.now_ns() + UNLISTED_NS
            except unanswered() as error:
                self._emit(ProtocolDrift(self.account, "mark", f"{leg.symbol}: {type(error).__name__}"))
            await asyncio.sleep(MARK_EVERY_S)

    def _settling(self, leg: Leg, update: MarkUpdate) -> MarkUpdate:
        """A rate whose settlement nobody announced is none, but on paper, where it is that of the next
        multiple of the interval since 1970 UTC."""
        if update.rate is None or update.next_ns:
            return update
        interval_ns = leg.instrument.funding_interval_h * _HOUR_NS
        if self._reach is None or not interval_ns:
            return msgspec.structs.replace(update, rate=None)
        return msgspec.structs.replace(update, next_ns=self._on_grid(leg))

    def _on_grid(self, leg: Leg) -> int:
        """The next multiple of a contract's interval since 1970 UTC; the next hour where it has none."""
        interval_ns = (leg.instrument.funding_interval_h or 1) * _HOUR_NS
        return (self.time.now_ns() // interval_ns + 1) * interval_ns

    def _note_prices(self, leg: Leg, is_whole: bool) -> None:
        """Say once that an exchange tells no mark or no index, since nothing is opened without them."""
        if is_whole:
            self._unpriced.discard(leg.id)
        elif leg.id not in self._unpriced:
            self._unpriced.add(leg.id)
            self._emit(ProtocolDrift(self.account, "mark", f"{leg.symbol}: no mark price, or no index"))

    async def _settled(self, leg: Leg) -> bool:
        """Tell what was settled since the last look, at first as much as one answer holds; false where the
        venue lists nothing new yet."""
        if not self._rates.has["fetchFundingRateHistory"]:
            return True
        told_ns = self._settled_ns.get(leg.id, 0)
        settled = [
            (at_ns, rate)
            for row in await self._listed(leg, told_ns)
            if (at_ns := time_ns(row.get("timestamp")))
            and (rate := number(row.get("fundingRate"))) is not None
        ]
        for at_ns, rate in sorted(settled):
            if at_ns > self._settled_ns.get(leg.id, 0):
                self._settled_ns[leg.id] = at_ns
                self._emit(FundingSettled(leg.id, rate, at_ns))
        return self._settled_ns.get(leg.id, 0) > told_ns

    async def _listed(self, leg: Leg, told_ns: int) -> Sequence[Mapping[str, Any]]:
        """Settlements of a contract after ``told_ns``; where nothing was told, a page of the latest, of the
        exchange's own length if it refuses ours."""
        ask = self._rates.fetch_funding_rate_history
        if told_ns:
            return await answered(ask(leg.symbol, told_ns // _MS))  # type: ignore[no-any-return]
        try:
            return await answered(ask(leg.symbol, None, KEPT))  # type: ignore[no-any-return]
        except self._failures:
            return await answered(ask(leg.symbol))  # type: ignore[no-any-return]
