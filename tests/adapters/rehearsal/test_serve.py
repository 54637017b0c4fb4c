"""The rehearsal venue as a whole: what a stranger finds who was given the first line."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from pathlib import Path

import aiohttp
import msgspec
import pytest
import websockets

from adapters.errors import FeedError
from adapters.rehearsal.faults import parse
from adapters.rehearsal.serve import Playbill, WallClock, rehearse, serve_forever
from tests.conftest import ROOT

SOON_S = 10.0
PLAYBILL = Playbill(
    recordings=(ROOT / "examples" / "demo",),
    instruments=tuple(sorted((ROOT / "examples" / "venue").glob("*.json"))),
)


def signed(secret: str, query: str) -> str:
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def test_the_first_line_is_enough_to_look_around() -> None:
    async def run() -> None:
        lines: list[bytes] = []
        printed = asyncio.Event()

        def print_line(line: bytes) -> None:
            lines.append(line)
            printed.set()

        serving = asyncio.create_task(serve_forever(PLAYBILL, print_line, lambda _: None))
        await asyncio.wait_for(printed.wait(), SOON_S)
        (line,) = lines
        said = msgspec.json.decode(line, type=dict[str, str])
        roots = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}
        async with aiohttp.ClientSession() as client:
            for market, root in roots.items():
                async with client.get(f"{said[f'{market}_rest']}{root}/exchangeInfo") as answer:
                    (symbol,) = (await answer.json())["symbols"]
                    assert symbol["filters"]
                    assert int(answer.headers["x-mbx-used-weight-1m"]) > 0
            async with client.get(f"{said['spot_rest']}/api/v3/time") as answer:
                now_ms = (await answer.json())["serverTime"]
            query = signed(said["secret"], f"timestamp={now_ms}")
            headers = {"X-MBX-APIKEY": said["api_key"]}
            async with client.get(f"{said['spot_rest']}/api/v3/account?{query}", headers=headers) as answer:
                free = {one["asset"]: float(one["free"]) for one in (await answer.json())["balances"]}
            assert (free["USDT"], free["BTC"]) == (350_000, 1)
            async with client.get(f"{said['coinm_rest']}/nothing/here") as answer:
                assert "code" in await answer.json()
        async with websockets.connect(f"{said['usdm_ws']}/market/ws/btcusdt@markPrice@1s") as socket:
            frame = msgspec.json.decode(await asyncio.wait_for(socket.recv(), SOON_S))
            assert (frame["e"], frame["s"]) == ("markPriceUpdate", "BTCUSDT")
            assert abs(frame["E"] - now_ms) < SOON_S * 1000
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert len(lines) == 1

    asyncio.run(run())


def test_a_script_of_faults_is_played() -> None:
    async def run() -> None:
        playbill = msgspec.structs.replace(PLAYBILL, script=parse("at=0s maintenance for=60s"))
        notes: list[str] = []
        begun = asyncio.Event()

        def note(text: str) -> None:
            notes.append(text)
            begun.set()

        async with rehearse(playbill, note) as rehearsal, aiohttp.ClientSession() as client:
            await asyncio.wait_for(begun.wait(), SOON_S)
            async with client.get(f"http://127.0.0.1:{rehearsal.served.ports['spot']}/api/v3/time") as answer:
                assert answer.status == 503
        assert notes == ["maintenance * begins"]

    asyncio.run(run())


def test_keys_are_new_each_time() -> None:
    async def run() -> set[str]:
        secrets: set[str] = set()
        for _ in range(2):
            async with rehearse(PLAYBILL, lambda _: None) as rehearsal:
                secrets |= {rehearsal.keys.secret, rehearsal.keys.ed25519_secret}
        return secrets

    assert len(asyncio.run(run())) == 4


def test_a_recording_that_is_not_there_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        playbill = msgspec.structs.replace(PLAYBILL, recordings=(tmp_path / "none",))
        async with rehearse(playbill, lambda _: None):
            pass

    with pytest.raises(FeedError, match="no such file or folder"):
        asyncio.run(run())


def test_the_clock_of_a_server_never_goes_back() -> None:
    clock = WallClock()
    times = [clock.now_ns() for _ in range(100)]
    assert times == sorted(times)
