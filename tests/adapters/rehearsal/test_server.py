"""The doors over TCP, with stock clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
import websockets
from websockets.exceptions import ConnectionClosed
from yarl import URL

from adapters.rehearsal import server
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.seam import Cut, Line, Peer, Request, Response
from adapters.rehearsal.server import Served, TcpPeer, first_line, serve

SOON_S = 5.0


class Echo:
    """A line that says back what it hears, and does what some words ask."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.is_closed = asyncio.Event()

    def receive(self, payload: bytes) -> None:
        match payload:
            case b"end":
                self.peer.send(b"last")
                self.peer.close(1008, "asked")
            case b"flood":
                for _ in range(server.WAITING_MAX + 1):
                    self.peer.send(b"x" * 4096)
            case b"freeze" if isinstance(self.peer, TcpPeer):
                self.peer.freeze()
                self.peer.send(b"unheard")
            case _:
                self.peer.send(b"heard " + payload)

    def closed(self) -> None:
        self.is_closed.set()


class Door:
    def __init__(self, market: str) -> None:
        self.market = market
        self.requests: list[Request] = []
        self.lines: list[Echo] = []

    async def request(self, request: Request) -> Response:
        self.requests.append(request)
        if request.path == "/cut":
            raise Cut
        return Response(418, {"x-mbx-used-weight-1m": "7"}, self.market.encode())

    def accept(self, target: str, peer: Peer) -> Line | Response:
        if target.startswith("/refused"):
            return Response(403, {"content-type": "application/json"}, b'{"code":-1}')
        self.lines.append(Echo(peer))
        return self.lines[-1]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Mapping[str, Door], Served]]:
    doors = {market: Door(market) for market in ("spot", "usdm", "coinm")}
    async with serve(doors, 0) as served:
        yield doors, served


NOISE = (
    b"\x00\xff" * 5000,
    b"GET " + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
)


def test_what_is_no_request_is_refused_in_the_venue_s_form_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        async with serving() as (doors, served):
            for noise in NOISE:
                reader, writer = await asyncio.open_connection("127.0.0.1", served.ports["spot"])
                writer.write(noise)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_S)
                assert head.split(b" ")[1] == b"400"
                body = await asyncio.wait_for(reader.readuntil(b"}"), SOON_S)
                assert msgspec.json.decode(body)["code"] == -1000
                writer.close()
            _, writer = await asyncio.open_connection("127.0.0.1", served.ports["spot"])
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            writer.close()  # in the middle of its body
            await writer.wait_closed()
            assert not doors["spot"].requests
            assert not doors["spot"].lines

    asyncio.run(run())
    assert not caplog.records


def test_a_body_that_says_it_is_compressed_reaches_its_door_as_it_came() -> None:
    async def run() -> None:
        async with serving() as (doors, served), aiohttp.ClientSession() as client:
            url = f"http://127.0.0.1:{served.ports['spot']}/api/v3/order"
            async with client.post(url, data=b"abc", headers={"Content-Encoding": "gzip"}) as answer:
                assert answer.status == 418
            assert doors["spot"].requests[0].body == b"abc"

    asyncio.run(run())


def test_a_port_that_is_taken_is_named() -> None:
    async def run() -> None:
        async with serving() as (doors, served):
            with pytest.raises(OSError, match=f"port {served.ports['usdm']} .*: free it"):
                async with serve(doors, served.ports["usdm"]):
                    raise AssertionError("it was not free")

    asyncio.run(run())


def test_a_request_reaches_its_door_as_the_bytes_it_came_in() -> None:
    async def run() -> None:
        async with serving() as (doors, served), aiohttp.ClientSession() as client:
            url = f"http://127.0.0.1:{served.ports['usdm']}/fapi/v1/order?b=1%2B2&a=%E4%BD%A0&a=x"
            headers = {"X-MBX-APIKEY": "k"}
            async with client.post(URL(url, encoded=True), data=b"c=3", headers=headers) as answer:
                assert (answer.status, await answer.read()) == (418, b"usdm")
                assert answer.headers["x-mbx-used-weight-1m"] == "7"
            (request,) = doors["usdm"].requests
            assert (request.method, request.path) == ("POST", "/fapi/v1/order")
            assert request.query == "b=1%2B2&a=%E4%BD%A0&a=x"
            assert (request.body, request.headers["x-mbx-apikey"]) == (b"c=3", "k")

    asyncio.run(run())


def test_a_request_that_is_cut_gets_no_answer() -> None:
    async def run() -> None:
        async with serving() as (_, served), aiohttp.ClientSession() as client:
            root = f"http://127.0.0.1:{served.ports['spot']}"
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.delete(f"{root}/cut")
            async with client.get(f"{root}/again") as answer:
                assert answer.status == 418

    asyncio.run(run())


def test_a_socket_is_one_line_until_either_side_ends_it() -> None:
    async def run() -> None:
        async with serving() as (doors, served):
            root = f"ws://127.0.0.1:{served.ports['coinm']}"
            async with websockets.connect(f"{root}/ws/x") as socket:
                await socket.send("one")
                assert await asyncio.wait_for(socket.recv(), SOON_S) == "heard one"
                await (await socket.ping())
                (line,) = doors["coinm"].lines
            await asyncio.wait_for(line.is_closed.wait(), SOON_S)
            async with websockets.connect(f"{root}/ws") as socket:
                await socket.send("end")
                assert await asyncio.wait_for(socket.recv(), SOON_S) == "last"
                with pytest.raises(ConnectionClosed) as ended:
                    await asyncio.wait_for(socket.recv(), SOON_S)
                assert ended.value.rcvd is not None
                assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "asked")
            await asyncio.wait_for(doors["coinm"].lines[1].is_closed.wait(), SOON_S)

    asyncio.run(run())


def test_a_socket_can_be_refused_with_an_answer() -> None:
    async def run() -> None:
        async with serving() as (_, served):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(f"ws://127.0.0.1:{served.ports['spot']}/refused")
            assert (refused.value.response.status_code, refused.value.response.body) == (403, b'{"code":-1}')

    asyncio.run(run())


def test_who_reads_too_slowly_is_dropped_and_others_are_not() -> None:
    async def run() -> None:
        async with serving() as (doors, served):
            root = f"ws://127.0.0.1:{served.ports['spot']}"
            async with (
                websockets.connect(root + "/slow") as slow,
                websockets.connect(root + "/other") as other,
            ):
                await slow.send("flood")
                await asyncio.wait_for(doors["spot"].lines[0].is_closed.wait(), SOON_S)
                await other.send("still here")
                assert await asyncio.wait_for(other.recv(), SOON_S) == "heard still here"

    asyncio.run(run())


def test_a_frozen_peer_hears_nothing_not_even_a_pong() -> None:
    async def run() -> None:
        async with serving() as (doors, served):
            url = f"ws://127.0.0.1:{served.ports['spot']}/x"
            async with websockets.connect(url, close_timeout=0.1) as socket:
                await socket.send("freeze")
                pong = asyncio.ensure_future(await socket.ping())
                await socket.send("anybody")
                async with websockets.connect(url) as other:  # on the same loop, and later
                    await other.send("there")
                    assert await asyncio.wait_for(other.recv(), SOON_S) == "heard there"
                assert not pong.done()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(socket.recv(), 0.05)
            frozen, _ = doors["spot"].lines
            assert not frozen.is_closed.is_set()
        await asyncio.wait_for(frozen.is_closed.wait(), SOON_S)

    asyncio.run(run())


def test_ports_follow_each_other_and_a_taken_one_is_an_error() -> None:
    async def run() -> None:
        async with serving() as (doors, served):
            with pytest.raises(OSError):
                async with serve(doors, served.ports["spot"]):
                    pass

    asyncio.run(run())


def test_the_first_line_is_one_flat_object() -> None:
    keys = make_keys(b"sixteen bytes...")
    line = first_line(Served({"spot": 8000, "usdm": 8001, "coinm": 8002}), keys)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    said = msgspec.json.decode(line)
    assert list(said) == [
        "spot_rest", "spot_ws", "spot_wsapi", "usdm_rest", "usdm_ws", "usdm_wsapi",
        "coinm_rest", "coinm_ws", "coinm_wsapi", "api_key", "secret", "ed25519_api_key", "ed25519_secret",
    ]  # fmt: skip
    assert said["spot_rest"] == "http://127.0.0.1:8000"
    assert said["coinm_ws"] == said["coinm_wsapi"] == "ws://127.0.0.1:8002"
    assert (said["secret"], said["ed25519_secret"]) == (keys.secret, keys.ed25519_secret)
