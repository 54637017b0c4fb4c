"""What a venue holds less of than the ledger expects: how it is noticed, and when it is taken over.

Somebody closes a contract by hand, or the venue deleverages it and nobody tells.  The position is the
venue's truth, so the account is asked again at once, executions included.  What they do not explain is
taken over at the second equal report.  Coins that are missing are never taken over: nobody knows whose they
were.  They only bound what is sold.  While orders work elsewhere on the account, the contracts alone are
taken over, and the wallet follows once it is quiet.

Part of `bot.core.fold`.  What must stay true: what grew or turned is never taken over, and nothing is while
an order of ours may explain it.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import pairs
from bot.model.facts import AccountReported, PositionSeen
from bot.model.ids import InstrumentId, account_of
from bot.model.instrument import Position
from bot.model.money import COIN_QUANTUM, ZERO
from bot.model.store import Account, Order, Pair, Store, live_orders

SETTLING_NS = 15_000_000_000  # within which what shrank is taken over, where the venue answers


def measure(store: Store, account: Account, report: AccountReported, unsaid: tuple[str, ...]) -> None:
    """Note what each instrument of an account lacks by its latest report, venue units; nothing of what is
    ``unsaid``, instruments and assets that an incomplete report does not hold.  Where that is news, what was
    refused may go now, in another size."""
    held = {each.instrument: each.qty for each in report.positions}
    before, account.shortfall = account.shortfall, {}
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
    for name in dict.fromkeys((*before, *account.shortfall)):
        if before.get(name) != account.shortfall.get(name):
            for pair in store.routes.pairs_of.get(name, ()):
                pairs.rearm(store.pairs[pair])


def _lacking(ours: Decimal, venues: Decimal) -> Decimal:
    """How much of a position of ours the venue does not hold; of one that turned, all of it."""
    if ours == 0 or (venues > 0) == (ours > 0):
        return max(ZERO, abs(ours) - abs(venues))
    return abs(ours)


def settled(store: Store, account: Account, report: AccountReported) -> tuple[InstrumentId, ...]:
    """The contracts that shrank, in which no order of ours lives, and of which this report repeats what the
    one before it said: they are taken over.  Remembers what this one says for the next."""
    held = {each.instrument: each.qty for each in report.positions}
    working = [order.instrument for order in live_orders(store)]
    before, account.shrunk = account.shrunk, {}
    for name, position in store.ledger.positions.items():
        venue = held.get(name, ZERO)
        if account_of(name) != report.account or name in working or not _lacking(position.qty, venue):
            continue
        if venue == 0 or (venue > 0) == (position.qty > 0):
            account.shrunk[name] = venue
    return tuple(name for name, venue in account.shrunk.items() if before.get(name) == venue)


def is_whole(
    store: Store, account: Account, report: AccountReported, taken: tuple[InstrumentId, ...]
) -> bool:
    """Whether the wallet is taken over with the contracts: no order of ours works on it, and nothing but
    ``taken``, or what was taken over before, differs."""
    held = {each.instrument: each.qty for each in report.positions}
    ours = {
        name: position.qty
        for name, position in store.ledger.positions.items()
        if account_of(name) == report.account
    }
    if any(account_of(order.instrument) == report.account for order in live_orders(store)):
        return False
    if any(held.get(name, ZERO) != ours.get(name, ZERO) for name in (*ours, *held) if name not in taken):
        return False
    return bool(taken) or account.wallet_owed


def unsettled(store: Store, pair: Pair, at_ns: int) -> InstrumentId | None:
    """The contract of a pair that shrank at the venue and is about to be taken over, so that both legs are
    not traded in a ratio that is no more; ``None`` where there is none, or nobody has answered for long."""
    for leg in pair.legs:
        account = store.accounts.get(account_of(leg.instrument))
        market = store.markets.get(leg.instrument)
        if account is None or market is None or market.instrument.is_spot:
            continue
        ours = store.ledger.positions.get(leg.instrument, Position()).qty
        venues = account.positions.get(leg.instrument, Position()).qty
        asked_ns = max(account.doubted_ns, account.reported_ns)
        if _lacking(ours, venues) and venues * ours >= 0 and at_ns - asked_ns < SETTLING_NS:
            return leg.instrument
    return None


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
