"""Who notices that an update of a book is missing: each class's own handler is told a book and then, after a
hole, an update.  A new ccxt that checks less, or more, than `BOOK_STREAMS` says fails here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from adapters.ccxt.exchange import (
    BOOK_STREAMS,
    BY_CLIENT_ID,
    Access,
    BookCheck,
    BookStream,
    book_stream_of,
    capability,
    library,
    why_not_traded,
)
from adapters.ccxt.gateway import CcxtGateway, CcxtOptions
from adapters.errors import FeedError
from tests.adapters.ccxt.rows import ASKING
from tests.adapters.ccxt.test_feed_settled import LoopClock
from tests.core.world import make_config

OLD, NEW = 100.0, 90.0  # best bid of the first message, and the only one of the second
Told = dict[str, Any]


class Client:
    """ccxt's socket, as far as its handlers know it."""

    def __init__(self, url: str = "wss://host") -> None:
        self.url = url
        self.subscriptions: dict[str, Any] = {}
        self.futures: dict[str, Any] = {}
        self.rejected: list[Exception] = []

    def resolve(self, result: Any, *hashes: str) -> None:
        pass

    def reject(self, error: Exception, *hashes: str) -> None:
        self.rejected.append(error)


def levels(price: float, size: str = "1") -> list[list[str]]:
    return [[str(price), size]]


def okx(is_first: bool) -> Told:
    price, seq, before = (OLD, 10, -1) if is_first else (NEW, 30, 20)
    row = {"asks": levels(110.0), "bids": levels(price), "ts": "1", "seqId": seq, "prevSeqId": before}
    arg = {"channel": "books", "instId": "BTCUSDT"}
    return {"arg": arg, "action": "snapshot" if is_first else "update", "data": [row]}


def bitget(is_first: bool) -> Told:
    row = {"asks": levels(110.0), "bids": levels(OLD if is_first else NEW), "ts": "1"}
    arg = {"instType": "SPOT", "channel": "books15", "instId": "BTCUSDT"}
    return {"arg": arg, "action": "snapshot", "data": [row]}


def kucoin(is_first: bool) -> Told:
    book = {"asks": levels(110.0), "bids": levels(OLD if is_first else NEW), "timestamp": 1}
    return {"topic": "/spotMarket/level2Depth50:BTCUSDT", "type": "message", "data": book}


def aster(is_first: bool) -> Told:
    return {"s": "BTCUSDT", "T": 1, "b": levels(OLD if is_first else NEW), "a": levels(110.0)}


def paradex(is_first: bool) -> Told:
    rows = [{"side": "BUY", "price": str(OLD if is_first else NEW), "size": "1"}]
    rows.append({"side": "SELL", "price": "110", "size": "1"})
    data = {"market": "BTCUSDT", "last_updated_at": 1, "seq_no": 1 if is_first else 9, "inserts": rows}
    return {"params": {"channel": "order_book", "data": data}}


def woofipro(is_first: bool) -> Told:
    data = {"symbol": "BTCUSDT", "bids": levels(OLD if is_first else NEW), "asks": levels(110.0)}
    return {"topic": "BTCUSDT@orderbook", "ts": 1, "data": data}


def phemex(is_first: bool) -> Told:
    book = {"asks": levels(110.0), "bids": levels(OLD if is_first else NEW)}
    kind, number = ("snapshot", 10) if is_first else ("incremental", 90)
    told = {"symbol": "BTCUSDT", "type": kind, "sequence": number, "timestamp": 1, "depth": 30}
    return {**told, "orderbook_p": book}


FRAMES: dict[str, Callable[[bool], Told]] = {
    "okx": okx, "bitget": bitget, "kucoin": kucoin, "aster": aster, "paradex": paradex, "woofipro": woofipro,
    "phemex": phemex,
}  # fmt: skip


def told_with_a_hole(name: str) -> tuple[Client, list[float], Any]:
    """The class's book after the second message: what it rejected, the prices of its bids, the exchange."""

    async def story() -> tuple[Client, list[float], Any]:
        exchange = getattr(library(), name)()
        market = {
            "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "type": "spot",
            "spot": True, "swap": False, "contract": False, "active": True,
            "precision": {"price": 0.1, "amount": 0.1}, "limits": {}, "info": {},
        }  # fmt: skip
        exchange.set_markets([exchange.safe_market_structure(market)])
        client = Client("wss://host/spot")
        client.subscriptions = {"books:BTC/USDT": {}}
        for is_first in (True, False):
            exchange.handle_order_book(client, FRAMES[name](is_first))
        book = exchange.orderbooks.get("BTC/USDT")
        await exchange.close()
        return client, [] if book is None else [float(level[0]) for level in book["bids"]], exchange

    return asyncio.run(story())


@pytest.mark.parametrize("name", FRAMES)
def test_a_missing_update_is_noticed_as_the_table_says(name: str) -> None:
    client, bids, _ = told_with_a_hole(name)
    match book_stream_of(name).check:
        case BookCheck.CHECKED:
            assert [isinstance(one, library().InvalidNonce) for one in client.rejected] == [True]
        case BookCheck.WHOLE:
            assert bids == [NEW], "the second message is the whole book"
        case BookCheck.UNCHECKED:
            assert not client.rejected
            assert sorted(bids) == [NEW, OLD], "the level that the hole took away still stands"


@pytest.mark.parametrize("name", ["binance", "binanceusdm", "binancecoinm", "binanceus"])
def test_binance_s_classes_raise(name: str) -> None:
    async def story() -> Client:
        exchange, client = getattr(library(), name)(), Client("wss://host/ws")
        book = exchange.order_book({"bids": [[OLD, 1.0]], "asks": [[110.0, 1.0]], "nonce": 10})
        exchange.orderbooks["BTC/USDT"] = book
        frame = {"e": "depthUpdate", "s": "BTCUSDT", "U": 30, "u": 40, "pu": 29, "b": [], "a": []}
        exchange.safe_market = lambda *told: {"symbol": "BTC/USDT"}
        exchange.handle_order_book(client, frame)
        await exchange.close()
        return client

    (error,) = asyncio.run(story()).rejected
    assert isinstance(error, library().InvalidNonce)


def test_the_table_names_every_class_that_may_trade_and_streams_its_book() -> None:
    for name in BY_CLIENT_ID:
        streams = name in library().exchanges and getattr(library(), name)().has["watchOrderBook"]
        assert (name in BOOK_STREAMS) or name == "phemex" or not streams, name
    assert book_stream_of("coinsph") == BookStream(BookCheck.WHOLE), "it is polled"
    assert not ASKING.coinsph().has["watchOrderBook"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("phemex", "takes a missing update of a book silently"),
        ("hyperliquid", "approves a builder's fee"),
        ("bybit", "asks the venue twice"),
        ("kraken", "looks no order up by client id"),
    ],
)
def test_what_is_not_traded_is_refused_with_its_reason(name: str, why: str) -> None:
    assert why in why_not_traded(name)
    assert why in capability(name)
    access = Access(name=name, credentials={"apiKey": "k", "secret": "s"})
    with pytest.raises(FeedError, match=why):
        CcxtGateway(CcxtOptions(access=access, legs=(), config=make_config()), LoopClock())


def test_where_nobody_checks_the_doctor_and_the_settings_say_so() -> None:
    assert "of which a missing update goes unnoticed" in capability("phemex")
    assert "of which a missing update goes unnoticed" not in capability("kucoin")


@pytest.mark.parametrize("name", sorted(BY_CLIENT_ID - {"phemex"}))
def test_the_others_may_trade(name: str) -> None:
    assert why_not_traded(name) == ""
