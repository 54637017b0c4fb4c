"""A venue on loopback that says what a test tells it to, and what a feed told, awaited without sleeping."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from bot.model.facts import AnyFact

BOUND_S = 10.0  # no test waits longer for anything
T = TypeVar("T")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(scene: Coroutine[Any, Any, T]) -> T:
    """Run a scene on a loop of its own, within a bound."""

    async def bounded() -> T:
        async with asyncio.timeout(BOUND_S):
            return await scene

    return asyncio.run(bounded())


class Heard:
    """Things as they are told, and a wait for one of them."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._told = asyncio.Event()

    def emit(self, thing: Any) -> None:
        self.all.append(thing)
        self._told.set()

    async def until(self, wanted: Callable[[Any], bool], after: int = 0) -> int:
        """How many things had been told with the first after ``after`` that is ``wanted``."""
        seen = after
        while True:
            for index in range(seen, len(self.all)):
                if wanted(self.all[index]):
                    return index + 1
            seen = max(seen, len(self.all))
            self._told.clear()
            await self._told.wait()

    def of(self, kind: type[T]) -> list[T]:
        return [thing for thing in self.all if isinstance(thing, kind)]


def is_a(kind: type[AnyFact], **fields: Any) -> Callable[[Any], bool]:
    """A fact of this kind with these fields."""
    return lambda fact: isinstance(fact, kind) and all(getattr(fact, k) == v for k, v in fields.items())


class Peer:
    """One accepted socket: where it was opened, what it asked for."""

    def __init__(self, path: str, socket: web.WebSocketResponse) -> None:
        self.path = path
        self.streams: list[str] = []
        self.socket = socket
        self.ended = asyncio.Event()

    async def say(self, *payloads: bytes) -> None:
        for payload in payloads:
            await self.socket.send_str(payload.decode())

    async def close(self) -> None:
        await self.socket.close(code=WSCloseCode.GOING_AWAY)

    def cut(self) -> None:
        """End the connection without a word."""
        transport = self.socket._req.transport if self.socket._req is not None else None
        if transport is not None:
            transport.abort()


class Venue:
    """Sockets that accept every subscription, and REST answers by path.

    ``peers`` hears of each subscription taken; ``requests`` of each request.  ``greet`` is sent to each
    subscriber before anything else, ``served`` decides which paths serve anything at all.
    """

    def __init__(self) -> None:
        self.port = 0
        self.peers = Heard()
        self.requests = Heard()
        self.answers: dict[str, Answer] = {}
        self.refusal: dict[str, Any] | None = None  # of subscriptions

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def answer(self, path: str, *replies: bytes | tuple[int, dict[str, str], bytes]) -> None:
        """Answer ``path`` by these, one after the other, and by the last for ever."""
        waiting = list(replies)

        async def reply(request: web.Request) -> web.StreamResponse:
            said = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            status, headers, body = (200, {}, said) if isinstance(said, bytes) else said
            return web.Response(status=status, headers=headers, body=body)

        self.answers[path] = reply

    async def peer(self, number: int) -> Peer:
        """The subscriber number ``number``, the first being 1."""
        await self.peers.until(lambda peer: True, after=number - 1)
        found: Peer = self.peers.all[number - 1]
        return found

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._accept(request)
        self.requests.emit(request)
        answer = self.answers.get(request.path)
        if answer is None:
            return web.json_response({"code": -1100, "msg": f"no answer for {request.path}"}, status=400)
        return await answer(request)

    async def _accept(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        peer = Peer(request.path, socket)
        message: WSMessage
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                peer.streams = asked["params"]
                said = self.refusal or {"result": None}
                await peer.say(msgspec.json.encode({**said, "id": asked["id"]}))
                self.peers.emit(peer)
        peer.ended.set()
        return socket


@asynccontextmanager
async def venue() -> AsyncIterator[Venue]:
    """A venue that listens on a free port of loopback."""
    one = Venue()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one._take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()
