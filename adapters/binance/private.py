"""The private stream of one account: what the venue says unasked of orders, balances and positions.

Spot's is a subscription on a connection of the WebSocket API; futures have a listen key that must be kept
alive. The stream says nothing while nothing happens, so silence proves nothing; but an order that the venue
accepted and that the stream does not mention does.  What must stay true: the channel is open only once the
venue has confirmed it, and an order of somebody else is no fact of ours, a forced execution excepted.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from adapters.binance import events, replies, requests, statements
from adapters.binance.account import Account
from adapters.binance.decoding import VENUE, Drift, Unread
from adapters.binance.endpoints import private_url, ws_api_url
from adapters.binance.events import (
    AccountEvent,
    BalanceMoved,
    ForeignEvent,
    ListenKeyExpired,
    MarginCall,
    OrderEvent,
    SettingsMoved,
    StreamEnding,
    Unused,
    WalletEvent,
)
from adapters.binance.kept import CONNECT_TIMEOUT_S, KeptSocket
from adapters.binance.orders import connect
from adapters.binance.outcomes import outcome
from adapters.binance.rest import MS, Refused, Rest
from adapters.binance.told import Told
from adapters.network import Closed, Network, Socket, Unanswered, Unsent
from bot.model.facts import (
    AccountTouched,
    BalanceSeen,
    Channel,
    ForcedFilled,
    OrderAccepted,
    OrderRejected,
    ProtocolDrift,
)
from bot.model.ids import AccountId, ClientId
from bot.ports import Emit

CLOSE_TIMEOUT_S = 2.0
KEEP_ALIVE_S = 1800.0  # a listen key lives for 60 minutes
KEEP_ALIVE_AGAIN_S = 60.0
DEAF_S = 3.0  # an order that was accepted and is not spoken of for so long was missed
SUBSCRIPTION = "private"
MARGIN_TYPE = "MARGIN_TYPE_CHANGE"  # a contract's margin became its own, or shared: no money moved


class Hearing:
    """What the private events of an account mean: orders go through `Told`, positions through
    `Positions`."""

    def __init__(self, account: Account) -> None:
        self._of = account
        self._emit = account.emit

    def hear(self, event: events.AnyEvent) -> bool:
        """Tell an event.  False when the venue is about to end the connection.

        Raises `Closed` when the stream is dead though its socket stands."""
        match event:
            case OrderEvent():
                self._order(event)
            case WalletEvent() | BalanceMoved() | AccountEvent():
                self._of.told.revision += 1
                self._tell(event)
                if isinstance(event, AccountEvent):
                    for position in event.positions:
                        self._of.positions.stated(position, event.venue_ns)
                    if event.reason == MARGIN_TYPE:
                        self._of.configured.due()
                    elif event.reason != "ORDER":
                        self._of.payments.due(event.venue_ns)
            case SettingsMoved():
                self._of.configured.due()
            case MarginCall():
                self._tell(event)
            case ListenKeyExpired():
                raise Closed(0, "the listen key expired")
            case StreamEnding():
                if event.word != "serverShutdown":
                    raise Closed(0, event.word)
                return False
            case ForeignEvent():
                self._of.told.revision += 1
                self.touched(f"{event.word} {event.symbol}".rstrip(), event.venue_ns)
            case Unused():
                pass
            case _:
                assert_never(event)
        return True

    def _tell(self, event: events.AnyEvent) -> None:
        """Tell its facts, but no balance that is as it was told before."""
        balances = self._of.balances
        for fact in events.facts_of(event):
            if isinstance(fact, BalanceSeen):
                if balances.get(fact.asset) == fact.balance:
                    continue
                balances[fact.asset] = fact.balance
            self._emit(fact)

    def touched(self, reason: str, venue_ns: int) -> None:
        """The account is not as it was told, by somebody else's hand or unread: told once until it is asked
        about, however often it happens."""
        told = self._of.told
        if not told.touched:
            told.touched = True
            self._emit(AccountTouched(self._of.id, reason, venue_ns))

    def _order(self, event: OrderEvent) -> None:
        told = self._of.told
        told.revision += 1
        if event.forced:
            for fact in events.facts_of(event):
                self._emit(fact)
                if isinstance(fact, ForcedFilled):
                    self._of.positions.filled(fact)
            return
        if not event.client_id.startswith(self._of.bot_tag):
            self.touched(f"order {event.client_id} of {event.instrument}", event.venue_ns)
            return
        told.streamed(event.client_id)
        end = replies.ended(event.client_id, event.status, event.reason, event.venue_ns)
        if isinstance(end, OrderRejected):
            told.rejected(end)
            return
        told.named(event.instrument, event.venue_order_id, event.client_id)
        told.accepted(OrderAccepted(event.client_id, event.venue_order_id, event.venue_ns))
        if event.trade is not None:
            told.filled(replies.filled(event.trade, event.client_id))
        told.stands(event, end)


class PrivateStream:
    """A `kept.Link`, and the loop that keeps it and its listen key."""

    channel = Channel.PRIVATE

    def __init__(self, rest: Rest, network: Network, hearing: Hearing, told: Told, emit: Emit) -> None:
        self.account = AccountId(f"{VENUE}:{rest.market}")
        self.kept = KeptSocket(self, emit)
        self._rest = rest
        self._network = network
        self._hearing = hearing
        self._told = told
        self._emit = emit
        self._opened_s = 0.0

    async def run(self) -> None:
        """Keep the stream until cancelled, and close the listen key then."""
        if self._rest.market == "spot":
            await self.kept.run()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.kept.run())
            group.create_task(self._keep_alive())

    async def close_key(self) -> None:
        """Give the listen key back; where that fails it ends by itself within the hour."""
        if self._rest.market != "spot":
            try:
                await self._rest.attempt(requests.listen_key_close(self._rest.market), CLOSE_TIMEOUT_S)
            except (Unsent, Unanswered):
                return

    def expect(self, client_id: ClientId) -> None:
        """The venue accepted this order: the stream must speak of it soon, or it is deaf."""
        loop = asyncio.get_running_loop()
        loop.call_later(DEAF_S, self._listen, client_id, loop.time())

    def _listen(self, client_id: ClientId, since_s: float) -> None:
        if self._opened_s < since_s and not self._told.is_streamed(client_id):
            self.kept.drop(f"silent on order {client_id}, which the venue accepted")

    async def _keep_alive(self) -> None:
        wait_s = KEEP_ALIVE_S
        while True:
            await asyncio.sleep(wait_s)
            try:
                await self._rest.read(requests.listen_key_keepalive(self._rest.market), urgent=True)
                wait_s = KEEP_ALIVE_S
            except Refused:
                self.kept.renew()  # with another key
                wait_s = KEEP_ALIVE_S
            except (Unsent, Unanswered):
                wait_s = KEEP_ALIVE_AGAIN_S

    # --- the link

    async def open(self) -> Socket:
        """Raises one of `kept.NO_SOCKET`."""
        rest = self._rest
        if rest.market != "spot":
            body = await rest.read(requests.listen_key_start(rest.market), urgent=True)
            key = statements.listen_key(body)
            return await connect(rest, self._network, private_url(rest.market, rest.hosts, key))
        socket = await connect(rest, self._network, ws_api_url(rest.market, rest.hosts))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._subscribe(socket)
        except TimeoutError:
            await socket.close()
            raise Unanswered("the subscription was not answered") from None
        except BaseException:
            await socket.close()
            raise
        return socket

    async def _subscribe(self, socket: Socket) -> None:
        rest, signer = self._rest, self._rest.access.signer
        if signer is None:
            raise ValueError("a private stream needs a key")
        at_ms = rest.clock.venue_ns() // MS
        await socket.send(requests.subscribe_account(SUBSCRIPTION, signer, at_ms, rest.access.window_ms))
        reply = replies.ws_reply(await socket.receive())
        if reply.failure is not None:
            what = outcome(rest.market, "read", reply.status, reply.failure)
            rest.note(what)
            raise Refused(reply.status, reply.failure, what)

    def opened(self, socket: Socket) -> None:
        self._opened_s = asyncio.get_running_loop().time()

    def lost(self) -> None:
        """Something may have changed unheard."""
        self._told.revision += 1

    def left(self) -> None:
        """Nothing was asked on it."""

    def take(self, payload: bytes) -> bool:
        unread: list[Unread] = []
        try:
            event = events.event(self._rest.market, payload, unread)
        except Drift as error:
            self._emit(ProtocolDrift(self.account, "private", str(error)))
            return True
        if unread:
            reason = f"{len(unread)} rows of an event are unread; the first: {unread[0].reason}"
            self._emit(ProtocolDrift(self.account, "private", reason))
            self._hearing.touched(reason, event.venue_ns)
        return self._hearing.hear(event)
