"""The network in memory: the same doors, the same exceptions as TCP, and a delay that is configured.

A URL's host names the door (``http://usdm/fapi/v1/time``, ``ws://spot/ws-api/v3``).  What must stay true: the
messages of one direction of a socket arrive in the order in which they were sent, whatever the delays; a
request whose connection could not be made is `Unsent`, and everything after that `Unanswered`; what was
delivered before a socket ended can be read before its end is seen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from adapters.network import Closed, Reply, Socket, Unanswered, Unsent
from adapters.rehearsal.seam import Cut, Door, Line, Request, Response

LATENCY_S = 0.0005
PONG_S = 20.0  # how long after a line went dead its owner notices: a ping unanswered
GONE = 1006  # a connection ended without a close frame


class MemoryNetwork:
    """``doors`` by host.  ``latency_s`` is one way's; to a host in ``dark`` no connection can be made."""

    def __init__(
        self, doors: Mapping[str, Door], latency_s: float = LATENCY_S, pong_s: float = PONG_S
    ) -> None:
        self.latency_s = latency_s
        self.dark: set[str] = set()
        self.requests = 0
        self.sockets: list[MemorySocket] = []  # open, in order of opening
        self._doors = doors
        self._pong_s = pong_s
        self._closed = False

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        door, path, query = self._reach(url)
        self.requests += 1
        asked = Request(method, path, query, {name.lower(): text for name, text in headers.items()}, body)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.latency_s)
                response = await door.request(asked)
                await asyncio.sleep(self.latency_s)
        except Cut:
            raise Unanswered(f"{method} {path}: the connection was closed without an answer") from None
        except TimeoutError:
            raise Unanswered(f"{method} {path}: no answer within {timeout_s:g} s") from None
        return Reply(
            response.status, {name.lower(): text for name, text in response.headers.items()}, response.body
        )

    async def connect(self, url: str, timeout_s: float) -> Socket:
        door, path, query = self._reach(url)
        socket = MemorySocket(self.latency_s, self._pong_s, self._forget)
        await asyncio.sleep(2 * self.latency_s)
        line = door.accept(f"{path}?{query}" if query else path, socket.peer)
        if isinstance(line, Response):
            raise Unsent(f"{path}: the venue refuses the connection with status {line.status}")
        socket.opened(line)
        self.sockets.append(socket)
        return socket

    async def close(self) -> None:
        """See `vanish`."""
        self.vanish()

    def vanish(self) -> None:
        """End every connection, as the end of a process does; what has left arrives, later calls are
        `Unsent`."""
        self._closed = True
        for socket in tuple(self.sockets):
            socket.abandon()

    def _reach(self, url: str) -> tuple[Door, str, str]:
        parts = urlsplit(url)
        door = self._doors.get(parts.hostname or "")
        if door is None or self._closed or parts.hostname in self.dark:
            raise Unsent(f"no connection to {parts.hostname}")
        return door, parts.path, parts.query

    def _forget(self, socket: MemorySocket) -> None:
        if socket in self.sockets:
            self.sockets.remove(socket)


class _Pipe:
    """One direction of a socket: what goes in comes out later, in order."""

    def __init__(self, latency_s: float, arrive: Callable[[bytes], None]) -> None:
        self._latency_s = latency_s
        self._arrive = arrive
        self._waiting: deque[bytes] = deque()

    def put(self, payload: bytes) -> None:
        # timers of one instant come in no promised order: each takes the oldest that waits
        self._waiting.append(payload)
        asyncio.get_running_loop().call_later(self._latency_s, self._next)

    def _next(self) -> None:
        self._arrive(self._waiting.popleft())


class MemorySocket:
    """The client's end (`adapters.network.Socket`); ``peer`` is what the venue holds of it."""

    def __init__(self, latency_s: float, pong_s: float, ended: Callable[[MemorySocket], None]) -> None:
        self._latency_s = latency_s
        self._pong_s = pong_s
        self._ended = ended
        self._line: Line | None = None
        self._inbox: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._end: Closed | None = None
        self._is_shut = False  # one of the sides has ended it
        self._frozen = False
        self._down = _Pipe(latency_s, self._deliver)
        self._up = _Pipe(latency_s, self._reach_venue)
        self.peer = _MemoryPeer(self)

    def opened(self, line: Line) -> None:
        self._line = line

    async def send(self, text: str) -> None:
        if self._end is not None or self._is_shut:
            raise self._end or Closed(GONE, "closed")
        if not self._frozen:
            self._up.put(text.encode())

    async def receive(self) -> bytes:
        while not self._inbox:
            if self._end is not None:
                raise self._end
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.popleft()

    async def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """The client ends it."""
        self.shut(1000, "")
        self._finish(Closed(1000, ""))

    def shut(self, code: int, reason: str) -> None:
        """End the connection; what is under way still arrives."""
        if self._is_shut:
            return
        self._is_shut = True
        loop = asyncio.get_running_loop()
        # after the messages of the same instant, which the pipe delivers one by one
        loop.call_later(self._latency_s, loop.call_soon, self._tell_venue)
        if not self._frozen:
            loop.call_later(self._latency_s, loop.call_soon, self._finish, Closed(code, reason))

    def freeze(self) -> None:
        """The line is dead and neither end knows: nothing passes any more, until a ping goes unanswered."""
        if self._frozen:
            return
        self._frozen = True
        asyncio.get_running_loop().call_later(self._pong_s, self._unanswered)

    def push(self, payload: bytes) -> None:
        if not self._is_shut and not self._frozen:
            self._down.put(payload)

    def _unanswered(self) -> None:
        self.shut(GONE, "no pong")
        self._finish(Closed(GONE, "no pong"))

    def _deliver(self, payload: bytes) -> None:
        if self._end is None and not self._frozen:
            self._inbox.append(payload)
            self._arrived.set()

    def _reach_venue(self, payload: bytes) -> None:
        if self._line is not None and not self._frozen:
            self._line.receive(payload)

    def _tell_venue(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            line.closed()

    def _finish(self, end: Closed) -> None:
        if self._end is None:
            self._end = end
            self._arrived.set()
            self._ended(self)


class _MemoryPeer:
    """`adapters.rehearsal.seam.Peer` over memory."""

    def __init__(self, socket: MemorySocket) -> None:
        self._socket = socket

    def send(self, payload: bytes) -> None:
        self._socket.push(payload)

    def close(self, code: int, reason: str) -> None:
        self._socket.shut(code, reason)

    def freeze(self) -> None:
        self._socket.freeze()
