"""The table of ways out: what a naked pair, and one that must leave, may do next.

Candidates are derived, not cased.  A naked pair has two: the leg that is missing grows (*grow*), or the leg
that is too large falls (*shrink*).  An entry that has attempts left grows first; everything else shrinks
first.  What a rule forbids (needs, guard, collar, fuse) is passed over for the next in the same step.  What
was fruitless as often as the settings say goes behind the next; when both were, the round begins again
after a pause that doubles.  A pair that leaves trades both legs as one group, or neither.

What must stay true: whoever is naked has a next step wherever some order against the delta is possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from bot.core import pairs, shortfall, views
from bot.core.decide import pricing, sizing
from bot.core.decide.draft import Decided, Draft, beyond_collar
from bot.core.decide.idle import Idle, of_hold, of_kept
from bot.core.decide.room import MARGIN, leg_room_quote, room
from bot.model.commands import AnyWhy, DriftBand, LegMissing, LegUnwound
from bot.model.config import Config
from bot.model.instrument import Side, notional_quote
from bot.model.money import exact, floor_to
from bot.model.pair import Mode, Purpose, Role
from bot.model.store import OrderState, Pair, Store
from risk import needs, ratio, watch
from risk.exposure import pair_delta_base
from risk.fuse import REFUSED
from risk.tradable import is_gone, is_tradable, shortfall_qty

PAUSE_NS = 250_000_000  # between two attempts, and before the second round; doubles with each round
LONGEST_PAUSE_NS = 30_000_000_000
DRIFT_PAUSE_NS = 1_000_000_000
CRUMB = Decimal("0.1")  # of what is owed: for less, nobody sends an order before the fuse's minute is over
LOST_LEG = 0.25  # a hedge error of this part of a leg is no drift: somebody took the other leg


# --- naked ------------------------------------------------------------------------------------------------


def repair(store: Store, config: Config, pair: Pair, at_ns: int) -> Decided | Idle:
    """The next step of a naked pair."""
    delta = float(pair_delta_base(store, pair))
    naked_s = (at_ns - pair.naked_ns) / 1e9
    free = watch.effective_mode(store, pair) in (Mode.ACTIVE, Mode.PAUSED) and pair.in_config
    completing = free and pair.growing and pair.repairs < pairs.completions(config)
    grow = Role.SHORT if delta > 0 else Role.LONG
    order = (grow, grow.other) if completing else (grow.other, grow)
    missing = (Purpose.REPAIR, LegMissing(delta, naked_s, pair.repairs + 1))
    unwound = (Purpose.UNWIND, LegUnwound(delta, pair.repairs))
    spent: list[tuple[Role, Decided]] = []
    kept: list[Idle] = []
    for role in order:
        why = unwound if pair.growing and role is not grow else missing
        found = _one_leg(store, config, pair, at_ns, role, why)
        tries = pair.grow_tries if role is grow else pair.shrink_tries
        if isinstance(found, Idle):
            kept.append(found)
        elif tries < pairs.tries_max(config, pair, role is grow):
            paused = tries and at_ns - pair.repair_ns < PAUSE_NS
            return Idle("repair_pause") if paused else found
        else:
            spent.append((role, found))
    if not spent:
        return kept[0]
    if at_ns - pair.repair_ns < min(PAUSE_NS << min(pair.rounds, 20), LONGEST_PAUSE_NS):
        return _exhausted(store, pair, spent[0][0] is grow)
    return spent[0][1]


def kept_from(store: Store, config: Config, pair: Pair, at_ns: int) -> Iterator[Idle]:
    """What forbids an order against a naked pair's delta, for each leg that may send none."""
    for role in Role:
        found = _one_leg(
            store, config, pair, at_ns, role, (Purpose.REPAIR, LegMissing(0.0, 0.0, pair.repairs))
        )
        if isinstance(found, Idle):
            yield found


def _exhausted(store: Store, pair: Pair, growing: bool) -> Idle:
    """Everything was tried as often as it may be: what the venue said last."""
    for order in reversed(store.orders.values()):
        if order.pair == pair.spec.name:
            if order.state is OrderState.DEAD and not order.reason.startswith(REFUSED):
                return Idle("restricted" if growing else "refused", order.reason)
            break
    return Idle("repair_pause")


def drift(store: Store, config: Config, pair: Pair, at_ns: int) -> Decided | Idle | None:
    """Bring the delta back when it left its band; ``None`` where nothing is owed.  The contract leg trades,
    since it is the cheaper one; a pair that is to become smaller gives from the leg that is too large, if
    that can be traded."""
    if ratio.in_ratio(store, pair):
        return None
    if at_ns - pair.repair_ns < DRIFT_PAUSE_NS:
        return Idle("repair_pause")
    delta = float(pair_delta_base(store, pair))
    leg_base = ratio.leg_size_base(views.leg_market(store, pair, Role.LONG), pair.long.position.qty)
    band = ratio.drift_band_base(store, pair)
    why = (Purpose.DRIFT, DriftBand(delta, band, abs(delta) / leg_base * 1e4 if leg_base else 0.0))
    first = Role.SHORT if not store.markets[pair.spec.short].instrument.is_spot else Role.LONG
    if watch.binding_mode(store, pair) not in (Mode.ACTIVE, Mode.PAUSED):
        first = Role.LONG if delta > 0 else Role.SHORT
    found = _one_leg(store, config, pair, at_ns, first, why)
    other = _one_leg(store, config, pair, at_ns, first.other, why) if isinstance(found, Idle) else found
    return found if isinstance(other, Idle) else other


def has_lost_a_leg(store: Store, pair: Pair) -> bool:
    """Whether a held pair's hedge error is too large for drift."""
    leg_base = ratio.leg_size_base(views.leg_market(store, pair, Role.LONG), pair.long.position.qty)
    return pair.naked_ns != 0 and abs(float(pair_delta_base(store, pair))) > leg_base * LOST_LEG


def _one_leg(
    store: Store, config: Config, pair: Pair, at_ns: int, role: Role, why: tuple[Purpose, AnyWhy]
) -> Decided | Idle:
    """An order in one leg against the pair's delta, as the guard admits it, or what forbids it."""
    instrument_id = pair.spec.instrument(role)
    hold = needs.exit_hold(store, at_ns, instrument_id)
    if hold is not None:
        return of_kept(hold)
    delta, market = float(pair_delta_base(store, pair)), store.markets[instrument_id]
    found = ratio.against(store, pair, role, delta)
    lacking = shortfall_qty(store, pair.leg(role))
    if lacking and (found is None or not found.reduces):
        return Idle("not_held", f"{instrument_id} {lacking:f}")
    if found is None:
        return Idle("untradable", f"{instrument_id} {delta:.10f}")
    left, instrument = room(store, config, why[0], at_ns), market.instrument
    price = exact((market.asks if found.side is Side.BUY else market.bids)[0][0])
    worth = abs(notional_quote(instrument, found.qty, price)) * MARGIN
    qty = found.qty
    if worth > left.notional_quote:
        share = float(left.notional_quote) / float(worth)
        qty = floor_to(exact(max(0.0, float(qty) * share)), instrument.lot)
    is_crumb = qty < found.qty * CRUMB or not is_tradable(instrument, qty, price, found.reduces)
    if left.orders < 1 or (qty < found.qty and is_crumb):
        return Idle("fuse_room", f"{left.notional_quote:f}", f"{left.orders}")
    draft = Draft(store, config, pair, at_ns, why, forced=True)
    idle = draft.add(role, found.side, qty, found.reduces and not instrument.is_spot)
    return idle or draft.admitted()


# --- leaving ----------------------------------------------------------------------------------------------


def leave(
    store: Store, config: Config, pair: Pair, at_ns: int, why: AnyWhy, *, forced: bool
) -> Decided | Idle:
    """The next clip of an exit: both legs judged and priced as one group, or neither goes."""
    unsettled = shortfall.unsettled(store, pair, at_ns)
    if unsettled is not None:
        return Idle("settling", unsettled)
    held = [role for role in (Role.SHORT, Role.LONG) if not is_gone(store, pair.leg(role))]
    depths = {role: float("inf") for role in Role}
    for role in held:
        hold = needs.exit_hold(store, at_ns, pair.spec.instrument(role))
        if hold is not None:
            return of_kept(hold) if forced else of_hold(hold)
        found = _depth(config, pair, at_ns, store, role, forced)
        if isinstance(found, Idle):
            return found
        depths[role] = found
    if not held:
        return Idle("nothing_held")
    left_quote = leg_room_quote(store, config, Purpose.EXIT, at_ns, len(held))
    if left_quote <= 0:
        return Idle("fuse_room", "0")
    clip = float(min(config.strategy.clip_quote, left_quote))
    most_base = float(left_quote) / views.leg_market(store, pair, held[0]).asks[0][0]
    bound = sizing.ExitBound(clip, *(min(depths[role], most_base) for role in (Role.LONG, Role.SHORT)))
    size = sizing.exit_size(store, pair, bound)
    if isinstance(size, str):
        return _unsized(store, pair, held, size, forced)
    if any(_worth(store, pair, role, size) > left_quote for role in held):
        return Idle("fuse_room", f"{left_quote:f}")
    draft = Draft(store, config, pair, at_ns, (Purpose.EXIT, why), forced=forced)
    for role in held:
        qty = size.qty(role)
        if qty > 0:
            reduce_only = not store.markets[pair.spec.instrument(role)].instrument.is_spot
            idle = draft.add(role, role.opening_side.opposite, qty, reduce_only)
            if idle is not None:
                return idle
    if not draft.orders:
        return Idle("clip_too_small")
    whole = draft.admitted()
    if (
        forced
        or config.strategy.leg_policy == "together"
        or len(draft.orders) == 1
        or isinstance(whole, Idle)
    ):
        return whole
    # the short leg goes alone where nothing forbids to open; else both go together
    first = draft.admitted(1)
    return whole if isinstance(first, Idle) else first


def _worth(store: Store, pair: Pair, role: Role, size: sizing.Size) -> Decimal:
    """Quote value of one leg of an exit, at the touch."""
    market = store.markets[pair.spec.instrument(role)]
    levels = market.bids if role is Role.LONG else market.asks
    return abs(notional_quote(market.instrument, size.qty(role), exact(levels[0][0])))


def _unsized(store: Store, pair: Pair, held: list[Role], reason: str, forced: bool) -> Idle:
    """Why an exit has no size, in the words that a person is told."""
    for role in held:
        if shortfall_qty(store, pair.leg(role)):
            return Idle("not_held", pair.spec.instrument(role))
    if forced and reason == "thin_book":
        return Idle("venue_down", reason)
    return Idle(reason)


def _depth(config: Config, pair: Pair, at_ns: int, store: Store, role: Role, forced: bool) -> float | Idle:
    """What a leg's ladder holds inside the collar, base currency."""
    market, side = store.markets[pair.spec.instrument(role)], role.opening_side.opposite
    around = pricing.reference(config, market, at_ns, opening=False)
    if around is None:
        return Idle("missing_index", market.instrument.id)
    collar = pricing.collar_bps(config, pair, at_ns, forced)
    bound = pricing.collar_price(market, side, collar, around)
    depth = sizing.depth_base(market, side, bound)
    return depth if depth > 0.0 else beyond_collar(market, side, around, collar, forced=forced)
