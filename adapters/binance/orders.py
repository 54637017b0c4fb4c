"""Orders of one market: sent once, by the WebSocket API or by REST, and what their answers mean.

A command becomes a request at the moment it leaves, and each request has one answer or none.  What the venue
says goes through one table (`outcomes`); what it does not vouch for is uncertain, and so is every request
that was in flight when its socket was lost.  What must stay true: nothing here waits to send and nothing is
sent again; what cannot leave now is refused now, since a late order is another order.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

from adapters.binance import events, replies, requests
from adapters.binance.decoding import VENUE, Drift
from adapters.binance.endpoints import ws_api_url
from adapters.binance.events import StreamEnding
from adapters.binance.kept import BACKOFF, CONNECT_TIMEOUT_S, NO_SOCKET, is_denied, reason_of
from adapters.binance.outcomes import Outcome, Verb, outcome
from adapters.binance.replies import Failure, RateUsage
from adapters.binance.requests import Call
from adapters.binance.rest import MS, SECOND_NS, Rest
from adapters.binance.told import Spawn, Told
from adapters.network import Closed, Network, Socket, Unanswered, Unsent
from adapters.ratelimit import BLOCK_S, Limit
from bot.model.commands import CancelOrder, PlaceOrder
from bot.model.facts import (
    CancelRejected,
    Channel,
    ChannelLost,
    ChannelOpened,
    OrderRejected,
    OrderStatus,
    OrderUncertain,
    ProtocolDrift,
)
from bot.model.ids import AccountId, ClientId
from bot.model.pair import Purpose
from bot.ports import Emit

Sent = PlaceOrder | CancelOrder

NOT_CONNECTED = "NOT_CONNECTED"
STREAM_DUE_S = 0.3  # how long the private stream may lag behind an answer before its fills are asked for

_DID_NOTHING = (Outcome.REFUSED, Outcome.THROTTLED, Outcome.CLOCK, Outcome.DENIED, Outcome.BUSY)


class Answers:
    """What the answers to places and cancels mean, however they came.  ``on_accepted`` hears of each order
    that the venue took, which its private stream must speak of too."""

    def __init__(self, rest: Rest, told: Told, emit: Emit, on_accepted: Callable[[ClientId], None]) -> None:
        self.account = AccountId(f"{VENUE}:{rest.market}")
        self._rest = rest
        self._told = told
        self._emit = emit
        self._on_accepted = on_accepted

    def call(self, sent: Sent) -> Call | None:
        """The request for a command, paid for by the rate budget; ``None`` when it must not leave: the budget
        is used up, or an order of this name left before, since the venue would fill both."""
        budget, at_ns = self._rest.budget, self._rest.clock.venue_ns()
        if isinstance(sent, PlaceOrder):
            if not self._told.sends(sent.client_id, at_ns):
                self.drift(f"{sent.client_id} was sent before and is not sent again")
                self.doubt(sent, "asked to be sent again")
                return None
            call = requests.place(sent)
            urgent = sent.purpose is not Purpose.ENTER
            wait_ns = budget.allow_order(call.endpoint.weight, urgent, at_ns)
        else:
            call = requests.cancel(sent)
            wait_ns = budget.allow(call.endpoint.weight, True, at_ns)
        if wait_ns:
            self.refuse(
                sent, "RATE", f"the venue's rate limit leaves no room for {wait_ns / SECOND_NS:.1f} s"
            )
            return None
        return call

    def refuse(self, sent: Sent, code: str, reason: str) -> None:
        """Nothing left, or the venue vouches that it did nothing."""
        kind = OrderRejected if isinstance(sent, PlaceOrder) else CancelRejected
        self._emit(kind(sent.client_id, code, reason, self._rest.clock.venue_ns()))

    def doubt(self, sent: Sent, reason: str) -> None:
        self._emit(OrderUncertain(sent.client_id, reason))

    def drift(self, reason: str) -> None:
        self._emit(ProtocolDrift(self.account, "orders", reason))

    def failed(self, sent: Sent, status: int, failure: Failure) -> None:
        """The venue answered with an error."""
        is_place = isinstance(sent, PlaceOrder)
        verb: Verb = "place" if is_place else "cancel"
        what = outcome(self._rest.market, verb, status, failure)
        self._rest.note(what)
        if is_place and self._told.is_accepted(sent.client_id):
            self.doubt(sent, f"refused though it lives: {status} {failure.code} {failure.text}")
        elif what in _DID_NOTHING or (what is Outcome.GONE and not is_place):
            self.refuse(sent, str(failure.code), failure.text)
        else:
            self.doubt(sent, f"{verb}: {status} {failure.code} {failure.text}")

    def done(self, sent: Sent, body: bytes) -> None:
        """The venue did it; an answer that cannot be read or speaks of another order says nothing."""
        try:
            order = replies.order(self._rest.market, body)
        except Drift as error:
            self.drift(f"answer to {sent.client_id}: {error}")
            self.doubt(sent, "an answer that cannot be read")
            return
        if (order.client_id, order.instrument) != (sent.client_id, sent.instrument):
            self.drift(f"the answer to {sent.client_id} speaks of another order")
            self.doubt(sent, "an answer for another order")
            return
        self._told.named(order.instrument, order.venue_order_id, order.client_id)
        if isinstance(sent, PlaceOrder) and order.status is not OrderStatus.REJECTED:
            self._told.accepted(replies.accepted(order))
            self._on_accepted(sent.client_id)
        for trade in order.trades:
            self._told.filled(replies.filled(trade, sent.client_id))
        end = replies.ended(sent.client_id, order.status, order.status_word, order.venue_ns)
        # spot's answer lists its fills, and all that is left to tell is the end
        is_whole = self._rest.market == "spot" and isinstance(sent, PlaceOrder)
        self._told.stands(order, end, 0.0 if is_whole else STREAM_DUE_S)


class RestOrders:
    """Orders by REST.  The channel is open while the venue can be reached; `run` finds out when it can."""

    def __init__(self, rest: Rest, answers: Answers, spawn: Spawn, emit: Emit) -> None:
        self.losses = 0
        self._rest = rest
        self._answers = answers
        self._spawn = spawn
        self._emit = emit
        self._reachable = asyncio.Event()
        self._lost = asyncio.Event()

    def send(self, sent: Sent) -> None:
        """Let a command leave now, or refuse it.  Never blocks."""
        if not self._reachable.is_set():
            self._answers.refuse(sent, NOT_CONNECTED, "the venue cannot be reached")
        elif call := self._answers.call(sent):
            self._spawn(self._send(sent, call))

    async def run(self) -> None:
        """Look for the venue whenever it was lost, until cancelled."""
        account, attempt = self._answers.account, 0
        while True:
            try:
                await self._rest.read(requests.server_time(self._rest.market), urgent=True)
            except NO_SOCKET as error:
                if attempt == 0:
                    self._emit(ChannelLost(account, Channel.ORDERS, reason_of(error), is_denied(error)))
                attempt += 1
                await asyncio.sleep(BACKOFF.delay_s(attempt, f"{account} orders {self.losses}"))
                continue
            self._lost.clear()
            self._reachable.set()
            self._emit(ChannelOpened(account, Channel.ORDERS))
            await self._lost.wait()
            self._reachable.clear()
            self.losses += 1
            attempt = 0

    async def _send(self, sent: Sent, call: Call) -> None:
        try:
            reply = await self._rest.attempt(call)
        except Unsent as error:
            self._answers.refuse(sent, NOT_CONNECTED, str(error))
            self._lost.set()
        except Unanswered as error:
            self._answers.doubt(sent, f"no answer: {error}")
        else:
            if reply.status == 200:
                self._answers.done(sent, reply.body)
            else:
                self._answers.failed(sent, reply.status, replies.failure(reply.body))


class SocketOrders:
    """Orders by the WebSocket API, a `kept.Link`: see `kept.KeptSocket`, which keeps the connection."""

    channel = Channel.ORDERS

    def __init__(self, rest: Rest, network: Network, answers: Answers, spawn: Spawn) -> None:
        self.account = answers.account
        self._rest = rest
        self._network = network
        self._answers = answers
        self._spawn = spawn
        self._socket: Socket | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[str, tuple[Sent, Socket]] = {}

    def send(self, sent: Sent) -> None:
        """Let a command leave now, or refuse it.  Never blocks."""
        socket = self._socket
        if socket is None:
            self._answers.refuse(sent, NOT_CONNECTED, "the order connection is down")
        elif call := self._answers.call(sent):
            clock, access = self._rest.clock, self._rest.access
            request_id = f"o{next(self._numbers)}"
            self._waiting[request_id] = (sent, socket)
            at_ms = clock.venue_ns() // MS
            text = requests.ws_request(call, request_id, access.signer, at_ms, access.window_ms)
            self._spawn(self._write(socket, text))

    async def _write(self, socket: Socket, text: str) -> None:
        with suppress(Closed):  # whoever reads learns of it, and what was in flight is uncertain
            await socket.send(text)

    # --- the link

    async def open(self) -> Socket:
        """Raises one of `kept.NO_SOCKET`."""
        return await connect(self._rest, self._network, ws_api_url(self._rest.market, self._rest.hosts))

    def opened(self, socket: Socket) -> None:
        self._socket = socket

    def lost(self) -> None:
        """What was in flight is uncertain; the loss itself is told by whoever keeps the socket."""
        self._socket = None
        self._waiting.clear()

    def left(self) -> None:
        """What a socket that has a successor did not answer in its time is uncertain."""
        for request_id, (sent, socket) in tuple(self._waiting.items()):
            if socket is not self._socket:
                del self._waiting[request_id]
                self._answers.doubt(sent, "the order connection was replaced before its answer")

    def take(self, payload: bytes) -> bool:
        """An answer, or the venue's word that it ends this connection."""
        try:
            if replies.ws_reply_id(payload) is None:
                return not isinstance(events.event(self._rest.market, payload), StreamEnding)
            reply = replies.ws_reply(payload)
        except Drift as error:
            self._answers.drift(str(error))
            return True
        budget, at_ns = self._rest.budget, self._rest.clock.venue_ns()
        budget.saw_limits(map(_limit, reply.usage), at_ns)
        waiting = self._waiting.pop(reply.id, None)
        if waiting is None:
            self._answers.drift("an answer to nothing that was asked")
            return True
        if reply.failure is None:
            self._answers.done(waiting[0], reply.result)
        else:
            if reply.status in BLOCK_S:
                self._rest.throttled(reply.status, reply.failure)
            self._answers.failed(waiting[0], reply.status, reply.failure)
        return True


async def connect(rest: Rest, network: Network, url: str) -> Socket:
    """A connection within the rate budget.  Raises `Unsent`."""
    wait_ns = rest.budget.allow_connect(rest.clock.venue_ns())
    if wait_ns:
        raise Unsent(f"too many connections; the next in {wait_ns / SECOND_NS:.0f} s")
    return await network.connect(url, CONNECT_TIMEOUT_S)


def _limit(usage: RateUsage) -> Limit:
    return Limit(usage.kind, usage.interval, usage.interval_num, usage.limit, usage.count)
