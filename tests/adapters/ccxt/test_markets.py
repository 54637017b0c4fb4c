"""ccxt's markets as instruments, without ccxt."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ccxt.markets import UNBOUNDED, brackets, find_market, instrument, name_of, number
from adapters.errors import FeedError
from bot.model.ids import InstrumentId
from bot.model.instrument import Kind, notional_quote

D = Decimal
RATES = {"maker": "0.0002", "taker": "0.0005"}


def market(**changes: Any) -> dict[str, Any]:
    """A linear perpetual of ten-unit contracts, as ccxt describes one with numbers as text."""
    told: dict[str, Any] = {
        "id": "XRP_USDT", "symbol": "XRP/USDT:USDT", "base": "XRP", "quote": "USDT", "settle": "USDT",
        "spot": False, "swap": True, "future": False, "linear": True, "inverse": False, "active": True,
        "contractSize": "10", "expiry": None, "precision": {"price": "0.0001", "amount": "1"},
        "limits": {"amount": {"min": "1", "max": None}, "cost": {"min": None, "max": None}}, "info": {},
    }  # fmt: skip
    return told | changes


def exchange(*markets: dict[str, Any], mode: int = 4) -> Any:
    return SimpleNamespace(id="gate", precisionMode=mode, markets={one["symbol"]: one for one in markets})


def test_a_linear_contract() -> None:
    made = instrument(exchange(), market(), RATES, (), 8)
    assert (made.id, made.kind, made.inverse) == ("gate:linear:XRP_USDT", Kind.PERP, False)
    assert (made.contract_size, made.tick, made.lot, made.qty_min) == (D(10), D("0.0001"), D(1), D(1))
    assert (made.qty_max, made.notional_min, made.funding_interval_h) == (UNBOUNDED, D(0), 8)
    assert (made.maker_rate, made.taker_rate, made.margin_asset) == (D("0.0002"), D("0.0005"), "USDT")
    assert made.price_down == 0


@pytest.mark.parametrize(("inverse", "size", "least"), [(True, "10", "10"), (False, "0.001", "0.001")])
def test_where_an_amount_is_a_value_the_contract_size_is_one(inverse: bool, size: str, least: str) -> None:
    """Deribit's inverse perpetual is traded in USD by tens, its linear one in coins."""
    deribit = exchange()
    deribit.id = "deribit"
    told = market(
        id="BTC-PERPETUAL", linear=not inverse, inverse=inverse, contractSize=size,
        settle="BTC" if inverse else "USDC", precision={"price": "0.5", "amount": least},
        limits={"amount": {"min": least, "max": None}, "cost": {"min": None}},
    )  # fmt: skip
    made = instrument(deribit, told, RATES, (), 8)
    assert (made.contract_size, made.lot, made.qty_min) == (D(1), D(least), D(least))
    assert abs(notional_quote(made, D(100), D(60_000))) == (D(100) if inverse else D(6_000_000))


def test_spot_and_dated_and_inverse() -> None:
    spot = market(spot=True, swap=False, linear=None, inverse=None, settle=None, contractSize=None)
    made = instrument(exchange(), spot, RATES, (), 0)
    assert (made.id, made.kind, made.contract_size, made.margin_asset) == (
        "gate:spot:XRP_USDT", Kind.SPOT, D(1), "USDT",
    )  # fmt: skip
    dated = market(
        swap=False, future=True, linear=False, inverse=True, settle="XRP", expiry=1_800_000_000_000
    )
    made = instrument(exchange(), dated, RATES, (), 0)
    assert (made.id, made.kind, made.inverse) == ("gate:inverse:XRP_USDT", Kind.DATED, True)
    assert made.expiry_ns == 1_800_000_000_000_000_000


def test_a_perpetual_has_an_end_once_one_is_announced() -> None:
    for told, expiry_ns in ((None, None), (0, None), (1_800_000_000_000, 1_800_000_000_000_000_000)):
        assert instrument(exchange(), market(expiry=told), RATES, (), 8).expiry_ns == expiry_ns


def test_the_interest_constant_is_the_usual_one_where_the_formula_has_one() -> None:
    assert instrument(exchange(), market(), RATES, (), 8).interest_apr == pytest.approx(0.0001 * 3 * 365)
    without = SimpleNamespace(id="deribit", precisionMode=4, markets={})
    assert instrument(without, market(), RATES, (), 8).interest_apr == 0.0


def test_precision_in_decimal_places_is_a_tick() -> None:
    made = instrument(exchange(mode=2), market(precision={"price": "4", "amount": "0"}), RATES, (), 8)
    assert (made.tick, made.lot) == (D("0.0001"), D(1))


def test_a_percent_price_filter_is_read_where_the_venue_states_one() -> None:
    stated = market(
        info={"filters": [{"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9"}]}
    )
    made = instrument(exchange(), stated, RATES, (), 8)
    assert (made.price_down, made.price_up) == (D("0.9"), D("1.1"))


@pytest.mark.parametrize(
    ("changes", "rates", "mode", "word"),
    [
        ({"contractSize": None}, RATES, 4, "contract size"),
        ({"precision": {"price": None, "amount": "1"}}, RATES, 4, "price precision"),
        ({"precision": {"price": "0.1", "amount": None}}, RATES, 4, "amount precision"),
        ({}, {"maker": None, "taker": "0.1"}, 4, "maker fee"),
        ({}, {"maker": "0.1"}, 4, "taker fee"),
        ({"swap": False, "future": True}, RATES, 4, "expiry"),
        ({}, RATES, 3, "significant digits"),
        ({"contractSize": "NaN"}, RATES, 4, "contract size"),
    ],
)
def test_what_is_missing_is_refused_by_name(
    changes: dict[str, Any], rates: dict[str, Any], mode: int, word: str
) -> None:
    with pytest.raises(FeedError, match=word) as error:
        instrument(exchange(mode=mode), market(**changes), rates, (), 8)
    assert "gate:linear:XRP_USDT" in str(error.value)


def test_a_market_is_found_by_its_name() -> None:
    option = market(id="XRP-C", symbol="XRP/USDT:USDT-1-C", swap=False)
    here = exchange(option, market())
    assert find_market(here, InstrumentId("gate:linear:XRP_USDT"))["symbol"] == "XRP/USDT:USDT"
    assert name_of("gate", market()) == "gate:linear:XRP_USDT"
    for missing in ("gate:spot:XRP_USDT", "gate:linear:XRP-C", "gate:usdm:XRP_USDT"):
        with pytest.raises(FeedError, match="family"):
            find_market(here, InstrumentId(missing))
    with pytest.raises(FeedError, match="near it are gate:linear:XRP_USDT"):
        find_market(here, InstrumentId("gate:linear:XRPUSDT"))


def test_a_name_is_in_capitals_and_means_one_market() -> None:
    small, capital = market(id="tXRPUSD"), market(id="TXRPUSD", symbol="other")
    assert name_of("gate", small) == "gate:linear:TXRPUSD"
    name = InstrumentId("gate:linear:TXRPUSD")
    assert find_market(exchange(small), name)["id"] == "tXRPUSD"
    with pytest.raises(FeedError, match="2 markets"):
        find_market(exchange(small, capital), name)


def test_maintenance_is_continuous_from_tier_to_tier() -> None:
    rows = [
        ("0", "50000", "0.004", "125"),
        ("50000", "600000", "0.005", "100"),
        ("600000", None, "0.0065", "75.0"),
    ]
    tiers = [
        {"minNotional": low, "maxNotional": high, "maintenanceMarginRate": rate, "maxLeverage": leverage}
        for low, high, rate, leverage in rows
    ]
    made = brackets(tiers)
    for below, above in pairwise(made):
        edge = above.floor
        assert edge * below.maintenance_rate - below.cum == edge * above.maintenance_rate - above.cum
    assert [one.cum for one in made] == [D(0), D(50), D(950)]
    assert (made[-1].cap, made[-1].leverage_max) == (UNBOUNDED, 75)
    assert brackets([{**tiers[0], "maintenanceMarginRate": None}]) == ()


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("1e-8", D("0.00000001")),
        (0.1, D("0.1")),
        ("", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        (3, D(3)),
    ],
)
def test_numbers_are_read_as_they_were_written(told: Any, read: Decimal | None) -> None:
    assert number(told) == read
