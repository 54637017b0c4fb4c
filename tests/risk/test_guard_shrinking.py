"""What counts as shrinking, and that nothing but certain rejection stops it."""

from __future__ import annotations

import pytest

from bot.model.commands import PlaceOrder
from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.pair import Role
from bot.model.store import OrderState, Store
from tests.risk import build
from tests.risk.build import BTC, INVERSE, SPOT, D, bound, entry, leave, place, replace, rule_of


def tight() -> Store:
    """A store in which any opening order breaks a limit and any hold applies."""
    store = bound(
        order_notional_max_quote=D(1), pair_notional_max_quote=D(1), gross_notional_max_quote=D(1),
        net_delta_max_quote=D(1), naked_max_quote=D(1),
    )  # fmt: skip
    store.markets[SPOT].ended = True
    return store


def blocked(store: Store, *orders: PlaceOrder) -> bool:
    return rule_of(store, *orders) is not None


def test_what_shrinks_is_blocked_neither_by_limits_nor_by_holds_nor_by_missing_data() -> None:
    store = tight()
    build.hedge(store, "1", "0.9")
    for market in store.markets.values():
        market.mark = market.index = None
    for account in store.accounts.values():
        account.baseline, account.reconciled = None, False
    assert not blocked(store, place(Role.SHORT, Side.SELL, "0.1"))
    assert not blocked(store, place(Role.LONG, Side.SELL, "0.1"))
    assert not blocked(store, *leave())
    assert not blocked(store, *leave("1", "0.9"))


def test_growing_is_not_shrinking() -> None:
    store = tight()
    build.hedge(store, "1", "0.9")
    assert blocked(store, *entry())
    assert blocked(store, place(Role.SHORT, Side.BUY, "0.1"))
    assert blocked(store, place(Role.LONG, Side.BUY, "0.1"))


def test_reducing_one_leg_of_a_hedged_pair_opens() -> None:
    store = tight()
    build.hedge(store)
    assert blocked(store, leave()[0])
    assert blocked(store, leave()[1])
    assert not blocked(store, *leave())


@pytest.mark.parametrize(
    ("qty", "shrinking"), [("0.1", True), ("0.101", True), ("0.102", False), ("0.3", False)]
)
def test_a_correction_goes_beyond_zero_by_a_lot_at_most(qty: str, shrinking: bool) -> None:
    store = tight()
    build.hedge(store, "1", "0.9")
    assert blocked(store, place(Role.SHORT, Side.SELL, qty)) is not shrinking


def test_corrections_in_flight_count() -> None:
    store = tight()
    build.hedge(store, "1", "0.9")
    build.live(store, place(Role.LONG, Side.SELL, "0.05"), OrderState.UNCERTAIN)
    assert not blocked(store, place(Role.SHORT, Side.SELL, "0.05"))
    assert blocked(store, place(Role.SHORT, Side.SELL, "0.06"))


def test_orders_in_flight_the_other_way_or_of_another_pair_do_not() -> None:
    store = tight()
    build.hedge(store, "1", "0.9")
    other = build.add_pair(store, "TWO", "spot:BTCUSDT", "usdm:BTCUSDT")
    build.live(store, place(Role.SHORT, Side.SELL, "5", client_id=ClientId("x"), pair=other))
    build.live(store, place(Role.SHORT, Side.BUY, "0.05"))
    assert not blocked(store, place(Role.SHORT, Side.SELL, "0.1"))


@pytest.mark.parametrize(
    ("long_qty", "short_qty", "shrinking"),
    [
        ("0.5", "0.5", True),
        ("0.501", "0.5", True),  # within a lot of the coarser leg
        ("0.502", "0.5", False),
        ("0.5", "0.502", False),
        ("1", "1", True),
        ("1", "1.001", False),  # beyond zero
    ],
)
def test_legs_fall_in_ratio(long_qty: str, short_qty: str, shrinking: bool) -> None:
    store = tight()
    build.hedge(store)
    assert blocked(store, *leave(long_qty, short_qty)) is not shrinking


def test_an_exit_in_flight_is_not_sent_twice() -> None:
    store = tight()
    build.hedge(store)
    for order in leave("0.6", "0.6"):
        build.live(store, replace(order, client_id=ClientId(f"x{order.client_id}")))
    assert not blocked(store, *leave("0.4", "0.4"))
    assert blocked(store, *leave("0.5", "0.5"))


def test_an_unequal_exit_that_brings_the_delta_back_shrinks() -> None:
    store = tight()
    build.hedge(store, "1", "0.4")
    assert not blocked(store, *leave("1", "0.4"))


def test_an_inverse_pair_shrinks_by_the_same_rule() -> None:
    store = build.with_limits(build.make_store(build.make_config(INVERSE)), naked_max_quote=D(1))
    build.hedge(store, "1", "600")
    assert rule_of(store, *leave("0.1", "60", instrument=INVERSE)) is None
    assert rule_of(store, leave("0.1", "60", instrument=INVERSE)[0]) == "naked"


def test_one_leg_of_a_hedged_pair_by_no_more_than_a_lot_opens_as_well() -> None:
    store = tight()
    build.hedge(store)
    assert blocked(store, replace(leave()[0], qty=D("0.001")))


def test_closing_both_legs_of_an_inverse_pair_leaves_the_coins_it_earned() -> None:
    """Sold at 60,000 and bought back at 50,000: 0.2 coins stay in the margin wallet, and are delta."""
    store = build.with_limits(build.make_store(build.make_config(INVERSE)), naked_max_quote=D(1))
    build.hedge(store, "1", "600")
    for market in store.markets.values():
        market.mark = market.index = D(50_000)
    assert rule_of(store, *leave("1", "600", instrument=INVERSE, price=D(50_000))) is None
    assert rule_of(store, *leave("0.5", "400", instrument=INVERSE, price=D(50_000))) == "naked"


def test_closing_the_only_leg_that_is_left_shrinks() -> None:
    store = build.with_limits(build.make_store(build.make_config(INVERSE)), naked_max_quote=D(1))
    build.hold(store, Role.SHORT, "-60")
    store.pairs[BTC].short.coin_cash = D("0.1")  # earned by what was closed before: the delta is zero
    assert rule_of(store, leave("1", "60", instrument=INVERSE)[0]) is None
    assert rule_of(store, leave("1", "30", instrument=INVERSE)[0]) is None


@pytest.mark.parametrize(("left", "shrinking"), [("0.00009", True), ("0.00010", False)])
def test_spot_that_no_venue_would_take_stays_behind_when_the_last_contracts_close(
    left: str, shrinking: bool
) -> None:
    """At 60,000 the least order that is sent is worth 5.5, which is between the two."""
    store = build.with_limits(build.make_store(build.make_config(INVERSE)), net_delta_max_quote=D(1))
    build.hold(store, Role.LONG, left)
    build.hold(store, Role.SHORT, "-100")
    store.pairs[BTC].short.coin_cash = D("0.2")
    close = leave("1", "100", instrument=INVERSE)[0]
    assert blocked(store, close) is not shrinking
