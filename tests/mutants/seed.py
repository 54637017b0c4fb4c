"""Plays one seed of the explorer for a mutant: ends with 0 where every law holds, with 1 where one is broken.

python -m tests.mutants.seed NUMBER ENDING

Anything else, a bug of the product included, ends otherwise: it says nothing about the law.
"""

from __future__ import annotations

import sys

from tests.simulation.explorer.run import play

BROKEN, UNFIT = 1, 3


def main() -> int:
    number, ending = int(sys.argv[1]), sys.argv[2]
    outcome = play(number)
    laws = [failure.law for failure in outcome.failures]
    if outcome.ending != ending or "bug" in laws:
        sys.stderr.write(f"seed {number} ends {outcome.ending}: {laws}\n{outcome.story}\n")
        return UNFIT
    return BROKEN if laws else 0


if __name__ == "__main__":
    sys.exit(main())
