"""Stock ccxt and ccxt.pro against the rehearsal servers: they answer the protocol, not our client.

The three classes of a story run side by side, since ccxt's own rate limiter is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from adapters.ccxt.exchange import library
from adapters.rehearsal.auth import Refused
from adapters.rehearsal.usage import PATIENCE
from bot.model.ids import InstrumentId
from tests.rehearsal.stock import stock
from tests.rehearsal.venue import Venue, served

PATIENCE_S = 20.0
SYMBOLS = {"binance": "BTC/USDT", "binanceusdm": "BTC/USDT:USDT", "binancecoinm": "BTC/USD:BTC"}
CONTRACTS = ("binanceusdm", "binancecoinm")
CASH = {"binance": "USDT", "binanceusdm": "USDT", "binancecoinm": "BTC"}
QTY = {"binance": 0.01, "binanceusdm": 0.01, "binancecoinm": 10}
BOTH_WAYS = pytest.mark.parametrize("way", [("async_support", "hmac"), ("pro", "ed25519")], ids="-".join)
BOTH_KEYS = pytest.mark.parametrize("way", [("pro", "hmac"), ("pro", "ed25519")], ids="-".join)
BY_HMAC, NO_KEY = ("async_support", "hmac"), ("async_support", "none")

Story = Callable[[Any, str, str], Coroutine[Any, Any, None]]  # exchange, its class, the symbol


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with served() as venue:
        yield venue


def told(venue: Venue, way: tuple[str, str], story: Story, names: Iterable[str] = SYMBOLS) -> None:
    """Run a story with each class at once, within the patience of a test."""

    async def one(name: str) -> None:
        exchange = stock(way[0], name, venue.said, way[1])
        try:
            await exchange.load_markets()
            await story(exchange, name, SYMBOLS[name])
        finally:
            await exchange.close()

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(one(name) for name in names))

    asyncio.run(main())


async def far_below(exchange: Any, symbol: str) -> str:
    """A price at which a bid rests."""
    book = await exchange.fetch_order_book(symbol)
    return str(exchange.price_to_precision(symbol, book["bids"][0][0] * 0.99))


@BOTH_WAYS
def test_markets_are_loaded(venue: Venue, way: tuple[str, str]) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        market = exchange.market(symbol)
        assert market["active"]
        assert market["precision"]["price"] == (0.01 if name == "binance" else 0.1)
        assert market["limits"]["amount"]["min"] > 0
        assert market["contractSize"] == {"binance": None, "binanceusdm": 1, "binancecoinm": 100}[name]
        assert "BTC" in exchange.currencies
        assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 5_000

    told(venue, way, story)


@BOTH_WAYS
def test_the_account_is_read(venue: Venue, way: tuple[str, str]) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        assert (await exchange.fetch_balance())["total"][CASH[name]] > 0
        fee = await exchange.fetch_trading_fee(symbol)
        assert 0 <= fee["maker"] <= fee["taker"] < 0.01
        if name in CONTRACTS:
            assert await exchange.fetch_positions([symbol]) is not None
            tiers = (await exchange.fetch_leverage_tiers([symbol]))[symbol]
            assert [one["minNotional"] for one in tiers] == sorted(one["minNotional"] for one in tiers)
            assert (await exchange.fetch_leverages([symbol]))[symbol]["longLeverage"] >= 1

    told(venue, way, story)


def test_the_market_is_read(venue: Venue) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        book = await exchange.fetch_order_book(symbol, 20)
        assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await exchange.fetch_ticker(symbol)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        touch = (await exchange.fetch_bids_asks([symbol]))[symbol]
        assert touch["bid"] < touch["ask"]
        assert all(one["price"] > 0 for one in await exchange.fetch_trades(symbol))

    told(venue, NO_KEY, story)


def test_funding_is_read_and_paid(venue: Venue) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        rate = await exchange.fetch_funding_rate(symbol)
        assert rate["fundingTimestamp"] > exchange.milliseconds()
        assert symbol in await exchange.fetch_funding_rates([symbol])
        await exchange.create_order(symbol, "market", "buy", QTY[name])
        market = "usdm" if name == "binanceusdm" else "coinm"
        instrument = InstrumentId(f"binance:{market}:{exchange.market(symbol)['id']}")
        venue.do(lambda: venue.world.settle_funding_now(instrument))
        (paid,) = await exchange.fetch_funding_history(symbol)
        assert paid["code"] == CASH[name]
        assert paid["amount"] * rate["fundingRate"] < 0, "a long pays a positive rate"
        settled = await exchange.fetch_funding_rate_history(symbol)
        assert settled[-1]["fundingRate"] == pytest.approx(rate["fundingRate"], rel=0.5)
        (position,) = await exchange.fetch_positions([symbol])
        assert (position["side"], position["contracts"]) == ("long", QTY[name])
        await exchange.create_order(symbol, "market", "sell", QTY[name], None, {"reduceOnly": True})
        assert all(one["contracts"] == 0 for one in await exchange.fetch_positions([symbol]))

    told(venue, BY_HMAC, story, CONTRACTS)


@BOTH_WAYS
def test_an_order_rests_and_is_cancelled(venue: Venue, way: tuple[str, str]) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        price = await far_below(exchange, symbol)
        mine = {"clientOrderId": f"stock-{name}-{way[1]}"}
        placed = await exchange.create_order(symbol, "limit", "buy", QTY[name], price, mine)
        assert (placed["status"], placed["clientOrderId"]) == ("open", mine["clientOrderId"])
        assert [one["id"] for one in await exchange.fetch_open_orders(symbol)] == [placed["id"]]
        assert (await exchange.fetch_order(placed["id"], symbol))["amount"] == QTY[name]
        assert (await exchange.fetch_order("", symbol, mine))["id"] == placed["id"]
        with pytest.raises(library().ExchangeError):
            await exchange.create_order(symbol, "limit", "buy", QTY[name], price, mine)
        assert (await exchange.cancel_order(placed["id"], symbol))["status"] == "canceled"
        assert await exchange.fetch_open_orders(symbol) == []
        with pytest.raises(library().OrderNotFound):
            await exchange.cancel_order(placed["id"], symbol)
        assert (await exchange.fetch_orders(symbol))[-1]["status"] == "canceled"

    told(venue, way, story)


def test_a_taker_trades(venue: Venue) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        since = exchange.milliseconds() - 1_000
        done = await exchange.create_order(symbol, "market", "buy", QTY[name])
        assert (done["status"], done["filled"]) == ("closed", QTY[name])
        mine = [one for one in await exchange.fetch_my_trades(symbol, since) if one["order"] == done["id"]]
        assert sum(one["amount"] for one in mine) == pytest.approx(QTY[name])
        assert all(one["fee"]["cost"] > 0 and one["takerOrMaker"] == "taker" for one in mine)
        low = await far_below(exchange, symbol)
        with pytest.raises(library().ExchangeError):
            await exchange.create_order(symbol, "limit", "sell", QTY[name], low, {"postOnly": True})
        taken = await exchange.create_order(symbol, "limit", "sell", QTY[name], low, {"timeInForce": "IOC"})
        assert taken["status"] == "closed"

    told(venue, BY_HMAC, story)


def test_keys_are_checked(venue: Venue) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        for key, secret in ((venue.said["api_key"], "0" * 64), ("1" * 64, venue.said["secret"])):
            exchange.apiKey, exchange.secret = key, secret
            with pytest.raises(library().AuthenticationError):
                await exchange.fetch_balance()

    told(venue, NO_KEY, story)


def test_books_are_watched(venue: Venue) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        nonces = []
        for _ in range(2):
            book = await exchange.watch_order_book(symbol)
            assert book["bids"][0][0] < book["asks"][0][0]
            nonces.append(book["nonce"])
        assert nonces[0] < nonces[1]

    told(venue, ("pro", "none"), story)


def test_prices_are_watched(venue: Venue) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        touch = (await exchange.watch_bids_asks([symbol]))[symbol]
        assert touch["bid"] < touch["ask"]
        assert (await exchange.watch_ticker(symbol))["last"] > 0

    told(venue, ("pro", "none"), story)


def test_a_banned_address_is_told_so_in_words_that_ccxt_knows() -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        def go_on_and_on() -> None:
            now_ms = own.teller.now_ms()
            for _ in range(PATIENCE + 1):
                with suppress(Refused):
                    own.teller.usage["usdm"].admit(now_ms, 2401)

        own.do(go_on_and_on)
        with pytest.raises(library().DDoSProtection, match=r"418 .*-1003.*IP banned until"):
            await exchange.create_order(symbol, "market", "buy", QTY[name])

    with served() as own:
        told(own, BY_HMAC, story, ("binanceusdm",))


@BOTH_KEYS
def test_the_account_is_watched(venue: Venue, way: tuple[str, str]) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        connected, on_connected = asyncio.Event(), exchange.on_connected

        def note(*said: Any) -> None:
            on_connected(*said)
            connected.set()

        exchange.on_connected = note
        await exchange.authenticate()
        orders = asyncio.ensure_future(exchange.watch_orders(symbol))
        trades = asyncio.ensure_future(exchange.watch_my_trades(symbol))
        balance = asyncio.ensure_future(exchange.watch_balance())
        await connected.wait()
        done = await exchange.create_order(symbol, "market", "buy", QTY[name])
        assert (await trades)[0]["order"] == done["id"]
        assert (await orders)[0]["id"] == done["id"]
        assert (await balance)[CASH[name]]["total"] > 0

    told(venue, way, story)


@BOTH_KEYS
def test_orders_go_over_the_websocket_api(venue: Venue, way: tuple[str, str]) -> None:
    async def story(exchange: Any, name: str, symbol: str) -> None:
        price = await far_below(exchange, symbol)
        placed = await exchange.create_order_ws(symbol, "limit", "buy", QTY[name], price)
        assert placed["status"] == "open"
        assert (await exchange.fetch_order_ws(placed["id"], symbol))["status"] == "open"
        assert (await exchange.cancel_order_ws(placed["id"], symbol))["status"] == "canceled"
        with pytest.raises(library().ExchangeError):
            await exchange.cancel_order_ws(placed["id"], symbol)

    told(venue, way, story)
