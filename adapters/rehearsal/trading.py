"""Orders and executions by request: what REST and the WebSocket API ask alike.

Each function takes the teller, the market and the parameters, whose sender is known already, and returns what
the venue would write, or raises `Refused`.  Lists are told oldest first and cut to the limit at the venue's
end: without a starting point the newest rows are told, with one the rows from it on.

Sources: rest_api and websocket_api of binance_sdk_spot 13.3.0, derivatives_trading_usds_futures 18.1.0 and
derivatives_trading_coin_futures 14.1.0 (2026-11-20).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from adapters.rehearsal import shapes
from adapters.rehearsal.auth import Params, Refused, missing
from adapters.rehearsal.conditional import conditional_row
from adapters.rehearsal.history import FORCED_NAMES, Executed, Placed
from adapters.rehearsal.order_params import read_response
from adapters.rehearsal.params import amount, text, whole
from adapters.rehearsal.shapes import Shape
from adapters.rehearsal.statements import spot_commission
from adapters.rehearsal.teller import Teller
from bot.model.ids import symbol_of
from bot.model.money import exact_arithmetic

_Row = TypeVar("_Row")

_LIMIT, _LIMIT_MAX = 500, 1000


# --- placing and cancelling -------------------------------------------------------------------------------


def place(teller: Teller, market: str, params: Params) -> Shape:
    order = _read(teller, market, params)
    kind = read_response(market, order.kind, params)
    teller.entry.place(order)
    with exact_arithmetic():
        return shapes.spot_placed(order, kind) if market == "spot" else shapes.futures_placed(order, kind)


def test(teller: Teller, market: str, params: Params) -> Shape:
    """Checked as `place` checks before the matching, filters included, and not sent."""
    order = _read(teller, market, params)
    read_response(market, order.kind, params)
    teller.entry.judge(order)
    if market != "spot":
        return shapes.futures_placed(order, "ACK")
    if params.get("computeCommissionRates", "false") != "true":
        return {}
    commission = spot_commission(order.instrument)
    return {
        "standardCommissionForOrder": commission["standardCommission"],
        "specialCommissionForOrder": commission["specialCommission"],
        "taxCommissionForOrder": commission["taxCommission"],
        "discount": commission["discount"],
    }


def _read(teller: Teller, market: str, params: Params) -> Placed:
    dual_side = market != "spot" and teller.holdings.settings[market].dual_side
    return teller.entry.read(market, params, dual_side)


def cancel(teller: Teller, market: str, params: Params) -> Shape:
    return _cancelled(market, teller.entry.cancel(market, params))


def cancel_all(teller: Teller, market: str, params: Params) -> object:
    orders = teller.entry.cancel_all(market, params)
    if market != "spot":
        return {"code": 200, "msg": "The operation of cancel all open order is done."}
    if not orders:
        raise Refused(-2011, "Unknown order sent.")
    return [_cancelled(market, order) for order in orders]


def _cancelled(market: str, order: Placed) -> Shape:
    with exact_arithmetic():
        return shapes.spot_cancelled(order) if market == "spot" else shapes.futures_placed(order, "RESULT")


# --- asking -----------------------------------------------------------------------------------------------


def query(teller: Teller, market: str, params: Params) -> Shape:
    order = teller.entry.find(market, params)
    if order is None:
        raise Refused(-2013, "Order does not exist.")
    return _order(market, order)


def query_open(teller: Teller, market: str, params: Params) -> Shape:
    """One open order (futures ``openOrder``)."""
    order = teller.entry.find(market, params)
    if order is None or not order.is_open:
        raise Refused(-2013, "Order does not exist.")
    return _order(market, order)


def open_orders(teller: Teller, market: str, params: Params) -> list[Shape]:
    orders = list(teller.history.open_orders(market))
    if params.get("symbol"):
        wanted = teller.entry.instrument(market, params).id
        orders = [one for one in orders if one.instrument.id == wanted]
    elif params.get("pair"):
        orders = [one for one in orders if shapes.pair_of(one.instrument) == params["pair"]]
    return [_order(market, one) for one in orders]


def all_orders(teller: Teller, market: str, params: Params) -> list[Shape]:
    kept = list(teller.history.markets[market].orders.values())
    orders = _of_symbol(teller, market, params, kept)
    start = _start(params, "orderId")
    rows = _page(orders, params, start, lambda one: (one.order_id, one.created_ms))
    return [_order(market, one) for one in rows]


def trades(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``myTrades`` and ``userTrades``."""
    rows = _of_symbol(teller, market, params, teller.history.markets[market].trades)
    number = whole(params, "orderId")
    if number is not None:
        rows = [one for one in rows if one.order_id == number]
    start = _start(params, "fromId")
    if start is not None and "startTime" in params:
        raise Refused(-1128, "Combination of optional parameters invalid.")
    picked = _page(rows, params, start, lambda one: (one.trade_id, one.at_ms))
    with exact_arithmetic():
        write = shapes.spot_trade if market == "spot" else shapes.futures_trade
        return [write(one) for one in picked]


def income(teller: Teller, market: str, params: Params) -> list[Shape]:
    rows = teller.history.markets[market].income
    if params.get("symbol"):
        wanted = symbol_of(teller.entry.instrument(market, params).id)
        rows = [one for one in rows if one.symbol == wanted]
    if params.get("incomeType"):
        rows = [one for one in rows if one.kind == params["incomeType"]]
    limit = _limit(params, 100)
    rows = [one for one in rows if _in_window(params, one.at_ms)]
    page = whole(params, "page")
    if page is not None:
        rows = rows[(page - 1) * limit :][:limit]
    return [shapes.income(one) for one in (rows[:limit] if "startTime" in params else rows[-limit:])]


def forced_orders(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``forceOrders``: liquidations and deleveraging."""
    names = tuple(FORCED_NAMES.values())
    rows = [one for one in teller.history.markets[market].orders.values() if one.client_id.startswith(names)]
    return [_order(market, one) for one in rows if _in_window(params, one.created_ms)][-_limit(params, 50) :]


def conditional_orders(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``openAlgoOrders``: what waits for a trigger."""
    rows = list(teller.conditionals[market].values())
    if params.get("symbol"):
        wanted = teller.entry.instrument(market, params).id
        rows = [one for one in rows if one.instrument.id == wanted]
    return [conditional_row(one) for one in rows]


def countdown(teller: Teller, market: str, params: Params) -> Shape:
    """``countdownCancelAll``: only switching it off is served."""
    instrument = teller.entry.instrument(market, params)
    if amount(params, "countdownTime") != 0:
        raise Refused(-1020, "This operation is not supported.")
    return {"symbol": symbol_of(instrument.id), "countdownTime": text(params, "countdownTime")}


# --- inside -----------------------------------------------------------------------------------------------


def _order(market: str, order: Placed) -> Shape:
    with exact_arithmetic():
        return shapes.spot_order(order) if market == "spot" else shapes.futures_order(order)


_Kept = TypeVar("_Kept", Placed, Executed)


def _of_symbol(teller: Teller, market: str, params: Params, rows: Sequence[_Kept]) -> list[_Kept]:
    """The rows of the instrument asked for, or of a COIN-M pair."""
    if market == "coinm" and params.get("pair") and not params.get("symbol"):
        return [one for one in rows if shapes.pair_of(one.instrument) == params["pair"]]
    if market == "coinm" and not params.get("symbol"):
        raise missing("symbol")
    wanted = teller.entry.instrument(market, params).id
    return [one for one in rows if one.instrument.id == wanted]


def _start(params: Params, name: str) -> int | None:
    return whole(params, name) if name == "fromId" or params.get(name) else None


def _page(
    rows: list[_Row], params: Params, start: int | None, key: Callable[[_Row], tuple[int, int]]
) -> list[_Row]:
    """``key`` gives a row's number and time."""
    limit = _limit(params, _LIMIT)
    if start is not None:
        return [one for one in rows if key(one)[0] >= start][:limit]
    rows = [one for one in rows if _in_window(params, key(one)[1])]
    return rows[:limit] if "startTime" in params else rows[-limit:]


def _in_window(params: Params, at_ms: int) -> bool:
    start, end = whole(params, "startTime"), whole(params, "endTime")
    return (start is None or at_ms >= start) and (end is None or at_ms <= end)


def _limit(params: Params, usual: int) -> int:
    limit = whole(params, "limit")
    if limit == 0:
        raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit or usual, _LIMIT_MAX)
