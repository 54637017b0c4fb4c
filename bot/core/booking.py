"""How fills, payments and account reports enter the books: ledger, legs and the venue's side, each once."""

from __future__ import annotations

from decimal import Decimal

from bot.core import ledger, recon, views
from bot.core.orders import BrokenInvariant
from bot.model.facts import AccountReported, ForcedFilled, FundingPaid, OrderFilled
from bot.model.instrument import Instrument, Position, Side, after_fill, fill_cost
from bot.model.money import ZERO
from bot.model.store import Attribution, Leg, Order, Store


def book_once(store: Store, key: str, venue_ns: int) -> bool:
    """True for the first fact of this key: venues tell things twice, the books hear them once."""
    if key in store.trades:
        return False
    store.trades[key] = venue_ns
    return True


def book_fill(store: Store, order: Order, fact: OrderFilled) -> None:
    """One execution of an order of ours, whatever state the order is in."""
    if fact.instrument != order.instrument or fact.side is not order.side:
        raise BrokenInvariant(f"order {order.client_id}: a fill names another instrument or side")
    ledger.filled(store, fact, order.arrival_mid)
    order.filled_qty += fact.qty
    instrument = store.markets[fact.instrument].instrument
    leg = store.pairs[order.pair].leg(order.role)
    _fill_leg(leg, instrument, fact)


def book_forced(store: Store, fact: ForcedFilled) -> None:
    """An execution nobody ordered belongs to the pair whose contract it is."""
    ledger.forced(store, fact)
    instrument = store.markets[fact.instrument].instrument
    for name in store.routes.pairs_of.get(fact.instrument, ()):
        for leg in store.pairs[name].legs:
            if leg.instrument == fact.instrument and not instrument.is_spot:
                _fill_leg(leg, instrument, fact)
                return


def book_funding(store: Store, fact: FundingPaid) -> None:
    """Funding of an inverse contract is coin, and coin is delta of the pair."""
    ledger.funded(store, fact)
    instrument = store.markets[fact.instrument].instrument
    if not instrument.inverse:
        return
    for name in store.routes.pairs_of.get(fact.instrument, ()):
        for leg in store.pairs[name].legs:
            if leg.instrument == fact.instrument:
                leg.coin_cash += fact.amount
                return


def _fill_leg(leg: Leg, instrument: Instrument, fact: OrderFilled | ForcedFilled) -> None:
    qty = fact.qty * fact.side.sign
    if instrument.is_spot:
        kept = qty - fact.fee if fact.fee_asset == instrument.base else qty
        leg.position = Position(leg.position.qty + kept, leg.position.cost + _spot_cost(instrument, fact))
        return
    leg.position, realised = after_fill(instrument, leg.position, qty, fact.price)
    if instrument.inverse:
        leg.coin_cash += realised - (fact.fee if fact.fee_asset == instrument.base else ZERO)


def _spot_cost(instrument: Instrument, fact: OrderFilled | ForcedFilled) -> Decimal:
    sign = 1 if fact.side is Side.BUY else -1
    return fill_cost(instrument, fact.qty * sign, fact.price)


def report_account(store: Store, at_ns: int, fact: AccountReported) -> None:
    """A whole wallet.  The first report is the baseline; every later one is compared with the ledger."""
    account = store.accounts[fact.account]
    account.asked_ns, account.reported_ns, account.told_ns = 0, at_ns, fact.venue_ns
    account.balances = dict(fact.balances)
    account.positions = {held.instrument: Position(held.qty, held.cost) for held in fact.positions}
    if account.baseline is None:
        account.baseline = dict(fact.balances)
        store.ledger.cash[fact.account] = dict(fact.balances)
        ledger.came_into_view(store, fact.balances)
    account.differences = recon.compare(store, account, fact)
    account.reconciled = not account.differences
    if account.reconciled:
        recon.adopt_split(store, fact)


def open_books(store: Store, at_ns: int) -> None:
    """Attribution begins once every account is known and everything that can be traded has a price and a
    mark."""
    books = store.ledger
    if store.config is None or not store.routes.accounts:
        return
    for market in store.markets.values():
        instrument = market.instrument
        if not instrument.is_spot and instrument.id not in books.per_qty:
            return
        if instrument.is_spot and instrument.base not in books.price:
            return
    now = views.nav(store)
    if now is None:
        return
    books.opened, books.start_nav, books.start_ns = True, now, at_ns
    books.total = Attribution()  # what came before is part of the start
