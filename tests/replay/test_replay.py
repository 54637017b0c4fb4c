"""The loop of virtual time: what it says first, when it steps, and that nothing but its inputs decides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.commands import PlaceOrder, QueryOrder
from bot.model.config import Config
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BookSeen,
    Booted,
    FeedEnded,
    InstrumentListed,
    MarkSeen,
    OrderFilled,
    OrderUncertain,
    Origin,
    RateSeen,
    Tick,
)
from bot.model.store import Store, state_sha256
from bot.shell.engine import restored
from bot.shell.journal import Divergence, JournalWriter, OtherRun, read_entries, read_rows
from bot.shell.replay import (
    ReplayOptions,
    RunResult,
    inputs_text,
    replay,
    run_id,
    stop_on_signals,
)
from bot.shell.verify import verify
from tests.conftest import ROOT
from tests.shell.samples import MS, PERP, SECOND, SPOT, START, book, make_config, make_instrument, mark
from tests.shell.world import (
    Venue,
    make_hooks,
    make_machine,
    make_options,
    recording,
    refold,
    step,
)

US = 1_000


@dataclass
class Run:
    path: Path
    venue: Venue
    result: RunResult
    store: Store

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.path))


def run(
    path: Path,
    feed: list[tuple[int, AnyFact]] | None = None,
    *,
    options: ReplayOptions | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    latency_ns: int = 10 * MS,
    silent: str = "",
) -> Run:
    options = options if options is not None else make_options()
    venue = Venue(recording() if feed is None else feed, latency_ns=latency_ns)
    if silent:
        venue.silent.add(silent)  # type: ignore[arg-type]
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    with JournalWriter(path, resume=resume, inputs=inputs_text(options)) as journal:
        engine, executor = make_machine(journal, venue, options.config)
        result = replay(venue, engine, executor, options, make_hooks(venue, stopping))
    return Run(path, venue, result, engine.store)


def _configured(step_us: float, deadline_s: float = 5.0) -> ReplayOptions:
    return make_options(config=make_config(step_us=step_us, deadline_s=deadline_s))


def _times(entries: list[Entry], kind: type) -> list[int]:
    return [entry.at_ns for entry in entries for fact in entry.facts if isinstance(fact, kind)]


def test_the_first_batch_says_what_the_run_is(tmp_path: Path) -> None:
    options = make_options(config=make_config(rate=Decimal("0.9995")))
    first = run(tmp_path / "run.journal", options=options).entries[0]
    booted, *listed, rate, seen_mark, seen_book = first.facts
    assert booted == Booted(
        run_id=run_id(options),
        version="0.1.0",
        config=options.config,
        previous="none",
        origins=(Origin("spot", "aa" * 32, 7), Origin("usdm", "bb" * 32, 5)),
    )
    assert listed == [InstrumentListed(make_instrument(SPOT)), InstrumentListed(make_instrument(PERP))]
    assert rate == RateSeen("USDT", "USD", Decimal("0.9995"), START)
    assert {type(seen_mark), type(seen_book)} == {MarkSeen, BookSeen}
    assert first.at_ns == START


def test_an_idle_engine_steps_when_a_fact_arrives_and_a_busy_one_when_it_is_free(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START + at_us * US, book(START + at_us * US)) for at_us in (0, 50, 90, 300, 320, 2000)
    ]
    entries = run(tmp_path / "run.journal", feed, options=_configured(100)).entries
    assert [(entry.at_ns - START) // US for entry in entries] == [0, 100, 300, 400, 2000]
    assert [len(entry.facts) for entry in entries[1:]] == [1, 1, 1, 1]
    assert entries[1].facts == (feed[2][1],), "the latest of what arrived meanwhile"


def test_a_step_that_takes_no_time_conflates_nothing(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [(START + at_us * US, book(START + at_us * US)) for at_us in range(20)]
    done = run(tmp_path / "run.journal", feed, options=_configured(0))
    assert len(done.entries) == 20
    assert done.result.conflated == {}


def test_ticks_come_at_each_whole_second_while_there_is_something_to_play(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [(START, book(START)), (START + 4 * SECOND, book(START + 4 * SECOND))]
    entries = run(tmp_path / "run.journal", feed).entries
    whole = (START // SECOND + 1) * SECOND
    assert _times(entries, Tick) == [whole + number * SECOND for number in range(4)]
    ticks = [fact for entry in entries for fact in entry.facts if isinstance(fact, Tick)]
    assert ticks[0] == Tick({SPOT: whole}, {"binance:spot": 3})  # type: ignore[dict-item]


def test_a_command_leaves_at_its_batch_and_its_answer_lands_after_the_way_there_and_back(
    tmp_path: Path,
) -> None:
    feed: list[tuple[int, AnyFact]] = [(START, book(START, 60_007.0)), (START + SECOND, FeedEnded("spot"))]
    done = run(tmp_path / "run.journal", feed, latency_ns=7 * MS)
    assert [(at_ns, type(command)) for at_ns, command in done.venue.sent] == [(START, PlaceOrder)]
    assert _times(done.entries, OrderFilled) == [START + 7 * MS]
    assert done.venue.told == [{SPOT}, frozenset()]


def test_what_is_in_flight_at_the_end_lands_before_the_last_batch(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [(START, book(START)), (START + SECOND, book(START + SECOND, 60_007.0))]
    done = run(tmp_path / "run.journal", feed, latency_ns=30 * MS)
    assert isinstance(done.entries[-1].facts[-1], OrderFilled)
    assert done.result.end_ns == START + SECOND + 30 * MS
    assert not done.result.stopped


def test_silence_becomes_uncertain_in_virtual_time_even_behind_the_end(tmp_path: Path) -> None:
    options = _configured(200, deadline_s=2.0)
    name = f"bsbt{run_id(options)}1"
    feed: list[tuple[int, AnyFact]] = [(START, book(START, 60_007.0))]
    done = run(tmp_path / "a.journal", feed, options=options, silent=name)
    assert _times(done.entries, OrderUncertain) == [START + 2 * SECOND]
    longer = [*feed, (START + 9 * SECOND, book(START + 9 * SECOND))]
    done = run(tmp_path / "b.journal", longer, options=options, silent=name)
    assert _times(done.entries, OrderUncertain) == [START + 2 * SECOND]
    assert [type(command) for _, command in done.venue.sent] == [PlaceOrder, QueryOrder]
    assert _times(done.entries, OrderFilled) != []


def test_a_recording_with_nothing_in_it_is_no_rows(tmp_path: Path) -> None:
    done = run(tmp_path / "run.journal", [])
    assert (done.result.rows, done.result.batches, done.result.end_ns) == (0, 0, 0)


def test_the_result_counts_what_the_journal_holds(tmp_path: Path) -> None:
    done = run(tmp_path / "run.journal")
    entries, result = done.entries, done.result
    facts: dict[str, int] = {}
    for entry in entries:
        for fact in entry.facts:
            facts[type(fact).__name__] = facts.get(type(fact).__name__, 0) + 1
    assert result.facts_by_type == facts
    assert result.rows == result.batches == len(entries)
    assert result.commands_by_type["PlaceOrder"] == len(done.venue.sent) > 2
    assert result.conflated["BookSeen"] > 0
    assert result.facts_by_type["BookSeen"] + result.conflated["BookSeen"] == 2 * 12 * 8
    assert result.state_sha256 == state_sha256(restored(done.path, refold)) == state_sha256(done.store)


def test_the_same_inputs_give_the_same_rows(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one.journal"), run(tmp_path / "two.journal")
    assert list(read_rows(one.path)) == list(read_rows(two.path))
    assert one.result.journal_sha256 == two.result.journal_sha256
    assert one.result.state_sha256 == two.result.state_sha256
    other = run(tmp_path / "other.journal", options=_configured(201))
    assert other.result.journal_sha256 != one.result.journal_sha256


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(60_000, 60_010)), min_size=1, max_size=30),
    st.sampled_from([0.0, 150.0, 5_000.0]),
)
def test_time_never_goes_back_and_no_fact_is_stepped_before_it_arrived(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[int, int]], step_us: float
) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START + offset_ns, book(START + offset_ns, float(price))) for offset_ns, price in arrivals
    ]
    done = run(tmp_path_factory.mktemp("run") / "run.journal", feed, options=_configured(step_us))
    entries = done.entries
    step_ns = round(step_us * US)
    gaps = [later.at_ns - entry.at_ns for entry, later in pairwise(entries)]
    assert all(gap >= step_ns for gap in gaps)
    for entry in entries:
        seen = [fact.seen_ns for fact in entry.facts if isinstance(fact, BookSeen)]
        assert all(entry.at_ns - step_ns <= at_ns <= entry.at_ns for at_ns in seen)


# --- the run's name --------------------------------------------------------------------------------


def test_a_runs_name_depends_on_its_inputs_and_not_on_their_names_or_order() -> None:
    options = make_options()
    name = run_id(options)
    assert len(name) == 8
    assert set(name) <= set("0123456789abcdefghijklmnopqrstuvwxyz")

    def changed(
        config: Config = options.config, origins: tuple[Origin, ...] = options.origins, until_ns: int = 0
    ) -> str:
        return run_id(
            ReplayOptions(version="0.2.0", config=config, instruments=(), origins=origins, until_ns=until_ns)
        )

    assert changed() == name
    assert changed(origins=(Origin("x", "aa" * 32, 7), Origin("y", "bb" * 32, 5))) == name
    others = {
        changed(config=make_config(step_us=1.0)),
        changed(origins=options.origins[:1]),
        changed(origins=(Origin("spot", "aa" * 32, 8), options.origins[0])),
        changed(until_ns=1),
        run_id(options, boot=1),
    }
    assert name not in others
    assert len(others) == 5


# --- crashes, stops, kills, resumes ----------------------------------------------------------------

CRASHES = tuple(
    START + offset_ns for offset_ns in (700 * MS, 1900 * MS, 1900 * MS + 1, 5 * SECOND, 8 * SECOND)
)


def test_a_crash_loses_memory_and_the_bot_comes_back_by_its_journal(tmp_path: Path) -> None:
    done = run(tmp_path / "run.journal", options=make_options(crash_at_ns=CRASHES))
    boots = [
        (entry.at_ns, fact) for entry in done.entries for fact in entry.facts if isinstance(fact, Booted)
    ]
    assert [at_ns for at_ns, _ in boots] == [START, *CRASHES]
    assert [fact.previous for _, fact in boots] == ["none", *["crash"] * 5]
    assert len({fact.run_id for _, fact in boots}) == 6
    assert all(isinstance(entry.facts[0], Booted) for entry in done.entries if entry.at_ns in CRASHES)
    assert done.result.crashes == 5
    names = [command.client_id for _, command in done.venue.sent if isinstance(command, PlaceOrder)]
    assert len(set(names)) == len(names) > 2
    assert done.result.state_sha256 == state_sha256(restored(done.path, refold))
    assert verify(done.path, step=step, refold=refold).ok


def test_a_crash_with_an_order_in_flight_asks_instead_of_sending_again(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START, book(START, 60_007.0)),
        (START + 6 * SECOND, book(START + 6 * SECOND)),
    ]
    options = make_options(crash_at_ns=(START + 3 * MS,))
    done = run(tmp_path / "run.journal", feed, options=options)
    assert [type(command) for _, command in done.venue.sent] == [PlaceOrder, QueryOrder]
    assert len(_times(done.entries, OrderFilled)) == 1


def test_a_crash_loses_the_rows_that_were_not_on_their_way_to_the_disk(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START + number * 100 * MS, book(START + number * 100 * MS)) for number in range(10)
    ]
    options = make_options(crash_at_ns=(START + 550 * MS,))
    entries = run(tmp_path / "run.journal", feed, options=options).entries
    assert [(entry.at_ns - START) // MS for entry in entries] == [0, 550, 550, 600, 700, 750, 800, 900]


@pytest.mark.parametrize("at_ns", [START - SECOND, START, START + 100 * SECOND])
def test_a_crash_outside_the_run_does_not_happen(tmp_path: Path, at_ns: int) -> None:
    done = run(tmp_path / "run.journal", options=make_options(crash_at_ns=(at_ns,)))
    assert done.result.crashes == 0
    assert done.result.rows == run(tmp_path / "plain.journal").result.rows


@pytest.mark.parametrize("crashes", [(), CRASHES], ids=["plain", "crashing"])
def test_a_run_resumed_from_any_row_ends_in_the_same_journal(
    tmp_path: Path, crashes: tuple[int, ...]
) -> None:
    options = make_options(crash_at_ns=crashes)
    feed = recording(3, 4)
    whole = run(tmp_path / "whole.journal", feed, options=options)
    rows = list(read_rows(whole.path))
    for kept in range(len(rows) + 1):
        path = tmp_path / f"{kept}.journal"
        _prefix(whole.path, path, kept)
        again = run(path, feed, options=options, resume=True)
        assert list(read_rows(path)) == rows
        assert again.result.journal_sha256 == whole.result.journal_sha256
        assert again.result.state_sha256 == whole.result.state_sha256


def _prefix(whole: Path, path: Path, rows: int) -> None:
    """A journal that holds the first rows of another, as a kill would have left it."""
    import sqlite3

    path.write_bytes(whole.read_bytes())
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("DELETE FROM entries WHERE seq > ?", (rows,))
    db.close()


@pytest.mark.parametrize("crashes", [(), CRASHES], ids=["plain", "crashing"])
@pytest.mark.parametrize("stop_after", [0, 1, 9, 30])
def test_a_stopped_run_is_a_prefix_and_resumes_to_the_whole(
    tmp_path: Path, stop_after: int, crashes: tuple[int, ...]
) -> None:
    options = make_options(crash_at_ns=crashes)
    whole = run(tmp_path / "whole.journal", options=options)
    path = tmp_path / "run.journal"
    stopped = run(path, options=options, stop_after=stop_after)
    assert stopped.result.stopped
    rows = list(read_rows(whole.path))
    kept = list(read_rows(path))
    assert kept == rows[: len(kept)]
    assert len(kept) == stopped.result.rows
    if not crashes:
        assert len(kept) == stop_after + 1
    again = run(path, options=options, resume=True)
    assert list(read_rows(path)) == rows
    assert again.result.journal_sha256 == whole.result.journal_sha256


def test_a_resume_that_was_stopped_early_leaves_the_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    run(path)
    rows = list(read_rows(path))
    assert run(path, resume=True, stop_after=5).result.stopped
    assert list(read_rows(path)) == rows


def test_a_resume_with_other_crashes_settings_or_a_shorter_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    run(path)
    with pytest.raises(OtherRun, match="resumed with crashes at"):
        run(path, options=make_options(crash_at_ns=CRASHES), resume=True)
    with pytest.raises(OtherRun, match="another settings"):
        run(path, options=_configured(1.0), resume=True)
    with pytest.raises(Divergence):
        run(path, recording()[:20], resume=True)


@pytest.mark.parametrize("point", ["commit", "before-send", "after-send"])
@pytest.mark.parametrize("count", [1, 4])
def test_a_killed_run_resumes_to_the_whole(tmp_path: Path, point: str, count: int) -> None:
    whole = run(tmp_path / "whole.journal")
    path = tmp_path / "run.journal"
    process = subprocess.run(
        [sys.executable, "-m", "tests.replay.killed_run", point, str(count), str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
        capture_output=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    kept = list(read_rows(path))
    rows = list(read_rows(whole.path))
    assert 0 < len(kept) < len(rows)
    assert kept == rows[: len(kept)]
    if point != "commit":
        commands = [command for entry in read_entries(path) for command in entry.commands]
        assert len([one for one in commands if isinstance(one, PlaceOrder)]) == count, "durable before sent"
    again = run(path, resume=True)
    assert list(read_rows(path)) == rows
    assert again.result.journal_sha256 == whole.result.journal_sha256


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stopping:
        assert not stopping()
        signal.raise_signal(number)
        assert stopping()
    assert signal.getsignal(number) is before


def test_a_mark_and_a_book_of_one_instant_are_one_batch(tmp_path: Path) -> None:
    at_ns = START + SECOND // 2
    feed: list[tuple[int, AnyFact]] = [(START, book(START)), (at_ns, book(at_ns)), (at_ns, mark(at_ns))]
    entries = run(tmp_path / "run.journal", feed).entries
    assert [type(fact) for fact in entries[-1].facts] == [BookSeen, MarkSeen]
