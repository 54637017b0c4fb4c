"""A market that tempts a strategy to trade for nothing, and the sums of what that costs.

The real step, in virtual time of days to weeks: the price gap comes and goes without reason, so that pairs
enter and leave; the venue fills whole, in part, late or not at all, and refuses a leg for hours; runs end and
begin again; some positions leave by age, and some seeds end with FLATTEN.  Nobody resumes anything.

`Sums` adds up from orders and fills alone, and knows nothing of how the product counts.
"""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal

import msgspec
from msgspec import Struct, field

from bot.core.fold import refold
from bot.model.commands import AnyCommand, ExitCarry, ExitGap, NoteIdle, PlaceOrder, RaiseAlert
from bot.model.config import Budget, Config
from bot.model.facts import AnyFact, ModeOrdered, OrderFilled, OrderRejected
from bot.model.ids import ClientId, PairName
from bot.model.instrument import notional_quote
from bot.model.money import exact_arithmetic, floor_to
from bot.model.pair import Mode, PairSpec, Purpose, Role
from bot.model.store import Pair, Store, state_sha256
from tests.core.world import BTC, INVERSE, LINEAR, SECOND_NS, SPOT, D, World, instrument, make_config

DAY_NS = 86_400 * SECOND_NS
MONTH_NS = 30 * DAY_NS
START_NS = 20_000 * DAY_NS  # 00:00 UTC
OTHER = PairName("BTCUSD")
SIGNALS = (ExitCarry, ExitGap)
HIGH_BPS, LOW_BPS = 15.0, -15.0


class Paid(Struct, frozen=True):
    at_ns: int
    pair: PairName
    fee: Decimal
    spends: bool


class Sums(Struct):
    """What was paid, and which entries were given back."""

    paid: list[Paid] = field(default_factory=list)
    orders: dict[ClientId, PlaceOrder] = field(default_factory=dict)
    entering: dict[PairName, bool] = field(default_factory=dict)  # whether it gave something back yet
    undone_ns: dict[PairName, list[int]] = field(default_factory=lambda: defaultdict(list))
    exits: dict[tuple[PairName, int], Decimal] = field(default_factory=dict)  # (pair, day) → dearest one
    idles: set[str] = field(default_factory=set)
    alerts: set[str] = field(default_factory=set)
    opened: bool = False

    def sent(self, commands: list[AnyCommand]) -> None:
        for command in commands:
            if isinstance(command, PlaceOrder):
                self.orders[command.client_id] = command
                if command.purpose is Purpose.ENTER:
                    self.entering[command.pair] = False
                elif command.purpose is Purpose.EXIT:
                    self.entering.pop(command.pair, None)
            elif isinstance(command, NoteIdle):
                self.idles.add(command.reason)
            elif isinstance(command, RaiseAlert):
                self.alerts.add(command.key)

    def filled(self, at_ns: int, facts: list[AnyFact]) -> None:
        for fact in facts:
            if not isinstance(fact, OrderFilled):
                continue
            order = self.orders[ClientId(fact.client_id)]
            fee = fact.fee if fact.fee_asset == "USDT" else fact.fee * fact.price
            leaves_by_signal = order.purpose is Purpose.EXIT and isinstance(order.why, SIGNALS)
            spends = order.purpose is Purpose.ENTER or leaves_by_signal
            self.paid.append(Paid(at_ns, order.pair, fee, spends))
            back = fact.side is not order.role.opening_side
            if back and self.entering.get(order.pair) is False:
                self.entering[order.pair] = True
                self.undone_ns[order.pair].append(at_ns)

    def held(self, at_ns: int, pair: Pair, price: Decimal) -> None:
        """Note what a complete exit of what is held would cost now, both legs as large as the larger one."""
        worth, rates = D(0), D(0)
        for leg in pair.legs:
            one = instrument(leg.instrument)
            worth = max(worth, abs(notional_quote(one, leg.position.qty, price)))
            rates += one.taker_rate
        key = (pair.spec.name, at_ns // DAY_NS)
        self.exits[key] = max(self.exits.get(key, D(0)), worth * rates)
        self.opened = self.opened or all(leg.position.qty for leg in pair.legs)


class Plan(Struct, frozen=True):
    """What a seed stands for."""

    config: Config
    days: float
    moments: int
    whole: float  # how often an order fills whole
    refusing: float  # how often a leg is refused for hours
    flattens: bool
    restarts: int
    swing: float  # of the price from one look to the next


class Played(Struct, frozen=True):
    plan: Plan
    sums: Sums
    world: World


def plan(seed: int) -> Plan:
    """Budgets are the defaults in every other seed."""
    dice = random.Random(seed)
    capital = dice.choice((10_000, 20_000, 50_000))
    budget = Budget()
    if seed % 2:
        budget = Budget(
            fees_day_pair_bps=dice.choice((40.0, 60.0, 200.0)),
            fees_day_book_bps=dice.choice((40.0, 80.0, 200.0)),
            fees_month_pair_bps=dice.choice((60.0, 150.0, 500.0)),
            turnover_day_pair=dice.choice((1.0, 2.0, 5.0)),
            undone_pause_s=dice.choice((0.0, 10.0, 600.0)),
            undone_max=dice.choice((1, 3, 5)),
            refused_orders_per_min=dice.choice((3, 20)),
            loss_day_bps=dice.choice((50.0, 1000.0)),
            loss_peak_bps=dice.choice((100.0, 1000.0)),
        )
    strategy = {
        "clip_quote": D(capital) / dice.choice((1, 1, 2, 4)),
        "leg_policy": dice.choice(("together", "together", "sequenced")),
        "hold_max_s": dice.choice((0.0, 0.0, 7200.0)),
        "repair_attempts": dice.choice((0, 1, 3)),
        "reconcile_s": 1e7,
    }
    limits = {
        "pair_notional_max_quote": D(100_000), "order_notional_max_quote": D(100_000),
        "naked_max_quote": D(100_000), "net_delta_max_quote": D(100_000),
        "gross_notional_max_quote": D(10**6), "venue_notional_max_quote": D(10**6),
    }  # fmt: skip
    config = make_config(dice.choice((LINEAR, INVERSE)), capital, strategy=strategy, limits=limits)
    if dice.random() < 0.3:
        short = INVERSE if config.pairs[0].short == LINEAR else LINEAR
        both = (*config.pairs, PairSpec(OTHER, SPOT, short, D(capital)))
        config = msgspec.structs.replace(config, pairs=both)
    return Plan(
        config=msgspec.structs.replace(config, budget=budget),
        days=dice.choice((0.3, 1.5, 5.0, 40.0)),
        moments=dice.choice((20, 40, 70)),
        whole=dice.choice((1.0, 0.95, 0.7)),
        refusing=dice.choice((0.0, 0.0, 0.05, 0.3)),
        flattens=dice.random() < 0.3,
        restarts=dice.choice((0, 0, 1, 2)),
        swing=dice.choice((0.002, 0.006, 0.02)),
    )


class Market:
    """One seed on its way."""

    def __init__(self, seed: int) -> None:
        self.plan, self.dice, self.sums = plan(seed), random.Random(f"market {seed}"), Sums()
        wallets = {"binance:spot": {"USDT": D(10**6)}, "binance:usdm": {"USDT": D(10**6)}}
        self.world = World(self.plan.config, {**wallets, "binance:coinm": {"BTC": D(100)}})
        self.world.wallets = {one.account: self.world.wallets[one.account] for one in self.world.instruments}
        self.world.at_ns = START_NS + self.dice.randrange(DAY_NS)
        self.price, self.gap_bps = 60_000.0, 0.0
        self.refused: Role | None = None

    def play(self) -> Played:
        plan, world = self.plan, self.world
        world.boot()
        self._look(0.0)
        boots = set(self.dice.sample(range(plan.moments), plan.restarts))
        for moment in range(plan.moments):
            if moment in boots:
                world.boot("crash")
                self.sums.sent(world.commands)  # a boot may trade at once
            if self.refused is None and self.dice.random() < plan.refusing:
                self.refused = self.dice.choice(tuple(Role))
            elif self.dice.random() < 0.3:
                self.refused = None
            # a calm market carries a position for a while; a nervous one turns at each look
            self.gap_bps = self.dice.choice((HIGH_BPS, LOW_BPS, 0.0))
            self.price *= 1.0 + self.dice.gauss(0.0, plan.swing)
            self._look(self.dice.expovariate(1.0) * plan.days * 86_400 / plan.moments)
            self._trade()
        if plan.flattens:
            self.refused = None
            self._give(ModeOrdered("*", Mode.FLATTENING, "test", "the end"))
            self._trade()
        return Played(plan, self.sums, world)

    def _give(self, *facts: AnyFact, after_s: float = 0.05) -> None:
        commands = self.world.give(*facts, after_s=after_s)
        self.sums.filled(self.world.at_ns, list(facts))
        self.sums.sent(commands)
        for pair in self.world.store.pairs.values():
            self.sums.held(self.world.at_ns, pair, D(repr(round(self.price, 2))))

    def _look(self, after_s: float) -> None:
        """Books of all legs, at a new price and gap."""
        world, facts = self.world, []
        now = world.at_ns + int(after_s * SECOND_NS)
        for one in world.instruments:
            mid = self.price if one.id == SPOT else self.price * (1.0 + self.gap_bps / 1e4)
            places = 2 if one.id == SPOT else 1
            bid, ask = round(mid, places), round(mid, places)
            facts.append(msgspec.structs.replace(world.book(one.id, bid, ask, 50.0), seen_ns=now))
        self._give(*facts, after_s=after_s)

    def _trade(self) -> None:
        """Answer orders until none comes for a few seconds."""
        idle = 0
        for _ in range(60):
            orders = self.world.placed()
            if orders:
                idle = 0
                for order in orders:
                    self._give(*self._answer(order))
                continue
            idle += 1
            if idle > 3:
                return
            self._look(1.1)

    def _answer(self, order: PlaceOrder) -> list[AnyFact]:
        world = self.world
        if order.role is self.refused and order.purpose is not Purpose.UNWIND:
            code, words = ("-2010", "not permitted") if order.role is Role.LONG else ("-2027", "no leverage")
            return [OrderRejected(order.client_id, code, words, world.at_ns)]
        if self.dice.random() < self.plan.whole:
            return world.fill(order)
        part = Decimal(repr(self.dice.choice((0.0, 0.0, 0.3, 0.8))))
        with exact_arithmetic():
            return world.fill(order, floor_to(order.qty * part, instrument(order.instrument).lot))


def play(seed: int) -> Played:
    return Market(seed).play()


def broken(played: Played) -> list[str]:
    """Which laws of economy a seed has broken, as sentences; a day's book by what its pairs paid."""
    sums, config = played.sums, played.plan.config
    budget, found = config.budget, []
    capital = {pair.name: pair.capital_quote for pair in config.pairs}
    # a fee in coin counts by the store's price of the coin, here by the fill's own
    slack = D("1.002")
    for name, base in capital.items():
        mine = [paid for paid in sums.paid if paid.pair == name]
        day = base * D(repr(budget.fees_day_pair_bps)) / 10_000 * slack
        month = base * D(repr(budget.fees_month_pair_bps)) / 10_000 * slack
        for what, limit, spans in (("day", day, _by_day(mine)), ("month", month, _by_month(mine))):
            for since_ns, paid in spans:
                spent = sum((one.fee for one in paid if one.spends), D(0))
                everything = sum((one.fee for one in paid), D(0))
                days = range(since_ns // DAY_NS, paid[-1].at_ns // DAY_NS + 1)
                leaving = max(sums.exits.get((name, one), D(0)) for one in days) * slack
                if spent > limit:
                    found.append(f"{name}: spent {spent} of {limit} in a {what} from {since_ns}")
                if everything > limit + leaving:
                    found.append(
                        f"{name}: paid {everything} of {limit} + {leaving} in a {what} from {since_ns}"
                    )
        times = sums.undone_ns[name]
        for index, last_ns in enumerate(times):
            count = sum(1 for ns in times[: index + 1] if ns > last_ns - DAY_NS)
            if count > budget.undone_max:
                found.append(f"{name}: {count} entries given back in a day until {last_ns}")
    book = sum(capital.values(), D(0)) * D(repr(budget.fees_day_book_bps)) / 10_000 * slack
    for since_ns, paid in _by_day(sums.paid):
        spent = sum((one.fee for one in paid if one.spends), D(0))
        if spent > book:
            found.append(f"book: spent {spent} of {book} on the day from {since_ns}")
    return found


def acted(played: Played) -> set[str]:
    """The budgets that kept an entry back, paused, or bound everything."""
    codes = {code for code in played.sums.idles if code.startswith("budget_") or code == "entry_was_unwound"}
    alerts = {key.split(":")[1] for key in played.sums.alerts if key.startswith("budget:")}
    return codes | {f"alert {what}" for what in alerts}


def refolds(played: Played) -> bool:
    """Whether folding the rows alone gives the same store, counts included."""
    store = Store()
    for row in played.world.rows:
        refold(store, row)
    return state_sha256(store) == state_sha256(played.world.store)


def _by_day(paid: list[Paid]) -> list[tuple[int, list[Paid]]]:
    days: dict[int, list[Paid]] = defaultdict(list)
    for one in paid:
        days[one.at_ns // DAY_NS].append(one)
    return [(day * DAY_NS, fees) for day, fees in days.items()]


def _by_month(paid: list[Paid]) -> list[tuple[int, list[Paid]]]:
    """Every window of 30 days that ends with a payment."""
    return [
        (last.at_ns - MONTH_NS, [one for one in paid[: index + 1] if one.at_ns > last.at_ns - MONTH_NS])
        for index, last in enumerate(paid)
    ]


__all__ = ["BTC", "Played", "acted", "broken", "plan", "play", "refolds"]
