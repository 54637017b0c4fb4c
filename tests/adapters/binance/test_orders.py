"""Orders: sent once, and what comes of each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
import pytest

from adapters.binance.kept import LINGER_S, KeptSocket
from adapters.binance.orders import Answers, RestOrders, SocketOrders
from adapters.network import Reply, Unanswered, Unsent
from adapters.ratelimit import Limit
from bot.model.commands import CancelOrder, Flatten, PlaceOrder, TimeInForce
from bot.model.facts import (
    CancelRejected,
    Channel,
    ChannelLost,
    ChannelOpened,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderUncertain,
    ProtocolDrift,
)
from bot.model.ids import ClientId, PairName
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from tests.adapters.binance.canned import (
    NOW_NS,
    Asked,
    Bench,
    CannedSocket,
    refusal,
    reply,
    spot_order,
)
from tests.adapters.paper.build import SPOT
from tests.virtual.loop import run_virtual

PLACE = PlaceOrder(
    client_id=ClientId("bsbt1"),
    pair=PairName("BTC"),
    role=Role.LONG,
    instrument=SPOT.id,
    side=Side.BUY,
    qty=Decimal(1),
    price=Decimal(60_000),
    tif=TimeInForce.IOC,
    reduce_only=False,
    purpose=Purpose.ENTER,
    arrival_mid=Decimal(60_000),
    why=Flatten("test"),
)
CANCEL = CancelOrder(ClientId("bsbt1"), SPOT.id, "test")
Sent = PlaceOrder | CancelOrder
FILLS = [{"price": "60000", "qty": "1.0", "commission": "0.001", "commissionAsset": "BTC", "tradeId": 11}]
DONE = spot_order(status="FILLED", executedQty="1.0", transactTime=NOW_NS // 1_000_000, fills=FILLS)


def named(number: int, purpose: Purpose = Purpose.ENTER) -> PlaceOrder:
    return msgspec.structs.replace(PLACE, client_id=ClientId(f"bsbt{number}"), purpose=purpose)


class Rest:
    """Orders by REST at a venue that answers each with what ``said`` gives."""

    def __init__(self, said: Callable[[Asked], Reply | Exception]) -> None:
        self.bench = Bench("spot", said)
        answers = Answers(self.bench.rest, self.bench.told, self.bench.emit, lambda name: None)
        self.orders = RestOrders(self.bench.rest, answers, self.bench.spawn, self.bench.emit)

    async def open(self) -> None:
        self.bench.spawn(self.orders.run())
        await asyncio.sleep(0.1)
        self.bench.facts.clear()
        self.bench.network.asked.clear()

    async def send(self, *sent: Sent) -> list[type]:
        for command in sent:
            self.orders.send(command)
        await asyncio.sleep(1.0)
        return [type(fact) for fact in self.bench.facts]


def by_rest(said: Reply | Exception, *sent: Sent) -> Rest:
    """Send over REST; every order gets the same answer."""

    async def scene() -> Rest:
        at = Rest(lambda asked: said if asked[1].endswith("/order") else reply({"serverTime": 1}))
        await at.open()
        await at.send(*sent)
        return at

    return run_virtual(scene())


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        (refusal(-2010, "Account has insufficient balance for requested action."), OrderRejected, "-2010"),
        (refusal(-1013, "Filter failure: LOT_SIZE"), OrderRejected, "-1013"),
        (refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401), OrderRejected, "-2015"),
        (refusal(-2010, "Duplicate order sent."), OrderUncertain, ""),
        (refusal(-1007, "Timeout waiting for response from backend server.", 408), OrderUncertain, ""),
        (refusal(-1000, "An unknown error occurred while processing the request.", 500), OrderUncertain, ""),
        (refusal(-9999, "A code nobody knows."), OrderUncertain, ""),
        (reply(b"<html>503</html>", 503), OrderUncertain, ""),
        (Unanswered("reset by peer"), OrderUncertain, ""),
        (Unsent("connection refused"), OrderRejected, "NOT_CONNECTED"),
    ],
)
def test_an_answer_becomes_what_the_venue_vouches_for(said: Reply | Exception, kind: type, code: str) -> None:
    facts = by_rest(said, PLACE).bench.facts
    answers = [fact for fact in facts if isinstance(fact, OrderRejected | OrderUncertain)]
    assert [type(fact) for fact in answers] == [kind]
    if isinstance(answers[0], OrderRejected):
        assert answers[0].code == code


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"{}", b"not json", b'{"orderId": NaN}'])
def test_an_answer_that_cannot_be_read_is_drift_and_leaves_the_order_uncertain(body: bytes) -> None:
    at = by_rest(reply(body), PLACE)
    assert at.bench.names() == ["ProtocolDrift", "OrderUncertain"]


def test_an_answer_for_another_order_is_not_an_answer() -> None:
    at = by_rest(reply(spot_order(clientOrderId="bsbt2", status="FILLED", executedQty="1.0")), PLACE)
    assert at.bench.names() == ["ProtocolDrift", "OrderUncertain"]


def test_a_whole_answer_tells_order_and_fills_at_once() -> None:
    at = by_rest(reply(DONE), PLACE)
    assert at.bench.names() == ["OrderAccepted", "OrderFilled"]


def test_an_order_is_sent_once_whatever_the_answer() -> None:
    for said in (Unanswered("lost"), refusal(-1000, "unknown", 500), refusal(-1021, "late"), Unsent("no")):
        at = by_rest(said, PLACE, CANCEL)
        assert at.bench.network.paths("POST") == ["/api/v3/order"]
        assert at.bench.network.paths("DELETE") in ([], ["/api/v3/order"])


def test_an_order_of_a_name_that_was_sent_does_not_leave_again() -> None:
    at = by_rest(reply(DONE), PLACE, PLACE)
    assert at.bench.network.paths("POST") == ["/api/v3/order"]
    assert at.bench.names() == ["ProtocolDrift", "OrderUncertain", "OrderAccepted", "OrderFilled"]


def test_a_wrong_clock_refuses_the_order_and_is_measured_anew() -> None:
    at = by_rest(refusal(-1021, "Timestamp for this request is outside of the recvWindow."), PLACE)
    assert at.bench.names() == ["OrderRejected"]
    assert at.bench.clock.doubted.is_set()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (refusal(-2011, "Unknown order sent."), CancelRejected),
        (refusal(-1000, "An unknown error occurred.", 500), OrderUncertain),
        (Unanswered("lost"), OrderUncertain),
        (reply(spot_order(status="CANCELED", origClientOrderId="bsbt1", clientOrderId="x")), OrderCanceled),
    ],
)
def test_answers_to_a_cancel(said: Reply | Exception, kind: type) -> None:
    at = by_rest(said, CANCEL)
    assert [type(fact) for fact in at.bench.facts if not isinstance(fact, ChannelLost)] == [kind]


def test_too_many_requests_block_everything_for_as_long_as_the_venue_says() -> None:
    limited = reply({"code": -1003, "msg": "Too many requests."}, 429, retry_after="7")

    async def scene() -> Rest:
        at = Rest(lambda asked: limited if asked[1].endswith("/order") else reply({"serverTime": 1}))
        await at.open()
        await at.send(named(1))
        await at.send(named(2))
        return at

    at = run_virtual(scene())
    rejects = [fact for fact in at.bench.facts if isinstance(fact, OrderRejected)]
    assert [reject.code for reject in rejects] == ["-1003", "RATE"]
    assert len(at.bench.network.paths("POST")) == 1
    (until_ns,) = at.bench.blocks
    assert 6.9e9 < until_ns - NOW_NS < 7.2e9


def test_the_rate_budget_refuses_at_once_and_keeps_a_share_for_exits() -> None:
    async def scene() -> Rest:
        at = Rest(lambda asked: reply(DONE) if asked[1].endswith("/order") else reply({"serverTime": 1}))
        await at.open()
        at.bench.rest.budget.learn([Limit("ORDERS", "SECOND", 10, 10)])
        entries = [named(number) for number in range(9)]
        exits = [named(number, Purpose.EXIT) for number in range(20, 23)]
        await at.send(*entries, *exits)
        return at

    at = run_virtual(scene())
    refused = [fact.client_id for fact in at.bench.facts if isinstance(fact, OrderRejected)]
    assert refused == ["bsbt8", "bsbt22"]
    assert len(at.bench.network.paths("POST")) == 10


def test_by_rest_the_channel_is_lost_with_the_venue_and_found_again() -> None:
    async def scene() -> list[object]:
        down = True

        def said(asked: Asked) -> Reply | Exception:
            if asked[1].endswith("/time") and not down:
                return reply({"serverTime": 1})
            return Unsent("no route")

        at = Rest(said)
        at.bench.spawn(at.orders.run())
        await asyncio.sleep(5.0)
        assert at.bench.names() == ["ChannelLost"]
        at.orders.send(PLACE)
        assert isinstance(at.bench.facts[-1], OrderRejected)
        down = False
        await asyncio.sleep(60.0)
        at.orders.send(named(2))
        await asyncio.sleep(1.0)
        return [fact for fact in at.bench.facts if isinstance(fact, ChannelLost | ChannelOpened)]

    kinds = [type(fact) for fact in run_virtual(scene())]
    assert kinds[:2] == [ChannelLost, ChannelOpened]


class Wire:
    """Orders over a WebSocket that a test answers by hand."""

    def __init__(self, market: str = "spot") -> None:
        self.bench = Bench(market, lambda asked: refusal(-1, "no REST here"))
        answers = Answers(self.bench.rest, self.bench.told, self.bench.emit, lambda name: None)
        self.orders = SocketOrders(self.bench.rest, self.bench.network, answers, self.bench.spawn)
        self.kept = KeptSocket(self.orders, self.bench.emit)

    @property
    def socket(self) -> CannedSocket:
        return self.bench.network.sockets[-1]

    def answer(self, result: dict[str, object], status: int = 200, at: int = -1) -> None:
        key = "result" if status == 200 else "error"
        request_id = self.socket.sent[at]["id"]
        self.socket.say({"id": request_id, "status": status, key: result, "rateLimits": []})


def on_wire(scene: Callable[[Wire], Awaitable[None]]) -> Wire:
    async def run() -> Wire:
        wire = Wire()
        keeping = asyncio.ensure_future(wire.kept.run())
        await asyncio.sleep(0.1)
        await scene(wire)
        await asyncio.sleep(0.1)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert all(socket.closed for socket in wire.bench.network.sockets)
        return wire

    return run_virtual(run())


def test_over_the_socket_an_order_leaves_signed_and_its_answer_is_told() -> None:
    async def scene(wire: Wire) -> None:
        wire.orders.send(PLACE)
        await asyncio.sleep(0)
        (sent,) = wire.socket.sent
        assert sent["method"] == "order.place"
        assert sent["params"]["newClientOrderId"] == "bsbt1"
        assert len(sent["params"]["signature"]) == 64
        wire.answer(DONE)

    wire = on_wire(scene)
    assert wire.bench.names() == ["ChannelOpened", "OrderAccepted", "OrderFilled"]


def test_an_error_over_the_socket_means_what_it_means_over_rest() -> None:
    async def scene(wire: Wire) -> None:
        wire.orders.send(PLACE)
        await asyncio.sleep(0)
        wire.answer({"code": -2010, "msg": "Account has insufficient balance"}, 400)
        await asyncio.sleep(0.1)
        wire.orders.send(named(2))
        await asyncio.sleep(0)
        data = {"serverTime": 1000, "retryAfter": 4000}
        wire.answer({"code": -1003, "msg": "Too much request weight used", "data": data}, 429)

    wire = on_wire(scene)
    codes = [fact.code for fact in wire.bench.facts if isinstance(fact, OrderRejected)]
    assert codes == ["-2010", "-1003"]
    assert 2.9e9 < wire.bench.blocks[0] - NOW_NS < 3.5e9


def test_without_a_socket_an_order_is_refused_and_nothing_waits() -> None:
    async def scene(wire: Wire) -> None:
        wire.bench.network.dark = True
        wire.socket.end()
        await asyncio.sleep(0.2)
        wire.orders.send(PLACE)
        wire.bench.network.dark = False
        await asyncio.sleep(60.0)

    wire = on_wire(scene)
    assert [name for name in wire.bench.names() if not name.startswith("Channel")] == ["OrderRejected"]
    assert [sent for socket in wire.bench.network.sockets for sent in socket.sent] == []
    assert wire.bench.names()[-1] == "ChannelOpened"


def test_a_lost_socket_is_told_at_once_and_a_late_answer_is_nobodys() -> None:
    async def scene(wire: Wire) -> None:
        wire.orders.send(PLACE)
        await asyncio.sleep(0)
        request_id = wire.socket.sent[0]["id"]
        wire.socket.end(1006, "reset")
        await asyncio.sleep(1.0)
        assert len(wire.bench.network.sockets) == 2
        wire.socket.say({"id": request_id, "status": 200, "result": DONE})

    wire = on_wire(scene)
    lost = [fact for fact in wire.bench.facts if isinstance(fact, ChannelLost)]
    assert [(fact.channel, fact.reason) for fact in lost] == [(Channel.ORDERS, "closed: 1006 reset")]
    assert OrderFilled not in [type(fact) for fact in wire.bench.facts]
    assert [type(fact) for fact in wire.bench.facts][-1] is ProtocolDrift
    assert all(socket.sent == [] for socket in wire.bench.network.sockets[1:])  # nothing was sent twice


def test_a_server_that_goes_down_is_left_ahead_without_losing_the_channel() -> None:
    async def scene(wire: Wire) -> None:
        first = wire.socket
        wire.orders.send(PLACE)
        wire.orders.send(named(2))
        await asyncio.sleep(0)
        ids = [sent["id"] for sent in first.sent]
        first.say({"event": {"e": "serverShutdown", "E": 1_796_000_000_000}})
        await asyncio.sleep(0.1)
        assert wire.socket is not first
        first.say({"id": ids[0], "status": 200, "result": DONE})
        wire.orders.send(named(3))
        await asyncio.sleep(LINGER_S + 1)
        assert first.closed
        assert [sent["params"]["newClientOrderId"] for sent in wire.socket.sent] == ["bsbt3"]

    wire = on_wire(scene)
    assert wire.bench.names() == ["ChannelOpened", "OrderAccepted", "OrderFilled", "OrderUncertain"]
    (doubt,) = [fact for fact in wire.bench.facts if isinstance(fact, OrderUncertain)]
    assert doubt.client_id == "bsbt2"


@pytest.mark.parametrize("payload", [b"garbage", b"[]", b'{"id": "o1"}', b"<html>"])
def test_garbage_on_the_socket_is_drift_and_the_channel_goes_on(payload: bytes) -> None:
    async def scene(wire: Wire) -> None:
        wire.orders.send(PLACE)
        await asyncio.sleep(0)
        wire.socket._waiting.append(payload)
        wire.socket._said.set()
        await asyncio.sleep(0.1)
        wire.answer(DONE)

    wire = on_wire(scene)
    assert wire.bench.names() == ["ChannelOpened", "ProtocolDrift", "OrderAccepted", "OrderFilled"]
