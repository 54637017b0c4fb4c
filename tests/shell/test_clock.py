"""The live clock: monotonic time from a boot anchor, slewed and never turned back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.shell.clock import SLEW_PPM, STEP_NS, LiveClock

ANCHOR_NS = 1_800_000_000_000_000_000
MS = 1_000_000


class Uptime:
    def __init__(self) -> None:
        self.now_s = 5_000.0

    def __call__(self) -> float:
        return self.now_s


def test_it_counts_from_its_anchor() -> None:
    uptime = Uptime()
    clock = LiveClock(ANCHOR_NS, uptime)
    assert clock.now_ns() == ANCHOR_NS
    uptime.now_s += 1.5
    assert clock.now_ns() == ANCHOR_NS + 1_500 * MS


def test_an_offset_is_worked_off_at_a_bounded_rate() -> None:
    uptime = Uptime()
    clock = LiveClock(ANCHOR_NS, uptime)
    clock.steer(2 * MS)
    uptime.now_s += 1.0
    assert clock.now_ns() == ANCHOR_NS + 1_000 * MS + SLEW_PPM * 1_000
    uptime.now_s += 100.0
    assert clock.now_ns() == ANCHOR_NS + 101_000 * MS + 2 * MS
    assert clock.owed_ns == 0


def test_a_new_measurement_takes_the_place_of_what_was_owed() -> None:
    uptime = Uptime()
    clock = LiveClock(ANCHOR_NS, uptime)
    clock.steer(900 * MS)
    clock.steer(-MS)
    uptime.now_s += 100.0
    assert clock.now_ns() == ANCHOR_NS + 100_000 * MS - MS


def test_what_is_lacking_after_a_sleep_is_made_up_at_once() -> None:
    uptime = Uptime()
    clock = LiveClock(ANCHOR_NS, uptime)
    clock.steer(10_000 * MS)
    assert (clock.now_ns(), clock.owed_ns) == (ANCHOR_NS + 10_000 * MS, 0)
    clock.steer(10_000 * MS)
    uptime.now_s += 1.0
    assert clock.now_ns() == ANCHOR_NS + 11_000 * MS


def test_a_measurement_told_again_is_not_worked_off_twice() -> None:
    uptime = Uptime()
    clock = LiveClock(ANCHOR_NS, uptime)
    for _ in range(60):
        clock.steer(2 * MS)
        uptime.now_s += 1.0
        clock.now_ns()
    assert clock.now_ns() == ANCHOR_NS + 60_000 * MS + 2 * MS


@given(
    st.lists(
        st.tuples(st.floats(0.0, 3_600.0), st.one_of(st.none(), st.integers(-(10**13), STEP_NS))), max_size=40
    )
)
def test_it_never_goes_back_and_is_never_off_by_more_than_the_slew(
    steps: list[tuple[float, int | None]],
) -> None:
    """But for the jump ahead after a sleep."""
    uptime = Uptime()
    clock = LiveClock(ANCHOR_NS, uptime)
    before_ns = ANCHOR_NS
    for elapsed_s, offset_ns in steps:
        if offset_ns is not None:
            clock.steer(offset_ns)
        uptime.now_s += elapsed_s
        now_ns = clock.now_ns()
        passed_ns = now_ns - before_ns
        assert passed_ns >= 0
        assert abs(passed_ns - elapsed_s * 1e9) <= elapsed_s * 1e9 * SLEW_PPM / 1e6 + 1_000
        before_ns = now_ns
