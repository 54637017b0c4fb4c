"""The ccxt gateway against the rehearsal servers, with books that a test sets by hand.

One gateway for each class of ccxt: ``binance``, ``binanceusdm``, ``binancecoinm``.  What a test waits for is
heard: answers to commands, and on the private streams a change of balance that is told after all others (a
fence), never a pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import TypeVar

import msgspec

from adapters.ccxt.exchange import Access, library
from adapters.ccxt.gateway import CcxtGateway, CcxtOptions
from adapters.paper.terms import Terms
from adapters.recorded.frames import Feed
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.looped import Shown
from adapters.rehearsal.seam import Door
from adapters.rehearsal.server import first_line, serve
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder
from bot.model.config import Balance
from bot.model.facts import (
    AccountFact,
    AccountReported,
    AnyFact,
    BalanceSeen,
    CancelRejected,
    Channel,
    ChannelOpened,
    OrderAccepted,
    OrderCanceled,
    OrderFact,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderUncertain,
)
from bot.model.ids import AccountId, InstrumentId, symbol_of
from bot.model.instrument import Instrument
from bot.shell.clock import LiveClock
from tests.adapters.contract import Quote
from tests.adapters.paper.build import INVERSE, LINEAR, SPOT, make_config
from tests.rehearsal.rehearsed import StillRecording, descriptions
from tests.rehearsal.stock import pointed_urls

D = Decimal
PATIENCE_S = 20.0
FENCE = "FENCE"  # an asset that nobody has
MARKETS = {"binance": "spot", "binanceusdm": "usdm", "binancecoinm": "coinm"}  # ccxt's class → the market
BALANCES = (
    Balance("binance:spot", "USDT", D(100_000)),
    Balance("binance:spot", "BTC", D(2)),
    Balance("binance:usdm", "USDT", D(50_000)),
    Balance("binance:coinm", "BTC", D(2)),
)
Around = Callable[[Door], Door]
FactT = TypeVar("FactT")


def called(instrument: Instrument, name: str) -> Instrument:
    """The same instrument under the name that it has at ccxt."""
    return msgspec.structs.replace(instrument, id=InstrumentId(name))


def reach(name: str, said: Mapping[str, str], credentials: Mapping[str, str]) -> Access:
    """A class of ccxt with its URLs moved to the servers."""
    urls = {"api": pointed_urls(getattr(library(), name)().urls["api"], said)}
    return Access(name=name, credentials=credentials, urls=urls, allow_remote=False)


class CcxtRehearsed:
    """Gateways of ccxt, the servers behind them, and a loop that runs all when a test asks."""

    spot = SPOT
    linear = called(LINEAR, "binanceusdm:linear:BTCUSDT")
    inverse = called(INVERSE, "binancecoinm:inverse:BTCUSD_PERP")

    def __init__(self, *legs: Instrument, around: Around = lambda door: door, secret: str = "") -> None:
        """``around`` stands between the servers' sockets and the venue; ``secret`` replaces the right one."""
        self.legs = legs or (self.spot, self.linear)
        self.facts: list[AnyFact] = []
        self.greeting: list[AnyFact] = []  # what was told until all channels were open
        self.gateways: dict[str, CcxtGateway] = {}
        self.loop = asyncio.new_event_loop()
        self._secret = secret
        self._told = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ids = {leg.id: 1 for leg in self.legs}
        self._trades = 0
        self._fences = 0
        self._stack = AsyncExitStack()
        try:
            self.loop.run_until_complete(self._open(around))
        except BaseException:
            self.close()
            raise

    async def _open(self, around: Around) -> None:
        loop = asyncio.get_running_loop()
        self.clock = LiveClock(time.time_ns(), loop.time)
        feeds = [Feed(f"binance:{one}", one, "still", 0, StillRecording(one)) for one in MARKETS.values()]
        self.world = World(feeds, descriptions(), Terms(balances=BALANCES, reference="mid"), self.clock)
        self._tasks["world"] = loop.create_task(self.world.play())
        for leg in self.legs:
            self._turn(leg, "snapshot", self._snapshot(leg, ((59_999.0, 1.0),), ((60_000.0, 1.0),)))
            if not leg.is_spot:
                self._turn(leg, "markPrice", self._mark(leg))
        keys = make_keys(b"a rehearsal of ccxt")
        self.teller = Teller(self.world, keys)
        venue = {market: around(door) for market, door in doors(self.world, self.teller).items()}
        served = await self._stack.enter_async_context(serve(venue, 0))
        self.said: Mapping[str, str] = msgspec.json.decode(first_line(served, keys), type=dict[str, str])
        for leg in self.legs:
            self.begin(leg)
        if not self._secret:
            await self.until_open()

    def begin(self, *legs: Instrument, read_only: bool = False) -> None:
        """Start the gateway of the legs' class."""
        name = legs[0].id.split(":")[0]
        credentials = {"apiKey": self.said["api_key"], "secret": self._secret or self.said["secret"]}
        access = reach(name, self.said, {} if read_only else credentials)
        options = CcxtOptions(
            access=access, legs=tuple(leg.id for leg in legs), config=make_config(bot_tag="cont")
        )
        self.gateways[name] = gateway = CcxtGateway(options, self.clock, read_only)
        self._tasks[name] = self.loop.create_task(gateway.run(self._emit))

    async def until_open(self) -> None:
        wanted = {
            ChannelOpened(leg.account, channel)
            for leg in self.legs
            for channel in (Channel.PRIVATE, Channel.ORDERS)
        }
        await self.until(lambda: wanted <= {one for one in self.facts if isinstance(one, ChannelOpened)})
        self.greeting += self.facts
        self.facts.clear()

    async def until(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_there():
                self._told.clear()
                told = asyncio.ensure_future(self._told.wait())
                try:
                    await asyncio.wait({told, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    told.cancel()
                for task in self._tasks.values():
                    if task.done():
                        task.result()

    def heard(self, kind: type[FactT], count: int = 1) -> list[FactT]:
        """Run until as many facts of a kind were told; returns them and forgets the rest."""
        self.loop.run_until_complete(self.until(lambda: len(self._of(kind)) >= count))
        found = self._of(kind)
        self.facts.clear()
        return found

    def stop(self, leg: Instrument) -> None:
        """End the gateway of a leg's class, as a process that is gone."""
        task = self._tasks.pop(leg.id.split(":")[0])
        task.cancel()
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))

    def _of(self, kind: type[FactT]) -> list[FactT]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def _emit(self, fact: AnyFact) -> None:
        self.facts.append(fact)
        self._told.set()

    # --- the venue's side

    def show(self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        self.act(lambda: self._turn(instrument, "snapshot", self._snapshot(instrument, bids, asks)))

    def change(self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        """Levels of the venue's book change; a size of 0 removes one."""
        self._ids[instrument.id] += 1
        last = self._ids[instrument.id]
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "e": "depthUpdate", "E": at_ms, "s": symbol_of(instrument.id), "U": last, "u": last,
            "b": [[repr(price), repr(qty)] for price, qty in bids],
            "a": [[repr(price), repr(qty)] for price, qty in asks],
        }  # fmt: skip
        if not instrument.is_spot:
            data |= {"T": at_ms, "pu": last - 1, "U": last - 1}  # a first one bridges a snapshot
        self.act(lambda: self._turn(instrument, "depth", data))

    def trade(self, instrument: Instrument, price: float, qty: float, buyer_is_maker: bool) -> None:
        self._trades += 1
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "e": "aggTrade", "E": at_ms, "s": symbol_of(instrument.id), "a": self._trades, "p": repr(price),
            "q": repr(qty), "f": self._trades, "l": self._trades, "T": at_ms, "m": buyer_is_maker, "M": True,
        }  # fmt: skip
        self.act(lambda: self._turn(instrument, "aggTrade", data))

    def act(self, change: Callable[[], object]) -> None:
        """Pull a lever of the world."""

        async def acted() -> None:
            change()

        self.loop.run_until_complete(acted())

    def _snapshot(
        self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]
    ) -> dict[str, object]:
        self._ids[instrument.id] += 1
        last = self._ids[instrument.id]
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "lastUpdateId": last,
            "bids": [[repr(price), repr(qty)] for price, qty in bids],
            "asks": [[repr(price), repr(qty)] for price, qty in asks],
        }
        return data if instrument.is_spot else {**data, "E": at_ms, "T": at_ms}

    def _mark(self, instrument: Instrument) -> dict[str, object]:
        at_ms = self.clock.now_ns() // 1_000_000
        return {
            "e": "markPriceUpdate", "E": at_ms, "s": symbol_of(instrument.id), "p": "60000.00000000",
            "i": "60000.00000000", "P": "60000.00000000", "r": "0.00010000", "T": at_ms + 3_600_000,
        }  # fmt: skip

    def _turn(self, instrument: Instrument, kind: str, data: dict[str, object]) -> None:
        market, at_ns = MARKETS[instrument.id.split(":")[0]], self.clock.now_ns()
        self.world.turn(at_ns)
        self.world.stages[market].show(Shown(market, symbol_of(instrument.id).lower(), kind, data), at_ns)

    # --- the bot's side

    def send(self, *commands: Outward) -> list[AnyFact]:
        return self.loop.run_until_complete(self._send(commands))

    def wait(self) -> list[AnyFact]:
        return self.loop.run_until_complete(self._fence())

    def working_on(self, leg: Instrument) -> None:
        """Have every move of a book told."""
        self.gateways[leg.id.split(":")[0]].working(frozenset({leg.id}))

    def submit(self, command: Outward) -> None:
        name = command.account if isinstance(command, QueryAccount) else command.instrument
        self.gateways[name.split(":")[0]].submit(command)

    async def _send(self, commands: Sequence[Outward]) -> list[AnyFact]:
        for command in commands:
            self.submit(command)
        await self.until(lambda: all(self._is_answered(command, commands) for command in commands))
        return await self._fence()

    def _is_answered(self, command: Outward, commands: Sequence[Outward]) -> bool:
        """As many answers as commands of this kind that could have them."""
        told: list[
            OrderAccepted | OrderRejected | OrderUncertain | OrderCanceled | CancelRejected
            | OrderReported | OrderNotFound
        ]  # fmt: skip
        match command:
            case QueryAccount(account):
                return any(one.account == account for one in self._of(AccountReported))
            case PlaceOrder():
                told = [*self._of(OrderAccepted), *self._of(OrderRejected), *self._of(OrderUncertain)]
            case CancelOrder():
                told = [*self._of(OrderCanceled), *self._of(CancelRejected), *self._of(OrderUncertain)]
            case QueryOrder():
                told = [*self._of(OrderReported), *self._of(OrderNotFound)]
        mine = [one for one in told if one.client_id == command.client_id]
        return len(mine) >= sum(each == command for each in commands)

    async def _fence(self) -> list[AnyFact]:
        """Everything told up to a change of balance that each private stream tells after all before it, and
        then up to an answer that the gateway asks for later than whatever it began before."""
        self._fences += 1
        accounts = [AccountId(f"binance:{MARKETS[leg.id.split(':')[0]]}") for leg in self.legs]
        for account in accounts:
            self.world.change_balance(account, FENCE, D(self._fences))
        await self.until(lambda: sum(_is_fence(one) for one in self.facts) >= len(accounts))
        told = len(self.facts)
        for leg in self.legs:
            self.submit(QueryAccount(leg.account))
        reports = len(self._of(AccountReported)) + len(accounts)
        await self.until(lambda: len(self._of(AccountReported)) >= reports)
        late = [fact for fact in self.facts[told:] if not isinstance(fact, AccountReported)]
        facts = [
            _without_fence(fact)
            for fact in (*self.facts[:told], *late)
            if isinstance(fact, OrderFact | AccountFact) and not _is_fence(fact)
        ]
        self.facts.clear()
        for account in accounts:
            self.world.wallets.balances[account].pop(FENCE)
        return facts

    def close(self) -> None:
        self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._stack.aclose()


def _is_fence(fact: AnyFact) -> bool:
    return isinstance(fact, BalanceSeen) and fact.asset == FENCE


def _without_fence(fact: AnyFact) -> AnyFact:
    if not isinstance(fact, AccountReported):
        return fact
    kept = {asset: amount for asset, amount in fact.balances.items() if asset != FENCE}
    return msgspec.structs.replace(fact, balances=kept)
