"""Why a row of an earlier version is decided otherwise: each reason, and what none explains."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    EntryGap,
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
from bot.model.instrument import Side
from bot.model.pair import Mode, Purpose, Role
from bot.shell.decisions import Reason, reason_of
from bot.shell.journal import JournalWriter
from bot.shell.verify import verify
from tests.core.world import BTC, LINEAR, SPOT, World

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
REPAIR = order(Role.LONG, Purpose.REPAIR)
IDLE = NoteIdle(PairName("BTC"), "holding")
Commands = tuple[AnyCommand, ...]


@pytest.mark.parametrize(
    ("stored", "decided", "reason"),
    [
        (ENTRY, (), Reason.HELD),
        (ENTRY, (IDLE,), Reason.HELD),
        (ENTRY, (msgspec.structs.replace(ENTRY[0], qty=D("0.09")), ENTRY[1]), Reason.SIZE),
        (EXIT, (msgspec.structs.replace(EXIT[0], price=D(60_001)), EXIT[1]), Reason.PRICE),
        (EXIT, (IDLE,), Reason.WAY_OUT),
        ((IDLE,), EXIT, Reason.WAY_OUT),
        ((REPAIR,), (msgspec.structs.replace(REPAIR, role=Role.SHORT, instrument=LINEAR),), Reason.WAY_OUT),
        ((), (CancelOrder(ClientId("a"), SPOT, "legged"),), Reason.WITHDRAWN),
        ((), (SetMode("BTC", Mode.PAUSED, "adopted"),), Reason.LATCHED),
        ((), (SetMargin(AccountId("binance:usdm"), "USDT", MarginStage.GIVING),), Reason.MARGIN),
        ((), (QueryAccount(AccountId("binance:usdm"), 0, {}),), Reason.ASKED),
        ((IDLE,), (RaiseAlert("k", "info", "t"),), Reason.TOLD),
    ],
)
def test_each_reason_is_read_off_the_two_answers(stored: Commands, decided: Commands, reason: Reason) -> None:
    assert reason_of(stored, decided) is reason


def test_a_decision_of_the_switch_is_one() -> None:
    switched = [one for row in _carried().rows for one in row.commands if isinstance(one, SetSwitch)]
    assert switched, "the premise"
    assert reason_of((), tuple(switched)) is Reason.SWITCH


def _carried() -> World:
    from tests.core.settled import Settled

    world = Settled()
    world.begin([0.2] * 30)
    return world


@pytest.mark.parametrize("stored", [(), (IDLE,), EXIT, (ENTRY[0],)])
def test_an_entry_that_was_not_made_has_none(stored: Commands) -> None:
    assert reason_of(stored, ENTRY) is None
    opposite = msgspec.structs.replace(ENTRY[0], side=Side.SELL)
    assert reason_of(ENTRY, (opposite, ENTRY[1])) is None


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
