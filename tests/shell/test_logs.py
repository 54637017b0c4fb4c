"""Logs: JSON for programs, lines for people, secrets for nobody."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from bot.model.commands import RaiseAlert
from bot.shell import logs
from tests.conftest import ROOT
from tests.shell.samples import START


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_an_alert_is_a_warning_in_json() -> None:
    out = io.StringIO()
    logs.configure(out)
    logs.warn_of(RaiseAlert("legged:BTC", "critical", "pair BTC is naked"), START)
    line = json.loads(out.getvalue())
    assert line.pop("timestamp")
    assert line == {
        "event": "pair BTC is naked",
        "key": "legged:BTC",
        "severity": "critical",
        "at": "2024-08-08T21:00:00+00:00",
        "level": "warning",
    }


def test_a_terminal_gets_a_line_for_a_person() -> None:
    out = Terminal()
    logs.configure(out)
    logs.warn_of(RaiseAlert("legged:BTC", "critical", "pair BTC is naked"), START)
    assert "pair BTC is naked" in out.getvalue()
    assert not out.getvalue().startswith("{")


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["json", "terminal"])
def test_secrets_are_hidden_by_name_and_by_value(out: io.StringIO) -> None:
    logs.configure(out, secrets=("hunter2", "hunter2long", ""))
    try:
        int("hunter2long")
    except ValueError:
        structlog.get_logger().exception(
            "signed with hunter2",
            api_key="abc",
            request={"signature": "def", "url": "https://x/?k=hunter2", "tries": [1, "hunter2"]},
            count=3,
        )
    text = out.getvalue()
    assert all(secret not in text for secret in ("hunter2", "long", "abc", "def"))
    assert text.count("***") >= 5
    assert "ValueError" in text


def test_importing_the_module_does_not_import_structlog() -> None:
    code = "import sys, bot.shell.logs; sys.exit('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
