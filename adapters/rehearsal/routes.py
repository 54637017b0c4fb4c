"""Which request means what: one table for each market, over REST and over the WebSocket API.

A request that is not in a table is not served, and is answered in the venue's words for a path or method that
does not exist.  ``weight`` is what the request costs without the parameters that make it dearer; ``orders``
what it adds to the account's order count.

Sources: SDKs of the venue (binance_sdk_spot 13.3.0, derivatives_trading_usds_futures 18.1.0,
derivatives_trading_coin_futures 14.1.0) and the paths and weights of ccxt 4.5.90 (2026-11-20).  Spot's listen
keys are gone since 2026-02-20; COIN-M's algo paths are undocumented and seen in ccxt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from msgspec import Struct

from adapters.rehearsal import account, trading
from adapters.rehearsal.auth import Params
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.unread import refuse_unread

Act = Callable[[Teller, str, Params], object]


class Security(Enum):
    KEY = "key"
    SIGNED = "signed"


class Operation(Struct, frozen=True):
    act: Act
    weight: int = 1
    orders: int = 0
    security: Security = Security.SIGNED


Rest = Mapping[tuple[str, str], Operation]  # by method and path
Methods = Mapping[str, Operation]


def carry_out(teller: Teller, market: str, operation: Operation, params: Params) -> object:
    """Do what was asked by somebody who is known; raises `Refused`, and `FeedError` without a price."""
    refuse_unread(market, operation.act, params)
    with teller.usage[market].ordering(teller.now_ms(), operation.orders):
        return operation.act(teller, market, params)


_ORDER, _CANCEL = Operation(trading.place, 1, 1), Operation(trading.cancel)
_KEYED = Security.KEY

_SPOT: Rest = {
    ("POST", "/api/v3/order"): _ORDER,
    ("POST", "/api/v3/order/test"): Operation(trading.test),
    ("DELETE", "/api/v3/order"): _CANCEL,
    ("GET", "/api/v3/order"): Operation(trading.query, 4),
    ("GET", "/api/v3/openOrders"): Operation(trading.open_orders, 6),
    ("DELETE", "/api/v3/openOrders"): Operation(trading.cancel_all),
    ("GET", "/api/v3/allOrders"): Operation(trading.all_orders, 20),
    ("GET", "/api/v3/myTrades"): Operation(trading.trades, 20),
    ("GET", "/api/v3/account"): Operation(account.spot_account, 20),
    ("GET", "/api/v3/account/commission"): Operation(account.spot_commission, 20),
    ("GET", "/api/v3/rateLimit/order"): Operation(account.order_limits, 40),
    ("GET", "/sapi/v1/account/apiRestrictions"): Operation(account.restrictions),
    ("GET", "/sapi/v1/asset/tradeFee"): Operation(account.trade_fees),
    ("GET", "/sapi/v1/bnbBurn"): Operation(account.bnb_burn),
    ("GET", "/sapi/v1/capital/deposit/hisrec"): Operation(account.deposits),
    ("GET", "/sapi/v1/capital/withdraw/history"): Operation(account.withdrawals),
    ("GET", "/sapi/v1/capital/config/getall"): Operation(account.coins_listed, 10),
    ("GET", "/sapi/v1/margin/allPairs"): Operation(account.margin_pairs, 1, 0, _KEYED),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Operation(account.margin_pairs, 1, 0, _KEYED),
}


def _futures(prefix: str) -> dict[tuple[str, str], Operation]:
    """What USD-M and COIN-M have alike, below ``/fapi`` or ``/dapi``."""
    one, listed = f"{prefix}/v1", 5 if prefix == "/fapi" else 20
    return {
        ("POST", f"{one}/order"): Operation(trading.place, 0, 1),
        ("DELETE", f"{one}/order"): _CANCEL,
        ("GET", f"{one}/order"): Operation(trading.query),
        ("GET", f"{one}/openOrder"): Operation(trading.query_open),
        ("GET", f"{one}/openOrders"): Operation(trading.open_orders),
        ("DELETE", f"{one}/allOpenOrders"): Operation(trading.cancel_all),
        ("POST", f"{one}/countdownCancelAll"): Operation(trading.countdown, 10),
        ("GET", f"{one}/allOrders"): Operation(trading.all_orders, listed),
        ("GET", f"{one}/userTrades"): Operation(trading.trades, listed),
        ("GET", f"{one}/forceOrders"): Operation(trading.forced_orders, 50),
        ("GET", f"{one}/openAlgoOrders"): Operation(trading.conditional_orders),
        ("GET", f"{one}/adlQuantile"): Operation(account.adl_quantiles, 5),
        ("GET", f"{one}/income"): Operation(trading.income, 30 if prefix == "/fapi" else 20),
        ("GET", f"{one}/commissionRate"): Operation(account.commission, 20),
        ("GET", f"{one}/leverageBracket"): Operation(account.brackets),
        ("POST", f"{one}/leverage"): Operation(account.set_leverage),
        ("POST", f"{one}/marginType"): Operation(account.set_margin_type),
        ("GET", f"{one}/positionSide/dual"): Operation(account.position_mode, 30),
        ("POST", f"{one}/positionSide/dual"): Operation(account.set_position_mode),
        ("POST", f"{one}/listenKey"): Operation(account.create_listen_key, 1, 0, _KEYED),
        ("PUT", f"{one}/listenKey"): Operation(account.extend_listen_key, 1, 0, _KEYED),
        ("DELETE", f"{one}/listenKey"): Operation(account.close_listen_key, 1, 0, _KEYED),
    }


REST: Mapping[str, Rest] = {
    "spot": _SPOT,
    "usdm": _futures("/fapi")
    | {
        ("POST", "/fapi/v1/order/test"): Operation(trading.test, 0),
        ("GET", "/fapi/v2/balance"): Operation(account.balances, 5),
        ("GET", "/fapi/v3/balance"): Operation(account.balances, 5),
        ("GET", "/fapi/v2/account"): Operation(account.account_v2, 5),
        ("GET", "/fapi/v3/account"): Operation(account.account_v3, 5),
        ("GET", "/fapi/v2/positionRisk"): Operation(account.positions_v2, 5),
        ("GET", "/fapi/v3/positionRisk"): Operation(account.positions_v3, 5),
        ("GET", "/fapi/v1/accountConfig"): Operation(account.account_config, 5),
        ("GET", "/fapi/v1/symbolConfig"): Operation(account.symbol_config, 5),
        ("GET", "/fapi/v1/multiAssetsMargin"): Operation(account.multi_assets, 30),
        ("POST", "/fapi/v1/multiAssetsMargin"): Operation(account.set_multi_assets),
        ("GET", "/fapi/v1/feeBurn"): Operation(account.fee_burn, 30),
        ("GET", "/fapi/v1/rateLimit/order"): Operation(account.order_limits),
    },
    "coinm": _futures("/dapi")
    | {
        ("GET", "/dapi/v1/balance"): Operation(account.balances),
        ("GET", "/dapi/v1/account"): Operation(account.account_v1, 5),
        ("GET", "/dapi/v1/positionRisk"): Operation(account.positions_v1),
        ("GET", "/dapi/v1/leverageBracket"): Operation(account.pair_brackets),
        ("GET", "/dapi/v2/leverageBracket"): Operation(account.brackets),
    },
}

_FUTURES_METHODS: Methods = {
    "order.place": Operation(trading.place, 0, 1),
    "order.cancel": _CANCEL,
    "order.status": Operation(trading.query),
    "userDataStream.start": Operation(account.create_listen_key, 5, 0, _KEYED),
    "userDataStream.ping": Operation(account.extend_listen_key, 1, 0, _KEYED),
    "userDataStream.stop": Operation(account.close_listen_key, 1, 0, _KEYED),
}

METHODS: Mapping[str, Methods] = {
    "spot": {
        "order.place": _ORDER,
        "order.test": Operation(trading.test),
        "order.cancel": _CANCEL,
        "order.status": Operation(trading.query, 4),
        "openOrders.status": Operation(trading.open_orders, 6),
        "openOrders.cancelAll": Operation(trading.cancel_all),
        "allOrders": Operation(trading.all_orders, 20),
        "myTrades": Operation(trading.trades, 20),
        "account.status": Operation(account.spot_account, 20),
        "account.commission": Operation(account.spot_commission, 20),
        "account.rateLimits.orders": Operation(account.order_limits, 40),
    },
    "usdm": {
        **_FUTURES_METHODS,
        "account.balance": Operation(account.balances, 5),
        "v2/account.balance": Operation(account.balances, 5),
        "account.status": Operation(account.account_v2, 5),
        "v2/account.status": Operation(account.account_v3, 5),
        "account.position": Operation(account.positions_v2, 5),
        "v2/account.position": Operation(account.positions_v3, 5),
    },
    "coinm": {
        **_FUTURES_METHODS,
        "account.balance": Operation(account.balances, 5),
        "account.status": Operation(account.account_v1, 5),
        "account.position": Operation(account.positions_v1, 5),
    },
}

PUBLIC_METHODS: Mapping[str, Mapping[str, str]] = {  # method → path behind the version
    "spot": {
        "ping": "ping",
        "time": "time",
        "exchangeInfo": "exchangeInfo",
        "depth": "depth",
        "trades.recent": "trades",
        "trades.aggregate": "aggTrades",
        "avgPrice": "avgPrice",
        "ticker.24hr": "ticker/24hr",
        "ticker.price": "ticker/price",
        "ticker.book": "ticker/bookTicker",
    },
    "usdm": {"depth": "depth", "ticker.price": "ticker/price", "ticker.book": "ticker/bookTicker"},
    "coinm": {},
}
