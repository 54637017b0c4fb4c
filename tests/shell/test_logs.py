"""Logs: JSON for programs, lines for people, secrets for nobody."""

from __future__ import annotations

import io
import json
import logging
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


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_an_alert_has_the_level_of_its_severity_in_json(severity: str) -> None:
    out = io.StringIO()
    logs.configure(out)
    logs.warn_of(RaiseAlert("legged:BTC", severity, "pair BTC is naked"), START)
    line = json.loads(out.getvalue())
    assert line.pop("timestamp")
    assert line == {
        "event": "pair BTC is naked",
        "key": "legged:BTC",
        "severity": severity,
        "at": "2024-08-08T21:00:00+00:00",
        "level": severity,
    }


def test_a_terminal_gets_a_line_for_a_person() -> None:
    out = Terminal()
    logs.configure(out)
    logs.warn_of(RaiseAlert("legged:BTC", "critical", "pair BTC is naked"), START)
    assert "pair BTC is naked" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_a_terminal_does_not_obey_what_others_said() -> None:
    out = Terminal()
    logs.configure(out)
    logs.warn_of(RaiseAlert("status:X", "info", "ev\x1b[31mil\nBTC: ready"), START)
    logs.note("paused", {"reason": "a\x1b[2Jb\nc"})
    text = out.getvalue()
    assert "ev\\x1b[31mil\\nBTC: ready" in text
    assert "a\\x1b[2Jb\\nc" in text
    assert text.count("\n") == 2


def test_what_a_library_logs_is_one_line_of_json_without_its_traceback() -> None:
    out = io.StringIO()
    logs.configure(out, secrets=("hunter2",))
    logs.configure(out, secrets=("hunter2",))  # a second time replaces the first
    try:
        int("hunter2")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Unhandled\nexception of %s", "hunter2")
    logging.getLogger("aiohttp.server").info("nobody asks")
    line = json.loads(out.getvalue())
    assert line.pop("timestamp")
    assert line == {
        "event": "Unhandled\nexception of ***",
        "logger": "aiohttp.server",
        "error": "ValueError: invalid literal for int() with base 10: '***'",
        "level": "error",
    }


def test_a_library_that_logs_badly_or_too_much_ends_no_run_and_tells_no_signature() -> None:
    out = io.StringIO()
    logs.configure(out)
    ours = logging.getLogger().handlers[-1]  # others, pytest's among them, may raise
    ours.handle(logging.LogRecord("ccxt", logging.WARNING, "", 0, "%d", ("a",), None))
    logging.getLogger("ccxt").log(35, "GET https://host/api?timestamp=1&signature=abc failed")
    failure = OSError("wss://host/ws?listenKey=zz refused")
    logging.getLogger("asyncio").critical("never retrieved", exc_info=failure)
    first, second, third = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["level"]) == ("%d", "warning")
    assert (second["event"], second["level"]) == ("GET https://host/api?… failed", "warning")
    assert (third["error"], third["level"]) == ("OSError: wss://host/ws?… refused", "critical")


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


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [Broken(), Terminal()], ids=["reader gone", "closed"])
def test_a_line_that_cannot_be_written_costs_nobody_the_run(stream: io.StringIO) -> None:
    logs.configure(stream)
    if not isinstance(stream, Broken):
        stream.close()
    with pytest.raises((BrokenPipeError, ValueError)):
        structlog.get_logger().info("as a library would write it")
    logs.note("paused", {"reason": "x"})
    logs.warn_of(RaiseAlert("status:X", "critical", "text"), START)
    logging.getLogger("some.library").warning("lost")


def test_what_is_no_text_is_told_by_its_kind() -> None:
    out = io.StringIO()
    logs.configure(out)

    class Unprintable:
        def __str__(self) -> str:
            return str(10**5000)

        __repr__ = __str__

    logs.note("throttled", {"until": Unprintable()})  # type: ignore[dict-item]
    assert json.loads(out.getvalue())["event"] == "a line could not be written"
