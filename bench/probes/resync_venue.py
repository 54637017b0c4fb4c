"""A venue that forgets to send: USD-M's market sockets and depth snapshots, with a book that it keeps.

Prints the port it listens on.  Then each line of standard input, ``DROPPED SENT PER_SECOND``, changes the
book by so many updates that nobody is sent, then by so many that are, and prints one JSON object: when the
first frame behind the hole left (``time.time_ns``), the last update's id, and the whole book.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from bench.probes.burst_venue import FRAME, LEVELS, MID, Burst

DEEP = 200  # prices a side at which there may be a level
GONE = 0.25  # share of the changes that take a level away
NEAR = 2  # prices a side at which there always is one


class Kept(Burst):
    """A book, and the updates that change it; sizes by price, both as the wire has them."""

    def __init__(self) -> None:
        super().__init__()
        self._dice = random.Random(1)
        self.sides: dict[str, dict[str, str]] = {
            name: {self._price(name, level): "1.000" for level in range(DEEP)} for name in ("b", "a")
        }

    @staticmethod
    def _price(side: str, level: int) -> str:
        return f"{MID + (-0.1 if side == 'b' else 0.1) * (level + 1):.1f}"

    def _change(self, side: str) -> str:
        """Change some levels of a side, and say which."""
        rows = []
        for level in self._dice.sample(range(DEEP), LEVELS):
            price, size = self._price(side, level), f"{self._dice.uniform(0.001, 9):.3f}"
            if level >= NEAR and self._dice.random() < GONE:
                self.sides[side].pop(price, None)
                size = "0"
            else:
                self.sides[side][price] = size
            rows.append([price, size])
        return f'"{side}":{json.dumps(rows)}'

    def frame(self) -> str:
        self.last += 1
        at_ms = time.time_ns() // 1_000_000
        changes = f"{self._change('b')},{self._change('a')}"
        return FRAME % (at_ms, at_ms, self.last, self.last, self.last - 1, changes)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if "depth?" not in request.path:
            return None
        body = json.dumps({"lastUpdateId": self.last, "E": 1, "T": 1, **self.book()})
        return Response(HTTPStatus.OK, "OK", Headers({"Connection": "close"}), body.encode())

    def book(self) -> dict[str, list[tuple[str, str]]]:
        return {"bids": list(self.sides["b"].items()), "asks": list(self.sides["a"].items())}


async def main() -> None:
    venue = Kept()
    server: Server
    async with serve(venue.hear, "127.0.0.1", 0, compression=None, process_request=venue.answer) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            dropped, sent, per_s = map(int, line.split())
            for _ in range(dropped):
                venue.frame()
            left_ns, _ = await venue.send(sent, per_s)
            print(json.dumps({"left_ns": left_ns, "last": venue.last, **venue.book()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
