"""Reading the funding table, good and bad."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from adapters.errors import FeedError
from adapters.paper.funding_table import FundingRow, FundingTable, read_funding_table
from tests.adapters.paper.build import INSTRUMENTS, INVERSE, LINEAR, SPOT, D

HEADER = "ts_ms,venue,symbol,funding_rate,interval_h"
GOOD = f"""{HEADER}
1723046400000,binance,BTCUSDT,0.00003241,8
1723046400000,binance,ETHUSDT,0.5,8
1723046400000,bybit,BTCUSDT,0.5,8
1723075200001,binance,BTCUSDT,-2.637e-05,8
1723075200000,binance,BTCUSD_PERP,0.0001,8
"""
MS = 1_000_000


def read(path: Path) -> FundingTable:
    return read_funding_table(path, INSTRUMENTS.values())


@pytest.mark.parametrize("name", ["funding.csv", "funding.csv.gz"])
def test_rows_go_to_the_contract_of_their_symbol(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(GOOD.encode(), mtime=0) if name.endswith("gz") else GOOD.encode())
    table = read(path)
    first = FundingRow(1_723_046_400_000 * MS, D("0.00003241"), 8)
    second = FundingRow(1_723_075_200_001 * MS, D("-0.00002637"), 8)
    assert table.after(LINEAR.id, 0) == first
    assert table.after(LINEAR.id, first.settled_ns) == second
    assert table.after(LINEAR.id, second.settled_ns) is None
    assert table.before(LINEAR.id, second.settled_ns - 1) == first
    assert table.before(LINEAR.id, first.settled_ns - 1) is None
    assert table.after(INVERSE.id, 0) == FundingRow(1_723_075_200_000 * MS, D("0.0001"), 8)
    assert table.after(SPOT.id, 0) is None


@pytest.mark.parametrize(
    ("jitter_ms", "found"),
    [(0, True), (47, True), (-47, True), (60_000, True), (60_001, False), (-60_001, False)],
)
def test_a_row_within_a_minute_is_the_settlements(jitter_ms: int, found: bool) -> None:
    settle_ns = 1_723_075_200_000 * MS
    row = FundingRow(settle_ns + jitter_ms * MS, D(1), 8)
    table = FundingTable({LINEAR.id: (row,)})
    assert (table.settlement(LINEAR.id, settle_ns) == row) is found


def test_the_nearest_row_is_the_settlements() -> None:
    rows = tuple(FundingRow(at * 1000 * MS, D(at), 8) for at in (970, 1010))
    assert FundingTable({LINEAR.id: rows}).settlement(LINEAR.id, 1000 * 1000 * MS) == rows[1]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", ":1:", "header"),
        ("ts,venue,symbol,funding_rate,interval_h\n", ":1:", "header"),
        (f"{HEADER}\n1,binance,BTCUSDT,0.0001\n", ":2:", "4 columns"),
        (f"{HEADER}\nx,binance,BTCUSDT,0.0001,8\n", ":2:", "ts_ms"),
        (f"{HEADER}\n-5,binance,BTCUSDT,0.0001,8\n", ":2:", "ts_ms"),
        (f"{HEADER}\n1,binance,BTCUSDT,,8\n", ":2:", "funding_rate"),
        (f"{HEADER}\n1,binance,BTCUSDT,NaN,8\n", ":2:", "funding_rate"),
        (f"{HEADER}\n1,binance,BTCUSDT,inf,8\n", ":2:", "funding_rate"),
        (f"{HEADER}\n1,binance,BTCUSDT,1.5,8\n", ":2:", "funding_rate"),
        (f"{HEADER}\n1,binance,BTCUSDT,0.0001,0\n", ":2:", "interval_h"),
        (f"{HEADER}\n1,binance,BTCUSDT,0.0001,480\n", ":2:", "interval_h"),
        (f"{HEADER}\n2,binance,BTCUSDT,0,8\n2,binance,BTCUSDT,0,8\n", ":3:", "sort"),
        (f"{HEADER}\n2,binance,BTCUSDT,0,8\n1,binance,BTCUSDT,0,8\n", ":3:", "sort"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, where: str, what: str) -> None:
    path = tmp_path / "funding.csv"
    path.write_text(text)
    with pytest.raises(FeedError) as caught:
        read(path)
    assert f"{path}{where}" in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.csv", None),
        ("binary.csv", b"\xff\xfe\x00"),
        ("cut.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-10]),
        ("broken.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:30] + b"\x55" * 40),
        ("plain.csv.gz", GOOD.encode()),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FeedError, match="funding table"):
        read(path)


def test_a_recorded_table_is_read(recordings: Path) -> None:
    path = recordings / "funding" / "binance_linear_events_6sym_2020_2024.csv.gz"
    row = read(path).settlement(LINEAR.id, 1_723_161_600_000 * MS)
    assert row is not None
    assert abs(row.rate) < D("0.001")
