"""The whole of it in one process and in virtual time: rehearsal venue, faults, network, gateway, daemon.

Nothing is a fake but the network and the time: the venue's servers, the layer of faults, the gateway, the
daemon's loop and the journal on disk are the real ones.  A `Story` says what happens, `play` tells it and
returns what came of it, as both sides saw it: the bot's journal and store, the venue's wallets and a census
of what reached its door.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from adapters.binance.endpoints import Hosts, hosts
from adapters.binance.gateway import BinanceGateway, BinanceOptions
from adapters.network import Network
from adapters.paper.terms import Terms
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import Keys, make_keys, read_params
from adapters.rehearsal.disturbed import Disturbance
from adapters.rehearsal.faults import parse
from adapters.rehearsal.levers import VenueLevers
from adapters.rehearsal.refusals import Verb, asked_over_rest
from adapters.rehearsal.seam import Door, Line, Peer, Request, Response
from adapters.rehearsal.server import serve
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from adapters.tcp import TcpNetwork
from bot.model.commands import RaiseAlert
from bot.model.config import Config
from bot.model.entry import Entry
from bot.model.facts import AnyFact, ForcedFilled, OrderFilled, VenueReset
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import Position
from bot.model.money import COIN_QUANTUM, ZERO, divide, exact_arithmetic
from bot.model.pair import Mode
from bot.model.store import Store
from bot.ports import Clock
from bot.settings import load
from bot.shell.boot import fresh_run_id, reopen
from bot.shell.clock import LiveClock
from bot.shell.daemon import Daemon, DaemonParts, Outcome
from bot.shell.journal import read_entries
from risk.watch import Hold, effective_mode, holds
from tests.conftest import ROOT
from tests.e2e import feeds
from tests.virtual.mortal import Fate, Killed, MortalJournal, StepDoor
from tests.virtual.network import MemoryNetwork
from tests.virtual.recording import made, scene

START_NS = feeds.START_MS * 1_000_000
PATIENCE_S = 1.5
DEADLINE_S = 1.0
PONG_S = 4.0
REBOOT_S = 0.5
READY_S = 5.0  # the end of a story may fall into a moment in which a book is resynchronised
NAKED_BASE = Decimal("0.004")  # a fiftieth of a clip: more than lots and fees in coin leave over

# everything that waits waits less than it would in earnest, so that a run is short
QUICK = {
    "LIMITS__NET_DELTA_MAX_QUOTE": "70000",  # a leg that stands alone for a while passes no limit
    "STRATEGY__PATIENCE_S": str(PATIENCE_S),
    "STRATEGY__CLIP_INTERVAL_S": "1.5",
    "STRATEGY__REASK_S": "2",
    "STRATEGY__RECEIVE_WINDOW_S": "2",
    "STRATEGY__RECONCILE_S": "8",
    "FUSE__DEADLINE_S": str(DEADLINE_S),
}


class Story(Struct, frozen=True, kw_only=True):
    """``script`` as for `adapters.rehearsal.faults.parse`, in seconds after the bot's start; ``changes`` are
    settings without their prefix; ``kills`` the step of each life but the last at which it ends
    (`tests.virtual.mortal`)."""

    script: str = ""
    seconds: float = 60.0
    perpetual: Literal["usdm", "coinm"] = "usdm"
    transport: Literal["ws", "rest"] = "ws"
    changes: Mapping[str, str] = {}
    kills: tuple[int, ...] = ()


class Ending(Struct, frozen=True):
    """How the last life ended.  ``holds`` and ``modes`` are by pair, just before it was told to stop;
    ``lives`` are the steps of each life."""

    outcome: Outcome
    holds: dict[str, tuple[Hold, ...]]
    modes: dict[str, Mode]
    lives: list[list[str]]


class Told(Struct, frozen=True, kw_only=True):
    """What came of a story: the bot's side, and the venue's (``balances``, ``positions``; ``arrived`` counts
    orders at its door by client id, ``naked_s`` is the longest time it saw one leg without the other)."""

    ending: Ending
    store: Store
    entries: list[Entry]
    alerts: list[RaiseAlert]
    notes: list[str]
    balances: dict[AccountId, dict[str, Decimal]]
    positions: dict[InstrumentId, Position]
    arrived: Counter[str]
    naked_s: float


class Census:
    """A door that counts which orders pass it."""

    def __init__(self, inner: Door, arrived: Counter[str]) -> None:
        self._inner = inner
        self._arrived = arrived

    @property
    def market(self) -> str:
        return self._inner.market

    async def request(self, request: Request) -> Response:
        if asked_over_rest(request) is Verb.PLACE:
            params = read_params(request.query, request.body.decode())
            self._arrived[params.get("newClientOrderId", "")] += 1
        return await self._inner.request(request)

    def accept(self, target: str, peer: Peer) -> Line | Response:
        line = self._inner.accept(target, peer)
        return line if isinstance(line, Response) else _CountingLine(line, self._arrived)


class _Placing(Struct):
    method: str = ""
    params: dict[str, msgspec.Raw] = {}


class _CountingLine:
    def __init__(self, inner: Line, arrived: Counter[str]) -> None:
        self._inner = inner
        self._arrived = arrived

    def receive(self, payload: bytes) -> None:
        if b'"order.place"' in payload:
            placing = msgspec.json.decode(payload, type=_Placing)
            self._arrived[msgspec.json.decode(placing.params["newClientOrderId"], type=str)] += 1
        self._inner.receive(payload)

    def closed(self) -> None:
        self._inner.closed()


class Watch:
    """How long the venue's own positions were naked: the sum of what its fills moved, in base currency.  What
    a reset takes away is gone."""

    def __init__(self, world: World, legs: tuple[InstrumentId, ...]) -> None:
        self._world = world
        self._base = dict.fromkeys(legs, ZERO)
        self._since_ns = 0
        self._longest_ns = 0
        world.subscribe(self._hear)

    def longest_s(self) -> float:
        open_ns = self._world.now_ns() - self._since_ns if self._since_ns else 0
        return max(self._longest_ns, open_ns) / 1e9

    def _hear(self, fact: AnyFact) -> None:
        if isinstance(fact, VenueReset):
            self._base.update((leg, ZERO) for leg in self._base if account_of(leg) == fact.account)
        elif isinstance(fact, OrderFilled | ForcedFilled) and fact.instrument in self._base:
            self._base[fact.instrument] += self._moved(fact)
        else:
            return
        now_ns = self._world.now_ns()
        if abs(sum(self._base.values(), ZERO)) > NAKED_BASE:
            self._since_ns = self._since_ns or now_ns
        elif self._since_ns:
            self._longest_ns = max(self._longest_ns, now_ns - self._since_ns)
            self._since_ns = 0

    def _moved(self, fact: OrderFilled | ForcedFilled) -> Decimal:
        instrument = self._world.instruments[fact.instrument]
        base = fact.side.sign * fact.qty * instrument.contract_size
        if instrument.inverse:
            return divide(base, fact.price, COIN_QUANTUM)
        return base - fact.fee if instrument.is_spot and fact.fee_asset == instrument.base else base


class Venue:
    """The rehearsal venue of a story, on the running loop's time."""

    def __init__(self, story: Story, config: Config, clock: Clock) -> None:
        names = {"spot": "spot", story.perpetual: story.perpetual}
        sources = [(name, (ROOT / "examples/venue" / f"binance-{name}.json").read_bytes()) for name in names]
        terms = Terms(balances=config.paper_balances, reference="mid", missing_funding="estimate")
        feed = made(scene(story.perpetual, round(story.seconds) + 40))
        self.begun_s = asyncio.get_running_loop().time()
        self.world = World(feed, sources, terms, clock)
        self.keys: Keys = make_keys(b"a story of faults")
        self.teller = Teller(self.world, self.keys)
        self.arrived: Counter[str] = Counter()
        self.notes: list[str] = []
        levers = VenueLevers(self.world, self.teller.expire_listen_keys)
        self.layer = Disturbance(parse(story.script), levers, clock, self.notes.append)
        self.fate = Fate(None, _survive)  # of the life that the venue deals with now
        self.doors: dict[str, Door] = {
            name: self.layer.around(StepDoor(Census(door, self.arrived), self._step))
            for name, door in doors(self.world, self.teller).items()
        }
        legs = tuple(leg for pair in config.pairs for leg in (pair.long, pair.short))
        self.watch = Watch(self.world, legs)

    def _step(self, what: str) -> None:
        self.fate.step(what)


def _survive() -> None:
    """What a fate calls that never ends."""


class Bot:
    """One boot of the daemon against a network; another one goes on where it ended."""

    def __init__(self, story: Story, config: Config, keys: Keys, journal: Path) -> None:
        self.config = config
        self.alerts: list[RaiseAlert] = []
        self._story = story
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
            transport=self._story.transport,
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


def config_of(story: Story) -> Config:
    return load(feeds.settings(story.perpetual, {**QUICK, **story.changes})).config


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
    bot = Bot(story, config, venue.keys, journal)
    async with reach(venue) as way, asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(venue.world.play()), tasks.create_task(venue.layer.run())]
        try:
            return await _lives(story, venue, bot, way)
        finally:
            for task in background:
                task.cancel()


async def _lives(story: Story, venue: Venue, bot: Bot, way: Way) -> Told:
    loop = asyncio.get_running_loop()
    until_s = venue.begun_s + story.seconds
    lives: list[list[str]] = []
    for steps in (*story.kills, None):
        network = way.network()
        clock = LiveClock(START_NS + round((loop.time() - venue.begun_s) * 1e9), loop.time)
        daemon = bot.boot(network, way.hosts, clock)
        running = asyncio.ensure_future(daemon.run())
        ends = (network.vanish, running.cancel) if isinstance(network, MemoryNetwork) else ()
        venue.fate = bot.mortal(daemon, steps, *ends)
        lives.append(venue.fate.steps)
        await asyncio.wait((running,), timeout=until_s - loop.time())
        if venue.fate.is_dead:
            with suppress(Killed, asyncio.CancelledError):
                await running
            await asyncio.sleep(REBOOT_S)
    found = await ready(daemon, running)
    if not running.done():
        daemon.stop("test", "the story is over")
    outcome = await running
    await network.close()
    return told(venue, bot, daemon, Ending(outcome, *found, lives))


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
