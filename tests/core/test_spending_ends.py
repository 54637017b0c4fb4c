"""What a passed budget ends, and what begins it anew: a day, an operator, another setting."""

from __future__ import annotations

import msgspec
import pytest

from bot.core.fold import refold
from bot.model.facts import ModeOrdered, RateSeen, SettingsChanged
from bot.model.pair import Mode, PairState
from bot.model.spending import DAY_NS, Fees
from bot.model.store import Store, state_sha256
from tests.core.budgeted import alerts, churn, fees, lose, pair, with_budget
from tests.core.world import BTC, INVERSE, SECOND_NS, D, hedged

# --- no more entries, and again ---------------------------------------------------------------------------


def test_a_day_of_churning_ends_with_its_budget_and_is_told_once() -> None:
    world = with_budget(fees_day_pair_bps=100.0)
    entries = churn(world, 10)
    assert 1 < entries < 4
    assert pair(world).state is PairState.FLAT
    assert alerts(world) == ["budget:fees_day:BTC"]
    assert fees(world).spent <= 100
    assert pair(world).spending.closed_ns % DAY_NS == 0
    world.at_ns = pair(world).spending.closed_ns
    world.tick(0.0)
    assert churn(world, 1) == 1


def test_a_turnover_that_is_passed_ends_entries_for_a_day() -> None:
    world = with_budget(turnover_day_pair=2.0)
    assert churn(world, 5) == 2
    assert alerts(world) == ["budget:turnover:BTC"]
    closed_ns = pair(world).spending.closed_ns
    assert closed_ns > world.at_ns + DAY_NS - 60 * SECOND_NS
    world.at_ns = closed_ns - 60 * SECOND_NS
    world.tick(0.0)
    assert churn(world, 1) == 0
    world.at_ns = closed_ns + 3600 * SECOND_NS  # the hours of the last round trip are beyond the day
    world.tick(0.0)
    assert churn(world, 1) == 1


def test_a_month_of_fees_pauses_the_pair_and_resume_counts_anew() -> None:
    world = with_budget(fees_month_pair_bps=60.0)
    assert churn(world, 5) == 1
    assert pair(world).mode is Mode.PAUSED
    assert alerts(world) == ["budget:fees_month:BTC"]
    cost = pair(world).spending.exit_fee
    world.give(ModeOrdered(BTC, Mode.ACTIVE, "test", "seen"))
    assert alerts(world)[1:] == ["budget:resumed:BTC"]
    assert pair(world).spending.month == Fees()
    assert pair(world).spending.exit_fee == cost
    assert world.store.spending.today.spent > 0  # the book's is everybody's
    assert churn(world, 1) == 1


def test_resuming_everything_counts_everything_anew() -> None:
    world = with_budget(fees_day_book_bps=60.0, refused_orders_per_min=1)
    assert churn(world, 5) == 1
    assert alerts(world) == ["budget:fees_book:BTC"]
    account = world.store.accounts[world.instruments[0].account]
    account.openings_held_ns = world.at_ns + DAY_NS
    world.give(ModeOrdered("*", Mode.ACTIVE, "test", "seen"))
    assert world.store.spending.today == Fees()
    assert world.store.spending.peak_result == world.store.spending.day_result != 0
    assert account.openings_held_ns == pair(world).spending.closed_ns == 0
    assert churn(world, 1) == 1


@pytest.mark.parametrize(("scope", "mode"), [("NONE", Mode.ACTIVE), (BTC, Mode.PAUSED)])
def test_nothing_else_counts_anew(scope: str, mode: Mode) -> None:
    world = hedged()
    before = fees(world).spent
    world.give(ModeOrdered(scope, mode, "test", "seen"))
    assert fees(world).spent == before
    assert alerts(world) == []


def test_another_budget_is_judged_at_once() -> None:
    world = with_budget(fees_day_pair_bps=60.0)
    assert churn(world, 3) == 1
    wider = msgspec.structs.replace(world.config, budget=with_budget().config.budget)
    world.give(SettingsChanged(wider, "test"))
    assert churn(world, 1) == 1
    # and at a restart
    world = with_budget(fees_day_pair_bps=60.0)
    assert churn(world, 3) == 1
    world.config = wider
    world.boot("crash")
    assert churn(world, 1) == 1


def test_a_restart_forgets_nothing() -> None:
    world = with_budget(fees_day_pair_bps=60.0)
    assert churn(world, 3) == 1
    world.boot("crash")
    assert churn(world, 3) == 0
    store = Store()
    for row in world.rows:
        refold(store, row)
    assert state_sha256(store) == state_sha256(world.store)


# --- loss -------------------------------------------------------------------------------------------------


def test_a_loss_of_the_day_binds_everything_and_resume_begins_anew() -> None:
    world = hedged()
    assert lose(world, 200.0) == []  # 20 bps of it were there
    (mode,) = lose(world, 230.0)
    assert (mode.scope, mode.mode) == ("*", Mode.REDUCE_ONLY)
    assert world.store.mode is Mode.REDUCE_ONLY
    world.give(ModeOrdered("*", Mode.ACTIVE, "test", "seen"))
    assert lose(world, 400.0) == []
    assert len(lose(world, 470.0)) == 1


def test_a_loss_of_the_day_before_is_forgotten_and_one_from_the_peak_is_not() -> None:
    world = hedged()
    found = []
    for day in range(1, 5):
        found.append(lose(world, 20.0 + 150.0 * day))
        world.at_ns += DAY_NS
        world.tick()
    assert [len(one) for one in found] == [0, 0, 0, 1]
    (mode,) = found[-1]
    assert "BASISBOT_BUDGET__LOSS_PEAK_BPS" in mode.reason


def test_money_moved_and_the_price_of_collateral_are_no_loss() -> None:
    world = hedged(INVERSE)
    result = world.store.spending.result
    assert result == world.store.ledger.total.result() < 0
    world.quote(30_000.0, 20.0)
    total = world.store.ledger.total
    assert total.collateral < -80_000  # three coins of the operator's own
    assert world.store.mode is Mode.ACTIVE
    world.give(RateSeen("USDT", "USD", D(1), world.at_ns))
    total.transfers -= 10**6
    world.quote(30_000.0, 20.0)
    assert world.store.mode is Mode.ACTIVE
