"""What of each order has been told, whoever said it: an answer, the private stream, a list of trades.

The venue says everything about an order twice, on two connections and in any order, and may leave a fill out
of the stream.  Here each fact passes once: an order is accepted before it fills, and its end waits until as
much has been told as the venue says has filled; what is missing is asked for.  What must stay true: an end is
never told before a fill that it counts.  Forgetting is harmless, since the books know every fill by its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Protocol

from msgspec import Struct, field

from adapters.binance.kept import NO_SOCKET
from adapters.binance.replies import Trade, filled
from bot.model.facts import OrderAccepted, OrderCanceled, OrderExpired, OrderFilled, OrderRejected
from bot.model.ids import ClientId, InstrumentId
from bot.model.money import ZERO
from bot.ports import Emit

Spawn = Callable[[Coroutine[None, None, None]], object]
TradesOf = Callable[[InstrumentId, str], Awaitable[tuple[Trade, ...]]]
OnFill = Callable[[OrderFilled], None]
End = OrderCanceled | OrderExpired | OrderRejected

KEPT = 4096
PAUSES_S = (0.2, 0.4, 0.8, 1.6)  # the list of trades may lag behind the order


class Standing(Protocol):
    """What an answer and an event of the private stream both say of an order."""

    @property
    def client_id(self) -> ClientId: ...
    @property
    def instrument(self) -> InstrumentId: ...
    @property
    def venue_order_id(self) -> str: ...
    @property
    def filled_qty(self) -> Decimal: ...


class _Record(Struct):
    """One order.  ``due_qty`` is the most that the venue has said it filled, ``end`` the end that waits."""

    sent_ns: int = 0
    accepted: bool = False
    filled_qty: Decimal = ZERO
    trades: set[str] = field(default_factory=set)
    due_qty: Decimal = ZERO
    end: End | None = None
    is_final: bool = False  # nothing but its fills is between the order and the telling of its end
    ended: bool = False
    is_asking: bool = False
    streamed: bool = False


class Told:
    """One account's orders.  ``revision`` grows with everything that changes the account; ``settling`` counts
    the orders whose missing fills are being asked for; ``touched``, whether it was told that somebody else
    acts on the account since it was last asked about."""

    def __init__(self, emit: Emit, trades_of: TradesOf, spawn: Spawn, on_fill: OnFill) -> None:
        self.revision = 0
        self.settling = 0
        self.touched = False
        self._emit = emit
        self._trades_of = trades_of
        self._spawn = spawn
        self._on_fill = on_fill
        self._records: dict[ClientId, _Record] = {}
        self._names: dict[tuple[InstrumentId, str], ClientId] = {}  # by the venue's own order id

    def name_of(self, instrument: InstrumentId, venue_order_id: str) -> ClientId | None:
        """The client id of an order that was spoken of here."""
        return self._names.get((instrument, venue_order_id))

    def named(self, instrument: InstrumentId, venue_order_id: str, client_id: ClientId) -> None:
        """Remember whose an order is."""
        self._names[instrument, venue_order_id] = client_id
        if len(self._names) > KEPT:
            del self._names[next(iter(self._names))]

    def sends(self, client_id: ClientId, at_ns: int) -> bool:
        """The order is about to be sent; false when it was before."""
        record = self._record(client_id)
        is_first = record.sent_ns == 0
        record.sent_ns = record.sent_ns or at_ns
        return is_first

    def sent_ns(self, client_id: ClientId) -> int:
        """When the order was sent, by the venue's clock; 0 where an earlier run sent it."""
        return self._record(client_id).sent_ns

    def streamed(self, client_id: ClientId) -> None:
        """The private stream spoke of the order."""
        self._record(client_id).streamed = True

    def is_streamed(self, client_id: ClientId) -> bool:
        return self._record(client_id).streamed

    def accepted(self, fact: OrderAccepted) -> None:
        record = self._record(fact.client_id)
        if not record.accepted:
            record.accepted = True
            self._emit(fact)

    def is_accepted(self, client_id: ClientId) -> bool:
        """Whether the venue has said that the order lives, or lived."""
        return self._record(client_id).accepted

    def filled(self, fact: OrderFilled) -> None:
        """A fill, told unless it was; an end that waited for it follows."""
        if fact.trade_id not in self._record(fact.client_id).trades:
            self.accepted(OrderAccepted(fact.client_id, fact.venue_order_id, fact.venue_ns))
            self.refilled(fact)

    def refilled(self, fact: OrderFilled) -> None:
        """A fill, told in any case: somebody asked."""
        record = self._record(fact.client_id)
        self.named(fact.instrument, fact.venue_order_id, fact.client_id)
        self._emit(fact)
        if fact.trade_id not in record.trades:
            record.trades.add(fact.trade_id)
            record.filled_qty += fact.qty
            self.revision += 1
            self._on_fill(fact)
            self._maybe_end(record)

    def rejected(self, fact: OrderRejected) -> None:
        """Ignored for an order that lives: it speaks of another one sent under the same name."""
        record = self._record(fact.client_id)
        if not record.accepted and not record.ended:
            record.ended = True
            self._emit(fact)

    def stands(self, order: Standing, end: End | None, patience_s: float = 0.0) -> None:
        """The venue's word on an order: how much has filled in all and, once it has ended, its end.

        What is missing is asked for after ``patience_s``, and the end waits for it; with patience, it waits
        for the private stream to say so too, which tells the balances before the end.
        """
        record = self._record(order.client_id)
        if end is not None and not record.ended:
            record.end = end
            record.is_final |= patience_s == 0.0 or order.filled_qty == ZERO
        record.due_qty = max(record.due_qty, order.filled_qty)
        self._maybe_end(record)
        is_open = record.filled_qty < record.due_qty or (record.end is not None and not record.ended)
        if is_open and not record.is_asking:
            record.is_asking = True
            self._spawn(self._ask(order, record, patience_s))

    async def _ask(self, order: Standing, record: _Record, patience_s: float) -> None:
        """Tell an order's missing fills.  Where the venue does not list them, nothing is told: the core asks
        for the order again."""
        self.settling += 1
        try:
            for pause_s in (patience_s, *PAUSES_S):
                await asyncio.sleep(pause_s)
                if record.filled_qty >= record.due_qty:
                    return
                try:
                    trades = await self._trades_of(order.instrument, order.venue_order_id)
                except NO_SOCKET:
                    continue
                for trade in trades:
                    self.filled(filled(trade, order.client_id))
        finally:
            record.is_asking = False
            self.settling -= 1
            record.is_final = True
            self._maybe_end(record)

    def _maybe_end(self, record: _Record) -> None:
        may_end = record.is_final and not record.ended
        if may_end and record.end is not None and record.filled_qty >= record.due_qty:
            record.ended = True
            self.revision += 1
            self._emit(record.end)

    def _record(self, client_id: ClientId) -> _Record:
        record = self._records.get(client_id)
        if record is None:
            record = self._records[client_id] = _Record()
            if len(self._records) > KEPT:
                del self._records[next(iter(self._records))]
        return record
