"""A run that is killed at any point and resumed ends as one that was not; a journal that was changed is
named, row and all, and never gone on with."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from bot.model.commands import CancelOrder, PlaceOrder, QueryAccount, QueryOrder
from bot.shell.rows import read_rows
from tests.e2e import feeds
from tests.e2e.process import Done, basisbot, kill_at, lawful, moves, paper

SCENE = feeds.LINEAR
OUTWARD = (PlaceOrder, CancelOrder, QueryOrder, QueryAccount)
KILLS = [
    (point, share)
    for point, seed in (("commit", 11), ("before-send", 12), ("after-send", 13), ("time", 14))
    for share in random.Random(seed).sample(range(100), 5)
]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return feeds.record(tmp_path_factory.mktemp("recording"), SCENE)


@pytest.fixture(scope="module")
def whole(recording: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The run that nothing interrupts."""
    done = paper(tmp_path_factory.mktemp("whole"), recording, feeds.settings())
    lawful(done)
    assert moves(done.report)[-2:] == ["EXITING", "FLAT"]
    return done


def count_of(whole: Done, point: str, share: int) -> int:
    """A share of the way through the run, in the point's own unit."""
    if point == "time":
        first, last = whole.entries[0].at_ns, whole.entries[-1].at_ns
        return first + (last - first) * share // 100
    sends = sum(isinstance(command, OUTWARD) for entry in whole.entries for command in entry.commands)
    durable = sum(any(isinstance(command, OUTWARD) for command in entry.commands) for entry in whole.entries)
    # each row that sends is committed before it does, so that there are at least as many commits
    return 1 + (durable if point == "commit" else sends) * share // 100


def assert_same(resumed: Done, whole: Done) -> None:
    assert resumed.code == 0, resumed.err
    assert resumed.report.journal_sha256 == whole.report.journal_sha256
    assert resumed.report.state_sha256 == whole.report.state_sha256
    assert resumed.report_bytes == whole.report_bytes
    assert list(read_rows(resumed.journal)) == list(read_rows(whole.journal))


@pytest.mark.parametrize(("point", "share"), KILLS)
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(
    point: str, share: int, recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    killed = paper(
        tmp_path, recording, feeds.settings(), before=kill_at(point, count_of(whole, point, share))
    )
    assert killed.code == -signal.SIGKILL, killed.err
    left = list(read_rows(killed.journal))
    assert left == list(read_rows(whole.journal))[: len(left)]
    assert_same(paper(tmp_path, recording, feeds.settings(), "--resume"), whole)


def test_a_resume_that_is_killed_too_is_resumed(
    recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    for point, count in (("commit", 2), ("before-send", 4), ("after-send", 7), ("commit", 3)):
        again = ("--resume",) if (tmp_path / "out").exists() else ()
        killed = paper(tmp_path, recording, feeds.settings(), *again, before=kill_at(point, count))
        assert killed.code == -signal.SIGKILL, killed.err
    assert_same(paper(tmp_path, recording, feeds.settings(), "--resume"), whole)


def test_a_run_with_crashes_is_killed_and_resumed(recording: tuple[Path, ...], tmp_path: Path) -> None:
    crashes = ("--crash-at", "2026-03-02T07:58:40.5", "--crash-at", "2026-03-02T08:00:10")
    (tmp_path / "whole").mkdir()
    plain = paper(tmp_path / "whole", recording, feeds.settings(), *crashes)
    lawful(plain)
    killed = paper(tmp_path, recording, feeds.settings(), *crashes, before=kill_at("time", feeds.SETTLES_NS))
    assert killed.code == -signal.SIGKILL, killed.err
    assert_same(paper(tmp_path, recording, feeds.settings(), *crashes, "--resume"), plain)


# --- what resume and its absence mean --------------------------------------------------------------


@pytest.mark.parametrize("is_there", [False, True], ids=["absent", "empty"])
def test_resume_with_no_journal_yet_starts_from_the_beginning(
    is_there: bool, recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    journal = tmp_path / "out/journal.sqlite"
    if is_there:
        journal.parent.mkdir()
        journal.touch()
    done = paper(tmp_path, recording, feeds.settings(), "--journal", journal, "--resume")
    assert_same(done, whole)


def test_resume_of_a_finished_run_verifies_and_writes_the_report_again(
    recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    copy = copied(whole, tmp_path)
    for name in ("report.json", "report.html"):
        (copy / name).unlink()
    assert_same(paper(tmp_path, recording, feeds.settings(), "--resume"), whole)


def test_a_journal_that_is_there_is_not_overwritten(
    recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    copied(whole, tmp_path)
    named = ("--journal", tmp_path / "out/journal.sqlite")
    before = named[1].read_bytes()
    done = paper(tmp_path, recording, feeds.settings(), *named)
    assert (done.code, done.out) == (2, "")
    assert "--resume" in done.sentence
    assert named[1].read_bytes() == before


def other_settings(recording: tuple[Path, ...], cwd: Path) -> Done:
    return paper(cwd, recording, feeds.settings("usdm", {"STRATEGY__CLIP_QUOTE": "15000"}), "--resume")


def other_feed(recording: tuple[Path, ...], cwd: Path) -> Done:
    feed = cwd / "spot.jsonl"
    feed.write_bytes(b"".join(recording[0].read_bytes().splitlines(keepends=True)[:-1]))
    return paper(cwd, [feed, recording[1]], feeds.settings(), "--resume")


def other_range(recording: tuple[Path, ...], cwd: Path) -> Done:
    return paper(cwd, recording, feeds.settings(), "--resume", "--until", "2026-03-02T08:00:30")


def other_crashes(recording: tuple[Path, ...], cwd: Path) -> Done:
    return paper(cwd, recording, feeds.settings(), "--resume", "--crash-at", "2026-03-02T07:59:00")


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (other_settings, "settings"),
        (other_feed, "inputs"),
        (other_range, "range"),
        (other_crashes, "crashes"),
    ],
)
def test_resume_with_something_else_is_refused(
    other: object, word: str, recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    copy = copied(whole, tmp_path)
    before = list(read_rows(copy / "journal.sqlite"))
    assert callable(other)
    done = other(recording, tmp_path)
    assert (done.code, done.out) == (4, "")
    assert word in done.sentence
    assert "\n" not in done.sentence
    assert list(read_rows(copy / "journal.sqlite")) == before


# --- a journal that was changed --------------------------------------------------------------------


def copied(whole: Done, cwd: Path) -> Path:
    return Path(shutil.copytree(whole.folder, cwd / "out"))


def change(path: Path, column: str, seq: int) -> None:
    """Change one byte of one stored row."""
    db = sqlite3.connect(path, isolation_level=None)
    if column == "at_ns":
        db.execute("UPDATE entries SET at_ns = at_ns + 1 WHERE seq = ?", (seq,))
    else:
        (value,) = db.execute(f"SELECT {column} FROM entries WHERE seq = ?", (seq,)).fetchone()
        middle = len(value) // 2
        flipped = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        db.execute(f"UPDATE entries SET {column} = ? WHERE seq = ?", (flipped, seq))
    db.close()


def stored(path: Path) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path, isolation_level=None)
    rows = db.execute("SELECT * FROM entries ORDER BY seq").fetchall()
    db.close()
    return rows


@pytest.mark.parametrize("column", ["facts", "commands", "at_ns", "chain"])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_changed_byte_is_found_and_its_row_named(
    column: str, place: str, recording: tuple[Path, ...], whole: Done, tmp_path: Path
) -> None:
    last = whole.report.rows
    seq = {"first": 1, "middle": last // 2, "last": last}[place]
    journal = copied(whole, tmp_path) / "journal.sqlite"
    change(journal, column, seq)
    changed = stored(journal)
    verified = basisbot("journal", "verify", journal, cwd=tmp_path)
    assert verified.code == 1
    assert f"row {seq} " in verified.out + verified.err
    resumed = paper(tmp_path, recording, feeds.settings(), "--resume")
    assert (resumed.code, resumed.out) == (3, "")
    assert f"row {seq} " in resumed.sentence
    assert stored(journal) == changed, "nothing stored is rewritten"


def test_a_missing_row_is_named(recording: tuple[Path, ...], whole: Done, tmp_path: Path) -> None:
    journal = copied(whole, tmp_path) / "journal.sqlite"
    db = sqlite3.connect(journal, isolation_level=None)
    db.execute("DELETE FROM entries WHERE seq = 20")
    db.close()
    verified = basisbot("journal", "verify", journal, cwd=tmp_path)
    assert verified.code == 1
    assert "row 20 is missing" in verified.out + verified.err
    resumed = paper(tmp_path, recording, feeds.settings(), "--resume")
    assert resumed.code == 3
    assert "row 20 " in resumed.sentence
