"""Conditional orders of futures: somebody else's stops, which are seen and never triggered.

They live beside ordinary orders, with numbers and requests of their own, and a bot that does not ask for them
does not see that a position may be closed under its hands.

Sources: ``openAlgoOrders`` and ``ALGO_UPDATE`` of derivatives_trading_usds_futures 18.1.0 (2026-11-20); that
COIN-M has the same is undocumented and seen in ccxt 4.5.90.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from adapters.rehearsal.shapes import Shape
from bot.model.ids import symbol_of
from bot.model.instrument import Instrument, Side
from bot.model.money import text


class Conditional(Struct, frozen=True):
    """A reduce-only stop at the market, waiting for ``trigger`` (quote currency)."""

    algo_id: int
    instrument: Instrument
    side: Side
    qty: Decimal
    trigger: Decimal
    created_ms: int

    @property
    def name(self) -> str:
        return f"web_{self.algo_id}"


def conditional_row(one: Conditional) -> Shape:
    """A row of ``openAlgoOrders``."""
    return {
        "algoId": one.algo_id,
        "clientAlgoId": one.name,
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": symbol_of(one.instrument.id),
        "side": one.side.name,
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": text(one.qty),
        "algoStatus": "NEW",
        "actualOrderId": "",
        "actualPrice": "0",
        "triggerPrice": text(one.trigger),
        "price": "0",
        "icebergQuantity": None,
        "tpTriggerPrice": "0",
        "tpPrice": "0",
        "slTriggerPrice": "0",
        "slPrice": "0",
        "tpOrderType": "",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": True,
        "createTime": one.created_ms,
        "updateTime": one.created_ms,
        "triggerTime": 0,
        "goodTillDate": 0,
    }


def conditional_event(one: Conditional, status: str, now_ms: int) -> Shape:
    """``ALGO_UPDATE``; ``status`` is NEW or CANCELED."""
    order: Shape = {
        "caid": one.name,
        "aid": one.algo_id,
        "at": "CONDITIONAL",
        "o": "STOP_MARKET",
        "s": symbol_of(one.instrument.id),
        "S": one.side.name,
        "ps": "BOTH",
        "f": "GTC",
        "q": text(one.qty),
        "X": status,
        "ai": "",
        "tp": text(one.trigger),
        "p": "0",
        "V": "EXPIRE_MAKER",
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": False,
        "pP": False,
        "R": True,
        "tt": 0,
        "gtd": 0,
        "rm": "",
    }
    return {"e": "ALGO_UPDATE", "T": now_ms, "E": now_ms, "o": order}
