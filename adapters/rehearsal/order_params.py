"""What a request for an order asks for, read and refused as the venue does before it looks at the market.

Pure.  What the venue knows and this one does not serve (stops, icebergs, pegged and price-matched orders,
hedge mode) is refused in its words: where a symbol may have it switched off, as for a symbol that has.

Sources: new order and error codes of spot, USD-M and COIN-M, self-trade prevention of spot (read 2026-11-20);
-1106 for ``priceMatch`` with a price and -1130 for a wrong word on spot are unverified.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.rehearsal.auth import Params, Refused
from adapters.rehearsal.params import flag, text
from bot.model.commands import TimeInForce
from bot.model.instrument import Side

TIFS = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "GTX": TimeInForce.POST_ONLY,
}

_SPOT_KINDS = ("LIMIT", "LIMIT_MAKER", "MARKET")
_SPOT_UNSERVED = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_ALGO_KINDS = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_UNWANTED: Mapping[str, tuple[str, ...]] = {  # what an order of this type must not say
    "LIMIT": ("quoteOrderQty",),
    "LIMIT_MAKER": ("quoteOrderQty", "timeInForce"),
    "MARKET": ("price", "timeInForce"),
}
_SPOT_UNWANTED: Mapping[str, tuple[str, ...]] = {
    "LIMIT": ("stopPrice", "trailingDelta"),
    "LIMIT_MAKER": ("stopPrice", "trailingDelta"),
    "MARKET": ("stopPrice", "trailingDelta", "icebergQty"),
}
_OFF_ON_SPOT = {  # what the symbols here do not allow, as exchangeInfo says
    "icebergQty": "Iceberg orders are not supported for this symbol.",
    "pegPriceType": "Pegged orders are not supported for this symbol.",
}
_PREVENTION = "EXPIRE_MAKER"  # the one mode; an order never meets another of the same account here
_PREVENTIONS = (_PREVENTION, "EXPIRE_TAKER", "EXPIRE_BOTH", "NONE")
_MATCHES = tuple(f"{side}{level}" for side in ("OPPONENT", "QUEUE") for level in ("", "_5", "_10", "_20"))
_UNSERVED = (-1020, "This operation is not supported.")


def read_side(params: Params) -> Side:
    word = text(params, "side")
    if word not in ("BUY", "SELL"):
        raise Refused(-1117, "Invalid side.")
    return Side.BUY if word == "BUY" else Side.SELL


def read_kind(market: str, params: Params) -> str:
    """The type of the order, once nothing speaks against it that other parameters say."""
    kind = text(params, "type")
    if market == "spot":
        _check_spot_kind(kind)
    elif kind in _ALGO_KINDS:
        raise Refused(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        )
    elif kind not in ("LIMIT", "MARKET"):
        raise Refused(-1116, "Invalid orderType.")
    unwanted = _UNWANTED[kind] + (_SPOT_UNWANTED[kind] if market == "spot" else ())
    for name in unwanted:
        if params.get(name):
            raise _not_required(name)
    if market == "spot":
        _check_spot(kind, params)
    else:
        _check_futures(kind, params)
    return kind


def read_time_in_force(market: str, kind: str, params: Params) -> str:
    """The venue's word; a post-only order is GTX on every market."""
    if kind == "LIMIT_MAKER":
        return "GTX"
    if kind == "MARKET":
        return "GTC"
    word = text(params, "timeInForce")
    if word not in TIFS or (market == "spot" and word == "GTX"):
        raise Refused(-1115, "Invalid timeInForce.")
    return word


def read_response(market: str, kind: str, params: Params) -> str:
    """Which answer is asked for: ACK, RESULT, or on spot FULL."""
    word = params.get("newOrderRespType", "")
    if market != "spot":
        if word not in ("", "ACK", "RESULT"):
            raise Refused(-1136, "Invalid newOrderRespType.")
        return word or "ACK"
    if word not in ("", "ACK", "RESULT", "FULL"):
        raise _invalid("newOrderRespType")
    return word or ("ACK" if kind == "LIMIT_MAKER" else "FULL")


def check_position_side(params: Params, dual_side: bool) -> None:
    side = params.get("positionSide") or "BOTH"
    if dual_side == (side == "BOTH"):
        raise Refused(-4061, "Order's position side does not match user's setting.")
    if dual_side:
        raise Refused(*_UNSERVED)


def _check_spot_kind(kind: str) -> None:
    if kind in _SPOT_UNSERVED:
        raise Refused(*_UNSERVED)
    if kind not in _SPOT_KINDS:
        raise Refused(-1116, "Invalid orderType.")


def _check_spot(kind: str, params: Params) -> None:
    if kind == "MARKET" and params.get("quantity") and params.get("quoteOrderQty"):
        raise _not_required("quantity")
    for name, refusal in _OFF_ON_SPOT.items():
        if params.get(name):
            raise Refused(-1013, refusal)
    prevention = params.get("selfTradePreventionMode") or _PREVENTION
    if prevention not in (*_PREVENTIONS, "DECREMENT", "TRANSFER"):
        raise _invalid("selfTradePreventionMode")
    if prevention != _PREVENTION:
        raise Refused(-1013, "This symbol does not allow the specified self-trade prevention mode.")


def _check_futures(kind: str, params: Params) -> None:
    if flag(params, "closePosition"):
        raise Refused(-4136, f"Target strategy invalid for orderType {kind},closePosition true")
    match = params.get("priceMatch") or "NONE"
    if match != "NONE":
        _refuse_price_match(kind, match, params)
    prevention = params.get("selfTradePreventionMode") or _PREVENTION
    if prevention not in _PREVENTIONS:
        raise Refused(-5039, "Invalid self trade prevention mode")
    if prevention != _PREVENTION:
        raise Refused(*_UNSERVED)


def _refuse_price_match(kind: str, match: str, params: Params) -> None:
    if match not in _MATCHES:
        raise Refused(-5037, "Invalid price match")
    if kind == "MARKET":
        raise Refused(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT")
    if params.get("price"):
        raise _not_required("price")
    raise Refused(*_UNSERVED)


def _not_required(name: str) -> Refused:
    return Refused(-1106, f"Parameter '{name}' sent when not required.")


def _invalid(name: str) -> Refused:
    return Refused(-1130, f"Data sent for parameter '{name}' is not valid.")
