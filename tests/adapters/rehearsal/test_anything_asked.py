"""Whatever anybody asks is answered with an object of the venue's own, and nothing is broken by it."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.rehearsal.routes import METHODS, PUBLIC_METHODS, REST
from adapters.rehearsal.seam import Response
from tests.adapters.rehearsal.scene import SYMBOLS, Listener, Scene

MARKETS = ("spot", "usdm", "coinm")
PAUSE_S = 2  # between two requests: the heaviest weighs 50, and a minute has 2400
NAMES = (
    "symbol", "side", "type", "timeInForce", "quantity", "price", "newClientOrderId", "origClientOrderId",
    "orderId", "reduceOnly", "positionSide", "newOrderRespType", "limit", "fromId", "startTime", "endTime",
    "page", "leverage", "marginType", "dualSidePosition", "quoteOrderQty", "pair", "countdownTime",
    "incomeType", "recvWindow",
)  # fmt: skip
WORDS = (
    "BUY", "SELL", "LIMIT", "MARKET", "GTC", "IOC", "GTX", "true", "false", "0.01", "1", "0", "-1", "1e5",
    "100000.1", "NaN", "Infinity", "mine", "99999999999999999999999", "1795000000000", "ISOLATED", "é",
    "\x00", "", *SYMBOLS.values(),
)  # fmt: skip

params = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WORDS) | st.text(max_size=8), max_size=9)
markets = st.sampled_from(MARKETS)
steady = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
scene = Scene()


@steady
@given(market=markets, pick=st.integers(0), asked=params)
def test_any_parameters_of_any_request_are_answered(market: str, pick: int, asked: dict[str, str]) -> None:
    scene.pass_s(PAUSE_S)
    paths = list(REST[market])
    method, path = paths[pick % len(paths)]
    response = scene.ask(market, f"{method} {path}", **asked)
    body = msgspec.json.decode(response.body)
    if response.status != 200:
        assert set(body) == {"code", "msg"}
        assert response.status in (400, 401, 503)
    sound(scene)


@steady
@given(market=markets, pick=st.integers(0), asked=params, is_signed=st.booleans())
def test_any_parameters_of_any_websocket_request_are_answered(
    market: str, pick: int, asked: dict[str, str], is_signed: bool
) -> None:
    scene.pass_s(PAUSE_S)
    target = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1", "coinm": "/ws-dapi/v1"}[market]
    line, peer = scene.open(market, target)
    methods = [*METHODS[market], *PUBLIC_METHODS[market], "session.logon", "userDataStream.unsubscribe"]
    whole = scene.signed(**asked) if is_signed else dict(asked)
    scene.say(line, methods[pick % len(methods)], 7, **whole)
    answers = [one for one in peer.heard if one.get("id") == 7]
    assert len(answers) == 1
    assert ("result" in answers[0]) == (answers[0]["status"] == 200)
    line.closed()


@steady
@given(market=markets, payload=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_at_any_socket_leave_it_open(market: str, payload: bytes) -> None:
    for target in ("/ws-api/v3", "/private/ws", "/ws-dapi/v1", "/ws"):
        peer = Listener()
        line = scene.doors[market].accept(target, peer)
        if not isinstance(line, Response):
            line.receive(payload)
            assert peer.closed_with is None
            line.closed()


def sound(scene: Scene) -> None:
    """Open orders here are open orders of the simulated venue, and none else."""
    here = {one.name for market in MARKETS for one in scene.teller.history.open_orders(market)}
    there = {name for name, order in scene.world.orders.items() if order.status.value == "open"}
    assert here == there
