"""The wire's shapes of Binance's private events, field by field as the venue names them.

Only the fields that `events` uses are decoded; a field that one market lacks has a default.  Amounts stay
text until they become exact there.  Sources as `events`."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct, field

from adapters.binance.decoding import Name, SideWord, Symbol, reader
from adapters.numbers import Id, Ms

NO_ROWS = msgspec.Raw(b"[]")


class Head(Struct):
    word: str = field(name="e", default="")
    at_ms: Ms = field(name="E", default=0)
    wrapped: msgspec.Raw = field(name="event", default=msgspec.Raw())  # spot
    combined: msgspec.Raw = field(name="data", default=msgspec.Raw())  # combined streams
    order: msgspec.Raw = field(name="o", default=msgspec.Raw())


class OrderBody(Struct):
    """The fields that spot's report and the body of futures' have in common, and each one's own."""

    symbol: Symbol = field(name="s")
    client_id: Name = field(name="c")
    side: SideWord = field(name="S")
    qty: str = field(name="q")
    execution: Name = field(name="x")
    status: Name = field(name="X")
    venue_order_id: Id = field(name="i")
    last_qty: str = field(name="l")
    filled_qty: str = field(name="z")
    last_price: str = field(name="L")
    at_ms: Ms = field(name="T")
    trade_id: Id = field(name="t")
    maker: bool = field(name="m")
    fee: str | None = field(name="n", default=None)
    fee_asset: Name | None = field(name="N", default=None)
    margin_asset: Name = field(name="ma", default="")  # COIN-M
    placed_as: Name = field(name="C", default="")  # spot: the name of the order that c cancelled
    reject: Name = field(name="r", default="NONE")  # spot
    expiry_spot: Name = field(name="eR", default="")
    expiry: Name = field(name="er", default="")  # futures


class SpotAsset(Struct):
    asset: Name = field(name="a")
    free: str = field(name="f")
    locked: str = field(name="l")


class SpotWallet(Struct):
    balances: msgspec.Raw = field(name="B")
    at_ms: Ms = field(name="u")


class Moved(Struct):
    asset: Name = field(name="a")
    amount: str = field(name="d")
    at_ms: Ms = field(name="T")


class Asset(Struct):
    asset: Name = field(name="a")
    wallet: str = field(name="wb")
    change: str = field(name="bc", default="0")


class PositionBody(Struct):
    symbol: Symbol = field(name="s")
    qty: str = field(name="pa")
    entry: str = field(name="ep", default="0")
    side_word: Literal["BOTH", "LONG", "SHORT"] = field(name="ps", default="BOTH")


class Changes(Struct):
    reason: Name = field(name="m")
    balances: msgspec.Raw = field(name="B", default=NO_ROWS)
    positions: msgspec.Raw = field(name="P", default=NO_ROWS)


class AccountUpdate(Struct):
    changes: Changes = field(name="a")
    at_ms: Ms = field(name="T")


class CalledBody(Struct):
    symbol: Symbol = field(name="s")


class Called(Struct):
    positions: msgspec.Raw = field(name="p")


class Named(Struct):
    symbol: str = field(name="s", default="")


read_head = reader(Head)
read_order = reader(OrderBody)
read_wallet = reader(SpotWallet)
read_spot_asset = reader(SpotAsset)
read_asset = reader(Asset)
read_position = reader(PositionBody)
read_called = reader(CalledBody)
read_moved = reader(Moved)
read_account = reader(AccountUpdate)
read_call = reader(Called)
read_parts = reader(dict[str, msgspec.Raw])
read_symbol = reader(Named)
