"""Ends a part in whose middle its recorder died, or its disk failed, with the whole lines that it holds.

The compressor's blocks are flushed at the end of a line every few seconds, so a crash leaves blocks, a torn
one behind them, and after a loss of power anything.  The part is ended where it lies, since a full disk has
no room for another: it is cut behind the last block that ends a good line, and closed by an empty block.
What must stay true: nothing before the cut is rewritten, no line is kept that a reader would refuse, and a
part that has ended already is left as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import zstandard
from msgspec import Struct

from adapters.recorded.capture import Part, decode_line

if TYPE_CHECKING:
    from _hashlib import HASH

_HEAD_BYTES = 18  # of a frame at most; the format of blocks is RFC 8878, 3.1.1
_BLOCK_HEAD_BYTES = 3
_RAW, _RLE = 0, 1  # types of a block
END = b"\x01\x00\x00"  # the last block of a stream: raw, of no bytes


class Salvaged(Struct, frozen=True):
    """``part`` is ``None`` where not one line was whole; ``cut_bytes`` were behind what was kept."""

    file: str
    part: Part | None
    cut_bytes: int


def end_part(found: Path, path: Path, whole: HASH, after_ns: int, markets: frozenset[str]) -> Salvaged:
    """End the part ``found`` and give it the name ``path``, on disk when this returns; remove one that holds
    no line.  ``whole`` takes the lines kept, none older than ``after_ns`` or of another market.

    Raises ``OSError``."""
    keep, frames, first_ns, last_ns, is_ended = 0, 0, 0, after_ns, False
    lines = bytearray()
    with found.open("r+b") as file:
        for end, text, is_last in _blocks(file):
            lines += text
            if lines and not lines.endswith(b"\n"):
                continue
            times = _times(lines, last_ns, markets)
            if times is None:
                break
            whole.update(lines)
            lines.clear()
            if times:
                first_ns, last_ns = first_ns if frames else times[0], times[-1]
            keep, frames, is_ended = end, frames + len(times), is_last
        cut_bytes = file.seek(0, os.SEEK_END) - keep
        if frames:
            _cut(file, keep, is_ended)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if not frames:
        found.unlink()
        sync_entry(found)
        return Salvaged(path.name, None, cut_bytes)
    found.replace(path)
    sync_entry(path)
    return Salvaged(path.name, Part(path.name, sha256, frames, first_ns, last_ns), cut_bytes)


def make_folder(folder: Path) -> None:
    """Make ``folder`` if need be, on disk when this returns.  Raises ``OSError``."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        sync_entry(folder)


def sync_entry(path: Path) -> None:
    """Bring to disk that ``path`` is where it is: a file's own sync does not speak of its name."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cut(file: BinaryIO, keep: int, is_ended: bool) -> None:
    if not is_ended:
        file.seek(keep)
        file.write(END)
        keep = file.tell()
    file.truncate(keep)
    os.fsync(file.fileno())


def _times(lines: bytearray, last_ns: int, markets: frozenset[str]) -> list[int] | None:
    """When each line was received; ``None`` if one is no line of this capture, or out of order."""
    times = []
    for text in bytes(lines).split(b"\n")[:-1]:
        try:
            line = decode_line(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        if line.t < last_ns or line.s.partition("/")[0] not in markets:
            return None
        times.append(line.t)
        last_ns = line.t
    return times


def _blocks(file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Each block that can be read: where it ends, what it holds, and whether it is the last.

    A block that holds nothing and is not the last is what a lost write reads as, and ends the reading."""
    head = file.read(_HEAD_BYTES)
    try:
        end = zstandard.frame_header_size(head)
        # a checksum of all lines cannot be made good for those that are kept
        if zstandard.get_frame_parameters(head).has_checksum:
            return
    except zstandard.ZstdError:
        return
    file.seek(end)
    inflater = zstandard.ZstdDecompressor().decompressobj()
    inflater.decompress(head[:end])
    while len(block_head := file.read(_BLOCK_HEAD_BYTES)) == _BLOCK_HEAD_BYTES:
        word = int.from_bytes(block_head, "little")
        is_last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
        block = file.read(1 if kind == _RLE else size)
        if word == _RAW or (kind != _RLE and len(block) < size):
            return
        try:
            text = inflater.decompress(block_head + block)
        except zstandard.ZstdError:
            return
        end += _BLOCK_HEAD_BYTES + len(block)
        yield end, text, is_last
        if is_last:
            return
