"""Writes a capture: lines compressed into parts, each under its name only when it is whole, and the manifest.

What is on disk is always a capture: of a writer that died the parts that its manifest lists, and one that has
not ended, which the next writer of the folder ends (`adapters.recorded.salvage`) before it goes on with the
number that follows.  What must stay true: a line that was flushed and synced survives any crash; the hash of
the whole goes over all lines, whoever wrote them; a folder is written by one process at a time, which its
caller sees to.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import zstandard
from msgspec import Struct

from adapters.errors import FeedError
from adapters.recorded.capture import (
    FORMAT,
    MANIFEST,
    PART,
    PARTIAL,
    Manifest,
    Part,
    markets,
    read_manifest,
    texts,
)
from adapters.recorded.salvage import END, Salvaged, end_part, make_folder, sync_entry

_LEVEL = 12  # of zstd: twice the speed of 15 for a few per cent of size
_ENTRY_BYTES = 1024  # more than a part takes in the manifest


class CaptureExists(Exception):
    """The folder holds a capture already and nobody said to go on with it."""

    exit_code = 2


class PartLimit(Struct, frozen=True):
    """A part ends before it holds more bytes of lines, or lines of two different spans of ``span_s``."""

    line_bytes: int = 256 << 20
    span_s: int = 3600


class _PartFile:
    """The part being written, compressed as it grows.  No checksum: the manifest has a hash of the file, and
    a part that is ended by another than its compressor could not have one."""

    def __init__(self, path: Path, first_ns: int) -> None:
        self.path = path
        self.partial = path.with_name(path.name + PARTIAL)
        # without a buffer of its own, so that what failed to be written is not tried again behind our back
        self._file = self.partial.open("wb", buffering=0)
        sync_entry(self.partial)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._digest = hashlib.sha256()
        self._is_flushed = True
        self.first_ns = first_ns
        self.last_ns = first_ns
        self.frames = 0
        self.line_bytes = 0

    def add(self, seen_ns: int, line: bytes) -> None:
        self._put(self._compressor.compress(line))
        self._is_flushed = False
        self.last_ns = seen_ns
        self.frames += 1
        self.line_bytes += len(line)

    def flush(self) -> int | None:
        if self._is_flushed:
            return None
        self._put(self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
        # the end has its room before the disk can be full; what comes next is written over it
        self._write(END)
        self._file.seek(-len(END), os.SEEK_CUR)
        self._is_flushed = True
        return os.dup(self._file.fileno())

    def finish(self) -> Part:
        self._put(self._compressor.flush())
        os.fsync(self._file.fileno())
        self._file.close()
        self.partial.replace(self.path)
        sync_entry(self.path)
        return Part(self.path.name, self._digest.hexdigest(), self.frames, self.first_ns, self.last_ns)

    def abandon(self) -> None:
        self._file.close()

    def _put(self, packed: bytes) -> None:
        self._digest.update(packed)
        self._write(packed)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]


class CaptureWriter:
    """Writes a capture, frame by frame.  Use as a context manager: leaving it completes the last part.

    ``last_ns`` is the time of the last line; ``salvaged`` are the parts that a writer before left unended.
    """

    def __init__(
        self,
        folder: Path,
        venue: str,
        symbols: tuple[str, ...],
        clock_offset_s: float = 0.0,
        limit: PartLimit = PartLimit(),  # noqa: B008 - frozen
        *,
        resume: bool = False,
    ) -> None:
        """Makes ``folder`` if need be; ``resume`` goes on with the capture that it holds, if any, and reads
        all of it to verify it.

        Raises `CaptureExists`, `FeedError` for a capture that is damaged or another's, and ``OSError``."""
        make_folder(folder)
        self._folder = folder
        self._venue = venue
        self._symbols = symbols
        self._clock_offset_s = clock_offset_s
        self._limit = limit
        self._span_ns = limit.span_s * 10**9
        self._digest = self._before = hashlib.sha256()  # of all lines, and of those before the present part
        self._parts: list[Part] = []
        self._part: _PartFile | None = None
        self.last_ns = 0
        self.salvaged: list[Salvaged] = []
        if (folder / MANIFEST).exists():
            if not resume:
                raise CaptureExists(
                    f"{folder} holds a capture already; give --resume to go on with it, or another folder"
                )
            self._go_on(read_manifest(folder))
        elif any(folder.glob(f"*{PART}*")):
            raise FeedError(
                f"{folder}: holds parts of a capture, but no {MANIFEST} that says whose they are; "
                "record to another folder"
            )

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, seen_ns: int, stream: str, frame: bytes) -> None:
        """Add one raw frame, received at ``seen_ns``, of ``market/stream``.

        Raises ``ValueError`` for a time before the last one's, or a frame of more than one line, and
        ``OSError`` where the disk takes no more: what was flushed before is then whole.
        """
        if seen_ns < self.last_ns:
            raise ValueError(f"time goes back: {seen_ns} after {self.last_ns}")
        if b"\n" in frame:
            raise ValueError("a frame must be one line")
        line = b'{"t":%d,"s":"%b","m":%b}\n' % (seen_ns, stream.encode(), frame)
        part = self._part
        if part is not None and (
            part.line_bytes + len(line) > self._limit.line_bytes
            or seen_ns // self._span_ns != part.first_ns // self._span_ns
        ):
            self._finish_part(part)
            part = None
        if part is None:
            part = self._begin_part(seen_ns)
        self._digest.update(line)
        self.last_ns = seen_ns
        try:
            part.add(seen_ns, line)
        except OSError:
            self._give_up(part)
            raise

    def flush(self) -> int | None:
        """Hand what was written to the system.

        Returns a descriptor of the part's file, which the caller syncs, in a thread where a wait would do
        harm, and closes; ``None`` where nothing is new.  Raises ``OSError`` as `write` does."""
        part = self._part
        if part is None:
            return None
        try:
            return part.flush()
        except OSError:
            self._give_up(part)
            raise

    def close(self) -> None:
        """Complete the last part and the manifest.  Raises ``OSError`` as `write` does."""
        if self._part is not None:
            self._finish_part(self._part)

    def _begin_part(self, first_ns: int) -> _PartFile:
        if not self._parts:
            self._write_manifest()  # so that a part that never ends is known to be this capture's
        # where the disk becomes full, the manifest that lists the part has its room already
        listed = (self._folder / MANIFEST).stat().st_size
        _write_over(self._folder / (MANIFEST + PARTIAL), bytes(listed + _ENTRY_BYTES))
        self._before = self._digest.copy()
        self._part = _PartFile(self._next_path(), first_ns)
        return self._part

    def _finish_part(self, part: _PartFile) -> None:
        try:
            self._parts.append(part.finish())
        except OSError:
            self._give_up(part)
            raise
        self._part = None
        self._write_manifest()

    def _give_up(self, part: _PartFile) -> None:
        """The disk takes no more: end the part with what it holds."""
        self._part = None
        part.abandon()
        self._digest = self._before
        if self._end_next():
            self._write_manifest()

    def _go_on(self, manifest: Manifest) -> None:
        """Begin behind the capture that is there, its last part ended."""
        mine = (self._venue, sorted(self._symbols), self._clock_offset_s)
        if mine != (manifest.venue, sorted(manifest.symbols), manifest.clock_offset_s):
            raise FeedError(
                f"{self._folder}: holds a capture of {manifest.venue} {', '.join(manifest.symbols)}, "
                f"not of {self._venue} {', '.join(self._symbols)}; name another folder"
            )
        self._symbols = manifest.symbols
        for _ in texts(self._folder, manifest.parts, self._digest):
            pass
        if self._digest.hexdigest() != manifest.sha256:
            raise FeedError(
                f"{self._folder / MANIFEST}: the lines have another hash than stated; name another folder"
            )
        self._parts += manifest.parts
        self.last_ns = manifest.parts[-1].last_ns if manifest.parts else 0
        while self._end_next():
            pass
        if len(self._parts) > len(manifest.parts):
            self._write_manifest()

    def _end_next(self) -> bool:
        """Take in the part that the manifest does not list, if there is one and it holds a line.

        One that has its name already ended just before its writer did."""
        path = self._next_path()
        found = path if path.exists() else path.with_name(path.name + PARTIAL)
        if not found.exists():
            return False
        after_ns = self._parts[-1].last_ns if self._parts else 0
        salvaged = end_part(found, path, self._digest, after_ns, markets(self._symbols))
        self.salvaged.append(salvaged)
        if salvaged.part is None:
            return False
        self._parts.append(salvaged.part)
        self.last_ns = max(self.last_ns, salvaged.part.last_ns)
        return True

    def _next_path(self) -> Path:
        return self._folder / f"{len(self._parts):05d}{PART}"

    def _write_manifest(self) -> None:
        manifest = Manifest(
            format=FORMAT,
            venue=self._venue,
            symbols=self._symbols,
            clock_offset_s=self._clock_offset_s,
            sha256=self._digest.hexdigest(),
            parts=tuple(self._parts),
        )
        path, partial = self._folder / MANIFEST, self._folder / (MANIFEST + PARTIAL)
        _write_over(partial, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        partial.replace(path)
        sync_entry(path)


def _write_over(path: Path, data: bytes) -> None:
    """Write a file in the room that it has, if it is there."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(data)
        file.truncate()  # flushes too
        os.fsync(file.fileno())
