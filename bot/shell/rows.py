"""The rows of a journal as they are stored: what they are, how they are chained, and how they are read.

A row's chain value is a hash over the row and the value before it.  What must stay true: a reader opens the
file read-only, and names the first row that is missing or was changed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from bot.model.entry import SCHEMA, Entry, decode_entry

SELECT = "SELECT seq, at_ns, facts, commands, chain FROM entries WHERE seq > ? ORDER BY seq"
Mark = tuple[int, bytes]  # a row's number and its chain value


class JournalError(Exception):
    """The journal cannot be read or written; the message says which file, and what to do."""

    exit_code = 1


class JournalExists(JournalError):
    """A journal is there already and nobody said to resume it."""

    exit_code = 2


class JournalInUse(JournalError):
    """Another process writes this journal."""

    exit_code = 4


class Row(Struct, frozen=True, gc=False):
    """A row as stored; ``facts`` and ``commands`` are the bytes of `bot.model.entry`."""

    seq: int
    at_ns: int
    facts: bytes
    commands: bytes


def framed(row: Row) -> bytes:
    """The bytes that are hashed for a row: its numbers and lengths, then its content."""
    lengths = b"%d %d %d %d\n" % (row.seq, row.at_ns, len(row.facts), len(row.commands))
    return lengths + row.facts + row.commands


def chained(chain: bytes, frame: bytes) -> bytes:
    """The chain value (16 bytes) of a row, from the one before (empty for the first) and its framed bytes."""
    return hashlib.blake2b(chain + frame, digest_size=16).digest()


def stored_row(stored: tuple[object, ...]) -> Row | None:
    """The stored columns as a row, or ``None`` when one has another type than was written."""
    match stored:
        case (int(seq), int(at_ns), bytes(facts), bytes(commands), bytes()):
            return Row(seq, at_ns, facts, commands)
        case _:
            return None


def decode_row(path: Path, row: Row) -> Entry:
    """Raises `JournalError` naming the row for bytes that are no entry."""
    try:
        return decode_entry(row.seq, row.at_ns, row.facts, row.commands)
    except msgspec.DecodeError as failure:
        raise JournalError(f"journal {path}: row {row.seq} cannot be read: {failure}") from failure


def read_rows(path: Path, *, until_seq: int | None = None, after: Mark = (0, b"")) -> Iterator[Row]:
    """The rows in order, read-only, their chain checked.  ``until_seq``: the last one wanted; ``after``: a
    row's number and chain value, behind which to begin.

    Raises `JournalError` naming the first row that is missing or was changed.
    """
    with _reading(path) as db:
        before, chain = after
        for expected, stored in enumerate(db.execute(SELECT, (before,)), before + 1):
            if until_seq is not None and expected > until_seq:
                return
            row = stored_row(stored)
            if row is not None and row.seq != expected:
                raise JournalError(f"journal {path}: row {expected} is missing, row {row.seq} follows")
            if row is None or (chain := chained(chain, framed(row))) != stored[4]:
                raise JournalError(f"journal {path}: row {expected} was changed after it was written")
            yield row


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A journal opened for reading alone.  Raises `JournalError`."""
    if not path.is_file():
        raise JournalError(f"journal {path}: no such file")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
            read_meta(db, path)
            yield db
    except sqlite3.Error as failure:
        raise JournalError(f"journal {path}: cannot be read: {failure}") from failure


def read_entries(path: Path, *, from_seq: int = 1, until_seq: int | None = None) -> Iterator[Entry]:
    """The entries in order, read-only, their chain checked from the row before ``from_seq`` on.  Raises
    `JournalError` naming the row."""
    for row in read_rows(path, until_seq=until_seq, after=_mark_at(path, from_seq - 1)):
        if row.seq >= from_seq:
            yield decode_row(path, row)


def last_seq(path: Path) -> int:
    """Number of the last row; 0 for none.  Raises `JournalError`."""
    with _reading(path) as db:
        return db.execute("SELECT max(seq) FROM entries").fetchone()[0] or 0


def _mark_at(path: Path, seq: int) -> Mark:
    """A row's number and chain value, as it is stored; the beginning where there is no such row."""
    with _reading(path) as db:
        found = db.execute("SELECT chain FROM entries WHERE seq = ?", (seq,)).fetchone()
    return (seq, found[0]) if found is not None and isinstance(found[0], bytes) else (0, b"")


def read_meta(db: sqlite3.Connection, path: Path) -> dict[str, str]:
    try:
        meta = dict(db.execute("SELECT key, value FROM meta"))
    except sqlite3.OperationalError:
        meta = {}
    schema = meta.get("schema")
    if schema != str(SCHEMA):
        found = f"has schema {schema}, this version reads {SCHEMA}" if schema else "is not a journal"
        raise JournalError(f"journal {path}: {found}; give another file")
    return meta
