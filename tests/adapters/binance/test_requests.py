"""Requests as values, and what they look like on the wire."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest

from adapters.binance import requests
from adapters.binance.endpoints import (
    ENDPOINTS,
    Hosts,
    Security,
    StreamPath,
    depth_weight,
    hosts,
    private_url,
    stream_path,
    stream_url,
    ws_api_url,
)
from adapters.binance.signing import encoded, plain, signer
from bot.model.commands import CancelOrder, DriftBand, PlaceOrder, QueryOrder, TimeInForce
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role

SPOT = InstrumentId("binance:spot:BTCUSDT")
PERP = InstrumentId("binance:usdm:BTCUSDT")
COIN = InstrumentId("binance:coinm:BTCUSD_PERP")
NAME = ClientId("bsbt0a1b2c3d1")
BY = signer("the-key", "the-secret")


def order(instrument: InstrumentId, tif: TimeInForce, reduce_only: bool = False) -> PlaceOrder:
    return PlaceOrder(
        client_id=NAME,
        pair=PairName("BTC"),
        role=next(iter(Role)),
        instrument=instrument,
        side=Side.SELL,
        qty=Decimal("0.0200"),
        price=Decimal("91500.10"),
        tif=tif,
        reduce_only=reduce_only,
        purpose=next(iter(Purpose)),
        arrival_mid=Decimal("91500"),
        why=DriftBand(0.0, 0.0, 0.0),
    )


@pytest.mark.parametrize(
    ("instrument", "tif", "reduce_only", "told"),
    [
        (SPOT, TimeInForce.IOC, False, {"type": "LIMIT", "timeInForce": "IOC", "newOrderRespType": "FULL"}),
        (SPOT, TimeInForce.GTC, True, {"type": "LIMIT", "timeInForce": "GTC", "newOrderRespType": "FULL"}),
        (SPOT, TimeInForce.POST_ONLY, False, {"type": "LIMIT_MAKER", "newOrderRespType": "FULL"}),
        (
            PERP, TimeInForce.IOC, True,
            {"type": "LIMIT", "timeInForce": "IOC", "newOrderRespType": "RESULT", "reduceOnly": "true"},
        ),
        (
            PERP, TimeInForce.POST_ONLY, False,
            {"type": "LIMIT", "timeInForce": "GTX", "newOrderRespType": "RESULT"},
        ),
        (COIN, TimeInForce.GTC, False, {"type": "LIMIT", "timeInForce": "GTC", "newOrderRespType": "RESULT"}),
    ],
)  # fmt: skip
def test_an_order_says_what_the_command_says(
    instrument: InstrumentId, tif: TimeInForce, reduce_only: bool, told: dict[str, str]
) -> None:
    call = requests.place(order(instrument, tif, reduce_only))
    assert dict(call.params) == {
        "symbol": instrument.rsplit(":", 1)[1],
        "side": "SELL",
        "quantity": "0.02",
        "price": "91500.1",
        "newClientOrderId": NAME,
        **told,
    }
    assert (call.endpoint.name, call.endpoint.order_count) == ("order_place", 1)


def test_a_signed_request_is_signed_over_what_is_sent() -> None:
    call = requests.query(QueryOrder(NAME, InstrumentId("binance:spot:币安人生USDT")))
    sent = requests.http_request(call, "https://host", BY, 1_795_168_800_123, 5000)
    query = urlsplit(sent.url).query
    payload, signature = query.rsplit("&signature=", 1)
    assert BY.sign(payload) == signature
    assert dict(parse_qsl(payload)) == {
        "symbol": "币安人生USDT",
        "origClientOrderId": NAME,
        "recvWindow": "5000",
        "timestamp": "1795168800123",
    }
    assert "%E5%B8%81" in payload
    assert (sent.method, sent.headers, sent.body) == ("GET", {"X-MBX-APIKEY": "the-key"}, b"")
    assert sent.url.startswith("https://host/api/v3/order?symbol=")
    assert "the-secret" not in sent.url
    assert repr(sent) == "HttpRequest(GET)"


def test_requests_without_signature_carry_no_time() -> None:
    open_to_all = requests.http_request(requests.depth(PERP, 1000), "http://h", None, 1, 2)
    assert open_to_all.url == "http://h/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    assert open_to_all.headers == {}
    keyed = requests.http_request(requests.listen_key_start("coinm"), "http://h", BY, 1, 2)
    assert (keyed.method, keyed.url) == ("POST", "http://h/dapi/v1/listenKey")
    assert keyed.headers == {"X-MBX-APIKEY": "the-key"}
    for call in (requests.listen_key_start("usdm"), requests.account("spot")):
        with pytest.raises(ValueError, match="needs a key"):
            requests.http_request(call, "http://h", None, 1, 2)


def test_a_message_of_the_web_socket_api_is_signed_over_its_sorted_parameters() -> None:
    call = requests.cancel(CancelOrder(NAME, PERP, "expired"))
    message = json.loads(requests.ws_request(call, "17", BY, 1_795_168_800_123, 5000))
    params = message["params"]
    signature = params.pop("signature")
    assert (message["id"], message["method"]) == ("17", "order.cancel")
    assert params == {
        "symbol": "BTCUSDT",
        "origClientOrderId": NAME,
        "apiKey": "the-key",
        "recvWindow": 5000,
        "timestamp": 1_795_168_800_123,
    }
    assert signature == BY.sign(plain([(name, str(value)) for name, value in params.items()]))
    with pytest.raises(ValueError, match="REST alone"):
        requests.ws_request(requests.account("spot"), "1", BY, 1, 2)


def test_an_order_by_venue_id_is_a_number_for_the_web_socket_api() -> None:
    call = requests.order_by_venue_id(SPOT, "7700100200")
    params = json.loads(requests.ws_request(call, "1", BY, 1, 2))["params"]
    assert params["orderId"] == 7700100200


def test_the_private_stream_of_spot_is_asked_for_with_a_signature() -> None:
    message = json.loads(requests.subscribe_account("s1", BY, 1_795_168_800_123, 5000))
    params = message["params"]
    signature = params.pop("signature")
    assert message["method"] == "userDataStream.subscribe.signature"
    assert signature == BY.sign("apiKey=the-key&recvWindow=5000&timestamp=1795168800123")


def test_streams_are_named_by_subscription() -> None:
    assert json.loads(requests.subscribe_streams(3, ["btcusdt@depth@100ms", "btcusdt@bookTicker"])) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@depth@100ms", "btcusdt@bookTicker"],
        "id": 3,
    }


def test_every_reading_request_names_its_row_and_parameters() -> None:
    calls = [
        (requests.trades_of(SPOT, "5"), "/api/v3/myTrades", 5, "symbol=BTCUSDT&orderId=5&limit=1000"),
        (requests.trades_after(PERP, "5"), "/fapi/v1/userTrades", 5, "symbol=BTCUSDT&fromId=5&limit=1000"),
        (requests.all_orders(COIN, 9), "/dapi/v1/allOrders", 20, "symbol=BTCUSD_PERP&startTime=9&limit=1000"),
        (requests.open_orders("spot"), "/api/v3/openOrders", 80, ""),
        (requests.open_algo_orders("usdm"), "/fapi/v1/openAlgoOrders", 40, ""),
        (requests.account("spot"), "/api/v3/account", 20, "omitZeroBalances=true"),
        (requests.account("usdm"), "/fapi/v3/account", 5, ""),
        (requests.positions("coinm"), "/dapi/v1/positionRisk", 1, ""),
        (requests.position_mode("usdm"), "/fapi/v1/positionSide/dual", 30, ""),
        (requests.multi_assets(), "/fapi/v1/multiAssetsMargin", 30, ""),
        (requests.symbol_config("coinm"), "/dapi/v1/positionRisk", 1, ""),
        (requests.brackets("coinm"), "/dapi/v2/leverageBracket", 2, ""),
        (requests.commission(SPOT), "/api/v3/account/commission", 20, "symbol=BTCUSDT"),
        (requests.income("usdm", 1, 2), "/fapi/v1/income", 30, "startTime=1&endTime=2&limit=1000"),
        (requests.api_restrictions(), "/sapi/v1/account/apiRestrictions", 1, ""),
        (requests.listen_key_keepalive("usdm"), "/fapi/v1/listenKey", 1, ""),
        (requests.listen_key_close("usdm"), "/fapi/v1/listenKey", 1, ""),
        (requests.server_time("coinm"), "/dapi/v1/time", 1, ""),
        (requests.exchange_info("usdm", ["BTCUSDT"]), "/fapi/v1/exchangeInfo", 1, ""),
        (requests.exchange_info("spot", []), "/api/v3/exchangeInfo", 20, ""),
        (
            requests.exchange_info("spot", ["BTCUSDT", "BNBUSDT"]), "/api/v3/exchangeInfo", 20,
            "symbols=%5B%22BTCUSDT%22%2C%22BNBUSDT%22%5D",
        ),
        (requests.depth(SPOT, 100), "/api/v3/depth", 5, "symbol=BTCUSDT&limit=100"),
        (requests.premium_index(PERP), "/fapi/v1/premiumIndex", 1, "symbol=BTCUSDT"),
        (
            requests.funding_rates(COIN, 7), "/dapi/v1/fundingRate", 1,
            "symbol=BTCUSD_PERP&startTime=7&limit=1000",
        ),
        (requests.funding_info("usdm"), "/fapi/v1/fundingInfo", 0, ""),
        (requests.ticker_price(SPOT), "/api/v3/ticker/price", 2, "symbol=BTCUSDT"),
    ]  # fmt: skip
    for call, path, weight, query in calls:
        assert (call.endpoint.path, call.endpoint.weight, encoded(call.params)) == (path, weight, query)
    for market in ("spot", "coinm"):
        with pytest.raises(KeyError):
            requests.open_algo_orders(market)


# --- hosts and streams ------------------------------------------------------------------------------------


def test_a_rehearsal_stays_on_loopback_and_no_other_mode_takes_ports() -> None:
    found = hosts("rehearsal", (8001, 8002, 8003))
    assert found["usdm"] == Hosts("http://127.0.0.1:8002", "ws://127.0.0.1:8002", "ws://127.0.0.1:8002")
    with pytest.raises(ValueError, match="ports"):
        hosts("rehearsal")
    with pytest.raises(ValueError, match="ports"):
        hosts("live", (1, 2, 3))


def test_test_hosts_and_live_hosts_share_no_address() -> None:
    live, test = hosts("live"), hosts("testnet")
    assert set(live) == set(test) == {"spot", "usdm", "coinm"}
    addresses = [
        {url for each in side.values() for url in (each.rest, each.ws, each.wsapi)} for side in (live, test)
    ]
    assert not addresses[0] & addresses[1]
    assert all(url.startswith(("https://", "wss://")) for side in addresses for url in side)


def test_addresses_of_streams() -> None:
    live = hosts("live")
    assert ws_api_url("spot", live["spot"]) == "wss://ws-api.binance.com:443/ws-api/v3"
    assert ws_api_url("usdm", live["usdm"]) == "wss://ws-fapi.binance.com/ws-fapi/v1"
    assert ws_api_url("coinm", live["coinm"]) == "wss://ws-dapi.binance.com/ws-dapi/v1"
    assert stream_url("spot", live["spot"], StreamPath.PUBLIC) == "wss://stream.binance.com:9443/stream"
    assert stream_url("usdm", live["usdm"], StreamPath.MARKET) == "wss://fstream.binance.com/market/stream"
    assert private_url("usdm", live["usdm"], "k") == "wss://fstream.binance.com/private/ws?listenKey=k"
    assert private_url("coinm", live["coinm"], "k") == "wss://dstream.binance.com/ws/k"


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("btcusdt@depth@100ms", StreamPath.PUBLIC),
        ("btcusdt@depth20@100ms", StreamPath.PUBLIC),
        ("btcusdt@bookTicker", StreamPath.PUBLIC),
        ("btcusdt@trade", StreamPath.PUBLIC),
        ("btcusdt@aggTrade", StreamPath.MARKET),
        ("btcusdt@markPrice@1s", StreamPath.MARKET),
        ("btcusdt@kline_1m", StreamPath.MARKET),
        ("btcusdt@forceOrder", StreamPath.MARKET),
    ],
)
def test_each_stream_of_usdm_has_its_path(stream: str, path: StreamPath) -> None:
    assert stream_path("usdm", stream) is path
    assert stream_path("spot", stream) is StreamPath.PUBLIC


def test_a_stream_of_unknown_path_is_refused() -> None:
    with pytest.raises(KeyError):
        stream_path("usdm", "btcusdt@newThing")


def test_a_depth_request_weighs_by_its_levels() -> None:
    assert [depth_weight("spot", limit) for limit in (5, 100, 500, 1000, 5000)] == [5, 5, 25, 50, 250]
    assert [depth_weight("usdm", limit) for limit in (50, 100, 500, 1000)] == [2, 5, 10, 20]
    with pytest.raises(ValueError, match="levels"):
        depth_weight("coinm", 5000)


def test_rows_are_keyed_by_their_names_and_only_orders_count_as_orders() -> None:
    for rows in ENDPOINTS.values():
        assert all(row.name == name for name, row in rows.items())
        assert {name for name, row in rows.items() if row.order_count} == {"order_place"}
        assert all(row.security is Security.SIGNED for row in rows.values() if row.ws_method)
