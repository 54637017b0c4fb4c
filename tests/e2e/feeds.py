"""Short recordings that a test makes itself: two and a half minutes of BTC around a funding settlement.

The market is the demonstration's (`examples.demo_market`), faster and with a premium of its own: high, so
that the pair enters in clips; still there at 08:00, so that it meets the settlement; gone at the end, so
that it leaves. Frames are written as captures of the form ``<local ns> <JSON>`` whose clock runs behind the
venue's. The same scene gives the same bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from examples.demo_market import Course, Dice, Inverse, Linear, Market, Spot, World, along
from tests.conftest import ROOT

START_MS = 1_772_438_310_000  # 2026-03-02 07:58:30 UTC
SETTLES_S = 90  # after the start
SETTLES_NS = (START_MS + SETTLES_S * 1000) * 1_000_000
BEHIND_NS = 1_270_000_000  # what the recorder's clock lacks

PERPETUALS: dict[str, type[Market]] = {"usdm": Linear, "coinm": Inverse}
FIRST_IDS = {"spot": 50_093_239_200, "usdm": 5_123_107_832_000, "coinm": 1_007_198_631_000}

Lines = dict[str, list[bytes]]  # by market


class Scene(Struct, frozen=True, kw_only=True):
    """What happens.  Times are seconds after the start, the premium is in millionths of the price, and
    ``shake_cents`` is how far each frame may move its market's price from the common one."""

    seed: int = 1
    perpetual: str = "usdm"
    seconds: int = 150
    premium: Course = ((0, 1500), (110, 1500), (112, -600))
    thin_s: tuple[int, int] = (0, 0)
    shake_cents: int = 0
    depth_ms: int = 250
    has_marks: bool = True


LINEAR = Scene()
INVERSE = Scene(perpetual="coinm")


class ShortWorld(World):
    """The demonstration's prices and funding under a scene's premium."""

    def __init__(self, dice: Dice, scene: Scene) -> None:
        super().__init__(dice)
        self._scene = scene
        self._shakes = dice

    def advance(self, until_s: int) -> None:
        super().advance(until_s)
        for market in self.premium:
            self.premium[market] = along(self._scene.premium, self.at_s)

    def mid_cents(self, market: str) -> int:
        shake = self._scene.shake_cents
        return super().mid_cents(market) + (self._shakes.around(shake) if shake else 0)

    def is_thin(self) -> bool:
        return self._scene.thin_s[0] <= self.at_s < self._scene.thin_s[1]


def frames(scene: Scene) -> Iterator[tuple[int, str, bytes]]:
    """Receive time on the venue's clock in ms, market and raw frame, in order of time."""
    dice = Dice(scene.seed)
    world = ShortWorld(dice, scene)
    markets = {
        "spot": Spot(dice, FIRST_IDS["spot"]),
        scene.perpetual: PERPETUALS[scene.perpetual](dice, FIRST_IDS[scene.perpetual]),
    }
    due: list[tuple[int, str, str]] = []
    for number, (name, market) in enumerate(markets.items()):
        market.move(world)
        for at_ms, kind in ((60, "diff"), (150, "snapshot"), (700, "ticker"), (900, "trade"), (400, "mark")):
            if kind != "mark" or (scene.has_marks and name != "spot"):
                heapq.heappush(due, (at_ms + 7 * number, name, kind))
    pause_ms = {"diff": scene.depth_ms, "ticker": 900, "trade": 1700, "mark": 3000}
    while due:
        at_ms, name, kind = heapq.heappop(due)
        if at_ms >= scene.seconds * 1000:
            return
        world.advance(at_ms // 1000)
        if kind != "snapshot":
            heapq.heappush(due, (at_ms + pause_ms[kind] + dice.below(pause_ms[kind] // 5), name, kind))
        yield START_MS + at_ms, name, _frame(world, markets[name], kind, START_MS + at_ms - 5 - dice.below(4))


def _frame(world: World, market: Market, kind: str, event_ms: int) -> bytes:
    if kind == "snapshot":
        return market.snapshot(event_ms)
    if kind == "mark":
        return market.mark(world, event_ms)
    if kind == "trade":
        return market.trade(event_ms)
    market.move(world)
    return market.ticker(event_ms) if kind == "ticker" else market.diff(event_ms)


def lines(scene: Scene) -> Lines:
    """Each market's lines, without line ends, on the recorder's clock."""
    found: Lines = {"spot": [], scene.perpetual: []}
    for at_ms, market, frame in frames(scene):
        found[market].append(b"%d %b" % (at_ms * 1_000_000 - BEHIND_NS, frame))
    return found


def write(folder: Path, recorded: Lines) -> tuple[Path, ...]:
    """One file a market; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{market}.jsonl" for market in recorded)
    for path, market in zip(paths, recorded, strict=True):
        path.write_bytes(b"".join(line + b"\n" for line in recorded[market]))
    return paths


def record(folder: Path, scene: Scene) -> tuple[Path, ...]:
    return write(folder, lines(scene))


# what these markets cost a run is no matter of the tests that play them
UNBOUND = {
    "BUDGET__FEES_DAY_PAIR_BPS": "1000000",
    "BUDGET__FEES_DAY_BOOK_BPS": "1000000",
    "BUDGET__FEES_MONTH_PAIR_BPS": "1000000",
    "BUDGET__TURNOVER_DAY_PAIR": "1000000",
    "BUDGET__UNDONE_MAX": "1000000",
    "BUDGET__UNDONE_PAUSE_S": "0",
    "BUDGET__REFUSED_ORDERS_PER_MIN": "1000000",
    "BUDGET__LOSS_DAY_BPS": "1000000",
    "BUDGET__LOSS_PEAK_BPS": "1000000",
}


def settings(perpetual: str = "usdm", changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: three clips in, three out; ``changes`` are named without the prefix."""
    venue = ROOT / "examples/venue"
    symbol = {"usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}[perpetual]
    margin = {"usdm": "USDT=90000", "coinm": "BTC=2"}[perpetual]
    files = {"usdm": "binance-usdm.json", "coinm": "binance-coinm.json"}[perpetual]
    variables = {
        "PAIRS": f"BTC=binance:spot:BTCUSDT/binance:{perpetual}:{symbol}",
        "PAIR_CAPITAL_QUOTE": "BTC=60000",
        "USDT_USD_RATE": "1",
        "PAPER_BALANCES": f"binance:spot:USDT=90000,binance:{perpetual}:{margin}",
        "PAPER_FEES_BPS": f"spot=10/10,{perpetual}=2/5",
        "PAPER_INSTRUMENTS": f"{venue / 'binance-spot.json'},{venue / files}",
        "PAPER_REFERENCE": "mid",
        "STRATEGY__ENTRY_GAP_BPS": "8",
        "STRATEGY__EXIT_GAP_BPS": "0",
        "STRATEGY__CLIP_QUOTE": "20000",
        "STRATEGY__CLIP_INTERVAL_S": "3",
        "LIMITS__ORDER_NOTIONAL_MAX_QUOTE": "30000",
        "LIMITS__PAIR_NOTIONAL_MAX_QUOTE": "90000",
        "LIMITS__VENUE_NOTIONAL_MAX_QUOTE": "180000",
        "LIMITS__GROSS_NOTIONAL_MAX_QUOTE": "180000",
        "LIMITS__NET_DELTA_MAX_QUOTE": "5000",
        "LIMITS__NAKED_MAX_QUOTE": "30000",
        "FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "600000",
        "FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "600000",
        **UNBOUND,
    }
    return {f"BASISBOT_{name}": value for name, value in {**variables, **(changes or {})}.items()}
