"""What a replay costs, against what the standard library needs to parse the same files.

CPU is that of all threads from the first byte of a recording to the last commit, without interpreter start
and report.  Each run is in a fresh process and has its baseline beside it, so that both meet the same load.
"""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median

from msgspec import Struct

from bench.figure import RUNS, print_figure, probe
from bench.recordings import Case, cases

DAY_S = 86_400


class Run(Struct, frozen=True):
    """One paper run, and the standard library's parse of the same files just before it."""

    cpu_s: float
    parse_s: float
    peak_rss_mb: float
    frames: int
    frames_bytes: int
    journal_bytes: int
    span_s: float

    @property
    def ratio(self) -> float:
        return self.cpu_s / self.parse_s


def run(case: Case) -> Run:
    parsed = probe("parse", *case.files)
    with tempfile.TemporaryDirectory() as folder:
        ran = probe("paper", *case.options, "--report", folder)
        report = json.loads((Path(folder) / "report.json").read_text())
        journal_bytes = (Path(folder) / "journal.sqlite").stat().st_size
    span = datetime.fromisoformat(report["until"]) - datetime.fromisoformat(report["from"])
    return Run(
        cpu_s=ran["cpu_s"],
        parse_s=parsed["cpu_s"],
        peak_rss_mb=ran["peak_rss_mb"],
        frames=report["frames_in"],
        frames_bytes=parsed["bytes"],
        journal_bytes=journal_bytes,
        span_s=span.total_seconds(),
    )


def split(case: Case) -> tuple[str, int]:
    """Where the CPU of a frame goes, as text, and how many levels the recording holds."""
    parts_s: dict[str, list[float]] = {}
    levels = 0
    for _ in range(RUNS):
        stages = probe("stages", case.env_file, *case.feeds)
        with tempfile.TemporaryDirectory() as folder:
            ran = probe("paper", "--split", *case.options, "--report", folder)
        taken_s = dict(stages["split_s"])
        taken_s["step"] = ran["split_s"]["step"]
        taken_s["journal"] = ran["split_s"]["journal"] + ran["split_s"]["writer"]
        taken_s["paper"] = ran["cpu_s"] - sum(taken_s.values())
        for name, seconds in taken_s.items():
            parts_s.setdefault(name, []).append(seconds)
        levels = stages["levels"]
    names = ("read", "decode", "book", "filter", "step", "paper", "journal")
    middle_s = {name: median(parts_s[name]) for name in names}
    whole_s = sum(middle_s.values())
    text = ", ".join(f"{name} {seconds / whole_s:.0%}" for name, seconds in middle_s.items())
    return text, levels


def print_ratio(case: Case, name: str, runs: list[Run]) -> None:
    taken_s, parse_s = median(one.cpu_s for one in runs), median(one.parse_s for one in runs)
    print_figure(
        name,
        median(one.ratio for one in runs),
        "times the baseline",
        baseline=1.0,
        how=f"CPU of all threads from first byte to last commit, {taken_s:.3f} s, over that of "
        f"{case.parser} of the same files, {parse_s:.3f} s; {case.text}; median of {RUNS} ratios",
    )


def print_speeds(case: Case, runs: list[Run]) -> None:
    frames = runs[0].frames
    taken_s, parse_s = median(one.cpu_s for one in runs), median(one.parse_s for one in runs)
    text, levels = split(case)
    how = (
        f"{case.text}: {frames} frames, {levels} levels of depth updates and snapshots, per CPU second of all"
        f" threads, median of {RUNS}; baseline: parsed by {case.parser}"
    )
    parts = (
        f"; split by further runs, medians of {RUNS}: {text}, where read to filter are differences of runs "
        "that each go one stage further, step and journal are timed calls, and paper, with driver, inbox and "
        "loop, is the rest"
    )
    print_figure(
        "replay_frames_per_s", frames / taken_s, "frames/s", baseline=frames / parse_s, how=how + parts
    )
    print_figure("replay_levels_per_s", levels / taken_s, "levels/s", baseline=levels / parse_s, how=how)


def mb_per_day(size_bytes: int, one: Run, pairs: int) -> float:
    return size_bytes / 1e6 * DAY_S / one.span_s / pairs


def print_sizes(runs: list[tuple[Case, Run]]) -> None:
    """Journal and memory of the run that needs most."""
    case, one = max(runs, key=lambda each: mb_per_day(each[1].journal_bytes, each[1], each[0].pairs))
    print_figure(
        "journal_mb_per_day",
        mb_per_day(one.journal_bytes, one, case.pairs),
        "MB",
        baseline=mb_per_day(one.frames_bytes, one, case.pairs),
        how=f"journal file as written, a pair, {one.journal_bytes / 1e6:.2f} MB in {one.span_s:.0f} s scaled"
        f" to a day; {case.text}, the larger of the runs; baseline: its raw frames",
    )


def main() -> None:
    linear, inverse = cases()
    linear_runs = [run(linear) for _ in range(RUNS)]
    inverse_runs = linear_runs if inverse == linear else [run(inverse) for _ in range(RUNS)]
    print_ratio(linear, "replay_cpu_ratio_linear", linear_runs)
    print_ratio(inverse, "replay_cpu_ratio_inverse", inverse_runs)
    print_speeds(linear, linear_runs)
    print_sizes([(linear, linear_runs[0]), (inverse, inverse_runs[0])])
    peak_mb = max(median(one.peak_rss_mb for one in runs) for runs in (linear_runs, inverse_runs))
    bare_mb = probe("bare")["rss_mb"]
    print_figure(
        "peak_rss_mb",
        peak_mb,
        "MB",
        baseline=bare_mb,
        how=f"peak memory of a run with its report, medians of {RUNS}, the larger of linear and inverse;"
        " baseline: bare interpreter",
    )


if __name__ == "__main__":
    main()
