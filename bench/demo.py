"""How long `basisbot demo` takes, report included."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

from bench.figure import RUNS, print_figure, probe
from bench.recordings import demo


def child_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    wall_s, cpu_s = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            begun_s, before_s = time.monotonic(), child_cpu_s()
            command = [sys.executable, "-m", "bot", "demo", "--out", folder]
            subprocess.run(command, check=True, capture_output=True)
        wall_s.append(time.monotonic() - begun_s)
        cpu_s.append(child_cpu_s() - before_s)
    parsed = probe("parse", *demo().files)
    print_figure(
        "demo_s",
        median(wall_s),
        "s",
        baseline=parsed["cpu_s"],
        how=f"wall time of `basisbot demo` with its report, median of {RUNS}; CPU {median(cpu_s):.1f} s;"
        " baseline: zstd and json.loads of its recording",
    )


if __name__ == "__main__":
    main()
