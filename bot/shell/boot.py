"""The beginning of a live run: the journal is read to its end, and how the run before it ended is found out.

A live journal is gone on with where it ends; nothing in it is regenerated, since a venue does not play its
past again.  How the last run ended is told by what it left: its last row, or the evidence of a bug laid
beside the journal.  What must stay true: a journal of a replay is never continued by a live run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from bot.core.fold import refold as core_refold
from bot.core.step import step as core_step
from bot.model.entry import Entry
from bot.model.facts import Stopped
from bot.model.ids import RUN_ID_LENGTH, base36
from bot.model.money import exact_arithmetic
from bot.model.store import Store, decode_store, encode_store
from bot.shell.engine import Engine, Refold, Step
from bot.shell.journal import JournalWriter
from bot.shell.rows import chained, decode_row, framed, read_rows
from bot.shell.snapshots import Snapshot, keep, shape, stored

LOG_BYTES = 4_000_000  # about what SQLite lets a log grow to before it begins it anew
LIVE_INPUTS = "a live venue"  # what a replay's journal does not say of itself
_SECONDS_DIGITS = 6
_RANDOM_DIGITS = RUN_ID_LENGTH - _SECONDS_DIGITS


class ClockBehind(Exception):
    """The machine's clock is behind the journal: the order of rows would be lost."""

    exit_code = 4

    def __init__(self, behind_s: float, path: Path) -> None:
        super().__init__(
            f"this machine's clock is {behind_s:.1f} s behind the last row of journal {path}: "
            "set the clock, or give another file by BASISBOT_JOURNAL"
        )


class LiveJournal(JournalWriter):
    """A journal that a live run goes on with: read once to its end, then written behind it."""

    def __init__(self, path: Path) -> None:
        """Opens ``path`` or begins it.  Raises like `JournalWriter`."""
        super().__init__(path, resume=True, inputs=LIVE_INPUTS)
        self._lay_out_log()

    def _lay_out_log(self) -> None:
        """Give the log its size at once.  A commit that overwrites it costs half of one that lets it grow,
        since the file system then has nothing to note but the rows (measured: 0.17 against 0.32 ms)."""
        with suppress(sqlite3.Error):  # it saves time and nothing else
            self._db.execute("CREATE TABLE lay_out(filling BLOB)")
            self._db.execute("INSERT INTO lay_out VALUES (zeroblob(?))", (LOG_BYTES,))
            self._db.execute("DROP TABLE lay_out")
            self._db.execute("PRAGMA wal_checkpoint(RESTART)")

    def read_to_end(self, behind: Snapshot | None) -> Iterator[Entry]:
        """What is stored, oldest first, its chain checked; after the last one, rows can be appended.  Rows up
        to the snapshot's are left out.

        Raises `JournalError` naming the first row that is missing or was changed."""
        if behind is not None:
            self._next_seq, self._chain = behind.seq + 1, behind.chain
        for row in read_rows(self.path, after=(self._next_seq - 1, self._chain)):
            self._chain = chained(self._chain, framed(row))
            self._next_seq = row.seq + 1
            yield decode_row(self.path, row)
        self._stored = None

    def keep(self, store: Store) -> None:
        """Keep a snapshot of the store behind the last row, once that row is durable."""
        self.hand_over()
        data, seq = encode_store(store), self.last_seq
        self._waiting.append(self._pool.submit(self._keep, seq, data))

    def _keep(self, seq: int, data: bytes) -> None:
        if not self._torn:
            with suppress(sqlite3.Error):  # a snapshot saves time and nothing else
                keep(self._db, Snapshot(seq, shape(), self._chain, data))


class Reopened(Struct, frozen=True):
    """An engine that stands at its journal's end, and how the run before ended: ``none``, ``clean``,
    ``crash``, ``bug`` or ``aborted``."""

    engine: Engine
    journal: LiveJournal
    previous: str


class _Poison(Struct):
    row: int


def reopen(path: Path, *, step: Step = core_step, refold: Refold = core_refold) -> Reopened:
    """Open the journal of a live run and fold what lies behind its last snapshot, or all of it.

    Raises `JournalError` and its kinds."""
    with ExitStack() as undo:
        journal = undo.enter_context(LiveJournal(path))
        engine = Engine(journal, step, refold)
        last: Entry | None = None
        with exact_arithmetic():
            snapshot = next(reversed(stored(path)), None)
            if snapshot is not None:
                engine.store = decode_store(snapshot.store)
            for last in journal.read_to_end(snapshot):
                refold(engine.store, last)
        ending = _ending(path, last, journal.last_seq)
        undo.pop_all()
        return Reopened(engine, journal, ending)


def _ending(path: Path, last: Entry | None, rows: int) -> str:
    """A bug leaves the row it could not write beside the journal; once that row exists, it is of the past.
    Evidence that cannot be read counts as fresh.  ``last`` is ``None`` when a snapshot stands at the end:
    those are taken in the middle of a run."""
    poison = path.with_name(path.name + ".poison.json")
    if poison.is_file():
        try:
            row = msgspec.json.decode(poison.read_bytes(), type=_Poison).row
        except msgspec.DecodeError:
            return "bug"
        if row > rows:
            return "bug"
    if last is None:  # nothing, or nothing behind a snapshot, which a run in order never leaves
        return "crash" if rows else "none"
    if last.facts and isinstance(last.facts[-1], Stopped):
        return "clean" if last.facts[-1].clean else "aborted"
    return "crash"


def fresh_run_id(at_ns: int, random: int) -> str:
    """Eight characters of base 36: the boot's second, then two of chance, for two boots in one second."""
    seconds = base36(at_ns // 1_000_000_000)[-_SECONDS_DIGITS:].rjust(_SECONDS_DIGITS, "0")
    return seconds + base36(random)[-_RANDOM_DIGITS:].rjust(_RANDOM_DIGITS, "0")
