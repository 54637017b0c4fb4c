"""What a boot and a listed instrument do to the store: configuration, pairs, accounts, and who concerns
whom."""

from __future__ import annotations

from bot.core import orders, pairs, spending
from bot.core.marks import fold_interval
from bot.core.orders import BrokenInvariant
from bot.model.facts import Booted, Channel, InstrumentListed
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.money import ONE, ZERO
from bot.model.pair import Mode, Role
from bot.model.store import Account, Leg, Market, OrderState, Pair, Routes, Store, live_orders

RESTART_WINDOW_NS = 600_000_000_000
RESTARTS_AFTER_BUGS = 3
NOT_OPENED = "not opened yet"
_UNTIDY = {
    "bug": "restarted after a bug",
    "aborted": "restarted after a stop that left something undone",
}

Touched = dict[PairName, bool]  # whether only the clock concerns the pair


def touch(store: Store, instrument: InstrumentId, touched: Touched) -> None:
    """Something happened to an instrument that concerns its pairs."""
    for name in store.routes.pairs_of.get(instrument, ()):
        touched[name] = False


def rearm_instrument(store: Store, instrument: InstrumentId) -> None:
    """What can be traded in an instrument has changed: whoever tried in vain tries again."""
    for name in store.routes.pairs_of.get(instrument, ()):
        pairs.rearm(store.pairs[name])


def rearm_account(store: Store, account: AccountId) -> None:
    """The same for everything that is traded on an account."""
    for pair in store.pairs.values():
        if account in (account_of(pair.spec.long), account_of(pair.spec.short)):
            pairs.rearm(pair)


def boot(store: Store, at_ns: int, fact: Booted) -> None:
    """A run begins, the first or one more.

    Crash before a send, between send and answer, and plain restart are one path: everything live becomes
    uncertain, every account is unreconciled, and the venue is asked.  Every channel is lost until its gateway
    says that it is open, so that nothing is ordered before it can leave.  Positions stay as the journal knows
    them.
    """
    config = fact.config
    if store.config is not None and store.config.budget != config.budget:
        spending.reopen(store)
    store.config, store.run_id, store.stopping = config, fact.run_id, ""
    store.runs = (*(run for run in store.runs if run != fact.run_id), fact.run_id)
    store.boots_ns = (*(ns for ns in store.boots_ns if ns > at_ns - RESTART_WINDOW_NS), at_ns)
    store.ledger.price.setdefault(config.nav_currency, ONE)
    for order in live_orders(store):
        if order.state is not OrderState.UNCERTAIN:
            orders.move(order, OrderState.UNCERTAIN, at_ns, "restarted")
        order.ask_ns, order.not_found = at_ns, 0
    for pair in store.pairs.values():
        pair.in_config = False
    for spec in config.pairs:
        known = store.pairs.get(spec.name)
        if known is None:
            store.pairs[spec.name] = Pair(
                spec=spec, long=Leg(Role.LONG, spec.long), short=Leg(Role.SHORT, spec.short), since_ns=at_ns
            )
        elif (known.spec.long, known.spec.short) != (spec.long, spec.short):
            raise BrokenInvariant(f"pair {spec.name}: its legs changed while it is known to the journal")
        else:
            known.spec, known.in_config = spec, True
        for leg in (spec.long, spec.short):
            store.accounts.setdefault(account_of(leg), Account(account_of(leg)))
    for account in store.accounts.values():
        account.reconciled, account.asked_ns, account.differences = False, 0, ()
        account.lost = dict.fromkeys(Channel, NOT_OPENED)
        account.lost_ns = dict.fromkeys(Channel, at_ns)
        account.refused, account.throttled_ns = {}, 0
    if fact.previous == "bug":
        store.bugs_ns = (*(ns for ns in store.bugs_ns if ns > at_ns - RESTART_WINDOW_NS), at_ns)
    if fact.previous in _UNTIDY:
        bound = fact.previous == "bug" and len(store.bugs_ns) >= RESTARTS_AFTER_BUGS
        mode = Mode.HALTED if bound else Mode.REDUCE_ONLY
        if mode.rank > store.mode.rank:
            store.mode, store.mode_reason, store.mode_ordered = mode, _UNTIDY[fact.previous], False
    derive(store)


def list_instrument(store: Store, fact: InstrumentListed) -> None:
    name = fact.instrument.id
    if name in store.markets:
        market, listed_h = store.markets[name], fact.instrument.funding_interval_h
        if market.instrument.funding_interval_h != listed_h:
            fold_interval(store, market, listed_h)
        market.instrument = fact.instrument
    else:
        store.markets[name] = Market(fact.instrument)
    derive(store)


def derive(store: Store) -> None:
    """Recompute the routes: small, static maps, so that a fact finds whom it concerns without a search."""
    routes = Routes()
    for name, pair in store.pairs.items():
        long = store.markets.get(pair.spec.long)
        if pair.in_config and long is not None:
            quote = long.instrument.quote
            routes.capital[quote] = routes.capital.get(quote, ZERO) + pair.spec.capital_quote
        for leg in pair.legs:
            routes.pairs_of[leg.instrument] = (*routes.pairs_of.get(leg.instrument, ()), name)
            market = store.markets.get(leg.instrument)
            if market is not None and market.instrument.is_spot:
                base = market.instrument.base
                if name not in routes.held_in.get(base, ()):
                    routes.held_in[base] = (*routes.held_in.get(base, ()), name)
    for listed, market in store.markets.items():
        instrument = market.instrument
        if instrument.is_spot:
            priced = routes.priced_by.get(instrument.base)
            if priced is None or not store.markets[priced].instrument.is_spot:
                routes.priced_by[instrument.base] = listed
        else:
            asset = instrument.margin_asset
            routes.margined_in[asset] = (*routes.margined_in.get(asset, ()), listed)
            routes.priced_by.setdefault(instrument.base, listed)
    routes.accounts = tuple(store.accounts)
    store.routes = routes
