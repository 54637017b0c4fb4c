"""A history of settlements is a function of what was told, whatever the order and however often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.model.settlements import KEPT, MINUTE_NS, Settlements

HOUR = 60


def history(told: list[tuple[int, float]]) -> Settlements:
    kept = Settlements()
    for minute, rate in told:
        kept.keep(minute * MINUTE_NS, rate)
    return kept


@given(
    st.dictionaries(st.integers(1, 10**8), st.floats(-0.03, 0.03), max_size=40).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations([*rows.items(), *rows.items()]))
    )
)
def test_order_and_repetition_change_nothing(
    rows_and_told: tuple[dict[int, float], list[tuple[int, float]]],
) -> None:
    rows, told = rows_and_told
    found = history(told)
    assert found == history(sorted(rows.items()))
    assert found.count == len(rows)
    assert found.minutes == sorted(rows)


def test_a_settlement_that_a_venue_dates_anew_is_the_same() -> None:
    kept = Settlements()
    assert kept.keep(480 * MINUTE_NS, 0.0001)
    assert not kept.keep(480 * MINUTE_NS + 47_000_000, 0.0002)
    assert not kept.keep(480 * MINUTE_NS - 3_000_000, 0.0002)
    assert (kept.minutes, kept.rates) == ([480], [0.0001])
    assert kept.last_ns == 480 * MINUTE_NS


def test_the_oldest_give_way_and_do_not_come_back() -> None:
    rows = [(number * HOUR, number / 1e6) for number in range(1, KEPT + 3)]
    kept = history(rows)
    assert kept.minutes == [minute for minute, _ in rows[2:]]
    assert kept.count == KEPT + 2
    assert not kept.keep(rows[0][0] * MINUTE_NS, 1.0), "a second reading begins before it"
    assert kept.keep((rows[5][0] + 1) * MINUTE_NS, 0.5), "one that was missed is placed"
    assert kept.minutes[0] == rows[3][0]
    assert kept.rates[kept.minutes.index(rows[5][0] + 1)] == 0.5
    assert kept.minutes == sorted(kept.minutes)


def test_of_an_empty_history_there_is_no_last() -> None:
    assert Settlements().last_ns == 0
