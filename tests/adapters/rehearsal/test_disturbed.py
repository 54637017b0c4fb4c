"""The layer of faults on bytes: what each switch does to a request, an answer, a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import msgspec
import pytest

from adapters.network import Closed, Socket, Unanswered, Unsent
from adapters.rehearsal.disturbed import Disturbance
from adapters.rehearsal.faults import Fault, parse
from adapters.rehearsal.seam import Line, Peer, Request, Response
from tests.virtual.loop import run_virtual
from tests.virtual.network import MemoryNetwork

API = "ws://spot/ws-api/v3"
STREAM = "ws://spot/stream"
PLACE = '{"id":"a","method":"order.place"}'
FILL = b'{"subscriptionId":0,"event":{"e":"executionReport","x":"TRADE"}}'


class Still:
    """A clock that stands."""

    def now_ns(self) -> int:
        return 1_700_000_000_000_000_000


class Pulled:
    """Levers that remember."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def pull(self, fault: Fault) -> None:
        self.seen.append(f"+{fault.name}")

    def release(self, fault: Fault) -> None:
        self.seen.append(f"-{fault.name}")


class Counting:
    """A venue that answers every request with its number."""

    market = "spot"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.peers: list[Peer] = []
        self.ended = 0

    async def request(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        return Response(200, {}, b'{"orderId":%d}' % len(self.asked))

    def accept(self, target: str, peer: Peer) -> Line | Response:
        peer.send(b'{"welcome":1}')
        self.peers.append(peer)
        return Answering(self, peer)


class Answering:
    def __init__(self, venue: Counting, peer: Peer) -> None:
        self._venue = venue
        self._peer = peer

    def receive(self, payload: bytes) -> None:
        asked = msgspec.json.decode(payload)
        self._venue.asked.append(asked["method"])
        self._peer.send(msgspec.json.encode({"id": asked["id"], "status": 200, "result": {}}))

    def closed(self) -> None:
        self._venue.ended += 1


class Scene:
    """A disturbed venue and a network to it; the script has just begun."""

    def __init__(self, script: str) -> None:
        self.venue = Counting()
        self.levers = Pulled()
        self.notes: list[str] = []
        self.layer = Disturbance(parse(script), self.levers, Still(), self.notes.append)
        self.network = MemoryNetwork({"spot": self.layer.around(self.venue)})

    async def rest(self, method: str, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
        reply = await self.network.request(method, f"http://spot{path}", {}, b"", timeout_s)
        return reply.status, reply.body

    async def socket(self, url: str = API) -> Socket:
        """Open, welcomed, and old enough for the script to have begun."""
        socket = await self.network.connect(url, 5.0)
        assert await socket.receive() == b'{"welcome":1}'
        await asyncio.sleep(1.0)
        return socket


def played(script: str, story: Callable[[Scene], Coroutine[None, None, None]]) -> Scene:
    """``story`` begins while nothing is wrong yet; scripts begin at half a second."""
    scene = Scene(script)

    async def main() -> None:
        task = asyncio.create_task(scene.layer.run())
        await story(scene)
        await task

    run_virtual(main())
    return scene


async def heard(socket: Socket, within_s: float = 0.1) -> list[bytes]:
    """Everything that comes until nothing does for a while."""
    found = []
    try:
        while True:
            async with asyncio.timeout(within_s):
                found.append(await socket.receive())
    except TimeoutError:
        return found


def numbers(*values: int) -> list[bytes]:
    return [b'{"n":%d}' % value for value in values]


def test_without_a_fault_nothing_is_changed() -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        await socket.send(PLACE)
        scene.venue.peers[0].send(FILL)
        assert sorted(await heard(socket)) == sorted([b'{"id":"a","status":200,"result":{}}', FILL])
        assert await scene.rest("POST", "/api/v3/order") == (200, b'{"orderId":2}')
        await socket.close()
        await asyncio.sleep(0.1)

    scene = played("", story)
    assert scene.venue.ended == 1
    assert scene.levers.seen == []


@pytest.mark.parametrize(
    ("name", "rest", "over_socket"),
    [
        ("reject", (400, -2010), (400, -2010)),
        ("throttle", (429, -1003), (429, -1003)),
        ("ban", (418, -1003), (418, -1003)),
    ],
)
def test_a_refused_order_never_reaches_the_venue(
    name: str, rest: tuple[int, int], over_socket: tuple[int, int]
) -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        status, body = await scene.rest("POST", "/api/v3/order")
        assert (status, msgspec.json.decode(body)["code"]) == rest
        await socket.send(PLACE)
        answer = msgspec.json.decode(await socket.receive())
        assert (answer["id"], answer["status"], answer["error"]["code"]) == ("a", *over_socket)

    assert played(f"at=0.5 {name}", story).venue.asked == []


@pytest.mark.parametrize(("name", "status"), [("timeout-after-accept", 408), ("5xx-after-accept", 502)])
def test_an_order_that_lives_is_answered_with_doubt(name: str, status: int) -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        assert (await scene.rest("POST", "/api/v3/order"))[0] == status
        assert (await scene.rest("GET", "/api/v3/order"))[0] == 200
        await socket.send(PLACE)
        answer = msgspec.json.decode(await socket.receive())
        assert (answer["id"], answer["status"], "result" in answer) == ("a", status, False)

    asked = played(f"at=0.5 {name}", story).venue.asked
    assert asked == ["POST /api/v3/order", "GET /api/v3/order", "order.place"]


def test_a_lost_ack_is_silence_about_an_order_that_lives() -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        with pytest.raises(Unanswered):
            await scene.rest("POST", "/api/v3/order", 1.0)
        await socket.send(PLACE)
        await socket.send('{"id":7,"method":"order.status"}')
        assert await heard(socket) == [b'{"id":7,"status":200,"result":{}}']

    assert played("at=0.5 lost-ack", story).venue.asked == [
        "POST /api/v3/order",
        "order.place",
        "order.status",
    ]


def test_not_found_is_said_of_orders_alone() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(1.0)
        status, body = await scene.rest("GET", "/api/v3/order")
        assert (status, msgspec.json.decode(body)["code"]) == (400, -2013)
        assert (await scene.rest("GET", "/api/v3/myTrades"))[0] == 200
        assert (await scene.rest("GET", "/api/v3/openOrders"))[0] == 200

    played("at=0.5 not-found", story)


def test_of_lost_requests_every_other_one_has_arrived() -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        for _ in range(4):
            with pytest.raises(Unanswered):
                await scene.rest("POST", "/api/v3/order")
        for name in "bcde":
            await socket.send(PLACE.replace("a", name, 1))
        scene.venue.peers[0].send(FILL)
        assert await heard(socket) == []

    asked = played("at=0.5 drop", story).venue.asked
    assert asked == ["POST /api/v3/order"] * 2 + ["order.place"] * 2


def test_a_target_spares_what_it_does_not_name() -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        await socket.send(PLACE)
        scene.venue.peers[0].send(FILL)
        assert await heard(socket) == [b'{"id":"a","status":200,"result":{}}']
        assert (await scene.rest("POST", "/api/v3/order"))[0] == 200

    played("at=0.5 drop spot.private; at=0.5 drop usdm", story)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("duplicate", [1, 1, 2, 2, 3, 3]),
        ("reorder", [2, 1, 3]),
        ("drop", []),
        ("delay", [1, 2, 3]),
        ("slow by=0.02", [1, 2, 3]),
    ],
)
def test_messages_of_the_venue_are(script: str, expected: list[int]) -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket(STREAM)
        for message in numbers(1, 2, 3):
            scene.venue.peers[0].send(message)
        assert await heard(socket, 1.5) == numbers(*expected)

    played(f"at=0.5 {script}", story)


def test_slow_and_late_messages_take_their_time_and_keep_their_order() -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket(STREAM)
        loop = asyncio.get_running_loop()
        sent_s = loop.time()
        for message in numbers(*range(50)):
            scene.venue.peers[0].send(message)
        got = [(await socket.receive(), loop.time() - sent_s) for _ in range(50)]
        assert [message for message, _ in got] == numbers(*range(50))
        # the script ends while they wait, which changes nothing for them
        assert got[0][1] == pytest.approx(0.5, abs=0.01)
        assert got[-1][1] == pytest.approx(0.5 + 49 * 0.1, abs=0.01)

    played("at=0.5 slow by=0.1 for=2; at=0.5 delay by=0.5 for=2", story)


def test_a_gap_is_of_books_alone() -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket(STREAM)
        scene.venue.peers[0].send(b'{"e":"depthUpdate"}')
        scene.venue.peers[0].send(b'{"e":"trade"}')
        assert await heard(socket) == [b'{"e":"trade"}']

    played("at=0.5 gap", story)


@pytest.mark.parametrize(("script", "first_s", "count"), [("late-fills", 3.0, 1), ("double-fills", 0.0, 2)])
def test_fills_are_told_late_or_twice(script: str, first_s: float, count: int) -> None:
    async def story(scene: Scene) -> None:
        socket = await scene.socket()
        loop = asyncio.get_running_loop()
        sent_s = loop.time()
        other = b'{"subscriptionId":0,"event":{"e":"outboundAccountPosition"}}'
        scene.venue.peers[0].send(FILL)
        scene.venue.peers[0].send(other)
        got = [(await socket.receive(), loop.time() - sent_s) for _ in range(count + 1)]
        assert [message for message, _ in got].count(FILL) == count
        assert next(at_s for message, at_s in got if message == FILL) == pytest.approx(first_s, abs=0.01)
        assert next(at_s for message, at_s in got if message == other) == pytest.approx(0.0, abs=0.01)

    played(f"at=0.5 {script}", story)


def test_a_disconnect_closes_refuses_and_then_accepts_again() -> None:
    async def story(scene: Scene) -> None:
        stream, api = await scene.network.connect(STREAM, 5.0), await scene.network.connect(API, 5.0)
        await asyncio.sleep(1.0)
        assert await stream.receive() == b'{"welcome":1}'
        with pytest.raises(Closed, match="1001"):
            await stream.receive()
        await api.send(PLACE)
        assert len(await heard(api)) == 2  # not of the target
        with pytest.raises(Unsent):
            await scene.network.connect(STREAM, 5.0)
        await asyncio.sleep(1.0)
        await scene.socket(STREAM)

    scene = played("at=0.5 disconnect spot.market for=1", story)
    assert scene.venue.ended == 1


def test_private_events_of_futures_have_a_connection_of_their_own() -> None:
    async def story(scene: Scene) -> None:
        scene.venue.market = "usdm"
        private = await scene.network.connect("ws://spot/private/ws?listenKey=k", 5.0)
        api = await scene.network.connect("ws://spot/ws-fapi/v1", 5.0)
        await asyncio.sleep(1.0)
        await api.send(PLACE)
        assert len(await heard(api)) == 2
        assert await private.receive() == b'{"welcome":1}'
        with pytest.raises(Closed, match="1001"):
            await private.receive()

    scene = played("at=0.5 disconnect usdm.private for=1", story)
    assert scene.notes == ["disconnect usdm.private begins", "disconnect usdm.private ends"]


def test_a_half_open_socket_is_silent_and_a_new_one_is_not() -> None:
    async def story(scene: Scene) -> None:
        dead = await scene.socket()
        await dead.send(PLACE)
        assert await heard(dead) == []
        alive = await scene.socket()
        await alive.send(PLACE)
        assert len(await heard(alive)) == 1
        with pytest.raises(Closed, match="1006"):
            await dead.receive()
        await asyncio.sleep(0.1)

    scene = played("at=0.5 half-open", story)
    assert scene.venue.asked == ["order.place"]
    assert (scene.venue.ended, len(scene.layer.wires)) == (1, 1)


def test_levers_are_pulled_and_released_in_order() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(5.0)

    scene = played("at=2 maintenance for=1; at=1 adl; at=2.5 skew for=0.2", story)
    assert scene.levers.seen == ["+adl", "+maintenance", "+skew", "-skew", "-maintenance"]
    assert scene.notes[0] == "adl * begins"
    assert scene.layer.active == []
