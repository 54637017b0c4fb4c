"""Paper fills on a live feed, the feed being the rehearsal's: frames through the real decoder, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from adapters.binance.endpoints import Hosts
from adapters.binance.feed import FeedOptions, MarketFeed
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.materiality import Materiality
from adapters.paper.live import PaperLiveGateway, Tap
from adapters.paper.terms import Terms
from adapters.ratelimit import RateBudget
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.seam import Door
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.commands import TimeInForce
from bot.model.facts import (
    AnyFact,
    BookGapped,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    OrderAccepted,
    OrderFilled,
    ProtocolDrift,
)
from bot.model.ids import InstrumentId, market_of
from bot.model.instrument import Instrument, Side
from bot.ports import Emit
from tests.adapters.rehearsal.build import FUNDS, LINEAR, NOW_NS, SPOT, D, S, order, scene, world
from tests.virtual.loop import run_virtual
from tests.virtual.network import MemoryNetwork

PASS_S = 30
FILTER = Materiality(1000.0, 0.5, 10.0)


class LoopClock:
    """The running loop's time since it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()

    def now_ns(self) -> int:
        return NOW_NS + round((self._loop.time() - self._begun_s) * S)


class Opened(Struct):
    instruments: Mapping[InstrumentId, Instrument]
    feeds: Sequence[MarketFeed]


class Rig:
    """A rehearsal venue with a recording of half a minute, and a paper gateway on its streams."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.world: World = world(scene(PASS_S), self.clock)
        venue: dict[str, Door] = dict(doors(self.world, Teller(self.world, make_keys(b"paper on rehearsal"))))
        self.network = MemoryNetwork(venue)
        self.facts: list[AnyFact] = []
        self.gateway = PaperLiveGateway(self._open, Terms(balances=FUNDS, up_ms=5, down_ms=5), self.clock)

    async def play(self, seconds: float) -> list[AnyFact]:
        """Facts of the next seconds."""
        self.facts.clear()
        await asyncio.sleep(seconds)
        return list(self.facts)

    async def _open(self, emit: Emit, tap: Tap) -> Opened:
        feeds = []
        for market in ("spot", "usdm", "coinm"):
            hosts = Hosts(f"http://{market}", f"ws://{market}", f"ws://{market}")
            traded = tuple(one for one in self.world.instruments.values() if market_of(one.id) == market)
            filters = dict.fromkeys([one.id for one in traded], FILTER)
            options = FeedOptions(
                market=market, hosts=hosts, instruments=traded, filters=filters, trades=True
            )
            access = Access(None, 5000)
            rest = Rest(market, hosts, self.network, VenueClock(self.clock), RateBudget(market), access)
            feeds.append(MarketFeed(options, self.network, rest, self.clock, emit, tap))
        return Opened(self.world.instruments, feeds)


def test_orders_fill_at_the_streams_prices_and_a_pass_s_end_is_got_over() -> None:
    async def run() -> None:
        rig = Rig()
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(rig.world.play()),
                tasks.create_task(rig.gateway.run(rig.facts.append)),
            ]
            begun = await rig.play(10)
            opened = [fact for fact in begun if isinstance(fact, ChannelOpened)]
            assert {(one.account, one.channel) for one in opened} == {
                (rig.world.account(market), channel)
                for market in ("spot", "usdm", "coinm")
                for channel in Channel
            }
            assert not [fact for fact in begun if isinstance(fact, ProtocolDrift | BookGapped)]
            rig.gateway.submit(order(SPOT, Side.BUY, "0.5", "60001"))
            rig.gateway.submit(order(LINEAR, Side.SELL, "0.5", "60001", TimeInForce.GTC, "resting"))
            told = await rig.play(1)
            (fill,) = [fact for fact in told if isinstance(fact, OrderFilled)]
            assert (fill.instrument, fill.price, fill.qty) == (SPOT, D(60_001), D("0.5"))
            assert len([fact for fact in told if isinstance(fact, OrderAccepted)]) == 2
            # the pass ends: sockets close, ids begin beyond, books are found again
            ended = await rig.play(PASS_S)
            lost = {fact.account for fact in ended if isinstance(fact, ChannelLost)}
            found = {fact.account for fact in ended if isinstance(fact, ChannelOpened)}
            assert lost == found == {rig.world.account(market) for market in ("spot", "usdm", "coinm")}
            gapped = {fact.instrument for fact in ended if isinstance(fact, BookGapped)}
            known = {
                fact.instrument
                for fact in ended[ended.index(_last_gap(ended)) :]
                if isinstance(fact, BookSeen)
            }
            assert gapped == known == set(rig.world.instruments)
            told = await rig.play(5)
            assert not [fact for fact in told if isinstance(fact, BookGapped | ChannelLost | ProtocolDrift)]
            for task in running:
                task.cancel()

    run_virtual(run())


def _last_gap(facts: Sequence[AnyFact]) -> AnyFact:
    return next(fact for fact in reversed(facts) if isinstance(fact, BookGapped))
