"""A pair leaves by the exit of the reason it was entered for."""

from __future__ import annotations

import msgspec
import pytest

from bot.core import signals
from bot.model.commands import EntryCarry, EntryGap, ExitCarry, ExitEnd, ExitGap, ExitHold
from bot.model.facts import FundingEstimated, ModeOrdered
from bot.model.instrument import Kind
from bot.model.pair import Mode, PairState
from bot.model.store import decode_store, encode_store
from tests.core.settled import HOUR_NS, D, Settled, past, rate_of
from tests.core.world import LINEAR

BOTH = {"entry_gap_bps": 30.0, "exit_gap_bps": 0.0, "hold_min_s": 0.0}
RICH = [0.2] * 60
POOR = [-0.5] * 60


def entered(aprs: list[float], gap_bps: float, **strategy: object) -> Settled:
    world = Settled(strategy=BOTH | strategy)
    world.boot()
    world.give(*past(aprs))
    world.gap_bps = gap_bps
    world.quote(60_000.0, gap_bps)
    world.fill_all()
    world.refresh()
    assert world.pair.state is PairState.HEDGED, world.pair.idle
    return world


def test_what_the_gap_entered_carry_does_not_leave() -> None:
    world = entered(POOR, 40.0)
    assert isinstance(world.pair.entered_why, EntryGap)
    for _ in range(5):
        world.settle(-0.5)
        assert not world.placed()
    world.quote(60_000.0, -1.0)
    assert isinstance(world.placed()[0].why, ExitGap)


def test_no_time_must_pass_before_the_gap_leaves_where_none_is_set() -> None:
    world = entered(POOR, 40.0, hold_min_s=None)
    world.quote(60_000.0, -1.0)
    assert isinstance(world.placed()[0].why, ExitGap)


def test_what_carry_entered_the_gap_does_not_leave() -> None:
    world = entered(RICH, -2.0)
    assert isinstance(world.pair.entered_why, EntryCarry)
    world.quote(60_000.0, -20.0)
    assert not world.placed()
    while not world.placed():
        world.settle(-2.0)
    assert isinstance(world.pair.why, ExitCarry)


def test_a_gap_entry_whose_exit_is_switched_off_leaves_by_the_switch() -> None:
    world = entered(POOR, 40.0, exit_gap_bps=None)
    assert not world.placed(), "what was decided before it was entered is no reason to leave"
    world.settle(-0.5)
    assert isinstance(world.placed()[0].why, ExitCarry)


def test_it_stays_while_the_switch_says_neither() -> None:
    """3 % a year: nothing that carry would enter, and nothing that carry would leave."""
    world = entered([0.03] * 60, 40.0, exit_gap_bps=None)
    for _ in range(4):
        world.settle(0.03)
    assert world.pair.switch is not None
    assert world.pair.switch_ns > world.pair.entered_ns
    assert not world.pair.switch.is_in
    assert not world.placed()
    assert world.pair.idle == "holding"


def test_so_does_one_where_no_carry_enters() -> None:
    world = entered(POOR, 40.0, exit_gap_bps=None, entry_carry_apr=None)
    world.settle(-0.5)
    assert isinstance(world.placed()[0].why, ExitCarry)


def test_a_pair_of_which_nobody_knows_why_it_was_entered_leaves_by_the_switch() -> None:
    world = entered(RICH, 40.0)
    assert isinstance(world.pair.entered_why, EntryGap)
    world.pair.entered_why, world.pair.switch = None, None
    world.store = decode_store(encode_store(world.store))
    world.quote(60_000.0, -20.0)
    assert not world.placed()
    while not world.placed():
        world.settle(-2.0)
    assert isinstance(world.pair.why, ExitCarry)


@pytest.mark.parametrize("gap_bps", [40.0, -2.0])
def test_under_the_rule_of_before_reasons_are_tied_too(gap_bps: float) -> None:
    """Carry of 55 % a year and a gap: each was the exit of what the other had entered, over and over."""
    apr = 0.547 if gap_bps < 0 else -0.01
    world = Settled(strategy=BOTH | {"expected_funding": "estimate", "entry_carry_apr": 0.10})
    world.boot()
    told = FundingEstimated(LINEAR, rate_of(apr), world.at_ns + 8 * HOUR_NS, world.at_ns, world.at_ns)
    world.give(told)
    world.quote(60_000.0, gap_bps)
    world.fill_all()
    for _ in range(600):
        world.refresh(gap_bps)
        assert not world.placed()
    assert world.pair.state is PairState.HEDGED


def test_a_pair_grows_by_the_reason_it_was_entered_for() -> None:
    world = Settled(capital=50_000, strategy=BOTH)
    world.boot()
    world.give(*past(RICH))
    world.quote(60_000.0, 40.0)
    world.fill_all()
    assert isinstance(world.pair.entered_why, EntryGap)
    world.at_ns += 2 * 10**9
    world.refresh(10.0)
    assert not world.placed(), "the switch stands on in, and carry would enter"
    assert world.pair.switch is not None
    assert world.pair.switch.is_in
    world.at_ns += 2 * 10**9
    world.refresh(40.0)
    assert isinstance(world.placed()[0].why, EntryGap)


def test_what_carry_entered_grows_by_carry_whatever_the_gap_is() -> None:
    world = Settled(capital=50_000, strategy=BOTH)
    world.begin(RICH)
    world.fill_all()
    assert isinstance(world.pair.entered_why, EntryCarry)
    world.at_ns += 2 * 10**9
    world.refresh(40.0)
    assert isinstance(world.placed()[0].why, EntryCarry)


def test_a_pair_that_is_flat_has_no_reason() -> None:
    world = entered(POOR, 40.0)
    world.quote(60_000.0, -1.0)
    world.fill_all()
    assert world.pair.state is PairState.FLAT
    assert world.pair.entered_why is None


# --- an end that is known ---------------------------------------------------------------------------------


def ending(in_h: float, kind: Kind = Kind.PERP, **strategy: object) -> Settled:
    world = Settled(strategy=strategy)
    expiry_ns = world.at_ns + int(in_h * HOUR_NS)
    world.instruments = [
        msgspec.structs.replace(one, kind=kind, expiry_ns=expiry_ns) if one.id == LINEAR else one
        for one in world.instruments
    ]
    world.boot()
    world.give(*past(RICH))
    world.quote(60_000.0, 0.0 if kind is Kind.PERP else 100.0)
    return world


@pytest.mark.parametrize("kind", [Kind.PERP, Kind.DATED])
def test_nothing_is_entered_near_an_end(kind: Kind) -> None:
    assert ending(73.0, kind).placed()
    near = ending(71.0, kind)
    assert not near.placed()
    assert near.pair.idle == "near_end"
    assert ending(71.0, kind, no_entry_before_expiry_h=48.0).placed()
    assert not ending(23.0, kind, no_entry_before_expiry_h=0.0).placed(), "it would have to leave at once"


def test_the_end_of_a_leg_is_told_a_day_before() -> None:
    for in_h, found in (
        (24.5, None),
        (23.5, ExitEnd(LINEAR, 23.5, 24.0)),
        (-1.0, ExitEnd(LINEAR, -1.0, 24.0)),
    ):
        world = ending(in_h)
        at_ns = world.store.markets[LINEAR].instrument.expiry_ns
        assert at_ns is not None
        assert signals.ends_within(world.store, world.pair, at_ns - int(in_h * HOUR_NS)) == found
    held_to_it = ending(1.0, leave_before_end_h=0.0)
    assert signals.ends_within(held_to_it.store, held_to_it.pair, held_to_it.at_ns) is None
    endless = Settled()
    endless.boot()
    assert signals.ends_within(endless.store, endless.pair, endless.at_ns) is None


def test_a_dated_leg_must_earn_its_cost_in_the_life_that_is_left() -> None:
    """A basis of 100 bps, a round trip of 30: over 33 days 11.1 % a year less 3.4 for the cost."""
    life_h = 33 * 24.0
    world = ending(life_h, Kind.DATED)
    why = world.placed()[0].why
    assert isinstance(why, EntryCarry)
    assert why.expected_apr == pytest.approx(0.0100 * 365 / 33, rel=1e-3)
    assert why.cost_bps == pytest.approx(30.0)
    assert why.net_apr == pytest.approx(why.expected_apr - 0.0030 * 8760 / (life_h - 24.0), rel=1e-3)
    costly = ending(life_h, Kind.DATED, hurdle_apr=0.08)
    assert not costly.placed()
    assert costly.pair.idle == "carry_below_entry"


def test_a_leg_that_delivery_closes_costs_one_take() -> None:
    """10 bps twice for spot, 5 once for the contract."""
    why = ending(33 * 24.0, Kind.DATED, leave_before_end_h=0.0).placed()[0].why
    assert isinstance(why, EntryCarry)
    assert why.cost_bps == pytest.approx(25.0)
    assert ending(33 * 24.0, leave_before_end_h=0.0).decisions()[0].cost_bps == pytest.approx(30.0)


def test_a_dated_pair_is_decided_each_hour() -> None:
    world = ending(33 * 24.0, Kind.DATED)
    world.fill_all()
    count = len(world.decisions())
    for _ in range(3):
        world.at_ns += HOUR_NS
        world.refresh(100.0)
        world.refresh(100.0)
    assert len(world.decisions()) == count + 3


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.PAUSED, Mode.REDUCE_ONLY])
def test_a_pair_leaves_by_force_before_a_leg_ends(mode: Mode) -> None:
    world = ending(100.0)
    world.fill_all()
    world.refresh()
    assert world.pair.short.position.qty
    if mode is not Mode.ACTIVE:
        world.give(ModeOrdered("*", mode, "ann", "test"))
    world.until(world.at_ns + 75 * HOUR_NS)
    assert world.pair.idle != "near_end"
    world.until(world.at_ns + 2 * HOUR_NS)
    for _ in range(10):
        orders = world.placed()
        assert all(isinstance(order.why, ExitEnd) for order in orders)
        world.give(*[fact for order in orders for fact in world.fill(order)])
        world.refresh()
    assert world.pair.state is PairState.FLAT
    assert world.pair.spending.month.other > 0, "what must leave spends no budget"
    assert not world.placed(), "nothing is entered again"


def test_an_exit_by_age_goes_on_although_the_reason_to_enter_stands() -> None:
    world = Settled(strategy=BOTH | {"hold_max_s": 3600.0, "clip_quote": D(2_000), "clip_interval_s": 1.0})
    world.boot()
    world.give(*past(RICH))
    world.quote(60_000.0, 0.0)
    for _ in range(20):
        world.fill_all()
        world.refresh()
    assert world.pair.state is PairState.HEDGED
    before = world.pair.long.position.qty
    world.until(world.at_ns + 2 * HOUR_NS)
    for _ in range(40):
        orders = world.placed()
        assert all(isinstance(order.why, ExitHold) for order in orders)
        world.give(*[fact for order in orders for fact in world.fill(order)])
        if not world.pair.short.position.qty:
            break
        world.refresh()
    assert not world.pair.short.position.qty
    assert before * 60_000 > 6_000, "the premise: it took several clips"
