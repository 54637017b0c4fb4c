"""The last line before the wire: orders and notional a minute; opening, closing and repairing apart.

It knows no position, no price and no reason. If everything before it is wrong, this still bounds what
leaves in a minute, and an opening run away cannot use up what is needed to get out. A group passes whole or
not at all. What was surely not executed gives its notional back; its count stays. Deterministic: time is
told to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum

from msgspec import Struct

from bot.model.commands import PlaceOrder
from bot.model.config import Fuse
from bot.model.ids import ClientId, InstrumentId
from bot.model.instrument import Instrument, notional_quote
from bot.model.money import ZERO, text
from bot.model.pair import Purpose

MINUTE_NS = 60_000_000_000
REFUSED = "FUSE"  # code of an order that the fuse refused


class Budget(Enum):
    OPENING = "opening"
    CLOSING = "closing"
    REPAIR = "repair"


_BUDGETS = {
    Purpose.ENTER: Budget.OPENING,
    Purpose.EXIT: Budget.CLOSING,
    Purpose.DRIFT: Budget.CLOSING,
    Purpose.REPAIR: Budget.REPAIR,
    Purpose.UNWIND: Budget.REPAIR,
}


class Allowance(Struct, frozen=True):
    """What a budget lets pass in a minute; notional in quote currency."""

    orders: int
    notional_quote: Decimal


def budget_of(purpose: Purpose) -> Budget:
    return _BUDGETS[purpose]


def allowances(fuse: Fuse) -> dict[Budget, Allowance]:
    """Each budget's allowance; repairs have as much as closing where the settings name nothing."""
    closing = Allowance(fuse.closing_orders_per_min, fuse.closing_notional_per_min_quote)
    return {
        Budget.OPENING: Allowance(fuse.opening_orders_per_min, fuse.opening_notional_per_min_quote),
        Budget.CLOSING: closing,
        Budget.REPAIR: Allowance(
            fuse.repair_orders_per_min or closing.orders,
            fuse.repair_notional_per_min_quote or closing.notional_quote,
        ),
    }


class FuseBox:
    """Three budgets over the last minute.

    ``contracts`` say what one unit of quantity is worth. Without them quantity × price is counted, which is
    right for spot and linear contracts of one unit of base, and far too much for inverse ones.
    """

    def __init__(self, fuse: Fuse, contracts: Mapping[InstrumentId, Instrument] | None = None) -> None:
        self._contracts = contracts
        self._minutes = {budget: _Minute(budget, left) for budget, left in allowances(fuse).items()}
        self._passed: dict[ClientId, tuple[_Minute, _Spent]] = {}

    def allow(self, group: Sequence[PlaceOrder], at_ns: int) -> str | None:
        """Count a group of orders and let it pass (``None``), or say which budget it would exceed; then
        nothing of it is counted.  Its orders have one budget."""
        worths = []
        for order in group:
            worth = self._worth(order, order.qty)
            if worth is None:
                return f"{order.instrument} is unknown to the fuse"
            worths.append(worth)
        minute = self._minutes[budget_of(group[0].purpose)]
        for gone in minute.forget(at_ns):
            self._passed.pop(gone, None)
        refusal = minute.refusal(len(group), sum(worths, ZERO))
        if refusal is not None:
            return refusal
        for order, worth in zip(group, worths, strict=True):
            self._passed[order.client_id] = (minute, minute.spend(order, worth, at_ns))
        return None

    def filled(self, client_id: ClientId, qty: Decimal) -> None:
        """Part of an order was executed: that part is not given back."""
        if client_id in self._passed:
            self._passed[client_id][1].filled_qty += qty

    def ended(self, client_id: ClientId) -> None:
        """An order has ended: what was not executed of it gives its notional back."""
        if client_id not in self._passed:
            return
        minute, spent = self._passed.pop(client_id)
        kept = self._worth(spent.order, min(spent.filled_qty, spent.order.qty)) or ZERO
        minute.give_back(spent, spent.worth - kept)

    def _worth(self, order: PlaceOrder, qty: Decimal) -> Decimal | None:
        if self._contracts is None:
            return qty * order.price
        contract = self._contracts.get(order.instrument)
        return None if contract is None else abs(notional_quote(contract, qty, order.price))


class _Spent(Struct):
    order: PlaceOrder
    at_ns: int
    worth: Decimal
    filled_qty: Decimal = ZERO


class _Minute:
    """One budget's orders of the last minute."""

    def __init__(self, budget: Budget, allowance: Allowance) -> None:
        self._name, self._allowance = budget.value, allowance
        self._spent: deque[_Spent] = deque()
        self._total = ZERO

    def forget(self, at_ns: int) -> list[ClientId]:
        gone = []
        while self._spent and at_ns - self._spent[0].at_ns >= MINUTE_NS:
            old = self._spent.popleft()
            self._total -= old.worth
            gone.append(old.order.client_id)
        return gone

    def refusal(self, orders: int, worth: Decimal) -> str | None:
        if len(self._spent) + orders > self._allowance.orders:
            return f"{self._allowance.orders} {self._name} orders a minute are spent"
        if self._total + worth > self._allowance.notional_quote:
            left = text(self._allowance.notional_quote - self._total)
            return f"an order worth {text(worth)} exceeds the {left} that {self._name} has left this minute"
        return None

    def spend(self, order: PlaceOrder, worth: Decimal, at_ns: int) -> _Spent:
        spent = _Spent(order, at_ns, worth)
        self._spent.append(spent)
        self._total += worth
        return spent

    def give_back(self, spent: _Spent, worth: Decimal) -> None:
        spent.worth -= worth
        self._total -= worth
