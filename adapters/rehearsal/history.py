"""What the venue remembers of the account: orders, executions and income of each market.

The simulated venue knows an order by one name for ever.  The real one lets a client's name be used again once
its order has ended, so an order's name inside is the client's where it is new, and carries the order's number
where it is not.  What must stay true: everything here follows from the facts that the simulated venue tells,
in their order; numbers of orders, trades and transactions only grow; nothing is ever changed after it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct, field

from adapters.rehearsal.records import Records
from bot.model.facts import (
    AnyFact,
    ForcedFilled,
    FundingPaid,
    InsuranceCharged,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    Transferred,
    VenueReset,
)
from bot.model.ids import AccountId, ClientId, InstrumentId, market_of, symbol_of
from bot.model.instrument import Instrument, Side, fill_cost
from bot.model.money import ZERO, exact_arithmetic

MARKETS = ("spot", "usdm", "coinm")

_FIRST_ORDER_ID = 100_000_001
_FIRST_TRANSACTION_ID = 700_000_001

FORCED_NAMES = {"liquidation": "autoclose-", "adl": "adl_autoclose", "settlement": "settlement_autoclose-"}


class Executed(Struct, frozen=True):
    """One execution; ``realised`` is the profit it booked, margin asset (spot: zero)."""

    trade_id: int
    order_id: int
    instrument: Instrument
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    realised: Decimal
    at_ms: int


class Placed(Struct):
    """One order.  ``kind`` and ``tif`` are the venue's words; ``cost`` sums `fill_cost` of its executions, so
    it is quote currency, or coin for an inverse contract.  ``refusal`` is set when the venue did not take
    it."""

    market: str
    instrument: Instrument
    order_id: int
    client_id: str
    name: ClientId  # inside the simulated venue
    side: Side
    kind: str
    tif: str
    price: Decimal
    qty: Decimal
    reduce_only: bool
    created_ms: int
    updated_ms: int
    spent: Decimal = ZERO  # what a spot market order was told to spend, where that was its size
    status: str = "NEW"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    trades: list[Executed] = field(default_factory=list)
    stop: Decimal = ZERO  # trigger of a conditional order, which nothing here ever pulls
    cancel_id: str = ""  # the name of the request that cancelled it
    expiry: str = ""  # the venue's word for why it expired
    refusal: tuple[str, str] | None = None

    @property
    def symbol(self) -> str:
        return symbol_of(self.instrument.id)

    @property
    def is_open(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")


class Income(Struct, frozen=True):
    """One row of the income history; ``amount`` > 0 was received."""

    symbol: str
    kind: str
    amount: Decimal
    asset: str
    info: str
    at_ms: int
    tran_id: int
    trade_id: str = ""


class MarketHistory(Struct):
    """One market's rows in the order in which they came about."""

    orders: dict[int, Placed] = field(default_factory=dict)
    living: dict[int, Placed] = field(default_factory=dict)  # those of them that are open
    trades: list[Executed] = field(default_factory=list)
    income: list[Income] = field(default_factory=list)
    by_client_id: dict[str, Placed] = field(default_factory=dict)  # the latest of each name
    realised: dict[InstrumentId, Decimal] = field(default_factory=dict)  # sum over all trades


class History:
    """Orders, executions and income of all markets."""

    def __init__(
        self, instruments: Mapping[InstrumentId, Instrument], records: Records, wire_ms: Callable[[int], int]
    ) -> None:
        """``records`` hears each fact first and knows what it realised; ``wire_ms`` turns a time of the
        simulated venue into milliseconds as the venue writes them."""
        self._instruments = instruments
        self._records = records
        self._wire_ms = wire_ms
        self._order_id = _FIRST_ORDER_ID
        self._transaction_id = _FIRST_TRANSACTION_ID
        self._named: dict[ClientId, Placed] = {}
        self.markets = {market: MarketHistory() for market in MARKETS}

    def next_order_id(self) -> int:
        self._order_id += 1
        return self._order_id

    def begin(self, order: Placed) -> None:
        """An order is about to reach the simulated venue, which knows it by `Placed.name`."""
        kept = self.markets[order.market]
        kept.orders[order.order_id] = kept.living[order.order_id] = order
        kept.by_client_id[order.client_id] = order
        self._named[order.name] = order

    def drop(self, order: Placed, before: Placed | None) -> None:
        """The venue did not take ``order``; ``before`` bore its client's name until now."""
        kept = self.markets[order.market]
        del kept.orders[order.order_id], kept.living[order.order_id], self._named[order.name]
        if before is None:
            del kept.by_client_id[order.client_id]
        else:
            kept.by_client_id[order.client_id] = before

    def open_orders(self, market: str) -> tuple[Placed, ...]:
        return tuple(self.markets[market].living.values())

    def is_first_fill(self, fact: OrderFilled) -> bool:
        """Whether a fill that was noted is the first of its order."""
        order = self._named.get(fact.client_id)
        return order is not None and len(order.trades) == 1

    def forget(self, account: AccountId) -> None:
        """The account begins anew: nothing of its past is known any more."""
        market = account.rsplit(":", 1)[1]
        self.markets[market] = MarketHistory()
        self._named = {name: order for name, order in self._named.items() if order.market != market}

    # --- facts ------------------------------------------------------------------------------------------

    def note(self, fact: AnyFact) -> Placed | None:
        """Remember what a fact says; the order that it concerns, if one."""
        with exact_arithmetic():
            match fact:
                case OrderAccepted() | OrderRejected() | OrderCanceled() | OrderExpired():
                    return self._note_state(fact)
                case OrderFilled():
                    order = self._named.get(fact.client_id)
                    if order is not None:
                        self._execute(order, fact)
                    return order
                case ForcedFilled():
                    order = self._forced(fact)
                    self._execute(order, fact)
                    return order
                case FundingPaid():
                    symbol = symbol_of(fact.instrument)
                    row = (symbol, "FUNDING_FEE", fact.amount, fact.asset, "FUNDING_FEE")
                    self._earn(market_of(fact.instrument), row, fact.venue_ns)
                case Transferred():
                    row = ("", "TRANSFER", fact.amount, fact.asset, "TRANSFER")
                    self._earn(fact.account.rsplit(":", 1)[1], row, fact.venue_ns)
                case InsuranceCharged():
                    row = ("", "INSURANCE_CLEAR", -fact.amount, fact.asset, "INSURANCE_CLEAR")
                    self._earn(fact.account.rsplit(":", 1)[1], row, fact.venue_ns)
                case VenueReset():
                    self.forget(fact.account)
                case _:
                    pass
        return None

    def _note_state(
        self, fact: OrderAccepted | OrderRejected | OrderCanceled | OrderExpired
    ) -> Placed | None:
        order = self._named.get(fact.client_id)
        if order is None:
            return None
        match fact:
            case OrderRejected():
                order.refusal = (fact.code, fact.reason)
            case OrderCanceled():
                self.end(order, "CANCELED")
            case OrderExpired():
                order.expiry = fact.reason
                self.end(order, "EXPIRED")
            case OrderAccepted():
                pass
        order.updated_ms = self._wire_ms(fact.venue_ns)
        return order

    def end(self, order: Placed, status: str) -> None:
        """The order is open no more."""
        order.status = status
        self.markets[order.market].living.pop(order.order_id, None)

    def _execute(self, order: Placed, fill: OrderFilled | ForcedFilled) -> None:
        instrument, at_ms = order.instrument, self._wire_ms(fill.venue_ns)
        realised = self._records.executions[instrument.account][-1].realised
        trade = Executed(
            trade_id=int(fill.trade_id),
            order_id=order.order_id,
            instrument=instrument,
            side=fill.side,
            qty=fill.qty,
            price=fill.price,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            maker=isinstance(fill, OrderFilled) and fill.maker,
            realised=realised,
            at_ms=at_ms,
        )
        order.trades.append(trade)
        order.filled += fill.qty
        order.cost += fill_cost(instrument, fill.qty, fill.price)
        order.status = "PARTIALLY_FILLED"
        if order.filled == order.qty:
            self.end(order, "FILLED")
        order.updated_ms = at_ms
        kept = self.markets[order.market]
        kept.trades.append(trade)
        kept.realised[instrument.id] = kept.realised.get(instrument.id, ZERO) + realised
        if not instrument.is_spot:
            self._book_trade(order, trade, fill.venue_ns)

    def _book_trade(self, order: Placed, trade: Executed, at_ns: int) -> None:
        for kind, amount in (("COMMISSION", -trade.fee), ("REALIZED_PNL", trade.realised)):
            if amount != 0:
                row = (order.symbol, kind, amount, trade.fee_asset, str(trade.trade_id))
                self._earn(order.market, row, at_ns, str(trade.trade_id))

    def _earn(
        self, market: str, row: tuple[str, str, Decimal, str, str], at_ns: int, trade_id: str = ""
    ) -> None:
        self._transaction_id += 1
        self.markets[market].income.append(
            Income(*row, at_ms=self._wire_ms(at_ns), tran_id=self._transaction_id, trade_id=trade_id)
        )

    def _forced(self, fact: ForcedFilled) -> Placed:
        """An order of the venue's own, under the name by which it is known to be one."""
        at_ms = self._wire_ms(fact.venue_ns)
        name = FORCED_NAMES[fact.cause]
        order_id = self.next_order_id()
        order = Placed(
            market=market_of(fact.instrument),
            instrument=self._instruments[fact.instrument],
            order_id=order_id,
            client_id=f"{name}{at_ms}" if name.endswith("-") else name,
            name=ClientId(f"{name}{order_id}"),
            side=fact.side,
            kind="LIMIT",
            tif="IOC",
            price=fact.price,
            qty=fact.qty,
            reduce_only=True,
            created_ms=at_ms,
            updated_ms=at_ms,
        )
        self.begin(order)
        return order
