"""When the carry of a pair is decided, and from what.

A decision is made in the minute after each settlement of a leg with funding, at the start of a run, and each
hour where a leg is dated; it stands until the next, so that a step costs two comparisons.  It is a command,
journaled with its numbers and folded into the pair.  What must stay true: a decision is made from settled
rates and prices alone, never from the estimate of a settlement ahead; too little known opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from bot.core import views
from bot.model.commands import EntryCarry, EntryGap, SetSwitch
from bot.model.config import Config
from bot.model.instrument import Kind
from bot.model.pair import PairState, Role
from bot.model.store import Market, Pair, Store
from bot.quant import switch
from bot.quant.basis import annualised_apr
from bot.quant.costs import LegView, fees_bps, round_trip_bps
from bot.quant.funding_forecast import averages, forecast_7d_apr

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
OWN = ((Role.SHORT, 1.0), (Role.LONG, -1.0))  # what a leg's rate is to the pair


class Forecast(Struct, frozen=True):
    """What a pair is expected to earn and has lately earned, fractions a year; ``settlements`` as in
    `bot.quant.switch.Outlook`."""

    apr: float
    slow_apr: float
    settlements: int | None


def is_on(config: Config) -> bool:
    """Whether carry is decided here, and not by the rule of a running estimate or the last rate."""
    return config.strategy.expected_funding == "settled"


def leaves_by_gap(config: Config, pair: Pair) -> bool:
    """A pair leaves by the exit of the reason it was entered for, unless that exit is switched off."""
    return isinstance(pair.entered_why, EntryGap) and config.strategy.exit_gap_bps is not None


def decide(store: Store, config: Config, pair: Pair, at_ns: int) -> SetSwitch | None:
    """The decision of a pair whose time has come; ``None`` where there is none to make."""
    if not is_on(config) or not _is_asked(config, pair):
        return None
    if not store.ledger.opened or not _is_listed(store, pair):
        return None
    held = pair.state is not PairState.FLAT
    settlements = _settlements(store, pair)
    if settlements is None or not _is_due(store, pair, at_ns, settlements):
        return None
    cost_bps = walked_bps(store, config, pair)
    if cost_bps is None:
        if not held:
            return None
        cost_bps = pair.switch.cost_bps if pair.switch is not None else fees_bps(*_views(store, config, pair))
    view = _outlook(store, config, pair, at_ns, cost_bps)
    if view is None:
        return None
    floor_apr = config.strategy.entry_carry_apr
    leaves = switch.turns_out(view)
    enters = floor_apr is not None and switch.turns_in(view, floor_apr)
    was_in = pair.switch is not None and pair.switch.is_in
    return SetSwitch(
        pair=pair.spec.name,
        is_in=not leaves and (enters or was_in),
        leaves=leaves,
        forecast_apr=view.forecast_apr,
        slow_apr=view.slow_apr,
        above_apr=view.band.above_apr,
        enter_apr=switch.enter_apr(view, floor_apr or 0.0),
        leave_apr=switch.leave_apr(view),
        cost_bps=cost_bps,
        paid_bps=view.paid_bps,
        settlements=settlements,
    )


def _is_asked(config: Config, pair: Pair) -> bool:
    """Whether carry may enter this pair, or end what a gap entered."""
    strategy = config.strategy
    if strategy.entry_carry_apr is not None or strategy.exit_gap_bps is None:
        return True
    return pair.state is not PairState.FLAT and not leaves_by_gap(config, pair)


def is_out(pair: Pair) -> bool:
    """Whether the last decision, if it was made after the entry, says that the position should go.  A carry
    entry leaves with its switch; what was entered otherwise, when the decision says so of itself."""
    decided = pair.switch
    if decided is None or pair.switch_ns <= pair.entered_ns:
        return False
    return not decided.is_in if isinstance(pair.entered_why, EntryCarry) else decided.leaves


def walked_bps(store: Store, config: Config, pair: Pair) -> float | None:
    """Cost of a clip's round trip in both legs as the ladders stand, basis points of one leg's notional;
    ``None`` when one is too thin."""
    long, short = _views(store, config, pair)
    if not long.asks:
        return None
    return round_trip_bps(long, short, float(config.strategy.clip_quote) / long.asks[0][0])


def leg_view(config: Config, market: Market) -> LegView:
    delivered = market.instrument.kind is Kind.DATED and config.strategy.leave_before_end_h == 0.0
    return LegView(market.bids, market.asks, float(market.instrument.taker_rate), 1 if delivered else 2)


def life_h(store: Store, config: Config, pair: Pair, at_ns: int) -> float | None:
    """Hours that a position in a dated leg can still be held; ``None`` without such a leg."""
    ends = [
        market.instrument.expiry_ns
        for market, _ in _legs(store, pair)
        if market.instrument.kind is Kind.DATED and market.instrument.expiry_ns is not None
    ]
    return (min(ends) - at_ns) / HOUR_NS - config.strategy.leave_before_end_h if ends else None


def forecast(store: Store, pair: Pair, at_ns: int) -> Forecast | None:
    """The short leg's rates less the long leg's; ``None`` where one of them is not known."""
    apr = slow_apr = 0.0
    fewest: int | None = None
    for market, sign in _legs(store, pair):
        instrument, told = market.instrument, market.settlements
        if instrument.kind is Kind.DATED:
            basis_apr = dated_apr(market, at_ns)
            if basis_apr is None:
                return None
            apr, slow_apr = apr + sign * basis_apr, slow_apr + sign * basis_apr
        elif instrument.kind is Kind.PERP:
            path = averages(told.minutes, told.rates, market.funding_interval_h)
            if path is None:
                return None
            apr += sign * forecast_7d_apr(path.levels_apr, instrument.interest_apr)
            slow_apr += sign * path.slow_apr
            fewest = path.settlements if fewest is None else min(fewest, path.settlements)
    return Forecast(apr, slow_apr, fewest)


def dated_apr(market: Market, at_ns: int) -> float | None:
    """The basis of a dated contract over its life left, simple fraction a year; ``None`` once it has ended or
    without a mark and index."""
    expiry_ns = market.instrument.expiry_ns
    if expiry_ns is None or market.mark is None or not market.index or expiry_ns <= at_ns:
        return None
    return annualised_apr(
        float(market.mark) / float(market.index) - 1.0, (expiry_ns - at_ns) / HOUR_NS / 24.0
    )


def untold(store: Store, pair: Pair, at_ns: int) -> str:
    """The contract of which no settlement or not the last two are known; empty where all are.  What is
    decided from old rates opens nothing."""
    for market, _ in _legs(store, pair):
        is_known = market.settlements.count and at_ns <= _known_until_ns(market)
        if market.instrument.kind is Kind.PERP and not is_known:
            return market.instrument.id
    return ""


def _known_until_ns(market: Market) -> int:
    return market.settlements.last_ns + 2 * (market.funding_interval_h or 8) * HOUR_NS


def deadlines(store: Store, pair: Pair) -> Iterator[int]:
    """When time alone may change what carry says of a pair without dated legs: the other leg's rate is waited
    for no longer, rates grow too old, and a mean gap that a clip may wait for has moved by a minute."""
    for market, _ in _legs(store, pair) if _is_listed(store, pair) else ():
        if market.instrument.kind is Kind.PERP and market.settlements.count:
            yield market.settlements.last_ns + MINUTE_NS
            yield _known_until_ns(market)
    if pair.switch is not None and pair.switch.is_in:
        yield (store.gaps_minute + 1) * MINUTE_NS


def _outlook(store: Store, config: Config, pair: Pair, at_ns: int, cost_bps: float) -> switch.Outlook | None:
    expected = forecast(store, pair, at_ns)
    if expected is None:
        return None
    strategy = config.strategy
    hurdle_apr = strategy.hurdle_apr + strategy.borrow_apr
    left_h = life_h(store, config, pair, at_ns)
    if left_h is None:
        band = switch.thresholds(cost_bps, hurdle_apr)
    elif left_h > 0.0:
        band = switch.until_end(cost_bps, left_h)
    else:
        return None
    paid_bps = switch.paid_since_best_bps(_received(store, pair)) if pair.entered_ns else 0.0
    return switch.Outlook(
        expected.apr, expected.slow_apr, hurdle_apr, cost_bps, paid_bps, band, expected.settlements
    )


def _received(store: Store, pair: Pair) -> Iterator[float]:
    """What each settlement since the entry brought, fractions of notional, in order of time."""
    by_minute: dict[int, float] = {}
    since = pair.entered_ns // MINUTE_NS
    for market, sign in _legs(store, pair):
        told = market.settlements
        for minute, rate in zip(reversed(told.minutes), reversed(told.rates), strict=True):
            if minute <= since:
                break
            by_minute[minute] = by_minute.get(minute, 0.0) + sign * rate
    for minute in sorted(by_minute):
        yield by_minute[minute]


def _is_due(store: Store, pair: Pair, at_ns: int, settlements: int) -> bool:
    """Something has been settled since the last decision, of all legs that settle together; or a run has
    begun, or an hour has passed with a dated leg."""
    if pair.switch is None or (store.boots_ns and pair.switch_ns < store.boots_ns[-1]):
        return True
    if pair.switch.settlements != settlements:
        return not _half_told(store, pair, at_ns)
    if at_ns - pair.switch_ns < HOUR_NS:
        return False
    return any(market.instrument.kind is Kind.DATED for market, _ in _legs(store, pair))


def _half_told(store: Store, pair: Pair, at_ns: int) -> bool:
    """Whether the other leg's rate of the last settlement may still come: it is waited for a minute."""
    perps = [market for market, _ in _legs(store, pair) if market.instrument.kind is Kind.PERP]
    latest_ns = max(market.settlements.last_ns for market in perps)
    if at_ns >= latest_ns + MINUTE_NS:
        return False
    return any(
        market.settlements.last_ns + market.funding_interval_h * HOUR_NS <= latest_ns for market in perps
    )


def _settlements(store: Store, pair: Pair) -> int | None:
    """How many settlements are known of both legs; ``None`` where one that has funding has none."""
    total = 0
    for market, _ in _legs(store, pair):
        if market.instrument.kind is Kind.PERP and not market.settlements.count:
            return None
        total += market.settlements.count
    return total


def _is_listed(store: Store, pair: Pair) -> bool:
    return all(leg.instrument in store.markets for leg in pair.legs)


def _legs(store: Store, pair: Pair) -> Iterator[tuple[Market, float]]:
    for role, sign in OWN:
        yield views.leg_market(store, pair, role), sign


def _views(store: Store, config: Config, pair: Pair) -> tuple[LegView, LegView]:
    long, short = (views.leg_market(store, pair, role) for role in (Role.LONG, Role.SHORT))
    return leg_view(config, long), leg_view(config, short)
