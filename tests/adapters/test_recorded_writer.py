"""A capture whose writer died, or whose disk failed, is gone on with; what was flushed is never lost."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.errors import FeedError
from adapters.recorded.capture import MANIFEST, CaptureRecording, read_manifest
from adapters.recorded.feeds import left_out, open_feeds
from adapters.recorded.writer import CaptureExists, CaptureWriter, PartLimit
from tests.adapters.synthetic import depth

SYMBOLS = ("spot:BTCUSDT", "usdm:BTCUSDT")
FIRST, SECOND = "00000.jsonl.zst", "00001.jsonl.zst"
S = 1_000_000_000
FLUSH_EVERY = 10  # frames
MINUTE = PartLimit(span_s=60)


def frame(n: int) -> bytes:
    return depth("spot", (n, n, n - 1), bids=[(f"{60_000 + n * 7919 % 1000}.{n % 100:02}", "1.5")])


def write(writer: CaptureWriter, numbers: range) -> None:
    """Frame ``n`` comes at ``n`` seconds; every `FLUSH_EVERY`-th is followed by a flush."""
    for n in numbers:
        writer.write(n * S, "spot/btcusdt@depth@100ms", frame(n))
        if n % FLUSH_EVERY == FLUSH_EVERY - 1:
            flush(writer)


def flush(writer: CaptureWriter) -> None:
    file = writer.flush()
    assert file is not None
    os.close(file)


def killed(folder: Path, numbers: range, limit: PartLimit = MINUTE) -> Path:
    """What a writer leaves that goes on with ``folder``, if it is there, and is killed after these frames."""
    living = folder.with_name("living")
    shutil.rmtree(living, ignore_errors=True)
    if folder.exists():
        folder.rename(living)
    with CaptureWriter(living, "binance", SYMBOLS, limit=limit, resume=True) as writer:
        write(writer, numbers)
        shutil.copytree(living, folder)
    return folder


def flushed_ends(packed: bytes) -> list[int]:
    """How much of a part there must be for each further `FLUSH_EVERY` lines of it to be readable."""
    ends: list[int] = []
    for end in range(1, len(packed) + 1):
        lines = zstandard.ZstdDecompressor().decompressobj().decompress(packed[:end]).count(b"\n")
        if lines // FLUSH_EVERY > len(ends):
            ends.append(end)
    return ends


def resumed(folder: Path, limit: PartLimit = MINUTE) -> CaptureWriter:
    return CaptureWriter(folder, "binance", SYMBOLS, limit=limit, resume=True)


def read(folder: Path) -> list[int]:
    """The numbers of the frames of a capture, whose hashes are verified by reading it."""
    blocks = CaptureRecording(folder).blocks({"spot": 0, "usdm": 1})
    return [at_ns // S for block in blocks for at_ns, _, _ in block]


@pytest.fixture
def died(tmp_path: Path) -> Path:
    """The folder of a writer that was killed in its second part: 60 frames in the first, 54 in the second,
    the last four of which were not flushed."""
    folder = killed(tmp_path / "died", range(114))
    assert len(read_manifest(folder).parts) == 1
    return folder


# --- going on


def test_what_was_flushed_survives_and_the_next_part_follows(died: Path) -> None:
    with resumed(died) as writer:
        assert writer.last_ns == 109 * S
        assert [(one.file, one.cut_bytes) for one in writer.salvaged] == [(SECOND, 0)]
        write(writer, range(200, 210))
    assert read(died) == [*range(110), *range(200, 210)]
    assert [part.file for part in read_manifest(died).parts] == [FIRST, SECOND, "00002.jsonl.zst"]
    assert not list(died.glob("*.partial"))


def test_the_hash_is_that_of_the_lines_whoever_wrote_them(died: Path, tmp_path: Path) -> None:
    with resumed(died) as writer:
        write(writer, range(200, 210))
    with CaptureWriter(tmp_path / "at once", "binance", SYMBOLS) as writer:
        write(writer, range(110))
        write(writer, range(200, 210))
    assert read_manifest(died).sha256 == read_manifest(tmp_path / "at once").sha256


def test_a_writer_that_dies_again_and_again_loses_only_what_was_not_flushed(tmp_path: Path) -> None:
    kept: list[int] = []
    for start in range(0, 1000, 100):
        killed(tmp_path / "c", range(start, start + 95))
        kept += range(start, start + 95)
        last_flush = max(n for n in kept if n % FLUSH_EVERY == FLUSH_EVERY - 1)
        last_part = next(n for n in reversed(kept) if n * S // (60 * S) != kept[-1] * S // (60 * S))
        kept = [n for n in kept if n <= max(last_flush, last_part)]
    with resumed(tmp_path / "c"):
        pass
    assert read(tmp_path / "c") == kept


def test_nothing_is_begun_by_going_on_alone(died: Path, tmp_path: Path) -> None:
    with resumed(died):
        pass
    before = {path.name: path.read_bytes() for path in died.iterdir()}
    with resumed(died) as writer:
        assert writer.salvaged == []
    assert {path.name: path.read_bytes() for path in died.iterdir()} == before
    with resumed(tmp_path / "new"):
        pass
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("has_its_name", [True, False])
def test_a_writer_killed_between_a_part_and_the_manifest(tmp_path: Path, has_its_name: bool) -> None:
    """The part has ended: under its name already, or not even that."""
    folder = tmp_path / "c"
    with resumed(folder) as writer:
        write(writer, range(50))
        begun = (folder / MANIFEST).read_bytes()
    packed = (folder / FIRST).read_bytes()
    (folder / MANIFEST).write_bytes(begun)
    if not has_its_name:
        (folder / FIRST).rename(folder / f"{FIRST}.partial")
    with resumed(folder) as writer:
        assert [one.cut_bytes for one in writer.salvaged] == [0]
    assert read(folder) == list(range(50))
    assert (folder / FIRST).read_bytes() == packed


def test_a_writer_killed_before_its_first_flush(tmp_path: Path) -> None:
    folder = killed(tmp_path / "c", range(9))
    with resumed(folder) as writer:
        assert [(one.part, one.cut_bytes) for one in writer.salvaged] == [(None, 0)]
        write(writer, range(20, 30))
    assert read(folder) == list(range(20, 30))


# --- damage


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_is_behind_the_last_flush_only_what_is_whole_is_kept(
    died: Path, data: st.DataObject
) -> None:
    folder = died.with_name("damaged")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(died, folder)
    partial = folder / f"{SECOND}.partial"
    whole = partial.read_bytes()
    ends = flushed_ends(whole)
    assert len(ends) == 5
    cut = data.draw(st.integers(0, len(whole)))
    garbage = data.draw(st.one_of(st.binary(max_size=60), st.just(bytes(5000))))
    partial.write_bytes(whole[:cut] + garbage)
    with resumed(folder) as writer:
        write(writer, range(200, 210))
    found = read(folder)
    assert found[:60] == list(range(60))
    assert found[-10:] == list(range(200, 210))
    kept = found[60:-10]
    assert kept == list(range(60, 60 + len(kept)))
    assert len(kept) % FLUSH_EVERY == 0
    assert len(kept) >= FLUSH_EVERY * sum(end <= cut for end in ends)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_part_that_is_damaged_anywhere_can_be_read_when_it_is_ended(
    died: Path, data: st.DataObject
) -> None:
    folder = died.with_name("damaged")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(died, folder)
    partial = folder / f"{SECOND}.partial"
    spoilt = bytearray(partial.read_bytes())
    at = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[at] ^= data.draw(st.integers(1, 255))
    partial.write_bytes(spoilt)
    with resumed(folder):
        pass
    assert read(folder)[:60] == list(range(60))


def repacked(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], object]:
    """Put other lines into the second part, in one block that was flushed."""

    def spoil(folder: Path) -> None:
        lines = [b'{"t":%d,"s":"spot/x","m":{}}' % (n * S) for n in range(60, 70)]
        compressor = zstandard.ZstdCompressor().compressobj()
        packed = compressor.compress(b"".join(line + b"\n" for line in change(lines)))
        packed += compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        (folder / f"{SECOND}.partial").write_bytes(packed)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (repacked(lambda lines: lines), 10),
        (repacked(lambda lines: [*lines[:5], b"no json", *lines[5:]]), 0),
        (repacked(lambda lines: [lines[1], lines[0]]), 0),
        (repacked(lambda lines: [b'{"t":1,"s":"spot/x","m":{}}', *lines]), 0),
        (repacked(lambda lines: [*lines, b'{"t":70000000000,"s":"spht/x","m":{}}']), 0),
        (lambda folder: (folder / f"{SECOND}.partial").write_bytes(b"no zstd at all"), 0),
        (
            lambda folder: (folder / f"{SECOND}.partial").write_bytes(
                zstandard.ZstdCompressor(write_checksum=True).compress(b'{"t":60,"s":"spot/x","m":{}}\n')
            ),
            0,
        ),
    ],
)
def test_lines_that_a_reader_would_refuse_are_not_kept(
    died: Path, spoil: Callable[[Path], object], kept: int
) -> None:
    spoil(died)
    with resumed(died) as writer:
        assert [one.part.frames if one.part else 0 for one in writer.salvaged] == [kept]
    assert len(read(died)) == 60 + kept


def test_damage_in_what_has_ended_is_refused(died: Path) -> None:
    path = died / FIRST
    packed = path.read_bytes()
    path.write_bytes(packed[:-9] + b"\xff" + packed[-8:])
    with pytest.raises(FeedError, match=FIRST):
        resumed(died)


# --- a folder that is another's


@pytest.mark.parametrize(
    ("venue", "symbols", "offset_s"),
    [("other", SYMBOLS, 0.0), ("binance", SYMBOLS[:1], 0.0), ("binance", SYMBOLS, 1.0)],
)
def test_another_capture_is_not_gone_on_with(
    died: Path, venue: str, symbols: tuple[str, ...], offset_s: float
) -> None:
    before = {path.name: path.read_bytes() for path in died.iterdir()}
    with pytest.raises(FeedError, match="holds a capture of binance spot:BTCUSDT, usdm:BTCUSDT"):
        CaptureWriter(died, venue, symbols, offset_s, resume=True)
    assert {path.name: path.read_bytes() for path in died.iterdir()} == before


def test_the_same_symbols_in_another_order_are_the_same(died: Path) -> None:
    with CaptureWriter(died, "binance", SYMBOLS[::-1], resume=True):
        pass
    assert read_manifest(died).symbols == SYMBOLS


@pytest.mark.parametrize("resume", [True, False])
def test_parts_without_a_manifest_are_nobodys(died: Path, resume: bool) -> None:
    (died / MANIFEST).unlink()
    with pytest.raises(FeedError, match=f"no {MANIFEST} that says whose they are; record to another folder"):
        CaptureWriter(died, "binance", SYMBOLS, resume=resume)
    with pytest.raises(FeedError, match=f"no {MANIFEST} that says whose they are; copy the folder again"):
        open_feeds([died])


def test_a_capture_is_not_gone_on_with_unless_asked(died: Path) -> None:
    with pytest.raises(CaptureExists, match="give --resume to go on with it, or another folder"):
        CaptureWriter(died, "binance", SYMBOLS)


# --- reading what a dead writer left


def test_a_part_that_has_not_ended_is_named(died: Path) -> None:
    assert read(died) == list(range(60))
    shutil.rmtree(died.with_name("living"))
    for path in (died, died.parent, died / MANIFEST):
        (sentence,) = left_out([path])
        assert str(died / f"{SECOND}.partial") in sentence
        assert f"`basisbot record --out {died} --resume`" in sentence
    with resumed(died):
        pass
    assert left_out([died]) == []


def test_a_capture_in_its_first_part_says_how_it_is_ended(tmp_path: Path) -> None:
    folder = killed(tmp_path / "c", range(50))
    with pytest.raises(FeedError, match=f"`basisbot record --out {folder} --resume`"):
        open_feeds([folder])


# --- a disk that takes no more


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", range(1500, 4000, 250))
def test_a_disk_that_takes_no_more_ends_the_part_with_what_was_flushed(tmp_path: Path, size: int) -> None:
    folder = tmp_path / "c"
    writer = CaptureWriter(folder, "binance", SYMBOLS)
    with no_file_above(size), pytest.raises(OSError, match="File too large"):
        write(writer, range(100_000))
    writer.close()
    found = read(folder)
    assert found == list(range(len(found)))
    assert len(found) >= FLUSH_EVERY
    assert len(found) % FLUSH_EVERY == 0
    assert not list(folder.glob("*.partial"))
    with resumed(folder) as again:
        write(again, range(200_000, 200_010))
    assert read(folder) == [*found, *range(200_000, 200_010)]


def test_a_disk_that_fails_at_the_end_of_a_part(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    writer = CaptureWriter(folder, "binance", SYMBOLS)
    write(writer, range(46))
    size = (folder / f"{FIRST}.partial").stat().st_size
    with no_file_above(size + 3), pytest.raises(OSError, match="File too large"):
        writer.close()
    assert read(folder) == list(range(40))
