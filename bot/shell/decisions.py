"""Why this version decides a row otherwise than the version that wrote it.

A journal outlives the rules that it was written by.  Its rows are folded as they are, and where today's step
would answer a row with other commands, the difference must have one of the reasons listed here; each says
which rule has changed and is read off the two answers alone.  What must stay true: an answer that none of
them explains is a fault, as in a journal of this version; and nothing is entered that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from bot.model.pair import Purpose

EARLIER = frozenset({"0.1.0"})  # versions whose rules were others


class Reason(Enum):
    """The rules that are not those of an earlier version.  Values are words for a person."""

    SIZE = "sized otherwise"  # margin that contracts lock, fees in coins, dust, ladders, the fuse's room
    PRICE = "priced otherwise"  # repairs and exits by force widen; a stale reference bounds nothing
    WAY_OUT = "another way out"  # the table of ways out: repairs, unwinds and exits
    WITHDRAWN = "resting orders withdrawn otherwise"
    HELD = "not entered"  # budgets, the switch of carry, holds that bind what opens
    LATCHED = "another mode"  # budgets, a contract that shrank, what was flattened and is not flat
    MARGIN = "margin given back"
    SWITCH = "carry decided by the switch"
    ASKED = "asked otherwise"  # accounts and orders, at other times or from another moment on
    TOLD = "told otherwise"  # alerts that stand, codes of waiting


Orders = tuple[PlaceOrder, ...]


def reason_of(stored: Iterable[AnyCommand], decided: Iterable[AnyCommand]) -> Reason | None:
    """The most weighty reason why two answers to one row differ; ``None`` where nothing explains it."""
    old, new = tuple(stored), tuple(decided)
    before, after = _of(old, PlaceOrder), _of(new, PlaceOrder)
    if before != after:
        return _of_orders(before, after)
    for kinds, reason in _OTHERS:
        if _of(old, *kinds) != _of(new, *kinds):
            return reason
    return None


_OTHERS: tuple[tuple[tuple[type[AnyCommand], ...], Reason], ...] = (
    ((CancelOrder,), Reason.WITHDRAWN),
    ((SetMode,), Reason.LATCHED),
    ((SetMargin,), Reason.MARGIN),
    ((SetSwitch,), Reason.SWITCH),
    ((QueryAccount, QueryOrder), Reason.ASKED),
    ((NoteIdle, RaiseAlert), Reason.TOLD),
)


def _of(commands: tuple[AnyCommand, ...], *kinds: type[AnyCommand]) -> tuple[AnyCommand, ...]:
    return tuple(one for one in commands if isinstance(one, kinds))


def _of_orders(before: tuple[AnyCommand, ...], after: tuple[AnyCommand, ...]) -> Reason | None:
    old, new = _orders(before), _orders(after)
    entered, enters = _entering(old), _entering(new)
    if any(_leg(order) not in map(_leg, entered) for order in enters):
        return None  # an entry that was not made
    if len(enters) < len(entered):
        return Reason.HELD
    if sorted(map(_leg, old)) != sorted(map(_leg, new)):
        return Reason.WAY_OUT
    return Reason.PRICE if _by(old, _size) == _by(new, _size) else Reason.SIZE


def _orders(commands: tuple[AnyCommand, ...]) -> Orders:
    return tuple(one for one in commands if isinstance(one, PlaceOrder))


def _entering(orders: Orders) -> Orders:
    return tuple(order for order in orders if order.purpose is Purpose.ENTER)


def _by(orders: Orders, words: Callable[[PlaceOrder], tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(map(words, orders))


def _leg(order: PlaceOrder) -> tuple[str, ...]:
    return (order.pair, order.role.value, order.side.value, order.purpose.value)


def _size(order: PlaceOrder) -> tuple[str, ...]:
    return (*_leg(order), str(order.qty))
