"""Tradable, dust, stranded: at each bound, just inside and just outside."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.model.instrument import Side
from bot.model.pair import Role
from bot.model.store import Leg, Market, Store
from risk.tradable import (
    ORDER_MARGIN,
    RESTING_MARGIN,
    available_qty,
    base_fee_rate,
    closable_qty,
    closing_side,
    is_dust,
    is_gone,
    is_stranded,
    is_tradable,
    quote_fee_rate,
    shortfall_qty,
    touch_price,
)
from tests.risk.build import BTC, LINEAR, PRICE, SPOT, account, hold, make_store, replace

D = Decimal


def legs(store: Store) -> tuple[Leg, Leg]:
    return store.pairs[BTC].legs


def market(store: Store, **filters: Decimal) -> Market:
    """The spot market, with other filters."""
    found = store.markets[SPOT]
    found.instrument = replace(found.instrument, **filters)
    return found


@pytest.mark.parametrize(
    ("qty", "tradable"),
    [
        ("0", False), ("-0.001", False), ("0.00009", False), ("0.00011", True), ("0.00010", True),
        ("0.000095", False), ("0.0002", True),
    ],
)  # fmt: skip
def test_an_order_is_whole_lots_at_least_the_minimum_and_worth_more_than_the_venue_s(
    qty: str, tradable: bool
) -> None:
    """5 quote and a tenth at 60,000 are 0.0000917: at 0.00009 it is 5.40."""
    assert is_tradable(market(make_store()).instrument, D(qty), PRICE, reduces=True) is tradable


def test_the_minimum_quantity_itself_is_enough_and_so_is_the_worth() -> None:
    one = market(make_store(), qty_min=D("0.001"), notional_min=D(100)).instrument
    assert is_tradable(one, D("0.002"), D(55_000), reduces=False), "110 exactly"
    assert not is_tradable(one, D("0.002"), D(54_999), reduces=False)
    assert is_tradable(one, D("0.001"), D(110_000), reduces=False)
    assert not is_tradable(one, D("0.00099"), D(120_000), reduces=False)
    assert not is_tradable(one, D("0.002"), D(55_000), reduces=False, margin=RESTING_MARGIN)


def test_a_contract_that_only_reduces_has_no_least_worth() -> None:
    one = make_store().markets[LINEAR].instrument
    assert is_tradable(one, D("0.001"), PRICE, reduces=True)
    assert not is_tradable(one, D("0.001"), PRICE, reduces=False)


def test_dust_is_coins_worth_no_more_than_its_bound_that_no_order_may_be() -> None:
    store = make_store()
    assert store.config is not None
    assert store.config.strategy.dust_max_quote == 25, "the premise"
    spot = market(store, notional_min=D(100))
    bid = spot.bids[0][0]
    assert is_dust(store, spot, D(0))
    assert is_dust(store, spot, D("0.0004"))
    assert not is_dust(store, spot, D("0.0005")), "30 quote"
    spot.bids = ((62_500.0, 1.0),)
    assert is_dust(store, spot, D("0.0004")), "25 exactly"
    spot.bids = ((bid, 1.0),)
    spot = market(store, notional_min=D(5))
    assert not is_dust(store, spot, D("0.0002")), "12 quote can be sold"
    assert not is_dust(store, spot, D("-0.0002"))
    assert is_dust(store, spot, D("0.00009"))


def test_dust_that_rests_stays_until_it_is_worth_half_as_much_again() -> None:
    store = make_store()
    spot = market(store)
    for qty, resting in (("0.0001", True), ("0.00012", True), ("0.00013", False)):
        assert not is_dust(store, spot, D(qty)), "the premise: it can be sold"
        assert is_dust(store, spot, D(qty), at_rest=True) is resting
    assert closable_qty(spot, D("0.00012")) == D("0.00012")
    assert closable_qty(spot, D("0.00012"), RESTING_MARGIN) == 0


def test_a_contract_is_never_dust() -> None:
    store = make_store()
    assert not is_dust(store, store.markets[LINEAR], D("0.000001"))
    assert is_dust(store, store.markets[LINEAR], D(0))


def test_without_a_price_dust_is_less_than_a_lot() -> None:
    store = make_store()
    spot = store.markets[SPOT]
    spot.bids, spot.asks, spot.mark = (), (), None
    assert is_dust(store, spot, D("0.000009")) is True
    assert is_dust(store, spot, D("-0.000009")) is True
    assert is_dust(store, spot, D("0.00001")) is False
    assert closable_qty(spot, D(1)) == 0
    store = make_store()
    store.config = None
    assert is_dust(store, store.markets[SPOT], D("0.00001")) is False, "nor without settings"


def test_stranded_is_more_than_dust_that_no_order_closes() -> None:
    store = make_store()
    long, short = legs(store)
    assert is_gone(store, long)
    assert not is_stranded(store, long), "nothing held"
    hold(store, Role.LONG, "0.0005")
    assert not is_stranded(store, long), "30 quote can be sold"
    market(store, notional_min=D(100))
    assert is_stranded(store, long)
    assert not is_gone(store, long)
    hold(store, Role.LONG, "0.0003")
    assert not is_stranded(store, long), "18 quote are dust"
    assert is_gone(store, long)
    hold(store, Role.SHORT, "-0.0005")
    assert is_stranded(store, short), "half a lot"
    del store.markets[short.instrument]
    assert not is_stranded(store, short), "of what is not listed nobody knows"
    assert not is_gone(store, short)


def test_what_is_closed_is_whole_lots_of_what_is_held_on_either_side() -> None:
    store = make_store()
    assert closable_qty(store.markets[LINEAR], D("-0.0129")) == D("0.012")
    assert closable_qty(store.markets[SPOT], D("0.012345678")) == D("0.01234")
    assert closable_qty(store.markets[LINEAR], D("0.0009")) == 0


def test_no_more_can_be_closed_than_the_venue_holds() -> None:
    store = make_store()
    long, short = legs(store)
    hold(store, Role.LONG, "1")
    hold(store, Role.SHORT, "-1")
    assert (available_qty(store, long), available_qty(store, short)) == (D(1), D(-1))
    account(store, "binance:spot").shortfall[SPOT] = D("0.4")
    account(store, "binance:usdm").shortfall[LINEAR] = D("0.3")
    assert (available_qty(store, long), available_qty(store, short)) == (D("0.6"), D("-0.7"))
    assert shortfall_qty(store, short) == D("0.3")
    account(store, "binance:usdm").shortfall[LINEAR] = D(2)
    assert available_qty(store, short) == 0
    store.accounts.clear()
    assert shortfall_qty(store, short) == 0


def test_the_touch_that_an_order_meets_first() -> None:
    spot = make_store().markets[SPOT]
    assert (touch_price(spot, Side.BUY), touch_price(spot, Side.SELL)) == (D("60000.5"), D("59999.5"))
    spot.asks = ()
    assert touch_price(spot, Side.BUY) == spot.mark
    spot.mark = None
    assert touch_price(spot, Side.BUY) is None


def test_what_a_fee_is_paid_in_is_what_is_known_else_what_is_received() -> None:
    spot, inverse = make_store().markets[SPOT], make_store().markets[LINEAR]
    inverse.instrument = replace(inverse.instrument, inverse=True, margin_asset="BTC", quote="USD")
    rate = spot.instrument.taker_rate
    assert (base_fee_rate(spot, Side.BUY), base_fee_rate(spot, Side.SELL)) == (rate, D(0))
    assert quote_fee_rate(spot, Side.BUY) == 0, "it is not known that it is paid in quote"
    spot.fee_assets[Side.BUY] = "USDT"
    assert (base_fee_rate(spot, Side.BUY), quote_fee_rate(spot, Side.BUY)) == (D(0), rate)
    spot.fee_assets[Side.BUY] = "BNB"
    assert (base_fee_rate(spot, Side.BUY), quote_fee_rate(spot, Side.BUY)) == (D(0), D(0))


def test_what_is_held_is_closed_by_the_other_side() -> None:
    assert [closing_side(D(qty)) for qty in ("0.5", "2", "-0.5", "-2")] == [Side.SELL] * 2 + [Side.BUY] * 2


def test_the_margins_are_over_the_venue_s_minimum() -> None:
    assert [D("1.1"), D("1.5")] == [ORDER_MARGIN, RESTING_MARGIN]
