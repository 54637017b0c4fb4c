"""In ratio, and what one leg can trade against a delta."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.model.instrument import Position, Side
from bot.model.pair import PairState, Role
from risk.ratio import Adjustment, against, drift_band_base, in_ratio, leg_size_base
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, hedged

D = Decimal


def test_an_adjustment_never_turns_a_leg_and_never_sells_what_is_not_held() -> None:
    one = hedged()
    pair, store = one.store.pairs[BTC], one.store
    held = pair.long.position.qty
    assert against(store, pair, Role.LONG, 10.0) == Adjustment(Side.SELL, held - held % D("0.00001"), True)
    assert against(store, pair, Role.SHORT, -10.0) == Adjustment(Side.BUY, -pair.short.position.qty, True)
    pair.long.position = Position()
    assert against(store, pair, Role.LONG, 1.0) is None
    assert against(store, pair, Role.SHORT, 0.0001) is None, "below a lot"
    store.markets[LINEAR].bids, store.markets[LINEAR].mark = (), None
    assert against(store, pair, Role.SHORT, 1.0) is None, "no price"


def test_a_leg_that_is_gone_is_not_opened_the_other_way() -> None:
    one = hedged()
    pair, store = one.store.pairs[BTC], one.store
    pair.long = msgspec.structs.replace(pair.long, instrument=LINEAR, position=Position())
    pair.spec = msgspec.structs.replace(pair.spec, long=LINEAR)
    pair.short.position = Position()
    assert against(store, pair, Role.LONG, 1.0) is None, "a contract, whose long leg would be sold short"
    assert against(store, pair, Role.SHORT, -1.0) is None
    assert against(store, pair, Role.LONG, -1.0) == Adjustment(Side.BUY, D("1.000"), False)


def test_growing_a_leg_below_the_minimum_notional_is_impossible_but_reducing_is_not() -> None:
    one = hedged()
    pair = one.store.pairs[BTC]
    assert against(one.store, pair, Role.SHORT, 0.0015) is None, "0.001 BTC is less than 100 quote"
    assert against(one.store, pair, Role.SHORT, -0.0015) == Adjustment(Side.BUY, D("0.001"), True)


def test_an_adjustment_is_no_larger_than_its_venue_takes() -> None:
    one = hedged()
    market = one.store.markets[LINEAR]
    market.instrument = msgspec.structs.replace(market.instrument, qty_max=D("0.05"))
    found = against(one.store, one.store.pairs[BTC], Role.SHORT, -0.1)
    assert found == Adjustment(Side.BUY, D("0.05"), True)


def test_of_a_leg_that_is_left_alone_everything_goes() -> None:
    one = hedged()
    pair = one.store.pairs[BTC]
    held = -pair.short.position.qty
    pair.long.position = Position()
    assert against(one.store, pair, Role.SHORT, -0.01) == Adjustment(Side.BUY, held, True)


def test_a_rest_that_no_leg_can_trade_is_in_ratio_and_one_that_some_leg_can_is_not() -> None:
    one = hedged()
    pair, store = one.store.pairs[BTC], one.store
    spot, perp = store.markets[SPOT], store.markets[LINEAR]
    pair.state = PairState.ENTERING
    hedge = -pair.short.position.qty
    for market in (spot, perp):
        fine = msgspec.structs.replace(market.instrument, lot=D("0.00001"), qty_min=D("0.00001"))
        market.instrument = fine
    worth = spot.instrument.notional_min / D(60_000)
    for times, expected in (("1.05", True), ("1.2", False)):
        pair.long.position = Position(hedge + worth * D(times))
        assert in_ratio(store, pair) is expected, times
    pair.state = PairState.FLAT
    assert in_ratio(store, pair), "what rests waits for 1.5 times the minimum"
    pair.state = PairState.ENTERING
    pair.long.position = Position(hedge - worth)
    assert not in_ratio(store, pair), "a contract that only reduces has no minimum"
    perp.instrument = msgspec.structs.replace(perp.instrument, lot=D("0.001"))
    assert in_ratio(store, pair)


def test_the_band_of_a_held_pair_is_its_largest_and_at_least_a_lot() -> None:
    one = hedged(strategy={"drift_band_bps": 100.0, "drift_band_lots": 0.0})
    pair, store = one.store.pairs[BTC], one.store
    pair.long.position = Position(D("0.5"))
    assert drift_band_base(store, pair) == 0.005, "100 bp of half a coin"
    pair.long.position = Position(D("0.05"))
    assert drift_band_base(store, pair) == 0.001, "a lot of the contract"
    one = hedged(strategy={"drift_band_bps": 100.0, "drift_band_lots": 3.0})
    pair, store = one.store.pairs[BTC], one.store
    pair.long.position = Position(D("0.1"))
    assert drift_band_base(store, pair) == 0.003, "three lots"
    pair.long.position = Position(D("0.5"))
    assert drift_band_base(store, pair) == 0.005
    store.config = None
    assert drift_band_base(store, pair) == 0.001


def test_only_a_held_pair_has_a_drift_band() -> None:
    one = hedged(strategy={"drift_band_bps": 0.0, "drift_band_lots": 4.0})
    pair, store = one.store.pairs[BTC], one.store
    hedge = -pair.short.position.qty
    for off, held, entering in (("0.0005", True, True), ("0.003", True, False), ("0.0045", False, False)):
        pair.long.position = Position(hedge + D(off))
        pair.state = PairState.HEDGED
        assert in_ratio(store, pair) is held, off
        pair.state = PairState.ENTERING
        assert in_ratio(store, pair) is entering, off


def test_the_size_of_a_leg_in_base_currency() -> None:
    one = hedged(INVERSE)
    market = one.store.markets[INVERSE]
    market.mark = D(50_000)
    assert leg_size_base(market, D(-100)) == pytest.approx(0.2), "100 contracts of 100 quote at 50,000"
    market.mark = None
    assert leg_size_base(market, D(-100)) == 0.0
    assert leg_size_base(one.store.markets[SPOT], D("0.3")) == 0.3


def test_a_delta_of_one_lot_of_the_coarser_leg_is_in_ratio_while_entering() -> None:
    one = hedged()
    pair, store = one.store.pairs[BTC], one.store
    pair.state = PairState.ENTERING
    hedge = -pair.short.position.qty
    for off, expected in (("0.001", True), ("-0.001", True), ("0.00101", False), ("-0.00101", False)):
        pair.long.position = Position(hedge + D(off))
        assert in_ratio(store, pair) is expected, off
