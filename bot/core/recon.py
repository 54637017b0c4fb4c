"""Reconciliation: what to ask the venue, and what its answer means.

The venue owns what is; the ledger is what we expect from the fills and payments we were told.  A difference
is kept on the account by name and amount, holds every pair that trades from it, and is told to a person; it
is never papered over by copying one side to the other.  Only the very first report of an account is
adopted: what stood there then is the baseline, and not ours to sell.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bot.model.commands import QueryAccount, QueryOrder
from bot.model.facts import AccountReported, Channel
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Position
from bot.model.money import COIN_QUANTUM, ZERO, text
from bot.model.store import Account, Store

ANSWER_DUE_NS = 10_000_000_000
LATE_NS = 3_600_000_000_000  # a venue may list a payment later than it was made; the books hear it once


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
        account = store.accounts[account_id]
        if order.ask_ns <= at_ns and not _deaf(account) and at_ns >= account.throttled_ns:
            queries.append(QueryOrder(order.client_id, order.instrument))
    every_ns = int(config.strategy.reconcile_s * 1e9)
    for account_id in store.routes.accounts:
        account = store.accounts[account_id]
        if account_id in busy or _deaf(account) or at_ns < account.throttled_ns:
            continue
        if account.asked_ns:
            due = at_ns - account.asked_ns >= ANSWER_DUE_NS
        else:
            due = not account.reconciled and not account.differences
            due = due or at_ns - account.reported_ns >= (ANSWER_DUE_NS if account.differences else every_ns)
        if due:
            since_ns = max(account.begun_ns, account.told_ns - LATE_NS)
            queries.append(QueryAccount(account_id, since_ns, _known_trades(store, account_id)))
    return queries


def _known_trades(store: Store, account: AccountId) -> dict[InstrumentId, str]:
    """In each of an account's instruments the execution up to which none was missed.

    That is not the latest: an execution that nobody told can lie between two that were.
    """
    return {
        name: market.known_trade_id
        for name, market in store.markets.items()
        if market.known_trade_id and market.instrument.account == account
    }


def _deaf(account: Account) -> bool:
    """Whether an answer could miss something: silent market data says nothing about orders and money."""
    return any(channel is not Channel.MARKET for channel in account.lost)


def compare(store: Store, account: Account, report: AccountReported) -> tuple[str, ...]:
    """Differences between a venue's report and the ledger, as ``name: venue …, ledger …``.

    A position is compared by its quantity, and a wallet together with the costs of the contracts it
    margins: that sum does not depend on the order in which fills were heard, while the rounding of realised
    profit does.  Where the wallet itself agrees, costs may differ by what venues round them to when they
    state them.
    """
    ledger = store.ledger
    cash = ledger.cash.get(report.account, {})
    held = {position.instrument: Position(position.qty, position.cost) for position in report.positions}
    expected = {
        name: position
        for name, position in ledger.positions.items()
        if store.markets[name].instrument.account == report.account
    }
    found = []
    for name in dict.fromkeys((*held, *expected)):
        at_venue, at_home = held.get(name, Position()).qty, expected.get(name, Position()).qty
        if at_venue != at_home:
            found.append(f"{name}: venue {text(at_venue)}, ledger {text(at_home)}")
    moved = bool(found)
    rounding = len(held) * COIN_QUANTUM
    for asset in dict.fromkeys((*report.balances, *cash)):
        venue, ours = report.balances.get(asset, ZERO), cash.get(asset, ZERO)
        apart = venue + _paid(store, held, asset) - ours - _paid(store, expected, asset)
        if apart and venue != ours:
            found.append(f"{asset}: venue {text(venue)}, ledger {text(ours)}")
        elif abs(apart) > rounding and not moved:
            found.append(f"{asset}: positions cost {text(abs(apart))} {asset} more or less at the venue")
    found += [
        f"order {client_id}: open at the venue, not ours to know"
        for client_id in report.open_orders
        if client_id.startswith(store.config.bot_tag if store.config else "")
        and client_id not in store.orders
    ]
    return tuple(found)


def _paid(store: Store, positions: Mapping[InstrumentId, Position], asset: str) -> Decimal:
    """What the open contracts of an asset have cost, signed so that wallet plus this is the fills' sum."""
    total = ZERO
    for name, position in positions.items():
        market = store.markets.get(name)
        if market is not None and market.instrument.margin_asset == asset and not market.instrument.is_spot:
            total += position.cost if market.instrument.inverse else -position.cost
    return total


def adopt_split(store: Store, report: AccountReported) -> None:
    """Take over how the venue divides a wallet between cash and cost, once their sum is known to agree."""
    ledger = store.ledger
    for position in report.positions:
        ours = ledger.positions.get(position.instrument)
        if ours is None or ours.cost == position.cost:
            continue
        asset = store.markets[position.instrument].instrument.margin_asset
        if report.balances.get(asset) == ledger.cash[report.account].get(asset):
            # the wallet is split as ours is: a stated cost is rounded where ours is exact
            store.accounts[report.account].positions[position.instrument] = ours
            continue
        ledger.positions[position.instrument] = Position(position.qty, position.cost)
        ledger.cash[report.account][asset] = report.balances[asset]
        for name in store.routes.pairs_of.get(position.instrument, ()):
            for leg in store.pairs[name].legs:
                if leg.instrument == position.instrument and leg.position.qty == position.qty:
                    leg.position = Position(position.qty, position.cost)
