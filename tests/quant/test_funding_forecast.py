"""The forecast of funding: exact averages of the per-hour path, and the shipped weights."""

from __future__ import annotations

import math
import random

import pytest

from bot.quant.funding_forecast import HALF_LIVES_H, SLOW, WEIGHTS_7D, averages, forecast_7d_apr

HOUR = 60
YEAR_H = 8760.0


def by_hours(minutes: list[int], rates: list[float]) -> list[float]:
    """The same averages from an hourly path, each hour alone: what changing intervals must come to."""
    path: list[float] = []
    before = minutes[0] - 8 * HOUR
    for minute, rate in zip(minutes, rates, strict=True):
        hours = (minute - before) // HOUR
        path += [rate / hours * YEAR_H] * hours
        before = minute
    found = []
    for half in HALF_LIVES_H:
        weights = [2.0 ** (-age / half) for age in range(len(path))]
        found.append(math.fsum(w * x for w, x in zip(weights, reversed(path), strict=True)) / sum(weights))
    return found


def levels_apr(minutes: list[int], rates: list[float], interval_h: float) -> tuple[float, ...]:
    found = averages(minutes, rates, interval_h)
    assert found is not None
    assert found.slow_apr == found.levels_apr[3]
    return found.levels_apr


def test_a_constant_rate_is_every_average() -> None:
    minutes = [8 * HOUR * number for number in range(1, 200)]
    assert levels_apr(minutes, [0.0001] * 199, 8.0) == pytest.approx([0.1095] * 5)


def test_the_first_rate_is_every_average() -> None:
    assert levels_apr([480], [0.0002], 8.0) == pytest.approx([0.219] * 5)
    assert levels_apr([480], [0.0002], 4.0) == pytest.approx([0.438] * 5)
    assert levels_apr([480], [0.0002], 0.0) == pytest.approx([0.219] * 5), "eight hours where none is told"


def test_without_a_settlement_there_is_no_average() -> None:
    assert averages([], [], 8.0) is None


def test_a_change_of_interval_changes_nothing() -> None:
    """24 h as three settlements of 0.01 %, six of half of it, 24 of an eighth, one of three times it."""
    day = {8: 0.0001, 4: 0.00005, 1: 0.0000125, 24: 0.0003}
    minutes, rates, at = [480], [0.0001], 480
    for hours in (8, 1, 4, 24, 1, 8):
        for _ in range(24 // hours):
            at += hours * HOUR
            minutes.append(at)
            rates.append(day[hours])
    assert levels_apr(minutes, rates, 8.0) == pytest.approx([0.1095] * 5)


def test_averages_are_those_of_the_hourly_path() -> None:
    draw = random.Random(1)
    minutes, rates = [480], [0.0001]
    for _ in range(300):
        minutes.append(minutes[-1] + draw.choice((1, 4, 8, 8, 8)) * HOUR)
        rates.append(draw.uniform(-0.002, 0.003))
    assert levels_apr(minutes, rates, 8.0) == pytest.approx(by_hours(minutes, rates), rel=1e-9, abs=1e-12)


def test_behind_a_hole_the_history_begins_anew() -> None:
    """A day is the longest interval there is; a jitter is none."""
    minutes = [480, 960, 960 + 24 * HOUR + 1]
    whole = averages(minutes, [0.001] * 3, 8.0)
    broken = averages([*minutes, 9_000], [0.001] * 3 + [0.0001], 8.0)
    assert whole is not None
    assert broken is not None
    assert whole.settlements == 3
    assert broken.settlements == 1
    assert broken.levels_apr == pytest.approx([0.1095] * 5)
    after = averages([*minutes, 9_000, 9_480], [0.001] * 3 + [0.0001, 0.0003], 8.0)
    assert after == averages([9_000, 9_480], [0.0001, 0.0003], 8.0)


def test_the_forecast_returns_to_the_interest_constant() -> None:
    assert forecast_7d_apr((0.1095,) * 5, 0.1095) == pytest.approx(0.1095)
    assert forecast_7d_apr((0.0,) * 5, 0.1095) == pytest.approx(0.1095 * (1.0 - 0.779))
    assert forecast_7d_apr((0.0,) * 5, 0.0) == 0.0
    levels = (0.5, 0.4, 0.3, 0.2, 0.1)
    expected = 0.324 * 0.5 + 0.249 * 0.4 + 0.081 * 0.3 + 0.146 * 0.2 - 0.021 * 0.1
    assert forecast_7d_apr(levels, 0.0) == pytest.approx(expected)


def test_the_weights_are_those_of_the_table() -> None:
    assert dict(zip(HALF_LIVES_H, WEIGHTS_7D, strict=True)) == {
        8.0: 0.324, 24.0: 0.249, 72.0: 0.081, 240.0: 0.146, 720.0: -0.021,
    }  # fmt: skip
    assert HALF_LIVES_H[SLOW] == 240.0
