"""Makes the recording that the demonstration runs on: forty simulated hours of three Binance markets.

``python examples/make_demo_recording.py`` writes ``examples/demo``; with ``--check`` it compares the stream
it would write with the one that is there, and exits 1 on a difference.  What is compared is the decompressed
stream, since the same stream may compress to other bytes elsewhere.  `examples.demo_market` tells the story;
this module adds when each stream speaks, and the outage: from 22:32 to 22:38 no frame of either perpetual is
recorded, then the ids do not connect and a new snapshot follows.
"""

from __future__ import annotations

import argparse
import heapq
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from adapters.errors import FeedError  # noqa: E402
from adapters.recorded.capture import MANIFEST, CaptureRecording, Manifest, read_manifest  # noqa: E402
from adapters.recorded.writer import CaptureWriter, PartLimit  # noqa: E402
from examples.demo_market import HOUR, MINUTE, Dice, Inverse, Linear, Market, Spot, World  # noqa: E402

FOLDER = ROOT / "examples" / "demo"
SYMBOLS = ("spot:BTCUSDT", "usdm:BTCUSDT", "coinm:BTCUSD_PERP")
SEED = 20260302
START_MS = 1_772_411_400_000  # 2026-03-02 00:30:00 UTC
HOURS = 40
OUTAGE_MS = ((22 * HOUR + 32 * MINUTE) * 1000, (22 * HOUR + 38 * MINUTE) * 1000)
NS_PER_MS = 1_000_000

Frame = tuple[int, str, bytes]  # receive time in ns, market/stream, raw frame


class Schedule:
    """When each stream speaks next, in milliseconds after the start, by receive time."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._due: list[tuple[int, int, str]] = []

    def add(self, at_ms: int, market: int, kind: str) -> None:
        heapq.heappush(self._due, (at_ms, market, kind))

    def pop(self) -> tuple[int, int, str]:
        return heapq.heappop(self._due)

    def pause_ms(self, kind: str) -> int:
        if kind == "depth":
            return 3500 + 100 * self._dice.below(16)
        if kind == "mark":
            return 20_000
        return 20_000 + 1000 * self._dice.below(41)  # tickers and trades


def frames(seed: int = SEED, hours: int = HOURS) -> Iterator[Frame]:
    """The recording in order of receipt; a shorter one is a prefix of a longer one."""
    dice = Dice(seed)
    world = World(dice)
    markets = (Spot(dice, 50_093_239_200), Linear(dice, 5_123_107_832_000), Inverse(dice, 1_007_198_631_000))
    schedule = Schedule(dice)
    for number, market in enumerate(markets):
        market.move(world)
        schedule.add(200 + 40 * number, number, "snapshot")
        schedule.add(1000 + 40 * number, number, "depth")
        schedule.add(9500 + 40 * number, number, "ticker")
        schedule.add(11_500 + 40 * number, number, "trade")
        if number:
            schedule.add(2000 + 40 * number, number, "mark")
    while True:
        at_ms, number, kind = schedule.pop()
        if at_ms >= hours * HOUR * 1000:
            return
        world.advance(at_ms // 1000)
        market = markets[number]
        if number and OUTAGE_MS[0] <= at_ms < OUTAGE_MS[1]:
            _silence(schedule, market, (number, kind))
            continue
        if kind != "snapshot":
            schedule.add(at_ms + schedule.pause_ms(kind), number, kind)
        event_ms = START_MS + at_ms - 5 - dice.below(4)
        name, frame = _speak(world, market, kind, event_ms)
        yield (START_MS + at_ms) * NS_PER_MS, f"{market.name}/{name}", frame


def _silence(schedule: Schedule, market: Market, stream: tuple[int, str]) -> None:
    """Nothing is recorded until the outage ends; then a diff that does not connect, then a snapshot."""
    number, kind = stream
    back_ms = OUTAGE_MS[1] + 500 + 40 * number
    if kind == "depth":
        market.lose()
        schedule.add(back_ms, number, "depth")
        schedule.add(back_ms + 700, number, "snapshot")
    else:
        schedule.add(back_ms + 10_000 + schedule.pause_ms(kind), number, kind)


def _speak(world: World, market: Market, kind: str, at_ms: int) -> tuple[str, bytes]:
    """One frame of a stream and the stream's name."""
    if kind == "snapshot":
        return f"{market.symbol.lower()}@snapshot", market.snapshot(at_ms)
    if kind == "mark":
        return market.stream("markPrice"), market.mark(world, at_ms)
    if kind == "trade":
        return market.stream("trade"), market.trade(at_ms)
    market.move(world)
    if kind == "ticker":
        return market.stream("bookTicker"), market.ticker(at_ms)
    return market.stream(market.depth), market.diff(at_ms)


def write(folder: Path, recording: Iterable[Frame]) -> Manifest:
    """Write a capture to ``folder``, in place of the one that is there."""
    for path in (folder / MANIFEST, *sorted(folder.glob("*.jsonl.zst"))):
        path.unlink(missing_ok=True)
    with CaptureWriter(folder, "binance", SYMBOLS, limit=PartLimit(span_s=8 * HOUR)) as writer:
        for at_ns, stream, frame in recording:
            writer.write(at_ns, stream, frame)
    return read_manifest(folder)


def check(folder: Path, recording: Iterable[Frame]) -> str:
    """How the capture in ``folder`` differs from ``recording``; empty when it does not.

    Raises `FeedError` for a capture whose parts are not what its manifest states.
    """
    with tempfile.TemporaryDirectory() as scratch:
        made = write(Path(scratch), recording)
    shipped = read_manifest(folder)
    for _ in CaptureRecording(folder).blocks({"spot": 0, "usdm": 1, "coinm": 2}):
        pass  # reading verifies the hashes of the parts and of the whole
    if (made.sha256, made.symbols) == (shipped.sha256, shipped.symbols):
        return ""
    return f"{folder}: the stream has the hash {shipped.sha256}, the one made now has {made.sha256}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the demonstration's recording, or check it.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        write(FOLDER, frames())
        return 0
    try:
        difference = check(FOLDER, frames())
    except FeedError as error:
        difference = str(error)
    if difference:
        sys.stderr.write(f"{difference}; run this without --check to write it again\n")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
