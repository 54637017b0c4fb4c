"""WebSocket connections by the websockets library.

Compression is off (it costs more than loopback or a data centre's network saves), messages stay bytes, and
the receive queue is bounded: when it is full the socket is not read, and TCP tells the venue.  Pings are
answered by the library, and ours find a connection that is half open.  Redirects are not followed, and the
library logs nothing: at debug level it would log whole messages, signatures included.
"""

from __future__ import annotations

import logging

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from adapters.network import Closed, Unsent

MESSAGE_MAX = 16 << 20  # bytes
QUEUE_MAX = 1024  # messages; reading stops above it and goes on at a quarter of it
PING_S = 15.0
PONG_S = 10.0
CLOSE_S = 1.0

_SILENT = logging.Logger("websocket", logging.CRITICAL + 1)  # known to no registry, so nothing turns it on


class _Direct(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocket:
    """`adapters.network.Socket` over TCP."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def receive(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def close(self) -> None:
        await self._connection.close()


async def open_socket(url: str, timeout_s: float) -> WebSocket:
    """Connect to ``url``.  Raises `Unsent`, whose message does not name the path: it may hold a key."""
    try:
        connection = await _Direct(
            url,
            compression=None,
            proxy=None,
            open_timeout=timeout_s,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            close_timeout=CLOSE_S,
            max_size=MESSAGE_MAX,
            max_queue=QUEUE_MAX,
            logger=_SILENT,
        )
    except (OSError, TimeoutError) as error:
        raise Unsent(f"{type(error).__name__} within {timeout_s:g} s") from None
    except WebSocketException as error:
        raise Unsent(_refusal(error)) from None
    return WebSocket(connection)


def _refusal(error: WebSocketException) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return type(error).__name__ if status is None else f"HTTP {status}"


def _closed(closed: ConnectionClosed) -> Closed:
    received = closed.rcvd or closed.sent
    return Closed(1006, "connection lost") if received is None else Closed(received.code, received.reason)
