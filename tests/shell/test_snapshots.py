"""Snapshots: a restart from one is the restart from all rows, and one that lies is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bot.core.fold import refold
from bot.core.step import step
from bot.model.entry import Entry
from bot.model.facts import Stopped, Tick
from bot.model.store import Store, state_sha256
from bot.shell.boot import reopen
from bot.shell.snapshots import KEPT, keep, stored
from bot.shell.verify import verify
from tests.core.world import SPOT, World, hedged

SECOND_NS = 1_000_000_000


def lived(path: Path) -> World:
    """A journal of a run that entered, with a snapshot in its middle."""
    world = hedged()
    with reopen(path).journal as journal:
        for row in world.rows[:-3]:
            journal.append(row.at_ns, row.facts, row.commands)
        journal.keep(folded(world.rows[:-3]))
        for row in world.rows[-3:]:
            journal.append(row.at_ns, row.facts, row.commands)
    return world


def folded(rows: list[Entry]) -> Store:
    store = Store()
    for row in rows:
        refold(store, row)
    return store


def test_a_restart_from_a_snapshot_is_the_restart_from_all_rows(tmp_path: Path) -> None:
    world = lived(tmp_path / "journal")
    assert len(stored(tmp_path / "journal")) == 1
    reopened = reopen(tmp_path / "journal")
    with reopened.journal as journal:
        assert state_sha256(reopened.engine.store) == state_sha256(world.store)
        assert journal.last_seq == len(world.rows)
        facts = (Tick({SPOT: world.at_ns}, {}),)
        admitted = step(reopened.engine.store, world.at_ns + SECOND_NS, facts)
        journal.append(world.at_ns + SECOND_NS, facts, tuple(one.command for one in admitted))
    assert verify(tmp_path / "journal").ok


def test_rows_before_the_snapshot_are_not_read(tmp_path: Path) -> None:
    world = lived(tmp_path / "journal")
    with closing(sqlite3.connect(tmp_path / "journal", isolation_level=None)) as db:
        db.execute("UPDATE entries SET facts = '[]' WHERE seq = 1")
    reopened = reopen(tmp_path / "journal")
    reopened.journal.close()
    assert state_sha256(reopened.engine.store) == state_sha256(world.store)
    assert verify(tmp_path / "journal").row == 1


def test_a_snapshot_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    world = lived(tmp_path / "journal")
    with closing(sqlite3.connect(tmp_path / "journal", isolation_level=None)) as db:
        db.execute("UPDATE snapshots SET shape = 'older', store = x'00'")
    reopened = reopen(tmp_path / "journal")
    reopened.journal.close()
    assert state_sha256(reopened.engine.store) == state_sha256(world.store)
    assert verify(tmp_path / "journal").ok


@pytest.mark.parametrize(
    ("here", "there"), [('"active"', '"halted"'), ('"next_order":', '"next_order":1'), ("}", "")]
)
def test_a_snapshot_that_was_damaged_is_left_alone(tmp_path: Path, here: str, there: str) -> None:
    world = lived(tmp_path / "journal")
    with closing(sqlite3.connect(tmp_path / "journal")) as db:
        (store,) = db.execute("SELECT store FROM snapshots").fetchone()
        damaged = store.replace(here.encode(), there.encode(), 1)
        assert damaged != store
        db.execute("UPDATE snapshots SET store = ?", (damaged,))
        db.commit()
    reopened = reopen(tmp_path / "journal")
    reopened.journal.close()
    assert state_sha256(reopened.engine.store) == state_sha256(world.store)
    assert verify(tmp_path / "journal").ok


def test_a_snapshot_that_lies_is_found(tmp_path: Path) -> None:
    lived(tmp_path / "journal")
    (kept,) = stored(tmp_path / "journal")
    lie = msgspec.structs.replace(kept, store=kept.store.replace(b'"active"', b'"paused"', 1))
    with closing(sqlite3.connect(tmp_path / "journal", isolation_level=None)) as db:
        keep(db, lie)
    result = verify(tmp_path / "journal")
    assert not result.ok
    assert "the snapshot behind row" in result.text


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    with reopen(tmp_path / "journal").journal as journal:
        for number in range(1, KEPT + 3):
            journal.append(number, (Stopped(True, ""),), ())
            journal.keep(Store())
    assert [each.seq for each in stored(tmp_path / "journal")] == [KEPT + 1, KEPT + 2]


def test_a_run_that_died_right_behind_a_snapshot_crashed(tmp_path: Path) -> None:
    with reopen(tmp_path / "journal").journal as journal:
        journal.append(1, (Tick({}, {}),), ())
        journal.keep(Store())
    reopened = reopen(tmp_path / "journal")
    reopened.journal.close()
    assert reopened.previous == "crash"
