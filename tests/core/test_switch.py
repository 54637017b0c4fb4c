"""Carry is decided once per settlement, from settled rates, and stands until the next."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest

from bot.core import fold, signals, switch
from bot.model.commands import EntryCarry, ExitCarry, Flatten
from bot.model.entry import Entry
from bot.model.facts import AnyFact, FundingEstimated, FundingSettled, ModeOrdered, Tick
from bot.model.pair import Mode, PairState
from bot.model.store import Store, decode_store, encode_store, state_sha256
from tests.core.settled import EIGHT_NS, HOUR_NS, NOON_NS, Settled, held, past, rate_of
from tests.core.world import INVERSE, LINEAR, SECOND_NS, SPOT

D = Decimal
RICH, POOR = [0.2] * 60, [0.0] * 60
FALL = -0.5


def estimate(world: Settled, apr: float, in_s: float) -> FundingEstimated:
    next_ns = world.at_ns + int(in_s * SECOND_NS)
    return FundingEstimated(LINEAR, rate_of(apr), next_ns, world.at_ns, world.at_ns)


# --- in ---------------------------------------------------------------------------------------------------


def test_a_past_that_pays_is_entered_at_the_start() -> None:
    """20 % a year: the forecast is .779 × 20 % + .221 × 10.95 %; 30 bps at a hurdle of 4 % need 8.4 %."""
    world = Settled()
    world.begin(RICH)
    orders = world.placed()
    why = orders[0].why
    assert isinstance(why, EntryCarry)
    assert why.expected_apr == pytest.approx(0.779 * 0.2 + 0.221 * 0.1095, rel=1e-4)
    assert why.slow_apr == pytest.approx(0.2, rel=1e-4)
    assert why.cost_bps == pytest.approx(30.0)
    assert why.net_apr == pytest.approx(why.expected_apr - 0.044)
    assert why.needed_apr == pytest.approx(0.04)
    assert world.pair.switch is not None
    assert world.pair.switch.enter_apr == pytest.approx(0.084)
    assert len(orders) == 2


def test_a_past_that_does_not_is_not() -> None:
    world = Settled()
    world.begin(POOR)
    assert not world.placed()
    assert world.pair.idle == "carry_below_entry"


def test_borrowing_is_part_of_the_hurdle() -> None:
    world = Settled(strategy={"borrow_apr": 0.15})
    world.begin(RICH)
    assert not world.placed()
    assert world.pair.switch is not None
    assert world.pair.switch.enter_apr == pytest.approx(0.19 + 0.04)


def test_a_floor_of_the_forecast_holds_beside_the_switch_and_none_is_no_entry() -> None:
    for floor, enters in ((0.17, True), (0.19, False), (None, False)):
        world = Settled(strategy={"entry_carry_apr": floor})
        world.begin(RICH)
        assert bool(world.placed()) is enters, floor
    by_gap = Settled(strategy={"entry_carry_apr": None, "entry_gap_bps": 50.0, "exit_gap_bps": 0.0})
    by_gap.begin(RICH)
    assert by_gap.decisions() == [], "nothing is decided that nobody asks for"


def test_without_a_past_three_settlements_enter_nothing() -> None:
    world = Settled()
    world.begin([])
    assert world.pair.idle == "missing_funding"
    for _ in range(3):
        world.settle(0.5)
        assert not world.placed()
        assert world.pair.idle == "carry_below_entry"
    world.settle(0.5)
    assert world.placed()


def test_an_estimate_opens_nothing_and_closes_nothing() -> None:
    world = Settled()
    world.begin(POOR)
    world.give(estimate(world, 9.0, 3_600.0))
    world.refresh()
    assert not world.placed()
    kept = held(strategy={"hold_min_s": 0.0})
    before = kept.decisions()
    kept.give(estimate(kept, -9.0, 3_600.0))
    kept.refresh()
    assert not kept.placed()
    assert kept.pair.idle == "holding"
    assert kept.decisions() == before


def test_rates_that_nobody_told_for_two_settlements_open_nothing() -> None:
    world = Settled(capital=20_000)
    world.begin(RICH)
    world.fill_all()
    last_ns = world.store.markets[LINEAR].settlements.last_ns
    world.until(last_ns + 2 * EIGHT_NS - 60 * SECOND_NS)
    assert world.placed(), "capital is left, and one settlement may be late"
    late = Settled()
    late.begin([])
    late.give(ModeOrdered("*", Mode.PAUSED, "operator", "wait"), *past(RICH))
    late.until(last_ns + 2 * EIGHT_NS + 60 * SECOND_NS)
    late.give(ModeOrdered("*", Mode.ACTIVE, "operator", "go"))
    assert not late.placed()
    assert late.pair.idle == "missing_funding"


def test_while_it_stands_on_in_clips_are_sent_whatever_the_forecast_was_since() -> None:
    """Below what an entry needs and above what an exit needs, the switch stays where it is."""
    world = Settled(capital=30_000)
    world.begin(RICH)
    world.fill_all()
    for _ in range(2):
        world.settle(-0.1)
    assert world.pair.switch is not None
    assert world.pair.switch.leave_apr < world.pair.switch.forecast_apr < world.pair.switch.enter_apr
    assert world.pair.switch.is_in
    assert world.placed()
    out = Settled()
    out.begin([*POOR, -0.1, -0.1])
    assert out.pair.switch is not None
    assert not out.pair.switch.is_in


# --- out --------------------------------------------------------------------------------------------------


def left(world: Settled, apr: float = FALL, at_most: int = 30) -> int:
    """How many settlements it takes until the pair leaves by the switch; what it sells is sold."""
    for number in range(1, at_most):
        world.settle(apr)
        orders = world.placed()
        if orders:
            assert isinstance(orders[0].why, ExitCarry)
            world.give(*[fact for order in orders for fact in world.fill(order)])
            return number
    raise AssertionError("it never leaves")


def test_a_fall_is_left_after_a_day_at_least() -> None:
    world = held()
    entered_ns = world.pair.entered_ns
    world.settle(-3.0)
    world.refresh()
    assert world.pair.switch is not None
    assert world.pair.switch.leaves, "one settlement says it"
    assert world.pair.idle == "minimum_hold"
    assert not world.placed()
    world.until(entered_ns + 24 * HOUR_NS)
    assert isinstance(world.placed()[0].why, ExitCarry)


def test_the_least_time_may_be_set() -> None:
    assert left(held(strategy={"hold_min_s": 0.0}), -3.0) == 1
    assert left(held(strategy={"hold_min_s": 172_800.0}), -3.0) == 7, "the first behind two days"


def test_what_was_paid_since_the_best_point_ends_it() -> None:
    """−12 % a year: neither forecast nor slow average says so before 28 settlements have cost 30 bps."""
    world = held(strategy={"hold_min_s": 0.0, "hurdle_apr": 0.0})
    world.settle(0.2)
    for number in range(1, 40):
        world.settle(-0.12)
        decided = world.decisions()[-1]
        assert decided.paid_bps == pytest.approx(number * 0.12 / 1095.0 * 1e4, rel=1e-3)
        assert decided.forecast_apr > decided.leave_apr
        assert decided.slow_apr > -0.02
        if decided.leaves:
            break
    assert number == 28
    why = world.placed()[0].why
    assert isinstance(why, ExitCarry)
    assert why.paid_bps == decided.paid_bps
    assert why.cost_bps == pytest.approx(30.0)


def test_what_was_paid_before_the_entry_does_not_count() -> None:
    world = held([0.3] * 60 + [-0.05], strategy={"hold_min_s": 0.0})
    world.settle(-0.05)
    assert world.decisions()[-1].paid_bps == pytest.approx(0.05 / 1095.0 * 1e4, rel=1e-3)


def test_after_leaving_the_switch_must_turn_in_again() -> None:
    world = held(strategy={"hold_min_s": 0.0})
    left(world, -3.0)
    assert world.pair.state is PairState.FLAT
    between = 0
    while not world.decisions()[-1].is_in:
        assert not world.placed()
        world.settle(0.2)
        decided = world.decisions()[-1]
        between += decided.leave_apr < decided.forecast_apr < decided.enter_apr
    assert between, "what would have been held was not entered"
    assert decided.forecast_apr >= decided.enter_apr
    assert world.placed()


def test_a_thin_book_is_no_reason_to_stay() -> None:
    world = held(strategy={"hold_min_s": 0.0})
    due_ns = (world.at_ns // EIGHT_NS + 1) * EIGHT_NS
    world.at_ns = due_ns
    world.give(*(world.book(name, 59_991.0, 60_009.0) for name in (SPOT, LINEAR)))
    world.give(FundingSettled(LINEAR, rate_of(0.2), due_ns))
    cost_bps = world.decisions()[-1].cost_bps
    assert cost_bps == pytest.approx(36.0, abs=0.01), "two spreads of 3 bps"
    due_ns += EIGHT_NS
    world.at_ns = due_ns
    world.give(world.book(SPOT, 60_000.0, 60_000.0, 0.001), world.book(LINEAR, 60_000.0, 60_000.0, 0.001))
    world.give(FundingSettled(LINEAR, rate_of(-3.0), due_ns))
    assert world.pair.switch is not None
    assert world.pair.switch.leaves
    assert world.pair.switch.cost_bps == cost_bps, "as it was walked last"
    fresh = Settled()
    fresh.boot()
    fresh.quote(60_000.0, 0.0)
    fresh.give(fresh.book(SPOT, 60_000.0, 60_000.0, 0.001), *past(RICH))
    assert fresh.pair.switch is None, "an entry needs a cost"
    assert not fresh.placed()


# --- a payment ahead --------------------------------------------------------------------------------------


def deciding(apr: float, in_s: float = 540.0) -> Settled:
    """A pair whose exit is decided and waits for the end of its least time, with a settlement ahead."""
    world = held(strategy={"hold_min_s": 100_000.0})
    for _ in range(3):
        world.settle(-3.0)
    assert world.pair.switch is not None
    assert world.pair.switch.leaves
    assert not world.placed()
    world.at_ns = world.pair.entered_ns + 100_000 * SECOND_NS
    world.give(estimate(world, apr, in_s))
    world.refresh()
    return world


def test_an_exit_that_is_not_sent_waits_for_a_payment_that_is_near() -> None:
    world = deciding(0.1)
    assert world.pair.idle == "payment_near"
    assert not world.placed()
    world.at_ns += 540 * SECOND_NS
    world.refresh()
    assert world.placed(), "it has been paid"


def test_it_does_not_wait_for_one_that_is_far_or_goes_against_it() -> None:
    assert deciding(0.1, 660.0).placed()
    assert deciding(-0.1).placed()


def test_an_exit_under_way_and_an_order_of_an_operator_wait_for_nothing() -> None:
    world = deciding(-0.1)
    world.give(estimate(world, 0.1, 300.0))
    world.fill_all()
    assert world.pair.state is PairState.FLAT
    partly = deciding(0.1)
    partly.pair.state = PairState.EXITING
    assert isinstance(signals.leave(partly.store, partly.config, partly.pair, partly.at_ns), ExitCarry)
    ordered = deciding(0.1)
    ordered.give(ModeOrdered("*", Mode.FLATTENING, "operator", "test"))
    assert isinstance(ordered.placed()[0].why, Flatten)


# --- when it is decided -----------------------------------------------------------------------------------


def test_nothing_is_decided_before_the_books_are_open() -> None:
    world = deciding(0.2)
    world.pair.switch_ns, world.pair.switch = 0, None
    assert switch.decide(world.store, world.config, world.pair, world.at_ns) is not None, "the premise"
    world.store.ledger.opened = False
    assert switch.decide(world.store, world.config, world.pair, world.at_ns) is None
    world.store.ledger.opened = True
    del world.store.markets[LINEAR]
    assert switch.decide(world.store, world.config, world.pair, world.at_ns) is None


def test_it_is_decided_once_for_each_settlement() -> None:
    world = held()
    for number in range(1, 4):
        world.settle(0.2)
        for _ in range(50):
            world.refresh()
        assert len(world.decisions()) == 1 + number


def test_two_contracts_earn_the_difference_and_are_decided_when_both_have_settled() -> None:
    """The short leg's 30 % less the long leg's 10 %; a rate that is late is waited for a minute."""
    world = Settled(LINEAR, INVERSE)
    world.boot()
    world.give(*past([0.3] * 60, INVERSE), *past([0.1] * 60, LINEAR))
    world.quote(60_000.0, 0.0)
    first = world.decisions()[-1]
    assert first.slow_apr == pytest.approx(0.2, rel=1e-4)
    assert first.forecast_apr == pytest.approx(0.779 * 0.2, rel=1e-4), "both have the same constant"
    due_ns = (world.at_ns // EIGHT_NS + 1) * EIGHT_NS
    world.at_ns = due_ns + 5 * SECOND_NS
    world.give(FundingSettled(INVERSE, rate_of(0.3), due_ns))
    assert world.decisions()[-1] == first
    world.give(FundingSettled(LINEAR, rate_of(0.1), due_ns))
    assert world.decisions()[-1].settlements == 122
    world.at_ns = due_ns + EIGHT_NS + 5 * SECOND_NS
    world.give(FundingSettled(INVERSE, rate_of(0.3), due_ns + EIGHT_NS))
    assert world.decisions()[-1].settlements == 122
    world.at_ns = due_ns + EIGHT_NS + 60 * SECOND_NS
    world.refresh()
    assert world.decisions()[-1].settlements == 123


def test_of_two_contracts_the_long_one_s_funding_is_what_is_paid() -> None:
    world = Settled(LINEAR, INVERSE, strategy={"hold_min_s": 0.0})
    world.boot()
    world.give(*past([0.3] * 60, INVERSE), *past([0.1] * 60, LINEAR))
    world.give(*(world.mark(name, D(60_000), D(60_000)) for name in (LINEAR, INVERSE)))
    world.quote(60_000.0, 0.0)
    world.fill_all()
    assert world.pair.state is PairState.HEDGED
    due_ns = (world.at_ns // EIGHT_NS + 1) * EIGHT_NS
    world.at_ns = due_ns + SECOND_NS
    world.give(FundingSettled(INVERSE, rate_of(0.1), due_ns), FundingSettled(LINEAR, rate_of(0.3), due_ns))
    assert world.decisions()[-1].paid_bps == pytest.approx(0.2 / 1095.0 * 1e4, rel=1e-3)


def test_a_contract_without_an_interest_constant_is_forecast_without_it() -> None:
    world = Settled()
    world.instruments = [msgspec.structs.replace(one, interest_apr=0.0) for one in world.instruments]
    world.begin(RICH)
    assert world.decisions()[-1].forecast_apr == pytest.approx(0.779 * 0.2, rel=1e-4)


def test_a_run_that_begins_decides_anew() -> None:
    world = held()
    count = len(world.decisions())
    world.boot(previous="clean")
    world.quote(60_000.0, 0.0)
    assert len(world.decisions()) == count + 1


def test_a_second_reading_changes_nothing() -> None:
    world = held()
    before, count = state_sha256(world.store), len(world.decisions())
    market = world.store.markets[LINEAR]
    kept = (list(market.settlements.minutes), list(market.settlements.rates), market.settled_ns)
    world.give(*past(RICH))
    assert (market.settlements.minutes, market.settlements.rates, market.settled_ns) == kept
    assert len(world.decisions()) == count
    assert before != state_sha256(world.store), "time has passed, and nothing else"


def test_settlements_that_are_told_in_any_order_decide_the_same() -> None:
    draw = random.Random(7)
    told: list[AnyFact] = [*past([draw.uniform(-0.5, 1.0) for _ in range(80)])]
    found = []
    for shuffled in (told, [*told, *told], sorted(told, key=lambda _: draw.random()), told[::-1]):
        world = Settled()
        world.boot()
        world.give(*shuffled)
        world.quote(60_000.0, 0.0)
        assert world.pair.switch is not None
        found.append((world.pair.switch, world.store.markets[LINEAR].settled_rate))
    assert found == [found[0]] * 4


def test_the_journal_alone_restores_the_switch() -> None:
    world = held(strategy={"hold_min_s": 0.0})
    left(world)
    store = Store()
    for row in world.rows:
        fold.refold(store, Entry(row.seq, row.at_ns, row.facts, row.commands))
    assert store.pairs == world.store.pairs
    assert state_sha256(store) == state_sha256(world.store)
    assert state_sha256(decode_store(encode_store(store))) == state_sha256(store)


def test_the_rule_of_before_is_not_decided_here() -> None:
    world = Settled(strategy={"expected_funding": "last", "entry_carry_apr": 0.01})
    world.begin(RICH)
    assert world.placed()
    assert world.pair.switch is None
    assert world.decisions() == []
    assert switch.decide(world.store, world.config, world.pair, NOON_NS) is None


def test_a_tick_does_not_decide() -> None:
    world = held()
    count = len(world.decisions())
    for _ in range(3):
        world.give(Tick({one.id: world.at_ns for one in world.instruments}, {}), after_s=3_600.0)
    assert len(world.decisions()) == count
