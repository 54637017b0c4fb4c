"""What the fuse has left of its minute, by the orders that the store knows of.

The fuse in the shell knows no state and is right when everything before it is wrong.  The table asks for no
more than it will let pass, so that no leg of a group is ever refused by it.  After a restart the fuse
begins its minute anew, and this knows of more than it does: that is the stricter way.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.config import Config
from bot.model.instrument import notional_quote
from bot.model.money import ZERO, divide
from bot.model.pair import Purpose
from bot.model.store import Store, indexed, live_orders
from risk.exposure import pair_delta_base
from risk.fuse import MINUTE_NS, REFUSED, Allowance, allowances, budget_of

CENT = Decimal("0.01")
MARGIN = Decimal("1.06")  # an order is counted at its limit, which may lie beyond the touch it was sized by


def leg_room_quote(store: Store, config: Config, purpose: Purpose, at_ns: int, legs: int) -> Decimal:
    """Worth of each leg of a group that the fuse lets pass now, and a repair of one of its legs after it;
    0: none."""
    group, repair = room(store, config, purpose, at_ns), room(store, config, Purpose.REPAIR, at_ns)
    repair = Allowance(repair.orders, repair.notional_quote - _claimed_quote(store))
    if group.orders < legs or repair.orders < 1:
        return ZERO
    return max(
        ZERO,
        min(
            divide(group.notional_quote, MARGIN * max(legs, 1), CENT),
            divide(repair.notional_quote, MARGIN, CENT),
        ),
    )


def _claimed_quote(store: Store) -> Decimal:
    """What the groups in flight and the naked pairs may yet ask of the repairs' budget."""
    claimed: dict[str, Decimal] = {}
    for order in live_orders(store):
        market = store.markets[order.instrument]
        worth = abs(notional_quote(market.instrument, order.open_qty, order.price))
        claimed[order.pair] = max(claimed.get(order.pair, ZERO), worth)
    for name, pair in store.pairs.items():
        mark = store.markets[pair.spec.long].mark if pair.naked_ns else None
        if mark is not None:
            worth = abs(pair_delta_base(store, pair)) * mark
            claimed[name] = max(claimed.get(name, ZERO), worth)
    return sum(claimed.values(), ZERO) * MARGIN


def room(store: Store, config: Config, purpose: Purpose, at_ns: int) -> Allowance:
    """What is left for orders of ``purpose``: of the count what was not sent in the last minute, of the
    notional what cannot have been executed of it."""
    indexed(store).drafted = True  # what is left changes with the time
    budget = budget_of(purpose)
    whole, count, spent = allowances(config.fuse)[budget], 0, ZERO
    for order in reversed(store.orders.values()):
        if at_ns - order.sent_ns >= MINUTE_NS:
            break
        if budget_of(order.purpose) is not budget or order.reason.startswith(REFUSED):
            continue
        count += 1
        qty = order.qty if order.state.is_live else order.filled_qty
        spent += abs(notional_quote(store.markets[order.instrument].instrument, qty, order.price))
    return Allowance(whole.orders - count, whole.notional_quote - spent)
