"""TCP before the three doors: one port a market, on which REST, streams and WebSocket API are served.

Loopback only.  A peer's messages wait in a bounded queue; one that reads slower than it is told is closed, as
the venue does, and the venue never waits for it.

What must stay true: nothing here knows the protocol above HTTP and WebSocket; a request goes to its door as
the bytes it came in, query and body not decoded; what is no request at all is refused in the venue's form and
leaves nothing in the log, where keys and noise would end.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Struct

from adapters.rehearsal.auth import Keys
from adapters.rehearsal.catalog import MARKETS
from adapters.rehearsal.seam import Cut, Door, Line, Request, Response

HOST = "127.0.0.1"
WAITING_MAX = 10_000  # messages a peer may be behind
PING_S = {"spot": 20.0, "usdm": 180.0, "coinm": 180.0}

_CLOSE_S = 1.0  # how long a closing handshake may take
_UNREADABLE = b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}'


class Served(Struct, frozen=True):
    """Where the markets are served: ports of 127.0.0.1 by market."""

    ports: Mapping[str, int]


@asynccontextmanager
async def serve(doors: Mapping[str, Door], port: int) -> AsyncIterator[Served]:
    """Serve spot on ``port``, USD-M and COIN-M on the two after it; 0 takes free ports.

    Raises ``OSError`` where a port is taken.
    """
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        for offset, market in enumerate(MARKETS):
            wanted = port + offset if port else 0
            ports[market] = await stack.enter_async_context(_site(doors[market], wanted))
        yield Served(ports)


def first_line(served: Served, keys: Keys) -> bytes:
    """What ``rehearse --serve`` prints first: roots and keys, one flat JSON object and a line's end."""
    said: dict[str, str] = {}
    for market in MARKETS:
        place = f"{HOST}:{served.ports[market]}"
        said[f"{market}_rest"] = f"http://{place}"
        said[f"{market}_ws"] = said[f"{market}_wsapi"] = f"ws://{place}"
    said |= {"api_key": keys.api_key, "secret": keys.secret}
    said |= {"ed25519_api_key": keys.ed25519_api_key, "ed25519_secret": keys.ed25519_secret}
    return msgspec.json.encode(said) + b"\n"


@asynccontextmanager
async def _site(door: Door, port: int) -> AsyncIterator[int]:
    entrance = _Entrance(door)
    server = _Server(entrance.serve, access_log=None, auto_decompress=False)
    runner = web.ServerRunner(server, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield runner.addresses[0][1]
    finally:
        entrance.leave()
        await runner.cleanup()


async def _listen(runner: web.ServerRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as failure:
        reason = f"port {port} of {HOST} cannot be had ({os.strerror(failure.errno or 0)})"
        raise OSError(f"{reason}: free it, or name another with --port") from failure


class _Conversation(web.RequestHandler):
    """One connection; an answer to what is no request has the venue's form too."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, ConnectionError)
        if is_ours:
            self.log_exception("a request could not be answered", exc_info=exc)
        response = _unreadable(status)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Conversation(self, loop=asyncio.get_running_loop(), **self._kwargs)


class _Entrance:
    """One port: requests and sockets on their way to a door."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._peers: dict[TcpPeer, None] = {}

    def leave(self) -> None:
        """Nobody is served any more."""
        for peer in self._peers:
            peer.leave()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        asked = Request(
            method=request.method,
            path=request.path,
            query=request.rel_url.raw_query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        try:
            return _response(await self._door.request(asked))
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # reaches nobody

    async def _serve_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=PING_S[self._door.market], timeout=_CLOSE_S, compress=False, autoping=False
        )
        peer = TcpPeer(socket, request.transport)
        if not socket.can_prepare(request):
            return _unreadable(HTTPStatus.BAD_REQUEST)
        line = self._door.accept(request.raw_path, peer)
        if isinstance(line, Response):
            return _response(line)
        self._peers[peer] = None
        try:
            await socket.prepare(request)
            await peer.talk(line)
        finally:
            del self._peers[peer]
            line.closed()
        return socket


def _response(said: Response) -> web.Response:
    return web.Response(status=said.status, headers=said.headers, body=said.body)


def _unreadable(status: int) -> web.Response:
    return web.Response(status=status, body=_UNREADABLE, content_type="application/json")


class TcpPeer:
    """The client's end of one WebSocket (`adapters.rehearsal.seam.Peer`)."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._waiting: deque[bytes] = deque()
        self._stirred = asyncio.Event()
        self._end: tuple[int, str] | None = None
        self._is_frozen = False
        self._left = asyncio.Event()

    def send(self, payload: bytes) -> None:
        if self._is_frozen or self._end is not None:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._end = (1006, "reads too slowly")
            self._abort()  # a closing handshake would wait behind what it does not read
            return
        self._waiting.append(payload)
        self._stirred.set()

    def close(self, code: int, reason: str) -> None:
        """What was sent before goes out first."""
        self._end = self._end or (code, reason)
        self._stirred.set()

    def freeze(self) -> None:
        """Play dead from now on: the connection stays open and nothing goes out any more, pongs included."""
        self._is_frozen = True
        self._waiting.clear()

    def leave(self) -> None:
        """The server ends."""
        self._left.set()
        if self._is_frozen:
            self._abort()
        else:
            self.close(1001, "the server ends")

    async def talk(self, line: Line) -> None:
        """Carry messages both ways until either side ends it."""
        sending = asyncio.create_task(self._send_waiting())
        try:
            async for message in self._socket:
                if self._is_frozen:
                    continue
                if message.type is WSMsgType.TEXT:
                    line.receive(message.data.encode())
                elif message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
            if self._is_frozen:
                await self._left.wait()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_waiting(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._waiting:
                await self._socket.send_frame(self._waiting.popleft(), WSMsgType.TEXT)
            if self._end is not None and not self._is_frozen:
                code, reason = self._end
                await self._socket.close(code=code, message=reason.encode())
                return

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
