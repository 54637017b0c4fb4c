"""The loop of virtual time: what it says first, when it steps, and that nothing but its inputs decides."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.commands import PlaceOrder, QueryOrder
from bot.model.config import Config
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
from bot.model.ids import ClientId
from bot.model.store import state_sha256
from bot.shell.engine import restored
from bot.shell.replay import (
    ReplayOptions,
    run_id,
)
from bot.shell.rows import read_rows
from tests.instruments import instrument
from tests.replay.running import configured, run, times
from tests.shell.samples import MS, PERP, SECOND, SPOT, START, book, make_config
from tests.shell.world import (
    Venue,
    make_options,
    refold,
)

US = 1_000


def silenced(feed: list[tuple[int, AnyFact]], name: str) -> Venue:
    """A venue that answers nothing about one order."""
    venue = Venue(feed)
    venue.silent.add(ClientId(name))
    return venue


def test_the_first_batch_says_what_the_run_is(tmp_path: Path) -> None:
    options = make_options(config=make_config(rate=Decimal("0.9995")))
    first = run(tmp_path / "run.journal", options=options).entries[0]
    booted, *listed, rate, seen_mark, seen_book = first.facts
    assert booted == Booted(
        run_id=run_id(options),
        version="0.2.0",
        config=options.config,
        previous="none",
        origins=(Origin("spot", "aa" * 32, 7), Origin("usdm", "bb" * 32, 5)),
    )
    assert listed == [InstrumentListed(instrument(SPOT)), InstrumentListed(instrument(PERP))]
    assert rate == RateSeen("USDT", "USD", Decimal("0.9995"), START)
    assert {type(seen_mark), type(seen_book)} == {MarkSeen, BookSeen}
    assert first.at_ns == START


def test_an_idle_engine_steps_when_a_fact_arrives_and_a_busy_one_when_it_is_free(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [
        (START + at_us * US, book(START + at_us * US)) for at_us in (0, 50, 90, 300, 320, 2000)
    ]
    entries = run(tmp_path / "run.journal", feed, options=configured(100)).entries
    assert [(entry.at_ns - START) // US for entry in entries] == [0, 100, 300, 400, 2000]
    assert [len(entry.facts) for entry in entries[1:]] == [1, 1, 1, 1]
    assert entries[1].facts == (feed[2][1],), "the latest of what arrived meanwhile"


def test_a_step_that_takes_no_time_conflates_nothing(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [(START + at_us * US, book(START + at_us * US)) for at_us in range(20)]
    done = run(tmp_path / "run.journal", feed, options=configured(0))
    assert len(done.entries) == 20
    assert not any(done.result.conflated.values())


def test_ticks_come_at_each_whole_second_while_there_is_something_to_play(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [(START, book(START)), (START + 4 * SECOND, book(START + 4 * SECOND))]
    entries = run(tmp_path / "run.journal", feed).entries
    whole = (START // SECOND + 1) * SECOND
    assert times(entries, Tick) == [whole + number * SECOND for number in range(4)]
    ticks = [fact for entry in entries for fact in entry.facts if isinstance(fact, Tick)]
    assert ticks[0] == Tick({SPOT: whole}, {"binance:spot": 3})  # type: ignore[dict-item]


def test_a_command_leaves_at_its_batch_and_its_answer_lands_after_the_way_there_and_back(
    tmp_path: Path,
) -> None:
    feed: list[tuple[int, AnyFact]] = [(START, book(START, 60_007.0)), (START + SECOND, FeedEnded("spot"))]
    done = run(tmp_path / "run.journal", venue=Venue(feed, latency_ns=7 * MS))
    assert [(at_ns, type(command)) for at_ns, command in done.venue.sent] == [(START, PlaceOrder)]
    assert times(done.entries, OrderFilled) == [START + 7 * MS]
    assert done.venue.told == [{SPOT}, frozenset()]


def test_what_is_in_flight_at_the_end_lands_before_the_last_batch(tmp_path: Path) -> None:
    feed: list[tuple[int, AnyFact]] = [(START, book(START)), (START + SECOND, book(START + SECOND, 60_007.0))]
    done = run(tmp_path / "run.journal", venue=Venue(feed, latency_ns=30 * MS))
    assert isinstance(done.entries[-1].facts[-1], OrderFilled)
    assert done.result.end_ns == START + SECOND + 30 * MS
    assert not done.result.stopped


def test_silence_becomes_uncertain_in_virtual_time_even_behind_the_end(tmp_path: Path) -> None:
    options = configured(200, deadline_s=2.0)
    name = f"bsbt{run_id(options)}1"
    feed: list[tuple[int, AnyFact]] = [(START, book(START, 60_007.0))]
    done = run(tmp_path / "a.journal", options=options, venue=silenced(feed, name))
    assert times(done.entries, OrderUncertain) == [START + 2 * SECOND]
    longer = [*feed, (START + 9 * SECOND, book(START + 9 * SECOND))]
    done = run(tmp_path / "b.journal", options=options, venue=silenced(longer, name))
    assert times(done.entries, OrderUncertain) == [START + 2 * SECOND]
    assert [type(command) for _, command in done.venue.sent] == [PlaceOrder, QueryOrder]
    assert times(done.entries, OrderFilled) != []


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
    other = run(tmp_path / "other.journal", options=configured(201))
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
    done = run(tmp_path_factory.mktemp("run") / "run.journal", feed, options=configured(step_us))
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
