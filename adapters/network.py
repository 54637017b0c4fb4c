"""What a gateway asks of the network: a request with one answer, and a socket of messages.

Two implementations stand behind it: TCP (`adapters.http`, `adapters.ws`), and memory with virtual time in the
tests, which the same gateways and the same rehearsal servers use.  What must stay true: whether a request may
have reached the venue is told by the type of the exception, since an order that may have arrived is uncertain
and one that cannot have is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Reply(Struct, frozen=True):
    """An HTTP answer; the names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unsent(Exception):
    """Nothing left this machine: the connection could not be made."""

    exit_code = 1


class Unanswered(Exception):
    """The request left, or may have, and no whole answer came."""

    exit_code = 1


class Closed(Exception):
    """The socket is closed, by either side or by silence."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """One WebSocket connection; pings are answered by themselves."""

    async def send(self, text: str) -> None:
        """Raises `Closed`."""
        ...

    async def receive(self) -> bytes:
        """The next message.  Returns at once while messages wait, without letting other tasks run; a reader
        that must be fair yields by itself.  Raises `Closed`."""
        ...

    async def close(self) -> None: ...


class Network(Protocol):
    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """One attempt, never repeated.  ``url`` holds the query as it was signed and is sent as it is.

        Raises `Unsent` or `Unanswered`."""
        ...

    async def connect(self, url: str, timeout_s: float) -> Socket:
        """Raises `Unsent` when no connection came about."""
        ...

    async def close(self) -> None: ...
