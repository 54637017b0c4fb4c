"""Whether the legs of a pair are in ratio, and what one leg can trade against a delta.

*In ratio*: |delta| is at most the band of the pair's state, or less than any leg can trade against it.  A
pair that is not in ratio is *naked*.  What must stay true: a naked pair has a leg in which an order against
its delta is tradable, so that nobody is naked for want of an order that the venue takes.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.model.instrument import Side, base_per_qty
from bot.model.money import ZERO, exact, floor_to
from bot.model.pair import PairState, Role
from bot.model.store import Market, Pair, Store
from risk.exposure import pair_delta_base, residual_base, tolerance_base
from risk.tradable import (
    ORDER_MARGIN,
    RESTING_MARGIN,
    available_qty,
    base_fee_rate,
    is_gone,
    is_tradable,
    touch_price,
)


class Adjustment(Struct, frozen=True):
    """An order in one leg that takes delta away: ``qty`` > 0 in venue units; ``reduces`` its leg's
    position."""

    side: Side
    qty: Decimal
    reduces: bool


def leg_size_base(market: Market, qty: Decimal) -> float:
    """Absolute size of a leg in base currency, at the mark where it depends on a price."""
    if market.instrument.inverse and market.mark is None:
        return 0.0
    return abs(float(qty)) * base_per_qty(market.instrument, float(market.mark or 1))


def drift_band_base(store: Store, pair: Pair) -> float:
    """Hedge error of a held pair that is left alone, base currency: the larger of its band in basis points of
    the long leg and its band in lots, and never less than one lot of the coarser leg."""
    lot_base = float(tolerance_base(store, pair))
    if store.config is None:
        return lot_base
    strategy = store.config.strategy
    leg_base = leg_size_base(store.markets[pair.spec.long], pair.long.position.qty)
    return max(strategy.drift_band_bps / 1e4 * leg_base, strategy.drift_band_lots * lot_base, lot_base)


def in_ratio(store: Store, pair: Pair) -> bool:
    """Whether a pair's delta is within the band of its state, or too small for any of its legs to trade."""
    delta = pair_delta_base(store, pair)
    if abs(delta) <= tolerance_base(store, pair):
        return True
    if pair.state is PairState.HEDGED and abs(delta) <= exact(drift_band_base(store, pair)):
        return True
    at_rest = pair.state in (PairState.FLAT, PairState.HEDGED)
    margin = RESTING_MARGIN if at_rest else ORDER_MARGIN
    return all(against(store, pair, role, float(delta), margin) is None for role in Role)


def against(
    store: Store, pair: Pair, role: Role, delta_base: float, margin: Decimal = ORDER_MARGIN
) -> Adjustment | None:
    """The order in one leg that takes ``delta_base`` away, or as much of it as one order may.

    What reduces a leg never turns it, and what is not held is not sold, nor bought back. ``None`` where there
    is no price or the venue would not take so little.
    """
    leg, market = pair.leg(role), store.markets[pair.spec.instrument(role)]
    side = Side.SELL if delta_base > 0 else Side.BUY
    price = touch_price(market, side)
    if price is None:
        return None
    instrument, held = market.instrument, available_qty(store, leg)
    reduces = leg.position.qty != 0 and (leg.position.qty > 0) != (side is Side.BUY)
    if not reduces:  # coins without a leg count again once it grows, and may owe the opposite
        delta_base, asked = delta_base + float(residual_base(store, pair)), delta_base
        if delta_base * asked <= 0.0:
            return None
    kept = 1.0 - side.sign * float(base_fee_rate(market, side))
    wanted = abs(delta_base) / kept / base_per_qty(instrument, float(price))
    qty = _at_most(market, floor_to(exact(wanted), instrument.lot))
    if reduces:
        most = floor_to(abs(held), instrument.lot)
        # of a leg that is left alone everything goes, whatever its coins made of the delta
        qty = _at_most(market, most) if is_gone(store, pair.leg(role.other)) else min(qty, most)
    elif side is not role.opening_side:
        return None  # a leg that is gone is not opened the other way
    if not is_tradable(instrument, qty, price, reduces, margin):
        return None
    return Adjustment(side, qty, reduces)


def _at_most(market: Market, qty: Decimal) -> Decimal:
    return max(ZERO, min(qty, floor_to(market.instrument.qty_max, market.instrument.lot)))
