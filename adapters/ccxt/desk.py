"""Orders of ours at one exchange: what the venue was told of them, and what we were told by it.

Answers, streams and queries of ccxt speak of the same orders in no fixed sequence.  The desk brings them into
the one that facts have: an order is accepted once, each trade is told once, and its end is told when every
fill it counts has been.  A trade that comes before its order is known waits for it.  What must stay true:
fills are counted by trade id, never by an order's own total; an order that is not ours is never a fact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from adapters import numbers
from adapters.ccxt.markets import Market, number
from bot.model.facts import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    ProtocolDrift,
)
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.instrument import Instrument, Side
from bot.model.money import ZERO, exact_arithmetic
from bot.ports import Clock, Emit

Order = Mapping[str, Any]  # ccxt's order structure
Trade = Mapping[str, Any]  # ccxt's trade structure
TradesOf = Callable[["Known"], Coroutine[Any, Any, list[Trade]]]
Spawn = Callable[[Coroutine[Any, Any, None]], object]

SETTLE_S = 0.5  # a stream's own trade report is waited for this long before it is asked for
_KEPT = 5_000  # orders, and trades of unknown orders
_SIDES = {side.value: side for side in Side}
_ENDED = ("closed", "canceled", "expired", "rejected")


class Leg(Struct, frozen=True):
    """One instrument and what ccxt calls it."""

    instrument: Instrument
    symbol: str
    market: Market

    @property
    def id(self) -> InstrumentId:
        return self.instrument.id


class Known(Struct):
    """One order of ours, as far as it was told."""

    client_id: ClientId
    leg: Leg
    venue_order_id: str = ""
    is_accepted: bool = False
    is_canceling: bool = False
    is_ended: bool = False
    filled_qty: Decimal = ZERO
    fills: dict[str, OrderFilled] = field(default_factory=dict)  # by trade id


class VenueTime:
    """The venue's clock: ours plus ``offset_ns`` (venue less ours), which whoever measures it sets."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.offset_ns = 0

    def now_ns(self) -> int:
        return self.clock.now_ns() + self.offset_ns

    def of(self, told: Mapping[str, Any]) -> int:
        """When the venue says that something happened; now, where it does not say."""
        at_ns = numbers.time_ns(told.get("lastUpdateTimestamp")) or numbers.time_ns(told.get("timestamp"))
        return at_ns or self.now_ns()


class Desk:
    """See the module head.  ``tag`` begins the name of every order of ours."""

    def __init__(self, time: VenueTime, tag: str, emit: Emit, spawn: Spawn) -> None:
        self.time = time
        self.known: dict[ClientId, Known] = {}
        self.stirred: dict[AccountId, int] = {}  # counts what moved each account's money
        self.trades_of: TradesOf | None = None
        self._tag = tag
        self._emit = emit
        self._spawn = spawn
        self._by_venue: dict[tuple[InstrumentId, str], Known] = {}
        self._early: dict[tuple[InstrumentId, str], list[Trade]] = {}
        self._told = asyncio.Event()

    def open(self, client_id: ClientId, leg: Leg) -> Known:
        """The order of this name, begun if it is not known."""
        known = self.known.get(client_id)
        if known is None:
            known = self.known[client_id] = Known(client_id, leg)
            if len(self.known) > _KEPT:
                self._forget_oldest()
        return known

    def forget(self, known: Known) -> None:
        """The venue never had it."""
        self.known.pop(known.client_id, None)

    def name(self, known: Known, venue_order_id: str) -> None:
        """Take the venue's own name of an order."""
        if venue_order_id and not known.venue_order_id:
            known.venue_order_id = venue_order_id
            self._by_venue[known.leg.id, venue_order_id] = known

    def living(self) -> list[Known]:
        return [known for known in self.known.values() if known.is_accepted and not known.is_ended]

    def is_ours(self, order: Order) -> bool:
        return str(order.get("clientOrderId") or "").startswith(self._tag)

    def knows(self, leg: Leg, venue_order_id: str) -> bool:
        return (leg.id, venue_order_id) in self._by_venue

    # --- what the venue says

    def on_order(self, leg: Leg, order: Order, known: Known | None = None) -> Known | None:
        """An order's state, wherever it comes from; ``None`` for one that is not ours."""
        if known is None:
            known = self.known.get(ClientId(str(order.get("clientOrderId") or ""))) or self._by_venue.get(
                (leg.id, str(order.get("id") or ""))
            )
        if known is None:
            if not self.is_ours(order):
                return None
            known = self.open(ClientId(str(order["clientOrderId"])), leg)
        status = order.get("status")
        if status == "rejected" and not known.is_accepted:
            self.forget(known)
            self._emit(OrderRejected(known.client_id, "rejected", "", self.time.of(order)))
            return known
        self._accept(known, order)
        if status in _ENDED and not known.is_ended:
            self._end(known, order, number(order.get("filled")) or ZERO)
        return known

    def on_trade(self, leg: Leg, trade: Trade, known: Known | None = None) -> None:
        """An execution; waits where its order is not known (yet)."""
        key = (leg.id, str(trade.get("order") or ""))
        known = known or self._by_venue.get(key)
        if known is None:
            self._early.setdefault(key, []).append(trade)
            if len(self._early) > _KEPT:
                del self._early[next(iter(self._early))]
            return
        fill = self.fill(known, trade)
        if fill is None or fill.trade_id in known.fills:
            return
        self._count(known, fill)
        self._emit(fill)
        self._told.set()

    def retell(self, known: Known, trades: Iterable[Trade]) -> Decimal | None:
        """Tell every fill again, and return their sum; ``None`` where one of them says too little."""
        fills = [self.fill(known, trade) for trade in trades]
        if any(fill is None for fill in fills):
            return None
        for fill in fills:
            if fill is not None:
                if fill.trade_id not in known.fills:
                    self._count(known, fill)
                self._emit(known.fills[fill.trade_id])
        self._told.set()
        return known.filled_qty

    def fill(self, known: Known, trade: Trade) -> OrderFilled | None:
        """A trade as a fact; ``None``, and drift, where the venue leaves out what money needs."""
        qty, price = number(trade.get("amount")), number(trade.get("price"))
        fee = trade.get("fee") or {}
        cost = number(fee.get("cost"))
        side = _SIDES.get(str(trade.get("side")))
        is_whole = fee.get("currency") and trade.get("id") and side is not None
        if qty is None or price is None or cost is None or side is None or not is_whole:
            reason = (
                f"trade {trade.get('id')} of order {known.client_id} lacks its side, amount, price or fee"
            )
            self._emit(ProtocolDrift(known.leg.instrument.account, "trades", reason))
            return None
        return OrderFilled(
            client_id=known.client_id,
            instrument=known.leg.id,
            trade_id=str(trade["id"]),
            venue_order_id=known.venue_order_id,
            side=side,
            qty=qty,
            price=price,
            fee=cost,
            fee_asset=str(fee["currency"]),
            maker=trade.get("takerOrMaker") == "maker",
            venue_ns=numbers.time_ns(trade.get("timestamp")) or self.time.now_ns(),
        )

    # --- inside

    def _accept(self, known: Known, order: Order) -> None:
        venue_order_id = str(order.get("id") or "")
        self.name(known, venue_order_id)
        if not known.is_accepted:
            known.is_accepted = True
            self._emit(OrderAccepted(known.client_id, known.venue_order_id, self.time.of(order)))
        for trade in self._early.pop((known.leg.id, venue_order_id), ()):
            self.on_trade(known.leg, trade, known)

    def _count(self, known: Known, fill: OrderFilled) -> None:
        known.fills[fill.trade_id] = fill
        with exact_arithmetic():
            known.filled_qty += fill.qty
        account = known.leg.instrument.account
        self.stirred[account] = self.stirred.get(account, 0) + 1

    def _end(self, known: Known, order: Order, filled_qty: Decimal) -> None:
        if known.filled_qty < filled_qty:
            self._spawn(self._settle(known, order, filled_qty))
            return
        known.is_ended = True
        status, at_ns = order.get("status"), self.time.of(order)
        if status == "closed" and known.filled_qty == number(order.get("amount")):
            return
        if status == "canceled" and known.is_canceling:
            self._emit(OrderCanceled(known.client_id, at_ns))
        else:
            self._emit(OrderExpired(known.client_id, f"{status} by the venue", at_ns))

    async def _settle(self, known: Known, order: Order, filled_qty: Decimal) -> None:
        """Have every fill told that an ended order counts, then its end; where the venue does not show them
        the order's next query will say so."""
        try:
            async with asyncio.timeout(SETTLE_S):
                while known.filled_qty < filled_qty:
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            if self.trades_of is not None:
                for trade in await self.trades_of(known):
                    self.on_trade(known.leg, trade, known)
        if known.filled_qty >= filled_qty and not known.is_ended:
            self._end(known, order, filled_qty)

    def _forget_oldest(self) -> None:
        """Ended orders first; what lives is never forgotten."""
        old = next((one for one in self.known.values() if one.is_ended), None)
        if old is not None:
            self.known.pop(old.client_id)
            self._by_venue.pop((old.leg.id, old.venue_order_id), None)
