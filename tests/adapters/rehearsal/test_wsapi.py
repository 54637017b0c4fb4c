"""The WebSocket API: requests, sessions, subscriptions, and the answers to what is not served."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from adapters.rehearsal.seam import Line
from tests.adapters.rehearsal.scene import KEYS, SYMBOLS, Listener, Scene

PATH = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1", "coinm": "/ws-dapi/v1"}
MARKETS = ("spot", "usdm", "coinm")


class Client:
    """A client with one socket; ``call`` returns the answer to its own request, events left aside."""

    def __init__(self, scene: Scene, market: str, query: str = "") -> None:
        self.scene = scene
        self.peer: Listener
        self.line: Line
        self.line, self.peer = scene.open(market, PATH[market] + query)
        self._number = 0

    def call(self, method: str, **params: object) -> Any:
        self._number += 1
        self.scene.say(self.line, method, self._number, **params)
        (answer,) = [one for one in self.peer.heard if one.get("id") == self._number]
        self.peer.heard.remove(answer)
        return answer

    def signed(self, method: str, **params: object) -> Any:
        return self.call(method, **self.scene.signed(**params))

    def result(self, method: str, **params: object) -> Any:
        answer = self.signed(method, **params)
        assert answer["status"] == 200, answer
        return answer["result"]

    def logged_on(self) -> Any:
        return self.call("session.logon", **self.scene.signed(True))


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_by_websocket_is_the_order_that_rest_tells(market: str) -> None:
    scene = Scene()
    client = Client(scene, market)
    placed = client.result("order.place", **scene.order(market, newClientOrderId="ws-1"))
    asked = client.result("order.status", symbol=SYMBOLS[market], origClientOrderId="ws-1")
    assert asked["orderId"] == placed["orderId"]
    prefix = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}[market]
    (told,) = scene.json(market, f"GET {prefix}/openOrders")
    assert told == asked
    gone = client.result("order.cancel", symbol=SYMBOLS[market], orderId=placed["orderId"])
    assert gone["status"] == "CANCELED"
    again = client.signed("order.cancel", symbol=SYMBOLS[market], orderId=placed["orderId"])
    assert (again["status"], again["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})


def test_accounts_by_websocket_are_those_of_rest() -> None:
    scene = Scene()
    pairs = [
        ("spot", "account.status", "GET /api/v3/account"),
        ("usdm", "v2/account.status", "GET /fapi/v3/account"),
        ("usdm", "account.balance", "GET /fapi/v2/balance"),
        ("usdm", "account.position", "GET /fapi/v2/positionRisk"),
        ("coinm", "account.balance", "GET /dapi/v1/balance"),
        ("coinm", "account.position", "GET /dapi/v1/positionRisk"),
        ("coinm", "account.status", "GET /dapi/v1/account"),
    ]
    for market, method, ask in pairs:
        assert Client(scene, market).result(method) == scene.json(market, ask)


def test_spot_refuses_what_it_does_not_read_here_too() -> None:
    scene = Scene()
    client = Client(scene, "spot")
    order = scene.order("spot", reduceOnly="true", returnRateLimits="false")
    assert client.signed("order.place", **order)["error"] == {
        "code": -1104,
        "msg": "Not all sent parameters were read; read '9' parameter(s) but was sent '10'.",
    }
    tiny = client.signed("order.test", **scene.order("spot", quantity="0.0000001"))
    assert tiny["error"] == {"code": -1013, "msg": "Filter failure: LOT_SIZE"}
    assert client.call("time", symbol="BTCUSDT")["error"]["code"] == -1101
    assert client.call("depth", symbol="BTCUSDT", size=5)["error"]["code"] == -1104
    assert Client(scene, "usdm").signed("order.place", **scene.order("usdm"), x="1")["status"] == 200


def test_numbers_are_verified_as_they_were_written() -> None:
    """JSON writes 0.10000 and 1e-1 as other texts than a parser would give back."""
    scene = Scene()
    client = Client(scene, "spot")
    order = scene.order("spot", quantity="QQ", computeCommissionRates="true")
    params = scene.signed(**{**order, "quantity": "0.10000"})
    written = msgspec.json.encode({"id": 1, "method": "order.test", "params": params}).decode()
    client.line.receive(written.replace('"0.10000"', "0.10000").encode())
    assert client.peer.heard[0]["status"] == 200, client.peer.heard


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"signature": "0" * 64}, -1022, 400),
        ({"signature": ""}, -1102, 400),
        ({"apiKey": "a" * 64}, -2015, 401),
        ({"apiKey": "a"}, -2014, 401),
        ({"apiKey": ""}, -1102, 400),
        ({"timestamp": 1}, -1021, 400),
        ({"price": "1"}, -1022, 400),
    ],
)
def test_a_request_that_is_not_signed_as_it_stands_is_refused(
    change: dict[str, object], code: int, status: int
) -> None:
    scene = Scene()
    client = Client(scene, "spot")
    answer = client.call("order.place", **(scene.signed(**scene.order("spot")) | change))
    assert (answer["error"]["code"], answer["status"]) == (code, status)
    assert scene.json("spot", "GET /api/v3/openOrders") == []


# --- sessions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_a_session_vouches_for_its_requests(market: str) -> None:
    scene = Scene()
    client = Client(scene, market)
    assert client.call("session.status")["result"]["apiKey"] is None
    assert client.call("order.place", **scene.order(market))["error"]["code"] == -1102
    assert client.logged_on()["result"]["apiKey"] == KEYS.ed25519_api_key
    now = {"timestamp": scene.now_ms()}
    assert client.call("order.place", **scene.order(market), **now)["status"] == 200
    assert client.call("order.place", **scene.order(market))["error"]["code"] == -1102
    assert client.call("order.place", **scene.order(market), timestamp=1)["error"]["code"] == -1021
    assert client.call("session.logout")["result"]["apiKey"] is None
    assert client.call("order.place", **scene.order(market), **now)["error"]["code"] == -1102


def test_only_an_ed25519_key_logs_on() -> None:
    client = Client(Scene(), "spot")
    answer = client.signed("session.logon")
    assert (answer["status"], answer["error"]["code"]) == (400, -4056)
    assert client.call("session.status")["result"]["apiKey"] is None


def test_a_session_ends_with_the_permission_of_its_key() -> None:
    scene = Scene()
    client = Client(scene, "usdm")
    client.logged_on()
    scene.teller.gate.permissions.futures = False
    answer = client.call("account.balance", timestamp=scene.now_ms())
    assert (answer["status"], answer["error"]["code"]) == (401, -2015)


# --- user data streams ------------------------------------------------------------------------------------


def test_a_socket_has_one_subscription_which_ends_by_its_number() -> None:
    scene = Scene()
    client = Client(scene, "spot")
    assert client.call("userDataStream.subscribe")["error"]["code"] == -1099
    assert client.result("userDataStream.subscribe.signature") == {"subscriptionId": 0}
    client.logged_on()
    for again in (
        client.signed("userDataStream.subscribe.signature"),
        client.call("userDataStream.subscribe.signature", **scene.signed(True)),
        client.call("userDataStream.subscribe"),
    ):
        assert (again["status"], again["error"]["code"]) == (400, -2035)
    assert client.call("session.status")["result"]["userDataStream"]
    assert client.call("session.subscriptions")["result"] == [{"subscriptionId": 0}]
    scene.place("spot")
    assert [one["event"]["e"] for one in client.peer.heard] == ["executionReport", "outboundAccountPosition"]
    client.peer.heard.clear()
    unknown = client.call("userDataStream.unsubscribe", subscriptionId=1)
    assert (unknown["status"], unknown["error"]["code"]) == (400, -2036)
    assert client.call("userDataStream.unsubscribe", subscriptionId="x")["error"]["code"] == -1100
    client.call("userDataStream.unsubscribe", subscriptionId=0)
    assert client.call("userDataStream.unsubscribe", subscriptionId=0)["error"]["code"] == -2036
    scene.place("spot")
    assert client.peer.heard == []
    assert client.call("userDataStream.subscribe")["result"] == {"subscriptionId": 1}
    client.call("userDataStream.unsubscribe")
    assert client.call("session.subscriptions")["result"] == []


def test_a_logout_ends_the_subscription_of_the_session_alone() -> None:
    scene = Scene()
    client = Client(scene, "spot")
    client.logged_on()
    client.call("userDataStream.subscribe")
    assert not client.call("session.logout")["result"]["userDataStream"]
    client.result("userDataStream.subscribe.signature")
    client.logged_on()
    assert client.call("session.logout")["result"]["userDataStream"]


def test_the_venue_ends_subscriptions_and_announces_its_own_end() -> None:
    scene = Scene()
    client = Client(scene, "spot")
    client.result("userDataStream.subscribe.signature")
    scene.teller.expire_listen_keys("spot")
    assert client.peer.heard.pop()["event"]["e"] == "eventStreamTerminated"
    scene.place("spot")
    assert client.peer.heard == []
    scene.teller.shut_down("spot")
    assert client.peer.heard.pop()["event"]["e"] == "serverShutdown"
    client.line.closed()
    scene.teller.shut_down("spot")
    assert client.peer.heard == []


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_a_listen_key_may_be_had_by_websocket(market: str) -> None:
    scene = Scene()
    client = Client(scene, market)
    key = client.call("userDataStream.start", apiKey=KEYS.api_key)["result"]["listenKey"]
    assert scene.teller.is_listen_key(market, key)
    client.call("userDataStream.ping", apiKey=KEYS.api_key)
    client.call("userDataStream.stop", apiKey=KEYS.api_key)
    assert client.call("userDataStream.ping", apiKey=KEYS.api_key)["error"]["code"] == -1125


# --- the rest ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "method"),
    [("spot", "order.cancelReplace"), ("spot", "userDataStream.start"), ("usdm", "userDataStream.subscribe"),
     ("coinm", "algoOrder.place"), ("spot", "nonsense")],
)  # fmt: skip
def test_what_is_not_served_is_an_error_and_the_socket_stays(market: str, method: str) -> None:
    client = Client(Scene(), market)
    answer = client.call(method)
    assert (answer["status"], answer["error"]["code"]) == (400, -1020)
    assert client.call("session.status")["status"] == 200


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"id":1}', b'{"method":1}', b"\xff\xfe", b"null"])
def test_what_is_no_request_is_answered_too(payload: bytes) -> None:
    client = Client(Scene(), "spot")
    client.line.receive(payload)
    assert client.peer.heard == [
        {"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}}
    ]


def test_public_requests_need_no_key() -> None:
    scene = Scene()
    client = Client(scene, "spot")
    assert client.call("ping")["result"] == {}
    assert client.call("time")["result"]["serverTime"] == scene.now_ms()
    assert len(client.call("depth", symbol="BTCUSDT", limit=5)["result"]["bids"]) == 5
    assert client.call("ticker.book", symbol="NOSUCH")["error"]["code"] == -1121
    assert Client(scene, "usdm").call("depth", symbol="BTCUSDT", limit=5)["status"] == 200


def test_usage_is_told_unless_it_is_declined() -> None:
    scene = Scene()
    client = Client(scene, "spot")
    told = client.signed("order.place", **scene.order("spot"))["rateLimits"]
    assert [(row["rateLimitType"], row["count"]) for row in told] == [
        ("REQUEST_WEIGHT", 1), ("ORDERS", 1), ("ORDERS", 1),
    ]  # fmt: skip
    assert "rateLimits" not in client.call("ping", returnRateLimits=False)
    quiet = Client(scene, "spot", "?returnRateLimits=false")
    assert "rateLimits" not in quiet.call("ping")
    assert client.call("ping")["rateLimits"][0]["count"] == 4


def test_a_refusal_keeps_its_request_s_number_of_any_kind() -> None:
    client = Client(Scene(), "spot")
    client.line.receive(b'{"id":"a-b","method":"nonsense"}')
    client.line.receive(b'{"id":null,"method":"nonsense"}')
    assert [one["id"] for one in client.peer.heard] == ["a-b", None]


def test_under_maintenance_nothing_is_done() -> None:
    scene = Scene()
    client = Client(scene, "usdm")
    scene.world.maintenance(on=True)
    answer = client.signed("order.place", **scene.order("usdm"))
    assert (answer["status"], answer["error"]["code"]) == (503, -1008)
    scene.world.maintenance(on=False)
    assert scene.json("usdm", "GET /fapi/v1/openOrders") == []
