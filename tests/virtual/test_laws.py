"""The laws of a story can be broken: each is shown a story that breaks it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.core import views
from bot.model.commands import PlaceOrder
from bot.model.entry import Entry
from bot.model.facts import ModeOrdered, OrderFilled
from bot.model.ids import AccountId
from bot.model.pair import Mode
from bot.shell.daemon import Outcome
from risk.hold import Hold
from tests import invariants
from tests.virtual.laws import broken
from tests.virtual.loop import run_virtual
from tests.virtual.rig import play
from tests.virtual.story import Story, Told

STORY = Story(seconds=6.0)
SPOT = AccountId("binance:spot")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laws") / "journal.db"


@pytest.fixture(scope="module")
def told(journal: Path) -> Told:
    return run_virtual(play(STORY, journal))


def said(told: Told, journal: Path, story: Story = STORY, **changes: Any) -> str:
    return "\n".join(broken(msgspec.structs.replace(told, **changes), story, journal))


def test_a_quiet_story_breaks_none(told: Told, journal: Path) -> None:
    assert said(told, journal) == ""
    assert len(told.arrived) >= 4


def test_the_venues_books(told: Told, journal: Path) -> None:
    richer = {**told.balances, SPOT: {**told.balances[SPOT], "USDT": Decimal(1)}}
    assert "binance:spot: venue holds" in said(told, journal, balances=richer)
    nothing = dict.fromkeys(told.positions, type(next(iter(told.positions.values())))())
    assert "binance:usdm:BTCUSDT: venue holds" in said(told, journal, positions=nothing)


def test_a_transfer_that_nobody_could_hear_of_is_excused_to_the_unit(told: Told, journal: Path) -> None:
    deaf = msgspec.structs.replace(STORY, script="at=1 half-open; at=2 balance")
    held = {"BTC": (Hold("not_reconciled", SPOT),)}
    ending = msgspec.structs.replace(told.ending, holds=held)
    for amount, is_excused in ((25, True), (24, False)):
        usdt = told.balances[SPOT]["USDT"] + amount
        richer = {**told.balances, SPOT: {**told.balances[SPOT], "USDT": usdt}}
        assert (said(told, journal, deaf, balances=richer, ending=ending) == "") == is_excused


def test_orders_that_arrive_twice_and_naked_pairs(told: Told, journal: Path) -> None:
    assert "reached the venue 2 times" in said(told, journal, arrived=Counter({"one": 2}))
    assert "naked pair for 60.00 s" in said(told, journal, naked_s=60.0)


def test_how_it_ends(told: Told, journal: Path) -> None:
    for change, text in (
        ({"modes": {"BTC": Mode.PAUSED}}, "BTC is paused, expected ['active']"),
        ({"holds": {"BTC": (Hold("gap"),)}}, "BTC is held"),
        ({"outcome": Outcome(False, "time")}, "did not end in order"),
    ):
        ending = msgspec.structs.replace(told.ending, **change)
        assert text in said(told, journal, ending=ending)


def test_a_fill_that_the_journal_lacks(told: Told, journal: Path) -> None:
    """Without its fill an order of the last row that has one is never explained."""
    rows = list(told.entries)
    number = next(n for n, row in enumerate(rows) if any(isinstance(f, OrderFilled) for f in row.facts))
    kept = tuple(fact for fact in rows[number].facts if not isinstance(fact, OrderFilled))
    rows[number] = msgspec.structs.replace(rows[number], facts=kept)
    assert "binance:spot: venue holds" in said(told, journal, entries=rows)


def test_a_death_that_does_not_come_in_time_is_none(tmp_path: Path) -> None:
    told = run_virtual(play(Story(seconds=6.0, kills=(10_000, 1)), tmp_path / "journal.db"))
    assert len(told.ending.lives) == 1


def test_a_death_in_the_commit_of_a_boot_frees_the_journal(tmp_path: Path) -> None:
    told = run_virtual(play(Story(seconds=12.0, kills=(20, 1, 1)), tmp_path / "journal.db"))
    assert [len(life) for life in told.ending.lives[:-1]] == [20, 1, 1]


def test_an_order_is_judged_by_the_mode_that_its_own_row_ordered(told: Told, journal: Path) -> None:
    rows = list(told.entries)
    number = next(n for n, row in enumerate(rows) if any(isinstance(c, PlaceOrder) for c in row.commands))
    halt = ModeOrdered("*", Mode.HALTED, "operator", "test")
    free = ModeOrdered("*", Mode.ACTIVE, "operator", "test")

    def with_facts(*facts: ModeOrdered, at: int) -> str:
        row = rows[at]
        changed = msgspec.structs.replace(row, facts=(*row.facts, *facts))
        return said(told, journal, entries=[*rows[:at], changed, *rows[at + 1 :]])

    assert "is sent while HALTED" in with_facts(halt, at=number - 1)
    assert "is sent while HALTED" in with_facts(halt, at=number)
    assert "is sent while HALTED" not in with_facts(halt, free, at=number)


def test_what_comes_on_top_of_an_excused_residual_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    laws = invariants.Laws(ahead_s=12.0, beyond=Decimal(25))
    standing, ahead = [Decimal(25)] * 30, [Decimal(26)] * 12
    residuals = iter([*standing, *ahead, *standing, *ahead, Decimal(26)])
    monkeypatch.setattr(views, "residual", lambda store: next(residuals))
    for second in range(84):
        laws.row(Entry(second, (second + 1) * 10**9, (), ()))
    assert laws.broken == []
    laws.row(Entry(84, 85 * 10**9, (), ()))
    assert laws.broken == ["row 84: residual is 26"]


def test_a_death_that_is_due_after_the_end_does_not_come(tmp_path: Path) -> None:
    """This story ends in the middle of a clip, whose steps come while the run is told to stop."""
    due = 25
    told = run_virtual(play(Story(seconds=3.0, kills=(due,)), tmp_path / "journal.db"))
    assert told.ending.outcome.clean
    assert [len(life) < due for life in told.ending.lives] == [True]
    assert told.arrived.total() == 4, "two of them after the end"
