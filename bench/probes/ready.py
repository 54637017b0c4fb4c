"""The demo, left at its first batch; says when that was, what CPU and how much memory it had taken."""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from bot.__main__ import main


def leave(*_: object) -> None:
    """Stands in for the engine's first batch: the facts of the first instant wait in the inbox."""
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"at_s": time.monotonic(), "cpu_s": time.process_time(), "rss_mb": peak_mb}
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    from bot.shell.engine import Engine

    Engine.run_batch = leave  # type: ignore[method-assign,assignment]
    sys.argv = ["basisbot", "demo", "--out", sys.argv[1]]
    main()
