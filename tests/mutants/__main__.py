"""Take the mends back and change operators, and see that a test notices each.

``python -m tests.mutants rows`` and ``python -m tests.mutants operators``; `make mutate` runs both.  Exit 1
names each mutant that nobody noticed and that `survivors.txt` does not list with a reason, and each that it
lists and somebody notices.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from multiprocessing import Pool
from pathlib import Path

from coverage import CoverageData

from tests.conftest import ROOT
from tests.mutants.copies import changed, copied, ended
from tests.mutants.operators import FILES, Mutant, mutants
from tests.mutants.rows import ROWS, Case, Row, Seed

LIST = Path(__file__).with_name("survivors.txt")
SUITES = ("tests/core", "tests/risk")
SAMPLE, SAMPLED_BY = 500, 2026
SEEDS = 40  # of the explorer, which notice most of what decides wrongly
PARTICULAR, SPREAD = 40, 60  # tests of a line: those that pass the fewest lines, and some of all others
ROW_LIMIT_S, OPERATOR_LIMIT_S = 300.0, 90.0
PYTEST = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0"]

Lines = dict[str, dict[int, list[str]]]  # file → line → the tests that pass it, the most particular first


# --- rows -------------------------------------------------------------------------------------------------


def killer_of(row: Row) -> list[str]:
    match row.killer:
        case Seed(number):
            return ["-m", "tests.simulation.explorer", "--seed", str(number)]
        case Case(node):
            return [*PYTEST, node]


def is_killed(row: Row, code: int, said: str) -> bool:
    """Whether a seed broke a law in its ending, or a test failed: a program that cannot run kills nobody."""
    if isinstance(row.killer, Seed):
        begins = f"seed {row.killer.number}, ending {row.killer.ending},"
        return code == 1 and said.startswith(begins) and "\nbug " not in said
    return code == 1 and "\nFAILED " in said


def named(row: Row) -> str:
    match row.killer:
        case Seed(number, ending):
            return f"seed {number}, {ending}"
        case Case(node, why):
            return f"{node}, since {why}"


def rows() -> list[str]:
    """What is wrong: mends that can be taken back unnoticed."""
    wrong = []
    with copied() as folder:
        for row in ROWS:
            name = f"row {row.number} ({row.what})"
            killer = killer_of(row)
            if ended(folder, killer, ROW_LIMIT_S)[0] != 0:
                wrong.append(f"{name}: its killer fails as it is")
                continue
            with ExitStack() as stack:
                for change in row.changes:
                    path = folder / change.file
                    text = path.read_text(encoding="utf-8")
                    if text.count(change.old) != 1:
                        wrong.append(f"{name}: {change.file} does not hold its text once")
                    stack.enter_context(changed(path, text.replace(change.old, change.new)))
                survived = not is_killed(row, *ended(folder, killer, ROW_LIMIT_S))
            by = (
                f"seed {row.killer.number} {row.killer.ending}"
                if isinstance(row.killer, Seed)
                else row.killer.node
            )
            sys.stdout.write(f"{name}: {'SURVIVED' if survived else 'killed'} by {by}\n")
            if survived:
                wrong.append(f"{name}: {by} does not notice")
    return wrong


# --- operators --------------------------------------------------------------------------------------------


def passing() -> Lines:
    """Which tests pass which lines."""
    with copied() as folder:
        command = [sys.executable, "-B", *PYTEST[:2], "-q", "-p", "no:cacheprovider", "-n", "0", *SUITES]
        command += ["--cov", "--cov-context=test", "--cov-report="]
        subprocess.run(
            command, cwd=folder, env={"PYTHONPATH": str(folder), "PATH": ""}, check=True, capture_output=True
        )
        data = CoverageData(str(folder / ".coverage"))
        data.read()
        found: Lines = {}
        breadth: dict[str, int] = {}
        for file in FILES:
            found[file] = {}
            for line, contexts in data.contexts_by_lineno(str(folder / file)).items():
                names = sorted({one.split("|")[0] for one in contexts if one})
                found[file][line] = names
                for name in names:
                    breadth[name] = breadth.get(name, 0) + 1
        for lines in found.values():
            for names in lines.values():
                names.sort(key=lambda name: (breadth[name], name))
        return found


def survives(mutant: Mutant, tests: list[str], folder: Path) -> bool:
    """Whether nobody notices: the explorer's seeds, then tests that pass the line."""
    others = tests[PARTICULAR:]
    suites = (tests[:PARTICULAR], others[:: max(1, len(others) // SPREAD)])
    commands = [["-m", "tests.mutants.seeds", str(SEEDS)], *([*PYTEST, *suite] for suite in suites if suite)]
    with changed(folder / mutant.file, mutant.text):
        return all(ended(folder, command, OPERATOR_LIMIT_S)[0] == 0 for command in commands)


def worker(jobs: list[tuple[Mutant, list[str]]]) -> list[str]:
    """The mutants of one share that survive, in a copy of its own."""
    with copied() as folder:
        return [mutant.name for mutant, tests in jobs if survives(mutant, tests, folder)]


def listed() -> dict[str, str]:
    """Survivors that were looked at, and why each may live."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" | ")
            found[name] = reason
    return found


def operators(sample: int, processes: int, only: str) -> list[str]:
    files = [file for file in FILES if only in file]
    everything = [one for file in files for one in mutants(ROOT, file)]
    dice = random.Random(SAMPLED_BY)
    chosen = dice.sample(everything, min(sample, len(everything)))
    lines = passing()
    jobs = [(one, lines[one.file].get(one.line, [])) for one in chosen]
    with Pool(processes) as pool:
        shares = pool.map(worker, [jobs[first::processes] for first in range(processes)], chunksize=1)
    alive = {name for share in shares for name in share}
    known = listed()
    sys.stdout.write(f"{len(everything)} operators' mutants, {len(chosen)} tried, {len(alive)} survived\n")
    wrong = [f"survived: {name}" for name in sorted(alive - set(known))]
    noticed = {one.name for one in chosen} & set(known) - alive
    return wrong + [f"listed as a survivor, and killed: {name}" for name in sorted(noticed)]


def told(wrong: Iterable[str], begun_s: float) -> int:
    found = list(wrong)
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.stdout.write(f"{len(found)} to look at, {time.monotonic() - begun_s:.0f} s\n")
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutants of what decides.")
    parser.add_argument("what", choices=("rows", "operators"))
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of a file's name")
    given = parser.parse_args()
    begun_s = time.monotonic()
    if given.what == "rows":
        return told(rows(), begun_s)
    return told(operators(given.sample, given.processes, given.only), begun_s)


if __name__ == "__main__":
    sys.exit(main())
