"""Spot's times in microseconds: taken in any request, told where they are asked for."""

from __future__ import annotations

import msgspec
import pytest

from adapters.rehearsal.seam import Request, Response
from tests.adapters.rehearsal.scene import KEYS, Listener, Scene

US = {"x-mbx-time-unit": "MICROSECOND"}
ORDER = "GET /api/v3/order"


def asked(scene: Scene, path: str, query: str, headers: dict[str, str]) -> Response:
    return scene.request("spot", Request("GET", path, query, headers, b""))


@pytest.mark.parametrize("unit", ["MICROSECOND", "microsecond"])
def test_answers_tell_microseconds_where_a_header_asks_for_them(unit: str) -> None:
    scene = Scene()
    response = asked(scene, "/api/v3/time", "", {"x-mbx-time-unit": unit})
    assert msgspec.json.decode(response.body) == {"serverTime": scene.now_ms() * 1000}
    placed = scene.place("spot")
    query = f"symbol=BTCUSDT&orderId={placed['orderId']}&timestamp={scene.now_ms() * 1000}"
    query += f"&signature={scene.sign(query)}"
    headers = {"x-mbx-time-unit": unit, "x-mbx-apikey": KEYS.api_key}
    told = msgspec.json.decode(asked(scene, "/api/v3/order", query, headers).body)
    usual = scene.json("spot", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])
    times = {"time", "updateTime", "workingTime"}
    assert {name: told[name] for name in times} == {name: usual[name] * 1000 for name in times}
    assert {name: told[name] for name in told if name not in times} == {
        name: usual[name] for name in usual if name not in times
    }


def test_a_unit_that_there_is_not_is_refused() -> None:
    scene = Scene()
    response = asked(scene, "/api/v3/time", "", {"x-mbx-time-unit": "NANOSECOND"})
    assert (response.status, msgspec.json.decode(response.body)["code"]) == (400, -1194)
    refused = scene.doors["spot"].accept("/ws/btcusdt@trade?timeUnit=hour", Listener())
    assert isinstance(refused, Response)
    assert refused.status == 400


def test_times_in_microseconds_are_read_and_an_old_one_is_old() -> None:
    scene = Scene()
    since_us = scene.now_ms() * 1000
    scene.place("spot", type="MARKET", timeInForce=None, price=None)
    assert scene.json("spot", "GET /api/v3/myTrades", symbol="BTCUSDT", startTime=since_us)
    assert scene.json("spot", "GET /api/v3/myTrades", symbol="BTCUSDT", endTime=since_us - 1000) == []
    scene.pass_s(60)
    assert scene.public("spot", "GET /api/v3/aggTrades", symbol="BTCUSDT", startTime=since_us)
    query = f"timestamp={since_us - 6_000_000}"
    headers = {"x-mbx-apikey": KEYS.api_key}
    response = asked(scene, "/api/v3/account", f"{query}&signature={scene.sign(query)}", headers)
    assert msgspec.json.decode(response.body)["code"] == -1021


def test_futures_know_milliseconds_alone() -> None:
    scene = Scene()
    response = scene.request("usdm", Request("GET", "/fapi/v1/time", "", US, b""))
    assert msgspec.json.decode(response.body) == {"serverTime": scene.now_ms()}
    query = f"timestamp={scene.now_ms() * 1000}"
    headers = {"x-mbx-apikey": KEYS.api_key}
    request = Request("GET", "/fapi/v1/openOrders", f"{query}&signature={scene.sign(query)}", headers, b"")
    assert msgspec.json.decode(scene.request("usdm", request).body)["code"] == -1021


def test_streams_tell_microseconds_and_leave_ids_alone() -> None:
    scene = Scene()
    names = "streams=btcusdt@depth/btcusdt@trade"
    _, usual = scene.open("spot", f"/stream?{names}")
    _, fine = scene.open("spot", f"/stream?{names}&timeUnit=MICROSECOND")
    scene.pass_s(60)
    assert {one["data"]["e"] for one in usual.heard} == {"depthUpdate", "trade"}
    for plain, told in zip(usual.heard, fine.heard, strict=True):
        times = {name: plain["data"][name] * 1000 for name in ("E", "T") if name in plain["data"]}
        assert told == {"stream": plain["stream"], "data": {**plain["data"], **times}}


def test_the_websocket_api_tells_them_in_answers_and_events() -> None:
    scene = Scene()
    line, peer = scene.open("spot", "/ws-api/v3?timeUnit=microsecond")
    params = {"apiKey": KEYS.api_key, "timestamp": scene.now_ms() * 1000}
    signature = scene.sign("&".join(f"{name}={value}" for name, value in params.items()))
    scene.say(line, "userDataStream.subscribe.signature", 1, **params, signature=signature)
    assert peer.heard.pop()["result"] == {"subscriptionId": 0}
    scene.say(line, "order.place", 2, **scene.signed(**scene.order("spot")))
    now_us = scene.now_ms() * 1000
    (report, position, answer) = peer.heard
    assert [report["event"][name] for name in ("E", "T", "O", "W")] == [now_us] * 4
    assert [position["event"][name] for name in ("E", "u")] == [now_us] * 2
    assert answer["result"]["transactTime"] == now_us
