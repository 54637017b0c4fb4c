"""What the account holds, as numbers: free and locked coins, positions, margins.

Futures are one-way and cross-margined per margin asset.  Initial margin is value over the leverage that the
account has set, as the venue shows it; whether an order is admitted is decided by `PaperVenue` at each
bracket's highest leverage.  A position's break-even price is stated as its entry price.  Everything is exact:
divisions are rounded once, at birth.  What must stay true: balances and positions are the simulated venue's
own, never kept twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct

from adapters.paper.orders import VenueOrder
from adapters.rehearsal.world import World
from bot.model.ids import AccountId, market_of, symbol_of
from bot.model.instrument import Bracket, Instrument, Position, reference_per_qty, unrealised
from bot.model.money import COIN_QUANTUM, ONE, ZERO, divide, multiply_rounded

_LEVERAGE = 20  # of a symbol where nobody set one


class MarketSettings(Struct):
    """What the account has chosen in one market.  ``leverage`` and ``isolated`` by symbol."""

    dual_side: bool = False
    multi_assets: bool = False
    fee_burn: bool = False
    leverage: dict[str, int] = {}
    isolated: set[str] = set()


class Held(Struct, frozen=True):
    """One position and its margins, in its margin asset; ``value`` is signed like ``qty``."""

    instrument: Instrument
    qty: Decimal
    cost: Decimal
    entry: Decimal
    mark: Decimal
    value: Decimal
    unrealised: Decimal
    maintenance: Decimal
    initial: Decimal
    orders_initial: Decimal
    bid_value: Decimal
    ask_value: Decimal
    leverage: int
    liquidation: Decimal


class Purse(Struct, frozen=True):
    """One margin asset of a futures account."""

    asset: str
    wallet: Decimal
    unrealised: Decimal
    maintenance: Decimal
    initial: Decimal
    orders_initial: Decimal

    @property
    def equity(self) -> Decimal:
        return self.wallet + self.unrealised

    @property
    def available(self) -> Decimal:
        return max(self.equity - self.initial - self.orders_initial, ZERO)


def entry_price(instrument: Instrument, qty: Decimal, cost: Decimal) -> Decimal:
    """Average price of a position, quote currency, to eight decimals; zero where there is none."""
    if qty == 0:
        return ZERO
    size = qty * instrument.contract_size
    return divide(size, cost, COIN_QUANTUM) if instrument.inverse else divide(cost, size, COIN_QUANTUM)


class Holdings:
    """All arithmetic assumes the exact context (`bot.model.money.exact_arithmetic`)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.settings = {market: MarketSettings() for market in ("usdm", "coinm")}

    def instruments(self, market: str) -> Iterator[Instrument]:
        return (one for one in self._world.instruments.values() if market_of(one.id) == market)

    # --- spot -------------------------------------------------------------------------------------------

    def spot_balances(self, account: AccountId) -> Iterator[tuple[str, Decimal, Decimal]]:
        """Asset, free, locked."""
        wallets, live = self._world.wallets, tuple(self._live())
        for asset, balance in wallets.balances.get(account, {}).items():
            free = wallets.free_spot(account, asset, live)
            yield asset, free, balance - free

    # --- futures ----------------------------------------------------------------------------------------

    def leverage(self, market: str, instrument: Instrument) -> int:
        """As it was set, or the venue's first one, but never above the first bracket's."""
        chosen = self.settings[market].leverage.get(symbol_of(instrument.id), _LEVERAGE)
        return min(chosen, instrument.brackets[0].leverage_max)

    def value_max(self, instrument: Instrument, leverage: int) -> Decimal:
        """Largest value (quote; coin for an inverse contract) that ``leverage`` allows."""
        return max(tier.cap for tier in instrument.brackets if tier.leverage_max >= leverage)

    def positions(self, market: str) -> list[Held]:
        """Every contract of the market, held or not."""
        return [self._held(market, one) for one in self.instruments(market)]

    def unrealised(self, instrument: Instrument) -> Decimal:
        position = self._world.wallets.position(instrument.id)
        return self._unrealised(instrument, position, self._per_qty(instrument))

    def purses(self, market: str) -> list[Purse]:
        """Every asset of the account that is held or margins a contract."""
        held = self.positions(market)
        account = self._world.account(market)
        assets = dict.fromkeys(
            (*self._world.wallets.balances.get(account, {}), *(one.instrument.margin_asset for one in held))
        )
        return [self._purse(account, asset, held) for asset in assets]

    def _purse(self, account: AccountId, asset: str, held: list[Held]) -> Purse:
        mine = [one for one in held if one.instrument.margin_asset == asset]
        return Purse(
            asset=asset,
            wallet=self._world.wallets.balance(account, asset),
            unrealised=sum((one.unrealised for one in mine), ZERO),
            maintenance=sum((one.maintenance for one in mine), ZERO),
            initial=sum((one.initial for one in mine), ZERO),
            orders_initial=sum((one.orders_initial for one in mine), ZERO),
        )

    def _held(self, market: str, instrument: Instrument) -> Held:
        position = self._world.wallets.position(instrument.id)
        per_qty = self._per_qty(instrument)
        value = position.qty * per_qty
        tier = _tier(instrument, abs(value))
        leverage = self.leverage(market, instrument)
        bids, asks = self._working(instrument)
        worst = max(abs(position.qty + bids), abs(position.qty - asks)) * per_qty
        initial = divide(abs(value), Decimal(leverage), COIN_QUANTUM)
        return Held(
            instrument=instrument,
            qty=position.qty,
            cost=position.cost,
            entry=entry_price(instrument, position.qty, position.cost),
            mark=self._mark(instrument),
            value=value,
            unrealised=self._unrealised(instrument, position, per_qty),
            maintenance=_maintenance(tier, value),
            initial=initial,
            orders_initial=divide(worst, Decimal(leverage), COIN_QUANTUM) - initial,
            bid_value=bids * per_qty,
            ask_value=asks * per_qty,
            leverage=leverage,
            liquidation=self._liquidation(instrument, position, tier),
        )

    def _working(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """Open quantity of bids and of asks that are not reduce-only."""
        mine = [
            one for one in self._live()
            if one.instrument.id == instrument.id and not one.command.reduce_only
        ]  # fmt: skip
        bids = sum((one.open_qty for one in mine if one.is_bid), ZERO)
        return bids, sum((one.open_qty for one in mine if not one.is_bid), ZERO)

    def _liquidation(self, instrument: Instrument, position: Position, tier: Bracket) -> Decimal:
        """Mark at which the pool's equity meets its maintenance margin, other positions unchanged; zero where
        there is no such price."""
        if position.qty == 0:
            return ZERO
        account, asset = instrument.account, instrument.margin_asset
        wallets, rate = self._world.wallets, tier.maintenance_rate
        others = wallets.balance(account, asset)
        for name, other in wallets.positions.items():
            one = self._world.instruments[name]
            if (
                other.qty != 0
                and name != instrument.id
                and (one.account, one.margin_asset) == (account, asset)
            ):
                per_qty = self._per_qty(one)
                value = other.qty * per_qty
                others += self._unrealised(one, other, per_qty) - _maintenance(_tier(one, abs(value)), value)
        size, gross = position.qty * instrument.contract_size, abs(position.qty) * instrument.contract_size
        if instrument.inverse:
            numerator, denominator = size + gross * rate, others + position.cost + tier.cum
        else:
            numerator, denominator = position.cost - others - tier.cum, size - gross * rate
        if denominator == 0:
            return ZERO
        return max(divide(numerator, denominator, COIN_QUANTUM), ZERO)

    def _unrealised(self, instrument: Instrument, position: Position, per_qty: Decimal) -> Decimal:
        exact_profit = unrealised(instrument, position.qty, position.cost, per_qty)
        return multiply_rounded(exact_profit, ONE, COIN_QUANTUM)

    def _per_qty(self, instrument: Instrument) -> Decimal:
        return reference_per_qty(instrument, self._mark(instrument))

    def _mark(self, instrument: Instrument) -> Decimal:
        return self._world.paper.venue.desk.references.mark(instrument.id)

    def _live(self) -> Iterable[VenueOrder]:
        return self._world.paper.venue.live


def _tier(instrument: Instrument, value: Decimal) -> Bracket:
    """The bracket that ``value`` (unsigned) falls into; the last one's rate goes on beyond it."""
    return next((tier for tier in instrument.brackets if value <= tier.cap), instrument.brackets[-1])


def _maintenance(tier: Bracket, value: Decimal) -> Decimal:
    if value == 0:
        return ZERO
    return multiply_rounded(abs(value), tier.maintenance_rate, COIN_QUANTUM) - tier.cum
