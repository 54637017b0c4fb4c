"""One connection of market streams, kept alive: connected, subscribed, watched, replaced, connected again.

A connection is lost in more ways than by closing: it can be half open, silent as a whole, silent in one
stream because the stream lives on another path (the venue accepts such a subscription and never serves it),
or about to be ended by the venue after 24 hours.  A connection that is to end is succeeded by one that is
already open and whose frames have been kept, so that nothing is missed between the two; frames that both
brought are told twice, which books notice.

What must stay true: the reader takes what waits in bounded batches and lets the engine run between them, so
that the engine's newest book is never more than one batch old; and a connection on which a stream that should
speak does not is not open.

Sources: Binance spot, USD-M and COIN-M documentation, "WebSocket market streams" (24 hours a connection, at
most 1024 streams and 5 to 10 messages a second of ours, ``serverShutdown`` on spot), 2026-11.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import msgspec
from msgspec import Struct, field

from adapters.backoff import Backoff
from adapters.network import Closed, Network, Socket, Unsent

BATCH_FRAMES = 64
BATCH_NS = 5_000_000
BUFFERED_MAX = 20_000  # frames of a successor; more means that nobody takes over from the one before
SECOND_NS = 1_000_000_000
_ENVELOPE = b'{"stream":"'


class LineTimes(Struct, frozen=True):
    """How patient a line is, in seconds.

    ``first_message_s`` is for each stream after its subscription, ``silence_s`` for the connection as a
    whole, ``life_s`` the age at which it is replaced, ``handover_s`` how long a successor's frames are kept
    beside the old connection's, ``check_s`` how often all this is looked at.
    """

    connect_s: float = 10.0
    first_message_s: float = 30.0
    silence_s: float = 30.0
    life_s: float = 23.0 * 3600
    handover_s: float = 1.0
    check_s: float = 0.5
    backoff: Backoff = Backoff()


class Route(Struct, frozen=True):
    """Where a line leads: ``name`` for messages (``usdm/public/1``), the address, the streams to ask for,
    those of them that speak by themselves, and the message that asks for all, with its id."""

    name: str
    url: str
    streams: tuple[str, ...]
    expected: tuple[str, ...]
    subscription: str
    request_id: int


class Watcher(Protocol):
    """Who is told what becomes of a line."""

    def took(self, at_ns: int, payload: bytes) -> None:
        """A frame that is not an answer to a request of ours."""
        ...

    def subscribed(self, route: Route) -> None:
        """The venue has taken the subscription: what happens from now on is told."""
        ...

    def opened(self, route: Route) -> None:
        """Subscribed, and every stream that is expected to has spoken."""
        ...

    def lost(self, route: Route, reason: str) -> None: ...

    def drifted(self, stream: str, reason: str) -> None: ...

    def connects_in_ns(self) -> int:
        """0 if a connection may be attempted now, which counts, else the time to wait."""
        ...


class _Failed(Exception):
    """A connection is of no use, and why."""


class _Control(Struct):
    """What is not a frame of a stream: answers to a subscription, and events of the connection itself."""

    id: int | None = None
    stream: str = ""
    event: str = field(name="e", default="")
    code: int | None = None
    error: msgspec.Raw = msgspec.Raw(b"")


_decode_control = msgspec.json.Decoder(_Control).decode


class _Link:
    """One connection and what is known of it."""

    def __init__(self, socket: Socket, route: Route, at_ns: int) -> None:
        self.socket = socket
        self.begun_ns = at_ns
        self.heard_ns = at_ns
        self.is_subscribed = False
        self.is_ending = False  # the venue says that it will close it
        self.silent = set(route.expected)  # those that have not spoken yet
        self.failure = ""

    @property
    def is_open(self) -> bool:
        return self.is_subscribed and not self.silent


class Line:
    """A route kept open until `run` is cancelled.  ``connects`` counts connections that came about."""

    def __init__(
        self, route: Route, times: LineTimes, network: Network, now_ns: Callable[[], int], watcher: Watcher
    ) -> None:
        self.route = route
        self.connects = 0
        self.handovers = 0
        self.is_open = False
        self._times = times
        self._network = network
        self._now_ns = now_ns
        self._watcher = watcher
        self._link: _Link | None = None
        self._closing: asyncio.Task[None] | None = None
        self._retry_ns = 0  # before it no successor is tried again

    def restart(self, reason: str) -> None:
        """Give the present connection up and make another."""
        if self._link is not None:
            self._link.failure = reason

    async def run(self) -> None:
        attempt = 0
        while True:
            try:
                self._link = await self._connect()
                await self._serve()
            except _Failed as failed:
                attempt = 1 if self.is_open else attempt + 1
                self.is_open = False
                self._watcher.lost(self.route, str(failed))
            finally:
                link, self._link = self._link, None
                if link is not None:
                    await link.socket.close()
            salt = f"{self.route.name}|{self._now_ns()}"
            await asyncio.sleep(self._times.backoff.delay_s(attempt, salt))

    async def _connect(self) -> _Link:
        """Connect and ask for the streams.  Raises `_Failed`."""
        while wait_ns := self._watcher.connects_in_ns():
            await asyncio.sleep(wait_ns / SECOND_NS)
        try:
            socket = await self._network.connect(self.route.url, self._times.connect_s)
        except Unsent as unsent:
            raise _Failed(f"no connection ({unsent})") from None
        self.connects += 1
        try:
            await socket.send(self.route.subscription)
        except Closed as closed:
            raise _Failed(f"closed ({closed})") from None
        except asyncio.CancelledError:
            await socket.close()
            raise
        return _Link(socket, self.route, self._now_ns())

    async def _serve(self) -> None:
        """Read the present connection, and those that succeed it.  Raises `_Failed` when one is lost."""
        kept: deque[bytes] = deque()
        while True:
            assert self._link is not None
            link = self._link
            reading = self._read(link, kept)
            self._link, kept = await _first(self._watch(link), reading)
            self._closing = asyncio.create_task(link.socket.close())  # its farewell holds nobody up
            self.handovers += 1

    # --- reading

    async def _read(self, link: _Link, kept: deque[bytes]) -> tuple[_Link, deque[bytes]]:
        """Take the frames that were kept, then what comes, for ever.  Raises `_Failed`."""
        receive, took, now_ns = link.socket.receive, self._watcher.took, self._now_ns
        count, begun_ns = 0, now_ns()
        while True:
            try:
                payload = kept.popleft() if kept else await receive()
            except Closed as closed:
                raise _Failed(f"closed ({closed})") from None
            link.heard_ns = at_ns = now_ns()
            if not payload.startswith(_ENVELOPE):
                if not self._control(link, payload):
                    took(at_ns, payload)
            else:
                if link.silent:
                    link.silent.discard(_stream(payload))
                took(at_ns, payload)
            if not self.is_open and link.is_open:
                self.is_open = True
                self._watcher.opened(self.route)
            count += 1
            if count >= BATCH_FRAMES or at_ns - begun_ns >= BATCH_NS:
                await asyncio.sleep(0)
                count, begun_ns = 0, now_ns()

    def _control(self, link: _Link, payload: bytes) -> bool:
        """Whether a frame was about the connection itself.  Raises `_Failed` if the streams were refused."""
        try:
            said = _decode_control(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        if said.stream:  # a frame in an envelope of another spelling
            link.silent.discard(said.stream)
            return False
        if said.event == "serverShutdown":
            link.is_ending = True
            return True
        if bytes(said.error) or (said.code is not None and not said.event):
            raise _Failed(f"streams refused ({payload[:200].decode(errors='replace')})")
        if said.id != self.route.request_id:
            return False
        link.is_subscribed = True
        self._watcher.subscribed(self.route)
        return True

    # --- watching

    async def _watch(self, link: _Link) -> tuple[_Link, deque[bytes]]:
        """Look after a connection until it has a successor.  Raises `_Failed`."""
        times = self._times
        while True:
            await asyncio.sleep(times.check_s)
            at_ns = self._now_ns()
            if link.failure:
                raise _Failed(link.failure)
            if (at_ns - link.heard_ns) / SECOND_NS >= times.silence_s:
                raise _Failed(f"silent for {times.silence_s:g} s")
            age_s = (at_ns - link.begun_ns) / SECOND_NS
            if not link.is_open and age_s >= times.first_message_s:
                self._tell_silent(link)
            if (age_s >= times.life_s or link.is_ending) and at_ns >= self._retry_ns:
                try:
                    return await self._succeed()
                except _Failed:
                    self._retry_ns = self._now_ns() + round(times.backoff.longest_s * SECOND_NS)

    def _tell_silent(self, link: _Link) -> None:
        within = f"within {self._times.first_message_s:g} s"
        if not link.is_subscribed:
            raise _Failed(f"no answer to the subscription {within}")
        for stream in sorted(link.silent):
            self._watcher.drifted(f"{self.route.name}/{stream}", f"no message {within} on this path")
        raise _Failed(f"no message {within} of {', '.join(sorted(link.silent)[:3])}")

    async def _succeed(self) -> tuple[_Link, deque[bytes]]:
        """Another connection that is open, and the frames it has brought.  Raises `_Failed`."""
        link = await self._connect()
        kept: deque[bytes] = deque()
        is_ready = False
        try:
            await self._get_ready(link, kept)
            is_ready = True
        finally:
            if not is_ready:
                await link.socket.close()
        return link, kept

    async def _get_ready(self, link: _Link, kept: deque[bytes]) -> None:
        try:
            async with asyncio.timeout(self._times.first_message_s):
                while not link.is_open:
                    await self._keep(link, kept)
        except TimeoutError:
            raise _Failed("the successor stays silent") from None
        # what the old connection still brings meanwhile closes the hole before the first frame kept
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.handover_s):
                while True:
                    await self._keep(link, kept)

    async def _keep(self, link: _Link, kept: deque[bytes]) -> None:
        try:
            payload = await link.socket.receive()
        except Closed as closed:
            raise _Failed(f"closed ({closed})") from None
        link.silent.discard(_stream(payload))
        if payload.startswith(_ENVELOPE) or not self._control(link, payload):
            kept.append(payload)
        if len(kept) > BUFFERED_MAX:
            raise _Failed("the successor is not taken over from")


def _stream(payload: bytes) -> str:
    return payload[len(_ENVELOPE) : payload.find(b'"', len(_ENVELOPE))].decode(errors="replace")


async def _first(*ways: Awaitable[tuple[_Link, deque[bytes]]]) -> tuple[_Link, deque[bytes]]:
    """What the first of several comes to; the others are cancelled.  At once, the one named first counts."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
