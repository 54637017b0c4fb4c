"""How attempts are counted: sent, refused by the fuse, filled, and what a round is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bot.core import pairs, residuals
from bot.core.decide.room import leg_room_quote, room
from bot.model.commands import LegMissing, PlaceOrder, TimeInForce
from bot.model.facts import ModeOrdered, Transferred
from bot.model.ids import ClientId, account_of
from bot.model.instrument import Position, Side
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.store import Order, OrderState, Pair, indexed, keep_index
from risk.fuse import REFUSED
from tests.core.way_out import D, beat, pair_of, play, steady
from tests.core.world import BTC, INVERSE, LINEAR, SECOND_NS, SPOT, World, hedged

NOW = 5_000 * SECOND_NS


def order(role: Role, side: Side, purpose: Purpose = Purpose.REPAIR, **fields: Any) -> Order:
    made = Order(
        ClientId("one"), pair_of(hedged()).spec.name, role, SPOT if role is Role.LONG else LINEAR, side,
        D("0.1"), D(60_000), TimeInForce.IOC, False, purpose, D(60_000), NOW,
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def command(role: Role, side: Side, purpose: Purpose = Purpose.REPAIR) -> PlaceOrder:
    found = order(role, side, purpose)
    return PlaceOrder(
        found.client_id, found.pair, role, found.instrument, side, found.qty, found.price, found.tif, False,
        purpose, found.arrival_mid, LegMissing(0.1, 1.0, 1),
    )  # fmt: skip


GROWS = {Role.LONG: Side.BUY, Role.SHORT: Side.SELL}


def counts(pair: Pair) -> tuple[int, int, int, int]:
    return pair.grow_tries, pair.shrink_tries, pair.repairs, pair.fruitless


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("grows", [True, False])
def test_what_the_fuse_refused_was_no_attempt(role: Role, grows: bool) -> None:
    world = hedged()
    pair = pair_of(world)
    side = GROWS[role] if grows else GROWS[role].opposite
    pair.grow_tries = pair.shrink_tries = pair.repairs = pair.fruitless = 3
    pairs.sent(world.store, pair, command(role, side), NOW)
    assert counts(pair) != (3, 3, 3, 3)
    pair.grow_tries, pair.shrink_tries, pair.repairs, pair.fruitless = 2, 2, 2, 2
    pairs.withdrawn(pair, order(role, side), NOW)
    assert counts(pair) == ((1, 2, 1, 1) if grows else (2, 1, 1, 1))
    pair.grow_tries = pair.shrink_tries = pair.repairs = pair.fruitless = 0
    pairs.withdrawn(pair, order(role, side), NOW)
    assert counts(pair) == (0, 0, 0, 0), "never below nothing"
    assert pair.fuse_ns == NOW


def test_of_an_entry_or_an_exit_the_fuse_takes_back_no_repair() -> None:
    pair = pair_of(hedged())
    pair.grow_tries = pair.shrink_tries = pair.repairs = pair.fruitless = 2
    pairs.withdrawn(pair, order(Role.LONG, Side.BUY, Purpose.ENTER), NOW)
    assert counts(pair) == (2, 2, 2, 2)
    pairs.withdrawn(pair, order(Role.LONG, Side.SELL, Purpose.EXIT), NOW)
    assert counts(pair) == (2, 2, 2, 1)


@pytest.mark.parametrize(("policy", "entering"), [("together", 3), ("sequenced", 4)])
def test_the_second_leg_of_a_sequenced_entry_is_one_more_order_than_its_attempts(
    policy: str, entering: int
) -> None:
    world = hedged(strategy={"leg_policy": policy, "repair_attempts": 3})
    pair, config = pair_of(world), world.config
    pair.growing = True
    assert pairs.tries_max(config, pair, growing=True) == entering
    assert pairs.tries_max(config, pair, growing=False) == 3
    pair.growing = False
    assert pairs.tries_max(config, pair, growing=True) == 3
    none = hedged(strategy={"repair_attempts": 0}).config
    assert pairs.tries_max(none, pair, growing=False) == 1, "each leg has one in a round"


def test_a_round_ends_when_its_leg_had_all_of_it() -> None:
    world = hedged(strategy={"repair_attempts": 2})
    pair = pair_of(world)
    for tries, rounds in ((1, 0), (2, 0), (1, 1), (2, 1), (1, 2)):
        pairs.sent(world.store, pair, command(Role.SHORT, Side.BUY), NOW)
        assert (pair.shrink_tries, pair.rounds) == (tries, rounds)
    assert pair.repair_ns == NOW
    assert pair.repairs == 5
    pairs.filled(pair)
    assert (pair.shrink_tries, pair.rounds, pair.fruitless, pair.collar_ns) == (0, 0, 0, 0)


def test_an_exit_that_was_bought_back_counts_once_and_is_forgotten_after_one_that_was_not() -> None:
    world = hedged()
    pair, store = pair_of(world), world.store
    waits = []
    for clip in range(3):
        pair.fruitless = 0
        for role in Role:  # a group counts once
            pairs.sent(store, pair, command(role, GROWS[role].opposite, Purpose.EXIT), NOW + clip)
        assert pair.fruitless == 1
        for _ in range(2):
            pairs.sent(store, pair, command(Role.SHORT, Side.SELL), NOW + clip)
        waits.append(pairs.exit_pause_ns(pair) // SECOND_NS)
    assert waits == [2, 4, 8]
    pair.exits_undone = 30
    assert pairs.exit_pause_ns(pair) == 60 * SECOND_NS
    for clip in (7, 8):
        pairs.sent(store, pair, command(Role.SHORT, Side.BUY, Purpose.EXIT), NOW + clip)
    assert pairs.exit_pause_ns(pair) == SECOND_NS


@pytest.mark.parametrize("purpose", [Purpose.ENTER, Purpose.EXIT])
def test_what_was_tried_before_a_clip_is_forgotten(purpose: Purpose) -> None:
    world = hedged()
    pair = pair_of(world)
    pair.repairs, pair.fruitless, pair.collar_ns = 3, 3, 3
    pairs.sent(world.store, pair, command(Role.LONG, Side.BUY, purpose), NOW)
    assert pair.repairs == 0
    if purpose is Purpose.ENTER:
        assert (pair.fruitless, pair.collar_ns) == (0, 0)
    else:
        assert (pair.fruitless, pair.collar_ns) == (4, 3), "an exit's limit goes on widening"


def test_an_entry_that_is_completed_undoes_no_exit() -> None:
    world = hedged()
    pair = pair_of(world)
    pair.growing = True
    pairs.sent(world.store, pair, command(Role.LONG, Side.BUY), NOW)
    assert (pair.regrown, pair.exits_undone) == (False, 0)


def test_a_collar_widens_from_the_first_time_that_it_kept_a_pair_and_for_no_other_reason() -> None:
    pair = pair_of(hedged())
    pairs.noted(pair, "venue_down", NOW)
    assert pair.collar_ns == 0
    pairs.noted(pair, pairs.BEYOND_COLLAR, NOW)
    pairs.noted(pair, pairs.BEYOND_COLLAR, NOW + 5)
    assert pair.collar_ns == NOW


def test_a_pair_that_went_flat_remembers_nothing_of_its_position() -> None:
    pair = pair_of(hedged())
    remembered = (pair.entered_ns, pair.entered_why)
    assert all(remembered), "the premise"
    pair.repairs, pair.growing, pair.rounds = 2, True, 3
    pairs.release(pair)
    assert (pair.entered_ns, pair.entered_why) == (0, None)
    assert (pair.repairs, pair.growing, pair.rounds) == (0, False, 0)


@pytest.mark.parametrize(("state", "flat"), [(PairState.FLAT, True), (PairState.EXITING, False)])
def test_coins_of_a_flat_pair_are_dust_until_they_are_worth_half_as_much_again(
    state: PairState, flat: bool
) -> None:
    world = hedged()
    pair = pair_of(world)
    pair.state = state
    pair.long.position, pair.short.position = Position(D("0.0001")), Position()
    assert pairs.is_flat(world.store, pair) is flat, "6 quote: 1.2 times the minimum"


# --- the fuse's room ----------------------------------------------------------------------------------------


def with_order(purpose: Purpose, age_s: float = 1.0, **fields: Any) -> World:
    world = hedged()
    world.store.orders.clear()
    made = order(Role.SHORT, Side.BUY, purpose, sent_ns=NOW - int(age_s * SECOND_NS), **fields)
    world.store.orders[made.client_id] = made
    if made.state.is_live:
        world.store.live[made.client_id] = None
    return world


@pytest.mark.parametrize(
    ("fields", "orders", "spent"),
    [
        ({"state": OrderState.SENT}, 1, "6000"),
        ({"state": OrderState.DEAD}, 1, "0"),
        ({"state": OrderState.DEAD, "filled_qty": D("0.04")}, 1, "2400"),
        ({"state": OrderState.DEAD, "reason": f"{REFUSED} spent"}, 0, "0"),
        ({"state": OrderState.SENT, "age_s": 60.0}, 0, "0"),
        ({"state": OrderState.SENT, "age_s": 59.9}, 1, "6000"),
    ],
)
def test_what_is_left_of_the_fuse_is_what_was_not_sent_and_cannot_have_been_filled(
    fields: dict[str, Any], orders: int, spent: str
) -> None:
    fuse = hedged().config.fuse
    world = with_order(Purpose.EXIT, **fields)
    left = room(world.store, world.config, Purpose.EXIT, NOW)
    assert left.orders == fuse.closing_orders_per_min - orders
    assert left.notional_quote == fuse.closing_notional_per_min_quote - D(spent)
    other = room(world.store, world.config, Purpose.ENTER, NOW)
    assert other.orders == fuse.opening_orders_per_min, "each budget by itself"


def test_a_leg_of_a_group_leaves_room_for_the_repair_of_what_is_in_flight() -> None:
    world = hedged()
    fuse = msgspec.structs.replace(world.config.fuse, repair_notional_per_min_quote=D(20_000))
    config = msgspec.structs.replace(world.config, fuse=fuse)
    free = leg_room_quote(world.store, config, Purpose.EXIT, NOW, 2)
    assert D(18_800) < free < D(18_900), "20,000 less 6 %"
    for name, filled in (("one", "0"), ("two", "0.05")):
        made = order(Role.SHORT, Side.BUY, Purpose.EXIT, client_id=ClientId(name), filled_qty=D(filled))
        world.store.orders[made.client_id] = made
        world.store.live[made.client_id] = None
    left = leg_room_quote(world.store, config, Purpose.EXIT, NOW, 2)
    assert D(12_800) < left < D(12_900), "the larger of both, 6,000, may yet be repaired"
    world.store.live.clear()
    pair = pair_of(world)
    pair.naked_ns = NOW
    pair.long.position = Position(-pair.short.position.qty + D("0.1"))
    world.store.markets[SPOT].mark = D(50_000)
    left = leg_room_quote(world.store, config, Purpose.EXIT, NOW, 2)
    assert D(13_800) < left < D(13_900), "and what is naked, 5,000 at the mark"


def test_a_group_needs_an_order_of_room_for_each_leg_and_one_for_its_repair() -> None:
    world = hedged()
    world.store.orders.clear()

    def left(legs: int, **orders: int) -> Decimal:
        fuse = msgspec.structs.replace(world.config.fuse, **orders)
        config = msgspec.structs.replace(world.config, fuse=fuse)
        return leg_room_quote(world.store, config, Purpose.EXIT, NOW, legs)

    assert left(2, closing_orders_per_min=2) > 0
    assert left(2, closing_orders_per_min=1, repair_orders_per_min=9) == 0
    assert left(1, closing_orders_per_min=1) > 0
    assert left(2, repair_orders_per_min=1) > 0
    assert abs(left(1) - 2 * left(2)) < 1, "one leg alone may be worth both"


# --- marks --------------------------------------------------------------------------------------------------


def test_what_is_left_of_the_fuse_changes_with_time() -> None:
    world = hedged()
    index = indexed(world.store)
    index.drafted = False
    room(world.store, world.config, Purpose.EXIT, NOW)
    assert index.drafted


def test_coins_that_are_moved_change_the_sums_of_their_pair() -> None:
    world = hedged(INVERSE)
    pair, index = pair_of(world), keep_index(world.store)
    pair.long.position = pair.short.position = Position()
    pair.short.coin_cash = D("0.01")
    index.forget_changes()
    account = account_of(INVERSE)
    residuals.transferred(world.store, Transferred(account, "BTC", D("-0.004"), "t1", world.at_ns))
    assert pair.short.coin_cash == D("0.006")
    assert list(index.changed_pairs) == [BTC]


def test_a_mode_makes_its_pairs_due_and_their_sums_new() -> None:
    world = hedged()
    store, index = world.store, keep_index(world.store)
    never_ns = 10**30
    index.forget_changes()
    index.due_ns[BTC] = never_ns
    pairs.set_mode(store, BTC, Mode.PAUSED, "desk")
    assert (index.changed_all, list(index.changed_pairs), index.due_ns) == (False, [BTC], {})
    index.forget_changes()
    index.due_ns[BTC] = never_ns
    pairs.set_mode(store, "*", Mode.PAUSED, "desk")
    assert (index.changed_all, index.due_ns) == (True, {})


# --- what is told of a halted pair, and an exit that is withdrawn -------------------------------------------


@pytest.mark.parametrize(
    ("off", "words"),
    [("0.05", f"sell 0.05 {SPOT}"), ("-0.05", f"buy 0.05 {LINEAR}"), ("0.00005", "")],
)
def test_a_halted_pair_names_the_order_that_it_does_not_send(off: str, words: str) -> None:
    world = hedged()
    pair = pair_of(world)
    world.give(ModeOrdered("*", Mode.HALTED, "kay", "stop"))
    pair.long.position = Position(-pair.short.position.qty + D(off))
    beat(world, *world.books(60_000.0, 0.0))
    play(world, 1, steady(world))
    told = [row for row in world.commands if getattr(row, "reason", "") == "halted"]
    if not words:
        assert told == []
        assert pair.idle == "mode_halted"
        return
    assert [getattr(row, "value", "") for row in told] == [words]
    assert pair.idle == "halted"
