"""What the venue keeps of an account's past: executions, payments and settled rates.

A venue tells realised profit beside each fill; the paper venue books it and tells the new balance.  It is
read here as what the margin wallet gained by the fill, fee put back, which is exact because every change of a
wallet passes through here in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct

from adapters.paper.wallets import Wallets
from bot.model.facts import (
    AnyFact,
    ForcedFilled,
    FundingPaid,
    FundingSettled,
    InsuranceCharged,
    OrderFilled,
    Transferred,
)
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument
from bot.model.money import ZERO, exact_arithmetic

Payment = FundingPaid | Transferred | InsuranceCharged


class Execution(Struct, frozen=True):
    """One fill; ``realised`` is its profit before the fee, in the margin asset, and zero on spot."""

    fill: OrderFilled | ForcedFilled
    realised: Decimal


class Settled(Struct, frozen=True):
    """A settlement of a perpetual, whoever held it: the rate and the mark price it was paid at."""

    settled_ns: int
    rate: Decimal
    mark: Decimal


class Records:
    """Oldest first, by account; ``settled`` by instrument."""

    def __init__(
        self,
        wallets: Wallets,
        instruments: Mapping[InstrumentId, Instrument],
        mark: Callable[[InstrumentId], Decimal],
    ) -> None:
        self.executions: dict[AccountId, list[Execution]] = {}
        self.payments: dict[AccountId, list[Payment]] = {}
        self.settled: dict[InstrumentId, list[Settled]] = {}
        self._wallets = wallets
        self._instruments = instruments
        self._mark = mark
        self._known: dict[tuple[AccountId, str], Decimal] = {}
        for account, assets in wallets.balances.items():
            for asset, balance in assets.items():
                self._known[account, asset] = balance

    def keep(self, fact: AnyFact) -> None:
        """Hear every fact of the venue, in order."""
        match fact:
            case OrderFilled() | ForcedFilled():
                self._execute(fact)
            case FundingPaid():
                self._pay(self._instruments[fact.instrument].account, fact.asset, fact)
            case Transferred() | InsuranceCharged():
                self._pay(fact.account, fact.asset, fact)
            case FundingSettled():
                self._settle(fact)
            case _:
                pass

    def forget(self, account: AccountId) -> None:
        """The account begins anew."""
        self.executions.pop(account, None)
        self.payments.pop(account, None)
        for known in [known for known in self._known if known[0] == account]:
            del self._known[known]
        for asset, balance in self._wallets.balances.get(account, {}).items():
            self._known[account, asset] = balance

    def _settle(self, fact: FundingSettled) -> None:
        settled = Settled(fact.settled_ns, fact.rate, self._mark(fact.instrument))
        self.settled.setdefault(fact.instrument, []).append(settled)

    def _pay(self, account: AccountId, asset: str, payment: Payment) -> None:
        self.payments.setdefault(account, []).append(payment)
        self._known[account, asset] = self._wallets.balance(account, asset)

    def _execute(self, fill: OrderFilled | ForcedFilled) -> None:
        instrument = self._instruments[fill.instrument]
        realised = ZERO
        if not instrument.is_spot:
            key = (instrument.account, instrument.margin_asset)
            after = self._wallets.balance(*key)
            with exact_arithmetic():
                realised = after - self._known.get(key, ZERO) + fill.fee
            self._known[key] = after
        self.executions.setdefault(instrument.account, []).append(Execution(fill, realised))
