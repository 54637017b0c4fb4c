"""Run the command line in this process and die by SIGKILL at a chosen point.

    python -m tests.e2e.kill_at commit|before-send|after-send K ARGUMENT...

dies right after the K-th commit of the journal, or just before or just after the K-th command is handed to
the venue.  If the run ends before that, it ends as it would have.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from bot.shell.journal import JournalWriter

POINTS = ("commit", "before-send", "after-send")


def arm(point: str, count: int, sender: type) -> None:
    """Make this process kill itself; ``sender`` is the class whose ``submit`` hands commands to the venue."""
    if point not in POINTS or count < 1:
        raise SystemExit(f"{point} {count}: the point is one of {', '.join(POINTS)}, the count from 1")
    owner, name = (JournalWriter, "_commit") if point == "commit" else (sender, "submit")
    real: Callable[..., object] = getattr(owner, name)
    seen = 0

    def deadly(*arguments: object) -> object:
        nonlocal seen
        seen += 1
        if point == "before-send" and seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments)
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
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
