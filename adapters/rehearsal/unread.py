"""Which parameters spot reads, request by request: it refuses a request that sends any other.

Futures and the wallet's ``/sapi`` requests read what they know and leave the rest alone.  Sources: methods of
binance_sdk_spot 13.3.0 (2026-11-20), codes -1101 and -1104 of the venue's error page; that the count takes in
timestamp and signature is unverified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.rehearsal import account, trading
from adapters.rehearsal.auth import Params, Refused

_Names = frozenset[str]

_SIGNING = frozenset(("timestamp", "recvWindow", "signature", "apiKey"))
_ALWAYS = frozenset(("returnRateLimits",))  # of the connection rather than of the request
_FOUND = ("symbol", "orderId", "origClientOrderId")
_PLACED = (
    "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId",
    "strategyId", "strategyType", "stopPrice", "trailingDelta", "icebergQty", "newOrderRespType",
    "selfTradePreventionMode", "pegPriceType", "pegOffsetValue", "pegOffsetType",
)  # fmt: skip
_SIGNED: Mapping[Callable[..., object], _Names] = {
    act: _SIGNING | set(names)
    for act, names in {
        trading.place: _PLACED,
        trading.test: (*_PLACED, "computeCommissionRates"),
        trading.cancel: (*_FOUND, "newClientOrderId", "cancelRestrictions"),
        trading.query: _FOUND,
        trading.open_orders: ("symbol",),
        trading.cancel_all: ("symbol",),
        trading.all_orders: ("symbol", "orderId", "startTime", "endTime", "limit"),
        trading.trades: ("symbol", "orderId", "startTime", "endTime", "fromId", "limit"),
        account.spot_account: ("omitZeroBalances",),
        account.spot_commission: ("symbol",),
        account.order_limits: (),
    }.items()
}
_TICKER = ("symbol", "symbols", "symbolStatus")
_PUBLIC: Mapping[str, _Names] = {
    name: frozenset(names)
    for name, names in {
        "ping": (),
        "time": (),
        "exchangeInfo": (*_TICKER, "permissions", "showPermissionSets"),
        "depth": ("symbol", "limit", "symbolStatus"),
        "trades": ("symbol", "limit"),
        "aggTrades": ("symbol", "fromId", "startTime", "endTime", "limit"),
        "avgPrice": ("symbol",),
        "ticker/24hr": (*_TICKER, "type"),
        "ticker/price": _TICKER,
        "ticker/bookTicker": _TICKER,
    }.items()
}
_SESSION: Mapping[str, _Names] = {
    "session.logon": _SIGNING,
    "session.status": _SIGNING,
    "session.logout": _SIGNING,
    "session.subscriptions": _SIGNING,
    "userDataStream.subscribe": _SIGNING,
    "userDataStream.subscribe.signature": _SIGNING,
    "userDataStream.unsubscribe": _SIGNING | {"subscriptionId"},
}


def refuse_unread(market: str, act: Callable[..., object], params: Params) -> None:
    """Raises `Refused` for a request of the account that says more than is read."""
    if market == "spot" and act in _SIGNED:
        _check(_SIGNED[act], params)


def refuse_unread_public(market: str, name: str, params: Params) -> None:
    """The same for a public request, by its path behind the version."""
    if market == "spot" and name in _PUBLIC:
        _check(_PUBLIC[name], params)


def refuse_unread_session(market: str, method: str, params: Params) -> None:
    """The same for what concerns a session of the WebSocket API."""
    if market == "spot" and method in _SESSION:
        _check(_SESSION[method], params)


def _check(read: _Names, params: Params) -> None:
    sent = params.keys() - _ALWAYS
    unread = sent - read
    if not unread:
        return
    if not read:
        raise Refused(-1101, f"Too many parameters; expected '0' and received '{len(sent)}'.")
    raise Refused(
        -1104,
        f"Not all sent parameters were read; read '{len(sent) - len(unread)}' parameter(s) "
        f"but was sent '{len(sent)}'.",
    )
