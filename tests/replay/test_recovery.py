"""Crashes, stops, kills and resumes: every way back ends in the same journal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.model.commands import PlaceOrder, QueryOrder
from bot.model.facts import (
    AnyFact,
    BookSeen,
    Booted,
    MarkSeen,
    OrderFilled,
)
from bot.model.store import state_sha256
from bot.shell.engine import restored
from bot.shell.journal import Divergence, OtherRun
from bot.shell.replay import (
    stop_on_signals,
)
from bot.shell.rows import read_entries, read_rows
from bot.shell.verify import verify
from tests.conftest import ROOT
from tests.replay.running import configured, run, times
from tests.shell.samples import MS, SECOND, START, book, mark
from tests.shell.world import (
    make_options,
    recording,
    refold,
    step,
)

US = 1_000

CRASHES = tuple(
    START + offset_ns for offset_ns in (700 * MS, 1900 * MS, 1900 * MS + 1, 5 * SECOND, 8 * SECOND)
)


def test_a_crash_loses_memory_and_the_bot_comes_back_by_its_journal(tmp_path: Path) -> None:
    done = run(tmp_path / "run.journal", options=make_options(crash_at_ns=CRASHES))
    boots = [
        (entry.at_ns, fact) for entry in done.entries for fact in entry.facts if isinstance(fact, Booted)
    ]
    assert [at_ns for at_ns, _ in boots] == [START, *CRASHES]
    assert [fact.previous for _, fact in boots] == ["none", *["crash"] * 5]
    assert len({fact.run_id for _, fact in boots}) == 6
    assert all(isinstance(entry.facts[0], Booted) for entry in done.entries if entry.at_ns in CRASHES)
    assert done.result.crashes == 5
    names = [command.client_id for _, command in done.venue.sent if isinstance(command, PlaceOrder)]
    assert len(set(names)) == len(names) > 2
    assert done.result.state_sha256 == state_sha256(restored(done.path, refold))
    assert verify(done.path, step=step, refold=refold).ok


def test_a_crash_with_an_order_in_flight_asks_instead_of_sending_again(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START, book(START, 60_007.0)),
        (START + 6 * SECOND, book(START + 6 * SECOND)),
    ]
    options = make_options(crash_at_ns=(START + 3 * MS,))
    done = run(tmp_path / "run.journal", feed, options=options)
    assert [type(command) for _, command in done.venue.sent] == [PlaceOrder, QueryOrder]
    assert len(times(done.entries, OrderFilled)) == 1


def test_a_crash_loses_the_rows_that_were_not_on_their_way_to_the_disk(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START + number * 100 * MS, book(START + number * 100 * MS)) for number in range(10)
    ]
    options = make_options(crash_at_ns=(START + 550 * MS,))
    entries = run(tmp_path / "run.journal", feed, options=options).entries
    assert [(entry.at_ns - START) // MS for entry in entries] == [0, 550, 550, 600, 700, 750, 800, 900]


@pytest.mark.parametrize("at_ns", [START - SECOND, START, START + 100 * SECOND])
def test_a_crash_outside_the_run_does_not_happen(tmp_path: Path, at_ns: int) -> None:
    done = run(tmp_path / "run.journal", options=make_options(crash_at_ns=(at_ns,)))
    assert done.result.crashes == 0
    assert done.result.rows == run(tmp_path / "plain.journal").result.rows


@pytest.mark.parametrize("crashes", [(), CRASHES], ids=["plain", "crashing"])
def test_a_run_resumed_from_any_row_ends_in_the_same_journal(
    tmp_path: Path, crashes: tuple[int, ...]
) -> None:
    options = make_options(crash_at_ns=crashes)
    feed = recording(3, 4)
    whole = run(tmp_path / "whole.journal", feed, options=options)
    rows = list(read_rows(whole.path))
    for kept in range(len(rows) + 1):
        path = tmp_path / f"{kept}.journal"
        _prefix(whole.path, path, kept)
        again = run(path, feed, options=options, resume=True)
        assert list(read_rows(path)) == rows
        assert again.result.journal_sha256 == whole.result.journal_sha256
        assert again.result.state_sha256 == whole.result.state_sha256


def _prefix(whole: Path, path: Path, rows: int) -> None:
    """A journal that holds the first rows of another, as a kill would have left it."""
    import sqlite3

    path.write_bytes(whole.read_bytes())
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("DELETE FROM entries WHERE seq > ?", (rows,))
    db.close()


@pytest.mark.parametrize("crashes", [(), CRASHES], ids=["plain", "crashing"])
@pytest.mark.parametrize("stop_after", [0, 1, 9, 30])
def test_a_stopped_run_is_a_prefix_and_resumes_to_the_whole(
    tmp_path: Path, stop_after: int, crashes: tuple[int, ...]
) -> None:
    options = make_options(crash_at_ns=crashes)
    whole = run(tmp_path / "whole.journal", options=options)
    path = tmp_path / "run.journal"
    stopped = run(path, options=options, stop_after=stop_after)
    assert stopped.result.stopped
    rows = list(read_rows(whole.path))
    kept = list(read_rows(path))
    assert kept == rows[: len(kept)]
    assert len(kept) == stopped.result.rows
    if not crashes:
        assert len(kept) == stop_after + 1
    again = run(path, options=options, resume=True)
    assert list(read_rows(path)) == rows
    assert again.result.journal_sha256 == whole.result.journal_sha256


def test_a_resume_that_was_stopped_early_leaves_the_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    run(path)
    rows = list(read_rows(path))
    assert run(path, resume=True, stop_after=5).result.stopped
    assert list(read_rows(path)) == rows


def test_a_resume_with_other_crashes_settings_or_a_shorter_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    run(path)
    with pytest.raises(OtherRun, match="resumed with crashes at"):
        run(path, options=make_options(crash_at_ns=CRASHES), resume=True)
    with pytest.raises(OtherRun, match="another settings"):
        run(path, options=configured(1.0), resume=True)
    with pytest.raises(Divergence):
        run(path, recording()[:20], resume=True)


@pytest.mark.parametrize("point", ["commit", "before-send", "after-send"])
@pytest.mark.parametrize("count", [1, 4])
def test_a_killed_run_resumes_to_the_whole(tmp_path: Path, point: str, count: int) -> None:
    whole = run(tmp_path / "whole.journal")
    path = tmp_path / "run.journal"
    process = subprocess.run(
        [sys.executable, "-m", "tests.replay.killed_run", point, str(count), str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
        capture_output=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    kept = list(read_rows(path))
    rows = list(read_rows(whole.path))
    assert 0 < len(kept) < len(rows)
    assert kept == rows[: len(kept)]
    if point != "commit":
        commands = [command for entry in read_entries(path) for command in entry.commands]
        assert len([one for one in commands if isinstance(one, PlaceOrder)]) == count, "durable before sent"
    again = run(path, resume=True)
    assert list(read_rows(path)) == rows
    assert again.result.journal_sha256 == whole.result.journal_sha256


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stopping:
        assert not stopping()
        signal.raise_signal(number)
        assert stopping()
    assert signal.getsignal(number) is before


def test_a_mark_and_a_book_of_one_instant_are_one_batch(tmp_path: Path) -> None:
    at_ns = START + SECOND // 2
    feed: list[tuple[int, AnyFact]] = [(START, book(START)), (at_ns, book(at_ns)), (at_ns, mark(at_ns))]
    entries = run(tmp_path / "run.journal", feed).entries
    assert [type(fact) for fact in entries[-1].facts] == [BookSeen, MarkSeen]
