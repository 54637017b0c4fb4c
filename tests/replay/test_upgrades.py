"""A journal that version 0.1.0 began and this one goes on with: today's rows are held to today's rules."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from adapters.paper.standing import standing_of
from adapters.rehearsal.history import Executed
from bot.core.fold import refold
from bot.model.entry import Entry
from bot.model.facts import Booted, ForcedFilled, ModeOrdered, OrderFilled
from bot.model.ids import account_of, market_of
from bot.model.instrument import Kind
from bot.model.money import ZERO
from bot.model.pair import Mode
from bot.model.store import Store
from bot.shell.boot import reopen
from bot.shell.clock import LiveClock
from bot.shell.journal import JournalWriter
from bot.shell.rows import read_entries
from bot.shell.snapshots import keep, stored
from bot.shell.verify import verify
from tests.replay.old_journals import BUSY, Upgraded, folded, folded_rows, unpacked
from tests.virtual.loop import run_virtual
from tests.virtual.rig import Bot, by_memory, lives
from tests.virtual.story import START_NS, Story, Told
from tests.virtual.venue import Venue

Futures = Literal["usdm", "coinm"]
LIVES: list[tuple[str, Futures]] = [
    ("live-calm", "usdm"),
    ("live-spot-inverse", "coinm"),
    ("live-spot-linear", "usdm"),
]
FLATTEN_S = 8.0  # after the boot
DUST_BASE = 25 / Decimal(100_000)  # 25 USDT at the price of the recording


# --- the daemon itself, at a venue that stands as the journal says ------------------------------------------


async def traded_on(path: Path, futures: Futures) -> tuple[Venue, Told]:
    """The venue is played until the journal ends; then the daemon boots, and is told to flatten."""
    store = folded(path)
    assert store.config is not None
    passed_s = (store.now_ns - START_NS) / 1e9
    orders = ((passed_s + FLATTEN_S, Mode.FLATTENING),)
    story = Story(seconds=passed_s + 60.0, perpetual=futures, orders=orders)
    venue = Venue(story, store.config, LiveClock(START_NS, asyncio.get_running_loop().time))
    stand(venue, store, path)
    async with by_memory(venue) as way, asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(venue.world.play()), tasks.create_task(venue.layer.run())]
        try:
            await asyncio.sleep(passed_s + 1.0)
            return venue, await lives(story, venue, Bot(store.config, venue.keys, path), way)
        finally:
            for task in background:
                task.cancel()


def stand(venue: Venue, store: Store, path: Path) -> None:
    """The venue has the wallets and positions of a store, and lists every trade of its journal."""
    fills = {
        (fact.instrument, fact.trade_id): fact
        for entry in read_entries(path)
        for fact in entry.facts
        if isinstance(fact, OrderFilled | ForcedFilled)
    }
    standing = standing_of(store)
    assert standing is not None
    venue.world.paper.venue.resume(standing, max(int(number) for _, number in fills) + 1)
    for account in standing.balances:
        venue.world.records.forget(account)
    for (name, number), fill in fills.items():
        executed = Executed(
            trade_id=int(number),
            order_id=0,
            instrument=venue.world.instruments[name],
            side=fill.side,
            qty=fill.qty,
            price=fill.price,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            maker=False,
            realised=ZERO,
            at_ms=fill.venue_ns // 1_000_000,
        )
        venue.teller.history.markets[market_of(name)].trades.append(executed)


@pytest.mark.parametrize(("name", "futures"), LIVES)
def test_the_daemon_flattens_what_an_old_journal_holds(name: str, futures: Futures, tmp_path: Path) -> None:
    path = unpacked(name, tmp_path)
    assert all(leg.position.qty for pair in folded(path).pairs.values() for leg in pair.legs), "the premise"
    before = len(list(read_entries(path)))
    venue, told = run_virtual(traded_on(path, futures))
    assert sum(told.arrived.values()) > 1, "the venue was sent orders"
    assert told.store.mode is Mode.HALTED, [pair.idle for pair in told.store.pairs.values()]
    assert not [alert.key for alert in told.alerts if alert.key.startswith(("reconcile", "venue_reset"))]
    for instrument in venue.world.instruments.values():
        if instrument.kind is not Kind.SPOT:
            assert told.positions[instrument.id].qty == 0
        else:
            coins = told.balances[account_of(instrument.id)].get(instrument.base, ZERO)
            assert abs(coins) < DUST_BASE
    result = verify(path)
    assert result.ok, result.text
    assert before == result.earlier_rows < result.rows


# --- an upgrade at any row ----------------------------------------------------------------------------------


def upgraded(path: Path, rows: list[Entry], seconds: int) -> Upgraded:
    """Today's program boots behind some rows of an old journal, in the middle of whatever it was."""
    world = Upgraded(folded_rows(rows))
    world.boot()
    world.give(ModeOrdered("*", Mode.FLATTENING, "ann", "after the upgrade"))
    for _ in range(seconds):
        world.second()
    with JournalWriter(path) as journal:
        for row in rows:
            journal.append(row.at_ns, row.facts, row.commands)
        world.write_behind(journal)
    return world


def has_books(rows: list[Entry]) -> bool:
    return any(market.bids for market in folded_rows(rows).markets.values())


@pytest.mark.parametrize("name", BUSY)
def test_an_upgrade_at_any_row_verifies(name: str, tmp_path: Path) -> None:
    rows = list(read_entries(unpacked(name, tmp_path)))
    met: Counter[str] = Counter()
    for cut in range(1, len(rows) + 1, 3):
        if has_books(rows[:cut]):
            path = tmp_path / f"cut-{cut}"
            upgraded(path, rows[:cut], 3)
            result = verify(path)
            assert result.ok, f"upgraded behind row {cut}: {result.text}"
            assert result.earlier_rows == cut < result.rows
            met["cuts"] += 1
            met["otherwise"] += bool(result.otherwise)
    assert met["cuts"] > 20
    assert met["otherwise"] > 10


# --- what today's rows are held to --------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A journal whose earlier rows are decided otherwise, with rows of today behind them."""
    rows = list(read_entries(unpacked("live-spot-linear", tmp_path)))
    path = tmp_path / "mixed"
    upgraded(path, rows, 30)
    result = verify(path)
    assert result.ok, result.text
    assert result.otherwise, "the premise"
    return path


@pytest.mark.parametrize("is_true", [True, False])
def test_snapshots_of_today_are_held_against_the_rows(mixed: Path, is_true: bool, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.write_bytes(mixed.read_bytes())
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = 'a live venue' WHERE key = 'inputs'")
    reopened = reopen(live)
    with reopened.journal as journal:
        journal.keep(reopened.engine.store)
    (kept,) = stored(live)
    if not is_true:
        lie = msgspec.structs.replace(kept, store=kept.store.replace(b'"halted"', b'"paused"', 1))
        assert lie != kept
        with closing(sqlite3.connect(live, isolation_level=None)) as db:
            keep(db, lie)
    result = verify(live)
    assert result.ok is is_true, result.text
    assert ("the snapshot behind row" in result.text) is not is_true


def test_a_fold_that_forgets_is_found_behind_earlier_rows(mixed: Path) -> None:
    def forgetful(store: Store, entry: Entry) -> None:
        refold(store, entry)
        store.mode_reason = ""

    assert folded(mixed).mode_reason, "the premise"
    result = verify(mixed, refold=forgetful)
    assert not result.ok
    assert "the folded state is not the decided one" in result.text


def test_a_row_of_today_may_not_differ_behind_earlier_ones(mixed: Path, tmp_path: Path) -> None:
    rows = list(read_entries(mixed))
    boots = [row.seq for row in rows if any(isinstance(fact, Booted) for fact in row.facts)]
    spoilt = next(row for row in reversed(rows) if row.commands)
    assert spoilt.seq > boots[-1], "the premise"
    path = tmp_path / "spoilt"
    with JournalWriter(path) as journal:
        for row in rows:
            journal.append(row.at_ns, row.facts, () if row.seq == spoilt.seq else row.commands)
    result = verify(path)
    assert (result.ok, result.row) == (False, spoilt.seq), result.text
