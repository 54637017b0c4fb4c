"""What a run orders before its channels are open: nothing, and at once what is owed when they are."""

from __future__ import annotations

import pytest

from bot.model.commands import PlaceOrder
from bot.model.facts import Booted, Channel, ChannelLost, ChannelOpened, ModeOrdered, OrderRejected
from bot.model.ids import AccountId, account_of
from bot.model.pair import Mode, PairState, Purpose, Role
from tests.core.world import BTC, LINEAR, SPOT, World, make_config

SPOT_ACCOUNT, USDM = account_of(SPOT), account_of(LINEAR)


def naked() -> World:
    """A world whose short leg filled and whose long leg was refused, beyond patience."""
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    for order in world.placed():
        facts = world.fill(order) if order.role is Role.SHORT else [refused(world, order)]
        world.give(*facts)
    for _ in range(8):
        while orders := world.placed():
            world.give(*[refused(world, order) for order in orders])
        world.quote(60_000.0, 20.0, after_s=0.5)
    while orders := world.placed():
        world.give(*[refused(world, order) for order in orders])
    assert world.store.pairs[BTC].state is PairState.LEGGED
    assert not world.store.live
    return world


def refused(world: World, order: PlaceOrder) -> OrderRejected:
    return OrderRejected(order.client_id, "-2010", "no", world.at_ns)


def opened(*accounts: AccountId) -> list[ChannelOpened]:
    return [ChannelOpened(account, channel) for account in accounts for channel in Channel]


def test_nothing_is_ordered_in_the_row_of_a_boot_and_the_repair_once_its_channel_opens() -> None:
    world = naked()
    world.give(Booted("0run0001", "0", world.config, "crash"), after_s=0.5)
    assert world.placed() == []
    world.quote(60_000.0, 20.0, after_s=0.1)
    assert world.placed() == [], "a book opens no channel"
    world.give(*opened(SPOT_ACCOUNT, USDM))
    (repair,) = world.placed()
    assert repair.purpose in (Purpose.REPAIR, Purpose.UNWIND)


def test_a_pair_beyond_patience_goes_by_the_leg_whose_channel_is_open() -> None:
    world = naked()
    pair = world.store.pairs[BTC]
    world.give(Booted("0run0001", "0", world.config, "crash"), *opened(USDM), after_s=0.5)
    (order,) = world.placed()
    assert (order.role, order.reduce_only) == (Role.SHORT, True)
    world.give(refused(world, order))
    world.give(ChannelLost(USDM, Channel.ORDERS, "socket"), after_s=5)
    world.quote(60_000.0, 20.0, after_s=0.5)
    assert (world.placed(), pair.idle) == ([], "venue_down")


@pytest.mark.parametrize("lost", [SPOT_ACCOUNT, USDM])
def test_neither_leg_of_a_group_goes_while_one_has_no_channel(lost: AccountId) -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    assert world.store.pairs[BTC].state is PairState.HEDGED
    world.give(ChannelLost(lost, Channel.ORDERS, "socket"))
    world.give(ModeOrdered("*", Mode.FLATTENING, "operator", "leave"), after_s=5)
    world.quote(60_000.0, 0.0, after_s=2)
    assert world.placed() == []
    assert world.store.pairs[BTC].idle == "venue_down"
    world.give(*opened(lost))
    assert {order.role for order in world.placed()} == {Role.LONG, Role.SHORT}
