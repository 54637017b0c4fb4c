"""From every state there is a way out, and the program takes it: how much goes at once.

The venue here is `World`'s: it fills at the limit what it is told to fill, and its positions are its own.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.model.facts import (
    AnyFact,
    Channel,
    ChannelLost,
    InstrumentListed,
    ModeOrdered,
    Tick,
)
from bot.model.pair import Mode, PairState, Purpose, Role
from risk.exposure import tolerance_base
from tests.core.way_out import (
    FLATTEN,
    WIDE,
    D,
    beat,
    delta_of,
    flatten,
    is_hedged,
    pair_of,
    play,
    steady,
)  # fmt: skip
from tests.core.world import INVERSE, LINEAR, SECOND_NS, SPOT, World, hedged, make_config

# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.012, 0.05, 0.1])
def test_an_exit_takes_what_both_ladders_hold_and_leaves_no_crumb_in_one_leg(size: float) -> None:
    world = hedged()
    world.give(world.book(SPOT, 60_000.0, 60_001.0, size), world.book(LINEAR, 60_000.0, 60_001.0))
    world.give(FLATTEN)
    sent = world.placed()
    world.give(*[fact for order in sent for fact in world.fill(order)])

    def books() -> tuple[AnyFact, ...]:
        return (world.book(SPOT, 60_000.0, 60_001.0, size), world.book(LINEAR, 60_000.0, 60_001.0))

    sent += play(world, 40, books)
    assert all(order.qty <= D(repr(size)) + D("0.001") for order in sent)
    assert pair_of(world).state is PairState.FLAT
    assert {order.purpose for order in sent} == {Purpose.EXIT}


@pytest.mark.parametrize(
    ("lot", "notional_min"), [("0.01", "5"), ("0.1", "5"), ("1", "5"), ("0.00001", "20000")]
)
def test_filters_that_change_while_holding_leave_what_cannot_trade_hedged(
    lot: str, notional_min: str
) -> None:
    world = hedged()
    spot = world.instruments[0]
    coarser = msgspec.structs.replace(
        spot, lot=D(lot), qty_min=D(lot), notional_min=D(notional_min), qty_max=D(10_000)
    )
    world.instruments[0] = coarser
    world.give(InstrumentListed(coarser), FLATTEN)
    sent = world.placed()
    world.give(*[fact for order in sent for fact in world.fill(order)])
    sent += play(world, 20, steady(world))
    assert all(order.qty % D(lot) == 0 for order in sent if order.instrument == SPOT)
    assert abs(delta_of(world)) <= 2 * tolerance_base(world.store, pair_of(world))
    rest = world.wallets[coarser.account]["BTC"]
    assert rest * 60_000 > 25, "the premise: more than dust is left"
    assert world.positions[LINEAR].qty != 0
    assert abs(rest + world.positions[LINEAR].qty) <= D("0.001") + D("0.0001")
    assert pair_of(world).idle == "stranded"
    assert pair_of(world).state is PairState.HEDGED


@pytest.mark.parametrize("hold", ["premium", "clock", "private"])
def test_sequenced_leaves_under_any_hold(hold: str) -> None:
    world = hedged(strategy={"leg_policy": "sequenced"}, **WIDE)
    assert pair_of(world).state is PairState.HEDGED
    spot = world.instruments[0].account
    holds: dict[str, AnyFact] = {
        "premium": world.mark(LINEAR, D(60_000), D(59_100)),
        "clock": Tick({}, {spot: 600_000_000}),
        "private": ChannelLost(spot, Channel.PRIVATE, "socket closed"),
    }
    sent = flatten(world, holds[hold])
    for _ in range(
        8 if hold == "premium" else 0
    ):  # the contract lies beyond its collar until that has doubled
        beat(world)
        sent += world.placed()
    assert {order.role for order in sent} == set(Role), "both together, in the mode that forbids to open"
    world.give(*[fact for order in sent for fact in world.fill(order)])
    assert world.positions[LINEAR].qty == 0


def test_sequenced_sends_both_legs_of_an_exit_where_a_hold_forbids_to_open() -> None:
    strategy = {"leg_policy": "sequenced", "hold_max_s": 5.0, "exit_gap_bps": None}
    world = hedged(strategy=strategy, **WIDE)
    beat(world, *world.books(60_000.0, 0.0), after_s=6.0)
    (first,) = world.placed()
    assert first.role is Role.SHORT
    world = hedged(strategy=strategy, **WIDE)
    world.give(Tick({}, {world.instruments[0].account: 600_000_000}))
    world.placed()
    now = world.at_ns + 6 * SECOND_NS
    offset = {world.instruments[0].account: 600_000_000}
    world.give(Tick({SPOT: now, LINEAR: now}, offset), after_s=6.0)
    world.give(*world.books(60_000.0, 0.0))
    assert {order.role for order in world.placed()} == set(Role)


def test_the_table_asks_for_no_more_than_the_fuse_lets_pass() -> None:
    world = World(make_config(capital=60_000))
    world.config = world.store.config or world.config
    fuse = msgspec.structs.replace(world.config.fuse, closing_notional_per_min_quote=D(50_000))
    world = World(msgspec.structs.replace(make_config(capital=60_000), fuse=fuse))
    world.boot()
    world.quote(60_000.0, 0.0)
    for _ in range(8):
        beat(world, *world.books(60_000.0, 20.0))
        world.fill_all()
    assert pair_of(world).long.position.qty * 60_000 > 55_000
    world.give(FLATTEN)
    spent: list[tuple[int, Decimal]] = []
    for _ in range(240):
        orders = world.placed()
        if orders:
            assert len(orders) == 2, "never one leg alone"
            spent.append((world.at_ns, sum((order.qty * order.price for order in orders), D(0))))
            minute = [worth for at_ns, worth in spent if world.at_ns - at_ns < 60 * SECOND_NS]
            assert sum(minute, D(0)) <= 50_000
            world.give(*[fact for order in orders for fact in world.fill(order)])
        beat(world, *world.books(60_000.0, 0.0))
    assert pair_of(world).state is PairState.FLAT


def test_the_least_clip_is_whole_lots_of_the_coarser_leg() -> None:
    """Coins that must be worth 200 go with contracts of 100: three of them, not two."""
    world = hedged(INVERSE)
    spot = msgspec.structs.replace(world.instruments[0], notional_min=D(200))
    thin = (
        world.book(SPOT, 60_000.0, 60_000.0, size_base=0.0045),
        world.book(INVERSE, 60_000.0, 60_000.0, size_base=0.0045),
    )
    world.give(InstrumentListed(spot), *thin, after_s=2.0)
    world.commands.clear()
    world.give(FLATTEN)
    legs = {order.role: order for order in world.placed()}
    assert legs[Role.SHORT].qty == 3
    assert legs[Role.LONG].qty * 60_000 > 200


def is_halted(world: World) -> bool:
    return world.store.mode is Mode.HALTED


def test_dust_that_can_be_traded_again_is_closed_before_a_flat_pair_is_halted() -> None:
    world = hedged()
    coarse = msgspec.structs.replace(world.instruments[0], lot=D("0.0009"), qty_min=D("0.0009"))
    world.give(InstrumentListed(coarse), FLATTEN, after_s=2.0)
    play(world, 5, steady(world))
    rest = pair_of(world).long.position.qty
    assert 10 < rest * 60_000 < 25, "the premise: less than a lot is left"
    assert is_halted(world)
    world.give(ModeOrdered("*", Mode.ACTIVE, "kay", "again"))
    world.commands.clear()
    world.give(InstrumentListed(world.instruments[0]), FLATTEN, after_s=2.0)
    assert not is_halted(world)
    play(world, 10, steady(world))
    assert is_halted(world)
    assert pair_of(world).long.position.qty * 60_000 < 1


# --- coins ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [42_000.0, 78_000.0])
def test_an_inverse_pair_left_at_another_price_names_its_coins_and_sizes_the_next_entry_with_them(
    price: float,
) -> None:
    world = hedged(INVERSE)
    world.quote(price, 0.0, after_s=2.0)
    world.commands.clear()
    world.give(FLATTEN)
    play(world, 10, steady(world, price))
    pair = pair_of(world)
    assert (pair.state, world.store.mode) == (PairState.FLAT, Mode.HALTED)
    coins = pair.short.coin_cash
    assert world.positions[INVERSE].qty == 0
    assert abs(coins) * D(repr(price)) > 1_000
    assert (coins > 0) == (price < 60_000)
    assert delta_of(world) == pair.long.position.qty, "coins without a leg limit no group"
    world.give(ModeOrdered("*", Mode.ACTIVE, "kay", "again"))
    world.quote(price, 0.0, after_s=2.0)
    world.quote(price, 20.0, after_s=2.0)
    orders = {order.role: order for order in world.placed()}
    if not orders:
        assert pair.idle in ("clip_too_small", "guard_order_notional")
        return
    world.give(*[fact for order in orders.values() for fact in world.fill(order)])
    assert is_hedged(world), "the coins are hedged along"
