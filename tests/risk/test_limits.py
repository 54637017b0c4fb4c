"""Every limit just inside and just outside."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from bot.model.config import Limits, Margin
from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Role
from risk import limits as rules
from risk.limits import MarginBounds, Refused
from tests.risk import build
from tests.risk.build import BTC, INVERSE, LINEAR, NOW, SPOT, D

State = Callable[[Limits, PairName, Decimal, Decimal], Refused | None]
Margined = Callable[[MarginBounds, PairName, Decimal, Decimal], Refused | None]
LIMITS = build.make_config(
    order_notional_max_quote=D(100), order_qty_max_base=D(2), pair_notional_max_quote=D(100),
    venue_notional_max_quote=D(100), gross_notional_max_quote=D(100), net_delta_max_quote=D(100),
    naked_max_quote=D(100), leverage_max=3.0, margin_ratio_min=2.0, liquidation_distance_min=0.15,
).limits  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "limit", "step"),
    [
        (rules.pair_notional, "100", "0.01"),
        (rules.venue_notional, "100", "0.01"),
        (rules.gross_notional, "100", "0.01"),
        (rules.net_delta, "100", "0.01"),
        (rules.naked, "100", "0.01"),
        (rules.leverage, "3", "0.000001"),
    ],
)
def test_upper_limits_of_a_state(rule: State, limit: str, step: str) -> None:
    at, beyond = D(limit), D(limit) + D(step)
    assert rule(LIMITS, BTC, D(0), at) is None
    assert rule(LIMITS, BTC, D(0), beyond) == Refused(rule.__name__, str(beyond), limit, BTC)
    assert rule(LIMITS, BTC, beyond, beyond) is None  # beyond already, and not made worse
    assert rule(LIMITS, BTC, beyond, beyond + D(step)) is not None


@pytest.mark.parametrize(
    ("rule", "limit", "step"),
    [(rules.margin_ratio, "2", "0.000001"), (rules.liquidation_distance, "0.15", "0.000001")],
)
def test_lower_limits_of_a_state(rule: Margined, limit: str, step: str) -> None:
    at, beyond = D(limit), D(limit) - D(step)
    bounds = rules.latch_bounds(LIMITS)
    assert rule(bounds, BTC, D(9), at) is None
    assert rule(bounds, BTC, D(9), beyond) == Refused(rule.__name__, str(beyond), limit, BTC)
    assert rule(bounds, BTC, beyond, beyond) is None
    assert rule(bounds, BTC, beyond, beyond - D(step)) is not None


def test_what_opens_is_bound_before_the_limit_latches_and_what_is_given_back_after() -> None:
    latch, empty = rules.latch_bounds(LIMITS), Margin()
    assert latch == MarginBounds(D(2), D("0.15"))
    assert rules.opening_bounds(LIMITS, empty) == MarginBounds(D("2.2"), D("0.165"))
    assert rules.deleverage_bounds(LIMITS, empty) == MarginBounds(D("1.5"), D("0.075"))
    given = Margin(
        opening_ratio_min=4.0, opening_distance_min=0.3, deleverage_ratio=1.2, deleverage_distance=0.01
    )
    assert rules.opening_bounds(LIMITS, given) == MarginBounds(D(4), D("0.3"))
    assert rules.deleverage_bounds(LIMITS, given) == MarginBounds(D("1.2"), D("0.01"))
    far = replace(LIMITS, liquidation_distance_min=0.95)
    assert rules.opening_bounds(far, empty).distance == 1


def test_one_order() -> None:
    assert rules.order_notional(LIMITS, BTC, D(100)) is None
    assert rules.order_notional(LIMITS, BTC, D("100.01")) == Refused("order_notional", "100.01", "100", BTC)
    assert rules.order_qty(LIMITS, BTC, D(2)) is None
    assert rules.order_qty(LIMITS, BTC, D("2.001")) == Refused("order_qty", "2.001", "2", BTC)
    assert rules.order_qty(build.make_config().limits, BTC, D(10**9)) is None


def test_collar_is_as_wide_either_way() -> None:
    for price, inside in (("60600", True), ("59400", True), ("60600.1", False), ("59399.9", False)):
        refused = rules.price_collar(LIMITS, BTC, D(price), D(60_000))
        assert refused == (None if inside else Refused("price_collar", price, "60000 ± 600", BTC))


def test_money() -> None:
    assert rules.initial_margin(BTC, D(5), D(5)) is None
    assert rules.initial_margin(BTC, D("5.1"), D(5)) == Refused("initial_margin", "5.1", "5", BTC)
    assert rules.free_balance(BTC, D(5), D(5)) is None
    assert rules.free_balance(BTC, D("5.1"), D(5)) == Refused("balance", "5.1", "5", BTC)
    assert rules.owned_coins(BTC, D(5), D(5)) is None
    assert rules.owned_coins(BTC, D("5.1"), D(5)) == Refused("owned_coins", "5.1", "5", BTC)


def test_order_rate_counts_one_minute() -> None:
    sent = tuple(NOW - age * build.SECOND_NS for age in (61, 60, 59, 1))
    limits = build.make_config(opening_orders_per_min=4).limits
    assert rules.order_rate(limits, BTC, sent, NOW, 2) is None
    assert rules.order_rate(limits, BTC, sent, NOW, 3) == Refused("order_rate", "5", "4", BTC)


def test_ages_and_offsets() -> None:
    assert rules.feed_age(LIMITS.feed_age_max_s, BTC, 5_000_000_000) is None
    assert rules.feed_age(LIMITS.feed_age_max_s, BTC, -1) is None
    late = Refused("stale_feed", "5.001 s", "5 s", BTC)
    assert rules.feed_age(LIMITS.feed_age_max_s, BTC, 5_001_000_000) == late
    for offset_ns in (500_000_000, -500_000_000):
        assert rules.clock_offset(LIMITS, BTC, offset_ns) is None
    beyond = rules.clock_offset(LIMITS, BTC, -501_000_000)
    assert beyond == Refused("clock_offset", "-501.000 ms", "500 ms", BTC)


@pytest.mark.parametrize(
    ("name", "qty", "price", "rule"),
    [
        (LINEAR, "0.002", "60000", None),
        (LINEAR, "0.0025", "60000", "lot"),
        (LINEAR, "0.002", "60000.05", "tick"),
        (LINEAR, "0.001", "60000", "notional_min"),  # 60 of 100
        (LINEAR, "1000", "60000", None),
        (LINEAR, "1000.001", "60000", "qty_max"),
        (LINEAR, "1", "63000", None),
        (LINEAR, "1", "63000.1", "percent_price"),
        (LINEAR, "1", "57000", None),
        (LINEAR, "1", "56999.9", "percent_price"),
        (SPOT, "0.00009", "60000", None),
        (SPOT, "0.00008", "60000", "notional_min"),  # 4.8 of 5
        (INVERSE, "1", "60000", None),
        (INVERSE, "0.5", "60000", "lot"),
    ],
)
def test_venue_filters(name: InstrumentId, qty: str, price: str, rule: str | None) -> None:
    one = build.instrument(name)
    order = build.place(Role.SHORT, Side.SELL, qty, instrument=name, price=D(price))
    refused = rules.venue_filters(one, order, D(60_000))
    assert (refused.rule if refused else None) == rule


def test_quantity_below_the_minimum() -> None:
    one = build.instrument(LINEAR, qty_min=D("0.003"))
    order = build.place(Role.SHORT, Side.SELL, "0.002")
    assert rules.venue_filters(one, order, D(60_000)) == Refused("qty_min", "0.002", "0.003", BTC)


def test_a_reducing_contract_order_may_be_of_any_value() -> None:
    reduce = build.leave("0.00008", "0.001")
    assert rules.venue_filters(build.instrument(LINEAR), reduce[0], D(60_000)) is None
    spot = rules.venue_filters(build.instrument(SPOT), build.replace(reduce[1], reduce_only=True), D(60_000))
    assert spot is not None
    assert spot.rule == "notional_min"


def test_without_a_mark_the_percent_filter_is_the_venues() -> None:
    order = build.place(Role.SHORT, Side.SELL, "1", price=D(90_000))
    assert rules.venue_filters(build.instrument(LINEAR), order, None) is None
