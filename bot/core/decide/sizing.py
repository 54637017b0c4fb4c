"""How much to trade in both legs at once.

Sizes are worked out in floats from ladders and become exact once, when they are cut to the venue's lot.
The leg with the coarser lot is sized first and the other one follows it, so that the pair ends as close to
zero delta as lots allow; what the pair is short or long of already is made good in the same breath, and a
fee that is kept back in base currency is bought along.
"""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from bot.core import views
from bot.model.config import Config
from bot.model.instrument import Instrument, Side, base_per_qty, reference_per_qty
from bot.model.money import (
    ONE,
    REFERENCE_QUANTUM,
    ZERO,
    divide,
    exact,
    floor_to,
    nearest_to,
)
from bot.model.pair import Role
from bot.model.store import Market, Pair, Store
from bot.quant.basis import walk_quote
from risk.exposure import pair_delta_base, residual_base
from risk.margin import leverage_at
from risk.tradable import available_qty, base_fee_rate, closable_qty, is_dust, is_gone, is_tradable

LEAST_MARGIN = Decimal("1.2")  # over the minimum: more than an order's, so that a lot less still passes
LAST_CLIP = 1.5  # an exit of less than this many clips is one clip: no crumb is left to trade
LADDER_SHARE = 0.75  # of the least order that a ladder must hold
ROUNDING = 1.0 + 1e-9  # what a comparison of two floats may be apart


class Size(Struct, frozen=True):
    """Quantities of one two-legged group, venue units, both ≥ 0 and one of them > 0."""

    long_qty: Decimal
    short_qty: Decimal

    def qty(self, role: Role) -> Decimal:
        return self.long_qty if role is Role.LONG else self.short_qty


class Executable(Struct, frozen=True):
    """One leg as sizing sees it: executable price of a clip, base currency per unit and per lot, and
    ``delta_base``, what a unit traded moves the pair's delta by (> 0), a fee paid in base included."""

    instrument: Instrument
    price: float
    per_qty_base: float
    lot_base: float
    delta_base: float


def executable(market: Market, side: Side, clip_quote: float) -> Executable | None:
    """The side of a leg that a clip would trade against; ``None`` when its ladder is too thin."""
    walked = walk_quote(market.asks if side is Side.BUY else market.bids, clip_quote)
    return None if walked is None else _at_price(market, side, walked[0])


def _at_price(market: Market, side: Side, price: float) -> Executable:
    per_qty = base_per_qty(market.instrument, price)
    lot_base = float(market.instrument.lot) * per_qty
    delta_base = per_qty * (1.0 - side.sign * float(base_fee_rate(market, side)))
    return Executable(market.instrument, price, per_qty, lot_base, delta_base)


# --- entering ---------------------------------------------------------------------------------------------


MOST = 3  # parts of a capital that an entry of one part takes at most: each leg locks all that it is worth


def capital_used_quote(store: Store, pair: Pair) -> Decimal:
    """What a pair uses of its capital: its long leg at the mark, and the margin that its contracts lock."""
    total = ZERO
    for leg in pair.legs:
        if not leg.position.qty:
            continue
        market = store.markets[leg.instrument]
        worth = views.notional_quote(market, leg.position.qty) or ZERO
        if leg.role is Role.LONG:
            total += worth
        locked = _locked_share(market, leg.position.qty)
        if locked:
            total += worth * locked
    return total


def entry_clip_quote(store: Store, config: Config, pair: Pair, used: Decimal) -> float:
    """A clip of an entry: with the margin that it locks it fits into what is left of the capital."""
    long, short = store.markets[pair.spec.long], store.markets[pair.spec.short]
    locked = _locked_share(long, ZERO) + _locked_share(short, ZERO)
    left = pair.spec.capital_quote - used
    return min(float(config.strategy.clip_quote), float(left) / (1.0 + float(locked)))


def is_in_use(store: Store, config: Config, pair: Pair, used: Decimal) -> bool:
    """Whether less than half a clip of the capital is left for an entry."""
    clip, left = config.strategy.clip_quote, pair.spec.capital_quote - used
    if left * 2 >= clip * MOST:
        return False
    return entry_clip_quote(store, config, pair, used) * 2 < float(clip)


def _locked_share(market: Market, qty: Decimal) -> Decimal:
    """Part of a contract's value that the venue locks as initial margin, at the leverage that is set, or
    where none is told the highest of its tier; 0 for spot."""
    instrument, mark = market.instrument, market.mark
    if instrument.is_spot or mark is None or not instrument.brackets:
        return ZERO
    tier = instrument.brackets[0]
    if qty:
        value = abs(qty) * reference_per_qty(instrument, mark)
        tier = next((each for each in instrument.brackets if value <= each.cap), instrument.brackets[-1])
    return _share_at(leverage_at(tier, market.leverage))


@lru_cache(maxsize=256)
def _share_at(leverage: int) -> Decimal:
    return divide(ONE, Decimal(leverage), REFERENCE_QUANTUM)


def entry_size(store: Store, pair: Pair, clip_quote: float) -> Size | None:
    """A clip's two quantities, or ``None`` when a ladder is thin or a leg would be below its venue's
    minimum.  Coins that an earlier position left behind are hedged along."""
    long = executable(store.markets[pair.spec.long], Side.BUY, clip_quote)
    short = executable(store.markets[pair.spec.short], Side.SELL, clip_quote)
    if long is None or short is None:
        return None
    delta_base = float(pair_delta_base(store, pair) + residual_base(store, pair))
    base = clip_quote / long.price
    if short.lot_base >= long.lot_base:
        short_qty = _floor(base / short.per_qty_base, short.instrument)
        owed_base = float(short_qty) * short.delta_base - delta_base
        long_qty = _nearest(owed_base / long.delta_base, long.instrument)
    else:
        long_qty = _floor(base / long.per_qty_base, long.instrument)
        owed_base = float(long_qty) * long.delta_base + delta_base
        short_qty = _nearest(owed_base / short.delta_base, short.instrument)
    for leg, qty in ((long, long_qty), (short, short_qty)):
        if not is_tradable(leg.instrument, qty, exact(leg.price), reduces=False):
            return None
    return Size(long_qty, short_qty)


# --- leaving ----------------------------------------------------------------------------------------------


class ExitBound(Struct, frozen=True):
    """What one group of an exit may be at most: worth in quote currency of a leg, and what each ladder holds
    inside its collar, base currency."""

    clip_quote: float
    long_depth_base: float
    short_depth_base: float


def exit_size(store: Store, pair: Pair, bound: ExitBound) -> Size | str:
    """A clip of an exit; all that is left when that is little more than a clip and the ladders hold it.

    Both legs fall in ratio, and what one of them cannot trade stays hedged by the other. A leg that is gone
    or dust has quantity zero. Without a size, the reason's code.
    """
    long_market, short_market = store.markets[pair.spec.long], store.markets[pair.spec.short]
    # the book of a leg that is gone may be empty
    long = _at_price(long_market, Side.SELL, (long_market.bids or short_market.asks)[0][0])
    short = _at_price(short_market, Side.BUY, (short_market.asks or long_market.bids)[0][0])
    long_held, short_held = available_qty(store, pair.long), -available_qty(store, pair.short)
    long_most, short_most = _most(long_market, long_held), _most(short_market, -short_held)
    long_base, short_base = float(long_held) * long.per_qty_base, float(short_held) * short.per_qty_base
    depth_base = min(
        bound.long_depth_base if long_most else float("inf"),
        bound.short_depth_base if short_most else float("inf"),
    )
    clip_base = bound.clip_quote / long.price
    whole_base = max(long_base, short_base)
    rests = _rests(store, pair, long_most, short_most)
    if not rests and whole_base <= clip_base * LAST_CLIP and whole_base <= depth_base:
        return Size(long_most, short_most)
    if any(
        most == 0 and not is_gone(store, leg)
        for leg, most in ((pair.long, long_most), (pair.short, short_most))
    ):
        return "stranded"
    least_base = max(_least_base(long), _least_base(short))
    # the least order may be a little more than its ladder: what is not filled is hedged again
    if depth_base < least_base * LADDER_SHARE:
        return "thin_book"
    coarse_base = max(long.lot_base, short.lot_base)
    least_base = math.ceil(least_base / coarse_base / ROUNDING) * coarse_base * ROUNDING
    wanted_base = max(min(clip_base, depth_base, whole_base), least_base)
    if not rests and whole_base - wanted_base < least_base * ROUNDING:
        # the rest must be tradable, in both legs
        wanted_base = whole_base - least_base if whole_base > 2.0 * least_base * ROUNDING else whole_base
        if wanted_base == whole_base:
            return Size(long_most, short_most)
    found = _in_ratio(store, pair, (long, long_most), (short, short_most), wanted_base)
    if found is None and rests and is_dust(store, long_market, pair.long.position.qty - long_most):
        found = Size(long_most, short_most)  # what is left of the short leg is less than a lot
    found = found or _last_of_a_leg((long, long_most), (short, short_most))
    if found is None:
        return "stranded" if rests else "thin_book"
    if found.long_qty == long_most and not rests and short_base <= depth_base:
        # coins that an inverse leg earned cannot be sold from the long one: the last of it takes all of the
        # short
        return Size(long_most, short_most)
    return found


def _last_of_a_leg(
    long_leg: tuple[Executable, Decimal], short_leg: tuple[Executable, Decimal]
) -> Size | None:
    """A leg that is worth less than a lot of the other one goes with that lot: coins hedge the rest of it."""
    (long, long_most), (short, short_most) = long_leg, short_leg
    if 0 < float(long_most) * long.per_qty_base <= LAST_CLIP * short.lot_base:
        return Size(long_most, min(short_most, short.instrument.lot))
    if 0 < float(short_most) * short.per_qty_base <= LAST_CLIP * long.lot_base:
        return Size(min(long_most, long.instrument.lot), short_most)
    return None


def _most(market: Market, held: Decimal) -> Decimal:
    """What one order may close of a leg now."""
    instrument = market.instrument
    return min(closable_qty(market, held), floor_to(instrument.qty_max, instrument.lot))


def _rests(store: Store, pair: Pair, long_most: Decimal, short_most: Decimal) -> bool:
    """Whether something that is not dust would be left in a leg, if as much as possible were closed in it."""
    long_rest, short_rest = pair.long.position.qty - long_most, pair.short.position.qty + short_most
    return not (
        is_dust(store, store.markets[pair.spec.long], long_rest)
        and is_dust(store, store.markets[pair.spec.short], short_rest)
    )


def _in_ratio(
    store: Store,
    pair: Pair,
    long_leg: tuple[Executable, Decimal],
    short_leg: tuple[Executable, Decimal],
    wanted_base: float,
) -> Size | None:
    """Quantities of about ``wanted_base`` that leave the pair without delta, to a lot of the coarser leg;
    each leg has at most what it can close.  ``None`` where a leg would be too small to trade."""
    (long, long_most), (short, short_most) = long_leg, short_leg
    delta_base = float(pair_delta_base(store, pair))
    if short.lot_base >= long.lot_base:
        most = min(wanted_base, (float(long_most) * long.delta_base - delta_base))
        short_qty = min(short_most, _floor(most / short.per_qty_base, short.instrument))
        long_qty = _nearest(
            (delta_base + float(short_qty) * short.delta_base) / long.delta_base, long.instrument
        )
        long_qty = min(long_qty, long_most)
    else:
        most = min(wanted_base, (float(short_most) * short.delta_base + delta_base))
        long_qty = min(long_most, _floor(most / long.per_qty_base, long.instrument))
        short_qty = _nearest(
            (float(long_qty) * long.delta_base - delta_base) / short.delta_base, short.instrument
        )
        short_qty = min(short_qty, short_most)
    coarse_base = max(long.lot_base, short.lot_base)
    found = []
    for leg, qty in ((long, long_qty), (short, short_qty)):
        is_crumb = not is_tradable(leg.instrument, qty, exact(leg.price), reduces=True)
        if is_crumb and float(qty) * leg.per_qty_base >= coarse_base:
            return None
        found.append(ZERO if is_crumb else qty)  # without a crumb the other leg brings the hedge back
    return Size(*found) if any(found) else None


def depth_base(market: Market, side: Side, limit: Decimal) -> float:
    """What a ladder holds for an order of ``side`` up to ``limit``, base currency."""
    levels = market.asks if side is Side.BUY else market.bids
    bound = float(limit)
    return sum(size for price, size in levels if (price - bound) * side.sign <= 0.0)


def _least_base(leg: Executable) -> float:
    """The least that an order in this leg may be, base currency; for a contract that only reduces, a lot."""
    instrument = leg.instrument
    least = max(float(instrument.lot), float(instrument.qty_min)) * leg.per_qty_base
    if not instrument.is_spot:
        return least
    return max(least, float(LEAST_MARGIN * instrument.notional_min) / leg.price)


def _floor(qty: float, instrument: Instrument) -> Decimal:
    return floor_to(exact(max(qty, 0.0)), instrument.lot)


def _nearest(qty: float, instrument: Instrument) -> Decimal:
    return nearest_to(exact(max(qty, 0.0)), instrument.lot)
