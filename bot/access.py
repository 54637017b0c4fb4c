"""What an operator's verb needs of the settings: where the run listens, and the token.

Nothing else is read, and nothing else is checked: a bot must be stoppable while somebody is in the middle of
editing its settings.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path

from bot.knobs import PREFIX, ConfigError, knobs
from bot.settings import default_journal
from bot.shell.dialogue import Access, token_file
from bot.variables import Given, gather, paths_in, secret_in


def find_access(environ: Mapping[str, str], env_file: Path | None, journal: Path | None) -> Access:
    """How to reach the run that has these settings.

    The token is the settings' or, where they have none, the one that the run keeps beside its journal.
    Raises `ConfigError` where there is neither.
    """
    given = gather(environ, env_file)
    secret = secret_in(given, "API_TOKEN")
    if secret is not None:
        return Access(_port(given), secret.get_secret_value())
    path = token_file(journal or _journal(given))
    try:
        return Access(_port(given), path.read_text(encoding="utf-8").strip())
    except OSError as failure:
        raise ConfigError(
            f"BASISBOT_API_TOKEN is not set, and {path} cannot be read ({failure.strerror}): "
            "set it, or name the run's journal by --journal"
        ) from failure


def find_port(environ: Mapping[str, str], env_file: Path | None) -> int:
    """Where the run listens, for what needs no token.  Raises `ConfigError`."""
    return _port(gather(environ, env_file))


def user_name() -> str:
    """Who gives an order: the user's name, or number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _port(given: Mapping[str, Given]) -> int:
    text = _text(given, "API_PORT")
    if not text.isdecimal() or not 0 < int(text) <= 65535:
        raise ConfigError(f"BASISBOT_API_PORT is {text!r}: give the port that the run was started with")
    return int(text)


def _journal(given: dict[str, Given]) -> Path:
    named = next(paths_in(given, "JOURNAL"), None)
    return named or default_journal(_text(given, "MODE"))


def _text(given: Mapping[str, Given], name: str) -> str:
    found = given.get(PREFIX + name)
    if found is not None and found.text:
        return found.text
    return next(knob.default for knob in knobs() if knob.variable == PREFIX + name)
