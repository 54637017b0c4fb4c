"""What a simulated account comes to, as the bot's own store knows it.

A simulated venue ends with its process, and what it held is then known from the journal alone: what the
journal lacks never happened.  An order that may or may not have reached the venue had not, unless it filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from bot.model.commands import Flatten, PlaceOrder
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Position
from bot.model.store import Order, Store


class Standing(Struct, frozen=True):
    """``orders`` are those that lived, each with what had filled of it, venue units."""

    balances: Mapping[AccountId, Mapping[str, Decimal]]
    positions: Mapping[InstrumentId, Position]
    orders: tuple[tuple[PlaceOrder, Decimal], ...] = ()


def standing_of(store: Store) -> Standing | None:
    """Where a store's ledger stands; ``None`` before the first report of an account, when the settings'
    balances hold."""
    if not store.ledger.cash:
        return None
    return Standing(
        balances={account: dict(cash) for account, cash in store.ledger.cash.items()},
        positions={name: held for name, held in store.ledger.positions.items() if held.qty != 0},
        orders=tuple((_command(one), one.filled_qty) for one in store.orders.values() if _lived(one)),
    )


def _lived(order: Order) -> bool:
    return order.state.is_live and (bool(order.venue_order_id) or order.filled_qty > 0)


def _command(order: Order) -> PlaceOrder:
    return PlaceOrder(
        client_id=order.client_id,
        pair=order.pair,
        role=order.role,
        instrument=order.instrument,
        side=order.side,
        qty=order.qty,
        price=order.price,
        tif=order.tif,
        reduce_only=order.reduce_only,
        purpose=order.purpose,
        arrival_mid=order.arrival_mid,
        why=Flatten("the venue ended with its process"),
    )
