"""Numbers that a venue sends: whatever their length, a reader returns a bounded number or none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import numbers

AT_NS = 1_772_438_310_000_000_000  # 2026-03-02T07:58:30Z
NINES = "9" * 5000


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("0", 0.0),
        ("300", 300.0),
        (" 300 ", 300.0),
        ("259200", 259_200.0),
        ("259201", None),
        ("31536000", None),
        ("9" * 12, None),
        (NINES, None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Mon, 02 Mar 2026 07:59:30 GMT", 60.0),
        ("Mon, 02 Mar 2026 07:59:30", 60.0),
        ("Mon, 02 Mar 2026 07:58:00 GMT", None),  # it is over
        ("Tue, 02 Mar 2027 07:59:30 GMT", None),
        ("Mon, 02 Mar 99999 07:59:30 GMT", None),
        ("Mon, 99 Mar 2026 07:59:30 GMT", None),
    ],
)
def test_a_delay_is_of_three_days_at_most_by_seconds_or_by_date(stated: str, seconds: float | None) -> None:
    assert numbers.delay_s(stated, AT_NS) == seconds


@pytest.mark.parametrize("value", [NINES, "9" * 19, -1, "-1", 1.5e300, float("nan"), True, None, [], "1e3"])
def test_what_is_no_whole_number_is_none(value: object) -> None:
    assert numbers.whole(value, 10**12) is None


def test_whole_numbers_are_read_from_texts_and_numbers() -> None:
    assert (numbers.whole("12"), numbers.whole(12), numbers.whole(12.0)) == (12, 12, 12)
    assert numbers.whole("13", 12) is None


@pytest.mark.parametrize(
    "value", [NINES, "1e999999999", "NaN", "Infinity", "-1e25", "1e-25", "", None, "1" * 49, [1]]
)
def test_what_the_ledger_cannot_hold_is_no_decimal(value: object) -> None:
    assert numbers.decimal(value) is None


def test_a_number_that_python_refuses_to_print_is_none() -> None:
    assert numbers.whole(10**5000) is None
    assert numbers.decimal(10**5000) is None


def test_a_decimal_is_as_it_was_written() -> None:
    assert str(numbers.decimal("60000.1200")) == "60000.1200"
    assert numbers.decimal(-3) == Decimal(-3)


@pytest.mark.parametrize(
    ("ms", "ns"), [(1_772_438_310_000, AT_NS), ("1772438310000", AT_NS), (0, None), (10**13, None)]
)
def test_a_time_passes_63_bits_never(ms: object, ns: int | None) -> None:
    assert numbers.time_ns(ms) == ns


@given(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none(), st.decimals()))
def test_nothing_makes_a_reader_raise(value: object) -> None:
    assert numbers.whole(value) is None or 0 <= numbers.whole(value) < 2**63  # type: ignore[operator]
    read = numbers.decimal(value)
    assert read is None or abs(read.adjusted()) <= numbers.PLACES_MAX
    if isinstance(value, str):
        told_s = numbers.delay_s(value, AT_NS)
        assert told_s is None or 0 <= told_s <= numbers.DELAY_MAX_S
