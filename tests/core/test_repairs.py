"""The next step of a naked pair, asked at each bound: who goes first, how long it pauses, what is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bot.core import pairs
from bot.core.decide import candidates
from bot.core.decide.idle import Idle
from bot.model.commands import LegMissing, LegUnwound, PlaceOrder
from bot.model.facts import OrderRejected
from bot.model.instrument import Position, Side
from bot.model.pair import Mode, Purpose, Role
from bot.model.store import OrderState
from risk.exposure import pair_delta_base
from risk.guard import Admitted
from tests.core.way_out import WIDE, D, half_entered, pair_of
from tests.core.world import SECOND_NS, SPOT, World

STEP_NS = 250_000_000


def naked(**fields: Any) -> World:
    """An entry whose short leg was filled and whose coins are missing; nothing of it lives."""
    world = half_entered(short_filled=True, **WIDE)
    world.give(*[fact for order in world.placed() for fact in world.fill(order, D(0))])
    world.placed()
    for order in world.store.orders.values():
        if order.state.is_live:
            world.give(OrderRejected(order.client_id, "-1", "no", world.at_ns))
    world.placed()
    pair = pair_of(world)
    assert pair.naked_ns, "the premise"
    pair.grow_tries = pair.shrink_tries = pair.repairs = pair.rounds = 0
    pair.growing, pair.repair_ns = True, 0
    for name, value in fields.items():
        setattr(pair, name, value)
    return world


def next_of(world: World, at_ns: int | None = None) -> PlaceOrder | Idle:
    found = candidates.repair(world.store, world.config, pair_of(world), at_ns or world.at_ns)
    if isinstance(found, Idle):
        return found
    return order_of(found)


def order_of(found: Sequence[Admitted]) -> PlaceOrder:
    (admitted,) = found
    assert isinstance(admitted.command, PlaceOrder)
    return admitted.command


def test_an_order_says_what_is_missing_since_when_and_how_often_it_was_tried() -> None:
    world = naked(repairs=1)
    pair_of(world).naked_ns = world.at_ns - 3 * SECOND_NS
    delta = float(pair_delta_base(world.store, pair_of(world)))
    order = next_of(world)
    assert isinstance(order, PlaceOrder)
    assert order.why == LegMissing(delta, 3.0, 2)
    assert (order.role, order.purpose) == (Role.LONG, Purpose.REPAIR)


def test_an_entry_is_completed_as_often_as_the_settings_say_and_then_undone() -> None:
    world = naked()
    attempts = pairs.completions(world.config)
    assert attempts == 3, "the premise"
    roles = []
    for repairs in range(attempts + 2):
        pair_of(world).repairs = repairs
        order = next_of(world)
        assert isinstance(order, PlaceOrder)
        roles.append(order.role)
        last = order
    assert roles == [Role.LONG] * attempts + [Role.SHORT] * 2
    delta = float(pair_delta_base(world.store, pair_of(world)))
    assert (last.purpose, last.why) == (Purpose.UNWIND, LegUnwound(delta, attempts + 1))


@pytest.mark.parametrize(
    ("change", "role"),
    [
        ({}, Role.LONG),
        ({"mode": Mode.PAUSED}, Role.LONG),
        ({"mode": Mode.REDUCE_ONLY}, Role.SHORT),
        ({"mode": Mode.FLATTENING}, Role.SHORT),
        ({"in_config": False}, Role.SHORT),
        ({"growing": False}, Role.SHORT),
    ],
)
def test_only_a_free_pair_that_grows_is_completed_first(change: dict[str, Any], role: Role) -> None:
    order = next_of(naked(**change))
    assert isinstance(order, PlaceOrder)
    assert order.role is role
    is_undone = role is Role.SHORT and change != {"growing": False}
    assert order.purpose is (Purpose.UNWIND if is_undone else Purpose.REPAIR)


def test_two_attempts_are_a_quarter_of_a_second_apart() -> None:
    world = naked(grow_tries=1, repairs=1)
    pair_of(world).repair_ns = world.at_ns - STEP_NS
    assert isinstance(next_of(world), PlaceOrder)
    pair_of(world).repair_ns += 1
    assert next_of(world) == Idle("repair_pause")


def test_the_first_attempt_pauses_for_nothing() -> None:
    world = naked()
    pair_of(world).repair_ns = world.at_ns
    assert isinstance(next_of(world), PlaceOrder)


def test_what_was_fruitless_as_often_as_it_may_goes_behind_the_other_leg() -> None:
    world = naked(repairs=1)
    tries = pairs.tries_max(world.config, pair_of(world), growing=True)
    for grow_tries, role in ((tries - 1, Role.LONG), (tries, Role.SHORT)):
        pair_of(world).grow_tries = grow_tries
        order = next_of(world)
        assert isinstance(order, PlaceOrder)
        assert order.role is role


def test_the_one_order_more_of_a_sequenced_entry_is_for_its_missing_leg() -> None:
    world = naked(repairs=1)
    strategy = msgspec.structs.replace(world.config.strategy, leg_policy="sequenced")
    world.config = msgspec.structs.replace(world.config, strategy=strategy)
    pair = pair_of(world)
    pair.grow_tries = pair.shrink_tries = 3
    order = next_of(world)
    assert isinstance(order, PlaceOrder)
    assert order.role is Role.LONG, "the fourth"
    pair.grow_tries = 4
    assert isinstance(next_of(world), PlaceOrder), "both were tried, long ago"
    pair.repair_ns = world.at_ns - 1
    assert isinstance(next_of(world), Idle)


@pytest.mark.parametrize(("rounds", "pause_ns"), [(0, 1), (2, 4), (6, 64), (7, 120), (40, 120)])
def test_a_round_of_both_legs_begins_again_after_a_pause_that_doubles(rounds: int, pause_ns: int) -> None:
    """In quarters of a second, to half a minute."""
    world = naked(grow_tries=9, shrink_tries=9, rounds=rounds, repairs=1)
    pair = pair_of(world)
    pair.repair_ns = at_ns = world.at_ns
    pair.repair_ns -= pause_ns * STEP_NS
    order = next_of(world, at_ns)
    assert isinstance(order, PlaceOrder), "what goes first when nothing was tried goes first again"
    assert order.role is Role.LONG
    pair.repair_ns += 1
    assert isinstance(next_of(world, at_ns), Idle)


@pytest.mark.parametrize(
    ("reason", "growing", "told"),
    [
        ("-2010 no balance", True, Idle("restricted", "-2010 no balance")),
        ("-2019 no margin", False, Idle("refused", "-2019 no margin")),
        ("FUSE spent", True, Idle("repair_pause")),
    ],
)
def test_meanwhile_the_venue_s_last_word_is_told(reason: str, growing: bool, told: Idle) -> None:
    world = naked(grow_tries=9, shrink_tries=9, rounds=3, repairs=1 if growing else 9)
    pair_of(world).repair_ns = world.at_ns
    last = list(world.store.orders.values())[-1]
    last.state, last.reason = OrderState.DEAD, reason
    assert next_of(world) == told
    last.state, last.reason = OrderState.DONE, "IOC"
    earlier = next(iter(world.store.orders.values()))
    earlier.state, earlier.reason = OrderState.DEAD, "-1 long ago"
    assert earlier is not last, "the premise"
    assert next_of(world) == Idle("repair_pause"), "an order that expired was not refused"
    world.store.orders.clear()
    assert next_of(world) == Idle("repair_pause")


def test_what_the_fuse_has_left_is_measured_at_the_touch_that_the_order_meets() -> None:
    world = naked(growing=False)
    pair = pair_of(world)
    held, pair.short.position = pair.short.position, Position()
    pair.long.position = Position(-held.qty, -held.cost)
    spot = world.store.markets[SPOT]
    spot.bids, spot.asks = ((59_900.0, 5.0),), ((60_100.0, 5.0),)
    left = D(6_000)
    fuse = msgspec.structs.replace(world.config.fuse, repair_notional_per_min_quote=left)
    world.config = msgspec.structs.replace(world.config, fuse=fuse)
    order = next_of(world)
    assert isinstance(order, PlaceOrder)
    assert (order.role, order.side) == (Role.LONG, Side.SELL)
    assert abs(order.qty * D(59_900) * D("1.06") - left) < 1
