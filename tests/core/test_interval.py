"""The funding interval by what a stream announces: believed at once where it follows, in doubt where not."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import signals
from bot.model.facts import FundingEstimated, InstrumentListed
from bot.quant.funding import HOUR_NS, follows_h, funding_apr
from risk.watch import holds
from tests.core.world import BTC, LINEAR, World, make_config

D = Decimal
DAY_NS = 1_796_083_200_000_000_000  # 2026-12-01T00:00:00Z, a multiple of every interval
MINUTE_NS = 60_000_000_000
CARRY = {
    "entry_gap_bps": None,
    "exit_gap_bps": None,
    "entry_carry_apr": 0.3,
    "hold_planned_h": 168.0,
    "expected_funding": "estimate",
}


def at(hours: float) -> int:
    return DAY_NS + round(hours * HOUR_NS)


def world(interval_h: int) -> World:
    """A pair that trades on carry, its contract listed with an interval, at the beginning of a day."""
    made = World(make_config(strategy=CARRY))
    made.at_ns = DAY_NS
    made.instruments = [
        msgspec.structs.replace(one, funding_interval_h=interval_h) if one.id == LINEAR else one
        for one in made.instruments
    ]
    made.boot()
    made.quote(60_000.0, 0.0)
    return made


def announce(made: World, hours: float, next_h: float, rate: str = "0.0001") -> None:
    made.at_ns = at(hours)
    made.give(*(made.report(account) for account in made.wallets))
    made.give(FundingEstimated(LINEAR, D(rate), at(next_h), made.at_ns, made.at_ns))
    made.quote(60_000.0, 0.0)


def is_in_doubt(made: World) -> bool:
    codes = [hold.code for hold in holds(made.store, made.at_ns, made.store.pairs[BTC])]
    return "interval_in_doubt" in codes


def apr(made: World) -> float | None:
    found = signals.expected_apr(made.store, made.config, made.store.pairs[BTC], made.at_ns)
    return found if isinstance(found, float) else None


def listed(made: World, interval_h: int) -> None:
    (one,) = [each for each in made.instruments if each.id == LINEAR]
    made.give(InstrumentListed(msgspec.structs.replace(one, funding_interval_h=interval_h)))


def test_an_interval_that_grows_between_two_readings_opens_nothing_and_costs_no_wrong_rate() -> None:
    made = world(1)
    announce(made, 2.5, 3, rate="0.00001")
    assert is_in_doubt(made) is False
    assert apr(made) == pytest.approx(funding_apr(0.00001, 1))
    announce(made, 2.6, 8)
    assert (is_in_doubt(made), apr(made)) == (True, None)
    assert not made.placed(), "0.876 a year by the old interval"
    listed(made, 8)
    made.quote(60_000.0, 0.0)
    assert is_in_doubt(made) is False
    assert apr(made) == pytest.approx(0.1095)
    assert not made.placed()


def test_an_interval_that_shrinks_before_the_settlement_is_in_doubt_until_the_next_two() -> None:
    made = world(8)
    announce(made, 1.5, 8)
    assert not is_in_doubt(made)
    announce(made, 1.6, 2)
    assert is_in_doubt(made)
    announce(made, 2.01, 3)
    assert is_in_doubt(made) is False
    assert apr(made) == pytest.approx(funding_apr(0.0001, 1))
    assert made.placed(), "known again, and worth it"


@pytest.mark.parametrize(("before_h", "after_h"), [(8, 4), (8, 1), (4, 8), (1, 8), (1, 4), (2, 4)])
def test_settlements_in_a_row_tell_an_interval_at_once(before_h: int, after_h: int) -> None:
    made = world(before_h)
    announce(made, 7.9, 8)
    announce(made, 8.001, 8 + after_h)
    assert not is_in_doubt(made)
    assert apr(made) == pytest.approx(funding_apr(0.0001, after_h))


def test_a_settlement_further_away_than_the_interval_is_no_next_one() -> None:
    made = world(4)
    announce(made, 1.0, 8)
    assert is_in_doubt(made)
    announce(made, 4.5, 8)
    assert is_in_doubt(made), "nobody has said that it is four hours"
    announce(made, 8.1, 16)
    assert is_in_doubt(made) is False
    assert apr(made) == pytest.approx(0.1095)


def test_what_passed_unheard_tells_no_interval() -> None:
    made = world(8)
    announce(made, 7.0, 8)
    announce(made, 17.0, 24)
    assert is_in_doubt(made) is False
    assert apr(made) == pytest.approx(0.1095)


def test_a_time_that_comes_back_to_the_grid_is_as_before() -> None:
    made = world(8)
    announce(made, 1.0, 8)
    announce(made, 1.1, 3)
    announce(made, 1.2, 8)
    assert not is_in_doubt(made)


def test_a_reading_that_the_stream_contradicts_settles_nothing() -> None:
    made = world(8)
    announce(made, 1.0, 8)
    announce(made, 1.1, 6)
    assert is_in_doubt(made)
    listed(made, 4)
    made.quote(60_000.0, 0.0)
    assert is_in_doubt(made), "it is nearly five hours to the next"


def test_a_contract_without_a_known_interval_opens_nothing() -> None:
    made = world(0)
    announce(made, 1.0, 8)
    assert (is_in_doubt(made), apr(made), made.placed()) == (True, None, [])


@pytest.mark.parametrize(
    ("next_h", "at_h", "hours"),
    [
        (8, 0.0, 8),
        (8, 0.99, 8),
        (8, 1.0, 0),
        (8, -0.02, 0),
        (8.5, 0.1, 0),
        (8.01, 0.1, 8),
        (25, 0.1, 0),
        (0, 0.1, 0),
    ],
)
def test_two_settlements_are_in_a_row_within_an_hour_after_the_first(
    next_h: float, at_h: float, hours: int
) -> None:
    assert follows_h(DAY_NS, at(next_h), at(at_h)) == hours
