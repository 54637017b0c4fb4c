"""The engine: the one place where facts meet the store.

It drains the inbox, calls the step once, writes one journal row and hands back what the guard admitted.  A
batch with a command for a venue, an operator's order, a boot or a change of mode is on disk before the engine
answers; one that moved money is on its way there, since no venue need say it again; the others follow when
their group does.  An exception out of the step is a bug: the rows before it
are made durable, the batch is laid beside the journal for a person to read, and the process ends.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    Command,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    SetMode,
)
from bot.model.entry import Entry, encode_items
from bot.model.facts import (
    AdoptionOrdered,
    AnyFact,
    BookSeen,
    Booted,
    Fact,
    ForcedFilled,
    FundingEstimated,
    FundingPaid,
    FundingSettled,
    InterestCharged,
    MarkSeen,
    ModeOrdered,
    OrderFilled,
    ResidualSettled,
    SettingsChanged,
    StopOrdered,
    Stopped,
    Transferred,
)
from bot.model.ids import InstrumentId
from bot.model.store import Store, live_orders
from bot.shell.inbox import Inbox
from bot.shell.rows import read_entries
from risk.guard import Admitted

Step = Callable[[Store, int, tuple[AnyFact, ...]], tuple[Admitted, ...]]
Refold = Callable[[Store, Entry], None]

_DURABLE_FIRST: frozenset[type] = frozenset(
    {PlaceOrder, CancelOrder, QueryOrder, QueryAccount, SetMode}
    | {ModeOrdered, AdoptionOrdered, ResidualSettled, StopOrdered, SettingsChanged, Stopped, Booted}
)
_SAID_ONCE: frozenset[type] = frozenset(
    {OrderFilled, ForcedFilled, FundingPaid, FundingSettled, InterestCharged, Transferred}
)
_NO_ORDER_MOVES: frozenset[type] = frozenset({BookSeen, MarkSeen, FundingEstimated})


class Journal(Protocol):
    """What the engine asks of a journal; `bot.shell.journal.JournalWriter` is the one on disk."""

    @property
    def path(self) -> Path: ...
    @property
    def last_seq(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    def append(self, at_ns: int, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> int: ...
    def hand_over(self) -> None: ...
    def flush(self) -> None: ...
    def drop_unwritten(self) -> None: ...
    def expect_end(self) -> None: ...
    def close(self) -> None: ...


class StepFailed(Exception):
    """The step raised; the cause is chained."""


class BugExit(Exception):
    """The program met a state it must not go on from; the message says where the evidence lies."""

    exit_code = 3


def decide(step: Step, store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
    """Call the step; whatever it raises becomes `StepFailed`.  The store is unusable after that."""
    try:
        return step(store, at_ns, facts)
    except Exception as failure:
        raise StepFailed(f"{type(failure).__name__}: {failure}") from failure


def restored(path: Path, refold: Refold, *, until_seq: int | None = None) -> Store:
    """A store made by folding a journal from its first row to ``until_seq``.  Raises `JournalError`."""
    store = Store()
    for entry in read_entries(path, until_seq=until_seq):
        refold(store, entry)
    return store


class Engine:
    """Owns the store, the inbox and the journal.  ``facts_by_type`` and the like count the whole run."""

    def __init__(self, journal: Journal, step: Step, refold: Refold) -> None:
        self.journal = journal
        self.inbox = Inbox()
        self.store = Store()
        self.working: frozenset[InstrumentId] = frozenset()  # instruments with a live order of ours
        self.batches = 0
        self.facts_by_type: dict[type[Fact], int] = {}
        self.commands_by_type: dict[type[Command], int] = {}
        self._step = step
        self._refold = refold

    def run_batch(self, at_ns: int) -> tuple[Admitted, ...]:
        """Step everything that waits as one batch, journal it, and return what is to be executed.

        Raises `BugExit` when the step fails, `JournalError` or `Divergence` when the journal does.
        """
        facts = self.inbox.drain()
        if not facts:
            return ()
        try:
            admitted = decide(self._step, self.store, at_ns, facts)
        except StepFailed as failure:
            raise self._bug_exit(at_ns, facts, failure) from failure
        commands = tuple([one.command for one in admitted])
        self.journal.append(at_ns, facts, commands)
        self.batches += 1
        durable_first, said_once = self._count(facts, commands)
        if durable_first:
            self.journal.flush()
        elif said_once:
            self.journal.hand_over()
        return admitted

    def lose_memory(self) -> None:
        """What a crash does: lose what was not on its way to the disk, and fold the store from the rest."""
        self.inbox.clear()
        self.journal.drop_unwritten()
        last = self.journal.last_seq
        self.store = restored(self.journal.path, self._refold, until_seq=last) if last else Store()
        self.working = self._live_instruments()

    def _count(self, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> tuple[bool, bool]:
        """Count the batch; say whether it must be on disk before anything else, or at least soon."""
        durable_first = said_once = False
        orders_moved = bool(commands)
        by_fact = self.facts_by_type
        for fact in facts:
            kind = type(fact)
            by_fact[kind] = by_fact.get(kind, 0) + 1
            if kind not in _NO_ORDER_MOVES:
                orders_moved = True
                if kind in _DURABLE_FIRST:
                    durable_first = True
                elif kind in _SAID_ONCE:
                    said_once = True
        by_command = self.commands_by_type
        for command in commands:
            wanted = type(command)
            by_command[wanted] = by_command.get(wanted, 0) + 1
            if wanted in _DURABLE_FIRST:
                durable_first = True
        if orders_moved:
            self.working = self._live_instruments()
        return durable_first, said_once

    def _live_instruments(self) -> frozenset[InstrumentId]:
        working = frozenset([order.instrument for order in live_orders(self.store)])
        return self.working if working == self.working else working

    def _bug_exit(self, at_ns: int, facts: tuple[AnyFact, ...], failure: StepFailed) -> BugExit:
        row = self.journal.last_seq + 1
        poison = lay_evidence(self.journal, at_ns, facts, failure.__cause__)
        self.journal.flush()
        return BugExit(
            f"the step failed at row {row} of journal {self.journal.path} ({failure}): "
            f"the rows before it are good, its facts and the traceback are {poison}"
        )


def lay_evidence(
    journal: Journal, at_ns: int, facts: tuple[AnyFact, ...], cause: BaseException | None
) -> str:
    """Write what a bug was met with beside the journal, under the row that will not be written.

    Returns where it lies, for a sentence: a disk that is full must not keep the process from ending."""
    poison = journal.path.with_name(journal.path.name + ".poison.json")
    evidence = {
        "row": journal.last_seq + 1,
        "at_ns": at_ns,
        "facts": msgspec.Raw(encode_items(facts)),
        "traceback": "".join(traceback.format_exception(cause)),
    }
    try:
        poison.write_bytes(msgspec.json.format(msgspec.json.encode(evidence)) + b"\n")
    except OSError as error:
        return f"lost, since {poison} cannot be written ({error.strerror})"
    return f"in {poison}"


def culprit(failure: Exception) -> Exception:
    """What a task group ended with: the first of its failures that is a bug, else the first."""
    if not isinstance(failure, ExceptionGroup):
        return failure
    found = [culprit(one) for one in failure.exceptions]
    return next((one for one in found if is_bug(one)), found[0])


def is_bug(failure: Exception) -> bool:
    """Whether nobody has given this failure an exit code of its own."""
    return bool(getattr(failure, "exit_code", BugExit.exit_code) == BugExit.exit_code)


def ending(engine: Engine, at_ns: int, failure: Exception) -> Exception:
    """What a run ends with that failed: itself, or `BugExit` where it is a bug that was met outside the step,
    with the same evidence and the facts that waited."""
    if not is_bug(failure) or isinstance(failure, BugExit):
        return failure
    journal = engine.journal
    poison = lay_evidence(journal, at_ns, engine.inbox.drain(), failure)
    bug = BugExit(
        f"the run failed behind row {journal.last_seq} of journal {journal.path} "
        f"({type(failure).__name__}: {failure}): what waited and the traceback are {poison}"
    )
    bug.__cause__ = failure
    return bug
