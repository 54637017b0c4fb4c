"""Facts of accounts: balances, positions, payments, and what others do there.

They are facts like all others, and are imported from `bot.model.facts`; this module keeps them apart because
there are many of them.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.model.fact import Fact
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.instrument import Side


class PositionHeld(Struct, frozen=True, array_like=True):
    """A venue's statement of one position: signed ``qty`` and its ``cost`` (see `model.instrument`)."""

    instrument: InstrumentId
    qty: Decimal
    cost: Decimal


class ForeignOrder(Struct, frozen=True, array_like=True):
    """An open order that this bot did not send: its name at the venue, and the venue's word for its type
    (conditional and algorithmic orders too)."""

    name: str
    instrument: InstrumentId
    side: Side
    qty: Decimal
    kind: str


class AccountReported(Fact, frozen=True):
    """Answer to `QueryAccount`: everything in one wallet at one venue time.

    ``open_orders`` are those whose names begin with the bot's tag; ``foreign_orders`` all others.
    ``unread_rows`` counts what the venue listed and nobody could read: with any of them the report is
    incomplete.  ``unread`` names the instruments whose position, and the assets whose balance, are not in it.
    """

    account: AccountId
    balances: dict[str, Decimal]
    positions: tuple[PositionHeld, ...]
    open_orders: tuple[ClientId, ...]
    venue_ns: int
    foreign_orders: tuple[ForeignOrder, ...] = ()
    unread_rows: int = 0
    unread: tuple[str, ...] = ()


class BalanceSeen(Fact, frozen=True):
    """The venue pushes one asset's new wallet balance, realised profit included, unrealised not."""

    account: AccountId
    asset: str
    balance: Decimal
    venue_ns: int


class PositionSeen(Fact, frozen=True):
    """The venue pushes one position's new quantity and cost."""

    instrument: InstrumentId
    qty: Decimal
    cost: Decimal
    venue_ns: int


class FundingPaid(Fact, frozen=True):
    """One funding payment: ``amount`` > 0 was received."""

    instrument: InstrumentId
    asset: str
    amount: Decimal
    rate: Decimal
    mark: Decimal
    qty: Decimal
    transaction_id: str
    venue_ns: int


class InterestCharged(Fact, frozen=True):
    """Interest on a loan: ``amount`` > 0 was paid."""

    account: AccountId
    asset: str
    amount: Decimal
    transaction_id: str
    venue_ns: int


class Transferred(Fact, frozen=True):
    """Money moved in (``amount`` > 0) or out by somebody else's hand."""

    account: AccountId
    asset: str
    amount: Decimal
    transaction_id: str
    venue_ns: int


class InsuranceCharged(Fact, frozen=True):
    """The venue's fee for a liquidation: ``amount`` > 0 was paid."""

    account: AccountId
    asset: str
    amount: Decimal
    transaction_id: str
    venue_ns: int


class MarginCalled(Fact, frozen=True):
    """The venue warns that positions of this account are close to liquidation."""

    account: AccountId
    reason: str
    venue_ns: int


class HistoryGapped(Fact, frozen=True):
    """The venue keeps no payments of this account from ``from_ns`` to ``until_ns`` any more."""

    account: AccountId
    from_ns: int
    until_ns: int


class AccountTouched(Fact, frozen=True):
    """Somebody else placed, moved or ended an order on this account: what it holds is to be compared soon."""

    account: AccountId
    reason: str
    venue_ns: int


class VenueReset(Fact, frozen=True):
    """The venue has forgotten this account's past and begun it anew, as test networks do."""

    account: AccountId
    reason: str
    venue_ns: int


class ContractSet(Fact, frozen=True):
    """How a contract is set for an account at its venue, when that is first read and whenever it has changed.

    ``is_cross``: it shares its margin asset's wallet with others, else it has isolated margin.  ``leverage``
    is 0 where the venue states none for this contract any more."""

    instrument: InstrumentId
    leverage: int
    is_cross: bool
    venue_ns: int


class AccountSet(Fact, frozen=True):
    """How a whole account is set at its venue, when that is first read and whenever it has changed.

    ``is_hedged``: long and short positions of one contract stand apart (hedge mode).  ``is_multi_assets``:
    one asset's loss is made good by another; false where a venue has no such mode."""

    account: AccountId
    is_hedged: bool
    is_multi_assets: bool
    venue_ns: int


class FeeAssetSet(Fact, frozen=True):
    """Which coin the fees of an instrument are paid from while its account holds some, as the account is set
    at its venue, when that is first read and whenever it has changed; empty: they are paid in what is
    traded."""

    instrument: InstrumentId
    asset: str
    seen_ns: int


class AdoptionOrdered(Fact, frozen=True):
    """An operator says that an account is right as it stands: its next report is taken over."""

    account: AccountId
    actor: str
    reason: str
