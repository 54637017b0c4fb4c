"""A small world for tests of the shell: a scripted recording, a venue that fills, and a step that trades it.

The step is a real one in miniature: it folds facts into a `Store`, decides from the store alone, and folds
what it decided, so that folding the journal restores it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from bot.model.commands import AnyCommand, Outward, PlaceOrder, QueryOrder
from bot.model.config import Config
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BookSeen,
    Booted,
    Channel,
    ChannelOpened,
    FeedEnded,
    OrderAccepted,
    OrderFilled,
    OrderNotFound,
    OrderUncertain,
    Origin,
    Tick,
)
from bot.model.ids import ClientId, InstrumentId, account_of, client_id
from bot.model.store import Order, OrderState, Store
from bot.ports import Emit
from bot.shell.engine import Engine
from bot.shell.executor import Executor
from bot.shell.journal import JournalWriter
from bot.shell.replay import Hooks, ReplayOptions
from risk.guard import Admitted
from tests.instruments import instrument
from tests.shell.admission import admitted
from tests.shell.samples import (
    MS,
    PERP,
    SECOND,
    SPOT,
    START,
    book,
    filled,
    make_config,
    mark,
    place,
)


def fold(store: Store, at_ns: int, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> None:
    """The miniature's only writer: boots, orders, fills, and every price seen as a rate."""
    store.now_ns = at_ns
    for fact in facts:
        match fact:
            case Booted():
                store.config, store.run_id = fact.config, fact.run_id
                store.boots_ns = (*store.boots_ns, at_ns)
                for order in store.orders.values():
                    if order.state.is_live:
                        order.state = OrderState.UNCERTAIN
            case BookSeen():
                store.rates[fact.instrument] = Decimal(repr(fact.bids[0][0]))
            case Tick():
                for account, offset_ns in fact.offset_ns.items():
                    store.drift[account] = offset_ns
            case OrderAccepted() if store.orders[fact.client_id].state is OrderState.SENT:
                store.orders[fact.client_id].state = OrderState.OPEN
            case OrderFilled():
                order = store.orders[fact.client_id]
                order.filled_qty, order.state = fact.qty, OrderState.DONE
                store.live.pop(fact.client_id, None)
            case OrderUncertain():
                store.orders[fact.client_id].state = OrderState.UNCERTAIN
            case OrderNotFound():
                store.orders[fact.client_id].state = OrderState.DEAD
                store.live.pop(fact.client_id, None)
            case _:
                pass
    for command in commands:
        if isinstance(command, PlaceOrder):
            store.next_order += 1
            store.live[command.client_id] = None
            store.orders[command.client_id] = Order(
                client_id=command.client_id,
                pair=command.pair,
                role=command.role,
                instrument=command.instrument,
                side=command.side,
                qty=command.qty,
                price=command.price,
                tif=command.tif,
                reduce_only=command.reduce_only,
                purpose=command.purpose,
                arrival_mid=command.arrival_mid,
                sent_ns=at_ns,
            )
        elif isinstance(command, QueryOrder):
            store.orders[command.client_id].ask_ns = at_ns


def refold(store: Store, entry: Entry) -> None:
    fold(store, entry.at_ns, entry.facts, entry.commands)


def step(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
    """Buy once for each price that ends in 7, with no order alive; ask for uncertain orders at each tick."""
    fold(store, at_ns, facts, ())
    wanted: list[AnyCommand] = []
    live = [order for order in store.orders.values() if order.state.is_live]
    if any(isinstance(fact, Tick) for fact in facts):
        wanted += [
            QueryOrder(order.client_id, order.instrument)
            for order in live
            if order.state is OrderState.UNCERTAIN and order.ask_ns < at_ns - SECOND
        ]
    prices = [fact.bids[0][0] for fact in facts if isinstance(fact, BookSeen)]
    if not live and any(int(price) % 10 == 7 for price in prices):
        wanted.append(place(client_id("bsbt", store.run_id, store.next_order), why=prices[-1]))
    commands = tuple(wanted)
    fold(store, at_ns, (), commands)
    return admitted(*commands)


class Venue:
    """A scripted feed and a venue that accepts, fills and remembers, as a `World`."""

    def __init__(self, feed: list[tuple[int, AnyFact]], *, latency_ns: int = 10 * MS) -> None:
        self._feed = sorted(feed, key=lambda one: one[0])
        self._position = 0
        self._answers: list[tuple[int, AnyFact]] = []
        self._orders: dict[ClientId, PlaceOrder] = {}
        self._latency_ns = latency_ns
        self.now_ns = 0
        self.sent: list[tuple[int, Outward]] = []
        self.told: list[frozenset[InstrumentId]] = []
        self.silent: set[ClientId] = set()

    def _due(self) -> int | None:
        times = [at_ns for at_ns, _ in self._answers[:1]]
        if self._position < len(self._feed):
            times.append(self._feed[self._position][0])
        return min(times) if times else None

    def advance(self, limit_ns: int, emit: Emit, stop: bool) -> int | None:
        due_ns = self._due()
        if due_ns is None:
            return None
        while due_ns is not None and due_ns <= limit_ns:
            while self._position < len(self._feed) and self._feed[self._position][0] == due_ns:
                emit(self._feed[self._position][1])
                self._position += 1
            while self._answers and self._answers[0][0] == due_ns:
                emit(self._answers.pop(0)[1])
            self.now_ns = due_ns
            if stop:
                return due_ns
            due_ns = self._due()
        self.now_ns = limit_ns
        return limit_ns

    def submit(self, command: Outward, at_ns: int) -> None:
        self.sent.append((at_ns, command))
        due_ns = at_ns + self._latency_ns
        if isinstance(command, PlaceOrder):
            assert command.client_id not in self._orders
            self._orders[command.client_id] = command
            if command.client_id not in self.silent:
                self._answer(due_ns, OrderAccepted(command.client_id, f"v-{command.client_id}", due_ns))
                self._answer(due_ns, filled(command, due_ns))
        elif isinstance(command, QueryOrder):
            known = self._orders.get(command.client_id)
            answer = filled(known, due_ns) if known else OrderNotFound(command.client_id, due_ns)
            self._answer(due_ns, answer)

    def _answer(self, at_ns: int, fact: AnyFact) -> None:
        self._answers.append((at_ns, fact))
        self._answers.sort(key=lambda one: one[0])

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self.told.append(instruments)

    def lose_memory(self) -> None:
        self._answers = [(self.now_ns, ChannelOpened(account_of(SPOT), Channel.PRIVATE))]


def recording(seconds: int = 12, per_second: int = 8) -> list[tuple[int, AnyFact]]:
    """Books on a walk that trades now and then, a mark a second, an end."""
    feed: list[tuple[int, AnyFact]] = []
    for number in range(seconds * per_second):
        at_ns = START + number * SECOND // per_second + number % 3 * 60_000
        price = 60_000 + number * 5 % 23
        feed.append((at_ns, book(at_ns, float(price))))
        feed.append((at_ns + 50_000, book(at_ns + 50_000, price + 0.5)))  # arrives while a step runs
        if number % per_second == 0:
            feed.append((at_ns, mark(at_ns, str(price))))
    last_ns = max(at_ns for at_ns, _ in feed)
    return [*feed, (last_ns + SECOND, FeedEnded("spot"))]


def make_options(*, crash_at_ns: tuple[int, ...] = (), config: Config | None = None) -> ReplayOptions:
    return ReplayOptions(
        version="0.2.0",
        config=config if config is not None else make_config(),
        instruments=(instrument(SPOT), instrument(PERP)),
        origins=(Origin("usdm", "bb" * 32, 5), Origin("spot", "aa" * 32, 7)),
        crash_at_ns=crash_at_ns,
    )


def make_hooks(venue: Venue, stopping: Callable[[], bool] = lambda: False) -> Hooks:
    return Hooks(
        heard=lambda: ({SPOT: venue.now_ns}, {account_of(SPOT): 3}),
        progress=lambda at_ns: None,
        stopping=stopping,
    )


def make_machine(journal: JournalWriter, venue: Venue, config: Config) -> tuple[Engine, Executor]:
    engine = Engine(journal, step, refold)
    contracts = {one: instrument(one) for one in (SPOT, PERP)}
    executor = Executor(config.fuse, contracts, venue.submit, engine.inbox.put, lambda alert, at_ns: None)
    return engine, executor
