"""Thinned series: bounded, in order, and no extreme lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.shell.report_series import BUCKETS_MAX, Levels, Trace

SECOND_NS = 1_000_000_000

samples = st.lists(st.tuples(st.integers(0, 5_000_000), st.floats(-1e6, 1e6)), min_size=1, max_size=60).map(
    lambda pairs: [(at_s * SECOND_NS, value) for at_s, value in sorted(pairs, key=lambda pair: pair[0])]
)


def trace_of(points: list[tuple[int, float]]) -> Trace:
    trace = Trace()
    for at_ns, value in points:
        trace.add(at_ns, value)
    return trace


@given(samples)
def test_a_trace_keeps_extremes_order_and_end(points: list[tuple[int, float]]) -> None:
    drawn = trace_of(points).points()
    values = [value for _, value in points]
    assert min(value for _, value in drawn) == min(values)
    assert max(value for _, value in drawn) == max(values)
    assert [at_ns for at_ns, _ in drawn] == sorted(at_ns for at_ns, _ in drawn)
    assert (points[-1][0], points[-1][1]) in drawn
    assert set(drawn) <= set(points)


def test_memory_is_bounded_and_a_spike_survives() -> None:
    trace = Trace()
    for second in range(200_000):
        trace.add(second * SECOND_NS, 99.0 if second == 123_456 else float(second % 2))
    drawn = trace.points()
    assert len(drawn) <= 3 * BUCKETS_MAX
    assert (123_456 * SECOND_NS, 99.0) in drawn
    assert trace.width_ns == 512 * SECOND_NS


def test_a_long_silence_costs_no_buckets() -> None:
    assert trace_of([(0, 1.0), (10**18, 2.0)]).points() == [(0, 1.0), (10**18, 2.0)]


def test_the_last_value_of_a_bucket_is_what_a_step_goes_on_with() -> None:
    trace = trace_of([(0, 1.0), (10, 5.0), (20, 2.0)])
    assert trace.points() == [(0, 1.0), (10, 5.0), (20, 2.0)]
    trace.hold(9 * SECOND_NS)
    assert trace.points()[-1] == (9 * SECOND_NS, 2.0)


def test_nothing_is_held_where_nothing_was_seen() -> None:
    trace = Trace()
    trace.hold(5)
    assert trace.points() == []


def test_levels_keep_the_last_row_of_each_bucket() -> None:
    levels = Levels()
    count = 4 * BUCKETS_MAX
    for second in range(count):
        levels.add(second * SECOND_NS, (float(second), -1.0))
        levels.add(second * SECOND_NS + 1, (float(second), 1.0))
    rows = levels.rows()
    assert len(rows) <= BUCKETS_MAX
    assert rows[-1] == ((count - 1) * SECOND_NS + 1, (float(count - 1), 1.0))
    assert all(row[1][1] == 1.0 for row in rows)
