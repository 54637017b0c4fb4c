"""What the guard admits, refuses, and lets nobody else make."""

from __future__ import annotations

import copy
import pickle

import pytest

from bot.model.commands import (
    CancelOrder,
    NoteIdle,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMode,
)
from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.pair import Mode, Purpose, Role
from bot.model.store import OrderState, Store
from risk.guard import Admitted, Refused, admit
from tests.risk import build
from tests.risk.build import BTC, LINEAR, NOW, SPOT, D, bound, entry, leave, place, replace, rule_of

# --- only the guard admits --------------------------------------------------------------------------------


def test_nobody_else_makes_an_admitted_command() -> None:
    alert = RaiseAlert("a", "info", "b")
    for arguments in ((alert,), (alert, None), (alert, object())):
        with pytest.raises(TypeError, match="only the guard admits commands"):
            Admitted(*arguments)
    with pytest.raises(TypeError):
        type("Other", (Admitted,), {})


def test_what_is_admitted_does_not_change_and_is_not_copied() -> None:
    verdict = admit(build.make_store(), NOW, (RaiseAlert("a", "info", "b"),))
    assert not isinstance(verdict, Refused)
    (one,) = verdict
    with pytest.raises(AttributeError):
        one.command = RaiseAlert("c", "info", "d")
    with pytest.raises(AttributeError):
        del one.command
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(one)
    assert "RaiseAlert" in repr(one)


def test_commands_that_place_nothing_always_pass() -> None:
    store = Store(mode=Mode.HALTED)
    group = (
        CancelOrder(ClientId("a"), SPOT, "why"),
        QueryOrder(ClientId("a"), SPOT),
        QueryAccount(build.AccountId("binance:spot")),
        SetMode("*", Mode.HALTED, "why"),
        NoteIdle(BTC, "why"),
        RaiseAlert("a", "info", "b"),
    )
    assert rule_of(store, *group) is None
    assert rule_of(store) is None


def test_a_group_is_admitted_whole_or_not_at_all() -> None:
    store = bound(order_notional_max_quote=D(6000))
    good, bad = entry("0.2", "0.1")
    assert rule_of(store, good) is None
    assert rule_of(store, good, bad) == "order_notional"
    assert rule_of(store, CancelOrder(ClientId("a"), SPOT, "why"), bad) == "order_notional"


# --- shape ------------------------------------------------------------------------------------------------


def test_malformed_groups() -> None:
    store = build.make_store()
    sell, buy = entry()
    assert rule_of(Store(), sell) == "missing:config"
    other = build.add_pair(store, "TWO", "spot:ETHUSDT", "usdm:ETHUSDT")
    assert rule_of(store, sell, replace(buy, pair=other)) == "one_pair"
    assert rule_of(store, replace(sell, instrument=SPOT)) == "leg_instrument"
    assert rule_of(store, sell, replace(buy, client_id=sell.client_id)) == "order_id_used"
    for numbers in ({"qty": D(0)}, {"qty": D("NaN")}, {"price": D("-1")}, {"price": D("Infinity")}):
        assert rule_of(store, replace(sell, **numbers)) == "order_numbers"
    build.live(store, sell, OrderState.DEAD)
    assert rule_of(store, sell) == "order_id_used"
    del store.pairs[BTC]
    assert rule_of(store, buy) == "unknown_pair"


def test_an_unlisted_leg_is_missing() -> None:
    store = build.make_store()
    del store.markets[LINEAR]
    assert rule_of(store, entry()[0]) == "missing:instrument"
    store = build.make_store()
    build.hold(store, Role.LONG, "1")
    del store.markets[SPOT]
    assert rule_of(store, entry()[0]) == "missing:instrument"


# --- modes ------------------------------------------------------------------------------------------------

OPENS, LEAVES, CORRECTS = "opens", "leaves", "corrects"


def group_of(purpose: Purpose, kind: str) -> tuple[Store, tuple[PlaceOrder, ...]]:
    """A pair long 1, short 0.9, and a group that opens, leaves both legs, or takes the excess."""
    store = build.make_store()
    build.hedge(store, "1", "0.9")
    if kind == OPENS:
        return store, tuple(replace(order, purpose=purpose) for order in entry())
    if kind == LEAVES:
        return store, tuple(replace(order, purpose=purpose) for order in leave())
    return store, (place(Role.SHORT, Side.SELL, "0.1", purpose),)


MAY_OPEN = {
    Mode.ACTIVE: list(Purpose),
    Mode.PAUSED: [Purpose.EXIT, Purpose.DRIFT, Purpose.REPAIR, Purpose.UNWIND],
}
MAY_SHRINK = MAY_OPEN | {
    Mode.REDUCE_ONLY: [Purpose.EXIT, Purpose.DRIFT, Purpose.REPAIR, Purpose.UNWIND],
    Mode.FLATTENING: [Purpose.EXIT, Purpose.REPAIR, Purpose.UNWIND],
}


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("kind", [OPENS, LEAVES, CORRECTS])
@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("mode", Mode)
def test_every_mode_and_purpose(mode: Mode, purpose: Purpose, kind: str, everywhere: bool) -> None:
    store, group = group_of(purpose, kind)
    if everywhere:
        store.mode = mode
    else:
        store.pairs[BTC].mode = mode
    allowed = purpose in (MAY_OPEN if kind == OPENS else MAY_SHRINK).get(mode, [])
    assert rule_of(store, *group) == (None if allowed else "mode")


def test_a_pair_that_left_the_settings_only_shrinks() -> None:
    for kind, rule in ((OPENS, "mode"), (LEAVES, None), (CORRECTS, None)):
        store, group = group_of(Purpose.EXIT, kind)
        store.pairs[BTC].in_config = False
        assert rule_of(store, *group) == rule
        store.mode = Mode.HALTED
        assert rule_of(store, *group) == "mode"


@pytest.mark.parametrize("mode", [Mode.REDUCE_ONLY, Mode.FLATTENING])
def test_an_exit_takes_both_legs_in_ratio_or_none(mode: Mode) -> None:
    store = build.make_store()
    build.hedge(store)
    store.pairs[BTC].mode = mode
    first, second = leave()
    assert rule_of(store, first) == rule_of(store, second) == "mode"
    assert rule_of(store, first, second) is None
    assert rule_of(store, *leave("0.3", "0.1")) == "mode"
    build.hold(store, Role.SHORT, "-0.9")
    assert rule_of(store, second) is None  # what is too large falls alone
