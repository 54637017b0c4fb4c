"""What a venue says that cannot be: refused where it enters the store, counted, asked again, and told.

An order of ours says what may be executed of it, an instrument what its numbers mean.  A venue's word that
contradicts them is its fault or its codec's, never a bug of ours: a run that ended over it would only hear it
again.  So such a fact changes no book.  What is true nevertheless shows when the account is compared: the
position is the venue's, and what differs holds the pair until an operator adopts it.

What must stay true: nothing that is refused here moves the ledger, a leg or an order's filled quantity, and
`BrokenInvariant` is left for contradictions among our own facts.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import orders
from bot.core.booking import is_booked
from bot.model.facts import (
    AccountFact,
    AccountReported,
    AdoptionOrdered,
    BalanceSeen,
    ContractSet,
    FeeAssetSet,
    ForcedFilled,
    FundingEstimated,
    FundingPaid,
    FundingSettled,
    InstrumentListed,
    InsuranceCharged,
    InterestCharged,
    MarketFact,
    MarkSeen,
    OrderFilled,
    OrderReported,
    OrderStatus,
    PositionSeen,
    RateSeen,
    Transferred,
)
from bot.model.ids import AccountId, account_of
from bot.model.instrument import Instrument
from bot.model.money import is_measured, text
from bot.model.store import Contradiction, Order, Store

REPEATED = (
    2  # so often a venue counts fills that it does not list before its word that the order ended is taken
)
WORDS_MAX = 300
_IDENTITY = ("kind", "inverse", "base", "quote", "margin_asset")
_OF_INSTRUMENT = (ContractSet, FeeAssetSet, ForcedFilled, FundingPaid, PositionSeen)
_ABOVE_ZERO = ("contract_size", "tick", "lot")
_NUMBERS = (
    *_ABOVE_ZERO, "qty_min", "qty_max", "notional_min", "price_up", "price_down", "maker_rate", "taker_rate",
)  # fmt: skip


# --- orders -----------------------------------------------------------------------------------------------


def admit_fill(store: Store, order: Order, fact: OrderFilled, at_ns: int) -> bool:
    """Whether an execution can be one of this order; where it cannot, the order and its account are asked."""
    if is_booked(store, fact):
        return False
    why = ""
    if fact.instrument != order.instrument or fact.side is not order.side:
        why = f"a fill of {fact.side.value} {fact.instrument}"
    elif not _is_execution(fact.qty, fact.price, fact.fee):
        why = f"a fill of {fact.qty} at {fact.price}, fee {fact.fee}"
    elif order.filled_qty + fact.qty > order.qty:
        why = f"a fill of {text(fact.qty)} with {text(order.qty - order.filled_qty)} left of it"
    if why:
        _contradict(store, order, at_ns, why)
    return not why


def admit_report(store: Store, order: Order, fact: OrderReported, at_ns: int) -> bool:
    """Whether a report counts no more than the fills that were told.  Where it does, and again when asked
    again, its word that the order has ended is taken all the same: what is missing then is the account's."""
    is_number = is_measured(fact.filled_qty)
    if is_number and fact.filled_qty <= order.filled_qty:
        return True
    counted = text(fact.filled_qty) if is_number else str(fact.filled_qty)
    told = f"{text(order.filled_qty)} of it told"
    _contradict(store, order, at_ns, f"{fact.status.value}, {counted} filled of {text(order.qty)}, {told}")
    return fact.status is not OrderStatus.OPEN and order.contradicted >= REPEATED


def _contradict(store: Store, order: Order, at_ns: int, said: str) -> None:
    """The first word against an order has its account compared at once, a later one within ten seconds."""
    account = store.accounts[account_of(order.instrument)]
    if not order.contradicted:
        account.reconciled, account.asked_ns = False, 0
    account.touched_ns = at_ns
    why = f"the venue tells of {said}"[:WORDS_MAX]
    orders.contradicted(order, at_ns, why)
    refuse(store, account.id, f"order {order.client_id}: {why}")


# --- everything else --------------------------------------------------------------------------------------


def refuse(store: Store, account: AccountId, why: str) -> None:
    """Count what was refused, and keep it for the alert of this step."""
    key = f"{account} contradiction"
    store.drift[key] = store.drift.get(key, 0) + 1
    store.contradictions = (*store.contradictions, Contradiction(account, why[:WORDS_MAX]))


def admit_account(store: Store, fact: AccountFact, at_ns: int) -> bool:
    """Whether a statement of an account is one of ours, in numbers that the ledger can hold.  A report that
    is none leaves the account uncompared; after anything else it is compared within ten seconds."""
    if isinstance(fact, AdoptionOrdered):
        return True  # an operator's, not a venue's
    name = account_of(fact.instrument) if isinstance(fact, _OF_INSTRUMENT) else fact.account
    account = store.accounts.get(name)
    if account is None:
        key = f"{name} {type(fact).__name__} of an account that is not ours"
        store.drift[key] = store.drift.get(key, 0) + 1
        return False
    if _is_stated_well(fact):
        return True
    account.touched_ns = at_ns
    account.reconciled = account.reconciled and not isinstance(fact, AccountReported)
    refuse(store, name, f"{type(fact).__name__} of {name} in numbers that no ledger holds")
    return False


def _is_stated_well(fact: AccountFact) -> bool:
    match fact:
        case ForcedFilled():
            return _is_execution(fact.qty, fact.price, fact.fee)
        case FundingPaid() | InterestCharged() | InsuranceCharged() | Transferred():
            return is_measured(fact.amount)
        case BalanceSeen():
            return is_measured(fact.balance)
        case PositionSeen():
            return is_measured(fact.qty) and is_measured(fact.cost)
        case AccountReported():
            held = [number for each in fact.positions for number in (each.qty, each.cost)]
            return all(map(is_measured, (*fact.balances.values(), *held)))
        case _:
            return True


def admit_market(store: Store, fact: MarketFact) -> bool:
    """Whether a market fact is of an instrument that is listed, and its prices are prices."""
    if isinstance(fact, RateSeen):
        if is_measured(fact.rate) and fact.rate > 0:
            return True
        refuse(store, AccountId(f"{fact.base}/{fact.quote}"), f"a rate of {fact.rate} is none")
        return False
    if fact.instrument not in store.markets:
        if isinstance(fact, FundingSettled):
            return True  # told before its contract is listed, and let pass
        key = f"{account_of(fact.instrument)} {type(fact).__name__} of an instrument that is not listed"
        store.drift[key] = store.drift.get(key, 0) + 1
        return False
    wrong: Decimal | None = None
    if isinstance(fact, MarkSeen):
        prices = [price for price in (fact.mark, fact.index) if price is not None]
        wrong = next((price for price in prices if not (is_measured(price) and price > 0)), None)
    elif isinstance(fact, FundingEstimated | FundingSettled):
        wrong = None if is_measured(fact.rate) else fact.rate
    if wrong is None:
        return True
    refuse(store, account_of(fact.instrument), f"{type(fact).__name__} of {fact.instrument}: {wrong} is none")
    return False


def admit_listing(store: Store, fact: InstrumentListed) -> bool:
    """Whether an instrument can be traded as it is described, and is still what it was."""
    told, known = fact.instrument, store.markets.get(fact.instrument.id)
    why = _undescribed(told)
    if known is not None and not why:
        changed = [name for name in _IDENTITY if getattr(told, name) != getattr(known.instrument, name)]
        why = f"its {' and '.join(changed)} changed" if changed else ""
    if why:
        refuse(store, told.account, f"{told.id} is not taken as it is described: {why}")
    return not why


def _undescribed(told: Instrument) -> str:
    for name in _NUMBERS:
        value: Decimal = getattr(told, name)
        if not is_measured(value) or (name in _ABOVE_ZERO and value <= 0):
            return f"its {name} is {value}"
    return ""


def _is_execution(qty: Decimal, price: Decimal, fee: Decimal) -> bool:
    return is_measured(qty) and is_measured(price) and is_measured(fee) and qty > 0 and price > 0
