"""How fills, payments and account reports enter the books: ledger, legs and the venue's side, each once."""

from __future__ import annotations

from decimal import Decimal

from msgspec import structs

from bot.core import fees, ledger, recon, residuals, shortfall, views
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
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import Instrument, Position, Side, after_fill, fill_cost
from bot.model.ledger import Attribution
from bot.model.money import COIN_QUANTUM, ZERO, divide
from bot.model.store import Account, Leg, Market, Order, Store
from risk import ownership

DEDUP_HORIZON_NS = 24 * 3_600_000_000_000
ENDED_KEPT_NS = 3_600_000_000_000
_PAYMENTS = {InterestCharged: "interest", InsuranceCharged: "insurance", Transferred: "transfer"}


def book_once(store: Store, account: AccountId, key: str, venue_ns: int) -> bool:
    """True for the first fact of this key: venues tell things twice, the books hear them once.

    What is told before an account's first report is in that report: its key is known then, nothing is booked.
    """
    key = _in_epoch(store, account, key)
    if key in store.trades:
        return False
    store.trades[key] = venue_ns
    store.accounts[account].moved = True
    return store.accounts[account].baseline is not None


def forget_orders(store: Store, at_ns: int) -> None:
    """Drop orders that ended an hour ago."""
    ended = [
        name
        for name, order in store.orders.items()
        if order.state_ns < at_ns - ENDED_KEPT_NS and not order.state.is_live
    ]
    for name in ended:
        del store.orders[name]


def forget_trades(store: Store, at_ns: int) -> None:
    """Drop what nobody will tell again.  Of an account that has not agreed for a day, or has a living order,
    that is nothing: what follows its last agreement is told once more, however long ago that was."""
    if not store.trades or next(iter(store.trades.values())) >= at_ns - 2 * DEDUP_HORIZON_NS:
        return
    young_ns = at_ns - DEDUP_HORIZON_NS
    open_ended = [account_of(order.instrument) for order in store.orders.values() if order.state.is_live]
    for name, account in store.accounts.items():
        if not account.reconciled or account.reported_ns - recon.LATE_NS < young_ns:
            open_ended.append(name)
    old = {
        key: ns
        for key, ns in store.trades.items()
        if ns < young_ns and any(name in key for name in open_ended)
    }
    # the old ones stand last, so that the next look is a day away
    store.trades = {key: ns for key, ns in store.trades.items() if ns >= young_ns} | old


def _note_trade(store: Store, market: Market, trade_id: str) -> None:
    """Keep the latest trade id; venues count them up, and tell them out of order now and then."""
    if not market.instrument.is_spot:
        store.accounts[market.instrument.account].contract_fills += 1
    if not market.trade_id or (len(trade_id), trade_id) > (len(market.trade_id), market.trade_id):
        market.trade_id = trade_id
    market.known_trade_id = market.known_trade_id or trade_id


def _in_epoch(store: Store, account: AccountId, key: str) -> str:
    """A venue that began anew counts its trades from the start."""
    epoch = store.accounts[account].epoch
    return f"{epoch} {key}" if epoch else key


def is_booked(store: Store, fact: OrderFilled | ForcedFilled) -> bool:
    """Whether an execution is in the books."""
    account = account_of(fact.instrument)
    key = _fill_key(fact) if isinstance(fact, OrderFilled) else _forced_key(fact)
    return account in store.accounts and _in_epoch(store, account, key) in store.trades


def _fill_key(fact: OrderFilled) -> str:
    return f"{fact.instrument} {fact.trade_id} {fact.client_id}"


def _forced_key(fact: ForcedFilled) -> str:
    return f"{fact.instrument} {fact.trade_id} forced"


def book_fill(store: Store, order: Order, fact: OrderFilled) -> None:
    """One execution of an order of ours that is not booked yet, whatever state the order is in."""
    book_once(store, account_of(fact.instrument), _fill_key(fact), fact.venue_ns)
    ledger.filled(store, fact, order.arrival_mid)
    fees.paid(store, fact)
    order.filled_qty += fact.qty
    market = store.markets[fact.instrument]
    _note_trade(store, market, fact.trade_id)
    instrument = market.instrument
    leg = store.pairs[order.pair].leg(order.role)
    _fill_leg(leg, instrument, fact)


def book_forced(store: Store, fact: ForcedFilled) -> None:
    """An execution nobody ordered belongs to the pair whose contract it is."""
    if not book_once(store, account_of(fact.instrument), _forced_key(fact), fact.venue_ns):
        return
    ledger.forced(store, fact)
    fees.paid(store, fact)
    market = store.markets[fact.instrument]
    _note_trade(store, market, fact.trade_id)
    instrument = market.instrument
    if instrument.is_spot:
        return
    fee = fact.fee
    for leg, qty in ownership.split(store, instrument.id, fact.qty, instrument.lot):
        _fill_leg(leg, instrument, structs.replace(fact, qty=qty, fee=fee))
        fee = ZERO


def book_funding(store: Store, fact: FundingPaid) -> None:
    """Funding of an inverse contract is coin, and coin is delta of the pair."""
    key = f"funding {fact.instrument} {fact.transaction_id}"
    if not book_once(store, account_of(fact.instrument), key, fact.venue_ns):
        return
    ledger.funded(store, fact)
    instrument = store.markets[fact.instrument].instrument
    if instrument.inverse and fact.asset == instrument.base:
        for leg, amount in ownership.split(store, instrument.id, fact.amount, COIN_QUANTUM):
            leg.coin_cash += amount


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
            residuals.transferred(store, fact)


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
    """A whole wallet.  The first report is the baseline; every later one is compared with the ledger.

    Of an incomplete one what was read is compared, and nothing is taken over from it: what it does not say
    stays as it was, and the last agreement grows older.
    """
    account, is_whole = store.accounts[fact.account], not fact.unread_rows
    account.unread_rows = fact.unread_rows
    if not is_whole and (account.baseline is None or account.adopting):
        return  # the question stands, and is asked again
    # what was heard after the question may be missing from its answer: it speaks against this report too
    if 0 < account.asked_ns <= account.touched_ns:
        account.touched_ns = at_ns
    if 0 < account.asked_ns <= account.doubted_ns:
        account.doubted_ns = at_ns
    account.asked_ns, account.reported_ns = 0, at_ns
    account.moved = False
    unsaid = recon.unsaid(store, fact)
    account.balances = {name: qty for name, qty in account.balances.items() if name in unsaid} | fact.balances
    account.positions = {name: held for name, held in account.positions.items() if name in unsaid}
    account.positions |= {held.instrument: Position(held.qty, held.cost) for held in fact.positions}
    account.foreign = fact.foreign_orders
    if is_whole:
        account.told_ns = fact.venue_ns
    if account.baseline is None:
        account.begun_ns = fact.venue_ns
        account.baseline = dict(fact.balances)
        account.baseline_positions = {
            held.instrument: Position(held.qty, held.cost)
            for held in fact.positions
            if held.instrument in store.markets
        }
        ledger.adopted(store, fact.account, fact.balances, fact.positions)
    else:
        _take_over(store, account, fact, is_whole)
    account.adopting = ""
    shortfall.measure(store, account, fact, unsaid)
    account.differences = recon.compare(store, account, fact)
    account.reconciled = not account.differences
    if account.reconciled and is_whole:
        account.agreed_ns = at_ns
        recon.adopt_split(store, fact)
        account.contract_fills = 0
        for market in store.markets.values():
            if market.instrument.account == fact.account:
                market.known_trade_id = market.trade_id


def _take_over(store: Store, account: Account, fact: AccountReported, is_whole: bool) -> None:
    """What an operator, the venue or two equal reports said of an account becomes ours."""
    taken = shortfall.settled(store, account, fact) if is_whole else ()
    account.adopted = taken
    if account.adopting or (is_whole and shortfall.is_whole(store, account, fact, taken)):
        account.begun_ns = fact.venue_ns
        ledger.adopted(store, fact.account, fact.balances, fact.positions)
        _adopt_contracts(store, account, tuple(store.markets))
        _adopt_coins(store, account, fact)
        account.shrunk, account.wallet_owed = {}, False
    elif taken:
        for name in taken:
            ledger.adopted_contract(store, name, account.positions.get(name, Position()))
            del account.shrunk[name]
        _adopt_contracts(store, account, taken)
        account.wallet_owed = True


def _adopt_contracts(store: Store, account: Account, names: tuple[InstrumentId, ...]) -> None:
    """Pairs hold no more of these contracts than the account does by its last report, baseline left aside."""
    for name in names:
        listed = store.markets[name].instrument
        if listed.account != account.id or listed.is_spot:
            continue
        stands = account.positions.get(name, Position())
        ours = stands.qty - account.baseline_positions.get(name, Position()).qty
        for leg, position in ownership.divided(store, listed, Position(ours, stands.cost)):
            if position.qty != leg.position.qty:
                leg.position = position


def _adopt_coins(store: Store, account: Account, fact: AccountReported) -> None:
    """Pairs hold no more coins than the account does, baseline left aside."""
    coins = {
        asset: max(ZERO, amount - (account.baseline or {}).get(asset, ZERO))
        for asset, amount in fact.balances.items()
    }
    for pair in store.pairs.values():
        for leg in pair.legs:
            market = store.markets.get(leg.instrument)
            if market is None or market.instrument.account != account.id or not market.instrument.is_spot:
                continue
            base, before = market.instrument.base, leg.position
            qty = min(before.qty, coins.get(base, ZERO))
            coins[base] = coins.get(base, ZERO) - qty
            if qty != before.qty:
                leg.position = Position(qty, divide(before.cost * qty, before.qty, COIN_QUANTUM))


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
