"""Progress of a replay: a bar on a terminal, a JSON line now and then elsewhere.

A replay says where virtual time stands; the rate and the time left are of this machine and appear nowhere but
here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from msgspec import Struct

_LINE_EVERY_S = 5.0
_DRAW_EVERY_S = 0.1


class Progress(Struct, frozen=True):
    """``begin`` is told the range of virtual time, its end 0 if unknown; ``move`` the time reached; ns."""

    begin: Callable[[int, int], None]
    move: Callable[[int], None]


@contextmanager
def progress_to(stream: TextIO) -> Iterator[Progress]:
    """Progress on ``stream``, in the form that suits it."""
    if stream.isatty():
        with _bar(stream) as progress:
            yield progress
    else:
        yield _lines(stream)


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _bar(stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("", total=None, rate="")
        pace = _Pace(_DRAW_EVERY_S)

        def move(at_ns: int) -> None:
            if pace.due():
                done_s = pace.covered_s(at_ns)
                bar.update(
                    task, completed=done_s, description=_moment(at_ns), rate=f"{pace.rate(at_ns):,.0f}×"
                )

        def begin(from_ns: int, until_ns: int) -> None:
            pace.begin(from_ns)
            bar.update(task, total=(until_ns - from_ns) / 1e9 if until_ns else None)

        yield Progress(begin, move)


def _lines(stream: TextIO) -> Progress:
    pace = _Pace(_LINE_EVERY_S)
    total_s = 0.0

    def write(event: str, at_ns: int, **fields: float) -> None:
        stream.write(json.dumps({"event": event, "at": _moment(at_ns), **fields}) + "\n")
        stream.flush()

    def begin(from_ns: int, until_ns: int) -> None:
        nonlocal total_s
        pace.begin(from_ns)
        total_s = (until_ns - from_ns) / 1e9 if until_ns else 0.0
        write("replay_begun", from_ns, **({"simulated_s": round(total_s, 3)} if total_s else {}))

    def move(at_ns: int) -> None:
        if pace.due():
            rate, covered_s = pace.rate(at_ns), pace.covered_s(at_ns)
            left = {}
            if total_s and rate:
                left = {
                    "share": round(covered_s / total_s, 4),
                    "eta_s": round((total_s - covered_s) / rate, 1),
                }
            write("replay", at_ns, rate=round(rate, 1), **left)

    return Progress(begin, move)


class _Pace:
    """How fast virtual time runs against this machine's clock, and when the next word about it is due."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._begun_s = self._last_s = time.monotonic()
        self._from_ns = 0

    def begin(self, from_ns: int) -> None:
        self._begun_s = self._last_s = time.monotonic()
        self._from_ns = from_ns

    def due(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._last_s < self._every_s:
            return False
        self._last_s = now_s
        return True

    def covered_s(self, at_ns: int) -> float:
        return (at_ns - self._from_ns) / 1e9

    def rate(self, at_ns: int) -> float:
        """Virtual seconds a second."""
        return self.covered_s(at_ns) / max(time.monotonic() - self._begun_s, 1e-9)
