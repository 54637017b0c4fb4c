"""The life of an order: one table, and what each fact does to it.

Theory of operation.  An order is *live* in SENT, OPEN, CANCELING and UNCERTAIN: it may still fill, so what is
open of it is reserved.  It ends as DONE (its venue ended it) or DEAD (it never lived).  UNCERTAIN means that
nobody vouches for it; only a statement of the venue that names the order leads out of there.

A fill counts in every state, DEAD included: it is the position that is true, not our opinion of the order.
Facts that say what is known already (a late acknowledgement, a second cancel) change nothing.  Anything else
that the table does not allow is a bug, and stops the program.
"""

from __future__ import annotations

from bot.model.facts import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
)
from bot.model.store import Order, OrderState

UNHEARD_NS = 30_000_000_000  # a venue's answers lag less behind its books: asked where no stream tells fills
LEGAL: dict[OrderState, tuple[OrderState, ...]] = {
    OrderState.SENT: (OrderState.OPEN, OrderState.DONE, OrderState.DEAD, OrderState.UNCERTAIN),
    OrderState.OPEN: (OrderState.CANCELING, OrderState.DONE, OrderState.DEAD, OrderState.UNCERTAIN),
    OrderState.CANCELING: (OrderState.OPEN, OrderState.DONE, OrderState.DEAD, OrderState.UNCERTAIN),
    OrderState.UNCERTAIN: (OrderState.OPEN, OrderState.DONE, OrderState.DEAD),
    OrderState.DONE: (),
    OrderState.DEAD: (),
}

SETTLE_MARGIN_NS = 1_000_000_000
NEGATIVE_ANSWERS = 2


class BrokenInvariant(Exception):
    """Something happened that cannot: our bug, never the venue's."""


def move(order: Order, state: OrderState, at_ns: int, reason: str = "") -> None:
    """Change an order's state; raises `BrokenInvariant` where the table has no such row."""
    if state not in LEGAL[order.state]:
        raise BrokenInvariant(f"order {order.client_id}: {order.state.value} cannot become {state.value}")
    order.state = state
    order.state_ns = at_ns
    order.reason = reason or order.reason


def accepted(order: Order, fact: OrderAccepted, at_ns: int) -> None:
    order.venue_order_id = fact.venue_order_id
    if order.state is OrderState.SENT:
        move(order, OrderState.OPEN, at_ns)
    elif order.state is OrderState.UNCERTAIN:
        order.ask_ns = at_ns  # it lived once; whether it still does is for the report to say


def rejected(order: Order, fact: OrderRejected, at_ns: int) -> None:
    if order.state.is_live:
        move(order, OrderState.DEAD, at_ns, f"{fact.code} {fact.reason}")


def ended(order: Order, fact: OrderCanceled | OrderExpired, at_ns: int) -> None:
    if order.state.is_live:
        move(order, OrderState.DONE, at_ns, fact.reason if isinstance(fact, OrderExpired) else "canceled")


def cancel_rejected(order: Order, fact: CancelRejected, at_ns: int) -> None:
    """The venue would not cancel: it has ended or it never lived.  Which, only a report says."""
    if order.state is OrderState.CANCELING:
        move(order, OrderState.OPEN, at_ns, f"{fact.code} {fact.reason}")
        order.ask_ns = at_ns


def uncertain(order: Order, fact: OrderUncertain, at_ns: int) -> None:
    if order.state.is_live and order.state is not OrderState.UNCERTAIN:
        move(order, OrderState.UNCERTAIN, at_ns, fact.reason)
        order.ask_ns = at_ns
        order.not_found = 0


def contradicted(order: Order, at_ns: int, reason: str) -> None:
    """The venue said something of it that cannot be: it is asked what is true, once for all that it says."""
    order.contradicted += 1
    if order.state.is_live and order.state is not OrderState.UNCERTAIN:
        move(order, OrderState.UNCERTAIN, at_ns, reason)
        order.ask_ns, order.not_found = at_ns, 0


def filled(order: Order, at_ns: int) -> None:
    """Called after ``filled_qty`` grew.  An uncertain order waits for its report even when it is full."""
    if order.filled_qty > order.qty:
        raise BrokenInvariant(f"order {order.client_id}: filled {order.filled_qty} of {order.qty}")
    if order.state in (OrderState.SENT, OrderState.OPEN, OrderState.CANCELING):
        if order.filled_qty == order.qty:
            move(order, OrderState.DONE, at_ns)
        elif order.state is OrderState.SENT:
            move(order, OrderState.OPEN, at_ns)


def is_of(order: Order, fact: OrderReported) -> bool:
    """Whether a report speaks of this order: one that does not is somebody else's, and everything halts."""
    is_same = (fact.instrument, fact.side) == (order.instrument, order.side)
    return is_same and fact.qty.is_finite() and fact.qty == order.qty


def reported(order: Order, fact: OrderReported, at_ns: int) -> None:
    """A query's answer."""
    order.venue_order_id = fact.venue_order_id
    order.not_found = 0
    if not order.state.is_live:
        return
    match fact.status:
        case OrderStatus.OPEN:
            if order.state is not OrderState.OPEN:
                move(order, OrderState.OPEN, at_ns)
        case OrderStatus.FILLED | OrderStatus.CANCELED | OrderStatus.EXPIRED:
            move(order, OrderState.DONE, at_ns, fact.status.value)
        case OrderStatus.REJECTED:
            move(order, OrderState.DEAD, at_ns, fact.status.value)


def not_found(order: Order, fact: OrderNotFound, at_ns: int, window_ns: int) -> None:
    """A negative answer kills only when it is beyond doubt: asked twice, and after the last moment at which
    the venue could still have accepted the order, by the venue's own clock."""
    if not order.state.is_live:
        return
    if order.state is not OrderState.UNCERTAIN:
        move(order, OrderState.UNCERTAIN, at_ns, "not found")
        order.not_found = 0
    order.not_found += 1
    settled_ns = order.sent_ns + window_ns + SETTLE_MARGIN_NS
    if order.not_found >= NEGATIVE_ANSWERS and fact.venue_ns >= settled_ns:
        move(order, OrderState.DEAD, at_ns, "not found")
    else:
        order.ask_ns = max(at_ns + SETTLE_MARGIN_NS, settled_ns)
