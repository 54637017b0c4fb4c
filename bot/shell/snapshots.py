"""Snapshots of the store beside a journal's rows, so that a restart folds an hour of rows and not a year.

A snapshot is the whole tree behind one row, with that row's chain value.  It is a convenience and never the
truth: it is used only where its hash says that it is whole, and by a program whose tree has the very same
shape, else everything is folded; and `journal verify`, which decides every row again, holds each against what
it finds.
"""

from __future__ import annotations

import hashlib
import sqlite3
from functools import cache
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from bot.model.store import Store

_DIGEST = 16  # bytes
KEPT = 2  # the last but one serves when the last was being written
TABLE = (
    "CREATE TABLE IF NOT EXISTS snapshots"
    "(seq INTEGER PRIMARY KEY, shape TEXT NOT NULL, chain BLOB NOT NULL, store BLOB NOT NULL)"
)


class Snapshot(Struct, frozen=True):
    """The store behind row ``seq``, encoded as `bot.model.store.encode_store` does."""

    seq: int
    shape: str
    chain: bytes
    store: bytes


@cache
def shape() -> str:
    """A name for the store's present type: it changes with every field of every type in the tree."""
    return hashlib.sha256(msgspec.json.encode(msgspec.json.schema(Store))).hexdigest()[:16]


def keep(db: sqlite3.Connection, snapshot: Snapshot) -> None:
    """Store a snapshot and drop the oldest.  Raises ``sqlite3.Error``."""
    with db:
        db.execute("BEGIN")
        db.execute(TABLE)
        db.execute(
            "INSERT OR REPLACE INTO snapshots(seq, shape, chain, store) VALUES (?, ?, ?, ?)",
            (snapshot.seq, snapshot.shape, snapshot.chain, _sealed(snapshot.chain, snapshot.store)),
        )
        db.execute(
            "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)",
            (KEPT,),
        )


def stored(path: Path) -> tuple[Snapshot, ...]:
    """The snapshots of a journal that are whole and have the present shape, oldest first; none where there
    is no table."""
    if not path.is_file():
        return ()
    db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        rows = db.execute("SELECT seq, shape, chain, store FROM snapshots ORDER BY seq").fetchall()
    except sqlite3.Error:
        return ()
    finally:
        db.close()
    return tuple(
        Snapshot(seq, of, chain, sealed[_DIGEST:])
        for seq, of, chain, sealed in rows
        if of == shape() and sealed == _sealed(chain, sealed[_DIGEST:])
    )


def _sealed(chain: bytes, store: bytes) -> bytes:
    """A store's bytes behind their hash: unlike rows, they are in no chain that would tell a changed byte."""
    return hashlib.blake2b(chain + store, digest_size=_DIGEST).digest() + store
