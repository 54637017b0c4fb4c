"""An order as the venue knows it, from acceptance to its end and after."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct, field

from bot.model.commands import PlaceOrder
from bot.model.facts import OrderFilled, OrderStatus
from bot.model.instrument import Instrument, Side
from bot.model.money import ZERO


class VenueOrder(Struct):
    """``ahead`` is the displayed quantity that must trade before a resting order does, in venue units.

    ``credit`` is how much of the queue a shrinking level took away since ``credit_ns``: trades that the
    shrink already showed are paid from it, so that a trade and its depth update advance the queue once.
    ``placed_ns`` and ``changed_ns`` (placed, filled, ended) are by the venue's clock.
    """

    command: PlaceOrder
    instrument: Instrument
    venue_order_id: str
    status: OrderStatus = OrderStatus.OPEN
    filled: Decimal = ZERO
    fills: list[OrderFilled] = field(default_factory=list)
    level: float = 0.0  # the limit price as a book key
    ahead: Decimal = ZERO
    credit: Decimal = ZERO
    credit_ns: int = 0
    placed_ns: int = 0
    changed_ns: int = 0

    @property
    def is_bid(self) -> bool:
        return self.command.side is Side.BUY

    @property
    def open_qty(self) -> Decimal:
        """Unfilled quantity of a living order; nothing once it has ended."""
        return self.command.qty - self.filled if self.status is OrderStatus.OPEN else ZERO
