"""The simulated venue in real time, or any other time that somebody tells it, and its gateway.

`adapters.paper.driver` owns the time of a recording; here time is told: before each frame (`reach`), before
each command (`arrive`), and whenever something of the venue's own is due (`due_ns`, `turn`).  The gateway
puts it behind a live market feed, whose books it trades on: real prices, simulated fills.

What must stay true: time never goes back; what was due before a frame happens before it; the frames of an
instant are in before the venue acts at it; no order is taken before every book and mark is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Protocol

from adapters.backoff import Backoff
from adapters.marks import OnMark, OnRate
from adapters.network import Unanswered, Unsent
from adapters.paper.agenda import RANK_COMMAND
from adapters.paper.books import RecordedBook
from adapters.paper.funding_table import FundingTable
from adapters.paper.standing import Standing
from adapters.paper.terms import Terms
from adapters.paper.venue import PaperVenue
from bot.model.commands import Outward
from bot.model.facts import Channel, ChannelOpened
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument
from bot.ports import Clock, Emit, Reading

Tap = Callable[[int, str, bytes], None]  # receive time, market, raw frame, before anything is made of it

_PAUSE_LEAST_S = 0.001  # a timer is never asked for less, since clocks round
_LOOK_S = 1.0  # how often it is asked whether everything is known


class LivePaper:
    """A `PaperVenue` whose time is told.  Facts go to ``tell`` while they happen."""

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        books: Mapping[InstrumentId, RecordedBook],
        terms: Terms,
        table: FundingTable,
        tell: Emit,
    ) -> None:
        """``books`` has one entry per instrument.  Raises `FeedError` for a contract without tiers."""
        self.venue = PaperVenue(instruments, books, terms, table, tell)
        self._clock = self.venue.desk.clock
        self._agenda = self.venue.desk.agenda

    def start(self, at_ns: int) -> None:
        """Begin; settlements are planned from here on."""
        self._clock.now_ns = at_ns
        self.venue.start()

    def due_ns(self) -> int:
        """When the venue acts next by itself; `adapters.paper.agenda.NEVER_NS` where it does not."""
        return self._agenda.due_ns

    def turn(self, at_ns: int) -> None:
        """Let happen what is due up to and including ``at_ns``."""
        clock, agenda = self._clock, self._agenda
        while agenda.due_ns <= at_ns:
            clock.now_ns = max(clock.now_ns, agenda.due_ns)
            agenda.pop()()
        clock.now_ns = max(clock.now_ns, at_ns)

    def reach(self, at_ns: int) -> None:
        """Come to ``at_ns`` for a frame received then: what is due at that very instant waits for it."""
        self.turn(at_ns - 1)
        self._clock.now_ns = max(self._clock.now_ns, at_ns)

    def arrive(self, command: Outward, at_ns: int) -> None:
        """A command is at the venue at ``at_ns``; its answers are told at once."""
        self.turn(at_ns)
        self.venue.arrive(command)

    def send(self, command: Outward, at_ns: int) -> None:
        """A command leaves at ``at_ns`` and is answered when the venue's latency has passed (`turn`)."""
        due_ns = at_ns + self._clock.up_ns + self._clock.down_ns
        self._agenda.add(due_ns, RANK_COMMAND, partial(self.venue.arrive, command))


class LiveBooks(Protocol):
    """One market's decoder behind a feed; `adapters.binance.market.MarketStream` is one."""

    account: AccountId

    @property
    def channels(self) -> Mapping[InstrumentId, RecordedBook]: ...

    @property
    def heard_ns(self) -> dict[InstrumentId, int]: ...

    @property
    def offset_ns(self) -> int | None: ...

    def listen(self, on_mark: OnMark | None, on_rate: OnRate | None) -> None: ...

    def working(self, instruments: frozenset[InstrumentId]) -> None: ...


class LiveFeed(Protocol):
    """One market's live data; `adapters.binance.feed.MarketFeed` is one.  It passes each frame to its tap
    before its decoder takes it, and tells its own market channel."""

    @property
    def stream(self) -> LiveBooks: ...

    async def run(self) -> None: ...

    def readings(self) -> tuple[Reading, ...]: ...


class OpenedFeeds(Protocol):
    """What opening the feeds came to: the contracts as the venue describes them, and their data."""

    @property
    def instruments(self) -> Mapping[InstrumentId, Instrument]: ...

    @property
    def feeds(self) -> Sequence[LiveFeed]: ...


OpenFeeds = Callable[[Emit, Tap], Awaitable[OpenedFeeds]]


class PaperLiveGateway:
    """`bot.ports.LiveGateway`: a live feed and paper fills.

    ``open_feeds`` asks the venue for its instruments, tells them (`InstrumentListed`) and gives the feeds,
    not yet running, made with the emit and the tap that it is given.  Commands are answered when the paper
    latency of ``terms`` has passed on ``clock``.  ``standing`` is where a bot that ran before left off
    (`adapters.paper.standing.standing_of`); ``None`` begins with the balances of ``terms``.
    """

    def __init__(
        self, open_feeds: OpenFeeds, terms: Terms, clock: Clock, standing: Standing | None = None
    ) -> None:
        self._open_feeds = open_feeds
        self._terms = terms
        self._clock = clock
        self._standing = standing
        self._feeds: Sequence[LiveFeed] = ()
        self._paper: LivePaper | None = None
        self._stirred = asyncio.Event()
        self._backoff = Backoff()

    async def run(self, emit: Emit) -> None:
        """Bring facts in until cancelled.  Raises what ``open_feeds`` and the feeds raise, but for a venue
        that cannot be reached, which is tried again, and `FeedError` for a contract without leverage
        tiers."""
        opened = await self._opened(emit)
        self._feeds = opened.feeds
        books = {name: book for feed in self._feeds for name, book in feed.stream.channels.items()}
        paper = LivePaper(opened.instruments, books, self._terms, FundingTable({}), emit)
        for feed in self._feeds:
            feed.stream.listen(paper.venue.on_mark, paper.venue.on_rate)
        self._paper = paper
        paper.start(self._clock.now_ns())
        async with asyncio.TaskGroup() as group:
            for feed in self._feeds:
                group.create_task(feed.run())
            group.create_task(self._play(paper, emit))

    def submit(self, command: Outward) -> None:
        """Send; what comes before the venue is there gets no answer, as its channels are not open."""
        if self._paper is not None:
            self._paper.send(command, self._clock.now_ns())
            self._stirred.set()

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        for feed in self._feeds:
            feed.stream.working(instruments)

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        seen_ns: dict[InstrumentId, int] = {}
        offset_ns: dict[AccountId, int] = {}
        for feed in self._feeds:
            seen_ns.update(feed.stream.heard_ns)
            if feed.stream.offset_ns is not None:
                offset_ns[feed.stream.account] = feed.stream.offset_ns
        return seen_ns, offset_ns

    def readings(self) -> tuple[Reading, ...]:
        return tuple(reading for feed in self._feeds for reading in feed.readings())

    # --- inside -----------------------------------------------------------------------------------------

    async def _opened(self, emit: Emit) -> OpenedFeeds:
        for attempt in count(1):
            try:
                return await self._open_feeds(emit, self._tap)
            except (Unsent, Unanswered):
                await asyncio.sleep(self._backoff.delay_s(attempt, f"paper|{self._clock.now_ns()}"))
        raise AssertionError("attempts do not end")

    def _tap(self, at_ns: int, market: str, payload: bytes) -> None:
        if self._paper is not None:
            self._paper.reach(at_ns)

    async def _play(self, paper: LivePaper, emit: Emit) -> None:
        """Open the account once everything is known, then act whenever something is due."""
        while not paper.venue.is_known:
            await asyncio.sleep(_LOOK_S)
        now_ns = self._clock.now_ns()
        if self._standing is not None:
            paper.venue.resume(self._standing, now_ns // 1_000_000)
        paper.venue.greet()
        for account in paper.venue.accounts:
            emit(ChannelOpened(account, Channel.PRIVATE))
            emit(ChannelOpened(account, Channel.ORDERS))
        while True:
            self._stirred.clear()
            now_ns = self._clock.now_ns()
            paper.turn(now_ns)
            pause_s = max((paper.due_ns() - now_ns) / 1e9, _PAUSE_LEAST_S)
            try:
                async with asyncio.timeout(pause_s):
                    await self._stirred.wait()
            except TimeoutError:
                pass
