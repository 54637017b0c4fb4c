"""Holds of time and of margin: what binds an opening by the venue's clock, by two legs, and by old rates."""

from __future__ import annotations

from typing import Any

import pytest

from bot.model.commands import MarginStage
from bot.model.config import Config
from bot.model.store import Deleveraged, Market, Store
from risk.guard import Refused, admit
from risk.opening_holds import leg_skew, settled_rate_end_ns
from risk.watch import holds, leg_holds
from tests.risk import build
from tests.risk.build import BTC, LINEAR, NOW, SECOND_NS, SPOT, D, entry, leave, replace

HOUR_NS = 3_600 * SECOND_NS
HEARTBEAT_NS, AGE_NS = 10 * SECOND_NS, 5 * SECOND_NS


def codes(store: Store, at_ns: int = NOW) -> list[str]:
    return [hold.code for hold in holds(store, at_ns, store.pairs[BTC])]


def arrived(market: Market, lag_s: float, at_ns: int = NOW) -> None:
    """The book of a market was ``lag_s`` on its way and came at ``at_ns``."""
    market.book_seen_ns = market.heard_ns = market.mark_seen_ns = at_ns
    market.book_venue_ns = at_ns - int(lag_s * SECOND_NS)


def test_a_stream_that_is_behind_is_never_silent_and_opens_nothing() -> None:
    store = build.make_store()
    for lag_s, late in ((5.0, []), (5.001, ["feed_lag"]), (30.0, ["feed_lag"])):
        for name in (SPOT, LINEAR):
            arrived(store.markets[name], lag_s)
        assert [hold.code for hold in leg_holds(store, NOW, SPOT)] == late
    (hold,) = leg_holds(store, NOW, SPOT)
    assert (hold.value, hold.limit) == (f"{SPOT} 30.000 s", "5 s")
    refused = admit(store, NOW, entry())
    assert isinstance(refused, Refused)
    assert refused.rule == "hold:feed_lag"


def test_a_book_ages_by_the_venues_time_between_two_heartbeats() -> None:
    store = build.make_store()
    for name in (SPOT, LINEAR):
        arrived(store.markets[name], 4.0)
    later = NOW + HEARTBEAT_NS + SECOND_NS
    for name in (SPOT, LINEAR):
        store.markets[name].heard_ns = store.markets[name].mark_seen_ns = later
    assert codes(store, later) == []
    assert codes(store, later + 1) == ["feed_lag", "feed_lag"]


def test_what_shrinks_is_not_bound_by_time_or_margin() -> None:
    store = build.make_store()
    build.hedge(store, "1")
    arrived(store.markets[SPOT], 30.0)
    arrived(store.markets[LINEAR], 0.0)
    store.accounts[build.AccountId("binance:usdm")].deleveraged["USDT"] = stage(MarginStage.GIVING)
    assert codes(store) == ["feed_lag", "deleveraging", "leg_skew"]
    assert not isinstance(admit(store, NOW, leave()), Refused)


def test_a_venue_that_tells_no_time_is_not_judged() -> None:
    store = build.make_store()
    arrived(store.markets[SPOT], 30.0)
    store.markets[SPOT].book_venue_ns = None
    assert codes(store) == []


@pytest.mark.parametrize(("lags", "found"), [((0.0, 1.0), []), ((1.2, 0.1), ["leg_skew"]), ((3.0, 3.5), [])])
def test_the_books_of_both_legs_come_about_as_late(lags: tuple[float, float], found: list[str]) -> None:
    store = build.make_store()
    for name, lag_s in zip((SPOT, LINEAR), lags, strict=True):
        arrived(store.markets[name], lag_s)
    assert codes(store) == found


def test_a_skew_is_told_in_seconds() -> None:
    store = build.make_store()
    for name, lag_s in ((SPOT, 1.5), (LINEAR, 0.25)):
        arrived(store.markets[name], lag_s)
    assert store.config is not None
    hold = leg_skew(store.config, store.markets[SPOT], store.markets[LINEAR])
    assert hold is not None
    assert (hold.value, hold.limit) == ("1.250 s", f"{store.config.strategy.leg_skew_max_s:g} s")


def test_a_quiet_market_is_no_skew() -> None:
    store = build.make_store()
    arrived(store.markets[SPOT], 0.1, NOW - 4 * SECOND_NS)
    arrived(store.markets[LINEAR], 0.1)
    assert codes(store) == []


def by_settled_rates(**strategy: Any) -> Config:
    config = build.make_config()
    wanted: dict[str, Any] = {"entry_carry_apr": 0.05, "expected_funding": "last"}
    return replace(config, strategy=replace(config.strategy, **(wanted | strategy)))


def test_carry_is_not_decided_by_a_rate_that_later_settlements_replaced() -> None:
    store = build.make_store(by_settled_rates())
    market = store.markets[LINEAR]
    market.settled_rate, market.settled_ns = D("0.0001"), NOW - 24 * HOUR_NS
    assert codes(store) == []
    market.settled_ns -= 1
    (hold,) = leg_holds(store, NOW, LINEAR)
    assert (hold.code, hold.value, hold.limit) == ("settled_rate_old", f"{LINEAR} 24.0 h", "24 h")
    market.announced_h = 24
    assert codes(store) == []
    assert settled_rate_end_ns(by_settled_rates(), market) == NOW - 24 * HOUR_NS - 1 + 72 * HOUR_NS


@pytest.mark.parametrize("strategy", [{"expected_funding": "estimate"}, {"entry_carry_apr": None}])
def test_a_rate_that_nobody_asks_for_may_be_old(strategy: dict[str, Any]) -> None:
    store = build.make_store(by_settled_rates(**strategy))
    store.markets[LINEAR].settled_ns = NOW - 100 * HOUR_NS
    assert codes(store) == []


def stage(of: MarginStage, since_ns: int = NOW) -> Deleveraged:
    return Deleveraged(of, since_ns, "margin_ratio", "1.4", "1.5")


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (stage(MarginStage.GIVING, 1), ["deleveraging"]),
        (stage(MarginStage.WAITING, 1), ["deleveraged"]),
        (stage(MarginStage.INSIDE, NOW - HOUR_NS + 1), ["deleveraged"]),
        (stage(MarginStage.INSIDE, NOW - HOUR_NS), []),
    ],
)
def test_a_wallet_that_gave_back_opens_nothing_for_an_hour(state: Deleveraged, found: list[str]) -> None:
    store = build.make_store()
    account = store.accounts[build.AccountId("binance:usdm")]
    account.deleveraged["BNB"] = stage(MarginStage.GIVING)  # of another asset, and no pair's
    assert codes(store) == []
    account.deleveraged["USDT"] = state
    assert codes(store) == found
