"""What a pair that must trade is told to wait for, where none of its candidates can go."""

from __future__ import annotations

import msgspec
import pytest

from bot.core.decide import candidates
from bot.core.decide.idle import Idle
from bot.model.commands import Flatten, PlaceOrder
from bot.model.facts import (
    BalanceSeen,
    ModeOrdered,
    OrderRejected,
)
from bot.model.instrument import Side
from bot.model.pair import Mode, PairState, Purpose, Role
from tests.core.way_out import D, beat, flatten, half_entered, pair_of, play, steady
from tests.core.world import LINEAR, SPOT, World, hedged, make_config


def fuse_of(world: World, **budgets: object) -> World:
    """The same pair under a fuse that lets less pass."""
    assert world.store.config is not None
    fuse = msgspec.structs.replace(world.store.config.fuse, **budgets)
    world.store.config = msgspec.structs.replace(world.store.config, fuse=fuse)
    return world


def left_at(world: World, *, spot: bool, **budgets: object) -> None:
    """An exit of which one leg was filled and the other expired, under the fuse that is set by then."""
    legs = {order.instrument: order for order in flatten(world)}
    gone, kept = (LINEAR, SPOT) if spot else (SPOT, LINEAR)
    fuse_of(world, **budgets)
    world.give(*world.fill(legs[gone]), *world.fill(legs[kept], D(0)))


def expire(world: World, orders: list[PlaceOrder]) -> list[PlaceOrder]:
    """Orders that nobody met; returns them."""
    world.give(*[fact for order in orders for fact in world.fill(order, D(0))])
    return orders


def test_a_repair_that_the_fuse_has_no_room_for_is_not_asked_for() -> None:
    world = hedged()
    left_at(world, spot=True, repair_notional_per_min_quote=D(100))
    sent = world.placed() + play(world, 3, steady(world))
    assert sent == []
    assert pair_of(world).idle == "fuse_room"


def test_a_repair_takes_what_the_fuse_has_left_in_whole_lots() -> None:
    world = hedged()
    left_at(world, spot=True, repair_notional_per_min_quote=D(6_000))
    (order,) = world.placed()
    assert D(5_000) < order.qty * order.price <= D(6_000)
    assert order.qty % D("0.00001") == 0


def test_an_exit_is_no_larger_than_the_repair_that_may_follow_it() -> None:
    orders = flatten(fuse_of(hedged(), repair_notional_per_min_quote=D(3_000)))
    assert {order.role for order in orders} == set(Role)
    assert all(D(2_000) < order.qty * order.price <= D(3_000) for order in orders)


def test_no_repair_is_one_that_the_fuse_would_refuse_by_its_count() -> None:
    world = hedged()
    left_at(world, spot=True, repair_orders_per_min=1)
    sent = expire(world, world.placed()) + play(world, 5, steady(world), lambda order: False)
    assert [order.purpose for order in sent] == [Purpose.REPAIR]
    assert pair_of(world).idle == "fuse_room"
    play(world, 56, steady(world))
    assert pair_of(world).state is PairState.FLAT, "a minute later there is room again"


def test_an_exit_waits_whole_where_the_fuse_has_no_room_for_both_legs() -> None:
    world = fuse_of(hedged(), closing_orders_per_min=1)
    assert flatten(world) == []
    assert pair_of(world).idle == "fuse_room"


def test_an_exit_that_is_cut_below_every_minimum_by_the_fuse_waits() -> None:
    world = fuse_of(hedged(), closing_notional_per_min_quote=D(20))
    assert flatten(world) == []
    assert pair_of(world).idle == "venue_down", "less than any order may be"


def test_nothing_is_entered_where_the_fuse_has_no_room_for_a_clip() -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    fuse_of(world, opening_notional_per_min_quote=D(15_000))
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    assert world.placed() == []
    assert pair_of(world).idle == "fuse_room"
    fuse_of(world, opening_notional_per_min_quote=D(25_000))
    world.quote(60_000.0, 20.0)
    assert {order.role for order in world.placed()} == set(Role)


def test_coins_that_are_missing_are_not_bought_again_to_hedge_a_contract() -> None:
    world = hedged()
    spot = world.instruments[0].account
    missing = world.wallets[spot]["BTC"]
    world.wallets[spot]["BTC"] = D(0)
    world.give(BalanceSeen(spot, "BTC", D(0), world.at_ns), world.report(spot))
    assert flatten(world) == []
    pair = pair_of(world)
    assert pair.idle == "not_held"
    world.wallets[spot]["BTC"] = missing
    world.give(BalanceSeen(spot, "BTC", missing, world.at_ns), world.report(spot))
    beat(world, *world.books(60_000.0, 0.0))
    assert {order.role for order in world.placed()} == set(Role)


def test_a_pair_that_holds_nothing_has_nothing_to_leave() -> None:
    world = World(make_config())
    world.boot()
    world.quote(60_000.0, 0.0)
    pair = pair_of(world)
    found = candidates.leave(world.store, world.config, pair, world.at_ns, Flatten("out"), forced=True)
    assert found == Idle("nothing_held")


def test_rounds_that_were_in_vain_are_told_with_the_venue_s_last_word() -> None:
    world = half_entered(short_filled=True)
    told = []
    for _ in range(60):
        beat(world, *world.books(60_000.0, 0.0), after_s=0.1)
        orders = world.placed()
        world.give(*[OrderRejected(one.client_id, "-2019", "no margin", world.at_ns) for one in orders])
        told.append(pair_of(world).idle)
    assert "refused" in told or "restricted" in told
    assert pair_of(world).rounds > 0


def test_rounds_whose_orders_expired_are_a_pause() -> None:
    world = half_entered(short_filled=True)
    told = []
    for _ in range(60):
        beat(world, *world.books(60_000.0, 0.0), after_s=0.1)
        orders = world.placed()
        world.give(*[fact for one in orders for fact in world.fill(one, D(0))])
        told.append(pair_of(world).idle)
    assert pair_of(world).rounds > 0
    assert "repair_pause" in told or "refused" in told


def test_a_halted_pair_says_what_it_would_do() -> None:
    world = half_entered(short_filled=True)
    expire(world, world.placed())
    world.give(ModeOrdered("*", Mode.HALTED, "kay", "stop"))
    expire(world, world.placed())
    play(world, 5, steady(world))
    assert world.placed() == []
    found = pair_of(world)
    assert found.state is PairState.LEGGED
    assert found.idle == "halted"


@pytest.mark.parametrize("spot", [True, False])
def test_in_flattening_a_leg_left_alone_is_closed(spot: bool) -> None:
    world = hedged()
    left_at(world, spot=spot)
    (order, *_) = world.placed() or play(world, 3, steady(world))
    assert order.role is (Role.LONG if spot else Role.SHORT)
    assert order.side is (Side.SELL if spot else Side.BUY)
