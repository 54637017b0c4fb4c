"""From an execution or a payment to the wallets, and to the facts that tell of it.

Everything that changes a wallet passes here, so that each change is told once, with its fact first and the
new balances and positions after it.  Payments and forced executions are kept, because a bot that lost its
memory may ask for them again.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from adapters.paper.agenda import VenueClock
from adapters.paper.orders import VenueOrder
from adapters.paper.wallets import Wallets
from bot.model.facts import BalanceSeen, ForcedFilled, FundingPaid, OrderFilled, PositionSeen
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import Instrument, Side
from bot.ports import Emit


class Postings:
    """``revision`` grows with every change of a wallet."""

    def __init__(
        self, wallets: Wallets, clock: VenueClock, note_fees: Callable[[Instrument], None], tell: Emit
    ) -> None:
        self.tell = tell
        self.revision = 0
        self._wallets = wallets
        self._clock = clock
        self._note_fees = note_fees
        self._trades = 0
        self._history: list[FundingPaid | ForcedFilled] = []
        self._balances: dict[tuple[AccountId, str], None] = {}
        self._positions: dict[InstrumentId, None] = {}

    def fill(self, order: VenueOrder, qty: Decimal, price: Decimal, maker: bool) -> None:
        """Book and tell one execution of ``order``."""
        instrument, side = order.instrument, order.command.side
        fee = self._post(
            instrument, side, qty, price, instrument.maker_rate if maker else instrument.taker_rate
        )
        fill = OrderFilled(
            client_id=order.command.client_id,
            instrument=instrument.id,
            trade_id=str(self._trades),
            venue_order_id=order.venue_order_id,
            side=side,
            qty=qty,
            price=price,
            fee=fee,
            fee_asset=instrument.fee_asset(side),
            maker=maker,
            venue_ns=self._clock.venue_ns,
        )
        order.filled += qty
        order.fills.append(fill)
        order.changed_ns = fill.venue_ns
        self.tell(fill)

    def force(self, instrument: Instrument, side: Side, qty: Decimal, price: Decimal, cause: str) -> None:
        """Book and tell an execution that no order asked for, at the taker's fee."""
        fee = self._post(instrument, side, qty, price, instrument.taker_rate)
        forced = ForcedFilled(
            instrument=instrument.id,
            trade_id=str(self._trades),
            side=side,
            qty=qty,
            price=price,
            fee=fee,
            fee_asset=instrument.fee_asset(side),
            cause=cause,
            venue_ns=self._clock.venue_ns,
        )
        self._history.append(forced)
        self.tell(forced)

    def pay(self, payment: FundingPaid) -> None:
        """Book and tell a funding payment."""
        account = account_of(payment.instrument)
        self._wallets.credit(account, payment.asset, payment.amount)
        self.revision += 1
        self._balances.setdefault((account, payment.asset))
        self._history.append(payment)
        self.tell(payment)

    def tell_changes(self) -> None:
        """Tell each balance and position that changed since the last call, once."""
        for account, asset in self._balances:
            balance = self._wallets.balance(account, asset)
            self.tell(BalanceSeen(account, asset, balance, self._clock.venue_ns))
        for name in self._positions:
            position = self._wallets.position(name)
            self.tell(PositionSeen(name, position.qty, position.cost, self._clock.venue_ns))
        self._balances.clear()
        self._positions.clear()

    def number_from(self, first: int) -> None:
        """Trade ids go on from here, beyond those of a venue that died with its process."""
        self._trades = first

    def forget(self, account: AccountId) -> None:
        """Nothing of the account's past is told again."""
        self._history = [event for event in self._history if account_of(event.instrument) != account]

    def retell(self, account: AccountId, since_ns: int) -> None:
        """Tell again the account's payments and forced executions of venue time ``since_ns`` and later."""
        for event in self._history:
            if event.venue_ns >= since_ns and account_of(event.instrument) == account:
                self.tell(event)

    def _post(
        self, instrument: Instrument, side: Side, qty: Decimal, price: Decimal, fee_rate: Decimal
    ) -> Decimal:
        self._note_fees(instrument)
        self._trades += 1
        self.revision += 1
        fee = self._wallets.post_fill(instrument, side, qty, price, fee_rate)
        account = instrument.account
        if instrument.is_spot:
            self._balances.setdefault((account, instrument.base))
            self._balances.setdefault((account, instrument.quote))
        else:
            self._balances.setdefault((account, instrument.margin_asset))
            self._positions.setdefault(instrument.id)
        return fee
