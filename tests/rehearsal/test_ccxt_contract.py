"""The ccxt gateway passes the gateway contract: ccxt's binance and binanceusdm, and the rehearsal servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.contract import GatewayContract
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed


class TestCcxtGateway(GatewayContract):
    @pytest.fixture
    def harness(self) -> Iterator[CcxtRehearsed]:
        harness = CcxtRehearsed()
        yield harness
        harness.close()
