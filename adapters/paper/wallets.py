"""Balances and positions of the simulated accounts, exact to the last digit.

Wallets change by fills, fees and payments only, each posted once.  What must stay true: the sum of all
balances of an asset is what was there at the start, plus realised profit and funding, less fees (and, for
spot, plus and minus what was traded).  Futures accounts are cross-margined per margin asset in one-way mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from adapters.paper.orders import VenueOrder
from bot.model.config import Balance
from bot.model.facts import OrderStatus, PositionHeld
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import (
    Instrument,
    Position,
    Side,
    after_fill,
    fill_cost,
    reference_per_qty,
    unrealised,
)
from bot.model.money import COIN_QUANTUM, ZERO, multiply_rounded
from risk.margin import MissingBrackets, initial, maintenance

PriceOf = Callable[[InstrumentId], Decimal]


class Wallets:
    """The venue's books.  All arithmetic assumes the exact context (`bot.model.money.exact_arithmetic`)."""

    def __init__(
        self, instruments: Mapping[InstrumentId, Instrument], held: Iterable[Balance], spot_margin: bool
    ) -> None:
        """``spot_margin``: coins in a venue's spot wallet are collateral of its inverse contracts too."""
        self._instruments = instruments
        self._spot_margin = spot_margin
        self.positions: dict[InstrumentId, Position] = {}
        self.balances: dict[AccountId, dict[str, Decimal]] = {}
        for instrument in instruments:
            self.balances.setdefault(account_of(instrument), {})
        for balance in held:
            self.credit(AccountId(balance.account), balance.asset, balance.amount)

    def credit(self, account: AccountId, asset: str, amount: Decimal) -> None:
        wallet = self.balances.setdefault(account, {})
        wallet[asset] = wallet.get(asset, ZERO) + amount

    def reset(self, account: AccountId, held: Iterable[Balance]) -> None:
        """The account has ``held`` and nothing else."""
        self.balances[account] = {balance.asset: balance.amount for balance in held}
        for name in [name for name in self.positions if account_of(name) == account]:
            del self.positions[name]

    def balance(self, account: AccountId, asset: str) -> Decimal:
        return self.balances.get(account, {}).get(asset, ZERO)

    def position(self, instrument: InstrumentId) -> Position:
        return self.positions.get(instrument, Position())

    def held(self, account: AccountId) -> tuple[PositionHeld, ...]:
        """Open positions of one account, in the order in which they were first opened."""
        return tuple(
            PositionHeld(name, position.qty, position.cost)
            for name, position in self.positions.items()
            if position.qty != 0 and account_of(name) == account
        )

    def post_fill(
        self, instrument: Instrument, side: Side, qty: Decimal, price: Decimal, fee_rate: Decimal
    ) -> Decimal:
        """Book one execution of ``qty`` > 0 (venue units); returns the fee, in
        ``instrument.fee_asset(side)``.

        Spot moves both balances and takes the fee from what is received; futures move the position, and
        realised profit and fee in the margin asset.  Fees are rounded half-even to eight places.
        """
        account = instrument.account
        signed = qty if side is Side.BUY else -qty
        cost = fill_cost(instrument, qty, price)
        if instrument.is_spot:
            fee = multiply_rounded(qty if side is Side.BUY else cost, fee_rate, COIN_QUANTUM)
            self.credit(account, instrument.base, signed)
            self.credit(account, instrument.quote, -cost if side is Side.BUY else cost)
        else:
            fee = multiply_rounded(cost, fee_rate, COIN_QUANTUM)
            position, realised = after_fill(instrument, self.position(instrument.id), signed, price)
            self.positions[instrument.id] = position
            self.credit(account, instrument.margin_asset, realised)
        self.credit(account, instrument.fee_asset(side), -fee)
        return fee

    # --- what is free -----------------------------------------------------------------------------------

    def free_spot(self, account: AccountId, asset: str, orders: Iterable[VenueOrder]) -> Decimal:
        """Balance of ``asset`` less what the account's living spot orders lock."""
        free = self.balance(account, asset)
        for order in orders:
            if order.status is not OrderStatus.OPEN or order.instrument.account != account:
                continue
            if order.is_bid and order.instrument.quote == asset:
                free -= fill_cost(order.instrument, order.open_qty, order.command.price)
            elif not order.is_bid and order.instrument.base == asset:
                free -= order.open_qty
        return free

    def equity(self, account: AccountId, asset: str, mark: PriceOf) -> Decimal:
        """Collateral plus unrealised profit at ``mark`` of everything the account margins in ``asset``."""
        total = self.balance(account, asset)
        if self._spot_margin and self._is_coin_margined(account, asset):
            total += self.balance(AccountId(f"{account.split(':', 1)[0]}:spot"), asset)
        for instrument, position in self._margined(account, asset):
            per_qty = reference_per_qty(instrument, mark(instrument.id))
            total += unrealised(instrument, position.qty, position.cost, per_qty)
        return total

    def maintenance(self, account: AccountId, asset: str, mark: PriceOf) -> Decimal:
        """Maintenance margin, in ``asset``, of the account's open positions at ``mark``."""
        total = ZERO
        for instrument, position in self._margined(account, asset):
            per_qty = reference_per_qty(instrument, mark(instrument.id))
            try:
                total += maintenance(instrument, position.qty, per_qty)
            except MissingBrackets:  # the price carried it past the last tier, whose rate goes on
                tier = instrument.brackets[-1]
                total += abs(position.qty) * per_qty * tier.maintenance_rate - tier.cum
        return total

    def initial(self, account: AccountId, asset: str, orders: Iterable[VenueOrder], mark: PriceOf) -> Decimal:
        """Initial margin of positions and living orders, in ``asset``, at each bracket's highest leverage.

        Per contract the larger of position plus buys and position less sells counts, as the venue does it.
        """
        buys: dict[InstrumentId, Decimal] = {}
        sells: dict[InstrumentId, Decimal] = {}
        for order in orders:
            if order.status is OrderStatus.OPEN and not order.command.reduce_only:
                side = buys if order.is_bid else sells
                side[order.instrument.id] = side.get(order.instrument.id, ZERO) + order.open_qty
        total = ZERO
        for instrument in self._instruments.values():
            if instrument.is_spot or instrument.account != account or instrument.margin_asset != asset:
                continue
            qty = self.position(instrument.id).qty
            low, high = qty - sells.get(instrument.id, ZERO), qty + buys.get(instrument.id, ZERO)
            worst = max(abs(low), abs(high))
            if worst != 0:
                total += initial(instrument, worst, reference_per_qty(instrument, mark(instrument.id)))
        return total

    def pools(self) -> Iterable[tuple[AccountId, str]]:
        """Account and margin asset of every open position, each once."""
        pools: dict[tuple[AccountId, str], None] = {}
        for name, position in self.positions.items():
            if position.qty != 0:
                pools.setdefault((account_of(name), self._instruments[name].margin_asset))
        return tuple(pools)

    def _margined(self, account: AccountId, asset: str) -> Iterable[tuple[Instrument, Position]]:
        for name, position in self.positions.items():
            instrument = self._instruments[name]
            if position.qty != 0 and instrument.account == account and instrument.margin_asset == asset:
                yield instrument, position

    def _is_coin_margined(self, account: AccountId, asset: str) -> bool:
        return any(
            one.inverse and one.account == account and one.margin_asset == asset
            for one in self._instruments.values()
        )
