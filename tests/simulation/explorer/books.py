"""The venue's own books: wallets, positions, executions and payments, and which of them were told.

What must stay true: a wallet changes here alone, and whatever changed it is kept until it has reached the
bot, so that an answer to a question can tell it first.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import PlaceOrder
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    Channel,
    ForcedFilled,
    FundingPaid,
    OrderFilled,
    PositionSeen,
)
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, Position, Side, after_fill, fill_cost, reference_per_qty
from bot.model.money import COIN_QUANTUM, ZERO, divide, multiply_rounded

BNB_QUOTE = Decimal(600)
BNB_DISCOUNT = Decimal("0.75")
RETURNED_NS = 15_000_000_000  # an account that differs is asked about each ten seconds
Told = OrderFilled | ForcedFilled | FundingPaid


class Whims:
    """How often a venue of good filters still does not do what is asked, each a probability."""

    def __init__(self) -> None:
        self.reject = self.nofill = self.partial = self.silence = self.late = self.double = 0.0


class Account:
    """One wallet at a venue and the ways it can be reached."""

    def __init__(self, account_id: AccountId, wallet: dict[str, Decimal]) -> None:
        self.id = account_id
        self.wallet = dict(wallet)
        self.baseline = dict(wallet)
        self.lost: dict[Channel, None] = {}
        self.throttled_ns = 0
        self.hedged = self.restricted = self.mute = False
        self.whims = Whims()
        self.tail_ns = 0  # the account's messages arrive in the order in which they were sent
        self.untold: dict[str, Told] = {}

    def credit(self, asset: str, amount: Decimal) -> None:
        self.wallet[asset] = self.wallet.get(asset, ZERO) + amount


class Books:
    """Accounts and positions of the venue.  ``fee_in`` is what spot buys pay their fee in."""

    def __init__(
        self, wallets: dict[AccountId, dict[str, Decimal]], instruments: list[Instrument], fee_in: str
    ) -> None:
        self.accounts = {name: Account(name, wallet) for name, wallet in wallets.items()}
        self.instruments = {one.id: one for one in instruments}
        self.positions: dict[InstrumentId, Position] = {one.id: Position() for one in instruments}
        self.fee_in = fee_in
        self.missing: dict[InstrumentId, Decimal] = {}  # coins that somebody else took, and may give back
        self.returned_ns: dict[InstrumentId, int] = {}  # when they were given back
        self.by_hand: dict[InstrumentId, Decimal] = {}  # contracts that somebody else closed, signed
        self.coins_by_hand: dict[InstrumentId, Decimal] = {}  # what they earned or lost of their margin asset
        self.trades = 0

    def account(self, name: InstrumentId) -> Account:
        return self.accounts[self.instruments[name].account]

    def is_missing(self, name: InstrumentId, now_ns: int) -> bool:
        """Coins are not there, or came back and no answer about them is due yet."""
        returned_ns = self.returned_ns.get(name)
        is_back = returned_ns is not None and now_ns - returned_ns < RETURNED_NS
        return bool(self.missing.get(name)) or is_back

    def held(self, name: InstrumentId) -> Decimal:
        """Contracts, or coins beyond those that were there before."""
        one = self.instruments[name]
        if not one.is_spot:
            return self.positions[name].qty
        account = self.accounts[one.account]
        return account.wallet.get(one.base, ZERO) - account.baseline.get(one.base, ZERO)

    def execute(self, order: PlaceOrder, qty: Decimal, price: Decimal, at_ns: int) -> OrderFilled:
        fee, asset = self._post(order.instrument, order.side, qty, price)
        fill = OrderFilled(
            order.client_id, order.instrument, str(self.trades), f"v{order.client_id}", order.side, qty,
            price, fee, asset, False, at_ns,
        )  # fmt: skip
        self.account(order.instrument).untold[fill.trade_id] = fill
        return fill

    def force(self, name: InstrumentId, qty: Decimal, price: Decimal, at_ns: int) -> ForcedFilled:
        """The venue closes ``qty`` > 0 contracts of ours."""
        side = Side.BUY if self.positions[name].qty < 0 else Side.SELL
        fee, asset = self._post(name, side, qty, price)
        fact = ForcedFilled(name, str(self.trades), side, qty, price, fee, asset, "adl", at_ns)
        self.account(name).untold[fact.trade_id] = fact
        return fact

    def fund(self, name: InstrumentId, rate: Decimal, mark: Decimal, at_ns: int) -> FundingPaid:
        one, qty = self.instruments[name], self.positions[name].qty
        amount = multiply_rounded(-qty * reference_per_qty(one, mark), rate, COIN_QUANTUM)
        self.trades += 1
        fact = FundingPaid(name, one.margin_asset, amount, rate, mark, qty, f"f{self.trades}", at_ns)
        account = self.account(name)
        account.credit(one.margin_asset, amount)
        account.untold[fact.transaction_id] = fact
        return fact

    def close_by_hand(self, name: InstrumentId, qty: Decimal, price: Decimal) -> None:
        """Somebody else closes ``qty`` > 0 contracts: no execution is ever told."""
        side = Side.BUY if self.positions[name].qty < 0 else Side.SELL
        wallet, asset = self.account(name).wallet, self.instruments[name].margin_asset
        before = wallet.get(asset, ZERO)
        self._post(name, side, qty, price)
        self.coins_by_hand[name] = self.coins_by_hand.get(name, ZERO) + wallet.get(asset, ZERO) - before
        self.by_hand[name] = self.by_hand.get(name, ZERO) + qty * side.sign

    def _post(self, name: InstrumentId, side: Side, qty: Decimal, price: Decimal) -> tuple[Decimal, str]:
        self.trades += 1
        one, account = self.instruments[name], self.account(name)
        signed = qty * side.sign
        cost = fill_cost(one, signed, price)
        if one.is_spot:
            account.credit(one.base, signed)
            account.credit(one.quote, -cost)
        else:
            self.positions[name], realised = after_fill(one, self.positions[name], signed, price)
            account.credit(one.margin_asset, realised)
        fee, asset = self._fee(one, account, side, qty, abs(cost))
        account.credit(asset, -fee)
        return fee, asset

    def _fee(
        self, one: Instrument, account: Account, side: Side, qty: Decimal, cost: Decimal
    ) -> tuple[Decimal, str]:
        if one.is_spot and self.fee_in == "BNB":
            worth = cost * one.taker_rate * BNB_DISCOUNT
            fee = divide(worth, BNB_QUOTE, COIN_QUANTUM)
            if account.wallet.get("BNB", ZERO) >= fee:
                return fee, "BNB"
        if one.is_spot and side is Side.BUY and self.fee_in != "quote":
            return multiply_rounded(qty, one.taker_rate, COIN_QUANTUM), one.base
        asset = one.quote if one.is_spot else one.margin_asset
        return multiply_rounded(cost, one.taker_rate, COIN_QUANTUM), asset

    def stated(self, name: InstrumentId, at_ns: int) -> list[AnyFact]:
        """What a venue pushes after a change: every balance of the account, and the position."""
        account = self.account(name)
        out: list[AnyFact] = [
            BalanceSeen(account.id, asset, amount, at_ns) for asset, amount in account.wallet.items()
        ]
        if not self.instruments[name].is_spot:
            held = self.positions[name]
            out.append(PositionSeen(name, held.qty, held.cost, at_ns))
        return out
