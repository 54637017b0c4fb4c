"""The last line before the wire: orders and notional a minute, opening and closing apart.

It knows no position, no price and no reason. If everything before it is wrong, this still bounds what
leaves in a minute, and an opening run away cannot use up what is needed to get out. Deterministic: time is
told to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from bot.model.commands import PlaceOrder
from bot.model.config import Fuse
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument, notional_quote
from bot.model.money import ZERO, text

MINUTE_NS = 60_000_000_000


class FuseBox:
    """Two budgets over the last minute.

    ``contracts`` say what one unit of quantity is worth. Without them quantity × price is counted, which is
    right for spot and linear contracts of one unit of base, and far too much for inverse ones.
    """

    def __init__(self, fuse: Fuse, contracts: Mapping[InstrumentId, Instrument] | None = None) -> None:
        self._contracts = contracts
        self._opening = _Budget("opening", fuse.opening_orders_per_min, fuse.opening_notional_per_min_quote)
        self._closing = _Budget("closing", fuse.closing_orders_per_min, fuse.closing_notional_per_min_quote)

    def allow(self, command: PlaceOrder, opening: bool, at_ns: int) -> str | None:
        """Count an order and let it pass (``None``), or say which budget it would exceed; then it is not
        counted."""
        worth = command.qty * command.price
        if self._contracts is not None:
            contract = self._contracts.get(command.instrument)
            if contract is None:
                return f"{command.instrument} is unknown to the fuse"
            worth = abs(notional_quote(contract, command.qty, command.price))
        budget = self._opening if opening else self._closing
        return budget.spend(worth, at_ns)


class _Budget:
    def __init__(self, name: str, orders: int, notional: Decimal) -> None:
        self._name, self._orders, self._notional = name, orders, notional
        self._spent: deque[tuple[int, Decimal]] = deque()
        self._total = ZERO

    def spend(self, worth: Decimal, at_ns: int) -> str | None:
        while self._spent and at_ns - self._spent[0][0] >= MINUTE_NS:
            self._total -= self._spent.popleft()[1]
        if len(self._spent) >= self._orders:
            return f"{self._orders} {self._name} orders a minute are spent"
        if self._total + worth > self._notional:
            left = text(self._notional - self._total)
            return f"an order worth {text(worth)} exceeds the {left} that {self._name} has left this minute"
        self._spent.append((at_ns, worth))
        self._total += worth
        return None
