"""Play seeds from the command line: one with its story, or thousands with their tables.

python -m tests.simulation.explorer --seed 7 --verbose
python -m tests.simulation.explorer --count 10000 --processes 2
"""

from __future__ import annotations

import argparse
import sys
from multiprocessing import Pool

from tests.simulation.explorer.run import Outcome, play
from tests.simulation.explorer.tables import Summary

TOLD = 5  # stories of failed seeds that a long run prints


def many(first: int, count: int, processes: int) -> list[Outcome]:
    seeds = range(first, first + count)
    if processes == 1:
        return [play(seed) for seed in seeds]
    with Pool(processes) as pool:
        return list(pool.imap_unordered(play, seeds, chunksize=16))


def main() -> int:
    parser = argparse.ArgumentParser(description="The explorer of the law of the exit.")
    parser.add_argument("--seed", type=int, help="play this seed alone")
    parser.add_argument("--verbose", action="store_true", help="print every row of a seed")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    if given.seed is not None:
        outcome = play(given.seed, verbose=given.verbose)
        sys.stdout.write(f"{outcome.story or 'nothing was broken'}\n")
        return 1 if outcome.failures else 0
    summary = Summary(many(given.first, given.count, given.processes))
    sys.stdout.write(f"{summary.text()}\n")
    for one in summary.failed[:TOLD]:
        sys.stdout.write(f"\n{one.story}\n")
    failed = " ".join(str(one.seed) for one in summary.failed)
    premises = summary.premises()
    sys.stdout.write("".join(f"{line}\n" for line in premises))
    sys.stdout.write(f"failed seeds: {failed or 'none'}\n")
    return 1 if failed or premises else 0


if __name__ == "__main__":
    sys.exit(main())
