"""How long the program takes to start, in fresh processes, medians of five after one that does not count."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from statistics import median

from bench.figure import RUNS, print_figure, probe


def elapsed_s(*arguments: str) -> float:
    """Seconds an interpreter with these arguments runs."""
    begun_s = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun_s


def print_help() -> float:
    """Prints ``help_s``; each run has a bare interpreter beside it.  Returns that one's median, seconds."""
    bare_s, above_s = [], []
    for _ in range(RUNS + 1):
        bare_s.append(elapsed_s("-c", "pass"))
        above_s.append(elapsed_s("-m", "bot", "--help") - bare_s[-1])
    baseline_s = median(bare_s[1:])
    how = "wall time of `basisbot --help` less that of a bare interpreter just before"
    print_figure("help_s", median(above_s[1:]), "s", baseline=baseline_s, how=how)
    return baseline_s


def ready() -> tuple[float, float, float]:
    """Seconds from process start to the first batch of the demo, CPU seconds of that, and peak memory, MB."""
    taken_s, cpu_s, peak_mb = [], [], []
    for _ in range(RUNS + 1):
        with tempfile.TemporaryDirectory() as folder:
            begun_s = time.monotonic()
            told = probe("ready", folder)
        taken_s.append(told["at_s"] - begun_s)
        cpu_s.append(told["cpu_s"])
        peak_mb.append(told["rss_mb"])
    return median(taken_s[1:]), median(cpu_s[1:]), median(peak_mb[1:])


def main() -> None:
    bare_s = print_help()
    ready_s, cpu_s, rss_mb = ready()
    print_figure(
        "paper_ready_s",
        ready_s,
        "s",
        baseline=bare_s,
        how=f"wall time from process start to the first batch of the demo ({cpu_s:.2f} s of it CPU);"
        " baseline: a bare interpreter",
    )
    print_figure(
        "ready_rss_mb",
        rss_mb,
        "MB",
        baseline=probe("bare")["rss_mb"],
        how="peak memory by then; baseline: a bare interpreter",
    )


if __name__ == "__main__":
    main()
