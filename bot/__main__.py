"""The process: run a verb, turn its outcome into an exit code.

0 done, 1 failed, 2 wrong usage, 3 a bug, 4 wrong configuration or input.  An error that a user can cause
says so by its attribute ``exit_code`` and ends in one sentence on standard error; everything else is a bug
and gets its traceback printed.
"""

from __future__ import annotations

import sys
import traceback

from bot.cli import app
from bot.cli_live import STAY_DOWN

DONE = 0
FAILED = 1
BUG = 3
REFUSED = 4


def main() -> None:
    """Run the verb that the command line names, then leave with its exit code."""
    try:
        app(prog_name="basisbot")
    except Exception as error:  # noqa: BLE001 - the one place where an unknown error becomes an exit code
        code = getattr(error, "exit_code", FAILED if isinstance(error, OSError) else BUG)
        if code == BUG:
            traceback.print_exception(error)
        sys.stderr.write(f"basisbot: {error}\n")
        sys.exit(DONE if code == REFUSED and STAY_DOWN in sys.argv else code)


if __name__ == "__main__":
    main()
