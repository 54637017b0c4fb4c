"""A small rehearsal venue for tests: a recording in memory, a clock moved by hand, peers that remember."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from adapters.paper.terms import Terms
from adapters.recorded.frames import Feed, Frame
from adapters.rehearsal.world import World
from bot.model.commands import Flatten, PlaceOrder, TimeInForce
from bot.model.config import Balance
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from bot.ports import Clock
from tests.conftest import ROOT

D = Decimal
S = 1_000_000_000
NOW_NS = 1_795_000_000 * S
RECORDED_MS = 1_700_000_000_000
SPOT = InstrumentId("binance:spot:BTCUSDT")
LINEAR = InstrumentId("binance:usdm:BTCUSDT")
INVERSE = InstrumentId("binance:coinm:BTCUSD_PERP")
SYMBOLS = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}
FUNDS = (
    Balance("binance:spot", "USDT", D(100_000)),
    Balance("binance:spot", "BTC", D(1)),
    Balance("binance:usdm", "USDT", D(50_000)),
    Balance("binance:coinm", "BTC", D(2)),
)

Row = tuple[int, str, str, dict[str, Any]]  # ms since the recording's start, market, kind, data


class HandClock:
    def __init__(self, at_ns: int = NOW_NS) -> None:
        self.at_ns = at_ns

    def now_ns(self) -> int:
        return self.at_ns


class Reel:
    """`adapters.recorded.frames.Recording` of rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.markets = tuple(sorted({row[1] for row in rows}))

    def blocks(self, index_of: Mapping[str, int]) -> Iterator[list[Frame]]:
        yield [
            ((RECORDED_MS + ms) * 1_000_000, index_of[market], _frame(market, kind, data))
            for ms, market, kind, data in self._rows
        ]

    def where(self, line: int) -> str:
        return f"reel:{line}"


def _frame(market: str, kind: str, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"stream": f"{SYMBOLS[market].lower()}@{kind}", "data": data})


def feeds(rows: Sequence[Row]) -> list[Feed]:
    reel = Reel(rows)
    return [Feed(f"binance:{market}", market, "", 0, reel) for market in reel.markets]


def depth(market: str, ms: int, first: int, last: int, price: float, size: float = 5.0) -> Row:
    """A diff that sets one level a side; futures also name the id before."""
    unit = 1.0 if market != "coinm" else 1000.0
    data: dict[str, Any] = {"e": "depthUpdate", "E": RECORDED_MS + ms, "s": SYMBOLS[market]}
    if market != "spot":
        data["T"] = RECORDED_MS + ms
    if market == "coinm":
        data["ps"] = "BTCUSD"
    data |= {"U": first, "u": last}
    if market != "spot":
        data["pu"] = first - 1
    data |= {"b": [[f"{price:.1f}", f"{size * unit:.0f}"]], "a": [[f"{price + 1:.1f}", f"{size * unit:.0f}"]]}
    return ms, market, "depth@100ms", data


def snapshot(market: str, ms: int, last: int, price: float) -> Row:
    unit = 1.0 if market != "coinm" else 1000.0
    data: dict[str, Any] = {"lastUpdateId": last}
    if market != "spot":
        data |= {"E": RECORDED_MS + ms, "T": RECORDED_MS + ms}
    data |= {
        "bids": [[f"{price - i:.1f}", f"{(i + 1) * unit:.0f}"] for i in range(5)],
        "asks": [[f"{price + 1 + i:.1f}", f"{(i + 1) * unit:.0f}"] for i in range(5)],
    }
    return ms, market, "snapshot", data


def mark(market: str, ms: int, price: float, rate: str = "0.00010000", next_ms: int = 3_600_000) -> Row:
    data = {
        "e": "markPriceUpdate",
        "E": RECORDED_MS + ms,
        "s": SYMBOLS[market],
        "p": f"{price:.8f}",
        "i": f"{price - 5:.8f}",
        "P": f"{price:.8f}",
        "r": rate,
        "T": RECORDED_MS + next_ms,
    }
    return ms, market, "markPrice", data


def trade(market: str, ms: int, number: int, price: float, qty: str) -> Row:
    data = {
        "e": "trade", "E": RECORDED_MS + ms, "s": SYMBOLS[market], "t": number, "p": f"{price:.1f}", "q": qty,
        "T": RECORDED_MS + ms, "m": True,
    }  # fmt: skip
    return ms, market, "trade", data


def scene(seconds: int = 60) -> list[Row]:
    """All three markets: a snapshot each, marks, then one diff a second that leaves the prices alone."""
    rows: list[Row] = []
    for offset, market in enumerate(SYMBOLS):
        rows.append(snapshot(market, 100 + offset, 1005, 60_000.0))
        if market != "spot":
            rows.append(mark(market, 200 + offset, 60_000.5))
        rows += [
            depth(market, 1000 * second + 300 + offset, 991 + 10 * second, 1000 + 10 * second, 60_000.0)
            for second in range(1, seconds)
        ]
        rows.append(trade(market, 7500 + offset, 77, 60_000.0, "2"))
    return sorted(rows, key=lambda row: row[0])


def sources() -> list[tuple[str, bytes]]:
    folder = ROOT / "examples" / "venue"
    return [(market, (folder / f"binance-{market}.json").read_bytes()) for market in SYMBOLS]


def world(rows: Sequence[Row] | None = None, clock: Clock | None = None) -> World:
    played = feeds(scene() if rows is None else rows)
    return World(played, sources(), Terms(balances=FUNDS), clock or HandClock())


def play(stage: World, clock: HandClock, seconds: float) -> None:
    clock.at_ns += round(seconds * S)
    stage.turn(clock.at_ns)


def order(
    instrument: InstrumentId,
    side: Side,
    qty: str,
    price: str,
    tif: TimeInForce = TimeInForce.IOC,
    name: str = "order",
) -> PlaceOrder:
    return PlaceOrder(
        client_id=ClientId(name),
        pair=PairName("rehearsal"),
        role=Role.LONG,
        instrument=instrument,
        side=side,
        qty=D(qty),
        price=D(price),
        tif=tif,
        reduce_only=False,
        purpose=Purpose.ENTER,
        arrival_mid=D(price),
        why=Flatten("test"),
    )


class Listened:
    """`adapters.rehearsal.seam.Peer` that remembers; messages as JSON values."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.end: tuple[int, str] | None = None

    def send(self, payload: bytes) -> None:
        self.messages.append(msgspec.json.decode(payload))

    def close(self, code: int, reason: str) -> None:
        self.end = (code, reason)
