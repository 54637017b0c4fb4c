"""In ratio, and what one leg can trade against a delta."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from bot.model.instrument import Position, Side
from bot.model.pair import PairState, Role
from risk.ratio import Adjustment, against, in_ratio
from tests.core.world import BTC, LINEAR, SPOT, hedged

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
