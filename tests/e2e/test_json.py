"""`--json` on the verbs of a replay: one object a line on standard output, and nothing else there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e import feeds
from tests.e2e.process import basisbot, paper


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_replay_and_its_journal_answer_in_json(tmp_path: Path) -> None:
    done = paper(tmp_path, feeds.record(tmp_path, feeds.LINEAR), feeds.settings(), "--json")
    (run,) = objects(done.out)
    assert done.code == 0, done.err
    assert (run["mode"], run["attribution"]["residual"]) == ("paper", "0")
    assert (run["rows"], run["journal_sha256"]) == (done.report.rows, done.report.journal_sha256)
    assert Path(run["files"]["journal"]) == done.journal
    assert json.loads(Path(run["files"]["report"]).read_bytes())["run_id"] == run["run_id"]

    (verified,) = objects(basisbot("journal", "verify", done.journal, "--json", cwd=tmp_path).out)
    assert (verified["ok"], verified["rows"], verified["row"]) == (True, run["rows"], None)
    shown = basisbot("journal", "show", done.journal, "--last", "3", "--json", cwd=tmp_path).out
    assert [row["seq"] for row in objects(shown)] == [run["rows"] - 2, run["rows"] - 1, run["rows"]]
    assert basisbot("journal", "export", done.journal, cwd=tmp_path).out.endswith(shown)
    (health,) = objects(basisbot("health", "--journal", done.journal, "--json", cwd=tmp_path).out)
    assert (health["healthy"], health["seq"]) == (True, run["rows"])
    stale = basisbot("health", "--journal", done.journal, "--max-age-s", "0", "--json", cwd=tmp_path)
    assert (stale.code, objects(stale.out)[0]["healthy"]) == (1, False)


def test_settings_are_checked_and_shown_in_json(tmp_path: Path) -> None:
    (checked,) = objects(basisbot("config", "check", "--json", cwd=tmp_path, env=feeds.settings()).out)
    assert (checked["mode"], checked["pairs"]) == ("paper", ["BTC"])
    plain = basisbot("config", "check", cwd=tmp_path, env=feeds.settings())
    assert checked["settings_sha256"] in plain.out
    (shown,) = objects(basisbot("config", "show", "--json", cwd=tmp_path, env=feeds.settings()).out)
    assert shown["BASISBOT_MODE"] == {"value": "paper", "source": "default"}
