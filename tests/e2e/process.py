"""The command line as a process of its own, and what a run leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from bot.model.commands import PlaceOrder
from bot.model.entry import Entry
from bot.model.store import Store
from bot.shell.report_model import Report, decode_report
from bot.shell.rows import read_entries
from tests.conftest import ROOT
from tests.invariants import check

TIMEOUT_S = 280.0


class Done(Struct, frozen=True):
    """A process that has ended; ``folder`` is its report's."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def sentence(self) -> str:
        """What it said on standard error, progress left out."""
        return "\n".join(line for line in self.err.splitlines() if not line.startswith("{"))

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"

    @property
    def report_bytes(self) -> bytes:
        return (self.folder / "report.json").read_bytes()

    @property
    def report(self) -> Report:
        return decode_report(self.report_bytes)

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.journal))

    @property
    def orders(self) -> list[tuple[int, PlaceOrder]]:
        """Every order sent, with the time it was sent at."""
        return [
            (entry.at_ns, command)
            for entry in self.entries
            for command in entry.commands
            if isinstance(command, PlaceOrder)
        ]


def basisbot(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> Done:
    """Run the program with a bare environment; ``before`` is what stands before its arguments."""
    command = before or (sys.executable, "-m", "bot")
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, cwd / "out")


def paper(
    cwd: Path,
    feeds: Sequence[Path],
    env: Mapping[str, str] | None,
    *more: str | Path,
    before: Sequence[str] = (),
) -> Done:
    """A paper run whose report and journal go to ``cwd / "out"``."""
    named = [argument for feed in feeds for argument in ("--feed", feed)]
    return basisbot("paper", *named, "--report", cwd / "out", *more, cwd=cwd, env=env, before=before)


def kill_at(point: str, count: int) -> tuple[str, ...]:
    """What to put before the arguments so that the process dies there."""
    return (sys.executable, "-m", "tests.e2e.kill_at", point, str(count))


def lawful(done: Done) -> Store:
    """The store that a journal of a run that ended well folds to; fails for one that breaks a law."""
    assert done.code == 0, done.err
    broken, store = check(done.entries)
    assert not broken, "; ".join(broken[:5])
    return store


def moves(report: Report, pair: str = "BTC") -> list[str]:
    """The states a pair went through, the first one included."""
    found = next(one for one in report.pairs if one.name == pair)
    first = [found.transitions[0].before.value] if found.transitions else [found.state.value]
    return [*first, *(transition.after.value for transition in found.transitions)]
