"""Journals of version 0.1.0, and a world in which today's program goes on from one."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from bot import __version__
from bot.core.fold import refold
from bot.model.commands import QueryOrder
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    Booted,
    Channel,
    ChannelOpened,
    InstrumentListed,
    OrderNotFound,
    OrderReported,
    OrderStatus,
    RateSeen,
    Tick,
)
from bot.model.instrument import Kind
from bot.model.money import exact_arithmetic
from bot.model.store import Store
from bot.shell.journal import JournalWriter
from bot.shell.rows import read_entries
from tests.conftest import ROOT
from tests.core.world import SECOND_NS, World

FOLDER = ROOT / "tests/data/journals"
NAMES = sorted(path.name.removesuffix(".journal.gz") for path in FOLDER.glob("*.journal.gz"))
LIVE = [name for name in NAMES if not name.startswith("replay-")]
BUSY = ["hand-perp-perp", "hand-spot-dated", "live-spot-inverse", "live-spot-linear"]
CALM = ["live-calm", "replay-calm"]


def unpacked(name: str, folder: Path) -> Path:
    path = folder / "journal"
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.journal.gz").read_bytes()))
    return path


def folded(journal: Path) -> Store:
    return folded_rows(read_entries(journal))


def folded_rows(rows: Iterable[Entry]) -> Store:
    store = Store()
    with exact_arithmetic():
        for entry in rows:
            refold(store, entry)
    return store


class Upgraded(World):
    """An honest venue that holds what an old journal says, and today's program that wakes up to it."""

    def __init__(self, store: Store) -> None:
        assert store.config is not None
        super().__init__(store.config)
        self.store = store
        self.at_ns = store.now_ns + SECOND_NS
        self.instruments = [market.instrument for market in store.markets.values()]
        self.wallets = {account: dict(wallet) for account, wallet in store.ledger.cash.items()}
        self.positions = dict(store.ledger.positions)
        bids = next(market.bids for market in store.markets.values() if market.bids)
        self.price = float(round(bids[0][0]))  # a float, as a journal reads it back

    def boot(self, previous: str = "crash") -> None:
        facts: list[AnyFact] = [Booted("zrun0000", __version__, self.config, previous)]
        facts += [InstrumentListed(one) for one in self.instruments]
        facts.append(RateSeen("USDT", "USD", Decimal(1), self.at_ns))
        facts += [ChannelOpened(account, channel) for account in self.wallets for channel in Channel]
        self.give(*facts)
        self.answer()

    def second(self) -> None:
        now_ns = self.at_ns + SECOND_NS
        self.give(Tick({one.id: now_ns for one in self.instruments}, {}), after_s=1.0)
        facts: list[AnyFact] = [self.book(one.id, self.price, self.price) for one in self.instruments]
        contracts = [one.id for one in self.instruments if one.kind is not Kind.SPOT]
        facts += [self.mark(name, Decimal(self.price), Decimal(self.price)) for name in contracts]
        self.give(*facts)
        self.answer()
        for _ in range(20):
            orders = self.placed()
            if not orders:
                break
            self.give(*[fact for order in orders for fact in self.fill(order)], after_s=0.02)

    def answer(self) -> None:
        """The venue knows every order as the journal left it, and none of them lives any more."""
        for command in [one for one in self.commands if isinstance(one, QueryOrder)]:
            order = self.store.orders[command.client_id]
            done, name = order.filled_qty, command.client_id
            status = OrderStatus.EXPIRED
            fact: AnyFact = OrderNotFound(name, self.at_ns)
            if done:
                fact = OrderReported(
                    name, order.instrument, "v", status, order.side, order.qty, done, self.at_ns
                )
            self.give(fact, after_s=0.02)
        self.commands = [one for one in self.commands if not isinstance(one, QueryOrder)]
        self.answer_accounts()

    def write_behind(self, journal: JournalWriter) -> None:
        for row in self.rows:
            journal.append(row.at_ns, row.facts, row.commands)
