"""What a feed hears becomes a capture that can be read, and a disk is not filled by it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapters.recorded.capture import CaptureRecording, read_manifest
from adapters.recorded.recorder import DiskLow, Recorder
from adapters.recorded.writer import CaptureExists

HOUR_NS = 3_600_000_000_000
SYMBOLS = ("spot:BTCUSDT", "usdm:BTCUSDT")


def test_what_is_recorded_can_be_read_frame_by_frame(tmp_path: Path) -> None:
    frames = [
        (1, "spot", b'{"stream":"btcusdt@depth","data":{"u":1}}'),
        (2, "usdm", b'{"stream":"btcusdt@markPrice","data":{"p":"1"}}'),
        (3, "spot", b'{"stream":"btcusdt@snapshot",\n"data":{"lastUpdateId":1}}'),
    ]
    with Recorder(tmp_path / "out", "binance", SYMBOLS, 600, 0) as recorder:
        for frame in frames:
            recorder.take(*frame)
    read = [
        frame
        for block in CaptureRecording(tmp_path / "out").blocks({"spot": 0, "usdm": 1})
        for frame in block
    ]
    assert [(at_ns, index) for at_ns, index, _ in read] == [(1, 0), (2, 1), (3, 0)]
    assert [payload for _, _, payload in read] == [payload.replace(b"\n", b" ") for _, _, payload in frames]


def test_a_frame_that_is_no_json_does_not_spoil_the_capture(tmp_path: Path) -> None:
    odd = (b"<html>502</html>", b'{"stream":"btcusdt@de', b"", b"{}{}")
    with Recorder(tmp_path / "out", "binance", SYMBOLS, 600, 0) as recorder:
        for payload in odd:
            recorder.take(1, "spot", payload)
        recorder.take(2, "spot", b'{"stream":"a\\"b","data":{}}')
        recorder.take(2, "spot", b'{"stream":"\xff\xfe","data":1}')
        recorder.take(3, "spot", b'{"stream":"btcusdt@depth","data":{}}')
    assert (recorder.frames, recorder.unread) == (3, len(odd))
    blocks = CaptureRecording(tmp_path / "out").blocks({"spot": 0, "usdm": 1})
    assert [at_ns for block in blocks for at_ns, _, _ in block] == [2, 2, 3]


def test_a_part_ends_with_its_span(tmp_path: Path) -> None:
    with Recorder(tmp_path / "out", "binance", SYMBOLS, 600, 0) as recorder:
        for at_ns in range(0, HOUR_NS, HOUR_NS // 12):
            recorder.take(at_ns, "spot", b'{"stream":"btcusdt@depth","data":{}}')
    assert len(read_manifest(tmp_path / "out").parts) == 6


def test_frames_stamped_out_of_order_keep_the_order_they_came_in(tmp_path: Path) -> None:
    with Recorder(tmp_path / "out", "binance", SYMBOLS, 600, 0) as recorder:
        recorder.take(5, "spot", b'{"stream":"a@depth","data":{}}')
        recorder.take(4, "usdm", b'{"stream":"b@depth","data":{}}')
    assert read_manifest(tmp_path / "out").parts[0].last_ns == 5


def test_recording_ends_while_there_is_room(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(DiskLow, match="are to be kept"):
        Recorder(tmp_path / "out", "binance", SYMBOLS, 600, free * 2)


def test_a_folder_with_a_capture_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path / "out", "binance", SYMBOLS, 600, 0) as recorder:
        recorder.take(1, "spot", b'{"stream":"a@depth","data":{}}')
    with pytest.raises(CaptureExists):
        Recorder(tmp_path / "out", "binance", SYMBOLS, 600, 0)
