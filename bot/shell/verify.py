"""Verification of a journal: is it whole, and would the same facts lead to the same commands again.

Four checks in one pass over the rows: the chain (no byte was changed), the decisions (the step, given each
row's facts, answers with the stored commands) and the fold (a store that only folds the rows ends in the
same state as the one that decided), and the sums over all pairs, which the limits are judged by (they agree
with a look at every pair); snapshots of the present shape are held against the fold on the way. It runs no
gateway and no filter, and it needs no settings: each run's are in its `Booted`. A difference that the chain
does not explain is hidden nondeterminism.

Rows of an earlier version are folded as they are.  Where they would be decided otherwise today, the reason
must be one of `bot.shell.decisions`, and they are counted by it.  Rows of this version are held to all four
checks wherever they stand: its boot begins from what the rows before it fold to, as the program does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from msgspec import Struct

from bot.core.fold import refold as core_refold
from bot.core.step import step as core_step
from bot.model.commands import AnyCommand
from bot.model.entry import Entry, encode_items
from bot.model.facts import Booted
from bot.model.money import exact_arithmetic
from bot.model.store import Store, decode_store, encode_store, state_sha256
from bot.shell.decisions import EARLIER, reason_of
from bot.shell.engine import Refold, Step, StepFailed, decide
from bot.shell.rows import JournalError, decode_row, read_rows
from bot.shell.snapshots import stored
from risk.audit import difference

AUDITED_ROWS = 100  # a look at everything every so many rows, and at the last


class VerifyResult(Struct, frozen=True):
    """``row`` is the first that differs; ``text`` says what was found, for a person.  ``earlier_rows`` were
    written by an earlier version, and ``otherwise`` counts those that are decided otherwise by why."""

    ok: bool
    rows: int
    row: int | None
    text: str
    earlier_rows: int = 0
    otherwise: dict[str, int] = {}


def verify(path: Path, *, step: Step = core_step, refold: Refold = core_refold) -> VerifyResult:
    """Check a journal from its first row to its last or to the first difference."""
    decided, folded = Store(), Store()
    rows = earlier_rows = 0
    is_earlier, otherwise = False, Counter[str]()
    try:
        snapshots = {each.seq: hashlib.sha256(each.store).hexdigest() for each in stored(path)}
        with exact_arithmetic():
            for row in read_rows(path):
                entry = decode_row(path, row)
                was_earlier, is_earlier = is_earlier, _is_earlier(entry, is_earlier)
                if was_earlier and not is_earlier:  # a boot of this version begins from what it folds
                    decided = decode_store(encode_store(folded))
                try:
                    admitted = decide(step, decided, entry.at_ns, entry.facts)
                except StepFailed as failure:
                    return _differs(path, rows, f"cannot be decided again: {failure}")
                commands = tuple([one.command for one in admitted])
                refold(folded, entry)
                if not _alike(commands, entry, row.commands, is_earlier):
                    why = reason_of(entry.commands, commands, decided) if is_earlier else None
                    if why is None:
                        return _differs(path, rows, "leads to other commands than it holds")
                    otherwise[why.value] += 1
                    decided = _anew(folded, decided)
                rows, earlier_rows = rows + 1, earlier_rows + is_earlier
                if rows in snapshots and snapshots[rows] != state_sha256(folded):
                    text = f"journal {path}: the snapshot behind row {rows} is not the folded state"
                    return VerifyResult(False, rows, rows, text)
                if rows % AUDITED_ROWS == 0 and (what := difference(decided)):
                    return _missummed(path, rows, what)
    except JournalError as failure:
        return VerifyResult(False, rows, rows + 1, str(failure))
    if what := difference(decided):
        return _missummed(path, rows, what)
    state = state_sha256(folded)
    if not (otherwise and is_earlier) and state_sha256(decided) != state:
        return VerifyResult(
            False, rows, rows, f"journal {path}: after row {rows} the folded state is not the decided one"
        )
    text = f"journal {path}: {rows} rows are good, state {state}"
    if earlier_rows:
        text += f"; {earlier_rows} rows are of an earlier version, {_said(otherwise)}"
    return VerifyResult(True, rows, None, text, earlier_rows, dict(otherwise))


def _alike(commands: tuple[AnyCommand, ...], entry: Entry, stored: bytes, is_earlier: bool) -> bool:
    """Commands that were written before a field of theirs existed are another text and the same commands."""
    return commands == entry.commands if is_earlier else encode_items(commands) == stored


def _is_earlier(entry: Entry, before: bool) -> bool:
    """Whether a row was written by an earlier version, as the boot before it says."""
    booted = [fact.version for fact in entry.facts if isinstance(fact, Booted)]
    return booted[-1] in EARLIER if booted else before


def _anew(folded: Store, decided: Store) -> Store:
    """The folded store, to decide from: but what has been told stays told, as the earlier version could not
    write it down."""
    anew = decode_store(encode_store(folded))
    anew.alerts = decided.alerts
    for name, pair in anew.pairs.items():
        if name in decided.pairs:
            told = decided.pairs[name]
            pair.idle, pair.idle_value, pair.idle_limit = told.idle, told.idle_value, told.idle_limit
    return anew


def _said(otherwise: Counter[str]) -> str:
    if not otherwise:
        return "all are decided alike"
    counted = ", ".join(f"{why} {count}" for why, count in sorted(otherwise.items()))
    return f"{otherwise.total()} are decided otherwise: {counted}"


def _differs(path: Path, rows: int, what: str) -> VerifyResult:
    return VerifyResult(False, rows, rows + 1, f"journal {path}: row {rows + 1} {what}")


def _missummed(path: Path, rows: int, what: str) -> VerifyResult:
    return VerifyResult(False, rows, rows, f"journal {path}: after row {rows} a sum is wrong: {what}")
