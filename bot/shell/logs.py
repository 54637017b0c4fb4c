"""Logs: JSON lines where a program reads them, coloured lines where a person does, secrets nowhere.

structlog is imported when the first line is written or `configure` is called, not before: the verbs that log
nothing start without it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

from bot.model.commands import RaiseAlert

HIDDEN = "***"
_SECRET_NAME = re.compile(r"secret|token|passw|signature|api_?key|private_?key|credential", re.IGNORECASE)


def configure(stream: TextIO | None = None, *, secrets: tuple[str, ...] = ()) -> None:
    """Send all log lines to ``stream`` (standard error): JSON unless it is a terminal.

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
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def warn_of(alert: RaiseAlert, at_ns: int) -> None:
    """Write an alert as a warning; ``at_ns`` is when it was raised."""
    import structlog

    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).isoformat()
    structlog.get_logger().warning(alert.text, key=alert.key, severity=alert.severity, at=at)


def note(event: str, fields: Mapping[str, str]) -> None:
    """Write something that happened, with its particulars."""
    import structlog

    structlog.get_logger().info(event, **fields)


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
