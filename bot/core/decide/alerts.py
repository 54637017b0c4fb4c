"""Alerts that stand: told when a condition begins, again while it lasts, and once when it is over.

What was told stands in the store (`Store.alerts`), folded from the alerts themselves, so that a restart
tells nothing twice and forgets no end.  What must stay true: an alert is told again 1, 5, 15 and 60 minutes
after it began and each hour from then on; a higher severity is told at once; a new text waits for the next
time.  A step looks only at what its facts concern, and at a tick also at what is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from bot.core.decide import conditions
from bot.core.decide.conditions import Condition
from bot.core.decide.standing import STANDING
from bot.model.commands import RaiseAlert, SetMargin, SetMode
from bot.model.facts import (
    AccountReported,
    AccountSet,
    AdoptionOrdered,
    AnyFact,
    BalanceSeen,
    Booted,
    ChannelLost,
    ChannelOpened,
    ContractSet,
    InstrumentListed,
    InstrumentStatusSeen,
    SettingsChanged,
    Tick,
    VenueReset,
)
from bot.model.ids import AccountId, InstrumentId, PairName
from bot.model.pair import Mode
from bot.model.store import StandingAlert, Store
from risk import watch
from risk.guard import Admitted

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
REPEATED_NS = (MINUTE_NS, 5 * MINUTE_NS, 15 * MINUTE_NS)  # after it began; then each hour

_RANK = {"info": 0, "warning": 1, "critical": 2}


NAMING = frozenset(
    {
        AccountReported, AccountSet, AdoptionOrdered, BalanceSeen, Booted, ChannelLost, ChannelOpened,
        ContractSet, InstrumentListed, InstrumentStatusSeen, SettingsChanged, Tick, VenueReset,
    }
)  # fmt: skip
"""Facts of which a condition may come that is not of the pairs they concern."""


class Subjects(Struct):
    """What a step concerns, in order of first mention."""

    pairs: dict[PairName, None] = field(default_factory=dict)
    accounts: dict[AccountId, None] = field(default_factory=dict)
    instruments: dict[InstrumentId, None] = field(default_factory=dict)


def changes(
    store: Store,
    at_ns: int,
    facts: tuple[AnyFact, ...],
    touched: dict[PairName, bool],
    admitted: Sequence[Admitted],
) -> tuple[RaiseAlert, ...]:
    """What is to be told at the end of a step: conditions that began, that are due again, and that ended.

    ``touched``: the pairs that the facts concern, with whether only the clock does.  ``admitted``: what the
    step has led to so far.
    """
    pairs, names_others = store.pairs, not NAMING.isdisjoint(map(type, facts))
    if not (names_others or admitted or store.alerts or store.mode is Mode.HALTED):
        for name, by_clock in touched.items():
            if not by_clock and not conditions.is_quiet(store, at_ns, pairs[name]):
                break
        else:
            return ()
    subjects = Subjects({name: None for name, by_clock in touched.items() if not by_clock})
    if names_others:
        for fact in facts:
            _add(store, at_ns, fact, subjects)
    for one in admitted:
        if type(one.command) is SetMode and one.command.scope in pairs:
            subjects.pairs[PairName(one.command.scope)] = None
        elif type(one.command) is SetMargin:
            subjects.accounts[one.command.account] = None
    out = _compared(store, at_ns, ("halted",), conditions.of_everything(store))
    for name in subjects.pairs:
        if not store.alerts and conditions.is_quiet(store, at_ns, pairs[name]):
            continue
        found = conditions.of_pair(store, at_ns, pairs[name])
        out += _compared(store, at_ns, conditions.keys_of_pair(name), found)
    for account in subjects.accounts:
        if account in store.accounts:
            found = conditions.of_account(store, at_ns, store.accounts[account])
            out += _compared(store, at_ns, conditions.keys_of_account(account), found)
    for instrument in subjects.instruments:
        if instrument in store.markets:
            found = conditions.of_instrument(store, store.markets[instrument])
            out += _compared(store, at_ns, conditions.keys_of_instrument(instrument), found)
    return tuple(out)


def due_ns(alert: StandingAlert) -> int:
    """When a standing alert is to be told again."""
    told_ns = alert.told_ns - alert.since_ns
    for after_ns in REPEATED_NS:
        if told_ns < after_ns:
            return alert.since_ns + after_ns
    return alert.since_ns + (told_ns // HOUR_NS + 1) * HOUR_NS


def _add(store: Store, at_ns: int, fact: AnyFact, subjects: Subjects) -> None:
    match fact:
        case Tick():
            _add_due(store, at_ns, subjects)
        case (
            AccountReported()
            | AccountSet()
            | AdoptionOrdered()
            | ChannelLost()
            | ChannelOpened()
            | VenueReset()
        ):
            subjects.accounts[fact.account] = None
        case BalanceSeen():
            account = store.accounts.get(fact.account)
            if account is not None and account.fee_coin == fact.asset:
                subjects.accounts[fact.account] = None
        case InstrumentStatusSeen() | ContractSet():
            subjects.instruments[fact.instrument] = None
        case InstrumentListed():
            subjects.instruments[fact.instrument.id] = None
        case Booted() | SettingsChanged():
            subjects.pairs.update(dict.fromkeys(store.pairs))
            subjects.accounts.update(dict.fromkeys(store.accounts))
            subjects.instruments.update(dict.fromkeys(store.markets))
        case _:
            pass


def _add_due(store: Store, at_ns: int, subjects: Subjects) -> None:
    """What time alone may begin, and what is to be told again."""
    for name, pair in store.pairs.items():
        if pair.naked_ns or pair.idle in STANDING:
            subjects.pairs[name] = None
    for account_id, account in store.accounts.items():
        if account.lost or watch.is_overdue(store, account, at_ns):
            subjects.accounts[account_id] = None
    for key, alert in store.alerts.items():
        if at_ns >= due_ns(alert):
            kind, _, subject = key.partition(":")
            name = PairName(subject.partition(":")[0])
            if kind in conditions.KINDS_OF_ACCOUNT:
                account_id = AccountId(subject.partition(" ")[0])
                subjects.accounts[account_id] = None
            if kind in conditions.KINDS_OF_INSTRUMENT:
                subjects.instruments[InstrumentId(subject)] = None
            elif name in store.pairs:
                subjects.pairs[name] = None


def _compared(
    store: Store, at_ns: int, keys: tuple[str, ...], holding: Iterable[Condition]
) -> list[RaiseAlert]:
    """What is new against what was told."""
    found = {condition.key: condition for condition in holding}
    out: list[RaiseAlert] = []
    for key, condition in found.items():
        alert = store.alerts.get(key)
        if alert is None or _RANK[condition.severity] > _RANK[alert.severity] or at_ns >= due_ns(alert):
            out.append(RaiseAlert(key, condition.severity, condition.text, stands=True))
    if store.alerts:
        for key in keys:
            alert = store.alerts.get(key)
            if alert is not None and key not in found:
                text = f"{conditions.ended(store, key)}; it stood for {_span(at_ns - alert.since_ns)}"
                out.append(RaiseAlert(key, "info", text))
    return out


def _span(span_ns: int) -> str:
    """A duration in its largest whole unit but one."""
    seconds = span_ns // 1_000_000_000
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7_200:
        return f"{seconds // 60} min"
    return f"{seconds // 3_600} h"
