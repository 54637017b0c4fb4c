"""Play the explorer's first seeds until one breaks a law: ``python -m tests.mutants.seeds COUNT``, exit 1."""

from __future__ import annotations

import sys

from tests.simulation.explorer.run import play

if __name__ == "__main__":
    sys.exit(any(play(seed).failures for seed in range(int(sys.argv[1]))))
