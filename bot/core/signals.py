"""Entry and exit signals: numbers first, then the verdict that names them.

Two independent reasons to enter, carry and price gap, each with its own exit; a longest hold besides.
Entry and exit thresholds differ, and that difference is the hysteresis.  A signal is a `Why` to trade or an
`Idle` that says why not.
"""

from __future__ import annotations

from bot.core import views
from bot.core.decide.idle import Idle
from bot.model.commands import EntryCarry, EntryGap, ExitCarry, ExitGap, ExitHold
from bot.model.config import Config
from bot.model.instrument import Kind
from bot.model.pair import Role
from bot.model.store import Market, Pair, Store
from bot.quant.basis import annualised_apr
from bot.quant.costs import Carry, LegView, appraise
from bot.quant.funding import funding_apr

DAY_NS = 86_400_000_000_000
ESTIMATE_GRACE_NS = 60_000_000_000  # after its settlement an estimate speaks of the past


def expected_apr(store: Store, config: Config, pair: Pair, at_ns: int) -> float | Idle:
    """What the pair is expected to earn before costs, fraction a year: the short leg's funding or basis to
    expiry, less the long leg's."""
    total = 0.0
    for role, sign in ((Role.SHORT, 1.0), (Role.LONG, -1.0)):
        market = views.leg_market(store, pair, role)
        earned = _leg_apr(store, config, market, at_ns)
        if earned is None:
            return Idle("missing_funding", market.instrument.id)
        total += sign * earned
    return total


def _leg_apr(store: Store, config: Config, market: Market, at_ns: int) -> float | None:
    """Annual rate that a short position in this instrument receives; ``None`` when it is not known, or was
    estimated for a settlement that is over."""
    instrument = market.instrument
    if instrument.kind is Kind.SPOT:
        return 0.0
    if instrument.kind is Kind.DATED:
        if instrument.expiry_ns is None or market.mark is None or not market.index:
            return None
        days = (instrument.expiry_ns - at_ns) / DAY_NS
        return annualised_apr(float(market.mark) / float(market.index) - 1.0, days) if days > 0 else None
    rate = market.funding_rate if config.strategy.expected_funding == "estimate" else market.settled_rate
    told_ns = market.funding_next_ns + ESTIMATE_GRACE_NS
    interval_h = market.funding_interval_h
    if rate is None or not interval_h:
        return None
    if config.strategy.expected_funding == "estimate" and at_ns > told_ns:
        return None
    return funding_apr(float(rate), interval_h)


def carry_of(store: Store, config: Config, pair: Pair, expected: float) -> Carry | None:
    """Costs and net carry of a clip; ``None`` when a ladder is too thin."""
    legs = tuple(
        LegView(market.bids, market.asks, float(market.instrument.taker_rate))
        for market in (views.leg_market(store, pair, Role.LONG), views.leg_market(store, pair, Role.SHORT))
    )
    asks = legs[0].asks
    if not asks:
        return None
    strategy = config.strategy
    qty_base = float(strategy.clip_quote) / asks[0][0]
    return appraise(expected, (legs[0], legs[1]), qty_base, strategy.hold_planned_h, strategy.borrow_apr)


def entry(store: Store, config: Config, pair: Pair, at_ns: int) -> EntryCarry | EntryGap | Idle:
    strategy, idle = config.strategy, Idle("entry_off")
    if strategy.entry_gap_bps is not None:
        gap = views.gap_bps(store, pair, float(strategy.clip_quote), opening=True)
        if gap is None:
            idle = Idle("thin_book")
        elif gap >= strategy.entry_gap_bps:
            return EntryGap(gap, strategy.entry_gap_bps, _cost_bps(store, config, pair))
        else:
            idle = Idle("gap_below_entry", f"{gap:.3f}", f"{strategy.entry_gap_bps:g}")
    if strategy.entry_carry_apr is not None:
        expected = expected_apr(store, config, pair, at_ns)
        if isinstance(expected, Idle):
            return expected
        carry = carry_of(store, config, pair, expected)
        if carry is None:
            return Idle("thin_book")
        if carry.net_apr >= strategy.entry_carry_apr:
            return EntryCarry(carry.net_apr, expected, carry.cost_bps, strategy.entry_carry_apr)
        idle = Idle("carry_below_entry", f"{carry.net_apr:.5f}", f"{strategy.entry_carry_apr:g}")
    return idle


def _cost_bps(store: Store, config: Config, pair: Pair) -> float:
    carry = carry_of(store, config, pair, 0.0)
    return carry.cost_bps if carry is not None else 0.0


def leave(store: Store, config: Config, pair: Pair, at_ns: int) -> ExitCarry | ExitGap | ExitHold | Idle:
    """The exit signal of a pair that is held."""
    strategy = config.strategy
    held_s = (at_ns - pair.entered_ns) / 1e9
    if strategy.hold_max_s and held_s >= strategy.hold_max_s:
        return ExitHold(held_s, strategy.hold_max_s)
    if held_s < strategy.hold_min_s:
        return Idle("minimum_hold")
    if strategy.exit_gap_bps is not None:
        gap = views.gap_bps(store, pair, float(strategy.clip_quote), opening=False)
        if gap is not None and gap <= strategy.exit_gap_bps:
            return ExitGap(gap, strategy.exit_gap_bps)
    if strategy.entry_carry_apr is not None:
        expected = expected_apr(store, config, pair, at_ns)
        if isinstance(expected, Idle):
            return expected
        if expected - strategy.borrow_apr < strategy.exit_carry_apr:
            return ExitCarry(expected - strategy.borrow_apr, strategy.exit_carry_apr)
    return Idle("holding")
