"""Orders through ccxt: one attempt each way, and what its outcome is.

A send that the venue answered is told as it answered; a refusal is told as one only where `outcomes` says
so; everything else is uncertain until a query by client order id settles it.  A query's answer is every fill
the order has, told again, and then its state; where the venue shows fewer fills than it counts there is no
answer, and the core asks again.  What must stay true: nothing in here sends twice, and "not found" is said
only when neither the order nor a trade of it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from adapters.ccxt.desk import Desk, Known, Leg, Order, Trade
from adapters.ccxt.exchange import (
    UNREADABLE,
    Exchange,
    Send,
    Unaffordable,
    answered,
    failures,
    library,
    sending,
)
from adapters.ccxt.markets import number
from adapters.ccxt.outcomes import Attempt, Verdict, said, verdict
from adapters.numbers import MS_MAX, whole
from bot.model.commands import CancelOrder, PlaceOrder, QueryOrder, TimeInForce
from bot.model.facts import (
    CancelRejected,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
    ProtocolDrift,
)
from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.money import ZERO, text
from bot.model.pair import Purpose
from bot.ports import Emit

TRADES_ASKED = 500
_PAGES = 20
_MS = 1_000_000
_RECENT_MS = 600_000
_STATUS = {
    "open": OrderStatus.OPEN,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "canceling": OrderStatus.OPEN,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


class Orders:
    """Sends and queries of one exchange."""

    def __init__(self, exchange: Exchange, desk: Desk, emit: Emit) -> None:
        self._exchange = exchange
        self._desk = desk
        self._emit = emit
        self._failure: type[Exception] = library().BaseError
        self._failures = failures()
        self._not_found: type[Exception] = library().OrderNotFound
        desk.trades_of = self.trades_of

    async def place(self, command: PlaceOrder, leg: Leg) -> None:
        name = command.client_id
        if name in self._desk.known:  # a venue may take a name again once its first order has ended
            self._emit(OrderUncertain(name, "an order of this name was sent before; not sent again"))
            return
        known = self._desk.open(name, leg)
        send = Send(Attempt(), urgent=command.purpose is not Purpose.ENTER)
        qty, price = text(command.qty), text(command.price)
        try:
            with sending(send):
                order = await self._exchange.create_order(
                    leg.symbol, "limit", command.side.value, qty, price, _params(command)
                )
        except Unaffordable:
            self._refuse(known, "RATE", "the rate budget has no room for it; nothing was sent")
        except self._failure as error:
            if verdict(error, send.attempt, self._exchange.id) in (Verdict.REFUSED, Verdict.THROTTLED):
                self._refuse(known, *said(error, send.attempt))
            else:
                self._emit(OrderUncertain(name, " ".join(said(error, send.attempt))))
        except UNREADABLE as error:
            if not send.attempt.left:
                raise
            self._emit(OrderUncertain(name, f"an answer that cannot be read ({type(error).__name__})"))
        else:
            if order.get("id") and str(order.get("clientOrderId") or name) == name:
                self._desk.on_order(leg, order, known)
            else:
                told = order.get("clientOrderId") or "no order"
                self._drift(leg, f"order {name} was answered with {told}")
                self._emit(OrderUncertain(name, "answered with another order, or with none"))

    async def cancel(self, command: CancelOrder, leg: Leg) -> None:
        name = command.client_id
        known = self._desk.known.get(name)
        if known is not None:
            known.is_canceling = True
        send = Send(Attempt(), urgent=True)
        venue_order_id = "" if known is None else known.venue_order_id
        params = {} if venue_order_id else {"clientOrderId": name}
        try:
            with sending(send):
                order = await self._exchange.cancel_order(venue_order_id, leg.symbol, params)
        except Unaffordable:
            self._keep(name, "RATE", "the rate budget has no room for it; nothing was sent")
        except self._failure as error:
            if verdict(error, send.attempt, self._exchange.id) is Verdict.UNCERTAIN:
                self._emit(OrderUncertain(name, "cancel: " + " ".join(said(error, send.attempt))))
            else:
                self._keep(name, *said(error, send.attempt))
        except UNREADABLE as error:
            if not send.attempt.left:
                raise
            self._emit(OrderUncertain(name, f"a cancel's answer cannot be read ({type(error).__name__})"))
        else:
            self._desk.on_order(leg, order, known)

    async def query(self, query: QueryOrder, leg: Leg) -> None:
        """Answer, or say nothing where the venue does not say enough."""
        name = query.client_id
        try:
            order = await answered(self._exchange.fetch_order("", leg.symbol, {"clientOrderId": name}))
            known = self._desk.open(name, leg)
            if str(order.get("clientOrderId") or name) != name:
                self._drift(leg, f"a query for order {name} was answered with order {order['clientOrderId']}")
                return
            await self._report(known, order)
        except self._not_found:
            if await self._has_no_trade(name, leg):
                self._emit(OrderNotFound(name, self._desk.time.now_ns()))
        except self._failures:
            return
        except UNREADABLE as error:
            self._drift(leg, f"the answer to a query for {name} cannot be read ({type(error).__name__})")

    async def _report(self, known: Known, order: Order) -> None:
        leg = known.leg
        self._desk.name(known, str(order.get("id") or ""))
        filled, qty = number(order.get("filled")) or ZERO, number(order.get("amount"))
        status = _STATUS.get(str(order.get("status")))
        told: Decimal | None = (
            self._desk.retell(known, await self.trades_of(known, order)) if filled else ZERO
        )
        if status is None or qty is None:
            self._drift(leg, f"order {known.client_id} is reported without status or amount")
            return
        if told != filled:
            return  # a fill is on its way to one of the two answers
        if status is OrderStatus.FILLED and filled < qty:
            status = OrderStatus.CANCELED  # some venues call every ended order closed
        known.is_ended = known.is_ended or status is not OrderStatus.OPEN
        self._emit(
            OrderReported(
                client_id=known.client_id,
                instrument=leg.id,
                venue_order_id=known.venue_order_id,
                status=status,
                side=Side(order["side"]),
                qty=qty,
                filled_qty=filled,
                venue_ns=self._desk.time.of(order),
            )
        )

    async def trades_of(self, known: Known, order: Order | None = None) -> list[Trade]:
        """Every trade of one order, oldest first; none where the venue does not answer."""
        try:
            if order is None:
                params = {"clientOrderId": known.client_id}
                order = await answered(self._exchange.fetch_order("", known.leg.symbol, params))
            order_id = str(order.get("id"))
            return await self.trades(
                known.leg, order.get("timestamp"), lambda one: str(one["order"]) == order_id
            )
        except self._failures:
            return []

    async def trades(self, leg: Leg, since_ms: int | None, wanted: Callable[[Trade], bool]) -> list[Trade]:
        """Our trades since a time by the venue's clock, oldest first.  Raises `failures`."""
        told: dict[str, Trade] = {}
        for _ in range(_PAGES):
            page = await answered(self._exchange.fetch_my_trades(leg.symbol, since_ms, TRADES_ASKED))
            news = [one for one in page if str(one["id"]) not in told]
            told.update((str(one["id"]), one) for one in news)
            if len(page) < TRADES_ASKED or not news or since_ms is None:
                break
            last_ms = max(_at_ms(one) for one in page)
            if last_ms <= since_ms:
                break
            since_ms = last_ms
        return sorted((one for one in told.values() if wanted(one)), key=_at_ms)

    async def _has_no_trade(self, name: ClientId, leg: Leg) -> bool:
        """Whether no recent trade belongs to an order of this name; false where that cannot be told."""
        since_ms = self._desk.time.now_ns() // _MS - _RECENT_MS
        try:
            trades = await self.trades(
                leg, since_ms, lambda one: not self._desk.knows(leg, str(one["order"]))
            )
            for order_id in dict.fromkeys(str(one["order"]) for one in trades):
                order = await answered(self._exchange.fetch_order(order_id, leg.symbol))
                if order.get("clientOrderId") == name:
                    return False
        except self._failures:
            return False
        return True

    def _refuse(self, known: Known, code: str, reason: str) -> None:
        self._desk.forget(known)
        self._emit(OrderRejected(known.client_id, code, reason, self._desk.time.now_ns()))

    def _keep(self, name: ClientId, code: str, reason: str) -> None:
        self._emit(CancelRejected(name, code, reason, self._desk.time.now_ns()))

    def _drift(self, leg: Leg, reason: str) -> None:
        self._emit(ProtocolDrift(leg.instrument.account, "orders", reason))


def _at_ms(trade: Trade) -> int:
    """When it was; 0 where the venue does not say."""
    return whole(trade.get("timestamp"), MS_MAX) or 0


def _params(command: PlaceOrder) -> dict[str, Any]:
    params: dict[str, Any] = {"clientOrderId": command.client_id}
    match command.tif:
        case TimeInForce.POST_ONLY:
            params["postOnly"] = True
        case TimeInForce.IOC | TimeInForce.GTC | TimeInForce.FOK:
            params["timeInForce"] = command.tif.value
    if command.reduce_only:
        params["reduceOnly"] = True
    return params
