"""The market model of the demonstration: its funding is the venue's formula, its books are whole."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.quant.funding import binance_rate, running_premium
from examples.demo_market import Dice, Funding, Inverse, Side, World, along


@pytest.mark.parametrize(
    ("at_s", "value"), [(-5, 10), (0, 10), (5, 15), (10, 20), (15, 5), (19, -7), (20, -10), (99, -10)]
)
def test_a_course_is_interpolated_in_whole_numbers(at_s: int, value: int) -> None:
    assert along(((0, 10), (10, 20), (20, -10)), at_s) == value


@given(st.integers(0, 2**32), st.integers(1, 1000))
def test_draws_stay_in_range(seed: int, count: int) -> None:
    dice = Dice(seed)
    assert 0 <= dice.below(count) < count
    assert -count <= dice.around(count) <= count


@given(st.lists(st.integers(-2_000_000, 3_000_000), min_size=1, max_size=30))
def test_the_rate_is_the_venues_formula(premiums: list[int]) -> None:
    funding = Funding(125_000)
    average, samples = 0.00125, 360
    for number, premium in enumerate(premiums):
        funding.sample(premium, 5 * (number + 1))
        average = running_premium(average, premium / 1e8, samples, samples + 1)
        samples += 1
    assert funding.average() / 1e8 == pytest.approx(average, abs=1.1e-8)
    assert funding.rate() / 1e8 == pytest.approx(binance_rate(average, 0.0001, 8, 0.003), abs=1.1e-8)


def test_an_interval_begins_with_its_first_sample() -> None:
    funding = Funding(100_000)
    seven_and_a_half_hours = 27_000
    funding.sample(100_000, seven_and_a_half_hours)
    assert funding.average() == 100_000
    funding.sample(-80_000, seven_and_a_half_hours + 5)
    assert funding.average() == -80_000
    assert funding.rate() == -30_000


@given(st.lists(st.tuples(st.integers(9_900_000, 10_100_000), st.booleans()), min_size=1, max_size=20))
def test_a_side_keeps_eight_levels_behind_its_touch_and_tells_every_change(
    moves: list[tuple[int, bool]],
) -> None:
    side, seen = Side(1), dict[int, int]()
    dice = Dice(7)
    for touch, thin in moves:
        side.move(touch, thin, dice)
        seen.update(side.diff())
        assert min(side.sizes) == touch
        assert len(side.sizes) == 9
        assert {cents: size for cents, size in seen.items() if size} == side.sizes
        assert all((size <= 450) == thin for cents, size in side.sizes.items() if cents != touch)


def test_frames_carry_the_venues_fields() -> None:
    dice = Dice(1)
    world, market = World(dice), Inverse(dice, 1000)
    market.move(world)
    snapshot = msgspec.json.decode(market.snapshot(1_772_411_400_100))
    assert list(snapshot) == ["lastUpdateId", "E", "T", "symbol", "pair", "bids", "asks"]
    diff = msgspec.json.decode(market.diff(1_772_411_403_000))
    assert diff["stream"] == "btcusd_perp@depth@0ms"
    assert list(diff["data"]) == ["e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a"]
    assert diff["data"]["U"] <= snapshot["lastUpdateId"] <= diff["data"]["u"]
    mark = msgspec.json.decode(market.mark(world, 1_772_411_404_000))["data"]
    assert (mark["p"], mark["i"], mark["r"]) == ("100170.00000000", "100000.00000000", "0.00120000")
    assert mark["T"] == 1_772_438_400_000
