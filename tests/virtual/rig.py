"""The whole of it in one process and in virtual time: rehearsal venue, faults, network, gateway, daemon.

Nothing is a fake but the network and the time: the venue's servers, the layer of faults, the gateway, the
daemon's loop and the journal on disk are the real ones.  A `Story` says what happens, `play` tells it and
returns what came of it, as both sides saw it: the bot's journal and store, the venue's wallets and a census
of what reached its door.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from msgspec import Struct

from adapters.binance.endpoints import Hosts, hosts
from adapters.binance.gateway import BinanceGateway, BinanceOptions
from adapters.network import Network
from adapters.rehearsal.auth import Keys
from adapters.rehearsal.server import serve
from adapters.tcp import TcpNetwork
from bot.model.commands import RaiseAlert
from bot.model.config import Config
from bot.model.facts import AdoptionOrdered, ModeOrdered
from bot.model.ids import AccountId, account_of
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode
from bot.shell.boot import fresh_run_id, reopen
from bot.shell.clock import LiveClock
from bot.shell.daemon import Daemon, DaemonParts, Outcome
from bot.shell.rows import read_entries
from risk.hold import Hold
from risk.watch import effective_mode, holds
from tests.virtual.mortal import Fate, Killed, MortalJournal
from tests.virtual.network import MemoryNetwork
from tests.virtual.story import PONG_S, READY_S, REBOOT_S, START_NS, Ending, Story, Told, config_of
from tests.virtual.venue import Venue


class Bot:
    """One boot of the daemon against a network; another one goes on where it ended."""

    def __init__(self, config: Config, keys: Keys, journal: Path) -> None:
        self.config = config
        self.alerts: list[RaiseAlert] = []
        self._keys = keys
        self._journal = journal
        self._boots = 0

    @staticmethod
    def mortal(daemon: Daemon, steps: int | None, *ends: Callable[[], object]) -> Fate:
        """A life of so many steps: then its rows in memory are gone, and ``ends`` are called."""
        journal = daemon.engine.journal
        assert isinstance(journal, MortalJournal)

        def die() -> None:
            journal.drop_unwritten()
            for end in ends:
                end()

        journal.fate = Fate(steps, die)
        return journal.fate

    def boot(self, network: Network, hosts: Mapping[str, Hosts], clock: LiveClock) -> Daemon:
        """Raises like `reopen`."""
        self._boots += 1
        legs = tuple(leg for pair in self.config.pairs for leg in (pair.long, pair.short))
        options = BinanceOptions(
            legs=legs,
            config=self.config,
            hosts=hosts,
            key=self._keys.api_key,
            secret=self._keys.secret,
        )
        gateway = BinanceGateway(options, network, clock)
        opened = reopen(self._journal)
        opened.engine.journal = MortalJournal(opened.engine.journal)
        return Daemon(
            DaemonParts(
                engine=opened.engine,
                previous=opened.previous,
                config=self.config,
                version="0",
                run_id=fresh_run_id(clock.now_ns(), self._boots),
                clock=clock,
                gateways={account_of(leg): gateway for leg in legs},
                alert=lambda alert, at_ns: self.alerts.append(alert),
                note=lambda event, fields: None,
            )
        )


class Way(Struct, frozen=True):
    """How a bot reaches the venue: where its doors are, and a network of its own for each life."""

    hosts: Mapping[str, Hosts]
    network: Callable[[], Network]


@asynccontextmanager
async def by_memory(venue: Venue) -> AsyncIterator[Way]:
    hosts = {
        market: Hosts(rest=f"http://{market}", ws=f"ws://{market}", wsapi=f"ws://{market}")
        for market in venue.doors
    }
    yield Way(hosts, lambda: MemoryNetwork(venue.doors, pong_s=PONG_S))


@asynccontextmanager
async def by_tcp(venue: Venue) -> AsyncIterator[Way]:
    """Over sockets of the loopback interface; the loop is a real one."""
    async with serve(venue.doors, 0) as served:
        ports = served.ports
        yield Way(
            hosts("rehearsal", (ports["spot"], ports["usdm"], ports["coinm"])),
            lambda: TcpNetwork(allow_remote=False),
        )


Reach = Callable[[Venue], AbstractAsyncContextManager[Way]]


async def play(story: Story, journal: Path, reach: Reach = by_memory) -> Told:
    """Tell a story to its end on the running loop; only by memory can a life be cut short."""
    loop = asyncio.get_running_loop()
    config = config_of(story)
    venue = Venue(story, config, LiveClock(START_NS, loop.time))
    bot = Bot(config, venue.keys, journal)
    async with reach(venue) as way, asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(venue.world.play()), tasks.create_task(venue.layer.run())]
        try:
            return await lives(story, venue, bot, way)
        finally:
            for task in background:
                task.cancel()


async def lives(story: Story, venue: Venue, bot: Bot, way: Way) -> Told:
    """The bot's lives at a venue that is played meanwhile; the first begins now."""
    loop = asyncio.get_running_loop()
    until_s = venue.begun_s + story.seconds
    lived: list[list[str]] = []
    for steps in (*story.kills, None):
        network = way.network()
        clock = LiveClock(START_NS + round((loop.time() - venue.begun_s) * 1e9), loop.time)
        daemon = bot.boot(network, way.hosts, clock)
        running = asyncio.ensure_future(daemon.run())
        ends = (network.vanish, running.cancel) if isinstance(network, MemoryNetwork) else ()
        venue.fate = bot.mortal(daemon, steps, *ends)
        if not lived:
            for adopt_s, account in story.adopts:
                order = AdoptionOrdered(AccountId(account), "test", "as it stands")
                loop.call_at(venue.begun_s + adopt_s, daemon.engine.inbox.put, order)
            for stop_s in story.stops_s:
                loop.call_at(venue.begun_s + stop_s, daemon.stop, "test", "told to")
        for order_s, mode in story.orders:
            for scope in ("*", *(pair.name for pair in bot.config.pairs)):
                if (due_s := venue.begun_s + order_s) > loop.time():
                    ordered = ModeOrdered(scope, mode, "operator", "test")
                    loop.call_at(due_s, daemon.engine.inbox.put, ordered)
        lived.append(venue.fate.steps)
        await asyncio.wait((running,), timeout=until_s - loop.time())
        if not venue.fate.is_dead:
            venue.fate = bot.mortal(daemon, None)  # the story is over, or the run: no death comes after it
            break
        with suppress(Killed, asyncio.CancelledError):
            await running
        daemon.engine.journal.close()  # a process that is gone holds no lock
        await asyncio.sleep(REBOOT_S)
    found = await ready(daemon, running)
    if not running.done():
        daemon.stop("test", "the story is over")
    outcome = await running
    await network.close()
    return told(venue, bot, daemon, Ending(outcome, *found, lived))


Look = tuple[dict[str, tuple[Hold, ...]], dict[str, Mode]]


async def ready(daemon: Daemon, running: asyncio.Future[Outcome]) -> Look:
    """What `look` sees when no pair is held any more, or when time is up."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + READY_S
    while any(look(daemon)[0].values()) and loop.time() < until_s and not running.done():
        await asyncio.sleep(READY_S / 20)
    return look(daemon)


def look(daemon: Daemon) -> Look:
    """Holds and modes of every pair at this moment."""
    store = daemon.engine.store
    at_ns = daemon.clock.now_ns()
    with exact_arithmetic():
        held = {str(name): holds(store, at_ns, pair) for name, pair in store.pairs.items()}
    return held, {str(name): effective_mode(store, pair) for name, pair in store.pairs.items()}


def told(venue: Venue, bot: Bot, daemon: Daemon, ending: Ending) -> Told:
    """What both sides know at the end."""
    wallets = venue.world.wallets
    return Told(
        ending=ending,
        store=daemon.engine.store,
        balances={account: dict(assets) for account, assets in wallets.balances.items()},
        positions={name: wallets.position(name) for name in venue.world.instruments},
        entries=list(read_entries(daemon.engine.journal.path)),
        alerts=bot.alerts,
        notes=venue.notes,
        arrived=venue.arrived,
        naked_s=venue.watch.longest_s(),
    )
