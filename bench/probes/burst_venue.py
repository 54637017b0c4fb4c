"""A venue for the burst: USD-M's market sockets and depth snapshots, and bursts on command.

Prints the port it listens on.  Then each line of standard input, ``FRAMES PER_SECOND`` (0: as fast as the
socket takes them), sends that many ten-level depth frames to whoever subscribed to the depth last, and prints
when the first and the last of them left (``time.time_ns``).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

LEVELS = 10
MID = 50_000.0
BODIES = 64  # different frames, sent in turn
PACE_FRAMES = 20  # sent together when they are paced
FRAME = (
    '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":%d,"T":%d,"s":"BTCUSDT",'
    '"U":%d,"u":%d,"pu":%d,%s}}'
)
MARK = (
    '{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":%d,"s":"BTCUSDT","p":"50000.0",'
    '"i":"50000.0","r":"0.0001","T":%d}}'
)
TOUCH = (
    '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","E":%d,"u":1,"s":"BTCUSDT",'
    '"b":"49999.9","B":"1","a":"50000.1","A":"1"}}'
)


def sides(number: int) -> str:
    """Ten levels of each side: sizes change, and the best level of each comes and goes."""

    def side(sign: int) -> str:
        sizes = [f"{0.01 + (number * 7 + level * 3) % 50 / 1000:.3f}" for level in range(LEVELS)]
        if number % 2:
            sizes[0] = "0"
        rows = [f'["{MID + sign * 0.1 * (level + 1):.1f}","{size}"]' for level, size in enumerate(sizes)]
        return "[" + ",".join(rows) + "]"

    return f'"b":{side(-1)},"a":{side(1)}'


class Burst:
    """The depth's update id, and the socket that hears it."""

    def __init__(self) -> None:
        self.last = 1
        self.listener: ServerConnection | None = None
        self.bodies = [sides(number) for number in range(BODIES)]

    def frame(self) -> str:
        self.last += 1
        at_ms = time.time_ns() // 1_000_000
        return FRAME % (at_ms, at_ms, self.last, self.last, self.last - 1, self.bodies[self.last % BODIES])

    async def hear(self, connection: ServerConnection) -> None:
        async for message in connection:
            asked = json.loads(message)
            await connection.send(json.dumps({"result": None, "id": asked["id"]}))
            if any("@depth" in stream for stream in asked["params"]):
                self.listener = connection
                await connection.send(self.frame())
            at_ms = time.time_ns() // 1_000_000
            for stream in asked["params"]:
                if "@markPrice" in stream:
                    await connection.send(MARK % (at_ms, at_ms + 3_600_000))
                elif "@bookTicker" in stream:
                    await connection.send(TOUCH % at_ms)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if "depth?" not in request.path:
            return None
        body = f'{{"lastUpdateId":{self.last},"E":1,{sides(0)}}}'
        body = body.replace('"b":', '"bids":').replace('"a":', '"asks":')
        return Response(HTTPStatus.OK, "OK", Headers({"Connection": "close"}), body.encode())

    async def send(self, frames: int, per_s: int) -> tuple[int, int]:
        """When the first and when the last frame left."""
        listener = self.listener
        assert listener is not None
        begun_ns = time.time_ns()
        for number in range(frames):
            if per_s and number % PACE_FRAMES == 0:
                ahead_s = number / per_s - (time.time_ns() - begun_ns) / 1e9
                if ahead_s > 0:
                    await asyncio.sleep(ahead_s)
            await listener.send(self.frame())
        return begun_ns, time.time_ns()


async def main() -> None:
    burst = Burst()
    server: Server
    async with serve(burst.hear, "127.0.0.1", 0, compression=None, process_request=burst.answer) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            frames, per_s = map(int, line.split())
            print(json.dumps(await burst.send(frames, per_s)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
