"""Importer of captures of the form ``<local ns> <JSON>``, one frame a line, gzip or plain.

Such a file has no manifest, so what it is, is told by its frames: they are Binance's; a spot depth update has
no ``pu``, one of COIN-M carries ``ps``.  The recorder's clock is corrected by the 99th percentile of event
time less local time over the first frames: a frame can be late but not early, so the largest difference is
the clock's.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain, islice, pairwise, repeat
from pathlib import Path

import msgspec
from msgspec import Struct, field

from adapters.binance.codec import enveloped
from adapters.errors import FeedError
from adapters.recorded.frames import HEAD_FRAMES, Feed, Frame

VENUE = "binance"
_READ_BYTES = 16_384
_TEXT_BYTES = 1 << 18
_STAMP = 19  # digits of a time in ns, from 2001 to 2286
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib: largest window, gzip header
_NAMED = b' {"stream":"'
_NAMED_END = _STAMP + len(_NAMED)
_FORM = "is not '<time in ns> <JSON>'; correct or remove the line"


class _Told(Struct, frozen=True):
    event: str = field(name="e", default="")
    event_ms: int | None = field(name="E", default=None)
    symbol: str = field(name="s", default="")
    previous: int | None = field(name="pu", default=None)
    pair: str = field(name="ps", default="")


class _Head(Struct):
    """What the first frames are read for; a frame without envelope tells nothing here."""

    data: _Told = _Told()


_decode_head = msgspec.json.Decoder(_Head, strict=False).decode


class LinesRecording:
    """One such file.  ``symbol`` is that of all its frames, ``None`` when there are several."""

    def __init__(self, path: Path) -> None:
        """Reads the head of the file.  Raises `FeedError`."""
        self._path = path
        self.offset_ns = 0
        self._market = ""
        self.symbol: str | None = None
        self._read_head()

    @property
    def markets(self) -> tuple[str, ...]:
        return (self._market,)

    def feeds(self) -> list[Feed]:
        """``sha256`` is of the file's bytes as they are on disk, compressed or not."""
        with self._path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return [Feed(f"{VENUE}:{self._market}", self._market, sha256, self.offset_ns, self)]

    def where(self, line: int) -> str:
        return f"{self._path}:{line}"

    def blocks(self, index_of: Mapping[str, int]) -> Iterator[list[Frame]]:
        index = index_of[self._market]
        last_ns = 0
        for line, lines in self._lists():
            times = self._times(lines, line, last_ns)
            frames = list(zip(times, repeat(index), [entry[_STAMP + 1 :] for entry in lines], strict=False))
            if {entry[_STAMP:_NAMED_END] for entry in lines} != {_NAMED}:
                self._name_streams(frames, line)
            yield frames
            last_ns = times[-1]

    def _times(self, lines: list[bytes], first_line: int, last_ns: int) -> list[int]:
        """Corrected times of lines that follow one received at ``last_ns``."""
        offset_ns = self.offset_ns
        try:
            times = [int(entry[:_STAMP]) + offset_ns for entry in lines]
        except ValueError:
            bad = next(n for n, entry in enumerate(lines, first_line) if not entry[:_STAMP].isdigit())
            raise FeedError(f"{self.where(bad)}: {_FORM}") from None
        if times[0] < last_ns or times != sorted(times):
            steps_ns = [now - before for before, now in pairwise((last_ns, *times))]
            bad = next(n for n, step_ns in enumerate(steps_ns) if step_ns < 0)
            raise FeedError(
                f"{self.where(first_line + bad)}: time goes back by {-steps_ns[bad]} ns; sort the file"
            )
        return times

    def _name_streams(self, frames: list[Frame], first_line: int) -> None:
        for position, (at_ns, index, payload) in enumerate(frames):
            if payload.startswith(_NAMED[1:]):
                continue
            try:
                frames[position] = (at_ns, index, enveloped(payload, self.symbol)[1])
            except msgspec.ValidationError:
                continue  # JSON of a kind nobody knows: whoever takes the frame counts it
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                raise FeedError(f"{self.where(first_line + position)}: {_FORM}") from None

    def _read_head(self) -> None:
        symbols: set[str] = set()
        offsets: list[int] = []
        line = 0
        for text in islice(self._lines(), HEAD_FRAMES):
            line += 1
            told = self._told(text, line)
            if told.symbol:
                symbols.add(told.symbol)
            if told.event == "depthUpdate" and not self._market:
                self._market = "spot" if told.previous is None else "coinm" if told.pair else "usdm"
            if told.event_ms is not None:
                offsets.append(told.event_ms * 1_000_000 - int(text[:_STAMP]))
        if not self._market or not offsets:
            raise FeedError(
                f"{self._path}: none of the first {line} frames is a Binance depth update, so the market is"
                " not told; give a capture with a manifest"
            )
        self.symbol = symbols.pop() if len(symbols) == 1 else None
        offsets.sort()
        self.offset_ns = offsets[(len(offsets) * 99 - 1) // 100]

    def _told(self, text: bytes, line: int) -> _Told:
        if not text[:_STAMP].isdigit():
            raise FeedError(f"{self.where(line)}: {_FORM}")
        try:
            return _decode_head(text[_STAMP + 1 :]).data
        except msgspec.ValidationError:
            return _Told()
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise FeedError(f"{self.where(line)}: {_FORM} ({error})") from None

    def _lines(self) -> Iterator[bytes]:
        return chain.from_iterable(lines for _, lines in self._lists())

    def _lists(self) -> Iterator[tuple[int, list[bytes]]]:
        """Whole lines without their ends, a bounded number at a time, and the number of the first of them."""
        rest = b""
        line = 1
        try:
            for chunk in _inflated(_chunks(self._path)):
                text, end, tail = (rest + chunk).rpartition(b"\n")
                rest = tail
                if end:
                    lines = text.split(b"\n")
                    yield line, lines
                    line += len(lines)
        except zlib.error as error:
            raise FeedError(
                f"{self.where(line)}: the data is damaged or cut off ({error}); copy the file again"
            ) from None
        except OSError as error:
            raise FeedError(f"{self._path}: cannot be read ({error.strerror}); check the path") from None
        if rest:
            yield line, [rest]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The plain bytes of a file that may be gzip.  Raises ``zlib.error``."""
    first = next(chunks, b"")
    if not first.startswith(_GZIP):
        yield first
        yield from chunks
        return
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    for chunk in chain((first,), chunks):
        data = chunk
        while data:
            if inflater.eof:  # a file may hold several gzip members
                inflater = zlib.decompressobj(_GZIP_WINDOW)
            yield inflater.decompress(data, _TEXT_BYTES)
            data = inflater.unconsumed_tail or inflater.unused_data
    yield inflater.flush()
    if not inflater.eof:
        raise zlib.error("it ends early")
