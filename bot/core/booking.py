"""How fills, payments and account reports enter the books: ledger, legs and the venue's side, each once."""

from __future__ import annotations

from decimal import Decimal

from bot.core import ledger, recon, views
from bot.core.orders import BrokenInvariant
from bot.model.facts import (
    AccountReported,
    ForcedFilled,
    FundingPaid,
    InsuranceCharged,
    InterestCharged,
    OrderFilled,
    Transferred,
    VenueReset,
)
from bot.model.ids import AccountId, account_of
from bot.model.instrument import Instrument, Position, Side, after_fill, fill_cost
from bot.model.money import ZERO
from bot.model.store import Attribution, Leg, Market, Order, Store

_PAYMENTS = {InterestCharged: "interest", InsuranceCharged: "insurance", Transferred: "transfer"}


def book_once(store: Store, account: AccountId, key: str, venue_ns: int) -> bool:
    """True for the first fact of this key: venues tell things twice, the books hear them once.  A venue that
    began anew counts its trades from the start."""
    epoch = store.accounts[account].epoch
    if epoch:
        key = f"{epoch} {key}"
    if key in store.trades:
        return False
    store.trades[key] = venue_ns
    return True


def _note_trade(market: Market, trade_id: str) -> None:
    """Keep the latest trade id; venues count them up, and tell them out of order now and then."""
    if not market.trade_id or (len(trade_id), trade_id) > (len(market.trade_id), market.trade_id):
        market.trade_id = trade_id
    market.known_trade_id = market.known_trade_id or trade_id


def book_fill(store: Store, order: Order, fact: OrderFilled) -> bool:
    """One execution of an order of ours, whatever state the order is in; false when it is known already."""
    key = f"{fact.instrument} {fact.trade_id} {fact.client_id}"
    if not book_once(store, account_of(fact.instrument), key, fact.venue_ns):
        return False
    if fact.instrument != order.instrument or fact.side is not order.side:
        raise BrokenInvariant(f"order {order.client_id}: a fill names another instrument or side")
    ledger.filled(store, fact, order.arrival_mid)
    order.filled_qty += fact.qty
    market = store.markets[fact.instrument]
    _note_trade(market, fact.trade_id)
    instrument = market.instrument
    leg = store.pairs[order.pair].leg(order.role)
    _fill_leg(leg, instrument, fact)
    return True


def book_forced(store: Store, fact: ForcedFilled) -> None:
    """An execution nobody ordered belongs to the pair whose contract it is."""
    key = f"{fact.instrument} {fact.trade_id} forced"
    if not book_once(store, account_of(fact.instrument), key, fact.venue_ns):
        return
    ledger.forced(store, fact)
    market = store.markets[fact.instrument]
    _note_trade(market, fact.trade_id)
    instrument = market.instrument
    for name in store.routes.pairs_of.get(fact.instrument, ()):
        for leg in store.pairs[name].legs:
            if leg.instrument == fact.instrument and not instrument.is_spot:
                _fill_leg(leg, instrument, fact)
                return


def book_funding(store: Store, fact: FundingPaid) -> None:
    """Funding of an inverse contract is coin, and coin is delta of the pair."""
    key = f"funding {fact.instrument} {fact.transaction_id}"
    if not book_once(store, account_of(fact.instrument), key, fact.venue_ns):
        return
    ledger.funded(store, fact)
    instrument = store.markets[fact.instrument].instrument
    if not instrument.inverse:
        return
    for name in store.routes.pairs_of.get(fact.instrument, ()):
        for leg in store.pairs[name].legs:
            if leg.instrument == fact.instrument:
                leg.coin_cash += fact.amount
                return


def book_payment(store: Store, fact: InterestCharged | InsuranceCharged | Transferred) -> None:
    """Money that moved without an execution, once for each (account, kind, transaction)."""
    key = f"{_PAYMENTS[type(fact)]} {fact.account} {fact.transaction_id}"
    if not book_once(store, fact.account, key, fact.venue_ns):
        return
    match fact:
        case InterestCharged():
            ledger.charged(store, fact)
        case InsuranceCharged():
            ledger.insured(store, fact)
        case Transferred():
            ledger.transferred(store, fact)


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
    account.foreign = fact.foreign_orders
    if account.baseline is None:
        account.begun_ns = fact.venue_ns
        account.baseline = dict(fact.balances)
        account.baseline_positions = {
            held.instrument: Position(held.qty, held.cost)
            for held in fact.positions
            if held.instrument in store.markets
        }
        ledger.adopted(store, fact.account, fact.balances, fact.positions)
    elif account.adopting:
        account.begun_ns = fact.venue_ns
        ledger.adopted(store, fact.account, fact.balances, fact.positions)
    account.adopting = ""
    account.differences = recon.compare(store, account, fact)
    account.reconciled = not account.differences
    if account.reconciled:
        recon.adopt_split(store, fact)
        for market in store.markets.values():
            if market.instrument.account == fact.account:
                market.known_trade_id = market.trade_id


def forget_account(store: Store, fact: VenueReset) -> None:
    """The venue has begun an account anew: what our pairs held there is gone, and the next report is taken
    over.  Executions and payments are counted anew."""
    account = store.accounts[fact.account]
    account.epoch += 1
    account.reconciled, account.asked_ns, account.differences = False, 0, ()
    account.adopting = fact.reason
    for market in store.markets.values():
        if market.instrument.account == fact.account:
            market.trade_id = market.known_trade_id = ""
    for pair in store.pairs.values():
        for leg in pair.legs:
            if account_of(leg.instrument) == fact.account:
                leg.position, leg.coin_cash = Position(), ZERO


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
