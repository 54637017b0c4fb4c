"""Run every benchmark, each in a fresh process, and print one JSON object a line.

A benchmark is a script beside this one that prints such lines.  ``python bench/run.py NAME ...`` runs those
alone.  A script that fails is named on standard error, the others still run, and the exit code is 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("start", "book", "replay", "demo", "growth", "burst", "resync", "reaction")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}\n")
        return 2
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    failed = []
    for name in names or BENCHMARKS:
        command = [sys.executable, str(HERE / f"{name}.py")]
        done = subprocess.run(command, cwd=HERE.parent, env=env, check=False)
        if done.returncode != 0:
            failed.append(name)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
