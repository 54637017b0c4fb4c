"""A recording that loops: ids and times only grow, and a pass keeps its own distances."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import FeedError
from adapters.rehearsal.looped import LEAP, REST_NS, Looped, Shown
from tests.adapters.rehearsal.build import (
    NOW_NS,
    RECORDED_MS,
    Row,
    S,
    depth,
    feeds,
    mark,
    scene,
    snapshot,
    trade,
)

STEPS = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(1, 400), st.integers(0, 30)), min_size=1, max_size=12
)


def taken(looped: Looped, passes: int) -> list[list[tuple[int, Shown]]]:
    """Frames of so many passes, each with the time at which it was due."""
    found: list[list[tuple[int, Shown]]] = [[]]
    while len(found) <= passes:
        due_ns, shown = looped.due_ns, looped.take()
        if shown is None:
            found.append([])
        else:
            found[-1].append((due_ns, shown))
    return found[:passes]


def diffs(steps: list[tuple[int, int, int]]) -> list[Row]:
    """Diffs with pauses, widths and holes in their ids."""
    rows: list[Row] = []
    ms, last = 0, 500
    for pause_ms, width, hole in steps:
        ms += pause_ms
        first = last + 1 + hole
        last = first + width - 1
        rows.append(depth("usdm", ms, first, last, 60_000.0))
        rows.append(trade("usdm", ms, last, 60_000.0, "1"))
    return rows


@given(STEPS)
def test_ids_grow_for_ever_and_keep_their_distances_within_a_pass(steps: list[tuple[int, int, int]]) -> None:
    rows = diffs(steps)
    recorded = [row[3] for row in rows if row[2].startswith("depth")]
    passes = taken(Looped(feeds(rows), NOW_NS), 3)
    books = [[shown.data for _, shown in frames if shown.kind == "depth"] for frames in passes]
    for frames in books:
        moves = {
            moved[name] - told[name]
            for told, moved in zip(recorded, frames, strict=True)
            for name in ("U", "u", "pu")
        }
        assert len(moves) == 1
    lasts = [data["u"] for frames in books for data in frames]
    assert all(before < after for before, after in pairwise(lasts))
    for before, after in pairwise(books):
        # a pass is beyond the one before it, with room for a ticker that was ahead of its diffs
        assert after[0]["pu"] >= before[-1]["u"] + LEAP
    numbers = [shown.data["t"] for frames in passes for _, shown in frames if shown.kind == "trade"]
    assert all(before < after for before, after in pairwise(numbers))


@given(STEPS, st.integers(0, 10**15))
def test_times_are_those_at_which_frames_are_due(steps: list[tuple[int, int, int]], start: int) -> None:
    start_ns = NOW_NS + start
    passes = taken(Looped(feeds(diffs(steps)), start_ns), 2)
    assert passes[0][0][0] == start_ns
    assert passes[1][0][0] == passes[0][-1][0] + REST_NS
    for frames in passes:
        for due_ns, shown in frames:
            assert abs(shown.data["E"] * 1_000_000 - due_ns) < 2_000_000  # the wire writes milliseconds
    due = [due_ns for frames in passes for due_ns, _ in frames]
    assert due == sorted(due)


def test_a_funding_time_keeps_its_distance() -> None:
    ((_, shown),) = taken(Looped(feeds([mark("usdm", 0, 60_000.0, next_ms=8_000)]), NOW_NS), 1)[0]
    assert shown.data["T"] - shown.data["E"] == 8_000
    assert shown.data["E"] == NOW_NS // 1_000_000


def test_a_snapshot_belongs_to_the_diffs_of_its_pass() -> None:
    rows = [snapshot("spot", 0, 900, 60_000.0), depth("spot", 10, 901, 905, 60_000.0)]
    for frames in taken(Looped(feeds(rows), NOW_NS), 3):
        (_, whole), (_, diff) = frames
        assert diff.data["U"] == whole.data["lastUpdateId"] + 1


def test_each_symbol_has_ids_of_its_own() -> None:
    first, second = taken(Looped(feeds(scene(5)), NOW_NS), 2)
    for market in ("spot", "usdm", "coinm"):
        of_market = [
            [shown.data["u"] for _, shown in frames if shown.market == market and shown.kind == "depth"]
            for frames in (first, second)
        ]
        assert of_market[0] == [1010, 1020, 1030, 1040]
        assert of_market[1][0] > of_market[0][-1]


def test_markets_and_symbols_are_told() -> None:
    frames = taken(Looped(feeds(scene(3)), NOW_NS), 1)[0]
    assert {(shown.market, shown.symbol) for _, shown in frames} == {
        ("spot", "btcusdt"),
        ("usdm", "btcusdt"),
        ("coinm", "btcusd_perp"),
    }
    assert {shown.kind for _, shown in frames} == {"snapshot", "depth", "markPrice", "trade"}


def test_an_aggregate_moves_with_the_trades_it_is_made_of() -> None:
    aggregate = (20, "spot", "aggTrade", {"e": "aggTrade", "a": 5, "f": 76, "l": 77, "E": RECORDED_MS + 20})
    rows: list[Row] = [trade("spot", 10, 77, 60_000.0, "1"), aggregate]
    _, second = taken(Looped(feeds(rows), NOW_NS), 2)
    (_, single), (_, whole) = second
    assert whole.data["l"] == single.data["t"]
    assert whole.data["a"] > 5


def test_a_recording_without_frames_is_refused() -> None:
    with pytest.raises(FeedError, match="holds no frame"):
        Looped([], NOW_NS)


def test_the_rest_between_passes_is_a_second() -> None:
    looped = Looped(feeds([depth("spot", 0, 1, 2, 60_000.0)]), NOW_NS)
    assert looped.take() is not None
    assert looped.take() is None
    assert looped.due_ns == NOW_NS + S
