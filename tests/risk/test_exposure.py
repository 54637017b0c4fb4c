"""Deltas, values and worst cases."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.ids import InstrumentId
from bot.model.instrument import Position, Side, after_fill, fill_cost, reference_per_qty, unrealised
from bot.model.money import exact_arithmetic
from bot.model.pair import Role
from bot.model.store import OrderState, Store
from risk import exposure
from risk.exposure import MissingData, pair_exposure, pending
from tests.risk import build
from tests.risk.build import BTC, INVERSE, LINEAR, PRICE, SPOT, D


def test_delta_of_spot_and_linear_legs_is_what_is_held() -> None:
    store = build.make_store()
    build.hedge(store, "1.5", "1.498")
    assert exposure.pair_delta_base(store, store.pairs[BTC]) == D("0.002")


@given(entry=st.integers(20_000, 90_000), contracts=st.integers(-900, 900), cash=st.integers(-100, 100))
def test_delta_of_an_inverse_leg_is_the_slope_of_its_equity(entry: int, contracts: int, cash: int) -> None:
    """Equity in quote is (coin cash + profit in coin) × price: its slope is the delta."""
    store = build.make_store(build.make_config(INVERSE))
    one, coin_cash = store.markets[INVERSE].instrument, D(cash) / 1000
    position = Position(D(contracts), fill_cost(one, D(contracts), D(entry)))
    delta = exposure.leg_delta_base(store, INVERSE, position, coin_cash)

    def equity(price: Decimal) -> Decimal:
        coins = coin_cash + unrealised(one, position.qty, position.cost, reference_per_qty(one, price))
        return coins * price

    for low, high in ((D(30_000), D(30_001)), (D(60_000), D(78_000)), (D(60_000), D(42_000))):
        slope = (equity(high) - equity(low)) / (high - low)
        assert abs(slope - delta) < D("1e-9")


@pytest.mark.parametrize("move", ["0.7", "1.3"])
def test_a_price_move_alone_leaves_an_inverse_hedge_alone(move: str) -> None:
    store = build.make_store(build.make_config(INVERSE))
    build.hedge(store, "1", "600")
    pair = store.pairs[BTC]
    assert exposure.pair_delta_base(store, pair) == 0
    for market in store.markets.values():
        market.mark = PRICE * D(move)
    assert exposure.pair_delta_base(store, pair) == 0


def test_a_fill_changes_an_inverse_delta_by_its_own_base_amount() -> None:
    """Realised profit stays in the leg as coin, so closing at another price than the entry's adds up."""
    store = build.make_store(build.make_config(INVERSE))
    one = store.markets[INVERSE].instrument
    before = Position(D(-600), fill_cost(one, D(-600), D(60_000)))
    with exact_arithmetic():
        after, realised = after_fill(one, before, D(200), D(50_000))
        change = exposure.leg_delta_base(store, INVERSE, after, realised) - exposure.leg_delta_base(
            store, INVERSE, before, D(0)
        )
    assert abs(change - D("0.4")) <= D("1e-8")


def test_an_unlisted_instrument_has_no_delta_only_while_nothing_is_held() -> None:
    store = Store()
    assert exposure.leg_delta_base(store, SPOT, Position(), D(0)) == 0
    with pytest.raises(MissingData, match="instrument of binance:spot:BTCUSDT is not known"):
        exposure.leg_delta_base(store, SPOT, Position(D(1), D(1)), D(0))
    with pytest.raises(MissingData):
        exposure.leg_delta_base(store, INVERSE, Position(), D(1))


def test_lots_in_base() -> None:
    store = build.make_store(build.make_config(INVERSE))
    pair = store.pairs[BTC]
    assert exposure.lot_base(store.markets[SPOT].instrument, 60_000.0) == 0.00001
    assert exposure.lot_base(store.markets[INVERSE].instrument, 50_000.0) == 0.002
    assert exposure.tolerance_base(store, pair) == D("0.00166667")
    store.markets[INVERSE].mark = None
    assert exposure.tolerance_base(store, pair) == D("0.00001")
    store.markets.clear()
    assert exposure.tolerance_base(store, pair) == 0


def test_value_of_a_leg_at_its_mark() -> None:
    store = build.make_store(build.make_config(INVERSE))
    pair = store.pairs[BTC]
    assert exposure.pair_exposure(store, pair, ()).legs == ()
    build.hedge(store, "2", "1200")
    store.markets[SPOT].mark = D(70_000)
    store.markets[INVERSE].mark = None  # an inverse contract is worth its face whatever the mark
    values = [value for _, value in exposure.pair_exposure(store, pair, ()).legs]
    assert values == [140_000, 120_000]
    store.markets[SPOT].mark = None
    with pytest.raises(MissingData, match="mark of binance:spot"):
        exposure.pair_exposure(store, pair, ())


def test_cash_in_nav_currency() -> None:
    store = build.make_store()
    store.rates = {"USDT/USD": D("0.8"), "EUR/USDT": D("1.1")}
    assert exposure.in_nav(store, "USDT", D(10)) == 10
    assert exposure.in_nav(store, "USD", D(10)) == D("12.5")
    assert exposure.in_nav(store, "EUR", D(10)) == 11
    assert [exposure.has_rate(store, asset) for asset in ("USDT", "USD", "EUR", "JPY")] == [True] * 3 + [
        False
    ]
    with pytest.raises(MissingData, match="rate of JPY/USDT"):
        exposure.in_nav(store, "JPY", D(1))
    with pytest.raises(MissingData, match="config of the run"):
        exposure.in_nav(Store(), "USDT", D(1))


def spot_sums(store: Store) -> tuple[Decimal, Decimal]:
    return exposure.sums(order for order in exposure.pending(store) if order.instrument == SPOT)


def test_reserves_are_what_living_orders_may_still_fill() -> None:
    store = build.make_store()
    sell, buy = build.place(Role.LONG, Side.SELL, "0.5"), build.place(Role.LONG, Side.BUY, "0.3")
    build.live(store, sell, OrderState.UNCERTAIN, filled="0.2")
    build.live(store, buy, OrderState.CANCELING)
    build.live(store, build.place(Role.SHORT, Side.SELL, "9"))
    assert spot_sums(store) == (D("0.3"), D("0.3"))
    store.orders[buy.client_id].state = OrderState.DEAD
    store.orders[sell.client_id].state = OrderState.DONE
    assert spot_sums(store) == build.decimals(0, 0)


def test_a_full_order_that_waits_for_its_report_reserves_nothing() -> None:
    store = build.make_store()
    build.live(store, build.place(Role.LONG, Side.BUY, "1"), OrderState.UNCERTAIN, filled="1")
    assert pending(store) == ()


def test_worst_case_of_an_entry_in_flight() -> None:
    """One leg alone leaves the pair naked; the group as a whole does not touch the book's delta."""
    store = build.make_store()
    part = pair_exposure(store, store.pairs[BTC], pending(store, build.entry("0.5", "0.5")))
    assert part.legs == (("binance", D(30_000)), ("binance", D(30_000)))
    assert part.notional == 30_000
    assert (part.net_low, part.net_high, part.naked) == build.decimals(0, 0, 30_000)
    assert exposure.gross_of([part]) == exposure.venue_total([part], "binance") == 60_000
    assert exposure.venue_total([part], "kraken") == 0


def test_worst_case_takes_the_far_end_of_each_leg() -> None:
    store = build.make_store()
    build.hold(store, Role.LONG, "1")
    build.live(store, build.place(Role.LONG, Side.SELL, "3"))
    part = pair_exposure(store, store.pairs[BTC], pending(store))
    assert part.legs == (("binance", D(120_000)),)
    assert (part.net_low, part.net_high) == build.decimals(-120_000, 60_000)


def test_worst_case_does_not_set_purchases_off_against_sales() -> None:
    store = build.make_store()
    build.hold(store, Role.LONG, "1")
    sell, buy = build.place(Role.LONG, Side.SELL, "0.5"), build.place(Role.LONG, Side.BUY, "0.5")
    part = pair_exposure(store, store.pairs[BTC], pending(store, (sell, buy)))
    assert part.notional == part.naked == 90_000


def test_groups_sent_apart_may_fill_apart() -> None:
    store = build.make_store()
    sell, buy = build.entry("1", "1")
    build.live(store, sell, sent_ns=build.NOW)
    build.live(store, buy, sent_ns=build.NOW + 1)
    part = pair_exposure(store, store.pairs[BTC], pending(store))
    assert (part.net_low, part.net_high) == build.decimals(-60_000, 60_000)


def test_orders_of_another_pair_are_not_this_pairs() -> None:
    store = build.make_store()
    other = build.add_pair(store, "TWO", "spot:BTCUSDT", "usdm:BTCUSDT")
    build.live(store, build.place(Role.LONG, Side.BUY, "1", pair=other))
    assert pair_exposure(store, store.pairs[BTC], pending(store)).legs == ()
    assert pair_exposure(store, store.pairs[other], pending(store)).notional == 60_000


def test_an_inverse_order_counts_at_the_lower_of_limit_and_mark() -> None:
    store = build.make_store(build.make_config(INVERSE))
    above = build.place(Role.SHORT, Side.SELL, "600", instrument=INVERSE, price=D(75_000))
    below = build.place(Role.SHORT, Side.SELL, "600", instrument=INVERSE, price=D(50_000))
    changes = [exposure.order_delta_base(store, one) for one in exposure.pending_of((above, below))]
    assert changes == [-1, D("-1.2")]
    store.markets[INVERSE].mark = None
    assert exposure.order_delta_base(store, exposure.pending_of((above,))[0]) == D("-0.8")


def test_an_inverse_pair_is_valued_with_its_cash_rate() -> None:
    store = build.make_store(build.make_config(INVERSE))
    store.rates = {"USDT/USD": D("0.5")}
    build.hold(store, Role.SHORT, "-600")
    part = pair_exposure(store, store.pairs[BTC], ())
    assert part.legs == (("binance", D(120_000)),)
    assert (part.net_low, part.naked) == build.decimals(
        -60_000, 60_000
    )  # one coin short, at the long leg's mark


def test_delta_is_netted_within_a_base_currency_only() -> None:
    store = build.make_store()
    second = build.add_pair(store, "TWO", "spot:BTCUSDC", "usdm:BTCUSDC")
    third = build.add_pair(store, "ETH", "spot:ETHUSDT", "usdm:ETHUSDT")
    build.hold(store, Role.LONG, "1")
    build.hold(store, Role.SHORT, "-0.4", pair=second)
    build.hold(store, Role.SHORT, "-0.5", pair=third)
    parts = [pair_exposure(store, pair, ()) for pair in store.pairs.values()]
    assert exposure.net_delta_of(parts) == 36_000 + 30_000


@pytest.mark.parametrize("what", ["mark", "rate", "instrument"])
def test_what_cannot_be_valued_is_not_guessed(what: str) -> None:
    store = build.make_store(build.make_config(INVERSE))
    build.hedge(store, "1", "600")
    if what == "mark":
        store.markets[SPOT].mark = None
    elif what == "rate":
        store.rates = {}
    else:
        del store.markets[SPOT]
    with pytest.raises(MissingData, match=what):
        pair_exposure(store, store.pairs[BTC], ())


def test_the_delta_of_a_contract_without_a_spot_mark_is_not_guessed() -> None:
    store = build.make_store()
    build.hold(store, Role.SHORT, "-1")
    store.markets[SPOT].mark = None
    with pytest.raises(MissingData, match="mark of binance:spot"):
        pair_exposure(store, store.pairs[BTC], ())


def test_an_index_is_not_guessed() -> None:
    market = build.make_store().markets[LINEAR]
    assert exposure.index_of(market) == PRICE
    market.index = None
    with pytest.raises(MissingData, match="index of binance:usdm:BTCUSDT is not known"):
        exposure.index_of(market)


def test_an_unlisted_instrument_is_named() -> None:
    with pytest.raises(MissingData) as caught:
        exposure.listed(build.make_store(), InstrumentId("x:y:z"))
    assert (caught.value.what, caught.value.where) == ("instrument", "x:y:z")
    assert exposure.venue_of(LINEAR) == "binance"
