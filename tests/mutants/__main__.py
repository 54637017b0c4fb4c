"""Whether the tests would notice: the table's mends taken back, and operators' mutants of what decides.

python -m tests.mutants

Ends with 1 where a mutant lives that `survivors.txt` does not name with its reason, where a killer fails
without its mutant, or where a text to be replaced is no longer there.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.mutants import forked
from tests.mutants.copies import copied, notices, put
from tests.mutants.operators import sample
from tests.mutants.rows import ROWS, Row
from tests.mutants.survivors import accepted


def told(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def row_failure(row: Row) -> str | None:
    """Why a row is not shown to be held by its killer."""
    with copied() as folder:
        if notices(folder, row.killer):
            return "its killer fails without the mutant"
        put(folder, row.changes)
        return None if notices(folder, row.killer) else "the mutant lives"


def rows() -> int:
    """How many rows fail."""
    failed = 0
    with ThreadPoolExecutor(forked.WORKERS) as pool:
        for row, failure in zip(ROWS, pool.map(row_failure, ROWS), strict=True):
            told(f"row {row.number}, {row.what}: {failure or f'killed by {row.killer.words()}'}")
            failed += failure is not None
    return failed


def operators() -> int:
    """How many mutants live without a reason."""
    mutants, reasons = sample(), accepted()
    found = forked.run(mutants, told)
    alive = {mutant.name for mutant in found.alive}
    unknown = [name for name in alive if name not in reasons]
    killed, late = len(mutants) - len(alive), len(found.late)
    told(f"{len(mutants)} mutants: {killed} killed, {late} of them by time")
    told(f"{len(alive)} live, {len(unknown)} of them without a reason")
    for name in sorted(set(reasons) - alive):
        told(f"killed, though listed: {name}")
    for name in sorted(unknown):
        told(f"lives without a reason: {name}")
    return len(unknown)


def main() -> int:
    began_s = time.monotonic()
    failed_rows = rows()
    rows_s = time.monotonic() - began_s
    lives = operators()
    told(f"rows {rows_s:.0f} s, operators {time.monotonic() - began_s - rows_s:.0f} s")
    return 1 if failed_rows or lives else 0


if __name__ == "__main__":
    sys.exit(main())
