"""One wallet as an exchange states it through ccxt: balances, positions, living orders, payments.

A report is gathered from several answers and must not straddle a change: where a fill or a balance moved
meanwhile it is gathered again, and given up after a few times; the core asks again.  Settings, payments and
missed fills are told before it.

ccxt has no one word for the wallet balance, realised profit included and unrealised not: its ``total`` of a
margin account may hold unrealised profit.  Where the venue's own answer, which ccxt passes on, states the
wallet in one of the words of `_WALLET`, that is taken; a venue that states equity only shows as a difference.
So do transfers, interest and forced fills, which ccxt has no common answer for: they are found as differences
of the wallet, and are a person's to explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from msgspec import Struct, field

from adapters.ccxt.desk import Desk, Leg
from adapters.ccxt.exchange import (
    UNREADABLE,
    Exchange,
    Unreadable,
    answered,
    failures,
    may_pass,
    read_rows,
    unanswered,
)
from adapters.ccxt.markets import Market, family_of, number
from adapters.ccxt.orders import Orders
from adapters.ccxt.set_at_venue import SetAtVenue
from adapters.numbers import MS_MAX, whole
from bot.model.commands import QueryAccount
from bot.model.facts import AccountReported, ForeignOrder, FundingPaid, PositionHeld, ProtocolDrift
from bot.model.ids import AccountId, ClientId
from bot.model.instrument import Instrument, Position, Side, fill_cost
from bot.model.money import COIN_QUANTUM, ONE, ZERO, divide, exact_arithmetic, nearest_to
from bot.ports import Emit

_ASSET = ("asset", "coin", "ccy", "currency")
_WALLET = ("walletBalance", "cashBal")
_GATHERINGS = 3
_PAGE = 500
_PAGES = 20
_MOMENT_MS = 60_000  # a payment and its settlement's rate are this close
_MS = 1_000_000
_SIGNS = {"long": 1, "short": -1}


class _Unread(Struct):
    """What could not be read of an account: a sentence for each row, and the names of those rows that say
    what it holds, an empty one where a row names nothing."""

    reasons: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, name: str | None, reason: str) -> None:
        """``name`` is ``None`` for a row that says nothing of what is held."""
        self.reasons.append(reason)
        if name is not None:
            self.names.append(name)


class Holdings:
    """The wallets of one exchange."""

    def __init__(self, exchange: Exchange, orders: Orders, desk: Desk, emit: Emit) -> None:
        self._exchange = exchange
        self._orders = orders
        self._desk = desk
        self._emit = emit
        self._failures: tuple[type[Exception], ...] = (*failures(), *UNREADABLE)
        self._settings = SetAtVenue(exchange, emit)

    async def answer(self, query: QueryAccount, legs: Sequence[Leg]) -> None:
        """Answer a query for the wallet of ``legs``; no answer where the venue gives none."""
        await self.tell_settings(query.account, legs)
        try:
            unread = _Unread()
            for leg in legs:
                await self._tell_trades(leg, query, unread)
            told: set[tuple[str, str]] = set()
            await self._tell_funding(legs, query.since_ns, told, unread)
            for _ in range(_GATHERINGS):
                stirred = self._desk.stirred.get(query.account, 0)
                report, missing = await self._report(query, legs, unread)
                is_paid = await self._tell_funding(legs, query.since_ns, told, unread)
                if not is_paid and self._desk.stirred.get(query.account, 0) == stirred:
                    for what in missing.reasons:
                        self._emit(ProtocolDrift(query.account, "account", what))
                    self._emit(report)
                    return
        except unanswered() as error:
            self._emit(ProtocolDrift(query.account, "account", f"no answer: {type(error).__name__}"))

    async def tell_settings(self, account: AccountId, legs: Sequence[Leg]) -> None:
        """Tell how the account and its contracts are set, where that is new."""
        await self._settings.tell(account, legs, self._desk.time.now_ns())

    async def balances(self, leg: Leg, unread: _Unread | None = None) -> dict[str, Decimal]:
        """What the wallet of ``leg`` holds, by asset, nothing that is zero.  Raises `failures`."""
        told = await answered(self._exchange.fetch_balance(wallet_params(leg.market)))
        stated = {asset: total for asset, total in told["total"].items() if total is not None}
        if not leg.instrument.is_spot:
            code_of = self._exchange.safe_currency_code
            stated |= {code_of(name): balance for name, balance in _stated(told["info"])}
        found = {asset: number(total) for asset, total in stated.items()}
        for asset, balance in found.items():
            if balance is None and unread is not None:
                unread.add(asset, f"the balance of {asset} is no number")
        return {asset: balance for asset, balance in found.items() if balance}

    # --- inside

    async def _report(
        self, query: QueryAccount, legs: Sequence[Leg], before: _Unread
    ) -> tuple[AccountReported, _Unread]:
        unread = _Unread([*before.reasons], [*before.names])
        balances = await self.balances(legs[0], unread)
        positions = await self._positions(legs, unread)
        ours: list[ClientId] = []
        foreign: list[ForeignOrder] = []
        for leg in legs:
            rows: list[tuple[Any, str]] = []
            for order in read_rows(await self._open_orders(leg), partial(self._order, leg), rows):
                if isinstance(order, ForeignOrder):
                    foreign.append(order)
                else:
                    ours.append(order)
            for _, why in rows:
                unread.add(None, f"an open order of {leg.symbol} is unread: {why}")
        report = AccountReported(
            account=query.account,
            balances=balances,
            positions=positions,
            open_orders=tuple(ours),
            venue_ns=self._desk.time.now_ns(),
            foreign_orders=tuple(foreign),
            unread_rows=len(unread.reasons),
            unread=tuple(unread.names),
        )
        return report, unread

    def _order(self, leg: Leg, order: Mapping[str, Any]) -> ClientId | ForeignOrder:
        """An order that lives: its name if it is ours."""
        if self._desk.is_ours(order):
            return ClientId(str(order["clientOrderId"]))
        return _foreign(leg, order)

    async def _positions(self, legs: Sequence[Leg], unread: _Unread) -> tuple[PositionHeld, ...]:
        if legs[0].instrument.is_spot:
            return ()
        params = wallet_params(legs[0].market)
        symbols = [leg.symbol for leg in legs]
        by_symbol = {leg.symbol: leg for leg in legs}

        def made(told: Mapping[str, Any]) -> PositionHeld | None:
            leg = by_symbol.get(told["symbol"])
            if leg is None:
                return None
            position = position_of(leg.instrument, told)
            return PositionHeld(leg.id, position.qty, position.cost) if position.qty else None

        rows: list[tuple[Any, str]] = []
        held = read_rows(await answered(self._exchange.fetch_positions(symbols, params)), made, rows)
        for row, why in rows:
            symbol = str(row.get("symbol")) if isinstance(row, Mapping) else ""
            unread.add(by_symbol[symbol].id if symbol in by_symbol else "", f"a position is unread: {why}")
        return tuple(position for position in held if position is not None)

    async def _open_orders(self, leg: Leg) -> list[Mapping[str, Any]]:
        orders = list(await answered(self._exchange.fetch_open_orders(leg.symbol)))
        if self._exchange.feature_value(leg.symbol, "fetchOpenOrders", "trigger"):
            conditional = self._exchange.fetch_open_orders(leg.symbol, None, None, {"trigger": True})
            orders += await answered(conditional)
        return orders

    async def _tell_trades(self, leg: Leg, query: QueryAccount, unread: _Unread) -> None:
        """Fills of ours that were missed: those after the last trade known.  Trades told twice are harmless,
        trades of orders that are not ours are not facts."""
        last = query.after_trades.get(leg.id)
        if last is None:
            return
        trades = await self._orders.trades(leg, query.since_ns // _MS or None, lambda _: True)
        ids = [str(one["id"]) for one in trades]
        for trade in trades[ids.index(last) + 1 if last in ids else 0 :]:
            order_id = str(trade["order"])
            if not self._desk.knows(leg, order_id):
                try:
                    order = await answered(self._exchange.fetch_order(order_id, leg.symbol))
                except self._failures as error:
                    if may_pass(error) and not isinstance(error, Unreadable):
                        raise
                    unread.add(
                        None, f"the order of trade {trade.get('id')} is unread: {type(error).__name__}"
                    )
                    continue
                if not self._desk.is_ours(order):
                    continue
                self._desk.on_order(leg, order)
            self._desk.on_trade(leg, trade)

    async def _tell_funding(
        self, legs: Sequence[Leg], since_ns: int, told: set[tuple[str, str]], unread: _Unread
    ) -> bool:
        """Tell the funding payments since a time that are not among ``told``, and add them; whether there
        were any.  One that is listed only after a wallet was read may be in it or not."""
        if not self._exchange.has["fetchFundingHistory"] or not since_ns:
            return False
        before = len(told)
        for leg in legs:
            if leg.market["swap"]:
                listed = await self._payments(leg, since_ns // _MS)
                rows = {(leg.symbol, str(row["id"])): row for row in listed}
                for name, row in rows.items():
                    if name not in told:
                        await self._tell_payment(leg, row, unread)
                told.update(rows)
        return len(told) > before

    async def _tell_payment(self, leg: Leg, row: Mapping[str, Any], unread: _Unread) -> None:
        try:
            self._emit(await self._funding(leg, row))
        except UNREADABLE as error:
            asset = row.get("code") or leg.instrument.margin_asset
            unread.add(str(asset), f"a funding payment: {error}")

    async def _funding(self, leg: Leg, row: Mapping[str, Any]) -> FundingPaid:
        """A venue's row states its amount and moment; rate and mark are those of the settlement, and the
        quantity is what all of them say.  Raises one of `UNREADABLE` for a row that says too little."""
        at_ms, amount = whole(row["timestamp"], MS_MAX), number(row["amount"])
        rate, mark = await self._settlement(leg, at_ms) if at_ms else (None, None)
        if at_ms is None or amount is None or rate is None or mark is None:
            raise ValueError(f"{row.get('id')} of {leg.symbol} lacks its time, amount, rate or mark")
        return FundingPaid(
            instrument=leg.id,
            asset=str(row["code"]),
            amount=amount,
            rate=rate,
            mark=mark,
            qty=_paid_on(leg.instrument, amount, rate, mark),
            transaction_id=str(row["id"]),
            venue_ns=at_ms * _MS,
        )

    async def _payments(self, leg: Leg, since_ms: int) -> list[Mapping[str, Any]]:
        told: dict[str, Mapping[str, Any]] = {}
        for _ in range(_PAGES):
            page = await answered(self._exchange.fetch_funding_history(leg.symbol, since_ms, _PAGE))
            news = [row for row in page if str(row["id"]) not in told]
            told.update((str(row["id"]), row) for row in news)
            if len(page) < _PAGE or not news:
                break
            since_ms = max(since_ms, *(whole(row.get("timestamp"), MS_MAX) or 0 for row in page))
        return sorted(told.values(), key=lambda row: whole(row.get("timestamp"), MS_MAX) or 0)

    async def _settlement(self, leg: Leg, at_ms: int) -> tuple[Decimal | None, Decimal | None]:
        """Rate and mark of the settlement at a moment."""
        has = self._exchange.has
        if not has["fetchFundingRateHistory"]:
            return None, None
        rows = await answered(self._exchange.fetch_funding_rate_history(leg.symbol, at_ms - _MOMENT_MS, 10))
        apart = [
            (abs(ms - at_ms), place)
            for place, one in enumerate(rows)
            if (ms := whole(one.get("timestamp"), MS_MAX)) is not None
        ]
        distance_ms, place = min(apart, default=(_MOMENT_MS + 1, 0))
        row = rows[place] if distance_ms <= _MOMENT_MS else None
        if row is None:
            return None, None
        mark = number(row["info"].get("markPrice")) if isinstance(row["info"], Mapping) else None
        if mark is None and has["fetchMarkOHLCV"]:
            candles = await answered(self._exchange.fetch_mark_ohlcv(leg.symbol, "1m", at_ms - _MOMENT_MS, 1))
            mark = number(candles[0][4]) if candles else None
        return number(row["fundingRate"]), mark


def wallet_params(market: Market) -> dict[str, str]:
    """ccxt's parameters that name the wallet of a market."""
    if market["spot"]:
        return {"type": "spot"}
    return {"type": market["type"], "subType": family_of(market)}


def position_of(instrument: Instrument, told: Mapping[str, Any]) -> Position:
    """ccxt's position structure; the cost follows from the entry price, which venues round.

    Raises one of `UNREADABLE` for a position that says neither its size nor that there is none, or not at
    what side and price it is held."""
    stated = told["contracts"]
    qty = ZERO if stated is None else number(stated)
    if qty is None:
        raise ValueError("a position of no size")
    if not qty:
        return Position()
    entry, sign = number(told["entryPrice"]), _SIGNS[told["side"]]
    if entry is None:
        raise ValueError("a position without entry price")
    with exact_arithmetic():
        return Position(sign * qty, fill_cost(instrument, sign * qty, entry))


def _paid_on(instrument: Instrument, amount: Decimal, rate: Decimal, mark: Decimal) -> Decimal:
    """The signed quantity that a payment was made on: a long pays a positive rate."""
    if not rate:
        return ZERO
    with exact_arithmetic():
        per_qty = fill_cost(instrument, ONE, mark)
        return nearest_to(divide(-amount, per_qty * rate, COIN_QUANTUM), instrument.lot)


def _foreign(leg: Leg, order: Mapping[str, Any]) -> ForeignOrder:
    name = str(order.get("clientOrderId") or order.get("id"))
    kind = str(order.get("type") or "unknown")
    return ForeignOrder(name, leg.id, Side(order["side"]), number(order.get("amount")) or ZERO, kind)


def _stated(info: Any) -> Iterator[tuple[str, Any]]:
    """Every wallet balance that the venue's own answer states, by the venue's name of the asset."""
    if isinstance(info, list):
        for one in info:
            yield from _stated(one)
    elif isinstance(info, Mapping):
        asset = next((info[key] for key in _ASSET if isinstance(info.get(key), str)), None)
        balance = next((info[key] for key in _WALLET if key in info), None)
        if asset is not None and balance is not None:
            yield asset, balance
            return
        for one in info.values():
            if isinstance(one, list | Mapping):
                yield from _stated(one)
