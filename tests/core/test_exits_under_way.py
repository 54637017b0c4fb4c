"""Exits under way: when the next clip goes, when it is left alone, and what one by force says and does."""

from __future__ import annotations

import msgspec
import pytest

from bot.core import signals, switch
from bot.model.commands import DriftBand, ExitCarry, ExitEnd, ExitGap, Flatten
from bot.model.facts import ForcedFilled, FundingEstimated, InstrumentStatusSeen, ModeOrdered
from bot.model.ids import InstrumentId
from bot.model.instrument import Kind, Side
from bot.model.pair import Mode, PairState, Purpose, Role
from tests.core.way_out import D, beat, delta_of, is_hedged, pair_of, play, steady
from tests.core.world import BTC, INVERSE, LINEAR, SECOND_NS, SPOT, World, hedged, make_config

HOUR_NS = 3_600 * SECOND_NS


def leaving(interval_s: float = 1.0) -> World:
    """Four clips are held, and the first clip of their exit is filled."""
    world = World(make_config(capital=40_000, strategy={"clip_interval_s": interval_s}))
    world.boot()
    world.quote(60_000.0, 0.0)
    for _ in range(8):
        beat(world, *world.books(60_000.0, 20.0), after_s=interval_s)
        world.fill_all()
    assert pair_of(world).long.position.qty * 60_000 > 35_000, "the premise: several clips are held"
    beat(world, *world.books(60_000.0, -20.0), after_s=interval_s)
    orders = world.placed()
    assert {type(order.why) for order in orders} == {ExitGap}
    world.give(*[fact for order in orders for fact in world.fill(order)])
    assert pair_of(world).state is PairState.EXITING
    return world


def test_an_exit_goes_on_where_there_is_neither_reason() -> None:
    world = leaving()
    sent = play(world, 10, steady(world))
    assert {order.purpose for order in sent} == {Purpose.EXIT}
    assert {type(order.why) for order in sent} == {ExitGap}, "for the reason that it began with"
    assert pair_of(world).state is PairState.FLAT


def test_an_exit_is_left_alone_where_the_reason_to_enter_is_back() -> None:
    world = leaving()
    world.give(*world.books(60_000.0, 20.0))
    beat(world, *world.books(60_000.0, 20.0))
    assert world.placed() == []
    assert pair_of(world).state is PairState.EXITING
    assert pair_of(world).idle == "exit_withdrawn"


def test_clips_of_an_exit_keep_their_interval_to_the_instant() -> None:
    world = leaving(interval_s=3.0)
    last_ns = pair_of(world).clip_ns
    beat(world, after_s=0.5)
    world.at_ns = last_ns + 3 * SECOND_NS - 2_000_000
    world.give(*world.books(60_000.0, -20.0))
    assert world.placed() == []
    assert pair_of(world).idle == "clip_interval"
    world.give(*world.books(60_000.0, -20.0))
    assert world.at_ns == last_ns + 3 * SECOND_NS, "the premise"
    assert {order.role for order in world.placed()} == set(Role)


@pytest.mark.parametrize("scope", ["*", BTC])
def test_an_exit_by_order_is_told_with_the_operator_s_reason(scope: str) -> None:
    world = hedged()
    beat(world, *world.books(60_000.0, 0.0), after_s=2.0)
    world.give(ModeOrdered(scope, Mode.FLATTENING, "kay", "holiday"))
    (first, *_) = world.placed()
    assert isinstance(first.why, Flatten)
    assert "holiday" in first.why.reason


def test_what_cannot_leave_is_brought_into_ratio_meanwhile() -> None:
    world = hedged()
    taken = D("0.020")
    world.give(InstrumentStatusSeen(SPOT, "BREAK", world.at_ns), *world.books(60_000.0, 0.0))
    world.give(ModeOrdered("*", Mode.FLATTENING, "kay", "out"))
    world.give(ForcedFilled(LINEAR, "t1", Side.BUY, taken, D(60_000), D(0), "USDT", "adl", world.at_ns))
    sent = world.placed() + play(world, 3, steady(world))
    assert {(order.role, order.side, order.qty) for order in sent} == {(Role.SHORT, Side.SELL, taken)}
    world.give(*[fact for order in sent[:1] for fact in world.fill(order)])
    assert is_hedged(world)
    assert pair_of(world).long.position.qty > D("0.1"), "and neither leg is given up"


@pytest.mark.parametrize(
    ("long_h", "short_h", "first"),
    [
        (10, 5, LINEAR),
        (5, 10, SPOT),
        (None, 24, LINEAR),
        (24, None, SPOT),
        (25, 26, None),
        (None, None, None),
    ],
)
def test_the_leg_that_ends_first_is_left_before(
    long_h: int | None, short_h: int | None, first: InstrumentId | None
) -> None:
    world = hedged()
    store, pair = world.store, pair_of(world)
    assert store.config is not None
    assert store.config.strategy.leave_before_end_h == 24.0, "the premise"
    for name, hours in ((SPOT, long_h), (LINEAR, short_h)):
        market = store.markets[name]
        expiry_ns = None if hours is None else world.at_ns + hours * HOUR_NS
        market.instrument = msgspec.structs.replace(market.instrument, expiry_ns=expiry_ns)
    found = signals.ends_within(store, pair, world.at_ns)
    if first is None:
        assert found is None
        return
    assert found == ExitEnd(first, float(min(h for h in (long_h, short_h) if h is not None)), 24.0)


def test_what_is_borrowed_is_taken_off_before_carry_leaves() -> None:
    """0.03 % per 8 h is 32.85 % a year."""
    strategy = {
        "entry_gap_bps": None, "exit_gap_bps": None, "entry_carry_apr": 0.01, "exit_carry_apr": 0.1,
        "hold_planned_h": 8760.0, "hold_min_s": 0.0, "borrow_apr": 0.2, "expected_funding": "estimate",
    }  # fmt: skip
    world = hedged(strategy={"hold_min_s": 0.0})
    pair = pair_of(world)
    pair.entered_why = None
    config = make_config(capital=10_000, strategy=strategy)
    world.store.config = config
    for rate, left in (("0.0003", False), ("0.00027", True)):
        world.give(FundingEstimated(LINEAR, D(rate), world.at_ns + HOUR_NS, world.at_ns, world.at_ns))
        found = signals.leave(world.store, config, pair, world.at_ns)
        assert isinstance(found, ExitCarry) is left, rate
    assert isinstance(found, ExitCarry)
    assert found.expected_apr == pytest.approx(0.29565 - 0.2)


def test_the_gap_of_an_exit_is_that_of_the_prices_it_would_trade_at() -> None:
    """The spot's bid and the contract's ask: 10 and 10 quote worse than their mids, 3.3 bp together."""
    world = hedged(strategy={"exit_gap_bps": -5.0, "hold_min_s": 0.0})
    for gap_bps, leaves in ((-6.0, False), (-9.0, True)):
        world.give(*world.books(60_000.0, gap_bps, half=10.0))
        found = signals.leave(world.store, world.config, pair_of(world), world.at_ns)
        assert isinstance(found, ExitGap) is leaves, gap_bps
    assert isinstance(found, ExitGap)
    assert found.gap_bps == pytest.approx(-9.0 + 20 / 6, abs=0.05)


@pytest.mark.parametrize(
    ("long_rate", "short_rate", "paid"),
    [
        ("0.0001", "0.0003", True),
        ("0.0003", "0.0001", False),
        ("-0.0001", "0.00005", True),
        ("0", "0", False),
    ],
)
def test_of_two_contracts_the_balance_of_what_is_paid_soon_counts(
    long_rate: str, short_rate: str, paid: bool
) -> None:
    world = hedged()
    store, pair = world.store, pair_of(world)
    market = store.markets[LINEAR]
    store.markets[INVERSE] = msgspec.structs.replace(market)
    pair.spec = msgspec.structs.replace(pair.spec, long=INVERSE)
    for name, rate in ((INVERSE, long_rate), (LINEAR, short_rate)):
        store.markets[name].funding_rate = D(rate)
        store.markets[name].funding_next_ns = world.at_ns + 60 * SECOND_NS
    assert signals._is_paid_soon(store, pair, world.at_ns) is paid
    assert not signals._is_paid_soon(store, pair, world.at_ns + 60 * SECOND_NS), "it is over"
    assert not signals._is_paid_soon(store, pair, world.at_ns - 540 * SECOND_NS), "it is far"


def test_a_drift_is_told_in_base_currency_and_against_its_leg() -> None:
    world = hedged()
    taken = D("0.003")
    world.give(ForcedFilled(LINEAR, "t1", Side.BUY, taken, D(60_000), D(0), "USDT", "adl", world.at_ns))
    (order,) = world.placed()
    delta = float(delta_of(world))
    assert isinstance(order.why, DriftBand)
    leg = float(pair_of(world).long.position.qty)
    assert order.why.delta_base == delta
    assert 0.001 <= order.why.band_base < delta
    assert order.why.error_bps == pytest.approx(delta / leg * 1e4)


def test_a_contract_that_has_ended_has_no_basis() -> None:
    world = hedged()
    market = world.store.markets[LINEAR]
    market.mark, market.index = D(60_600), D(60_000)
    end_ns = world.at_ns + 365 * 24 * HOUR_NS
    market.instrument = msgspec.structs.replace(market.instrument, kind=Kind.DATED, expiry_ns=end_ns)
    assert switch.dated_apr(market, world.at_ns) == pytest.approx(0.01)
    assert switch.dated_apr(market, end_ns) is None
    assert switch.dated_apr(market, end_ns + 1) is None


def test_time_alone_may_change_carry_when_a_rate_is_waited_for_no_longer_or_grows_old() -> None:
    world = hedged()
    store, pair = world.store, pair_of(world)
    market = store.markets[LINEAR]
    assert list(switch.deadlines(store, pair)) == [], "nothing was settled"
    assert market.settlements.keep(world.at_ns, 0.0001)
    last_ns = market.settlements.last_ns
    assert market.funding_interval_h == 8, "the premise"
    assert list(switch.deadlines(store, pair)) == [last_ns + 60 * SECOND_NS, last_ns + 16 * HOUR_NS]


def test_without_an_ask_nobody_knows_what_a_clip_costs() -> None:
    world = hedged()
    pair, at_ns = pair_of(world), world.at_ns
    assert signals.carry_of(world.store, world.config, pair, 0.1, at_ns) is not None, "the premise"
    world.store.markets[SPOT].asks = ()
    assert signals.carry_of(world.store, world.config, pair, 0.1, at_ns) is None
