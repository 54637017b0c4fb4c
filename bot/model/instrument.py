"""What can be traded, and the arithmetic of its contract.

Quantities (``qty``) are in the venue's own unit: base currency for spot and linear contracts, contracts for
inverse ones.  ``qty_base`` is always base currency.  A linear contract is worth ``qty × contract_size ×
price`` quote; an inverse one is worth ``contract_size`` quote whatever the price, and is margined and
settled in base. Nothing else in the project knows this difference: spot–perp, perp–perp, linear and inverse
are data.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.money import COIN_QUANTUM, REFERENCE_QUANTUM, ZERO, divide

USUAL_INTEREST_APR = 0.1095


class Kind(Enum):
    SPOT = "spot"
    PERP = "perp"
    DATED = "dated"


SPOT = Kind.SPOT  # asked for many times in each step


class Side(Enum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Bracket(Struct, frozen=True):
    """One tier of a venue's leverage table.  ``floor`` and ``cap`` bound the position's value in the margin's
    unit: quote currency for linear contracts, base currency for inverse ones; ``cum`` is in the same unit."""

    floor: Decimal
    cap: Decimal
    maintenance_rate: Decimal
    cum: Decimal
    leverage_max: int


class Instrument(Struct, frozen=True):
    """One tradable thing, as its venue describes it.

    ``price_up`` and ``price_down`` are the percent-price filter: an order's price must lie within
    ``reference × price_down … reference × price_up``.  ``brackets`` is empty for spot.  ``funding_floor`` and
    ``funding_cap`` bound a settlement's rate, per interval, where the venue states bounds of its own for it.
    ``interest_apr`` is the constant of a perpetual's funding formula, simple fraction a year: 0.01 % in eight
    hours is the usual one, and 0 where the formula has none.  ``expiry_ns`` is the delivery of a dated
    contract, or the end of a perpetual that its venue has announced.
    """

    id: InstrumentId
    kind: Kind
    inverse: bool
    base: str
    quote: str
    margin_asset: str
    contract_size: Decimal
    tick: Decimal
    lot: Decimal
    qty_min: Decimal
    qty_max: Decimal
    notional_min: Decimal
    price_up: Decimal
    price_down: Decimal
    maker_rate: Decimal
    taker_rate: Decimal
    brackets: tuple[Bracket, ...] = ()
    expiry_ns: int | None = None
    funding_interval_h: int = 0
    funding_floor: Decimal | None = None
    funding_cap: Decimal | None = None
    interest_apr: float = USUAL_INTEREST_APR

    @property
    def account(self) -> AccountId:
        return account_of(self.id)

    @property
    def is_spot(self) -> bool:
        return self.kind is SPOT

    def fee_asset(self, side: Side) -> str:
        """The asset a taker pays the fee in where no fee token is used: spot pays in what it receives."""
        if not self.is_spot:
            return self.margin_asset
        return self.base if side is Side.BUY else self.quote


def base_per_qty(instrument: Instrument, price: float) -> float:
    """Base currency in one unit of ``qty`` at ``price`` (floats: for ladders and sizing, not for the
    ledger)."""
    size = float(instrument.contract_size)
    return size / price if instrument.inverse else size


def unlike(long: Instrument, short: Instrument) -> str:
    """Why two legs cannot hedge each other, to follow "the pair"; empty where they can."""
    return "" if long.base == short.base else f"its legs are of {long.base} and {short.base}"


def notional_quote(instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """Quote value of ``qty`` at ``price``; same sign as ``qty``."""
    if instrument.inverse:
        return qty * instrument.contract_size
    return qty * instrument.contract_size * price


def fill_cost(instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """What ``qty`` (signed) bought at ``price`` cost: quote currency, or base currency rounded to eight
    places for an inverse contract, where the rounding is the venue's own."""
    if instrument.inverse:
        return divide(qty * instrument.contract_size, price, COIN_QUANTUM)
    return qty * instrument.contract_size * price


def reference_per_qty(instrument: Instrument, price: Decimal) -> Decimal:
    """Value of one unit of ``qty`` at a reference price, in the unit of ``fill_cost``.

    Rounded once, here, so that the value of a position is ``qty × reference_per_qty`` exactly and additive.
    """
    if instrument.inverse:
        return divide(instrument.contract_size, price, REFERENCE_QUANTUM)
    return instrument.contract_size * price


def unrealised(instrument: Instrument, qty: Decimal, cost: Decimal, per_qty: Decimal) -> Decimal:
    """Profit of an open position in its settlement unit (quote, or base for an inverse contract).

    ``qty`` and ``cost`` are signed alike, ``per_qty`` comes from ``reference_per_qty``.  A linear contract
    earns value minus cost; an inverse one, whose value is counted in coin, earns cost minus value.
    """
    value = qty * per_qty
    return cost - value if instrument.inverse else value - cost


class Position(Struct, frozen=True):
    """A signed quantity and what it cost, in the unit of ``fill_cost``."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO


def after_fill(
    instrument: Instrument, position: Position, qty: Decimal, price: Decimal
) -> tuple[Position, Decimal]:
    """The position after a fill of signed ``qty``, and the profit it realised (settlement unit).

    Average cost, as venues book it.  The cost of the part that closes is rounded to eight places once and
    moved out of the position, so that realised plus unrealised never depends on the order of fills.
    """
    opening = position.qty == 0 or (position.qty > 0) == (qty > 0)
    cost = fill_cost(instrument, qty, price)
    if opening:
        return Position(position.qty + qty, position.cost + cost), ZERO
    if abs(qty) > abs(position.qty):  # through zero: close all, open the rest
        _, realised = after_fill(instrument, position, -position.qty, price)
        rest = qty + position.qty
        # the rest carries what is left of this fill's cost, so that both parts sum to the whole
        return Position(rest, cost - fill_cost(instrument, -position.qty, price)), realised
    if qty == -position.qty:
        cost_closed = position.cost
    else:
        cost_closed = divide(position.cost * -qty, position.qty, COIN_QUANTUM)
    realised = -cost - cost_closed
    if instrument.inverse:
        realised = -realised
    return Position(position.qty + qty, position.cost - cost_closed), realised
