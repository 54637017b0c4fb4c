"""Binance's answers on orders and trades: bytes to typed values, and those to facts.

Every decoder returns a typed value or raises `Drift`, never another exception: what cannot be read is
reported and never guessed.  One type serves the three markets; a field that a market lacks has a default.
REST and WebSocket API give the same results, the latter in an envelope (`ws_reply`).  `statements` holds
accounts and payments.

Sources, all of 2026-11-20: binance_sdk_spot 13.3.0, binance_sdk_derivatives_trading_usds_futures 18.1.0,
binance_sdk_derivatives_trading_coin_futures 14.1.0 (models of rest_api and websocket_api).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct, field

from adapters.binance.decoding import (
    Drift,
    Name,
    SideWord,
    Symbol,
    Unread,
    amount,
    instrument,
    quantity,
    reader,
    rows,
    side,
    status,
    time_ns,
)
from adapters.numbers import MS_MAX, Code, Id, Ms, Status, whole
from bot.model.facts import (
    ForeignOrder,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReported,
    OrderStatus,
)
from bot.model.ids import ClientId, InstrumentId
from bot.model.instrument import Side
from bot.model.money import ZERO

_TEXT_MAX = 200  # of a venue's error text that is kept


class Failure(Struct, frozen=True):
    """An error of the venue: its ``code`` (0 where the body holds none, e.g. an HTML page) and text."""

    code: int
    text: str
    retry_after_ms: int | None = None


class RateUsage(Struct, frozen=True):
    """One row of ``rateLimits``: ``kind`` REQUEST_WEIGHT | ORDERS | ..., ``interval`` SECOND | MINUTE |
    DAY."""

    kind: str = field(name="rateLimitType")
    interval: str
    interval_num: int = field(name="intervalNum")
    limit: int
    count: int = 0


class WsReply(Struct, frozen=True):
    """An answer of the WebSocket API.  ``result`` is the answer's JSON (decode it as the REST body), empty
    where there is a ``failure``; ``usage`` lacks the rows that cannot be read."""

    id: str
    status: int
    result: bytes
    failure: Failure | None
    usage: tuple[RateUsage, ...]


class Trade(Struct, frozen=True):
    """One execution as the venue lists it; ``fee`` > 0 is paid, < 0 a rebate.  ``fee_asset`` is empty only
    where a forced execution paid no fee and the venue named none."""

    instrument: InstrumentId
    trade_id: str
    venue_order_id: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    venue_ns: int


class Order(Struct, frozen=True):
    """An order as the venue states it: answer of place, cancel, query and lists alike.

    ``client_id`` is the name it was placed under; ``kind`` the venue's word for its type.  ``trades`` only in
    spot's answer to place, and there ``venue_ns`` is the time of the answer.
    """

    instrument: InstrumentId
    client_id: ClientId
    venue_order_id: str
    status: OrderStatus
    status_word: str
    kind: str
    side: Side
    qty: Decimal
    filled_qty: Decimal
    price: Decimal
    venue_ns: int
    trades: tuple[Trade, ...] = ()


class _Data(Struct):
    server_ms: msgspec.Raw = field(name="serverTime", default=msgspec.Raw())
    retry_after_ms: msgspec.Raw = field(name="retryAfter", default=msgspec.Raw())


class _Error(Struct):
    code: Code
    text: str = field(name="msg")
    data: _Data | None = None


class _WsReply(Struct):
    id: Name | Id | None
    status: Status
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    usage: msgspec.Raw = field(name="rateLimits", default=msgspec.Raw(b"[]"))


class _WsId(Struct):
    id: Name | Id | None = None


class _Fill(Struct):
    price: str
    qty: str
    fee: str = field(name="commission")
    fee_asset: Name = field(name="commissionAsset")
    trade_id: Id = field(name="tradeId")


class _Order(Struct):
    symbol: Symbol
    venue_order_id: Id = field(name="orderId")
    client_id: Name = field(name="clientOrderId")
    status: Name
    kind: Name = field(name="type")
    side: SideWord
    qty: str = field(name="origQty")
    filled_qty: str = field(name="executedQty")
    price: str
    placed_as: Name = field(
        name="origClientOrderId", default=""
    )  # on spot's cancels, whose own id is clientOrderId
    transact_ms: Ms | None = field(name="transactTime", default=None)
    update_ms: Ms | None = field(name="updateTime", default=None)
    fills: list[_Fill] = field(default_factory=list)


class _OpenOrder(Struct):
    """What an account report needs of an order, so that no other field can make it unreadable."""

    symbol: Symbol
    client_id: Name = field(name="clientOrderId")
    side: SideWord
    qty: str = field(name="origQty", default="0")  # none where it closes a whole position
    kind: Name = field(name="type", default="")


class _Trade(Struct):
    symbol: Symbol
    trade_id: Id = field(name="id")
    venue_order_id: Id = field(name="orderId")
    price: str
    qty: str
    fee: str = field(name="commission")
    fee_asset: Name = field(name="commissionAsset")
    at_ms: Ms = field(name="time")
    side: SideWord | None = None  # futures
    buyer: bool | None = None  # futures
    is_buyer: bool | None = field(name="isBuyer", default=None)  # spot
    maker: bool | None = None  # futures
    is_maker: bool | None = field(name="isMaker", default=None)  # spot


_read_ws = reader(_WsReply)
_read_ws_id = reader(_WsId)
_read_error = reader(_Error)
_read_usage = reader(RateUsage)
_read_order = reader(_Order)
_read_trade = reader(_Trade)
_read_open_order = reader(_OpenOrder)


def ws_reply(payload: bytes) -> WsReply:
    """Raises `Drift`."""
    reply = _read_ws(payload)
    if reply.id is None:
        raise Drift("an answer without id")
    if reply.error is None and not 200 <= reply.status < 300:
        raise Drift(f"an answer of status {reply.status} without error")
    failed = None if reply.error is None else _failure(reply.error)
    result = bytes(reply.result) if failed is None else b""
    return WsReply(str(reply.id), reply.status, result, failed, _usage(bytes(reply.usage)))


def ws_reply_id(payload: bytes) -> str | None:
    """The id of an answer; ``None`` for an event of a private stream on the same socket.  Raises `Drift`."""
    identity = _read_ws_id(payload).id
    return None if identity is None else str(identity)


def failure(body: bytes) -> Failure:
    """The error in an HTTP body; code 0 and a short text for anything else, an HTML page included.  Never
    raises."""
    try:
        return _failure(_read_error(body))
    except Drift:
        start = body.lstrip()[:1]
        return Failure(
            0, "an HTML page" if start == b"<" else f"{len(body)} bytes that are no error of the venue"
        )


def order(market: str, body: bytes) -> Order:
    """The answer of place, cancel or query.  Raises `Drift`."""
    return _order(market, _read_order(body))


def orders(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[Order, ...]:
    """A list of orders.  Raises `Drift`, as `rows` does."""
    return tuple(rows(_read_order, lambda row: _order(market, row), body, unread))


def open_orders(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[ForeignOrder, ...]:
    """Orders that live, whosever they are.  Raises `Drift`, as `rows` does."""

    def made(row: _OpenOrder) -> ForeignOrder:
        name = instrument(market, row.symbol)
        return ForeignOrder(row.client_id, name, side(row.side), quantity(row.qty), row.kind)

    return tuple(rows(_read_open_order, made, body, unread))


def trades(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[Trade, ...]:
    """A list of executions, in the venue's order.  Raises `Drift`, as `rows` does."""
    return tuple(rows(_read_trade, lambda row: _trade(market, row), body, unread))


def accepted(order: Order) -> OrderAccepted:
    return OrderAccepted(order.client_id, order.venue_order_id, order.venue_ns)


def reported(order: Order) -> OrderReported:
    """To be told only after every fill that it counts."""
    return OrderReported(
        client_id=order.client_id,
        instrument=order.instrument,
        venue_order_id=order.venue_order_id,
        status=order.status,
        side=order.side,
        qty=order.qty,
        filled_qty=order.filled_qty,
        venue_ns=order.venue_ns,
    )


def filled(trade: Trade, client_id: ClientId) -> OrderFilled:
    return OrderFilled(
        client_id=client_id,
        instrument=trade.instrument,
        trade_id=trade.trade_id,
        venue_order_id=trade.venue_order_id,
        side=trade.side,
        qty=trade.qty,
        price=trade.price,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        maker=trade.maker,
        venue_ns=trade.venue_ns,
    )


def ended(
    client_id: ClientId, status: OrderStatus, reason: str, venue_ns: int
) -> OrderCanceled | OrderExpired | OrderRejected | None:
    """How an order of this status ended; ``None`` while it lives, and where its fills say it.

    To be told only after every fill that it had.
    """
    match status:
        case OrderStatus.OPEN | OrderStatus.FILLED:
            return None
        case OrderStatus.CANCELED:
            return OrderCanceled(client_id, venue_ns)
        case OrderStatus.EXPIRED:
            return OrderExpired(client_id, reason, venue_ns)
        case OrderStatus.REJECTED:
            return OrderRejected(client_id, "REJECTED", reason, venue_ns)


def _failure(error: _Error) -> Failure:
    wait_ms = None
    if error.data is not None:
        server_ms, until_ms = (
            whole(bytes(raw).decode(errors="replace"), MS_MAX)
            for raw in (error.data.server_ms, error.data.retry_after_ms)
        )
        if server_ms is not None and until_ms is not None:
            wait_ms = max(0, until_ms - server_ms)
    return Failure(error.code, error.text[:_TEXT_MAX], wait_ms)


def _usage(payload: bytes) -> tuple[RateUsage, ...]:
    try:
        return tuple(rows(_read_usage, lambda row: row, payload, []))
    except Drift:
        return ()


def _order(market: str, row: _Order) -> Order:
    at_ms = row.transact_ms if row.transact_ms is not None else row.update_ms
    if at_ms is None:
        raise Drift("an order without time")
    name = instrument(market, row.symbol)
    venue_order_id = str(row.venue_order_id)
    order_side = side(row.side)
    # LIMIT_MAKER never takes, and a fill told in the answer to place was a taker's for any other type
    told = tuple(
        Trade(
            instrument=name,
            trade_id=str(fill.trade_id),
            venue_order_id=venue_order_id,
            side=order_side,
            qty=_traded(fill.qty),
            price=amount(fill.price),
            fee=amount(fill.fee),
            fee_asset=fill.fee_asset,
            maker=False,
            venue_ns=time_ns(at_ms),
        )
        for fill in row.fills
    )
    return Order(
        instrument=name,
        client_id=ClientId(row.placed_as or row.client_id),
        venue_order_id=venue_order_id,
        status=status(row.status),
        status_word=row.status,
        kind=row.kind,
        side=order_side,
        qty=quantity(row.qty),
        filled_qty=quantity(row.filled_qty),
        price=amount(row.price),
        venue_ns=time_ns(at_ms),
        trades=told,
    )


def _trade(market: str, row: _Trade) -> Trade:
    buyer = row.is_buyer if row.buyer is None else row.buyer
    maker = row.is_maker if row.maker is None else row.maker
    if maker is None or (buyer is None and row.side is None):
        raise Drift("a trade that does not say whose side was whose")
    return Trade(
        instrument=instrument(market, row.symbol),
        trade_id=str(row.trade_id),
        venue_order_id=str(row.venue_order_id),
        side=side(row.side) if row.side is not None else (Side.BUY if buyer else Side.SELL),
        qty=_traded(row.qty),
        price=amount(row.price),
        fee=amount(row.fee),
        fee_asset=row.fee_asset,
        maker=maker,
        venue_ns=time_ns(row.at_ms),
    )


def _traded(text: str) -> Decimal:
    qty = amount(text)
    if qty <= ZERO:
        raise Drift("an execution of nothing")
    return qty
