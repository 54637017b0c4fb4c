"""The journal: durable is a prefix, stored is not rewritten, and one changed byte is found and named."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.model.entry import Entry, encode_items
from bot.model.facts import AnyFact, Booted, Tick
from bot.shell.journal import GROUP_ROWS, Divergence, JournalWriter, OtherRun
from bot.shell.rows import JournalError, JournalExists, JournalInUse, Row, framed, read_entries, read_rows
from tests.conftest import ROOT
from tests.shell.samples import SPOT, START, book, boot, make_config, mark, place

COLUMNS = ("at_ns", "facts", "commands", "chain")


def _facts(number: int) -> tuple[AnyFact, ...]:
    if number == 1:
        return (boot(),)
    return (book(START + number, 60_000.5 + number), mark(START + number), Tick({SPOT: number}, {}))


def _write(journal: JournalWriter, rows: int, start: int = 1) -> None:
    for number in range(start, start + rows):
        commands = (place(f"bsbt00000001{number}"),) if number % 3 == 0 else ()
        assert journal.append(START + number, _facts(number), commands) == number


def _stored(path: Path, rows: int = 10) -> Path:
    with JournalWriter(path) as journal:
        _write(journal, rows)
    return path


def _rows_on_disk(path: Path) -> int:
    return sum(1 for _ in read_rows(path))


def _edit(path: Path, sql: str, *values: object) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(sql, values)
    db.close()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = _stored(tmp_path / "run.journal", 3 * GROUP_ROWS + 5)
    entries = list(read_entries(path))
    assert [entry.seq for entry in entries] == list(range(1, 3 * GROUP_ROWS + 6))
    assert entries[2] == Entry(3, START + 3, _facts(3), (place("bsbt000000013"),))
    assert [entry.seq for entry in read_entries(path, until_seq=2)] == [1, 2]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["run.journal"], "log and lock are gone"


def test_a_reader_that_is_still_there_at_the_end_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    journal = JournalWriter(path)
    _write(journal, 20)
    journal.flush()
    reader = read_rows(path)
    seen = [next(reader).seq]
    _write(journal, 20, 21)
    journal.close()
    seen += [row.seq for row in reader]
    assert seen == list(range(1, 21)), "one state of the file, the one the reader began with"
    assert _rows_on_disk(path) == 40


def test_the_hash_is_over_encoded_rows(tmp_path: Path) -> None:
    content = hashlib.sha256()
    with JournalWriter(tmp_path / "run.journal") as journal:
        _write(journal, 4)
        journal.flush()
        for number in range(1, 5):
            commands = (place(f"bsbt00000001{number}"),) if number % 3 == 0 else ()
            row = Row(number, START + number, encode_items(_facts(number)), encode_items(commands))
            content.update(framed(row))
        assert journal.sha256 == content.hexdigest()


def test_flush_makes_everything_appended_durable_and_nothing_is_before(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        _write(journal, 5)
        assert _rows_on_disk(path) == 0
        journal.flush()
        assert _rows_on_disk(path) == 5
        assert journal.last_seq == 5


def test_a_group_is_handed_over_by_count(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        _write(journal, GROUP_ROWS + 1)
        journal.drop_unwritten()
        assert journal.last_seq == GROUP_ROWS
        assert _rows_on_disk(path) == GROUP_ROWS
        _write(journal, 2, GROUP_ROWS + 1)
    assert _rows_on_disk(path) == GROUP_ROWS + 2


def test_an_existing_journal_is_not_begun_again(tmp_path: Path) -> None:
    path = _stored(tmp_path / "run.journal")
    with pytest.raises(JournalExists, match=r"run\.journal: exists; give --resume"):
        JournalWriter(path)
    assert JournalExists.exit_code == 2
    assert _rows_on_disk(path) == 10


@pytest.mark.parametrize("prepare", [lambda _: None, Path.touch], ids=["absent", "empty"])
def test_resume_without_rows_begins(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    path = tmp_path / "run.journal"
    prepare(path)
    with JournalWriter(path, resume=True) as journal:
        _write(journal, 3)
        journal.flush()
        journal.expect_end()
    assert _rows_on_disk(path) == 3


def test_a_second_writer_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path), pytest.raises(JournalInUse, match="another process writes it"):
        JournalWriter(path, resume=True)
    JournalWriter(path, resume=True).close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be written: No such file or directory"):
        JournalWriter(tmp_path / "absent" / "run.journal")
    with pytest.raises(JournalError, match="no such file"):
        list(read_rows(tmp_path / "run.journal"))


@pytest.mark.parametrize("content", [b"# a text that somebody keeps here\n" * 200, "sqlite"])
def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "run.journal"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        _edit(path, "CREATE TABLE notes(text TEXT)")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(JournalError, match=r"run\.journal"):
            JournalWriter(path, resume=True)
    with pytest.raises(JournalError, match=r"run\.journal"):
        list(read_rows(path))
    assert path.read_bytes() == before


def test_a_journal_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = _stored(tmp_path / "run.journal")
    _edit(path, "UPDATE meta SET value = '99' WHERE key = 'schema'")
    for attempt in (lambda: JournalWriter(path, resume=True), lambda: list(read_rows(path))):
        with pytest.raises(JournalError, match="has schema 99, this version reads 1"):
            attempt()


@pytest.mark.parametrize("kept", range(11))
def test_resume_compares_what_is_there_and_appends_the_rest(tmp_path: Path, kept: int) -> None:
    whole = _stored(tmp_path / "whole.journal")
    path = _stored(tmp_path / "run.journal", kept)
    with JournalWriter(path, resume=True) as journal:
        _write(journal, 10)
        journal.flush()
        journal.expect_end()
        digest = journal.sha256
    assert list(read_rows(path)) == list(read_rows(whole))
    with JournalWriter(whole, resume=True) as journal:
        _write(journal, 10)
        journal.flush()
        assert journal.sha256 == digest


def _flip(path: Path, seq: int, column: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    (value,) = db.execute(f"SELECT {column} FROM entries WHERE seq = ?", (seq,)).fetchone()
    if isinstance(value, int):
        changed: object = value + 1
    else:
        middle = len(value) // 2
        changed = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    db.execute(f"UPDATE entries SET {column} = ? WHERE seq = ?", (changed, seq))
    db.close()


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seq", [1, 6, 10])
def test_one_changed_byte_is_named_by_readers_and_by_resume(tmp_path: Path, seq: int, column: str) -> None:
    path = _stored(tmp_path / "run.journal")
    _flip(path, seq, column)
    read: list[Entry] = []
    with pytest.raises(JournalError, match=rf"run\.journal: row {seq} was changed"):
        read.extend(read_entries(path))
    assert [entry.seq for entry in read] == list(range(1, seq))
    journal = JournalWriter(path, resume=True)
    _write(journal, 10)
    with pytest.raises(Divergence, match=f"row {seq} was changed after it was written") as caught:
        journal.flush()
    assert caught.value.seq == seq
    with pytest.raises(Divergence):
        journal.append(START + 11, _facts(11), ())
    with pytest.raises(Divergence):
        journal.close()


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("DELETE FROM entries WHERE seq = 4", "row 4 is missing, row 5 follows"),
        ("UPDATE entries SET facts = 'text' WHERE seq = 4", "row 4 was changed"),
        ("UPDATE entries SET seq = 40 WHERE seq = 4", "row 4 is missing, row 5 follows"),
    ],
)
def test_a_row_that_is_gone_or_of_another_type_is_named(tmp_path: Path, sql: str, text: str) -> None:
    path = _stored(tmp_path / "run.journal")
    _edit(path, sql)
    with pytest.raises(JournalError, match=text):
        list(read_rows(path))
    journal = JournalWriter(path, resume=True)
    _write(journal, 10)
    with pytest.raises(Divergence) as caught:
        journal.close()
    assert caught.value.seq == 4


def test_bytes_that_are_no_entry_are_named_even_when_the_chain_holds(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        _write(journal, 2)
        journal.append(START, (book(START, float("nan")),), ())  # encodes as null, which no price is
    with pytest.raises(JournalError, match="row 3 cannot be read"):
        list(read_entries(path))


def test_a_row_that_comes_out_differently_is_a_divergence_that_names_its_columns(tmp_path: Path) -> None:
    path = _stored(tmp_path / "run.journal")
    journal = JournalWriter(path, resume=True)
    _write(journal, 4)
    journal.append(START + 5, _facts(6), (place(),))
    with pytest.raises(Divergence, match="row 5 differs from the same run done again, in facts, commands"):
        journal.flush()
    with pytest.raises(Divergence):
        journal.close()
    assert _rows_on_disk(path) == 10


def test_rows_beyond_the_end_of_the_run_are_a_divergence(tmp_path: Path) -> None:
    path = _stored(tmp_path / "run.journal")
    with JournalWriter(path, resume=True) as journal:
        _write(journal, 7)
        journal.flush()
        with pytest.raises(Divergence, match="row 8 and what follows it were not written by this run"):
            journal.expect_end()


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (boot(config=make_config(step_us=1.0)), "another settings"),
        (Booted("00000001", "0.1.0", make_config()), "another program version"),
        (Booted("00000001", "0.2.0", make_config(), from_ns=1), "another range"),
    ],
)
def test_resume_with_other_settings_says_so(tmp_path: Path, other: Booted, text: str) -> None:
    path = _stored(tmp_path / "run.journal")
    journal = JournalWriter(path, resume=True)
    journal.append(START + 1, (other,), ())
    with pytest.raises(OtherRun, match=f"was written with {text}; give the same"):
        journal.flush()
    with pytest.raises(OtherRun):
        journal.close()
    assert OtherRun.exit_code == 4


def test_resume_with_other_inputs_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    JournalWriter(path, inputs="crashes at 5").close()
    JournalWriter(path, resume=True, inputs="crashes at 5").close()
    with pytest.raises(OtherRun, match="begun with crashes at 5 and is resumed with none"):
        JournalWriter(path, resume=True)


class FullAfter(JournalWriter):
    """A writer whose disk has room for a few pages more."""

    def _prepare(self, inputs: str) -> None:
        super()._prepare(inputs)
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        self._db.execute(f"PRAGMA max_page_count = {pages + 400}")


def test_a_full_disk_is_said_once_and_always_and_leaves_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    journal = FullAfter(path)
    text = r"run\.journal: database or disk is full; free space and go on \(paper: --resume\)"
    with pytest.raises(JournalError, match=text):
        _write(journal, 100 * GROUP_ROWS)
    with pytest.raises(JournalError, match=text):
        journal.append(START, (), ())
    with pytest.raises(JournalError, match=text):
        journal.flush()
    with pytest.raises(JournalError, match=text):
        journal.close()
    kept = _rows_on_disk(path)
    assert kept > 0
    assert kept % GROUP_ROWS == 0
    with JournalWriter(path, resume=True) as again:
        _write(again, kept + 10)
    assert _rows_on_disk(path) == kept + 10


def test_a_killed_writer_leaves_a_prefix_with_its_chain_and_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    script = (
        "import sys, pathlib\n"
        "from bot.shell.journal import JournalWriter\n"
        "from tests.shell.test_journal import _write\n"
        "journal = JournalWriter(pathlib.Path(sys.argv[1]))\n"
        "for start in range(1, 10**6, 100):\n"
        "    _write(journal, 100, start)\n"
        "    journal.hand_over()\n"
        "    print(start, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    with process.stdout:
        for _ in range(6):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = _rows_on_disk(path)
    assert kept % 100 == 0
    with JournalWriter(path, resume=True) as journal:
        _write(journal, kept + 50)
    assert _rows_on_disk(path) == kept + 50


def test_a_journal_begun_afresh_replaces_one_that_nobody_writes_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        journal.append(1, (), ())
    with JournalWriter(path, afresh=True) as journal:
        journal.append(2, (), ())
        journal.flush()
        with pytest.raises(JournalInUse):
            JournalWriter(path, afresh=True)
        journal.append(3, (), ())
    assert [entry.at_ns for entry in read_entries(path)] == [2, 3]
