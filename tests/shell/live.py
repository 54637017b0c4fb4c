"""A venue for the daemon to trade on: honest books in memory, answers after a latency, in any loop's time.

It fills every order at its limit, and can be told to be silent (an order arrives, nothing is said), to rest
(an order stays open until it is cancelled) or to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder, RaiseAlert
from bot.model.config import Config
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    Channel,
    ChannelOpened,
    InstrumentListed,
    ModeOrdered,
    OrderAccepted,
    OrderCanceled,
    OrderReported,
    OrderStatus,
)
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.money import ZERO, exact
from bot.model.pair import Mode, PairState
from bot.ports import Emit, Reading
from bot.shell.boot import reopen
from bot.shell.clock import LiveClock
from bot.shell.daemon import Daemon, DaemonParts, Outcome
from bot.shell.rows import read_entries
from tests.core.world import BTC, World, make_config
from tests.virtual.loop import run_virtual

SECOND_NS = 1_000_000_000
BOOT_NS = 1_800_000_000 * SECOND_NS
LATER_NS = BOOT_NS + 60 * SECOND_NS
LATENCY_S = 0.01
QUOTES_S = 0.25


class Gateway:
    """One gateway for all accounts of a `World`."""

    def __init__(self, world: World, clock: LiveClock) -> None:
        self.world = world
        self.clock = clock
        self.gap_bps = 20.0
        self.silent: set[InstrumentId] = set()
        self.resting: set[InstrumentId] = set()
        self.failure: Exception | None = None
        self.offset_ns = 0
        self.sent: list[Outward] = []
        self.told: list[frozenset[InstrumentId]] = []
        self.orders: dict[ClientId, PlaceOrder] = {}
        self.open: set[ClientId] = set()
        self.closed = False
        self._emit: Emit | None = None

    async def run(self, emit: Emit) -> None:
        self._emit = emit
        try:
            for one in self.world.instruments:
                emit(InstrumentListed(one))
            for account in self.world.wallets:
                for channel in Channel:
                    emit(ChannelOpened(account, channel))
            while self.failure is None:
                self.world.at_ns = self.clock.now_ns()
                self._quote(emit)
                await asyncio.sleep(QUOTES_S)
            raise self.failure
        finally:
            self.closed = True

    def _quote(self, emit: Emit) -> None:
        for book in self.world.books(60_000.0, self.gap_bps):
            emit(book)
        short = self.world.config.pairs[0].short
        emit(self.world.mark(short, exact(60_000.0), exact(60_000.0)))

    def submit(self, command: Outward) -> None:
        self.sent.append(command)
        asyncio.get_running_loop().call_later(LATENCY_S, self._arrive, command)

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self.told.append(instruments)

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        now_ns = self.clock.now_ns()
        return (
            {one.id: now_ns for one in self.world.instruments},
            dict.fromkeys(self.world.wallets, self.offset_ns),
        )

    def readings(self) -> tuple[Reading, ...]:
        return (Reading("channel_losses_total", 2.0, {"account": "binance:spot"}),)

    @property
    def placed(self) -> list[PlaceOrder]:
        return [one for one in self.sent if isinstance(one, PlaceOrder)]

    def tell(self, fact: AnyFact) -> None:
        assert self._emit is not None
        self._emit(fact)

    def _arrive(self, command: Outward) -> None:
        self.world.at_ns = self.clock.now_ns()
        for fact in self._answer(command):
            self.tell(fact)

    def _answer(self, command: Outward) -> list[AnyFact]:
        now_ns = self.world.at_ns
        match command:
            case PlaceOrder():
                assert command.client_id not in self.orders
                self.orders[command.client_id] = command
                if command.instrument in self.silent:
                    self.world.execute(command, command.qty, command.price)
                    return []
                if command.instrument in self.resting:
                    self.open.add(command.client_id)
                    return [OrderAccepted(command.client_id, f"v{command.client_id}", now_ns)]
                return self.world.fill(command)
            case CancelOrder():
                self.open.discard(command.client_id)
                return [OrderCanceled(command.client_id, now_ns)]
            case QueryOrder() if command.client_id in self.open:
                return [self._report(command.client_id, OrderStatus.OPEN)]
            case QueryOrder():
                return []
            case QueryAccount():
                return [self.world.report(command.account)]

    def _report(self, name: ClientId, status: OrderStatus) -> OrderReported:
        order = self.orders[name]
        return OrderReported(
            name, order.instrument, f"v{name}", status, order.side, order.qty, ZERO, self.world.at_ns
        )


class Run:
    """A daemon on a running loop, and what it left."""

    def __init__(self, path: Path, config: Config | None = None, **parts: Any) -> None:
        self.path = path
        self.alerts: list[RaiseAlert] = []
        self.notes: list[tuple[str, Mapping[str, str]]] = []
        loop = asyncio.get_running_loop()
        config = config or make_config()
        self.clock = LiveClock(parts.pop("anchor_ns", BOOT_NS), loop.time)
        served = parts.pop("served", None)
        self.gateway = Gateway(parts.pop("world", None) or World(config), self.clock)
        opened = reopen(path)
        self.daemon = Daemon(
            DaemonParts(
                engine=opened.engine,
                previous=opened.previous,
                config=config,
                version="0",
                run_id=parts.pop("run_id", "0run0000"),
                clock=self.clock,
                gateways=dict.fromkeys(map(AccountId, served or self.gateway.world.wallets), self.gateway),
                alert=lambda alert, _: self.alerts.append(alert),
                keep=opened.journal.keep,
                note=lambda text, fields: self.notes.append((text, fields)),
                **parts,
            )
        )
        self.store = self.daemon.engine.store

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.path))

    @property
    def facts(self) -> list[AnyFact]:
        return [fact for entry in self.entries for fact in entry.facts]


async def until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Let a virtual loop's time pass until something is so."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while not true():
        assert loop.time() < end_s, f"not so after {within_s} s"
        passed = asyncio.Event()
        loop.call_later(0.005, passed.set)
        await passed.wait()


def pause(reason: str = "lunch") -> ModeOrdered:
    return ModeOrdered("*", Mode.PAUSED, "ann", reason)


# --- a run on a virtual loop -------------------------------------------------------------------------------


def hedged(run: Run) -> Callable[[], bool]:
    return lambda: BTC in run.store.pairs and run.store.pairs[BTC].state is PairState.HEDGED


def scene(path: Path, play: Callable[[Run], Awaitable[None]], **parts: Any) -> tuple[Run, Outcome]:
    """Start a run, play, and return it with how it ended."""

    async def whole() -> tuple[Run, Outcome]:
        run = Run(path, **parts)
        running = asyncio.ensure_future(run.daemon.run())
        await asyncio.wait({running, asyncio.ensure_future(play(run))}, return_when=asyncio.FIRST_EXCEPTION)
        return run, await running

    return run_virtual(whole(), steps_max=100_000)


async def hedge_and_stop(run: Run) -> None:
    await until(hedged(run))
    run.daemon.stop("ann", "done for today")


async def boot_and_stop(run: Run) -> None:
    await until(lambda: run.daemon.vitals.ticked_ns > 0)
    run.daemon.stop("ann", "enough")
