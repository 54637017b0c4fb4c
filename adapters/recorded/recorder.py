"""Records what a market feed hears, as a capture that `paper` replays.

Frames are written as they came, with the time they came at.  A part is on disk, whole, when it ends; what a
crash can lose is the part being written, which is why parts are short.  What must stay true: a capture never
fills the disk that a journal may stand on, so recording ends by itself while there is still room.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec

from adapters.recorded.capture import CaptureWriter, PartLimit

_CHECK_EVERY = 1024  # frames between two looks at the disk
_NAMED = re.compile(rb'\{"stream":"([\w@!.]*)"')
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class DiskLow(Exception):
    """Less room is left than was asked to be kept; what was recorded so far is whole."""

    exit_code = 1


class Recorder:
    """Takes frames of all markets in order of time.  Use as a context manager, like the writer it fills."""

    def __init__(
        self, folder: Path, venue: str, symbols: tuple[str, ...], part_s: int, free_bytes: int
    ) -> None:
        """``symbols`` are ``market:SYMBOL``; ``free_bytes`` is kept free on the folder's disk.  ``unread``
        counts what was no JSON: a line that holds it would end the reading of the whole capture.

        Raises ``FileExistsError`` where a capture is already, `DiskLow`, and ``OSError``."""
        self.frames = self.unread = 0
        self._folder = folder
        self._free_bytes = free_bytes
        self._writer = CaptureWriter(folder, venue, symbols, limit=PartLimit(span_s=part_s))
        self._last_ns = 0
        self._check()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def take(self, at_ns: int, market: str, payload: bytes) -> None:
        """Write one frame in its envelope.  Raises `DiskLow`, and ``OSError`` of a disk that is full."""
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
        self._last_ns = max(self._last_ns, at_ns)
        self._writer.write(self._last_ns, f"{market}/{name}", payload.replace(b"\n", b" "))
        self.frames += 1

    def _check(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._free_bytes:
            raise DiskLow(
                f"{self._folder}: {free >> 20} MB are free, {self._free_bytes >> 20} MB are to be kept; "
                "what was recorded is whole: make room, or keep less by --free-mb"
            )
