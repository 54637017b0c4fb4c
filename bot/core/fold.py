"""The only writer of the store.

`facts` applies one batch of facts and then settles the pairs they concern; `commands` applies what was
admitted. Both take everything they need from their arguments and the store, so that applying the journal's
rows in order restores the store without deciding anything again (`refold`).
"""

from __future__ import annotations

from typing import assert_never

from bot.core import border, gaps, orders, pairs, residuals, shortfall, spending
from bot.core.accounts import fold_account, fold_channel, unknown_order
from bot.core.booking import book_fill, forget_orders, forget_trades, open_books
from bot.core.indexing import (
    note_account,
    note_book,
    note_estimate,
    note_everything,
    note_order,
    note_pair,
)
from bot.core.marks import fold_book, fold_estimate, fold_mark, fold_rate, fold_settled, is_back
from bot.core.pairs import set_mode
from bot.core.routes import Touched, boot, list_instrument, rearm_account, rearm_instrument, touch
from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    MarginStage,
    NoteIdle,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMargin,
    SetMode,
    SetSwitch,
)
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BookGapped,
    BookSeen,
    Booted,
    CancelRejected,
    Channel,
    ChannelLost,
    ChannelOpened,
    FeedEnded,
    FundingEstimated,
    FundingSettled,
    InstrumentListed,
    InstrumentStatusSeen,
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
    ProtocolDrift,
    RateSeen,
    ResidualSettled,
    RunFact,
    SettingsChanged,
    StopOrdered,
    Stopped,
    Throttled,
    Tick,
)
from bot.model.ids import ClientId
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, Purpose
from bot.model.store import Account, Deleveraged, Order, OrderState, StandingAlert, Store, keep_index
from risk.fuse import REFUSED

TRADING = "TRADING"
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


def refold(store: Store, entry: Entry) -> None:
    """Apply a stored row."""
    facts(store, entry.at_ns, entry.facts)
    commands(store, entry.at_ns, entry.commands)


def facts(store: Store, at_ns: int, batch: tuple[AnyFact, ...]) -> Touched:
    """Apply a batch, in order; returns the pairs it concerns, in order of first mention.

    What a venue says against what is known is refused (`border`).  Raises `BrokenInvariant` for what we say
    ourselves that cannot be: the program must stop there.
    """
    with exact_arithmetic():
        return facts_exactly(store, at_ns, batch)


def facts_exactly(store: Store, at_ns: int, batch: tuple[AnyFact, ...]) -> Touched:
    """The same under the exact context that the caller has entered."""
    store.now_ns = at_ns
    if store.contradictions:
        store.contradictions = ()
    touched: Touched = {}
    index = keep_index(store)
    for name in index.moved:
        store.pairs[name].moves = ()
    index.moved.clear()
    index.givers.clear()
    spending.begin_batch(store, at_ns)
    for fact in batch:
        _fact(store, at_ns, fact, touched)
    if not store.ledger.opened:
        open_books(store, at_ns)
    for name, by_clock in touched.items():
        pair = store.pairs[name]
        if not by_clock or pair.naked_ns or pair.state not in pairs.AT_REST:
            before = pair.state, pair.naked_ns
            pairs.settle(store, pair, at_ns)
            if (pair.state, pair.naked_ns) != before:
                note_pair(index, store, pair)
    if len(batch) != 1 or type(batch[0]) is not Tick:  # time alone brings nothing
        spending.end_batch(store)
    return touched


def _fact(store: Store, at_ns: int, fact: AnyFact, touched: Touched) -> None:
    if isinstance(fact, MarketFact):
        _market(store, fact, touched)
    elif isinstance(fact, RunFact):
        _run(store, at_ns, fact, touched)
    elif isinstance(fact, OrderFact):
        _order(store, at_ns, fact, touched)
        note_order(keep_index(store), store, fact)
    elif border.admit_account(store, fact, at_ns):
        fold_account(store, at_ns, fact, touched)
        note_account(keep_index(store), store, fact)
    else:
        keep_index(store).due_ns.clear()


def _market(store: Store, fact: MarketFact, touched: Touched) -> None:
    if not border.admit_market(store, fact):
        return
    match fact:
        case BookSeen():
            if is_back(store, fact):
                rearm_instrument(store, fact.instrument)
            fold_book(store, fact)
            note_book(keep_index(store), store, fact.instrument)
        case MarkSeen():
            fold_mark(store, fact)
        case FundingEstimated():
            fold_estimate(store, fact)
            note_estimate(keep_index(store), store, fact.instrument)
        case BookGapped():
            store.markets[fact.instrument].gapped = True
            rearm_instrument(store, fact.instrument)
        case FundingSettled():
            fold_settled(store, fact)
        case RateSeen():
            fold_rate(store, fact)
            keep_index(store).mark_all()
            return
        case _:
            assert_never(fact)
    touch(store, fact.instrument, touched)


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
            fold_channel(store, at_ns, fact)
            rearm_account(store, fact.account)
        case Booted():
            boot(store, at_ns, fact)
        case InstrumentListed():
            if border.admit_listing(store, fact):
                list_instrument(store, fact)
                rearm_instrument(store, fact.instrument.id)
        case ModeOrdered():
            set_mode(store, fact.scope, fact.mode, f"{fact.actor}: {fact.reason}", ordered=True)
            for pair in store.pairs.values():
                pairs.rearm(pair)
            if fact.mode is Mode.ACTIVE:
                spending.resume(store, fact.scope)
        case FeedEnded():
            for market in store.markets.values():
                if market.instrument.account == fact.feed:
                    market.ended = True
        case StopOrdered():
            store.stopping = f"{fact.actor}: {fact.reason}"
        case Stopped():
            return
        case SettingsChanged():
            if store.config is not None and store.config.budget != fact.config.budget:
                spending.reopen(store)
            store.config = fact.config
        case ResidualSettled():
            residuals.settled(store, fact)
        case InstrumentStatusSeen():
            listed = store.markets.get(fact.instrument)
            if listed is not None:
                listed.status = "" if fact.status == TRADING else fact.status
                rearm_instrument(store, fact.instrument)
        case Throttled():
            throttled = store.accounts.get(fact.account)
            if throttled is not None:
                throttled.throttled_ns = max(throttled.throttled_ns, fact.until_ns)
                rearm_account(store, fact.account)
        case _:
            assert_never(fact)
    note_everything(keep_index(store), store)
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
                account = store.accounts[command.account]
                account.asked_ns = at_ns
                if account.baseline is None:
                    account.listed_from_ns = command.since_ns
            case SetMode():
                set_mode(store, command.scope, command.mode, command.reason)
            case SetMargin():
                _deleverage(store, at_ns, command)
            case NoteIdle():
                pair = store.pairs[command.pair]
                if command.reason != pair.idle:
                    pair.idle_ns = at_ns
                pair.idle, pair.idle_value, pair.idle_limit = command.reason, command.value, command.limit
                pairs.noted(pair, command.reason, at_ns)
                spending.close_entries(pair, command.reason, at_ns)
            case SetSwitch():
                decided = store.pairs[command.pair]
                decided.switch, decided.switch_ns = command, at_ns
            case RaiseAlert():
                _told(store, at_ns, command)
            case _:
                assert_never(command)


def _deleverage(store: Store, at_ns: int, command: SetMargin) -> None:
    """A wallet enters a stage: its pairs are to be looked at, whatever they waited for."""
    stages = store.accounts[command.account].deleveraged
    if command.stage is MarginStage.FREE:
        stages.pop(command.asset, None)
    else:
        stages[command.asset] = Deleveraged(command.stage, at_ns, command.rule, command.value, command.limit)
    keep_index(store).due_ns.clear()


def _told(store: Store, at_ns: int, alert: RaiseAlert) -> None:
    """A condition stands from the first time it is told until its end is told."""
    standing = store.alerts.get(alert.key)
    if alert.severity == "info":
        store.alerts.pop(alert.key, None)
    elif standing is not None:
        standing.severity, standing.text, standing.told_ns = alert.severity, alert.text, at_ns
        standing.count += 1
    elif alert.stands:
        store.alerts[alert.key] = StandingAlert(alert.severity, alert.text, at_ns, at_ns)


def _place(store: Store, at_ns: int, command: PlaceOrder) -> None:
    order = store.orders[command.client_id] = Order(
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
        spends=spending.is_spending(command),
    )
    store.live[command.client_id] = None
    index = keep_index(store)
    index.begin_order(order.client_id, order.pair, order.instrument, order.ask_ns)
    index.changed_instruments[command.instrument] = None
    store.next_order += 1
    if command.purpose is Purpose.ENTER:
        store.opening_ns = (*(ns for ns in store.opening_ns if ns > at_ns - MINUTE_NS), at_ns)
    pair = store.pairs[command.pair]
    pairs.sent(store, pair, command, at_ns)
    note_pair(index, store, pair)


def _tick(store: Store, at_ns: int, fact: Tick) -> None:
    for name, seen_ns in fact.seen_ns.items():
        market = store.markets.get(name)
        if market is not None:
            market.heard_ns = seen_ns
    for account_id, offset_ns in fact.offset_ns.items():
        if account_id in store.accounts:
            store.accounts[account_id].offset_ns = offset_ns
    gaps.sample(store, at_ns)
    forget_orders(store, at_ns)
    forget_trades(store, at_ns)


def _order(store: Store, at_ns: int, fact: OrderFact, touched: Touched) -> None:
    order = store.orders.get(ClientId(fact.client_id))
    if order is None:
        unknown_order(store, fact.client_id)
        key = f"orders {type(fact).__name__} of an unknown order"
        store.drift[key] = store.drift.get(key, 0) + 1
        return
    touched[order.pair] = False
    match fact:
        case OrderFilled():
            if border.admit_fill(store, order, fact, at_ns):
                book_fill(store, order, fact)
                spending.count_fill(store, order, fact, at_ns)
                orders.filled(order, at_ns)
                pairs.filled(store.pairs[order.pair])
        case OrderAccepted():
            orders.accepted(order, fact, at_ns)
            if Channel.PRIVATE in _account_of(store, order).lost:
                order.ask_ns = at_ns  # no stream will tell its fills
        case OrderRejected():
            if order.state.is_live:
                orders.rejected(order, fact, at_ns)
                if fact.code == REFUSED:
                    pairs.withdrawn(store.pairs[order.pair], order, at_ns)
                else:
                    spending.count_refusal(store, order, at_ns)
                    shortfall.refused(store, at_ns, order)
        case OrderCanceled() | OrderExpired():
            orders.ended(order, fact, at_ns)
        case CancelRejected():
            orders.cancel_rejected(order, fact, at_ns)
        case OrderUncertain():
            orders.uncertain(order, fact, at_ns)
        case OrderReported():
            if orders.is_of(order, fact):
                if border.admit_report(store, order, fact, at_ns):
                    orders.reported(order, fact, at_ns)
            else:
                reason = f"order {order.client_id}: the venue reports another order under this id"
                set_mode(store, "*", Mode.HALTED, reason)
        case OrderNotFound():
            account = _account_of(store, order)
            window_s = store.config.strategy.receive_window_s if store.config else 0.0
            # it was sent by our clock and is answered by the venue's, which may be ahead
            window_ns = int(window_s * 1e9) + max(0, account.offset_ns)
            if Channel.PRIVATE in account.lost:  # nobody would have told us of a fill
                window_ns += orders.UNHEARD_NS
            orders.not_found(order, fact, at_ns, window_ns)
        case _:
            assert_never(fact)


def _account_of(store: Store, order: Order) -> Account:
    return store.accounts[store.markets[order.instrument].instrument.account]


def _reask_ns(store: Store) -> int:
    return int(store.config.strategy.reask_s * 1e9) if store.config else 0
