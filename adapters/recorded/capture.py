"""Our own captures: raw frames as zstd-compressed JSON lines in parts, and a manifest.

A capture is a folder.  A line is ``{"t": receive time in ns, "s": "market/stream", "m": raw frame}``; parts
are cut by size or hour and mean nothing: the lines of all parts together are the capture, and their hash
identifies it. The manifest is written whole, at the end of each part, so that what it lists is always
complete.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import zstandard
from msgspec import Raw, Struct

from adapters.errors import FeedError
from adapters.recorded.frames import Feed, Frame

MANIFEST = "manifest.json"
FORMAT = 1
if TYPE_CHECKING:
    from _hashlib import HASH

_LEVEL = 12  # of zstd: twice the speed of 15 for a few per cent of size
_READ_BYTES = 16_384
_NAMED = b'{"stream":"'


class Part(Struct, frozen=True):
    """One file of a capture.  ``sha256`` is of its bytes as they are on disk."""

    file: str
    sha256: str
    frames: int
    first_ns: int
    last_ns: int


class Manifest(Struct, frozen=True, kw_only=True):
    """``symbols`` are ``market:SYMBOL``; ``clock_offset_s`` is what the venue's clock is ahead of the
    recorder's; ``sha256`` is of all lines of all parts, decompressed."""

    format: int
    venue: str
    symbols: tuple[str, ...]
    clock_offset_s: float
    sha256: str
    parts: tuple[Part, ...]


class Line(Struct, frozen=True):
    t: int
    s: str
    m: Raw


_decode_line = msgspec.json.Decoder(Line).decode


class PartLimit(Struct, frozen=True):
    """A part ends before it holds more bytes of lines, or lines of two different spans of ``span_s``."""

    line_bytes: int = 256 << 20
    span_s: int = 3600


class _PartFile:
    """The part being written: compressed as it grows, under its name only when it is whole."""

    def __init__(self, path: Path, first_ns: int) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._file = self._partial.open("wb")
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        self._digest = hashlib.sha256()
        self.first_ns = first_ns
        self.last_ns = first_ns
        self.frames = 0
        self.line_bytes = 0

    def add(self, seen_ns: int, line: bytes) -> None:
        self._put(self._compressor.compress(line))
        self.last_ns = seen_ns
        self.frames += 1
        self.line_bytes += len(line)

    def finish(self) -> Part:
        self._put(self._compressor.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        return Part(self._path.name, self._digest.hexdigest(), self.frames, self.first_ns, self.last_ns)

    def _put(self, packed: bytes) -> None:
        self._digest.update(packed)
        self._file.write(packed)


class CaptureWriter:
    """Writes a capture, frame by frame.  Use as a context manager: leaving it completes the last part."""

    def __init__(
        self,
        folder: Path,
        venue: str,
        symbols: tuple[str, ...],
        clock_offset_s: float = 0.0,
        limit: PartLimit = PartLimit(),  # noqa: B008 - frozen
    ) -> None:
        """Makes ``folder`` if need be.  Raises ``FileExistsError`` if it holds a capture already."""
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / MANIFEST).exists():
            raise FileExistsError(f"{folder} holds a capture already; name another folder")
        self._folder = folder
        self._venue = venue
        self._symbols = symbols
        self._clock_offset_s = clock_offset_s
        self._limit = limit
        self._span_ns = limit.span_s * 10**9
        self._digest = hashlib.sha256()
        self._parts: list[Part] = []
        self._part: _PartFile | None = None
        self._last_ns = 0

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, seen_ns: int, stream: str, frame: bytes) -> None:
        """Add one raw frame, received at ``seen_ns``, of ``market/stream``.

        Raises ``ValueError`` for a time before the last one's, or a frame of more than one line.
        """
        if seen_ns < self._last_ns:
            raise ValueError(f"time goes back: {seen_ns} after {self._last_ns}")
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
            part = self._part = _PartFile(self._folder / f"{len(self._parts):05d}.jsonl.zst", seen_ns)
        self._digest.update(line)
        self._last_ns = seen_ns
        part.add(seen_ns, line)

    def close(self) -> None:
        """Complete the last part and the manifest."""
        if self._part is not None:
            self._finish_part(self._part)

    def _finish_part(self, part: _PartFile) -> None:
        self._parts.append(part.finish())
        self._part = None
        manifest = Manifest(
            format=FORMAT,
            venue=self._venue,
            symbols=self._symbols,
            clock_offset_s=self._clock_offset_s,
            sha256=self._digest.hexdigest(),
            parts=tuple(self._parts),
        )
        _write_whole(self._folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class CaptureRecording:
    """A capture being read.  Hashes of parts and of the whole are verified as they are read."""

    def __init__(self, folder: Path) -> None:
        """Reads the manifest.  Raises `FeedError`."""
        self._folder = folder
        self._manifest = read_manifest(folder)
        self._offset_ns = round(self._manifest.clock_offset_s * 1e9)
        self.markets = tuple(sorted({symbol.partition(":")[0] for symbol in self._manifest.symbols}))

    def feeds(self) -> list[Feed]:
        manifest = self._manifest
        return [
            Feed(f"{manifest.venue}:{market}", market, manifest.sha256, self._offset_ns, self)
            for market in self.markets
        ]

    def where(self, line: int) -> str:
        for part in self._manifest.parts:
            if line <= part.frames:
                return f"{self._folder / part.file}:{line}"
            line -= part.frames
        return f"{self._folder / self._manifest.parts[-1].file}:{line + self._manifest.parts[-1].frames}"

    def blocks(self, index_of: Mapping[str, int]) -> Iterator[list[Frame]]:
        whole = hashlib.sha256()
        line, last_ns = 1, 0
        streams: dict[str, tuple[int, bytes]] = {}
        for text in self._texts(whole):
            lines = text.split(b"\n")
            frames: list[Frame] = []
            for number, entry in zip(count(line), lines, strict=False):
                frame = self._frame(entry, number)
                if frame.t < last_ns:
                    raise FeedError(
                        f"{self.where(number)}: time goes back by {last_ns - frame.t} ns; record it again"
                    )
                last_ns = frame.t
                known = streams.get(frame.s)
                if known is None:
                    known = streams[frame.s] = self._stream(frame.s, index_of, number)
                payload = bytes(frame.m)
                if not payload.startswith(_NAMED):
                    payload = b'{"stream":"%b","data":%b}' % (known[1], payload)
                frames.append((frame.t + self._offset_ns, known[0], payload))
            yield frames
            line += len(lines)
        if whole.hexdigest() != self._manifest.sha256:
            raise FeedError(
                f"{self._folder / MANIFEST}: the lines have another hash than stated; copy the capture again"
            )

    def _frame(self, entry: bytes, line: int) -> Line:
        try:
            return _decode_line(entry)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise FeedError(
                f"{self.where(line)}: is not a line of a capture ({error}); copy the capture again"
            ) from None

    def _stream(self, name: str, index_of: Mapping[str, int], line: int) -> tuple[int, bytes]:
        market, _, stream = name.partition("/")
        if market not in index_of:
            raise FeedError(
                f"{self.where(line)}: market {market!r} is not among the manifest's symbols; add it there"
            )
        return index_of[market], stream.encode()

    def _texts(self, whole: HASH) -> Iterator[bytes]:
        """Whole lines of all parts, a bounded number at a time, without the last line's end."""
        for part in self._manifest.parts:
            path, frames, rest = self._folder / part.file, 0, b""
            packed = hashlib.sha256()
            for chunk in _inflated(path, packed):
                whole.update(chunk)
                text, end, tail = (rest + chunk).rpartition(b"\n")
                rest = tail
                if end:
                    frames += text.count(b"\n") + 1
                    yield text
            if rest or frames != part.frames or packed.hexdigest() != part.sha256:
                raise FeedError(
                    f"{path}:{frames}: is not the part that the manifest lists; copy the capture again"
                )


def read_manifest(folder: Path) -> Manifest:
    """Raises `FeedError` for a manifest that is missing, damaged or of another format."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise FeedError(f"{path}: cannot be read ({error.strerror}); name the folder of a capture") from None
    except msgspec.DecodeError as error:
        raise FeedError(f"{path}: is not a capture's manifest ({error}); copy the capture again") from None
    if manifest.format != FORMAT:
        raise FeedError(f"{path}: format {manifest.format} is not known; this version reads format {FORMAT}")
    if not manifest.symbols or not manifest.parts:
        raise FeedError(f"{path}: lists no symbols or no parts; record at least one frame")
    times = [time for part in manifest.parts for time in (part.first_ns, part.last_ns)]
    if times != sorted(times):
        raise FeedError(f"{path}: parts are not in order of time; copy the capture again")
    return manifest


def _inflated(path: Path, packed: HASH) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor().decompressobj()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                packed.update(chunk)
                if inflater.eof:
                    raise FeedError(f"{path}: data follows its end; copy the capture again")
                yield inflater.decompress(chunk)
    except OSError as error:
        raise FeedError(f"{path}: cannot be read ({error.strerror}); copy the capture again") from None
    except zstandard.ZstdError as error:
        raise FeedError(f"{path}: is damaged ({error}); copy the capture again") from None
    if not inflater.eof:
        raise FeedError(f"{path}: ends early; copy the capture again")
