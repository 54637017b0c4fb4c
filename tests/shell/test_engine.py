"""The engine: one batch, one step, one row, and nothing goes out before it is on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    NoteIdle,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMode,
)
from bot.model.facts import AnyFact, ModeOrdered
from bot.model.ids import AccountId, ClientId, PairName
from bot.model.pair import Mode
from bot.model.store import Store, state_sha256
from bot.shell.engine import BugExit, Engine, restored
from bot.shell.journal import JournalWriter
from bot.shell.rows import JournalError, read_entries
from risk.guard import Admitted
from tests.shell.admission import admitted
from tests.shell.samples import PERP, SPOT, START, accepted, book, boot, filled, mark, place
from tests.shell.world import refold, step


class NotedJournal:
    """A journal in memory that notes what is asked of it, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[str] = []
        self.last_seq = 0
        self.sha256 = ""

    def append(self, at_ns: int, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> int:
        self.last_seq += 1
        self.calls.append(f"append {len(facts)} {len(commands)}")
        return self.last_seq

    def flush(self) -> None:
        self.calls.append("flush")

    def hand_over(self) -> None:
        self.calls.append("hand over")

    def drop_unwritten(self) -> None:
        self.calls.append("drop")

    def expect_end(self) -> None:
        self.calls.append("end")

    def close(self) -> None:
        self.calls.append("close")


def _answering(*commands: AnyCommand) -> Engine:
    def answer(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
        return admitted(*commands)

    return Engine(NotedJournal(Path("run.journal")), answer, refold)


def _calls(engine: Engine) -> list[str]:
    assert isinstance(engine.journal, NotedJournal)
    return engine.journal.calls


def test_all_that_waits_is_one_batch_and_one_row() -> None:
    engine = _answering()
    for fact in (book(START), mark(START), book(START + 1), accepted("a")):
        engine.inbox.put(fact)
    assert engine.run_batch(START) == ()
    assert _calls(engine) == ["append 3 0"]
    assert {kind.__name__: count for kind, count in engine.facts_by_type.items()} == {
        "BookSeen": 1,
        "MarkSeen": 1,
        "OrderAccepted": 1,
    }
    assert engine.run_batch(START) == ()
    assert _calls(engine) == ["append 3 0"], "an empty inbox is no batch"


@pytest.mark.parametrize(
    ("command", "waits"),
    [
        (place(), True),
        (CancelOrder(ClientId("a"), SPOT, "late"), True),
        (QueryOrder(ClientId("a"), SPOT), True),
        (QueryAccount(AccountId("binance:spot")), True),
        (SetMode("*", Mode.HALTED, "limit"), True),
        (NoteIdle(PairName("BTC"), "no_gap"), False),
        (RaiseAlert("key", "warning", "text"), False),
    ],
)
def test_what_goes_out_or_changes_the_mode_is_on_disk_first(command: AnyCommand, waits: bool) -> None:
    engine = _answering(command)
    engine.inbox.put(book(START))
    (one,) = engine.run_batch(START)
    assert one.command is command
    assert _calls(engine) == ["append 1 1", "flush"] if waits else ["append 1 1"]
    assert engine.commands_by_type == {type(command): 1}


@pytest.mark.parametrize("fact", [ModeOrdered("*", Mode.PAUSED, "ops", "lunch"), boot()])
def test_an_operators_order_and_a_boot_are_on_disk_first(fact: AnyFact) -> None:
    engine = _answering()
    engine.inbox.put(fact)
    engine.run_batch(START)
    assert _calls(engine) == ["append 1 0", "flush"]


def test_what_moved_money_is_on_its_way_to_the_disk_at_once() -> None:
    engine = _answering()
    engine.inbox.put(filled(place(), START))
    engine.run_batch(START)
    engine.inbox.put(book(START + 1))
    engine.run_batch(START + 1)
    assert _calls(engine) == ["append 1 0", "hand over", "append 1 0"]


def test_working_instruments_follow_the_orders_and_keep_their_identity(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run.journal") as journal:
        engine = Engine(journal, step, refold)
        engine.inbox.put(boot())
        engine.inbox.put(book(START, 60_007.0))
        (one,) = engine.run_batch(START)
        assert engine.working == {SPOT}
        before = engine.working
        engine.inbox.put(accepted(one.command.client_id))  # type: ignore[union-attr]
        engine.run_batch(START + 1)
        assert engine.working is before


def _broken(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
    if any(getattr(fact, "instrument", None) == PERP for fact in facts):
        raise KeyError("no such leg")
    return step(store, at_ns, facts)


def test_a_failing_step_leaves_the_good_prefix_and_the_evidence(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        engine = Engine(journal, _broken, refold)
        for number in range(3):
            engine.inbox.put(book(START + number))
            engine.run_batch(START + number)
        engine.inbox.put(mark(START + 3))
        with pytest.raises(BugExit, match=r"the step failed at row 4 of journal .*KeyError: 'no such leg'"):
            engine.run_batch(START + 3)
        assert len(list(read_entries(path))) == 3
    poison = msgspec.json.decode((tmp_path / "run.journal.poison.json").read_bytes())
    assert poison["row"] == 4
    assert poison["at_ns"] == START + 3
    assert poison["facts"][0][:3] == ["MarkSeen", PERP, "60000"]
    assert "KeyError: 'no such leg'" in poison["traceback"]
    assert BugExit.exit_code == 3


def test_a_crash_keeps_what_was_handed_over_and_loses_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        engine = Engine(journal, step, refold)
        engine.inbox.put(boot())
        engine.inbox.put(book(START, 60_007.0))
        engine.run_batch(START)
        durable = state_sha256(engine.store)
        engine.inbox.put(book(START + 1, 60_008.0))
        engine.run_batch(START + 1)
        engine.inbox.put(book(START + 2))
        assert state_sha256(engine.store) != durable
        engine.lose_memory()
        assert state_sha256(engine.store) == durable
        assert not engine.inbox
        assert engine.working == {SPOT}
        assert journal.last_seq == 1
    assert state_sha256(restored(path, refold)) == durable
    assert restored(path, refold, until_seq=0) == Store()


def test_a_crash_before_anything_was_kept_begins_with_nothing(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "run.journal") as journal:
        engine = Engine(journal, step, refold)
        engine.inbox.put(book(START))
        engine.run_batch(START)
        engine.lose_memory()
        assert engine.store == Store()


def test_a_journal_that_fails_stops_the_batch(tmp_path: Path) -> None:
    class Full(NotedJournal):
        def flush(self) -> None:
            raise JournalError("journal run.journal: full")

    engine = Engine(Full(tmp_path / "run.journal"), step, refold)
    engine.inbox.put(boot())
    with pytest.raises(JournalError, match="full"):
        engine.run_batch(START)
