"""Holds, the mode table, and what moves a mode by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.model.commands import SetMode
from bot.model.facts import Channel
from bot.model.ids import ClientId, InstrumentId
from bot.model.instrument import Side
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.store import OrderState, Store
from risk.hold import Hold
from risk.watch import ALLOWED, effective_mode, holds, leg_holds, mode_changes, passed_rule
from tests.risk import build
from tests.risk.build import BTC, INVERSE, LINEAR, NOW, SECOND_NS, SPOT, D


def codes(store: Store, at_ns: int = NOW) -> list[str]:
    return [hold.code for hold in holds(store, at_ns, store.pairs[BTC])]


def set_at_venue(store: Store, leverage: int, isolated: bool = False) -> None:
    store.markets[LINEAR].leverage, store.markets[LINEAR].isolated = leverage, isolated


# --- holds ------------------------------------------------------------------------------------------------


def test_a_healthy_pair_is_not_held() -> None:
    assert codes(build.make_store()) == []
    assert codes(build.make_store(build.make_config(INVERSE))) == []


SPOILED: list[tuple[str, Callable[[Store], Any]]] = [
    ("gap", lambda store: setattr(store.markets[LINEAR], "gapped", True)),
    ("no_book", lambda store: setattr(store.markets[LINEAR], "bids", ())),
    ("no_book", lambda store: setattr(store.markets[SPOT], "asks", ())),
    ("no_book", lambda store: store.markets.pop(SPOT)),
    ("no_mark", lambda store: setattr(store.markets[SPOT], "mark", None)),
    ("no_index", lambda store: setattr(store.markets[SPOT], "index", None)),
    ("feed_ended", lambda store: setattr(store.markets[LINEAR], "ended", True)),
    (
        "channel_lost",
        lambda store: build.account(store, "binance:spot").lost.update({Channel.MARKET: "closed"}),
    ),
    ("not_reconciled", lambda store: setattr(build.account(store, "binance:usdm"), "reconciled", False)),
    ("not_reconciled", lambda store: store.accounts.pop(build.AccountId("binance:usdm"))),
    ("isolated_margin", lambda store: set_at_venue(store, 20, isolated=True)),
    ("leverage_low", lambda store: set_at_venue(store, 1)),
    ("hedge_mode", lambda store: setattr(build.account(store, "binance:usdm"), "hedged", True)),
    ("multi_assets", lambda store: setattr(build.account(store, "binance:usdm"), "multi_assets", True)),
    ("uncertain_order", lambda store: build.live(store, build.entry()[0], OrderState.UNCERTAIN)),
]


@pytest.mark.parametrize(("code", "spoil"), SPOILED)
def test_each_hold_by_itself(code: str, spoil: Callable[[Store], Any]) -> None:
    store = build.make_store()
    spoil(store)
    assert codes(store) == [code]


def test_leverage_at_the_venue_is_told_with_what_it_is_measured_against() -> None:
    store = build.make_store()
    assert store.config is not None
    limit = round(store.config.limits.leverage_max)
    set_at_venue(store, limit)
    assert codes(store) == []
    set_at_venue(store, limit - 1)
    assert holds(store, NOW, store.pairs[BTC]) == (Hold("leverage_low", f"{LINEAR} {limit - 1}", str(limit)),)


def test_a_quote_currency_without_a_rate_holds() -> None:
    store = build.make_store(build.make_config(INVERSE))
    store.rates = {}
    assert holds(store, NOW, store.pairs[BTC]) == (Hold("missing_rate", "USD/USDT"),)
    store.rates = {"USD/USDT": D(1)}
    assert codes(store) == []


def test_age_of_a_feed_just_inside_and_just_outside() -> None:
    store = build.make_store()
    assert codes(store, NOW + 5 * SECOND_NS) == []
    assert codes(store, NOW + 5 * SECOND_NS + 1_000_000) == ["stale_feed", "stale_feed"]
    store.markets[SPOT].heard_ns = NOW + SECOND_NS  # any frame counts, material or not
    store.markets[LINEAR].book_seen_ns = NOW + SECOND_NS
    assert codes(store, NOW + 6 * SECOND_NS) == []
    assert holds(store, NOW + 7 * SECOND_NS, store.pairs[BTC])[1] == Hold(
        "stale_feed", f"{LINEAR} 6.000 s", "5 s"
    )


def test_a_mark_that_is_no_longer_told_holds_though_the_book_lives() -> None:
    """Marks come at least once a heartbeat of 10 s; a feed is stale 5 s after it is due."""
    store = build.make_store()
    market = store.markets[LINEAR]
    for age_s, expected in ((15.0, []), (15.001, ["stale_mark"])):
        market.mark_seen_ns = NOW - int(age_s * 1e9)
        assert [hold.code for hold in leg_holds(store, NOW, LINEAR)] == expected
    market.mark_seen_ns = 0
    assert not leg_holds(store, NOW, LINEAR), "a stand-in has no stream of its own"


def test_an_ended_feed_is_not_called_stale_as_well() -> None:
    store = build.make_store()
    store.markets[SPOT].ended = store.markets[LINEAR].ended = True
    assert codes(store, NOW + 60 * SECOND_NS) == ["feed_ended", "feed_ended"]


@pytest.mark.parametrize(("offset_ms", "held"), [(500, False), (-500, False), (501, True), (-501, True)])
def test_clock_offset_just_inside_and_just_outside(offset_ms: int, held: bool) -> None:
    store = build.make_store()
    build.account(store, "binance:spot").offset_ns = offset_ms * 1_000_000
    assert codes(store) == (["clock_offset"] if held else [])


def test_orders_of_other_pairs_and_orders_that_are_certain_do_not_hold() -> None:
    store = build.make_store()
    sell, buy = build.entry()
    build.live(store, sell, OrderState.OPEN)
    build.live(store, build.replace(buy, pair=build.PairName("TWO")), OrderState.UNCERTAIN)
    assert codes(store) == []


def test_every_hold_is_told_with_its_leg() -> None:
    store = build.make_store()
    market = store.markets[LINEAR]
    market.gapped, market.mark, market.bids = True, None, ()
    build.account(store, "binance:usdm").lost = {Channel.PRIVATE: "x", Channel.ORDERS: "y"}
    assert leg_holds(store, NOW, SPOT) == ()
    assert leg_holds(store, NOW, LINEAR) == (
        Hold("gap", LINEAR), Hold("no_book", LINEAR), Hold("no_mark", LINEAR),
        Hold("channel_lost", "binance:usdm private orders"),
    )  # fmt: skip


def test_without_settings_everything_is_held() -> None:
    assert leg_holds(Store(), NOW, SPOT) == (Hold("no_config"),)
    assert leg_holds(build.make_store(), NOW, InstrumentId("x:y:z")) == (
        Hold("no_book", "x:y:z is not listed"),
    )


# --- the table --------------------------------------------------------------------------------------------

TABLE = {
    Mode.ACTIVE: "enter exit drift repair unwind",
    Mode.PAUSED: "exit drift repair unwind",
    Mode.REDUCE_ONLY: "exit drift repair unwind",
    Mode.FLATTENING: "exit repair unwind",
    Mode.HALTED: "",
}


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("mode", Mode)
def test_every_cell_of_the_mode_table(mode: Mode, purpose: Purpose) -> None:
    assert (purpose in ALLOWED[mode]) == (purpose.value in TABLE[mode].split())


@pytest.mark.parametrize("own", Mode)
@pytest.mark.parametrize("everything", Mode)
def test_the_more_bound_mode_rules(everything: Mode, own: Mode) -> None:
    store = build.make_store()
    store.mode, store.pairs[BTC].mode = everything, own
    assert effective_mode(store, store.pairs[BTC]) is max(everything, own, key=list(Mode).index)


# --- limits that are passed -------------------------------------------------------------------------------


def fold(store: Store, changes: tuple[SetMode, ...]) -> None:
    for change in changes:
        if change.scope == "*":
            store.mode, store.mode_reason = change.mode, change.reason
        else:
            pair = store.pairs[build.PairName(change.scope)]
            pair.mode, pair.mode_reason = change.mode, change.reason


def hedged(price: int = 60_000, **limits: Any) -> Store:
    """One coin each way, bought at 60,000 with 30,000 of margin and a price that has moved since."""
    store = build.with_limits(build.make_store(cash="30000"), **limits)
    build.hedge(store)
    for market in store.markets.values():
        market.mark = D(price)
    return store


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"pair_notional_max_quote": D(60_000)}, "pair_notional"),
        ({"venue_notional_max_quote": D(120_000)}, "venue_notional"),
        ({"gross_notional_max_quote": D(120_000)}, "gross_notional"),
        ({"leverage_max": 2.0}, "leverage"),
        ({"margin_ratio_min": 120.0}, "margin_ratio"),  # 30,000 / (300 − 50)
        ({"liquidation_distance_min": 0.49}, "liquidation_distance"),
    ],
)
def test_a_limit_passed_by_price_binds_the_pair_at_once(limits: dict[str, Any], rule: str) -> None:
    assert mode_changes(hedged(**limits), NOW) == ()
    store = hedged(61_000, **limits)
    changes = mode_changes(store, NOW)
    (latch,) = changes
    assert (latch.scope, latch.mode, latch.reason.split()[0]) == (BTC, Mode.REDUCE_ONLY, rule)
    pair = store.pairs[BTC]
    assert passed_rule(pair) == ""
    fold(store, changes)
    assert mode_changes(store, NOW) == ()
    assert passed_rule(pair) == rule
    for mode, reason in ((Mode.REDUCE_ONLY, f"ana: {latch.reason}"), (Mode.FLATTENING, latch.reason)):
        pair.mode, pair.mode_reason = mode, reason
        assert passed_rule(pair) == ""


def test_a_limit_set_tighter_binds_as_well() -> None:
    store = hedged()
    assert mode_changes(store, NOW) == ()
    build.with_limits(store, pair_notional_max_quote=D(59_999))
    assert len(mode_changes(store, NOW)) == 1


@pytest.mark.parametrize("mode", [Mode.REDUCE_ONLY, Mode.FLATTENING, Mode.HALTED])
def test_a_pair_that_is_bound_already_is_left_alone(mode: Mode) -> None:
    store = hedged(61_000, pair_notional_max_quote=D(60_000))
    store.pairs[BTC].mode, store.pairs[BTC].state = mode, PairState.HEDGED
    assert mode_changes(store, NOW) == ()


def test_a_paused_pair_is_bound_further() -> None:
    store = hedged(61_000, pair_notional_max_quote=D(60_000))
    store.pairs[BTC].mode = Mode.PAUSED
    assert len(mode_changes(store, NOW)) == 1


def test_delta_counts_once_its_patience_is_over() -> None:
    store = build.with_limits(build.make_store(), net_delta_max_quote=D(6000))
    build.hedge(store, "1", "0.899")
    pair = store.pairs[BTC]
    pair.naked_ns = NOW
    assert mode_changes(store, NOW + 2 * SECOND_NS) == ()
    changes = mode_changes(store, NOW + 2 * SECOND_NS + 1)
    assert changes[0] == SetMode(BTC, Mode.REDUCE_ONLY, "net_delta 6060 is beyond 6000")
    build.hedge(store, "1", "0.9")
    assert mode_changes(store, NOW + 3 * SECOND_NS) == ()


def test_delta_of_the_book_binds_the_pairs_that_have_one() -> None:
    store = build.with_limits(build.make_store(), net_delta_max_quote=D(6000))
    even = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
    build.hold(store, Role.LONG, "1", pair=even)
    build.hold(store, Role.SHORT, "-1", pair=even)
    build.hedge(store, "1", "0.8")
    assert [change.scope for change in mode_changes(store, NOW)] == [BTC]


def test_gross_binds_everyone_and_a_full_venue_those_on_it() -> None:
    store = build.with_limits(build.make_store(), gross_notional_max_quote=D(150_000))
    other = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
    build.hold(store, Role.LONG, "1", pair=other)
    assert mode_changes(store, NOW) == ()
    build.hedge(store)
    assert [change.scope for change in mode_changes(store, NOW)] == [
        BTC,
        "TWO",
    ]
    store.pairs[other].mode = Mode.REDUCE_ONLY
    assert [change.scope for change in mode_changes(store, NOW)] == [BTC]


def test_two_pairs_share_one_margin_account() -> None:
    store = hedged(leverage_max=1.9)
    other = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
    build.hold(store, Role.SHORT, "-0.0001", pair=other)
    bound = [change.scope for change in mode_changes(store, NOW)]
    assert bound == [BTC, "TWO"]


def test_what_cannot_be_valued_is_left_to_the_holds() -> None:
    store = hedged(61_000, pair_notional_max_quote=D(60_000), leverage_max=1.0)
    store.markets[SPOT].mark = None
    assert mode_changes(store, NOW) == ()
    assert "no_mark" in codes(store)
    store = hedged(leverage_max=1.0)
    build.account(store, "binance:usdm").baseline = None
    assert mode_changes(store, NOW) == ()


def test_nothing_held_is_nothing_to_watch() -> None:
    assert mode_changes(Store(), NOW) == ()
    assert mode_changes(build.make_store(), NOW) == ()


# --- flattening and halting -------------------------------------------------------------------------------


def test_flattening_ends_halted_when_flat() -> None:
    store = hedged()
    pair = store.pairs[BTC]
    pair.mode, pair.state = Mode.FLATTENING, PairState.HEDGED
    assert mode_changes(store, NOW) == ()
    pair.state = PairState.FLAT
    build.live(store, build.leave()[0])
    assert mode_changes(store, NOW) == ()
    store.orders.clear()
    store.live.clear()
    build.live(store, build.leave()[0], OrderState.DONE)
    changes = mode_changes(store, NOW)
    assert changes == (SetMode(BTC, Mode.HALTED, "flat"),)
    fold(store, changes)
    assert mode_changes(store, NOW) == ()


def test_flattening_of_everything_ends_when_every_pair_is_flat() -> None:
    store = build.make_store()
    other = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
    store.mode, store.pairs[other].state = Mode.FLATTENING, PairState.EXITING
    assert mode_changes(store, NOW) == ()
    store.pairs[other].state = PairState.FLAT
    build.live(store, build.place(Role.LONG, Side.BUY, "1", client_id=ClientId("x"), pair=other))
    assert mode_changes(store, NOW) == ()
    store.orders.clear()
    store.live.clear()
    changes = mode_changes(store, NOW)
    assert changes == (SetMode("*", Mode.HALTED, "flat"),)
    fold(store, changes)
    assert mode_changes(store, NOW) == ()


@pytest.mark.parametrize("mode", Mode)
def test_the_program_only_goes_right(mode: Mode) -> None:
    store = hedged(61_000, pair_notional_max_quote=D(60_000))
    pair = store.pairs[BTC]
    pair.mode, pair.naked_ns = mode, NOW - 10 * SECOND_NS
    for state in PairState:
        pair.state = state
        for change in mode_changes(store, NOW):
            assert change.mode.rank >= mode.rank
