"""Health: the last row of a journal and the age of its files."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from bot.shell.health import read_health
from bot.shell.journal import JournalWriter
from bot.shell.rows import JournalError


def journal(path: Path, rows: int) -> Path:
    with JournalWriter(path) as writer:
        for number in range(rows):
            writer.append(number, (), ())
    return path


def test_the_last_row_and_its_age_are_found(tmp_path: Path) -> None:
    path = journal(tmp_path / "j.sqlite", 3)
    then_s = time.time() - 500
    os.utime(path, (then_s, then_s))
    health = read_health(path)
    assert health.seq == 3
    assert 499 < health.age_s < 560


def test_a_journal_that_is_being_written_is_young(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with JournalWriter(path) as writer:
        writer.append(1, (), ())
        writer.flush()
        os.utime(path, (0, 0))  # what was committed last stands in the log beside the file
        health = read_health(path)
    assert health.seq == 1
    assert health.age_s < 60


def test_a_file_written_in_the_future_has_no_negative_age(tmp_path: Path) -> None:
    path = journal(tmp_path / "j.sqlite", 1)
    then_s = time.time() + 500
    os.utime(path, (then_s, then_s))
    assert read_health(path).age_s == 0


def test_what_is_no_journal_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such file"):
        read_health(tmp_path / "none")
    with pytest.raises(JournalError, match="has no row yet"):
        read_health(journal(tmp_path / "empty.sqlite", 0))
    text = tmp_path / "text"
    text.write_text("not a database, and long enough to be read as one " * 20, encoding="utf-8")
    with pytest.raises(JournalError, match="cannot be read"):
        read_health(text)
    bare = tmp_path / "bare.sqlite"
    sqlite3.connect(bare).close()
    bare.touch()
    with pytest.raises(JournalError, match="cannot be read"):
        read_health(bare)
