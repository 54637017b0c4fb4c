"""How the budgets' counts change: by fills, refusals, entries given back, a new day, an operator's `resume`.

The fold alone writes them; `risk.budgets` reads.  What must stay true: a count changes with a fact or a
command and never with a decision, so that folding the journal restores it; and no step walks over all pairs
or days, but for the first one of a UTC day and an operator's order.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import AnyWhy, Deleverage, ExitEnd, ExitHold, Flatten, PlaceOrder
from bot.model.facts import OrderFilled
from bot.model.ids import PairName
from bot.model.instrument import Instrument, notional_quote
from bot.model.money import ZERO
from bot.model.pair import Purpose, Role
from bot.model.spending import (
    DAY_H,
    DAY_NS,
    MINUTE_NS,
    MONTH_DAYS,
    BookSpending,
    Fees,
    PairSpending,
    Turn,
    day_of,
    hour_of,
)
from bot.model.store import Order, Pair, Store
from risk import budgets
from risk.exposure import MissingData, config_of, in_nav

# exits that no signal asked for: by age and by force; they spend nothing
FREE_EXITS: tuple[type[AnyWhy], ...] = (ExitHold, ExitEnd, Flatten, Deleverage)


def is_spending(command: PlaceOrder) -> bool:
    """Whether an order's fees count against the budgets: an entry's, and those of an exit by signal."""
    if command.purpose is Purpose.EXIT:
        return not isinstance(command.why, FREE_EXITS)
    return command.purpose is Purpose.ENTER


def begin_batch(store: Store, at_ns: int) -> None:
    store.spending.fresh = ()
    day = day_of(at_ns)
    if day != store.spending.day:
        _begin_day(store, day)


def end_batch(store: Store) -> None:
    """Keep the result and the best one; before attribution begins there is none."""
    if store.ledger.opened:
        book = store.spending
        book.result = store.ledger.total.result()
        book.peak_result = max(book.peak_result, book.result)


def _begin_day(store: Store, day: int) -> None:
    """00:00 UTC: the day's sums begin anew, days beyond the month go, and what exits cost is valued again."""
    book = store.spending
    book.day, book.today = day, Fees()
    book.day_result = book.result
    for pair in store.pairs.values():
        spending = pair.spending
        spending.days = {one: fees for one, fees in spending.days.items() if one >= day - MONTH_DAYS}
        spending.month = Fees(
            sum((fees.spent for fees in spending.days.values()), ZERO),
            sum((fees.other for fees in spending.days.values()), ZERO),
        )
        _value_exit(store, pair)


def note_legs(store: Store, pair: Pair) -> None:
    """Value a complete exit where the legs have changed."""
    if pair.spending.exit_held != (pair.long.position.qty, pair.short.position.qty):
        _value_exit(store, pair)


def _value_exit(store: Store, pair: Pair) -> None:
    spending = pair.spending
    try:
        fee = budgets.exit_fee(store, pair)
    except MissingData:
        return  # it keeps its last value, and nothing is opened while a mark or a rate is missing
    store.spending.exit_fee += fee - spending.exit_fee
    spending.exit_fee = fee
    spending.exit_held = (pair.long.position.qty, pair.short.position.qty)


# --- fills ------------------------------------------------------------------------------------------------


def count_fill(store: Store, order: Order, fact: OrderFilled, at_ns: int) -> None:
    """One execution of ours, once."""
    pair, book = store.pairs[order.pair], store.spending
    instrument = store.markets[fact.instrument].instrument
    fee = _fee(store, instrument, fact)
    today = pair.spending.days.setdefault(book.day, Fees())
    for fees in (today, pair.spending.month, book.today):
        if order.spends:
            fees.spent += fee
        else:
            fees.other += fee
    _note(store, "fees", pair.spec.name)
    if order.spends:
        _count_turn(store, pair, order, fact, hour_of(at_ns))
    elif pair.growing and fact.side is not order.role.opening_side and order.purpose is not Purpose.DRIFT:
        pair.spending.given_back = True
    elif pair.spending.leaving and fact.side is order.role.opening_side:
        pair.spending.taken_back = True


def _fee(store: Store, instrument: Instrument, fact: OrderFilled) -> Decimal:
    """A fill's fee in NAV currency; one paid in a token without a price counts by the instrument's rate."""
    price = store.ledger.price.get(fact.fee_asset)
    if price is not None:
        return fact.fee * price
    return _value(store, instrument, fact.qty, fact.price) * instrument.taker_rate


def _value(store: Store, instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """Value in NAV currency; cash without a rate counts as NAV currency, since a count cannot wait for it."""
    quote = notional_quote(instrument, qty, price)
    try:
        return in_nav(store, instrument.quote, quote)
    except MissingData:
        return quote


def _count_turn(store: Store, pair: Pair, order: Order, fact: OrderFilled, hour: int) -> None:
    """What an exit closes is taken from the youngest openings; those older than a day are no turnover."""
    turns = pair.spending.long_turns if order.role is Role.LONG else pair.spending.short_turns
    for old in [one for one in turns if one < hour - DAY_H]:
        del turns[old]
    now = turns.setdefault(hour, Turn())
    if fact.side is order.role.opening_side:
        now.opened_qty += fact.qty
        return
    left = fact.qty
    for turn in reversed(turns.values()):
        taken = min(left, turn.opened_qty)
        turn.opened_qty -= taken
        left -= taken
    instrument = store.markets[fact.instrument].instrument
    now.closed += _value(store, instrument, fact.qty - left, fact.price)


# --- entries given back, refusals -------------------------------------------------------------------------


def end_entry(store: Store, pair: Pair, at_ns: int) -> None:
    """An entry's episode is over: the pair is flat or hedged."""
    spending = pair.spending
    if spending.given_back:
        recent = (ns for ns in spending.undone_ns if ns > at_ns - DAY_NS)
        spending.undone_ns = (*recent, at_ns)
        _note(store, "undone", pair.spec.name)
    spending.given_back = False


def end_exit(store: Store, pair: Pair, at_ns: int) -> None:
    """A clip of an exit is over: both legs have gone in ratio, or one was bought back."""
    spending = pair.spending
    if spending.taken_back:
        recent = at_ns - spending.undone_exit_ns < DAY_NS
        spending.undone_exits = spending.undone_exits + 1 if recent else 1
        spending.undone_exit_ns = at_ns
        _note(store, "undone_exit", pair.spec.name)
    spending.leaving = spending.taken_back = False


def count_refusal(store: Store, order: Order, at_ns: int) -> None:
    """The venue refused an order of ours, whatever its purpose."""
    budget, account = (
        config_of(store).budget,
        store.accounts[store.markets[order.instrument].instrument.account],
    )
    store.pairs[order.pair].spending.refusal = f"{order.instrument} {order.side.value}: {order.reason}"
    account.rejects_ns = (*(ns for ns in account.rejects_ns if ns > at_ns - MINUTE_NS), at_ns)
    if len(account.rejects_ns) < budget.refused_orders_per_min:
        return
    if at_ns >= account.openings_held_ns:
        _note(store, "refused", account.id)
    account.rejects_ns = account.rejects_ns[-budget.refused_orders_per_min :]
    account.openings_held_ns = at_ns + int(budget.refused_pause_s * 1e9)


# --- no more entries, and again ---------------------------------------------------------------------------


def close_entries(pair: Pair, code: str, at_ns: int) -> None:
    """An entry was not begun for want of budget: none is until the budget's own time is over."""
    until_ns = budgets.closed_until_ns(code, at_ns)
    if until_ns is not None and at_ns >= pair.spending.closed_ns:
        pair.spending.closed_ns, pair.spending.closed_code = until_ns, code


def reopen(store: Store) -> None:
    """The budgets themselves have changed: what they closed is judged anew."""
    for pair in store.pairs.values():
        pair.spending.closed_ns, pair.spending.closed_code = 0, ""


def resume(store: Store, scope: str) -> None:
    """An operator frees a pair, or everything where ``scope`` is ``*``: its counts start anew."""
    book = store.spending
    if scope == "*":
        result = book.result
        store.spending = BookSpending(book.day, Fees(), book.exit_fee, result, result, result, book.fresh)
        for account in store.accounts.values():
            account.rejects_ns, account.openings_held_ns = (), 0
        for pair in store.pairs.values():
            _resume_pair(pair)
    elif scope in store.pairs:
        _resume_pair(store.pairs[PairName(scope)])
    else:
        return
    _note(store, "resumed", scope)


def _resume_pair(pair: Pair) -> None:
    before = pair.spending
    pair.spending = PairSpending(
        given_back=before.given_back, exit_fee=before.exit_fee, exit_held=before.exit_held
    )


def _note(store: Store, kind: str, name: str) -> None:
    if (kind, name) not in store.spending.fresh:
        store.spending.fresh = (*store.spending.fresh, (kind, name))
