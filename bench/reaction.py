"""How soon orders follow what calls for them, over loopback, with the journal durable before anything leaves.

The venue is the rehearsal's servers in a process of their own, the bot is `basisbot run` in another. Twice
a second the perpetual's bid jumps, so that the pair adds a clip. ``together``: the depth frame leaves, both
orders are at the venue. ``sequenced``: the first leg's fill leaves, the hedge is at the venue. The floor is
a client that neither keeps a book nor writes anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from adapters.recorded.writer import CaptureWriter
from bench.figure import PROBES, print_figure
from bench.recordings import ROOT

SAMPLES_S = 30.0
FIRST = 5  # left out: the first orders answer a hold that clears, not a frame
START_NS = 1_772_438_400_000_000_000
FRAME_MS = 5
JUMP_FRAMES = 25  # of the perpetual: four times a second, up and down by turns
LENGTH_S = 300
LOW, HIGH = (60000.0, 60000.1), (60060.0, 60060.1)
SYMBOLS = ("spot:BTCUSDT", "usdm:BTCUSDT")
SETTINGS = {
    "PAIRS": "BTC=binance:spot:BTCUSDT/binance:usdm:BTCUSDT",
    "PAIR_CAPITAL_QUOTE": "BTC=5000000",
    "API_PORT": "0",
    "STRATEGY__ENTRY_GAP_BPS": "5",
    "STRATEGY__CLIP_QUOTE": "200",
    "STRATEGY__CLIP_INTERVAL_S": "0.1",
    "STRATEGY__RECONCILE_S": "3600",
    "LIMITS__ORDER_NOTIONAL_MAX_QUOTE": "1000",
    "LIMITS__PAIR_NOTIONAL_MAX_QUOTE": "6000000",
    "LIMITS__VENUE_NOTIONAL_MAX_QUOTE": "20000000",
    "LIMITS__GROSS_NOTIONAL_MAX_QUOTE": "20000000",
    "LIMITS__NET_DELTA_MAX_QUOTE": "100000",
    "LIMITS__NAKED_MAX_QUOTE": "1000",
    "LIMITS__OPENING_ORDERS_PER_MIN": "10000",
    "FUSE__OPENING_ORDERS_PER_MIN": "10000",
    "FUSE__CLOSING_ORDERS_PER_MIN": "10000",
    "FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "100000000",
    "FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "100000000",
}


def write_capture(folder: Path) -> None:
    """Both markets speak all the time, far from their touch; the perpetual jumps up and down by turns."""
    with CaptureWriter(folder, "binance", SYMBOLS) as writer:
        ids = {"spot": 1000, "usdm": 1000}
        for market, number in ids.items():
            writer.write(START_NS, f"{market}/btcusdt@snapshot", _snapshot(number))
        for tick in range(1, LENGTH_S * 1000 // FRAME_MS):
            at_ms = START_NS // 1_000_000 + tick * FRAME_MS
            market = "usdm" if tick % 2 else "spot"
            ids[market] += 1
            diff: dict[str, object] = {"e": "depthUpdate", "E": at_ms, "s": "BTCUSDT", "u": ids[market]}
            diff |= {"b": [["59000.00", str(1 + tick % 7)]], "a": [["61000.00", str(1 + tick % 5)]]}
            if market == "spot":
                diff["U"] = ids[market]
            else:
                diff |= {"T": at_ms, "U": ids[market] - 1, "pu": ids[market] - 1}
                jump, is_jump = divmod(tick // 2, JUMP_FRAMES)
                if not is_jump:
                    diff |= _touch(is_high=jump % 2 == 1)
            writer.write(at_ms * 1_000_000, f"{market}/btcusdt@depth", _json(diff))
            if tick % (1000 // FRAME_MS) == 0:
                mark = {"e": "markPriceUpdate", "E": at_ms, "s": "BTCUSDT", "p": "60030.0", "i": "60030.0"}
                mark |= {"r": "0.0001", "T": at_ms - at_ms % 28_800_000 + 28_800_000}
                writer.write(at_ms * 1_000_000, "usdm/btcusdt@markPrice@1s", _json(mark))


def _touch(is_high: bool) -> dict[str, list[list[str]]]:
    (bid, ask), gone = (HIGH, LOW) if is_high else (LOW, HIGH)
    return {
        "b": [[f"{bid:.2f}", "50"], [f"{gone[0]:.2f}", "50" if is_high else "0"]],
        "a": [[f"{ask:.2f}", "50"], [f"{gone[1]:.2f}", "0" if is_high else "50"]],
    }


def _snapshot(number: int) -> bytes:
    return _json({"lastUpdateId": number, "bids": [["60000.00", "50"]], "asks": [["60000.10", "50"]]})


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@contextmanager
def venue(capture: Path) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """The venue's first line, and a mapping that holds what it saw once the block is left."""
    command = [sys.executable, str(PROBES / "reaction_venue.py"), str(capture)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen: dict[str, list[int]] = {}
    try:
        yield process.stdout.readline(), seen
        told, _ = process.communicate("", timeout=10)
        seen.update(json.loads(told))
    finally:
        process.kill()
        process.wait()


def floor(capture: Path) -> list[int]:
    with venue(capture) as (line, seen):
        client = subprocess.Popen(
            [sys.executable, str(PROBES / "reaction_client.py")], stdin=subprocess.PIPE, text=True
        )
        assert client.stdin is not None
        client.stdin.write(line)
        client.stdin.flush()
        time.sleep(SAMPLES_S)
        client.kill()
        client.wait()
    return seen["together_ns"][FIRST:]


def reaction(capture: Path, folder: Path, transport: str, policy: str) -> list[int]:
    with venue(capture) as (line, seen):
        roots = json.loads(line)
        ports = [roots[f"{market}_rest"].rpartition(":")[2] for market in ("spot", "usdm", "coinm")]
        settings = SETTINGS | {
            "MODE": "rehearsal",
            "REHEARSAL_PORTS": ",".join(ports),
            "BINANCE_KEY": roots["api_key"],
            "BINANCE_SECRET": roots["secret"],
            "JOURNAL": str(folder / f"{transport}-{policy}.sqlite"),
            "ORDER_TRANSPORT": transport,
            "STRATEGY__LEG_POLICY": policy,
        }
        env = os.environ | {f"BASISBOT_{name}": text for name, text in settings.items()}
        log = (folder / f"{transport}-{policy}.log").open("w")
        bot = subprocess.Popen([sys.executable, "-m", "bot", "run"], env=env, cwd=ROOT, stderr=log)
        time.sleep(SAMPLES_S)
        bot.terminate()
        code = bot.wait(timeout=30)
        log.close()
    if code != 0 or len(seen[f"{policy}_ns"]) <= FIRST:
        raise SystemExit(f"the bot ended by {code} after {seen}:\n{Path(log.name).read_text()[-2000:]}")
    return seen[f"{policy}_ns"][FIRST:]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture = folder / "capture"
        write_capture(capture)
        base = quantiles(floor(capture), n=100)
        for policy, what in (
            ("together", "depth frame leaves, both orders received"),
            ("sequenced", "first leg's fill leaves, hedge order received"),
        ):
            for transport in ("ws", "rest"):
                taken = reaction(capture, folder, transport, policy)
                parts = quantiles(taken, n=100)
                for percent in (50, 99):
                    print_figure(
                        f"reaction_{policy}_{transport}_p{percent}_ms",
                        parts[percent - 1] / 1e6,
                        "ms",
                        baseline=base[percent - 1] / 1e6,
                        how=f"{what}, loopback, row durable before sending, {len(taken)} times; "
                        "baseline: a client without book and journal, both orders by WebSocket",
                    )


if __name__ == "__main__":
    main()
