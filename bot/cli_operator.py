"""The verbs that speak to a living run: status, pause, reduce, resume, flatten, halt, adopt,
settle-residual.

Each is one request to the local API.  Exit codes: 0 done, 1 refused or nobody there, 4 no token or port.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bot.options import AsJson, EnvFile, dotenv, print_json, say

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


verbs = typer.Typer()


@verbs.command()
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
        _give(verb, pair, (reason, actor), (env_file, journal_file), as_json)

    return order


for _verb, _meaning in MEANINGS.items():
    verbs.command(_verb, help=_meaning)(_order(_verb))


@verbs.command()
def adopt(
    account: Annotated[str, typer.Argument(help="An account's name, such as binance:spot.")],
    reason: Reason,
    actor: Actor = "",
    env_file: EnvFile = None,
    journal_file: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Take an account over as it stands: what differs from the ledger was moved in or out by somebody."""
    _give("adopt", account, (reason, actor), (env_file, journal_file), as_json)


@verbs.command("settle-residual")
def settle_residual(
    pair: Annotated[str, typer.Argument(help="A pair's name.")],
    reason: Reason,
    actor: Actor = "",
    env_file: EnvFile = None,
    journal_file: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Say that the coins which an inverse pair left unhedged are no longer the pair's."""
    _give("settle-residual", pair, (reason, actor), (env_file, journal_file), as_json)


def _give(
    verb: str, scope: str, said: tuple[str, str], where: tuple[Path | None, Path | None], as_json: bool
) -> None:
    from bot.access import find_access, user_name
    from bot.shell.client import give_order
    from bot.shell.dialogue import Wish

    (reason, actor), (env_file, journal_file) = said, where
    access = find_access(os.environ, env_file or dotenv(), journal_file)
    done = give_order(access, verb, Wish(reason, actor or user_name(), scope))
    if as_json:
        print_json(done)
        return
    modes = ", ".join(f"{name} {mode}" for name, mode in done.in_force.items())
    say(f"row {done.seq}: {verb} {'everything' if scope == '*' else scope}; now {modes}")
