"""The paper venue behind its gateway passes the gateway contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from adapters.paper.gateway import PaperGateway
from bot.model.commands import Outward
from bot.model.config import Balance
from bot.model.facts import AnyFact, Channel, ChannelOpened, ProtocolDrift
from bot.model.ids import AccountId
from bot.model.instrument import Instrument, Side
from tests.adapters.contract import GatewayContract, Quote
from tests.adapters.paper.build import INSTRUMENTS, LINEAR, SPOT, T0, D, Floor, S, make_config

ACCOUNTS = tuple(one.account for one in INSTRUMENTS.values())
PAUSE = ProtocolDrift(AccountId("test"), "pause", "a second has passed")


class PaperHarness:
    """The recording tells a fact every second; the event loop runs the gateway from one to the next."""

    spot = SPOT
    linear = LINEAR

    def __init__(self) -> None:
        balances = (
            Balance("binance:spot", "USDT", D(100_000)),
            Balance("binance:spot", "BTC", D(2)),
            Balance("binance:usdm", "USDT", D(50_000)),
        )
        frames = ((T0 + i * S, 0, b"pause") for i in range(1, 100))
        self.floor = Floor(make_config(paper_balances=balances), frames=frames)
        self.floor.market.script[b"pause"] = lambda: self.floor.outlet.tell(PAUSE)
        self.gateway = PaperGateway(self.floor.timeline)
        self.loop = asyncio.new_event_loop()
        self.facts: list[AnyFact] = []
        self.task = self.loop.create_task(self.gateway.run(self.facts.append))
        self.wait()

    def show(self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        self.floor.books[instrument.id].show(bids, asks)

    def trade(self, instrument: Instrument, price: float, qty: float, buyer_is_maker: bool) -> None:
        self.floor.books[instrument.id].trade(price, qty, buyer_is_maker)

    def send(self, *commands: Outward) -> list[AnyFact]:
        for command in commands:
            self.gateway.submit(command)
        return self.wait()

    def wait(self) -> list[AnyFact]:
        self.loop.run_until_complete(self._until_pause())
        unasked = (PAUSE, *(ChannelOpened(account, channel) for account in ACCOUNTS for channel in Channel))
        facts = [fact for fact in self.facts if fact not in unasked]
        self.facts.clear()
        return facts

    async def _until_pause(self) -> None:
        while PAUSE not in self.facts:
            await asyncio.sleep(0)

    def close(self) -> None:
        self.task.cancel()
        self.loop.run_until_complete(asyncio.gather(self.task, return_exceptions=True))
        self.loop.close()


class TestPaperGateway(GatewayContract):
    @pytest.fixture
    def harness(self) -> Iterator[PaperHarness]:
        harness = PaperHarness()
        yield harness
        harness.close()

    def test_duplicates_are_counted(self, harness: PaperHarness) -> None:
        place = self.order(SPOT, Side.BUY, "0.1", "60000")
        facts = harness.send(place, place)
        assert harness.floor.venue.duplicates == 1
        (drift,) = [fact for fact in facts if isinstance(fact, ProtocolDrift)]
        assert str(place.client_id) in drift.reason
