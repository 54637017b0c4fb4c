"""Levels a second that the book takes from decoded updates, best and VWAP of both sides read after each.

The bar, 2.5 million levels a second, is for a machine on which gzip and json.loads parse the recording at
200,000 lines a second, so the figure is scaled to such a machine.
"""

from __future__ import annotations

import time
from statistics import median

from adapters.binance.codec import DepthSnapshot, DepthUpdate, decode_depth, decode_snapshot
from adapters.recorded.feeds import open_feeds
from adapters.recorded.merge import merge
from bench.figure import RUNS, print_figure, probe
from bench.recordings import Case, cases
from bot.model.book import Book, BookSide

CLIP_QUOTE = 10_000.0
BAR_LINES_PER_S = 200_000.0

Update = DepthSnapshot | DepthUpdate


def decoded(case: Case) -> list[list[Update]]:
    """Snapshots and depth updates of each feed."""
    feeds = open_feeds(case.feeds)
    updates: list[list[Update]] = [[] for _ in feeds]
    for _, index, payload in merge(feeds):
        stream = payload[: payload.find(b'"', 11)]
        if stream.endswith(b"@snapshot"):
            updates[index].append(decode_snapshot(payload).data)
        elif b"@depth" in stream:
            updates[index].append(decode_depth(payload).data)
    return updates


def vwap(side: BookSide) -> float:
    value = size = 0.0
    for price, qty in side.levels(10):
        part = min(price * qty, CLIP_QUOTE - value)
        value += part
        size += part / price
        if value >= CLIP_QUOTE:
            break
    return value / size


def play(updates: list[Update]) -> float:
    """CPU seconds to take all updates and read best and VWAP of both sides after each."""
    book = Book()
    bids, asks = book.bids, book.asks
    reads = 0
    begun_s = time.process_time()
    for update in updates:
        if type(update) is DepthUpdate:
            book.apply(update.bids, update.asks)
        else:
            book.replace(update.bids, update.asks)
        if bids.best is not None and asks.best is not None and vwap(bids) and vwap(asks):
            reads += 1
    taken_s = time.process_time() - begun_s
    if not reads:
        raise SystemExit("no book was read")
    return taken_s


def main() -> None:
    case = cases()[0]
    feeds = decoded(case)
    levels = sum(len(update.bids) + len(update.asks) for updates in feeds for update in updates)
    speeds, lines_per_s, parsed_per_s = [], [], []
    for _ in range(RUNS):
        parsed = probe("parse", *case.files)
        lines_per_s.append(parsed["lines"] / parsed["cpu_s"])
        parsed_per_s.append(levels / parsed["cpu_s"])
        speeds.append(levels / sum(map(play, feeds)))
    here, lines = median(speeds), median(lines_per_s)
    scale = BAR_LINES_PER_S / lines
    print_figure(
        "book_levels_per_s",
        here * scale,
        "levels/s",
        baseline=median(parsed_per_s) * scale,
        how=f"{levels} levels of decoded updates of {case.text}, best and VWAP of both sides read after each,"
        f" medians of {RUNS}: {here:.0f} levels/s here, scaled from the {lines:.0f} lines/s that "
        f"{case.parser} take here to 200000; baseline: levels/s of that parse, scaled alike",
    )


if __name__ == "__main__":
    main()
