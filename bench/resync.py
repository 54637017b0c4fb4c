"""500 depth updates that never come: when that is noticed, and when the book is right again.

The venue is a process of its own that keeps a book; behind its socket stand the real feed and the real
daemon, which journals to disk.  The journal says when the hole was noticed and that the pair was held; the
bot's book is compared with the venue's, level by level.  A book that differs fails, as does a pair that was
not held, or still is.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Struct

from bench.burst import NAME, Gateway, Venue, daemon
from bench.figure import RUNS, print_figure
from bench.recordings import ROOT
from bot.core.fold import refold
from bot.model.facts import BookGapped, BookSeen
from bot.model.money import exact_arithmetic
from bot.model.store import Store
from bot.settings import load
from bot.shell.rows import read_entries
from bot.wiring.venues import in_loop
from risk.watch import leg_holds

DROPPED = 500
SENT = 100
PER_S = 200
FRAMES_NOTICED_MIN = 1
PATIENCE_S = 10.0


class Mended(Struct, frozen=True):
    """One hole: frames behind it until it was noticed, and from the first of those frames until the engine
    had stepped a book again, milliseconds."""

    noticed_frames: int
    book_right_ms: float


async def lose(venue: Venue, gateway: Gateway) -> int:
    """Drop, send on, and require the venue's book; when the first frame behind the hole left."""
    told = await venue.ask(f"{DROPPED} {SENT} {PER_S}")
    assert gateway.feed is not None
    channel = gateway.feed.stream.channels[NAME]
    async with asyncio.timeout(PATIENCE_S):
        while not (channel.is_live and channel.update_id == told["last"]):
            await asyncio.sleep(0.001)
    for is_bid, side in ((True, told["bids"]), (False, told["asks"])):
        theirs = sorted(((float(price), float(size)) for price, size in side), reverse=is_bid)
        require(channel.levels(is_bid, len(theirs) + 1) == theirs, "the book is not the venue's")
    left_ns: int = told["left_ns"]
    return left_ns


def mended(journal: Path, left_ns: list[int]) -> list[Mended]:
    """What the journal says of each hole.  Ends the benchmark where its pair was not held, or still is."""
    store, found = Store(), list[Mended]()
    noticed: int | None = None
    with exact_arithmetic():
        for entry in read_entries(journal):
            refold(store, entry)
            if len(found) == len(left_ns) or entry.at_ns < left_ns[len(found)]:
                continue
            for fact in entry.facts:
                if isinstance(fact, BookGapped) and noticed is None:
                    noticed = fact.got - fact.expected - DROPPED + FRAMES_NOTICED_MIN
                    require(is_held(store, entry.at_ns), "the pair is not held by the hole")
                elif isinstance(fact, BookSeen) and noticed is not None:
                    require(not is_held(store, entry.at_ns), "the pair is held by a hole that is mended")
                    found.append(Mended(noticed, (entry.at_ns - left_ns[len(found)]) / 1e6))
                    noticed = None
                    break
    require(len(found) == len(left_ns), f"{len(found)} of {len(left_ns)} holes are in the journal")
    return found


def require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise SystemExit(otherwise)


def is_held(store: Store, at_ns: int) -> bool:
    return any(hold.code == "gap" for hold in leg_holds(store, at_ns, NAME))


def snapshot_ms(port: int) -> float:
    """A snapshot's way there and back, for a client that does nothing else."""
    begun_s = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
    body: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    assert body["bids"]
    return (time.perf_counter() - begun_s) * 1e3


async def measure(folder: Path) -> None:
    journal = folder / "journal.sqlite"
    venue = Venue("resync_venue")
    try:
        floors = [await asyncio.to_thread(snapshot_ms, venue.port) for _ in range(RUNS)]
        config = load({}, ROOT / "examples/hft-linear.env").config
        async with daemon(venue, config, journal) as (gateway, _):
            left_ns = [await lose(venue, gateway) for _ in range(RUNS)]
    finally:
        venue.close()
    holes = mended(journal, left_ns)
    how = f"{DROPPED} depth updates dropped, {PER_S} a second sent behind them, loopback"
    print_figure(
        "resync_noticed_frames",
        max(hole.noticed_frames for hole in holes),
        "frames",
        baseline=FRAMES_NOTICED_MIN,
        how=f"{how}: frames behind the hole until the pair was held, most of {RUNS}; baseline: the first",
    )
    print_figure(
        "resync_book_right_ms",
        median(hole.book_right_ms for hole in holes),
        "ms",
        baseline=median(floors),
        how=f"{how}: from the first frame behind the hole leaving until the engine has a book again, which "
        f"equals the venue's level by level, median of {RUNS}; baseline: a snapshot's way there and back",
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_loop(measure(Path(folder)))


if __name__ == "__main__":
    main()
