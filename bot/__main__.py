"""The process: run a verb, turn its outcome into an exit code.

0 done, 1 failed, 2 wrong usage, 3 a bug, 4 wrong configuration or input.  An error that a user can cause
says so by its attribute ``exit_code`` and ends in one sentence on standard error; everything else is a bug
and gets its traceback printed.  With --json whatever went wrong is one object on standard output, too.
"""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from bot.cli import app
from bot.cli_live import STAY_DOWN
from bot.options import print_json, say

DONE = 0
FAILED = 1
BUG = 3
REFUSED = 4


def main() -> None:
    """Run the verb that the command line names, then leave with its exit code."""
    try:
        code = app(prog_name="basisbot", standalone_mode=False)
    except typer.Abort:
        _leave("aborted", FAILED)
    except Exception as error:  # noqa: BLE001 - the one place where an unknown error becomes an exit code
        code = getattr(error, "exit_code", FAILED if isinstance(error, OSError) else BUG)
        if code == BUG:
            for line in "".join(traceback.format_exception(error)).splitlines():
                say(line, err=True)
        if hasattr(error, "show") and hasattr(error, "format_message"):  # typer's own, with the usage
            error.show()
            _leave(error.format_message(), code)
        say(f"basisbot: {error}", err=True)
        _leave(str(error), DONE if code == REFUSED and STAY_DOWN in sys.argv else code)
    sys.exit(code)


def _leave(sentence: str, code: int) -> NoReturn:
    """End the process after something went wrong."""
    if "--json" in sys.argv:
        print_json({"error": sentence, "exit_code": code})
    sys.exit(code)


if __name__ == "__main__":
    main()
