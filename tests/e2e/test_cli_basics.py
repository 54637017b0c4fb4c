"""The command line as a process: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot import __version__
from bot.cli import parse_ns, parse_range
from tests.architecture.source import ROOT
from tests.test_settings import NEEDED

HEAVY = (
    "pydantic",
    "pydantic_settings",
    "structlog",
    "rich",
    "plotly",
    "zstandard",
    "sqlite3",
    "msgspec",
    "ccxt",
)


def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program with a bare environment."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_verb_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['basisbot', '--help']\n"
        "from bot.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as leave: assert not leave.code\n"
        f"sys.stderr.write(' '.join(sorted(sys.modules.keys() & {set(HEAVY)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    verbs = (
        "paper demo journal config health run rehearse record doctor status pause reduce resume flatten halt"
    )
    for verb in verbs.split():
        assert f"\n  {verb} " in done.stdout
    assert run("--help", cwd=tmp_path).stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["paper"], "Missing option '--feed'"),
        (["paper", "--feed", "none"], "path 'none' does not exist"),
        (["paper", "--feed", ".", "--from", "yesterday"], "'yesterday' is not an ISO 8601 time"),
        (["health"], "name a journal, or ask the run by --ready"),
        (["journal", "verify", "none"], "file 'none' does not exist"),
        (["config", "check", "--env-file", "none.env"], "file 'none.env' does not exist"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_an_error_is_one_object_on_standard_output_too_when_json_is_asked_for(tmp_path: Path) -> None:
    for arguments, code in (
        (["status", "--nonsense", "--json"], 2),
        (["halt", "--json"], 2),
        (["rehearse", "--faults", "nonsense", "--json"], 2),
        (["config", "check", "--json"], 4),
        (["status", "--json"], 4),
        (["run", "--json", "--stay-down"], 0),
    ):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        (line,) = done.stdout.splitlines()
        told = json.loads(line)
        assert told["exit_code"] == code
        assert " ".join(told["error"].split()) in " ".join(done.stderr.split())


def test_an_error_shows_what_others_said_and_does_not_obey_it(tmp_path: Path) -> None:
    env = {**NEEDED, "BASISBOT_STRATEGY__PATIENCE_S": "ev\x1b[31mil\nbasisbot: all is well"}
    done = run("config", "check", "--json", cwd=tmp_path, env=env)
    assert done.returncode == 4
    assert "\x1b" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert json.loads(done.stdout)["exit_code"] == 4


def test_the_version_is_told(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"basisbot {__version__}\n"


def test_a_configuration_error_is_one_sentence_and_exit_4(tmp_path: Path) -> None:
    done = run("config", "check", cwd=tmp_path, env={**NEEDED, "BASISBOT_STRATEGY__PATIENCE_S": "5s"})
    assert done.returncode == 4
    assert done.stderr.startswith("basisbot: BASISBOT_STRATEGY__PATIENCE_S='5s'")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_config_check_refuses_what_a_run_would_and_warns_of_what_is_hardly_meant(tmp_path: Path) -> None:
    done = run("config", "check", cwd=tmp_path, env={**NEEDED, "BASISBOT_MODE": "testnet"})
    assert (done.returncode, done.stdout) == (4, "")
    assert "BASISBOT_MODE is 'testnet', but BASISBOT_BINANCE_KEY is not set" in done.stderr
    done = run("config", "check", cwd=tmp_path, env=NEEDED)
    assert "warning: BASISBOT_STRATEGY__ENTRY_CARRY_APR and BASISBOT_STRATEGY__ENTRY_GAP_BPS" in done.stdout
    told = json.loads(run("config", "check", "--json", cwd=tmp_path, env=NEEDED).stdout)
    assert f"warning: {told['warnings'][0]}" in done.stdout.splitlines()


def test_config_check_reads_dotenv_of_the_working_directory(tmp_path: Path) -> None:
    assert run("config", "check", cwd=tmp_path).returncode == 4
    (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in NEEDED.items()), encoding="utf-8")
    done = run("config", "check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mode paper, pairs BTC, ETH" in done.stdout
    other = tmp_path / "other.env"
    other.write_text("", encoding="utf-8")
    assert run("config", "check", "--env-file", "other.env", cwd=tmp_path).returncode == 4


def test_config_show_tells_values_and_sources_and_hides_secrets(tmp_path: Path) -> None:
    env = {**NEEDED, "BASISBOT_BINANCE_KEY": "k3y-of-nobody"}
    done = run("config", "show", "--json", cwd=tmp_path, env=env)
    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert shown["BASISBOT_MODE"] == {"value": "paper", "source": "default"}
    assert shown["BASISBOT_PAIR_CAPITAL_QUOTE"] == {"value": "BTC=50000,ETH=10000", "source": "environment"}
    assert shown["BASISBOT_BINANCE_KEY"] == {"value": "***", "source": "environment"}
    plain = run("config", "show", cwd=tmp_path, env=env)
    assert "k3y-of-nobody" not in plain.stdout + plain.stderr + done.stdout
    assert len(plain.stdout.splitlines()) == len(shown)


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01", 0),
        ("2024-08-09T00:00:00.000001+00:00", 1_723_161_600_000_001_000),
        ("2024-08-09T02:00:00+02:00", 1_723_161_600_000_000_000),
        ("2024-08-09 00:00:00", 1_723_161_600_000_000_000),
    ],
)
def test_times_are_read_exactly_and_as_utc(text: str, at_ns: int) -> None:
    assert parse_ns(text) == at_ns


@pytest.mark.parametrize(("text", "rows"), [("3", (3, 3)), ("3-9", (3, 9)), ("0-0", (0, 0))])
def test_rows_are_a_number_or_a_range(text: str, rows: tuple[int, int]) -> None:
    assert parse_range(text) == rows


@pytest.mark.parametrize("text", ["", "-3", "3-", "a-b", "3-9-12"])
def test_other_rows_are_refused(text: str) -> None:
    with pytest.raises(Exception, match="neither FIRST-LAST nor a number"):
        parse_range(text)
