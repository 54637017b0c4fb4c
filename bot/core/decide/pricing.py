"""The limit of a taker: how far from the ladder, and how far from a reference that is young enough.

An entry may lie `slippage_bps` beyond the level that its size reaches, and never beyond the collar around
the index. A repair, an unwind and an exit by force widen with each fruitless attempt towards the collar,
and their collar doubles every five seconds without a fill.  What must stay true: a reference older than its
age is none, and what shrinks is then bounded by its own book.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import views
from bot.model.config import Config
from bot.model.instrument import Side, base_per_qty
from bot.model.money import ceil_to, exact, floor_to
from bot.model.store import Market, Pair
from risk.tradable import ORDER_MARGIN

COLLAR_STEP_NS = 5_000_000_000
WIDENING_TRIES = 3  # fruitless attempts after which a limit lies at its collar


def reference(config: Config, market: Market, at_ns: int, opening: bool) -> Decimal | None:
    """What the collar is measured from: the index while it is young; for what shrinks, else the book's own
    mid."""
    age_max_s = config.limits.feed_age_max_s + config.strategy.heartbeat_s
    is_young = at_ns - market.index_ns <= age_max_s * 1e9
    if market.index is not None and (opening or is_young):
        return market.index
    return None if opening else views.mid(market)


def collar_bps(config: Config, pair: Pair, at_ns: int, forced: bool) -> float:
    """Distance from the reference that an order of this pair may have now, basis points."""
    base_bps = config.limits.collar_bps
    if not forced or not pair.collar_ns:
        return base_bps
    steps = (at_ns - pair.collar_ns) // COLLAR_STEP_NS
    return max(base_bps, min(base_bps * 2.0 ** min(steps, 64), config.exit.collar_max_bps))


def slippage_bps(config: Config, pair: Pair, collar: float, forced: bool) -> float:
    """How far beyond the walked ladder a limit may lie: by force, wider with each attempt that filled
    nothing."""
    base_bps = config.strategy.slippage_bps
    if not forced:
        return base_bps
    share = min(pair.fruitless, WIDENING_TRIES) / WIDENING_TRIES
    return base_bps + max(0.0, collar - base_bps) * share


def limit_price(
    market: Market, side: Side, qty: Decimal, slippage: float, collar: float, around: Decimal
) -> Decimal | None:
    """A taker's limit: the worst level the walk needs, plus ``slippage``, never beyond ``collar`` from
    ``around`` nor beyond the venue's band around the mark; both in basis points.

    A ladder that does not cover ``qty`` gives its last level: the rest expires.  ``None`` without a ladder.
    """
    levels = market.asks if side is Side.BUY else market.bids
    if not levels:
        return None
    left_base = float(qty) * base_per_qty(market.instrument, levels[0][0])
    worst = levels[0][0]
    for price, size_base in levels:
        worst = price
        left_base -= size_base
        if left_base <= 1e-12:
            break
    farthest, tick = collar_price(market, side, collar, around), market.instrument.tick
    if side is Side.BUY:
        return min(floor_to(exact(worst * (1.0 + slippage / 1e4)), tick), farthest)
    limit = max(ceil_to(exact(worst * (1.0 - slippage / 1e4)), tick), farthest)
    return _worth_its_minimum(market, qty, limit) if market.instrument.is_spot else limit


def collar_price(market: Market, side: Side, collar: float, around: Decimal) -> Decimal:
    """The farthest limit that an order may have: the collar, or the venue's own band where that is
    narrower."""
    instrument, tick = market.instrument, market.instrument.tick
    bound = exact(float(around) * (1.0 + side.sign * collar / 1e4))
    if side is Side.BUY:
        farthest = floor_to(bound, tick)
        return (
            farthest
            if market.mark is None
            else min(farthest, floor_to(market.mark * instrument.price_up, tick))
        )
    farthest = ceil_to(bound, tick)
    return (
        farthest if market.mark is None else max(farthest, ceil_to(market.mark * instrument.price_down, tick))
    )


def _worth_its_minimum(market: Market, qty: Decimal, limit: Decimal) -> Decimal:
    """A sale of coins is worth quantity × limit to the venue's filter: a wide limit must not push it
    below."""
    instrument, bid = market.instrument, exact(market.bids[0][0])
    needed = ORDER_MARGIN * instrument.notional_min
    if qty * limit >= needed or qty * bid < needed:
        return limit
    return bid


def meets_book(market: Market, side: Side, limit: Decimal) -> bool:
    """Whether an order at ``limit`` can execute against the book as it stands."""
    if side is Side.BUY:
        return bool(market.asks) and limit >= exact(market.asks[0][0])
    return bool(market.bids) and limit <= exact(market.bids[0][0])


def distance_bps(market: Market, side: Side, around: Decimal) -> float:
    """How far the touch that an order of ``side`` meets lies beyond the reference, basis points."""
    levels = market.asks if side is Side.BUY else market.bids
    return side.sign * (levels[0][0] / float(around) - 1.0) * 1e4 if levels else 0.0
