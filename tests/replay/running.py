"""One replayed run of the scripted venue, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
)
from bot.model.store import Store
from bot.shell.journal import JournalWriter
from bot.shell.replay import (
    ReplayOptions,
    RunResult,
    inputs_text,
    replay,
)
from bot.shell.rows import read_entries
from tests.shell.samples import make_config
from tests.shell.world import (
    Venue,
    make_hooks,
    make_machine,
    make_options,
    recording,
)

US = 1_000


@dataclass
class Run:
    path: Path
    venue: Venue
    result: RunResult
    store: Store

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.path))


def run(
    path: Path,
    feed: list[tuple[int, AnyFact]] | None = None,
    *,
    options: ReplayOptions | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    venue: Venue | None = None,
) -> Run:
    options = options if options is not None else make_options()
    venue = venue if venue is not None else Venue(recording() if feed is None else feed)
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    with JournalWriter(path, resume=resume, inputs=inputs_text(options)) as journal:
        engine, executor = make_machine(journal, venue, options.config)
        result = replay(venue, engine, executor, options, make_hooks(venue, stopping))
    return Run(path, venue, result, engine.store)


def configured(step_us: float, deadline_s: float = 5.0) -> ReplayOptions:
    return make_options(config=make_config(step_us=step_us, deadline_s=deadline_s))


def times(entries: list[Entry], kind: type) -> list[int]:
    return [entry.at_ns for entry in entries for fact in entry.facts if isinstance(fact, kind)]
