"""How the store's index follows what is folded: which living orders there are, and what has changed.

What must stay true: whatever a fact or a command can change of a pair, a contract or a wallet is marked.  A
fact that is not named here marks everything, so that a new kind of fact is slow before it is wrong.
"""

from __future__ import annotations

from bot.model.facts import (
    AccountFact,
    AccountTouched,
    BalanceSeen,
    ContractSet,
    ForcedFilled,
    FundingPaid,
    InsuranceCharged,
    InterestCharged,
    OrderFact,
    OrderFilled,
    PositionSeen,
    Transferred,
)
from bot.model.ids import InstrumentId, account_of
from bot.model.index import Index
from bot.model.store import Pair, Store


def note_everything(index: Index, store: Store) -> None:
    """Anything may have changed, pairs and orders may have come."""
    index.mark_all()
    if len(index.place_of) != len(store.pairs):
        index.place_of = {name: place for place, name in enumerate(store.pairs)}


def note_pair(index: Index, store: Store, pair: Pair) -> None:
    """A pair's state, mode, orders or legs have changed."""
    name = pair.spec.name
    index.mark_pair(name)
    for leg in pair.legs:
        _note_rivals(index, store, leg.instrument)
    if pair.moves:
        index.moved[name] = None
    if pair.naked_ns:
        index.naked[name] = None
    else:
        index.naked.pop(name, None)


def _note_rivals(index: Index, store: Store, instrument: InstrumentId) -> None:
    """Whether a pair is open in a contract decides what another pair that names it may do."""
    names = store.routes.pairs_of.get(instrument, ())
    if len(names) > 1 and not store.markets[instrument].instrument.is_spot:
        for name in names:
            index.due_ns.pop(name, None)


def note_book(index: Index, store: Store, instrument: InstrumentId) -> None:
    """Whether a leg is dust, and so whether a pair's coins count as delta, turns on the touch."""
    for name in store.routes.pairs_of.get(instrument, ()):
        pair = store.pairs[name]
        if pair.long.coin_cash or pair.short.coin_cash:
            index.priced_pairs[name] = None


def note_estimate(index: Index, store: Store, instrument: InstrumentId) -> None:
    """An estimate may be of an earlier settlement than the last one was."""
    for name in store.routes.pairs_of.get(instrument, ()):
        index.due_ns.pop(name, None)


def note_order(index: Index, store: Store, fact: OrderFact) -> None:
    """An order that ended lives no more; what it filled has changed its leg and its wallet."""
    order = store.orders.get(fact.client_id)
    if order is None:
        return
    index.mark_pair(order.pair)
    index.changed_instruments[order.instrument] = None
    if type(fact) is OrderFilled:
        _note_rivals(index, store, order.instrument)
        index.changed_wallets[account_of(order.instrument), fact.fee_asset] = None
    if order.client_id not in store.live:
        return
    if order.state.is_live:
        index.ask_ns = min(index.ask_ns, order.ask_ns)
    else:
        del store.live[order.client_id]
        index.end_order(order.client_id, order.pair, order.instrument)


def note_account(index: Index, store: Store, fact: AccountFact) -> None:
    if isinstance(fact, BalanceSeen | InterestCharged | InsuranceCharged | Transferred):
        index.changed_wallets[fact.account, fact.asset] = None
    elif isinstance(fact, PositionSeen | FundingPaid | ForcedFilled):
        for name in store.routes.pairs_of.get(fact.instrument, ()):
            index.mark_pair(name)
        index.changed_instruments[fact.instrument] = None
        if isinstance(fact, FundingPaid):
            index.changed_wallets[account_of(fact.instrument), fact.asset] = None
        elif isinstance(fact, ForcedFilled):
            index.changed_wallets[account_of(fact.instrument), fact.fee_asset] = None
    elif isinstance(fact, ContractSet):
        index.changed_instruments[fact.instrument] = None
        index.due_ns.clear()
    elif isinstance(fact, AccountTouched):
        index.due_ns.clear()
    else:
        note_everything(index, store)
