"""Budgets: what trading may cost before entries end.  Nothing is done again and again for nothing.

=========================== ==================== ======================================================
fees a UTC day, pair, book  of capital           `budget_fees_day`, `budget_fees_book`: no entries until
                                                 00:00 UTC, told
fees in 30 days, pair       of capital           `budget_fees_month`: PAUSED, critical
turnover in 24 h, pair      multiple of capital  `budget_turnover`: no entries for 24 h, told
entries given back, pair    count in 24 h        `entry_was_unwound`: a pause that doubles; the last one
                                                 of the count: PAUSED, critical
exits bought back, pair     of one position      `exit_was_undone`: the next one by signal or age waits
                                                 for that pause, and for fees that the budgets cover
orders refused, account     count a minute       `budget_refused`: openings held for a while, told
loss of a day, from a peak  of all capital       everything REDUCE_ONLY, critical
=========================== ==================== ======================================================

`entry_block` is the one predicate that the decision and the guard ask before an entry.  Exits by force,
repairs, unwinds and FLATTEN are neither refused nor delayed, and count as ``other``, never as spent.  An
entry is begun only where

- spent + its fees + a complete exit of all that would then be held, by signal, fit the budget; so the exit
  never has to be refused for the budget to hold;
- all fees so far, of whatever purpose, + its own fit it too; so the fees of a day are never above the
  budget by more than one complete exit.

The counts live in the store (`bot.model.spending`) and are written by the fold alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

from bot.model.commands import PlaceOrder, RaiseAlert, SetMode
from bot.model.config import Budget
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.instrument import notional_quote
from bot.model.money import BPS, ZERO, text
from bot.model.pair import Mode, Role
from bot.model.spending import DAY_H, DAY_NS, Fees, Turn, day_of, hour_of
from bot.model.store import Pair, Store, indexed
from risk.exposure import MissingData, Pending, config_of, in_nav, listed, mark_of, pending
from risk.limits import Refused, exact_limit

FEES_DAY, FEES_BOOK, FEES_MONTH = "budget_fees_day", "budget_fees_book", "budget_fees_month"
TURNOVER, REFUSED, UNDONE = "budget_turnover", "budget_refused", "entry_was_unwound"
UNDONE_EXIT = "exit_was_undone"
ENDING = (FEES_DAY, FEES_BOOK, FEES_MONTH, TURNOVER)  # those that end entries, or pause
EXIT_HEADROOM = Decimal("1.5")  # an exit may come when the price, and with it the fee, is higher by this

Change = SetMode | RaiseAlert
_FREE = (Mode.ACTIVE, Mode.PAUSED)


def entry_block(store: Store, at_ns: int, pair: Pair, orders: tuple[PlaceOrder, ...] = ()) -> Refused | None:
    """Why the budgets let this pair begin no entry now; ``None`` where they do.

    ``orders`` are both legs of the entry that is wanted.  Without any, only what is known beforehand is said:
    pauses, and budgets that have been passed.  A mark or a rate that is not known is a refusal.
    """
    refused = _paused(store, at_ns, pair) or _account_held(store, at_ns, pair)
    if refused is not None or not orders:
        return refused
    everything = pending(store, orders)
    own = [order for order in everything if order.pair == pair.spec.name]
    others = [order for order in everything if order.pair != pair.spec.name]
    try:
        return _fees(store, pair, own, others) or _turnover(store, at_ns, pair, own)
    except MissingData as missing:
        return Refused(f"missing:{missing.what}", missing.where, "", pair.spec.name)


def exit_block(store: Store, at_ns: int, pair: Pair) -> Refused | None:
    """Why an exit by signal or age waits: one of this position went in one leg and was bought back.  The
    next one waits for a pause that doubles, and for budgets that cover it: those of a day for a day at most,
    that of the month always.  An exit by force is never asked about."""
    spending, name, budget = pair.spending, pair.spec.name, config_of(store).budget
    if not spending.undone_exits:
        return None
    age_ns, pause_s = at_ns - spending.undone_exit_ns, undone_pause_s(budget, spending.undone_exits)
    if age_ns < pause_s * 1e9:
        return Refused(UNDONE_EXIT, f"{pause_s - age_ns / 1e9:.0f}", f"{pause_s:.0f}", name)
    try:
        capital, all_capital = capital_of(store, pair), book_capital(store)
    except MissingData:
        return None  # what is not known never keeps an exit back
    sums = [(spending.month, _part_of(capital, budget.fees_month_pair_bps))]
    if age_ns < DAY_NS:
        today = spending.days.get(store.spending.day, Fees())
        sums.append((today, _part_of(capital, budget.fees_day_pair_bps)))
        sums.append((store.spending.today, _part_of(all_capital, budget.fees_day_book_bps)))
    for fees, limit in sums:
        refused = _beyond(UNDONE_EXIT, name, fees.spent + fees.other + spending.exit_fee, limit)
        if refused is not None:
            return refused
    return None


def undone_pause_s(budget: Budget, count: int) -> float:
    """Seconds of the pause after the ``count``-th entry or exit that was undone, ``count`` > 0."""
    return min(budget.undone_pause_max_s, budget.undone_pause_s * 2.0 ** min(count - 1, 60))


def closed_until_ns(code: str, at_ns: int) -> int | None:
    """Until when a passed budget lets no entry begin; ``None`` for a code that closes nothing."""
    if code in (FEES_DAY, FEES_BOOK):
        return (day_of(at_ns) + 1) * DAY_NS
    return at_ns + DAY_NS if code == TURNOVER else None


def _paused(store: Store, at_ns: int, pair: Pair) -> Refused | None:
    spending, name = pair.spending, pair.spec.name
    undone = [ns for ns in spending.undone_ns if ns > at_ns - DAY_NS]
    if undone:
        pause_s = undone_pause_s(config_of(store).budget, len(undone))
        left_s = pause_s - (at_ns - undone[-1]) / 1e9
        if left_s > 0:
            return Refused(UNDONE, f"{left_s:.0f}", f"{pause_s:.0f}", name)
    if at_ns < spending.closed_ns:
        return Refused(spending.closed_code, f"{(spending.closed_ns - at_ns) / 1e9:.0f} s left", "", name)
    return None


def _account_held(store: Store, at_ns: int, pair: Pair) -> Refused | None:
    for leg in pair.legs:
        account = store.accounts.get(account_of(leg.instrument))
        if account is not None and at_ns < account.openings_held_ns:
            left_s = (account.openings_held_ns - at_ns) / 1e9
            return Refused(REFUSED, f"{account.id} {left_s:.0f} s left", "", pair.spec.name)
    return None


# --- fees -------------------------------------------------------------------------------------------------


def exit_fee(store: Store, pair: Pair, entering: Iterable[Pending] = ()) -> Decimal:
    """Taker fees of a complete exit of what is held and of ``entering``, with headroom, NAV currency.

    Both legs count with the larger one's value: what is naked now is completed before it leaves.  Raises
    `MissingData` where a leg that counts has no mark or rate.
    """
    values = dict.fromkeys(Role, ZERO)
    for leg in pair.legs:
        if leg.position.qty:
            market = listed(store, leg.instrument)
            quote = abs(notional_quote(market.instrument, leg.position.qty, mark_of(market)))
            values[leg.role] += in_nav(store, market.instrument.quote, quote)
    for order in entering:
        values[order.role] += _value(store, order)
    larger = max(values.values())
    if not larger:
        return ZERO
    rates = [listed(store, leg.instrument).instrument.taker_rate for leg in pair.legs]
    return larger * (rates[0] + rates[1]) * EXIT_HEADROOM


def _value(store: Store, order: Pending) -> Decimal:
    instrument = listed(store, order.instrument).instrument
    return in_nav(store, instrument.quote, notional_quote(instrument, order.qty, order.price))


def _fee(store: Store, order: Pending) -> Decimal:
    return _value(store, order) * listed(store, order.instrument).instrument.taker_rate


def _fees(store: Store, pair: Pair, own: list[Pending], others: list[Pending]) -> Refused | None:
    """The day's budget of the pair and of the book, and the pair's of a month."""
    budget, book, spending, name = config_of(store).budget, store.spending, pair.spending, pair.spec.name
    fee = sum((_fee(store, order) for order in own), ZERO)
    leaving = exit_fee(store, pair, own)
    capital = capital_of(store, pair)
    today = spending.days.get(book.day, Fees())
    for code, fees, bps in (
        (FEES_DAY, today, budget.fees_day_pair_bps),
        (FEES_MONTH, spending.month, budget.fees_month_pair_bps),
    ):
        refused = _beyond(code, name, _needed(fees, fee, leaving), _part_of(capital, bps))
        if refused is not None:
            return refused
    in_flight = sum((_fee(store, order) for order in others), ZERO)
    leaving += book.exit_fee - spending.exit_fee + in_flight * EXIT_HEADROOM
    limit = _part_of(book_capital(store), budget.fees_day_book_bps)
    return _beyond(FEES_BOOK, name, _needed(book.today, fee + in_flight, leaving), limit)


def _needed(fees: Fees, fee: Decimal, leaving: Decimal) -> Decimal:
    """What a budget must hold for an entry: all that was paid, the entry, and an exit that is undone once
    before it goes through."""
    return fees.spent + fees.other + fee + leaving


def _beyond(code: str, name: PairName, needed: Decimal, limit: Decimal) -> Refused | None:
    return Refused(code, text(needed), text(limit), name) if needed > limit else None


def capital_of(store: Store, pair: Pair) -> Decimal:
    """A pair's capital in NAV currency."""
    return in_nav(store, listed(store, pair.spec.long).instrument.quote, pair.spec.capital_quote)


def book_capital(store: Store) -> Decimal:
    """Capital of all configured pairs, NAV currency."""
    return sum((in_nav(store, quote, amount) for quote, amount in store.routes.capital.items()), ZERO)


# --- turnover ---------------------------------------------------------------------------------------------


def _turnover(store: Store, at_ns: int, pair: Pair, own: list[Pending]) -> Refused | None:
    """What was closed within a day of its opening, with all that would be if the pair left now."""
    budget, first, turned = config_of(store).budget, hour_of(at_ns) - DAY_H, ZERO
    for leg, turns in ((pair.long, pair.spending.long_turns), (pair.short, pair.spending.short_turns)):
        young = {hour: turn for hour, turn in turns.items() if hour >= first}
        opened = sum((turn.opened_qty for turn in young.values()), ZERO)
        qty = min(opened, abs(leg.position.qty))
        qty += sum((order.qty for order in own if order.role is leg.role), ZERO)
        turned = max(turned, _closed(young.values()) + _at_mark(store, leg.instrument, qty))
    limit = capital_of(store, pair) * exact_limit(budget.turnover_day_pair)
    return _beyond(TURNOVER, pair.spec.name, turned, limit)


def _closed(turns: Iterable[Turn]) -> Decimal:
    return sum((turn.closed for turn in turns), ZERO)


def _at_mark(store: Store, name: InstrumentId, qty: Decimal) -> Decimal:
    market = listed(store, name)
    return in_nav(store, market.instrument.quote, notional_quote(market.instrument, qty, mark_of(market)))


# --- what passing a budget leads to -----------------------------------------------------------------------


def passed(store: Store, at_ns: int, pair: Pair, refused: Refused) -> tuple[Change, ...]:
    """What follows when an entry was wanted and a budget did not cover it; nothing where that is told."""
    needed = f"an entry with the exit after it would need {refused.value} of {refused.limit}"
    match refused.rule:
        case "budget_fees_month":
            return _pause(
                pair, "fees_month", f"fees of 30 days, {needed} ({_variable('fees_month_pair_bps')})"
            )
        case "budget_fees_day":
            what, field, until = "fees_day", "fees_day_pair_bps", "00:00 UTC"
        case "budget_fees_book":
            what, field, until = "fees_book", "fees_day_book_bps", "00:00 UTC"
        case "budget_turnover":
            what, field, until = "turnover", "turnover_day_pair", "24 hours have passed"
        case _:
            return ()
    if at_ns < pair.spending.closed_ns:
        return ()
    name = pair.spec.name
    sentence = f"pair {name} enters no more until {until}: {needed} ({_variable(field)})"
    return (RaiseAlert(f"budget:{what}:{name}", "warning", sentence),)


def mode_changes(store: Store, at_ns: int) -> tuple[Change, ...]:
    """Modes and alerts that the last batch calls for: by what it changed of the counts, and by the loss."""
    if store.config is None:
        return ()
    out: list[Change] = []
    for kind, name in store.spending.fresh:
        match kind:
            case "fees":
                out += _month_passed(store, store.pairs[PairName(name)])
            case "undone":
                out += _undone(store, at_ns, store.pairs[PairName(name)])
            case "undone_exit":
                out.append(_undone_exit(store, store.pairs[PairName(name)]))
            case "refused":
                out.append(_refused(store, AccountId(name)))
            case "resumed":
                scope = "everything" if name == "*" else f"pair {name}"
                sentence = f"{scope} was resumed: the counts of its budgets start anew"
                out.append(RaiseAlert(f"budget:resumed:{name}", "info", sentence))
    return (*out, *_loss(store))


def _pause(pair: Pair, what: str, sentence: str) -> tuple[Change, ...]:
    if pair.mode is not Mode.ACTIVE:
        return ()
    name = pair.spec.name
    alert = RaiseAlert(f"budget:{what}:{name}", "critical", f"pair {name} is paused: {sentence}")
    return (SetMode(name, Mode.PAUSED, sentence), alert)


def _month_passed(store: Store, pair: Pair) -> tuple[Change, ...]:
    """Fees can be above the plan of an entry: where its rate was not the venue's, or the price ran."""
    spent = pair.spending.month.spent
    try:
        limit = _part_of(capital_of(store, pair), config_of(store).budget.fees_month_pair_bps)
    except MissingData:
        return ()
    if spent <= limit:
        return ()
    variable = _variable("fees_month_pair_bps")
    return _pause(pair, "fees_month", f"fees of 30 days are {text(spent)} of {text(limit)} ({variable})")


def _undone(store: Store, at_ns: int, pair: Pair) -> tuple[Change, ...]:
    """Each entry given back is told with what the venue said; the last of the count pauses the pair."""
    budget, name = config_of(store).budget, pair.spec.name
    count = sum(1 for ns in pair.spending.undone_ns if ns > at_ns - DAY_NS)
    why = f"; the venue last refused {pair.spending.refusal}" if pair.spending.refusal else ""
    given_back = f"an entry was given back, {count} of {budget.undone_max} in 24 h"
    if count >= budget.undone_max and pair.mode is Mode.ACTIVE:
        return _pause(pair, "undone", f"{given_back} ({_variable('undone_max')}){why}")
    pause_s = undone_pause_s(budget, count)
    sentence = f"pair {name}: {given_back}, the next one waits {pause_s:.0f} s{why}"
    return (RaiseAlert(f"budget:undone:{name}", "warning", sentence),)


def _undone_exit(store: Store, pair: Pair) -> RaiseAlert:
    pause_s = undone_pause_s(config_of(store).budget, pair.spending.undone_exits)
    why = f"; the venue last refused {pair.spending.refusal}" if pair.spending.refusal else ""
    sentence = (
        f"pair {pair.spec.name}: an exit went in one leg and was bought back, the next one by signal or age "
        f"waits {pause_s:.0f} s and until the budgets of fees cover it, flatten waits for neither{why}"
    )
    return RaiseAlert(f"budget:undone_exit:{pair.spec.name}", "warning", sentence)


def _refused(store: Store, name: AccountId) -> RaiseAlert:
    budget = config_of(store).budget
    words = [
        pair.spending.refusal
        for pair in store.pairs.values()
        if pair.spending.refusal and name in (account_of(leg.instrument) for leg in pair.legs)
    ]
    sentence = (
        f"account {name}: the venue refused {budget.refused_orders_per_min} orders within a minute "
        f"({_variable('refused_orders_per_min')}), nothing is opened on it for {budget.refused_pause_s:g} s"
    )
    return RaiseAlert(f"budget:refused:{name}", "critical", "; ".join((sentence, *words)))


def _loss(store: Store) -> tuple[Change, ...]:
    """Everything becomes reduce-only once what trading brought has fallen too far."""
    book, index = store.spending, indexed(store)
    if index.loss_floor is None or index.loss_floor[:2] != (book.peak_result, book.day_result):
        index.loss_floor = loss_floor(store)
    if index.loss_floor is None or book.result >= index.loss_floor[2] or store.mode not in _FREE:
        return ()
    since, lost, field, limit = next(loss for loss in _losses(store) if loss[1] > loss[3])
    sentence = f"loss since {since} is {lost:.2f} of {limit:.2f} ({_variable(field)})"
    alert = RaiseAlert("budget:loss", "critical", f"everything is reduce-only: {sentence}")
    return (SetMode("*", Mode.REDUCE_ONLY, sentence), alert)


def loss_floor(store: Store) -> tuple[Decimal, Decimal, Decimal] | None:
    """The best result, that of 00:00 UTC, and the result below which a budget of losses is passed; ``None``
    where no capital is known."""
    book = store.spending
    if not store.routes.capital:
        return None
    try:
        most = [lost - limit for _, lost, _, limit in _losses(store)]
    except MissingData:
        return None
    return book.peak_result, book.day_result, book.result + max(most)


def _losses(store: Store) -> tuple[tuple[str, Decimal, str, Decimal], ...]:
    """Since when, what is lost, and the budget with its limit.  Raises `MissingData`."""
    book, budget, capital = store.spending, config_of(store).budget, book_capital(store)
    return (
        ("00:00 UTC", book.day_result - book.result, "loss_day_bps", _part_of(capital, budget.loss_day_bps)),
        (
            "the best result",
            book.peak_result - book.result,
            "loss_peak_bps",
            _part_of(capital, budget.loss_peak_bps),
        ),
    )


@lru_cache(maxsize=64)
def _part_of(capital: Decimal, bps: float) -> Decimal:
    """``bps`` basis points of a capital: a few amounts, asked for at every step."""
    return capital * exact_limit(bps) * BPS


def _variable(field: str) -> str:
    return f"BASISBOT_BUDGET__{field.upper()}"
