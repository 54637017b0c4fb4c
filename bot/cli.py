"""The verbs.  Each parses its arguments, calls one function and prints what came of it.

Nothing heavier than typer is imported up here: `basisbot --help` answers at once, and each verb imports
what it needs.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot import __version__, cli_live, cli_operator
from bot.options import AsJson, EnvFile, dotenv, print_json, say

if TYPE_CHECKING:
    from bot.wiring.paper import PaperOptions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
journal = typer.Typer(help="Read a journal.", no_args_is_help=True)
config = typer.Typer(help="Look at the settings.", no_args_is_help=True)
app.add_typer(journal, name="journal")
app.add_typer(config, name="config")


def tell_version(is_asked: bool) -> None:
    if is_asked:
        say(f"basisbot {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", help="Print the version.", callback=tell_version, is_eager=True),
]


@app.callback()
def root(version: Version = False) -> None:
    """Trades the basis: long one leg, short the other, delta neutral."""


def parse_ns(text: str, option: str | None = None) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time, UTC unless it says otherwise; ``option`` gave it."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        sentence = f"{text!r} is not an ISO 8601 time such as 2026-03-02T08:00:00Z"
        raise typer.BadParameter(sentence, param_hint=option) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


Feeds = Annotated[
    list[Path], typer.Option("--feed", help="A recording, file or folder; repeatable.", exists=True)
]
From = Annotated[str | None, typer.Option("--from", help="Leave out what was received before, ISO 8601.")]
Until = Annotated[
    str | None, typer.Option("--until", help="Leave out what was received from then on, ISO 8601.")
]
FundingFile = Annotated[
    Path | None, typer.Option("--funding", help="Funding settlements (CSV).", exists=True, dir_okay=False)
]
InstrumentFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--instruments", help="The venue's description of its instruments (JSON); repeatable.", exists=True
    ),
]
JournalFile = Annotated[
    Path | None, typer.Option("--journal", help="Write the journal there.", dir_okay=False)
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Verify the journal that is there and go on at its end.")
]
ReportDir = Annotated[
    Path, typer.Option("--report", help="Folder for report.html and report.json.", file_okay=False)
]
CrashAt = Annotated[
    list[str] | None,
    typer.Option("--crash-at", help="Drop the bot's memory at this time, ISO 8601; repeatable."),
]
StoredJournal = Annotated[Path, typer.Argument(help="A journal.", exists=True, dir_okay=False)]


@app.command()
def paper(  # noqa: PLR0913 - the parameters of a verb are the options of the command line
    *,
    feed: Feeds,
    env_file: EnvFile = None,
    from_: From = None,
    until: Until = None,
    funding: FundingFile = None,
    instruments: InstrumentFiles = None,
    journal_file: JournalFile = None,
    resume: Resume = False,
    report: ReportDir = Path("out/paper"),
    crash_at: CrashAt = None,
    as_json: AsJson = False,
) -> None:
    """Replay recordings against the paper venue.

    Without --journal the journal stands in the report's folder and is written afresh each time.
    """
    from bot.wiring.paper import PaperOptions

    from_ns = parse_ns(from_, "--from") if from_ else 0
    until_ns = parse_ns(until, "--until") if until else 0
    if until_ns and until_ns <= from_ns:
        raise typer.BadParameter(f"{until} is not later than --from {from_}", param_hint="--until")
    _run(
        PaperOptions(
            feeds=tuple(feed),
            environ=dict(os.environ),
            env_file=env_file or dotenv(),
            from_ns=from_ns,
            until_ns=until_ns,
            funding=funding,
            instruments=tuple(instruments or ()),
            journal=journal_file,
            resume=resume,
            report=report,
            crash_at_ns=tuple(sorted(parse_ns(at, "--crash-at") for at in crash_at or ())),
        ),
        as_json,
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for journal and report.", file_okay=False)] = Path(
        "out/demo"
    ),
    as_json: AsJson = False,
) -> None:
    """Run the recording that comes with the program; reads neither environment nor .env."""
    from bot.wiring.paper import PaperOptions, demo_files

    recording, env_file = demo_files()
    _run(PaperOptions(feeds=(recording,), environ={}, env_file=env_file, report=out), as_json)


def _run(options: PaperOptions, as_json: bool) -> None:
    from bot.progress import progress_to
    from bot.shell.report_summary import summary_lines
    from bot.wiring.paper import run_paper

    with progress_to(sys.stderr) as progress:
        summary = run_paper(options, progress)
    report, files = summary.report, {"journal": str(summary.journal), "report": str(summary.written.json)}
    if as_json:  # the rest is in the report, which is a documented interface
        names = ("run_id", "mode", "rows", "nav", "attribution", "journal_sha256", "state_sha256")
        print_json({name: getattr(report, name) for name in names} | {"files": files})
    else:
        for line in summary_lines(report):
            say(line)
        say(f"journal file {summary.journal}")
        say(f"report  {summary.written.html or summary.written.json}")
    if summary.written.notice:
        say(summary.written.notice, err=True)


@journal.command()
def verify(file: StoredJournal, as_json: AsJson = False) -> None:
    """Decide everything again and require the same; exit 1 names the first row that differs."""
    from bot.shell.verify import verify as verify_journal

    result = verify_journal(file)
    if as_json:
        print_json(result)
    else:
        say(result.text)
    raise typer.Exit(0 if result.ok else 1)


@journal.command()
def export(
    file: StoredJournal,
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of standard output.", dir_okay=False)
    ] = None,
) -> None:
    """Print every row as one JSON object a line."""
    from bot.shell.export import export as export_journal

    if out is None:
        export_journal(file, sys.stdout)
        return
    with out.open("w", encoding="utf-8") as stream:
        export_journal(file, stream)


@journal.command()
def show(
    file: StoredJournal,
    last: Annotated[int, typer.Option(min=1, help="So many rows from the end.")] = 10,
    seq: Annotated[str | None, typer.Option(help="These rows instead: FIRST-LAST or one number.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Each as one JSON object a line.")] = False,
) -> None:
    """Print rows for a person to read."""
    from bot.shell.export import show as show_journal

    show_journal(file, sys.stdout, last=last, seq=parse_range(seq) if seq else None, as_json=as_json)


def parse_range(text: str) -> tuple[int, int]:
    """``FIRST-LAST`` or one number, as a closed range."""
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise typer.BadParameter(f"{text!r} is neither FIRST-LAST nor a number", param_hint="--seq")
    bounds = int(first), int(last) if dash else int(first)
    if bounds[0] > bounds[1]:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--seq")
    return bounds


@config.command()
def check(env_file: EnvFile = None, as_json: AsJson = False) -> None:
    """Say whether the settings can be used."""
    from bot.contradictions import warnings
    from bot.knobs import ConfigError
    from bot.settings import load, settings_sha256
    from bot.wiring.venues import unusable

    settings = load(os.environ, env_file or dotenv())
    if refusals := unusable(settings):
        raise ConfigError("; ".join(refusals))
    config = settings.config
    names, sha256 = [pair.name for pair in config.pairs], settings_sha256(config)
    doubts = list(warnings(config))
    if as_json:
        told = {"mode": config.mode, "pairs": names, "settings_sha256": sha256, "warnings": doubts}
        print_json(told)
        return
    say(f"settings are complete: mode {config.mode}, pairs {', '.join(names)}")
    for doubt in doubts:
        say(f"warning: {doubt}")
    say(f"settings_sha256 {sha256}")


@config.command("show")
def show_config(
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Print every setting with its value and where that comes from; secrets as asterisks."""
    from bot.settings import describe

    rows = describe(os.environ, env_file or dotenv())
    if as_json:
        print_json({row.variable: {"value": row.value, "source": row.source} for row in rows})
        return
    width = max(len(row.variable) for row in rows)
    for row in rows:
        say(f"{row.variable:{width}}  {row.value or '(empty)'}  [{row.source}]")


@app.command()
def health(
    *,
    journal_file: Annotated[
        Path | None,
        typer.Option("--journal", envvar="BASISBOT_JOURNAL", help="The journal.", show_envvar=True),
    ] = None,
    max_age_s: Annotated[
        float, typer.Option(min=0, help="Seconds since the last commit that are still fine.")
    ] = 120,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask the living run instead whether it is safe to trade.")
    ] = False,
    wait_s: Annotated[
        float, typer.Option(min=0, help="With --ready: ask again for so many seconds until it is.")
    ] = 0,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Read the last row of a journal: exit 0 when there is one and it is recent."""
    if ready:
        from bot.access import find_port
        from bot.shell.client import await_readiness

        found = await_readiness(find_port(os.environ, env_file or dotenv()), wait_s)
        why = [f"{name}: {one}" for name, reasons in found.why.items() for one in reasons]
        if as_json:
            print_json(found)
        else:
            reason = "; ".join(why) or found.stopping or "starting"
            say("ready" if found.ready else f"not ready: {reason}")
        raise typer.Exit(0 if found.ready else 1)
    if journal_file is None:
        raise typer.BadParameter("name a journal, or ask the run by --ready", param_hint="--journal")
    from bot.shell.health import read_health

    last = read_health(journal_file)
    fine = last.age_s <= max_age_s
    if as_json:
        print_json({"healthy": fine, "seq": last.seq, "age_s": last.age_s})
    else:
        say(f"{'healthy' if fine else 'stale'}: row {last.seq}, written {last.age_s:.1f} s ago")
    raise typer.Exit(0 if fine else 1)


app.add_typer(cli_live.verbs)
app.add_typer(cli_operator.verbs)
