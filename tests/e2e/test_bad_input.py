"""Bad input: one sentence that a person can act on and the right exit code, or counted in the report."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.recorded.writer import CaptureWriter
from tests.conftest import ROOT
from tests.e2e import feeds
from tests.e2e.process import Done, basisbot, lawful, paper

SCENE = feeds.Scene(seconds=30, premium=((0, 1500),))
PLACE = 80  # the line that is spoilt, counted from 0


def run(cwd: Path, recorded: feeds.Lines, changes: dict[str, str] | None = None) -> Done:
    return paper(cwd, feeds.write(cwd / "feed", recorded), feeds.settings("usdm", changes))


def assert_refused(done: Done, code: int, *words: str) -> None:
    """One sentence on standard error, nothing on standard output."""
    assert (done.code, done.out) == (code, ""), done.err
    assert done.sentence.startswith("basisbot: ")
    assert "\n" not in done.sentence
    for word in words:
        assert word in done.sentence


def edited(line: bytes, **changes: object) -> bytes:
    """A line whose frame's data has other values."""
    stamp, frame = line.split(b" ", 1)
    content = json.loads(frame)
    content["data"] |= changes
    return stamp + b" " + json.dumps(content, separators=(",", ":")).encode()


def nth(lines: list[bytes], event: bytes, number: int = 10) -> int:
    """Position of the n-th frame of a stream."""
    return [position for position, line in enumerate(lines) if event in line][number]


# --- files and lines that end the run --------------------------------------------------------------


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def corrupted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("spoil", [truncated, corrupted])
def test_a_damaged_gzip_file(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    spot, usdm = feeds.record(tmp_path / "feed", SCENE)
    packed = usdm.with_suffix(".gz")
    packed.write_bytes(gzip.compress(usdm.read_bytes(), mtime=0))
    spoil(packed)
    assert_refused(paper(tmp_path, [spot, packed], feeds.settings()), 4, f"{packed}:", "copy the file again")


@pytest.mark.parametrize("spoil", [truncated, corrupted])
def test_a_damaged_capture(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    with CaptureWriter(folder, "binance", ("spot:BTCUSDT", "usdm:BTCUSDT")) as writer:
        for at_ms, market, frame in feeds.frames(SCENE):
            stream = json.loads(frame).get("stream", "btcusdt@snapshot")
            writer.write(at_ms * 1_000_000, f"{market}/{stream}", frame)
    (part,) = folder.glob("*.zst")
    spoil(part)
    assert_refused(paper(tmp_path, [folder], feeds.settings()), 4, str(part), "copy the capture again")


def not_json(lines: list[bytes]) -> None:
    lines[PLACE] = lines[PLACE][:19] + b" <html>busy</html>"


def half_a_frame(lines: list[bytes]) -> None:
    lines[PLACE] = lines[PLACE][:-20]


def no_time(lines: list[bytes]) -> None:
    lines[PLACE] = lines[PLACE][20:]


def back_in_time(lines: list[bytes]) -> None:
    lines[PLACE], lines[PLACE - 1] = lines[PLACE - 1], lines[PLACE]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_json, "correct or remove the line"),
        (half_a_frame, "correct or remove the line"),
        (no_time, "correct or remove the line"),
        (back_in_time, "time goes back"),
    ],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["head", "behind"])
def test_a_line_that_cannot_be_read_is_named(
    spoil: Callable[[list[bytes]], None], words: str, is_late: bool, tmp_path: Path
) -> None:
    """Also behind the lines that are looked at before the first one is played."""
    scene = feeds.Scene(seconds=45, premium=((0, 1500),), depth_ms=10) if is_late else SCENE
    recorded = feeds.lines(scene)
    lines = recorded["usdm"]
    good, bad = (lines[:4100], lines[4100:]) if is_late else ([], lines)
    spoil(bad)
    recorded["usdm"] = good + bad
    done = run(tmp_path, recorded)
    assert_refused(done, 4, f"{tmp_path / 'feed/usdm.jsonl'}:{len(good) + PLACE + 1}: ", words)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (spot, _) = feeds.record(tmp_path / "feed", SCENE)
    other = tmp_path / "notes.txt"
    other.write_text("buy low\nsell high\n", encoding="utf-8")
    assert_refused(paper(tmp_path, [spot, other], feeds.settings()), 4, f"{other}:1: ")
    other.write_bytes(b"")
    assert_refused(paper(tmp_path, [spot, other], feeds.settings()), 4, f"{other}: ", "market is not told")


def test_a_recording_given_twice(tmp_path: Path) -> None:
    spot, usdm = feeds.record(tmp_path / "feed", SCENE)
    assert_refused(paper(tmp_path, [spot, usdm, spot], feeds.settings()), 4, str(spot), "twice")


def test_a_market_that_no_feed_carries(tmp_path: Path) -> None:
    spot, _ = feeds.record(tmp_path / "feed", SCENE)
    assert_refused(paper(tmp_path, [spot], feeds.settings()), 4, "no feed carries usdm")


# --- frames that are counted -----------------------------------------------------------------------


def unknown_stream(lines: list[bytes]) -> None:
    position = nth(lines, b'"trade"')
    lines[position] = lines[position].replace(b"@trade", b"@liquidity")


def unknown_symbol(lines: list[bytes]) -> None:
    position = nth(lines, b"@bookTicker")
    lines[position] = lines[position].replace(b"btcusd_perp@", b"ethusd_perp@").replace(b"BTCUSD", b"ETHUSD")


@pytest.mark.parametrize(
    ("spoil", "reason", "drift"),
    [
        (unknown_stream, "unknown stream", {"binance:coinm btcusd_perp@liquidity": 1}),
        (unknown_symbol, "symbol not traded", {}),
    ],
)
def test_frames_of_no_use_are_ignored_by_reason(
    spoil: Callable[[list[bytes]], None], reason: str, drift: dict[str, int], tmp_path: Path
) -> None:
    recorded = feeds.lines(feeds.Scene(perpetual="coinm", seconds=30, premium=((0, 1500),)))
    spoil(recorded["coinm"])
    done = paper(tmp_path, feeds.write(tmp_path / "feed", recorded), feeds.settings("coinm"))
    lawful(done)
    dispositions = done.report.frames_by_disposition
    assert dispositions.ignored == {reason: 1}
    assert dispositions.refused == {}
    assert dispositions.total() == done.report.frames_in == sum(map(len, recorded.values()))
    assert done.report.protocol_drift == drift
    assert done.orders != []


def test_a_snapshot_that_could_be_of_either_symbol_is_not_guessed(tmp_path: Path) -> None:
    """One of USD-M names no symbol: among frames of two it is of neither, and without it nothing trades."""
    recorded = feeds.lines(SCENE)
    lines = recorded["usdm"]
    position = nth(lines, b"@bookTicker")
    lines[position] = lines[position].replace(b"btcusdt@", b"ethusdt@").replace(b"BTCUSDT", b"ETHUSDT")
    done = run(tmp_path, recorded)
    lawful(done)
    assert done.report.frames_by_disposition.ignored == {"symbol not traded": 1, "unknown stream": 1}
    assert done.orders == []


def crossed_touch(lines: list[bytes]) -> None:
    position = nth(lines, b"@bookTicker")
    lines[position] = edited(lines[position], b="100900.00")


def crossed_diff(lines: list[bytes]) -> None:
    position = nth(lines, b"depthUpdate")
    lines[position] = edited(lines[position], b=[["100900.00", "1"]])
    following = nth(lines, b"depthUpdate", 11)
    lines[following] = edited(
        lines[following], b=[*json.loads(lines[following][20:])["data"]["b"], ["100900.00", "0"]]
    )


def empty_book(lines: list[bytes]) -> None:
    position = nth(lines, b"lastUpdateId", 0)
    stamp, frame = lines[position].split(b" ", 1)
    content = json.loads(frame) | {"bids": []}
    lines[position] = stamp + b" " + json.dumps(content).encode()
    following = nth(lines, b"depthUpdate", 1)
    lines[following] = edited(lines[following], b=[])


def zero_price(lines: list[bytes]) -> None:
    position = nth(lines, b"@bookTicker")
    lines[position] = edited(lines[position], a="0.00")


def nan_price(lines: list[bytes]) -> None:
    position = nth(lines, b"@bookTicker")
    lines[position] = edited(lines[position], a="NaN")


def zero_mark(lines: list[bytes]) -> None:
    position = nth(lines, b"@markPrice", 2)
    lines[position] = edited(lines[position], p="0.00000000")


def negative_size(lines: list[bytes]) -> None:
    position = nth(lines, b"@bookTicker")
    lines[position] = edited(lines[position], B="-1")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (crossed_touch, "crossed book"),
        (crossed_diff, "crossed book"),
        (empty_book, "empty book"),
        (zero_price, "zero, negative or NaN price or size"),
        (nan_price, "zero, negative or NaN price or size"),
        (zero_mark, "zero, negative or NaN price or size"),
        (negative_size, "zero, negative or NaN price or size"),
    ],
)
def test_frames_that_cannot_be_true_are_refused_by_reason(
    spoil: Callable[[list[bytes]], None], reason: str, tmp_path: Path
) -> None:
    recorded = feeds.lines(SCENE)
    spoil(recorded["usdm"])
    done = run(tmp_path, recorded)
    lawful(done)
    dispositions = done.report.frames_by_disposition
    assert set(dispositions.refused) == {reason}
    assert 1 <= dispositions.refused[reason] <= 2
    assert dispositions.total() == done.report.frames_in == sum(map(len, recorded.values()))


def test_a_gap_without_a_snapshot_is_counted_and_nothing_is_traded(tmp_path: Path) -> None:
    scene = feeds.Scene(seconds=30, premium=((0, 0), (5, 0), (6, 1500)))
    recorded = feeds.lines(scene)
    lines = recorded["spot"]
    del lines[nth(lines, b"depthUpdate", 3)]
    done = run(tmp_path, recorded)
    lawful(done)
    assert done.report.gaps == 1
    assert done.report.not_trading["gap"] > 20
    assert done.orders == []


def test_a_feed_that_never_has_a_snapshot_trades_nothing(tmp_path: Path) -> None:
    recorded = feeds.lines(SCENE)
    recorded["usdm"] = [line for line in recorded["usdm"] if b"lastUpdateId" not in line]
    done = run(tmp_path, recorded)
    lawful(done)
    assert done.orders == []
    assert done.report.frames_by_disposition.total() == done.report.frames_in
    assert done.report.frames_by_disposition.stale > 50


# --- settings and other inputs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"STRATEGY__PATIENCE_S": "2s"}, ["BASISBOT_STRATEGY__PATIENCE_S='2s'"]),
        ({"STRATEGY__CLIP_QUOTE": "0.2 BTC"}, ["BASISBOT_STRATEGY__CLIP_QUOTE='0.2 BTC'"]),
        ({"STRATEGY__ENTRY_GAP_BPS": "8 bps"}, ["BASISBOT_STRATEGY__ENTRY_GAP_BPS='8 bps'"]),
        ({"PAPER_FEES_BPS": "spot=0.1%"}, ["BASISBOT_PAPER_FEES_BPS"]),
        ({"STRATEGY__CLIP_QUTE": "1"}, ["BASISBOT_STRATEGY__CLIP_QUTE", "BASISBOT_STRATEGY__CLIP_QUOTE"]),
        ({"PAIR_CAPITAL_QUOTE": "BTC=60000,ETH=5"}, ["BASISBOT_PAIR_CAPITAL_QUOTE", "ETH"]),
        (
            {"PAIRS": "BTC=binance:spot:DOGEUSDT/binance:usdm:BTCUSDT"},
            ["binance:spot:DOGEUSDT"],
        ),
        ({"PAIRS": "BTC=binance:spot:BTCUSDT"}, ["BASISBOT_PAIRS"]),
        ({"PAPER_BALANCES": ""}, ["BASISBOT_PAPER_BALANCES"]),
        ({"PAPER_INSTRUMENTS": ""}, ["binance:spot:BTCUSDT"]),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    changes: dict[str, str], words: list[str], tmp_path: Path
) -> None:
    assert_refused(run(tmp_path, feeds.lines(SCENE), changes), 4, *words)


@pytest.fixture(scope="module")
def unmarked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """A recording that is held through a settlement whose rate it does not say."""
    scene = feeds.Scene(has_marks=False, premium=((0, 1500),))
    return feeds.record(tmp_path_factory.mktemp("unmarked"), scene)


def test_a_settlement_without_a_rate(unmarked: tuple[Path, ...], tmp_path: Path) -> None:
    done = paper(tmp_path, unmarked, feeds.settings())
    assert_refused(done, 4, "BASISBOT_PAPER_MISSING_FUNDING", "2026-03-02T08:00:00Z", "binance:usdm:BTCUSDT")


@pytest.mark.parametrize("stand_in", ["last", "estimate"])
def test_a_stand_in_that_does_not_exist(stand_in: str, unmarked: tuple[Path, ...], tmp_path: Path) -> None:
    done = paper(tmp_path, unmarked, feeds.settings("usdm", {"PAPER_MISSING_FUNDING": stand_in}))
    assert_refused(done, 4, "BASISBOT_PAPER_MISSING_FUNDING", f"it is {stand_in}")


def test_a_missing_mark_that_nothing_may_stand_in_for(unmarked: tuple[Path, ...], tmp_path: Path) -> None:
    done = paper(tmp_path, unmarked, feeds.settings("usdm", {"PAPER_REFERENCE": "none"}))
    lawful(done)
    assert done.orders == []
    assert done.report.nav.start is None
    assert sum(done.report.not_trading.values()) > 140


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense\n", "funding.csv"),
        (
            "ts_ms,venue,symbol,funding_rate,interval_h\n1772438400000,binance,BTCUSDT,much,8\n",
            "funding.csv:2",
        ),
        (
            "ts_ms,venue,symbol,funding_rate,interval_h\n1772438400000,binance,BTCUSDT,NaN,8\n",
            "funding.csv:2",
        ),
    ],
)
def test_a_funding_table_that_cannot_be_read(text: str, words: str, tmp_path: Path) -> None:
    table = tmp_path / "funding.csv"
    table.write_text(text, encoding="utf-8")
    done = run(tmp_path, feeds.lines(SCENE), {"PAPER_FUNDING": str(table)})
    assert_refused(done, 4, words)


def test_an_instrument_file_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "venue.json"
    file.write_text('{"exchangeInfo": {"symbols": [', encoding="utf-8")
    done = run(tmp_path, feeds.lines(SCENE), {"PAPER_INSTRUMENTS": str(file)})
    assert_refused(done, 4, str(file))


def test_a_pair_of_two_coins(tmp_path: Path) -> None:
    """Equal quantities of both would look like no exposure at all."""
    venue, other = ROOT / "examples/venue", tmp_path / "venue.json"
    usdm = (venue / "binance-usdm.json").read_text(encoding="utf-8")
    other.write_text(usdm.replace('"baseAsset": "BTC"', '"baseAsset": "ETH"'), encoding="utf-8")
    done = run(tmp_path, feeds.lines(SCENE), {"PAPER_INSTRUMENTS": f"{venue / 'binance-spot.json'},{other}"})
    assert_refused(done, 4, "BASISBOT_PAIRS", "its legs are of BTC and ETH")


# --- the journal -----------------------------------------------------------------------------------


def test_a_journal_of_something_else(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    journal.write_bytes(b"this is no database" * 100)
    paths = feeds.record(tmp_path / "feed", SCENE)
    named = ("--journal", journal, "--resume")
    assert_refused(paper(tmp_path, paths, feeds.settings(), *named), 1, str(journal))
    verified = basisbot("journal", "verify", journal, cwd=tmp_path)
    assert (verified.code, verified.err) == (1, "")
    assert verified.out.startswith(f"journal {journal}: ")
    assert verified.out.count("\n") == 1


@pytest.mark.parametrize("blocks", [2, 40, 100], ids=["at once", "early", "later"])
def test_a_full_disk_while_journaling(blocks: int, tmp_path: Path) -> None:
    """The process may write files of so many blocks and no more: one sentence, and a resume completes."""
    paths = feeds.record(tmp_path / "feed", feeds.LINEAR)
    limited = ("sh", "-c", f'ulimit -f {blocks}; exec {sys.executable} -m bot "$@"', "sh")
    full = paper(tmp_path, paths, feeds.settings(), before=limited)
    assert_refused(full, 1, "journal.sqlite", "disk")
    done = paper(tmp_path, paths, feeds.settings(), "--resume")
    lawful(done)
    (tmp_path / "plain").mkdir()
    assert done.report_bytes == paper(tmp_path / "plain", paths, feeds.settings()).report_bytes
