"""Where Binance answers: hosts, requests and streams, each in one table.

Everything the bot asks of the venue is a row of `ENDPOINTS`; a request that is not there cannot be made.  A
row's weight is what the venue charges its IP budget; where that depends on a parameter, the row holds the
weight of the form in which the bot asks (`depth_weight` for the one whose parameter varies).  ``order_count``
is what the request adds to the account's order budget.

Sources, all of 2026-11-20: binance_sdk_spot 13.3.0, binance_sdk_derivatives_trading_usds_futures 18.1.0,
binance_sdk_derivatives_trading_coin_futures 14.1.0, binance_common 4.7.0 (hosts), ccxt 4.5.90 and the
venue's general information pages (demo hosts; their WebSocket API unverified).
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from msgspec import Struct

MARKETS = ("spot", "usdm", "coinm")
HostMode = Literal["live", "testnet", "rehearsal"]


class Hosts(Struct, frozen=True):
    """Roots of one market, without path: REST, streams (market and private), WebSocket API."""

    rest: str
    ws: str
    wsapi: str


class Security(Enum):
    NONE = "none"
    KEY = "key"  # the API key, no signature
    SIGNED = "signed"


class Endpoint(Struct, frozen=True):
    """One request.  ``ws_method`` is its name at the WebSocket API, empty where the bot asks by REST
    alone."""

    name: str
    method: str
    path: str
    weight: int
    security: Security
    order_count: int = 0
    ws_method: str = ""


class StreamPath(Enum):
    """Which connection carries a stream: USD-M splits them, and on a wrong path a stream stays silent."""

    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"


# One account serves all three markets of the demo hosts; the older spot test network has accounts of its own.
_HOSTS: dict[str, dict[str, Hosts]] = {
    "live": {
        "spot": Hosts(
            "https://api.binance.com", "wss://stream.binance.com:9443", "wss://ws-api.binance.com:443"
        ),
        "usdm": Hosts("https://fapi.binance.com", "wss://fstream.binance.com", "wss://ws-fapi.binance.com"),
        "coinm": Hosts("https://dapi.binance.com", "wss://dstream.binance.com", "wss://ws-dapi.binance.com"),
    },
    "testnet": {
        "spot": Hosts(
            "https://demo-api.binance.com",
            "wss://demo-stream.binance.com:9443",
            "wss://demo-ws-api.binance.com",
        ),
        "usdm": Hosts(
            "https://demo-fapi.binance.com",
            "wss://demo-fstream.binance.com",
            "wss://testnet.binancefuture.com",
        ),
        "coinm": Hosts(
            "https://demo-dapi.binance.com",
            "wss://demo-dstream.binance.com",
            "wss://testnet.binancefuture.com",
        ),
    },
}

_WS_API = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1", "coinm": "/ws-dapi/v1"}

_N, _K, _S = Security.NONE, Security.KEY, Security.SIGNED


def _table(*rows: Endpoint) -> dict[str, Endpoint]:
    return {row.name: row for row in rows}


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "spot": _table(
        Endpoint("time", "GET", "/api/v3/time", 1, _N),
        Endpoint("exchange_info", "GET", "/api/v3/exchangeInfo", 20, _N),
        Endpoint("depth", "GET", "/api/v3/depth", 50, _N),
        Endpoint("ticker_price", "GET", "/api/v3/ticker/price", 2, _N),
        Endpoint("account", "GET", "/api/v3/account", 20, _S),
        Endpoint("commission", "GET", "/api/v3/account/commission", 20, _S),
        Endpoint("order_place", "POST", "/api/v3/order", 1, _S, 1, "order.place"),
        Endpoint("order_cancel", "DELETE", "/api/v3/order", 1, _S, 0, "order.cancel"),
        Endpoint("order_query", "GET", "/api/v3/order", 4, _S, 0, "order.status"),
        Endpoint("open_orders", "GET", "/api/v3/openOrders", 80, _S),
        Endpoint("all_orders", "GET", "/api/v3/allOrders", 20, _S),
        Endpoint("trades", "GET", "/api/v3/myTrades", 20, _S),
        Endpoint("trades_of_order", "GET", "/api/v3/myTrades", 5, _S),
        Endpoint("api_restrictions", "GET", "/sapi/v1/account/apiRestrictions", 1, _S),
    ),
    "usdm": _table(
        Endpoint("time", "GET", "/fapi/v1/time", 1, _N),
        Endpoint("exchange_info", "GET", "/fapi/v1/exchangeInfo", 1, _N),
        Endpoint("depth", "GET", "/fapi/v1/depth", 20, _N),
        Endpoint("ticker_price", "GET", "/fapi/v2/ticker/price", 1, _N),
        Endpoint("premium_index", "GET", "/fapi/v1/premiumIndex", 1, _N),
        Endpoint("funding_rates", "GET", "/fapi/v1/fundingRate", 0, _N),  # own budget: 500 in 5 minutes
        Endpoint("funding_info", "GET", "/fapi/v1/fundingInfo", 0, _N),  # the same
        Endpoint("account", "GET", "/fapi/v3/account", 5, _S),
        Endpoint("balances", "GET", "/fapi/v3/balance", 5, _S),
        Endpoint("positions", "GET", "/fapi/v3/positionRisk", 5, _S),
        Endpoint("position_mode", "GET", "/fapi/v1/positionSide/dual", 30, _S),
        Endpoint("multi_assets", "GET", "/fapi/v1/multiAssetsMargin", 30, _S),
        Endpoint("symbol_config", "GET", "/fapi/v1/symbolConfig", 5, _S),
        Endpoint("brackets", "GET", "/fapi/v1/leverageBracket", 1, _S),
        Endpoint("commission", "GET", "/fapi/v1/commissionRate", 20, _S),
        Endpoint("order_place", "POST", "/fapi/v1/order", 0, _S, 1, "order.place"),
        Endpoint("order_cancel", "DELETE", "/fapi/v1/order", 1, _S, 0, "order.cancel"),
        Endpoint("order_query", "GET", "/fapi/v1/order", 1, _S, 0, "order.status"),
        Endpoint("open_orders", "GET", "/fapi/v1/openOrders", 40, _S),
        Endpoint("open_algo_orders", "GET", "/fapi/v1/openAlgoOrders", 40, _S),
        Endpoint("all_orders", "GET", "/fapi/v1/allOrders", 5, _S),
        Endpoint("trades", "GET", "/fapi/v1/userTrades", 5, _S),
        Endpoint("trades_of_order", "GET", "/fapi/v1/userTrades", 5, _S),
        Endpoint("income", "GET", "/fapi/v1/income", 30, _S),
        Endpoint("listen_key_start", "POST", "/fapi/v1/listenKey", 1, _K),
        Endpoint("listen_key_keepalive", "PUT", "/fapi/v1/listenKey", 1, _K),
        Endpoint("listen_key_close", "DELETE", "/fapi/v1/listenKey", 1, _K),
    ),
    "coinm": _table(
        Endpoint("time", "GET", "/dapi/v1/time", 1, _N),
        Endpoint("exchange_info", "GET", "/dapi/v1/exchangeInfo", 1, _N),
        Endpoint("depth", "GET", "/dapi/v1/depth", 20, _N),
        Endpoint("ticker_price", "GET", "/dapi/v1/ticker/price", 1, _N),
        Endpoint("premium_index", "GET", "/dapi/v1/premiumIndex", 10, _N),
        Endpoint("funding_rates", "GET", "/dapi/v1/fundingRate", 1, _N),
        Endpoint("funding_info", "GET", "/dapi/v1/fundingInfo", 1, _N),
        Endpoint("account", "GET", "/dapi/v1/account", 5, _S),
        Endpoint("balances", "GET", "/dapi/v1/balance", 1, _S),
        Endpoint("positions", "GET", "/dapi/v1/positionRisk", 1, _S),
        Endpoint("position_mode", "GET", "/dapi/v1/positionSide/dual", 30, _S),
        Endpoint(
            "symbol_config", "GET", "/dapi/v1/positionRisk", 1, _S
        ),  # it states leverage and margin mode
        Endpoint("brackets", "GET", "/dapi/v2/leverageBracket", 2, _S),
        Endpoint("commission", "GET", "/dapi/v1/commissionRate", 20, _S),
        Endpoint("order_place", "POST", "/dapi/v1/order", 0, _S, 1, "order.place"),
        Endpoint("order_cancel", "DELETE", "/dapi/v1/order", 1, _S, 0, "order.cancel"),
        Endpoint("order_query", "GET", "/dapi/v1/order", 1, _S, 0, "order.status"),
        Endpoint("open_orders", "GET", "/dapi/v1/openOrders", 40, _S),
        Endpoint("all_orders", "GET", "/dapi/v1/allOrders", 20, _S),
        Endpoint("trades", "GET", "/dapi/v1/userTrades", 20, _S),
        Endpoint("trades_of_order", "GET", "/dapi/v1/userTrades", 20, _S),
        Endpoint("income", "GET", "/dapi/v1/income", 20, _S),
        Endpoint("listen_key_start", "POST", "/dapi/v1/listenKey", 1, _K),
        Endpoint("listen_key_keepalive", "PUT", "/dapi/v1/listenKey", 1, _K),
        Endpoint("listen_key_close", "DELETE", "/dapi/v1/listenKey", 1, _K),
    ),
}

_DEPTH_WEIGHTS = {
    "spot": ((100, 5), (500, 25), (1000, 50), (5000, 250)),
    "usdm": ((50, 2), (100, 5), (500, 10), (1000, 20)),
    "coinm": ((50, 2), (100, 5), (500, 10), (1000, 20)),
}

# USD-M's split, by the first word of a stream's kind.  Where `trade` lives is disputed: ccxt 4.5.90 asks for
# it on the public path, the venue's own SDK 18.1.0 does not offer the stream at all.
_USDM_PATHS = {
    "depth": StreamPath.PUBLIC,
    "bookTicker": StreamPath.PUBLIC,
    "rpiDepth": StreamPath.PUBLIC,
    "trade": StreamPath.PUBLIC,
    "aggTrade": StreamPath.MARKET,
    "markPrice": StreamPath.MARKET,
    "indexPrice": StreamPath.MARKET,
    "kline": StreamPath.MARKET,
    "ticker": StreamPath.MARKET,
    "miniTicker": StreamPath.MARKET,
    "forceOrder": StreamPath.MARKET,
    "contractInfo": StreamPath.MARKET,
}


def hosts(mode: HostMode, ports: tuple[int, int, int] | None = None) -> dict[str, Hosts]:
    """Hosts of every market.  ``ports`` (spot, usdm, coinm) go with ``rehearsal``, which is loopback only.

    Raises ``ValueError`` where mode and ports do not go together.
    """
    if (mode == "rehearsal") != (ports is not None):
        raise ValueError("ports go with the mode rehearsal, and with no other")
    if ports is None:
        return dict(_HOSTS[mode])
    return {
        market: Hosts(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        for market, port in zip(MARKETS, ports, strict=True)
    }


def endpoint(market: str, name: str) -> Endpoint:
    """Raises ``KeyError`` for a request that this market does not have."""
    return ENDPOINTS[market][name]


def depth_weight(market: str, limit: int) -> int:
    """Weight of a depth request of ``limit`` levels.  Raises ``ValueError`` beyond the market's maximum."""
    for levels, weight in _DEPTH_WEIGHTS[market]:
        if limit <= levels:
            return weight
    raise ValueError(f"{market} serves no {limit} levels")


def ws_api_url(market: str, hosts: Hosts) -> str:
    """Address of the WebSocket API."""
    return hosts.wsapi + _WS_API[market]


def stream_path(market: str, stream: str) -> StreamPath:
    """Which connection carries ``stream`` (``btcusdt@depth@100ms``, ``!contractInfo``); PUBLIC for all of
    spot and COIN-M.

    Raises ``KeyError`` for a USD-M stream whose path is not known, since a wrong one would stay silent.
    """
    if market != "usdm":
        return StreamPath.PUBLIC
    head, _, rest = stream.partition("@")
    kind = rest.partition("@")[0] or head.removeprefix("!")
    return _USDM_PATHS[kind.rstrip("0123456789").split("_")[0]]


def stream_url(market: str, hosts: Hosts, path: StreamPath) -> str:
    """Address of the combined-stream connection (frames in envelopes); streams are named by SUBSCRIBE."""
    return f"{hosts.ws}/{path.value}/stream" if market == "usdm" else f"{hosts.ws}/stream"


def private_url(market: str, hosts: Hosts, listen_key: str) -> str:
    """Address of a futures account's private stream; spot's is a subscription
    (`requests.subscribe_account`)."""
    if market == "usdm":
        return f"{hosts.ws}/{StreamPath.PRIVATE.value}/ws?listenKey={listen_key}"
    return f"{hosts.ws}/ws/{listen_key}"
