"""What each contract adds to the margin of its wallet, and the sums over a wallet's contracts.

A share depends on its contract alone: its position, its mark and its living orders.  So the sums of
`risk.margin.margin_state` follow a change by one share taken out and one put in, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from bot.model.ids import InstrumentId, account_of
from bot.model.instrument import reference_per_qty, unrealised
from bot.model.money import COIN_QUANTUM, ZERO, divide
from bot.model.store import Store
from risk.exposure import MissingData, Pending, config_of, listed, mark_of
from risk.limits import exact_limit
from risk.margin import Margin, MissingBrackets, after_orders, larger_position, stress, tier_of


class Share(Struct, frozen=True, gc=False):
    """What one contract adds to its wallet, in the wallet's asset; ``stress`` is that of `margin.stress` at
    the limit on the distance, ``paid`` what its orders would realise, less their fees, ``leverage_max`` that
    of its tier."""

    paid: Decimal = ZERO
    gain: Decimal = ZERO
    need: Decimal = ZERO
    notional: Decimal = ZERO
    stress: Decimal = ZERO
    leverage_max: int = 1

    @property
    def initial(self) -> Decimal:
        return divide(self.notional, Decimal(self.leverage_max), COIN_QUANTUM)


NOTHING = Share()


class MarginTotals(Margin, frozen=True, gc=False):
    """``stress`` is the largest of the positions'; ``is_far``: none of them is nearer to its liquidation than
    the limit."""

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


def share_of(store: Store, name: InstrumentId, orders: Sequence[Pending]) -> Share:
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
        stress(instrument, tier, signed_value, exact_limit(config_of(store).limits.liquidation_distance_min)),
        tier.leverage_max,
    )


def share_or_none(store: Store, name: InstrumentId, orders: Sequence[Pending]) -> Share | None:
    try:
        return share_of(store, name, orders)
    except (MissingData, MissingBrackets):
        return None
