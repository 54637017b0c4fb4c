"""Any exchange of ccxt as a venue: `bot.ports.LiveGateway`.

This is breadth: one gateway for markets, accounts, orders and funding of every exchange whose class in ccxt
can look an order up by its client id, and whose books somebody vouches for; the others, and any exchange
without keys, are for market data only.
Books come by ccxt.pro, on sockets of their own; orders by REST, one request each.  What must stay true: one
object brings the facts of one exchange, and nothing is sent before its instruments are known; one that it
does not list, or no more, is told as `ABSENT` and the others are served.

Names are those of `adapters.ccxt.markets`: ``exchange:family:SYMBOL``.
"""

from __future__ import annotations

import asyncio
from typing import Any, assert_never

from msgspec import Struct

from adapters.ccxt.desk import Desk, Leg, VenueTime
from adapters.ccxt.exchange import (
    Access,
    answered,
    failures,
    is_denied,
    may_pass,
    open_books,
    open_exchange,
    reason_of,
    unanswered,
    why_not_traded,
    worded,
)
from adapters.ccxt.feed import BACKOFF, Feed, Sources
from adapters.ccxt.holdings import Holdings
from adapters.ccxt.orders import Orders
from adapters.ccxt.private import Private
from adapters.ccxt.reference import ABSENT, TIME_EVERY_S, Given, measure_time, read_leg, told_of
from adapters.errors import FeedError
from adapters.materiality import Materiality
from adapters.ratelimit import RateBudget
from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder
from bot.model.config import Config
from bot.model.facts import (
    AnyFact,
    CancelRejected,
    Channel,
    ChannelLost,
    ChannelOpened,
    InstrumentStatusSeen,
    OrderRejected,
    ProtocolDrift,
    Throttled,
)
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.ports import Clock, Emit, Reading

REFRESH_S = 3600.0


class CcxtOptions(Struct, frozen=True, kw_only=True):
    """``legs`` are the instruments to trade at this one exchange; ``given`` completes their description."""

    access: Access
    legs: tuple[InstrumentId, ...]
    config: Config
    given: Given = Given()


class CcxtGateway:
    """`bot.ports.LiveGateway` over one exchange of ccxt.

    With ``read_only`` it brings market data alone.  Raises `FeedError` where the exchange cannot be traded
    safely.
    """

    def __init__(self, options: CcxtOptions, clock: Clock, read_only: bool = False) -> None:
        access = options.access
        if not read_only and not access.may_trade:
            why = why_not_traded(access.name) if access.credentials else "it has no API key"
            raise FeedError(f"{access.name} is for paper or market data only: {why}")
        self._options = options
        self._read_only = read_only
        self._clock = clock
        self._time = VenueTime(clock)
        self._budget = RateBudget(access.name)
        self._accounts = tuple(dict.fromkeys(account_of(name) for name in options.legs))
        self._legs: dict[InstrumentId, Leg] = {}
        self._absent: set[InstrumentId] = set()  # told so
        self._working: frozenset[InstrumentId] = frozenset()
        self._emit: Emit = _unheard
        self._tasks: asyncio.TaskGroup | None = None
        self._feeds: tuple[Feed, ...] = ()
        self._private: Private | None = None
        self._desk: Desk
        self._orders: Orders
        self._holdings: Holdings

    async def run(self, emit: Emit) -> None:
        """Bring facts until cancelled; raises `FeedError` where no instrument can be had."""
        self._emit = emit
        access = self._options.access
        self._budget.on_drift = self._drifted
        exchange = open_exchange(access, self._clock, self._budget, self._on_throttled)
        books = open_books(access, self._clock, self._budget)
        try:
            await self._learn(exchange, books)
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._begin(exchange, books, tasks)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._tasks = None
            await asyncio.gather(exchange.close(), books.close())

    def submit(self, command: Outward) -> None:
        leg = None if isinstance(command, QueryAccount) else self._legs.get(command.instrument)
        if self._tasks is None or self._read_only or (leg is None and not isinstance(command, QueryAccount)):
            self._refuse(command)
            return
        self._tasks.create_task(self._carried(command, leg))

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self._working = instruments
        for feed in self._feeds:
            feed.working(instruments)

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        seen = {name: at_ns for feed in self._feeds for name, at_ns in feed.heard_ns.items()}
        offsets = {feed.account: feed.offset_ns for feed in self._feeds}
        return seen, {account: one for account, one in offsets.items() if one is not None}

    def readings(self) -> tuple[Reading, ...]:
        told = self._budget.readings(self._time.now_ns())
        told += tuple(reading for feed in self._feeds for reading in feed.readings())
        if self._private is not None:
            labels = {"venue": self._options.access.name}
            told += (Reading("private_losses_total", self._private.losses, labels),)
        return told

    # --- inside

    async def _learn(self, exchange: Any, books: Any) -> None:
        """Read the instruments and tell them; tries for ever where the exchange does not answer."""
        tries, told = 0, ""
        while True:
            try:
                await measure_time(exchange, self._time)
                await answered(exchange.load_markets(True))
                await answered(books.load_markets())
                await self._list(exchange, self._options.legs)
            except failures() as error:
                reason = reason_of(error)
                for account in self._accounts if reason != told else ():
                    self._emit(ChannelLost(account, Channel.ORDERS, reason, is_denied(error)))
                told = reason
            else:
                return
            tries += 1
            await asyncio.sleep(BACKOFF.delay_s(tries, f"{self._options.access.name} markets"))

    async def _list(self, exchange: Any, names: tuple[InstrumentId, ...]) -> None:
        """Read instruments and tell what is new; one that cannot be had keeps its last description."""
        missing: dict[InstrumentId, FeedError] = {}
        for name in names:
            try:
                leg = await read_leg(exchange, name, self._options.given)
            except FeedError as error:
                missing[name] = error
                continue
            except unanswered() as error:
                if may_pass(error) or is_denied(error):
                    raise  # it is not this instrument's
                missing[name] = FeedError(f"{name} cannot be read: {worded(error)}")
                continue
            before = None if name in self._absent else self._legs.get(name)
            for fact in told_of(leg, before, self._clock.now_ns()):
                self._emit(fact)
            self._absent.discard(name)
            self._legs[name] = leg
        for name, why in missing.items():
            if not self._legs:
                raise why
            if name not in self._absent:
                self._absent.add(name)
                self._emit(InstrumentStatusSeen(name, ABSENT, self._clock.now_ns()))
                self._emit(ProtocolDrift(account_of(name), "markets", str(why)))

    def _begin(self, exchange: Any, books: Any, tasks: asyncio.TaskGroup) -> None:
        strategy = self._options.config.strategy
        served = tuple(account for account in self._accounts if self._legs_of(account))
        filters = Materiality(float(strategy.clip_quote), strategy.materiality_bps, strategy.heartbeat_s)
        sources = Sources(books, exchange)
        self._feeds = tuple(
            Feed(sources, self._legs_of(account), filters, self._time, self._emit) for account in served
        )
        self.working(self._working)
        for feed in self._feeds:
            for work in feed.work():
                tasks.create_task(work)
        tasks.create_task(self._refresh(exchange))
        if self._read_only:
            return
        self._desk = Desk(self._time, self._options.config.bot_tag, self._emit, tasks.create_task)
        self._orders = Orders(exchange, self._desk, self._emit)
        self._holdings = Holdings(exchange, self._orders, self._desk, self._emit)
        self._private = Private(exchange, self._orders, self._holdings, self._desk, self._emit)
        for account in served:
            tasks.create_task(self._private.run(account, self._legs_of(account)))
            self._emit(ChannelOpened(account, Channel.ORDERS))

    def _legs_of(self, account: AccountId) -> tuple[Leg, ...]:
        return tuple(leg for leg in self._legs.values() if leg.instrument.account == account)

    async def _carried(self, command: Outward, leg: Leg | None) -> None:
        match command:
            case PlaceOrder() if leg is not None:
                await self._orders.place(command, leg)
            case CancelOrder() if leg is not None:
                await self._orders.cancel(command, leg)
            case QueryOrder() if leg is not None:
                await self._orders.query(command, leg)
            case QueryAccount() if legs := self._legs_of(command.account):
                await self._holdings.answer(command, legs)

    def _refuse(self, command: Outward) -> None:
        """Nothing can be sent: say so for an order, and leave a question unanswered."""
        now_ns, reason = self._time.now_ns(), "the exchange is not ready; nothing was sent"
        match command:
            case PlaceOrder():
                self._emit(OrderRejected(command.client_id, "NOT_CONNECTED", reason, now_ns))
            case CancelOrder():
                self._emit(CancelRejected(command.client_id, "NOT_CONNECTED", reason, now_ns))
            case QueryOrder() | QueryAccount():
                return
            case _:
                assert_never(command)

    async def _refresh(self, exchange: Any) -> None:
        """Measure the venue's clock each minute and read the instruments anew each hour."""
        due_ns = self._clock.now_ns() + int(REFRESH_S * 1e9)
        while True:
            await asyncio.sleep(TIME_EVERY_S)
            try:
                await measure_time(exchange, self._time)
                if self._clock.now_ns() >= due_ns:
                    due_ns += int(REFRESH_S * 1e9)
                    await answered(exchange.load_markets(True))
                    await self._list(exchange, tuple(self._legs))
            except failures():
                continue  # the next minute asks again; a venue that is gone shows on its other channels

    def _drifted(self, reason: str) -> None:
        self._emit(ProtocolDrift(self._accounts[0], "limits", reason))

    def _on_throttled(self, status: int, until_ns: int) -> None:
        for account in self._accounts:
            self._emit(Throttled(account, until_ns, str(status), "too many requests"))


def _unheard(fact: AnyFact) -> None:
    """Nobody listens before `CcxtGateway.run`."""
