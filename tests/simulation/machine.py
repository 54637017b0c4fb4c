"""The whole machine in one process and in virtual time, on a recording that exists in memory only.

Nothing is a fake: codecs, books, engine, journal and paper venue are the real ones.  `DeafLine` adds what a
recording and a paper venue never do by themselves: a private connection that is lost for a while, with every
answer told meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from adapters.binance.instruments import instruments as described
from adapters.binance.instruments import read_source
from adapters.binance.market import MarketStream
from adapters.materiality import Materiality
from adapters.paper.driver import FeedSource, Outlet, PaperTimeline
from adapters.paper.funding_table import FundingTable
from adapters.paper.terms import terms_of
from adapters.paper.venue import PaperVenue
from bot.core.fold import refold
from bot.core.step import step
from bot.model.commands import Outward
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BookGapped,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    FeedEnded,
    FundingEstimated,
    FundingSettled,
    MarkSeen,
    ProtocolDrift,
)
from bot.model.ids import AccountId, InstrumentId, market_of
from bot.ports import Emit
from bot.settings import load
from bot.shell.engine import Engine
from bot.shell.executor import Executor
from bot.shell.journal import JournalWriter
from bot.shell.replay import Hooks, ReplayOptions, RunResult, inputs_text, replay
from bot.shell.rows import read_entries
from tests.e2e import feeds

_HEARD_ANYWAY = (
    BookSeen,
    BookGapped,
    MarkSeen,
    FundingEstimated,
    FundingSettled,
    FeedEnded,
    ProtocolDrift,
)
TORN_NS = 10_000_000
PRIVATE = (Channel.PRIVATE, Channel.ORDERS)


class Frames:
    """A recording in memory, as the timeline reads it."""

    def __init__(self, frames: Sequence[tuple[int, int, bytes]]) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        return iter(self._frames)

    def where(self) -> str:
        return "made"


class DeafLine:
    """A timeline whose private answers are lost from the first to the second of each pair of times, and with
    them some of the commands.

    The loss and the return of the connection are told as a gateway would.  A restart of the bot connects
    anew, which ends a loss.
    """

    def __init__(
        self, inner: PaperTimeline, accounts: Sequence[AccountId], deaf_ns: Sequence[tuple[int, int]]
    ) -> None:
        self._inner = inner
        self._accounts = accounts
        self._edges = [edge for span in sorted(deaf_ns) for edge in span]
        self._is_deaf = False
        self._sent = 0
        self.lost = 0
        self.swallowed = 0

    def advance(self, limit_ns: int, emit: Emit, stop: bool) -> int | None:
        while True:
            heard = False

            def sift(fact: AnyFact) -> None:
                nonlocal heard
                if self._is_deaf and not isinstance(fact, _HEARD_ANYWAY):
                    self.lost += 1
                    return
                heard = True
                emit(fact)

            bound_ns = min(limit_ns, self._edges[0]) if self._edges else limit_ns
            reached_ns = self._inner.advance(bound_ns, sift, stop)
            if reached_ns is None:
                return None
            if self._edges and reached_ns >= self._edges[0]:
                self._turn(emit)
                return reached_ns
            if heard or not stop or reached_ns >= limit_ns:
                return reached_ns

    def _turn(self, emit: Emit) -> None:
        del self._edges[0]
        self._is_deaf = not self._is_deaf
        for account in self._accounts:
            for channel in PRIVATE:
                emit(
                    ChannelLost(account, channel, "no answer")
                    if self._is_deaf
                    else ChannelOpened(account, channel)
                )

    def submit(self, command: Outward, at_ns: int) -> None:
        """Every other command of a loss never arrives, nor does what left less than a moment before it."""
        begins_ns = self._edges[0] if self._edges and not self._is_deaf else 0
        if self._is_deaf or begins_ns - TORN_NS < at_ns < begins_ns:
            self._sent += 1
            if self._sent % 2:
                self.swallowed += 1
                return
        self._inner.submit(command, at_ns)

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self._inner.working(instruments)

    def lose_memory(self) -> None:
        if self._is_deaf:
            del self._edges[0]
            self._is_deaf = False
        self._inner.lose_memory()


class Plan(Struct, frozen=True):
    """A market, settings (without their prefix), and what goes wrong when."""

    scene: feeds.Scene
    changes: dict[str, str]
    crash_at_ns: tuple[int, ...] = ()
    deaf_ns: tuple[tuple[int, int], ...] = ()


class Played(Struct, frozen=True):
    result: RunResult
    entries: list[Entry]
    duplicates: int  # orders that reached the venue under a name it had seen
    lost: int  # facts that were told while nobody listened
    swallowed: int  # commands that never arrived


def play(plan: Plan, journal: Path) -> Played:
    """Run a plan to its end."""
    settings = load(feeds.settings(plan.scene.perpetual, plan.changes))
    config = settings.config
    legs = [leg for pair in config.pairs for leg in (pair.long, pair.short)]
    sources = [read_source(path) for path in settings.instruments]
    instruments = described(sources, legs, config.paper_fees_bps)
    outlet = Outlet()
    markets = sorted(market_of(leg) for leg in legs)
    streams = [
        MarketStream(
            market,
            [instruments[leg] for leg in legs if market_of(leg) == market],
            {leg: Materiality(float(config.strategy.clip_quote), 0.5, 10.0) for leg in legs},
            outlet.tell,
        )
        for market in markets
    ]
    books = {name: book for stream in streams for name, book in stream.channels.items()}
    venue = PaperVenue(instruments, books, terms_of(config), FundingTable({}), outlet.tell)
    for stream in streams:
        stream.listen(venue.on_mark, venue.on_rate)
    recorded = Frames(
        [(at_ms * 1_000_000, markets.index(market), raw) for at_ms, market, raw in feeds.frames(plan.scene)]
    )
    named = [FeedSource(f"binance:{stream.market}", stream) for stream in streams]
    line = DeafLine(PaperTimeline(named, recorded, venue, outlet), venue.accounts, plan.deaf_ns)
    options = ReplayOptions(
        version="0",
        config=config,
        instruments=tuple(instruments.values()),
        origins=(),
        crash_at_ns=plan.crash_at_ns,
    )

    def heard() -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        seen_ns: dict[InstrumentId, int] = {}
        for stream in streams:
            seen_ns.update(stream.heard_ns)
        return seen_ns, {stream.account: stream.offset_ns or 0 for stream in streams}

    with JournalWriter(journal, inputs=inputs_text(options)) as writer:
        engine = Engine(writer, step, refold)
        executor = Executor(
            config.fuse, instruments, line.submit, engine.inbox.put, lambda alert, at_ns: None
        )
        hooks = Hooks(heard=heard, progress=lambda at_ns: None, stopping=lambda: False)
        result = replay(line, engine, executor, options, hooks)
    return Played(result, list(read_entries(journal)), venue.duplicates, line.lost, line.swallowed)
