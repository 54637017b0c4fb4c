"""Over real sockets, with clients that know nothing of this project but how to sign."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import pytest
from websockets.asyncio.client import connect

from adapters.rehearsal.server import first_line, serve
from tests.adapters.rehearsal.scene import KEYS, SYMBOLS, Scene, signature

DEADLINE_S = 20.0
ORDERS = {"spot": "/api/v3/order", "usdm": "/fapi/v1/order", "coinm": "/dapi/v1/order"}
APIS = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1", "coinm": "/ws-dapi/v1"}


class Signing:
    """A trader with one kind of key."""

    def __init__(self, scene: Scene, ed25519: bool) -> None:
        self._scene = scene
        self._ed25519 = ed25519
        self.key = KEYS.ed25519_api_key if ed25519 else KEYS.api_key

    def query(self, params: dict[str, object]) -> str:
        text = urlencode({**params, "timestamp": self._scene.now_ms()})
        return f"{text}&signature={quote(signature(KEYS, text, self._ed25519), safe='')}"

    def message(self, number: int, method: str, params: dict[str, object]) -> str:
        signed = self._scene.signed(self._ed25519, **params)
        return msgspec.json.encode({"id": number, "method": method, "params": signed}).decode()


async def trade(scene: Scene, market: str, trader: Signing) -> list[Any]:
    """Place by REST, cancel by WebSocket; what the account's stream tells meanwhile."""
    async with serve(scene.doors, 0) as served, aiohttp.ClientSession() as session:
        said = msgspec.json.decode(first_line(served, KEYS))
        rest, sockets = said[f"{market}_rest"], said[f"{market}_wsapi"]
        headers = {"X-MBX-APIKEY": trader.key}

        async def ask(method: str, path: str, params: dict[str, object]) -> Any:
            async with session.request(
                method, f"{rest}{path}?{trader.query(params)}", headers=headers
            ) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        async with connect(sockets + APIS[market]) as api:

            async def call(number: int, method: str, params: dict[str, object]) -> Any:
                await api.send(trader.message(number, method, params))
                while (heard := msgspec.json.decode(await api.recv())).get("id") != number:
                    told.append(heard["event"])
                return heard["result"]

            told: list[Any] = []
            if market == "spot":
                await call(1, "userDataStream.subscribe.signature", {})
                placed = await ask("POST", ORDERS[market], scene.order(market))
                named = {"symbol": SYMBOLS[market], "orderId": placed["orderId"]}
                await call(2, "order.cancel", named)
                return [one["x"] for one in told if one["e"] == "executionReport"]
            key = (await ask("POST", ORDERS[market].replace("order", "listenKey"), {}))["listenKey"]
            private = f"/private/ws/{key}" if market == "usdm" else f"/ws/{key}"
            async with connect(said[f"{market}_ws"] + private) as stream:
                placed = await ask("POST", ORDERS[market], scene.order(market))
                await call(2, "order.cancel", {"symbol": SYMBOLS[market], "orderId": placed["orderId"]})
                return [msgspec.json.decode(await stream.recv())["o"]["x"] for _ in range(2)]


@pytest.mark.parametrize("ed25519", [False, True], ids=["hmac", "ed25519"])
@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_any_client_that_signs_can_trade(market: str, ed25519: bool) -> None:
    scene = Scene()

    async def session() -> list[Any]:
        async with asyncio.timeout(DEADLINE_S):
            return await trade(scene, market, Signing(scene, ed25519))

    assert asyncio.run(session()) == ["NEW", "CANCELED"]
