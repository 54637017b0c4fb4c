"""Waits before another attempt: doubling, bounded, spread, and the same for the same salt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.backoff import Backoff

WAITS = Backoff(first_s=0.25, longest_s=30.0)


@given(st.integers(1, 10_000), st.text(max_size=20))
def test_a_wait_lies_between_half_of_the_doubled_one_and_all_of_it(attempt: int, salt: str) -> None:
    whole_s = min(30.0, 0.25 * 2 ** min(attempt - 1, 10))
    assert whole_s / 2 <= WAITS.delay_s(attempt, salt) <= whole_s
    assert WAITS.delay_s(attempt, salt) == WAITS.delay_s(attempt, salt)


def test_two_that_failed_together_do_not_come_back_together() -> None:
    waits_s = {WAITS.delay_s(5, f"line {number}") for number in range(100)}
    assert len(waits_s) == 100
    assert max(waits_s) - min(waits_s) > 1.0
