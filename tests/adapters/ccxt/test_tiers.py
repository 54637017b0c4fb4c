"""Leverage tiers that a file gives where the exchange tells none."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from adapters.ccxt.tiers import tiers_of_files
from adapters.errors import FeedError
from bot.model.ids import InstrumentId

D = Decimal
NAME = InstrumentId("kraken:linear:BTCUSD")
TIER = {
    "tier": 1.0, "symbol": "BTC/USD:USD", "currency": "USD", "minNotional": 0.0, "maxNotional": 50000.0,
    "maintenanceMarginRate": 0.004, "maxLeverage": 125.0, "info": {"bracket": 1},
}  # fmt: skip
LAST = {**TIER, "minNotional": 50000.0, "maxNotional": None, "maintenanceMarginRate": "0.01"}


def file(*tiers: object, name: str = NAME) -> bytes:
    return json.dumps({"leverageTiers": {name: tiers}}).encode()


def test_tiers_are_read_as_ccxt_prints_them_and_the_first_file_holds() -> None:
    other = b'{"exchangeInfo": {"symbols": []}}'
    sources = (("tiers", file(TIER, LAST)), ("binance", other), ("again", file(LAST)))
    tiers, others = tiers_of_files(sources)
    first, last = tiers[NAME]
    assert (first.floor, first.cap, first.maintenance_rate) == (D(0), D(50_000), D("0.004"))
    assert (first.leverage_max, last.maintenance_rate, last.cum) == (125, D("0.01"), D(300))
    assert others == (("binance", other),)


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b'{"leverageTiers": []}', file({**TIER, "maxLeverage": "x"}), file({"minNotional": 0})],
)
def test_tiers_that_cannot_be_read_are_refused_by_the_name_of_their_file(data: bytes) -> None:
    with pytest.raises(FeedError, match=r"^tiers\.json: its leverageTiers"):
        tiers_of_files((("tiers.json", data),))
