"""The market data of one Binance market: sockets, books that are right, and what is told of them.

The streams are spread over lines (`adapters.binance.lines`), all frames meet in one `MarketStream`.  A book
that starts or has lost updates is held as gapped until a depth snapshot, asked over REST, connects to the
updates that waited for it; one snapshot is in flight for each instrument, and a book that no snapshot mends
costs the line its connection, which begins everything anew.

What must stay true: the market's channel is open only while every line is, every stream having spoken; a book
whose updates stopped is unknown at once, whatever its touch says; each raw frame and each snapshot passes the
tap before anything is made of it, so that what is recorded replays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from adapters.binance import requests
from adapters.binance.codec import CONTRACT_INFO
from adapters.binance.endpoints import Hosts, StreamPath, stream_path, stream_url
from adapters.binance.lines import Line, LineTimes, Route
from adapters.binance.market import MarketStream
from adapters.binance.rest import Refused, Rest
from adapters.errors import FrameError
from adapters.materiality import Materiality
from adapters.network import Network, Unanswered, Unsent
from bot.model.facts import AnyFact, BookGapped, BookSeen, Channel, ChannelLost, ChannelOpened, ProtocolDrift
from bot.model.ids import InstrumentId, symbol_of
from bot.model.instrument import Instrument
from bot.ports import Clock, Emit, Reading

Tap = Callable[[int, str, bytes], None]  # receive time, market, raw frame; depth snapshots in an envelope

SNAPSHOT_LEVELS = 1000
SNAPSHOT_ATTEMPTS = 8
STREAMS_MAX = 200  # of one connection; the venue allows 1024, but names no limit for one message
DRIFTS_MAX = 20  # facts of drift in a window; more of them say nothing new, and all are counted
DRIFT_WINDOW_NS = 10_000_000_000
SECOND_NS = 1_000_000_000


class FeedOptions(Struct, frozen=True, kw_only=True):
    """What is fed.  ``trades`` adds each instrument's trades, which only simulated fills need."""

    market: str
    hosts: Hosts
    instruments: tuple[Instrument, ...]
    filters: Mapping[InstrumentId, Materiality]
    trades: bool = False
    times: LineTimes = LineTimes()


class _Unconnected(Exception):
    """A snapshot does not connect to the updates that follow it."""


_NoSnapshot = (Unsent, Unanswered, Refused, _Unconnected)


class MarketFeed:
    """One market's books, marks and funding estimates: see the module head.

    ``rest`` answers depth snapshots, and its budget counts connection attempts; ``stream`` holds the books.
    """

    def __init__(
        self,
        options: FeedOptions,
        network: Network,
        rest: Rest,
        clock: Clock,
        emit: Emit,
        tap: Tap | None = None,
    ) -> None:
        self.market = options.market
        self.stream = MarketStream(options.market, options.instruments, options.filters, self._told)
        self._options = options
        self._rest = rest
        self._clock = clock
        self._emit = emit
        self._tap = tap
        self._on_frame = self.stream.on_frame
        self._lines = {
            route.name: Line(route, options.times, network, clock.now_ns, self) for route in routes(options)
        }
        depth_of = {depth_stream(one.id): one.id for one in options.instruments}
        self._books = {  # instruments whose depth comes by a line
            name: [depth_of[stream] for stream in line.route.streams if stream in depth_of]
            for name, line in self._lines.items()
        }
        self._line_of = {one: self._lines[name] for name, books in self._books.items() for one in books}
        self._subscribed: set[str] = set()  # lines
        self._is_open = False
        self._lost_reason = ""
        self._mends = {instrument: asyncio.Event() for instrument in self._line_of}  # set: wanted
        self._unknown_ns: dict[InstrumentId, int] = {}  # since when a book is not known
        self._resyncs = 0
        self._resync_s = 0.0
        self._drifts = 0
        self._drift_window = (0, 0)

    async def run(self) -> None:
        """Bring frames in until cancelled, which closes the sockets."""
        async with asyncio.TaskGroup() as group:
            for line in self._lines.values():
                group.create_task(line.run())
            for instrument in self._mends:
                group.create_task(self._mend(instrument))
            group.create_task(self._watch_updates())

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        """Which instruments have an order of ours: any change of their ladders is a fact."""
        self.stream.working(instruments)

    def heard(self) -> dict[InstrumentId, int]:
        """Receive time of each instrument's last frame; 0 for none."""
        return self.stream.heard_ns

    # --- what the lines tell

    def connects_in_ns(self) -> int:
        return self._rest.budget.allow_connect(self._rest.clock.venue_ns())

    def took(self, at_ns: int, payload: bytes) -> None:
        if self._tap is not None:
            self._tap(at_ns, self.market, payload)
        try:
            self._on_frame(at_ns, payload)
        except FrameError as error:
            self.drifted(self.market, str(error))

    def subscribed(self, route: Route) -> None:
        self._subscribed.add(route.name)
        for instrument in self._books[route.name]:
            self._sync(instrument)

    def opened(self, route: Route) -> None:
        if not self._is_open and all(line.is_open for line in self._lines.values()):
            self._is_open = True
            self._lost_reason = ""
            self._emit(ChannelOpened(self.stream.account, Channel.MARKET))

    def lost(self, route: Route, reason: str) -> None:
        self._subscribed.discard(route.name)
        reason = f"{route.name}: {reason}"
        if self._is_open or reason != self._lost_reason:
            self._is_open = False
            self._lost_reason = reason
            self._emit(ChannelLost(self.stream.account, Channel.MARKET, reason))
        for instrument in self._books[route.name]:
            self.stream.channels[instrument].interrupt(self._clock.now_ns())

    def drifted(self, stream: str, reason: str) -> None:
        self._told(ProtocolDrift(self.stream.account, stream, reason))

    def _told(self, fact: AnyFact) -> None:
        """Pass a fact on, and act on those that concern the books."""
        if isinstance(fact, BookSeen):
            if self._unknown_ns:
                self._known(fact)
        elif isinstance(fact, BookGapped):
            self._sync(fact.instrument)
        elif isinstance(fact, ProtocolDrift) and self._is_flood():
            return
        self._emit(fact)

    def _is_flood(self) -> bool:
        self._drifts += 1
        begun_ns, count = self._drift_window
        at_ns = self._clock.now_ns()
        if at_ns - begun_ns >= DRIFT_WINDOW_NS:
            begun_ns, count = at_ns, 0
        self._drift_window = (begun_ns, count + 1)
        return count >= DRIFTS_MAX

    # --- books that are not known

    def _known(self, book: BookSeen) -> None:
        since_ns = self._unknown_ns.pop(book.instrument, None)
        if since_ns is not None:
            self._resyncs += 1
            self._resync_s = (book.seen_ns - since_ns) / SECOND_NS

    def _sync(self, instrument: InstrumentId) -> None:
        """A book is not known: see to it that it becomes so, once its line brings updates."""
        self._unknown_ns.setdefault(instrument, self._clock.now_ns())
        self._mends[instrument].set()

    async def _mend(self, instrument: InstrumentId) -> None:
        """Whenever a book is not known ask for snapshots until one connects, one at a time; a line on which
        none does is begun anew."""
        wanted, line, channel = (
            self._mends[instrument],
            self._line_of[instrument],
            self.stream.channels[instrument],
        )
        attempts = AsyncRetrying(
            stop=stop_after_attempt(SNAPSHOT_ATTEMPTS),
            wait=self._pause_s,
            retry=retry_if_exception_type(_NoSnapshot),
            reraise=True,
        )
        while True:
            await wanted.wait()
            wanted.clear()
            if channel.is_live or line.route.name not in self._subscribed:
                continue  # the next subscription asks again
            try:
                await attempts(self._snapshot, instrument, line)
            except _NoSnapshot as failure:
                line.restart(f"no snapshot of {symbol_of(instrument)} connects ({failure})")

    async def _snapshot(self, instrument: InstrumentId, line: Line) -> None:
        body = await self._rest.read(requests.depth(instrument, SNAPSHOT_LEVELS))
        if line.route.name not in self._subscribed:
            return
        name = f"{symbol_of(instrument).lower()}@snapshot"
        frame = b'{"stream":"%b","data":%b}' % (name.encode(), body.strip().replace(b"\n", b" "))
        self.took(self._clock.now_ns(), frame)
        if not self.stream.channels[instrument].is_live:
            raise _Unconnected("older than the updates that wait")

    async def _watch_updates(self) -> None:
        """A touch or a trade is a change of the book: where they go on without updates, that stream has died
        alone, and its line is begun anew."""
        times = self._options.times
        stood: dict[InstrumentId, tuple[int, int]] = {}  # update id, and when something else was heard first
        heard_ns = self.stream.heard_ns
        while True:
            await asyncio.sleep(times.check_s)
            for instrument, line in self._line_of.items():
                channel = self.stream.channels[instrument]
                last, since_ns = stood.get(instrument, (0, 0))
                if not channel.is_live or channel.update_id != last:
                    stood[instrument], heard_ns[instrument] = (channel.update_id, 0), channel.heard_ns
                elif not since_ns:
                    since_ns = self._clock.now_ns() if channel.heard_ns > heard_ns[instrument] else 0
                    stood[instrument] = (last, since_ns)
                elif (self._clock.now_ns() - since_ns) / SECOND_NS >= times.silence_s:
                    del stood[instrument]
                    line.restart(f"{depth_stream(instrument)} is silent while others go on")

    def _pause_s(self, state: RetryCallState) -> float:
        salt = f"{self.market}|{self._clock.now_ns()}"
        return self._options.times.backoff.delay_s(state.attempt_number, salt)

    # --- watching

    def readings(self) -> tuple[Reading, ...]:
        """Frames, drift, gaps, resyncs and the seconds the last took, reconnects, ages."""
        market = {"market": self.market}
        counters = self.stream.counters()
        told = [
            Reading("feed_frames_total", counters.frames_in, market),
            Reading("feed_drifts_total", self._drifts, market),
            Reading("book_gaps_total", counters.gaps, market),
            Reading("book_resyncs_total", self._resyncs, market),
            Reading("book_resync_seconds", self._resync_s, market),
            Reading("book_unknown_count", len(self._unknown_ns), market),
        ]
        told += [
            Reading("feed_connects_total", line.connects, {"line": name})
            for name, line in self._lines.items()
        ]
        at_ns = self._clock.now_ns()
        for instrument, heard_ns in self.heard().items():
            if heard_ns:
                age_s = (at_ns - heard_ns) / SECOND_NS
                told.append(Reading("feed_age_seconds", age_s, {"instrument": instrument}))
        return tuple(told)


def depth_stream(instrument: InstrumentId) -> str:
    return f"{symbol_of(instrument).lower()}@depth@100ms"


def streams(options: FeedOptions) -> tuple[str, ...]:
    """Every stream a market's instruments need; COIN-M tells the index by pair, apart from the mark."""
    names: dict[str, None] = {}
    for instrument in options.instruments:
        symbol = symbol_of(instrument.id).lower()
        names[depth_stream(instrument.id)] = None
        names[f"{symbol}@bookTicker"] = None
        if options.trades:
            names[f"{symbol}@aggTrade"] = None
        if not instrument.is_spot:
            names[CONTRACT_INFO] = None  # before marks: a connection that carries it alone would seem dead
            names[f"{symbol}@markPrice@1s"] = None
        if options.market == "coinm":
            names[f"{symbol.partition('_')[0]}@indexPrice@1s"] = None
    return tuple(names)


def routes(options: FeedOptions) -> list[Route]:
    """The connections that carry these streams, as few as the venue allows."""
    by_path: dict[StreamPath, list[str]] = {}
    for stream in streams(options):
        by_path.setdefault(stream_path(options.market, stream), []).append(stream)
    found: list[Route] = []
    for path, names in by_path.items():
        for part in _parts(names):
            request_id = len(found) + 1
            found.append(
                Route(
                    name=f"{options.market}/{path.value}/{request_id}",
                    url=stream_url(options.market, options.hosts, path),
                    streams=part,
                    expected=tuple(name for name in part if not _is_seldom(name)),
                    subscription=requests.subscribe_streams(request_id, part),
                    request_id=request_id,
                )
            )
    return found


def _is_seldom(stream: str) -> bool:
    """Whether a stream may be silent for long and be right."""
    return stream.endswith("@aggTrade") or stream == CONTRACT_INFO


def _parts(names: list[str]) -> Iterable[tuple[str, ...]]:
    return (tuple(names[begin : begin + STREAMS_MAX]) for begin in range(0, len(names), STREAMS_MAX))
