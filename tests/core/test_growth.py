"""What is kept of all pairs answers as a look at all of them would, and a tick passes over nobody wrongly.

Two stores hear the same facts.  One keeps its index from step to step; the other forgets it before each
step, so that every sum is made anew and every pair is looked at.  They must lead to the same commands.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from bench.growth import MadeBook
from bot.core import fold
from bot.core.step import step
from bot.model.commands import AnyCommand, NoteIdle, PlaceOrder, QueryAccount, QueryOrder, SetMode
from bot.model.config import Margin
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    BookGapped,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    ContractSet,
    FeeAssetSet,
    FundingEstimated,
    MarkSeen,
    ModeOrdered,
    OrderExpired,
    OrderNotFound,
    OrderRejected,
    OrderUncertain,
    PositionSeen,
    RateSeen,
    ResidualSettled,
    SettingsChanged,
    Throttled,
    Tick,
    Transferred,
)
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairSpec
from bot.model.store import Store, decode_store, drop_index, encode_store, index_of, state_sha256
from risk.audit import difference
from risk.parts import NearPrices
from risk.totals import Totals, totals
from risk.watch import mode_changes
from tests.core.world import SECOND_NS, World, make_config
from tests.instruments import INVERSE, LINEAR, SPOT
from tests.risk.plain_watch import plain_mode_changes

D = Decimal
OTHER_SPOT, OTHER_LINEAR = InstrumentId("binance:spot:ETHUSDT"), InstrumentId("binance:usdm:ETHUSDT")
NAMES = (SPOT, LINEAR, INVERSE, OTHER_SPOT, OTHER_LINEAR)
PAIRS = tuple(
    PairSpec(PairName(name), long, short, D(30_000))
    for name, long, short in (
        ("A", SPOT, LINEAR), ("B", SPOT, INVERSE), ("C", OTHER_SPOT, OTHER_LINEAR),
        ("D", LINEAR, OTHER_LINEAR), ("E", OTHER_SPOT, INVERSE),
    )
)  # fmt: skip


class Twins(World):
    """A world whose facts a second store hears too, which keeps nothing from step to step."""

    def __init__(self, dice: random.Random) -> None:
        limits: dict[str, Any] = {
            "pair_notional_max_quote": D(dice.choice((21_000, 60_000))),
            "venue_notional_max_quote": D(dice.choice((45_000, 200_000))),
            "gross_notional_max_quote": D(dice.choice((70_000, 400_000))),
            "net_delta_max_quote": D(dice.choice((2_000, 100_000, 100_000))),
            "liquidation_distance_min": dice.choice((0.15, 0.9)),
            "leverage_max": dice.choice((0.4, 3.0, 50.0)),
            "opening_orders_per_min": dice.choice((6, 60)),
        }
        strategy = {
            "leg_policy": dice.choice(("together", "sequenced")),
            "coin_margin": dice.choice(("baseline", "spot_leg")),
            "hold_min_s": dice.choice((0.0, 7.0)),
            "hold_max_s": dice.choice((0.0, 9.0)),
            "entry_carry_apr": dice.choice((None, 0.01)),
        }
        limits["margin_ratio_min"] = least = dice.choice((2.0, 350.0, 900.0))
        margin = Margin(opening_ratio_min=least * 1.001, deleverage_ratio=least * 0.999)
        config = make_config(strategy=strategy, limits=limits, margin=margin)
        cash = {"binance:usdm": {"USDT": D(dice.choice((100_000, 4_000)))}}
        super().__init__(replace(config, pairs=PAIRS, paper_reference="none"), cash)
        self.forgetful = Store()
        self.seen: Counter[str] = Counter()
        self.quiet = False  # prices move by a hair, and nobody asks for the sums between the steps

    def give(self, *facts: AnyFact, after_s: float = 0.001) -> list[AnyCommand]:
        self.at_ns += int(after_s * SECOND_NS)
        drop_index(self.forgetful)
        commands = [one.command for one in step(self.store, self.at_ns, facts)]
        again = [one.command for one in step(self.forgetful, self.at_ns, facts)]
        assert commands == again
        self.rows.append(Entry(len(self.rows) + 1, self.at_ns, facts, tuple(commands)))
        self.commands += commands
        index = index_of(self.store)
        if self.quiet and index is not None and isinstance(index.totals, Totals):
            self.seen["deferred"] += len(index.totals.deferred)
        if not self.quiet or len(self.rows) % 20 == 0:
            assert difference(self.store) == ""
        whole = decode_store(encode_store(self.store))
        with exact_arithmetic():
            assert mode_changes(whole, self.at_ns) == plain_mode_changes(whole, self.at_ns)
        self._count(facts, commands)
        return commands

    def _count(self, facts: tuple[AnyFact, ...], commands: list[AnyCommand]) -> None:
        index = index_of(self.store)
        assert index is not None
        if any(type(fact) is Tick for fact in facts):
            self.seen["passed over"] += sum(ns > self.at_ns for ns in index.due_ns.values())
        for command in commands:
            self.seen[type(command).__name__] += 1
            if isinstance(command, PlaceOrder):
                self.seen[type(command.why).__name__] += 1
            if isinstance(command, NoteIdle) and command.reason.startswith("guard_"):
                self.seen["refused"] += 1
            if isinstance(command, SetMode) and command.mode is Mode.REDUCE_ONLY:
                self.seen[("quiet " if self.quiet else "") + command.reason.split()[0]] += 1


def price_facts(world: Twins, dice: random.Random) -> list[AnyFact]:
    name = dice.choice(NAMES)
    price = 60_000.0 * (1.0 + dice.gauss(0.0, 0.0004 if world.quiet else 0.004))
    if dice.random() < 0.03 and not world.quiet:
        price *= dice.choice((0.7, 1.5))
    half = round(price * 0.0001, 1)
    book = world.book(name, round(price - half, 1), round(price + half, 1), dice.choice((0.2, 5.0)))
    mark: list[AnyFact] = []
    if "spot" not in name and dice.random() < 0.7:
        mark = [world.mark(name, D(repr(round(price, 1))), D(repr(round(price, 1))))]
    return [book, *mark] if dice.random() < 0.7 else mark or [book]


def order_facts(world: Twins, dice: random.Random) -> list[AnyFact]:
    """What a venue does with the orders that wait for an answer."""
    facts: list[AnyFact] = []
    for order in world.placed():
        roll, at_ns = dice.random(), world.at_ns
        if roll < 0.6:
            facts += world.fill(order)
        elif roll < 0.75:
            lots = order.qty / world.store.markets[order.instrument].instrument.lot
            part = (lots // 2) * world.store.markets[order.instrument].instrument.lot
            facts += world.fill(order, part)
        elif roll < 0.85:
            facts.append(OrderRejected(order.client_id, "-1", "no", at_ns))
        elif roll < 0.95:
            facts.append(OrderExpired(order.client_id, "IOC", at_ns))
        else:
            facts.append(OrderUncertain(order.client_id, "silence"))
    return facts


def rare_facts(world: Twins, dice: random.Random) -> list[AnyFact]:
    name = dice.choice(NAMES)
    account, at_ns = account_of(name), world.at_ns
    held = world.positions.get(LINEAR)
    choices: list[list[AnyFact]] = [
        [ModeOrdered("*", Mode.ACTIVE, "tester", "go on")],
        [ModeOrdered(dice.choice("ABCDE"), Mode.ACTIVE, "tester", "go on")],
        [ModeOrdered(dice.choice("ABCDE"), Mode.FLATTENING, "tester", "leave")],
        [RateSeen("USDT", "USD", D(dice.choice(("1", "0.998", "1.001"))), at_ns)],
        [ChannelLost(account, dice.choice(list(Channel)), "lost")],
        [ChannelOpened(account, channel) for account in world.wallets for channel in Channel],
        [BookGapped(name, 2, 5, at_ns)],
        [Throttled(account, at_ns + 3 * SECOND_NS, "429", "slow down")],
        [
            FundingEstimated(
                LINEAR, D(dice.choice(("0.0001", "0.0009"))), at_ns - 55 * SECOND_NS, at_ns, at_ns
            )
        ],
        [BalanceSeen(account, asset, amount, at_ns) for asset, amount in world.wallets[account].items()],
        [
            Transferred(account, asset, amount * D(dice.choice(("-0.3", "-0.9"))), f"t{at_ns}", at_ns)
            for asset, amount in world.wallets[account].items()
        ],
        [PositionSeen(LINEAR, held.qty, held.cost, at_ns)] if held is not None else [],
        [world.report(each) for each in world.wallets],
        [ContractSet(name, dice.choice((0, 20, 100, 125)), True, at_ns)] if "spot" not in name else [],
    ]
    facts = dice.choice(choices)
    if at_ns % 3 == 0:
        facts = [*facts, FeeAssetSet(SPOT, "USDT" if at_ns % 2 else "", at_ns)]
    elif at_ns % 11 == 0:
        facts = [*facts, ResidualSettled(PairName("B"), "tester", "sold")]
    for fact in facts:
        if isinstance(fact, Transferred):
            world.wallets[account][fact.asset] += fact.amount
    return facts


def tick_fact(world: Twins, dice: random.Random) -> Tick:
    now_ns = world.at_ns + SECOND_NS
    silent_ns = now_ns - dice.choice((0, 0, 0, 3, 7)) * SECOND_NS
    heard = {name: dice.choice((now_ns, silent_ns)) for name in NAMES}
    offset_ns = dice.choice((0, 0, 0, 0, 700_000_000))
    return Tick(heard, dict.fromkeys(world.wallets, offset_ns))


def live(world: Twins, dice: random.Random, steps: int) -> None:
    for _ in range(steps):
        roll = dice.random()
        if roll < 0.55:
            world.give(*price_facts(world, dice))
        elif roll < 0.8:
            if facts := order_facts(world, dice):
                world.give(*facts)
        elif roll < 0.94:
            world.give(tick_fact(world, dice), after_s=1.0)
        elif facts := rare_facts(world, dice):
            world.give(*facts)
        answer(world)


LIMITS = ("pair_notional", "gross_notional", "venue_notional", "net_delta")


def narrow(world: Twins, dice: random.Random, name: str) -> None:
    """One limit becomes as wide as what is held, and a hair more; every pair is free again."""
    config, book = world.store.config, totals(world.store)
    assert config is not None
    parts = [part.held.notional for part in book.parts.values() if part.held is not None]
    held = {
        "pair_notional": max(parts, default=D(1)),
        "gross_notional": book.held.gross,
        "venue_notional": max(book.held.venues.values(), default=D(1)),
        "net_delta": book.held.delta,
    }
    wide = {f"{each}_max_quote": D(10**9) for each in LIMITS}
    wide[f"{name}_max_quote"] = held[name] * D(dice.choice(("1.0001", "1.0003", "1.0009")))
    world.give(SettingsChanged(replace(config, limits=replace(config.limits, **wide)), "tester"))
    world.give(ModeOrdered("*", Mode.ACTIVE, "tester", "go on"))
    for pair in PAIRS:
        world.give(ModeOrdered(pair.name, Mode.PAUSED, "tester", "hold"))


def answer(world: Twins) -> None:
    for command in [one for one in world.commands if isinstance(one, QueryAccount | QueryOrder)]:
        if isinstance(command, QueryAccount):
            world.give(world.report(command.account))
        else:
            world.give(OrderNotFound(command.client_id, world.at_ns))
    world.commands = [one for one in world.commands if not isinstance(one, QueryAccount | QueryOrder)]


def begun(dice: random.Random) -> Twins:
    world = Twins(dice)
    world.boot()
    for name in NAMES:
        world.give(world.book(name, 59_990.0, 60_010.0))
        if "spot" not in name:
            world.give(world.mark(name, D(60_000), D(60_000)))
    return world


def run(seed: int, steps: int) -> Twins:
    dice = random.Random(seed)
    world = begun(dice)
    live(world, dice, steps)
    assert state_sha256(world.store) == state_sha256(world.forgetful)
    return world


def test_a_store_that_keeps_its_sums_decides_as_one_that_makes_them_anew() -> None:
    seen: Counter[str] = Counter()
    for seed in range(48):
        seen += run(seed, 150).seen
    assert seen["PlaceOrder"] > 200
    assert seen["passed over"] > 200
    assert seen["refused"] > 20
    assert seen["SetMargin"] > 2
    assert seen["Deleverage"] > 2
    passed = {rule for rule in seen if rule.endswith(("notional", "delta", "leverage", "distance", "ratio"))}
    assert len(passed) >= 4, seen


def test_a_pair_that_is_deferred_passes_no_limit_unnoticed() -> None:
    """Prices that move by a hair around limits that are as wide as what is held."""
    seen: Counter[str] = Counter()
    for seed in range(50):
        dice = random.Random(seed)
        world = begun(dice)
        live(world, dice, 60)
        world.quiet = True
        for limit in LIMITS:
            narrow(world, dice, limit)
            for _ in range(30):
                world.give(*price_facts(world, dice))
        seen += world.seen
        assert state_sha256(world.store) == state_sha256(world.forgetful)
    assert seen["deferred"] > 1000, seen
    assert min(seen[f"quiet {rule}"] for rule in LIMITS) > 10, seen


def test_a_part_is_near_only_between_its_prices_and_while_its_coins_count_as_they_did() -> None:
    made = MadeBook(1)
    pair = made.store.pairs[PairName("C000")]
    long, short = made.store.markets[pair.spec.long].mark, made.store.markets[pair.spec.short].mark
    assert long is not None
    assert short is not None
    near = NearPrices(long, long, short, short, counts=False)
    assert near.holds(made.store, pair)
    assert not replace(near, counts=True).holds(made.store, pair)
    bounds = {"long_low": long, "short_low": short, "long_high": long, "short_high": short}
    for bound, price in bounds.items():
        beyond = price + D("0.01") * (1 if bound.endswith("low") else -1)
        assert not replace(near, **{bound: beyond}).holds(made.store, pair), bound


def test_what_is_folded_again_has_the_same_sums() -> None:
    """After a snapshot the index is made from the store, and follows what is folded from there."""
    world = run(3, 150)
    again = Store()
    for row in world.rows[:-40]:
        fold.refold(again, row)
    again = decode_store(encode_store(again))
    assert index_of(again) is None
    for row in world.rows[-40:]:
        fold.refold(again, row)
        assert difference(again) == ""
    assert state_sha256(again) == state_sha256(world.store)


def test_a_sum_that_is_wrong_is_named() -> None:
    world = run(3, 60)
    totals(world.store).held.gross += D(1)
    assert difference(world.store).startswith("held gross: ")


def test_the_index_is_no_part_of_the_store() -> None:
    world = run(3, 20)
    assert index_of(world.store) is not None
    again = decode_store(encode_store(world.store))
    assert index_of(again) is None
    assert again == world.store
    assert state_sha256(again) == state_sha256(world.store)


def test_a_limit_that_a_mark_passes_acts_in_the_step_that_folds_the_mark() -> None:
    """At 200 pairs: of one pair for itself, and of the venue for every pair that has a part in it."""
    made = MadeBook(200)
    config = made.store.config
    assert config is not None
    assert all(pair.mode is Mode.ACTIVE for pair in made.store.pairs.values())
    limits = replace(config.limits, pair_notional_max_quote=D(15_000), venue_notional_max_quote=D(3_977_000))
    made.give([SettingsChanged(replace(config, limits=limits), "tester")])
    assert bound(made) == []
    name, high = made.name(AccountId("binance:usdm"), "C077"), D(170)
    made.give([MarkSeen(name, high, high, made.at_ns, made.at_ns)])
    assert bound(made) == ["C077"]
    assert made.store.pairs[PairName("C077")].mode_reason.startswith("pair_notional")
    other, higher = made.name(AccountId("binance:usdm"), "C078"), D(149)
    before = totals(made.store).held.venues["binance"]
    made.give([MarkSeen(other, higher, higher, made.at_ns, made.at_ns)])
    assert before <= 3_977_000 < totals(made.store).held.venues["binance"]
    assert len(bound(made)) == 200
    assert difference(made.store) == ""


def bound(made: MadeBook) -> list[str]:
    return [name for name, pair in made.store.pairs.items() if pair.mode is Mode.REDUCE_ONLY]


@pytest.mark.parametrize("kind", [BookSeen, MarkSeen])
def test_a_fact_of_one_pair_puts_one_pair_in_again(kind: type[AnyFact]) -> None:
    """Of many pairs the sums follow one: no other part is made anew."""

    made = MadeBook(12)
    before = dict(totals(made.store).parts)
    coin = made.coins[5]
    made.settle([made.book(AccountId("binance:spot"), coin) if kind is BookSeen else made.mark(coin)])
    after = totals(made.store).parts
    assert [name for name in after if after[name] is not before[name]] == [coin]
