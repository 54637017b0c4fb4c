"""What a venue holds less of than the ledger expects: how it is noticed, and when it is taken over.

Somebody closes a contract by hand, or the venue deleverages it and nobody tells.  The position is the
venue's truth, so the account is asked again at once, executions included.  What they do not explain is
taken over at the second equal report.  Coins that are missing are never taken over: nobody knows whose they
were.  They only bound what is sold.

Part of `bot.core.fold`.  What must stay true: what grew or turned is never taken over, and nothing is while
an order of ours may explain it.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.facts import AccountReported, PositionSeen
from bot.model.ids import InstrumentId, account_of
from bot.model.instrument import Position
from bot.model.money import COIN_QUANTUM, ZERO
from bot.model.store import Account, Order, Store, live_orders


def measure(store: Store, account: Account, report: AccountReported, unsaid: tuple[str, ...]) -> None:
    """Note what each instrument of an account lacks by its latest report, venue units; nothing of what is
    ``unsaid``, instruments and assets that an incomplete report does not hold."""
    held = {each.instrument: each.qty for each in report.positions}
    account.shortfall = {}
    for name in store.routes.pairs_of:
        market = store.markets.get(name)
        if market is None or market.instrument.account != report.account:
            continue
        base = market.instrument.base
        if (base if market.instrument.is_spot else name) in unsaid:
            continue
        if market.instrument.is_spot:
            cash = store.ledger.cash.get(report.account, {})
            lacking = cash.get(base, ZERO) - report.balances.get(base, ZERO)
            rounding = COIN_QUANTUM
        else:
            ours = store.ledger.positions.get(name, Position()).qty
            lacking, rounding = _lacking(ours, held.get(name, ZERO)), ZERO
        if lacking > rounding:
            account.shortfall[name] = lacking


def _lacking(ours: Decimal, venues: Decimal) -> Decimal:
    """How much of a position of ours the venue does not hold; of one that turned, all of it."""
    if ours == 0 or (venues > 0) == (ours > 0) or venues == 0:
        return max(ZERO, abs(ours) - abs(venues))
    return abs(ours)


def is_settled(store: Store, account: Account, report: AccountReported) -> bool:
    """Whether this report repeats what the one before it lacked, and contracts lack it alone: then it is
    taken over.  Remembers what this one lacks for the next."""
    held = {each.instrument: each.qty for each in report.positions}
    ours = {
        name: position.qty
        for name, position in store.ledger.positions.items()
        if account_of(name) == report.account
    }
    shrunk: dict[InstrumentId, Decimal] = {}
    for name in dict.fromkeys((*ours, *held)):
        venue, home = held.get(name, ZERO), ours.get(name, ZERO)
        if venue == home:
            continue
        if abs(venue) > abs(home) or (venue != 0 and (venue > 0) != (home > 0)):
            shrunk = {}
            break
        shrunk[name] = venue
    before, account.shrunk = account.shrunk, shrunk
    working = any(account_of(order.instrument) == report.account for order in live_orders(store))
    return bool(shrunk) and shrunk == before and not working


def position_seen(store: Store, at_ns: int, account: Account, fact: PositionSeen) -> None:
    """A contract that shrank while no order of ours worked in it is asked about at once."""
    ours = store.ledger.positions.get(fact.instrument, Position()).qty
    if _lacking(ours, fact.qty) and all(order.instrument != fact.instrument for order in live_orders(store)):
        account.doubted_ns = at_ns


def refused(store: Store, at_ns: int, order: Order) -> None:
    """A venue that does not let a position fall may not hold it."""
    account = store.accounts.get(account_of(order.instrument))
    if account is not None and order.side is not order.role.opening_side:
        account.doubted_ns = at_ns
