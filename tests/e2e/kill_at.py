"""Run the command line in this process and die by SIGKILL at a chosen point.

    python -m tests.e2e.kill_at commit|before-send|after-send|time K ARGUMENT...

dies right after the K-th commit of the journal, just before or just after the K-th command is handed to the
venue, or when virtual time has reached K ns.  If the run ends before that, it ends as it would have.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from bot.shell.journal import JournalWriter

POINTS = ("commit", "before-send", "after-send", "time")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, count: int, timeline: type) -> None:
    """Make this process kill itself.

    ``timeline`` is the class whose ``submit`` hands commands to the venue and whose ``advance`` returns the
    virtual time it reached.
    """
    if point not in POINTS or count < 1:
        raise SystemExit(f"{point} {count}: the point is one of {', '.join(POINTS)}, the count from 1")
    names = {"commit": (JournalWriter, "_commit"), "time": (timeline, "advance")}
    owner, name = names.get(point, (timeline, "submit"))
    real: Callable[..., object] = getattr(owner, name)
    seen = 0

    def deadly(*arguments: object, **named: object) -> object:
        nonlocal seen
        seen += 1
        if point == "before-send" and seen == count:
            _die()
        result = real(*arguments, **named)
        reached = result if point == "time" else seen
        if isinstance(reached, int) and (reached == count or (point == "time" and reached > count)):
            _die()
        return result

    setattr(owner, name, deadly)


def main() -> None:
    from adapters.paper.driver import PaperTimeline
    from bot.__main__ import main as run

    point, count, *arguments = sys.argv[1:]
    arm(point, int(count), PaperTimeline)
    sys.argv = ["basisbot", *arguments]
    run()


if __name__ == "__main__":
    main()
