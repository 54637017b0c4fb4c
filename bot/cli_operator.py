"""The verbs that speak to a living run: status, pause, reduce, resume, flatten, halt.

Each is one request to the local API.  Exit codes: 0 done, 1 refused or nobody there, 4 no token or port.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bot.options import AsJson, EnvFile, dotenv, print_json

JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", help="The run's journal, beside which it keeps its token.", dir_okay=False),
]
Pair = Annotated[str, typer.Argument(help="A pair's name; without one: everything.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the journal.")]
Actor = Annotated[str, typer.Option("--actor", help="Who; without it: the user's name.")]
MEANINGS = {
    "pause": "Open nothing; drift and repair go on.",
    "reduce": "Only what shrinks a position.",
    "resume": "Trade again: takes back pause, reduce, flatten and halt.",
    "flatten": "Close everything in clips, then halt.",
    "halt": "Cancel what rests and trade nothing, not even a repair, until resumed.",
}


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the program."""
    app.command()(status)
    for verb, meaning in MEANINGS.items():
        app.command(verb, help=meaning)(_order(verb))


def status(env_file: EnvFile = None, journal_file: JournalFile = None, as_json: AsJson = False) -> None:
    """Show what a living run holds, what binds it and what it earned."""
    from bot.access import find_access
    from bot.shell.client import print_status, read_status

    state = read_status(find_access(os.environ, env_file or dotenv(), journal_file))
    if as_json:
        print_json(state)
    else:
        print_status(state)


def _order(verb: str) -> Callable[..., None]:
    def order(
        reason: Reason,
        pair: Pair = "*",
        actor: Actor = "",
        env_file: EnvFile = None,
        journal_file: JournalFile = None,
        as_json: AsJson = False,
    ) -> None:
        from bot.access import find_access, user_name
        from bot.shell.client import give_order
        from bot.shell.dialogue import Wish

        access = find_access(os.environ, env_file or dotenv(), journal_file)
        done = give_order(access, verb, Wish(reason, actor or user_name(), pair))
        if as_json:
            print_json(done)
            return
        modes = ", ".join(f"{name} {mode}" for name, mode in done.in_force.items())
        typer.echo(f"row {done.seq}: {verb} {'everything' if pair == '*' else pair}; now {modes}")

    return order
