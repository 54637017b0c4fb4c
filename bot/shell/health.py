"""Is the process that writes a journal alive: when was the last row committed, by the file's own time.

Read-only and cheap, since a container engine asks every few seconds.  The wall clock is right here and
nowhere else: a replay's rows carry the time of the recording.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from bot.shell.rows import JournalError


class Health(Struct, frozen=True):
    """The number of the last row, and how long ago the journal's files were last written."""

    seq: int
    age_s: float


def read_health(path: Path) -> Health:
    """Raises `JournalError` when there is no journal, none that can be read, or none with a row."""
    if not path.is_file():
        raise JournalError(f"journal {path}: no such file; name one by --journal or BASISBOT_JOURNAL")
    try:
        db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            (seq,) = db.execute("SELECT max(seq) FROM entries").fetchone()
        finally:
            db.close()
    except sqlite3.Error as failure:
        raise JournalError(f"journal {path}: cannot be read: {failure}") from failure
    if seq is None:
        raise JournalError(f"journal {path}: has no row yet")
    files = (path, path.with_name(path.name + "-wal"))
    written_s = max(file.stat().st_mtime for file in files if file.exists())
    return Health(seq, max(0.0, time.time() - written_s))
