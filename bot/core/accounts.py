"""What is told of accounts, folded: money, positions, settings, channels, and what others do there.

Part of `bot.core.fold`, the only writer of the store, which hands over every fact of an account.  What must
stay true: a statement of the venue never moves the ledger by itself; that is for fills and payments, and for
reports that are taken over.
"""

from __future__ import annotations

from typing import assert_never

from bot.core import fees, orders, shortfall
from bot.core.booking import (
    book_forced,
    book_funding,
    book_payment,
    forget_account,
    report_account,
)
from bot.core.pairs import set_mode
from bot.core.routes import Touched, touch
from bot.model.facts import (
    AccountFact,
    AccountReported,
    AccountSet,
    AccountTouched,
    AdoptionOrdered,
    BalanceSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    ContractSet,
    FeeAssetSet,
    ForcedFilled,
    FundingPaid,
    HistoryGapped,
    InsuranceCharged,
    InterestCharged,
    MarginCalled,
    PositionSeen,
    Transferred,
    VenueReset,
)
from bot.model.ids import RUN_ID_LENGTH, ClientId
from bot.model.instrument import Position
from bot.model.money import ZERO
from bot.model.pair import Mode
from bot.model.store import OrderState, Store, live_orders


def fold_account(store: Store, at_ns: int, fact: AccountFact, touched: Touched) -> None:
    if (
        isinstance(fact, (PositionSeen, FundingPaid, ForcedFilled, ContractSet, FeeAssetSet))
        and fact.instrument not in store.markets
    ):
        key = f"account {type(fact).__name__} of an instrument that is not ours"
        store.drift[key] = store.drift.get(key, 0) + 1
        return
    match fact:
        case AccountReported():
            told = store.accounts[fact.account].balances
            report_account(store, at_ns, fact)
            fees.moved(store, store.accounts[fact.account], told)
            for name in fact.open_orders:
                unknown_order(store, name)
            touched.update(dict.fromkeys(store.pairs, False))
        case BalanceSeen():
            _balance_seen(store, fact)
        case PositionSeen():
            owner = store.accounts[store.markets[fact.instrument].instrument.account]
            held = Position(fact.qty, fact.cost)
            owner.moved = owner.moved or owner.positions.get(fact.instrument) != held
            owner.positions[fact.instrument] = held
            shortfall.position_seen(store, at_ns, owner, fact)
        case FundingPaid():
            book_funding(store, fact)
            touch(store, fact.instrument, touched)
        case InterestCharged() | InsuranceCharged() | Transferred():
            _paid(store, fact, touched)
        case ForcedFilled():
            book_forced(store, fact)
            touch(store, fact.instrument, touched)
        case MarginCalled():
            touched.update(dict.fromkeys(store.pairs, False))
        case AdoptionOrdered():
            adopted = store.accounts.get(fact.account)
            if adopted is not None:
                adopted.adopting = f"{fact.actor}: {fact.reason}"
                adopted.reconciled, adopted.asked_ns, adopted.differences = False, 0, ()
        case HistoryGapped():
            store.accounts[fact.account].adopting = "the venue keeps no payments of that time any more"
        case AccountTouched():
            store.accounts[fact.account].touched_ns = at_ns
        case ContractSet() | AccountSet() | FeeAssetSet():
            _set(store, fact, touched)
        case VenueReset():
            forget_account(store, fact)
            touched.update(dict.fromkeys(store.pairs, False))
        case _:
            assert_never(fact)


def _balance_seen(store: Store, fact: BalanceSeen) -> None:
    account, told = store.accounts[fact.account], store.accounts[fact.account].balances.get(fact.asset)
    account.moved = account.moved or told != fact.balance
    account.balances[fact.asset] = fact.balance
    if (told is not None and told > 0) != (fact.balance > 0):
        fees.moved(store, account, {**account.balances, fact.asset: told or ZERO})


def _set(store: Store, fact: ContractSet | AccountSet | FeeAssetSet, touched: Touched) -> None:
    """How an account is set at its venue."""
    match fact:
        case AccountSet():
            account = store.accounts[fact.account]
            account.hedged, account.multi_assets = fact.is_hedged, fact.is_multi_assets
            touched.update(dict.fromkeys(store.pairs, False))
        case ContractSet():
            market = store.markets[fact.instrument]
            market.leverage, market.isolated = fact.leverage, not fact.is_cross
            touch(store, fact.instrument, touched)
        case FeeAssetSet():
            fees.told(store, fact)
            touch(store, fact.instrument, touched)
        case _:
            assert_never(fact)


def _paid(store: Store, fact: InterestCharged | InsuranceCharged | Transferred, touched: Touched) -> None:
    """Coins of a margin wallet may be a pair's residual."""
    book_payment(store, fact)
    for contract in store.routes.margined_in.get(fact.asset, ()):
        touch(store, contract, touched)


def fold_channel(store: Store, at_ns: int, fact: ChannelLost | ChannelOpened) -> None:
    """A lost order channel leaves what was in flight on it unvouched for; a private channel that opens
    again may have missed something, so its account is to be compared."""
    account = store.accounts.get(fact.account)
    if account is None:
        return
    if isinstance(fact, ChannelOpened):
        for known in (account.lost, account.lost_ns, account.refused):
            known.pop(fact.channel, None)
        if fact.channel is Channel.PRIVATE:
            account.reconciled, account.asked_ns = False, 0
            for order in live_orders(store):
                if store.markets[order.instrument].instrument.account == fact.account:
                    order.ask_ns = at_ns
        return
    account.lost[fact.channel] = fact.reason
    account.lost_ns.setdefault(fact.channel, at_ns)
    if fact.is_refused:
        account.refused[fact.channel] = fact.reason
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


def unknown_order(store: Store, client_id: ClientId) -> None:
    """An order that carries our tag and the name of a run that this journal never saw was sent by a second
    daemon on the same account: everything halts, and both runs are named."""
    if store.config is None or client_id in store.orders or not client_id.startswith(store.config.bot_tag):
        return
    run = client_id[len(store.config.bot_tag) :][:RUN_ID_LENGTH]
    if len(run) == RUN_ID_LENGTH and run not in store.runs and store.mode is not Mode.HALTED:
        reason = f"a second daemon trades here: order {client_id} is of run {run}, this is run {store.run_id}"
        set_mode(store, "*", Mode.HALTED, reason)
