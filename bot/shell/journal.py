"""The journal: every batch's facts and commands, in order, on disk before anything is sent because of them.

One SQLite file, one writer thread, rows committed in groups.  Rows reach the disk first-in first-out, so what
is durable is always a prefix.  Groups are cut by row count and by `flush`, never by time, so that a simulated
crash loses the same rows in every run.  Each row carries a chain value over itself and the chain before it:
one changed byte in any stored row is found and named.

A resumed replay regenerates its rows from the start: rows that exist are compared byte for byte and never
rewritten, and only what lies behind the last of them is appended.
"""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from bot.model.commands import AnyCommand
from bot.model.entry import SCHEMA, encode_items
from bot.model.facts import AnyFact, Booted
from bot.shell.lock import FileLock, LockTaken
from bot.shell.rows import (
    SELECT,
    JournalError,
    JournalExists,
    JournalInUse,
    Row,
    chained,
    decode_row,
    framed,
    read_meta,
    stored_row,
)

GROUP_ROWS = 1024
_GROUPS_WAITING = 4
_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE entries(seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, facts BLOB NOT NULL,
                     commands BLOB NOT NULL, chain BLOB NOT NULL);
"""
_INSERT = "INSERT INTO entries(seq, at_ns, facts, commands, chain) VALUES (?, ?, ?, ?, ?)"
# rows in one statement: sqlite3 lets go of the interpreter at each, and a busy main thread makes it wait
_SLAB_ROWS = 64
_INSERT_SLAB = _INSERT + ", (?, ?, ?, ?, ?)" * (_SLAB_ROWS - 1)


class OtherRun(JournalError):
    """The journal to resume was written with other settings, inputs or version."""

    exit_code = 4


class Divergence(Exception):
    """A stored row differs from what the same inputs give now: hidden nondeterminism, or a changed file."""

    exit_code = 3

    def __init__(self, path: Path, seq: int, what: str) -> None:
        super().__init__(
            f"journal {path}: row {seq} {what}; nothing was rewritten, and a new run needs a new file"
        )
        self.seq = seq


class JournalWriter:
    """The only writer of one journal file."""

    def __init__(self, path: Path, *, resume: bool = False, afresh: bool = False, inputs: str = "") -> None:
        """``inputs`` is a text of what shapes the run beyond what `Booted` says; a resume must give the same.
        ``afresh`` takes the place of a journal that nobody writes.

        Raises `JournalExists`, `JournalInUse`, `OtherRun` or `JournalError`.
        """
        self.path = path
        if path.exists() and not (resume or afresh):
            raise JournalExists(f"journal {path}: exists; give --resume to go on with it, or another file")
        self._lock = _lock(path)
        if afresh:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        self._error: JournalError | Divergence | None = None
        self._torn = False
        self._group: list[Row] = []
        self._waiting: deque[Future[None]] = deque()
        self._next_seq = 1
        self._chain = b""
        self._sha = hashlib.sha256()
        self._closed = False
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(inputs)
                self._stored: Iterator[tuple[object, ...]] | None = self._db.execute(SELECT, (0,))
            except (sqlite3.Error, JournalError):
                self._db.close()
                raise
        except sqlite3.Error as failure:
            self._lock.release()
            text = f"journal {path}: cannot be opened: {failure}; look after the disk, or give another file"
            raise JournalError(text) from failure
        except JournalError:
            self._lock.release()
            raise
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sha256(self) -> str:
        """Hash of all rows written or compared so far; complete after `flush` or `close`."""
        return self._sha.hexdigest()

    @property
    def last_seq(self) -> int:
        return self._next_seq - 1

    def append(self, at_ns: int, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> int:
        """Take one row, to be durable later.  Returns its number, from 1.

        Raises `JournalError` or `Divergence` when an earlier row could not be written or was not the same.
        """
        if self._error is not None:
            raise self._error
        seq = self._next_seq
        self._group.append(Row(seq, at_ns, encode_items(facts), encode_items(commands)))
        self._next_seq = seq + 1
        if len(self._group) >= GROUP_ROWS:
            self.hand_over()
        return seq

    def hand_over(self) -> None:
        """Give what was appended to the writer thread; from here on a simulated crash does not lose it."""
        if not self._group:
            return
        if len(self._waiting) >= _GROUPS_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._write, self._group))
        self._group = []

    def flush(self) -> None:
        """Wait until everything appended is durable.  Raises like `append`."""
        if all(group.done() for group in self._waiting):  # the writer is idle: no way there and back
            rows, self._group = self._group, []
            self._write(rows)
        self.hand_over()
        self._drain()

    def drop_unwritten(self) -> None:
        """Lose what was appended and not handed over, as a crash does, and wait for the rest."""
        self._next_seq -= len(self._group)
        self._group = []
        self._drain()

    def expect_end(self) -> None:
        """After `flush` at the end of a run: raises `Divergence` when the file holds further rows."""
        surplus = next(self._stored, None) if self._stored is not None else None
        if surplus is not None:
            raise Divergence(self.path, self._next_seq, "and what follows it were not written by this run")

    def close(self) -> None:
        """Write what was appended and fold the log into the file.  Raises like `append`.

        What is left is one plain file, which readers can open where they may not write.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.flush()
        finally:
            self._pool.shutdown()
            try:
                self._stored = None
                with suppress(
                    sqlite3.OperationalError
                ):  # a reader or a full disk: the log stays beside the file
                    self._db.execute("PRAGMA busy_timeout=0")
                    self._db.execute("PRAGMA journal_mode=DELETE")
                self._db.close()
            finally:
                self._lock.release()

    def _prepare(self, inputs: str) -> None:
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        meta = read_meta(self._db, self.path) if tables else None
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        if meta is None:
            self._db.executescript("BEGIN;" + _TABLES)
            values = (("schema", str(SCHEMA)), ("inputs", inputs))
            self._db.executemany("INSERT INTO meta(key, value) VALUES (?, ?)", values)
            self._db.execute("COMMIT")
            return
        if (before := meta.get("inputs", "")) != inputs:
            raise OtherRun(
                f"journal {self.path}: was begun with {before or 'no further input'} and is resumed with "
                f"{inputs or 'none'}; give the same, or another file"
            )

    def _drain(self) -> None:
        while self._waiting:
            self._waiting.popleft().result()
        if self._error is not None:
            raise self._error

    def _write(self, rows: list[Row]) -> None:
        if self._torn:  # a row behind one that is missing would make a hole
            return
        self._torn = True
        try:
            fresh = [stored for row in rows if (stored := self._seal(row)) is not None]
            if fresh:
                self._commit(fresh)
        except sqlite3.Error as failure:
            what = "free space" if failure.sqlite_errorname == "SQLITE_FULL" else "look after the disk"
            self._error = JournalError(f"journal {self.path}: {failure}; {what} and go on (paper: --resume)")
            raise self._error from failure
        except (Divergence, OtherRun) as failure:
            self._error = failure
            raise
        self._torn = False

    def _commit(self, rows: list[tuple[object, ...]]) -> None:
        with self._db:
            self._db.execute("BEGIN")
            whole = len(rows) - len(rows) % _SLAB_ROWS
            for first in range(0, whole, _SLAB_ROWS):
                columns = itertools.chain.from_iterable(rows[first : first + _SLAB_ROWS])
                self._db.execute(_INSERT_SLAB, tuple(columns))
            self._db.executemany(_INSERT, rows[whole:])

    def _seal(self, row: Row) -> tuple[object, ...] | None:
        """The row with its chain, ready to insert; ``None`` when it is stored already, byte for byte."""
        frame = framed(row)
        self._sha.update(frame)
        before = self._chain
        self._chain = chained(before, frame)
        sealed = (row.seq, row.at_ns, row.facts, row.commands, self._chain)
        if self._stored is None:
            return sealed
        stored = next(self._stored, None)
        if stored is None:
            self._stored = None
            return sealed
        if stored != sealed:
            raise self._difference(sealed, stored, before)
        return None

    def _difference(
        self, sealed: tuple[object, ...], stored: tuple[object, ...], before: bytes
    ) -> Divergence | OtherRun:
        seq = sealed[0]
        assert isinstance(seq, int)
        row = stored_row(stored)
        if row is None or chained(before, framed(row)) != stored[4]:
            return Divergence(self.path, seq, "was changed after it was written")
        if seq == 1 and (other := _other_run(self.path, row, sealed)) is not None:
            return other
        columns = ("seq", "at_ns", "facts", "commands")
        differ = [name for name, left, right in zip(columns, sealed, stored, strict=False) if left != right]
        return Divergence(self.path, seq, f"differs from the same run done again, in {', '.join(differ)}")


def _lock(path: Path) -> FileLock:
    try:
        return FileLock(path)
    except LockTaken as failure:
        text = f"journal {path}: another process writes it; wait for it, or give another file"
        raise JournalInUse(text) from failure
    except OSError as failure:
        raise JournalError(f"journal {path}: cannot be written: {failure.strerror}") from failure


def _other_run(path: Path, row: Row, sealed: tuple[object, ...]) -> OtherRun | None:
    """Which inputs of two runs differ, when it is their `Booted` that differs."""
    mine = stored_row(sealed)
    assert mine is not None
    here, there = (decode_row(path, one).facts[:1] for one in (mine, row))
    if not (here and there and isinstance(here[0], Booted) and isinstance(there[0], Booted)):
        return None
    words = {
        "version": "program version",
        "config": "settings",
        "origins": "inputs",
        "from_ns": "range",
        "until_ns": "range",
    }
    differ = {word: None for name, word in words.items() if getattr(here[0], name) != getattr(there[0], name)}
    if not differ:
        return None
    what = " and ".join(differ)
    return OtherRun(f"journal {path}: was written with another {what}; give the same, or another file")
