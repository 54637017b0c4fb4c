"""A venue for the reaction: the rehearsal's own servers, with a stop-watch at their door.

``reaction_venue.py CAPTURE`` prints the first line of `basisbot rehearse --serve`, then, when standard
input ends, one line with what it saw: for each pair of orders the nanoseconds from the frame or fill that
left before it.  Bytes pass through a relay before each port.  What leaves is timed as it is written to the
client's socket, what comes as it is read from there, and it is handed on a little later: so the venue's own
work is in no figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import cast

import uvloop

from adapters.binance.instruments import read_source
from adapters.paper.terms import Terms
from adapters.recorded.feeds import open_feeds
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.serve import WallClock
from adapters.rehearsal.server import HOST, Served, first_line, serve
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bench.recordings import ROOT
from bot.model.config import Balance

LATER_S = 0.005
PRICE = "60060.00"
HIGH = PRICE.encode()
FUNDS = (
    Balance("binance:spot", "USDT", Decimal(10_000_000)),
    Balance("binance:usdm", "USDT", Decimal(10_000_000)),
    Balance("binance:coinm", "BTC", Decimal(1)),
)

Seen = Callable[[str, bytes, int], None]  # market, message, when it passed


class Watch:
    """When the last depth frame and the last fill left, and when orders came, by market."""

    def __init__(self) -> None:
        self.is_high = False
        self.frame_ns = 0
        self.fill_ns = 0
        self.pending: set[str] = set()
        self.together_ns: list[int] = []
        self.sequenced_ns: list[int] = []

    def left(self, market: str, message: bytes, at_ns: int) -> None:
        if market != "usdm":
            return
        if HIGH in message and (b'"depthUpdate"' in message or b'"bookTicker"' in message):
            frame = json.loads(message)
            data = frame.get("data", frame)
            is_high = data["b"] == PRICE if isinstance(data["b"], str) else [PRICE, "0"] not in data["b"]
            if is_high and not self.is_high:  # of the touch and the depth of one change the first counts
                self.pending.clear()
                self.frame_ns = at_ns
            self.is_high = is_high
        elif b'"ORDER_TRADE_UPDATE"' in message and b'"x":"TRADE"' in message:
            self.fill_ns = at_ns

    def came(self, market: str, message: bytes, at_ns: int) -> None:
        by_rest = message.startswith(b"POST ") and b"/order?" in message.partition(b"\r\n")[0]
        if not by_rest and b'"order.place"' not in message:
            return
        self.pending.add(market)
        if market == "spot" and self.fill_ns:
            self.sequenced_ns.append(at_ns - self.fill_ns)
            self.fill_ns = 0
        if len(self.pending) == 2 and self.frame_ns:
            self.together_ns.append(at_ns - self.frame_ns)
            self.frame_ns = 0


class Messages:
    """One direction of a connection, cut into messages: HTTP as it comes, after a handshake the payloads."""

    def __init__(self) -> None:
        self._rest = b""
        self._upgraded = False

    def cut(self, data: bytes) -> Iterator[bytes]:
        if not self._upgraded:
            head, _, self._rest = data.partition(b"\r\n\r\n")
            self._upgraded = b"upgrade: websocket" in head.lower()
            yield data
        else:
            self._rest += data
        while self._upgraded and (frame := _frame(self._rest)):
            payload, size = frame
            self._rest = self._rest[size:]
            yield payload


def _frame(data: bytes) -> tuple[bytes, int] | None:
    """Payload and length of the frame that ``data`` begins with (RFC 6455, 5.2); ``None`` if it is cut."""
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7F, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(data[2 : 2 + width]), 2 + width
    mask = b"\0\0\0\0"
    if data[1] & 0x80:
        mask, at = data[at : at + 4], at + 4
    if len(data) < at + size:
        return None
    payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data[at : at + size]))
    return payload, at + size


class End(asyncio.Protocol):
    """One end of a relayed connection: what it reads is seen and handed to the other ``later_s`` later."""

    def __init__(self, market: str, seen: Seen, later_s: float) -> None:
        self.other: asyncio.Transport | None = None
        self._market, self._seen, self._later_s = market, seen, later_s
        self._messages = Messages()
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.own = cast(asyncio.Transport, transport)  # uvloop's is not registered as one

    def data_received(self, data: bytes) -> None:
        at_ns = time.perf_counter_ns()
        if self._later_s:
            asyncio.get_running_loop().call_later(self._later_s, self._pass_on, data)
        else:
            self._pass_on(data)
        for message in self._messages.cut(data):
            self._seen(self._market, message, at_ns)

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    def join(self, other: asyncio.Transport) -> None:
        self.other = other
        other.writelines(self._waiting)

    def _pass_on(self, data: bytes) -> None:
        if self.other is None:
            self._waiting.append(data)
        else:
            self.other.write(data)


async def relay(market: str, port: int, watch: Watch) -> asyncio.Server:
    """A port before a market's own."""
    loop = asyncio.get_running_loop()
    joining: set[asyncio.Task[None]] = set()

    def accept() -> End:
        client = End(market, watch.came, LATER_S)
        task = loop.create_task(_join(client, market, port, watch))
        joining.add(task)
        task.add_done_callback(joining.discard)
        return client

    return await loop.create_server(accept, HOST, 0)


async def _join(client: End, market: str, port: int, watch: Watch) -> None:
    loop = asyncio.get_running_loop()
    transport, venue = await loop.create_connection(lambda: End(market, watch.left, 0.0), HOST, port)
    venue.join(client.own)
    client.join(transport)


async def main(capture: Path) -> None:
    sources = [read_source(path) for path in sorted((ROOT / "examples/venue").glob("*.json"))]
    world = World(open_feeds([capture]), sources, Terms(balances=FUNDS), WallClock())
    keys = make_keys(os.urandom(32))
    watch = Watch()
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serve(doors(world, Teller(world, keys)), 0))
        relays = {market: await relay(market, port, watch) for market, port in served.ports.items()}
        ports = {market: server.sockets[0].getsockname()[1] for market, server in relays.items()}
        playing = asyncio.create_task(world.play())
        sys.stdout.write(first_line(Served(ports), keys).decode())
        sys.stdout.flush()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()
        playing.cancel()
        for server in relays.values():
            server.close()
    told = {"together_ns": watch.together_ns, "sequenced_ns": watch.sequenced_ns}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
