"""Whatever a venue marks, a step ends with a decision: every division outside the ledger is a float's."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core import signals
from bot.core.decide.idle import Idle
from bot.core.step import step
from bot.model.facts import FundingEstimated, MarkSeen, Tick
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument, Kind
from bot.model.store import decode_store, encode_store
from bot.shell.state import read_state
from tests.core.world import BTC, INVERSE, LINEAR, World, instrument, make_config, with_strategy

D = Decimal
DAY_NS = 86_400_000_000_000
DATED = InstrumentId("binance:usdm:BTCUSDT_260302")
INVERSE_DATED = InstrumentId("binance:coinm:BTCUSD_260302")
SHORTS = [LINEAR, INVERSE, DATED, INVERSE_DATED]

prices = st.one_of(
    st.decimals(min_value="0.00000001", max_value="1000000000", allow_nan=False, places=8),
    st.sampled_from([D("100126.46"), D("100001.46"), D(0), D(-1), D("NaN"), D("Infinity"), D("1e-24")]),
)


def described(name: InstrumentId) -> Instrument:
    if name not in (DATED, INVERSE_DATED):
        return instrument(name)
    return instrument(name, kind=Kind.DATED, expiry_ns=30 * DAY_NS, funding_interval_h=0)


def begun(short: InstrumentId, is_held: bool) -> World:
    """A world that trades on carry and on the gap, flat or hedged."""
    strategy = {"entry_carry_apr": 0.05, "exit_carry_apr": -100.0}
    world = World(make_config(short, capital=10_000, strategy=strategy))
    world.instruments = [described(one.id) for one in world.instruments]
    world.boot()
    world.quote(60_000.0, 0.0)
    if is_held:
        world.quote(60_000.0, 20.0)
        world.fill_all()
        assert world.store.pairs[BTC].short.position.qty < 0
    return world


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("short", SHORTS)
def test_no_mark_and_no_index_keeps_a_step_from_ending(short: InstrumentId, is_held: bool) -> None:
    world = begun(short, is_held)
    kept = encode_store(world.store)

    @settings(max_examples=60, deadline=None)
    @given(prices, prices, st.decimals(min_value=-1, max_value=1, allow_nan=False))
    @example(D("100126.46"), D("100001.46"), D("0.0001"))
    def run(mark: Decimal, index: Decimal, rate: Decimal) -> None:
        store, at_ns = decode_store(kept), world.at_ns
        assert store.config is not None
        for fact in (
            MarkSeen(short, mark, index, at_ns, at_ns),
            FundingEstimated(short, rate, at_ns + DAY_NS, at_ns, at_ns),
            *world.books(60_000.0, 20.0),
            *world.books(60_000.0, -20.0),
            Tick({one.id: at_ns for one in world.instruments}, {}),
        ):
            at_ns += 1_000_000
            step(store, at_ns, (fact,))
        read_state(store, at_ns, "0", 1)

    run()


@pytest.mark.parametrize("short", [DATED, INVERSE_DATED])
def test_a_dated_leg_is_worth_its_basis_to_expiry(short: InstrumentId) -> None:
    world = begun(short, is_held=False)
    world.give(world.mark(short, D("100126.46"), D("100001.46")))
    pair, config = world.store.pairs[BTC], with_strategy(world.config, expected_funding="estimate")
    found = signals.expected_apr(world.store, config, pair, world.at_ns)
    assert not isinstance(found, Idle)
    days = (30 * DAY_NS - world.at_ns) / DAY_NS
    assert found == pytest.approx((100126.46 / 100001.46 - 1) * 365 / days)
