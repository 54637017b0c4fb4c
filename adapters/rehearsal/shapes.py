"""Orders and executions as the venue writes them in answers: JSON objects, one function for each shape.

Spot writes every amount with eight decimals; futures write quantities and prices plainly.  A futures answer
of the kind ACK shows the order as it was taken, unfilled, whatever happened to it since, as the venue does.

Sources: response models of binance_sdk_spot 13.3.0, derivatives_trading_usds_futures 18.1.0 and
derivatives_trading_coin_futures 14.1.0 (2026-11-20).
"""

from __future__ import annotations

from decimal import Decimal

from adapters.rehearsal.history import Executed, Income, Placed
from bot.model.ids import symbol_of
from bot.model.instrument import Instrument, Side, fill_cost
from bot.model.money import COIN_QUANTUM, REFERENCE_QUANTUM, ZERO, divide, text

Shape = dict[str, object]


def coins(amount: Decimal) -> str:
    """Eight decimals, as the venue writes balances."""
    return f"{amount:.8f}"


def pair_of(instrument: Instrument) -> str:
    """The contract's pair, ``BTCUSD`` of ``BTCUSD_PERP``."""
    return symbol_of(instrument.id).split("_", 1)[0]


def average_price(order: Placed) -> Decimal:
    """Quote currency; zero while nothing has filled."""
    if order.filled == 0:
        return ZERO
    size = order.instrument.contract_size
    if order.instrument.inverse:  # from the prices: the cost is rounded to coins
        value = sum((divide(one.qty * size, one.price, REFERENCE_QUANTUM) for one in order.trades), ZERO)
        return divide(order.filled * size, value, COIN_QUANTUM)
    return divide(order.cost, order.filled * size, COIN_QUANTUM)


# --- spot -------------------------------------------------------------------------------------------------


def spot_tif(order: Placed) -> str:
    return "GTC" if order.tif == "GTX" else order.tif


def spot_placed(order: Placed, kind: str) -> Shape:
    """Answer to a new order; ``kind`` is ACK, RESULT or FULL."""
    shape: Shape = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.created_ms,
    }
    if kind == "ACK":
        return shape
    shape |= {
        **_spot_state(order),
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    if kind == "FULL":
        shape["fills"] = [
            {
                "price": coins(trade.price),
                "qty": coins(trade.qty),
                "commission": coins(trade.fee),
                "commissionAsset": trade.fee_asset,
                "tradeId": trade.trade_id,
            }
            for trade in order.trades
        ]
    return shape


def spot_cancelled(order: Placed) -> Shape:
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.cancel_id,
        "transactTime": order.updated_ms,
        **_spot_state(order),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def spot_order(order: Placed) -> Shape:
    """Answer to a question."""
    shape: Shape = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        **_spot_state(order),
        "stopPrice": coins(order.stop),
        "icebergQty": coins(ZERO),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    return shape


def _spot_state(order: Placed) -> Shape:
    return {
        "price": coins(ZERO if order.kind == "MARKET" else order.price),
        "origQty": coins(order.qty),
        "executedQty": coins(order.filled),
        "origQuoteOrderQty": coins(order.spent),
        "cummulativeQuoteQty": coins(order.cost),
        "status": order.status,
        "timeInForce": spot_tif(order),
        "type": order.kind,
        "side": order.side.name,
    }


def spot_trade(trade: Executed) -> Shape:
    return {
        "symbol": symbol_of(trade.instrument.id),
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": coins(trade.price),
        "qty": coins(trade.qty),
        "quoteQty": coins(trade.qty * trade.price),
        "commission": coins(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


# --- futures ----------------------------------------------------------------------------------------------


def futures_placed(order: Placed, kind: str) -> Shape:
    """Answer to a new order (``kind`` ACK or RESULT) or a cancel (RESULT)."""
    shape = _futures_terms(order)
    taken = kind == "ACK"
    filled = ZERO if taken else order.filled
    shape |= {
        "status": "NEW" if taken else order.status,
        "avgPrice": "0.00" if taken else _average(order),
        "executedQty": text(filled),
        "cumQty": text(filled),
        _cumulated(order): text(ZERO if taken else order.cost),
        "updateTime": order.created_ms if taken else order.updated_ms,
    }
    return shape


def futures_order(order: Placed) -> Shape:
    """Answer to a question."""
    return _futures_terms(order) | {
        "status": order.status,
        "avgPrice": _average(order),
        "executedQty": text(order.filled),
        _cumulated(order): text(order.cost),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def _average(order: Placed) -> str:
    return text(average_price(order)) if order.filled else "0.00"


def _cumulated(order: Placed) -> str:
    return "cumBase" if order.instrument.inverse else "cumQuote"


def _futures_terms(order: Placed) -> Shape:
    shape: Shape = {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "clientOrderId": order.client_id,
        "price": "0" if order.kind == "MARKET" else text(order.price),
        "origQty": text(order.qty),
        "timeInForce": order.tif,
        "type": order.kind,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.name,
        "positionSide": "BOTH",
        "stopPrice": text(order.stop),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
    }
    if order.instrument.inverse:
        shape["pair"] = pair_of(order.instrument)
        del shape["goodTillDate"]
    return shape


def futures_trade(trade: Executed) -> Shape:
    instrument = trade.instrument
    shape: Shape = {
        "symbol": symbol_of(instrument.id),
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": trade.side.name,
        "price": text(trade.price),
        "qty": text(trade.qty),
        "realizedPnl": text(trade.realised),
        "commission": text(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "positionSide": "BOTH",
        "maker": trade.maker,
        "buyer": trade.side is Side.BUY,
    }
    if instrument.inverse:
        shape["pair"] = pair_of(instrument)
        shape["marginAsset"] = instrument.margin_asset
        shape["baseQty"] = text(fill_cost(instrument, trade.qty, trade.price))
    else:
        shape["quoteQty"] = text(trade.qty * trade.price)
    return shape


def income(row: Income) -> Shape:
    return {
        "symbol": row.symbol,
        "incomeType": row.kind,
        "income": coins(row.amount),
        "asset": row.asset,
        "info": row.info,
        "time": row.at_ms,
        "tranId": row.tran_id,
        "tradeId": row.trade_id,
    }
