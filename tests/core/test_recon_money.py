"""What reconciliation makes of wallets, costs and payments that a venue rounds, lists late or tells again."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.model.commands import QueryAccount
from bot.model.ids import AccountId, account_of
from tests.core.world import BTC, INVERSE, LINEAR, hedged

D = Decimal
USDM = AccountId("binance:usdm")


def test_fills_heard_in_another_order_round_differently_and_still_agree() -> None:
    """A lost fill told after a forced one: quantities and sums agree, and the venue's split is taken over."""
    world = hedged(INVERSE)
    account = account_of(INVERSE)
    report = world.report(account)
    (held,) = report.positions
    quantum = D("0.00000001")
    moved = msgspec.structs.replace(held, cost=held.cost + quantum)
    wallet = {"BTC": report.balances["BTC"] - quantum}
    world.give(msgspec.structs.replace(report, balances=wallet, positions=(moved,)))
    assert world.store.accounts[account].reconciled
    assert (
        world.store.ledger.positions[INVERSE].cost == moved.cost == world.store.pairs[BTC].short.position.cost
    )
    assert world.store.ledger.cash[account] == wallet
    assert views.residual(world.store) == 0


def test_a_position_that_cost_something_else_is_a_difference() -> None:
    world = hedged(LINEAR)
    report = world.report(USDM)
    (held,) = report.positions
    world.give(
        msgspec.structs.replace(report, positions=(msgspec.structs.replace(held, cost=held.cost + 1),))
    )
    assert world.store.accounts[USDM].differences == (
        "USDT: positions cost 1 USDT more or less at the venue",
    )


def test_a_cost_that_the_venue_rounds_is_no_difference_and_is_not_adopted() -> None:
    world = hedged()
    report = world.report(USDM)
    (held,) = report.positions
    told = msgspec.structs.replace(held, cost=held.cost + D("0.00000001"))
    world.give(msgspec.structs.replace(report, positions=(told,)))
    assert world.store.accounts[USDM].reconciled
    assert world.store.ledger.positions[LINEAR].cost == held.cost
    assert views.residual(world.store) == 0
    told = msgspec.structs.replace(held, cost=held.cost + D("0.00000002"))
    world.give(msgspec.structs.replace(report, positions=(told,)))
    assert world.store.accounts[USDM].differences == (
        "USDT: positions cost 0.00000002 USDT more or less at the venue",
    )


def test_payments_are_asked_for_an_hour_back_and_never_before_the_first_report() -> None:
    world = hedged()
    begun_ns = world.store.accounts[USDM].begun_ns
    assert begun_ns
    world.tick(after_s=400.0)
    asked = [one for one in world.commands if isinstance(one, QueryAccount) and one.account == USDM]
    assert [one.since_ns for one in asked] == [begun_ns]
    world.answer_accounts()
    world.tick(after_s=7200.0)
    world.answer_accounts()
    told_ns = world.store.accounts[USDM].told_ns
    world.tick(after_s=400.0)
    asked = [one for one in world.commands if isinstance(one, QueryAccount) and one.account == USDM]
    assert [one.since_ns for one in asked] == [told_ns - 3_600_000_000_000]


@pytest.mark.parametrize(("quanta", "agrees"), [(1, True), (2, True), (3, False)])
def test_profit_that_the_venue_rounds_is_taken_over_up_to_a_unit_for_each_fill(
    quanta: int, agrees: bool
) -> None:
    """Two fills opened and closed the contract: the venue may have rounded the profit of each."""
    world = hedged()
    world.quote(60_000.0, -20.0)
    world.fill_all()
    assert not world.store.ledger.positions[LINEAR].qty
    report = world.report(USDM)
    balances = {"USDT": report.balances["USDT"] - quanta * D("0.00000001")}
    world.give(msgspec.structs.replace(report, balances=balances))
    assert world.store.accounts[USDM].reconciled is agrees
    if agrees:
        assert world.store.ledger.cash[USDM] == balances
        assert views.residual(world.store) == 0
        world.give(msgspec.structs.replace(report, balances={"USDT": balances["USDT"] - D("0.00000001")}))
        assert not world.store.accounts[USDM].reconciled, "nothing was filled since"
