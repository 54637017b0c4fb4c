"""The laws that every run obeys, stated once and checked row by row on its journal.

`check` refolds a journal and returns the violated laws as sentences; an empty list is a run that kept them
all. The arithmetic here is its own on purpose: it does not call the guard or the rebalancer it checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from bot.core import fold, views
from bot.model.commands import CancelOrder, PlaceOrder, QueryAccount, QueryOrder, RaiseAlert
from bot.model.entry import Entry
from bot.model.facts import Booted, Channel
from bot.model.ids import ClientId
from bot.model.money import ZERO
from bot.model.pair import Mode, PairState, Purpose
from bot.model.store import OrderState, Store

SECOND_NS = 1_000_000_000
SETTLE_S_MAX = 60.0


class Laws:
    """Looks at the store after every row; ``broken`` collects what it saw.

    ``ahead_s``: how long a venue's balance may be ahead of the fill or the payment that explains it, where
    they come by different ways.  ``beyond``: a residual that nothing can explain and that stands from some
    row on; what comes on top of it is timed by itself.
    """

    def __init__(self, ahead_s: float = 0.0, beyond: Decimal = ZERO) -> None:
        self.ahead_s = ahead_s
        self.beyond = beyond
        self.store = Store()
        self.broken: list[str] = []
        self.sent: dict[ClientId, int] = {}
        self.uncertain_ns: dict[ClientId, int] = {}
        self.naked_ns: dict[str, int] = {}
        self.legged: dict[str, int] = {}
        self.alerted: dict[str, int] = {}
        self.unexplained_ns = 0

    def row(self, entry: Entry) -> None:
        fold.facts(self.store, entry.at_ns, entry.facts)
        halted = []
        for command in entry.commands:
            if isinstance(command, PlaceOrder) and self._is_halted(command):
                halted.append(command.client_id)
            fold.commands(self.store, entry.at_ns, (command,))
        if any(isinstance(fact, Booted) for fact in entry.facts):
            # deadlines count from here: rows in which they were met may be lost
            self.uncertain_ns.clear()
            self.unexplained_ns = 0
        for command in entry.commands:
            if isinstance(command, PlaceOrder):
                self._placed(entry, command, command.client_id in halted)
            elif isinstance(command, RaiseAlert):
                self.alerted[command.key] = entry.at_ns
            elif isinstance(command, CancelOrder | QueryOrder) and command.client_id not in self.sent:
                self._break(entry, f"{command.client_id} is cancelled or asked for but was never sent")
            elif isinstance(command, QueryAccount) and command.account not in self.store.accounts:
                self._break(entry, f"unknown account {command.account} is asked for")
        self._orders(entry)
        self._pairs(entry)
        self._money(entry)

    def _is_halted(self, order: PlaceOrder) -> bool:
        """The mode that an order is sent in: what its row's facts and the commands before it made of it."""
        return Mode.HALTED in (self.store.mode, self.store.pairs[order.pair].mode)

    def _break(self, entry: Entry, what: str) -> None:
        self.broken.append(f"row {entry.seq}: {what}")

    def _placed(self, entry: Entry, order: PlaceOrder, halted: bool) -> None:
        if order.client_id in self.sent:
            self._break(entry, f"order {order.client_id} is sent twice")
        self.sent[order.client_id] = entry.at_ns
        if halted:
            self._break(entry, f"order {order.client_id} is sent while HALTED")
        config, market = self.store.config, self.store.markets[order.instrument]
        assert config is not None
        notional = views.notional_quote(market, order.qty)
        if order.purpose is not Purpose.ENTER or notional is None:
            return
        if notional > config.limits.order_notional_max_quote * Decimal("1.01"):
            self._break(entry, f"order {order.client_id} is worth {notional}")
        worst = views.notional_quote(market, self._worst_qty(order))
        if worst is None or worst > config.limits.pair_notional_max_quote:
            self._break(entry, f"{order.instrument} could reach {worst}, beyond the pair's limit")

    def _worst_qty(self, placed: PlaceOrder) -> Decimal:
        held = self.store.pairs[placed.pair].leg(placed.role).position.qty
        open_ = {1: ZERO, -1: ZERO}
        for order in self.store.orders.values():
            if (order.pair, order.role) == (placed.pair, placed.role):
                open_[order.side.sign] += order.open_qty
        return max(abs(held + open_[1]), abs(held - open_[-1]))

    def _orders(self, entry: Entry) -> None:
        for order in self.store.orders.values():
            if order.state is OrderState.UNCERTAIN:
                since = self.uncertain_ns.setdefault(order.client_id, entry.at_ns)
                if entry.at_ns - since > SETTLE_S_MAX * SECOND_NS:
                    self._break(
                        entry, f"order {order.client_id} has been uncertain for more than {SETTLE_S_MAX} s"
                    )
            else:
                self.uncertain_ns.pop(order.client_id, None)
            if order.filled_qty > order.qty:
                self._break(entry, f"order {order.client_id} is filled beyond its size")

    def _pairs(self, entry: Entry) -> None:
        """Naked beyond patience must be LEGGED with an alert out, and repaired within the deadline."""
        config = self.store.config
        if config is None:
            return
        for name, pair in self.store.pairs.items():
            if pair.naked_ns == 0:
                continue
            naked_s = (entry.at_ns - pair.naked_ns) / SECOND_NS
            if naked_s > config.strategy.patience_s + 1.5 and pair.state is not PairState.LEGGED:
                self._break(entry, f"pair {name} is naked for {naked_s:.1f} s and not LEGGED")
            if pair.state is PairState.LEGGED and f"legged:{name}" not in self.alerted:
                self._break(entry, f"pair {name} is LEGGED without an alert")

    def _money(self, entry: Entry) -> None:
        """NAV is explained to the last digit whenever the venue's statement is known to be whole.

        Between a restart and the answers it asks for, fills are told again one by one over a statement from
        before: then the accounts are not reconciled, and say so, and must be within the deadline.  Nor is a
        statement whole whose private stream is lost.
        """
        difference = views.residual(self.store)
        if not difference or difference == self.beyond:
            self.unexplained_ns = 0
            return
        self.unexplained_ns = self.unexplained_ns or entry.at_ns
        unexplained_s = (entry.at_ns - self.unexplained_ns) / SECOND_NS
        is_whole = all(
            account.reconciled and Channel.PRIVATE not in account.lost
            for account in self.store.accounts.values()
        )
        if unexplained_s > SETTLE_S_MAX or (is_whole and unexplained_s >= self.ahead_s):
            self._break(entry, f"residual is {difference}")

    def end(self) -> None:
        store = self.store
        for order in store.orders.values():
            if order.state is OrderState.UNCERTAIN:
                self.broken.append(f"end: order {order.client_id} is still uncertain")
        for account_id, account in store.accounts.items():
            if account.differences:
                self.broken.append(f"end: {account_id} differs: {account.differences}")
            cash = {
                asset: amount for asset, amount in store.ledger.cash.get(account_id, {}).items() if amount
            }
            venue = {asset: amount for asset, amount in account.balances.items() if amount}
            if cash != venue:
                self.broken.append(f"end: {account_id}: venue holds {venue}, ledger {cash}")
            for name, held in account.positions.items():
                ours = store.ledger.positions.get(name)
                if held.qty and (ours is None or (ours.qty, ours.cost) != (held.qty, held.cost)):
                    self.broken.append(f"end: {name}: venue holds {held}, ledger {ours}")


def check(entries: Iterable[Entry], ahead_s: float = 0.0, beyond: Decimal = ZERO) -> tuple[list[str], Store]:
    """Refold a journal and name every broken law; also returns the store it ends in."""
    laws = Laws(ahead_s, beyond)
    for entry in entries:
        laws.row(entry)
    laws.end()
    return laws.broken, laws.store
