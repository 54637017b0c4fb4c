"""What a terminal would obey is shown instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.shell.terminal import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12.50 USDT → 3 ≤ 4 − ü 中", "12.50 USDT → 3 ≤ 4 − ü 中"),
        ("ev\x1b[31mil\nBTC: ready", "ev\\x1b[31mil\\nBTC: ready"),
        ("a\rb\tc\x07\x9b", "a\\rb\\tc\\x07\\x9b"),
        ("abc\u202edef\u2066\u200b", "abc\\u202edef\\u2066\\u200b"),
        ("x\u2028y\u2029z\ud800", "x\\u2028y\\u2029z\\ud800"),
    ],
)
def test_what_is_obeyed_is_escaped_and_nothing_else(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_one_line_stays_one_line(text: str) -> None:
    shown = plain(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert plain(shown) == shown
