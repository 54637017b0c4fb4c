"""Walks of a ladder and the worked cases of dated futures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.facts import Level
from bot.quant.basis import (
    annualised_apr,
    basis_bps,
    compounded_apy,
    fair_future,
    held_to_expiry,
    implied_yield,
    walk,
    walk_quote,
)

ASKS: tuple[Level, ...] = ((100.0, 1.0), (101.0, 2.0), (103.0, 4.0))


@pytest.mark.parametrize(
    ("qty_base", "price"),
    [
        (0.5, 100.0),
        (1.0, 100.0),
        (2.0, 100.5),
        (3.0, 302.0 / 3.0),
        (7.0, 714.0 / 7.0),
    ],
)
def test_walk_averages_the_levels_it_needs(qty_base: float, price: float) -> None:
    assert walk(ASKS, qty_base) == pytest.approx(price, rel=1e-15)


@pytest.mark.parametrize("levels", [(), ASKS])
def test_walk_of_a_thin_ladder_has_no_price(levels: tuple[Level, ...]) -> None:
    assert walk(levels, 7.000001) is None
    assert walk_quote(levels, 714.0001) is None


@pytest.mark.parametrize(
    ("notional_quote", "price", "qty_base"),
    [(50.0, 100.0, 0.5), (100.0, 100.0, 1.0), (201.0, 100.5, 2.0), (714.0, 102.0, 7.0)],
)
def test_walk_quote_spends_the_notional(notional_quote: float, price: float, qty_base: float) -> None:
    found = walk_quote(ASKS, notional_quote)
    assert found is not None
    assert found == pytest.approx((price, qty_base), rel=1e-15)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Level, ...]:
    prices = draw(st.lists(st.integers(1, 10_000), min_size=1, max_size=8, unique=True))
    sizes = st.integers(1, 1000)
    return tuple((price / 10, draw(sizes) / 100) for price in sorted(prices))


@given(ladders(), st.floats(0.001, 50.0))
def test_walk_lies_between_best_and_worst_and_agrees_with_walk_quote(
    levels: tuple[Level, ...], qty_base: float
) -> None:
    price = walk(levels, qty_base)
    if price is None:
        assert sum(size for _, size in levels) < qty_base * (1 + 1e-12)
        return
    assert levels[0][0] * (1 - 1e-12) <= price <= levels[-1][0] * (1 + 1e-12)
    back = walk_quote(levels, price * qty_base * (1 - 1e-12))
    assert back is not None
    assert back == pytest.approx((price, qty_base), rel=1e-9)


@given(ladders(), st.floats(0.001, 50.0), st.floats(0.001, 50.0))
def test_a_larger_take_is_never_cheaper(levels: tuple[Level, ...], one: float, other: float) -> None:
    small, large = walk(levels, min(one, other)), walk(levels, max(one, other))
    if large is not None:
        assert small is not None
        assert small <= large * (1 + 1e-12)


def test_basis_is_signed_and_relative_to_the_long_leg() -> None:
    assert basis_bps(100_050.0, 100_000.0) == pytest.approx(5.0)
    assert basis_bps(99_950.0, 100_000.0) == pytest.approx(-5.0)


@pytest.mark.parametrize(
    ("spot", "rate", "dividend", "days", "future"),
    [
        (60_000.0, 0.05, 0.0, 90, 60744.30477980),
        (60_000.0, 0.05, 0.01, 90, 60594.70881144),
        (3_000.0, 0.08, 0.03, 45, 3018.55026742),
    ],
)
def test_fair_future_and_its_inverse(
    spot: float, rate: float, dividend: float, days: int, future: float
) -> None:
    assert fair_future(spot, rate, dividend, days / 365) == pytest.approx(future, abs=1e-8)
    assert implied_yield(future, spot, days / 365) == pytest.approx(rate - dividend, abs=1e-10)


@pytest.mark.parametrize(
    ("spot", "future", "days", "simple", "compound", "log"),
    [
        (60_000.0, 60_900.0, 90, 0.0608333333, 0.0622418155, 0.0603815951),
        (100_000.0, 101_000.0, 30, 0.1216666667, 0.1286952942, 0.1210623587),
    ],
)
def test_three_ways_to_annualise_one_basis(
    spot: float, future: float, days: int, simple: float, compound: float, log: float
) -> None:
    fraction = future / spot - 1
    assert annualised_apr(fraction, days) == pytest.approx(simple, abs=1e-10)
    assert compounded_apy(fraction, days) == pytest.approx(compound, abs=1e-10)
    assert implied_yield(future, spot, days / 365) == pytest.approx(log, abs=1e-10)


def test_forward_between_two_expiries() -> None:
    assert annualised_apr(61_500 / 60_500 - 1, 90) == pytest.approx(0.0670339761, abs=1e-10)
    assert implied_yield(61_500, 60_500, 90 / 365) == pytest.approx(0.0664860063, abs=1e-10)


@pytest.mark.parametrize(
    ("cost", "borrow_apr", "net", "net_apr"),
    [(0.0012, 0.0, 0.0138, 0.0559666667), (0.0016, 0.04, 0.0035369863, 0.0143444444)],
)
def test_net_of_costs_when_held_to_expiry(cost: float, borrow_apr: float, net: float, net_apr: float) -> None:
    found = held_to_expiry(60_900 / 60_000 - 1, cost, borrow_apr, 90)
    assert found == pytest.approx(net, abs=1e-10)
    assert annualised_apr(found, 90) == pytest.approx(net_apr, abs=1e-9)
