"""A wallet that is too close to liquidation: both legs of its pairs are reduced, then nothing is opened.

One wallet of USDT margins the contracts.  The price rises: the short leg loses there what the coins gain in
another wallet, where no liquidation looks.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bot.core import fold
from bot.model.commands import (
    CancelOrder,
    Deleverage,
    Flatten,
    LegMissing,
    LegUnwound,
    MarginStage,
    PlaceOrder,
    RaiseAlert,
    SetMargin,
)
from bot.model.config import Margin
from bot.model.facts import BalanceSeen, BookGapped, ModeOrdered, Transferred
from bot.model.ids import AccountId, InstrumentId, PairName
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairSpec, PairState, Purpose, Role
from bot.model.store import Pair, Store, encode_store, state_sha256
from risk.exposure import pair_delta_base
from risk.margin import MarginState, account_margin
from risk.watch import holds
from tests.core.world import BTC, LINEAR, SECOND_NS, SPOT, D, World, instrument, make_config

USDM = AccountId("binance:usdm")
ETH = PairName("ETH")
ETH_SPOT, ETH_LINEAR = InstrumentId("binance:spot:ETHUSDT"), InstrumentId("binance:usdm:ETHUSDT")
LATCH, GIVEN = D("0.15"), D("0.075")
HOUR = 3600


def margin(store: Store) -> MarginState:
    with exact_arithmetic():
        return account_margin(store, USDM, "USDT")


def make_world(
    cash: str = "17500", *, two: bool = False, ratio_min: float = 2.0, margin: Margin | None = None
) -> World:
    """BTC, and where asked ETH beside it, entered up to their capital of 50,000 and 20,000 quote."""
    limits = {
        "leverage_max": 100.0, "pair_notional_max_quote": D(10**6), "venue_notional_max_quote": D(10**6),
        "gross_notional_max_quote": D(10**6), "net_delta_max_quote": D(10**6), "margin_ratio_min": ratio_min,
    }  # fmt: skip
    strategy = {"clip_quote": D(2500)}
    config = make_config(capital=50_000, limits=limits, strategy=strategy, margin=margin or Margin())
    if two:
        pairs = (*config.pairs, PairSpec(ETH, ETH_SPOT, ETH_LINEAR, D(20_000)))
        config = msgspec.structs.replace(config, pairs=pairs)
    world = World(config, balances={"binance:usdm": {"USDT": D(cash)}})
    world.instruments = [
        instrument(one.id, base="ETH") if "ETH" in one.id else one for one in world.instruments
    ]
    world.boot()
    price(world, 60_000.0, 0.0)
    for _ in range(24):
        world.tick()
        price(world, 60_000.0, 20.0)
        world.fill_all()
    for pair in world.store.pairs.values():
        assert pair.state is PairState.HEDGED
        assert pair.long.position.qty * 60_000 > pair.spec.capital_quote * D("0.95")
    return world


def price(world: World, at: float, gap_bps: float) -> None:
    facts = list(world.books(at, gap_bps))
    if ETH in world.store.pairs:
        for name, there in ((ETH_SPOT, at), (ETH_LINEAR, round(at * (1.0 + gap_bps / 1e4), 1))):
            facts.append(world.book(name, there, there))
    world.give(*facts)


def rise(world: World, to: float, start: float = 60_000.0) -> Iterator[float]:
    """The price by steps of 0.2 %, a second each, and every order filled at its limit."""
    at = start
    while at < to:
        at = round(at * 1.002, 2)
        world.tick()
        price(world, at, 0.0)
        yield at


def stages(world: World) -> list[MarginStage]:
    return [one.stage for one in world.commands if isinstance(one, SetMargin)]


def begin(world: World) -> list[PlaceOrder]:
    """The first group that is given; before it nothing was sent."""
    for _ in rise(world, 90_000.0):
        orders = world.placed()
        if orders:
            return orders
    raise AssertionError("nothing was given")


def pair_of(world: World, name: PairName = BTC) -> Pair:
    return world.store.pairs[name]


def test_both_legs_are_reduced_until_the_wallet_is_inside_its_limits_again() -> None:
    world = make_world()
    held, given = pair_of(world).long.position.qty, 0
    last = 0.0
    for at in rise(world, 84_000.0):
        was, last = margin(world.store), at
        assert was.equity > was.maintenance, "liquidated"
        orders = world.placed()
        if stages(world)[-1:] == [MarginStage.WAITING]:
            assert given
            assert orders == []
            break
        if not orders:
            continue
        given += 1
        if given == 1:
            assert was.distance < GIVEN
            assert stages(world) == [MarginStage.GIVING]
            assert pair_of(world).mode is Mode.REDUCE_ONLY  # the limit has latched on the way
        assert [(one.role, one.purpose, type(one.why)) for one in orders] == [
            (Role.SHORT, Purpose.EXIT, Deleverage),
            (Role.LONG, Purpose.EXIT, Deleverage),
        ]
        world.give(*[fact for order in orders for fact in world.fill(order)])
        assert abs(pair_delta_base(world.store, pair_of(world))) <= D("0.001")
    assert given > 1
    left = pair_of(world).long.position.qty
    assert 0 < left < held
    assert stages(world) == [MarginStage.GIVING, MarginStage.WAITING]
    assert LATCH <= margin(world.store).distance < LATCH * D("1.1")
    for _ in range(30):  # nothing more is given where the price stands still
        world.tick()
        price(world, last, 0.0)
        world.fill_all()
    assert pair_of(world).long.position.qty == left
    assert (pair_of(world).state, pair_of(world).mode) == (PairState.HEDGED, Mode.REDUCE_ONLY)


def test_without_the_threshold_the_same_rise_liquidates_the_short_leg() -> None:
    world = make_world(margin=Margin(deleverage_ratio=1.0, deleverage_distance=0.0))
    lowest = min(margin(world.store).equity - margin(world.store).maintenance for _ in rise(world, 82_000.0))
    assert lowest < 0


def test_an_alert_stands_while_it_gives_and_no_budget_counts_the_fees() -> None:
    world = make_world()
    spent = {day: fees.spent for day, fees in pair_of(world).spending.days.items()}
    orders = begin(world)
    assert "deleveraging:binance:usdm" in world.store.alerts
    world.give(*[fact for order in orders for fact in world.fill(order)])
    days = pair_of(world).spending.days
    assert {day: fees.spent for day, fees in days.items()} == spent
    assert sum(fees.other for fees in days.values()) > 0
    for _ in range(20):
        world.tick()
        world.fill_all()
    assert world.store.accounts[USDM].deleveraged["USDT"].stage is MarginStage.WAITING
    assert "deleveraging:binance:usdm" not in world.store.alerts
    ends = [one for one in world.commands if isinstance(one, RaiseAlert) and one.severity == "info"]
    assert [one.key for one in ends] == ["deleveraging:binance:usdm"]


def test_nothing_is_opened_until_it_was_inside_the_opening_limits_for_an_hour() -> None:
    world = make_world()
    begin_price = give_until_inside(world)
    world.give(ModeOrdered(BTC, Mode.ACTIVE, "desk", "margin comes"))
    assert [hold.code for hold in holds(world.store, world.at_ns, pair_of(world))] == ["deleveraged"]
    deposit(world, "100000")
    world.tick()
    price(world, begin_price, 0.0)
    assert world.store.accounts[USDM].deleveraged["USDT"].stage is MarginStage.INSIDE
    since_ns = world.at_ns
    while world.at_ns - since_ns < (HOUR - 10) * SECOND_NS:
        world.tick(5.0)
        price(world, begin_price, 20.0)  # the signal to enter stands all the time
        agree(world)
        assert world.placed() == []
    assert [hold.code for hold in holds(world.store, world.at_ns, pair_of(world))] == ["deleveraged"]
    for _ in range(6):
        world.tick(5.0)
        price(world, begin_price, 20.0)
        agree(world)
    assert {one.purpose for one in world.placed()} == {Purpose.ENTER}
    assert world.store.accounts[USDM].deleveraged == {}


def test_the_hour_begins_anew_where_the_wallet_leaves_the_opening_limits() -> None:
    world = make_world()
    at = give_until_inside(world)
    deposit(world, "3000")
    price(world, at, 0.0)
    assert margin(world.store).distance > LATCH * D("1.1")
    assert world.store.accounts[USDM].deleveraged["USDT"].stage is MarginStage.INSIDE
    for _ in rise(world, at * 1.2, at):
        if margin(world.store).distance < LATCH * D("1.1"):
            break
    assert margin(world.store).distance > LATCH
    assert world.store.accounts[USDM].deleveraged["USDT"].stage is MarginStage.WAITING
    assert world.placed() == []


def give_until_inside(world: World) -> float:
    """The price at which a wallet gave, until it was inside its limits."""
    orders = begin(world)
    world.give(*[fact for order in orders for fact in world.fill(order)])
    market = world.store.markets[SPOT]
    at = market.bids[0][0]
    for _ in range(20):
        world.tick()
        price(world, at, 0.0)
        world.fill_all()
    assert world.store.accounts[USDM].deleveraged["USDT"].stage is MarginStage.WAITING
    return at


def deposit(world: World, amount: str) -> None:
    wallet = world.wallets[USDM]
    wallet["USDT"] += D(amount)
    world.give(
        Transferred(USDM, "USDT", D(amount), f"deposit {amount}", world.at_ns),
        BalanceSeen(USDM, "USDT", wallet["USDT"], world.at_ns),
    )


def agree(world: World) -> None:
    world.answer_accounts()


def test_margin_that_comes_ends_it_and_nothing_more_is_given() -> None:
    world = make_world()
    orders = begin(world)
    world.give(*[fact for order in orders for fact in world.fill(order)])
    held = pair_of(world).long.position.qty
    deposit(world, "50000")
    for _ in range(20):
        world.tick()
        price(world, 75_000.0, 0.0)
        assert world.placed() == []
    assert pair_of(world).long.position.qty == held
    assert pair_of(world).state is PairState.HEDGED


def test_the_pair_with_most_at_stake_gives_first_and_one_that_cannot_is_passed_over() -> None:
    world = make_world("24500", two=True)
    orders = begin(world)
    assert {one.pair for one in orders} == {BTC}
    assert pair_of(world, ETH).idle == "deleveraging"
    blind = make_world("24500", two=True)
    blind.give(BookGapped(SPOT, 1, 2, world.at_ns))
    for _ in range(200):
        if blind.store.accounts[USDM].deleveraged:
            break
        at = blind.store.markets[LINEAR].bids[0][0]
        higher = round(at * 1.002, 1)
        blind.tick()
        books = [blind.book(name, higher, higher) for name in (LINEAR, ETH_SPOT, ETH_LINEAR)]
        blind.give(*books)
    assert {one.pair for one in blind.placed()} == {ETH}
    assert pair_of(blind).idle == "venue_down"


def test_other_pairs_of_the_wallet_open_nothing_meanwhile() -> None:
    world = make_world("24500", two=True)
    begin(world)
    assert "deleveraging" in [hold.code for hold in holds(world.store, world.at_ns, pair_of(world, ETH))]
    assert "deleveraging" in [hold.code for hold in holds(world.store, world.at_ns, pair_of(world))]


def test_a_leg_that_is_missed_on_the_way_is_repaired_first() -> None:
    world = make_world()
    short, long = begin(world)
    world.give(*world.fill(short), *world.fill(long, D(0)))
    for _ in range(40):
        world.tick(0.25)
        sent = world.placed()
        if sent:
            break
    assert [type(one.why) for one in sent] in ([LegMissing], [LegUnwound])
    assert abs(pair_delta_base(world.store, pair_of(world))) > D("0.03")


def test_flatten_and_halt_are_stronger() -> None:
    world = make_world()
    orders = begin(world)
    world.give(*[fact for order in orders for fact in world.fill(order)])
    world.give(ModeOrdered("*", Mode.FLATTENING, "desk", "away"))
    world.tick()
    assert {type(one.why) for one in world.placed()} == {Flatten}
    world = make_world()
    world.give(ModeOrdered("*", Mode.HALTED, "desk", "hands off"))
    for _ in rise(world, 78_000.0):
        assert not [one for one in world.placed() if not isinstance(one, CancelOrder)]
    assert stages(world) == [MarginStage.GIVING]


def test_a_threshold_by_ratio_gives_too() -> None:
    world = make_world(ratio_min=60.0, margin=Margin(deleverage_ratio=40.0, deleverage_distance=0.0))
    orders = begin(world)
    (state,) = world.store.accounts[USDM].deleveraged.values()
    assert (state.rule, state.limit) == ("margin_ratio", "40")
    assert orders


def test_stages_are_folded_again_from_the_journal() -> None:
    world = make_world()
    orders = begin(world)
    world.give(*[fact for order in orders for fact in world.fill(order)])
    again = Store()
    for row in world.rows:
        fold.refold(again, row)
    assert again.accounts[USDM].deleveraged["USDT"].stage is MarginStage.GIVING
    assert state_sha256(again) == state_sha256(world.store)
    assert msgspec.json.decode(encode_store(again), type=Store).accounts[USDM].deleveraged
