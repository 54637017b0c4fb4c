"""The doors: what is public, what is not, and that everything has an answer of the venue's own."""

from __future__ import annotations

import msgspec
import pytest

from adapters.rehearsal.routes import REST
from adapters.rehearsal.seam import Request, Response
from tests.adapters.rehearsal.scene import KEYS, Listener, Scene

MARKETS = ("spot", "usdm", "coinm")
PREFIX = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}


@pytest.mark.parametrize("market", MARKETS)
def test_public_requests_need_no_key(market: str) -> None:
    scene = Scene()
    response = scene.request(market, Request("GET", f"{PREFIX[market]}/time", "", {}, b""))
    assert msgspec.json.decode(response.body) == {"serverTime": scene.now_ms()}


@pytest.mark.parametrize("market", MARKETS)
def test_what_is_not_served_is_an_error_object(market: str) -> None:
    scene = Scene()
    for method, path in (
        ("GET", f"{PREFIX[market]}/nothing"),
        ("POST", "/api/v3/userDataStream"),
        ("PUT", f"{PREFIX[market]}/order"),
        ("GET", "/"),
    ):
        response = scene.request(market, Request(method, path, "", {}, b""))
        assert response.headers["content-type"].startswith("application/json")
        assert (response.status, msgspec.json.decode(response.body)["code"]) == (404, -5000)


@pytest.mark.parametrize("market", MARKETS)
def test_everything_of_the_account_asks_for_a_key(market: str) -> None:
    scene = Scene()
    for method, path in REST[market]:
        response = scene.request(market, Request(method, path, "", {}, b""))
        assert (response.status, msgspec.json.decode(response.body)["code"]) == (401, -2014)


def test_parameters_may_come_in_the_body() -> None:
    scene = Scene()
    order = scene.order("usdm", newClientOrderId="in-body")
    body = "&".join(f"{name}={value}" for name, value in order.items()) + f"&timestamp={scene.now_ms()}"
    body += f"&signature={scene.sign(body)}"
    headers = {"x-mbx-apikey": KEYS.api_key, "content-type": "application/x-www-form-urlencoded"}
    response = scene.request("usdm", Request("POST", "/fapi/v1/order", "", headers, body.encode()))
    assert msgspec.json.decode(response.body)["clientOrderId"] == "in-body"


@pytest.mark.parametrize("market", MARKETS)
def test_usage_stands_in_the_headers_and_starts_anew_each_minute(market: str) -> None:
    scene = Scene()
    scene.pass_s(60 - scene.now_ms() / 1000 % 60)

    def used() -> int:
        response = scene.ask(market, f"GET {PREFIX[market]}/openOrders")
        return int(response.headers["x-mbx-used-weight-1m"])

    first = used()
    assert used() == 2 * first
    placed = scene.ask(market, f"POST {PREFIX[market]}/order", **scene.order(market))
    window = "x-mbx-order-count-10s" if market == "spot" else "x-mbx-order-count-1m"
    assert placed.headers[window] == "1"
    assert window not in scene.ask(market, f"GET {PREFIX[market]}/openOrders").headers
    scene.pass_s(60)
    assert used() == first


@pytest.mark.parametrize("market", MARKETS)
def test_under_maintenance_nobody_gets_in(market: str) -> None:
    scene = Scene()
    scene.world.maintenance(on=True)
    assert scene.error(market, f"GET {PREFIX[market]}/openOrders")[0] == 503
    for target in ("/ws/btcusdt@bookTicker", "/ws-api/v3", "/ws-fapi/v1", "/ws-dapi/v1"):
        refused = scene.doors[market].accept(target, Listener())
        assert isinstance(refused, Response)
        assert refused.status == 503
    scene.world.maintenance(on=False)
    assert scene.json(market, f"GET {PREFIX[market]}/openOrders") == []


@pytest.mark.parametrize("market", MARKETS)
def test_a_websocket_at_another_market_s_api_is_refused(market: str) -> None:
    scene = Scene()
    wrong = "/ws-fapi/v1" if market == "spot" else "/ws-api/v3"
    refused = scene.doors[market].accept(wrong, Listener())
    assert isinstance(refused, Response)
    assert refused.status == 404


def test_a_venue_whose_clock_is_off_says_so_in_every_time() -> None:
    scene = Scene()
    scene.world.skew(-3_000_000_000)
    placed = scene.place("usdm")
    assert placed["updateTime"] == scene.world.now_ns() // 1_000_000 - 3_000
    query = f"timestamp={scene.world.now_ns() // 1_000_000}"
    request = Request(
        "GET",
        "/fapi/v1/openOrders",
        f"{query}&signature={scene.sign(query)}",
        {"x-mbx-apikey": KEYS.api_key},
        b"",
    )
    assert msgspec.json.decode(scene.request("usdm", request).body)["code"] == -1021
