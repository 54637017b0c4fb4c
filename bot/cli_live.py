"""The verbs that use the network: run, rehearse, record, doctor.

As in `bot.cli`, each parses its arguments, calls one function and prints what came of it, and imports what it
needs when it runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.options import AsJson, EnvFile, dotenv, print_json, say

if TYPE_CHECKING:
    from bot.shell.daemon import Outcome

OUT = Path("out/rehearsal")
STAY_DOWN = "--stay-down"  # what `bot.__main__`, where exit codes are made, looks for
StayDown = Annotated[
    bool,
    typer.Option(
        STAY_DOWN, help="End with 0 instead of 4 when refused, so that nothing starts it over and over."
    ),
]
Faults = Annotated[
    str,
    typer.Option(
        "--faults",
        help='What goes wrong: "at=5s disconnect usdm.private; at=9s adl", or "seed=7" for a drawn plan; '
        '"list" prints all there is.',
    ),
]
LiveFeeds = Annotated[
    list[Path] | None,
    typer.Option(
        "--feed", help="A recording to play for ever; repeatable. Default: the demo's.", exists=True
    ),
]


verbs = typer.Typer()


@verbs.command()
def run(
    env_file: EnvFile = None,
    journal_file: Annotated[
        Path | None, typer.Option("--journal", help="The journal to go on with.", dir_okay=False)
    ] = None,
    stay_down: StayDown = False,
    as_json: AsJson = False,
) -> None:
    """Trade: on paper with live prices, on a test network, or live, as BASISBOT_MODE says."""
    from bot.wiring.live import run_live
    from bot.wiring.venues import LiveOptions

    _leave(
        run_live(LiveOptions(environ=dict(os.environ), env_file=env_file or dotenv(), journal=journal_file)),
        as_json,
    )


@verbs.command()
def rehearse(  # noqa: PLR0913 - the parameters of a verb are the options of the command line
    *,
    feed: LiveFeeds = None,
    faults: Faults = "",
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", help="Settings, in place of its own.", exists=True, dir_okay=False),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Folder for the journal; the last one is kept beside it.", file_okay=False),
    ] = OUT,
    serve: Annotated[bool, typer.Option("--serve", help="Only the servers; prints where they are.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65533, help="With --serve: spot here, the others next; 0: free ones.")
    ] = 0,
    stay_down: StayDown = False,
    as_json: AsJson = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Trade servers on this machine that speak the venue's protocol: no account is needed, no money is lost.

    Its venue ends with it, so that each rehearsal begins a journal anew. To rehearse a crash, let the venue
    outlive the daemon: --serve in one terminal, `run` in another (README.md, "Start").

    With --serve the first line on standard output is one JSON object with the roots and the keys of the
    servers, for any client of the venue.
    """
    from bot.wiring.rehearse import RehearsalOptions, faults_there_are, rehearse_once, serve_servers

    if faults == "list":
        typer.echo(faults_there_are())
        return
    options = RehearsalOptions(
        environ=dict(os.environ), env_file=env_file, feeds=tuple(feed or ()), faults=faults, out=out
    )
    if serve:
        serve_servers(options, port, with_parent=with_parent)
        return
    say(f"rehearsing until Ctrl-C; look at it by `basisbot status --journal {options.journal}`", err=True)
    _leave(rehearse_once(options), as_json)


def _leave(outcome: Outcome, as_json: bool) -> None:
    """Say how a run ended, and end the process likewise."""
    if as_json:
        print_json({"clean": outcome.clean, "reason": outcome.reason})
    else:
        ending = "stopped" if outcome.clean else "stopped before it was done"
        say(f"{ending}: {outcome.reason}", err=True)
    raise typer.Exit(outcome.exit_code)


@verbs.command()
def record(  # noqa: PLR0913 - the parameters of a verb are the options of the command line
    *,
    out: Annotated[Path, typer.Option(help="Folder for the capture.", file_okay=False)],
    env_file: EnvFile = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Verify the capture that is there, if any, and go on at its end.")
    ] = False,
    part_min: Annotated[
        int, typer.Option(min=1, help="Minutes in one part; paper plays those that ended.")
    ] = 10,
    sync_s: Annotated[
        int, typer.Option(min=1, help="Seconds between two syncs to disk; a crash loses at most that.")
    ] = 5,
    free_mb: Annotated[
        int, typer.Option(min=0, help="Stop when no more than that is free on the disk.")
    ] = 1024,
    as_json: AsJson = False,
) -> None:
    """Record the raw frames of the configured legs, for `basisbot paper`, until told to stop.

    A crash costs the last few seconds: --resume ends the part that was being written and goes on with the
    next. It may be given at the first start, too.
    """
    from bot.wiring.record import RecordOptions, record_feeds

    frames = record_feeds(
        RecordOptions(
            environ=dict(os.environ),
            env_file=env_file or dotenv(),
            out=out,
            resume=resume,
            part_s=part_min * 60,
            sync_s=sync_s,
            free_bytes=free_mb << 20,
        )
    )
    if as_json:
        print_json({"frames": frames, "folder": str(out)})
    else:
        say(f"{frames} frames in {out}")


@verbs.command()
def doctor(
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Check everything that can be checked before an account is traded; exit 0 when nothing failed."""
    from bot.wiring.doctor import examine, failures
    from bot.wiring.venues import LiveOptions

    found = examine(LiveOptions(environ=dict(os.environ), env_file=env_file or dotenv()))
    failed = failures(found)
    if as_json:
        print_json({"ok": not failed, "findings": found})
    else:
        width = max(len(one.check) for one in found)
        for one in found:
            say(f"{one.verdict.value:4}  {one.check:{width}}  {one.text}")
    sys.stdout.flush()
    raise typer.Exit(1 if failed else 0)
