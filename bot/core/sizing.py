"""How much to trade, and at what limit.

Sizes are worked out in floats from ladders and become exact once, when they are cut to the venue's lot.
The leg with the coarser lot is sized first and the other one follows it, so that the pair ends as close to
zero delta as lots allow; what the pair is short or long of already is made good in the same breath, and a
fee that is kept back in base currency is bought along.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.core.views import taker_fee_in_base
from bot.model.instrument import Instrument, Side, base_per_qty
from bot.model.money import ZERO, ceil_to, exact, floor_to, nearest_to
from bot.model.store import Leg, Market, Pair, Store
from bot.quant.basis import walk_quote
from risk.exposure import pair_delta_base

LAST_CLIP = 1.5  # an exit of less than this many clips is one clip: no crumb is left to trade


class Size(Struct, frozen=True):
    """Quantities of one two-legged group, venue units, both > 0."""

    long_qty: Decimal
    short_qty: Decimal


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
    if walked is None:
        return None
    per_qty = base_per_qty(market.instrument, walked[0])
    lot_base = float(market.instrument.lot) * per_qty
    delta_base = per_qty * (1.0 - side.sign * taker_fee_in_base(market.instrument, side))
    return Executable(market.instrument, walked[0], per_qty, lot_base, delta_base)


def entry_size(store: Store, pair: Pair, clip_quote: float) -> Size | None:
    """A clip's two quantities, or ``None`` when a ladder is thin or a leg would be below its venue's
    minimum."""
    long = executable(store.markets[pair.spec.long], Side.BUY, clip_quote)
    short = executable(store.markets[pair.spec.short], Side.SELL, clip_quote)
    if long is None or short is None:
        return None
    delta_base = float(pair_delta_base(store, pair))
    base = clip_quote / long.price
    if short.lot_base >= long.lot_base:
        short_qty = _floor(base / short.per_qty_base, short.instrument)
        owed_base = float(short_qty) * short.delta_base - delta_base
        long_qty = _nearest(owed_base / long.delta_base, long.instrument)
    else:
        long_qty = _floor(base / long.per_qty_base, long.instrument)
        owed_base = float(long_qty) * long.delta_base + delta_base
        short_qty = _nearest(owed_base / short.delta_base, short.instrument)
    if too_small(long.instrument, long_qty, long.price) or too_small(
        short.instrument, short_qty, short.price
    ):
        return None
    return Size(long_qty, short_qty)


def exit_size(store: Store, pair: Pair, clip_quote: float) -> Size | None:
    """A clip of an exit; all that is left when that is little more than a clip, or when the clip would sell
    the last of the long leg. A leg that has nothing to close has quantity zero.

    ``None`` when a ladder is too thin.
    """
    long_held, short_held = pair.long.position.qty, -pair.short.position.qty
    long_market, short_market = store.markets[pair.spec.long], store.markets[pair.spec.short]
    whole_quote = max(_worth(long_market, long_held), _worth(short_market, short_held))
    whole = whole_quote <= clip_quote * LAST_CLIP
    if whole_quote <= 0.0:
        return None
    long = executable(long_market, Side.SELL, whole_quote if whole else clip_quote)
    short = executable(short_market, Side.BUY, whole_quote if whole else clip_quote)
    if long is None or short is None:
        return None
    delta_base = float(pair_delta_base(store, pair))
    short_qty = short_held
    if not whole:
        wanted = clip_quote / short.price / short.per_qty_base
        short_qty = min(short_held, max(short.instrument.lot, _floor(wanted, short.instrument)))
    long_left = floor_to(long_held, long.instrument.lot)
    long_qty = _nearest((delta_base + float(short_qty) * short.delta_base) / long.delta_base, long.instrument)
    if long_qty >= long_left:  # coins an inverse leg earned cannot be sold from the long one
        short_qty, long_qty = short_held, long_left
    if whole and not long.instrument.is_spot:
        long_qty = long_held
    return Size(_within(long.instrument, long_qty), _within(short.instrument, short_qty))


def _within(instrument: Instrument, qty: Decimal) -> Decimal:
    """A quantity that one order may have: not below zero, not above the venue's maximum."""
    return max(ZERO, min(qty, floor_to(instrument.qty_max, instrument.lot)))


def adjustment(market: Market, leg: Leg, delta_base: float) -> tuple[Side, Decimal, bool] | None:
    """The order in one leg that takes ``delta_base`` away: side, quantity, reduce-only.

    ``None`` when there is no price or the venue would not take so little.  What shrinks a leg never turns it.
    """
    side = Side.SELL if delta_base > 0 else Side.BUY
    levels = market.asks if side is Side.BUY else market.bids
    if not levels:
        return None
    instrument, price = market.instrument, levels[0][0]
    kept = 1.0 - side.sign * taker_fee_in_base(instrument, side)
    qty = _floor(abs(delta_base) / kept / base_per_qty(instrument, price), instrument)
    qty = _within(instrument, qty)
    held = leg.position.qty
    shrinking = held != 0 and (held > 0) != (side is Side.BUY)
    if shrinking:
        qty = min(qty, floor_to(abs(held), instrument.lot))
    elif instrument.is_spot and side is Side.SELL:
        return None  # what is not held is not sold
    reduce_only = shrinking and not instrument.is_spot
    if qty < max(instrument.lot, instrument.qty_min):
        return None
    if not reduce_only and too_small(instrument, qty, price):
        return None
    return side, qty, reduce_only


def too_small(instrument: Instrument, qty: Decimal, price: float) -> bool:
    """Below the venue's minimum quantity or notional."""
    if qty < instrument.lot or qty < instrument.qty_min:
        return True
    worth = qty * instrument.contract_size
    return (worth if instrument.inverse else worth * exact(price)) < instrument.notional_min


def limit_price(
    market: Market, side: Side, qty: Decimal, slippage_bps: float, collar_bps: float
) -> Decimal | None:
    """A taker's limit: the worst level the walk needs, plus slippage, never beyond the collar around the
    index.

    A ladder that does not cover ``qty`` gives its last level: the rest expires.  ``None`` without a ladder or
    an index.
    """
    levels = market.asks if side is Side.BUY else market.bids
    if market.index is None or not levels:
        return None
    left_base = float(qty) * base_per_qty(market.instrument, levels[0][0])
    worst = None
    for price, size_base in levels:
        worst = price
        left_base -= size_base
        if left_base <= 1e-12:
            break
    if worst is None:
        return None
    index, tick = float(market.index), market.instrument.tick
    if side is Side.BUY:
        bound = min(worst * (1.0 + slippage_bps / 1e4), index * (1.0 + collar_bps / 1e4))
        return floor_to(exact(bound), tick)
    bound = max(worst * (1.0 - slippage_bps / 1e4), index * (1.0 - collar_bps / 1e4))
    return ceil_to(exact(bound), tick)


def _worth(market: Market, qty: Decimal) -> float:
    levels = market.bids or market.asks
    if not levels:
        return 0.0
    return float(qty) * base_per_qty(market.instrument, levels[0][0]) * levels[0][0]


def _floor(qty: float, instrument: Instrument) -> Decimal:
    return floor_to(exact(max(qty, 0.0)), instrument.lot)


def _nearest(qty: float, instrument: Instrument) -> Decimal:
    return nearest_to(exact(max(qty, 0.0)), instrument.lot)
