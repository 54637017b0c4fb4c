"""The one synchronous step that live, testnet, paper, replay and simulation share.

Facts in; the store folds them; watch, rebalancer and guard answer; what the guard admits is folded in the
same step, so that there is no gap between the check and the act.  No clock, no randomness, no IO.
"""

from __future__ import annotations

from bot.core import fold, rebalancer, recon
from bot.core.booking import is_booked
from bot.core.channels import outage_alerts, outages
from bot.core.signals import Idle
from bot.model.commands import AnyCommand, CancelOrder, NoteIdle, PlaceOrder, RaiseAlert, SetMode
from bot.model.facts import (
    AccountReported,
    AccountSet,
    AnyFact,
    ContractSet,
    ForcedFilled,
    ForeignOrder,
    InstrumentStatusSeen,
    MarginCalled,
    ModeOrdered,
    ProtocolDrift,
    Stopped,
    Tick,
    VenueReset,
)
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairState
from bot.model.store import OrderState, Pair, Store, live_orders
from bot.model.venue_settings import account_unfit, contract_unfit
from risk import budgets, guard, watch
from risk.exposure import config_of, pair_delta_base
from risk.guard import Admitted, Refused


def step(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
    """Fold a batch into the store and return the commands it leads to, already folded.

    Raises `BrokenInvariant` when something happened that cannot.
    """
    told, mode, closed = _told(store, facts), store.mode, _closed(store, facts)
    forced, settings = _forced_anew(store, facts), _settings(store, facts)
    down = outages(store, store.now_ns)
    touched = fold.facts(store, at_ns, facts)
    config = store.config
    if config is None:
        return ()
    out: list[Admitted] = []
    with exact_arithmetic():
        if not _only_time_passed(store, facts):
            _put(store, at_ns, watch.mode_changes(store, at_ns), out)
            _put(store, at_ns, _frozen(store, facts, forced), out)
            _put(store, at_ns, _statuses(store, facts, closed), out)
            _put(store, at_ns, _resettings(store, facts, settings), out)
            _put(store, at_ns, _apart(store, told), out)
            _put(store, at_ns, _drifts(store, facts), out)
        if store.mode is Mode.HALTED and mode is not Mode.HALTED:
            _put(store, at_ns, (_halted(store, facts, mode),), out)
        _put(store, at_ns, outage_alerts(store, at_ns, down), out)
        _put(store, at_ns, tuple(recon.due_queries(store, at_ns)), out)
        for name in touched:
            pair = store.pairs[name]
            _put(store, at_ns, _alerts(store, pair), out)
            found = rebalancer.propose(store, config, pair, at_ns)
            if not isinstance(found, Idle):
                verdict = guard.admit(store, at_ns, found)
                if not isinstance(verdict, Refused):
                    fold.commands(store, at_ns, found)
                    out.extend(verdict)
                    found = Idle("trading") if isinstance(found[0], PlaceOrder) else Idle("in_flight")
                else:
                    found = Idle(f"guard_{verdict.rule}", verdict.value, verdict.limit)
            if found.reason != pair.idle:
                block = Refused(found.reason, found.value, found.limit, name)
                _put(store, at_ns, budgets.passed(store, at_ns, pair, block), out)
                _put(store, at_ns, (NoteIdle(name, found.reason, found.value, found.limit),), out)
    return tuple(out)


def _only_time_passed(store: Store, facts: tuple[AnyFact, ...]) -> bool:
    """Whether no exposure, price or mode can have changed since the last step: ticks, and nobody naked."""
    for fact in facts:
        if type(fact) is not Tick:
            return False
    return not any(pair.naked_ns for pair in store.pairs.values())


def _put(store: Store, at_ns: int, wanted: tuple[AnyCommand, ...], out: list[Admitted]) -> None:
    """Admit and apply commands that no exposure rule concerns, one by one."""
    for command in wanted:
        verdict = guard.admit(store, at_ns, (command,))
        if isinstance(verdict, Refused):
            continue
        fold.commands(store, at_ns, (command,))
        out.extend(verdict)


def _forced_anew(store: Store, facts: tuple[AnyFact, ...]) -> tuple[ForcedFilled, ...]:
    """Forced fills that this batch tells for the first time: account reports tell them again."""
    found = [fact for fact in facts if type(fact) is ForcedFilled]
    return tuple(fact for fact in found if not is_booked(store, fact))


def _frozen(
    store: Store, facts: tuple[AnyFact, ...], forced: tuple[ForcedFilled, ...]
) -> tuple[AnyCommand, ...]:
    """What a venue does to us of its own accord freezes entries until an operator has looked, and is told at
    once: a forced fill, a margin call, an account begun anew.  A run that cannot end in order withdraws its
    orders."""
    out: list[AnyCommand] = []
    for fill in forced:
        text = f"{fill.cause}: {fill.instrument} {fill.side.value} {fill.qty} at {fill.price}"
        for name in store.routes.pairs_of.get(fill.instrument, ()):
            out += _freeze(store, name, text, f"forced:{fill.trade_id}")
    for fact in facts:
        if isinstance(fact, MarginCalled):
            for name, pair in store.pairs.items():
                if fact.account in (account_of(pair.spec.long), account_of(pair.spec.short)):
                    text = f"margin call on {fact.account}: {fact.reason}"
                    out += _freeze(store, name, text, f"margin_call:{fact.account}")
        elif isinstance(fact, VenueReset):
            text = f"the venue has begun account {fact.account} anew: {fact.reason}"
            if store.mode is Mode.ACTIVE:
                out.append(SetMode("*", Mode.PAUSED, text))
            out.append(RaiseAlert(f"venue_reset:{fact.account}", "critical", text))
        elif isinstance(fact, Stopped) and not fact.clean:
            # nobody will look after what rests; what is in flight is asked for by the next run
            out += [
                CancelOrder(order.client_id, order.instrument, "stopped")
                for order in live_orders(store)
                if order.state is OrderState.OPEN
            ]
    return tuple(out)


def _halted(store: Store, facts: tuple[AnyFact, ...], before: Mode) -> RaiseAlert:
    """Everything has just been halted: what an operator wished, at once or by flattening, is no emergency."""
    reason, severity = store.mode_reason, "critical"
    if before is Mode.FLATTENING and reason == watch.FLAT:
        severity = "info"
    elif any(type(fact) is ModeOrdered and reason == f"{fact.actor}: {fact.reason}" for fact in facts):
        severity = "warning"
    return RaiseAlert("halted", severity, f"halted: {reason}")


def _closed(store: Store, facts: tuple[AnyFact, ...]) -> tuple[InstrumentId, ...]:
    """Instruments that this batch speaks of and that did not trade before it."""
    named = [fact.instrument for fact in facts if type(fact) is InstrumentStatusSeen]
    return tuple(name for name in named if name in store.markets and store.markets[name].status)


def _statuses(
    store: Store, facts: tuple[AnyFact, ...], closed: tuple[InstrumentId, ...]
) -> tuple[RaiseAlert, ...]:
    """An instrument of ours that stops trading is told, and that it trades again."""
    out = []
    for fact in facts:
        if type(fact) is InstrumentStatusSeen and fact.instrument in store.routes.pairs_of:
            trades = fact.status == fold.TRADING
            if not trades or fact.instrument in closed:
                severity, text = "info" if trades else "critical", f"{fact.instrument} is {fact.status}"
                out.append(RaiseAlert(f"status:{fact.instrument}", severity, text))
    return tuple(out)


def _settings(store: Store, facts: tuple[AnyFact, ...]) -> dict[str, tuple[str, bool]]:
    """How the contracts and accounts that this batch speaks of are set at their venue, in words, and whether
    the bot trades under that; what nobody told is left out."""
    found: dict[str, tuple[str, bool]] = {}
    for fact in facts:
        if type(fact) is ContractSet and fact.instrument in store.markets:
            market = store.markets[fact.instrument]
            if market.leverage is not None:
                unfit = contract_unfit(config_of(store), market.leverage, not market.isolated)
                margin = "isolated" if market.isolated else "cross"
                found[fact.instrument] = (f"{margin}, {market.leverage}×", unfit is None)
        elif type(fact) is AccountSet:
            account = store.accounts[fact.account]
            modes = (
                "hedge mode" if account.hedged else "one-way",
                "multi" if account.multi_assets else "single",
            )
            unfits = account_unfit(account.hedged, account.multi_assets)
            found[fact.account] = (f"{modes[0]}, {modes[1]}-asset", not unfits)
    return found


def _resettings(
    store: Store, facts: tuple[AnyFact, ...], before: dict[str, tuple[str, bool]]
) -> tuple[RaiseAlert, ...]:
    """Settings at the venue that are not as they were known; of those told for the first time, the ones that
    the bot does not trade under."""
    out = []
    for name, (words, is_fit) in _settings(store, facts).items():
        known = before.get(name)
        if known == (words, is_fit) or (known is None and is_fit):
            continue
        text = f"{name} is set to {words} at the venue"
        if not is_fit:
            text += ": nothing is opened in it until a person has set it right"
        out.append(RaiseAlert(f"settings:{name}", "info" if is_fit else "critical", text))
    return tuple(out)


def _freeze(store: Store, name: PairName, text: str, key: str) -> list[AnyCommand]:
    alert = RaiseAlert(key, "critical", f"pair {name}: {text}")
    if store.pairs[name].mode is not Mode.ACTIVE:
        return [alert]
    return [SetMode(name, Mode.PAUSED, text), alert]


Told = dict[AccountId, tuple[tuple[str, ...], tuple[ForeignOrder, ...]]]


def _told(store: Store, facts: tuple[AnyFact, ...]) -> Told:
    """What a person knows already of the accounts that report in this batch."""
    return {
        fact.account: (store.accounts[fact.account].differences, store.accounts[fact.account].foreign)
        for fact in facts
        if type(fact) is AccountReported and fact.account in store.accounts
    }


def _apart(store: Store, told: Told) -> tuple[RaiseAlert, ...]:
    """An account that differs from the ledger, or holds orders of others, is told once for each set."""
    out = []
    for name, (differences, foreign) in told.items():
        account = store.accounts[name]
        if account.differences not in ((), differences):
            text = "; ".join(account.differences)
            out.append(
                RaiseAlert(
                    f"reconcile:{name}",
                    "critical",
                    f"account {name} is not what the ledger expects, "
                    f"nothing is opened on it until both agree: {text}",
                )
            )
        orders = [order for order in account.foreign if order not in foreign]
        if orders:
            text = "; ".join(
                f"{one.name} ({one.kind} {one.side.value} {one.qty} {one.instrument})" for one in orders
            )
            out.append(
                RaiseAlert(f"foreign:{name}", "warning", f"account {name} has orders of others: {text}")
            )
    return tuple(out)


def _drifts(store: Store, facts: tuple[AnyFact, ...]) -> tuple[RaiseAlert, ...]:
    """What was not understood of a venue is told with each further digit of its count: there can be much."""
    drifts: dict[str, list[ProtocolDrift]] = {}
    for fact in facts:
        if type(fact) is ProtocolDrift:
            drifts.setdefault(f"{fact.account} {fact.stream}", []).append(fact)
    out = []
    for key, (*_, fact) in drifts.items():
        count = store.drift[key]
        before = count - len(drifts[key])
        if not before or len(str(before)) < len(str(count)):
            text = f"{fact.account} is not understood on {fact.stream}, {count} so far: {fact.reason}"
            out.append(RaiseAlert(f"drift:{key}", "warning", text))
    return tuple(out)


def _alerts(store: Store, pair: Pair) -> tuple[RaiseAlert, ...]:
    """What a person is told of a pair's moves of this batch."""
    alerts = []
    for move in pair.moves:
        if move.after is PairState.LEGGED:
            delta = pair_delta_base(store, pair)
            mark = store.markets[pair.spec.long].mark
            worth = f", {abs(delta * mark):.2f} quote" if mark is not None else ""
            seconds = (move.at_ns - pair.naked_ns) / 1e9 if pair.naked_ns else 0.0
            alerts.append(
                RaiseAlert(
                    f"legged:{pair.spec.name}",
                    "critical",
                    f"pair {pair.spec.name} is naked by {delta:f} base{worth} for {seconds:.1f} s",
                )
            )
    return tuple(alerts)
