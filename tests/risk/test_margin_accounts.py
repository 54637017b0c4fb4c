"""Margin accounts: of given positions, and as the store knows them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.model.instrument import Side
from bot.model.pair import Role
from risk.exposure import MissingData, pending
from risk.margin import INFINITE, Held, MarginState, account_margin, balance, margin_state
from tests.risk import build
from tests.risk.build import (
    INVERSE,
    LINEAR,
    SPOT,
    D,
    InstrumentId,
    account_of,
    at,
    flat_rate,
    instrument,
    tiers,
)


def test_a_short_survives_thirty_percent() -> None:
    one = instrument(LINEAR, brackets=tiers(("0", "1e9", ".0065", "950")))
    state = margin_state(D(310_000), [Held(one, at(one, "-10", "100000"), D(130_000))])
    assert state.equity == 10_000
    assert state.maintenance == 7_500
    assert state.ratio == D("1.333333")
    assert state.leverage == 130


def test_an_empty_account_has_nothing_to_fear() -> None:
    state = margin_state(D(5), [])
    assert state == MarginState(D(5))
    assert (state.ratio, state.leverage, state.distance, state.initial) == (INFINITE, D(0), INFINITE, D(0))


def test_an_account_without_equity_has_infinite_leverage() -> None:
    one = flat_rate(".01")
    state = margin_state(D(0), [Held(one, at(one, "1", "100"), D(100))])
    assert (state.leverage, state.ratio) == (INFINITE, D(0))
    assert state.distance < 0


def test_an_inverse_long_under_water_has_no_distance_left() -> None:
    one = instrument(INVERSE)
    assert margin_state(D(-3), [Held(one, at(one, "500", "50000"), D(50_000))]).distance == 0


def test_distance_is_a_fraction_of_the_mark() -> None:
    one = flat_rate(".2")
    long = margin_state(D(40), [Held(one, at(one, "1", "100"), D(100))])
    short = margin_state(D(40), [Held(one, at(one, "-1", "100"), D(100))])
    assert long.distance == D("0.25")  # at 75: 40 − 25 = 0.2 × 75
    assert short.distance == D("0.166667")  # at 140 ÷ 1.2


def test_account_of_the_store_takes_positions_at_their_marks() -> None:
    store = build.make_store(cash="50000")
    build.hold(store, Role.SHORT, "-1", D(60_000))
    store.markets[LINEAR].mark = D(61_000)
    state = account_margin(store, account_of(LINEAR), "USDT")
    assert (state.equity, state.notional) == build.decimals(49_000, 61_000)
    assert state.maintenance == 61_000 * D(".005") - 50


def test_what_the_venue_holds_beyond_our_books_counts() -> None:
    store = build.make_store()
    account = build.account(store, "binance:usdm")
    account.positions[LINEAR] = build.Position(D(-2), D(-120_000))
    assert account_margin(store, account.id, "USDT").notional == 120_000
    build.hold(store, Role.SHORT, "-3")
    for qty, notional in ((-2, 180_000), (-4, 240_000)):
        account.positions[LINEAR] = build.Position(D(qty), D(qty) * 60_000)
        assert account_margin(store, account.id, "USDT").notional == notional


def test_other_accounts_and_assets_stay_out() -> None:
    store = build.make_store()
    build.hold(store, Role.SHORT, "-1")
    coin = InstrumentId("binance:usdm:BTCUSDC")
    store.markets[coin] = build.make_market(instrument(coin, margin_asset="USDC"))
    store.ledger.positions[coin] = build.Position(D(5), D(300_000))
    store.ledger.positions[INVERSE] = build.Position(D(5), D(300_000))
    store.ledger.positions[SPOT] = build.Position(D(5), D(300_000))
    assert account_margin(store, account_of(LINEAR), "USDT").notional == 60_000
    assert account_margin(store, account_of(SPOT), "USDT").notional == 0


@pytest.mark.parametrize(
    ("side", "notional", "equity"),
    [
        # −1 and a sale of 1 at 59,000: worth 2 at the mark, 1,000 under water, fee 29.5
        (Side.SELL, 120_000, D(50_000) - 1_000 - D("29.5")),
        # a purchase of 1 would close it: not filled is worse
        (Side.BUY, 60_000, D(50_000)),
    ],
)
def test_orders_fill_as_badly_as_they_can(side: Side, notional: int, equity: Decimal) -> None:
    store = build.make_store(cash="50000")
    build.hold(store, Role.SHORT, "-1")
    build.live(store, build.place(Role.SHORT, side, "1", price=D(59_000)))
    state = account_margin(store, account_of(LINEAR), "USDT", pending(store))
    assert (state.notional, state.equity) == (D(notional), equity)


def test_purchases_that_turn_a_position_are_the_worse_end() -> None:
    store = build.make_store(cash="50000")
    build.hold(store, Role.SHORT, "-1")
    build.live(store, build.place(Role.SHORT, Side.BUY, "3", price=D(60_100)))
    state = account_margin(store, account_of(LINEAR), "USDT", pending(store))
    assert state.notional == 120_000
    # 100 lost on the one that closes, 200 under water on the two that open, fee 0.0005 × 180,300
    assert state.equity == D(50_000) - 100 - 200 - D("90.15")


def test_spot_leg_backs_the_inverse_leg_only_where_the_settings_say_so() -> None:
    for coin_margin, equity in (("baseline", D(2)), ("spot_leg", D(3))):
        store = build.make_store(build.make_config(INVERSE, coin_margin), coins="2")
        store.markets[INVERSE].mark = D(50_000)
        build.hold(store, Role.LONG, "1")
        build.hold(store, Role.SHORT, "-500", D(50_000))
        state = account_margin(store, account_of(INVERSE), "BTC")
        assert (state.equity, state.notional) == (equity, D(1))


def test_coins_bought_with_the_group_back_it_and_coins_sold_do_not() -> None:
    store = build.make_store(build.make_config(INVERSE, "spot_leg"), coins="0")
    account = account_of(INVERSE)
    build.live(store, build.place(Role.LONG, Side.BUY, "1"))
    assert account_margin(store, account, "BTC", pending(store)).equity == 1
    assert account_margin(store, account, "BTC").equity == 0
    build.hold(store, Role.LONG, "5")
    build.live(store, build.place(Role.LONG, Side.SELL, "3"))
    assert account_margin(store, account, "BTC", pending(store)).equity == 3
    assert account_margin(store, account, "ETH", pending(store)).equity == 0


def test_spot_leg_margin_ignores_pairs_it_does_not_know() -> None:
    store = build.make_store(build.make_config(INVERSE, "spot_leg"), coins="2")
    build.hold(store, Role.LONG, "1")
    build.add_pair(store, "TWO", "usdm:BTCUSDT", "coinm:BTCUSD_PERP")  # no spot leg
    build.add_pair(store, "THREE", "spot:ETHUSDT", "coinm:ETHUSD_PERP")  # margined in another coin
    store.markets[InstrumentId("binance:coinm:ETHUSD_PERP")].instrument = instrument(
        InstrumentId("binance:coinm:ETHUSD_PERP"), base="ETH", margin_asset="ETH"
    )
    build.hold(store, Role.LONG, "7", pair=build.PairName("THREE"))
    del store.markets[SPOT]
    assert account_margin(store, account_of(INVERSE), "BTC").equity == 2


def test_a_position_without_mark_or_instrument_cannot_be_margined() -> None:
    store = build.make_store()
    build.hold(store, Role.SHORT, "-1")
    store.markets[LINEAR].mark = None
    with pytest.raises(MissingData, match="mark of binance:usdm:BTCUSDT is not known"):
        account_margin(store, account_of(LINEAR), "USDT")
    del store.markets[LINEAR]
    with pytest.raises(MissingData, match="instrument"):
        account_margin(store, account_of(LINEAR), "USDT")


def test_an_account_that_was_never_reported_has_no_balance() -> None:
    store = build.make_store()
    build.account(store, "binance:usdm").baseline = None
    with pytest.raises(MissingData, match="account of binance:usdm"):
        balance(store, account_of(LINEAR), "USDT")
    with pytest.raises(MissingData):
        balance(store, build.AccountId("nowhere:spot"), "USDT")


def test_balance_is_the_ledgers_once_there_is_one() -> None:
    store = build.make_store(cash="10")
    account = account_of(SPOT)
    build.account(store, account).balances["USDT"] = D(99)
    assert balance(store, account, "USDT") == 10
    del store.ledger.cash[account]
    assert balance(store, account, "USDT") == 99
    assert balance(store, account, "BTC") == 0
