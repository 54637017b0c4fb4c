"""Stops, halts and adoptions: what an operator orders, and what the core makes of it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from bot.core import views
from bot.model.commands import CancelOrder, PlaceOrder, QueryAccount, RaiseAlert
from bot.model.facts import (
    AdoptionOrdered,
    Booted,
    CancelRejected,
    ModeOrdered,
    OrderAccepted,
    OrderCanceled,
    StopOrdered,
    Stopped,
)
from bot.model.ids import AccountId, ClientId
from bot.model.instrument import Position
from bot.model.pair import Mode, PairState
from bot.model.store import OrderState
from tests.core.test_live_facts import hold_codes
from tests.core.world import BTC, LINEAR, World, hedged, make_config

D = Decimal
USDM, SPOT_ACCOUNT = AccountId("binance:usdm"), AccountId("binance:spot")
SECOND_NS = 1_000_000_000


def test_a_stop_opens_nothing_and_keeps_what_is_hedged() -> None:
    world = hedged()
    world.give(StopOrdered("test", "maintenance"))
    assert hold_codes(world) == ["stopping"]
    world.commands = []
    world.quote(60_000.0, -20.0)  # the exit's signal
    assert not world.placed()
    assert world.store.pairs[BTC].state is PairState.HEDGED
    assert views.at_rest(world.store)
    assert world.store.pairs[BTC].idle == "stopping"


def test_a_stop_finishes_a_pair_of_which_one_leg_filled() -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    long, short = world.placed()
    world.give(*world.fill(long), *world.fill(short, qty=D(0)))
    world.commands = [one for one in world.commands if isinstance(one, PlaceOrder)]
    world.give(StopOrdered("test", "maintenance"))
    assert not views.at_rest(world.store)
    for _ in range(8):
        world.tick()
        world.quote(60_000.0, 20.0)
        world.fill_all()
    assert views.at_rest(world.store)
    assert world.store.pairs[BTC].state in (PairState.HEDGED, PairState.FLAT)


def test_a_stop_withdraws_what_rests() -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    orders = world.placed()
    world.give(*[OrderAccepted(one.client_id, "v", world.at_ns) for one in orders])
    world.give(StopOrdered("test", "maintenance"))
    cancels = [one for one in world.commands if isinstance(one, CancelOrder)]
    assert [one.client_id for one in cancels] == [one.client_id for one in orders]
    assert {one.reason for one in cancels} == {"stopping"}
    world.give(*[OrderCanceled(one.client_id, world.at_ns) for one in orders])
    assert views.at_rest(world.store)
    assert world.store.pairs[BTC].state is PairState.FLAT


def halted(world: World) -> list[tuple[str, str]]:
    told = [one for one in world.commands if isinstance(one, RaiseAlert) and one.key == "halted"]
    return [(one.severity, one.text) for one in told]


def test_the_end_of_an_operators_own_flattening_is_no_emergency() -> None:
    world = hedged()
    world.give(ModeOrdered("*", Mode.FLATTENING, "ann", "enough"))
    for _ in range(8):
        world.tick()
        world.quote(60_000.0, 20.0)
        world.fill_all()
    assert world.store.mode is Mode.HALTED
    assert halted(world) == [("info", "halted: flat")]


def test_a_halt_is_an_alert_by_its_cause() -> None:
    world = hedged()
    world.give(ModeOrdered("*", Mode.HALTED, "ann", "fire"))
    assert halted(world) == [("warning", "halted: ann: fire")]
    world = hedged()
    world.give(ModeOrdered("*", Mode.FLATTENING, "ann", "enough"))
    report = msgspec.structs.replace(world.report(USDM), open_orders=(ClientId("bsbt1run000100001"),))
    world.give(report)
    ((severity, text),) = halted(world)
    assert severity == "critical"
    assert "a second daemon" in text


def test_the_next_boot_forgets_a_stop() -> None:
    world = hedged()
    world.give(StopOrdered("test", "maintenance"), Stopped(True, "done"))
    world.give(Booted("0run0001", "0", world.config, "clean"))
    assert world.store.stopping == ""
    assert world.store.mode is Mode.ACTIVE
    assert world.store.runs == ("0run0000", "0run0001")


def test_after_a_stop_that_left_something_undone_nothing_is_opened() -> None:
    world = hedged()
    world.give(Booted("0run0001", "0", world.config, "aborted"))
    assert world.store.mode is Mode.REDUCE_ONLY


def test_a_run_that_cannot_end_in_order_withdraws_what_rests() -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    long, short = world.placed()
    world.give(OrderAccepted(long.client_id, "v", world.at_ns))
    world.give(Stopped(False, "not done in time"))
    cancels = [one for one in world.commands if isinstance(one, CancelOrder)]
    assert [(one.client_id, one.reason) for one in cancels] == [(long.client_id, "stopped")]
    assert world.store.orders[short.client_id].state is OrderState.SENT


def test_a_halt_withdraws_what_rests_and_trades_nothing() -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    orders = world.placed()
    world.give(*[OrderAccepted(one.client_id, "v", world.at_ns) for one in orders])
    world.give(ModeOrdered("*", Mode.HALTED, "test", "drill"))
    cancels = [one for one in world.commands if isinstance(one, CancelOrder)]
    assert [(one.client_id, one.reason) for one in cancels] == [(one.client_id, "halted") for one in orders]
    world.give(*[OrderCanceled(one.client_id, world.at_ns) for one in orders])
    world.commands = []
    world.quote(60_000.0, 30.0)
    assert not world.placed()


def test_an_operator_can_take_over_an_account_that_differs() -> None:
    world = hedged()
    before = world.store.ledger.total.transfers
    world.wallets[USDM]["USDT"] += D(1_000)
    world.give(world.report(USDM))
    assert hold_codes(world) == ["not_reconciled"]
    world.commands = []
    world.give(AdoptionOrdered(USDM, "ann", "a deposit while it was down"))
    assert [one.account for one in world.commands if isinstance(one, QueryAccount)] == [USDM]
    world.give(world.report(USDM))
    assert hold_codes(world) == []
    assert world.store.ledger.total.transfers - before == 1_000
    assert views.residual(world.store) == 0


def test_pairs_hold_no_more_than_the_account_that_was_taken_over() -> None:
    world = hedged()
    pair = world.store.pairs[BTC]
    coins, contract = pair.long.position.qty, pair.short.position.qty
    world.wallets[SPOT_ACCOUNT]["BTC"] -= coins / 2
    world.positions[LINEAR] = Position(contract / 2, world.positions[LINEAR].cost / 2)
    for account in (SPOT_ACCOUNT, USDM):
        world.give(AdoptionOrdered(account, "ann", "sold by hand"))
        world.give(world.report(account))
    assert pair.long.position.qty == coins / 2
    assert pair.short.position.qty == contract / 2
    assert views.residual(world.store) == 0
    assert not world.store.accounts[USDM].differences


def test_a_cancel_that_is_refused_at_once_is_not_tried_without_pause() -> None:
    """Nothing can leave while the connection is down: each try would be a row of the journal."""
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    orders = world.placed()
    world.give(*[OrderAccepted(one.client_id, "v", world.at_ns) for one in orders])
    world.give(ModeOrdered("*", Mode.HALTED, "test", "drill"))
    tried = []
    for _ in range(5):
        cancels = [one for one in world.commands if isinstance(one, CancelOrder)]
        world.commands = []
        tried.append(len(cancels))
        world.give(*[CancelRejected(one.client_id, "NOT_CONNECTED", "", world.at_ns) for one in cancels])
    assert tried == [len(orders), 0, 0, 0, 0]
    world.tick()
    assert len([one for one in world.commands if isinstance(one, CancelOrder)]) == len(orders)
