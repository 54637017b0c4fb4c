"""Binance's frames: what is read of each, and what is not a frame."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.binance import codec

SPOT_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT",'
    b'"U":157,"u":160,"b":[["61737.63000000","0.00000000"]],'
    b'"a":[["61837.64000000","1.54698000"],["61839.85","2"]]}}'
)
COINM_DEPTH = (
    b'{"stream":"btcusd_perp@depth@0ms","data":{"e":"depthUpdate","E":12,"T":11,"s":"BTCUSD_PERP",'
    b'"ps":"BTCUSD","U":31260,"u":31565,"pu":31198,"b":[["61773.6","1001"]],"a":[]}}'
)
SPOT_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21",'
    b'"a":"25.36520000","A":"40.66"}}'
)


def test_depth_updates_of_spot_and_futures() -> None:
    spot = codec.decode_depth(SPOT_DEPTH).data
    assert (spot.first, spot.last, spot.previous, spot.event_ms) == (157, 160, None, 1723161255208)
    assert spot.bids == [(61737.63, 0.0)]
    assert spot.asks == [(61837.64, 1.54698), (61839.85, 2.0)]
    coinm = codec.decode_depth(COINM_DEPTH).data
    assert (coinm.previous, coinm.bids, coinm.asks) == (31198, [(61773.6, 1001.0)], [])


def test_a_ticker_of_spot_has_no_time() -> None:
    ticker = codec.decode_touch(SPOT_TICKER).data
    assert (ticker.update_id, ticker.bid, ticker.bid_qty, ticker.ask, ticker.ask_qty, ticker.event_ms) == (
        400900217, 25.3519, 31.21, 25.3652, 40.66, None,
    )  # fmt: skip


def test_trade_mark_index_and_snapshot() -> None:
    trade = codec.decode_trade(b'{"data":{"e":"aggTrade","p":"0.001","q":"100","T":123456785,"m":true}}').data
    assert (trade.price, trade.qty, trade.trade_ms, trade.buyer_is_maker) == (0.001, 100.0, 123456785, True)
    mark = codec.decode_mark(
        b'{"data":{"e":"markPriceUpdate","E":7,"s":"BTCUSDT","p":"11794.15","i":"11784.62",'
        b'"r":"0.00038167","T":9}}'
    ).data
    assert (mark.mark, mark.index, mark.rate, mark.next_ms) == ("11794.15", "11784.62", "0.00038167", 9)
    dated = codec.decode_mark(
        b'{"data":{"e":"markPriceUpdate","E":7,"s":"BTCUSD_240927","p":"1.0","r":"","T":0}}'
    ).data
    assert (dated.index, dated.rate, dated.next_ms) == ("", "", 0)
    index = codec.decode_index(b'{"data":{"e":"indexPriceUpdate","E":7,"i":"BTCUSD","p":"9636.5"}}').data
    assert index.index == "9636.5"
    snapshot = codec.decode_snapshot(b'{"data":{"lastUpdateId":5,"bids":[["4.0","431"]],"asks":[]}}').data
    assert (snapshot.last, snapshot.bids, snapshot.event_ms) == (5, [(4.0, 431.0)], None)


BAD_NUMBERS = ['"0"', '"-1"', '"nan"', '"NaN"', '"inf"', '"1e999"', '"0x1"', '""', '"1_0"', "null", '"1e301"']


@pytest.mark.parametrize("price", BAD_NUMBERS)
def test_a_price_that_is_none_is_not_a_frame(price: str) -> None:
    for body in (f'"b":[[{price},"1"]],"a":[]', f'"b":[],"a":[["1","1"],[{price},"1"]]'):
        with pytest.raises(msgspec.ValidationError):
            codec.decode_depth(f'{{"data":{{"U":1,"u":1,{body}}}}}'.encode())
    with pytest.raises(msgspec.ValidationError):
        codec.decode_touch(f'{{"data":{{"u":1,"b":{price},"B":"1","a":"2","A":"1"}}}}'.encode())


@pytest.mark.parametrize("qty", ['"-1"', '"nan"', '"inf"', '""'])
def test_a_size_that_is_none_is_not_a_frame(qty: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        codec.decode_depth(f'{{"data":{{"U":1,"u":1,"b":[["1",{qty}]],"a":[]}}}}'.encode())


@pytest.mark.parametrize("time_ms", [-1, 9_000_000_000_001, 10**30])
def test_a_time_that_no_clock_shows_is_not_a_frame(time_ms: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        codec.decode_depth(f'{{"data":{{"U":1,"u":1,"b":[],"a":[],"E":{time_ms}}}}}'.encode())
    with pytest.raises(msgspec.ValidationError):
        codec.decode_mark(f'{{"data":{{"p":"1","E":1,"r":"0","T":{time_ms}}}}}'.encode())


DECIMALS = [("1.50", Decimal("1.50")), ("", None), ("0", ValueError), ("-1", ValueError), ("NaN", ValueError),
            ("Infinity", ValueError), ("x", ValueError)]  # fmt: skip


@pytest.mark.parametrize(("number", "expected"), DECIMALS)
def test_decimals_of_marks(number: str, expected: Decimal | type[Exception] | None) -> None:
    if expected is ValueError:
        with pytest.raises(msgspec.ValidationError):
            codec.positive(number)
    else:
        assert codec.positive(number) == expected


def test_a_rate_may_be_negative() -> None:
    assert codec.decimal("-0.00030000") == Decimal("-0.00030000")
    with pytest.raises(msgspec.ValidationError):
        codec.decimal("")


BARE = [
    (b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}', "btcusdt@depth"),
    (b'{"u":1,"s":"BNBUSDT","b":"25.3","B":"31","a":"25.4","A":"40"}', "bnbusdt@bookTicker"),
    (b'{"e":"bookTicker","u":1,"s":"BTCUSD_PERP","ps":"BTCUSD","b":"1","B":"1","a":"2","A":"1"}',
     "btcusd_perp@bookTicker"),
    (b'{"e":"trade","s":"BTCUSDT","p":"1","q":"1","T":1,"m":true}', "btcusdt@trade"),
    (b'{"e":"aggTrade","s":"BTCUSDT","p":"1","q":"1","T":1,"m":true}', "btcusdt@aggTrade"),
    (b'{"e":"markPriceUpdate","s":"BTCUSDT","p":"1","i":"1","r":"0","T":1,"E":1}', "btcusdt@markPrice"),
    (b'{"e":"indexPriceUpdate","i":"BTCUSD","p":"1","E":1}', "btcusd@indexPrice"),
    (b'{"lastUpdateId":1,"bids":[],"asks":[]}', "ethusdt@snapshot"),
    (b'{"lastUpdateId":1,"symbol":"BTCUSD_PERP","bids":[],"asks":[]}', "btcusd_perp@snapshot"),
    (b'{"timezone":"UTC","rateLimits":[],"symbols":[]}', "exchangeInfo"),
    (b'{"e":"forceOrder","o":{}}', ""),
    (b'{"result":null,"id":1}', ""),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "stream"), BARE)
def test_a_bare_frame_is_put_in_an_envelope(payload: bytes, stream: str) -> None:
    name, enveloped = codec.enveloped(payload, "ETHUSDT")
    assert name == stream
    assert msgspec.json.decode(enveloped) == {"stream": stream, "data": msgspec.json.decode(payload)}
    assert codec.enveloped(enveloped, None) == (name, enveloped) or not name


def test_a_snapshot_without_symbol_is_nobodys_among_several() -> None:
    assert codec.enveloped(b'{"lastUpdateId":1,"bids":[],"asks":[]}', None)[0] == ""


DECODERS: list[Callable[[bytes], object]] = [
    codec.decode_depth,
    codec.decode_touch,
    codec.decode_trade,
    codec.decode_mark,
    codec.decode_index,
    codec.decode_snapshot,
    codec.decode_anything,
    lambda payload: codec.enveloped(payload, None),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("eEsuUbBaApqTmir"), inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: msgspec.json.encode({"stream": "x", "data": value})))
def test_no_bytes_raise_anything_but_a_decode_error(payload: bytes) -> None:
    for decode in DECODERS:
        try:
            decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
