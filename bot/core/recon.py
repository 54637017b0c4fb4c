"""Reconciliation: what to ask the venue, and what its answer means.

The venue owns what is; the ledger is what we expect from the fills and payments we were told.  A difference
is kept on the account by name and amount, holds every pair that trades from it, and is told to a person; it
is never papered over by copying one side to the other.  Only the very first report of an account is
adopted: what stood there then is the baseline, and not ours to sell.
"""

from __future__ import annotations

from bot.model.commands import QueryAccount, QueryOrder
from bot.model.facts import AccountReported
from bot.model.instrument import Position
from bot.model.money import ZERO, text
from bot.model.store import Account, Store

ANSWER_DUE_NS = 10_000_000_000


def due_queries(store: Store, at_ns: int) -> list[QueryOrder | QueryAccount]:
    """Orders whose state is to be asked, and accounts to be compared.

    An account is asked only while no order of ours is uncertain and none is in flight on it: an answer that
    crosses a fill would differ from the ledger for a moment and mean nothing.
    """
    config = store.config
    if config is None:
        return []
    queries: list[QueryOrder | QueryAccount] = []
    busy: dict[str, None] = {}
    for order in store.orders.values():
        if not order.state.is_live:
            continue
        account_id = store.markets[order.instrument].instrument.account
        busy[account_id] = None
        if order.ask_ns <= at_ns and not store.accounts[account_id].lost:
            queries.append(QueryOrder(order.client_id, order.instrument))
    every_ns = int(config.strategy.reconcile_s * 1e9)
    for account_id in store.routes.accounts:
        account = store.accounts[account_id]
        if account_id in busy or account.lost:
            continue
        if account.asked_ns:
            due = at_ns - account.asked_ns >= ANSWER_DUE_NS
        else:
            due = not account.reconciled and not account.differences
            due = due or at_ns - account.reported_ns >= (ANSWER_DUE_NS if account.differences else every_ns)
        if due:
            queries.append(QueryAccount(account_id, account.told_ns))
    return queries


def compare(store: Store, account: Account, report: AccountReported) -> tuple[str, ...]:
    """Differences between a venue's report and the ledger, as ``name: venue …, ledger …``."""
    ledger = store.ledger
    cash = ledger.cash.get(report.account, {})
    found = [
        f"{asset}: venue {text(report.balances.get(asset, ZERO))}, ledger {text(cash.get(asset, ZERO))}"
        for asset in dict.fromkeys((*report.balances, *cash))
        if report.balances.get(asset, ZERO) != cash.get(asset, ZERO)
    ]
    held = {position.instrument: Position(position.qty, position.cost) for position in report.positions}
    expected = {
        name: position
        for name, position in ledger.positions.items()
        if store.markets[name].instrument.account == report.account
    }
    for name in dict.fromkeys((*held, *expected)):
        venue, ours = held.get(name, Position()), expected.get(name, Position())
        if venue.qty != ours.qty or venue.cost != ours.cost:
            found.append(
                f"{name}: venue {text(venue.qty)} at cost {text(venue.cost)}, "
                f"ledger {text(ours.qty)} at cost {text(ours.cost)}"
            )
    known = store.orders
    found += [
        f"order {client_id}: open at the venue, not ours to know"
        for client_id in report.open_orders
        if client_id.startswith(store.config.bot_tag if store.config else "") and client_id not in known
    ]
    return tuple(found)
