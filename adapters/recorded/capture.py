"""Our own captures: raw frames as zstd-compressed JSON lines in parts, and a manifest.

A capture is a folder.  A line is ``{"t": receive time in ns, "s": "market/stream", "m": raw frame}``; parts
are cut by size or hour and mean nothing: the lines of all parts together are the capture, and their hash
identifies it. The manifest is written whole, with the first line and at the end of each part, so that what it
lists is always complete; the part being written stands beside it under the name of a partial one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
PART = ".jsonl.zst"  # how the name of a part ends
PARTIAL = ".partial"  # what is added to it while the part is being written
if TYPE_CHECKING:
    from _hashlib import HASH

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


decode_line = msgspec.json.Decoder(Line).decode


class CaptureRecording:
    """A capture being read.  Hashes of parts and of the whole are verified as they are read."""

    def __init__(self, folder: Path) -> None:
        """Reads the manifest.  Raises `FeedError`."""
        self._folder = folder
        self._manifest = read_manifest(folder)
        if not self._manifest.parts:
            raise FeedError(f"{folder}: no part of the capture has ended yet; {how_to_end(folder)}")
        self._offset_ns = round(self._manifest.clock_offset_s * 1e9)
        self.markets = tuple(sorted(markets(self._manifest.symbols)))

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
        for text in texts(self._folder, self._manifest.parts, whole):
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
            return decode_line(entry)
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


def markets(symbols: Iterable[str]) -> frozenset[str]:
    """Of ``market:SYMBOL`` each."""
    return frozenset(symbol.partition(":")[0] for symbol in symbols)


def texts(folder: Path, parts: Sequence[Part], whole: HASH) -> Iterator[bytes]:
    """Whole lines of these parts, a bounded number at a time, without the last line's end; ``whole`` takes
    all of it.  Raises `FeedError` for a part that is not what its entry states."""
    for part in parts:
        path, frames, rest = folder / part.file, 0, b""
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
    if not manifest.symbols:
        raise FeedError(f"{path}: lists no symbols; copy the capture again")
    times = [time for part in manifest.parts for time in (part.first_ns, part.last_ns)]
    if times != sorted(times):
        raise FeedError(f"{path}: parts are not in order of time; copy the capture again")
    return manifest


def unended(folder: Path) -> list[Path]:
    """Parts that a recorder writes, or was writing when it died; no manifest lists them."""
    return sorted(folder.glob(f"*{PART}{PARTIAL}"))


def how_to_end(folder: Path) -> str:
    return f"if no recorder writes it, take it over by `basisbot record --out {folder} --resume`"


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
