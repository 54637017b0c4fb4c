"""What the pair should do next: groups of orders, each with its numbers, or the reason for doing nothing.

Pure: it reads the store and proposes; the guard decides and `fold` writes.  The order of the questions is
the order of their urgency: a naked leg first, then leaving, then drift, then entering.  Nothing is proposed
for a pair that has orders in flight, nor against a book that is not known to be true.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import pairs, signals, sizing, views
from bot.core.signals import Idle
from bot.model.commands import (
    AnyCommand,
    AnyWhy,
    CancelOrder,
    DriftBand,
    Flatten,
    LegMissing,
    LegUnwound,
    PlaceOrder,
    TimeInForce,
)
from bot.model.config import Config
from bot.model.ids import client_id
from bot.model.instrument import Side
from bot.model.money import ZERO
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.store import Leg, Order, OrderState, Pair, Store, live_orders_of
from risk import budgets, guard, watch
from risk.exposure import pair_delta_base

Group = tuple[AnyCommand, ...]

REPAIR_PAUSE_NS = 250_000_000
QUICK_REPAIRS = 8
SLOW_REPAIRS = 30  # from here on each pause is a second longer: what a venue refuses, it may refuse for hours
SLOWEST_S = 30
RETRY_PAUSE_NS = 1_000_000_000  # what is refused over and over must not spend the budget of every other exit
LOST_LEG = 0.25  # a hedge error of this part of a leg is no drift: somebody took the other leg
BLIND = ("stale_feed", "gap", "no_book", "feed_ended")


class Draft:
    """Builds the orders of one proposal, numbering them as the store will."""

    def __init__(self, store: Store, config: Config, pair: Pair, purpose: Purpose, why: AnyWhy) -> None:
        self.store, self.config, self.pair, self.purpose, self.why = store, config, pair, purpose, why
        self.orders: list[PlaceOrder] = []

    def add(self, role: Role, side: Side, qty: Decimal, reduce_only: bool) -> bool:
        """Add one taker; false when its ladder or index is missing."""
        market = views.leg_market(self.store, self.pair, role)
        strategy, limits = self.config.strategy, self.config.limits
        price = sizing.limit_price(market, side, qty, strategy.slippage_bps, limits.collar_bps)
        arrival_mid = views.mid(market)
        if price is None or arrival_mid is None:
            return False
        number = self.store.next_order + len(self.orders)
        self.orders.append(
            PlaceOrder(
                client_id=client_id(self.config.bot_tag, self.store.run_id, number),
                pair=self.pair.spec.name,
                role=role,
                instrument=market.instrument.id,
                side=side,
                qty=qty,
                price=price,
                tif=TimeInForce.IOC,
                reduce_only=reduce_only,
                purpose=self.purpose,
                arrival_mid=arrival_mid,
                why=self.why,
            )
        )
        return True


def propose(store: Store, config: Config, pair: Pair, at_ns: int) -> Group | Idle:
    """The next group of a pair's orders, or why there is none."""
    live = live_orders_of(store, pair)
    if live:
        return _in_flight(store, pair, live) or Idle("in_flight")
    if not store.ledger.opened:
        missing = watch.holds(store, at_ns, pair)
        return Idle(missing[0].code, missing[0].value, missing[0].limit) if missing else Idle("warming_up")
    if pair.naked_ns and pair.state is not PairState.HEDGED:
        return _repair(store, config, pair, at_ns)
    if store.stopping:
        return Idle("stopping", store.stopping)
    if pair.state is PairState.FLAT:
        return _enter(store, config, pair, at_ns, watch.holds(store, at_ns, pair))
    if pair.state is PairState.EXITING:
        return _exit(store, config, pair, at_ns)
    if pair.state is PairState.HEDGED:
        return _held(store, config, pair, at_ns)
    return Idle("settling")


def _held(store: Store, config: Config, pair: Pair, at_ns: int) -> Group | Idle:
    """Leave, bring the hedge back, or add a clip, in this order."""
    holds = watch.holds(store, at_ns, pair)
    for hold in holds:
        if hold.code in BLIND:
            if _has_lost_a_leg(store, pair):  # a delivered contract's book never comes back
                return _repair(store, config, pair, at_ns)
            return Idle(hold.code, hold.value, hold.limit)
    if watch.effective_mode(store, pair) is Mode.FLATTENING:
        return _exit(store, config, pair, at_ns)
    found = signals.leave(store, config, pair, at_ns)
    if not isinstance(found, Idle):
        return _exit_clip(store, config, pair, at_ns, found)
    drift = _drift(store, config, pair, at_ns)
    if drift is not None:
        return drift
    entered = _enter(store, config, pair, at_ns, holds)
    return entered if isinstance(entered, tuple) else found


def _in_flight(store: Store, pair: Pair, live: list[Order]) -> Group | None:
    """A pair that is naked beyond its patience, one that is halted and a run that is to end do not wait for
    orders that rest: they are withdrawn."""
    if watch.effective_mode(store, pair) is Mode.HALTED:
        why = "halted"
    elif pair.state is PairState.LEGGED:
        why = "legged"
    elif store.stopping:
        why = "stopping"
    else:
        return None
    # an order whose cancel was refused is asked about before it is cancelled again
    resting = [
        order
        for order in live
        if order.state is OrderState.OPEN
        and (not order.reason or store.now_ns - order.state_ns >= RETRY_PAUSE_NS)
    ]
    return tuple(CancelOrder(order.client_id, order.instrument, why) for order in resting) or None


def _blind(store: Store, pair: Pair, at_ns: int, role: Role) -> Idle | None:
    """A leg whose book is not known to be true cannot be priced, whatever the purpose."""
    for hold in watch.leg_holds(store, at_ns, pair.spec.instrument(role)):
        if hold.code in BLIND:
            return Idle(hold.code, hold.value, hold.limit)
    return None


def _either_blind(store: Store, pair: Pair, at_ns: int) -> Idle | None:
    return _blind(store, pair, at_ns, Role.LONG) or _blind(store, pair, at_ns, Role.SHORT)


def _enter(
    store: Store, config: Config, pair: Pair, at_ns: int, holds: tuple[watch.Hold, ...]
) -> Group | Idle:
    strategy = config.strategy
    mode = watch.effective_mode(store, pair)
    if mode is not Mode.ACTIVE or not pair.in_config:
        return Idle(f"mode_{mode.value}" if pair.in_config else "not_configured")
    if holds:
        return Idle(holds[0].code, holds[0].value, holds[0].limit)
    used = views.notional_quote(views.leg_market(store, pair, Role.LONG), pair.long.position.qty)
    left = pair.spec.capital_quote - (used or ZERO)
    clip = float(min(strategy.clip_quote, left))
    if clip * 2 < float(strategy.clip_quote):
        return Idle("capital_in_use", f"{used}", f"{pair.spec.capital_quote}")
    signal = signals.entry(store, config, pair, at_ns)
    if isinstance(signal, Idle):
        return signal
    if at_ns - pair.clip_ns < strategy.clip_interval_s * 1e9:
        return Idle("clip_interval")
    size = sizing.entry_size(store, pair, clip)
    if size is None:
        return Idle("clip_too_small")
    draft = Draft(store, config, pair, Purpose.ENTER, signal)
    sides = {Role.LONG: (Side.BUY, size.long_qty), Role.SHORT: (Side.SELL, size.short_qty)}
    together = strategy.leg_policy == "together"
    # together, the long leg goes first: where it is the margin, it must be there
    for role in (Role.LONG, Role.SHORT) if together else (Role.SHORT, Role.LONG):
        if not draft.add(role, *sides[role], reduce_only=False):
            return Idle("missing_index")
    block = budgets.entry_block(store, at_ns, pair, tuple(draft.orders))
    if block is not None:
        return Idle(block.rule, block.value, block.limit)
    if together:
        return tuple(draft.orders)
    verdict = guard.admit(store, at_ns, tuple(draft.orders))
    if isinstance(verdict, guard.Refused):  # the leg that follows must be possible before the first one goes
        return Idle(f"guard_{verdict.rule}", verdict.value, verdict.limit)
    return tuple(draft.orders[:1])


def _exit(store: Store, config: Config, pair: Pair, at_ns: int) -> Group | Idle:
    """The next clip of an exit under way.  It goes on until the legs are gone, unless the reason to enter has
    come back: then it is left alone, and the pair is HEDGED again after a while."""
    mode = watch.effective_mode(store, pair)
    if mode is Mode.FLATTENING:
        if at_ns - pair.clip_ns < RETRY_PAUSE_NS:
            return Idle("clip_interval")
        return _exit_clip(store, config, pair, at_ns, Flatten(store.mode_reason or pair.mode_reason))
    if at_ns - pair.clip_ns < config.strategy.clip_interval_s * 1e9:
        return Idle("clip_interval")
    if not isinstance(signals.entry(store, config, pair, at_ns), Idle):
        return Idle("exit_withdrawn")
    why = signals.leave(store, config, pair, at_ns)
    if isinstance(why, Idle):
        if pair.why is None:
            return why
        return _exit_clip(store, config, pair, at_ns, pair.why)
    return _exit_clip(store, config, pair, at_ns, why)


def _exit_clip(store: Store, config: Config, pair: Pair, at_ns: int, why: AnyWhy) -> Group | Idle:
    blind = _either_blind(store, pair, at_ns)
    if blind is not None:
        return blind
    size = sizing.exit_size(store, pair, float(config.strategy.clip_quote))
    if size is None:
        return Idle("thin_book")
    draft = Draft(store, config, pair, Purpose.EXIT, why)
    complete = True
    if size.short_qty > 0:
        complete = draft.add(Role.SHORT, Side.BUY, size.short_qty, _is_contract(store, pair.short))
    sequenced = config.strategy.leg_policy == "sequenced" and draft.orders
    if size.long_qty > 0 and not sequenced:
        market = views.leg_market(store, pair, Role.LONG)
        if not sizing.too_small(market.instrument, size.long_qty, market.bids[0][0]):
            reduce_only = _is_contract(store, pair.long)
            complete = complete and draft.add(Role.LONG, Side.SELL, size.long_qty, reduce_only)
    if not complete:
        return Idle("missing_index")
    return tuple(draft.orders) or Idle("clip_too_small")


def _drift(store: Store, config: Config, pair: Pair, at_ns: int) -> Group | Idle | None:
    """Bring the delta back when it left its band.  The contract leg trades, since it is the cheaper one; a
    pair that is to become smaller gives from the leg that is too large, if that can be traded."""
    delta, band = float(pair_delta_base(store, pair)), views.drift_band_base(store, pair)
    if abs(delta) <= band:
        return None
    if _has_lost_a_leg(store, pair):
        return _repair(store, config, pair, at_ns)
    if at_ns - pair.repair_ns < RETRY_PAUSE_NS:
        return Idle("repair_pause")
    leg_base = views.leg_size_base(views.leg_market(store, pair, Role.LONG), pair.long.position.qty)
    why = DriftBand(delta, band, abs(delta) / leg_base * 1e4 if leg_base else 0.0)
    cheaper = Role.SHORT if _is_contract(store, pair.short) else Role.LONG
    if watch.binding_mode(store, pair) in (Mode.ACTIVE, Mode.PAUSED):
        return _one_leg(store, config, pair, cheaper, delta, (Purpose.DRIFT, why))
    larger = Role.LONG if delta > 0 else Role.SHORT
    found = _one_leg(store, config, pair, larger, delta, (Purpose.DRIFT, why))
    if isinstance(found, Idle) or not _takes_back(store, pair, found):
        return _one_leg(store, config, pair, larger.other, delta, (Purpose.DRIFT, why))
    return found


def _has_lost_a_leg(store: Store, pair: Pair) -> bool:
    leg_base = views.leg_size_base(views.leg_market(store, pair, Role.LONG), pair.long.position.qty)
    return pair.naked_ns != 0 and abs(float(pair_delta_base(store, pair))) > leg_base * LOST_LEG


def _repair(store: Store, config: Config, pair: Pair, at_ns: int) -> Group | Idle:
    """Complete the leg that is missing while attempts last, then give back the one that is there.

    While entering, the missing leg grows; otherwise the leg that is too large shrinks.  Where the first
    choice cannot be traded, the other one is taken.  A leg that is gone has nothing to shrink: coins that an
    inverse leg lost are bought back, and the rest of one that earned more than can be sold is closed.
    """
    if pair.state is PairState.FLAT:
        return Idle("naked_within_patience")
    pause_ns = REPAIR_PAUSE_NS if pair.repairs < QUICK_REPAIRS else RETRY_PAUSE_NS
    if pair.repairs >= SLOW_REPAIRS:
        pause_ns = min(pair.repairs - SLOW_REPAIRS + 1, SLOWEST_S) * RETRY_PAUSE_NS
    if at_ns - pair.repair_ns < pause_ns and pair.repairs:
        return Idle("repair_pause")
    delta = float(pair_delta_base(store, pair))
    naked_s = (at_ns - pair.naked_ns) / 1e9
    attempts = config.strategy.repair_attempts + (1 if config.strategy.leg_policy == "sequenced" else 0)
    completing = pair.repairs < attempts
    grow = (Role.SHORT if delta > 0 else Role.LONG, LegMissing(delta, naked_s, pair.repairs + 1))
    shrink_why = LegUnwound(delta, pair.repairs) if pair.growing or not completing else grow[1]
    shrink = (grow[0].other, shrink_why)
    growing = pair.growing and completing
    idle: Idle | None = None
    for role, why in (grow, shrink) if growing else (shrink, grow):
        blind = _blind(store, pair, at_ns, role)
        if blind is not None:
            idle = idle or blind
            continue
        purpose = Purpose.REPAIR if isinstance(why, LegMissing) else Purpose.UNWIND
        found = _one_leg(store, config, pair, role, delta, (purpose, why))
        if isinstance(found, Idle):
            idle = idle or found
        elif role is shrink[0]:
            if _takes_back(store, pair, found):
                return found
        elif growing or _reduces(found) or (role is Role.LONG and pair.short.position.qty == 0):
            return found
    unwound = LegUnwound(delta, pair.repairs)
    return _stranded(store, config, pair, unwound) or idle or Idle("repair_impossible")


def _reduces(group: Group) -> bool:
    """A leg that somebody else turned the wrong way is brought back, whatever its role says."""
    return all(isinstance(command, PlaceOrder) and command.reduce_only for command in group)


def _takes_back(store: Store, pair: Pair, group: Group) -> bool:
    """Whether an order takes from what its leg holds, rather than open an empty leg the wrong way."""
    return _reduces(group) or any(
        isinstance(command, PlaceOrder)
        and command.side is Side.SELL
        and not _is_contract(store, pair.leg(command.role))
        for command in group
    )


def _stranded(store: Store, config: Config, pair: Pair, why: AnyWhy) -> Group | None:
    """The rest of an inverse short whose spot leg is sold: its coins alone make the delta, and they stay in
    the margin wallet when it is closed."""
    long, short = pair.long, pair.short
    if pair.growing or not _is_contract(store, short) or short.position.qty >= 0:
        return None
    if _is_contract(store, long) or not pairs.is_dust(store.markets[long.instrument], long.position.qty):
        return None
    draft = Draft(store, config, pair, Purpose.UNWIND, why)
    closed = draft.add(Role.SHORT, Side.BUY, -short.position.qty, reduce_only=True)
    return tuple(draft.orders) if closed else None


def _one_leg(
    store: Store, config: Config, pair: Pair, role: Role, delta: float, as_what: tuple[Purpose, AnyWhy]
) -> Group | Idle:
    found = sizing.adjustment(views.leg_market(store, pair, role), pair.leg(role), delta)
    if found is None:
        return Idle("residual_below_minimum", f"{delta:.10f}")
    side, qty, reduce_only = found
    draft = Draft(store, config, pair, *as_what)
    return tuple(draft.orders) if draft.add(role, side, qty, reduce_only) else Idle("missing_index")


def _is_contract(store: Store, leg: Leg) -> bool:
    return not store.markets[leg.instrument].instrument.is_spot
