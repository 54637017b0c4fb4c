"""The simulated venue: a deterministic state machine in virtual time.

It acts when a command arrives, when the recording moves its books and marks, and when its own agenda is due
(settlements, margin sweeps).  Each act tells facts in the order in which a real venue would: accepted, fills,
balances and positions that changed, then the end of the order.  There is no randomness: the same commands at
the same times over the same recording give the same facts.

What is modelled simply, on purpose: an order of ours never meets another order of ours; a reduce-only order
larger than the position fills what reduces and its rest expires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import assert_never

from adapters.errors import FeedError
from adapters.paper.agenda import Agenda, VenueClock
from adapters.paper.books import RecordedBook
from adapters.paper.desk import Desk
from adapters.paper.funding_table import FundingTable
from adapters.paper.liquidation import Liquidator
from adapters.paper.matching import Matcher
from adapters.paper.orders import VenueOrder
from adapters.paper.posting import Postings
from adapters.paper.references import Assumptions, References
from adapters.paper.rejects import (
    BAD_SYMBOL,
    MARGIN,
    MAX_POSITION,
    NO_BOOK,
    REDUCE_ONLY,
    SPOT_BALANCE,
    UNKNOWN_ORDER,
    Reject,
    duplicate,
    filter_failure,
)
from adapters.paper.settlement import Settlements
from adapters.paper.standing import Standing
from adapters.paper.terms import Terms
from adapters.paper.wallets import Wallets
from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder, TimeInForce
from bot.model.config import Balance
from bot.model.facts import (
    AccountReported,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    ProtocolDrift,
)
from bot.model.ids import AccountId, ClientId, InstrumentId, account_of, market_of
from bot.model.instrument import Instrument, Side, fill_cost
from bot.model.money import ZERO, exact_arithmetic
from bot.ports import Emit
from risk.margin import MissingBrackets


class PaperVenue:
    """Accounts, orders and books of one simulated venue; facts go to ``tell``."""

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        books: Mapping[InstrumentId, RecordedBook],
        terms: Terms,
        table: FundingTable,
        tell: Emit,
    ) -> None:
        """``books`` has one entry per instrument; ``table`` may be empty.

        Raises:
            FeedError: a contract's leverage tiers are not known.
        """
        for instrument in instruments.values():
            if not instrument.is_spot and not instrument.brackets:
                raise FeedError(
                    f"{instrument.id} has no leverage tiers; add leverageBracket to its instrument file"
                )
        clock = VenueClock(round(terms.up_ms * 1e6), round(terms.down_ms * 1e6))
        wallets = Wallets(instruments, terms.balances, terms.spot_margin)
        assumptions = Assumptions()
        self.desk = desk = Desk(
            instruments=instruments,
            clock=clock,
            agenda=Agenda(),
            assumptions=assumptions,
            references=References(books, terms.reference, assumptions),
            wallets=wallets,
            postings=Postings(wallets, clock, self._note_fees, tell),
        )
        self.duplicates = 0
        self._accepted = 0
        self.orders: dict[ClientId, VenueOrder] = {}
        self._fees_set = terms.fees_set
        self._settlements = Settlements(desk, table, terms.missing_funding)
        self._liquidator = Liquidator(desk, self._cancel_all)
        self._live: dict[ClientId, VenueOrder] = {}
        self._matchers = {
            name: Matcher(instrument, books[name], clock, self._on_maker_fill)
            for name, instrument in instruments.items()
        }
        self.on_mark = desk.references.on_mark
        self.on_rate = self._settlements.on_rate

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        return tuple(self.desk.wallets.balances)

    @property
    def is_known(self) -> bool:
        """Every book has a touch and every contract a mark."""
        return all(matcher.book.touch() for matcher in self._matchers.values()) and all(
            self.desk.references.is_marked(name)
            for name, one in self.desk.instruments.items()
            if not one.is_spot
        )

    @property
    def live(self) -> Iterable[VenueOrder]:
        """Orders that have not ended, in the order in which they came."""
        return self._live.values()

    def start(self) -> None:
        """Begin at the clock's present: the agenda gets the settlements and table rows after it."""
        self._settlements.start()

    def greet(self) -> None:
        """Tell what anybody who connects anew asks for first: the last settled rates."""
        self._settlements.tell_settled()

    def arrive(self, command: Outward) -> None:
        """A command reaches the venue; its answers are told at once."""
        with exact_arithmetic():
            match command:
                case PlaceOrder():
                    self._place(command)
                case CancelOrder():
                    self._cancel(command)
                case QueryOrder():
                    self._report_order(command)
                case QueryAccount():
                    self._report_account(command)
                case _:
                    assert_never(command)

    # --- what others do to an account -------------------------------------------------------------------

    def force(self, name: InstrumentId, side: Side, qty: Decimal, cause: str) -> None:
        """The venue executes ``qty`` (venue units) at the mark: deleveraging, liquidation, delivery."""
        with exact_arithmetic():
            self.desk.postings.force(
                self.desk.instruments[name], side, qty, self.desk.references.mark(name), cause
            )
            self.desk.postings.tell_changes()
            self._liquidator.arm()

    def settle_now(self, name: InstrumentId) -> None:
        """See `Settlements.settle_now`."""
        self._settlements.settle_now(name)

    def resume(self, standing: Standing, first_id: int) -> None:
        """Go on where a venue that died with its process stood; ids of trades and orders follow ``first_id``.

        Orders that were open then are cancelled: nobody kept their place in the queue.
        """
        for account, balances in standing.balances.items():
            self.desk.wallets.balances[account] = dict(balances)
        self.desk.wallets.positions.update(standing.positions)
        for command, filled in standing.orders:
            self.orders[command.client_id] = VenueOrder(
                command=command,
                instrument=self.desk.instruments[command.instrument],
                venue_order_id=str(first_id),
                status=OrderStatus.CANCELED,
                filled=filled,
            )
        self._accepted = first_id
        self.desk.postings.number_from(first_id)
        self._liquidator.arm()

    def running(self, name: InstrumentId) -> tuple[Decimal, int] | None:
        """See `Settlements.running`."""
        return self._settlements.running(name)

    def reset(self, account: AccountId, held: Iterable[Balance]) -> None:
        """The account begins anew with ``held``: no order, no position, no history, and nobody is told."""
        for name, order in tuple(self.orders.items()):
            if order.instrument.account == account:
                if name in self._live:
                    self._matchers[order.instrument.id].withdraw(order)
                    del self._live[name]
                del self.orders[name]
        self.desk.wallets.reset(account, held)
        self.desk.postings.forget(account)

    def thin(self, share: Decimal) -> None:
        """From now on a level has ``share`` (0 … 1) of what it displays."""
        for matcher in self._matchers.values():
            matcher.share = share

    # --- placing ----------------------------------------------------------------------------------------

    def _place(self, command: PlaceOrder) -> None:
        first = self.orders.get(command.client_id)
        if first is not None:
            # a reject would carry the first order's name and kill it in the bot's books
            self.duplicates += 1
            code, reason = duplicate(first.instrument)
            text = f"duplicate client id {command.client_id}: {code} {reason}"
            self.desk.postings.tell(ProtocolDrift(account_of(command.instrument), "orders", text))
            return
        instrument = self.desk.instruments.get(command.instrument)
        refusal = BAD_SYMBOL if instrument is None else self._refusal(instrument, command)
        if refusal is not None:
            code, reason = refusal
            self.desk.postings.tell(OrderRejected(command.client_id, code, reason, self.desk.clock.venue_ns))
        elif instrument is not None:
            self._accept(instrument, command)

    def _accept(self, instrument: Instrument, command: PlaceOrder) -> None:
        self._accepted += 1
        now_ns = self.desk.clock.venue_ns
        order = VenueOrder(command, instrument, str(self._accepted), placed_ns=now_ns, changed_ns=now_ns)
        self.orders[command.client_id] = self._live[command.client_id] = order
        self.desk.postings.tell(
            OrderAccepted(command.client_id, order.venue_order_id, self.desk.clock.venue_ns)
        )
        matcher = self._matchers[instrument.id]
        fillable = self._fillable(order, command.qty)
        least = command.qty if command.tif is TimeInForce.FOK else ZERO
        for take in matcher.take(command.side, fillable, command.price, least):
            self.desk.postings.fill(order, take.qty, take.price, maker=False)
        self.desk.postings.tell_changes()
        self._liquidator.arm()
        if order.open_qty == 0:
            self._end(order, OrderStatus.FILLED)
        elif command.tif in (TimeInForce.IOC, TimeInForce.FOK):
            self._expire(order, f"{command.tif.value}: the rest found no price within the limit")
        elif fillable < command.qty:
            self._expire(order, "reduce-only: nothing is left to reduce")
        else:
            self.desk.assumptions.note(
                "A resting order queues behind what its level displayed when it arrived; "
                "the recording's trades at its price advance it."
            )
            matcher.rest(order)

    def _refusal(self, instrument: Instrument, command: PlaceOrder) -> Reject | None:
        """The venue's first reason against the order: book, filters, reduce-only, funds, post-only."""
        matcher = self._matchers[instrument.id]
        if matcher.book.touch() is None:
            return NO_BOOK
        failure = filter_failure(instrument, command, self._filter_reference(instrument))
        if failure is not None:
            return failure
        reduces = command.reduce_only and not instrument.is_spot
        if reduces and self._reducible(instrument, command.side) == 0:
            return REDUCE_ONLY
        refusal = None if reduces else self._lacking_funds(instrument, command)
        return refusal or matcher.refusal(command)

    def _filter_reference(self, instrument: Instrument) -> Decimal:
        if not instrument.is_spot:
            return self.desk.references.mark(instrument.id)
        self.desk.assumptions.note(
            f"The mid of {instrument.id} stands for the venue's average price in its percent-price filter."
        )
        mid = self.desk.references.mid(instrument.id)
        if mid is None:  # the touch was checked before
            raise AssertionError(f"{instrument.id} has a touch and no mid")
        return mid

    def _lacking_funds(self, instrument: Instrument, command: PlaceOrder) -> Reject | None:
        account = instrument.account
        live = self._live.values()
        if instrument.is_spot:
            buys = command.side is Side.BUY
            asset = instrument.quote if buys else instrument.base
            needed = fill_cost(instrument, command.qty, command.price) if buys else command.qty
            return None if needed <= self.desk.wallets.free_spot(account, asset, live) else SPOT_BALANCE
        asset, mark = instrument.margin_asset, self.desk.references.mark
        try:
            before = self.desk.wallets.initial(account, asset, live, mark)
            after = self.desk.wallets.initial(
                account, asset, (*live, VenueOrder(command, instrument, "")), mark
            )
        except MissingBrackets:
            return MAX_POSITION
        if after > before and after > self.desk.wallets.equity(account, asset, mark):
            return MARGIN
        return None

    def _reducible(self, instrument: Instrument, side: Side) -> Decimal:
        """How much of the position an order of ``side`` can close, venue units."""
        return max(-side.sign * self.desk.wallets.position(instrument.id).qty, ZERO)

    def _fillable(self, order: VenueOrder, qty: Decimal) -> Decimal:
        if not order.command.reduce_only or order.instrument.is_spot:
            return qty
        return min(qty, self._reducible(order.instrument, order.command.side))

    # --- ending -----------------------------------------------------------------------------------------

    def _on_maker_fill(self, order: VenueOrder, traded: Decimal) -> None:
        qty = self._fillable(order, traded)
        if qty > 0:
            self.desk.postings.fill(order, qty, order.command.price, maker=True)
            self.desk.postings.tell_changes()
            self._liquidator.arm()
        if order.open_qty == 0:
            self._end(order, OrderStatus.FILLED)
            self._matchers[order.instrument.id].withdraw(order)
        elif qty < traded:
            self._matchers[order.instrument.id].withdraw(order)
            self._expire(order, "reduce-only: nothing is left to reduce")

    def _end(self, order: VenueOrder, status: OrderStatus) -> None:
        order.status = status
        order.changed_ns = self.desk.clock.venue_ns
        del self._live[order.command.client_id]

    def _expire(self, order: VenueOrder, reason: str) -> None:
        self._end(order, OrderStatus.EXPIRED)
        self.desk.postings.tell(OrderExpired(order.command.client_id, reason, self.desk.clock.venue_ns))

    def _cancel(self, command: CancelOrder) -> None:
        order = self._live.get(command.client_id)
        if order is None or order.instrument.id != command.instrument:
            code, reason = UNKNOWN_ORDER
            self.desk.postings.tell(CancelRejected(command.client_id, code, reason, self.desk.clock.venue_ns))
            return
        self._withdraw(order)

    def _cancel_all(self, account: AccountId) -> None:
        for order in tuple(self._live.values()):
            if order.instrument.account == account:
                self._withdraw(order)

    def _withdraw(self, order: VenueOrder) -> None:
        self._matchers[order.instrument.id].withdraw(order)
        self._end(order, OrderStatus.CANCELED)
        self.desk.postings.tell(OrderCanceled(order.command.client_id, self.desk.clock.venue_ns))

    # --- questions --------------------------------------------------------------------------------------

    def _report_order(self, query: QueryOrder) -> None:
        order = self.orders.get(query.client_id)
        if order is None or order.instrument.id != query.instrument:
            self.desk.postings.tell(OrderNotFound(query.client_id, self.desk.clock.venue_ns))
            return
        for fill in order.fills:
            self.desk.postings.tell(fill)
        self.desk.postings.tell(
            OrderReported(
                client_id=query.client_id,
                instrument=order.instrument.id,
                venue_order_id=order.venue_order_id,
                status=order.status,
                side=order.command.side,
                qty=order.command.qty,
                filled_qty=order.filled,
                venue_ns=self.desk.clock.venue_ns,
            )
        )

    def _report_account(self, query: QueryAccount) -> None:
        account = query.account
        self.desk.postings.retell(account, query.since_ns)
        self.desk.postings.tell(
            AccountReported(
                account=account,
                balances=dict(self.desk.wallets.balances.get(account, {})),
                positions=self.desk.wallets.held(account),
                open_orders=tuple(
                    name for name, order in self._live.items() if order.instrument.account == account
                ),
                venue_ns=self.desk.clock.venue_ns,
            )
        )

    def _note_fees(self, instrument: Instrument) -> None:
        source = (
            "BASISBOT_PAPER_FEES_BPS"
            if market_of(instrument.id) in self._fees_set
            else "the instrument file, not those of a real account"
        )
        self.desk.assumptions.note(f"Fee rates of {instrument.account} are those of {source}.")
