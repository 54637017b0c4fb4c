"""Margin and liquidation of contracts, from the venue's own tiers.

Everything is in the settlement unit: quote currency for linear contracts, base currency for inverse ones.
In that unit one statement covers both kinds. With *value* ``v`` = quantity at the mark, the equity of a
position is

    linear   collateral − cost + side × v        inverse   collateral + cost − side × v

and its maintenance margin ``v × rate − cum`` of the tier that holds ``v``. Liquidation is where the two
meet, and the tier that counts there is that of the *liquidation* value, not of the entry: the tiers are
searched for it. Source: Binance support, "Liquidation Price of USDⓈ-M Futures Contracts" and its COIN-M
counterpart.

Divisions round once (`bot.model.money.divide`); everything else is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import (
    Bracket,
    Instrument,
    Position,
    Side,
    after_fill,
    fill_cost,
    reference_per_qty,
    unrealised,
)
from bot.model.money import (
    COIN_QUANTUM,
    ONE,
    REFERENCE_QUANTUM,
    ZERO,
    divide,
    divide_up,
    multiply_rounded,
)
from bot.model.pair import Role
from bot.model.store import Account, Store
from risk.exposure import MissingData, Pending, config_of, listed, mark_of

INFINITE = Decimal("Infinity")
PRICE_QUANTUM = Decimal("1e-12")
RATIO_QUANTUM = Decimal("1e-6")


class MissingBrackets(ValueError):
    """The venue's tiers are not known, or none of them holds a position of this value."""

    def __init__(self, instrument_id: InstrumentId, value: Decimal) -> None:
        super().__init__(f"no margin tier of {instrument_id} holds a position worth {value:f}")
        self.instrument_id = instrument_id
        self.value = value


class Held(Struct, frozen=True):
    """One position of a margin account, with the mark it is valued at."""

    instrument: Instrument
    position: Position
    mark: Decimal
    leverage: int | None = None  # as set for the contract at the venue; None: nobody told


class Part(Struct, frozen=True):
    """A position's share of its account: unrealised profit and maintenance margin."""

    held: Held
    gain: Decimal
    need: Decimal


class Margin(Struct, frozen=True):
    """A margin account of one asset, in that asset: equity, maintenance margin and value of its positions.

    What needs a division is worked out when it is asked for. `INFINITE` stands for a ratio without positions
    and a leverage without equity.
    """

    equity: Decimal
    maintenance: Decimal = ZERO
    notional: Decimal = ZERO

    @property
    def ratio(self) -> Decimal:
        """Equity over maintenance margin."""
        return divide(self.equity, self.maintenance, RATIO_QUANTUM) if self.maintenance > 0 else INFINITE

    @property
    def leverage(self) -> Decimal:
        """Value of the positions over equity."""
        if self.notional == 0:
            return ZERO
        return divide(self.notional, self.equity, RATIO_QUANTUM) if self.equity > 0 else INFINITE


class MarginState(Margin, frozen=True):
    """The same with its positions, for what has to look at each of them: where a figure is shown."""

    parts: tuple[Part, ...] = ()

    @property
    def initial(self) -> Decimal:
        """Initial margin of the positions."""
        held = [(part.held, reference_per_qty(part.held.instrument, part.held.mark)) for part in self.parts]
        return sum(
            (initial(one.instrument, one.position.qty, per_qty, one.leverage) for one, per_qty in held), ZERO
        )

    @property
    def distance(self) -> Decimal:
        """Smallest distance of a mark to its liquidation price, as a fraction of the mark; ≤ 0: it is past;
        `INFINITE`: no price liquidates.

        What backs one position is the wallet and the others' profit, less what the others need.
        """
        backing = self.equity - self.maintenance
        distances = (_distance(part.held, backing - part.gain + part.need) for part in self.parts)
        return min(distances, default=INFINITE)


def maintenance(instrument: Instrument, qty: Decimal, per_qty: Decimal) -> Decimal:
    """Maintenance margin of ``qty`` (either sign) worth ``per_qty`` a unit at the mark: ``value × rate −
    cum``.

    Raises `MissingBrackets`.
    """
    value = abs(qty) * per_qty
    if value == 0:
        return ZERO
    tier = tier_of(instrument, value)
    return value * tier.maintenance_rate - tier.cum


def initial(instrument: Instrument, qty: Decimal, per_qty: Decimal, is_set: int | None = None) -> Decimal:
    """Initial margin of ``qty`` at the leverage that is set, where it is known, and never above the highest
    of its tier; rounded to eight places.

    Raises `MissingBrackets`.
    """
    value = abs(qty) * per_qty
    if value == 0:
        return ZERO
    return divide(value, Decimal(leverage_at(tier_of(instrument, value), is_set)), COIN_QUANTUM)


def leverage_at(tier: Bracket, is_set: int | None) -> int:
    """Leverage that initial margin is asked at: the one that is set, never more than the tier's; the tier's
    where the venue states none (``None`` or 0)."""
    return min(is_set, tier.leverage_max) if is_set else tier.leverage_max


def leverage_cap(instrument: Instrument, is_set: int) -> Decimal:
    """Largest value of a position at this leverage: the cap of the last tier that still allows it; 0: none
    does.

    Binance refuses an order beyond it with -2027, "Exceeded the maximum allowable position at current
    leverage".
    """
    return max((tier.cap for tier in instrument.brackets if tier.leverage_max >= is_set), default=ZERO)


def tier_of(instrument: Instrument, value: Decimal) -> Bracket:
    """The tier whose floor < value ≤ cap: a boundary belongs to the lower one."""
    for tier in instrument.brackets:
        if value <= tier.cap:
            if value < tier.floor:
                break
            return tier
    raise MissingBrackets(instrument.id, value)


def liquidation_price(instrument: Instrument, position: Position, collateral: Decimal) -> Decimal | None:
    """The price at which equity falls to the maintenance margin, or ``None`` where no price does that.

    ``collateral`` is the isolated wallet, or for cross margin the wallet less maintenance plus unrealised
    profit of the account's other positions. Beyond the last tier its rate goes on. A position that is under
    water at every price gives 0 for a linear short and `INFINITE` for an inverse long. Raises
    `MissingBrackets` without tiers.

    Linear: ``(C + cum − side·q·EP) / (q·rate − side·q)``; inverse short ``N(1 − rate) / (N/EP − C − cum)``,
    long ``N(1 + rate) / (N/EP + C + cum)``.
    """
    if not instrument.brackets:
        raise MissingBrackets(instrument.id, abs(position.cost))
    size = abs(position.qty) * instrument.contract_size
    if size == 0:
        return None
    side = 1 if position.qty > 0 else -1
    free = collateral + position.cost if instrument.inverse else collateral - position.cost
    gain = -side if instrument.inverse else side  # change of equity per unit of value
    tier = _tier_at_liquidation(instrument.brackets, free, gain)
    backing = free + tier.cum
    slope = tier.maintenance_rate - gain
    if gain > 0 and backing >= 0:
        return None
    if gain < 0 and backing <= 0:
        return INFINITE if instrument.inverse else ZERO
    if instrument.inverse:
        return divide(size * slope, backing, PRICE_QUANTUM)
    return divide(backing, size * slope, PRICE_QUANTUM)


def _tier_at_liquidation(tiers: tuple[Bracket, ...], free: Decimal, gain: int) -> Bracket:
    """Equity less maintenance is monotone in value, so the first tier at whose cap its sign has turned
    holds the liquidation."""
    for tier in tiers:
        at_cap = free + tier.cum + (gain - tier.maintenance_rate) * tier.cap
        if at_cap * gain >= 0:
            return tier
    return tiers[-1]


@lru_cache(maxsize=64)
def _inverse_scale(distance: Decimal, is_long: bool) -> Decimal:
    """What a move against it makes of the value of an inverse contract, rounded against the position."""
    if not is_long:
        return divide_up(ONE, 1 + distance, REFERENCE_QUANTUM) - REFERENCE_QUANTUM
    return divide_up(ONE, 1 - distance, REFERENCE_QUANTUM) if distance != 1 else INFINITE


def stress(instrument: Instrument, tier: Bracket, signed_value: Decimal, distance: Decimal) -> Decimal:
    """What a move of ``distance`` (a fraction of the mark, 0 … 1) against a position of ``signed_value``, in
    ``tier`` at the mark, takes from equity less maintenance: the loss, and what the margin grows by.

    Equity less maintenance falls all the way to the liquidation price. So the distances of an account's
    positions are all ≥ ``distance`` exactly when equity less maintenance is at least the largest of these,
    each of which depends on its own position and mark alone: no search is needed. The move makes
    ``v (1 ∓ distance)`` of a value ``v``, of that of an inverse contract ``v / (1 ∓ distance)``, rounded
    against the position, so that what falls short is never missed. Beyond the last tier its rate goes on.
    The tiers have to be continuous, as venues state them.
    """
    is_long, value = signed_value > 0, abs(signed_value)
    if instrument.inverse:
        scale = _inverse_scale(distance, is_long)
        if scale is INFINITE:
            return INFINITE
        moved = value * scale
    else:
        moved = value * (1 - distance if is_long else 1 + distance)
    after = tier
    if not tier.floor <= moved <= tier.cap:
        tiers = instrument.brackets
        after = next((each for each in tiers if moved <= each.cap), tiers[-1])
    growth = moved * after.maintenance_rate - after.cum - value * tier.maintenance_rate + tier.cum
    return abs(moved - value) + growth


def margin_state(collateral: Decimal, held: Sequence[Held]) -> MarginState:
    """Cross margin over the positions of one account and asset.  Raises `MissingBrackets`."""
    equity, needed, notional = collateral, ZERO, ZERO
    parts = []
    for one in held:
        qty, per_qty = one.position.qty, reference_per_qty(one.instrument, one.mark)
        gain = unrealised(one.instrument, qty, one.position.cost, per_qty)
        need = maintenance(one.instrument, qty, per_qty)
        parts.append(Part(one, gain, need))
        equity, needed, notional = equity + gain, needed + need, notional + abs(qty) * per_qty
    return MarginState(equity, needed, notional, tuple(parts))


def _distance(held: Held, backing: Decimal) -> Decimal:
    price = liquidation_price(held.instrument, held.position, backing)
    if price is None:
        return INFINITE
    if not price.is_finite():
        return ZERO
    away = held.mark - price if held.position.qty > 0 else price - held.mark
    return divide(away, held.mark, RATIO_QUANTUM)


# --- accounts of the store --------------------------------------------------------------------------------


def account_margin(
    store: Store, account_id: AccountId, asset: str, orders: Sequence[Pending] = ()
) -> MarginState:
    """Margin of one wallet and asset, when ``orders`` fill at their limits as badly as they can.

    Per instrument the end of ``position − sells … position + buys`` that is further from zero counts, with
    the fills' fees and whatever they realise. Raises `MissingData` for an unreported account or a missing
    mark, and `MissingBrackets`.
    """
    account = _reported(store, account_id)
    collateral = balance(store, account_id, asset) + _spot_collateral(store, account_id, asset, orders)
    names = dict.fromkeys(
        (*store.ledger.positions, *account.positions, *(order.instrument for order in orders))
    )
    held = []
    for name in names:
        if account_of(name) != account_id:
            continue
        instrument = listed(store, name).instrument
        if instrument.is_spot or instrument.margin_asset != asset:
            continue
        position = larger_position(store.ledger.positions.get(name), account.positions.get(name))
        worst, paid = after_orders(
            instrument, position, [order for order in orders if order.instrument == name]
        )
        collateral += paid
        if worst.qty != 0:
            market = store.markets[name]
            held.append(Held(instrument, worst, mark_of(market), market.leverage))
    return margin_state(collateral, held)


def balance(store: Store, account_id: AccountId, asset: str) -> Decimal:
    """Balance of one asset: the ledger's, which every fill has reached already, else as the venue reported
    it.

    A reported account that does not name an asset has none of it. Raises `MissingData` before the first
    report.
    """
    account = _reported(store, account_id)
    wallet = store.ledger.cash.get(account_id, account.balances)
    return wallet.get(asset, ZERO)


def _reported(store: Store, account_id: AccountId) -> Account:
    account = store.accounts.get(account_id)
    if account is None or account.baseline is None:
        raise MissingData("account", account_id)
    return account


def larger_position(ours: Position | None, venues: Position | None) -> Position:
    if ours is None or venues is None:
        return ours or venues or Position()
    return ours if abs(ours.qty) >= abs(venues.qty) else venues


def after_orders(
    instrument: Instrument, position: Position, orders: Sequence[Pending]
) -> tuple[Position, Decimal]:
    """The worse of "all buys fill" and "all sells fill", and what that adds to the wallet."""
    if not orders:
        return position, ZERO
    ends = []
    for side in Side:
        end, paid = position, ZERO
        for order in orders:
            if order.side is side:
                end, realised = after_fill(instrument, end, order.signed_qty, order.price)
                cost = abs(fill_cost(instrument, order.qty, order.price))
                paid += realised - multiply_rounded(cost, instrument.taker_rate, COIN_QUANTUM)
        ends.append((end, paid))
    bought, sold = ends
    return bought if abs(bought[0].qty) > abs(sold[0].qty) else sold


def _spot_collateral(store: Store, account_id: AccountId, asset: str, orders: Sequence[Pending]) -> Decimal:
    """Coins of the pairs' own spot legs, where the settings let them margin the inverse leg.

    A group is taken as a whole: its spot purchase backs its short leg; a sale of coins counts as done.
    """
    if config_of(store).strategy.coin_margin != "spot_leg":
        return ZERO
    total = ZERO
    for pair in store.pairs.values():
        for role in Role:
            contract, spot = (
                store.markets.get(pair.spec.instrument(role)),
                store.markets.get(pair.spec.instrument(role.other)),
            )
            if contract is None or spot is None or not contract.instrument.inverse:
                continue
            if contract.instrument.account != account_id or contract.instrument.margin_asset != asset:
                continue
            if spot.instrument.is_spot and spot.instrument.base == asset:
                total += pair.leg(role.other).position.qty
                total += sum(
                    (
                        order.signed_qty
                        for order in orders
                        if order.pair == pair.spec.name and order.role is role.other
                    ),
                    ZERO,
                )
    return total
