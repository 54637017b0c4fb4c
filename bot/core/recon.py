"""Reconciliation: what to ask the venue, and what its answer means.

The venue owns what is; the ledger is what we expect from the fills and payments we were told.  A difference
is kept on the account by name and amount, holds every pair that trades from it, and is told to a person; it
is never papered over by copying one side to the other.  Only the very first report of an account is
adopted: what stood there then is the baseline, and not ours to sell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from bot.model.commands import QueryAccount, QueryOrder
from bot.model.facts import AccountReported, Channel
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.index import Index
from bot.model.instrument import Position
from bot.model.money import COIN_QUANTUM, ZERO, text
from bot.model.store import Account, Store, indexed, live_orders

ANSWER_DUE_NS = 10_000_000_000
SECOND_LOOK_NS = 3_000_000_000  # before a position that shrank is taken over
DOUBT_PAUSE_NS = 2_000_000_000  # refusals come in numbers, and each of them asks
NEVER_NS = 2**63
LATE_NS = 3_600_000_000_000  # a venue may list a payment later than it was made; the books hear it once


def due_queries(store: Store, at_ns: int) -> list[QueryOrder | QueryAccount]:
    """Orders whose state is to be asked, and accounts to be compared.

    An account is asked only while no order of ours is uncertain and none is in flight on it: an answer that
    crosses a fill would differ from the ledger for a moment and mean nothing.
    """
    config = store.config
    if config is None:
        return []
    index = indexed(store)
    queries: list[QueryOrder | QueryAccount] = []
    if index.ask_ns <= at_ns:
        queries += _order_queries(store, index, at_ns)
    every_ns = int(config.strategy.reconcile_s * 1e9)
    for account_id in store.routes.accounts:
        account = store.accounts[account_id]
        if not _is_due(account, at_ns, every_ns) or account_id in index.live_in:
            continue
        if _answers(account) and at_ns >= account.throttled_ns:
            queries.append(
                QueryAccount(account_id, _listed_since_ns(account, at_ns), _known_trades(store, account_id))
            )
    return queries


def _is_due(account: Account, at_ns: int, every_ns: int) -> bool:
    """Whether an account is to be compared, if it can be asked."""
    if account.asked_ns:
        return at_ns - account.asked_ns >= ANSWER_DUE_NS
    reported_ns = account.reported_ns
    age_ns = at_ns - reported_ns
    if age_ns >= every_ns or not (account.reconciled or account.differences):
        return True
    if account.doubted_ns >= reported_ns and age_ns >= DOUBT_PAUSE_NS:
        return True
    if account.shrunk and age_ns >= SECOND_LOOK_NS:
        return True
    return age_ns >= ANSWER_DUE_NS and bool(account.differences or account.touched_ns >= reported_ns)


def _listed_since_ns(account: Account, at_ns: int) -> int:
    """From when on an account's payments are told again.  Before the first report too: it contains those that
    are told then, and no others, whatever the date that the venue gives them later."""
    floor_ns = account.listed_from_ns or account.begun_ns
    return max(floor_ns, (account.told_ns or at_ns) - LATE_NS, 0)


def _order_queries(store: Store, index: Index, at_ns: int) -> Iterator[QueryOrder]:
    """Living orders that are due, and when the next one will be: what cannot be asked now is due again with
    the fact that ends it."""
    due_ns = NEVER_NS
    for order in live_orders(store):
        account = store.accounts[account_of(order.instrument)]
        if not _answers(account):
            continue
        ask_ns = max(order.ask_ns, account.throttled_ns)
        due_ns = min(due_ns, ask_ns)
        if ask_ns <= at_ns:
            yield QueryOrder(order.client_id, order.instrument)
    index.ask_ns = due_ns


def _known_trades(store: Store, account: AccountId) -> dict[InstrumentId, str]:
    """In each of an account's instruments the execution up to which none was missed.

    That is not the latest: an execution that nobody told can lie between two that were.
    """
    return {
        name: market.known_trade_id
        for name, market in store.markets.items()
        if market.known_trade_id and market.instrument.account == account
    }


def _answers(account: Account) -> bool:
    """Whether a question is answered.  It needs neither stream alone; without both of them nobody is there to
    ask.  That an order is not found proves nothing without the private one, and is not believed."""
    return not (Channel.PRIVATE in account.lost and Channel.ORDERS in account.lost)


def compare(store: Store, account: Account, report: AccountReported) -> tuple[str, ...]:
    """Differences between a venue's report and the ledger, as ``name: venue …, ledger …``.

    A position is compared by its quantity, and a wallet together with the costs of the contracts it
    margins: that sum does not depend on the order in which fills were heard, while the rounding of realised
    profit does.  It may be apart by what venues round: a unit for each cost they state, and one for each fill
    of a contract since the account last agreed, whose profit they book from a rounded average price.
    """
    held, expected = _positions(store, report)
    found, silent = [], unsaid(store, report)
    for name in dict.fromkeys((*held, *expected)):
        if name in silent:
            continue
        at_venue, at_home = held.get(name, Position()).qty, expected.get(name, Position()).qty
        if at_venue != at_home:
            found.append(f"{name}: venue {text(at_venue)}, ledger {text(at_home)}")
    moved = bool(found)
    rounding = (len(held) + account.contract_fills) * COIN_QUANTUM
    for asset, venue, ours, apart in _wallets(store, report, held, expected):
        if abs(apart) <= rounding or asset in silent:
            continue
        if venue != ours:
            found.append(f"{asset}: venue {text(venue)}, ledger {text(ours)}")
        elif not moved:
            found.append(f"{asset}: positions cost {text(abs(apart))} {asset} more or less at the venue")
    for client_id in report.open_orders:
        order = store.orders.get(client_id)
        if order is None and client_id.startswith(store.config.bot_tag if store.config else ""):
            found.append(f"order {client_id}: open at the venue, not ours to know")
        elif order is not None and not order.state.is_live:
            found.append(f"order {client_id}: open at the venue, ended here")
    return tuple(found)


def unsaid(store: Store, report: AccountReported) -> tuple[str, ...]:
    """Instruments and assets of which an incomplete report says nothing; the asset that a contract is
    margined in is one with its cost.  A row without a name may be of any that the report does not hold."""
    if "" in report.unread:
        account, told = store.accounts[report.account], {each.instrument for each in report.positions}
        cash = store.ledger.cash.get(report.account, {})
        named = (*cash, *account.balances, *store.markets, *account.positions)
        return tuple(name for name in named if name not in told and name not in report.balances)
    margins = (
        store.markets[InstrumentId(name)].instrument.margin_asset
        for name in report.unread
        if name in store.markets
    )
    return (*report.unread, *margins)


def _positions(
    store: Store, report: AccountReported
) -> tuple[dict[InstrumentId, Position], dict[InstrumentId, Position]]:
    """An account's positions, the venue's and ours."""
    held = {position.instrument: Position(position.qty, position.cost) for position in report.positions}
    ours = {
        name: position
        for name, position in store.ledger.positions.items()
        if store.markets[name].instrument.account == report.account
    }
    return held, ours


def _wallets(
    store: Store,
    report: AccountReported,
    held: Mapping[InstrumentId, Position],
    expected: Mapping[InstrumentId, Position],
) -> Iterator[tuple[str, Decimal, Decimal, Decimal]]:
    """Each asset of an account: the venue's balance, ours, and how far they are apart, costs included."""
    cash = store.ledger.cash.get(report.account, {})
    for asset in dict.fromkeys((*report.balances, *cash)):
        venue, ours = report.balances.get(asset, ZERO), cash.get(asset, ZERO)
        yield asset, venue, ours, venue + _paid(store, held, asset) - ours - _paid(store, expected, asset)


def _paid(store: Store, positions: Mapping[InstrumentId, Position], asset: str) -> Decimal:
    """What the open contracts of an asset have cost, signed so that wallet plus this is the fills' sum."""
    total = ZERO
    for name, position in positions.items():
        market = store.markets.get(name)
        if market is not None and market.instrument.margin_asset == asset and not market.instrument.is_spot:
            total += position.cost if market.instrument.inverse else -position.cost
    return total


def adopt_split(store: Store, report: AccountReported) -> None:
    """Take over how the venue divides a wallet between cash and cost, once their sum is known to agree.  What
    it made of a profit by rounding is part of what marks did to the legs."""
    ledger = store.ledger
    split_anew: dict[str, None] = {}
    for asset, venue, ours, apart in tuple(_wallets(store, report, *_positions(store, report))):
        if venue != ours:
            split_anew[asset] = None
            ledger.cash[report.account][asset] = venue
            ledger.total.basis += apart * ledger.price.get(asset, ZERO)
    for position in report.positions:
        kept = ledger.positions.get(position.instrument)
        if kept is None or kept.cost == position.cost:
            continue
        if store.markets[position.instrument].instrument.margin_asset not in split_anew:
            # the wallet is split as ours is: a stated cost is rounded where ours is exact
            store.accounts[report.account].positions[position.instrument] = kept
            continue
        ledger.positions[position.instrument] = Position(position.qty, position.cost)
        for name in store.routes.pairs_of.get(position.instrument, ()):
            for leg in store.pairs[name].legs:
                if leg.instrument == position.instrument and leg.position.qty == position.qty:
                    leg.position = Position(position.qty, position.cost)
