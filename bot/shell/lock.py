"""One writer at a time: a lock beside a file, held by a process and given back by the system when it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LockTaken(Exception):
    """Another process holds the lock."""


class FileLock:
    def __init__(self, guarded: Path) -> None:
        """Take the lock of ``guarded`` (a file beside it).  Raises `LockTaken`, or ``OSError``."""
        self._path = guarded.with_name(guarded.name + ".lock")
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the holder before may have removed the file between our opening and our locking it
            taken = os.fstat(self._fd).st_ino != self._path.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            taken = True
        if taken:
            os.close(self._fd)
            raise LockTaken(str(self._path))

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
