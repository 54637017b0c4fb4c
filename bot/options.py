"""What several verbs of the command line share: options, the settings' file, and how an answer is printed.

An answer is text for a person or, with --json, one JSON object on one line; logs and progress go to standard
error in either case.  Nothing heavier than typer is imported up here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Struct

EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="Settings, in place of .env.", exists=True, dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


def dotenv() -> Path | None:
    """``.env`` of the working directory, if there is one."""
    path = Path(".env")
    return path if path.is_file() else None


def say(text: str, *, err: bool = False) -> None:
    """One line for a person, on standard output or error."""
    from bot.shell.terminal import plain

    typer.echo(plain(text), err=err)


def print_json(answer: Mapping[str, object] | Struct) -> None:
    """One object on one line of standard output, secrets left to whoever made it."""
    from msgspec.json import encode

    typer.echo(encode(answer))
