"""What must hold after a story of faults, whatever happened in it, and how each fault may end.

The laws look at both sides: at the bot's journal and store, and at what the venue's door and wallets say.  A
fault may leave a mode behind where policy says so, and it may keep a pair naked for as long as the venue's
silence makes it unavoidable; both are in one table here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from adapters.rehearsal.faults import FAULTS, Fault, parse
from bot.model.config import Config
from bot.model.facts import ModeOrdered
from bot.model.ids import AccountId
from bot.model.instrument import Position
from bot.model.money import ZERO, exact, exact_arithmetic
from bot.model.pair import Mode
from bot.shell.verify import verify
from risk.hold import Hold
from tests import invariants
from tests.virtual.story import PATIENCE_S, PONG_S, REBOOT_S, Story, Told, config_of

EXPLAINED_S = 12.0  # a balance whose fill or payment was lost waits for the next comparison of accounts
TURN_S = 1.5  # a second until the next tick looks, and the way of an order and its answer


class After(Struct, frozen=True):
    """How a fault may end: the mode it latches, and what keeps its sufferer blind beyond its own time.

    ``settles``: an order may be neither known to live nor known to be dead, until the venue can no longer
    accept it and has twice said that it does not know it.  ``deaf_s``: what it is told comes that late.
    """

    mode: Mode = Mode.ACTIVE
    settles: bool = False
    deaf_s: float = 0.0


AFTER: dict[str, After] = {
    "drop": After(settles=True),
    "delay": After(settles=True),
    "disconnect": After(settles=True),
    "half-open": After(settles=True),
    "timeout-after-accept": After(settles=True),
    "5xx-after-accept": After(settles=True),
    "not-found": After(settles=True),
    "lost-ack": After(settles=True),
    "maintenance": After(settles=True),
    "throttle": After(deaf_s=FAULTS["throttle"].value),
    "ban": After(deaf_s=FAULTS["ban"].value),
    "late-fills": After(deaf_s=FAULTS["late-fills"].value),
    "adl": After(mode=Mode.PAUSED),
    "margin-call": After(mode=Mode.PAUSED),
    "reset": After(mode=Mode.PAUSED),
}
_PLAIN = After()
STRIKING = frozenset({"adl", "margin-call"})  # they need a contract to strike
DEAF = frozenset({"drop", "disconnect", "half-open", "maintenance"})  # what is pushed meanwhile nobody hears


def naked_max_s(script: tuple[Fault, ...], config: Config, pong_s: float) -> float:
    """The longest that a pair may stand on one leg: patience, turns to repair it in, and for each fault the
    time in which nobody could have known or done better.  ``pong_s``: until a dead socket is noticed."""
    strategy = config.strategy
    settle_s = config.fuse.deadline_s + strategy.receive_window_s + 3 * strategy.reask_s
    bound_s = PATIENCE_S + TURN_S * (1 + strategy.repair_attempts)
    for fault in script:
        after = AFTER.get(fault.name, _PLAIN)
        bound_s += fault.lasts_s + after.deaf_s + (settle_s if after.settles else 0.0)
        bound_s += pong_s if fault.name == "half-open" else 0.0
    return bound_s


def modes_after(script: tuple[Fault, ...], is_aimed: bool) -> tuple[Mode, ...]:
    """What may be in force at the end: the most bound of what the faults latch, and, where one may have
    struck nothing, of the others.

    A margin call is told once, by push alone: who was deaf then cannot know of it.  A fault that was drawn
    rather than aimed may find no position to take away.
    """
    sure = [
        fault
        for fault in script
        if not (fault.name == "margin-call" and _deaf(script)) and (is_aimed or fault.name not in STRIKING)
    ]
    return tuple(mode for mode in Mode if _most_bound(sure).rank <= mode.rank <= _most_bound(script).rank)


def _most_bound(script: Iterable[Fault]) -> Mode:
    modes = [AFTER.get(fault.name, _PLAIN).mode for fault in script]
    return max(modes, key=lambda mode: mode.rank, default=Mode.ACTIVE)


def _deaf(script: tuple[Fault, ...]) -> bool:
    return any(fault.name in DEAF for fault in script)


def unexplained(script: tuple[Fault, ...]) -> dict[str, Decimal]:
    """By account, what the venue may hold beyond the ledger without any way to know why.

    Spot keeps no history of transfers that the bot could ask, so what came while nobody listened stays a
    difference: the pair is held for it, and a person is told.
    """
    amounts = [fault.value for fault in script if fault.name == "balance"]
    return {"binance:spot": sum(map(exact, amounts), ZERO)} if amounts and _deaf(script) else {}


def broken(told: Told, story: Story, journal: Path, pong_s: float = PONG_S) -> list[str]:
    """Every law that a story broke, as a sentence; the empty list is what one hopes for."""
    script = parse(story.script)
    with exact_arithmetic():
        amounts = unexplained(script)
        excused = _excused(told, amounts)
        beyond = sum((amounts[name] for name in excused), ZERO)
        found = invariants.check(told.entries, EXPLAINED_S, beyond)[0]
        ends = tuple(f"end: {name}" for name in excused)
        found = [each for each in found if not each.startswith(ends)]
        found += _books(told, excused)
    found += [f"order {name} reached the venue {n} times" for name, n in told.arrived.items() if n > 1]
    bound_s = naked_max_s(script, config_of(story), pong_s)
    bound_s += _waits_s(told, story)
    # what crosses a reset is adopted with the wallet, and no longer the bot's to hedge
    if told.naked_s > bound_s and not any(fault.name == "reset" for fault in script):
        found.append(f"the venue saw a naked pair for {told.naked_s:.2f} s, bound {bound_s:.2f} s")
    expected_holds = tuple(Hold("not_reconciled", name) for name in excused)
    for name, reasons in told.ending.holds.items():
        if reasons != expected_holds:
            found.append(f"pair {name} is held: {reasons}, expected {expected_holds}")
    expected = _obeyed(told, modes_after(script, is_aimed="seed=" not in story.script))
    if len(story.stops_s) > 1:  # a run that left something undone is followed by a careful one
        expected += (Mode.REDUCE_ONLY,)
    for name, mode in told.ending.modes.items():
        if mode not in expected:
            found.append(f"pair {name} is {mode.value}, expected {[one.value for one in expected]}")
    if not told.ending.outcome.clean:
        found.append(f"the run did not end in order: {told.ending.outcome.reason}")
    result = verify(journal)
    if not result.ok:
        found.append(result.text)
    return found


def _waits_s(told: Told, story: Story) -> float:
    """How long nobody could, or would, repair: after each death until the order in flight is settled, and
    while an operator has everything halted."""
    strategy, fuse = config_of(story).strategy, config_of(story).fuse
    death_s = REBOOT_S + fuse.deadline_s + strategy.receive_window_s + 3 * strategy.reask_s
    waits_s = death_s * (len(told.ending.lives) - 1) if story.script or story.orders else 0.0
    halted_ns, waited_ns = 0, 0
    for entry in told.entries:
        for fact in entry.facts:
            if isinstance(fact, ModeOrdered):
                waited_ns += entry.at_ns - halted_ns if halted_ns else 0
                halted_ns = entry.at_ns if fact.mode is Mode.HALTED else 0
    return waits_s + waited_ns / 1e9


def _obeyed(told: Told, latched: tuple[Mode, ...]) -> tuple[Mode, ...]:
    """The modes that may be in force at the end, after what an operator ordered last: that one, what a fault
    latched since, or has latched for the pair alone; and what FLATTENING becomes."""
    ordered = [fact.mode for row in told.entries for fact in row.facts if isinstance(fact, ModeOrdered)]
    if not ordered:
        return latched
    last, bound = ordered[-1], max(latched, key=lambda mode: mode.rank)
    found = tuple(mode for mode in Mode if last.rank <= mode.rank <= max(last.rank, bound.rank))
    return (*found, Mode.HALTED) if last is Mode.FLATTENING else found


def _excused(told: Told, amounts: Mapping[str, Decimal]) -> list[str]:
    """Accounts that differ by exactly what could not be explained."""
    return [
        name
        for name, amount in amounts.items()
        if _cash(told, name)[0].get("USDT", ZERO) - _cash(told, name)[1].get("USDT", ZERO) == amount
    ]


def _cash(told: Told, account: str) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """What the venue holds in an account, and what the ledger does."""
    name = AccountId(account)
    sides = told.balances.get(name, {}), told.store.ledger.cash.get(name, {})
    theirs, ours = ({asset: amount for asset, amount in side.items() if amount} for side in sides)
    return theirs, ours


def _books(told: Told, excused: list[str]) -> list[str]:
    """Ledger and venue, to the last unit, for every account that the bot trades on."""
    found = []
    for account in told.store.accounts:
        theirs, ours = _cash(told, account)
        if ours != theirs and account not in excused:
            found.append(f"{account}: venue holds {theirs}, ledger {ours}")
    for name in told.store.markets:
        held, kept = told.positions[name], told.store.ledger.positions.get(name, Position())
        if held.qty != kept.qty or held.cost != kept.cost:
            found.append(f"{name}: venue holds {held}, ledger {kept}")
    return found
