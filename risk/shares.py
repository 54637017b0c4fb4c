"""What each contract adds to the margin of its wallet, and the sums over a wallet's contracts.

A share depends on its contract alone: its position, its mark and its living orders.  So the sums of
`risk.margin.margin_state` follow a change by one share taken out and one put in, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec import Struct

from bot.model.config import Config
from bot.model.ids import InstrumentId, account_of
from bot.model.index import Wallet
from bot.model.instrument import reference_per_qty, unrealised
from bot.model.money import COIN_QUANTUM, ZERO, divide
from bot.model.store import Store, live_orders_on
from risk.exposure import MissingData, Pending, config_of, listed, living, mark_of
from risk.limits import deleverage_bounds, exact_limit, opening_bounds
from risk.margin import Margin, MissingBrackets, after_orders, larger_position, leverage_at, stress, tier_of


class Share(Struct, frozen=True, gc=False):
    """What one contract adds to its wallet, in the wallet's asset; ``stress`` is that of `margin.stress` at
    one distance, ``paid`` what its orders would realise, less their fees, ``leverage`` what its initial
    margin is at."""

    paid: Decimal = ZERO
    gain: Decimal = ZERO
    need: Decimal = ZERO
    notional: Decimal = ZERO
    stress: Decimal = ZERO
    leverage: int = 1

    @property
    def initial(self) -> Decimal:
        return divide(self.notional, Decimal(self.leverage), COIN_QUANTUM)


NOTHING = Share()


class MarginTotals(Margin, frozen=True, gc=False):
    """``stress`` is the largest of the positions'; ``is_far``: none of them is nearer to its liquidation than
    that distance."""

    initial: Decimal = ZERO
    stress: Decimal = ZERO

    @property
    def is_far(self) -> bool:
        return self.equity - self.maintenance >= self.stress


class Shares:
    """The contracts of one wallet and their sums; a share that cannot be worked out is ``None``.  Initial
    margin is summed where what opens asks for it: ``of_worst``."""

    __slots__ = (
        "_largest_of", "_of", "_of_worst", "gain", "initial", "missing", "need", "notional", "paid", "stress"
    )  # fmt: skip

    def __init__(self, of_worst: bool) -> None:
        self._of: dict[InstrumentId, Share] = {}
        self._of_worst = of_worst
        self._largest_of: InstrumentId | None = None
        self.missing: dict[InstrumentId, None] = {}
        self.paid = self.gain = self.need = self.notional = self.initial = self.stress = ZERO

    def put(self, name: InstrumentId, share: Share | None) -> None:
        old = self._of.get(name, NOTHING)
        if share is not None:
            self._of[name] = share
            if self.missing:
                self.missing.pop(name, None)
        else:
            self._of.pop(name, None)
            self.missing[name] = None
            share = NOTHING
        self.gain += share.gain - old.gain
        self.need += share.need - old.need
        self.notional += share.notional - old.notional
        if self._of_worst:
            self.paid += share.paid - old.paid
            self.initial += share.initial - old.initial
        if share.stress >= self.stress:
            self._largest_of, self.stress = name, share.stress
        elif name == self._largest_of:  # looked for only when the contract that had it has less of it
            self._largest_of = max(self._of, key=lambda each: self._of[each].stress, default=None)
            self.stress = ZERO if self._largest_of is None else self._of[self._largest_of].stress

    def stress_of(self, name: InstrumentId) -> Decimal:
        """That of one contract; 0 where it is not known."""
        return self._of.get(name, NOTHING).stress

    def margin(self, collateral: Decimal, changed: dict[InstrumentId, Share] | None = None) -> MarginTotals:
        """The sums, if the shares of these contracts were others."""
        equity = collateral + self.paid + self.gain
        need, notional, initial, largest = self.need, self.notional, self.initial, self.stress
        if changed:
            if self._largest_of in changed:
                rest = [share.stress for name, share in self._of.items() if name not in changed]
                largest = max(rest, default=ZERO)
            for name, share in changed.items():
                old = self._of.get(name, NOTHING)
                equity += share.paid - old.paid + share.gain - old.gain
                need += share.need - old.need
                notional += share.notional - old.notional
                initial += share.initial - old.initial
                largest = max(largest, share.stress)
        return MarginTotals(equity, need, notional, initial, largest)


class LateShares:
    """Shares of every wallet at one distance, which follow when they are asked for: each change is paid for
    once, and none where nobody asks."""

    __slots__ = ("_distance_of", "_late", "_of", "_of_worst")

    def __init__(self, distance_of: Callable[[Config], Decimal], of_worst: bool) -> None:
        self._distance_of, self._of_worst = distance_of, of_worst
        self._of: dict[Wallet, Shares] = {}
        self._late: dict[InstrumentId, Wallet] = {}

    def mark(self, name: InstrumentId, wallet: Wallet) -> None:
        """A contract's share has changed."""
        self._late[name] = wallet

    def of(self, store: Store, wallet: Wallet) -> Shares:
        """Those of one wallet: of what is held, or (``of_worst``) when every living order fills."""
        if self._late:
            distance = self._distance_of(config_of(store))
            for name, concerned in self._late.items():
                orders = living(live_orders_on(store, name)) if self._of_worst else ()
                shares = self._of.get(concerned)
                if shares is None:
                    shares = self._of[concerned] = Shares(self._of_worst)
                shares.put(name, share_or_none(store, name, orders, distance))
            self._late = {}
        return self._of.get(wallet) or Shares(self._of_worst)


def latch_distance(config: Config) -> Decimal:
    return exact_limit(config.limits.liquidation_distance_min)


def opening_distance(config: Config) -> Decimal:
    return opening_bounds(config.limits, config.margin).distance


def deleverage_distance(config: Config) -> Decimal:
    return deleverage_bounds(config.limits, config.margin).distance


def share_of(store: Store, name: InstrumentId, orders: Sequence[Pending], distance: Decimal) -> Share:
    """A contract's share when ``orders``, all in it, fill as badly as they can.  Raises `MissingData` and
    `MissingBrackets`."""
    market, account = listed(store, name), store.accounts.get(account_of(name))
    instrument = market.instrument
    told = None if account is None else account.positions.get(name)
    position = larger_position(store.ledger.positions.get(name), told)
    worst, paid = after_orders(instrument, position, orders)
    if worst.qty == 0:
        return Share(paid)
    per_qty = reference_per_qty(instrument, mark_of(market))
    signed_value = worst.qty * per_qty
    value = abs(signed_value)
    tier = tier_of(instrument, value)
    return Share(
        paid,
        unrealised(instrument, worst.qty, worst.cost, per_qty),
        value * tier.maintenance_rate - tier.cum,
        value,
        stress(instrument, tier, signed_value, distance),
        leverage_at(tier, market.leverage),
    )


def share_or_none(
    store: Store, name: InstrumentId, orders: Sequence[Pending], distance: Decimal
) -> Share | None:
    try:
        return share_of(store, name, orders, distance)
    except (MissingData, MissingBrackets):
        return None
