"""One market's desk: its books, private stream, orders and account, wired together and kept going.

The parts know each other through what is wired here alone: answers and events meet in `Told`, so that each
thing is told once; payments are asked for when an event hints at them; an order that the venue accepted is
expected on the private stream.  What must stay true: no channel opens before the venue's clock is known and
its instruments are read, and commands that come earlier are refused or left to be asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Literal, assert_never

from msgspec import Struct

from adapters.binance import requests, statements
from adapters.binance.account import Account, AccountAnswers
from adapters.binance.configured import Configured
from adapters.binance.decoding import VENUE
from adapters.binance.endpoints import Hosts
from adapters.binance.feed import FeedOptions, MarketFeed
from adapters.binance.kept import BACKOFF, DENIED_S, NO_SOCKET, KeptSocket, is_denied, reason_of
from adapters.binance.orders import Answers, RestOrders, SocketOrders
from adapters.binance.outcomes import says_closed
from adapters.binance.payments import Payments
from adapters.binance.positions import Positions
from adapters.binance.private import Hearing, PrivateStream
from adapters.binance.queries import OrderAnswers, trades_of
from adapters.binance.reference import Given, Reference, follow_clock, measure_offset_ns
from adapters.binance.replies import Failure, Trade
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.binance.settlements import follow_settlements
from adapters.binance.told import Told
from adapters.errors import FeedError
from adapters.materiality import Materiality
from adapters.network import Network
from adapters.ratelimit import RateBudget
from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder
from bot.model.facts import (
    AccountReported,
    AnyFact,
    Channel,
    ChannelLost,
    ChannelOpened,
    FundingEstimated,
    InstrumentListed,
    InstrumentStatusSeen,
    OrderRejected,
    ProtocolDrift,
    Throttled,
)
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument
from bot.ports import Clock, Emit, Reading

Tap = Callable[[int, str, bytes], None]
HINT_NS = 10_000_000_000  # between two questions that refused orders raise
OTHER_POSITION_MODE = "-4061"  # the order's position side is not of the account's mode


class DeskOptions(Struct, frozen=True, kw_only=True):
    """What one market's desk trades, and how; ``forgetful`` as in `account.Account`."""

    market: str
    hosts: Hosts
    legs: tuple[InstrumentId, ...]
    filters: Mapping[InstrumentId, Materiality]
    given: Given
    bot_tag: str
    transport: Literal["ws", "rest"]
    forgetful: bool


class _Parts:
    """What a desk that has started is made of."""

    def __init__(self, desk: Desk, emit: Emit, group: asyncio.TaskGroup, network: Network) -> None:
        def spawn(work: Coroutine[None, None, None]) -> object:
            return group.create_task(work)

        rest, instruments = desk.rest, desk.instruments
        positions = Positions(instruments, emit)
        self.told = Told(emit, self._trades_of, spawn, positions.filled)
        payments = Payments(rest, instruments, positions, spawn, emit)
        options = desk.options
        payments.legs = options.legs
        self.configured = Configured(rest, instruments, spawn, emit)
        self.account = Account(
            rest=rest,
            instruments=instruments,
            bot_tag=options.bot_tag,
            told=self.told,
            positions=positions,
            payments=payments,
            configured=self.configured,
            balances={},
            emit=emit,
            forgetful=options.forgetful,
            legs=options.legs,
        )
        self.wallet = AccountAnswers(self.account)
        self.queries = OrderAnswers(self.account)
        hearing = Hearing(self.account)
        self.private = PrivateStream(rest, network, hearing, self.told, emit)
        answers = Answers(rest, self.told, emit, self.private.expect)
        self.orders: RestOrders | SocketOrders
        self._keeper: RestOrders | KeptSocket
        if options.transport == "rest":
            self.orders = self._keeper = RestOrders(rest, answers, spawn, emit)
        else:
            self.orders = SocketOrders(rest, network, answers, spawn)
            self._keeper = KeptSocket(self.orders, emit)
        self._spawn = spawn

    async def _trades_of(self, name: InstrumentId, venue_order_id: str) -> tuple[Trade, ...]:
        return await trades_of(self.account, name, venue_order_id)

    def submit(self, command: Outward) -> None:
        match command:
            case PlaceOrder() | CancelOrder():
                self.orders.send(command)
            case QueryOrder():
                self._spawn(self.queries.answer(command))
            case QueryAccount():
                if self.private.kept.is_open:  # else a change could pass unheard while the wallet is asked
                    self._spawn(self.wallet.answer(command))
            case _:
                assert_never(command)

    async def keep_orders(self) -> None:
        await self._keeper.run()

    def losses(self) -> dict[Channel, int]:
        return {Channel.PRIVATE: self.private.kept.losses, Channel.ORDERS: self._keeper.losses}


def _watched(reference: Reference, emit: Emit) -> Emit:
    """What a feed tells, with the statuses of instruments by way of ``reference``, which has them from two
    sides, and reads what was told while no stream was there to hear it, or is another funding interval."""
    is_lost = False

    def tell(fact: AnyFact) -> None:
        nonlocal is_lost
        if isinstance(fact, InstrumentStatusSeen):
            reference.hear(fact)
            return
        if isinstance(fact, FundingEstimated):
            reference.hear_settlement(fact)
        if isinstance(fact, ChannelLost):
            is_lost = True
        elif isinstance(fact, ChannelOpened) and is_lost:
            is_lost = False
            reference.asked.set()
        emit(fact)

    return tell


class Desk:
    """One market.  ``rest`` asks its questions; ``instruments`` are those that the venue lists, by id."""

    def __init__(
        self, options: DeskOptions, access: Access, network: Network, clock: Clock, tap: Tap | None
    ) -> None:
        self.options = options
        self.account = AccountId(f"{VENUE}:{options.market}")
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.rest = Rest(
            options.market, options.hosts, network, VenueClock(clock), RateBudget(options.market), access
        )
        self.reported = asyncio.Event()  # the wallet was told once
        self._network = network
        self._clock = clock
        self._tap = tap
        self._parts: _Parts | None = None
        self._hinted_ns = 0
        self._feed: MarketFeed | None = None
        self._working: frozenset[InstrumentId] = frozenset()

    async def run(self, emit: Emit) -> None:
        """Start, and keep everything going until cancelled."""

        def tell(fact: AnyFact) -> None:
            if isinstance(fact, InstrumentListed):
                self.instruments[fact.instrument.id] = fact.instrument
            elif isinstance(fact, AccountReported):
                self.reported.set()
            elif isinstance(fact, OrderRejected):
                self._look_again(fact, reference)
            emit(fact)

        def blocked(until_ns: int, why: Failure) -> None:
            ours_ns = until_ns - (self.rest.clock.offset_ns or 0)
            emit(Throttled(self.account, ours_ns, str(why.code), why.text))

        def drifted(reason: str) -> None:
            emit(ProtocolDrift(self.account, "limits", reason))

        self.rest.on_block = blocked
        self.rest.budget.on_drift = drifted
        reference = Reference(self.rest, self.options.legs, self.options.given, tell)
        for channel in Channel:
            emit(ChannelLost(self.account, channel, "not connected yet"))
        await self._start(reference, emit)
        self._feed = feed = self._make_feed(_watched(reference, emit))
        try:
            async with asyncio.TaskGroup() as group:
                self._parts = parts = _Parts(self, tell, group, self._network)
                group.create_task(follow_clock(self.rest))
                group.create_task(reference.run())
                group.create_task(follow_settlements(self.rest, self.instruments, emit))
                group.create_task(feed.run())
                group.create_task(parts.private.run())
                group.create_task(parts.keep_orders())
                try:
                    await asyncio.Event().wait()
                finally:
                    self._parts = None  # nothing is sent any more
        finally:
            await parts.private.close_key()

    def _look_again(self, refused: OrderRejected, reference: Reference) -> None:
        """What a refusal says of the instrument or the account is read at once, not at its next time; an
        exit that is tried each second asks no more than now and then."""
        is_closed = says_closed(self.options.market, refused.code, refused.reason)
        now_ns = self._clock.now_ns()
        if now_ns < self._hinted_ns + HINT_NS or not (is_closed or refused.code == OTHER_POSITION_MODE):
            return
        self._hinted_ns = now_ns
        if is_closed:
            reference.asked.set()
        elif self._parts is not None:
            self._parts.configured.due()

    async def _refuse_hedge_mode(self) -> None:
        """In hedge mode a reduce-only sell may open a short.  Raises `FeedError`."""
        market = self.options.market
        if market == "spot":
            return
        if statements.hedge_mode(await self.rest.read(requests.position_mode(market))):
            raise FeedError(f"{self.account} is in hedge mode: set its position mode to one-way")

    async def _start(self, reference: Reference, emit: Emit) -> None:
        """Measure the clock and read what is traded, however long it takes."""
        attempt, told = 0, ""
        while True:
            try:
                self.rest.clock.offset_ns = await measure_offset_ns(self.rest)
                await reference.read()
                await self._refuse_hedge_mode()
            except (*NO_SOCKET, FeedError) as error:
                attempt += 1
                reason = reason_of(error)
                is_refused = is_denied(error) or isinstance(error, FeedError)  # either wants a person
                if reason != told:
                    emit(ChannelLost(self.account, Channel.MARKET, reason, is_refused))
                told = reason
                await asyncio.sleep(DENIED_S if is_refused else BACKOFF.delay_s(attempt, self.account))
            else:
                return

    def _make_feed(self, emit: Emit) -> MarketFeed:
        options = FeedOptions(
            market=self.options.market,
            hosts=self.options.hosts,
            instruments=tuple(self.instruments.values()),
            filters=self.options.filters,
        )
        feed = MarketFeed(options, self._network, self.rest, self._clock, emit, self._tap)
        feed.working(self._working)
        return feed

    def submit(self, command: Outward) -> None:
        """Send at once; before the desk has started, nothing leaves and silence is the answer."""
        if self._parts is not None:
            self._parts.submit(command)

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self._working = instruments
        if self._feed is not None:
            self._feed.working(instruments)

    def heard(self) -> dict[InstrumentId, int]:
        return {} if self._feed is None else self._feed.heard()

    @property
    def assets(self) -> tuple[str, ...]:
        """What the wallet held when it was last reported."""
        return () if self._parts is None else tuple(self._parts.account.balances)

    def readings(self) -> tuple[Reading, ...]:
        """Round trip, clock offset, losses of each channel, the rate budget, the feed."""
        market = {"market": self.options.market}
        at_ns = self.rest.clock.venue_ns()
        told = [Reading("rest_round_trip_seconds", self.rest.round_trip_s, market)]
        if self.rest.clock.offset_ns is not None:
            told.append(Reading("clock_offset_seconds", self.rest.clock.offset_ns / 1e9, market))
        if self._parts is not None:
            for channel, losses in self._parts.losses().items():
                labels = {**market, "channel": channel.value}
                told.append(Reading("channel_losses_total", losses, labels))
        feed = () if self._feed is None else self._feed.readings()
        return (*told, *self.rest.budget.readings(at_ns), *feed)
