"""The rehearsal venue as a process: a recording, a world, three servers, until somebody ends it.

Everything that a client can see is made here at start: keys of an account that is funded on all three
markets, ports, and the first line that tells both.  What must stay true: nothing is printed before every
server accepts, and nothing is printed after that line.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters.binance.instruments import read_source
from adapters.paper.terms import Terms
from adapters.recorded.feeds import open_feeds
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import Keys, make_keys
from adapters.rehearsal.disturbed import Disturbance
from adapters.rehearsal.faults import Script
from adapters.rehearsal.levers import VenueLevers
from adapters.rehearsal.server import Served, first_line, serve
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.config import Balance

FUNDS = (
    Balance("binance:spot", "USDT", Decimal(350_000)),
    Balance("binance:spot", "BTC", Decimal(1)),
    Balance("binance:usdm", "USDT", Decimal(100_000)),
    Balance("binance:coinm", "BTC", Decimal(1)),
)

_ENTROPY = 32


class Playbill(Struct, frozen=True, kw_only=True):
    """What is rehearsed: recordings, the venue's descriptions of what it trades, and what goes wrong.

    ``port`` is spot's, the two after it are USD-M's and COIN-M's; 0 takes free ones.
    """

    recordings: tuple[Path, ...]
    instruments: tuple[Path, ...]
    script: Script = ()
    balances: tuple[Balance, ...] = FUNDS
    port: int = 0


class WallClock:
    """The time of day at the start, and from then on a clock that nobody sets."""

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        return time.monotonic_ns() + self._ahead_ns


class Rehearsal(Struct, frozen=True):
    """A venue that is being served.  ``playing`` ends only by what went wrong."""

    served: Served
    keys: Keys
    playing: asyncio.Future[Any]


@asynccontextmanager
async def rehearse(playbill: Playbill, note: Callable[[str], None]) -> AsyncIterator[Rehearsal]:
    """Serve ``playbill`` while the block runs.  ``note`` is told what faults begin and end.

    Raises `FeedError` for an input that cannot be used and ``OSError`` where a port is taken.
    """
    sources = [read_source(path) for path in playbill.instruments]
    clock = WallClock()
    world = World(open_feeds(playbill.recordings), sources, Terms(balances=playbill.balances), clock)
    keys = make_keys(secrets.token_bytes(_ENTROPY))
    teller = Teller(world, keys)
    layer = Disturbance(playbill.script, VenueLevers(world, teller), clock, note)
    open_doors = {market: layer.around(door) for market, door in doors(world, teller).items()}
    async with serve(open_doors, playbill.port) as served:
        playing = asyncio.gather(world.play(), layer.run())
        try:
            yield Rehearsal(served, keys, playing)
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing


async def serve_forever(
    playbill: Playbill, print_line: Callable[[bytes], None], note: Callable[[str], None]
) -> None:
    """Serve until cancelled; ``print_line`` is given the first line once every server accepts."""
    async with rehearse(playbill, note) as rehearsal:
        print_line(first_line(rehearsal.served, rehearsal.keys))
        await rehearsal.playing
