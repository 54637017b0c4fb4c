"""One seed played: the real step, the real executor, the unkind venue, in virtual time.

Events stand in a heap; what they bring to the bot at one instant is one row.  What must stay true: nothing
here decides for the bot, and a seed's rows depend on the seed alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from decimal import Decimal

from bot.core import fold, views
from bot.core.step import step
from bot.model.commands import AnyCommand, Outward, PlaceOrder, RaiseAlert
from bot.model.entry import Entry
from bot.model.facts import (
    AccountSet,
    AnyFact,
    Booted,
    Channel,
    ChannelLost,
    ChannelOpened,
    InstrumentListed,
    InstrumentStatusSeen,
    ModeOrdered,
    RateSeen,
    Throttled,
    Tick,
)
from bot.model.ids import PairName
from bot.model.instrument import Instrument
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairState
from bot.model.store import OrderState, Pair, Store
from bot.shell.executor import Executor
from tests.simulation.explorer.books import Account, Books
from tests.simulation.explorer.coins import COINS
from tests.simulation.explorer.endings import Ending
from tests.simulation.explorer.judge import Judge
from tests.simulation.explorer.market import Book, Market
from tests.simulation.explorer.measure import Measure
from tests.simulation.explorer.scenario import PairPlan, Scenario, Trouble, bounds_of
from tests.simulation.explorer.troubles import IMPOSSIBLE, TROUBLES
from tests.simulation.explorer.venue import SECOND_NS, Venue

START_NS = 1_000_000 * SECOND_NS
WAIT_S = 15.0  # a trouble that waits for a pair's state begins without it after this
ENTRY_S = 60.0  # an entry is rare and short: what waits for one waits longer
INSTANT = ("adl_whole", "adl_part", "closed_by_hand", "jump", "funding", "bnb_gone", "restart")
BOOKS_S = 5  # how often the ledger is summed up


class World:
    """``rows`` is the journal; ``judge`` has what was broken."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.config = self.first_config = scenario.config
        instruments = list({one.id: one for plan in scenario.pairs for one in plan.legs}.values())
        self.contracts = {one.id: one for one in instruments}
        prices = {one.base: one.price for one in COINS if one.base in {plan.coin for plan in scenario.pairs}}
        self.market = Market(scenario.dice, instruments, prices)
        self.market.premium = frozenset(plan.short.id for plan in scenario.pairs)
        self.market.clip_quote = float(scenario.config.strategy.clip_quote)
        self.books = Books(scenario.wallets, instruments, scenario.fee_in)
        self.venue = Venue(self, self.books, self.market, scenario.dice, scenario.slow_s)
        self.venue.deadline_s = scenario.config.fuse.deadline_s
        self.venue.window_s = scenario.config.strategy.receive_window_s
        self.bounds = bounds_of(scenario.config)
        self.measures = {
            plan.name: Measure(plan, self.books, self.market, scenario.config.strategy)
            for plan in scenario.pairs
        }
        self.judge = Judge(scenario, self.venue, self.measures, self.bounds)
        self.judge.words = self.words
        self.ending = Ending(self)
        self.store = Store()
        self.executor = Executor(self.config.fuse, self.contracts, self._submit, self._put, self._alert)
        self.rows: list[Entry] = []
        self.now_ns = START_NS
        self.is_dead = self.is_down = True
        self.runs = self.ticks = self.sums = 0
        self.over = False
        self.waiting = list(scenario.troubles)
        self.active: list[Trouble] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._inbox: list[AnyFact] = []

    # --- time

    def at(self, at_ns: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(at_ns, self.now_ns), self._count, what))

    @property
    def now_s(self) -> float:
        return (self.now_ns - START_NS) / SECOND_NS

    def play(self) -> None:
        """Play the seed to the end of its ending."""
        with exact_arithmetic():
            for base in self.market.basis:
                self.market.basis[base], self.market.until_s[base] = 25.0, self.scenario.dice.uniform(8, 25)
            self.market.second(0.0)
            self._boot("none")
            self.at(self.now_ns + SECOND_NS, self._tick)
            while self._heap and not self.over:
                due_ns = self.executor.next_deadline_ns()
                if due_ns is not None and due_ns < self._heap[0][0] and not self.is_dead:
                    self.now_ns = max(self.now_ns, due_ns)
                    self.executor.expire(self.now_ns)
                else:
                    self.now_ns = self._heap[0][0]
                    while self._heap and self._heap[0][0] == self.now_ns:
                        heapq.heappop(self._heap)[2]()
                self._after()

    def _after(self) -> None:
        if self._inbox and not self.is_dead:
            self._row()
        self.judge.instant(self.now_ns, self.is_down)
        self._troubles()
        if self._inbox and not self.is_dead:
            self.at(self.now_ns + 1_000, lambda: None)

    def _row(self) -> None:
        facts, self._inbox = tuple(self._inbox), []
        for fact in facts:
            self.executor.saw(fact)
        admitted = step(self.store, self.now_ns, facts)
        commands: list[AnyCommand] = [one.command for one in admitted]
        self.rows.append(Entry(len(self.rows) + 1, self.now_ns, facts, tuple(commands)))
        self.judge.row(self.now_ns, facts, commands)
        self.executor.execute(admitted, self.now_ns)

    def _submit(self, command: Outward, at_ns: int) -> None:
        self.venue.submit(command, at_ns)
        if isinstance(command, PlaceOrder):
            self.judge.order_sent(self.venue.orders[command.client_id])

    def _put(self, fact: AnyFact) -> None:
        self._inbox.append(fact)

    def _alert(self, alert: RaiseAlert, at_ns: int) -> None:
        """Alerts are read from the commands."""

    # --- what the bot hears

    def hear(self, facts: list[AnyFact]) -> None:
        if not self.is_dead:
            self._inbox += facts

    def push(self, one: Instrument, facts: list[AnyFact]) -> None:
        """The venue tells, in the account's order, on the private channel."""
        self.venue.tell(self.books.account(one.id), facts, 0.02, Channel.PRIVATE)

    def _tick(self) -> None:
        self.ticks += 1
        self.market.second(self.now_s)
        self.at(self.now_ns + SECOND_NS, self._tick)
        if self.is_dead:
            return
        heard = {}
        for name, book in self.market.books.items():
            account = self.books.account(name)
            if Channel.MARKET not in account.lost and not book.stale:
                book.heard_ns = self.now_ns
                if not book.gapped:
                    self._inbox.append(book.shown(self.now_ns))
                if not book.instrument.is_spot and not book.stale_mark:
                    self._inbox.append(book.marked(self.now_ns))
            heard[name] = book.heard_ns
        self._inbox.append(Tick(heard, {}))
        if self.ticks % BOOKS_S == 0:
            self._sum_up()
        self.ending.second()

    def _sum_up(self) -> None:
        if self.is_down or not self.judge.money_is_whole(self.now_ns):
            return
        if all(account.reconciled for account in self.store.accounts.values()):
            residual = views.residual(self.store)
            self.sums += residual is not None
            if residual:
                self.judge.fail("residual", "", self.now_ns, f"{residual}")

    # --- runs

    def crash(self, down_s: float, previous: str) -> None:
        """The process dies; another one begins after a while and connects a moment later."""
        if self.is_dead:
            return
        self.is_dead = self.is_down = True
        self._inbox = []
        self.executor.lose_memory()
        self.venue.lose_answers()
        self.at(self.now_ns + int(down_s * SECOND_NS), lambda: self._boot(previous))

    def _boot(self, previous: str) -> None:
        self.is_dead = False
        self.runs += 1
        run_id = f"0run{self.runs:04}"
        facts: list[AnyFact] = [Booted(run_id, "0", self.config, previous)]
        facts += [InstrumentListed(one) for one in self.books.instruments.values()]
        facts.append(RateSeen("USDT", "USD", Decimal(1), self.now_ns))
        facts += [InstrumentStatusSeen(name, word, self.now_ns) for name, word in self.venue.status.items()]
        for account in self.books.accounts.values():
            if account.hedged or self.runs > 1:
                facts.append(AccountSet(account.id, account.hedged, False, self.now_ns))
            if account.throttled_ns > self.now_ns:
                facts.append(Throttled(account.id, account.throttled_ns, "-1003", "too many requests"))
        self.hear(facts)
        self.at(self.now_ns + int(self.scenario.dice.uniform(0.05, 1.0) * SECOND_NS), self._connect)

    def _connect(self) -> None:
        if self.is_dead:
            return
        self.is_down = False
        for account in self.books.accounts.values():
            self.hear([
                ChannelLost(account.id, channel, "connection refused")
                if channel in account.lost
                else ChannelOpened(account.id, channel)
                for channel in Channel
            ])  # fmt: skip

    # --- troubles

    def _troubles(self) -> None:
        if self.is_dead or self.ending.begun_ns:
            return
        for trouble in list(self.waiting):
            if self.now_s < trouble.at_s:
                break
            state = self._pair(trouble).state if self.store.pairs else None
            wait_s = ENTRY_S if trouble.wanted is PairState.ENTERING else WAIT_S
            is_late = self.now_s >= trouble.at_s + wait_s
            if trouble.wanted is not None and state is not trouble.wanted and not is_late:
                continue
            # what cannot begin yet, since nothing is held that it could take, waits like one for its state
            if self._begin(trouble) or trouble.wanted is None or is_late:
                self.waiting.remove(trouble)
        for trouble in self.active:
            if trouble.kind not in INSTANT:
                self._meet(trouble)
        self.ending.watch()

    def _begin(self, trouble: Trouble) -> bool:
        target = (trouble.kind, trouble.pair, trouble.leg)
        if any((one.kind, one.pair, one.leg) == target for one in self.active):
            return False
        state = self._pair(trouble).state
        if not TROUBLES[trouble.kind](self, trouble, True):
            return False
        trouble.began_ns = self.now_ns
        if trouble.kind == "closed_by_hand":
            self.judge.touched_by_hand(self.plan(trouble).name)
        trouble.met = (state,)
        self.active.append(trouble)
        self.at(self.now_ns + int(trouble.for_s * SECOND_NS), lambda: self.end_trouble(trouble))
        return True

    def end_trouble(self, trouble: Trouble) -> None:
        if trouble in self.active:
            self.active.remove(trouble)
            trouble.ended = True
            TROUBLES[trouble.kind](self, trouble, False)

    def _meet(self, trouble: Trouble) -> None:
        state = self._pair(trouble).state
        if state not in trouble.met and (trouble.kind, state.value) not in IMPOSSIBLE:
            trouble.met = (*trouble.met, state)

    # --- whom a trouble concerns

    def plan(self, trouble: Trouble) -> PairPlan:
        return self.scenario.pairs[trouble.pair]

    def leg(self, trouble: Trouble) -> Instrument:
        return self.plan(trouble).legs[trouble.leg]

    def contract(self, trouble: Trouble) -> Instrument:
        """The leg that is meant, or the other one where that is spot."""
        leg, plan = self.leg(trouble), self.plan(trouble)
        return plan.short if leg.is_spot else leg

    def account(self, trouble: Trouble) -> Account:
        return self.books.account(self.leg(trouble).id)

    def book(self, trouble: Trouble) -> Book:
        return self.market.books[self.leg(trouble).id]

    def books_of(self, trouble: Trouble, *, contract: bool) -> Book:
        return self.market.books[(self.contract(trouble) if contract else self.leg(trouble)).id]

    def first(self, trouble: Trouble) -> Instrument:
        """The leg as it was listed at first."""
        return self.leg(trouble)

    @property
    def clip(self) -> Decimal:
        return self.config.strategy.clip_quote

    def worth(self, one: Instrument, price: float) -> float:
        return float(one.contract_size) * (1.0 if one.inverse else price)

    def _pair(self, trouble: Trouble) -> Pair:
        return self.store.pairs[self.plan(trouble).name]

    # --- the end

    def order_flatten(self) -> None:
        names = ["*", *(plan.name for plan in self.scenario.pairs)]
        self.hear([ModeOrdered(name, Mode.FLATTENING, "desk", "the end") for name in names])

    def is_uncertain(self) -> bool:
        return any(self.store.orders[name].state is OrderState.UNCERTAIN for name in self.store.live)

    def words(self, name: PairName) -> str:
        """What the bot says of a pair: its state, its mode, why it is idle."""
        pair = self.store.pairs.get(name)
        if pair is None:
            return "not booted"
        mode = max(pair.mode, self.store.mode, key=lambda one: one.rank)
        return f"{pair.state.value} {mode.value} idle {pair.idle}"

    def refolded(self) -> Store:
        """What the journal alone gives."""
        store = Store()
        for row in self.rows:
            fold.refold(store, row)
        return store
