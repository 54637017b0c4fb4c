"""Verification of a journal: is it whole, and would the same facts lead to the same commands again.

Four checks in one pass over the rows: the chain (no byte was changed), the decisions (the step, given each
row's facts, answers with the stored commands) and the fold (a store that only folds the rows ends in the
same state as the one that decided), and the sums over all pairs, which the limits are judged by (they agree
with a look at every pair); snapshots of the present shape are held against the fold on the way. It runs no
gateway and no filter, and it needs no settings: each run's are in its `Booted`. A difference that the chain
does not explain is hidden nondeterminism.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct

from bot.core.fold import refold as core_refold
from bot.core.step import step as core_step
from bot.model.entry import encode_items
from bot.model.money import exact_arithmetic
from bot.model.store import Store, state_sha256
from bot.shell.engine import Refold, Step, StepFailed, decide
from bot.shell.journal import JournalError, decode_row, read_rows
from bot.shell.snapshots import stored
from risk.audit import difference

AUDITED_ROWS = 100  # a look at everything every so many rows, and at the last


class VerifyResult(Struct, frozen=True):
    """``row`` is the first that differs; ``text`` says what was found, for a person."""

    ok: bool
    rows: int
    row: int | None
    text: str


def verify(path: Path, *, step: Step = core_step, refold: Refold = core_refold) -> VerifyResult:
    """Check a journal from its first row to its last or to the first difference."""
    decided, folded = Store(), Store()
    rows = 0
    try:
        snapshots = {each.seq: hashlib.sha256(each.store).hexdigest() for each in stored(path)}
        with exact_arithmetic():
            for row in read_rows(path):
                entry = decode_row(path, row)
                try:
                    admitted = decide(step, decided, entry.at_ns, entry.facts)
                except StepFailed as failure:
                    return _differs(path, rows, f"cannot be decided again: {failure}")
                commands = encode_items(tuple([one.command for one in admitted]))
                if commands != row.commands:
                    return _differs(path, rows, "leads to other commands than it holds")
                refold(folded, entry)
                rows += 1
                if rows in snapshots and snapshots[rows] != state_sha256(folded):
                    text = f"journal {path}: the snapshot behind row {rows} is not the folded state"
                    return VerifyResult(False, rows, rows, text)
                if rows % AUDITED_ROWS == 0 and (what := difference(decided)):
                    return _missummed(path, rows, what)
    except JournalError as failure:
        return VerifyResult(False, rows, rows + 1, str(failure))
    if what := difference(decided):
        return _missummed(path, rows, what)
    state = state_sha256(decided)
    if state_sha256(folded) != state:
        return VerifyResult(
            False, rows, rows, f"journal {path}: after row {rows} the folded state is not the decided one"
        )
    return VerifyResult(True, rows, None, f"journal {path}: {rows} rows are good, state {state}")


def _differs(path: Path, rows: int, what: str) -> VerifyResult:
    return VerifyResult(False, rows, rows + 1, f"journal {path}: row {rows + 1} {what}")


def _missummed(path: Path, rows: int, what: str) -> VerifyResult:
    return VerifyResult(False, rows, rows, f"journal {path}: after row {rows} a sum is wrong: {what}")
