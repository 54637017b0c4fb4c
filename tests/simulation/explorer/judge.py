"""The judge: the laws of the exit, read from facts, commands and the venue's books.

It asks the product for nothing but what it sent and told.  A pair may be naked for its patience and its
attempts, longer where the venue lost an answer or did not do what was asked of both legs; or an exception
stands whose cause the venue confirms.  What must stay true: each allowance is counted from what the venue
did in this very episode.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from bot.model.commands import AnyCommand, PlaceOrder, RaiseAlert, SetMode
from bot.model.facts import AnyFact, Booted, Channel, ForcedFilled, ModeOrdered
from bot.model.ids import ClientId, PairName
from bot.model.instrument import notional_quote
from bot.model.money import ZERO
from bot.model.pair import Mode, Purpose, Role
from tests.simulation.explorer.excuses import Excuses
from tests.simulation.explorer.measure import Measure, Reach
from tests.simulation.explorer.scenario import Bounds, Scenario
from tests.simulation.explorer.venue import SECOND_NS, Held, Venue

GRACE_S = 20.0  # a contract closed by hand is adopted within 15 s of the questions it takes
TICK_S = 1.0  # the bot looks at the clock once a second
REMEMBERED_S = 60.0
FUSE_MARGIN = 1.1  # an order counts at its limit


class Failure(Struct, frozen=True):
    law: str
    pair: str
    at_ns: int
    detail: str


class Episode:
    """Since when a pair is naked without excuse, and what the venue did meanwhile."""

    def __init__(self) -> None:
        self.since_ns = 0
        self.partial = 0
        self.fruitless = [0, 0]

    def reset(self) -> None:
        self.since_ns, self.partial, self.fruitless = 0, 0, [0, 0]


class Judge:
    def __init__(
        self, scenario: Scenario, venue: Venue, measures: dict[PairName, Measure], bounds: Bounds
    ) -> None:
        config = scenario.config
        self.strategy, self.fuse = config.strategy, config.fuse
        self.venue, self.bounds, self.measures = venue, bounds, measures
        self.reach = {name: Reach(one, venue.status, bounds) for name, one in measures.items()}
        self.excuses = Excuses(venue, bounds, config.fuse.deadline_s)
        self.episodes = {name: Episode() for name in measures}
        self.orders: dict[PairName, list[Held]] = {name: [] for name in measures}
        self.grace_s = dict.fromkeys(measures, 0.0)
        self.failures: list[Failure] = []
        self.sent: dict[ClientId, None] = {}
        self.modes: dict[str, Mode] = {}
        self.excused: dict[str, int] = {}
        self.last_ns = 0
        self.is_lifted = False  # FLATTEN was ordered for good: to be halted is no excuse any more
        self.words: Callable[[PairName], str] = lambda name: ""  # what the bot says of a pair
        venue.ended = self.order_ended

    def fail(self, law: str, pair: str, at_ns: int, detail: str) -> None:
        """Tell a broken law once a pair."""
        if not any((one.law, one.pair) == (law, pair) for one in self.failures):
            self.failures.append(Failure(law, pair, at_ns, detail))

    # --- what passes by

    def row(self, at_ns: int, facts: tuple[AnyFact, ...], commands: list[AnyCommand]) -> None:
        for fact in facts:
            if isinstance(fact, ModeOrdered):
                self.modes[fact.scope] = fact.mode
            elif isinstance(fact, Booted) and fact.previous == "aborted":
                first = self.modes.get("*", Mode.ACTIVE)
                self.modes["*"] = max(first, Mode.REDUCE_ONLY, key=lambda mode: mode.rank)
        for command in commands:
            if isinstance(command, SetMode):
                self.modes[command.scope] = command.mode
            elif isinstance(command, RaiseAlert):
                self.excuses.hear(command)
            elif isinstance(command, PlaceOrder):
                if command.client_id in self.sent:
                    self.fail("sent twice", command.pair, at_ns, command.client_id)
                self.sent[command.client_id] = None
                if self.is_halted(command.pair):
                    self.fail("sent while halted", command.pair, at_ns, command.client_id)

    def is_halted(self, name: PairName) -> bool:
        return Mode.HALTED in (self.modes.get("*"), self.modes.get(name))

    def order_sent(self, held: Held) -> None:
        self.orders[held.command.pair].append(held)

    def order_ended(self, held: Held) -> None:
        """The venue ended an order: what it did not give, by no rule of its own, is counted."""
        order, episode = held.command, self.episodes[held.command.pair]
        if not held.filled and held.is_whim:
            episode.fruitless[0 if order.role is Role.LONG else 1] += 1
        elif 0 < held.filled < order.qty:
            episode.partial += 1

    def touched_by_hand(self, name: PairName) -> None:
        self.grace_s[name] = GRACE_S

    # --- at each instant

    def instant(self, now_ns: int, is_down: bool) -> None:
        passed_s = (now_ns - self.last_ns) / SECOND_NS
        self.last_ns = now_ns
        for name, measure in self.measures.items():
            episode = self.episodes[name]
            measure.settle(self.bounds)
            delta = measure.naked_base()
            if delta == 0 or is_down or self._is_unknowable(name, passed_s):
                episode.reset()
                continue
            if not episode.since_ns:
                episode.reset()
                episode.since_ns = now_ns
            naked_s = (now_ns - episode.since_ns) / SECOND_NS
            if naked_s < self.strategy.patience_s:
                continue
            excuse = self.excuse(name, now_ns)
            if excuse is not None:
                self.excused[excuse] = self.excused.get(excuse, 0) + 1
                episode.reset()
                continue
            allowed_s = self.allowed_s(name, delta, now_ns)
            if naked_s > allowed_s:
                worth = delta * measure.quotes[0].mid
                text = f"{worth:.2f} quote for {naked_s:.1f} s, allowed {allowed_s:.1f} s, {self.words(name)}"
                self.fail("naked", name, now_ns, text)

    def excuse(self, name: PairName, now_ns: int) -> str | None:
        self._forget(name, now_ns)
        is_halted = self.is_halted(name) and not self.is_lifted
        measure, reach = self.measures[name], self.reach[name]
        delta_quote = abs(measure.naked_base()) * measure.quotes[0].mid
        budget = float(self.fuse.closing_notional_per_min_quote)
        self.excuses.is_fuse_spent = self.closed_quote(now_ns) + delta_quote * FUSE_MARGIN > budget
        return self.excuses.of(measure, reach, self.orders[name], now_ns, is_halted)

    def _forget(self, name: PairName, now_ns: int) -> None:
        self.orders[name] = [
            order
            for order in self.orders[name]
            if not order.is_told or now_ns - order.sent_ns < REMEMBERED_S * SECOND_NS
        ]

    def _is_unknowable(self, name: PairName, passed_s: float) -> bool:
        """What nobody has told the bot, and no order of its own could have."""
        measure = self.measures[name]
        legs = [one.id for one in measure.plan.legs]
        for leg in legs:
            untold = measure.books.account(leg).untold.values()
            if any(isinstance(fact, ForcedFilled) and fact.instrument == leg for fact in untold):
                return True
        if self.grace_s[name] <= 0:
            return False
        accounts = [measure.books.account(leg) for leg in legs]
        if not any(one.lost or one.mute or self.last_ns < one.throttled_ns for one in accounts):
            self.grace_s[name] -= passed_s
        return True

    def allowed_s(self, name: PairName, delta: float, now_ns: int) -> float:
        """How long this episode may last, by what the venue did in it."""
        strategy, episode = self.strategy, self.episodes[name]
        answer_s = 1.0 + self.venue.longest_s
        attempts = max(1, strategy.repair_attempts) + 1 + (strategy.leg_policy == "sequenced")
        lost_s = self.fuse.deadline_s + strategy.receive_window_s + 2 * strategy.reask_s
        begun_ns = episode.since_ns - int(lost_s * SECOND_NS)
        lost = sum(order.is_lost and order.sent_ns > begun_ns for order in self.orders[name])
        allowed_s = strategy.patience_s + attempts * answer_s + TICK_S + lost * lost_s
        return allowed_s + episode.partial * answer_s + self._rounds_s(name, delta, now_ns, answer_s)

    def _rounds_s(self, name: PairName, delta: float, now_ns: int, answer_s: float) -> float:
        """Time for what the venue refused for no reason, once it did so on each leg that could be traded, and
        for the pauses between the rounds."""
        reach, episode = self.reach[name], self.episodes[name]
        could = [leg for leg in (0, 1) if reach.can_shrink(leg, delta, now_ns, self.bounds.collar_bps)]
        fruitless = [episode.fruitless[leg] for leg in could]
        if not fruitless or not all(fruitless):
            return 0.0
        rounds = min(fruitless) // max(1, self.strategy.repair_attempts)
        return sum(fruitless) * answer_s + sum(min(0.25 * 2.0**number, 30.0) for number in range(rounds))

    def closed_quote(self, now_ns: int) -> float:
        """What orders that do not enter were worth in the last minute."""
        young = [
            order.command
            for orders in self.orders.values()
            for order in orders
            if now_ns - order.sent_ns < REMEMBERED_S * SECOND_NS
        ]
        instruments = self.venue.books.instruments
        return sum(
            float(notional_quote(instruments[order.instrument], order.qty, order.price))
            for order in young
            if order.purpose is not Purpose.ENTER
        )

    # --- money

    def money_is_whole(self, now_ns: int) -> bool:
        """Whether every change of a wallet has been told, so that the ledger must close."""
        books = self.venue.books
        if any(books.missing.values()) or any(books.by_hand.values()):
            return False
        return not any(
            account.untold or Channel.PRIVATE in account.lost or account.tail_ns > now_ns
            for account in books.accounts.values()
        )

    def is_moved(self, name: PairName) -> bool:
        """Whether somebody else has moved a leg of this pair."""
        books = self.venue.books
        return any(
            books.missing.get(one.id, ZERO) or books.by_hand.get(one.id, ZERO)
            for one in self.measures[name].plan.legs
        )
