"""Binance's private streams: bytes to typed events, and those to facts.

Every event the venue documents is a type here, known and unused ones too; anything else raises `Drift`.  An
order event says what happened to one order and how much of it has filled in all, so that a gateway notices a
fill that it was not told before it tells the end.  What must stay true: an event becomes a fact once, so what
the venue says twice (transfers on futures, funding) is told from its income history and not from here.

Sources, read on 2026-11-20: binance_sdk_spot 13.3.0 (websocket_api models), usds_futures 18.1.0 and
coin_futures 14.1.0 (websocket_streams models); names of forced orders, serverShutdown and the reasons of
ACCOUNT_UPDATE from the venue's stream pages (2026-06)."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from msgspec import Struct

from adapters.binance import event_bodies as bodies
from adapters.binance.decoding import (
    VENUE,
    Drift,
    Unread,
    amount,
    instrument,
    quantity,
    rows,
    side,
    status,
    time_ns,
)
from adapters.binance.replies import Trade, ended, filled
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    ForcedFilled,
    MarginCalled,
    OrderAccepted,
    OrderStatus,
    Transferred,
)
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.instrument import Side
from bot.model.money import exact_arithmetic, text

_FORCED = (
    ("autoclose-", "liquidation"),
    ("adl_autoclose", "adl"),
    ("settlement_autoclose-", "settlement"),
    ("delivery_autoclose-", "settlement"),
)
_EXPIRIES = {  # futures' er; 0 stands for none
    "1": "SELF_TRADE",
    "2": "IOC_REST",
    "3": "IOC_SELF_TRADE",
    "4": "KNOCKED_OUT_BY_REDUCE_ONLY",
    "5": "LIQUIDATED",
    "6": "GTE_UNSATISFIED",
    "7": "DELISTED",
    "8": "STOP_TRIGGERED",
    "9": "MARKET_REST",
    "10": "FOK_UNFILLED",
    "11": "POST_ONLY_FAILED",
}
_FOREIGN = {  # event: where its symbol stands
    "ALGO_UPDATE": "o",
    "CONDITIONAL_ORDER_TRIGGER_REJECT": "or",
    "STRATEGY_UPDATE": "su",
    "GRID_UPDATE": "gu",
    "listStatus": "",
}
_UNUSED = frozenset({"TRADE_LITE", "externalLockUpdate", "USER_LIABILITY_CHANGE"})
_ENDING = frozenset({"eventStreamTerminated", "serverShutdown"})


class Event(Struct, frozen=True):
    """Base of all private events; ``venue_ns`` is when it happened, by the venue's clock."""

    venue_ns: int


class OrderEvent(Event, frozen=True):
    """executionReport and ORDER_TRADE_UPDATE.

    ``execution`` is the venue's ``x``, ``status_word`` its ``X``; ``filled_qty`` counts this event's
    ``trade``, which is set when the event is an execution.  ``forced`` is the cause (liquidation, adl,
    settlement) of an order that the venue itself made, else empty.  ``reason`` is the venue's word for a
    rejection or an expiry."""

    instrument: InstrumentId
    client_id: ClientId
    venue_order_id: str
    execution: str
    status: OrderStatus
    status_word: str
    side: Side
    qty: Decimal
    filled_qty: Decimal
    trade: Trade | None
    forced: str
    reason: str


class WalletEvent(Event, frozen=True):
    """outboundAccountPosition: new balances (free + locked) of the assets that may have changed."""

    account: AccountId
    balances: dict[str, Decimal]


class BalanceMoved(Event, frozen=True):
    """balanceUpdate: a deposit, withdrawal or transfer; ``amount`` signed.  The venue gives it no id: the
    ``transaction_id`` is made of what it says, so that an event told twice is one transfer."""

    account: AccountId
    asset: str
    amount: Decimal
    transaction_id: str


class PositionStatement(Struct, frozen=True):
    """A position's new quantity; ``entry`` is rounded."""

    instrument: InstrumentId
    side_word: str
    qty: Decimal
    entry: Decimal


class AccountEvent(Event, frozen=True):
    """ACCOUNT_UPDATE: wallet balances and positions that changed, and why (``reason``: ORDER, FUNDING_FEE,
    DEPOSIT, MARGIN_TYPE_CHANGE ...).  ``changes`` are balance changes that are neither profit nor fee."""

    account: AccountId
    reason: str
    balances: dict[str, Decimal]
    changes: dict[str, Decimal]
    positions: tuple[PositionStatement, ...]


class MarginCall(Event, frozen=True):
    """MARGIN_CALL: positions near liquidation."""

    account: AccountId
    positions: tuple[InstrumentId, ...]


class SettingsMoved(Event, frozen=True):
    """ACCOUNT_CONFIG_UPDATE: the leverage of a contract, or multi-assets mode, is not as it was.  It does not
    tell all of either, so what is set is asked for."""


class ListenKeyExpired(Event, frozen=True):
    """The private stream is dead; a new key is needed."""


class StreamEnding(Event, frozen=True):
    """eventStreamTerminated or serverShutdown: connect anew."""

    word: str


class ForeignEvent(Event, frozen=True):
    """Something happened to conditional, strategy, grid or listed orders, which are never ours."""

    word: str
    symbol: str


class Unused(Event, frozen=True):
    """Known and of no use: what TRADE_LITE tells, ORDER_TRADE_UPDATE tells with the fee."""

    word: str


AnyEvent = (
    OrderEvent | WalletEvent | BalanceMoved | AccountEvent | MarginCall | SettingsMoved | ListenKeyExpired
    | StreamEnding | ForeignEvent | Unused
)  # fmt: skip


def event(market: str, payload: bytes, unread: list[Unread] | None = None) -> AnyEvent:
    """One message of a private stream, bare or wrapped: ``{"subscriptionId": 0, "event": {...}}`` on spot,
    ``{"stream": ..., "data": {...}}`` on a combined connection.  Raises `Drift`, for its lists as
    `decoding.rows` does."""
    head = bodies.read_head(payload)
    inner = bytes(head.wrapped) or bytes(head.combined)
    if inner and not head.word:
        payload = inner
        head = bodies.read_head(payload)
    at_ns = time_ns(head.at_ms)
    account = AccountId(f"{VENUE}:{market}")
    match head.word:
        case "executionReport":
            return _order_event(market, bodies.read_order(payload))
        case "ORDER_TRADE_UPDATE":
            return _order_event(market, bodies.read_order(bytes(head.order)))
        case "outboundAccountPosition":
            return _wallet_event(account, bodies.read_wallet(payload), unread)
        case "balanceUpdate":
            moved = bodies.read_moved(payload)
            delta = amount(moved.amount)
            name = f"balanceUpdate:{moved.asset}:{moved.at_ms}:{text(delta)}"
            return BalanceMoved(time_ns(moved.at_ms), account, moved.asset, delta, name)
        case "ACCOUNT_UPDATE":
            return _account_event(market, account, bodies.read_account(payload), unread)
        case "MARGIN_CALL":
            called = bytes(bodies.read_call(payload).positions)
            named = rows(bodies.read_called, lambda row: instrument(market, row.symbol), called, unread)
            return MarginCall(at_ns, account, tuple(named))
        case "ACCOUNT_CONFIG_UPDATE":
            return SettingsMoved(at_ns)
        case "listenKeyExpired":
            return ListenKeyExpired(at_ns)
        case word if word in _ENDING:
            return StreamEnding(at_ns, word)
        case word if word in _FOREIGN:
            return ForeignEvent(at_ns, word, _foreign_symbol(word, payload))
        case word if word in _UNUSED:
            return Unused(at_ns, word)
        case word:
            raise Drift(f"unknown private event {word[:40]!r}")


def facts_of(event: AnyEvent) -> tuple[AnyFact, ...]:
    """The facts of an event that need no state.

    Of an order: accepted, filled, ended, in this order and each where it applies, whoever the order belongs
    to (a caller leaves foreign ones out); a forced one yields its fills alone.  Wallets yield balances; a
    position's cost cannot be told from an event; money moved on futures is told by the income history."""
    match event:
        case OrderEvent():
            return _order_facts(event)
        case WalletEvent() | AccountEvent():
            return tuple(
                BalanceSeen(event.account, asset, balance, event.venue_ns)
                for asset, balance in event.balances.items()
            )
        case BalanceMoved():
            return (
                Transferred(event.account, event.asset, event.amount, event.transaction_id, event.venue_ns),
            )
        case MarginCall():
            named = ", ".join(event.positions) or "no position named"
            return (MarginCalled(event.account, f"margin call: {named}", event.venue_ns),)
        case SettingsMoved() | ListenKeyExpired() | StreamEnding() | ForeignEvent() | Unused():
            return ()
        case _:
            assert_never(event)


def forced(client_id: str) -> str:
    """Why the venue itself made an order of this name; empty for anybody else's."""
    return next((cause for start, cause in _FORCED if client_id.startswith(start)), "")


def forced_filled(trade: Trade, cause: str) -> ForcedFilled:
    return ForcedFilled(
        instrument=trade.instrument,
        trade_id=trade.trade_id,
        side=trade.side,
        qty=trade.qty,
        price=trade.price,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        cause=cause,
        venue_ns=trade.venue_ns,
    )


def _order_facts(event: OrderEvent) -> tuple[AnyFact, ...]:
    if event.forced:
        return () if event.trade is None else (forced_filled(event.trade, event.forced),)
    facts: list[AnyFact] = []
    if event.execution == "NEW":
        facts.append(OrderAccepted(event.client_id, event.venue_order_id, event.venue_ns))
    if event.trade is not None:
        facts.append(filled(event.trade, event.client_id))
    end = ended(event.client_id, event.status, event.reason, event.venue_ns)
    return (*facts, end) if end is not None else tuple(facts)


def _order_event(market: str, body: bodies.OrderBody) -> OrderEvent:
    client_id = ClientId(body.placed_as or body.client_id)
    name = instrument(market, body.symbol)
    at_ns = time_ns(body.at_ms)
    last_qty = quantity(body.last_qty)
    trade = None
    if body.execution in ("TRADE", "CALCULATED") and last_qty > 0:
        trade = Trade(
            instrument=name,
            trade_id=str(body.trade_id),
            venue_order_id=str(body.venue_order_id),
            side=side(body.side),
            qty=last_qty,
            price=amount(body.last_price),
            fee=amount(body.fee or "0"),
            fee_asset=body.fee_asset or body.margin_asset,
            maker=body.maker,
            venue_ns=at_ns,
        )
        if trade.fee and not trade.fee_asset:
            raise Drift("an execution with a fee in no asset")
    spot_word = "" if body.reject == "NONE" else body.reject
    return OrderEvent(
        venue_ns=at_ns,
        instrument=name,
        client_id=client_id,
        venue_order_id=str(body.venue_order_id),
        execution=body.execution,
        status=status(body.status),
        status_word=body.status,
        side=side(body.side),
        qty=quantity(body.qty),
        filled_qty=quantity(body.filled_qty),
        trade=trade,
        forced=forced(client_id),
        reason=spot_word or body.expiry_spot or _EXPIRIES.get(body.expiry) or body.status,
    )


def _wallet_event(account: AccountId, body: bodies.SpotWallet, unread: list[Unread] | None) -> WalletEvent:
    with exact_arithmetic():
        balances = rows(
            bodies.read_spot_asset,
            lambda row: (row.asset, quantity(row.free) + quantity(row.locked)),
            bytes(body.balances),
            unread,
        )
    return WalletEvent(time_ns(body.at_ms), account, dict(balances))


def _account_event(
    market: str, account: AccountId, body: bodies.AccountUpdate, unread: list[Unread] | None
) -> AccountEvent:
    changes = body.changes
    assets = rows(
        bodies.read_asset,
        lambda row: (row.asset, amount(row.wallet), amount(row.change)),
        bytes(changes.balances),
        unread,
    )
    positions = rows(
        bodies.read_position,
        lambda row: PositionStatement(
            instrument(market, row.symbol), row.side_word, amount(row.qty), amount(row.entry)
        ),
        bytes(changes.positions),
        unread,
    )
    return AccountEvent(
        venue_ns=time_ns(body.at_ms),
        account=account,
        reason=changes.reason,
        balances={asset: wallet for asset, wallet, _ in assets},
        changes={asset: change for asset, _, change in assets},
        positions=tuple(positions),
    )


def _foreign_symbol(word: str, payload: bytes) -> str:
    part = _FOREIGN[word]
    if part:
        parts = bodies.read_parts(payload)
        if part not in parts:
            raise Drift(f"{word} without its content")
        payload = bytes(parts[part])
    return bodies.read_symbol(payload).symbol
