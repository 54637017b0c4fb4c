"""What became of an order: the answer to `QueryOrder`, by its client id.

A report is told after every fill that it counts, and "not found" only when the venue knows neither the order
nor a trade of it.  Whatever else the venue answers is no answer: the core asks again in its time.  What must
stay true: an order that may live is never told as not found.
"""

from __future__ import annotations

from adapters.binance import replies, requests
from adapters.binance.account import Account, client_of
from adapters.binance.decoding import Drift, Unread
from adapters.binance.kept import NO_SOCKET
from adapters.binance.outcomes import Outcome
from adapters.binance.replies import Order, Trade
from adapters.binance.requests import PAGE
from adapters.binance.rest import MS, SECOND_NS, Refused
from bot.model.commands import QueryOrder
from bot.model.facts import OrderNotFound, ProtocolDrift
from bot.model.ids import ClientId, InstrumentId
from bot.model.money import ZERO

BEFORE_NS = 60 * SECOND_NS
LOOK_BACK_NS = 86_400 * SECOND_NS - 2 * BEFORE_NS  # for an order that an earlier run sent; spot lists no more


class OrderAnswers:
    """Answers `QueryOrder` for one account; an order is asked for once at a time."""

    def __init__(self, account: Account) -> None:
        self._of = account
        self._asking: set[ClientId] = set()

    async def answer(self, query: QueryOrder) -> None:
        """Ask, and tell; or tell nothing."""
        if query.client_id in self._asking:
            return
        self._asking.add(query.client_id)
        try:
            await self._answer(query)
        except Drift as drift:
            self._of.emit(ProtocolDrift(self._of.id, "orders", f"query of {query.client_id}: {drift}"))
        except NO_SOCKET as error:
            if isinstance(error, Refused) and not error.passes:
                reason = f"query of {query.client_id} refused: {error}"
                self._of.emit(ProtocolDrift(self._of.id, "orders", reason))
        finally:
            self._asking.discard(query.client_id)

    async def _answer(self, query: QueryOrder) -> None:
        of = self._of
        asked_ns = of.rest.clock.venue_ns()
        try:
            body = await of.rest.read(requests.query(query), urgent=True)
        except Refused as refused:
            if refused.outcome is not Outcome.NOT_FOUND:
                raise
            if of.rest.clock.offset_ns is not None and not await self._is_there(query, asked_ns):
                of.emit(OrderNotFound(query.client_id, asked_ns))
            return
        order = replies.order(of.rest.market, body)
        if (order.client_id, order.instrument) != (query.client_id, query.instrument):
            raise Drift("the answer speaks of another order")
        await self._tell(order)

    async def _tell(self, order: Order) -> None:
        """Tell every fill of an order and then its state; nothing while fewer are listed than it counts."""
        of = self._of
        trades = await trades_of(of, order.instrument, order.venue_order_id) if order.filled_qty else ()
        if sum((trade.qty for trade in trades), ZERO) < order.filled_qty:
            return
        for trade in trades:
            of.told.refilled(replies.filled(trade, order.client_id))
        of.emit(replies.reported(order))

    async def _is_there(self, query: QueryOrder, at_ns: int) -> bool:
        """Whether the lists of orders and trades since it was sent know the order after all."""
        of = self._of
        since_ns = (of.told.sent_ns(query.client_id) or at_ns - LOOK_BACK_NS) - BEFORE_NS
        unread: list[Unread] = []
        for order in await self._listed(query.instrument, since_ns // MS, unread):
            of.told.named(order.instrument, order.venue_order_id, order.client_id)
            if order.client_id == query.client_id:
                return True
        call = requests.trades_since(query.instrument, since_ns // MS)
        trades = replies.trades(of.rest.market, await of.rest.read(call, urgent=True), unread)
        for trade in {trade.venue_order_id: trade for trade in trades}.values():
            if await client_of(of, trade) == query.client_id:
                return True
        # more than were looked at, or one that cannot be read: nothing is known
        return bool(unread) or len(trades) >= PAGE

    async def _listed(self, name: InstrumentId, since_ms: int, unread: list[Unread]) -> tuple[Order, ...]:
        body = await self._of.rest.read(requests.all_orders(name, since_ms), urgent=True)
        return replies.orders(self._of.rest.market, body, unread)


async def trades_of(of: Account, name: InstrumentId, venue_order_id: str) -> tuple[Trade, ...]:
    """Every execution of one order.  Raises one of `kept.NO_SOCKET`."""
    body = await of.rest.read(requests.trades_of(name, venue_order_id), urgent=True)
    unread: list[Unread] = []
    trades = replies.trades(of.rest.market, body, unread)
    for row in unread:
        of.emit(ProtocolDrift(of.id, "trades", f"order {venue_order_id}: {row.reason}"))
    if any(trade.venue_order_id != venue_order_id for trade in trades):
        raise Drift("the answer speaks of another order")
    return trades
