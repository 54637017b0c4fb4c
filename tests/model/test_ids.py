"""Names of things."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import ids


def test_an_instrument_knows_its_account_market_and_symbol() -> None:
    name = ids.instrument_id("binance", "usdm", "BTCUSDT")
    assert name == "binance:usdm:BTCUSDT"
    assert (ids.account_of(name), ids.market_of(name), ids.symbol_of(name)) == (
        "binance:usdm",
        "usdm",
        "BTCUSDT",
    )


@pytest.mark.parametrize(
    ("number", "digits"), [(0, "0"), (35, "z"), (36, "10"), (46655, "zzz"), (46656, "1000")]
)
def test_base36(number: int, digits: str) -> None:
    assert ids.base36(number) == digits


@given(st.integers(0, 10**15))
def test_base36_reads_back(number: int) -> None:
    assert int(ids.base36(number), 36) == number


@given(st.integers(0, 10**18))
def test_an_order_id_fits_what_venues_accept(order: int) -> None:
    assert re.fullmatch("[a-z0-9]{1,32}", ids.client_id("bsbt", "0a1b2c3d", order))
