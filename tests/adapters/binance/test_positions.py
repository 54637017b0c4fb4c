"""Costs of positions where the venue rounds them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.events import PositionStatement
from adapters.binance.positions import Positions
from bot.model.facts import AnyFact, OrderFilled, PositionHeld, PositionSeen
from bot.model.ids import ClientId
from bot.model.instrument import Instrument, Position, Side, after_fill
from bot.model.money import exact_arithmetic
from tests.adapters.paper.build import INSTRUMENTS, INVERSE, LINEAR

D = Decimal


def fill(instrument: Instrument, side: Side, qty: str, price: str) -> OrderFilled:
    return OrderFilled(
        client_id=ClientId("bsbt1"), instrument=instrument.id, trade_id="1", venue_order_id="1", side=side,
        qty=D(qty), price=D(price), fee=D(0), fee_asset="USDT", maker=False, venue_ns=1,
    )  # fmt: skip


def state(instrument: Instrument, qty: str, entry: str) -> PositionStatement:
    return PositionStatement(instrument.id, "BOTH", D(qty), D(entry))


def scene() -> tuple[Positions, list[AnyFact]]:
    facts: list[AnyFact] = []
    positions = Positions(INSTRUMENTS, facts.append)
    positions.reported([])
    return positions, facts


def test_a_rounded_entry_price_confirms_the_exact_cost() -> None:
    positions, facts = scene()
    positions.filled(fill(LINEAR, Side.BUY, "0.001", "60000.1"))
    positions.filled(fill(LINEAR, Side.BUY, "0.002", "60000.2"))
    positions.stated(state(LINEAR, "0.003", "60000.16667"), 5)
    assert facts == [PositionSeen(LINEAR.id, D("0.003"), D("180.0005"), 5)]


def test_an_event_may_come_before_its_fill() -> None:
    positions, facts = scene()
    positions.stated(state(LINEAR, "0.5", "60000.00000"), 5)
    assert facts == []
    positions.filled(fill(LINEAR, Side.BUY, "0.5", "60000"))
    assert facts == [PositionSeen(LINEAR.id, D("0.5"), D(30_000), 5)]


@pytest.mark.parametrize(("qty", "entry"), [("0.5", "60000.20000"), ("0.6", "60000.00000")])
def test_what_the_venue_does_not_confirm_is_not_told(qty: str, entry: str) -> None:
    positions, facts = scene()
    positions.filled(fill(LINEAR, Side.BUY, "0.5", "60000"))
    positions.stated(state(LINEAR, qty, entry), 5)
    assert facts == []
    positions.reported([PositionHeld(LINEAR.id, D("0.6"), D(36_000))])
    positions.stated(state(LINEAR, "0.6", "60000.00000"), 6)
    assert facts == [PositionSeen(LINEAR.id, D("0.6"), D(36_000), 6)]


def test_before_the_first_report_only_nothing_is_known() -> None:
    facts: list[AnyFact] = []
    positions = Positions(INSTRUMENTS, facts.append)
    positions.filled(fill(LINEAR, Side.BUY, "0.5", "60000"))
    positions.stated(state(LINEAR, "0.5", "60000.00000"), 5)
    assert facts == []
    positions.stated(state(LINEAR, "0", "0.00000"), 6)
    assert facts == [PositionSeen(LINEAR.id, D(0), D(0), 6)]


def test_an_inverse_position_costs_coins() -> None:
    positions, facts = scene()
    positions.filled(fill(INVERSE, Side.SELL, "10", "60000"))
    positions.stated(state(INVERSE, "-10", "60000.00000000"), 5)
    assert facts == [PositionSeen(INVERSE.id, D(-10), D("-0.01666667"), 5)]


def test_contracts_of_somebody_else_are_nothing() -> None:
    facts: list[AnyFact] = []
    positions = Positions({}, facts.append)
    positions.reported([])
    positions.filled(fill(LINEAR, Side.BUY, "0.5", "60000"))
    positions.stated(state(LINEAR, "0.5", "60000"), 5)
    assert facts == []


FILLS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(590_000, 610_000)),
    min_size=1,
    max_size=8,
)


@given(FILLS)
def test_any_run_of_fills_is_confirmed_by_the_entry_price_it_makes(
    fills: list[tuple[Side, int, int]],
) -> None:
    positions, facts = scene()
    position = Position()
    with exact_arithmetic():
        for side, lots, ticks in fills:
            qty, price = D(lots) * LINEAR.lot, D(ticks) * LINEAR.tick
            positions.filled(fill(LINEAR, side, str(qty), str(price)))
            position, _ = after_fill(LINEAR, position, side.sign * qty, price)
    entry = (position.cost / position.qty).quantize(D("0.00001")) if position.qty else D("0.00000")
    positions.stated(PositionStatement(LINEAR.id, "BOTH", position.qty, entry), 5)
    assert facts == [PositionSeen(LINEAR.id, position.qty, position.cost, 5)]
