"""What reconciliation makes of wallets, costs and payments that a venue rounds, lists late or tells again."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.model.commands import QueryAccount
from bot.model.facts import BalanceSeen, Channel, ChannelLost, ForcedFilled, FundingPaid
from bot.model.ids import AccountId, account_of
from bot.model.instrument import Position, Side
from tests.core.world import BTC, INVERSE, LINEAR, SECOND_NS, World, hedged

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


def test_payments_are_asked_for_an_hour_back() -> None:
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


def payment(amount: str, name: str, venue_ns: int) -> FundingPaid:
    return FundingPaid(LINEAR, "USDT", D(amount), D(0), D(0), D(0), name, venue_ns)


def test_the_baseline_contains_the_payments_told_before_it_and_no_others() -> None:
    """Whatever the date: the venue's clock may step back behind the report."""
    world = World()
    world.boot()
    fresh = World()
    fresh.at_ns += 7200 * SECOND_NS
    fresh.give(*world.rows[0].facts)
    (asked,) = [one for one in fresh.commands if isinstance(one, QueryAccount) and one.account == USDM]
    hour_ns = 3600 * SECOND_NS
    assert asked.since_ns == fresh.at_ns - hour_ns
    contained = payment("3", "contained", fresh.at_ns - SECOND_NS)
    fresh.give(contained)
    fresh.answer_accounts()
    account, ledger = fresh.store.accounts[USDM], fresh.store.ledger
    assert account.baseline == ledger.cash[USDM] == {"USDT": D(100_000)}
    late = payment("5", "late", fresh.at_ns - 3 * SECOND_NS)
    fresh.wallets[USDM]["USDT"] += 5
    fresh.give(contained, late, BalanceSeen(USDM, "USDT", D(100_005), fresh.at_ns))
    assert ledger.cash[USDM] == {"USDT": D(100_005)}
    assert ledger.total.funding == 5
    fresh.give(fresh.report(USDM))
    assert account.reconciled
    # what is asked for later begins no earlier than what the baseline was told with
    fresh.tick(after_s=400.0)
    (again,) = [one for one in fresh.commands if isinstance(one, QueryAccount) and one.account == USDM]
    assert again.since_ns == max(asked.since_ns, account.told_ns - hour_ns)


def test_a_forced_fill_told_before_the_first_report_is_in_it() -> None:
    world = World()
    world.positions[LINEAR] = Position(D(-1), D(-60_000))
    world.boot()
    fresh = World()
    fresh.give(*world.rows[0].facts)
    fresh.give(ForcedFilled(LINEAR, "1", Side.BUY, D("0.5"), D(60_000), D(0), "USDT", "adl", fresh.at_ns))
    fresh.positions[LINEAR] = Position(D("-0.5"), D(-30_000))
    fresh.answer_accounts()
    assert fresh.store.accounts[USDM].reconciled
    assert not fresh.store.pairs[BTC].short.position.qty


def test_the_residual_is_told_only_while_the_statements_are_whole() -> None:
    """A settlement moves the wallet first; the payment that explains it is listed later."""
    world = hedged()
    for account in world.wallets:
        world.give(world.report(account))
    assert views.whole_residual(world.store) == 0
    paid, moved = world.pay_funding(D("0.0001"), D(60_000), 1)
    world.give(moved)
    assert views.residual(world.store), "the statement is ahead"
    assert views.whole_residual(world.store) is None
    world.give(paid)
    assert views.whole_residual(world.store) is None
    world.give(world.report(USDM))
    assert views.whole_residual(world.store) == 0
    world.wallets[USDM]["USDT"] += 7
    world.give(world.report(USDM))
    assert views.whole_residual(world.store) == 7, "compared, and not explained: that is told"
    world.give(ChannelLost(USDM, Channel.PRIVATE, "socket"))
    assert views.whole_residual(world.store) is None
