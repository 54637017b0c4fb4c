"""Progress: what is said on a terminal and what is said elsewhere."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest

from bot import progress
from bot.progress import progress_to

SECOND_NS = 1_000_000_000
START_NS = 1_723_161_600 * SECOND_NS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_lines_of_json_come_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = iter([0.0, 0.0, 1.0, 5.5, 5.5, 5.5, 6.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock_s)))
    out = io.StringIO()
    with progress_to(out) as told:
        told.begin(START_NS, START_NS + 220 * SECOND_NS)
        told.move(START_NS + 20 * SECOND_NS)
        told.move(START_NS + 110 * SECOND_NS)
        told.move(START_NS + 120 * SECOND_NS)
    begun, line = [json.loads(text) for text in out.getvalue().splitlines()]
    assert begun == {"event": "replay_begun", "at": "2024-08-09T00:00:00Z", "simulated_s": 220.0}
    assert line == {"event": "replay", "at": "2024-08-09T00:01:50Z", "share": 0.5, "rate": 20.0, "eta_s": 5.5}


def test_without_a_known_end_no_time_left_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = iter([0.0, 0.0, 5.5, 5.5])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock_s)))
    out = io.StringIO()
    with progress_to(out) as told:
        told.begin(START_NS, 0)
        told.move(START_NS + 55 * SECOND_NS)
    begun, line = [json.loads(text) for text in out.getvalue().splitlines()]
    assert begun == {"event": "replay_begun", "at": "2024-08-09T00:00:00Z"}
    assert line == {"event": "replay", "at": "2024-08-09T00:00:55Z", "rate": 10.0}


def test_a_terminal_gets_a_bar_with_simulated_time_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_DRAW_EVERY_S", 0.0)
    out = Terminal()
    with progress_to(out) as told:
        told.begin(START_NS, START_NS + 100 * SECOND_NS)
        told.move(START_NS + 50 * SECOND_NS)
    assert "2024-08-09T00:00:50Z" in out.getvalue()
    assert "50%" in out.getvalue()
