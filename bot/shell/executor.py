"""The executor: carries admitted commands out, and notices silence.

It takes nothing but `Admitted`, passes every order through the fuse, hands it to whoever sends, and sets a
deadline.  An order or a cancel that nobody answers by then is uncertain, which is a fact like any other; the
executor decides nothing about it and never sends anything twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from bot.model.commands import (
    CancelOrder,
    NoteIdle,
    Outward,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMargin,
    SetMode,
    SetSwitch,
)
from bot.model.config import Fuse
from bot.model.facts import (
    AnyFact,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
)
from bot.model.ids import ClientId, InstrumentId
from bot.model.instrument import Instrument
from risk.fuse import REFUSED, FuseBox, budget_of
from risk.guard import Admitted

Contracts = Mapping[InstrumentId, Instrument]
Send = Callable[[Outward, int], None]
Put = Callable[[AnyFact], None]
Alert = Callable[[RaiseAlert, int], None]

_OF_ORDERS: frozenset[type] = frozenset(
    {
        OrderAccepted,
        OrderFilled,
        OrderReported,
        CancelRejected,
        OrderCanceled,
        OrderExpired,
        OrderRejected,
        OrderNotFound,
        OrderUncertain,
    }
)


class Executor:
    """``contracts`` say what an order is worth to the fuse; ``send`` takes a command and the time it leaves,
    ``put`` takes facts of our own making back in."""

    def __init__(self, fuse: Fuse, contracts: Contracts, send: Send, put: Put, alert: Alert) -> None:
        self._fuse = fuse
        self._contracts = contracts
        self._box = FuseBox(fuse, contracts)
        self._send = send
        self._put = put
        self._alert = alert
        self._deadline_ns = round(fuse.deadline_s * 1e9)
        # due times by order; one deadline for all, so the oldest is due first
        self._placed: dict[ClientId, int] = {}
        self._canceled: dict[ClientId, int] = {}

    def execute(self, admitted: tuple[Admitted, ...], at_ns: int) -> None:
        """Carry out what one batch led to.  Raises ``TypeError`` for anything the guard did not admit."""
        group: list[PlaceOrder] = []
        for one in admitted:
            if type(one) is not Admitted:
                raise TypeError(f"only what the guard admitted is executed, not {type(one).__name__}")
            command = one.command
            if group and not (type(command) is PlaceOrder and _is_of(group[0], command)):
                self._place(group, at_ns)
                group = []
            match command:
                case PlaceOrder():
                    group.append(command)
                case CancelOrder(client_id):
                    self._canceled.pop(client_id, None)
                    self._canceled[client_id] = at_ns + self._deadline_ns
                    self._send(command, at_ns)
                case QueryOrder() | QueryAccount():
                    self._send(command, at_ns)
                case RaiseAlert():
                    self._alert(command, at_ns)
                case SetMode() | SetMargin() | NoteIdle() | SetSwitch():
                    pass
                case _:
                    assert_never(command)
        if group:
            self._place(group, at_ns)

    def saw(self, fact: AnyFact) -> None:
        """Watch a fact pass by: an answer ends the wait for it."""
        if type(fact) not in _OF_ORDERS:
            return
        match fact:
            case OrderAccepted(client_id):
                self._placed.pop(client_id, None)
            case OrderFilled(client_id, qty=qty):
                self._placed.pop(client_id, None)
                self._box.filled(client_id, qty)
            case CancelRejected(client_id):
                self._canceled.pop(client_id, None)
            case OrderReported(client_id, status=OrderStatus.OPEN):
                self._placed.pop(client_id, None)
            case (
                OrderReported(client_id)
                | OrderCanceled(client_id)
                | OrderExpired(client_id)
                | OrderRejected(client_id)
                | OrderNotFound(client_id)
                | OrderUncertain(client_id)
            ):
                self._placed.pop(client_id, None)
                self._canceled.pop(client_id, None)
                if type(fact) is not OrderNotFound and type(fact) is not OrderUncertain:
                    self._box.ended(client_id)

    def next_deadline_ns(self) -> int | None:
        """When the next silence becomes a fact; ``None`` when nothing is waited for."""
        due = [next(iter(waits.values())) for waits in (self._placed, self._canceled) if waits]
        return min(due) if due else None

    def expire(self, at_ns: int) -> None:
        """Turn every deadline up to and including ``at_ns`` into an `OrderUncertain`."""
        for waits, what in ((self._placed, "order"), (self._canceled, "cancel")):
            while waits:
                client_id, due_ns = next(iter(waits.items()))
                if due_ns > at_ns:
                    break
                del waits[client_id]
                self._put(OrderUncertain(client_id, f"{what}: no answer within {self._fuse.deadline_s:g} s"))

    def lose_memory(self) -> None:
        """What a crash does: deadlines are forgotten, and the fuse starts its minute anew."""
        self._placed.clear()
        self._canceled.clear()
        self._box = FuseBox(self._fuse, self._contracts)

    def _place(self, group: list[PlaceOrder], at_ns: int) -> None:
        refusal = self._box.allow(group, at_ns)
        for order in group:
            if refusal is not None:
                self._put(OrderRejected(order.client_id, REFUSED, refusal, at_ns))
                continue
            self._placed[order.client_id] = at_ns + self._deadline_ns
            self._send(order, at_ns)


def _is_of(first: PlaceOrder, order: PlaceOrder) -> bool:
    """Whether two orders of one step are of one group."""
    return first.pair == order.pair and budget_of(first.purpose) is budget_of(order.purpose)
