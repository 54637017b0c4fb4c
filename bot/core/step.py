"""The one synchronous step that live, testnet, paper, replay and simulation share.

Facts in; the store folds them; watch, rebalancer and guard answer; what the guard admits is folded in the
same step, so that there is no gap between the check and the act.  No clock, no randomness, no IO.
"""

from __future__ import annotations

from bot.core import fold, rebalancer, recon
from bot.core.signals import Idle
from bot.model.commands import AnyCommand, NoteIdle, PlaceOrder, RaiseAlert, SetMode
from bot.model.facts import AccountReported, AnyFact, ForcedFilled, Tick
from bot.model.ids import AccountId
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairState
from bot.model.store import Pair, Store
from risk import guard, watch
from risk.exposure import pair_delta_base
from risk.guard import Admitted, Refused


def step(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
    """Fold a batch into the store and return the commands it leads to, already folded.

    Raises `BrokenInvariant` when something happened that cannot.
    """
    told, mode = _told(store, facts), store.mode
    touched = fold.facts(store, at_ns, facts)
    config = store.config
    if config is None:
        return ()
    out: list[Admitted] = []
    with exact_arithmetic():
        if not _only_time_passed(store, facts):
            _put(store, at_ns, watch.mode_changes(store, at_ns), out)
            _put(store, at_ns, _frozen(store, facts), out)
            _put(store, at_ns, _apart(store, told), out)
        if store.mode is Mode.HALTED and mode is not Mode.HALTED:
            _put(store, at_ns, (RaiseAlert("halted", "critical", f"halted: {store.mode_reason}"),), out)
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


def _frozen(store: Store, facts: tuple[AnyFact, ...]) -> tuple[AnyCommand, ...]:
    """A forced fill freezes its pair's entries until an operator has looked, and is told at once."""
    out: list[AnyCommand] = []
    for fact in facts:
        if isinstance(fact, ForcedFilled):
            for name in store.routes.pairs_of.get(fact.instrument, ()):
                text = f"{fact.cause}: {fact.instrument} {fact.side.value} {fact.qty} at {fact.price}"
                if store.pairs[name].mode is Mode.ACTIVE:
                    out.append(SetMode(name, Mode.PAUSED, text))
                out.append(RaiseAlert(f"forced:{fact.trade_id}", "critical", f"pair {name}: {text}"))
    return tuple(out)


def _told(store: Store, facts: tuple[AnyFact, ...]) -> dict[AccountId, tuple[str, ...]]:
    """What a person knows already of the accounts that report in this batch."""
    return {
        fact.account: store.accounts[fact.account].differences
        for fact in facts
        if type(fact) is AccountReported and fact.account in store.accounts
    }


def _apart(store: Store, told: dict[AccountId, tuple[str, ...]]) -> tuple[RaiseAlert, ...]:
    """An account that differs from the ledger is told once for each set of differences."""
    return tuple(
        RaiseAlert(
            f"reconcile:{name}",
            "critical",
            f"account {name} is not what the ledger expects, nothing is opened on it until both agree: "
            + "; ".join(store.accounts[name].differences),
        )
        for name, known in told.items()
        if store.accounts[name].differences not in ((), known)
    )


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
