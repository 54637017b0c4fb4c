"""The least that could react: one socket for depth, two for orders, no book, no journal, no thought.

``reaction_client.py`` reads the servers' first line from standard input and sends two signed orders for every
depth frame whose best bid is the high one, until it is killed.  What it takes is the floor of the reaction.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time

from websockets.asyncio.client import connect

HIGH = "60060.00"


def order(roots: dict[str, str], market: str, number: int) -> str:
    side, price = ("BUY", "60001.00") if market == "spot" else ("SELL", "60059.00")
    params = {
        "apiKey": roots["api_key"],
        "newClientOrderId": f"floor{market}{number}",
        "price": price,
        "quantity": "0.002",
        "side": side,
        "symbol": "BTCUSDT",
        "timeInForce": "IOC",
        "timestamp": str(time.time_ns() // 1_000_000),
        "type": "LIMIT",
    }
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = hmac.new(roots["secret"].encode(), payload.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"id": str(number), "method": "order.place", "params": params})


async def main() -> None:
    roots = json.loads(sys.stdin.readline())
    async with (
        connect(roots["usdm_ws"] + "/public/ws/btcusdt@depth@100ms", compression=None) as feed,
        connect(roots["spot_wsapi"] + "/ws-api/v3", compression=None) as spot,
        connect(roots["usdm_wsapi"] + "/ws-fapi/v1", compression=None) as usdm,
    ):
        number = 0
        while True:
            frame = json.loads(await feed.recv())
            if any(price == HIGH and float(size) for price, size in frame.get("b", ())):
                number += 1
                await spot.send(order(roots, "spot", number))
                await usdm.send(order(roots, "usdm", number))


if __name__ == "__main__":
    asyncio.run(main())
