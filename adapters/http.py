"""HTTP requests by aiohttp: one attempt each, told apart by whether they may have left.

aiohttp repeats GET, PUT and DELETE by itself when a kept connection turns out to be closed, and a cancel is a
DELETE: that is switched off.  Redirects are answers and are not followed, since they lead where nobody meant
to send a key.  What must stay true: before a connection is had nothing has left (`Unsent`); from then on,
whatever goes wrong, it may have (`Unanswered`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp
from yarl import URL

from adapters.network import Reply, Unanswered, Unsent

BODY_MAX = 32 << 20  # bytes; spot's exchangeInfo for all symbols is about 15 MB
KEEPALIVE_S = 15.0  # below what venues keep, so that a kept connection is rarely found closed


class HttpClient:
    """Requests over kept connections.  Made inside a running loop."""

    def __init__(self) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_had_connection)
        trace.on_connection_reuseconn.append(_had_connection)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )
        self._session._retry_connection = False

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """See `adapters.network.Network.request`; the messages name no header, query or body."""
        sent = SimpleNamespace(left=False)
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
                trace_request_ctx=sent,
            ) as response:
                payload = await _body(response)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, names, payload)
        except (aiohttp.ClientError, OSError) as error:
            reason = f"{type(error).__name__} within {timeout_s:g} s"
        raise (Unanswered if sent.left else Unsent)(reason)

    async def close(self) -> None:
        await self._session.close()


async def _had_connection(session: aiohttp.ClientSession, sent: SimpleNamespace, params: object) -> None:
    sent.trace_request_ctx.left = True


async def _body(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > BODY_MAX:
            raise aiohttp.ClientPayloadError(f"answer of more than {BODY_MAX} bytes")
    return b"".join(parts)
