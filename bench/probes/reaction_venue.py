"""A venue for the reaction: the rehearsal's own servers, with a stop-watch at their door.

``reaction_venue.py CAPTURE`` prints the first line of `basisbot rehearse --serve`, then, when standard
input ends, one line with what it saw: for each pair of orders the nanoseconds from the frame or fill that
left before it. An order is looked at before the venue does anything with it, and handled a little later, so
that the venue's own work is in no figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path

from adapters.binance.instruments import read_source
from adapters.paper.terms import Terms
from adapters.recorded.feeds import open_feeds
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.seam import Door, Line, Peer, Request, Response
from adapters.rehearsal.serve import WallClock
from adapters.rehearsal.server import first_line, serve
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


class Watch:
    """When the last depth frame and the last fill left, and when orders came, by market."""

    def __init__(self) -> None:
        self.is_high = False
        self.frame_ns = 0
        self.fill_ns = 0
        self.pending: dict[str, int] = {}
        self.together_ns: list[int] = []
        self.sequenced_ns: list[int] = []

    def left(self, market: str, payload: bytes) -> None:
        if market != "usdm":
            return
        if HIGH in payload and (b'"depthUpdate"' in payload or b'"bookTicker"' in payload):
            frame = json.loads(payload)
            data = frame.get("data", frame)
            is_high = data["b"] == PRICE if isinstance(data["b"], str) else [PRICE, "0"] not in data["b"]
            if is_high and not self.is_high:  # of the touch and the depth of one change the first counts
                self.pending.clear()
                self.frame_ns = time.perf_counter_ns()
            self.is_high = is_high
        elif b'"ORDER_TRADE_UPDATE"' in payload and b'"x":"TRADE"' in payload:
            self.fill_ns = time.perf_counter_ns()

    def came(self, market: str) -> None:
        now_ns = time.perf_counter_ns()
        self.pending[market] = now_ns
        if market == "spot" and self.fill_ns:
            self.sequenced_ns.append(now_ns - self.fill_ns)
            self.fill_ns = 0
        if len(self.pending) == 2 and self.frame_ns:
            self.together_ns.append(now_ns - self.frame_ns)
            self.frame_ns = 0


class WatchedPeer:
    def __init__(self, peer: Peer, market: str, watch: Watch) -> None:
        self._peer, self._market, self._watch = peer, market, watch

    def send(self, payload: bytes) -> None:
        self._watch.left(self._market, payload)
        self._peer.send(payload)

    def close(self, code: int, reason: str) -> None:
        self._peer.close(code, reason)


class WatchedLine:
    def __init__(self, line: Line, market: str, watch: Watch) -> None:
        self._line, self._market, self._watch = line, market, watch

    def receive(self, payload: bytes) -> None:
        if b"order.place" not in payload:
            self._line.receive(payload)
            return
        self._watch.came(self._market)
        asyncio.get_running_loop().call_later(LATER_S, self._line.receive, payload)

    def closed(self) -> None:
        self._line.closed()


class WatchedDoor:
    def __init__(self, door: Door, watch: Watch) -> None:
        self.market = door.market
        self._door, self._watch = door, watch

    async def request(self, request: Request) -> Response:
        if request.method == "POST" and request.path.endswith("/order"):
            self._watch.came(self.market)
            await asyncio.sleep(LATER_S)
        return await self._door.request(request)

    def accept(self, target: str, peer: Peer) -> Line | Response:
        line = self._door.accept(target, WatchedPeer(peer, self.market, self._watch))
        return line if isinstance(line, Response) else WatchedLine(line, self.market, self._watch)


async def main(capture: Path) -> None:
    sources = [read_source(path) for path in sorted((ROOT / "examples/venue").glob("*.json"))]
    world = World(open_feeds([capture]), sources, Terms(balances=FUNDS), WallClock())
    keys = make_keys(os.urandom(32))
    watch = Watch()
    watched = {market: WatchedDoor(door, watch) for market, door in doors(world, Teller(world, keys)).items()}
    async with serve(watched, 0) as served:
        playing = asyncio.create_task(world.play())
        sys.stdout.write(first_line(served, keys).decode())
        sys.stdout.flush()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()
        playing.cancel()
    told = {"together_ns": watch.together_ns, "sequenced_ns": watch.sequenced_ns}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
