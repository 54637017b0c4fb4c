"""The mutants that live, each with the reason why that is accepted."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("survivors.txt")


def accepted() -> dict[str, str]:
    """Reason by name.  The file has a reason, ending in a colon, above the mutants that it is given for."""
    found: dict[str, str] = {}
    reason = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            found[line.strip()] = reason
        elif line and not line.startswith("#"):
            reason = line.removesuffix(":")
    return found
