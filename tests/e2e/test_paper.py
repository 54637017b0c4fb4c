"""A paper run as a process: its outputs, what it refuses, and that it says the same thing twice.

The first minutes of the demo's recording are enough for that; what the run decides is tested elsewhere.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.e2e.test_cli_basics import run

DEMO = ROOT / "examples/demo"
SETTINGS = ROOT / "examples/demo.env"
UNTIL = "2026-03-02T00:32:00Z"


def paper(cwd: Path, *more: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    arguments = ["--feed", str(DEMO), "--env-file", str(SETTINGS), "--until", UNTIL, *more]
    done = run("paper", *arguments, cwd=cwd, env=env)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one run has ended, its journal and report where they stand by default."""
    folder = tmp_path_factory.mktemp("run")
    code, out, err = paper(folder)
    assert (code, out.splitlines()[-1]) == (0, "report  out/paper/report.html"), err
    return folder / "out/paper"


def copy_of(finished: Path, folder: Path) -> Path:
    return Path(shutil.copytree(finished, folder / "out/paper"))


def test_a_run_leaves_a_journal_and_a_report(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_bytes())
    dispositions = report["frames_by_disposition"]
    counted = sum(sum(each.values()) if isinstance(each, dict) else each for each in dispositions.values())
    assert report["frames_in"] == counted == sum(report["frames_by_stream"].values()) > 100
    assert set(report["clock_offset_s"]) == {"spot", "usdm", "coinm"}
    assert any("BASISBOT_USDT_USD_RATE" in sentence for sentence in report["assumptions"])
    assert (finished / "report.html").stat().st_size > 100_000
    assert sorted(path.name for path in finished.iterdir()) == [
        "journal.sqlite",
        "report.html",
        "report.json",
    ]


def test_progress_goes_to_standard_error_as_json(tmp_path: Path) -> None:
    code, _, err = paper(tmp_path)
    first = json.loads(err.splitlines()[0])
    assert (code, first["event"], first["at"]) == (0, "replay_begun", "2026-03-02T00:30:00Z")


def test_a_second_run_says_the_same_and_replaces_the_journal_that_nobody_named(
    finished: Path, tmp_path: Path
) -> None:
    again = copy_of(finished, tmp_path)
    assert paper(tmp_path)[0] == 0
    assert (again / "report.json").read_bytes() == (finished / "report.json").read_bytes()


def test_a_named_journal_is_resumed_or_refused_and_never_replaced(finished: Path, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    named = ("--journal", str(folder / "journal.sqlite"))
    code, _, err = paper(tmp_path, *named)
    assert code == 2
    assert "give --resume" in err
    assert paper(tmp_path, *named, "--resume")[0] == 0
    assert (folder / "report.json").read_bytes() == (finished / "report.json").read_bytes()
    code, _, err = paper(tmp_path, *named, "--resume", env={"BASISBOT_PAPER_UP_MS": "7"})
    assert code == 4
    assert "settings" in err


def test_the_journal_verbs_read_what_a_run_wrote(finished: Path, tmp_path: Path) -> None:
    journal = str(finished / "journal.sqlite")
    bad_env = {"BASISBOT_NONSENSE": "1"}  # these verbs read no environment
    verified = run("journal", "verify", journal, cwd=tmp_path, env=bad_env)
    assert (verified.returncode, verified.stderr) == (0, "")
    exported = run("journal", "export", journal, "--out", "rows.jsonl", cwd=tmp_path, env=bad_env)
    assert exported.returncode == 0
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0]["facts"][0]["type"] == "Booted"
    shown = run("journal", "show", journal, "--seq", "1", cwd=tmp_path, env=bad_env)
    assert shown.returncode == 0
    assert "Booted run_id=" in shown.stdout
    healthy = run("health", "--journal", journal, "--max-age-s", "600", cwd=tmp_path)
    assert (healthy.returncode, healthy.stdout.split(",")[0]) == (0, f"healthy: row {len(rows)}")
    assert run("health", "--journal", journal, "--max-age-s", "0", cwd=tmp_path).returncode == 1


def test_no_row_and_no_report_names_a_path(finished: Path, tmp_path: Path) -> None:
    run("journal", "export", str(finished / "journal.sqlite"), "--out", "rows", cwd=tmp_path)
    for text in ((tmp_path / "rows").read_text(encoding="utf-8"), (finished / "report.json").read_text()):
        for path in (str(finished), str(ROOT)):
            assert path not in text


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {
                "BASISBOT_PAIRS": "BTC=kraken:spot:XBT/binance:usdm:BTCUSDT",
                "BASISBOT_PAIR_CAPITAL_QUOTE": "BTC=1",
                "BASISBOT_PAPER_BALANCES": "kraken:spot:USDT=1",
            },
            "BASISBOT_PAIRS has the leg kraken:spot:XBT",
        ),
        ({"BASISBOT_PAPER_INSTRUMENTS": "none.json"}, "none.json: cannot be read"),
        ({"BASISBOT_PAPER_INSTRUMENTS": ""}, "binance:spot:BTCUSDT"),
        ({"BASISBOT_PAPER_FUNDING": "none.csv"}, "none.csv: not readable as a funding table"),
    ],
)
def test_an_input_that_cannot_be_used_is_exit_4(
    variables: dict[str, str], words: str, tmp_path: Path
) -> None:
    code, out, err = paper(tmp_path, env=variables)
    assert (code, out) == (4, ""), err
    assert words in err
    assert err.count("\n") == 1


def test_a_market_without_a_feed_is_named(tmp_path: Path) -> None:
    lines = tmp_path / "spot.jsonl"
    frame = '{"e":"depthUpdate","E":1772411400000,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}'
    lines.write_text(
        f'1772411400000000000 {{"stream":"btcusdt@depth@100ms","data":{frame}}}\n', encoding="utf-8"
    )
    done = run("paper", "--feed", str(lines), "--env-file", str(SETTINGS), cwd=tmp_path)
    assert done.returncode == 4
    assert "no feed carries usdm, where binance:usdm:BTCUSDT trades; add one by --feed" in done.stderr
