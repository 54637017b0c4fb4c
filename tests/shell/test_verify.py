"""Verification names the first row that is damaged, decides differently, or folds differently."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from bot.core.step import step as core_step
from bot.model.entry import Entry
from bot.model.facts import AnyFact, BookSeen
from bot.model.store import Store, state_sha256
from bot.shell.engine import Engine
from bot.shell.journal import JournalWriter
from bot.shell.verify import verify
from risk.guard import Admitted
from risk.totals import totals
from tests.core.world import hedged
from tests.shell.samples import SECOND, START, book, boot
from tests.shell.world import refold, step


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, str]:
    """A journal of 12 rows, two of them with an order, and the hash of its last state."""
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        engine = Engine(journal, step, refold)
        engine.inbox.put(boot())
        for number in range(12):
            engine.inbox.put(book(START + number * SECOND, 60_000.0 + number))
            engine.run_batch(START + number * SECOND)
    return path, state_sha256(engine.store)


def test_a_good_journal_is_good(stored: tuple[Path, str]) -> None:
    path, state = stored
    result = verify(path, step=step, refold=refold)
    assert (result.ok, result.rows, result.row) == (True, 12, None)
    assert result.text == f"journal {path}: 12 rows are good, state {state}"


def test_a_changed_row_is_named(stored: tuple[Path, str]) -> None:
    path, _ = stored
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("UPDATE entries SET facts = replace(facts, '60004', '60005') WHERE seq = 5")
    db.close()
    result = verify(path, step=step, refold=refold)
    assert (result.ok, result.row) == (False, 5)
    assert "row 5 was changed after it was written" in result.text


def test_a_step_that_decides_otherwise_is_named(stored: tuple[Path, str]) -> None:
    path, _ = stored

    def other(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
        admitted = step(store, at_ns, facts)
        return () if at_ns == START + 7 * SECOND else admitted

    result = verify(path, step=other, refold=refold)
    assert (result.ok, result.row) == (False, 8)
    assert "row 8 leads to other commands than it holds" in result.text


def test_a_step_that_fails_is_named(stored: tuple[Path, str]) -> None:
    path, _ = stored

    def failing(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
        if at_ns == START + 3 * SECOND:
            raise ZeroDivisionError("no price")
        return step(store, at_ns, facts)

    result = verify(path, step=failing, refold=refold)
    assert (result.ok, result.row) == (False, 4)
    assert "row 4 cannot be decided again: ZeroDivisionError: no price" in result.text


def test_a_fold_that_ends_elsewhere_is_found(stored: tuple[Path, str]) -> None:
    path, _ = stored

    def forgetful(store: Store, entry: Entry) -> None:
        refold(store, entry)
        if any(isinstance(fact, BookSeen) for fact in entry.facts):
            store.rates["forgotten"] = Decimal(entry.seq)

    result = verify(path, step=step, refold=forgetful)
    assert not result.ok
    assert "after row 12 the folded state is not the decided one" in result.text


def test_a_journal_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = verify(tmp_path / "absent.journal", step=step, refold=refold)
    assert not result.ok
    assert "no such file" in result.text


def test_a_sum_that_is_not_that_of_every_pair_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    world = hedged()
    with JournalWriter(path) as journal:
        for row in world.rows:
            journal.append(row.at_ns, row.facts, row.commands)
    assert verify(path).ok

    def miscounting(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
        admitted = core_step(store, at_ns, facts)
        totals(store).held.gross += 1
        return admitted

    result = verify(path, step=miscounting)
    assert (result.ok, result.row) == (False, len(world.rows))
    assert "a sum is wrong: held gross" in result.text
