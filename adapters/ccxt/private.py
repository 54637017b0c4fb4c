"""An account's own events through ccxt.pro, or by asking where an exchange streams none.

ccxt says neither when a private stream is subscribed nor that it fell silent, only that its socket failed.
So the channel is open when every watch of the account waits on a connected socket, and what may have been
missed since it was last heard is told from the trade history first.  What must stay true: a loss is told at
once; no watch is left unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from adapters.ccxt.desk import Desk, Leg
from adapters.ccxt.exchange import UNREADABLE, Exchange, answered, failures, is_denied, read_rows
from adapters.ccxt.feed import BACKOFF
from adapters.ccxt.holdings import Holdings, position_of, wallet_params
from adapters.ccxt.markets import number
from adapters.ccxt.orders import Orders
from bot.model.facts import (
    AccountTouched,
    BalanceSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    PositionSeen,
    ProtocolDrift,
)
from bot.model.ids import AccountId
from bot.ports import Emit

POLL_S = 1.0
_ARM_S = 10.0  # a watch that is not connected by then is taken for lost
_LOOK_S = 0.02
_MARGIN_MS = 60_000
_MS = 1_000_000

Watch = Callable[[], Coroutine[Any, Any, None]]


class Private:
    """The private side of one account: the legs of one wallet."""

    def __init__(
        self, exchange: Exchange, orders: Orders, holdings: Holdings, desk: Desk, emit: Emit
    ) -> None:
        self._exchange = exchange
        self._orders = orders
        self._holdings = holdings
        self._desk = desk
        self._emit = emit
        self._failures = failures()
        self._balances: dict[AccountId, dict[str, Decimal]] = {}
        self._is_streamed = bool(exchange.has["watchOrders"] and exchange.has["watchMyTrades"])
        self.losses = 0

    async def run(self, account: AccountId, legs: Sequence[Leg]) -> None:
        """Bring the account's events, for ever."""
        tries, heard_ms, told = 0, self._desk.time.now_ns() // _MS, ""
        while True:
            watches = self._watches(account, legs)
            tasks = [asyncio.ensure_future(watch()) for watch in watches]
            arming = asyncio.ensure_future(self._arm(account, legs, heard_ms))
            try:
                done, _ = await asyncio.wait((*tasks, arming), return_when=asyncio.FIRST_COMPLETED)
                if arming in done and arming.exception() is None:
                    tries, told = 0, ""
                    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                error = next(one.exception() for one in done if one.exception() is not None)
            finally:
                for task in (*tasks, arming):
                    task.cancel()
                await asyncio.gather(*tasks, arming, return_exceptions=True)
            if not isinstance(error, (*self._failures, *UNREADABLE, TimeoutError)):
                raise error or RuntimeError("a watch ended")
            if not told:
                self.losses += 1
                heard_ms = self._desk.time.now_ns() // _MS - _MARGIN_MS
            if told != (told := type(error).__name__):
                self._emit(ChannelLost(account, Channel.PRIVATE, told, is_denied(error)))
            tries += 1
            await asyncio.sleep(BACKOFF.delay_s(tries, f"{account} private"))

    def _watches(self, account: AccountId, legs: Sequence[Leg]) -> list[Watch]:
        has = self._exchange.has
        watches: list[Watch] = []
        for leg in legs:
            if self._is_streamed:
                watches += [self._orders_of(leg), self._trades_of(leg)]
            else:
                watches.append(self._polled(leg))
            if has["watchPositions"] and not leg.instrument.is_spot:
                watches.append(self._positions_of(leg))
        if has["watchBalance"]:
            watches.append(self._balances_of(account, legs[0]))
        return watches

    # --- opening

    async def _arm(self, account: AccountId, legs: Sequence[Leg], heard_ms: int) -> None:
        if self._is_streamed:
            async with asyncio.timeout(_ARM_S):
                while not all(self._is_watched(leg) for leg in legs):
                    await asyncio.sleep(_LOOK_S)
        await self._holdings.tell_settings(account, legs)
        self._balances[account] = await self._holdings.balances(legs[0])
        for leg in legs:
            for trade in await self._orders.trades(leg, heard_ms, lambda _: True):
                self._desk.on_trade(leg, trade)
        self._emit(ChannelOpened(account, Channel.PRIVATE))

    def _is_watched(self, leg: Leg) -> bool:
        """Whether some connected socket of ccxt has this leg's orders awaited on it."""
        wanted = (f"orders:{leg.symbol}", "orders")
        for client in self._exchange.clients.values():
            connected = client.connected
            is_connected = connected.done() and not connected.cancelled() and connected.exception() is None
            if is_connected and any(str(key).startswith(wanted) for key in client.futures):
                return True
        return False

    # --- watching

    def _orders_of(self, leg: Leg) -> Watch:
        async def watch() -> None:
            while True:
                told = await answered(self._exchange.watch_orders(leg.symbol))
                self._each(leg, told, lambda order: self._desk.on_order(leg, order))

        return watch

    def _trades_of(self, leg: Leg) -> Watch:
        async def watch() -> None:
            while True:
                told = await answered(self._exchange.watch_my_trades(leg.symbol))
                self._each(leg, told, lambda trade: self._desk.on_trade(leg, trade))

        return watch

    def _polled(self, leg: Leg) -> Watch:
        async def poll() -> None:
            while True:
                await asyncio.sleep(POLL_S)
                for known in self._desk.living():
                    if known.leg.id == leg.id:
                        told = await self._orders.trades_of(known)
                        self._each(leg, told, partial(self._desk.on_trade, leg, known=known))
                        order = await answered(self._exchange.fetch_order(known.venue_order_id, leg.symbol))
                        self._desk.on_order(leg, order, known)

        return poll

    def _positions_of(self, leg: Leg) -> Watch:
        async def watch() -> None:
            while True:
                told = await answered(self._exchange.watch_positions([leg.symbol]))
                self._each(leg, told, lambda position: self._on_position(leg, position))

        return watch

    def _on_position(self, leg: Leg, told: Mapping[str, Any]) -> None:
        if told["symbol"] == leg.symbol:
            held = position_of(leg.instrument, told)
            self._emit(PositionSeen(leg.id, held.qty, held.cost, self._desk.time.of(told)))

    def _each(self, leg: Leg, told: Iterable[Any], take: Callable[[Any], object]) -> None:
        """Take each row of what was told; one that cannot be read is reported, and the account compared."""
        unread: list[tuple[Any, str]] = []
        read_rows(told, take, unread)
        if unread:
            account = leg.instrument.account
            reason = f"{len(unread)} rows of {leg.symbol} are unread; the first: {unread[0][1]}"
            self._emit(ProtocolDrift(account, "private", reason))
            self._emit(AccountTouched(account, reason, self._desk.time.now_ns()))

    def _balances_of(self, account: AccountId, leg: Leg) -> Watch:
        params = wallet_params(leg.market)

        async def watch() -> None:
            while True:
                self._on_balances(account, await answered(self._exchange.watch_balance(params)))

        return watch

    def _on_balances(self, account: AccountId, told: Mapping[str, Any]) -> None:
        known = self._balances.setdefault(account, {})
        for asset, total in told.get("total", {}).items():
            balance = number(total)
            if balance is not None and known.get(asset) != balance:
                known[asset] = balance
                self._desk.stirred[account] = self._desk.stirred.get(account, 0) + 1
                self._emit(BalanceSeen(account, asset, balance, self._desk.time.of(told)))
