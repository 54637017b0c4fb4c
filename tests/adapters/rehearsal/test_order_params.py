"""What a request for an order is refused for, in which words, and that nothing comes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from adapters.rehearsal.seam import Request
from tests.adapters.rehearsal.scene import Scene, order_path, refused

MARKETS = ("spot", "usdm", "coinm")

REFUSALS: list[tuple[str, dict[str, Any], int]] = [
    ("spot", {"symbol": None}, -1102),
    ("spot", {"symbol": "NOSUCH"}, -1121),
    ("spot", {"side": "HOLD"}, -1117),
    ("spot", {"type": "HOPE"}, -1116),
    ("spot", {"type": "STOP_LOSS_LIMIT"}, -1020),
    ("spot", {"timeInForce": None}, -1102),
    ("spot", {"timeInForce": "GTX"}, -1115),
    ("spot", {"type": "MARKET", "timeInForce": None}, -1106),
    ("spot", {"type": "MARKET", "price": None}, -1106),
    ("spot", {"type": "LIMIT_MAKER"}, -1106),
    ("spot", {"quoteOrderQty": "100"}, -1106),
    ("spot", {"quantity": "-1"}, -1100),
    ("spot", {"quantity": "1e3"}, -1100),
    ("spot", {"quantity": "NaN"}, -1100),
    ("spot", {"quantity": "0"}, -1013),
    ("spot", {"quantity": "0.000001"}, -1013),
    ("spot", {"quantity": "0.123456789"}, -1111),
    ("spot", {"price": "99999.001"}, -1013),
    ("spot", {"price": "1000000.00"}, -1013),
    ("spot", {"quantity": "0.00001"}, -1013),
    ("spot", {"quantity": "100"}, -2010),
    ("spot", {"newClientOrderId": "no spaces"}, -1100),
    ("spot", {"newClientOrderId": "x" * 37}, -1100),
    ("spot", {"reduceOnly": "true"}, -1104),
    ("spot", {"goodTillDate": "1795000900000"}, -1104),
    ("spot", {"newOrderRespType": "ALL"}, -1130),
    ("spot", {"icebergQty": "0.001"}, -1013),
    ("spot", {"type": "MARKET", "timeInForce": None, "price": None, "icebergQty": "0.001"}, -1106),
    ("spot", {"pegPriceType": "PRIMARY_PEG"}, -1013),
    ("spot", {"stopPrice": "90000"}, -1106),
    ("spot", {"selfTradePreventionMode": "EXPIRE_TAKER"}, -1013),
    ("spot", {"selfTradePreventionMode": "NEVER"}, -1130),
    ("spot", {"type": "MARKET", "timeInForce": None, "price": None, "quoteOrderQty": "100"}, -1106),
    ("usdm", {"quantity": "0.0001"}, -1111),
    ("usdm", {"closePosition": "true"}, -4136),
    ("usdm", {"type": "MARKET", "timeInForce": None, "price": None, "closePosition": "true"}, -4136),
    ("usdm", {"closePosition": "perhaps"}, -1130),
    ("usdm", {"newOrderRespType": "FULL"}, -1136),
    ("usdm", {"priceMatch": "QUEUE"}, -1106),
    ("usdm", {"priceMatch": "QUEUE_5", "price": None}, -1020),
    ("usdm", {"priceMatch": "BEST"}, -5037),
    ("usdm", {"type": "MARKET", "timeInForce": None, "price": None, "priceMatch": "QUEUE"}, -5038),
    ("usdm", {"selfTradePreventionMode": "NEVER"}, -5039),
    ("usdm", {"selfTradePreventionMode": "EXPIRE_BOTH"}, -1020),
    ("usdm", {"price": "99000.05"}, -4014),
    ("usdm", {"quantity": "0"}, -4003),
    ("usdm", {"quantity": "0.001"}, -4164),
    ("usdm", {"quantity": "1001"}, -4005),
    ("usdm", {"quantity": "900"}, -2019),
    ("usdm", {"price": "200000"}, -4016),
    ("usdm", {"price": "1000", "quantity": "1"}, -4024),
    ("usdm", {"reduceOnly": "true"}, -2022),
    ("usdm", {"reduceOnly": "maybe"}, -1130),
    ("usdm", {"positionSide": "LONG"}, -4061),
    ("usdm", {"type": "STOP_MARKET"}, -4120),
    ("usdm", {"type": "LIMIT_MAKER"}, -1116),
    ("usdm", {"timeInForce": "GTD"}, -1115),
    ("usdm", {"type": "MARKET", "timeInForce": None}, -1106),
    ("usdm", {"newClientOrderId": "no spaces"}, -4015),
    ("coinm", {"quantity": "0.5"}, -1111),
    ("coinm", {"quantity": "900000"}, -2027),
    ("coinm", {"symbol": "BTCUSDT"}, -1121),
    ("coinm", {"type": "MARKET", "timeInForce": None, "price": None, "closePosition": "true"}, -4136),
    ("coinm", {"newOrderRespType": "ALL"}, -1136),
]


def test_what_the_venue_refuses_in_its_own_codes() -> None:
    scene = Scene()
    got = [refused(scene, market, **params) for market, params, _ in REFUSALS]
    assert got == [code for _, _, code in REFUSALS]
    assert all(not scene.teller.history.markets[market].orders for market in MARKETS)


def text(scene: Scene, market: str, asked: str, **params: object) -> str:
    """The words of a refusal."""
    return str(msgspec.json.decode(scene.ask(market, asked, **params).body)["msg"])


def test_a_refusal_says_which_filter_or_how_many_parameters() -> None:
    scene = Scene()
    ask = order_path("spot")
    assert text(scene, "spot", ask, **scene.order("spot", reduceOnly="true")) == (
        "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."
    )
    assert text(scene, "spot", ask, **scene.order("spot", price="1000000.00")) == (
        "Filter failure: PERCENT_PRICE_BY_SIDE"
    )
    market_order = scene.order("coinm", type="MARKET", timeInForce=None, price=None, closePosition="true")
    assert text(scene, "coinm", order_path("coinm"), **market_order) == (
        "Target strategy invalid for orderType MARKET,closePosition true"
    )
    filters = scene.public("spot", "GET /api/v3/exchangeInfo")["symbols"][0]["filters"]
    assert "PERCENT_PRICE_BY_SIDE" in {one["filterType"] for one in filters}


def test_spot_reads_every_parameter_of_a_public_request_or_none() -> None:
    scene = Scene()
    for path, query, code in (
        ("time", "symbol=BTCUSDT", -1101),
        ("ping", "x=1", -1101),
        ("depth", "symbol=BTCUSDT&timeout=5", -1104),
        ("ticker/24hr", "symbola=BTCUSDT", -1104),
    ):
        response = scene.request("spot", Request("GET", f"/api/v3/{path}", query, {}, b""))
        assert (response.status, msgspec.json.decode(response.body)["code"]) == (400, code)
    assert scene.public("usdm", "GET /fapi/v1/time", x="1")["serverTime"] == scene.now_ms()


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_an_order_that_is_only_tested_breaks_the_same_filters(market: str) -> None:
    scene = Scene()
    ask = f"{order_path(market)}/test"
    broken = {"spot": ("0.0000001", -1013), "usdm": ("1001", -4005)}[market]
    assert scene.error(market, ask, **scene.order(market, quantity=broken[0])) == (400, broken[1])
    assert scene.error(market, ask, **scene.order(market, price="1000000.0"))[0] == 400
    assert scene.error(market, ask, **scene.order(market, newOrderRespType="ALL"))[0] == 400
    scene.json(market, ask, **scene.order(market, quantity="100"))  # whoever has the money is not asked
    (instrument,) = scene.teller.holdings.instruments(market)
    scene.world.set_status(instrument.id, "BREAK")
    assert scene.error(market, ask, **scene.order(market))[1] == (-1013 if market == "spot" else -4108)


def test_a_spot_cancel_may_ask_for_a_state() -> None:
    scene = Scene()
    ask, number = order_path("spot", "DELETE"), scene.place("spot")["orderId"]
    found = {"symbol": "BTCUSDT", "orderId": number}
    assert text(scene, "spot", ask, **found, cancelRestrictions="ONLY_PARTIALLY_FILLED") == (
        "Order was not canceled due to cancel restrictions."
    )
    assert scene.error("spot", ask, **found, cancelRestrictions="ONLY_PARTIALLY_FILLED")[1] == -2011
    assert scene.error("spot", ask, **found, cancelRestrictions="ONLY_OLD")[1] == -1145
    assert scene.json("spot", ask, **found, cancelRestrictions="ONLY_NEW")["status"] == "CANCELED"


def test_on_spot_a_number_and_a_name_must_be_of_one_order() -> None:
    scene = Scene()
    one, other = (scene.place("spot", newClientOrderId=name)["orderId"] for name in ("one", "other"))
    for method in ("GET", "DELETE"):
        ask = order_path("spot", method)
        refusal = scene.error("spot", ask, symbol="BTCUSDT", orderId=one, origClientOrderId="other")
        assert refusal == (400, -2039)
    ask = order_path("spot", "DELETE")
    gone = scene.json("spot", ask, symbol="BTCUSDT", orderId=other, origClientOrderId="other")
    assert gone["orderId"] == other
