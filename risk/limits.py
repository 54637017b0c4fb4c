"""Every limit, one small check each: numbers in, a refusal or nothing out.

A limit on a state (notional, delta, margin) refuses what passes it *and* makes it worse: ``before`` is the
worst case without the order under test, ``after`` the one with it. So an order that does not add to an
exposure that a price has carried beyond its limit is not refused for it, and no order ever raises one above
it. A limit is reached, not passed, by a value that is equal to it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from bot.model.commands import PlaceOrder
from bot.model.config import Limits, Margin
from bot.model.ids import PairName
from bot.model.instrument import Instrument, notional_quote
from bot.model.money import BPS, ONE, exact, is_multiple, text

exact_limit = lru_cache(maxsize=64)(exact)  # limits are few and asked for at every step

MINUTE_NS = 60_000_000_000


class Refused(Struct, frozen=True):
    """Why a group is not admitted: the rule, the value that broke it and its limit, as plain numbers."""

    rule: str
    value: str
    limit: str
    pair: str


class MarginBounds(Struct, frozen=True):
    """Least margin ratio, and least distance of mark to liquidation as a fraction of the mark."""

    ratio: Decimal
    distance: Decimal


OPENING_SHARE = Decimal("1.1")  # what is opened stays this much inside of what latches
HALF = Decimal("0.5")


@lru_cache(maxsize=16)
def latch_bounds(limits: Limits) -> MarginBounds:
    """What binds a pair to REDUCE_ONLY."""
    return MarginBounds(exact(limits.margin_ratio_min), exact(limits.liquidation_distance_min))


@lru_cache(maxsize=16)
def opening_bounds(limits: Limits, margin: Margin) -> MarginBounds:
    """What an opening order must leave, 10 % inside of what latches unless the settings say otherwise."""
    latch, ratio, distance = latch_bounds(limits), margin.opening_ratio_min, margin.opening_distance_min
    return MarginBounds(
        latch.ratio * OPENING_SHARE if ratio is None else exact(ratio),
        min(ONE, latch.distance * OPENING_SHARE) if distance is None else exact(distance),
    )


@lru_cache(maxsize=16)
def deleverage_bounds(limits: Limits, margin: Margin) -> MarginBounds:
    """Below these both legs are reduced: halfway from what latches to liquidation, ratio 1 and distance 0."""
    latch, ratio, distance = latch_bounds(limits), margin.deleverage_ratio, margin.deleverage_distance
    return MarginBounds(
        (latch.ratio + ONE) * HALF if ratio is None else exact(ratio),
        latch.distance * HALF if distance is None else exact(distance),
    )


# --- one order --------------------------------------------------------------------------------------------


def order_notional(limits: Limits, pair: PairName, notional: Decimal) -> Refused | None:
    """``notional``: quantity at the higher of its limit price and the mark, NAV currency."""
    return _above("order_notional", pair, notional, limits.order_notional_max_quote)


def order_qty(limits: Limits, pair: PairName, qty_base: Decimal) -> Refused | None:
    if limits.order_qty_max_base is None:
        return None
    return _above("order_qty", pair, qty_base, limits.order_qty_max_base)


def price_collar(limits: Limits, pair: PairName, price: Decimal, index: Decimal) -> Refused | None:
    """Distance of an order's price from the index, either way."""
    allowed = index * exact_limit(limits.collar_bps) * BPS
    if abs(price - index) <= allowed:
        return None
    return Refused("price_collar", text(price), f"{text(index)} ± {text(allowed)}", pair)


def order_rate(
    limits: Limits, pair: PairName, opening_ns: tuple[int, ...], at_ns: int, adding: int
) -> Refused | None:
    """Opening orders of the last minute, those of the group included."""
    count = adding + sum(1 for sent_ns in opening_ns if at_ns - sent_ns < MINUTE_NS)
    if count <= limits.opening_orders_per_min:
        return None
    return Refused("order_rate", str(count), str(limits.opening_orders_per_min), pair)


def venue_filters(instrument: Instrument, order: PlaceOrder, mark: Decimal | None) -> Refused | None:
    """What the venue is certain to reject: its price, quantity and value filters.

    A contract order that only reduces may be of any value; without a mark the percent-price filter, which is
    relative to it, is left to the venue.
    """
    pair = order.pair
    if not is_multiple(order.qty, instrument.lot):
        return Refused("lot", text(order.qty), text(instrument.lot), pair)
    if not is_multiple(order.price, instrument.tick):
        return Refused("tick", text(order.price), text(instrument.tick), pair)
    if order.qty < instrument.qty_min:
        return Refused("qty_min", text(order.qty), text(instrument.qty_min), pair)
    if order.qty > instrument.qty_max:
        return Refused("qty_max", text(order.qty), text(instrument.qty_max), pair)
    worth = notional_quote(instrument, order.qty, order.price)
    if worth < instrument.notional_min and (instrument.is_spot or not order.reduce_only):
        return Refused("notional_min", text(worth), text(instrument.notional_min), pair)
    if mark is not None:
        low, high = mark * instrument.price_down, mark * instrument.price_up
        if not low <= order.price <= high:
            return Refused("percent_price", text(order.price), f"{text(low)} … {text(high)}", pair)
    return None


# --- exposure ---------------------------------------------------------------------------------------------


def pair_notional(limits: Limits, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    """The larger leg of a pair."""
    return _raised("pair_notional", pair, before, after, limits.pair_notional_max_quote)


def venue_notional(limits: Limits, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    return _raised("venue_notional", pair, before, after, limits.venue_notional_max_quote)


def gross_notional(limits: Limits, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    return _raised("gross_notional", pair, before, after, limits.gross_notional_max_quote)


def net_delta(limits: Limits, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    return _raised("net_delta", pair, before, after, limits.net_delta_max_quote)


def naked(limits: Limits, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    return _raised("naked", pair, before, after, limits.naked_max_quote)


# --- margin and money -------------------------------------------------------------------------------------


def leverage(limits: Limits, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    return _raised("leverage", pair, before, after, exact_limit(limits.leverage_max))


def margin_ratio(bounds: MarginBounds, pair: PairName, before: Decimal, after: Decimal) -> Refused | None:
    return _lowered("margin_ratio", pair, before, after, bounds.ratio)


def liquidation_distance(
    bounds: MarginBounds, pair: PairName, before: Decimal, after: Decimal
) -> Refused | None:
    return _lowered("liquidation_distance", pair, before, after, bounds.distance)


def leverage_bracket(pair: PairName, before: Decimal, after: Decimal, cap: Decimal) -> Refused | None:
    """Value of a contract position, in its margin's unit, against the largest that the venue allows at the
    leverage that is set for it."""
    return _raised("leverage_bracket", pair, before, after, cap)


def initial_margin(pair: PairName, needed: Decimal, equity: Decimal) -> Refused | None:
    """Initial margin of everything held or working, against the equity that carries it."""
    return _above("initial_margin", pair, needed, equity)


def free_balance(pair: PairName, needed: Decimal, free: Decimal) -> Refused | None:
    """What spot purchases spend, against the cash that no other order has claimed."""
    return _above("balance", pair, needed, free)


def owned_coins(pair: PairName, selling: Decimal, owned: Decimal) -> Refused | None:
    """Spot sales, those in flight included, against what the pair itself bought: a baseline is never sold."""
    return _above("owned_coins", pair, selling, owned)


def turned_leg(pair: PairName, closing: Decimal, held: Decimal) -> Refused | None:
    """Orders that close a contract, those in flight included, against what the leg holds."""
    return _above("turned_leg", pair, closing, held)


# --- feeds and clocks -------------------------------------------------------------------------------------


def feed_age(age_max_s: float, pair: PairName, age_ns: int) -> Refused | None:
    if age_ns <= age_max_s * 1e9:
        return None
    return Refused("stale_feed", f"{age_ns / 1e9:.3f} s", f"{age_max_s:g} s", pair)


def clock_offset(limits: Limits, pair: PairName, offset_ns: int) -> Refused | None:
    if abs(offset_ns) <= limits.clock_offset_max_ms * 1e6:
        return None
    return Refused("clock_offset", f"{offset_ns / 1e6:.3f} ms", f"{limits.clock_offset_max_ms:g} ms", pair)


def _above(rule: str, pair: PairName, value: Decimal, limit: Decimal) -> Refused | None:
    return Refused(rule, text(value), text(limit), pair) if value > limit else None


def _raised(rule: str, pair: PairName, before: Decimal, after: Decimal, limit: Decimal) -> Refused | None:
    return Refused(rule, text(after), text(limit), pair) if after > limit and after > before else None


def _lowered(rule: str, pair: PairName, before: Decimal, after: Decimal, limit: Decimal) -> Refused | None:
    return Refused(rule, text(after), text(limit), pair) if after < limit and after < before else None
