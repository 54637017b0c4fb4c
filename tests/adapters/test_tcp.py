"""The network over TCP: what may have left and what cannot have, nothing twice, nothing off the machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from adapters.network import Closed, Unanswered, Unsent
from adapters.tcp import RemoteForbidden, TcpNetwork, is_loopback
from tests.adapters.binance.scripted import run, venue

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def network() -> AsyncIterator[TcpNetwork]:
    one = TcpNetwork(allow_remote=False)
    try:
        yield one
    finally:
        await one.close()


@asynccontextmanager
async def listener(talk: Talk) -> AsyncIterator[int]:
    """A server of bare TCP; yields its port."""
    talks: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*[talk for talk in talks if talk is not None], return_exceptions=True)


async def closed_port() -> int:
    """A port nobody listens on."""
    async with listener(_hang_up) as port:
        pass
    return port


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


def test_a_request_is_sent_as_it_was_signed() -> None:
    async def play() -> None:
        async with venue() as at, network() as net:
            at.answer("/x", (418, {"Retry-After": "3"}, b"busy"))
            url = f"{at.rest}/x?newClientOrderId=%E5%B8%81&symbol=A%2FB&signature=00aa"
            reply = await net.request("DELETE", url, {"X-MBX-APIKEY": "k"}, b"", 5.0)
            (seen,) = at.requests.all
            assert seen.raw_path == "/x?newClientOrderId=%E5%B8%81&symbol=A%2FB&signature=00aa"
            assert seen.headers["X-MBX-APIKEY"] == "k"
            assert (reply.status, reply.headers["retry-after"], reply.body) == (418, "3", b"busy")

    run(play())


def test_a_redirect_is_an_answer() -> None:
    async def play() -> None:
        async with venue() as at, network() as net:
            at.answer("/x", (302, {"Location": f"{at.rest}/y"}, b""))
            at.answer("/y", b"elsewhere")
            assert (await net.request("GET", f"{at.rest}/x", {}, b"", 5.0)).status == 302
            assert len(at.requests.all) == 1

    run(play())


def test_a_connection_that_cannot_be_made_is_unsent() -> None:
    async def play() -> None:
        port = await closed_port()
        async with network() as net:
            with pytest.raises(Unsent):
                await net.request("POST", f"http://127.0.0.1:{port}/order?signature=s3cret", {}, b"", 2.0)
            with pytest.raises(Unsent):
                await net.connect(f"ws://127.0.0.1:{port}/ws", 2.0)

    run(play())


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


async def _nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x00\x01 not http\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("talk", [_silent, _hang_up, _half, _nonsense])
def test_whatever_happens_after_the_connection_is_unanswered(talk: Talk) -> None:
    async def play() -> None:
        async with listener(talk) as port, network() as net:
            with pytest.raises(Unanswered) as raised:
                await net.request(
                    "POST", f"http://127.0.0.1:{port}/order?signature=s3cret", {"K": "s3cret"}, b"", 0.3
                )
            assert "s3cret" not in str(raised.value)
            assert raised.value.__cause__ is None

    run(play())


def test_a_kept_connection_that_died_repeats_nothing() -> None:
    """DELETE is idempotent to HTTP; a cancel is not to us."""
    seen: list[bytes] = []
    dropped = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        seen.append(await reader.readuntil(b"\r\n\r\n"))  # the second is read, and nobody answers
        writer.transport.abort()
        dropped.set()

    async def play() -> None:
        async with listener(once) as port, network() as net:
            url = f"http://127.0.0.1:{port}/order"
            assert (await net.request("GET", url, {}, b"", 2.0)).body == b"ok"
            with pytest.raises(Unanswered):
                await net.request("DELETE", url, {}, b"", 2.0)
            await dropped.wait()
            assert [line.split(b" ")[0] for line in seen] == [b"GET", b"DELETE"]

    run(play())


def test_a_body_beyond_the_bound_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.http.BODY_MAX", 1000)

    async def play() -> None:
        async with venue() as at, network() as net:
            at.answer("/big", b"x" * 1001)
            with pytest.raises(Unanswered):
                await net.request("GET", f"{at.rest}/big", {}, b"", 5.0)

    run(play())


def test_messages_are_bytes_in_order_and_the_end_has_a_code() -> None:
    async def play() -> None:
        async with venue() as at, network() as net:
            socket = await net.connect(f"{at.ws}/ws", 5.0)
            await socket.send('{"id":1,"params":[]}')
            peer = await at.peer(1)
            await peer.say(b"one", b"\xc3\xa9")
            assert [await socket.receive() for _ in range(3)] == [
                b'{"result":null,"id":1}',
                b"one",
                b"\xc3\xa9",
            ]
            await peer.close()
            with pytest.raises(Closed) as raised:
                await socket.receive()
            assert raised.value.code == 1001
            with pytest.raises(Closed):
                await socket.send("late")

    run(play())


def test_a_connection_that_is_cut_ends_with_1006() -> None:
    async def play() -> None:
        async with venue() as at, network() as net:
            socket = await net.connect(f"{at.ws}/ws", 5.0)
            await socket.send('{"id":1,"params":[]}')
            (await at.peer(1)).cut()
            await socket.receive()
            with pytest.raises(Closed) as raised:
                await socket.receive()
            assert raised.value.code == 1006

    run(play())


def test_a_silent_handshake_is_unsent_and_names_no_path() -> None:
    async def play() -> None:
        async with listener(_silent) as silent, network() as net:
            with pytest.raises(Unsent) as raised:
                await net.connect(f"ws://127.0.0.1:{silent}/ws/L1stenKey", 0.2)
            assert "L1stenKey" not in str(raised.value)

    run(play())


async def _forbids(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def _sends_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://192.0.2.1/ws\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(("talk", "status"), [(_forbids, "403"), (_sends_away, "302")])
def test_a_handshake_that_is_answered_otherwise_is_unsent_with_its_status(talk: Talk, status: str) -> None:
    async def play() -> None:
        async with listener(talk) as port, network() as net:
            with pytest.raises(Unsent, match=f"HTTP {status}"):
                await net.connect(f"ws://127.0.0.1:{port}/ws", 2.0)

    run(play())


@pytest.mark.parametrize(
    "url",
    ["https://api.binance.com/api", "http://192.0.2.1/x", "http://127.0.0.1@example.org/", "http://0.0.0.0/"],
)
def test_nothing_leaves_the_machine_unless_allowed(url: str) -> None:
    async def play() -> None:
        async with network() as net:
            with pytest.raises(RemoteForbidden):
                await net.request("GET", url, {}, b"", 1.0)
            with pytest.raises(RemoteForbidden):
                await net.connect(url.replace("http", "ws", 1), 1.0)

    run(play())


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("10.0.0.1", False), ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_loopback_is_recognised(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_library_logs_no_message(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with venue() as at, network() as net:
            socket = await net.connect(f"{at.ws}/ws", 5.0)
            await socket.send('{"id":1,"params":[],"signature":"s3cret"}')
            await socket.receive()
            await socket.close()

    with caplog.at_level(logging.DEBUG, logger="websockets"):
        run(play())
    assert [record for record in caplog.records if record.name.startswith("websockets")] == []
