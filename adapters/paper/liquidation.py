"""Margin sweeps: once a second of venue time, the pace of a venue's mark price, while a position is open.

A margin pool (one account, one margin asset) whose equity at mark falls below its maintenance margin is taken
over: the account's orders are cancelled and every position of the pool is closed whole, at the mark, with the
taker fee.  A real venue closes in steps against its book and charges more; this is the simplest rule that
ends a run in the red.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from adapters.paper.agenda import RANK_SWEEP
from adapters.paper.desk import Desk
from bot.model.ids import AccountId
from bot.model.instrument import Side
from bot.model.money import exact_arithmetic

_SECOND_NS = 1_000_000_000


class Liquidator:
    def __init__(self, desk: Desk, cancel_orders: Callable[[AccountId], None]) -> None:
        self._desk = desk
        self._cancel_orders = cancel_orders
        self._armed = False
        self._seen: tuple[object, ...] = ()  # marks and wallet revision of the last sweep

    def arm(self) -> None:
        """Make sure that a sweep is due while positions are open."""
        if self._armed or not self._desk.wallets.pools():
            return
        clock = self._desk.clock
        next_ns = (clock.venue_ns // _SECOND_NS + 1) * _SECOND_NS
        self._desk.agenda.add(next_ns + clock.down_ns, RANK_SWEEP, self._sweep)
        self._armed = True

    def _sweep(self) -> None:
        self._armed = False
        desk = self._desk
        with exact_arithmetic():
            marks = self._marks()
            if marks != self._seen:
                self._seen = marks
                for account, asset in desk.wallets.pools():
                    self._check(account, asset)
        self.arm()

    def _marks(self) -> tuple[Decimal | int, ...]:
        desk = self._desk
        open_names = (name for name, position in desk.wallets.positions.items() if position.qty != 0)
        return (desk.postings.revision, *map(desk.references.mark, open_names))

    def _check(self, account: AccountId, asset: str) -> None:
        desk = self._desk
        mark = desk.references.mark
        if desk.wallets.equity(account, asset, mark) >= desk.wallets.maintenance(account, asset, mark):
            return
        desk.assumptions.note("A liquidation closes whole positions at the mark price with the taker fee.")
        self._cancel_orders(account)
        for held in desk.wallets.held(account):
            instrument = desk.instruments[held.instrument]
            if instrument.margin_asset == asset:
                side = Side.SELL if held.qty > 0 else Side.BUY
                desk.postings.force(instrument, side, abs(held.qty), mark(instrument.id), "liquidation")
        desk.postings.tell_changes()
