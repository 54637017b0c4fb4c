"""The network over TCP: requests by aiohttp, sockets by websockets, and the fence around both.

Rehearsals and tests must not leave the machine, whatever a setting says, so the fence stands here, at the
last point before the wire: without ``allow_remote`` a host that is not loopback is refused before anything is
looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from adapters.http import HttpClient
from adapters.network import Reply, Socket
from adapters.ws import open_socket


class RemoteForbidden(Exception):
    """A host beyond this machine was named where only loopback is allowed."""

    exit_code = 4


class TcpNetwork:
    """`adapters.network.Network`.  One for each process; made inside a running loop."""

    def __init__(self, allow_remote: bool) -> None:
        self._allow_remote = allow_remote
        self._http = HttpClient()

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """Raises `Unsent`, `Unanswered`, and `RemoteForbidden`."""
        self._check(url)
        return await self._http.request(method, url, headers, body, timeout_s)

    async def connect(self, url: str, timeout_s: float) -> Socket:
        """Raises `Unsent`, and `RemoteForbidden`."""
        self._check(url)
        return await open_socket(url, timeout_s)

    async def close(self) -> None:
        await self._http.close()

    def _check(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if not self._allow_remote and not is_loopback(host):
            raise RemoteForbidden(f"{host} is not on this machine; this run may only use loopback addresses")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
