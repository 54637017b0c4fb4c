"""Records what a market feed hears, as a capture that `paper` replays.

Frames are written as they came, with the time they came at.  What a crash can lose is what came since the
last flush was synced; who starts again goes on behind the rest, and the hole shows as it does after a lost
connection: by new snapshots.  What must stay true: a capture never fills the disk that a journal may stand
on, so recording ends by itself while there is still room.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from adapters.recorded.salvage import Salvaged
from adapters.recorded.writer import CaptureWriter, PartLimit

_CHECK_EVERY = 1024  # frames between two looks at the disk
_NAMED = re.compile(rb'\{"stream":"([\w@!.]*)"')
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class DiskLow(Exception):
    """Less room is left than was asked to be kept; what was recorded so far is whole."""

    exit_code = 1


class DiskFailed(Exception):
    """The disk takes no more; what was flushed before is whole."""

    exit_code = 1


class Recorder:
    """Takes frames of all markets in order of time.  Use as a context manager, like the writer it fills."""

    def __init__(
        self,
        folder: Path,
        venue: str,
        symbols: tuple[str, ...],
        part_s: int,
        free_bytes: int,
        *,
        resume: bool = False,
    ) -> None:
        """``symbols`` are ``market:SYMBOL``; ``free_bytes`` is kept free on the folder's disk; ``resume``
        goes on with what the folder holds.  ``unread`` counts what was no JSON: a line that holds it would
        end the reading of the whole capture.

        Raises `DiskLow`, and what `CaptureWriter` raises."""
        self.frames = self.unread = 0
        self._folder = folder
        self._free_bytes = free_bytes
        self._writer = CaptureWriter(folder, venue, symbols, limit=PartLimit(span_s=part_s), resume=resume)
        self._check()

    @property
    def last_ns(self) -> int:
        """Receive time of the last frame of the capture; 0 for none."""
        return self._writer.last_ns

    @property
    def salvaged(self) -> Sequence[Salvaged]:
        """What a recorder before left unended."""
        return self._writer.salvaged

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._writer.close()
        except OSError as error:
            raise self.failed(error) from None

    def take(self, at_ns: int, market: str, payload: bytes) -> None:
        """Write one frame in its envelope.  Raises `DiskLow` and `DiskFailed`."""
        if self.frames % _CHECK_EVERY == 0:
            self._check()
        try:
            _check_json(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.unread += 1
            return
        named = _NAMED.match(payload)
        name = named[1].decode() if named else ""
        # markets are heard side by side: a frame may be handed over after one that was stamped later
        at_ns = max(self._writer.last_ns, at_ns)
        try:
            self._writer.write(at_ns, f"{market}/{name}", payload.replace(b"\n", b" "))
        except OSError as error:
            raise self.failed(error) from None
        self.frames += 1

    def flush(self) -> int | None:
        """Hand what was taken to the system: see `CaptureWriter.flush`.  Raises `DiskFailed`."""
        try:
            return self._writer.flush()
        except OSError as error:
            raise self.failed(error) from None

    def failed(self, error: OSError) -> DiskFailed:
        """What is left to say of a disk that takes no more."""
        return DiskFailed(
            f"{self._folder}: {error.strerror}; what was recorded until shortly before is whole: "
            "see to the disk, then go on by --resume"
        )

    def _check(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._free_bytes:
            raise DiskLow(
                f"{self._folder}: {free >> 20} MB are free, {self._free_bytes >> 20} MB are to be kept; "
                "what was recorded is whole: make room, or keep less by --free-mb"
            )
