"""What the fuse has left of its minute, by the orders that the store knows of.

The fuse in the shell knows no state and is right when everything before it is wrong.  The table asks for no
more than it will let pass, so that no leg of a group is ever refused by it.  After a restart the fuse
begins its minute anew, and this knows of more than it does: that is the stricter way.
"""

from __future__ import annotations

from bot.model.config import Config
from bot.model.instrument import notional_quote
from bot.model.money import ZERO
from bot.model.pair import Purpose
from bot.model.store import Store
from risk.fuse import MINUTE_NS, REFUSED, Allowance, allowances, budget_of


def room(store: Store, config: Config, purpose: Purpose, at_ns: int) -> Allowance:
    """What is left for orders of ``purpose``: of the count what was not sent in the last minute, of the
    notional what cannot have been executed of it."""
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
