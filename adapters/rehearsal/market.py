"""Public requests of the three markets, answered from the stage in the venue's shapes.

`answer` serves REST; `public` is the same by name and parameters, which the WebSocket API asks too.  What a
market of the real venue answers as a list, a list it is (COIN-M's premium index and tickers of one symbol).

Sources: models and docstrings of binance-sdk-spot 13.3.0, -derivatives-trading-usds-futures 18.1.0 and
-coin-futures 14.1.0, and the parsers of ccxt 4.5.90 (PyPI, 2026-11-20).  A price before the first trade is
the middle of the book, which a real venue never has to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from adapters.binance.endpoints import depth_weight
from adapters.rehearsal.auth import Params, Refused, in_milliseconds, missing, read_params
from adapters.rehearsal.params import BAD_SYMBOL, whole
from adapters.rehearsal.seam import Request, Response
from adapters.rehearsal.stage import Stage, average
from adapters.rehearsal.tape import Print, Tape
from adapters.rehearsal.world import World
from bot.model.ids import InstrumentId, symbol_of

PREFIXES: Mapping[str, tuple[str, ...]] = {
    "spot": ("/api/v3/",),
    "usdm": ("/fapi/v1/", "/fapi/v2/"),
    "coinm": ("/dapi/v1/",),
}

_MS = 1_000_000
_SPOT_DEPTH_MAX = 5000
_FUTURES_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_ROWS_MAX = 1000
_WEIGHTS: Mapping[str, Mapping[str, int]] = {
    "spot": {"exchangeInfo": 20, "trades": 25, "aggTrades": 4, "ticker/24hr": 2, "ticker/price": 2}
    | {"ticker/bookTicker": 2, "avgPrice": 2},
    "usdm": {"trades": 5, "aggTrades": 20, "ticker/bookTicker": 2, "fundingRate": 0, "fundingInfo": 0},
    "coinm": {"trades": 5, "aggTrades": 20, "ticker/bookTicker": 2, "premiumIndex": 10},
}


def answer(world: World, market: str, request: Request) -> Response | None:
    """A public request's answer or refusal; ``None`` for a path that is not public.

    The header ``x-mbx-used-weight`` holds this request's own weight.
    """
    name = next(
        (request.path.removeprefix(prefix) for prefix in PREFIXES[market] if request.path.startswith(prefix)),
        "",
    )
    if name not in _PUBLIC or request.method != "GET":
        return None
    try:
        params = in_milliseconds(market, read_params(request.query, ""))
        body, status = public(world, market, name, params), 200
        charged = weight(market, name, params)
    except Refused as error:
        body, status, charged = {"code": error.code, "msg": error.text}, error.status, 1
    if body is None:
        return None
    headers = {"content-type": "application/json;charset=UTF-8", "x-mbx-used-weight": str(charged)}
    return Response(status, headers, msgspec.json.encode(body))


def public(world: World, market: str, name: str, params: Params) -> Any:
    """The answer to a public request as JSON values; ``None`` where this market has no such request.

    ``name`` is the path behind the version: ``depth``, ``ticker/price``.  Raises `Refused`.
    """
    serve = _PUBLIC.get(name)
    if serve is None or name in (_FUTURES_ONLY if market == "spot" else _SPOT_ONLY):
        return None
    return serve(_Asked(world, market, params))


def weight(market: str, name: str, params: Params) -> int:
    """What the venue charges for a public request."""
    if name == "depth":
        limit = whole(params, "limit") or (100 if market == "spot" else 500)
        return depth_weight(market, min(limit, _SPOT_DEPTH_MAX if market == "spot" else _ROWS_MAX))
    charged = _WEIGHTS[market].get(name, 1)
    if name.startswith("ticker/") and "symbol" not in params:
        return {"ticker/24hr": 80 if market == "spot" else 40}.get(name, charged * 2)
    return charged


class _Asked:
    """One request: who is asked, and what for."""

    def __init__(self, world: World, market: str, params: Params) -> None:
        self.world = world
        self.market = market
        self.params = params
        self.stage: Stage = world.stages[market]

    @property
    def is_spot(self) -> bool:
        return self.market == "spot"

    @property
    def now_ms(self) -> int:
        return self.world.wire_ms(self.world.now_ns())

    def ms(self, told_ms: int) -> int:
        """A time of the stage as this venue's clock has it."""
        return self.world.wire_ms(told_ms * _MS)

    def symbol(self) -> str:
        """The mandatory symbol."""
        symbol = self.params.get("symbol", "")
        if not symbol:
            raise missing("symbol")
        return self.known(symbol)

    def known(self, symbol: str) -> str:
        if symbol not in self.stage.tapes:
            raise Refused(*BAD_SYMBOL)
        return symbol

    def symbols(self) -> list[str]:
        """The symbols asked for, or all; COIN-M may be asked by pair."""
        if self.params.get("symbol"):
            return [self.symbol()]
        if self.is_spot and self.params.get("symbols"):
            try:
                names = msgspec.json.decode(self.params["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise Refused(-1100, "Illegal characters found in parameter 'symbols'.") from None
            return [self.known(name) for name in names]
        pair = self.params.get("pair") if self.market == "coinm" else None
        return [name for name in self.stage.tapes if pair is None or name.partition("_")[0] == pair]

    def limit(self, usual: int, most: int = _ROWS_MAX) -> int:
        return min(whole(self.params, "limit") or usual, most)

    def shaped(self, rows: list[dict[str, Any]]) -> Any:
        """One object for one symbol, a list for several; COIN-M always has a list."""
        if self.market != "coinm" and self.params.get("symbol"):
            return rows[0]
        return rows


def _ping(asked: _Asked) -> Any:
    return {}


def _time(asked: _Asked) -> Any:
    return {"serverTime": asked.now_ms}


def _exchange_info(asked: _Asked) -> Any:
    symbols = set(asked.symbols() if asked.is_spot else asked.stage.tapes)
    names: list[InstrumentId] = [name for name in asked.stage.channels if symbol_of(name) in symbols]
    return asked.world.catalog.exchange_info(asked.market, names, asked.world.statuses, asked.now_ms)


def _depth(asked: _Asked) -> Any:
    symbol = asked.symbol()
    limit = asked.limit(100, _SPOT_DEPTH_MAX) if asked.is_spot else asked.limit(500)
    if not asked.is_spot and limit not in _FUTURES_DEPTHS:
        raise Refused(-4021, f"'{limit}' is not valid depth limit.")
    tape, stage = asked.stage.tapes[symbol], asked.stage
    book: dict[str, Any] = {"lastUpdateId": stage.book_id(symbol)}
    if not asked.is_spot:
        book |= {"E": asked.now_ms, "T": asked.ms(tape.book_ms)}
    if asked.market == "coinm":
        book |= {"symbol": symbol, "pair": symbol.partition("_")[0]}
    return book | {"bids": stage.ladder(symbol, True, limit), "asks": stage.ladder(symbol, False, limit)}


def _trades(asked: _Asked) -> Any:
    symbol = asked.symbol()
    prints = list(asked.stage.tapes[symbol].trades)[-asked.limit(500) :]
    return [_trade(asked, symbol, one) for one in prints]


def _trade(asked: _Asked, symbol: str, one: Print) -> dict[str, Any]:
    digits = asked.stage.digits[symbol]
    cost = "baseQty" if asked.market == "coinm" else "quoteQty"
    row: dict[str, Any] = {
        "id": one.id,
        "price": digits.price(one.price),
        "qty": digits.qty(one.qty),
        cost: f"{one.cost:.8f}",
        "time": asked.ms(one.ms),
        "isBuyerMaker": one.buyer_is_maker,
    }
    return row | ({"isBestMatch": True} if asked.is_spot else {})


def _agg_trades(asked: _Asked) -> Any:
    symbol = asked.symbol()
    digits = asked.stage.digits[symbol]
    from_id, from_ms = whole(asked.params, "fromId") or 0, whole(asked.params, "startTime") or 0
    until_ms = whole(asked.params, "endTime")
    prints = [
        one
        for one in asked.stage.tapes[symbol].trades
        if one.id >= from_id
        and asked.ms(one.ms) >= from_ms
        and (not until_ms or asked.ms(one.ms) <= until_ms)
    ]
    limit = asked.limit(500)
    prints = prints[:limit] if from_id or from_ms else prints[-limit:]
    return [
        {
            "a": one.id,
            "p": digits.price(one.price),
            "q": digits.qty(one.qty),
            "f": one.id,
            "l": one.id,
            "T": asked.ms(one.ms),
            "m": one.buyer_is_maker,
        }
        | ({"M": True} if asked.is_spot else {})
        for one in prints
    ]


def _last(asked: _Asked, symbol: str) -> float:
    """The last price; before the first trade the middle of the book, and 0 where there is none either."""
    last = asked.stage.tapes[symbol].last
    if last is not None:
        return float(last.price)
    touch = asked.stage.channels[asked.stage.tapes[symbol].instrument.id].touch()
    return (touch[0] + touch[1]) / 2 if touch else 0.0


def _price(asked: _Asked) -> Any:
    rows: list[dict[str, Any]] = []
    for symbol in asked.symbols():
        row: dict[str, Any] = {
            "symbol": symbol,
            "price": asked.stage.digits[symbol].price(_last(asked, symbol)),
        }
        if asked.market == "coinm":
            row["ps"] = symbol.partition("_")[0]
        rows.append(row if asked.is_spot else row | {"time": asked.now_ms})
    return asked.shaped(rows)


def _avg_price(asked: _Asked) -> Any:
    symbol = asked.symbol()
    price = average(asked.stage.tapes[symbol]) or _last(asked, symbol)
    return {"mins": 5, "price": asked.stage.digits[symbol].price(price), "closeTime": asked.now_ms}


def _book_ticker(asked: _Asked) -> Any:
    rows: list[dict[str, Any]] = []
    for symbol in asked.symbols():
        bids, asks = asked.stage.ladder(symbol, True, 1), asked.stage.ladder(symbol, False, 1)
        bid, ask = bids[0] if bids else ["0", "0"], asks[0] if asks else ["0", "0"]
        row: dict[str, Any] = {"symbol": symbol}
        if not asked.is_spot:
            row["lastUpdateId"] = asked.stage.book_id(symbol)
        if asked.market == "coinm":
            row["pair"] = symbol.partition("_")[0]
        row |= {"bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0], "askQty": ask[1]}
        if not asked.is_spot:
            row["time"] = asked.ms(asked.stage.tapes[symbol].book_ms)
        rows.append(row)
    return asked.shaped(rows)


def _statistic(asked: _Asked) -> Any:
    return asked.shaped([_day(asked, symbol) for symbol in asked.symbols()])


def _day(asked: _Asked, symbol: str) -> dict[str, Any]:
    tape: Tape = asked.stage.tapes[symbol]
    digits, last = asked.stage.digits[symbol], _last(asked, symbol)
    opened = float(tape.open) if tape.open is not None else last
    row: dict[str, Any] = {"symbol": symbol}
    if asked.market == "coinm":
        row["pair"] = symbol.partition("_")[0]
    row |= {
        "priceChange": digits.price(last - opened),
        "priceChangePercent": f"{(last - opened) / opened * 100 if opened else 0.0:.3f}",
        "weightedAvgPrice": digits.price(average(tape) or last),
    }
    if asked.is_spot:
        bids, asks = asked.stage.ladder(symbol, True, 1), asked.stage.ladder(symbol, False, 1)
        bid, ask = bids[0] if bids else ["0", "0"], asks[0] if asks else ["0", "0"]
        row |= {"prevClosePrice": digits.price(opened)}
        row |= {"bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0], "askQty": ask[1]}
    return row | {
        "lastPrice": digits.price(last),
        "lastQty": digits.qty(tape.last.qty if tape.last else 0.0),
        "openPrice": digits.price(opened),
        "highPrice": digits.price(tape.high if tape.high is not None else last),
        "lowPrice": digits.price(tape.low if tape.low is not None else last),
        "volume": digits.qty(tape.volume),
        "baseVolume" if asked.market == "coinm" else "quoteVolume": f"{tape.turnover:.8f}",
        "openTime": asked.ms(tape.begun_ms),
        "closeTime": asked.now_ms,
        "firstId": tape.trades[0].id if tape.trades else -1,
        "lastId": tape.trades[-1].id if tape.trades else -1,
        "count": tape.count,
    }


def _premium_index(asked: _Asked) -> Any:
    rows: list[dict[str, Any]] = []
    for symbol in asked.symbols():
        data = asked.stage.mark(asked.stage.tapes[symbol])
        if not data:
            continue
        row: dict[str, Any] = {"symbol": symbol}
        if asked.market == "coinm":
            row["pair"] = symbol.partition("_")[0]
        rows.append(
            row
            | {
                "markPrice": data["p"],
                "indexPrice": data.get("i", ""),
                "estimatedSettlePrice": data.get("P", ""),
                "lastFundingRate": data.get("r", ""),
                "interestRate": "0.00010000",
                "nextFundingTime": asked.ms(data["T"]) if data.get("T") else 0,
                "time": asked.ms(data["E"]),
            }
        )
    if not rows and asked.params.get("symbol"):
        raise Refused(*BAD_SYMBOL)
    return asked.shaped(rows)


def _funding_rates(asked: _Asked) -> Any:
    if asked.market == "coinm":
        asked.symbol()
    from_ms, until_ms = whole(asked.params, "startTime"), whole(asked.params, "endTime")
    rows: list[dict[str, Any]] = []
    for symbol in asked.symbols():
        name = asked.stage.tapes[symbol].instrument.id
        for settled in asked.world.records.settled.get(name, ()):
            ms = asked.world.wire_ms(settled.settled_ns)
            if ms < (from_ms or 0) or (until_ms is not None and ms > until_ms):
                continue
            row: dict[str, Any] = {"symbol": symbol, "fundingTime": ms, "fundingRate": f"{settled.rate:.8f}"}
            rows.append(row | ({"markPrice": f"{settled.mark:.8f}"} if asked.market == "usdm" else {}))
    rows.sort(key=lambda row: row["fundingTime"])
    limit = asked.limit(100)
    return rows[:limit] if from_ms is not None else rows[-limit:]


def _funding_info(asked: _Asked) -> Any:
    return asked.world.catalog.funding_info(asked.market)


_SPOT_ONLY = ("avgPrice",)
_FUTURES_ONLY = ("premiumIndex", "fundingRate", "fundingInfo")
_PUBLIC: Mapping[str, Callable[[_Asked], Any]] = {
    "ping": _ping,
    "time": _time,
    "exchangeInfo": _exchange_info,
    "depth": _depth,
    "trades": _trades,
    "aggTrades": _agg_trades,
    "avgPrice": _avg_price,
    "ticker/price": _price,
    "ticker/bookTicker": _book_ticker,
    "ticker/24hr": _statistic,
    "premiumIndex": _premium_index,
    "fundingRate": _funding_rates,
    "fundingInfo": _funding_info,
}
