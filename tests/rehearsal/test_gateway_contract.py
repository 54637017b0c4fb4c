"""The Binance gateway passes the gateway contract: over sockets and in memory, by WebSocket API and REST."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import pytest

from bot.model.config import Balance
from tests.adapters.contract import GatewayContract
from tests.rehearsal.rehearsed import Reach, Rehearsed

BALANCES = (
    Balance("binance:spot", "USDT", Decimal(100_000)),
    Balance("binance:spot", "BTC", Decimal(2)),
    Balance("binance:usdm", "USDT", Decimal(50_000)),
)


class TestBinanceGateway(GatewayContract):
    @pytest.fixture(
        params=[("ws", "memory"), ("rest", "memory"), ("ws", "tcp"), ("rest", "tcp")],
        ids=" by ".join,
    )
    def harness(self, request: pytest.FixtureRequest) -> Iterator[Rehearsed]:
        way: tuple[Literal["ws", "rest"], Reach] = request.param
        harness = Rehearsed(*way, balances=BALANCES)
        yield harness
        harness.close()
