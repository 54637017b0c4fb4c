"""Make the journals of this folder again.  They were made by version 0.1.0 and only it can make them.

From a checkout of that version, with its packages: ``PYTHONPATH=. python <this file> <this folder>``.  A
journal is made by the program alone: the daemon against the rehearsal's servers under faults and a kill, a
replay of a short recording, and the core's step in a world that answers by hand.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from summary import summary  # noqa: E402

from bot import __version__  # noqa: E402
from bot.core.fold import refold  # noqa: E402
from bot.model.facts import (  # noqa: E402
    ForcedFilled,
    ModeOrdered,
    OrderReported,
    OrderStatus,
    OrderUncertain,
    PositionSeen,
)
from bot.model.ids import InstrumentId  # noqa: E402
from bot.model.instrument import Kind, Side, after_fill  # noqa: E402
from bot.model.money import exact_arithmetic  # noqa: E402
from bot.model.pair import Mode, PairSpec  # noqa: E402
from bot.model.store import Store  # noqa: E402
from bot.shell.journal import JournalWriter, read_entries  # noqa: E402
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, make_config  # noqa: E402
from tests.e2e import feeds  # noqa: E402
from tests.instruments import D, instrument  # noqa: E402
from tests.virtual import rig  # noqa: E402
from tests.virtual.loop import run_virtual  # noqa: E402
from tests.virtual.story import Story  # noqa: E402

MADE_BY = "0.1.0"
FAULTS = (
    "at=2.9s timeout-after-accept {futures} for=1s; at=4.9s reject spot for=5s; at=21.9s reject spot for=1s; "
    "at=33.9s lost-ack spot for=1s; at=40s adl by=0.5"
)
DATED = InstrumentId("binance:usdm:BTCUSDT_261225")


def live(path: Path, futures: Any) -> None:
    """The daemon under faults; it is killed while it holds a position, and goes on."""
    rig.DaemonParts = partial(_named, rig.DaemonParts)
    steps = {"usdm": 150, "coinm": 140}[futures]  # each in the second position
    story = Story(script=FAULTS.format(futures=futures), seconds=60.0, perpetual=futures, kills=(steps,))
    run_virtual(rig.play(story, path))


def _named(parts: Any, **fields: Any) -> Any:
    return parts(**{**fields, "version": MADE_BY})


def calm(path: Path, futures: Any) -> None:
    """The daemon without a fault: it enters and holds."""
    rig.DaemonParts = partial(_named, rig.DaemonParts)
    story = Story(seconds=600.0, perpetual=futures, changes={"STRATEGY__EXIT_GAP_BPS": "-100"})
    run_virtual(rig.play(story, path))


def replayed(path: Path, futures: str, seconds: int = 125) -> None:
    """Minutes on paper; the bot's memory is dropped while it holds.  The short scene ends flat."""
    with tempfile.TemporaryDirectory() as folder:
        premium = feeds.LINEAR.premium if seconds < 150 else ((0, 1500), (seconds, 1500))
        scene = feeds.Scene(perpetual=futures, seconds=seconds, depth_ms=1000, premium=premium)
        recording = feeds.record(Path(folder), scene)
        settings = {**os.environ, **feeds.settings(futures)}
        feeds_given = [word for part in recording for word in ("--feed", str(part))]
        crash = datetime.fromtimestamp(feeds.START_MS / 1000 + 60, UTC).isoformat()
        command = [
            sys.executable,
            "-m",
            "bot",
            "paper",
            *feeds_given,
            "--journal",
            str(path),
            "--crash-at",
            crash,
        ]
        subprocess.run([*command, "--report", folder], env=settings, check=True, capture_output=True)


class Told(World):
    """A world of one pair of any two legs."""

    def __init__(self, long: InstrumentId, short: InstrumentId) -> None:
        strategy, limits = {"patience_s": 1.0, "clip_interval_s": 1.0}, {"net_delta_max_quote": D(30_000)}
        config = make_config(capital=50_000, strategy=strategy, limits=limits)
        super().__init__(config)
        pairs = (PairSpec(BTC, long, short, D(50_000)),)
        self.config = msgspec.structs.replace(
            config, pairs=pairs, paper_reference="none" if long != SPOT else "mid"
        )
        self.instruments = [_listed(long), _listed(short)]
        names = dict.fromkeys(one.account for one in self.instruments)
        start = {"spot": {"USDT": D(100_000)}, "usdm": {"USDT": D(100_000)}, "coinm": {"BTC": D(2)}}
        self.wallets = {name: dict(start[name.split(":")[1]]) for name in names}

    def books(self, price: float, gap_bps: float, half: float = 0.0) -> Any:
        spec, other = self.config.pairs[0], round(price * (1.0 + gap_bps / 1e4), 1)
        marks = [self.mark(one.id, D(60_000), D(60_000)) for one in self.instruments if spec.long != SPOT]
        return self.book(spec.long, price, price), self.book(spec.short, other, other), *marks

    def second(self, gap_bps: float) -> None:
        self.tick()
        self.quote(60_000.0, gap_bps)
        self.answer_accounts()


def _listed(name: InstrumentId) -> Any:
    if name != DATED:
        return instrument(name)
    expiry_ns = 1_000 * 10**9 + 90 * 86_400 * 10**9
    return msgspec.structs.replace(
        instrument(LINEAR), id=DATED, kind=Kind.DATED, expiry_ns=expiry_ns, funding_interval_h=0
    )


def by_hand(path: Path, long: InstrumentId, short: InstrumentId) -> None:
    """All that can come to a pair, told fact by fact."""
    world = Told(long, short)
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    first, second = world.placed()
    world.give(*world.fill(first), *world.fill(second, D(0)))  # one leg is missing, and is completed
    world.fill_all()
    world.second(20.0)
    first, second = world.placed()
    world.give(*world.fill(first), OrderUncertain(second.client_id, "deadline"))  # nobody answers for a while
    for _ in range(4):
        world.second(20.0)
    filled = world.fill(second)
    report = OrderReported(
        second.client_id,
        second.instrument,
        "v",
        OrderStatus.FILLED,
        second.side,
        second.qty,
        second.qty,
        world.at_ns,
    )
    world.give(*filled[1:], report)
    _unwound_and_restarted(world)
    _deleveraged(world, short)
    with JournalWriter(path) as journal:
        for row in world.rows:
            facts = tuple(_versioned(fact) for fact in row.facts)
            journal.append(row.at_ns, facts, row.commands)


def _unwound_and_restarted(world: Told) -> None:
    """The third clip's second leg is refused until the first one goes back; then the process dies."""
    for _ in range(9):
        orders = world.placed()
        world.give(
            *[
                fact
                for order in orders
                for fact in world.fill(order, None if order.role.value == "long" else D(0))
            ]
        )
        world.second(20.0)
        world.second(2.0)
    world.fill_all()
    world.boot("crash")
    world.second(2.0)


def _deleveraged(world: Told, short: InstrumentId) -> None:
    """The venue takes half of the short leg away; an exit begins, and is under way at the end."""
    held = world.positions[short]
    qty = abs(held.qty / 2).quantize(_listed(short).lot)
    with exact_arithmetic():
        world.positions[short], realised = after_fill(_listed(short), held, qty, D(60_000))
        wallet = world.wallets[_listed(short).account]
        wallet[_listed(short).margin_asset] += realised
    after = world.positions[short]
    world.give(
        ForcedFilled(
            short, "9001", Side.BUY, qty, D(60_000), D(0), _listed(short).margin_asset, "adl", world.at_ns
        ),
        PositionSeen(short, after.qty, after.cost, world.at_ns),
    )
    world.fill_all()
    world.second(2.0)
    world.give(ModeOrdered(BTC, Mode.ACTIVE, "ann", "go on"))
    world.second(-10.0)
    last = world.placed()  # one leg is filled in part and lives, nobody knows of the other
    assert len(last) == 2, world.store.pairs[BTC].idle
    lot = _listed(last[0].instrument).lot
    world.give(*world.execute(last[0], (last[0].qty / 3 // lot) * lot, last[0].price))
    world.give(OrderUncertain(last[1].client_id, "deadline"))


def _versioned(fact: Any) -> Any:
    return msgspec.structs.replace(fact, version=MADE_BY) if type(fact).__name__ == "Booted" else fact


JOURNALS = {
    "live-spot-linear": partial(live, futures="usdm"),
    "live-spot-inverse": partial(live, futures="coinm"),
    "live-calm": partial(calm, futures="usdm"),
    "replay-spot-linear": partial(replayed, futures="usdm"),
    "replay-spot-inverse": partial(replayed, futures="coinm"),
    "replay-calm": partial(replayed, futures="usdm", seconds=900),
    "hand-perp-perp": partial(by_hand, long=LINEAR, short=INVERSE),
    "hand-spot-dated": partial(by_hand, long=SPOT, short=DATED),
}


def make(name: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "journal"
        JOURNALS[name](path)
        store = Store()
        with exact_arithmetic():
            for entry in read_entries(path):
                refold(store, entry)
        text = json.dumps(summary(store), indent=1, sort_keys=True)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
        (folder / f"{name}.journal.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


if __name__ == "__main__":
    assert __version__ == MADE_BY, f"this is version {__version__}, the journals are those of {MADE_BY}"
    if len(sys.argv) == 3:  # one alone: a run that was killed leaves its lock to the process
        make(sys.argv[2], Path(sys.argv[1]))
    else:
        for name in JOURNALS:
            subprocess.run([sys.executable, __file__, sys.argv[1], name], check=True)
