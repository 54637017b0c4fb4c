"""Contract arithmetic: linear and inverse, and positions that never lose a fraction of a coin."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.instrument import (
    Instrument,
    Position,
    Side,
    after_fill,
    base_per_qty,
    fill_cost,
    notional_quote,
    reference_per_qty,
    unrealised,
)
from bot.model.money import exact_arithmetic
from tests import instruments
from tests.instruments import instrument

D = Decimal


LINEAR, INVERSE, SPOT = (
    instrument(name) for name in (instruments.LINEAR, instruments.INVERSE, instruments.SPOT)
)


def test_notional_and_base() -> None:
    assert notional_quote(LINEAR, D(2), D(60000)) == D(120000)
    assert notional_quote(INVERSE, D(-3), D(60000)) == D(-300)
    assert base_per_qty(LINEAR, 60000.0) == 1.0
    assert base_per_qty(INVERSE, 50000.0) == pytest.approx(0.002)


def test_what_a_taker_pays_the_fee_in() -> None:
    assert (SPOT.fee_asset(Side.BUY), SPOT.fee_asset(Side.SELL)) == ("BTC", "USDT")
    assert (LINEAR.fee_asset(Side.BUY), INVERSE.fee_asset(Side.SELL)) == ("USDT", "BTC")
    assert (LINEAR.account, Side.BUY.opposite, Side.SELL.opposite) == ("binance:usdm", Side.SELL, Side.BUY)


def test_inverse_short_earns_coins_when_the_price_falls() -> None:
    """Short 100,000 USD from 50,000 to 40,000 earns half a coin; with two coins of margin the equity stays
    100,000 USD: the synthetic dollar."""
    cost = fill_cost(INVERSE, D(-1000), D(50000))
    assert cost == D(-2)
    profit = unrealised(INVERSE, D(-1000), cost, reference_per_qty(INVERSE, D(40000)))
    assert profit == D("0.5")
    assert (D(2) + profit) * D(40000) == D(100000)


def test_linear_short_earns_quote_when_the_price_falls() -> None:
    cost = fill_cost(LINEAR, D(-2), D(50000))
    assert unrealised(LINEAR, D(-2), cost, reference_per_qty(LINEAR, D(40000))) == D(20000)


def test_closing_half_moves_half_the_cost() -> None:
    position, none = after_fill(LINEAR, Position(), D(2), D(100))
    assert none == 0
    position, realised = after_fill(LINEAR, position, D(-1), D(110))
    assert (position, realised) == (Position(D(1), D(100)), D(10))


def test_a_fill_through_zero_closes_all_and_opens_the_rest() -> None:
    position, realised = after_fill(LINEAR, Position(D(1), D(100)), D(-3), D(90))
    assert realised == D(-10)
    assert position == Position(D(-2), D(-180))


FILLS = st.lists(
    st.tuples(st.integers(-50, 50).filter(bool), st.integers(300_000, 900_000)), min_size=1, max_size=12
)


@pytest.mark.parametrize("instrument", [LINEAR, INVERSE], ids=["linear", "inverse"])
@given(fills=FILLS)
def test_realised_plus_unrealised_is_the_sum_of_fills(
    instrument: Instrument, fills: list[tuple[int, int]]
) -> None:
    """However a position was built, its whole profit is what each fill alone earned to the mark: exactly."""
    per_qty = reference_per_qty(instrument, D("61234.5"))
    with exact_arithmetic():
        position, realised, alone = Position(), D(0), D(0)
        for qty, tenths in fills:
            price = D(tenths) / 10
            position, more = after_fill(instrument, position, D(qty), price)
            realised += more
            alone += unrealised(instrument, D(qty), fill_cost(instrument, D(qty), price), per_qty)
        assert realised + unrealised(instrument, position.qty, position.cost, per_qty) == alone
        assert position.qty == sum(qty for qty, _ in fills)
        if position.qty == 0:
            assert position.cost == 0
