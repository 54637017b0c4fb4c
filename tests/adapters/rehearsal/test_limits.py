"""The limits that exchangeInfo tells are kept: weight by address, orders by account and by symbol."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from adapters.rehearsal.seam import Request, Response
from adapters.rehearsal.usage import BAN_MS, PATIENCE
from tests.adapters.rehearsal.scene import PATHS, SYMBOLS, Listener, Scene

MARKETS = ("spot", "usdm", "coinm")
HEAVY = {"spot": "/api/v3/ticker/24hr", "usdm": "/fapi/v1/ticker/24hr", "coinm": "/dapi/v1/ticker/24hr"}
WEIGHT = {"spot": 80, "usdm": 40, "coinm": 40}
API = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1", "coinm": "/ws-dapi/v1"}


@pytest.fixture
def scene() -> Scene:
    """At the beginning of a minute."""
    scene = Scene()
    scene.pass_s(60 - scene.now_ms() / 1000 % 60)
    return scene


def limit(scene: Scene, market: str, kind: str, interval: str) -> int:
    limits = scene.public(market, f"GET {PATHS[market]}/exchangeInfo")["rateLimits"]
    (row,) = [one for one in limits if (one["rateLimitType"], one["interval"]) == (kind, interval)]
    return int(row["limit"])


def heavy(scene: Scene, market: str) -> Response:
    return scene.request(market, Request("GET", HEAVY[market], "", {}, b""))


def error(response: Response) -> Any:
    return msgspec.json.decode(response.body)


def use_up(scene: Scene, market: str) -> Response:
    """Ask until it is too much; the first refusal."""
    for _ in range(6000 // 40):
        response = heavy(scene, market)
        if response.status != 200:
            return response
    raise AssertionError("nothing was refused")


# --- weight -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_too_much_weight_is_refused_until_the_minute_is_over(scene: Scene, market: str) -> None:
    most = limit(scene, market, "REQUEST_WEIGHT", "MINUTE")
    scene.pass_s(10)
    response = use_up(scene, market)
    assert (response.status, error(response)["code"]) == (429, -1003)
    assert f"current limit is {most} request" in error(response)["msg"]
    assert response.headers["retry-after"] == "50"
    assert most < int(response.headers["x-mbx-used-weight-1m"]) <= most + WEIGHT[market]
    assert scene.error(market, f"POST {PATHS[market]}/order", **scene.order(market))[0] == 429
    scene.pass_s(50)
    assert heavy(scene, market).status == 200
    assert scene.json(market, f"GET {PATHS[market]}/openOrders") == []


@pytest.mark.parametrize("market", MARKETS)
def test_weight_is_counted_over_both_interfaces_and_refused_on_both(scene: Scene, market: str) -> None:
    line, peer = scene.open(market, API[market])
    use_up(scene, market)
    scene.say(line, "order.place", 7, **scene.signed(**scene.order(market)))
    (answer,) = peer.heard
    now_ms = scene.now_ms()
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (7, 429, -1003)
    assert answer["error"]["data"] == {"serverTime": now_ms, "retryAfter": now_ms - now_ms % 60_000 + 60_000}
    assert scene.teller.history.markets[market].orders == {}
    assert peer.closed_with is None


@pytest.mark.parametrize("market", MARKETS)
def test_who_goes_on_is_banned_and_longer_the_next_time(scene: Scene, market: str) -> None:
    line, peer = scene.open(market, API[market])
    for times in (1, 2):
        use_up(scene, market)
        for _ in range(PATIENCE - 1):
            assert heavy(scene, market).status == 429
        banned, until_ms = heavy(scene, market), scene.now_ms() + BAN_MS * times
        assert (banned.status, error(banned)["code"]) == (418, -1003)
        assert f"IP banned until {until_ms}" in error(banned)["msg"]
        assert banned.headers["retry-after"] == str(BAN_MS * times // 1000)
        refused = scene.doors[market].accept(API[market], Listener())
        assert isinstance(refused, Response)
        assert refused.status == 418
        if times == 1:
            scene.say(line, "order.place", 8, **scene.signed(**scene.order(market)))
            assert peer.heard[-1]["error"]["data"]["retryAfter"] == until_ms
            assert peer.closed_with == (1008, "disconnected")
        scene.pass_s(BAN_MS * times / 1000)
        assert heavy(scene, market).status == 200


# --- orders -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_too_many_orders_are_refused_until_the_window_is_over(scene: Scene, market: str) -> None:
    interval = "MINUTE" if market == "coinm" else "SECOND"
    most = limit(scene, market, "ORDERS", interval)
    ask, order = f"POST {PATHS[market]}/order", scene.order(market)
    symbol = {"symbol": SYMBOLS[market]}
    for _ in range(most):
        placed = scene.json(market, ask, **order)
        scene.json(market, f"DELETE {PATHS[market]}/order", **symbol, orderId=placed["orderId"])
    response = scene.ask(market, ask, **order)
    assert (response.status, error(response)["code"]) == (429, -1015)
    span = f"1 {interval}" if market == "coinm" else f"10 {interval}"
    assert error(response)["msg"] == f"Too many new orders; current limit is {most} orders per {span}."
    assert "retry-after" not in response.headers, "the venue does not say"
    line, peer = scene.open(market, API[market])
    scene.say(line, "order.place", 9, **scene.signed(**order))
    (answer,) = peer.heard
    assert (answer["status"], answer["error"]["code"]) == (429, -1015)
    assert answer["error"]["data"]["retryAfter"] > scene.now_ms()
    assert max(row["count"] for row in answer["rateLimits"] if row["rateLimitType"] == "ORDERS") == most
    assert scene.json(market, f"GET {PATHS[market]}/openOrders", **symbol) == []
    scene.pass_s(60)
    assert scene.json(market, ask, **order)["status"] == "NEW"


def orders_counted(scene: Scene) -> int:
    rows = scene.json("spot", "GET /api/v3/rateLimit/order")
    counts = {int(row["count"]) for row in rows}
    assert len(counts) == 1, "every window counts alike"
    return counts.pop()


def test_on_spot_only_orders_that_have_not_filled_are_counted(scene: Scene) -> None:
    taking = {"price": scene.taking("spot", "BUY"), "timeInForce": "IOC"}
    assert scene.place("spot", **taking)["status"] == "FILLED"
    assert orders_counted(scene) == 0
    assert scene.error("spot", "POST /api/v3/order", **scene.order("spot", quantity="100"))[1] == -2010
    assert scene.error("spot", "POST /api/v3/order", **scene.order("spot", side="HOLD"))[1] == -1117
    assert orders_counted(scene) == 0
    placed = scene.place("spot")
    scene.place("spot", timeInForce="IOC")
    assert orders_counted(scene) == 2
    scene.json("spot", "DELETE /api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"])
    assert orders_counted(scene) == 2, "neither a cancel nor an expiry takes one off"


def test_a_maker_s_first_fill_takes_more_than_its_own_off(scene: Scene) -> None:
    _, ask = scene.touch("spot")
    resting = scene.place("spot", price=f"{ask - 0.01:.2f}", quantity="0.001")["orderId"]
    for _ in range(9):
        scene.place("spot", quantity="0.0001")

    def counted_today() -> int:
        return int(scene.json("spot", "GET /api/v3/rateLimit/order")[1]["count"])

    assert counted_today() == 10
    for _ in range(300):
        scene.pass_s(1)
        now = scene.json("spot", "GET /api/v3/order", symbol="BTCUSDT", orderId=resting)
        if now["status"] == "FILLED":
            break
    assert now["status"] == "FILLED"
    assert counted_today() == 5


def test_futures_count_what_was_asked(scene: Scene) -> None:
    refused = scene.ask("usdm", "POST /fapi/v1/order", **scene.order("usdm", quantity="900"))
    assert error(refused)["code"] == -2019
    assert refused.headers["x-mbx-order-count-10s"] == "1"
    taking = {"price": scene.taking("usdm", "BUY"), "timeInForce": "IOC"}
    filled = scene.ask("usdm", "POST /fapi/v1/order", **scene.order("usdm", **taking))
    assert filled.headers["x-mbx-order-count-10s"] == "2"


@pytest.mark.parametrize("market", MARKETS)
def test_not_more_orders_rest_than_the_symbol_s_filter_allows(scene: Scene, market: str) -> None:
    listed = scene.public(market, f"GET {PATHS[market]}/exchangeInfo")["symbols"][0]["filters"]
    (found,) = [one for one in listed if one["filterType"] == "MAX_NUM_ORDERS"]
    most = found["maxNumOrders" if market == "spot" else "limit"]
    small = {"spot": "0.0001", "usdm": "0.002", "coinm": "1"}[market]
    for number in range(most):
        if number % 90 == 0:
            scene.pass_s(10)
        scene.place(market, quantity=small)
    scene.pass_s(10)
    response = scene.ask(market, f"POST {PATHS[market]}/order", **scene.order(market, quantity=small))
    spot, futures = (-2010, "Filter failure: MAX_NUM_ORDERS"), (-2025, "Reach max open order limit.")
    assert (error(response)["code"], error(response)["msg"]) == (spot if market == "spot" else futures)
    scene.place(market, type="MARKET", timeInForce=None, price=None)
    scene.json(
        market,
        f"DELETE {PATHS[market]}/{'openOrders' if market == 'spot' else 'allOpenOrders'}",
        symbol=SYMBOLS[market],
    )
    assert scene.place(market, quantity=small)["status"] == "NEW"
