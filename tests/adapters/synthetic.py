"""Frames in Binance's wire format, made up: what the tests of feeds are fed with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.materiality import Materiality
from bot.model.ids import instrument_id
from bot.model.instrument import Instrument
from tests import instruments

START_MS = 1_700_000_000_000
START_NS = START_MS * 1_000_000
Quote = tuple[str, str]
SYMBOLS = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}
STEADY = Materiality(clip_quote=1000.0, materiality_bps=1.0, heartbeat_s=10.0)


def instrument(market: str, symbol: str | None = None) -> Instrument:
    return instruments.instrument(instrument_id("binance", market, symbol or SYMBOLS[market]))


def side(levels: Iterable[Quote]) -> str:
    return "[" + ",".join(f'["{price}","{qty}"]' for price, qty in levels) + "]"


def depth(
    market: str,
    ids: tuple[int, int, int],
    bids: Sequence[Quote] = (),
    asks: Sequence[Quote] = (),
    ms: int = START_MS,
) -> bytes:
    """A depth update with ids ``(U, u, pu)``; spot leaves ``pu`` out, COIN-M adds ``ps``."""
    first, last, previous = ids
    symbol = SYMBOLS[market]
    more = "" if market == "spot" else f',"pu":{previous}'
    pair = ',"ps":"BTCUSD"' if market == "coinm" else ""
    return (
        f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{symbol}"{pair},'
        f'"U":{first},"u":{last}{more},"b":{side(bids)},"a":{side(asks)}}}}}'
    ).encode()


def snapshot(market: str, last: int, bids: Sequence[Quote], asks: Sequence[Quote]) -> bytes:
    """A REST answer as it comes, without envelope."""
    more = "" if market == "spot" else f'"E":{START_MS},"T":{START_MS},'
    if market == "coinm":
        more += '"symbol":"BTCUSD_PERP","pair":"BTCUSD",'
    return f'{{"lastUpdateId":{last},{more}"bids":{side(bids)},"asks":{side(asks)}}}'.encode()


def ticker(market: str, update_id: int, bid: Quote, ask: Quote) -> bytes:
    symbol = SYMBOLS[market]
    event = "" if market == "spot" else f'"e":"bookTicker","E":{START_MS},'
    return (
        f'{{"stream":"{symbol.lower()}@bookTicker","data":{{{event}"u":{update_id},"s":"{symbol}",'
        f'"b":"{bid[0]}","B":"{bid[1]}","a":"{ask[0]}","A":"{ask[1]}"}}}}'
    ).encode()


def trade(
    market: str, price: str = "100.0", qty: str = "1", *, maker_buys: bool = True, kind: str = "trade"
) -> bytes:
    symbol = SYMBOLS[market]
    return (
        f'{{"stream":"{symbol.lower()}@{kind}","data":{{"e":"{kind}","E":{START_MS},'
        f'"T":{START_MS},"s":"{symbol}","p":"{price}","q":"{qty}","m":{"true" if maker_buys else "false"}}}}}'
    ).encode()


def mark(market: str, mark: str, index: str | None, rate: str, next_ms: int) -> bytes:
    symbol = SYMBOLS[market]
    more = "" if index is None else f'"i":"{index}",'
    return (
        f'{{"stream":"{symbol.lower()}@markPrice@1s","data":{{"e":"markPriceUpdate",'
        f'"E":{START_MS},"s":"{symbol}","p":"{mark}",{more}"r":"{rate}","T":{next_ms}}}}}'
    ).encode()
