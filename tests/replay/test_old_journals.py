"""Journals that version 0.1.0 wrote are read, folded to what it knew, and traded on from."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.core.fold import refold
from bot.model.commands import PlaceOrder, QueryOrder
from bot.model.facts import (
    AnyFact,
    Booted,
    Channel,
    ChannelOpened,
    ForcedFilled,
    InstrumentListed,
    ModeOrdered,
    OrderNotFound,
    OrderReported,
    OrderStatus,
    OrderUncertain,
    RateSeen,
    Tick,
)
from bot.model.instrument import Kind, Position
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, Purpose
from bot.model.store import Store
from bot.shell.decisions import EARLIER, Reason
from bot.shell.journal import read_entries
from bot.shell.verify import verify
from tests.conftest import ROOT
from tests.core.world import SECOND_NS, World
from tests.data.journals.summary import summary

FOLDER = ROOT / "tests/data/journals"
NAMES = sorted(path.name.removesuffix(".journal.gz") for path in FOLDER.glob("*.journal.gz"))
LIVE = [name for name in NAMES if not name.startswith("replay-")]
BUSY = ["hand-perp-perp", "hand-spot-dated", "live-spot-inverse", "live-spot-linear"]
CALM = ["live-calm", "replay-calm"]

# Coins that an inverse leg earned stay the pair's when it goes flat; version 0.1.0 forgot them there.
KEPT_COINS = {"live-spot-inverse": "-0.00012646", "replay-spot-inverse": "0.00130359"}


@pytest.fixture
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    path.write_bytes(gzip.decompress((FOLDER / f"{request.param}.journal.gz").read_bytes()))
    return path


def folded(journal: Path) -> Store:
    store = Store()
    with exact_arithmetic():
        for entry in read_entries(journal):
            refold(store, entry)
    return store


def test_each_kind_of_run_and_of_pair_is_there() -> None:
    assert set(LIVE) & set(BUSY) == set(BUSY)
    assert set(CALM) <= set(NAMES)
    assert len(NAMES) == 8


@pytest.mark.parametrize("journal", BUSY, indirect=True)
def test_a_busy_journal_has_met_all_that_can_come(journal: Path) -> None:
    found: Counter[str] = Counter()
    for entry in read_entries(journal):
        found.update(type(fact).__name__ for fact in entry.facts)
        found.update(one.purpose.value for one in entry.commands if isinstance(one, PlaceOrder))
        assert {fact.version for fact in entry.facts if isinstance(fact, Booted)} <= EARLIER
    for fact in (OrderUncertain, ForcedFilled):
        assert found[fact.__name__]
    assert all(found[purpose.value] for purpose in Purpose if purpose is not Purpose.DRIFT)
    assert found["Booted"] == 2


@pytest.mark.parametrize(("journal", "name"), [(name, name) for name in NAMES], indirect=["journal"])
def test_it_folds_to_what_its_own_version_knew(journal: Path, name: str) -> None:
    known: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if name in KEPT_COINS:
        known["pairs"]["BTC"]["legs"]["short"]["coin_cash"] = KEPT_COINS[name]
    assert summary(folded(journal)) == known


@pytest.mark.parametrize(("journal", "name"), [(name, name) for name in NAMES], indirect=["journal"])
def test_what_is_decided_otherwise_today_has_a_reason(journal: Path, name: str) -> None:
    result = verify(journal)
    assert result.ok, result.text
    assert result.earlier_rows == result.rows > 50
    assert set(result.otherwise) <= {reason.value for reason in Reason}
    otherwise = sum(result.otherwise.values())
    assert f"{otherwise} are decided otherwise" in result.text
    if name in CALM:
        assert otherwise <= 0.01 * result.rows, result.text


# --- trading on -------------------------------------------------------------------------------------------


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
        self.price = round(bids[0][0])

    def boot(self, previous: str = "crash") -> None:
        facts: list[AnyFact] = [Booted("zrun0000", "0", self.config, previous)]
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


@pytest.mark.parametrize("journal", LIVE, indirect=True)
def test_flatten_ends_flat_from_what_it_left(journal: Path) -> None:
    store = folded(journal)
    assert any(leg.position.qty for pair in store.pairs.values() for leg in pair.legs), "the premise"
    world = Upgraded(store)
    world.boot()
    world.give(ModeOrdered("*", Mode.FLATTENING, "ann", "after the upgrade"))
    for _ in range(120):
        world.second()
    assert store.mode is Mode.HALTED, [pair.idle for pair in store.pairs.values()]
    for one in world.instruments:
        if one.kind is not Kind.SPOT:
            assert world.positions.get(one.id, Position()).qty == 0
    for pair in store.pairs.values():
        for leg in pair.legs:
            assert abs(leg.position.qty) * world.price < 25
