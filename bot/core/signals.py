"""Entry and exit signals: numbers first, then the verdict that names them.

Two independent reasons to enter, carry and price gap, each with its own exit; a longest hold besides.  A
position leaves by the exit of the reason it was entered for: only where that exit is switched off, or nobody
knows the reason, does carry decide.  Entry and exit thresholds differ, and that difference is the hysteresis.
A signal is a `Why` to trade or an `Idle` that says why not.
"""

from __future__ import annotations

from bot.core import gaps, switch, views
from bot.core.decide.idle import Idle
from bot.model.commands import EntryCarry, EntryGap, ExitCarry, ExitEnd, ExitGap, ExitHold
from bot.model.config import Config
from bot.model.instrument import Kind
from bot.model.pair import PairState, Role
from bot.model.store import Market, Pair, Store
from bot.quant.costs import Carry, appraise
from bot.quant.funding import funding_apr

HOUR_NS = 3_600_000_000_000
ESTIMATE_GRACE_NS = 60_000_000_000  # after its settlement an estimate speaks of the past
CARRY_HOLD_S = 86_400.0  # least time of a position before carry leaves it, where no setting says another
PAYMENT_NEAR_NS = 600_000_000_000
COST_RISE = 1.25  # a clip may cost this much more than the decision to enter counted with
GAP_SHARE = 0.25  # of a round trip that a clip's gap may lie below its mean


def expected_apr(store: Store, config: Config, pair: Pair, at_ns: int) -> float | Idle:
    """What the pair is expected to earn before costs, fraction a year: the short leg's funding or basis to
    expiry, less the long leg's."""
    if switch.is_on(config):
        return Idle("missing_funding") if pair.switch is None else pair.switch.forecast_apr
    total = 0.0
    for role, sign in switch.OWN:
        market = views.leg_market(store, pair, role)
        earned = _leg_apr(config, market, at_ns)
        if earned is None:
            return Idle("missing_funding", market.instrument.id)
        total += sign * earned
    return total


def _leg_apr(config: Config, market: Market, at_ns: int) -> float | None:
    """Annual rate that a short position in this instrument receives; ``None`` when it is not known, or was
    estimated for a settlement that is over."""
    instrument = market.instrument
    if instrument.kind is Kind.SPOT:
        return 0.0
    if instrument.kind is Kind.DATED:
        return switch.dated_apr(market, at_ns)
    rate = market.funding_rate if config.strategy.expected_funding == "estimate" else market.settled_rate
    told_ns = market.funding_next_ns + ESTIMATE_GRACE_NS
    interval_h = market.funding_interval_h
    if rate is None or not interval_h:
        return None
    if config.strategy.expected_funding == "estimate" and at_ns > told_ns:
        return None
    return funding_apr(float(rate), interval_h)


def net_apr(store: Store, config: Config, pair: Pair, expected: float, at_ns: int) -> float | None:
    """What is left of an expected rate after the cost of a clip; ``None`` where that is not known."""
    if switch.is_on(config):
        return None if pair.switch is None else expected - pair.switch.above_apr
    carry = carry_of(store, config, pair, expected, at_ns)
    return None if carry is None else carry.net_apr


def carry_of(store: Store, config: Config, pair: Pair, expected: float, at_ns: int) -> Carry | None:
    """Costs and net carry of a clip, its cost spread over the planned hold or the life left of a dated leg;
    ``None`` when a ladder is too thin or that life is over."""
    long, short = (
        switch.leg_view(config, views.leg_market(store, pair, role)) for role in (Role.LONG, Role.SHORT)
    )
    strategy = config.strategy
    hold_h = switch.life_h(store, config, pair, at_ns)
    if hold_h is None:
        hold_h = strategy.hold_planned_h
    if not long.asks or hold_h <= 0.0:
        return None
    qty_base = float(strategy.clip_quote) / long.asks[0][0]
    return appraise(expected, (long, short), qty_base, hold_h, strategy.borrow_apr)


def ends_within(store: Store, pair: Pair, at_ns: int) -> ExitEnd | None:
    """The leg that ends first, where its known end is so near that the pair is to be left before it."""
    limit_h = store.config.strategy.leave_before_end_h if store.config is not None else 0.0
    found = _next_end(store, pair, at_ns)
    if found is None or not limit_h or found[1] > limit_h:
        return None
    return ExitEnd(found[0].instrument.id, found[1], limit_h)


def _next_end(store: Store, pair: Pair, at_ns: int) -> tuple[Market, float] | None:
    """The leg that ends first and the hours until then; ``None`` where no end is known."""
    found: tuple[Market, float] | None = None
    for leg in pair.legs:
        market = store.markets[leg.instrument]
        expiry_ns = market.instrument.expiry_ns
        if expiry_ns is not None and (found is None or (expiry_ns - at_ns) / HOUR_NS < found[1]):
            found = market, (expiry_ns - at_ns) / HOUR_NS
    return found


def entry(store: Store, config: Config, pair: Pair, at_ns: int) -> EntryCarry | EntryGap | Idle:
    """The entry signal of a pair; one that is held grows by the reason it was entered for alone."""
    strategy, idle = config.strategy, Idle("entry_off")
    ending = _next_end(store, pair, at_ns)
    too_near_h = max(strategy.no_entry_before_expiry_h, strategy.leave_before_end_h)
    if ending is not None and ending[1] <= too_near_h:
        return Idle("near_end", f"{ending[1]:.0f}", f"{too_near_h:g}")
    reason = None if pair.state is PairState.FLAT else pair.entered_why
    if strategy.entry_gap_bps is not None and not isinstance(reason, EntryCarry):
        gap = views.gap_bps(store, pair, float(strategy.clip_quote), opening=True)
        if gap is None:
            idle = Idle("thin_book")
        elif gap >= strategy.entry_gap_bps:
            return EntryGap(gap, strategy.entry_gap_bps, switch.walked_bps(store, config, pair) or 0.0)
        else:
            idle = Idle("gap_below_entry", f"{gap:.3f}", f"{strategy.entry_gap_bps:g}")
    if strategy.entry_carry_apr is None or isinstance(reason, EntryGap):
        return idle
    if switch.is_on(config):
        return _entry_by_switch(store, config, pair, at_ns)
    return _entry_by_rate(store, config, pair, at_ns, strategy.entry_carry_apr)


def _entry_by_rate(
    store: Store, config: Config, pair: Pair, at_ns: int, needed_apr: float
) -> EntryCarry | Idle:
    expected = expected_apr(store, config, pair, at_ns)
    if isinstance(expected, Idle):
        return expected
    carry = carry_of(store, config, pair, expected, at_ns)
    if carry is None:
        return Idle("thin_book")
    if carry.net_apr >= needed_apr:
        return EntryCarry(carry.net_apr, expected, carry.cost_bps, needed_apr)
    return Idle("carry_below_entry", f"{carry.net_apr:.5f}", f"{needed_apr:g}")


def _entry_by_switch(store: Store, config: Config, pair: Pair, at_ns: int) -> EntryCarry | Idle:
    """A clip while the switch stands on in, unless its cost or gap is worse than it need be."""
    untold = switch.untold(store, pair, at_ns)
    if untold:
        return Idle("missing_funding", untold)
    decided = pair.switch
    if decided is None:
        return Idle("carry_undecided")
    if not decided.is_in:
        return Idle("carry_below_entry", f"{decided.forecast_apr:.5f}", f"{decided.enter_apr:.5f}")
    cost_bps = switch.walked_bps(store, config, pair)
    gap = views.gap_bps(store, pair, float(config.strategy.clip_quote), opening=True)
    mean = gaps.mean_bps(pair, at_ns)
    if cost_bps is None or gap is None:
        return Idle("thin_book")
    if cost_bps > decided.cost_bps * COST_RISE:
        return Idle("cost_above_decided", f"{cost_bps:.2f}", f"{decided.cost_bps * COST_RISE:.2f}")
    if mean is not None and gap < mean - cost_bps * GAP_SHARE:
        return Idle("gap_below_mean", f"{gap:.2f}", f"{mean - cost_bps * GAP_SHARE:.2f}")
    apr, above_apr = decided.forecast_apr, decided.above_apr
    return EntryCarry(apr - above_apr, apr, cost_bps, decided.enter_apr - above_apr, decided.slow_apr)


def leave(store: Store, config: Config, pair: Pair, at_ns: int) -> ExitCarry | ExitGap | ExitHold | Idle:
    """The exit signal of a pair that is held: by age, or by the reason it was entered for."""
    strategy = config.strategy
    held_s = (at_ns - pair.entered_ns) / 1e9
    if strategy.hold_max_s and held_s >= strategy.hold_max_s:
        return ExitHold(held_s, strategy.hold_max_s)
    by_gap = switch.leaves_by_gap(config, pair)
    hold_min_s = strategy.hold_min_s
    if hold_min_s is None:
        hold_min_s = 0.0 if by_gap else CARRY_HOLD_S
    if held_s < hold_min_s:
        return Idle("minimum_hold", f"{held_s:.0f}", f"{hold_min_s:g}")
    if by_gap:
        return _leave_by_gap(store, config, pair)
    if switch.is_on(config):
        return _leave_by_switch(store, pair, at_ns)
    expected = expected_apr(store, config, pair, at_ns)
    if isinstance(expected, Idle):
        return expected
    if expected - strategy.borrow_apr < strategy.exit_carry_apr:
        return ExitCarry(expected - strategy.borrow_apr, strategy.exit_carry_apr)
    return Idle("holding")


def _leave_by_gap(store: Store, config: Config, pair: Pair) -> ExitGap | Idle:
    limit_bps = config.strategy.exit_gap_bps
    gap = views.gap_bps(store, pair, float(config.strategy.clip_quote), opening=False)
    if gap is not None and limit_bps is not None and gap <= limit_bps:
        return ExitGap(gap, limit_bps)
    return Idle("holding")


def _leave_by_switch(store: Store, pair: Pair, at_ns: int) -> ExitCarry | Idle:
    decided = pair.switch
    if decided is None or not switch.is_out(pair):
        return Idle("holding")
    if pair.state is PairState.HEDGED and _is_paid_soon(store, pair, at_ns):
        return Idle("payment_near")
    return ExitCarry(
        decided.forecast_apr, decided.leave_apr, decided.slow_apr, decided.paid_bps, decided.cost_bps
    )


def _is_paid_soon(store: Store, pair: Pair, at_ns: int) -> bool:
    """Whether the settlements of the next minutes, as far as they are known, pay the pair on balance."""
    balance = 0.0
    for role, sign in switch.OWN:
        market = views.leg_market(store, pair, role)
        if market.funding_rate is not None and 0 < market.funding_next_ns - at_ns < PAYMENT_NEAR_NS:
            balance += sign * float(market.funding_rate)
    return balance > 0.0
