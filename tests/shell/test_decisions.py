"""Why a row of an earlier version is decided otherwise: each reason, and what none explains."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    EntryCarry,
    EntryGap,
    ExitHold,
    Flatten,
    MarginStage,
    NoteIdle,
    PlaceOrder,
    QueryAccount,
    RaiseAlert,
    SetMargin,
    SetMode,
    SetSwitch,
    TimeInForce,
)
from bot.model.facts import Booted
from bot.model.ids import AccountId, ClientId, PairName
from bot.model.instrument import Position, Side
from bot.model.pair import Mode, Purpose, Role
from bot.model.store import Store
from bot.shell.decisions import CLOSING_KEPT_BY, KEPT_BY, Reason, reason_of
from bot.shell.journal import JournalWriter
from bot.shell.verify import verify
from risk.exposure import pair_delta_base
from tests.conftest import ROOT
from tests.core.world import BTC, LINEAR, SPOT, World, hedged

D = Decimal


def order(role: Role, purpose: Purpose, **changes: object) -> PlaceOrder:
    side = role.opening_side if purpose is Purpose.ENTER else role.opening_side.opposite
    made = PlaceOrder(
        ClientId("a"), BTC, role, SPOT if role is Role.LONG else LINEAR, side, D("0.1"), D(60_000),
        TimeInForce.IOC, False, purpose, D(60_000), EntryGap(1.0, 1.0, 1.0),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


ENTRY = (order(Role.LONG, Purpose.ENTER), order(Role.SHORT, Purpose.ENTER))
EXIT = (order(Role.SHORT, Purpose.EXIT, why=Flatten("x")), order(Role.LONG, Purpose.EXIT, why=Flatten("x")))
REPAIR = order(Role.LONG, Purpose.REPAIR, side=Side.BUY)  # the pair of `store` lacks some of its long leg
COMPLETED = order(Role.SHORT, Purpose.REPAIR, side=Side.BUY)
IDLE = NoteIdle(PairName("BTC"), "holding")
GIVING = SetMargin(AccountId("binance:usdm"), "USDT", MarginStage.GIVING)
ASKED = QueryAccount(AccountId("binance:usdm"), 0, {})
Commands = tuple[AnyCommand, ...]


def changed(orders: tuple[PlaceOrder, ...], **changes: object) -> tuple[PlaceOrder, ...]:
    """The first order otherwise."""
    return (msgspec.structs.replace(orders[0], **changes), *orders[1:])


def store(idle: str = "") -> Store:
    """A pair that is short by more than it is long, and waits by a code."""
    world = hedged()
    pair = world.store.pairs[BTC]
    pair.idle = idle
    pair.legs[0].position = Position(D("0.1"), D(6_000))
    assert pair_delta_base(world.store, pair) < 0, "the premise"
    return world.store


@pytest.mark.parametrize(
    ("stored", "decided", "idle", "reason"),
    [
        (ENTRY, (), "budget_fees_day", Reason.BUDGET),
        (ENTRY, (IDLE,), "entry_was_unwound", Reason.BUDGET),
        (ENTRY, (), "guard_margin_ratio", Reason.GUARD),
        (ENTRY, (), "fuse_room", Reason.FUSE),
        (ENTRY, (), "feed_lag", Reason.NEEDS),
        (ENTRY, (), "capital_in_use", Reason.CAPITAL),
        (ENTRY, (), "near_end", Reason.CARRY),
        (ENTRY, (), "holding", Reason.HOLD),
        (ENTRY, (), "mode_paused", Reason.MODE),
        (EXIT, (IDLE,), "beyond_exit_collar", Reason.COLLAR),
        (EXIT, (), "not_held", Reason.TRADABLE),
        (EXIT, (), "throttled", Reason.NEEDS),
        (ENTRY, changed(ENTRY, qty=D("0.09")), "", Reason.SIZE),
        (EXIT, changed(EXIT, qty=D("0.101")), "", Reason.SIZE),
        (EXIT, changed(EXIT, price=D(60_001)), "", Reason.PRICE),
        (EXIT, changed(EXIT, price=D(65_999)), "", Reason.PRICE),
        (EXIT, changed(EXIT, why=ExitHold(2.0, 1.0)), "", Reason.WAY_OUT),
        (EXIT, changed(EXIT, why=Flatten("y")), "", Reason.TOLD),
        ((IDLE,), EXIT, "", Reason.WAY_OUT),
        ((REPAIR,), (COMPLETED,), "", Reason.WAY_OUT),
        ((), (CancelOrder(ClientId("a"), SPOT, "legged"),), "", Reason.WITHDRAWN),
        ((), (SetMode("BTC", Mode.PAUSED, "adopted"),), "", Reason.LATCHED),
        ((SetMode("*", Mode.HALTED, "flat"),), (), "", Reason.LATCHED),
        ((), (GIVING,), "", Reason.MARGIN),
        ((), (ASKED,), "", Reason.ASKED),
        ((IDLE,), (RaiseAlert("k", "info", "t"),), "", Reason.TOLD),
        ((*ENTRY, IDLE), (*changed(ENTRY, qty=D("0.09")), ASKED), "", Reason.SIZE),
    ],
)
def test_each_reason_is_read_off_the_two_answers(
    stored: Commands, decided: Commands, idle: str, reason: Reason
) -> None:
    assert reason_of(stored, decided, store(idle)) is reason


@pytest.mark.parametrize(
    ("stored", "decided", "idle"),
    [
        (ENTRY, (), ""),
        (ENTRY, (), "gap_below_entry"),
        (EXIT, (), "trading"),
        (EXIT, (), "stale_feed"),
        (ENTRY, (), "throttled"),
        (ENTRY, changed(ENTRY, qty=D("0.106")), ""),
        (ENTRY, changed(ENTRY, price=D(60_001)), ""),
        (ENTRY, changed(ENTRY, why=EntryCarry(1.0, 1.0, 1.0, 1.0)), ""),
        (ENTRY, changed(ENTRY, tif=TimeInForce.GTC), ""),
        (EXIT, changed(EXIT, price=D(66_001)), ""),
        (EXIT, changed(EXIT, arrival_mid=D(60_001)), ""),
        (EXIT, changed(EXIT, side=Side.SELL), ""),
        (EXIT, (*EXIT, order(Role.LONG, Purpose.EXIT, client_id=ClientId("b"), why=Flatten("x"))), ""),
        ((order(Role.LONG, Purpose.EXIT, reduce_only=True),), (order(Role.LONG, Purpose.EXIT),), ""),
        ((IDLE,), changed(EXIT, qty=D(1)), ""),
        ((IDLE,), changed(EXIT, price=D(66_001)), ""),
        ((REPAIR,), (msgspec.structs.replace(REPAIR, side=Side.SELL),), ""),
        ((), (SetMode("BTC", Mode.ACTIVE, "x"),), ""),
        ((SetMode("BTC", Mode.REDUCE_ONLY, "x"),), (), ""),
        ((GIVING,), (), ""),
        ((), (ASKED, ASKED), ""),
        ((ASKED, IDLE), (IDLE, ASKED), ""),
        ((*ENTRY, IDLE), (*changed(ENTRY, qty=D("0.09")), SetMode("BTC", Mode.ACTIVE, "x")), ""),
    ],
)
def test_what_no_changed_rule_explains_has_none(stored: Commands, decided: Commands, idle: str) -> None:
    assert reason_of(stored, decided, store(idle)) is None


def test_codes_that_explain_are_codes_that_a_pair_waits_by() -> None:
    known = set(re.findall(r"`([a-z_]+)[:`]", (ROOT / "docs/CODES.md").read_text(encoding="utf-8")))
    assert set(KEPT_BY) | CLOSING_KEPT_BY <= known
    assert not set(KEPT_BY) & {"trading", "in_flight", "clip_interval", "gap_below_entry", "stale_feed"}


def test_a_decision_of_the_switch_is_one() -> None:
    switched = [one for row in _carried().rows for one in row.commands if isinstance(one, SetSwitch)]
    assert switched, "the premise"
    assert reason_of((), tuple(switched), store()) is Reason.SWITCH


def _carried() -> World:
    from tests.core.settled import Settled

    world = Settled()
    world.begin([0.2] * 30)
    return world


@pytest.mark.parametrize("stored", [(), (IDLE,), EXIT, (ENTRY[0],)])
def test_an_entry_that_was_not_made_has_none(stored: Commands) -> None:
    assert reason_of(stored, ENTRY, store("holding")) is None
    opposite = msgspec.structs.replace(ENTRY[0], side=Side.SELL)
    assert reason_of(ENTRY, (opposite, ENTRY[1]), store("holding")) is None
    assert reason_of(ENTRY, ENTRY[:1], store("holding")) is None


@pytest.mark.parametrize(("version", "is_good"), [("0.1.0", True), ("0.2.0", False), ("0", False)])
def test_only_rows_of_an_earlier_version_may_differ(version: str, is_good: bool, tmp_path: Path) -> None:
    world = World()
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    with JournalWriter(tmp_path / "journal") as journal:
        for row in world.rows:
            facts = tuple(
                msgspec.structs.replace(fact, version=version) if isinstance(fact, Booted) else fact
                for fact in row.facts
            )
            lost = tuple(one for one in row.commands if not isinstance(one, NoteIdle))
            journal.append(row.at_ns, facts, lost)
    result = verify(tmp_path / "journal")
    assert result.ok is is_good, result.text
    assert ("told otherwise" in result.text) is is_good
