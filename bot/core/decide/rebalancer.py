"""What the pair should do next: a group of admitted orders, or the reason for doing nothing.

Pure: it reads the store and proposes, the guard admits, and `fold` writes.  The order of the questions is
the order of their urgency: what lives, a naked leg, leaving, drift, entering.  Nothing is proposed for a
pair that has orders in flight, nor against a book that is not known to be true.
"""

from __future__ import annotations

from bot.core import pairs, signals
from bot.core.decide import candidates, sizing
from bot.core.decide.draft import Decided, Draft
from bot.core.decide.idle import Idle, of_hold
from bot.core.decide.room import leg_room_quote
from bot.model.commands import AnyWhy, CancelOrder, Deleverage, ExitEnd, ExitHold, Flatten
from bot.model.config import Config
from bot.model.ids import PairName
from bot.model.index import Wallet
from bot.model.instrument import Side
from bot.model.money import exact
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.store import Order, OrderState, Pair, Store, indexed, live_orders_of
from risk import budgets, deleverage, guard, ratio, watch
from risk.exposure import pair_delta_base
from risk.guard import Refused
from risk.hold import Hold

BLIND = ("stale_feed", "gap", "no_book", "crossed_book", "feed_ended")  # no signal is read from such a book
UNANSWERED_NS = 10_000_000_000  # an order that nobody vouches for may have left a pair naked
FUSE_PAUSE_NS = 1_000_000_000  # after the fuse has refused an order
RETRY_PAUSE_NS = 1_000_000_000  # before an order whose cancel was refused is cancelled again


def propose(store: Store, config: Config, pair: Pair, at_ns: int) -> Decided | Idle:
    """The next group of a pair's orders, as the guard admits it, or why there is none."""
    live = live_orders_of(store, pair)
    if live:
        return _in_flight(store, pair, live, at_ns)
    if pair.fuse_ns and at_ns - pair.fuse_ns < FUSE_PAUSE_NS:
        return Idle("fuse_room")  # it knows more than the store does: asked at once it refuses again
    if not store.ledger.opened:
        missing = watch.holds(store, at_ns, pair)
        return of_hold(missing[0]) if missing else Idle("warming_up")
    if watch.effective_mode(store, pair) is Mode.HALTED and pair.state is not PairState.FLAT:
        return _halted(store, pair)
    if pair.naked_ns and (pair.state is not PairState.HEDGED or candidates.has_lost_a_leg(store, pair)):
        if pair.state is PairState.FLAT:
            return Idle("naked_within_patience")
        return candidates.repair(store, config, pair, at_ns)
    if store.stopping:
        return Idle("stopping", store.stopping)
    if pair.state is PairState.FLAT:
        return _enter(store, config, pair, at_ns, watch.holds(store, at_ns, pair))
    given = _deleverage(store, config, pair, at_ns)
    if given is not None:
        return given
    if pair.state is PairState.EXITING:
        return _exit(store, config, pair, at_ns)
    if pair.state is PairState.HEDGED:
        return _held(store, config, pair, at_ns)
    return Idle("settling")


def _held(store: Store, config: Config, pair: Pair, at_ns: int) -> Decided | Idle:
    """Leave, bring the hedge back, or add a clip, in this order."""
    force = _force(store, pair, at_ns)
    if force is not None:
        return _leave_by_force(store, config, pair, at_ns, force)
    holds = watch.holds(store, at_ns, pair)
    blind = next((hold for hold in holds if hold.code in BLIND), None)
    found = of_hold(blind) if blind is not None else signals.leave(store, config, pair, at_ns)
    if not isinstance(found, Idle):
        return _leave(store, config, pair, at_ns, found)
    drift = candidates.drift(store, config, pair, at_ns)
    if drift is not None:
        return drift
    entered = _enter(store, config, pair, at_ns, holds)
    told = not isinstance(entered, Idle) or entered.reason in budgets.ENDING  # a passed budget is news
    return entered if told else found


def _deleverage(store: Store, config: Config, pair: Pair, at_ns: int) -> Decided | Idle | None:
    """The next clip that a pair gives to a wallet that is too close to liquidation; ``None`` where no wallet
    asks for one, or all of the pair goes anyway."""
    asked = deleverage.giving(store, pair)
    if asked is None or pair.state not in (PairState.HEDGED, PairState.EXITING):
        return None
    if _force(store, pair, at_ns) is not None:
        return None
    wallet, why = asked
    giver, passed = _giver(store, config, wallet, at_ns, why)
    if giver is not None and giver != pair.spec.name and pair.spec.name not in passed:
        return Idle("deleveraging", giver)
    return _leave_by_force(store, config, pair, at_ns, why)


def _giver(
    store: Store, config: Config, wallet: Wallet, at_ns: int, why: Deleverage
) -> tuple[PairName | None, tuple[PairName, ...]]:
    """The pair that gives to a wallet in this step: the first that can, with those before it that cannot."""
    givers = indexed(store).givers
    if wallet not in givers:
        passed: list[PairName] = []
        giver = None
        for pair in deleverage.ranked(store, wallet):
            if _gives(store, config, pair, at_ns, why):
                giver = pair.spec.name
                break
            passed.append(pair.spec.name)
        givers[wallet] = (giver, tuple(passed))
    return givers[wallet]


def _gives(store: Store, config: Config, pair: Pair, at_ns: int, why: Deleverage) -> bool:
    """Whether a pair is about to give: others wait for one that does, and not for one that cannot."""
    if live_orders_of(store, pair):
        return True
    if pair.state not in (PairState.HEDGED, PairState.EXITING) or candidates.has_lost_a_leg(store, pair):
        return False
    return not isinstance(candidates.leave(store, config, pair, at_ns, why, forced=True), Idle)


def _in_flight(store: Store, pair: Pair, live: list[Order], at_ns: int) -> Decided | Idle:
    """A pair that is naked beyond its patience, one that is halted and a run that is to end do not wait for
    orders that rest: they are withdrawn."""
    if watch.effective_mode(store, pair) is Mode.HALTED:
        why = "halted"
    elif pair.state is PairState.LEGGED:
        why = "legged"
    elif store.stopping:
        why = "stopping"
    else:
        return _waiting(pair, live, at_ns)
    # an order whose cancel was refused is asked about before it is cancelled again
    resting = tuple(
        CancelOrder(order.client_id, order.instrument, why)
        for order in live
        if order.state is OrderState.OPEN
        and (not order.reason or store.now_ns - order.state_ns >= RETRY_PAUSE_NS)
    )
    if resting:
        verdict = guard.admit(store, at_ns, resting)
        return Idle("in_flight") if isinstance(verdict, Refused) else verdict
    return _waiting(pair, live, at_ns)


def _waiting(pair: Pair, live: list[Order], at_ns: int) -> Idle:
    """What a pair waits for while its orders live: where nobody vouches for one, that is told."""
    unanswered = [
        order.client_id
        for order in live
        if (order.state is OrderState.UNCERTAIN and pair.naked_ns)
        or (order.state is not OrderState.OPEN and at_ns - order.state_ns > UNANSWERED_NS)
    ]
    return Idle("unanswered", " ".join(unanswered)) if unanswered else Idle("in_flight")


def _halted(store: Store, pair: Pair) -> Idle:
    """What the table would do is told and not sent."""
    if not pair.naked_ns:
        return Idle("mode_halted")
    delta = float(pair_delta_base(store, pair))
    for role in (Role.LONG, Role.SHORT) if delta > 0 else (Role.SHORT, Role.LONG):
        found = ratio.against(store, pair, role, delta)
        if found is not None:
            return Idle("halted", f"{found.side.value} {found.qty:f} {pair.spec.instrument(role)}")
    return Idle("halted")


def _enter(store: Store, config: Config, pair: Pair, at_ns: int, holds: tuple[Hold, ...]) -> Decided | Idle:
    strategy = config.strategy
    mode = watch.effective_mode(store, pair)
    if mode is not Mode.ACTIVE or not pair.in_config:
        return Idle(f"mode_{mode.value}" if pair.in_config else "not_configured")
    if holds:
        return of_hold(holds[0])
    used = sizing.capital_used_quote(store, pair)
    if sizing.is_in_use(store, config, pair, used):
        return Idle("capital_in_use", f"{used:.2f}", f"{pair.spec.capital_quote}")
    signal = signals.entry(store, config, pair, at_ns)
    if isinstance(signal, Idle):
        return signal
    if at_ns - pair.clip_ns < strategy.clip_interval_s * 1e9:
        return Idle("clip_interval")
    clip = sizing.entry_clip_quote(store, config, pair, used)
    size = sizing.entry_size(store, pair, clip)
    if size is None:
        return Idle("clip_too_small")
    if leg_room_quote(store, config, Purpose.ENTER, at_ns, len(Role)) < exact(clip):
        return Idle("fuse_room", f"{clip:g}")
    draft = Draft(store, config, pair, at_ns, (Purpose.ENTER, signal), forced=False)
    sides = {Role.LONG: Side.BUY, Role.SHORT: Side.SELL}
    together = strategy.leg_policy == "together"
    for role in (Role.LONG, Role.SHORT) if together else (Role.SHORT, Role.LONG):
        idle = draft.add(role, sides[role], size.qty(role), reduce_only=False)
        if idle is not None:
            return idle
    block = budgets.entry_block(store, at_ns, pair, tuple(draft.orders))
    if block is not None:
        return Idle(block.rule, block.value, block.limit)
    whole = draft.admitted()
    # the leg that follows must be possible before the first one goes
    return whole if together or isinstance(whole, Idle) else draft.admitted(1)


def _force(store: Store, pair: Pair, at_ns: int) -> Flatten | ExitEnd | None:
    """Why all of a pair goes whatever it costs: FLATTENING, or a leg that ends."""
    if watch.effective_mode(store, pair) is Mode.FLATTENING:
        return Flatten(store.mode_reason or pair.mode_reason)
    return signals.ends_within(store, pair, at_ns)


def _leave_by_force(store: Store, config: Config, pair: Pair, at_ns: int, why: AnyWhy) -> Decided | Idle:
    """A clip of an exit by force; what cannot leave is hedged meanwhile."""
    if at_ns - pair.clip_ns < pairs.exit_pause_ns(pair):
        return Idle("clip_interval")
    group = candidates.leave(store, config, pair, at_ns, why, forced=True)
    if isinstance(group, Idle) and pair.naked_ns:
        return candidates.repair(store, config, pair, at_ns)
    return group


def _exit(store: Store, config: Config, pair: Pair, at_ns: int) -> Decided | Idle:
    """The next clip of an exit under way.  It goes on until the legs are gone.  One by signal is left alone
    where the reason to enter has come back, and the pair is HEDGED again after a while."""
    force = _force(store, pair, at_ns)
    if force is not None:
        return _leave_by_force(store, config, pair, at_ns, force)
    if at_ns - pair.clip_ns < config.strategy.clip_interval_s * 1e9:
        return Idle("clip_interval")
    signal = signals.leave(store, config, pair, at_ns)
    if isinstance(signal, Idle):
        if pair.why is None:
            return signal
        why = pair.why
    else:
        why = signal
    if not isinstance(why, ExitHold) and not isinstance(signals.entry(store, config, pair, at_ns), Idle):
        return Idle("exit_withdrawn")
    if isinstance(why, Deleverage):  # the wallet is inside its limits: what is left is held
        return Idle("deleveraged")
    return _leave(store, config, pair, at_ns, why)


def _leave(store: Store, config: Config, pair: Pair, at_ns: int, why: AnyWhy) -> Decided | Idle:
    """A clip of an exit by signal or age, which waits where the one before it was bought back."""
    block = budgets.exit_block(store, at_ns, pair)
    if block is not None:
        return Idle(block.rule, block.value, block.limit)
    return candidates.leave(store, config, pair, at_ns, why, forced=False)
