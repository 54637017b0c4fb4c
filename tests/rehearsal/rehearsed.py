"""The Binance gateway against the rehearsal servers, with books that a test sets by hand.

By sockets of the loopback interface or in memory and virtual time; the same gateway and the same servers.
What a test waits for is heard: commands are waited for by their answers, and the private streams by an event
that is told after all others (a fence), never by a pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Literal

import msgspec

from adapters.binance.endpoints import Hosts, hosts
from adapters.binance.gateway import BinanceGateway, BinanceOptions
from adapters.network import Network
from adapters.paper.terms import Terms
from adapters.recorded.frames import Feed, Frame
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.looped import Shown
from adapters.rehearsal.server import serve
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from adapters.tcp import TcpNetwork
from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder
from bot.model.config import Balance
from bot.model.facts import (
    AccountFact,
    AccountReported,
    AnyFact,
    CancelRejected,
    Channel,
    ChannelOpened,
    MarginCalled,
    MarketFact,
    OrderAccepted,
    OrderCanceled,
    OrderFact,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderUncertain,
    Transferred,
)
from bot.model.ids import AccountId, symbol_of
from bot.model.instrument import Instrument
from bot.shell.clock import LiveClock
from tests.adapters.paper.build import BALANCES, INVERSE, LINEAR, SPOT, S, make_config
from tests.conftest import ROOT
from tests.virtual.loop import VirtualLoop
from tests.virtual.network import MemoryNetwork

D = Decimal
Quote = tuple[float, float]
Reach = Literal["memory", "tcp"]
START_NS = 1_796_000_000 * S
PATIENCE_S = 20.0  # of a test, for anything that must come
ACCOUNTS = {
    "spot": AccountId("binance:spot"),
    "usdm": AccountId("binance:usdm"),
    "coinm": AccountId("binance:coinm"),
}
FENCE = "FENCE"  # an asset that nobody has


class StillRecording:
    """`adapters.recorded.frames.Recording` of a market that stands still for a day."""

    def __init__(self, market: str) -> None:
        self.markets = (market,)

    def blocks(self, index_of: Mapping[str, int]) -> Iterator[list[Frame]]:
        index = index_of[self.markets[0]]
        symbol = "btcusd_perp" if self.markets[0] == "coinm" else "btcusdt"
        data = {"lastUpdateId": 1, "bids": [["59999", "1"]], "asks": [["60000", "1"]], "E": 1, "T": 1}
        frame = msgspec.json.encode({"stream": f"{symbol}@snapshot", "data": data})
        yield [(START_NS, index, frame), (START_NS + 86_400 * S, index, frame)]

    def where(self, line: int) -> str:
        return f"still:{line}"


def descriptions() -> list[tuple[str, bytes]]:
    """The venue's descriptions of the instruments of `tests.adapters.paper.build`."""
    found = []
    for market in ("spot", "usdm", "coinm"):
        text = (ROOT / "examples/venue" / f"binance-{market}.json").read_text()
        if market == "spot":
            for wide, narrow in (
                ('MultiplierUp": "5"', 'MultiplierUp": "1.2"'),
                ('MultiplierDown": "0.2"', 'MultiplierDown": "0.8"'),
            ):
                assert wide in text
                text = text.replace(wide, narrow)
        found.append((market, text.encode()))
    return found


class Rehearsed:
    """A gateway, the venue behind it, and a loop that runs them when a test asks."""

    spot = SPOT
    linear = LINEAR
    inverse = INVERSE

    def __init__(
        self,
        transport: Literal["ws", "rest"],
        reach: Reach,
        legs: Sequence[Instrument] = (SPOT, LINEAR),
        balances: Sequence[Balance] = BALANCES,
    ) -> None:
        self.facts: list[AnyFact] = []
        self.loop: asyncio.AbstractEventLoop = (
            VirtualLoop() if reach == "memory" else asyncio.new_event_loop()
        )
        self._reach = reach
        self._told = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ids = 1
        self._fences = 0
        self._stack = AsyncExitStack()
        self.legs = tuple(legs)
        try:
            self.loop.run_until_complete(self._open(transport, balances))
        except BaseException:
            self.close()
            raise

    async def _open(self, transport: Literal["ws", "rest"], balances: Sequence[Balance]) -> None:
        loop = asyncio.get_running_loop()
        anchor_ns = START_NS if self._reach == "memory" else time.time_ns()
        self.clock = LiveClock(anchor_ns, loop.time)
        markets = sorted({one.account.split(":")[1] for one in self.legs})
        feeds = [Feed(f"binance:{market}", market, "still", 0, StillRecording(market)) for market in markets]
        self.world = World(
            feeds, descriptions(), Terms(balances=tuple(balances), reference="mid"), self.clock
        )
        keys = make_keys(b"a rehearsal of the gateway")
        for one in self.legs:
            await self._turned(one, "snapshot", self._snapshot(one, ((59_999.0, 1.0),), ((60_000.0, 1.0),)))
        self.teller = Teller(self.world, keys)
        self.doors = doors(self.world, self.teller)
        self.network: Network
        where: Mapping[str, Hosts]
        if self._reach == "memory":
            self.network = MemoryNetwork(self.doors)
            where = {
                market: Hosts(f"http://{market}", f"ws://{market}", f"ws://{market}") for market in self.doors
            }
        else:
            ports = (await self._stack.enter_async_context(serve(self.doors, 0))).ports
            where = hosts("rehearsal", (ports["spot"], ports["usdm"], ports["coinm"]))
            self.network = TcpNetwork(allow_remote=False)
        self.options = BinanceOptions(
            legs=tuple(one.id for one in self.legs),
            config=make_config(bot_tag="cont", order_transport=transport),
            hosts=where,
            key=keys.api_key,
            secret=keys.secret,
        )
        self._tasks.append(loop.create_task(self.world.play()))
        await self._boot()
        for account in self.accounts:
            self.gateway.submit(QueryAccount(account))
        await self._until(lambda: len(self._of(AccountReported)) == len(markets))
        self.facts.clear()

    async def _boot(self) -> None:
        self.gateway = BinanceGateway(self.options, self.network, self.clock)
        self._tasks.append(asyncio.get_running_loop().create_task(self.gateway.run(self._emit)))
        needed = {
            ChannelOpened(account, channel)
            for account in self.accounts
            for channel in (Channel.PRIVATE, Channel.ORDERS)
        }
        await self._until(lambda: needed <= set(self._of(ChannelOpened)))

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        return tuple(dict.fromkeys(one.account for one in self.legs))

    def reboot(self, between: Callable[[], object] = lambda: None) -> None:
        """The gateway ends, something happens, and another begins, which remembers nothing."""

        async def again() -> None:
            running = self._tasks.pop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            between()
            self.facts.clear()
            await self._boot()
            self.facts.clear()

        self.loop.run_until_complete(again())

    def act(self, change: Callable[[], object] = lambda: None, seconds: float = 1.0) -> list[AnyFact]:
        """Do something to the venue, let virtual time pass, and return every fact that is not the
        market's."""

        async def acted() -> list[AnyFact]:
            change()
            await asyncio.sleep(seconds)
            facts: list[AnyFact] = [fact for fact in self.facts if not isinstance(fact, MarketFact)]
            self.facts.clear()
            return facts

        return self.loop.run_until_complete(acted())

    def mark(self, instrument: Instrument, price: str, rate: str) -> None:
        """The venue's stream tells mark, index and the running estimate of the funding rate."""
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "e": "markPriceUpdate", "E": at_ms, "s": symbol_of(instrument.id), "p": price, "i": price,
            "P": price, "r": rate, "T": at_ms + 3_600_000,
        }  # fmt: skip
        self._play(instrument, "markPrice", data)

    def _emit(self, fact: AnyFact) -> None:
        self.facts.append(fact)
        self._told.set()

    def _of(self, *kinds: type) -> list[AnyFact]:
        return [fact for fact in self.facts if isinstance(fact, kinds)]

    async def _until(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_there():
                self._told.clear()
                told = asyncio.ensure_future(self._told.wait())
                await asyncio.wait({told, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                for task in self._tasks:
                    if task.done():
                        task.result()

    # --- the harness of the contract

    def show(self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        self._play(instrument, "snapshot", self._snapshot(instrument, bids, asks))

    def _snapshot(
        self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]
    ) -> dict[str, object]:
        self._ids += 1
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "lastUpdateId": self._ids,
            "bids": [[repr(price), repr(qty)] for price, qty in bids],
            "asks": [[repr(price), repr(qty)] for price, qty in asks],
        }
        if not instrument.is_spot:
            data |= {"E": at_ms, "T": at_ms}
        return data

    async def _turned(self, instrument: Instrument, kind: str, data: dict[str, object]) -> None:
        market, at_ns = instrument.account.split(":")[1], self.clock.now_ns()
        self.world.turn(at_ns)
        self.world.stages[market].show(Shown(market, symbol_of(instrument.id).lower(), kind, data), at_ns)

    def trade(self, instrument: Instrument, price: float, qty: float, buyer_is_maker: bool) -> None:
        self._ids += 1
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "e": "aggTrade", "E": at_ms, "s": symbol_of(instrument.id), "a": self._ids, "p": repr(price),
            "q": repr(qty), "f": self._ids, "l": self._ids, "T": at_ms, "m": buyer_is_maker, "M": True,
        }  # fmt: skip
        self._play(instrument, "aggTrade", data)

    def _play(self, instrument: Instrument, kind: str, data: dict[str, object]) -> None:
        self.loop.run_until_complete(self._turned(instrument, kind, data))

    def send(self, *commands: Outward) -> list[AnyFact]:
        return self.loop.run_until_complete(self._send(commands))

    def wait(self) -> list[AnyFact]:
        return self.loop.run_until_complete(self._fence())

    async def _send(self, commands: Sequence[Outward]) -> list[AnyFact]:
        for command in commands:
            self.gateway.submit(command)
        await self._until(lambda: all(self._is_answered(command, commands) for command in commands))
        return await self._fence()

    def _is_answered(self, command: Outward, commands: Sequence[Outward]) -> bool:
        """As many answers as commands of this kind that could have them."""
        match command:
            case PlaceOrder(client_id):
                kinds: tuple[type, ...] = (OrderAccepted, OrderRejected, OrderUncertain)
            case CancelOrder(client_id):
                kinds = (OrderCanceled, CancelRejected, OrderUncertain)
            case QueryOrder(client_id):
                kinds = (OrderReported, OrderNotFound)
            case QueryAccount(account):
                return any(
                    fact.account == account for fact in self.facts if isinstance(fact, AccountReported)
                )
        answers = [fact for fact in self._of(*kinds) if getattr(fact, "client_id", "") == client_id]
        return len(answers) >= 1 and len(answers) >= sum(each == command for each in commands)

    async def _fence(self) -> list[AnyFact]:
        """Everything told up to an event that each private stream tells after all that happened before."""
        if self._reach == "memory":
            await asyncio.sleep(1.0)
        else:
            await self._until_fenced()
        facts: list[AnyFact] = [
            fact for fact in self.facts if isinstance(fact, OrderFact | AccountFact) and not _is_fence(fact)
        ]
        self.facts.clear()
        return facts

    async def _until_fenced(self) -> None:
        self._fences += 1
        markets = {one.account.split(":")[1] for one in self.legs}
        for market in markets:
            if market == "spot":
                for amount in (D(self._fences), -D(self._fences)):
                    self.world.change_balance(ACCOUNTS["spot"], FENCE, amount)
            else:
                self.world.margin_call(ACCOUNTS[market])
        await self._until(
            lambda: all(
                any(
                    fact.account == ACCOUNTS[market]
                    and (isinstance(fact, MarginCalled) or fact.amount == -self._fences)
                    for fact in self.facts
                    if isinstance(fact, MarginCalled | Transferred)
                )
                for market in markets
            )
        )

    def close(self) -> None:
        self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.network.close()
        await self._stack.aclose()


def _is_fence(fact: AnyFact) -> bool:
    return isinstance(fact, MarginCalled) or getattr(fact, "asset", "") == FENCE
