"""The venue's funding formula against published and worked cases, and what follows from a rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.quant.basis import compounded_apy
from bot.quant.funding import (
    HOUR_NS,
    binance_rate,
    break_even_h,
    expected_carry,
    funding_apr,
    premium_index,
    running_premium,
    settlements_within,
)


@pytest.mark.parametrize(
    ("impact_bid", "impact_ask", "index", "premium"),
    [
        (10_100.0, 10_101.0, 10_000.0, 0.01),
        (9_899.0, 9_900.0, 10_000.0, -0.01),
        (9_999.0, 10_001.0, 10_000.0, 0.0),
        (10_000.0, 10_000.0, 10_000.0, 0.0),
    ],
)
def test_premium_index(impact_bid: float, impact_ask: float, index: float, premium: float) -> None:
    assert premium_index(impact_bid, impact_ask, index) == pytest.approx(premium, abs=1e-15)


@pytest.mark.parametrize(
    ("premium", "interval_h", "rate"),
    [
        (0.0003, 8, 0.0001),
        (0.0010, 8, 0.0005),
        (0.0010, 4, 0.00025),
        (-0.0008, 8, -0.0003),
        (0.0100, 8, 0.0030),
        (-0.0100, 8, -0.0030),
        (-0.0004, 8, 0.0001),
        (0.0006, 8, 0.0001),
    ],
)
def test_rate_from_premium(premium: float, interval_h: float, rate: float) -> None:
    assert binance_rate(premium, 0.0001, interval_h, 0.003) == pytest.approx(rate, abs=1e-15)


@given(st.floats(-0.02, 0.02), st.sampled_from([1, 4, 8]))
def test_rate_moves_with_premium_inside_its_cap(premium: float, interval_h: int) -> None:
    rate = binance_rate(premium, 0.0001, interval_h, 0.003)
    assert abs(rate) <= 0.003
    assert rate <= binance_rate(premium + 1e-5, 0.0001, interval_h, 0.003) + 1e-18


@given(st.floats(-0.00039, 0.00059))
def test_rate_inside_the_band_is_the_interest(premium: float) -> None:
    assert binance_rate(premium, 0.0001, 8, 0.003) == pytest.approx(0.0001, abs=1e-15)


def test_average_weighs_late_samples_more() -> None:
    average = 0.0
    for sample in range(480):
        average = running_premium(average, sample + 1.0, sample, sample + 1)
    assert average == pytest.approx(320.3333333, abs=1e-7)


def test_forecast_of_the_settlement() -> None:
    premium = running_premium(0.0008, 0.0004, 360, 480)
    assert premium == pytest.approx(0.00062515593, abs=1e-11)
    assert binance_rate(premium, 0.0001, 8, 0.003) == pytest.approx(0.00012515593, abs=1e-11)


@given(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01), st.integers(0, 5760))
def test_forecast_lies_between_past_and_present(average: float, current: float, samples: int) -> None:
    premium = running_premium(average, current, samples, 5760)
    assert min(average, current) - 1e-15 <= premium <= max(average, current) + 1e-15
    assert running_premium(average, current, 5760, 5760) == average
    assert running_premium(average, current, 0, 5760) == current


def test_annual_rate_and_break_even() -> None:
    assert funding_apr(0.0001, 8) == pytest.approx(0.1095)
    assert funding_apr(0.0001, 4) == pytest.approx(0.219)
    assert compounded_apy(0.0001, 1 / 3) == pytest.approx(0.115714, abs=1e-6)
    hours = break_even_h(0.0016, 0.0001, 8)
    assert hours is not None
    assert hours / 24 == pytest.approx(5.333, abs=1e-3)
    assert expected_carry(0.0001, 8, hours) == pytest.approx(0.0016)


@pytest.mark.parametrize("rate", [0.0, -0.0001])
def test_a_rate_that_pays_nothing_never_breaks_even(rate: float) -> None:
    assert break_even_h(0.0016, rate, 8) is None


@pytest.mark.parametrize(
    ("now_h", "next_h", "horizon_h", "count"),
    [
        (0, 8, 7, 0),
        (0, 8, 8, 1),
        (8, 8, 8, 1),
        (8, 8, 7, 0),
        (7, 8, 1, 1),
        (1, 8, 24, 3),
        (20, 8, 3, 0),
        (20, 8, 4, 1),
        (1, 8, 168, 21),
    ],
)
def test_settlements_are_counted_at_their_hours(now_h: int, next_h: int, horizon_h: int, count: int) -> None:
    assert settlements_within(now_h * HOUR_NS, next_h * HOUR_NS, 8, horizon_h * HOUR_NS) == count


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([1, 4, 8]), st.integers(0, 10**5))
def test_settlements_agree_with_a_walk_along_the_grid(
    now_s: int, next_s: int, interval_h: int, horizon_s: int
) -> None:
    second_ns = 10**9
    step_s = interval_h * 3600
    grid = range(next_s % step_s, now_s + horizon_s + 1, step_s)
    expected = sum(1 for at_s in grid if at_s > now_s and at_s >= min(next_s, now_s + horizon_s + 1))
    found = settlements_within(now_s * second_ns, next_s * second_ns, interval_h, horizon_s * second_ns)
    assert found == expected
