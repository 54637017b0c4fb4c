"""Holds, filters and every limit of the guard, just inside and just outside."""

from __future__ import annotations

from typing import Any

import pytest

from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from bot.model.store import OrderState, Store
from risk.guard import Refused, admit
from tests.risk import build
from tests.risk.build import BTC, INVERSE, LINEAR, NOW, D, bound, entry, leave, place, replace, rule_of


def test_any_hold_refuses_what_opens() -> None:
    store = build.make_store()
    build.account(store, "binance:usdm").reconciled = False
    verdict = admit(store, NOW, entry())
    assert verdict == Refused("hold:not_reconciled", "binance:usdm", "", BTC)


def test_filters_bind_closing_orders_too() -> None:
    store = build.make_store()
    build.hedge(store)
    sell = leave()[1]
    assert rule_of(store, leave()[0], replace(sell, price=D("60000.001"))) == "tick"
    assert rule_of(store, leave()[0], replace(sell, price=D("90000"))) == "percent_price"


def test_coins_that_the_pair_did_not_buy_are_not_sold() -> None:
    """Not even to shrink: the coins of the baseline are not the bot's."""
    store = build.make_store(build.make_config(INVERSE), coins="100")
    build.account(store, "binance:spot").balances["BTC"] = D(50)
    store.pairs[BTC].short.coin_cash = D(3)  # funding earned in coin: the pair is long by it
    sell = place(Role.LONG, Side.SELL, "1")
    assert admit(store, NOW, (sell,)) == Refused("owned_coins", "1", "0", BTC)
    build.hold(store, Role.LONG, "1")
    assert rule_of(store, sell) is None
    build.live(store, replace(sell, client_id=ClientId("x"), qty=D("0.001")))
    assert rule_of(store, sell) == "owned_coins"


def test_an_instrument_that_nobody_has_described_is_named() -> None:
    store = build.make_store()
    long, short = build.entry()
    del store.markets[short.instrument]
    assert admit(store, NOW, (long, short)) == Refused("missing:instrument", short.instrument, "", BTC)


def test_no_order_turns_a_contract_over() -> None:
    store = build.make_store()
    build.hedge(store, "1", "0.9")
    buy = place(Role.SHORT, Side.BUY, "0.9", Purpose.UNWIND)
    build.hold(store, Role.LONG, "0.5")
    assert rule_of(store, replace(buy, qty=D("0.4"))) is None
    assert rule_of(store, replace(buy, qty=D("0.901"))) == "turned_leg"
    build.live(store, replace(buy, client_id=ClientId("x"), qty=D("0.6")))
    assert rule_of(store, replace(buy, qty=D("0.31"))) == "turned_leg"


# --- exposure: just inside, just outside ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"order_notional_max_quote": D(6000)}, "order_notional"),
        ({"order_qty_max_base": D("0.1")}, "order_qty"),
        ({"pair_notional_max_quote": D(6000)}, "pair_notional"),
        ({"venue_notional_max_quote": D(12000)}, "venue_notional"),
        ({"gross_notional_max_quote": D(12000)}, "gross_notional"),
        ({"naked_max_quote": D(6000)}, "naked"),
    ],
)
def test_limits_on_a_first_entry(limits: dict[str, Any], rule: str) -> None:
    store = bound(**limits)
    assert rule_of(store, *entry("0.1", "0.1")) is None
    assert rule_of(store, *entry("0.101", "0.101")) == rule


def test_net_delta_takes_a_group_as_a_whole() -> None:
    store = bound(net_delta_max_quote=D(60))
    assert rule_of(store, *entry("0.101", "0.1")) is None
    assert rule_of(store, *entry("0.102", "0.1")) == "net_delta"
    build.live(store, replace(entry()[0], client_id=ClientId("x")), sent_ns=NOW - 1)
    assert rule_of(store, *entry()) is None  # made worse by the order in flight, not by the group
    assert rule_of(store, entry()[0]) == "net_delta"


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.OPEN, OrderState.CANCELING])
@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"pair_notional_max_quote": D(18000)}, "pair_notional"),
        ({"venue_notional_max_quote": D(36000)}, "venue_notional"),
        ({"gross_notional_max_quote": D(36000)}, "gross_notional"),
        ({"naked_max_quote": D(12000)}, "naked"),
    ],
)
def test_positions_and_orders_in_flight_count(limits: dict[str, Any], rule: str, state: OrderState) -> None:
    store = bound(**limits)
    build.hedge(store, "0.1")
    for order in entry():
        build.live(store, replace(order, client_id=ClientId(f"x{order.client_id}")), state)
    assert rule_of(store, *entry("0.1", "0.1")) is None
    assert rule_of(store, *entry("0.101", "0.101")) == rule


def test_other_pairs_count_for_venue_and_book() -> None:
    for limits, rule in (
        ({"venue_notional_max_quote": D(18000)}, "venue_notional"),
        ({"gross_notional_max_quote": D(18000)}, "gross_notional"),
    ):
        store = bound(**limits)
        other = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
        build.hold(store, Role.LONG, "0.1", pair=other)
        assert rule_of(store, *entry("0.1", "0.1")) is None
        assert rule_of(store, *entry("0.101", "0.1")) == rule


def test_an_order_that_does_not_add_to_a_passed_limit_is_not_refused_for_it() -> None:
    store = bound(pair_notional_max_quote=D(6000), gross_notional_max_quote=D(6000))
    build.hedge(store)
    assert rule_of(store, leave()[0]) is None


def test_collar() -> None:
    store = bound(collar_bps=10.0)
    sell, buy = entry()
    assert rule_of(store, sell, replace(buy, price=D(60_060))) is None
    assert rule_of(store, sell, replace(buy, price=D("60060.01"))) == "price_collar"


def test_order_rate_is_for_opening_orders() -> None:
    store = bound(opening_orders_per_min=3)
    store.opening_ns = (NOW - 1,)
    assert rule_of(store, *entry()) is None
    store.opening_ns = (NOW - 2, NOW - 1)
    assert rule_of(store, *entry()) == "order_rate"
    build.hedge(store)
    assert rule_of(store, *leave()) is None


def test_cash_for_spot_purchases() -> None:
    store = build.make_store(cash="12000")
    buy = entry()[1]
    assert rule_of(store, *entry("0.2", "0.2")) is None
    assert rule_of(store, *entry("0.20001", "0.2")) == "balance"
    build.live(store, replace(buy, client_id=ClientId("x"), qty=D("0.1")))
    build.live(store, place(Role.LONG, Side.SELL, "7"))
    build.live(store, place(Role.SHORT, Side.BUY, "7"))
    elsewhere = build.add_pair(store, "TWO", "spot:ETHEUR", "usdm:ETHUSDT")
    quoted = store.markets[build.InstrumentId("binance:spot:ETHEUR")]
    quoted.instrument = replace(quoted.instrument, quote="EUR")
    store.rates["EUR/USDT"] = D(1)
    build.live(
        store,
        place(
            Role.LONG, Side.BUY, "7", client_id=ClientId("y"), pair=elsewhere, instrument=quoted.instrument.id
        ),
    )
    build.account(store, "binance:usdm").baseline = {"USDT": D(10**9)}
    store.ledger.cash[build.AccountId("binance:usdm")] = {"USDT": D(10**9)}
    assert rule_of(store, replace(buy, qty=D("0.1"))) is None
    assert rule_of(store, replace(buy, qty=D("0.10001"))) == "balance"


def test_initial_margin_of_a_contract() -> None:
    """10,000 at 125× is 80, and the fee of 5 comes out of the same wallet."""
    sell = place(Role.SHORT, Side.SELL, "0.1", price=D(60_000))
    need, fee = D(6000) / 125, D(3)
    enough, little = str(need + fee), str(need + fee - D("0.01"))
    for cash, rule in ((enough, None), (little, "initial_margin")):
        store = build.make_store(cash=cash)
        assert rule_of(store, sell) == rule


def margined(cash: str, **limits: Any) -> Store:
    """0.9 short already, in a wallet of ``cash``; the fee rate is zero to keep the numbers plain."""
    store = build.with_limits(build.make_store(cash=cash), **limits)
    market = store.markets[LINEAR]
    market.instrument = replace(market.instrument, taker_rate=D(0))
    store.ledger.cash[build.AccountId("binance:spot")] = {"USDT": D(10**6)}
    build.hedge(store, "0.9")
    return store


@pytest.mark.parametrize(
    ("limits", "cash", "rule"),
    [
        ({"leverage_max": 3.0}, "20000", "leverage"),  # 60,000 / 20,000
        ({"margin_ratio_min": 4.0}, "1100", "margin_ratio"),  # 10 % inside: 1,100 / (300 − 50)
        # the price doubles: 120,000 × 0.005 − 50 = 550 are left of 60,550
        ({"liquidation_distance_min": 1.0}, "60550", "liquidation_distance"),
    ],
)
def test_margin_limits(limits: dict[str, Any], cash: str, rule: str) -> None:
    store = margined(cash, **limits)
    sell, buy = entry()
    assert rule_of(store, sell, buy) is None
    assert rule_of(store, replace(sell, qty=D("0.101")), buy) == rule


def test_what_lies_in_flight_needs_margin_too() -> None:
    store = margined("20000", leverage_max=3.0)
    build.live(store, replace(entry()[0], client_id=ClientId("x"), qty=D("0.001")))
    assert rule_of(store, *entry()) == "leverage"


def test_a_spot_sale_takes_margin_from_the_inverse_leg_it_backs() -> None:
    config = build.make_config(INVERSE, "spot_leg", leverage_max=1.5)
    store = build.make_store(config, coins="0")
    build.hedge(store, "1", "600")
    sell = leave("0.333", "200", instrument=INVERSE)[1]
    assert rule_of(store, sell) is None
    assert rule_of(store, replace(sell, qty=D("0.334"))) == "leverage"


def test_an_entry_is_backed_by_the_coins_it_buys() -> None:
    store = build.make_store(build.make_config(INVERSE, "spot_leg", leverage_max=1.01), coins="0")
    assert rule_of(store, *entry("0.1", "60", instrument=INVERSE)) is None
    bare = build.make_store(build.make_config(INVERSE, leverage_max=1.01), coins="0")
    assert rule_of(bare, *entry("0.1", "60", instrument=INVERSE)) == "initial_margin"


# --- missing data -----------------------------------------------------------------------------------------


def test_missing_data_refuses_what_opens() -> None:
    store = build.make_store()
    market = store.markets[LINEAR]
    market.instrument = replace(market.instrument, brackets=())
    assert rule_of(store, *entry()) == "missing:brackets"
    market.instrument = replace(market.instrument, brackets=build.tiers(("0", "5999", ".01", "0")))
    assert rule_of(store, *entry()) == "missing:brackets"

    store = build.make_store()
    build.account(store, "binance:usdm").baseline = None
    assert rule_of(store, *entry()) == "missing:account"

    store = build.make_store()
    build.account(store, "binance:spot").baseline = None
    assert rule_of(store, entry()[1]) == "missing:account"

    store = build.make_store()
    other = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
    build.hold(store, Role.LONG, "1", pair=other)
    store.markets[build.InstrumentId("binance:spot:ETHUSDT")].mark = None
    assert rule_of(store, *entry()) == "missing:mark"


@pytest.mark.parametrize(
    ("lost", "rule"),
    [
        ("mark", "hold:no_mark"), ("index", "hold:no_index"), ("bids", "hold:no_book"),
        ("asks", "hold:no_book"),
        ("rate", "hold:missing_rate"), ("account", "hold:not_reconciled"),
    ],
)  # fmt: skip
def test_every_number_that_a_hold_watches(lost: str, rule: str) -> None:
    store = build.make_store(build.make_config(INVERSE))
    market = store.markets[INVERSE]
    if lost == "rate":
        store.rates = {}
    elif lost == "account":
        del store.accounts[build.AccountId("binance:coinm")]
    else:
        setattr(market, lost, () if lost in ("bids", "asks") else None)
    assert rule_of(store, *entry("0.1", "60", instrument=INVERSE)) == rule


def test_a_wallet_that_is_spent_does_not_stop_what_needs_no_margin() -> None:
    """Reducing one leg alone opens, but asks for no margin: the wallet need not cover what is held."""
    store = build.make_store(cash="100")
    build.hedge(store)
    assert rule_of(store, leave()[0]) is None
    assert rule_of(store, entry()[0]) == "initial_margin"
