"""Our own captures: written, read, split, damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from adapters.errors import FeedError
from adapters.recorded.capture import MANIFEST, read_manifest
from adapters.recorded.feeds import exchange_info, open_feeds
from adapters.recorded.frames import Frame
from adapters.recorded.merge import merge
from adapters.recorded.writer import CaptureExists, CaptureWriter, PartLimit
from tests.adapters.synthetic import START_NS, depth, snapshot, ticker

SYMBOLS = ("spot:BTCUSDT", "usdm:BTCUSDT")
S = 1_000_000_000
WHOLE = PartLimit(span_s=10**9)


def write(folder: Path, limit: PartLimit = WHOLE, count: int = 200, offset_s: float = 0.5) -> Path:
    with CaptureWriter(folder, "binance", SYMBOLS, offset_s, limit) as writer:
        writer.write(START_NS, "usdm/exchangeInfo", b'{"rateLimits":[],"symbols":[]}')
        for n in range(count):
            at_ns = START_NS + (n // 4) * 60 * S
            market = ("usdm", "spot")[n % 2]
            if n < 2:
                frame = snapshot(market, 100, [("100.0", "1")], [("101.0", "1")])
                writer.write(at_ns, f"{market}/btcusdt@snapshot", frame)
            elif n % 3:
                writer.write(
                    at_ns, f"{market}/btcusdt@depth@100ms", depth(market, (100 + n, 100 + n, 99 + n))
                )
            else:
                writer.write(
                    at_ns, f"{market}/btcusdt@bookTicker", ticker(market, n, ("100.0", "1"), ("101.0", "1"))
                )
    return folder


def played(folder: Path) -> list[Frame]:
    return list(merge(open_feeds([folder])))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    feeds = open_feeds([write(tmp_path / "c")])
    assert [(feed.name, feed.market, feed.offset_ns) for feed in feeds] == [
        ("binance:spot", "spot", S // 2),
        ("binance:usdm", "usdm", S // 2),
    ]
    frames = list(merge(feeds))
    assert len(frames) == 201
    assert frames == sorted(frames, key=lambda frame: frame[:2])
    spot_first, usdm_first = frames[0], next(frame for frame in frames if frame[1] == 1)
    assert spot_first[:2] == (START_NS + S // 2, 0)
    assert spot_first[2].startswith(b'{"stream":"btcusdt@snapshot","data":{"lastUpdateId":100')
    assert usdm_first[2] == b'{"stream":"exchangeInfo","data":{"rateLimits":[],"symbols":[]}}'
    assert exchange_info(feeds[1]) == usdm_first[2]
    assert exchange_info(feeds[0]) is None


@pytest.mark.parametrize(
    ("limit", "parts"),
    [(WHOLE, 1), (PartLimit(line_bytes=5000, span_s=10**9), 8), (PartLimit(span_s=3600), 2)],
)
def test_a_capture_split_in_parts_replays_as_one(tmp_path: Path, limit: PartLimit, parts: int) -> None:
    whole, split = write(tmp_path / "whole"), write(tmp_path / "split", limit)
    manifest = read_manifest(split)
    assert len(manifest.parts) == parts
    assert played(split) == played(whole)
    assert [feed.sha256 for feed in open_feeds([split])] == [feed.sha256 for feed in open_feeds([whole])]
    lines = b""
    for part in manifest.parts:
        packed = (split / part.file).read_bytes()
        text = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        assert hashlib.sha256(packed).hexdigest() == part.sha256
        assert text.count(b"\n") == part.frames
        assert json.loads(text.split(b"\n")[0])["t"] == part.first_ns
        lines += text
    assert hashlib.sha256(lines).hexdigest() == manifest.sha256
    assert not list(split.glob("*.partial"))


def test_the_manifest_can_be_named_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    assert list(merge(open_feeds([folder / MANIFEST]))) == played(folder)


def test_a_writer_refuses_what_a_reader_would(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    with pytest.raises(CaptureExists, match="holds a capture already; give --resume"):
        CaptureWriter(folder, "binance", SYMBOLS)
    with CaptureWriter(tmp_path / "d", "binance", SYMBOLS) as writer:
        writer.write(5, "spot/x", b"{}")
        with pytest.raises(ValueError, match="time goes back: 4 after 5"):
            writer.write(4, "spot/x", b"{}")
        with pytest.raises(ValueError, match="a frame must be one line"):
            writer.write(6, "spot/x", b"{\n}")
    assert read_manifest(tmp_path / "d").parts[0].frames == 1


# --- damage


def repack(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Change the lines of the second part, and its hash in the manifest with them."""

    def spoil(folder: Path) -> None:
        path = folder / "00001.jsonl.zst"
        text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
        packed = zstandard.ZstdCompressor().compress(change(text))
        path.write_bytes(packed)
        manifest = json.loads((folder / MANIFEST).read_bytes())
        manifest["parts"][1]["sha256"] = hashlib.sha256(packed).hexdigest()
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return spoil


def in_manifest(**changes: object) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        (folder / MANIFEST).write_text(json.dumps(manifest | changes))

    return spoil


def second_part(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        path = folder / "00001.jsonl.zst"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def swap_parts(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["parts"].reverse()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def third_line(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(text: bytes) -> bytes:
        lines = text.split(b"\n")
        lines[2] = change(lines[2])
        return b"\n".join(lines)

    return changed


DAMAGE = [
    (second_part(lambda data: data[:-20]), r"00001.jsonl.zst: ends early; copy the capture again$"),
    (second_part(lambda data: data + b"xx"), r"00001.jsonl.zst:\d+: is not the part|data follows its end"),
    (
        second_part(lambda data: data[:60] + b"\xff\xff" + data[62:]),
        r"00001.jsonl.zst(: is damaged|:\d+: is not (the part|a line of a capture)).*; copy",
    ),
    (second_part(lambda data: b"no zstd at all"), r"00001.jsonl.zst: is damaged"),
    (lambda folder: (folder / "00001.jsonl.zst").unlink(), r"00001.jsonl.zst: cannot be read \(No such file"),
    (repack(third_line(lambda line: b"")), r"00001.jsonl.zst:3: is not a line of a capture \(.*\); copy"),
    (repack(third_line(lambda line: b"{}")), r"00001.jsonl.zst:3: is not a line of a capture"),
    (repack(third_line(lambda line: line[:-2])), r"00001.jsonl.zst:3: is not a line of a capture"),
    (
        repack(third_line(lambda line: b'{"t":1,' + line.split(b",", 1)[1])),
        r"00001.jsonl.zst:3: time goes back by",
    ),
    (
        repack(third_line(lambda line: line.replace(b'"s":"', b'"s":"x'))),
        r":3: market 'x(spot|usdm)' is not among",
    ),
    (
        repack(lambda text: text[: text.index(b"\n") + 1]),
        r"00001.jsonl.zst:1: is not the part that the manifest",
    ),
    (
        repack(lambda text: text.replace(b'"100.0"', b'"100.1"', 1)),
        r"manifest.json: the lines have another hash",
    ),
    (
        in_manifest(sha256="0" * 64),
        r"manifest.json: the lines have another hash than stated; copy the capture",
    ),
    (in_manifest(format=2), r"manifest.json: format 2 is not known; this version reads format 1$"),
    (in_manifest(parts=[]), r"c: no part of the capture has ended yet; if no recorder writes it, take it"),
    (in_manifest(symbols=5), r"manifest.json: is not a capture's manifest \(.*\); copy"),
    (swap_parts, r"manifest.json: parts are not in order of time"),
]


@pytest.mark.parametrize(("spoil", "message"), DAMAGE)
def test_damage_is_found_and_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    folder = write(tmp_path / "c", PartLimit(line_bytes=9000, span_s=10**9))
    assert len(played(folder)) == 201
    spoil(folder)
    with pytest.raises(FeedError, match=message):
        played(folder)


def test_a_folder_without_manifest_is_none(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"manifest.json: cannot be read .*; name the folder of a capture"):
        read_manifest(tmp_path)
