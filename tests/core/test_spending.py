"""What the counts of the budgets count: fills, refusals and entries given back."""

from __future__ import annotations

import msgspec
import pytest

from bot.core.spending import is_spending
from bot.model.commands import (
    AnyWhy,
    EntryGap,
    ExitCarry,
    ExitEnd,
    ExitGap,
    ExitHold,
    Flatten,
    LegUnwound,
    RaiseAlert,
)
from bot.model.facts import ForcedFilled, ModeOrdered
from bot.model.instrument import Side
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.spending import DAY_NS, Fees
from tests.core.budgeted import (
    LINEAR_RATE,
    SPOT_RATE,
    alerts,
    fees,
    fill,
    look,
    pair,
    refuse,
    undo,
    with_budget,
)
from tests.core.world import BTC, INVERSE, LINEAR, SECOND_NS, SPOT, D, World, hedged, make_config
from tests.risk import build

# --- fees -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "why", "spends"),
    [
        (Purpose.ENTER, EntryGap(1.0, 1.0, 1.0), True),
        (Purpose.EXIT, ExitGap(1.0, 1.0), True),
        (Purpose.EXIT, ExitCarry(1.0, 1.0), True),
        (Purpose.EXIT, ExitHold(1.0, 1.0), False),
        (Purpose.EXIT, ExitEnd(LINEAR, 1.0, 1.0), False),
        (Purpose.EXIT, Flatten("x"), False),
        (Purpose.REPAIR, EntryGap(1.0, 1.0, 1.0), False),
        (Purpose.UNWIND, LegUnwound(1.0, 1), False),
        (Purpose.DRIFT, ExitGap(1.0, 1.0), False),
    ],
)
def test_entries_and_exits_by_signal_spend(purpose: Purpose, why: AnyWhy, spends: bool) -> None:
    assert is_spending(build.place(Role.LONG, build.entry()[0].side, "1", purpose, why=why)) is spends


def test_fees_are_counted_in_nav_currency_once_by_what_they_are_for() -> None:
    world = with_budget()
    world.quote(60_000.0, 20.0)
    paid = D(0)
    for order in world.placed():
        facts = world.fill(order)
        world.give(*facts, *facts)
        paid += order.qty * order.price * (SPOT_RATE if order.instrument == SPOT else LINEAR_RATE)
    spent = fees(world).spent
    assert abs(spent - paid) < D("0.01")  # the spot fee is coin, at the store's price of it
    assert spent == -world.store.ledger.total.fees
    assert pair(world).spending.month.spent == world.store.spending.today.spent == spent
    world.give(ModeOrdered("*", Mode.FLATTENING, "test", "by force"))
    look(world, 20.0, 2)
    world.fill_all()
    assert pair(world).state is PairState.FLAT
    assert fees(world).spent == spent
    assert fees(world).other == -world.store.ledger.total.fees - spent > 0


def test_a_fee_in_a_token_without_a_price_counts_by_the_rate() -> None:
    world = with_budget()
    world.quote(60_000.0, 20.0)
    long, _ = world.placed()
    facts = world.fill(long)
    facts[1] = msgspec.structs.replace(facts[1], fee=D("0.01"), fee_asset="BNB")
    world.give(*facts)
    assert fees(world).spent == long.qty * long.price * SPOT_RATE


def test_a_leg_in_coin_is_counted_at_the_rate_of_cash() -> None:
    world = hedged(INVERSE)
    contracts = -pair(world).short.position.qty
    turn = next(iter(pair(world).spending.short_turns.values()))
    assert turn.opened_qty == contracts
    look(world, -20.0, 2)
    orders = world.placed()
    world.store.rates = {}  # cash without a rate counts as NAV currency
    world.give(*[fact for order in orders for fact in world.fill(order)])
    assert turn.closed == contracts * 100


def test_days_are_kept_for_a_month_and_their_sum_with_them() -> None:
    world = hedged()
    spent = fees(world).spent
    for _ in range(30):
        world.at_ns += DAY_NS
        world.tick()
        assert pair(world).spending.month.spent == spent > 0
        assert world.store.spending.today == Fees()
    world.at_ns += DAY_NS
    world.tick()
    assert pair(world).spending.month == Fees()
    assert pair(world).spending.days == {}


def test_a_complete_exit_is_valued_when_legs_change_and_once_a_day() -> None:
    world = hedged()
    qty = pair(world).long.position.qty
    cost = world.store.spending.exit_fee
    assert cost == pair(world).spending.exit_fee
    assert abs(cost - qty * 60_000 * (SPOT_RATE + LINEAR_RATE) * D("1.5")) < D("0.2")
    world.quote(90_000.0, 0.0)
    assert world.store.spending.exit_fee == cost
    world.at_ns += DAY_NS
    world.quote(90_000.0, 0.0)
    world.at_ns += DAY_NS
    world.tick()
    assert world.store.spending.exit_fee > cost * D("1.49")
    world.give(ModeOrdered("*", Mode.FLATTENING, "test", "by force"))
    world.quote(90_000.0, 0.0, after_s=2)
    world.fill_all()
    assert world.store.spending.exit_fee == pair(world).spending.exit_fee < D("0.01")


def test_what_cannot_be_valued_keeps_its_last_value() -> None:
    world = hedged()
    cost = world.store.spending.exit_fee
    world.store.markets[LINEAR].mark = None
    world.at_ns += DAY_NS
    world.tick()
    assert world.store.spending.exit_fee == cost > 0


# --- turnover ---------------------------------------------------------------------------------------------


def test_turnover_is_what_is_closed_of_young_openings() -> None:
    world = hedged()
    opened = {one.opened_qty for one in pair(world).spending.long_turns.values()}
    assert opened == {D("0.16600")} or len(opened) == 1
    look(world, -20.0, 2)
    world.fill_all()
    (turn,) = pair(world).spending.short_turns.values()
    assert turn.opened_qty == 0
    assert D(9_800) < turn.closed < D(10_100)


def test_what_was_opened_long_ago_is_no_turnover() -> None:
    world = hedged()
    world.at_ns += 26 * 3600 * SECOND_NS
    world.tick()
    look(world, -20.0, 2)
    world.fill_all()
    assert pair(world).state is PairState.FLAT
    assert [turn.closed for turn in pair(world).spending.short_turns.values()] == [D(0)]


# --- entries given back -----------------------------------------------------------------------------------


def test_each_entry_given_back_doubles_the_pause_and_the_fifth_pauses_the_pair() -> None:
    world = with_budget()
    for count in range(1, 5):
        undo(world)
        assert len(pair(world).spending.undone_ns) == count
        look(world, 20.0, 60.0 * 2 ** (count - 1) - 1.0)
        assert world.placed() == []
        assert pair(world).idle == "entry_was_unwound"
        world.at_ns += SECOND_NS
    undo(world)
    assert pair(world).mode is Mode.PAUSED
    assert "-2010 not permitted" in pair(world).mode_reason
    assert [key for key in alerts(world) if "budget" in key] == ["budget:undone:BTC"] * 5
    (critical,) = [one for one in world.commands if isinstance(one, RaiseAlert) and "paused" in one.text]
    assert critical.severity == "critical"
    assert "binance:spot:BTCUSDT buy: -2010 not permitted" in critical.text
    look(world, 20.0, 7200.0)
    assert world.placed() == []


def test_an_entry_given_back_by_a_pair_that_is_held_counts_too() -> None:
    world = World(make_config(capital=50_000, limits={"net_delta_max_quote": D(20_000)}))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    for order in world.placed():
        fill(world, order)
    assert pair(world).state is PairState.HEDGED
    undo(world)
    assert pair(world).state is PairState.HEDGED
    assert len(pair(world).spending.undone_ns) == 1
    look(world, 20.0, 50.0)
    assert world.placed() == []
    look(world, 20.0, 11)
    assert world.placed() != []


def test_an_entry_that_is_completed_was_not_given_back() -> None:
    world = with_budget()
    world.quote(60_000.0, 20.0)
    long, short = world.placed()
    fill(world, short)
    refuse(world, long)
    (repair,) = world.placed()
    assert repair.purpose is Purpose.REPAIR
    fill(world, repair)
    assert pair(world).state is PairState.HEDGED
    assert pair(world).spending.undone_ns == ()
    assert fees(world).other > 0


# --- refusals ---------------------------------------------------------------------------------------------


def test_an_account_that_refuses_too_many_orders_a_minute_opens_nothing_for_a_while() -> None:
    world = with_budget(refused_orders_per_min=2, refused_pause_s=600.0)
    account = world.store.accounts[world.instruments[0].account]
    world.quote(60_000.0, 20.0)
    long, short = world.placed()
    refuse(world, long, times=3)  # told three times, refused once
    assert account.openings_held_ns == 0
    refuse(world, short)
    assert alerts(world) == []
    look(world, 20.0, 1.1)
    long, short = world.placed()
    refuse(world, long)
    assert alerts(world) == [f"budget:refused:{account.id}"]
    refuse(world, short)
    assert account.openings_held_ns > world.at_ns + 599 * SECOND_NS
    look(world, 20.0, 300.0)
    assert world.placed() == []
    assert pair(world).idle == "budget_refused"
    look(world, 20.0, 301.0)
    assert world.placed() != []


def test_refusals_of_longer_ago_than_a_minute_do_not_add_up() -> None:
    world = with_budget(refused_orders_per_min=2)
    for _ in range(4):
        look(world, 20.0, 61.0)
        for order in world.placed():
            refuse(world, order)
    assert alerts(world) == []


# --- exits bought back ------------------------------------------------------------------------------------


def leave_in_vain(world: World, seconds: int) -> int:
    """The reason to leave stands, and the venue refuses to buy the contract back; returns the exits begun."""
    exits = 0
    for _ in range(seconds):
        look(world, -20.0, 1.1)
        for _ in range(10):
            orders = world.placed()
            exits += any(order.purpose is Purpose.EXIT for order in orders)
            for order in orders:
                if order.role is Role.SHORT:
                    refuse(world, order)
                else:
                    fill(world, order)
            if not orders:
                break
    return exits


def test_an_exit_that_is_bought_back_waits_before_the_next_one_and_flatten_does_not() -> None:
    world = with_budget()
    world.quote(60_000.0, 20.0)
    world.fill_all()
    assert leave_in_vain(world, 40) == 1
    assert pair(world).idle == "exit_was_undone"
    assert "budget:undone_exit:BTC" in alerts(world)
    assert leave_in_vain(world, 40) == 1
    assert pair(world).spending.undone_exits == 2
    world.give(ModeOrdered(BTC, Mode.FLATTENING, "test", "by force"))
    look(world, -20.0, 2)
    world.fill_all()
    assert pair(world).state is PairState.FLAT
    assert pair(world).spending.undone_exits == 0


def test_exits_that_are_bought_back_stop_with_the_budget_of_the_day() -> None:
    world = with_budget(fees_day_pair_bps=100.0, undone_pause_s=0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    held = pair(world).spending.exit_fee
    exits = leave_in_vain(world, 60)
    assert 1 < exits < 6
    assert fees(world).spent + fees(world).other <= 100 + held
    assert pair(world).idle == "exit_was_undone"
    world.at_ns = pair(world).spending.undone_exit_ns + DAY_NS
    assert leave_in_vain(world, 1) == 1


def test_a_leg_that_somebody_took_is_no_exit_bought_back() -> None:
    world = hedged()
    forced = ForcedFilled(LINEAR, "9", Side.BUY, D("0.16"), D(60_000), D(0), "USDT", "adl", world.at_ns)
    world.give(forced)
    world.quote(60_000.0, 0.0)
    for _ in range(10):
        look(world, 0.0, 1.1)
        world.fill_all()
    assert pair(world).state is not PairState.LEGGED
    assert pair(world).spending.undone_exits == 0
