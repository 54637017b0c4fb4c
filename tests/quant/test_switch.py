"""The switch: its table, its gates, and what it does on settled rates, recorded and made.

The weights were fitted on the recorded years: these are floors, in-sample, so that doing nothing fails; they
prove no skill.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bot.quant.switch import (
    Band,
    Outlook,
    enter_apr,
    leave_apr,
    paid_since_best_bps,
    thresholds,
    turns_in,
    turns_out,
    until_end,
)
from tests.quant.rates import EIGHT_H, made, minute, play, recorded

COST_BPS = 24.0
TABLE = [  # cost, enter and leave at a hurdle of 0, the same at 4 %, per cent a year
    (5, 3.4, -5.8, 7.4, -2.3), (10, 4.1, -8.7, 7.4, -5.0), (16, 4.1, -11.1, 8.4, -7.7),
    (24, 4.8, -14.0, 8.4, -9.9), (32, 4.8, -17.7, 8.4, -12.5), (40, 5.6, -22.1, 8.4, -14.0),
]  # fmt: skip


def outlook(forecast: float, slow: float, paid_bps: float = 0.0) -> Outlook:
    return Outlook(forecast, slow, 0.04, COST_BPS, paid_bps, thresholds(COST_BPS, 0.04), 90)


def test_the_cells_of_the_table() -> None:
    for cost, in_0, out_0, in_4, out_4 in TABLE:
        for hurdle, enters, leaves in ((0.0, in_0, out_0), (0.04, in_4, out_4)):
            view = Outlook(0.0, 0.0, hurdle, cost, 0.0, thresholds(cost, hurdle), 90)
            assert enter_apr(view, 0.0) == pytest.approx(enters / 100.0)
            assert leave_apr(view) == pytest.approx(leaves / 100.0)


def test_between_cells_it_is_linear_and_costs_are_clamped_at_its_ends() -> None:
    def mean(one: Band, other: Band) -> tuple[float, float]:
        return (one.above_apr + other.above_apr) / 2, (one.below_apr + other.below_apr) / 2

    band = thresholds(20.0, 0.0)
    ends = mean(thresholds(16.0, 0.0), thresholds(24.0, 0.0))
    assert (band.above_apr, band.below_apr) == pytest.approx(ends)
    band = thresholds(24.0, 0.02)
    ends = mean(thresholds(24.0, 0.0), thresholds(24.0, 0.04))
    assert (band.above_apr, band.below_apr) == pytest.approx(ends)
    assert thresholds(1.0, 0.0) == thresholds(5.0, 0.0)
    assert thresholds(400.0, 0.04) == thresholds(40.0, 0.04)


def test_beyond_the_hurdles_of_the_table_a_line_stands_for_it() -> None:
    band = thresholds(30.0, 0.09)
    assert (band.above_apr, band.below_apr) == pytest.approx((0.04, 0.05 + 0.0037 * 30.0))
    for cost in (10.0, 24.0, 40.0):
        inside, line = thresholds(cost, 0.04), thresholds(cost, 0.0401)
        assert abs(inside.above_apr - line.above_apr) < 0.01
        assert abs(inside.below_apr - line.below_apr) < 0.02


def test_in_needs_forecast_and_slow_average_and_the_floor() -> None:
    assert turns_in(outlook(0.085, 0.041), 0.0)
    assert not turns_in(outlook(0.083, 0.041), 0.0), "8.4 is needed"
    assert not turns_in(outlook(0.085, 0.039), 0.0), "the slow average is below the hurdle"
    assert not turns_in(outlook(0.085, 0.041), 0.10), "the floor is above"
    assert turns_in(outlook(0.101, 0.041), 0.10)


def test_three_settlements_enter_and_end_nothing() -> None:
    view = outlook(0.5, 0.5)
    for count, expected in ((1, False), (3, False), (4, True), (None, True)):
        assert turns_in(msgspec.structs.replace(view, settlements=count), 0.0) is expected
    low = outlook(-0.5, -0.5)
    for count, expected in ((1, False), (3, False), (4, True), (None, True)):
        assert turns_out(msgspec.structs.replace(low, settlements=count)) is expected
    assert turns_out(msgspec.structs.replace(low, settlements=1, paid_bps=COST_BPS)), "what was paid is known"


def test_out_is_one_of_three() -> None:
    assert not turns_out(outlook(-0.098, 0.021, 23.9)), "each of them is just not reached"
    assert turns_out(outlook(-0.100, 0.021, 23.9))
    assert turns_out(outlook(-0.098, 0.019, 23.9))
    assert turns_out(outlook(-0.098, 0.021, 24.0))


def test_what_was_paid_counts_from_the_best_point() -> None:
    assert paid_since_best_bps([]) == 0.0
    assert paid_since_best_bps([0.01, -0.0005, 0.0002, -0.0004]) == pytest.approx(7.0)
    assert paid_since_best_bps([-0.0005, 0.0006, -0.0001]) == pytest.approx(1.0)
    assert paid_since_best_bps([-0.0005, 0.0006]) == 0.0


def test_a_life_that_ends_must_earn_the_cost() -> None:
    """30 bps over 90 days are 1.2167 % a year."""
    band = until_end(30.0, 90 * 24.0)
    assert band.above_apr == pytest.approx(0.0030 * 365 / 90)
    view = Outlook(0.053, 0.053, 0.04, 30.0, 0.0, band, None)
    assert turns_in(view, 0.0)
    assert not turns_out(view)
    assert not turns_in(msgspec.structs.replace(view, forecast_apr=0.052, slow_apr=0.052), 0.0)
    assert turns_out(msgspec.structs.replace(view, forecast_apr=0.027, slow_apr=0.027))


# --- on series of settled rates ---------------------------------------------------------------------------


def test_the_first_months_of_2021_are_held(recordings: Path) -> None:
    since, until = minute("2021-01-01"), minute("2021-04-30T23:59:00")
    told = play(recorded(recordings, "BTCUSDT"), COST_BPS, 0.04, since, until)
    assert told.always_bps > 1_500, "these were the rich months"
    assert told.entries[0] - since <= 48 * 60
    assert len(told.entries) <= 1
    assert told.net_bps >= 0.95 * told.always_bps


def test_the_poor_year_of_2022_is_held_too_without_a_hurdle(recordings: Path) -> None:
    since, until = minute("2022-01-01"), minute("2022-12-31T23:59:00")
    told = play(recorded(recordings, "BTCUSDT"), COST_BPS, 0.0, since, until)
    assert told.always_bps > 300
    assert len(told.entries) <= 2
    assert told.net_bps >= 0.90 * told.always_bps


def test_a_rise_is_entered_and_a_fall_is_left() -> None:
    rows = made((30, 0.0), (10, 30.0), (20, -20.0))
    rise, fall = rows[90][0] - EIGHT_H, rows[120][0] - EIGHT_H
    told = play(rows, COST_BPS, 0.04)
    ((entered,), (left,)) = told.entries, told.exits
    assert 0 < entered - rise <= 48 * 60
    assert 0 < left - fall <= 120 * 60
    assert told.net_bps >= 10.0


def test_what_alternates_and_what_happens_once_is_not_entered() -> None:
    for sign in (1.0, -1.0):
        rows = made((120, lambda number, sign=sign: sign * 20.0 * (-1.0) ** number))  # type: ignore[misc]
        assert not play(rows, COST_BPS, 0.04).entries
    rows = made((30, 0.0), (1, lambda number: 100.0 if number == 0 else 0.0), (30, 0.0))
    assert max(rate for _, rate in rows) == pytest.approx(1.0 / 1095.0)
    assert not play(rows, COST_BPS, 0.04).entries
