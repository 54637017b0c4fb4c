"""One paper run, timed from the first byte of a recording to the last commit, over all threads.

Interpreter start, imports and settings come before, the report after.  With ``--split`` first, the calls of
step and journal are timed as well, which costs about a microsecond a call.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.recorded.frames import Feed
from bot.__main__ import main
from bot.model.commands import AnyCommand
from bot.model.facts import AnyFact
from bot.shell.journal import JournalWriter
from bot.shell.replay import RunResult
from bot.shell.rows import Row
from bot.wiring import paper as wiring

told: dict[str, Any] = {}
split_s = {"step": 0.0, "journal": 0.0, "writer": 0.0}  # the writer is a thread of its own


def mark_begin(open_feeds: Callable[[Sequence[Path]], list[Feed]]) -> Callable[[Sequence[Path]], list[Feed]]:
    def opened(paths: Sequence[Path]) -> list[Feed]:
        told["begun_s"] = time.process_time()
        return open_feeds(paths)

    return opened


def mark_end(replay: Callable[..., RunResult]) -> Callable[..., RunResult]:
    def replayed(*arguments: Any) -> RunResult:
        result = replay(*arguments)
        told["cpu_s"] = time.process_time() - told.pop("begun_s")
        told["rows"] = result.rows
        told["journal_sha256"] = result.journal_sha256
        return result

    return replayed


class TimedJournal(JournalWriter):
    """Times what the engine calls and what the writer's thread does; of nested calls the outermost counts."""

    _depth = 0

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._depth += 1
        begun_s = time.thread_time()
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                split_s["journal"] += time.thread_time() - begun_s

    def append(self, at_ns: int, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> int:
        with self._timed():
            return super().append(at_ns, facts, commands)

    def hand_over(self) -> None:
        with self._timed():
            super().hand_over()

    def flush(self) -> None:
        with self._timed():
            super().flush()

    def _write(self, rows: list[Row]) -> None:
        begun_s = time.thread_time()
        super()._write(rows)
        split_s["writer"] += time.thread_time() - begun_s


def time_step(step: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        begun_s = time.thread_time()
        result = step(*arguments)
        split_s["step"] += time.thread_time() - begun_s
        return result

    return timed


if __name__ == "__main__":
    arguments = sys.argv[1:]
    names = vars(wiring)
    names["open_feeds"] = mark_begin(names["open_feeds"])
    names["replay"] = mark_end(names["replay"])
    if arguments[0] == "--split":
        del arguments[0]
        names["step"] = time_step(names["step"])
        names["JournalWriter"] = TimedJournal
        told["split_s"] = split_s
    sys.argv = ["basisbot", "paper", *arguments]
    begun_s = time.monotonic()
    try:
        main()
    finally:
        told["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told["wall_s"] = time.monotonic() - begun_s
        print(json.dumps(told))
