"""What a leg needs so that something can be closed in it: each need by itself, at its bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.model.facts import Channel
from bot.model.ids import InstrumentId
from bot.model.store import Store
from risk import needs
from risk.hold import Hold
from tests.risk.build import LINEAR, NOW, SECOND_NS, SPOT, account, make_store

USDM = "binance:usdm"


def spoil(**fields: Any) -> Callable[[Store], None]:
    def act(store: Store) -> None:
        for name, value in fields.items():
            setattr(store.markets[LINEAR], name, value)

    return act


def of_account(**fields: Any) -> Callable[[Store], None]:
    def act(store: Store) -> None:
        for name, value in fields.items():
            setattr(account(store, USDM), name, value)

    return act


HOLDS: list[tuple[Callable[[Store], None], Hold]] = [
    (spoil(status="HALT"), Hold("not_trading", f"{LINEAR} HALT")),
    (of_account(lost={Channel.ORDERS: None}), Hold("channel_lost", f"{USDM} orders")),
    (of_account(throttled_ns=NOW + 3 * SECOND_NS), Hold("throttled", f"{USDM} 3 s")),
    (of_account(hedged=True), Hold("hedge_mode", USDM)),
    (spoil(ended=True), Hold("feed_ended", LINEAR)),
    (spoil(gapped=True), Hold("gap", LINEAR)),
    (spoil(bids=()), Hold("no_book", LINEAR)),
    (spoil(asks=()), Hold("no_book", LINEAR)),
    (spoil(bids=((60_001.0, 1.0),)), Hold("crossed_book", LINEAR)),
    (
        spoil(heard_ns=NOW - 31 * SECOND_NS, book_seen_ns=NOW - 31 * SECOND_NS),
        Hold("stale_feed", f"{LINEAR} 31.000 s", "30 s"),
    ),
]


@pytest.mark.parametrize(("spoiled", "hold"), HOLDS, ids=[hold.code for _, hold in HOLDS])
def test_each_need_keeps_what_closes_in_its_own_leg(spoiled: Callable[[Store], None], hold: Hold) -> None:
    store = make_store()
    assert needs.exit_hold(store, NOW, LINEAR) is None
    spoiled(store)
    assert needs.exit_hold(store, NOW, LINEAR) == hold
    assert needs.exit_hold(store, NOW, SPOT) is None


@pytest.mark.parametrize(
    "harmless",
    [
        spoil(status=needs.ENDING),
        spoil(heard_ns=NOW - 30 * SECOND_NS, book_seen_ns=NOW - 30 * SECOND_NS),
        spoil(bids=((60_000.5, 1.0),)),
        spoil(mark=None, index=None),
        of_account(throttled_ns=NOW),
        of_account(lost={Channel.PRIVATE: None, Channel.MARKET: None}),
        of_account(reconciled=False),
    ],
)
def test_what_does_not_keep_it(harmless: Callable[[Store], None]) -> None:
    store = make_store()
    harmless(store)
    assert needs.exit_hold(store, NOW, LINEAR) is None


def test_a_position_mode_concerns_contracts_alone() -> None:
    store = make_store()
    account(store, "binance:spot").hedged = True
    assert needs.exit_hold(store, NOW, SPOT) is None


def test_what_is_not_listed_is_not_closed() -> None:
    name = InstrumentId("binance:usdm:ETHUSDT")
    assert needs.exit_hold(make_store(), NOW, name) == Hold("no_book", f"{name} is not listed")


def test_a_book_of_a_lost_feed_or_of_the_age_that_opens_nothing_is_in_doubt() -> None:
    store = make_store()
    assert store.config is not None
    assert needs.doubt(store, NOW, LINEAR) is None
    limit_ns = int(store.config.limits.feed_age_max_s * SECOND_NS)
    old_ns = NOW - limit_ns - SECOND_NS
    spoil(heard_ns=old_ns, book_seen_ns=old_ns)(store)
    found = needs.doubt(store, NOW, LINEAR)
    assert found is not None
    assert found.code == "stale_feed"
    assert needs.exit_hold(store, NOW, LINEAR) is None, "but young enough to close by"
    store = make_store()
    of_account(lost={Channel.MARKET: None})(store)
    assert needs.doubt(store, NOW, LINEAR) == Hold("channel_lost", f"{USDM} market")
    assert needs.doubt(store, NOW, SPOT) is None
    store.accounts.clear()
    assert needs.doubt(store, NOW, LINEAR) is None
