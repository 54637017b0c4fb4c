"""Where the rehearsal servers meet the wire: bytes in, bytes out, one door for each market.

Behind a door stands the simulated venue that speaks the real one's protocol; before it stands a
transport, TCP (`adapters.rehearsal.server`) or memory in the tests; between the two fits a layer of faults,
itself a door. What must stay true: nothing on either side can tell which of the others it talks to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Request(Struct, frozen=True):
    """``query`` is the raw text behind the question mark, as it was signed; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Response(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Cut(Exception):
    """Drop the connection of this request and answer nothing."""


class Peer(Protocol):
    """The client's end of an accepted socket, as the venue sees it.  Never blocks."""

    def send(self, payload: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Line(Protocol):
    """The venue's end of an accepted socket, as the transport sees it."""

    def receive(self, payload: bytes) -> None:
        """A text message came."""
        ...

    def closed(self) -> None:
        """The connection ended, whoever ended it."""
        ...


class Door(Protocol):
    """One market's server: ``spot``, ``usdm`` or ``coinm``."""

    @property
    def market(self) -> str: ...

    async def request(self, request: Request) -> Response:
        """Raises `Cut`."""
        ...

    def accept(self, target: str, peer: Peer) -> Line | Response:
        """A WebSocket wants to be opened at ``target`` (path and query); a response refuses it."""
        ...
