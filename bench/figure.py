"""One figure of a benchmark, printed as one JSON object a line, and how processes are timed for it.

Machines are noisy and differ: ``baseline`` is something measured in the same run, in the same unit, and
``ratio`` is the figure over it.  ``value`` is what has the bar, and ``how`` says in a sentence how it was
measured.  A probe is a script in ``probes`` that does one thing in a fresh process, times it from the inside
and prints what it took as its last line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RUNS = 5
PROBES = Path(__file__).resolve().parent / "probes"


def print_figure(name: str, value: float, unit: str, *, baseline: float, how: str) -> None:
    """Print one figure; ``baseline`` is in the same unit and greater than 0."""
    figure = {
        "name": name,
        "value": round(value, 6),
        "unit": unit,
        "baseline": round(baseline, 6),
        "ratio": round(value / baseline, 4),
        "how": how,
    }
    print(json.dumps(figure), flush=True)


def probe(name: str, *arguments: str | Path) -> dict[str, Any]:
    """What ``probes/NAME.py`` says, in a process of its own.  Its failure ends the benchmark with exit 1."""
    command = [sys.executable, str(PROBES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{name} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
