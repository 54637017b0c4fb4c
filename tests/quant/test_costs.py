"""Round-trip costs and what they leave of a carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.quant.costs import (
    LegView,
    amortised_apr,
    appraise,
    fees_bps,
    net_carry_apr,
    round_trip_bps,
    slippage_bps,
)

SPOT = LegView(
    bids=((99_995.0, 1.0), (99_985.0, 1.0)), asks=((100_005.0, 1.0), (100_015.0, 1.0)), taker_rate=0.001
)
PERP = LegView(bids=((100_045.0, 5.0),), asks=((100_055.0, 5.0),), taker_rate=0.0005)
THIN_BIDS = LegView(bids=((99_995.0, 0.1),), asks=SPOT.asks, taker_rate=0.001)
THIN_ASKS = LegView(bids=SPOT.bids, asks=(), taker_rate=0.001)


def test_slippage_is_the_walked_spread() -> None:
    assert slippage_bps(SPOT, 1.0) == pytest.approx(1.0)
    assert slippage_bps(SPOT, 2.0) == pytest.approx(2.0)
    assert slippage_bps(SPOT, 2.1) is None


def test_round_trip_counts_four_fees_and_both_spreads() -> None:
    assert fees_bps(SPOT, PERP) == pytest.approx(30.0)
    assert round_trip_bps(SPOT, PERP, 1.0) == pytest.approx(30.0 + 1.0 + 10.0 / 100_050.0 * 10_000.0)


@pytest.mark.parametrize(("long", "short"), [(THIN_BIDS, PERP), (THIN_ASKS, PERP), (PERP, THIN_BIDS)])
def test_one_thin_ladder_leaves_no_cost(long: LegView, short: LegView) -> None:
    assert round_trip_bps(long, short, 1.0) is None
    assert appraise(0.2, (long, short), 1.0, 168.0, 0.0) is None


def test_amortised_cost_and_net_carry() -> None:
    # 16 bp over 128 h are what 1 bp every 8 h earns: 10.95 % a year
    assert amortised_apr(0.0016, 128.0) == pytest.approx(0.1095)
    assert net_carry_apr(0.1095, 0.0016, 128.0, 0.0) == pytest.approx(0.0)
    assert net_carry_apr(0.1095, 0.0, 128.0, 0.04) == pytest.approx(0.0695)


def test_appraisal_carries_every_number() -> None:
    carry = appraise(0.5, (SPOT, PERP), 1.0, 168.0, 0.02)
    assert carry is not None
    assert carry.fees_bps + carry.slippage_bps == pytest.approx(carry.cost_bps)
    assert carry.fees_bps == pytest.approx(30.0)
    assert carry.cost_apr == pytest.approx(carry.cost_bps / 10_000 * 8760 / 168)
    assert carry.net_apr == pytest.approx(0.5 - carry.cost_apr - 0.02)
    assert (carry.expected_apr, carry.hold_h, carry.borrow_apr) == (0.5, 168.0, 0.02)


@given(st.floats(1.0, 1000.0), st.floats(1.0, 1000.0))
def test_a_longer_hold_never_leaves_less(one_h: float, other_h: float) -> None:
    short_h, long_h = sorted((one_h, other_h))
    brief = appraise(0.3, (SPOT, PERP), 0.5, short_h, 0.01)
    patient = appraise(0.3, (SPOT, PERP), 0.5, long_h, 0.01)
    assert brief is not None
    assert patient is not None
    assert brief.net_apr <= patient.net_apr
