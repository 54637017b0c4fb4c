"""The state of our own books: what each wallet should hold, and where a change of NAV came from.

`bot.core.ledger` posts to it and nothing else does.  Amounts are exact; the
buckets add up to the change of NAV.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct, field

from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Position
from bot.model.money import ZERO


class Attribution(Struct):
    """Where the change of NAV came from, in NAV currency, each bucket posted from its own source."""

    funding: Decimal = ZERO
    basis: Decimal = ZERO
    fees: Decimal = ZERO
    slippage: Decimal = ZERO
    borrow: Decimal = ZERO
    collateral: Decimal = ZERO
    quote_fx: Decimal = ZERO
    adl: Decimal = ZERO
    transfers: Decimal = ZERO

    def total(self) -> Decimal:
        return sum((getattr(self, name) for name in self.__struct_fields__), ZERO)

    def result(self) -> Decimal:
        """What trading brought: without the price of coins that are only collateral, and money moved."""
        return self.funding + self.basis + self.fees + self.slippage + self.borrow + self.quote_fx + self.adl


class Ledger(Struct):
    """Our own books, kept from fills and payments only; compared with the venue's, never copied from them.

    ``cash`` is each wallet's expected balance per asset; ``positions`` each instrument's; ``price`` an
    asset's value in NAV currency; ``per_qty`` an instrument's value per unit at its mark (see
    `model.instrument.reference_per_qty`).  ``opened`` becomes true, and attribution begins, when every
    account is known and every price is there.
    """

    cash: dict[AccountId, dict[str, Decimal]] = field(default_factory=dict)
    positions: dict[InstrumentId, Position] = field(default_factory=dict)
    price: dict[str, Decimal] = field(default_factory=dict)
    per_qty: dict[InstrumentId, Decimal] = field(default_factory=dict)
    opened: bool = False
    start_nav: Decimal = ZERO
    start_ns: int = 0
    total: Attribution = field(default_factory=Attribution)
