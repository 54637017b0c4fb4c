"""The pair table, and the life of a pair through fills, silence and time."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from bot.core import pairs
from bot.core.orders import BrokenInvariant
from bot.core.pairs import LEGAL
from bot.model.commands import LegMissing, LegUnwound, PlaceOrder, RaiseAlert
from bot.model.config import Budget
from bot.model.facts import ForcedFilled, OrderExpired, OrderRejected
from bot.model.instrument import Position, Side
from bot.model.pair import Mode, PairSpec, PairState, Purpose, Role
from bot.model.store import Leg, OrderState, Pair
from risk.exposure import pair_delta_base, residual_base
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, make_config, with_strategy

D = Decimal
FLAT, ENTERING, HEDGED, EXITING, LEGGED = PairState

ALLOWED = {
    (FLAT, ENTERING), (ENTERING, HEDGED), (HEDGED, EXITING), (EXITING, FLAT),
    (ENTERING, FLAT), (EXITING, HEDGED), (HEDGED, ENTERING), (HEDGED, FLAT),
    (FLAT, LEGGED), (ENTERING, LEGGED), (HEDGED, LEGGED), (EXITING, LEGGED),
    (LEGGED, HEDGED), (LEGGED, FLAT),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(PairState, PairState)))
def test_every_cell_of_the_table(before: PairState, after: PairState) -> None:
    pair = Pair(
        PairSpec(BTC, SPOT, LINEAR, D(1)), Leg(Role.LONG, SPOT), Leg(Role.SHORT, LINEAR), state=before
    )
    if (before, after) in ALLOWED:
        pairs.move(pair, after, 7, "because")
        assert (pair.state, pair.since_ns, pair.moves[-1].why) == (after, 7, "because")
    else:
        with pytest.raises(BrokenInvariant, match=f"{before.value} cannot become {after.value}"):
            pairs.move(pair, after, 7, "because")
    assert (after in LEGAL[before]) == ((before, after) in ALLOWED)


def entering(short: str = LINEAR, **changes: Any) -> tuple[World, PlaceOrder, PlaceOrder]:
    """A world that has just sent the two orders of its first clip; long leg first."""
    world = World(make_config(INVERSE if short == INVERSE else LINEAR, capital=10_000, **changes))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    orders = {order.role: order for order in world.placed()}
    return world, orders[Role.LONG], orders[Role.SHORT]


def state(world: World) -> PairState:
    return world.store.pairs[BTC].state


def test_a_pair_with_a_leg_that_nobody_has_described_stays_as_it_is() -> None:
    world = hedged()
    pair = world.store.pairs[BTC]
    del world.store.markets[SPOT]
    pair.short.position = Position()
    pairs.settle(world.store, pair, world.at_ns)
    assert (pair.state, pair.naked_ns) == (PairState.HEDGED, 0)


def test_both_legs_filled_is_hedged() -> None:
    world, long, short = entering()
    assert state(world) is ENTERING
    assert (long.side, short.side, long.purpose) == (Side.BUY, Side.SELL, Purpose.ENTER)
    world.give(*world.fill(long), *world.fill(short))
    assert state(world) is HEDGED
    assert not world.placed()


def test_nothing_filled_is_flat_again() -> None:
    world, long, short = entering()
    world.give(*world.fill(long, D(0)), *world.fill(short, D(0)))
    assert state(world) is FLAT


def test_a_rejected_leg_is_completed_at_once() -> None:
    world, long, short = entering()
    world.give(*world.fill(long), OrderRejected(short.client_id, "-2019", "margin", world.at_ns))
    (repair,) = world.placed()
    assert (repair.role, repair.side, repair.purpose) == (Role.SHORT, Side.SELL, Purpose.REPAIR)
    assert isinstance(repair.why, LegMissing)
    world.give(*world.fill(repair))
    assert state(world) is HEDGED


def test_a_partial_fill_is_repaired_to_the_actual_size() -> None:
    world, long, short = entering()
    world.give(*world.fill(long), *world.fill(short, D("0.100")))
    (repair,) = world.placed()
    assert repair.qty == short.qty - D("0.100")


def test_attempts_to_complete_are_bounded_then_the_filled_leg_goes_back() -> None:
    world, long, short = entering(budget=Budget(fees_day_book_bps=100.0))
    world.give(*world.fill(long), *world.fill(short, D(0)))
    attempts = 0
    for _ in range(20):
        orders = world.placed()
        if not orders:
            world.quote(60_000.0, 20.0, after_s=0.3)
            continue
        (order,) = orders
        if isinstance(order.why, LegUnwound):
            assert (order.role, order.side, order.purpose) == (Role.LONG, Side.SELL, Purpose.UNWIND)
            world.give(*world.fill(order))
            break
        attempts += 1
        world.give(*world.fill(order, D(0)))
    assert attempts == world.config.strategy.repair_attempts
    assert state(world) is FLAT
    for _ in range(55):
        world.tick()
        world.quote(60_000.0, 20.0)
    assert not world.placed(), "an entry that was given back cost fees: it is not tried again at once"
    assert world.store.pairs[BTC].idle == "entry_was_unwound"
    for _ in range(8):
        world.tick()
        world.quote(60_000.0, 20.0)
    assert len(world.placed()) == 2


def test_naked_beyond_patience_is_legged_and_told() -> None:
    world, long, short = entering(limits={"net_delta_max_quote": D(20_000)})
    world.give(*world.fill(long))
    world.tick()
    world.tick()
    assert state(world) is ENTERING, "within patience"
    world.tick()
    assert state(world) is LEGGED
    alerts = {one.key: one for one in world.commands if isinstance(one, RaiseAlert)}
    alert = alerts["legged:BTC"]
    assert alert.severity == "critical"
    assert "naked by 0.16" in alert.text
    world.give(OrderExpired(short.client_id, "IOC", world.at_ns))
    (repair,) = world.placed()
    world.give(*world.fill(repair))
    assert state(world) is HEDGED


def test_a_fill_of_a_dead_order_counts() -> None:
    world, long, short = entering()
    world.give(
        OrderRejected(long.client_id, "-1", "?", world.at_ns),
        OrderRejected(short.client_id, "-1", "?", world.at_ns),
    )
    assert state(world) is FLAT
    world.quote(60_000.0, 0.0)
    world.give(*world.execute(short, short.qty, short.price))
    assert world.store.orders[short.client_id].state is OrderState.DEAD
    assert world.store.pairs[BTC].short.position.qty == -short.qty
    for _ in range(4):
        world.tick()
        world.quote(60_000.0, 0.0)
    (unwind,) = world.placed()
    assert state(world) is LEGGED
    assert (unwind.role, unwind.side, unwind.reduce_only) == (Role.SHORT, Side.BUY, True)
    world.give(*world.fill(unwind))
    assert state(world) is FLAT


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
def test_adl_of_the_short_leg_sells_the_spot(short: str) -> None:
    world = hedged(INVERSE if short == INVERSE else LINEAR)
    name = world.instruments[1].id
    held = world.positions[name]
    world.quote(60_000.0, 0.0)
    asset = world.instruments[1].margin_asset
    world.give(ForcedFilled(name, "adl", Side.BUY, -held.qty, D("60000.0"), D(0), asset, "adl", world.at_ns))
    (order,) = world.placed()
    assert (order.role, order.side, order.purpose) == (Role.LONG, Side.SELL, Purpose.REPAIR)
    assert world.store.pairs[BTC].mode is Mode.PAUSED, "entries are frozen until an operator has looked"
    world.give(*world.fill(order))
    assert state(world) is FLAT


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
def test_an_exit_ends_flat_whatever_the_price_did(short: str) -> None:
    """What an inverse pair won or lost in coins is its residual, told as such."""
    for price, clip in product((42_000.0, 60_000.0, 78_000.0), (10_000, 2_500)):
        world = hedged(INVERSE if short == INVERSE else LINEAR)
        world.store.config = with_strategy(world.config, clip_quote=D(clip))
        for _ in range(20):
            world.tick()
            world.quote(price, -20.0)
            world.fill_all()
        assert state(world) is FLAT, price
        pair = world.store.pairs[BTC]
        assert pair.short.position.qty == 0
        assert pair.long.position.qty < D("0.0001")
        won = pair.short.coin_cash * (60_000 - int(price))
        assert won > 0 if short == INVERSE and price != 60_000.0 else won == 0
        assert residual_base(world.store, pair) == pair.short.coin_cash
        assert pair_delta_base(world.store, pair) == pair.long.position.qty


def test_an_exit_that_is_no_longer_wanted_is_withdrawn() -> None:
    world = World(make_config(capital=40_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    for _ in range(8):
        world.tick()
        world.quote(60_000.0, 20.0)
        world.fill_all()
    world.tick()
    world.quote(60_000.0, -20.0)
    assert state(world) is EXITING
    world.give(*[fact for order in world.placed() for fact in world.fill(order)])
    for _ in range(8):
        world.tick()
        world.quote(60_000.0, 20.0)
        world.fill_all()
    assert state(world) is HEDGED
