"""What one order in a leg may be, and what a rest that no order can close is called.

One predicate each, used by pairs, sizing, guard, watch and report:

- *tradable*: a multiple of the lot, at least the minimum quantity, and worth 1.1 times the venue's minimum
  at the order's own limit. A contract order that only reduces has no minimum notional.
- *dust*: coins that are not tradable and worth no more than ``DUST_MAX_QUOTE``. Where a pair rests they
  stay dust until they are worth 1.5 times the minimum, so that a price alone wakes nobody. A contract is
  never dust.
- *stranded*: held, not dust, and no order can close it now.

What must stay true: what is neither dust nor stranded can be closed by an order of `closable_qty`.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.ids import account_of
from bot.model.instrument import Instrument, Side, notional_quote
from bot.model.money import ZERO, exact_price, floor_to, is_multiple
from bot.model.store import Leg, Market, Store

ORDER_MARGIN = Decimal("1.1")  # over the venue's minimum: its reference price is not ours
RESTING_MARGIN = Decimal("1.5")  # the same, for what rests


def is_tradable(
    instrument: Instrument, qty: Decimal, price: Decimal, reduces: bool, margin: Decimal = ORDER_MARGIN
) -> bool:
    """Whether the venue takes one order of ``qty`` > 0 at the limit ``price``; ``reduces``: it only
    reduces."""
    if qty <= 0 or qty < instrument.qty_min or not is_multiple(qty, instrument.lot):
        return False
    if reduces and not instrument.is_spot:
        return True
    return notional_quote(instrument, qty, price) >= margin * instrument.notional_min


def base_fee_rate(market: Market, side: Side) -> Decimal:
    """Fraction of a traded quantity that is paid as fee in base currency, and so is delta: a spot purchase
    pays in what it receives where no other asset is known to pay, an inverse contract in its coin."""
    instrument = market.instrument
    asset = market.fee_assets.get(side) or instrument.fee_asset(side)
    return instrument.taker_rate if asset == instrument.base else ZERO


def quote_fee_rate(market: Market, side: Side) -> Decimal:
    """Fraction of a spot trade's worth that is paid as fee in quote currency on top, where that is known."""
    instrument = market.instrument
    return instrument.taker_rate if market.fee_assets.get(side) == instrument.quote else ZERO


def touch_price(market: Market, side: Side) -> Decimal | None:
    """The price that an order of ``side`` meets first; without a book the mark; ``None`` without either."""
    levels = market.asks if side is Side.BUY else market.bids
    return exact_price(levels[0][0]) if levels else market.mark


def closing_side(qty: Decimal) -> Side:
    return Side.SELL if qty > 0 else Side.BUY


def closable_qty(market: Market, qty: Decimal, margin: Decimal = ORDER_MARGIN) -> Decimal:
    """The most of a held ``qty`` (signed) that orders can close now, venue units, ≥ 0.

    Zero where no order can, or where no price says what it is worth.
    """
    instrument = market.instrument
    lots = floor_to(abs(qty), instrument.lot)
    price = touch_price(market, closing_side(qty))
    if price is None or not is_tradable(instrument, lots, price, reduces=True, margin=margin):
        return ZERO
    return lots


def is_dust(store: Store, market: Market, qty: Decimal, at_rest: bool = False) -> bool:
    """Whether a held ``qty`` is coins that are too few to trade and worth too little to matter."""
    instrument = market.instrument
    if qty == 0 or not instrument.is_spot:
        return qty == 0
    price = touch_price(market, closing_side(qty))
    if price is None or store.config is None:
        return abs(qty) < instrument.lot
    worth, margin = abs(qty) * price, RESTING_MARGIN if at_rest else ORDER_MARGIN
    if worth > store.config.strategy.dust_max_quote:
        return False
    return worth < margin * instrument.notional_min or closable_qty(market, qty, margin) == 0


def is_gone(store: Store, leg: Leg) -> bool:
    """Whether a leg holds nothing that could be traded or that matters."""
    market = store.markets.get(leg.instrument)
    return leg.position.qty == 0 or (market is not None and is_dust(store, market, leg.position.qty))


def available_qty(store: Store, leg: Leg) -> Decimal:
    """What of a leg the venue's last report vouches for, signed as the leg: no more can be closed."""
    lacking = shortfall_qty(store, leg)
    qty = leg.position.qty
    if not lacking:
        return qty
    left = max(ZERO, abs(qty) - lacking)
    return left if qty > 0 else -left


def shortfall_qty(store: Store, leg: Leg) -> Decimal:
    """What the venue holds less of a leg's instrument than the ledger expects, ≥ 0."""
    account = store.accounts.get(account_of(leg.instrument))
    return account.shortfall.get(leg.instrument, ZERO) if account is not None else ZERO


def is_stranded(store: Store, leg: Leg) -> bool:
    """Whether a leg holds more than dust that no order can close."""
    market = store.markets.get(leg.instrument)
    return market is not None and not is_gone(store, leg) and closable_qty(market, leg.position.qty) == 0
