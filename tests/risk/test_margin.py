"""Margin and liquidation against published and worked cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.instrument import Position, reference_per_qty
from bot.model.money import exact_arithmetic
from risk.margin import (
    INFINITE,
    Held,
    MissingBrackets,
    initial,
    liquidation_price,
    maintenance,
    margin_state,
)
from tests.instruments import LINEAR_TIERS
from tests.risk.build import INVERSE, LINEAR, SPOT, Bracket, D, InstrumentId, at, flat_rate, instrument, tiers

ETH = InstrumentId("binance:usdm:ETHUSDT")
SOL = tiers(
    ("0", "20000", ".005", "0"), ("20000", "100000", ".0065", "30"), ("100000", "800000", ".01", "380"),
    ("800000", "4000000", ".02", "8380"),
)  # fmt: skip
DOGE = tiers(
    ("0", "10000", ".005", "0"), ("10000", "50000", ".007", "20"), ("50000", "750000", ".01", "170"),
    ("750000", "800000", ".02", "7670"), ("800000", "1600000", ".025", "11670"),
)  # fmt: skip
QUARTERLY = tiers(
    ("0", "50000", ".01", "0"), ("50000", "375000", ".02", "500"), ("375000", "2000000", ".05", "11750")
)
WHOLE_BTC = (
    *LINEAR_TIERS,
    *tiers(("100000000", "230000000", ".05", "2981450"), ("230000000", "480000000", ".1", "14481450")),
)


# --- maintenance and initial ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("brackets", "value", "expected"),
    [
        (WHOLE_BTC, "40000", "160"),
        (WHOLE_BTC, "600000", "2950"),
        (WHOLE_BTC, "1500000", "8800"),
        (WHOLE_BTC, "20000000", "268550"),
        (SOL, "500000", "4620"),
        (DOGE, "765000", "7630"),
        (QUARTERLY, "1000000", "38250"),
    ],
)
def test_maintenance_of_published_tiers(brackets: tuple[Bracket, ...], value: str, expected: str) -> None:
    one = instrument(LINEAR, brackets=brackets)
    assert maintenance(one, D(value), D(1)) == D(expected)
    assert maintenance(one, -D(value), D(1)) == D(expected)


@pytest.mark.parametrize(
    ("name", "lower", "upper", "boundary"),
    [
        # 250,000 × (1 % − 0.5 %) + 50 = 1,300 and 50 BTC × (5 % − 2.5 %) + 0.56 = 1.81 BTC
        (LINEAR, ("50000", "250000", ".005", "50"), ("250000", "1000000", ".01", "1300"), "250000"),
        (INVERSE, ("20", "50", ".025", ".56"), ("50", "100", ".05", "1.81"), "50"),
    ],
)
def test_the_cumulative_amount_joins_the_tiers(
    name: InstrumentId,
    lower: tuple[str, str, str, str],
    upper: tuple[str, str, str, str],
    boundary: str,
) -> None:
    below = maintenance(instrument(name, brackets=tiers(lower, upper)), D(boundary), D(1))
    above = maintenance(instrument(name, brackets=tiers(upper)), D(boundary), D(1))
    assert below == above == D(boundary) * D(lower[2]) - D(lower[3])


def test_the_boundary_belongs_to_the_lower_tier() -> None:
    one = instrument(LINEAR, brackets=tiers(("0", "100", ".01", "0"), ("100", "200", ".02", "7")))
    assert maintenance(one, D(100), D(1)) == D(1)
    assert maintenance(one, D("100.5"), D(1)) == D("100.5") * D(".02") - 7
    assert initial(one, D(100), D(1)) == D(2)  # 50×
    assert initial(one, D("100.5"), D(1)) == D("4.02")  # 25×


def test_nothing_needs_no_margin() -> None:
    spot = instrument(SPOT)
    assert maintenance(spot, D(0), D(1)) == initial(spot, D(0), D(1)) == 0


@pytest.mark.parametrize("brackets", [(), tiers(("0", "10", ".01", "0")), tiers(("50", "90", ".01", "0"))])
def test_a_value_outside_the_tiers_is_refused(brackets: tuple[Bracket, ...]) -> None:
    one = instrument(LINEAR, brackets=brackets)
    with pytest.raises(MissingBrackets, match=r"no margin tier of binance:usdm:BTCUSDT .* 20"):
        maintenance(one, D(20), D(1))
    with pytest.raises(MissingBrackets):
        initial(one, D(20), D(1))


def test_maintenance_of_an_inverse_contract_is_in_coin() -> None:
    one = instrument(INVERSE)
    with exact_arithmetic():
        need = maintenance(one, D(-600), reference_per_qty(one, D(50_000)))
    assert need == D("1.2") * D(".004")


# --- liquidation ------------------------------------------------------------------------------------------

PUBLISHED_BTC = flat_rate(".025", "16300")
PUBLISHED_ETH = instrument(ETH, base="ETH", brackets=tiers(("0", "1e12", ".1", "135365")))


def test_published_cross_margin_example() -> None:
    btc, eth = at(PUBLISHED_BTC, "109.488", "32481.98"), at(PUBLISHED_ETH, "3683.979", "1456.84")
    wallet = D("1535443.01")
    with exact_arithmetic():
        per_btc, per_eth = D("31967.27"), D("1335.18")
        need_btc, need_eth = (
            maintenance(PUBLISHED_BTC, btc.qty, per_btc),
            maintenance(PUBLISHED_ETH, eth.qty, per_eth),
        )
        gain_eth = eth.qty * per_eth - eth.cost
        published = (
            (need_btc, "71200.81"),
            (btc.qty * per_btc - btc.cost, "-56354.57"),
            (need_eth, "356512.51"),
            (gain_eth, "-448192.89"),
        )
        assert [abs(value - D(text)) <= D("0.01") for value, text in published] == [True] * 4
        price = liquidation_price(PUBLISHED_BTC, btc, wallet - need_eth + gain_eth)
        alone = liquidation_price(PUBLISHED_ETH, eth, wallet)
        state = margin_state(wallet, [Held(PUBLISHED_BTC, btc, per_btc), Held(PUBLISHED_ETH, eth, per_eth)])
    assert price is not None
    assert abs(price - D("26316.89")) <= D("0.01")
    assert alone is not None
    assert abs(alone - D("1114.78")) <= D("0.01")
    assert state.maintenance == need_btc + need_eth
    # the two positions have one margin: the nearer liquidation is the account's, here that of ETH
    assert 0 < state.distance < (per_btc - price) / per_btc


def test_published_isolated_position() -> None:
    """The wallet is the reported isolated margin less the unrealised profit it includes."""
    one = flat_rate(".005", "50")
    wallet = D("15517.54150468") - D("2316.8342356")
    price = liquidation_price(one, at(one, "20", "6563.665"), wallet)
    assert price is not None
    assert abs(price - D("5930.78")) <= D("0.01")


@pytest.mark.parametrize(
    ("side", "leverage", "qty", "expected"),
    [
        (-1, 5, "1", "11.89108910891089"),
        (-1, 3, "1", "13.211221122079207"),
        (1, 5, "1", "8.070707070707071"),
        (1, 3, "1", "6.723905723905723"),
        (-1, 5, "0.6", "11.897689768976898"),
    ],
)
def test_isolated_liquidation_by_leverage(side: int, leverage: int, qty: str, expected: str) -> None:
    one = flat_rate(".01", ".01")
    wallet = D(qty) * 10 / leverage
    price = liquidation_price(one, at(one, str(D(qty) * side), "10"), wallet)
    assert price is not None
    assert abs(price - D(expected)) <= D("1e-9")


@pytest.mark.parametrize(
    ("brackets", "wallet", "qty", "entry", "expected"),
    [
        (WHOLE_BTC, "20000", "-10", "58000", "59706.467662"),
        (WHOLE_BTC, "300000", "-50", "60000", "65573.267327"),  # enters in the third tier, dies in the fourth
        (SOL, "40000", "-600", "150", "215.148515"),
    ],
)
def test_the_tier_is_that_of_the_liquidation_value(
    brackets: tuple[Bracket, ...], wallet: str, qty: str, entry: str, expected: str
) -> None:
    one = instrument(LINEAR, brackets=brackets)
    price = liquidation_price(one, at(one, qty, entry), D(wallet))
    assert price is not None
    assert abs(price - D(expected)) <= D("1e-6")


def test_a_fully_backed_inverse_short_is_never_liquidated() -> None:
    one = instrument(INVERSE, brackets=tiers(("0", "1e9", ".005", "0")))
    short = at(one, "-500", "50000")
    price = liquidation_price(one, short, D("0.2"))
    assert price == D("62187.5")
    assert liquidation_price(one, short, D(1)) is None


def test_positions_without_a_liquidation_price() -> None:
    one = flat_rate(".01")
    assert liquidation_price(one, Position(), D(5)) is None
    assert liquidation_price(one, at(one, "1", "100"), D(100)) is None  # a long that is paid in full


def test_positions_that_are_under_water_at_every_price() -> None:
    linear, inverse = flat_rate(".01"), instrument(INVERSE)
    assert liquidation_price(linear, at(linear, "-1", "100"), D(-200)) == 0
    assert liquidation_price(inverse, at(inverse, "500", "50000"), D(-2)) == INFINITE


def test_a_liquidation_beyond_the_last_tier_uses_its_rate() -> None:
    one = instrument(LINEAR, brackets=tiers(("0", "1000", ".01", "0")))
    price = liquidation_price(one, at(one, "-1", "900"), D(900))
    assert price == (D(1800) / D("1.01")).quantize(D("1e-12"))


def test_liquidation_without_tiers_is_refused() -> None:
    one = instrument(LINEAR, brackets=())
    with pytest.raises(MissingBrackets):
        liquidation_price(one, at(one, "1", "100"), D(10))


@given(
    inverse=st.booleans(),
    qty=st.integers(1, 3000),
    short=st.booleans(),
    entry=st.integers(20_000, 90_000),
    backing=st.integers(1, 400),
)
def test_equity_meets_maintenance_at_the_liquidation_price(
    inverse: bool, qty: int, short: bool, entry: int, backing: int
) -> None:
    """Whatever the tier: at the price found, and only there, the position is worth its maintenance margin."""
    one = instrument(INVERSE if inverse else LINEAR)
    size = D(-qty if short else qty) * (1 if inverse else D("0.01"))
    collateral = D(backing) / 100 if inverse else D(backing * 500)
    with exact_arithmetic():
        position = at(one, str(size), str(entry))
        price = liquidation_price(one, position, collateral)
        if price is None or price <= 0 or not price.is_finite():
            return
        per_qty = reference_per_qty(one, price)
        value = abs(size) * per_qty
        if value > one.brackets[-1].cap:
            return
        gain = (1 if size > 0 else -1) * value - position.cost
        equity = collateral + (-gain if inverse else gain)
        assert abs(equity - maintenance(one, size, per_qty)) < D("1e-6")
