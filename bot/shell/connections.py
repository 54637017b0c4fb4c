"""How many may speak to the local API at once, and for how long.

Each connection carries one request and lives a few seconds, answered or not, so that whoever connects and
says nothing, or half of it, holds no descriptor that a venue's socket may need.  What must stay true: beyond
the bound the oldest that has not shown the token makes room for the newest, so that a probe of readiness is
answered whoever else crowds in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

MOST = 32
LIFETIME_S = 10.0  # as long as an operator's verb waits for its answer


class Connections:
    """A factory of protocols for `asyncio.loop.create_server`, around one that makes those of HTTP."""

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._make = make
        self._unknown: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}  # the oldest first
        self._known: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Bounded(self._make(), self)

    def __len__(self) -> int:
        return len(self._unknown) + len(self._known)

    def opened(self, transport: asyncio.BaseTransport) -> bool:
        """Count a new one in; False when it is one too many."""
        if len(self) >= MOST:
            oldest = next(iter(self._unknown), None)
            if oldest is None:
                return False
            self.closed(oldest)
            _abort(oldest)
        loop = asyncio.get_running_loop()
        self._unknown[transport] = loop.call_later(LIFETIME_S, _abort, transport)
        return True

    def know(self, transport: asyncio.BaseTransport | None) -> None:
        """The token was shown on it: it keeps its place while it is answered."""
        if transport is not None and transport in self._unknown:
            self._known[transport] = self._unknown.pop(transport)

    def closed(self, transport: asyncio.BaseTransport) -> None:
        for counted in (self._unknown, self._known):
            timer = counted.pop(transport, None)
            if timer is not None:
                timer.cancel()


class OneAMinute(logging.Filter):
    """Lets one line a minute through: who has no token could fill a disk with them."""

    def __init__(self) -> None:
        super().__init__()
        self._last_s = -60.0

    def filter(self, record: logging.LogRecord) -> bool:
        if 0.0 <= record.created - self._last_s < 60.0:
            return False
        self._last_s = record.created
        return True


def _abort(transport: asyncio.BaseTransport) -> None:
    cast(asyncio.Transport, transport).abort()  # uvloop's are none by name


class _Bounded(asyncio.Protocol):
    """Passes everything on to the protocol of HTTP, and keeps count."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._connections.opened(transport):
            _abort(transport)
            return
        self._transport = transport
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.closed(self._transport)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
