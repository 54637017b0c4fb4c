"""Money laws: rounding happens once, in one place, and everything else is exact or stops."""

from __future__ import annotations

from decimal import Decimal, FloatOperation, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import money
from bot.model.money import ceil_to, divide, exact, exact_arithmetic, floor_to, nearest_to

D = Decimal
VALUES = st.decimals(min_value="-1e9", max_value="1e9", places=10, allow_nan=False)
STEPS = st.sampled_from([D("0.1"), D("0.01"), D("0.001"), D("1"), D("100"), D("0.00001"), D("0.5")])


def test_the_exact_context_stops_at_rounding_and_at_floats() -> None:
    with exact_arithmetic():
        assert D("0.1") * D("0.2") == D("0.02")
        with pytest.raises(Inexact):
            D(1) / D(3)
        with pytest.raises(FloatOperation):
            D(0.5)


def test_the_context_ends_with_its_block() -> None:
    with exact_arithmetic():
        pass
    assert D(1) / D(3) > 0


@pytest.mark.parametrize("number", [0.1, 61800.2, 1e-8, 123456.78, 5e-324, 0.30000000000000004])
def test_a_book_float_becomes_the_text_it_was_read_from(number: float) -> None:
    assert float(exact(number)) == number
    assert str(exact(0.1)) == "0.1"


@given(VALUES, STEPS)
def test_rounding_gives_multiples_on_the_right_side(value: Decimal, step: Decimal) -> None:
    low, high, near = floor_to(value, step), ceil_to(value, step), nearest_to(value, step)
    assert low <= value <= high
    assert high - low in (0, step)
    assert abs(near - value) * 2 <= step
    assert near in (low, high)
    for rounded in (low, high, near):
        assert money.is_multiple(rounded, step)


@given(VALUES, STEPS)
def test_rounding_twice_changes_nothing(value: Decimal, step: Decimal) -> None:
    assert floor_to(floor_to(value, step), step) == floor_to(value, step)


@given(VALUES, st.decimals(min_value="0.001", max_value="1e6", places=3))
def test_division_is_within_half_a_quantum(value: Decimal, by: Decimal) -> None:
    quotient = divide(value, by, money.COIN_QUANTUM)
    assert abs(quotient * by - value) <= money.COIN_QUANTUM / 2 * by + D("1e-40")
    assert quotient == quotient.quantize(money.COIN_QUANTUM)


def test_division_by_zero_is_an_error_not_an_infinity() -> None:
    with pytest.raises(ZeroDivisionError):
        divide(D(1), D(0), money.COIN_QUANTUM)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1E-8", "0.00000001"),
        ("0", "0"),
        ("-0.00", "0"),
        ("1.2300", "1.23"),
        ("1E+3", "1000"),
        ("-4.50", "-4.5"),
    ],
)
def test_text_is_plain_digits(value: str, shown: str) -> None:
    assert money.text(D(value)) == shown


@given(VALUES)
def test_text_reads_back(value: Decimal) -> None:
    assert D(money.text(value)) == value
