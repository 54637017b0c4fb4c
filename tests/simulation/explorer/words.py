"""A journal row in words, short enough to be read in a terminal."""

from __future__ import annotations

from bot.model.commands import AnyCommand, NoteIdle, PlaceOrder, RaiseAlert, SetMode
from bot.model.entry import Entry
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BalanceSeen,
    BookSeen,
    Booted,
    ForcedFilled,
    InstrumentListed,
    MarkSeen,
    ModeOrdered,
    OrderFilled,
    OrderReported,
    PositionSeen,
    RateSeen,
    SettingsChanged,
    Tick,
)
from bot.model.money import text

_QUIET = (BookSeen, MarkSeen, Tick, BalanceSeen, RateSeen)
_RUN = 12  # characters of an order's name that all orders of a run share
WIDTH = 240


def row_words(row: Entry, start_ns: int) -> list[str]:
    """One line a fact and a command; books, marks, balances and ticks are left out."""
    at_s = f"{(row.at_ns - start_ns) / 1e9:10.3f}"
    out = [f"{at_s}  {_fact(fact)}" for fact in row.facts if not isinstance(fact, _QUIET)]
    out += [f"{at_s}    → {_command(command)}" for command in row.commands]
    return [line[:WIDTH] for line in out]


def _command(command: AnyCommand) -> str:
    match command:
        case PlaceOrder():
            reduce = " reduce-only" if command.reduce_only else ""
            order = f"{command.side.value} {command.qty} {command.instrument} at {command.price}{reduce}"
            return f"{command.client_id[_RUN:]} {command.purpose.value}: {order}, {command.why}"
        case NoteIdle(pair, reason, value, limit):
            return f"idle {pair}: {reason} {value} {limit}"
        case RaiseAlert(key, severity, words):
            return f"alert {severity} {key}: {words}"
        case SetMode(scope, mode, reason):
            return f"mode {scope} {mode.value}: {reason}"
    return str(command)


def _fact(fact: AnyFact) -> str:
    match fact:
        case PositionSeen():
            return f"position {fact.instrument} {text(fact.qty)}"
        case OrderFilled():
            fee = f"fee {text(fact.fee)} {fact.fee_asset}"
            return f"{fact.client_id[_RUN:]} fill {fact.side.value} {text(fact.qty)} at {fact.price}, {fee}"
        case ForcedFilled():
            return f"{fact.cause} {fact.instrument} {fact.side.value} {text(fact.qty)} at {fact.price}"
        case OrderReported():
            return f"{fact.client_id[_RUN:]} reported {fact.status.value}, filled {text(fact.filled_qty)}"
        case AccountReported():
            held = ", ".join(f"{one.instrument} {text(one.qty)}" for one in fact.positions)
            wallet = ", ".join(f"{asset} {text(amount)}" for asset, amount in fact.balances.items())
            return f"account {fact.account}: {wallet}; {held or 'no contracts'}"
        case Booted():
            return f"booted {fact.run_id}, before that {fact.previous}"
        case InstrumentListed():
            one = fact.instrument
            return f"listed {one.id}: lot {one.lot}, least {one.notional_min}"
        case SettingsChanged():
            return f"settings: pair_notional_max {fact.config.limits.pair_notional_max_quote}"
        case ModeOrdered():
            return f"ordered {fact.scope} {fact.mode.value}"
    name = getattr(fact, "client_id", "")
    return f"{name[_RUN:]} {fact}" if name else str(fact)
