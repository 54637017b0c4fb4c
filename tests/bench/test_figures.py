"""The form of a benchmark's line, and what is replayed where no recording of a venue is at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.recorded.capture import read_manifest
from bench.figure import print_figure, probe
from bench.recordings import cases, demo

ROOT = Path(__file__).resolve().parents[2]


def test_a_figure_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_figure("help_s", 0.3, "s", baseline=0.2, how="measured")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"name": "help_s", "value": 0.3, "unit": "s", "baseline": 0.2, "ratio": 1.5, "how": "measured"}
    ]


def test_a_probe_that_fails_says_why() -> None:
    with pytest.raises(SystemExit, match="No such file or directory: 'nowhere'"):
        probe("parse", "nowhere")


def test_the_baseline_parses_every_line(tmp_path: Path) -> None:
    assert probe("parse", *demo().files[:1])["lines"] == read_manifest(demo().feeds[0]).parts[0].frames
    broken = tmp_path / "broken"
    broken.write_bytes(b"{\n")
    with pytest.raises(SystemExit, match="failed"):
        probe("parse", broken)


def test_without_recordings_the_demo_stands_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BASISBOT_TEST_DATA", str(tmp_path))
    assert cases() == (demo(), demo())
    assert all(path.is_file() for path in (demo().env_file, *demo().files))


def test_recordings_are_taken_from_the_folder_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for market in ("spot", "usdm", "cm"):
        folder = tmp_path / "wire" / "hftbacktest" / market
        folder.mkdir(parents=True)
        (folder / "one.gz").touch()
    monkeypatch.setenv("BASISBOT_TEST_DATA", str(tmp_path))
    linear, inverse = cases()
    assert {path.parent.name for path in linear.files} == {"spot", "usdm"}
    assert {path.parent.name for path in inverse.files} == {"spot", "cm"}
    assert linear.env_file.is_file()
    assert inverse.env_file.is_file()


def test_an_unknown_benchmark_is_wrong_usage() -> None:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "start, book, replay, demo" in done.stderr
