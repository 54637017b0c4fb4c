"""The only writer of the store.

`facts` applies one batch of facts and then settles the pairs they concern; `commands` applies what was
admitted. Both take everything they need from their arguments and the store, so that applying the journal's
rows in order restores the store without deciding anything again (`refold`).
"""

from __future__ import annotations

from typing import assert_never

from bot.core import orders, pairs
from bot.core.booking import (
    book_fill,
    book_forced,
    book_funding,
    book_payment,
    forget_account,
    forget_orders,
    forget_trades,
    open_books,
    report_account,
)
from bot.core.marks import fold_book, fold_mark, fold_rate
from bot.core.routes import boot, list_instrument
from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    NoteIdle,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMode,
)
from bot.model.entry import Entry
from bot.model.facts import (
    AccountFact,
    AccountReported,
    AccountTouched,
    AdoptionOrdered,
    AnyFact,
    BalanceSeen,
    BookGapped,
    BookSeen,
    Booted,
    CancelRejected,
    Channel,
    ChannelLost,
    ChannelOpened,
    FeedEnded,
    ForcedFilled,
    FundingEstimated,
    FundingPaid,
    FundingSettled,
    HistoryGapped,
    InstrumentListed,
    InstrumentStatusSeen,
    InsuranceCharged,
    InterestCharged,
    MarginCalled,
    MarketFact,
    MarkSeen,
    ModeOrdered,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFact,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderUncertain,
    PositionSeen,
    ProtocolDrift,
    RateSeen,
    RunFact,
    SettingsChanged,
    StopOrdered,
    Stopped,
    Throttled,
    Tick,
    Transferred,
    VenueReset,
)
from bot.model.ids import RUN_ID_LENGTH, ClientId, InstrumentId, PairName
from bot.model.instrument import Position
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, Purpose
from bot.model.store import Order, OrderState, Store, live_orders

TRADING = "TRADING"
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS

Touched = dict[PairName, bool]  # whether only the clock concerns the pair


def refold(store: Store, entry: Entry) -> None:
    """Apply a stored row."""
    facts(store, entry.at_ns, entry.facts)
    commands(store, entry.at_ns, entry.commands)


def facts(store: Store, at_ns: int, batch: tuple[AnyFact, ...]) -> Touched:
    """Apply a batch, in order; returns the pairs it concerns, in order of first mention.

    Raises `BrokenInvariant` for a fact that cannot be: the program must stop there.
    """
    store.now_ns = at_ns
    touched: Touched = {}
    for pair in store.pairs.values():
        if pair.moves:
            pair.moves = ()
    with exact_arithmetic():
        for fact in batch:
            _fact(store, at_ns, fact, touched)
        if not store.ledger.opened:
            open_books(store, at_ns)
        for name, by_clock in touched.items():
            pair = store.pairs[name]
            if not by_clock or pair.naked_ns or pair.state not in pairs.AT_REST:
                pairs.settle(store, pair, at_ns)
    return touched


def _fact(store: Store, at_ns: int, fact: AnyFact, touched: Touched) -> None:
    if isinstance(fact, MarketFact):
        _market(store, fact, touched)
    elif isinstance(fact, RunFact):
        _run(store, at_ns, fact, touched)
    elif isinstance(fact, OrderFact):
        _order(store, at_ns, fact, touched)
        if fact.client_id in store.live and not store.orders[fact.client_id].state.is_live:
            del store.live[fact.client_id]
    else:
        _account(store, at_ns, fact, touched)


def _market(store: Store, fact: MarketFact, touched: Touched) -> None:
    match fact:
        case BookSeen():
            fold_book(store, fact)
        case MarkSeen():
            fold_mark(store, fact)
        case FundingEstimated():
            market = store.markets[fact.instrument]
            market.funding_rate, market.funding_next_ns = fact.rate, fact.next_ns
            market.heard_ns = max(market.heard_ns, fact.seen_ns)
        case BookGapped():
            store.markets[fact.instrument].gapped = True
        case FundingSettled():
            settled = store.markets.get(fact.instrument)
            if settled is not None:
                settled.settled_rate, settled.settled_ns = fact.rate, fact.settled_ns
        case RateSeen():
            fold_rate(store, fact)
            return
        case _:
            assert_never(fact)
    _touch(store, fact.instrument, touched)


def _run(store: Store, at_ns: int, fact: RunFact, touched: Touched) -> None:
    match fact:
        case Tick():
            _tick(store, at_ns, fact)
            for name in store.pairs:
                touched.setdefault(name, True)
            return
        case ProtocolDrift():
            key = f"{fact.account} {fact.stream}"
            store.drift[key] = store.drift.get(key, 0) + 1
            return
        case ChannelLost() | ChannelOpened():
            _channel(store, at_ns, fact)
        case Booted():
            boot(store, at_ns, fact)
        case InstrumentListed():
            list_instrument(store, fact)
        case ModeOrdered():
            _set_mode(store, fact.scope, fact.mode, f"{fact.actor}: {fact.reason}")
        case FeedEnded():
            for market in store.markets.values():
                if market.instrument.account == fact.feed:
                    market.ended = True
        case StopOrdered():
            store.stopping = f"{fact.actor}: {fact.reason}"
        case Stopped():
            return
        case SettingsChanged():
            store.config = fact.config
        case InstrumentStatusSeen():
            listed = store.markets.get(fact.instrument)
            if listed is not None:
                listed.status = "" if fact.status == TRADING else fact.status
        case Throttled():
            throttled = store.accounts.get(fact.account)
            if throttled is not None:
                throttled.throttled_ns = max(throttled.throttled_ns, fact.until_ns)
        case _:
            assert_never(fact)
    touched.update(dict.fromkeys(store.pairs, False))


def commands(store: Store, at_ns: int, admitted: tuple[AnyCommand, ...]) -> None:
    """Apply what was admitted: from here on an order exists, and what it may fill is reserved."""
    for command in admitted:
        match command:
            case PlaceOrder():
                _place(store, at_ns, command)
            case CancelOrder():
                order = store.orders[command.client_id]
                orders.move(order, OrderState.CANCELING, at_ns, command.reason)
                order.ask_ns = at_ns + _reask_ns(store)
            case QueryOrder():
                order = store.orders[command.client_id]
                order.ask_ns = at_ns + _reask_ns(store)
            case QueryAccount():
                store.accounts[command.account].asked_ns = at_ns
            case SetMode():
                _set_mode(store, command.scope, command.mode, command.reason)
            case NoteIdle():
                pair = store.pairs[command.pair]
                pair.idle, pair.idle_value, pair.idle_limit = command.reason, command.value, command.limit
            case RaiseAlert():
                pass  # for people: the store does not change
            case _:
                assert_never(command)


def _touch(store: Store, instrument: InstrumentId, touched: Touched) -> None:
    for name in store.routes.pairs_of.get(instrument, ()):
        touched[name] = False


def _place(store: Store, at_ns: int, command: PlaceOrder) -> None:
    store.orders[command.client_id] = Order(
        client_id=command.client_id,
        pair=command.pair,
        role=command.role,
        instrument=command.instrument,
        side=command.side,
        qty=command.qty,
        price=command.price,
        tif=command.tif,
        reduce_only=command.reduce_only,
        purpose=command.purpose,
        arrival_mid=command.arrival_mid,
        sent_ns=at_ns,
        state_ns=at_ns,
        ask_ns=at_ns + _reask_ns(store),
    )
    store.live[command.client_id] = None
    store.next_order += 1
    if command.purpose is Purpose.ENTER:
        store.opening_ns = (*(ns for ns in store.opening_ns if ns > at_ns - MINUTE_NS), at_ns)
    pairs.sent(store.pairs[command.pair], command, at_ns)


def _tick(store: Store, at_ns: int, fact: Tick) -> None:
    for name, seen_ns in fact.seen_ns.items():
        market = store.markets.get(name)
        if market is not None:
            market.heard_ns = seen_ns
    for account_id, offset_ns in fact.offset_ns.items():
        if account_id in store.accounts:
            store.accounts[account_id].offset_ns = offset_ns
    forget_orders(store, at_ns)
    forget_trades(store, at_ns)


def _order(store: Store, at_ns: int, fact: OrderFact, touched: Touched) -> None:
    order = store.orders.get(ClientId(fact.client_id))
    if order is None:
        _unknown_order(store, fact.client_id)
        key = f"orders {type(fact).__name__} of an unknown order"
        store.drift[key] = store.drift.get(key, 0) + 1
        return
    touched[order.pair] = False
    match fact:
        case OrderFilled():
            if book_fill(store, order, fact):
                orders.filled(order, at_ns)
        case OrderAccepted():
            orders.accepted(order, fact, at_ns)
        case OrderRejected():
            orders.rejected(order, fact, at_ns)
        case OrderCanceled() | OrderExpired():
            orders.ended(order, fact, at_ns)
        case CancelRejected():
            orders.cancel_rejected(order, fact, at_ns)
        case OrderUncertain():
            orders.uncertain(order, fact, at_ns)
        case OrderReported():
            if orders.is_of(order, fact):
                orders.reported(order, fact, at_ns)
            else:
                reason = f"order {order.client_id}: the venue reports another order under this id"
                _set_mode(store, "*", Mode.HALTED, reason)
        case OrderNotFound():
            account = store.accounts[store.markets[order.instrument].instrument.account]
            if Channel.PRIVATE in account.lost:  # nobody would have told us of a fill
                order.ask_ns, order.not_found = at_ns, 0
                return
            window_s = store.config.strategy.receive_window_s if store.config else 0.0
            # it was sent by our clock and is answered by the venue's, which may be ahead
            orders.not_found(order, fact, at_ns, int(window_s * 1e9) + max(0, account.offset_ns))
        case _:
            assert_never(fact)


def _account(store: Store, at_ns: int, fact: AccountFact, touched: Touched) -> None:
    if isinstance(fact, (PositionSeen, FundingPaid, ForcedFilled)) and fact.instrument not in store.markets:
        key = f"account {type(fact).__name__} of an instrument that is not ours"
        store.drift[key] = store.drift.get(key, 0) + 1
        return
    match fact:
        case AccountReported():
            report_account(store, at_ns, fact)
            for name in fact.open_orders:
                _unknown_order(store, name)
            touched.update(dict.fromkeys(store.pairs, False))
        case BalanceSeen():
            store.accounts[fact.account].balances[fact.asset] = fact.balance
        case PositionSeen():
            owner = store.accounts[store.markets[fact.instrument].instrument.account]
            owner.positions[fact.instrument] = Position(fact.qty, fact.cost)
        case FundingPaid():
            book_funding(store, fact)
            _touch(store, fact.instrument, touched)
        case InterestCharged() | InsuranceCharged() | Transferred():
            book_payment(store, fact)
        case ForcedFilled():
            book_forced(store, fact)
            _touch(store, fact.instrument, touched)
        case MarginCalled():
            touched.update(dict.fromkeys(store.pairs, False))
        case AdoptionOrdered():
            account = store.accounts.get(fact.account)
            if account is not None:
                account.adopting = f"{fact.actor}: {fact.reason}"
                account.reconciled, account.asked_ns, account.differences = False, 0, ()
        case HistoryGapped():
            store.accounts[fact.account].adopting = "the venue keeps no payments of that time any more"
        case AccountTouched():
            store.accounts[fact.account].touched_ns = at_ns
        case VenueReset():
            forget_account(store, fact)
            touched.update(dict.fromkeys(store.pairs, False))
        case _:
            assert_never(fact)


def _channel(store: Store, at_ns: int, fact: ChannelLost | ChannelOpened) -> None:
    """A lost order channel leaves what was in flight on it unvouched for; a private channel that opens
    again may have missed something, so its account is to be compared."""
    account = store.accounts.get(fact.account)
    if account is None:
        return
    if isinstance(fact, ChannelOpened):
        account.lost.pop(fact.channel, None)
        if fact.channel is Channel.PRIVATE:
            account.reconciled, account.asked_ns = False, 0
        return
    account.lost[fact.channel] = fact.reason
    if fact.channel is Channel.MARKET:
        return
    for order in live_orders(store):
        if store.markets[order.instrument].instrument.account != fact.account:
            continue
        if fact.channel is Channel.PRIVATE:
            order.ask_ns = at_ns
        elif order.state in (OrderState.SENT, OrderState.CANCELING):
            orders.move(order, OrderState.UNCERTAIN, at_ns, fact.reason)
            order.ask_ns, order.not_found = at_ns, 0


def _unknown_order(store: Store, client_id: ClientId) -> None:
    """An order that carries our tag and the name of a run that this journal never saw was sent by a second
    daemon on the same account: everything halts, and both runs are named."""
    if store.config is None or client_id in store.orders or not client_id.startswith(store.config.bot_tag):
        return
    run = client_id[len(store.config.bot_tag) :][:RUN_ID_LENGTH]
    if len(run) == RUN_ID_LENGTH and run not in store.runs and store.mode is not Mode.HALTED:
        reason = f"a second daemon trades here: order {client_id} is of run {run}, this is run {store.run_id}"
        _set_mode(store, "*", Mode.HALTED, reason)


def _set_mode(store: Store, scope: str, mode: Mode, reason: str) -> None:
    if scope == "*":
        store.mode, store.mode_reason = mode, reason
    elif scope in store.pairs:
        pair = store.pairs[PairName(scope)]
        pair.mode, pair.mode_reason = mode, reason


def _reask_ns(store: Store) -> int:
    return int(store.config.strategy.reask_s * 1e9) if store.config else 0
