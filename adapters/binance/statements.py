"""Binance's answers on accounts, payments and settings: bytes to typed values, and those to facts.

Same rule as `replies`: a typed value or `Drift`.  Nothing is summed up: in hedge mode the venue states an
instrument's position more than once, and ``side_word`` says so.  What a position cost is worked out from its
value and its unrealised profit, since the venue rounds the entry price of a linear contract to the tick or
so; an inverse one's entry has eight places, which give the cost in coins back exactly.

Sources, all of 2026-11-20: binance_sdk_spot 13.3.0, binance_sdk_derivatives_trading_usds_futures 18.1.0,
binance_sdk_derivatives_trading_coin_futures 14.1.0 (models of rest_api); apiRestrictions from
the venue's wallet page.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

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
    time_ns,
)
from adapters.numbers import Id, Ms, whole
from bot.model.facts import ForeignOrder, InsuranceCharged, PositionHeld, Transferred
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, fill_cost
from bot.model.money import COIN_QUANTUM, ZERO, exact_arithmetic, nearest_to

_LEVERAGE_MAX = 1000
# These reach the ledger by fills and funding payments; any other kind of income moved money in or out.
TOLD_OTHERWISE = frozenset({"FUNDING_FEE", "COMMISSION", "REALIZED_PNL", "DELIVERED_SETTELMENT"})


class Wallet(Struct, frozen=True):
    """Balances that are not zero: spot free + locked, futures wallet balance (unrealised profit excluded).

    ``venue_ns`` is the last change the answer tells of, 0 where it tells of none; not the time of the answer.
    """

    balances: dict[str, Decimal]
    venue_ns: int


class PositionStated(Struct, frozen=True):
    """One position as stated; ``side_word`` is BOTH in one-way mode, LONG or SHORT in hedge mode."""

    instrument: InstrumentId
    side_word: str
    qty: Decimal
    entry: Decimal
    mark: Decimal
    unrealised: Decimal
    venue_ns: int


class Income(Struct, frozen=True):
    """One row of the income history; ``amount`` > 0 was received.

    ``transaction_id`` is unique within an account: the venue's is so within a kind, and a row of a fill
    shares it with others, so kind and symbol are part of it."""

    kind: str
    instrument: InstrumentId | None
    asset: str
    amount: Decimal
    transaction_id: str
    trade_id: str
    venue_ns: int


class FundingRate(Struct, frozen=True):
    """A settled rate; ``mark`` is ``None`` where the venue left it empty."""

    instrument: InstrumentId
    rate: Decimal
    mark: Decimal | None
    settled_ns: int


class SymbolConfig(Struct, frozen=True):
    """What an account has set for a symbol."""

    instrument: InstrumentId
    leverage: int
    cross: bool


class Restrictions(Struct, frozen=True):
    """What a key may do."""

    may_read: bool
    may_trade_spot: bool
    may_trade_futures: bool
    may_withdraw: bool
    ip_restricted: bool


class _SpotBalance(Struct):
    asset: Name
    free: str
    locked: str


class _SpotAccount(Struct):
    balances: msgspec.Raw
    update_ms: Ms = field(name="updateTime", default=0)


class _FuturesAsset(Struct):
    asset: Name
    balance: str = field(name="walletBalance")
    update_ms: Ms = field(name="updateTime", default=0)


class _FuturesAccount(Struct):
    assets: msgspec.Raw


class _Position(Struct):
    symbol: Symbol
    qty: str = field(name="positionAmt")
    entry: str = field(name="entryPrice")
    mark: str = field(name="markPrice")
    unrealised: str = field(name="unRealizedProfit")
    side_word: Literal["BOTH", "LONG", "SHORT"] = field(name="positionSide")
    update_ms: Ms = field(name="updateTime")


class _Mode(Struct):
    hedge: bool = field(name="dualSidePosition")


class _Assets(Struct):
    multi: bool = field(name="multiAssetsMargin")


class _SymbolConfig(Struct):
    symbol: Symbol
    margin: Literal["CROSSED", "ISOLATED", "cross", "isolated"] = field(name="marginType")
    leverage: int | str


class _Restrictions(Struct):
    may_read: bool = field(name="enableReading")
    may_trade_spot: bool = field(name="enableSpotAndMarginTrading")
    may_trade_futures: bool = field(name="enableFutures")
    may_withdraw: bool = field(name="enableWithdrawals")
    ip_restricted: bool = field(name="ipRestrict")


class _Algo(Struct):
    symbol: Symbol
    side: SideWord
    algo_id: Id = field(name="algoId")
    client_id: Name = field(name="clientAlgoId", default="")
    qty: str | None = field(name="quantity", default=None)  # none where it closes the whole position
    kind: Name = field(name="orderType", default="")
    algo_kind: Name = field(name="algoType", default="")


class _Income(Struct):
    symbol: str
    kind: Name = field(name="incomeType")
    amount: str = field(name="income")
    asset: Name
    at_ms: Ms = field(name="time")
    transaction: Name | Id = field(name="tranId")  # a text on COIN-M
    trade: Name | Id | None = field(name="tradeId", default=None)


class _Rate(Struct):
    symbol: Symbol
    rate: str = field(name="fundingRate")
    settled_ms: Ms = field(name="fundingTime")
    mark: str = field(name="markPrice", default="")


class _ListenKey(Struct):
    key: str = field(name="listenKey")


class _Time(Struct):
    ms: Ms = field(name="serverTime")


class _Price(Struct):
    price: str


_read_spot = reader(_SpotAccount)
_read_balance = reader(_SpotBalance)
_read_futures = reader(_FuturesAccount)
_read_asset = reader(_FuturesAsset)
_read_position = reader(_Position)
_read_mode = reader(_Mode)
_read_assets = reader(_Assets)
_read_config = reader(_SymbolConfig)
_read_restrictions = reader(_Restrictions)
_read_algo = reader(_Algo)
_read_income = reader(_Income)
_read_rate = reader(_Rate)
_read_listen_key = reader(_ListenKey)
_read_time = reader(_Time)
_read_price = reader(_Price)
_read_prices = reader(list[_Price])


def wallet(market: str, body: bytes, unread: list[Unread] | None = None) -> Wallet:
    """The answer of account.  Raises `Drift`, as `rows` does."""
    if market == "spot":
        spot = _read_spot(body)
        with exact_arithmetic():  # two amounts of 24 places each side fit its 60 digits
            balances = rows(
                _read_balance,
                lambda row: (row.asset, quantity(row.free) + quantity(row.locked)),
                bytes(spot.balances),
                unread,
            )
        return Wallet(_not_zero(dict(balances)), time_ns(spot.update_ms))
    assets = rows(
        _read_asset,
        lambda row: (row.asset, amount(row.balance), row.update_ms),
        bytes(_read_futures(body).assets),
        unread,
    )
    held = {asset: balance for asset, balance, _ in assets}
    return Wallet(_not_zero(held), time_ns(max((at_ms for *_, at_ms in assets), default=0)))


def positions(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[PositionStated, ...]:
    """Positions that are not zero.  Raises `Drift`, as `rows` does."""

    def made(row: _Position) -> PositionStated:
        return PositionStated(
            instrument=instrument(market, row.symbol),
            side_word=row.side_word,
            qty=amount(row.qty),
            entry=amount(row.entry),
            mark=amount(row.mark),
            unrealised=amount(row.unrealised),
            venue_ns=time_ns(row.update_ms),
        )

    return tuple(each for each in rows(_read_position, made, body, unread) if each.qty != 0)


def cost(instrument: Instrument, position: PositionStated) -> Decimal:
    """Signed cost in the unit of `bot.model.instrument.fill_cost`, to eight places.

    Raises `Drift` for an inverse position without an entry price, and for numbers that exact arithmetic
    cannot hold.
    """
    try:
        with exact_arithmetic():
            if instrument.inverse:
                if position.entry <= 0:
                    raise Drift(f"{position.instrument} is held without an entry price")
                return fill_cost(instrument, position.qty, position.entry)
            value = position.qty * instrument.contract_size * position.mark
            return nearest_to(value - position.unrealised, COIN_QUANTUM)
    except ArithmeticError:
        raise Drift(f"{position.instrument} is held at numbers that have no exact cost") from None


def held(instrument: Instrument, position: PositionStated) -> PositionHeld:
    """Raises `Drift` as `cost`."""
    return PositionHeld(position.instrument, position.qty, cost(instrument, position))


def hedge_mode(body: bytes) -> bool:
    """Whether the account holds long and short apart, which the bot does not trade.  Raises `Drift`."""
    return _read_mode(body).hedge


def multi_assets_mode(body: bytes) -> bool:
    """Whether one asset's loss is made good by another, which the bot does not count on.  Raises `Drift`."""
    return _read_assets(body).multi


def symbol_configs(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[SymbolConfig, ...]:
    """Raises `Drift`, as `rows` does."""

    def made(row: _SymbolConfig) -> SymbolConfig:
        leverage = whole(row.leverage, _LEVERAGE_MAX)
        if leverage is None:
            raise Drift("a leverage that is no number")
        return SymbolConfig(instrument(market, row.symbol), leverage, row.margin.lower().startswith("cross"))

    return tuple(rows(_read_config, made, body, unread))


def restrictions(body: bytes) -> Restrictions:
    """Raises `Drift`."""
    row = _read_restrictions(body)
    return Restrictions(
        row.may_read, row.may_trade_spot, row.may_trade_futures, row.may_withdraw, row.ip_restricted
    )


def algo_orders(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[ForeignOrder, ...]:
    """Open conditional orders; none is ever ours.  One that closes the whole position states no quantity and
    has 0 here.  Raises `Drift`, as `rows` does."""

    def made(row: _Algo) -> ForeignOrder:
        return ForeignOrder(
            name=row.client_id or str(row.algo_id),
            instrument=instrument(market, row.symbol),
            side=side(row.side),
            qty=quantity(row.qty) if row.qty else ZERO,
            kind=row.kind or row.algo_kind,
        )

    return tuple(rows(_read_algo, made, body, unread))


def income(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[Income, ...]:
    """Raises `Drift`, as `rows` does."""

    def made(row: _Income) -> Income:
        if ":" in row.symbol or len(row.symbol) > 40:
            raise Drift("a payment of no symbol")
        return Income(
            kind=row.kind,
            instrument=instrument(market, row.symbol) if row.symbol else None,
            asset=row.asset,
            amount=amount(row.amount),
            transaction_id=":".join(filter(None, (row.kind, str(row.transaction), row.symbol))),
            trade_id="" if row.trade is None else str(row.trade),
            venue_ns=time_ns(row.at_ms),
        )

    return tuple(rows(_read_income, made, body, unread))


def income_fact(account: AccountId, row: Income) -> Transferred | InsuranceCharged | None:
    """The fact of a row that needs nothing else; ``None`` for what other facts tell (`TOLD_OTHERWISE`)."""
    if row.kind in TOLD_OTHERWISE:
        return None
    if row.kind == "INSURANCE_CLEAR":
        return InsuranceCharged(account, row.asset, -row.amount, row.transaction_id, row.venue_ns)
    return Transferred(account, row.asset, row.amount, row.transaction_id, row.venue_ns)


def funding_rates(market: str, body: bytes, unread: list[Unread] | None = None) -> tuple[FundingRate, ...]:
    """Raises `Drift`, as `rows` does."""

    def made(row: _Rate) -> FundingRate:
        return FundingRate(
            instrument=instrument(market, row.symbol),
            rate=amount(row.rate),
            mark=amount(row.mark) if row.mark else None,
            settled_ns=time_ns(row.settled_ms),
        )

    return tuple(rows(_read_rate, made, body, unread))


def listen_key(body: bytes) -> str:
    """A secret: whoever has it reads the account.  Raises `Drift`."""
    key = _read_listen_key(body).key
    if not (key.isascii() and key.isalnum()):
        raise Drift("a listen key that is none")
    return key


def server_time_ns(body: bytes) -> int:
    """Raises `Drift`."""
    return time_ns(_read_time(body).ms)


def ticker_price(body: bytes) -> Decimal:
    """One symbol's last price; COIN-M answers with a list of one.  Raises `Drift`."""
    if body.lstrip().startswith(b"["):
        answers = _read_prices(body)
        if len(answers) != 1:
            raise Drift(f"{len(answers)} prices where one was asked for")
        price = amount(answers[0].price)
    else:
        price = amount(_read_price(body).price)
    if price <= 0:
        raise Drift("a price that is none")
    return price


def _not_zero(balances: dict[str, Decimal]) -> dict[str, Decimal]:
    return {asset: balance for asset, balance in balances.items() if balance}
