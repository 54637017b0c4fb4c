"""Entries, exits, drift and sizes: what is proposed, with which numbers, and what never is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.commands import (
    DriftBand,
    EntryCarry,
    EntryGap,
    ExitCarry,
    ExitGap,
    ExitHold,
    Flatten,
    NoteIdle,
    PlaceOrder,
)
from bot.model.facts import BookGapped, ContractSet, FundingEstimated, FundingSettled, ModeOrdered
from bot.model.instrument import Side
from bot.model.money import is_multiple
from bot.model.pair import Mode, PairState, Purpose, Role
from risk.exposure import pair_delta_base, tolerance_base
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, make_config

D = Decimal
BOTH = pytest.mark.parametrize("short", [LINEAR, INVERSE], ids=["linear", "inverse"])


def ready(short: str = LINEAR, **changes: Any) -> World:
    world = World(make_config(INVERSE if short == INVERSE else LINEAR, **changes))
    world.boot()
    world.quote(60_000.0, 0.0)
    return world


def idle(world: World) -> str:
    return world.store.pairs[BTC].idle


@BOTH
def test_a_gap_at_its_threshold_enters_and_below_it_does_not(short: str) -> None:
    world = ready(short)
    world.quote(60_000.0, 4.5)
    assert not world.placed()
    assert idle(world) == "gap_below_entry"
    world.quote(60_000.0, 5.5)
    orders = world.placed()
    assert [(order.role, order.side) for order in orders] == [(Role.LONG, Side.BUY), (Role.SHORT, Side.SELL)]
    why = orders[0].why
    assert isinstance(why, EntryGap)
    assert why.gap_bps == pytest.approx(5.5, abs=0.02)
    assert why.needed_bps == 5.0
    assert why.cost_bps == pytest.approx(30.0, abs=0.1), (
        "two taker fees of 10 and 5 bps, twice; no spread here"
    )


@BOTH
def test_an_entry_is_hedged_to_a_lot_with_the_base_fee_bought_along(short: str) -> None:
    world = ready(short)
    world.quote(60_000.0, 6.0)
    world.fill_all()
    pair = world.store.pairs[BTC]
    assert pair.state is PairState.HEDGED
    assert abs(pair_delta_base(world.store, pair)) <= tolerance_base(world.store, pair)
    fee_base = D("0.001") * D(10_000) / D(60_000)
    assert abs(pair_delta_base(world.store, pair)) < fee_base / 2, "an unplanned fee would leave all of it"


def test_clips_follow_until_the_capital_is_used() -> None:
    world = ready(capital=35_500)
    for _ in range(10):
        world.tick()
        world.quote(60_000.0, 6.0)
        world.fill_all()
    pair = world.store.pairs[BTC]
    used = pair.long.position.qty * 60_000
    assert D(33_000) < used <= D(35_600)
    assert pair.state is PairState.HEDGED


@pytest.mark.parametrize(("leverage", "clips"), [(None, 3.0), (100, 3.0), (3, 2.0)])
def test_the_margin_that_contracts_lock_is_capital_too(leverage: int | None, clips: float) -> None:
    """30,000 hold three clips with the margin of 125×; with that of 3× each clip needs a third more."""
    world = ready(capital=30_500)
    if leverage is not None:
        world.give(ContractSet(LINEAR, leverage, True, world.at_ns))
    for _ in range(10):
        world.tick()
        world.quote(60_000.0, 6.0)
        world.fill_all()
    pair = world.store.pairs[BTC]
    value = float(pair.long.position.qty) * 60_000
    assert value == pytest.approx(clips * 10_000, rel=0.02)
    assert value * (1 + 1 / (leverage or 125)) < 30_500 * 1.002


def test_clips_keep_their_interval() -> None:
    world = ready(capital=35_000, strategy={"clip_interval_s": 5.0})
    world.quote(60_000.0, 6.0)
    world.fill_all()
    world.quote(60_000.0, 6.1, after_s=2.0)
    assert not world.placed()
    world.quote(60_000.0, 6.0, after_s=3.1)
    assert len(world.placed()) == 2


@BOTH
@pytest.mark.parametrize("move", [0.7, 1.3])
def test_a_price_move_with_unchanged_basis_produces_no_order(short: str, move: float) -> None:
    """±30 %: the hedge of a linear pair is one to one, that of an inverse pair does not drift with the
    price."""
    world = hedged(short)  # type: ignore[arg-type]
    for share in range(1, 31):
        world.tick()
        world.quote(round(60_000.0 * (1.0 + (move - 1.0) * share / 30), 2), 0.0)
        assert not world.placed(), share
    assert world.store.pairs[BTC].state is PairState.HEDGED


def test_coin_funding_drifts_the_delta_and_is_sold() -> None:
    world = hedged(INVERSE)
    drifts: list[PlaceOrder] = []
    for number in range(30):
        world.tick()
        world.quote(60_000.0, 0.0)
        world.give(*world.pay_funding(D("0.003"), D(60_000), number))
        drifts += [order for order in world.commands if isinstance(order, PlaceOrder)]
        world.fill_all()
    assert drifts
    assert all(order.purpose is Purpose.DRIFT and order.side is Side.SELL for order in drifts)
    why = drifts[0].why
    assert isinstance(why, DriftBand)
    assert why.delta_base > why.band_base
    pair = world.store.pairs[BTC]
    assert abs(pair_delta_base(world.store, pair)) <= 2 * tolerance_base(world.store, pair)


@BOTH
def test_the_exit_gap_exits_both_legs(short: str) -> None:
    world = hedged(short)  # type: ignore[arg-type]
    world.tick()
    world.quote(60_000.0, -4.0)
    assert not world.placed()
    world.quote(60_000.0, -6.0)
    orders = world.placed()
    assert {order.role: order.side for order in orders} == {Role.LONG: Side.SELL, Role.SHORT: Side.BUY}
    assert isinstance(orders[0].why, ExitGap)
    contract = next(order for order in orders if order.role is Role.SHORT)
    assert contract.reduce_only


def test_minimum_and_maximum_hold() -> None:
    world = hedged(strategy={"hold_min_s": 60.0, "hold_max_s": 120.0})
    world.tick()
    world.quote(60_000.0, -6.0)
    assert not world.placed()
    assert idle(world) == "minimum_hold"
    world.at_ns += 125 * 10**9
    world.tick()
    world.quote(60_000.0, 0.0)
    why = world.placed()[0].why
    assert isinstance(why, ExitHold)
    assert why.held_s > 120.0


CARRY = {
    "entry_gap_bps": None,
    "exit_gap_bps": None,
    "entry_carry_apr": 0.10,
    "exit_carry_apr": 0.0,
    "expected_funding": "estimate",
    "hold_min_s": 0.0,
}


def estimate(world: World, rate: str) -> FundingEstimated:
    name = world.config.pairs[0].short
    return FundingEstimated(name, D(rate), world.at_ns + 10**13, world.at_ns, world.at_ns)


def test_carry_enters_above_cost_and_leaves_below_its_threshold() -> None:
    """0.03 % per 8 h is 32.85 % a year; 30 bps of fees over a week are 15.64 %."""
    world = ready(strategy=CARRY, capital=10_000)
    assert idle(world) == "missing_funding"
    world.give(estimate(world, "0.0002"))
    assert idle(world) == "carry_below_entry"
    world.give(estimate(world, "0.0003"))
    orders = world.placed()
    why = orders[0].why
    assert isinstance(why, EntryCarry)
    assert why.expected_apr == pytest.approx(0.3285)
    assert why.net_apr == pytest.approx(0.3285 - 0.0030 * 8760 / 168, abs=2e-4)
    world.give(*[fact for order in orders for fact in world.fill(order)])
    world.tick()
    world.give(estimate(world, "0.00001"))
    assert not world.placed(), "entry costs are sunk: a small carry is still a carry"
    world.give(estimate(world, "-0.00001"))
    assert isinstance(world.placed()[0].why, ExitCarry)


def test_an_estimate_of_a_settlement_that_is_over_is_not_used() -> None:
    world = ready(strategy=CARRY, capital=10_000)
    told = msgspec.structs.replace(estimate(world, "0.0003"), next_ns=world.at_ns)
    world.give(ModeOrdered("*", Mode.PAUSED, "operator", "wait"), told)
    world.tick(61.0)
    world.quote(60_000.0, 0.0)
    world.give(ModeOrdered("*", Mode.ACTIVE, "operator", "go"))
    assert idle(world) == "missing_funding"
    assert not world.placed()
    world.give(msgspec.structs.replace(told, next_ns=world.at_ns))
    assert world.placed()


def test_expected_funding_may_be_the_last_settlement() -> None:
    world = ready(strategy=CARRY | {"expected_funding": "last"}, capital=10_000)
    world.give(estimate(world, "0.01"))
    assert not world.placed()
    world.give(FundingSettled(LINEAR, D("0.0003"), world.at_ns))
    assert world.placed()


def test_borrowing_costs_carry() -> None:
    world = ready(strategy=CARRY | {"borrow_apr": 0.2}, capital=10_000)
    world.give(estimate(world, "0.0003"))
    assert not world.placed()


def test_sequenced_sends_the_short_leg_and_follows_its_fills() -> None:
    world = ready(strategy={"leg_policy": "sequenced"}, limits={"net_delta_max_quote": D(20_000)})
    world.quote(60_000.0, 6.0)
    (short,) = world.placed()
    assert short.role is Role.SHORT
    world.give(*world.fill(short, D("0.100")))
    (long,) = world.placed()
    assert (long.role, long.side) == (Role.LONG, Side.BUY)
    assert abs(long.qty - D("0.1001")) <= D("0.00001"), "the partial fill, with the base fee"
    world.give(*world.fill(long))
    assert world.store.pairs[BTC].state is PairState.HEDGED


def test_a_gapped_book_trades_no_more() -> None:
    world = hedged()
    world.give(BookGapped(SPOT, 1, 2, world.at_ns))
    world.tick()
    world.give(world.book(LINEAR, 59_900.0, 59_900.1))
    assert not world.placed()
    assert idle(world) == "gap"


def test_flattening_leaves_and_halts() -> None:
    world = hedged()
    world.quote(60_000.0, 0.0)
    world.give(ModeOrdered("*", Mode.FLATTENING, "operator", "test"))
    world.tick()
    orders = world.placed()
    assert isinstance(orders[0].why, Flatten)
    world.give(*[fact for order in orders for fact in world.fill(order)])
    world.tick()
    assert world.store.mode is Mode.HALTED


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.REDUCE_ONLY, Mode.FLATTENING, Mode.HALTED])
def test_nothing_is_entered_in_any_other_mode(mode: Mode) -> None:
    world = ready()
    world.give(ModeOrdered("*", mode, "operator", "test"))
    world.quote(60_000.0, 50.0)
    assert not world.placed()
    is_flat_at_once = mode is Mode.FLATTENING
    assert idle(world) == ("mode_halted" if is_flat_at_once else f"mode_{mode.value}")


def test_a_pair_that_the_settings_do_not_name_enters_nothing() -> None:
    world = ready()
    world.store.pairs[BTC].in_config = False
    world.quote(60_000.0, 50.0)
    assert not world.placed()
    assert idle(world) == "not_configured"


def test_no_order_of_an_entry_is_bound_to_reduce() -> None:
    world = ready()
    world.quote(60_000.0, 50.0)
    orders = world.placed()
    assert {order.role for order in orders} == set(Role)
    assert not any(order.reduce_only for order in orders)


def test_a_reason_is_noted_once_when_it_changes() -> None:
    world = ready()
    for gap in (1.0, 2.0, 3.0):
        world.quote(60_000.0, gap)
    notes = [one for one in world.commands if isinstance(one, NoteIdle)]
    assert [note.reason for note in notes].count("gap_below_entry") == 1


@settings(max_examples=60, deadline=None)
@given(
    price=st.integers(1_000_000, 20_000_000),
    clip=st.integers(500, 25_000),
    size=st.floats(0.01, 50.0),
    inverse=st.booleans(),
)
def test_every_order_is_one_the_venue_takes(price: int, clip: int, size: float, inverse: bool) -> None:
    """Lots, ticks, minimums and the collar hold for any price, clip and depth; and both legs come, or
    none."""
    world = World(make_config(INVERSE if inverse else LINEAR, strategy={"clip_quote": D(clip)}))
    world.boot()
    spot = price / 100
    world.quote(spot, 0.0)
    world.give(
        world.book(SPOT, spot - 0.01, spot, size), world.book(world.instruments[1].id, round(spot * 1.001,
        1), round(spot * 1.001, 1) + 0.1, size)
    )  # fmt: skip
    orders = world.placed()
    assert len(orders) in (0, 2)
    for order in orders:
        one = next(i for i in world.instruments if i.id == order.instrument)
        assert is_multiple(order.qty, one.lot)
        assert is_multiple(order.price, one.tick)
        assert order.qty >= one.qty_min
        worth = order.qty * one.contract_size * (1 if one.inverse else order.price)
        assert worth >= one.notional_min
        assert abs(float(order.price) / spot - 1.0) <= 0.0101
