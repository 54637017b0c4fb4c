"""What the book is exposed to, now and in the worst case.

*Delta* of a leg is the change of its equity in quote currency per unit of price, coin profit included. An
inverse leg is worth ``(coin_cash + cost − N / price) × price`` quote, so its delta is ``coin_cash + cost``:
a number that fills and payments change and that the price alone does not. Which coins margin that leg is no
part of it: a baseline is never counted, and a pair's spot leg is counted once, as the other leg. Coins count
while both legs are held or being built. Where a leg is gone they are the pair's *residual*: a figure of its
own, which no order in either leg could end (ADR 15).

*Worst case* means that any subset of what may still fill does fill: every live and uncertain order, and the
group under test.  Three measures differ in what "any subset" ranges over:

- notional: each leg alone, the far end of ``position − sells … position + buys``, at the mark;
- naked: each pair alone, every order on its own, since one leg of a group may fill without the other;
- net delta: the whole book, a group's legs taken together, deltas of the same base currency netted.

Limits are in NAV currency.  A number that is needed and not there raises `MissingData`; nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from bot.model.commands import PlaceOrder
from bot.model.config import Config
from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Instrument, Position, Side, base_per_qty, fill_cost, notional_quote
from bot.model.money import COIN_QUANTUM, ZERO, divide
from bot.model.pair import Role
from bot.model.store import Market, Order, Pair, Store, live_orders, live_orders_of
from risk.tradable import base_fee_rate, is_gone

QUOTE_QUANTUM = Decimal("1e-8")
UNDER_TEST = -1  # group of orders that are not sent yet


class MissingData(Exception):
    """A number that a rule needs is not known: ``what`` is missing, ``where`` it belongs."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} of {where} is not known")
        self.what = what
        self.where = where


class Pending(Struct, frozen=True, gc=False):
    """A quantity that may still fill: the rest of a living order, or an order under test.

    ``qty`` > 0 in venue units; ``group_ns`` tells orders that were sent in one step.
    """

    pair: PairName
    role: Role
    instrument: InstrumentId
    side: Side
    qty: Decimal
    price: Decimal
    group_ns: int

    @property
    def signed_qty(self) -> Decimal:
        return self.qty * self.side.sign


class PairExposure(Struct, frozen=True, gc=False):
    """A pair's part of every measure, in NAV currency.

    ``legs`` are (venue, worst notional); ``net_low`` … ``net_high`` is the range of its delta when groups
    fill as a whole, ``naked`` the largest delta, of either sign, when any single orders fill.
    """

    pair: PairName
    base: str
    legs: tuple[tuple[str, Decimal], ...]
    net_low: Decimal
    net_high: Decimal
    naked: Decimal

    @property
    def notional(self) -> Decimal:
        return max((value for _, value in self.legs), default=ZERO)


# --- delta ------------------------------------------------------------------------------------------------


def leg_delta_base(
    store: Store, instrument_id: InstrumentId, position: Position, coin_cash: Decimal
) -> Decimal:
    """Delta of one leg, signed, base currency. Raises `MissingData` for a position in an unlisted
    instrument."""
    market = store.markets.get(instrument_id)
    if market is None:
        if position.qty == 0 and coin_cash == 0:
            return ZERO
        raise MissingData("instrument", instrument_id)
    if market.instrument.inverse:
        return position.cost + coin_cash
    return position.qty * market.instrument.contract_size


def coins_base(pair: Pair) -> Decimal:
    """What the inverse legs of a pair earned in coin, signed, whether it counts as delta or not."""
    return pair.long.coin_cash + pair.short.coin_cash


def residual_base(store: Store, pair: Pair) -> Decimal:
    """Coins that no leg hedges: those of a pair of which a leg is gone, signed, base currency."""
    coins = coins_base(pair)
    return coins if coins and not _counts_coins(store, pair) else ZERO


def leg_deltas_base(store: Store, pair: Pair) -> tuple[Decimal, Decimal]:
    """Delta of the long and of the short leg, signed, base currency, without what is residual."""
    long, short = pair.long, pair.short
    counts = has_counting_coins(store, pair)
    return (
        leg_delta_base(store, long.instrument, long.position, long.coin_cash if counts else ZERO),
        leg_delta_base(store, short.instrument, short.position, short.coin_cash if counts else ZERO),
    )


def pair_delta_base(store: Store, pair: Pair) -> Decimal:
    """Delta of both legs together, signed, base currency, without what is residual."""
    long, short = leg_deltas_base(store, pair)
    return long + short


def has_counting_coins(store: Store, pair: Pair) -> bool:
    """Whether a pair's inverse legs earned coins, and they count as delta."""
    return bool(pair.long.coin_cash or pair.short.coin_cash) and _counts_coins(store, pair)


def _counts_coins(store: Store, pair: Pair) -> bool:
    """An entry is sized with the coins, from its first fill on; a pair that leaves has them until one leg is
    gone."""
    first, second = pair.short, pair.long  # a contract, which is told by its quantity alone, is mostly short
    if pair.growing:
        return not is_gone(store, first) or not is_gone(store, second)
    return not is_gone(store, first) and not is_gone(store, second)


def lot_base(instrument: Instrument, price: float) -> float:
    """One lot in base currency at ``price``."""
    return float(instrument.lot) * base_per_qty(instrument, price)


def tolerance_base(store: Store, pair: Pair) -> Decimal:
    """One lot of the coarser leg, base currency: what a hedge cannot be closer than.

    A leg whose lot has no value yet (unlisted, or inverse without a mark) adds nothing, which is the
    stricter way.
    """
    largest = ZERO
    for leg in pair.legs:
        market = store.markets.get(leg.instrument)
        if market is None:
            continue
        lot = market.instrument.lot * market.instrument.contract_size
        if market.instrument.inverse:
            lot = divide(lot, market.mark, COIN_QUANTUM) if market.mark is not None else ZERO
        largest = max(largest, lot)
    return largest


def order_delta_base(store: Store, order: Pending) -> Decimal:
    """What a complete fill adds to the pair's delta, signed, base currency, fees aside.

    An inverse contract buys more base the lower its price: it counts at the lower of its limit and the mark.
    """
    market = listed(store, order.instrument)
    if not market.instrument.inverse:
        return order.signed_qty * market.instrument.contract_size
    price = order.price if market.mark is None else min(order.price, market.mark)
    return fill_cost(market.instrument, order.signed_qty, price)


def price_slack_base(store: Store, order: Pending) -> Decimal:
    """By how much the delta of an inverse order differs between its limit and its mark, base currency."""
    market = listed(store, order.instrument)
    if not market.instrument.inverse or market.mark is None:
        return ZERO
    at_limit = fill_cost(market.instrument, order.signed_qty, order.price)
    return abs(at_limit - fill_cost(market.instrument, order.signed_qty, market.mark))


def kept_delta_base(store: Store, order: Pending) -> Decimal:
    """The same less the fee that spot pays in the coins it trades."""
    market = listed(store, order.instrument)
    if market.instrument.is_spot:
        return order.signed_qty - order.qty * base_fee_rate(market, order.side)
    return order_delta_base(store, order)


# --- value ------------------------------------------------------------------------------------------------


def config_of(store: Store) -> Config:
    if store.config is None:
        raise MissingData("config", "the run")
    return store.config


def listed(store: Store, instrument_id: InstrumentId) -> Market:
    market = store.markets.get(instrument_id)
    if market is None:
        raise MissingData("instrument", instrument_id)
    return market


def mark_of(market: Market) -> Decimal:
    if market.mark is None:
        raise MissingData("mark", market.instrument.id)
    return market.mark


def index_of(market: Market) -> Decimal:
    if market.index is None:
        raise MissingData("index", market.instrument.id)
    return market.index


def has_rate(store: Store, asset: str) -> bool:
    """Whether `in_nav` can value cash of this currency."""
    nav = config_of(store).nav_currency
    return asset == nav or f"{asset}/{nav}" in store.rates or f"{nav}/{asset}" in store.rates


def in_nav(store: Store, asset: str, amount: Decimal) -> Decimal:
    """``amount`` of a cash currency in NAV currency.  Raises `MissingData` without a rate."""
    nav = config_of(store).nav_currency
    if asset == nav:
        return amount
    rate = store.rates.get(f"{asset}/{nav}")
    if rate is not None:
        return amount * rate
    rate = store.rates.get(f"{nav}/{asset}")
    if rate is None:
        raise MissingData("rate", f"{asset}/{nav}")
    return divide(amount, rate, QUOTE_QUANTUM)


def _value(market: Market, qty: Decimal) -> Decimal:
    if market.instrument.inverse:
        return qty * market.instrument.contract_size
    return notional_quote(market.instrument, qty, mark_of(market))


def venue_of(instrument_id: InstrumentId) -> str:
    return instrument_id.split(":", 1)[0]


# --- what may still fill ----------------------------------------------------------------------------------


def pending(store: Store, group: Iterable[PlaceOrder] = ()) -> tuple[Pending, ...]:
    """Every order that may still fill, in order of sending, then the group under test."""
    return (*living(live_orders(store)), *pending_of(group))


def pending_in(store: Store, pair: Pair, group: Iterable[PlaceOrder] = ()) -> tuple[Pending, ...]:
    """Those of one pair alone, the group under test being its own."""
    return (*living(live_orders_of(store, pair)), *pending_of(group))


def living(orders: Iterable[Order]) -> list[Pending]:
    """What may still fill of orders that were sent."""
    return [
        Pending(
            order.pair, order.role, order.instrument, order.side, order.open_qty, order.price, order.sent_ns
        )
        for order in orders
        if order.open_qty > 0
    ]


def pending_of(group: Iterable[PlaceOrder]) -> tuple[Pending, ...]:
    """Orders under test, as if they were sent."""
    return tuple(
        Pending(order.pair, order.role, order.instrument, order.side, order.qty, order.price, UNDER_TEST)
        for order in group
    )


def sums(orders: Iterable[Pending]) -> tuple[Decimal, Decimal]:
    """Bought and sold quantity, both ≥ 0, of orders in one instrument."""
    buys = sells = ZERO
    for order in orders:
        if order.side is Side.BUY:
            buys += order.qty
        else:
            sells += order.qty
    return buys, sells


# --- the worst case ---------------------------------------------------------------------------------------


def pair_exposure(store: Store, pair: Pair, orders: Iterable[Pending]) -> PairExposure:
    """Worst case of one pair when any of ``orders`` fill (those of other pairs are ignored).

    Raises `MissingData` where something is held or may be held and has no mark or no rate.
    """
    mine = [order for order in orders if order.pair == pair.spec.name]
    legs = []
    for leg in pair.legs:
        worst = abs(leg.position.qty)
        if mine:
            buys, sells = sums(order for order in mine if order.role is leg.role)
            worst = max(abs(leg.position.qty + buys), abs(leg.position.qty - sells))
        if worst > 0:
            market = listed(store, leg.instrument)
            value = in_nav(store, market.instrument.quote, _value(market, worst))
            legs.append((venue_of(leg.instrument), value))
    delta = pair_delta_base(store, pair)
    groups: dict[int, Decimal] = {}
    low = high = delta
    for order in mine:
        change = order_delta_base(store, order)
        groups[order.group_ns] = groups.get(order.group_ns, ZERO) + change
        low, high = low + min(change, ZERO), high + max(change, ZERO)
    net_low = net_high = delta
    if groups:  # coins that no leg hedges count again as soon as a group hedges them, the first one
        first = next(iter(groups))
        groups[first] += residual_base(store, pair)
    for change in groups.values():
        net_low, net_high = net_low + min(change, ZERO), net_high + max(change, ZERO)
    if low == 0 and high == 0:
        return PairExposure(pair.spec.name, "", tuple(legs), ZERO, ZERO, ZERO)
    market = listed(store, pair.long.instrument)
    price = in_nav(store, market.instrument.quote, mark_of(market))
    return PairExposure(
        pair=pair.spec.name,
        base=market.instrument.base,
        legs=tuple(legs),
        net_low=net_low * price,
        net_high=net_high * price,
        naked=max(abs(low), abs(high)) * price,
    )


def gross_of(parts: Iterable[PairExposure]) -> Decimal:
    """Worst notional of all legs."""
    return sum((value for part in parts for _, value in part.legs), ZERO)


def venue_total(parts: Iterable[PairExposure], venue: str) -> Decimal:
    """Worst notional of all legs on one venue."""
    return sum((value for part in parts for name, value in part.legs if name == venue), ZERO)


def net_delta_of(parts: Iterable[PairExposure]) -> Decimal:
    """Worst delta of the book, ≥ 0: netted within a base currency, added up across them."""
    lows: dict[str, Decimal] = {}
    highs: dict[str, Decimal] = {}
    for part in parts:
        lows[part.base] = lows.get(part.base, ZERO) + part.net_low
        highs[part.base] = highs.get(part.base, ZERO) + part.net_high
    return sum((max(abs(lows[base]), abs(highs[base])) for base in lows), ZERO)
