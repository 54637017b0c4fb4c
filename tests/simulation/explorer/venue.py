"""The unkind venue: what becomes of orders and questions, and when anybody hears of it.

An order reaches the venue after its way there, is judged by the filters that stand then, and matches the true
book at once (all are immediate-or-cancel).  Its answers travel back in the account's order, on channels that
may be lost.  What must stay true: the venue never contradicts itself, so that what is told late or told
twice is still what happened.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Protocol

from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder
from bot.model.facts import (
    AccountReported,
    AnyFact,
    CancelRejected,
    Channel,
    ForcedFilled,
    FundingPaid,
    OrderAccepted,
    OrderExpired,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    PositionHeld,
)
from bot.model.ids import AccountId, ClientId, InstrumentId, account_of
from bot.model.instrument import Instrument, Side, notional_quote
from bot.model.money import ZERO, exact, floor_to, is_multiple
from tests.simulation.explorer.books import Account, Books
from tests.simulation.explorer.market import Market

SECOND_NS = 1_000_000_000
ACCEPTING = ("TRADING", "DELISTING")
CODES = (("-1013", "Filter failure"), ("-2010", "Account has insufficient balance"), ("-2019", "Margin"),
         ("-1008", "Server is overloaded"), ("-4131", "The counterparty's best price"))  # fmt: skip


class Loop(Protocol):
    """Virtual time, and the bot's ear."""

    now_ns: int
    is_down: bool

    def at(self, at_ns: int, what: Callable[[], None]) -> None: ...

    def hear(self, facts: list[AnyFact]) -> None: ...


class Held:
    """An order as the venue and its answers know it."""

    def __init__(self, command: PlaceOrder, sent_ns: int) -> None:
        self.command = command
        self.sent_ns = sent_ns
        self.status: OrderStatus | None = None  # not arrived
        self.filled = ZERO
        self.fills: list[OrderFilled] = []
        self.why = ""
        self.is_whim = False  # the venue gave less than its rules and its book would have
        self.is_told = False  # its end has reached the bot
        self.is_lost = False  # an answer of it was lost or came after the deadline


class Venue:
    """``ended`` is told each order that ended at the venue; ``longest_s`` is the longest answer so far."""

    def __init__(self, loop: Loop, books: Books, market: Market, dice: Random, slow_s: float) -> None:
        self.loop = loop
        self.books = books
        self.market = market
        self.dice = dice
        self.slow_s = slow_s
        self.orders: dict[ClientId, Held] = {}
        self.status: dict[InstrumentId, str] = dict.fromkeys(books.instruments, "TRADING")
        self.deadline_s = 5.0
        self.window_s = 5.0
        self.longest_s = 0.1
        self.ended: Callable[[Held], None] = lambda order: None

    # --- the way there

    def submit(self, command: Outward, at_ns: int) -> None:
        account = self.books.accounts[self._account_of(command)]
        if isinstance(command, PlaceOrder):
            held = Held(command, at_ns)
            self.orders[command.client_id] = held
            self._send(held, account)
        elif isinstance(command, CancelOrder):
            if Channel.ORDERS not in account.lost:
                refused = CancelRejected(command.client_id, "-2011", "Unknown order sent.", at_ns)
                self.tell(account, [refused], self._way_s(), Channel.ORDERS)
        elif not account.mute:
            self.loop.at(at_ns + self._ns(self._way_s()), lambda: self._answer(command, account))

    def _account_of(self, command: Outward) -> AccountId:
        return command.account if isinstance(command, QueryAccount) else account_of(command.instrument)

    def _send(self, held: Held, account: Account) -> None:
        """Into a channel that is down nothing is sent, and that is known; a run that has no channel yet says
        nothing."""
        order, now_ns = held.command, self.loop.now_ns
        if Channel.ORDERS in account.lost:
            held.is_lost = self.loop.is_down
            self._end(held, OrderStatus.REJECTED, "not sent")
            if not self.loop.is_down:
                unsent = OrderRejected(order.client_id, "UNSENT", "the channel is down", now_ns)
                self.tell(account, [unsent], 0.001, None)
            return
        if self.dice.random() < account.whims.silence / 2:
            held.is_lost = True
            self._end(held, OrderStatus.REJECTED, "lost on its way")
            return
        way_s = self.dice.uniform(0.002, 0.05)
        if self.dice.random() < account.whims.late / 3:
            way_s += self.dice.uniform(0.5, 6.0)
            held.is_lost = way_s + self.slow_s >= self.deadline_s
            self.longest_s = max(self.longest_s, min(way_s + self.slow_s, self.deadline_s))
        self.loop.at(now_ns + self._ns(way_s), lambda: self._arrive(held, account))

    # --- at the venue

    def _arrive(self, held: Held, account: Account) -> None:
        order, now_ns = held.command, self.loop.now_ns
        refusal = self._refusal(held, account)
        silent = self.dice.random() < account.whims.silence
        if refusal is not None:
            self._end(held, OrderStatus.REJECTED, " ".join(refusal))
            facts: list[AnyFact] = [OrderRejected(order.client_id, *refusal, now_ns)]
            self._answered(held, account, facts, silent, Channel.ORDERS)
            return
        held.fills = self._match(held, account)
        held.filled = sum((fill.qty for fill in held.fills), ZERO)
        whole = held.filled == order.qty
        self._end(held, OrderStatus.FILLED if whole else OrderStatus.EXPIRED, f"filled {held.filled}")
        accepted = OrderAccepted(order.client_id, f"v{order.client_id}", now_ns)
        if not silent:
            self.tell(account, [accepted], self._way_s(), Channel.ORDERS, in_order=False)
        facts = [*held.fills, *(self.books.stated(order.instrument, now_ns) if held.fills else ())]
        if not whole:
            facts.append(OrderExpired(order.client_id, "IOC", now_ns))
        self._answered(held, account, facts, silent, Channel.PRIVATE)

    def _answered(
        self, held: Held, account: Account, facts: list[AnyFact], silent: bool, channel: Channel
    ) -> None:
        if silent:
            held.is_lost = True
            return
        whims, way_s = account.whims, self._way_s()
        if self.dice.random() < whims.late:
            way_s += self.dice.choice([self.dice.uniform(0.5, 4.0), self.dice.uniform(5.0, 8.0)])
        due_ns = self.tell(account, facts, way_s, channel, in_order=channel is Channel.PRIVATE, held=held)
        took_s = (due_ns - held.sent_ns) / SECOND_NS
        if took_s >= self.deadline_s:
            held.is_lost = True
        else:
            self.longest_s = max(self.longest_s, took_s)
        if self.dice.random() < whims.double:
            again: list[AnyFact] = [
                fact for fact in facts if isinstance(fact, (OrderFilled, OrderExpired, OrderRejected))
            ]
            self.loop.at(due_ns + self._ns(self.dice.uniform(0.0, 3.0)), lambda: self._hear_again(again))

    def _hear_again(self, facts: list[AnyFact]) -> None:
        if not self.loop.is_down:
            self.loop.hear(facts)

    def _end(self, held: Held, status: OrderStatus, why: str) -> None:
        held.status, held.why = status, why
        self.ended(held)

    def _refusal(self, held: Held, account: Account) -> tuple[str, str] | None:
        order, one, now_ns = held.command, self.books.instruments[held.command.instrument], self.loop.now_ns
        if now_ns - held.sent_ns > self.window_s * SECOND_NS:
            return "-1021", "Timestamp for this request is outside of the recvWindow."
        if now_ns < account.throttled_ns:
            return "-1003", "Too many requests."
        if self.status[one.id] not in ACCEPTING:
            return "-1013", "Market is closed."
        if account.hedged and not one.is_spot:
            return "-4061", "Order's position side does not match user's setting."
        if account.restricted and not (order.reduce_only or (one.is_spot and order.side is Side.SELL)):
            return "-4400", "Only reduceOnly order is allowed."
        refusal = self._filter(one, order) or self._funds(one, order, account)
        if refusal is None and self.dice.random() < account.whims.reject:
            held.is_whim = True
            return self.dice.choice(CODES)
        return refusal

    def _filter(self, one: Instrument, order: PlaceOrder) -> tuple[str, str] | None:
        if not is_multiple(order.price, one.tick) or order.price <= 0:
            return "-4014", "Price not increased by tick size."
        if not is_multiple(order.qty, one.lot) or order.qty < one.qty_min:
            return "-1013", "Filter failure: LOT_SIZE"
        if not order.reduce_only and notional_quote(one, order.qty, order.price) < one.notional_min:
            return "-4164", "Order's notional must be no smaller."
        mark = exact(self.market.books[one.id].mark)
        if not mark * one.price_down <= order.price <= mark * one.price_up:
            return "-4016", "Limit price is out of its band."
        return None

    def _funds(self, one: Instrument, order: PlaceOrder, account: Account) -> tuple[str, str] | None:
        if one.is_spot:
            buys = order.side is Side.BUY
            needed = order.qty * order.price if buys else order.qty
            if account.wallet.get(one.quote if buys else one.base, ZERO) < needed:
                return "-2010", "Account has insufficient balance for requested action."
        elif order.reduce_only and self.books.positions[one.id].qty * order.side.sign >= 0:
            return "-2022", "ReduceOnly Order is rejected."
        return None

    def _match(self, held: Held, account: Account) -> list[OrderFilled]:
        order, whims = held.command, account.whims
        one, book = self.books.instruments[order.instrument], self.market.books[order.instrument]
        allowed = order.qty
        if order.reduce_only:
            allowed = min(allowed, abs(self.books.positions[one.id].qty))
        if self.dice.random() < whims.nofill:
            held.is_whim = True
            return []
        if self.dice.random() < whims.partial:
            share = exact(round(self.dice.random(), 6)) * allowed
            few = one.lot if self.dice.random() < 0.3 else share
            allowed = min(allowed, max(one.lot, floor_to(few, one.lot)))
            held.is_whim = True
        fills = []
        for price, size in book.take(order.side, float(allowed), float(order.price)):
            qty = min(allowed, floor_to(exact(size * (1 + 1e-12)), one.lot))
            if qty > 0:
                fills.append(self.books.execute(order, qty, exact(price), self.loop.now_ns))
                book.consume(order.side, price, float(qty))
                allowed -= qty
        return fills

    # --- questions

    def _answer(self, query: Outward, account: Account) -> None:
        if account.mute or self.loop.now_ns < account.throttled_ns:
            return
        if isinstance(query, QueryOrder):
            self.tell(account, self.report(query.client_id), self._way_s(), None)
            return
        held = tuple(
            PositionHeld(name, position.qty, position.cost)
            for name, position in self.books.positions.items()
            if position.qty and account_of(name) == account.id
        )
        report = AccountReported(account.id, dict(account.wallet), held, (), self.loop.now_ns)
        self.tell(account, [*account.untold.values(), report], self._way_s(), None)

    def report(self, client_id: ClientId) -> list[AnyFact]:
        held, now_ns = self.orders.get(client_id), self.loop.now_ns
        if held is None or held.status is None or held.status is OrderStatus.REJECTED:
            return [OrderNotFound(client_id, now_ns)]
        order = held.command
        reported = OrderReported(
            client_id, order.instrument, f"v{client_id}", held.status, order.side, order.qty, held.filled,
            now_ns,
        )  # fmt: skip
        return [*held.fills, *self.books.stated(order.instrument, now_ns), reported]

    def lose_answers(self, account_id: AccountId | None = None) -> None:
        """What is under way is unvouched for, at one account or (a crash) at all of them."""
        for held in self.orders.values():
            if not held.is_told and account_id in (None, account_of(held.command.instrument)):
                held.is_lost = True

    # --- the way back

    def tell(
        self,
        account: Account,
        facts: list[AnyFact],
        way_s: float,
        channel: Channel | None,
        *,
        in_order: bool = True,
        held: Held | None = None,
    ) -> int:
        """Send facts to the bot; what is sent in order waits for what was sent before it."""
        due_ns = self.loop.now_ns + self._ns(way_s)
        if in_order:
            due_ns = account.tail_ns = max(due_ns, account.tail_ns)
        self.loop.at(due_ns, lambda: self._deliver(account, facts, channel, held))
        return due_ns

    def _deliver(
        self, account: Account, facts: list[AnyFact], channel: Channel | None, held: Held | None
    ) -> None:
        if self.loop.is_down or channel in account.lost:
            if held is not None:
                held.is_lost = True
            return
        for fact in facts:
            if isinstance(fact, (OrderFilled, ForcedFilled)):
                account.untold.pop(fact.trade_id, None)
            elif isinstance(fact, FundingPaid):
                account.untold.pop(fact.transaction_id, None)
            elif isinstance(fact, OrderReported):
                self.orders[fact.client_id].is_told = True
            elif isinstance(fact, OrderNotFound) and fact.client_id in self.orders:
                asked = self.orders[fact.client_id]
                is_late = fact.venue_ns - asked.sent_ns > (self.window_s + 1) * SECOND_NS
                asked.is_told = asked.is_told or is_late
        if held is not None:
            held.is_told = True
        self.loop.hear(facts)

    def _way_s(self) -> float:
        return self.dice.uniform(0.003, self.slow_s)

    @staticmethod
    def _ns(seconds: float) -> int:
        return int(seconds * SECOND_NS)


def price_of(value: float, one: Instrument) -> Decimal:
    """A float price on the instrument's tick."""
    return floor_to(exact(value), one.tick)
