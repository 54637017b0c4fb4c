"""Replay the scripted world into a journal, to be killed on the way: POINT COUNT JOURNAL."""

from __future__ import annotations

import sys
from pathlib import Path

from bot.shell.journal import JournalWriter
from bot.shell.replay import inputs_text, replay
from tests.e2e.kill_at import arm
from tests.shell.world import Venue, make_hooks, make_machine, make_options, recording


def main() -> None:
    point, count, path = sys.argv[1:]
    arm(point, int(count), Venue)
    options, venue = make_options(), Venue(recording())
    with JournalWriter(Path(path), resume=True, inputs=inputs_text(options)) as journal:
        engine, executor = make_machine(journal, venue, options.config)
        replay(venue, engine, executor, options, make_hooks(venue))


if __name__ == "__main__":
    main()
