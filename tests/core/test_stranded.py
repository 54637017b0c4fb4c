"""Pairs whose legs do not end together: coins that an inverse leg earned or lost, and orders refused over and
over."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.model.commands import PlaceOrder
from bot.model.facts import ForcedFilled, ModeOrdered, OrderRejected
from bot.model.instrument import Side
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.store import Pair
from risk.exposure import residual_base
from tests.core.world import BTC, INVERSE, LINEAR, World, hedged, make_config

D = Decimal


def pair_of(world: World) -> Pair:
    return world.store.pairs[BTC]


def rejected(world: World, order: PlaceOrder) -> OrderRejected:
    return OrderRejected(order.client_id, "-1", "no", world.at_ns)


def exiting(price: float) -> tuple[World, PlaceOrder, PlaceOrder]:
    """An inverse pair, entered at 60,000, whose whole exit has just been sent at ``price``."""
    world = hedged(INVERSE)
    world.quote(price, 0.0, after_s=5.0)
    world.quote(price, -20.0)
    legs = {order.role: order for order in world.placed()}
    return world, legs[Role.LONG], legs[Role.SHORT]


def play(world: World, price: float, seconds: int = 20) -> list[PlaceOrder]:
    """Quotes go on and everything fills; returns what was sent."""
    sent = []
    for _ in range(seconds * 2):
        world.quote(price, -20.0, after_s=0.5)
        orders = world.placed()
        sent += orders
        world.give(*[fact for order in orders for fact in world.fill(order)])
    return sent


def test_an_entry_unwound_at_a_loss_of_coins_is_flat() -> None:
    world = World(make_config(INVERSE, capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    for _ in range(40):
        for order in world.placed():
            short = order.role is Role.SHORT
            world.give(*(world.fill(order) if short else [rejected(world, order)]))
        world.quote(60_000.0, 20.0, after_s=0.5)
    lost = world.wallets[world.instruments[1].account]["BTC"] - D(3)
    assert -lost * 60_000 > world.instruments[0].notional_min, "the loss is more than dust"
    assert pair_of(world).state is PairState.FLAT
    assert residual_base(world.store, pair_of(world)) == lost


def test_the_rest_of_a_short_that_earned_its_coins_is_closed() -> None:
    world, long, short = exiting(54_000.0)
    world.give(*world.fill(long), *world.fill(short, short.qty - 4))
    (last,) = play(world, 54_000.0)
    assert (last.role, last.side, last.qty, last.reduce_only) == (Role.SHORT, Side.BUY, D(4), True)
    assert pair_of(world).state is PairState.FLAT


def test_a_flattening_pair_with_a_stranded_short_is_halted() -> None:
    world, long, short = exiting(54_000.0)
    world.give(*world.fill(long), *world.fill(short, short.qty - 4))
    world.give(ModeOrdered("*", Mode.FLATTENING, "operator", "leave"))
    play(world, 54_000.0)
    assert (pair_of(world).state, world.store.mode) == (PairState.FLAT, Mode.HALTED)


def test_an_empty_short_leg_is_not_opened_the_wrong_way() -> None:
    world, long, short = exiting(66_000.0)
    world.give(*world.fill(long), rejected(world, short))
    world.give(*(rejected(world, repair) for repair in world.placed()))
    sent = play(world, 70_000.0)
    assert [(order.role, order.side) for order in sent] == [(Role.SHORT, Side.BUY)]
    assert sent[0].reduce_only
    assert pair_of(world).short.position.qty == 0
    assert pair_of(world).state is PairState.FLAT


def storm(world: World, seconds: int) -> list[PlaceOrder]:
    """A hundred steps a second in which everything that is sent is refused."""
    sent = []
    for _ in range(seconds * 100):
        orders = world.placed()
        sent += orders
        facts = [rejected(world, order) for order in orders]
        world.give(*world.books(60_000.0, 0.0), *facts, after_s=0.01)
    return sent


def test_flattening_that_is_refused_is_tried_once_a_second() -> None:
    world = hedged(LINEAR)
    world.give(ModeOrdered("*", Mode.FLATTENING, "operator", "leave"))
    sent = storm(world, 5)
    assert {order.purpose for order in sent} == {Purpose.EXIT}
    assert 4 <= len(sent) / 2 <= 5


@pytest.mark.parametrize(("taken", "purposes"), [("0.003", {"drift", "repair"}), ("0.1", {"repair"})])
def test_drift_and_repair_that_are_refused_leave_room_in_the_budget(taken: str, purposes: set[str]) -> None:
    world = hedged(LINEAR)
    fact = ForcedFilled(LINEAR, "t1", Side.BUY, D(taken), D(60_000), D(0), "USDT", "adl", world.at_ns)
    world.give(fact)
    sent = storm(world, 20)
    assert {order.purpose.value for order in sent} <= purposes | {"unwind"}
    assert 15 <= len(sent) <= 40
