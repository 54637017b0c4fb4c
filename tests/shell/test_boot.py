"""How a live run begins: the journal read to its end, and what it says of the run before."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.model.facts import AnyFact, Stopped, Tick
from bot.model.store import state_sha256
from bot.shell.boot import fresh_run_id, reopen
from bot.shell.engine import lay_evidence
from bot.shell.journal import JournalWriter, OtherRun
from bot.shell.rows import JournalInUse, read_entries
from bot.shell.verify import verify
from tests.shell.samples import SECOND, START, boot

TICK = Tick({}, {})


def write(path: Path, *facts: AnyFact) -> str:
    """One more run in a journal; returns how the run before had ended."""
    opened = reopen(path)
    at_ns = opened.engine.store.now_ns or START
    for fact in facts:
        at_ns += SECOND
        opened.engine.inbox.put(fact)
        opened.engine.run_batch(at_ns)
    opened.engine.journal.close()
    return opened.previous


@pytest.mark.parametrize(
    ("last", "previous"),
    [(TICK, "crash"), (Stopped(True, "done"), "clean"), (Stopped(False, "grace"), "aborted")],
)
def test_the_last_row_says_how_a_run_ended(tmp_path: Path, last: AnyFact, previous: str) -> None:
    path = tmp_path / "j"
    assert write(path, boot(), last) == "none"
    assert write(path, boot("00000002")) == previous
    assert write(path, boot("00000003")) == "crash"


def test_a_bug_is_told_by_its_evidence_until_the_next_boot(tmp_path: Path) -> None:
    path = tmp_path / "j"
    opened = reopen(path)
    opened.engine.inbox.put(boot())
    opened.engine.run_batch(START)
    lay_evidence(opened.engine.journal, START, (TICK,), ValueError("x"))
    opened.engine.journal.close()
    assert write(path, boot("00000002")) == "bug"
    assert write(path, boot("00000003")) == "crash"


def test_evidence_that_cannot_be_read_counts_as_a_bug(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, boot(), Stopped(True, "done"))
    (tmp_path / "j.poison.json").write_bytes(b'{"row": ')
    assert write(path) == "bug"


def test_a_journal_is_gone_on_with_as_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, boot(), TICK, Stopped(True, "done"))
    write(path, boot("00000002"), TICK)
    opened = reopen(path)
    assert opened.engine.journal.last_seq == 5
    rows = list(read_entries(path))
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert verify(path).ok
    opened.engine.journal.close()
    again = reopen(path)
    assert again.engine.journal.sha256 == opened.engine.journal.sha256
    assert state_sha256(again.engine.store) == state_sha256(opened.engine.store)
    again.engine.journal.close()


def test_two_runs_do_not_share_a_journal(tmp_path: Path) -> None:
    opened = reopen(tmp_path / "j")
    with pytest.raises(JournalInUse):
        reopen(tmp_path / "j")
    opened.engine.journal.close()


def test_a_live_run_does_not_go_on_with_a_replay(tmp_path: Path) -> None:
    path = tmp_path / "j"
    JournalWriter(path).close()
    with pytest.raises(OtherRun, match="a live venue"):
        reopen(path)


def test_a_run_id_is_the_second_and_chance() -> None:
    first, later = fresh_run_id(START, 7), fresh_run_id(START + SECOND, 7)
    assert len(first) == len(later) == 8
    assert first < later
    assert fresh_run_id(START, 8) != first
    assert fresh_run_id(START, 36**2 + 7) == first
    assert set(first) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
