"""Logs: JSON lines where a program reads them, coloured lines where a person does, secrets nowhere.

What libraries say by the standard library's logging takes the same way, a line each: a traceback over many
lines would break the JSON of whoever reads it.  structlog is imported when the first line is written or
`configure` is called, not before: the verbs that log nothing start without it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from bot.model.commands import RaiseAlert
from bot.shell.terminal import plain

HIDDEN = "***"
_QUERY = re.compile(r"\?\S+")
_LEVELS = (logging.WARNING, logging.ERROR, logging.CRITICAL)
_SEVERITIES = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}
# of a stream, a renderer or a text; ``str`` refuses a number of more than 4,300 digits
_UNWRITABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_SECRET_NAME = re.compile(r"secret|token|passw|signature|api_?key|private_?key|credential", re.IGNORECASE)


def configure(stream: TextIO | None = None, *, secrets: tuple[str, ...] = ()) -> None:
    """Send all log lines to ``stream`` (standard error), those of libraries too: JSON unless a terminal.

    A field whose name speaks of a secret is hidden, and each of ``secrets`` is cut out of every text.
    """
    import structlog

    out = stream if stream is not None else sys.stderr
    pretty = out.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    known = tuple(sorted((secret for secret in secrets if secret), key=len, reverse=True))

    def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: _hide(name, value, known) for name, value in event.items()}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            *((_escape,) if pretty else ()),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for before in [one for one in root.handlers if isinstance(one, _OfLibraries)]:
        root.removeHandler(before)
    root.addHandler(_OfLibraries(logging.WARNING))


class _OfLibraries(logging.Handler):
    """What a library logs as a line like ours; of an exception its name and words, not its traceback.  What
    follows a question mark in a URL may be a signature or a listen key, which no setting knows."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            words = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a library's slip costs its line, not the run
            words = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        fields = {"logger": record.name}
        failure = record.exc_info[1] if record.exc_info else None
        if failure is not None:
            fields["error"] = type(failure).__name__
            with suppress(*_UNWRITABLE):
                fields["error"] += f": {_QUERY.sub('?…', str(failure))}"
        level = max(one for one in _LEVELS if one <= max(record.levelno, logging.WARNING))
        _write(level, _QUERY.sub("?…", words), fields)


def _escape(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What others said is not obeyed by a terminal; a traceback keeps its lines."""
    return {
        name: "\n".join(map(plain, value.split("\n"))) if name == "exception" else plain(str(value))
        for name, value in event.items()
    }


def warn_of(alert: RaiseAlert, at_ns: int) -> None:
    """Write an alert at the level of its severity; ``at_ns`` is when it was raised."""
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).isoformat()
    fields = {"key": alert.key, "severity": alert.severity, "at": at}
    _write(_SEVERITIES[alert.severity], alert.text, fields)


def note(event: str, fields: Mapping[str, str]) -> None:
    """Write something that happened, with its particulars."""
    _write(logging.INFO, event, fields)


def _write(level: int, event: str, fields: Mapping[str, str]) -> None:
    """A line of the log.  One that cannot be written costs itself and not the run: the stream may be closed
    or full, and what a venue said may be no text."""
    import structlog

    try:
        structlog.get_logger().log(level, event, **fields)
    except _UNWRITABLE as error:
        with suppress(*_UNWRITABLE):
            structlog.get_logger().error("a line could not be written", error=type(error).__name__)


def _hide(name: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: _hide(str(key), one, secrets) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hide("", one, secrets) for one in value]
    return value
