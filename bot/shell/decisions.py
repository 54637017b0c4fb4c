"""Why this version decides a row otherwise than the version that wrote it.

A journal outlives the rules that it was written by.  Its rows are folded as they are, and where today's step
would answer a row with other commands, each difference must have one of the reasons listed here.  They are
read off the two answers and the code by which today's program waits.  What must stay true: the list is
closed, no order of today is excused that a changed rule does not allow, and nothing is entered that was not.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    NoteIdle,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMargin,
    SetMode,
    SetSwitch,
)
from bot.model.ids import PairName
from bot.model.pair import Mode, Purpose
from bot.model.store import Store
from risk.exposure import pair_delta_base

EARLIER = frozenset({"0.1.0"})  # versions whose rules were others
GROWN_MAX = Decimal("1.05")  # fees kept in coins, dust and residual coins are less of an order than that


class Reason(Enum):
    """The rules that are not those of an earlier version, the most weighty first.  Values are words for a
    person."""

    WAY_OUT = "another way out"  # the table of ways out: repairs, unwinds and exits
    BUDGET = "kept by a budget"
    FUSE = "no room in the fuse"
    GUARD = "refused by the guard"  # groups judged whole, margin to open, purchases net of fees
    NEEDS = "kept by what an order needs"
    COLLAR = "no price inside the collar"
    TRADABLE = "not tradable in ratio"  # dust, stranded contracts, coins that are missing
    CAPITAL = "kept by capital"  # which holds the margin that contracts lock
    CARRY = "carry undecided or near an end"
    HOLD = "held as it is"  # a pair leaves and grows by its own reason; a pause after an undone entry
    MODE = "kept by its mode"
    SIZE = "sized otherwise"  # locked margin, fees in coins, dust, residual coins, ladders, the fuse's room
    PRICE = "priced otherwise"  # repairs and exits by force widen; a stale reference bounds nothing
    WITHDRAWN = "resting orders withdrawn otherwise"
    LATCHED = "another mode"  # budgets, a contract that shrank, what was flattened and is not flat
    MARGIN = "margin given back"
    SWITCH = "carry decided by the switch"
    ASKED = "asked otherwise"  # accounts and orders, at other times or from another moment on
    TOLD = "told otherwise"  # alerts that stand, codes of waiting


# What keeps a pair today from orders that were sent: its idle code, where the rule behind it has changed.  A
# code whose rule is as it was (a gap too small, a stale feed, an order under way) explains nothing.
KEPT_BY = {
    "exit_was_undone": Reason.BUDGET,
    "entry_was_unwound": Reason.BUDGET,
    "fuse_room": Reason.FUSE,
    "price_beyond_collar": Reason.COLLAR,
    "beyond_exit_collar": Reason.COLLAR,
    "thin_book": Reason.COLLAR,
    "missing_index": Reason.COLLAR,
    "untradable": Reason.TRADABLE,
    "stranded": Reason.TRADABLE,
    "not_held": Reason.TRADABLE,
    "nothing_held": Reason.TRADABLE,
    "capital_in_use": Reason.CAPITAL,
    "clip_too_small": Reason.CAPITAL,
    "deleveraging": Reason.CAPITAL,
    "deleveraged": Reason.CAPITAL,
    "carry_undecided": Reason.CARRY,
    "gap_below_mean": Reason.CARRY,
    "cost_above_decided": Reason.CARRY,
    "payment_near": Reason.CARRY,
    "near_end": Reason.CARRY,
    "holding": Reason.HOLD,
    "minimum_hold": Reason.HOLD,
    "exit_withdrawn": Reason.HOLD,
    "halted": Reason.MODE,
    "venue_down": Reason.NEEDS,
    "not_trading": Reason.NEEDS,
    "restricted": Reason.NEEDS,
    "unanswered": Reason.NEEDS,
    "refused": Reason.NEEDS,
    "repair_pause": Reason.NEEDS,
    "settling": Reason.NEEDS,
    "not_reconciled": Reason.NEEDS,
    "channel_lost": Reason.NEEDS,
    "feed_lag": Reason.NEEDS,
    "leg_skew": Reason.NEEDS,
    "interval_in_doubt": Reason.NEEDS,
    "settled_rate_old": Reason.NEEDS,
    "contract_of_open_pair": Reason.NEEDS,
}
# What has bound entries always and binds today also what shrinks.
CLOSING_KEPT_BY = frozenset({"throttled", "hedge_mode", "crossed_book"})
_KEPT_BY_KIND = {"budget_": Reason.BUDGET, "guard_": Reason.GUARD, "mode_": Reason.MODE}
_CLOSING = frozenset({Purpose.EXIT, Purpose.UNWIND})
_MENDING = frozenset({Purpose.REPAIR, Purpose.UNWIND, Purpose.DRIFT})
_WEIGHT = {reason: weight for weight, reason in enumerate(Reason)}

Orders = tuple[PlaceOrder, ...]
Kinds = tuple[type[AnyCommand], ...]


def reason_of(stored: Iterable[AnyCommand], decided: Iterable[AnyCommand], store: Store) -> Reason | None:
    """The most weighty reason why two answers to one row differ; ``None`` where any part of the difference
    has none.  ``store`` is today's, after its answer."""
    old, new = tuple(stored), tuple(decided)
    reasons = [_of_orders(*orders, store) for orders in _by_pair(old, new)]
    reasons += [
        reason if _is_allowed(_of(old, kinds), _of(new, kinds)) else None
        for kinds, reason in _OTHERS
        if _of(old, kinds) != _of(new, kinds)
    ]
    known = [reason for reason in reasons if reason is not None]
    if len(known) < len(reasons) or not known:
        return None
    return min(known, key=_WEIGHT.__getitem__)


_OTHERS: tuple[tuple[Kinds, Reason], ...] = (
    ((CancelOrder,), Reason.WITHDRAWN),
    ((SetMode,), Reason.LATCHED),
    ((SetMargin,), Reason.MARGIN),
    ((SetSwitch,), Reason.SWITCH),
    ((QueryAccount, QueryOrder), Reason.ASKED),
    ((NoteIdle, RaiseAlert), Reason.TOLD),
)


def _of(commands: tuple[AnyCommand, ...], kinds: Kinds) -> tuple[AnyCommand, ...]:
    return tuple(one for one in commands if isinstance(one, kinds))


def _is_allowed(before: tuple[AnyCommand, ...], after: tuple[AnyCommand, ...]) -> bool:
    """Nothing is said twice, no mode is freed, and none that a limit has set is left out."""
    extra = [one for one in after if one not in before]
    missing = [one for one in before if one not in after]
    return (
        all(after.count(one) == 1 for one in extra)
        and not any(isinstance(one, SetMode) and one.mode is Mode.ACTIVE for one in extra)
        and not any(isinstance(one, SetMode) and one.mode is Mode.REDUCE_ONLY for one in missing)
        and not any(isinstance(one, SetMargin | SetSwitch) for one in missing)
        and bool(extra or missing)
    )


def _by_pair(
    old: tuple[AnyCommand, ...], new: tuple[AnyCommand, ...]
) -> list[tuple[PairName, Orders, Orders]]:
    """The orders of each pair whose orders differ, as they were and as they are today."""
    before = [one for one in old if isinstance(one, PlaceOrder)]
    after = [one for one in new if isinstance(one, PlaceOrder)]
    names = dict.fromkeys(order.pair for order in (*before, *after))
    both = [
        (
            name,
            tuple(order for order in before if order.pair == name),
            tuple(order for order in after if order.pair == name),
        )
        for name in names
    ]
    return [each for each in both if each[1] != each[2]]


def _of_orders(name: PairName, old: Orders, new: Orders, store: Store) -> Reason | None:
    if not (_is_sound(old) and _is_sound(new)):
        return None
    if not new:
        return _kept_by(store.pairs[name].idle, old)
    if {_leg(order) for order in old} == {_leg(order) for order in new}:
        return _of_numbers(old, new, store)
    if any(order.purpose is Purpose.ENTER for order in new):
        return None  # an entry that was not made, or one leg of one
    return (
        Reason.WAY_OUT if all(_is_priced(order, store) and _shrinks(order, store) for order in new) else None
    )


def _kept_by(code: str, old: Orders) -> Reason | None:
    if code in CLOSING_KEPT_BY and not any(order.purpose is Purpose.ENTER for order in old):
        return Reason.NEEDS
    by_kind = [reason for kind, reason in _KEPT_BY_KIND.items() if code.startswith(kind)]
    return KEPT_BY.get(code, by_kind[0] if by_kind else None)


def _of_numbers(old: Orders, new: Orders, store: Store) -> Reason | None:
    """The same legs: only size, price and the numbers of the why may differ, each as far as its rule."""
    before = {_leg(order): order for order in old}
    found: set[Reason] = set()
    for order in new:
        was = before[_leg(order)]
        if (order.instrument, order.tif, order.arrival_mid) != (was.instrument, was.tif, was.arrival_mid):
            return None
        if was.reduce_only and not order.reduce_only:
            return None
        is_entry = order.purpose is Purpose.ENTER
        if is_entry and (type(order.why) is not type(was.why) or order.price != was.price):
            return None
        if order.qty > was.qty * GROWN_MAX or not (is_entry or _is_priced(order, store)):
            return None
        if order.qty != was.qty:
            found.add(Reason.SIZE)
        elif order.price != was.price:
            found.add(Reason.PRICE)
        elif type(order.why) is not type(was.why):
            found.add(Reason.WAY_OUT)
        else:
            found.add(Reason.TOLD)  # numbers of the why, or the name, which follows from orders before it
    return min(found, key=_WEIGHT.__getitem__)


def _is_sound(orders: Orders) -> bool:
    """One order a leg, each on the side of its purpose."""
    sides = [
        order.side is order.role.opening_side if order.purpose is Purpose.ENTER
        else order.side is not order.role.opening_side
        for order in orders
        if order.purpose is Purpose.ENTER or order.purpose in _CLOSING
    ]  # fmt: skip
    return all(sides) and len({order.role for order in orders}) == len(orders)


def _is_priced(order: PlaceOrder, store: Store) -> bool:
    """Limit and mid are both inside the widest collar of the reference, so no farther apart than twice it."""
    assert store.config is not None
    reach = order.arrival_mid * Decimal(str(store.config.exit.collar_max_bps)) / 5_000
    return abs(order.price - order.arrival_mid) <= reach


def _shrinks(order: PlaceOrder, store: Store) -> bool:
    """An exit is no larger than its leg; what mends a pair goes against its delta."""
    pair = store.pairs[order.pair]
    held = next(leg.position.qty for leg in pair.legs if leg.role is order.role)
    if order.purpose in _CLOSING and order.qty > abs(held):
        return False
    return order.purpose not in _MENDING or order.side.sign * pair_delta_base(store, pair) < 0


def _leg(order: PlaceOrder) -> tuple[str, ...]:
    return (order.role.value, order.side.value, order.purpose.value)
