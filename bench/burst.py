"""A burst of 20,000 ten-level depth frames through a loopback socket, with the real daemon behind it.

The venue is a process of its own.  Its frames pass the feed, the book and the engine, which journals to disk
and may not trade; every frame is a fact, since any move counts as material here.  First the burst comes as
fast as the socket takes it: that is the speed.  Then it comes at the speed of the bar: how old is the newest
book in the engine's store at the moment the last frame leaves.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from adapters.binance.endpoints import Hosts
from adapters.binance.feed import FeedOptions, MarketFeed
from adapters.binance.instruments import instruments
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.materiality import Materiality
from adapters.ratelimit import RateBudget
from adapters.tcp import TcpNetwork
from bench.figure import PROBES, RUNS, print_figure
from bench.recordings import ROOT
from bot import __version__
from bot.model.commands import Outward, QueryAccount
from bot.model.config import Config
from bot.model.facts import AccountReported, Channel, ChannelOpened, InstrumentListed
from bot.model.ids import AccountId, InstrumentId, instrument_id
from bot.model.instrument import Instrument
from bot.ports import Clock, Emit, Reading
from bot.settings import load
from bot.shell.boot import reopen
from bot.shell.clock import LiveClock
from bot.shell.daemon import Daemon, DaemonParts
from bot.shell.engine import Engine
from bot.wiring.venues import in_loop

FRAMES = 20_000
BAR_PER_S = 20_000
NAME = instrument_id("binance", "usdm", "BTCUSDT")
SPOT = instrument_id("binance", "spot", "BTCUSDT")
CLIP = Materiality(clip_quote=10_000.0, materiality_bps=0.0, heartbeat_s=10.0)


class Venue:
    """The venue's process, which answers each line with one."""

    def __init__(self, probe: str) -> None:
        command = [sys.executable, str(PROBES / f"{probe}.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    async def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return json.loads(await asyncio.to_thread(self._line))

    async def burst(self, frames: int, per_s: int) -> tuple[int, int]:
        """When the first and when the last frame left."""
        first_ns, last_ns = await self.ask(f"{frames} {per_s}")
        return first_ns, last_ns

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


class Gateway:
    """A gateway that brings one market's feed in and answers for empty accounts."""

    def __init__(self, port: int, traded: Mapping[InstrumentId, Instrument], clock: Clock) -> None:
        self._port = port
        self._traded = traded
        self._clock = clock
        self._emit: Emit = lambda fact: None
        self.feed: MarketFeed | None = None

    async def run(self, emit: Emit) -> None:
        self._emit = emit
        for instrument in self._traded.values():
            emit(InstrumentListed(instrument))
            for channel in Channel:
                emit(ChannelOpened(instrument.account, channel))
        network = TcpNetwork(allow_remote=False)
        hosts = Hosts(f"http://127.0.0.1:{self._port}", f"ws://127.0.0.1:{self._port}", "")
        options = FeedOptions(
            market="usdm", hosts=hosts, instruments=(self._traded[NAME],), filters={NAME: CLIP}
        )
        rest = Rest("usdm", hosts, network, VenueClock(self._clock), RateBudget("usdm"), Access(None, 5000))
        self.feed = MarketFeed(options, network, rest, self._clock, emit)
        try:
            await self.feed.run()
        finally:
            await network.close()

    def submit(self, command: Outward) -> None:
        if isinstance(command, QueryAccount):
            balances = {"USDT": Decimal(20_000)}
            self._emit(AccountReported(command.account, balances, (), (), self._clock.now_ns()))

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        if self.feed is not None:
            self.feed.working(instruments)

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        return ({} if self.feed is None else self.feed.heard()), {}

    def readings(self) -> tuple[Reading, ...]:
        return ()


class Watched:
    """An engine's batches as they pass: when each ended, and the venue's time of the book it knew then."""

    def __init__(self, engine: Engine) -> None:
        self.books: list[tuple[int, int]] = []
        self._run_batch = engine.run_batch
        self._engine = engine
        engine.run_batch = self.run_batch  # type: ignore[method-assign]

    def run_batch(self, at_ns: int) -> Any:
        admitted = self._run_batch(at_ns)
        market = self._engine.store.markets.get(NAME)
        if market is not None and market.book_venue_ns is not None:
            self.books.append((time.time_ns(), market.book_venue_ns))
        return admitted


@asynccontextmanager
async def daemon(venue: Venue, config: Config, journal: Path) -> AsyncIterator[tuple[Gateway, Watched]]:
    """The daemon, once it knows the book."""
    sources = [
        (name, (ROOT / "examples/venue" / f"binance-{name}.json").read_bytes()) for name in ("spot", "usdm")
    ]
    clock = LiveClock(time.time_ns(), time.monotonic)
    opened = reopen(journal)
    gateway = Gateway(venue.port, instruments(sources, [SPOT, NAME], config.paper_fees_bps), clock)
    watched = Watched(opened.engine)
    parts = DaemonParts(
        engine=opened.engine,
        previous=opened.previous,
        config=config,
        version=__version__,
        run_id="burst000",
        clock=clock,
        gateways={AccountId("binance:spot"): gateway, AccountId("binance:usdm"): gateway},
        alert=lambda alert, at_ns: None,
        note=lambda event, fields: None,
    )
    one = Daemon(parts)
    running = asyncio.create_task(one.run())
    while not watched.books:
        await asyncio.sleep(0.01)
    yield gateway, watched
    one.stop("bench", "done")
    await running


async def taken(gateway: Gateway, last: int, begun_ns: int) -> float:
    """Seconds from ``begun_ns`` until the feed has taken ``last`` frames."""
    assert gateway.feed is not None
    while gateway.feed.stream.counters().frames_in < last:
        await asyncio.sleep(0.001)
    return (time.time_ns() - begun_ns) / 1e9


async def speed_per_s(venue: Venue, gateway: Gateway) -> float:
    """Frames a second when they come as fast as the socket takes them."""
    assert gateway.feed is not None
    before = gateway.feed.stream.counters().frames_in
    begun_ns, _ = await venue.burst(FRAMES, 0)
    return FRAMES / await taken(gateway, before + FRAMES, begun_ns)


async def age_ms(venue: Venue, gateway: Gateway, watched: Watched, per_s: int) -> float:
    """Age of the newest book that the engine had stepped when the last frame left."""
    assert gateway.feed is not None
    before = gateway.feed.stream.counters().frames_in
    begun_ns, last_ns = await venue.burst(FRAMES, per_s)
    await taken(gateway, before + FRAMES, begun_ns)
    venue_ns = max(book_ns for at_ns, book_ns in watched.books if at_ns <= last_ns)
    return (last_ns - venue_ns) / 1e6


async def floor_per_s(venue: Venue) -> float:
    """Frames a second of a client that does nothing with them."""
    network = TcpNetwork(allow_remote=False)
    socket = await network.connect(f"ws://127.0.0.1:{venue.port}/public/stream", 5.0)
    await socket.send('{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}')
    for _ in range(2):  # the answer and the first frame
        await socket.receive()
    sending = asyncio.create_task(venue.burst(FRAMES, 0))
    for _ in range(FRAMES):
        await socket.receive()
    ended_ns = time.time_ns()
    begun_ns, _ = await sending
    await socket.close()
    await network.close()
    return FRAMES / ((ended_ns - begun_ns) / 1e9)


async def measure(folder: Path) -> None:
    config = load({}, ROOT / "examples/hft-linear.env").config
    strategy = msgspec.structs.replace(config.strategy, entry_gap_bps=10_000.0)
    config = msgspec.structs.replace(config, strategy=strategy)
    venue = Venue("burst_venue")
    speeds, ages, hard_ages = [], [], []
    try:
        floors = [await floor_per_s(venue) for _ in range(RUNS)]
        async with daemon(venue, config, folder / "journal.sqlite") as (gateway, watched):
            for _ in range(RUNS):
                speeds.append(await speed_per_s(venue, gateway))
                ages.append(await age_ms(venue, gateway, watched, BAR_PER_S))
                hard_ages.append(await age_ms(venue, gateway, watched, 0))
    finally:
        venue.close()
    how = (
        f"{FRAMES} frames of ten levels a side over loopback through feed, book and engine, medians of {RUNS}"
    )
    print_figure(
        "burst_frames_per_s",
        median(speeds),
        "frames/s",
        baseline=median(floors),
        how=f"{how}, sent as fast as the socket takes them; baseline: a client that drops them",
    )
    print_figure(
        "burst_newest_book_age_ms",
        median(ages),
        "ms",
        baseline=median(hard_ages),
        how=f"{how}: age of the engine's newest book as the last frame leaves, {BAR_PER_S} frames/s sent; "
        "baseline: as fast as the socket takes them, when it is the age of what fills the sockets' buffers",
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_loop(measure(Path(folder)))


if __name__ == "__main__":
    main()
