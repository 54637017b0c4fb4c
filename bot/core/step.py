"""The one synchronous step that live, testnet, paper, replay and simulation share.

Facts in; the store folds them; watch, rebalancer and guard answer; what the guard admits is folded in the
same step, so that there is no gap between the check and the act; what a person must know is told last.  No
clock, no randomness, no IO.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core import due, fold, pairs, recon, switch
from bot.core.decide import alerts, events, rebalancer
from bot.core.decide.idle import Idle
from bot.model.commands import AnyCommand, NoteIdle, PlaceOrder
from bot.model.facts import AnyFact, Tick
from bot.model.money import exact_arithmetic
from bot.model.store import Pair, Store, indexed
from risk import budgets, deleverage, guard, watch
from risk.guard import Admitted, Refused


def step(store: Store, at_ns: int, facts: tuple[AnyFact, ...]) -> tuple[Admitted, ...]:
    """Fold a batch into the store and return the commands it leads to, already folded.

    Raises `BrokenInvariant` when something happened that cannot.
    """
    out: list[Admitted] = []
    with exact_arithmetic():
        known = events.known(store, facts)
        touched = fold.facts_exactly(store, at_ns, facts)
        config = store.config
        if config is None:
            return ()
        if store.contradictions:
            _put(store, at_ns, events.contradictions(store), out)
        if not _only_time_passed(store, facts):
            for changes in (watch.mode_changes, budgets.mode_changes, deleverage.changes):
                wanted = changes(store, at_ns)
                if wanted:
                    _put(store, at_ns, wanted, out)
            _put(store, at_ns, events.events(store, facts, known), out)
        _put(store, at_ns, recon.due_queries(store, at_ns), out)
        for pair in due.due(store, config, touched):
            name = pair.spec.name
            turned = switch.decide(store, config, pair, at_ns)
            if turned is not None:
                _put(store, at_ns, (turned,), out)
            found = rebalancer.propose(store, config, pair, at_ns)
            if not isinstance(found, Idle):
                decided = tuple([admitted.command for admitted in found])
                fold.commands(store, at_ns, decided)
                out.extend(found)
                found = Idle("trading") if isinstance(decided[0], PlaceOrder) else Idle("in_flight")
            if _is_news(pair, found):
                block = Refused(found.reason, found.value, found.limit, name)
                _put(store, at_ns, budgets.passed(store, at_ns, pair, block), out)
                _put(store, at_ns, (NoteIdle(name, found.reason, found.value, found.limit),), out)
            due.note(store, config, pair, found.reason)
        _put(store, at_ns, alerts.changes(store, at_ns, facts, touched, out), out)
    return tuple(out)


def _is_news(pair: Pair, found: Idle) -> bool:
    """A reason is noted when it changes; each step of a widening collar is one of its own."""
    if found.reason != pair.idle:
        return True
    return found.reason == pairs.BEYOND_COLLAR and found.limit != pair.idle_limit


def _only_time_passed(store: Store, facts: tuple[AnyFact, ...]) -> bool:
    """Whether no exposure, price or mode can have changed since the last step: ticks, and nobody naked."""
    for fact in facts:
        if type(fact) is not Tick:
            return False
    return not indexed(store).naked


def _put(store: Store, at_ns: int, wanted: Sequence[AnyCommand], out: list[Admitted]) -> None:
    """Admit and apply commands that no exposure rule concerns, one by one."""
    for command in wanted:
        verdict = guard.admit(store, at_ns, (command,))
        if isinstance(verdict, Refused):
            continue
        fold.commands(store, at_ns, (command,))
        out.extend(verdict)
