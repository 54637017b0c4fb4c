"""A market feed over real sockets against a scripted venue, and the frames it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.backoff import Backoff
from adapters.binance.endpoints import Hosts
from adapters.binance.feed import FeedOptions, MarketFeed
from adapters.binance.lines import LineTimes
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.ratelimit import RateBudget
from adapters.tcp import TcpNetwork
from bot.model.instrument import Instrument
from tests.adapters.binance.scripted import Heard, Venue, venue
from tests.adapters.synthetic import STEADY, depth, instrument, mark, ticker

QUICK = LineTimes(
    connect_s=2.0,
    first_message_s=5.0,
    silence_s=5.0,
    handover_s=0.05,
    check_s=0.01,
    backoff=Backoff(first_s=0.01, longest_s=0.05),
)
DEPTH_PATH = {"spot": "/api/v3/depth", "usdm": "/fapi/v1/depth", "coinm": "/dapi/v1/depth"}
BIDS, ASKS = [("100.0", "5")], [("101.0", "5")]


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()


class Scene:
    """A venue, a feed of one market at it, and what it told."""

    def __init__(self, at: Venue, feed: MarketFeed, told: Heard, tapped: list[tuple[str, bytes]]) -> None:
        self.venue = at
        self.feed = feed
        self.told = told
        self.tapped = tapped

    def reading(self, name: str) -> float:
        return sum(reading.value for reading in self.feed.readings() if reading.name == name)


def rest_of(market: str, at: Venue, network: TcpNetwork, access: Access | None = None) -> Rest:
    hosts = Hosts(at.rest, at.ws, at.ws)
    clock = VenueClock(SystemClock())
    return Rest(market, hosts, network, clock, RateBudget(market), access or Access(None, 5000))


@asynccontextmanager
async def scene(
    market: str, times: LineTimes = QUICK, instruments: tuple[Instrument, ...] = (), trades: bool = False
) -> AsyncIterator[Scene]:
    """A feed that runs while the block does."""
    traded = instruments or (instrument(market),)
    network = TcpNetwork(allow_remote=False)
    told, tapped = Heard(), list[tuple[str, bytes]]()
    async with venue() as at:
        options = FeedOptions(
            market=market,
            hosts=Hosts(at.rest, at.ws, at.ws),
            instruments=traded,
            filters={one.id: STEADY for one in traded},
            trades=trades,
            times=times,
        )
        feed = MarketFeed(
            options,
            network,
            rest_of(market, at, network),
            SystemClock(),
            told.emit,
            lambda at_ns, name, payload: tapped.append((name, payload)),
        )
        running = asyncio.create_task(feed.run())
        try:
            yield Scene(at, feed, told, tapped)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await network.close()


def diff(market: str, last: int, ms: int, bid: str = "5") -> bytes:
    """A depth update with one id, ``last``, that sets the best bid's size."""
    return depth(market, (last, last, last - 1), bids=[("100.0", bid)], ms=ms)


def first_words(market: str, path: str, last: int, ms: int) -> list[bytes]:
    """One frame of each stream that a market serves on ``path``, so that the line opens."""
    words = []
    if "/market/" not in path:
        words += [diff(market, last, ms), ticker(market, last, ("100.0", "5"), ("101.0", "5"))]
    if market == "coinm" or "/market/" in path:
        words.append(mark(market, "100.5", None if market == "coinm" else "100.4", "0.0001", ms + 1000))
    if market == "coinm":
        words.append(
            b'{"stream":"btcusd@indexPrice@1s",'
            b'"data":{"e":"indexPriceUpdate","E":%d,"i":"BTCUSD","p":"100.4"}}' % ms
        )
    return words
