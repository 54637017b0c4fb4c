"""An entry that carry wants waits for a gap and a cost that are not worse than they need be."""

from __future__ import annotations

import pytest

from bot.core import gaps
from bot.model.facts import ModeOrdered, Tick
from bot.model.pair import Mode
from tests.core.settled import HOUR_NS, Settled, past
from tests.core.world import LINEAR, SECOND_NS, SPOT

RICH = [0.2] * 60


def waiting() -> Settled:
    """A flat pair whose switch stands on in and whose gap was nothing so far; it is paused."""
    world = Settled()
    world.boot()
    world.give(ModeOrdered("*", Mode.PAUSED, "operator", "wait"), *past(RICH))
    world.quote(60_000.0, 0.0)
    for _ in range(3):
        world.at_ns += 60 * SECOND_NS
        world.refresh()
    assert gaps.mean_bps(world.pair, world.at_ns) == pytest.approx(0.0, abs=0.01)
    assert world.pair.switch is not None
    assert world.pair.switch.is_in
    return world


def resumed(world: Settled) -> str:
    """What the pair does once it may: the reason for doing nothing."""
    world.give(ModeOrdered("*", Mode.ACTIVE, "operator", "go"))
    assert bool(world.placed()) is (world.pair.idle == "trading")
    return world.pair.idle


def test_the_mean_is_of_minutes_and_of_a_day() -> None:
    world = Settled(capital=50_000)
    world.begin([])
    for minute in range(60 * 30):
        world.at_ns += 59 * SECOND_NS
        world.refresh(0.0 if minute < 60 * 6 else 10.0)
    mean = gaps.mean_bps(world.pair, world.at_ns)
    assert mean == pytest.approx(10.0, abs=0.01), "the first six hours are a day old"
    assert len(world.pair.gap_hours) <= 25
    assert sum(one.samples for one in world.pair.gap_hours) in range(24 * 60 - 60, 24 * 60 + 61)


def test_since_the_first_book_it_is_the_mean_of_what_there_is() -> None:
    world = Settled()
    world.begin([])
    assert gaps.mean_bps(world.pair, world.at_ns) is None
    for gap in (4.0, 8.0, 0.0):
        world.at_ns += 60 * SECOND_NS
        world.quote(60_000.0, gap)
        world.give(Tick({one.id: world.at_ns for one in world.instruments}, {}))
    assert gaps.mean_bps(world.pair, world.at_ns) == pytest.approx(4.0, abs=0.05)
    hour = world.at_ns // HOUR_NS
    assert [one.hour for one in world.pair.gap_hours] == [hour]
    assert gaps.mean_bps(world.pair, world.at_ns + 24 * HOUR_NS) is None, "a day later it is too old"


def test_several_looks_in_a_minute_are_one() -> None:
    world = Settled()
    world.begin([])
    for _ in range(10):
        world.refresh(3.0)
    assert [one.samples for one in world.pair.gap_hours] == [1]


@pytest.mark.parametrize(("gap_bps", "idle"), [(-8.0, "gap_below_mean"), (-7.0, "trading")])
def test_a_gap_below_its_mean_by_more_than_a_quarter_of_the_cost_waits(gap_bps: float, idle: str) -> None:
    """30 bps of cost, a quarter of it is 7.5."""
    world = waiting()
    world.quote(60_000.0, gap_bps)
    assert resumed(world) == idle


@pytest.mark.parametrize(("half_bps", "idle"), [(4.0, "cost_above_decided"), (3.0, "trading")])
def test_a_clip_that_costs_a_quarter_more_than_was_decided_waits(half_bps: float, idle: str) -> None:
    """A spread of 4 bps in two legs makes 8 bps of a round trip; 7.5 are a quarter of 30."""
    world = waiting()
    half = 60_000.0 * half_bps / 2e4
    world.give(*(world.book(name, 60_000.0 - half, 60_000.0 + half) for name in (SPOT, LINEAR)))
    assert resumed(world) == idle


def test_no_gap_is_sampled_where_carry_does_not_enter() -> None:
    for strategy in ({"entry_carry_apr": None}, {"expected_funding": "estimate"}):
        world = Settled(strategy=strategy)
        world.begin(RICH)
        world.refresh()
        assert world.pair.gap_hours == ()
