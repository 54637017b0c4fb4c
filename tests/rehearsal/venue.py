"""The rehearsal servers on free ports, beside the test: on a loop and thread of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from adapters.paper.terms import Terms
from adapters.recorded.feeds import open_feeds
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.server import first_line, serve
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.config import Balance

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo"
DESCRIPTIONS = ROOT / "examples" / "venue"
FUNDS = (
    Balance("binance:spot", "USDT", Decimal(500_000)),
    Balance("binance:spot", "BTC", Decimal(5)),
    Balance("binance:usdm", "USDT", Decimal(500_000)),
    Balance("binance:coinm", "BTC", Decimal(5)),
)
_START_S = 10.0
_Result = TypeVar("_Result")


class WallClock:
    def now_ns(self) -> int:
        return time.time_ns()


class Venue:
    """A served world.  ``said`` is the servers' first line."""

    def __init__(self) -> None:
        self.said: Mapping[str, str] = {}
        self.world: World
        self.teller: Teller
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    def do(self, act: Callable[[], _Result]) -> _Result:
        """Run ``act``, a lever of the world, between two turns of the servers' loop."""

        async def acted() -> _Result:
            return act()

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(_START_S)

    async def play(self, funds: tuple[Balance, ...], started: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        sources = [(path.name, path.read_bytes()) for path in sorted(DESCRIPTIONS.glob("*.json"))]
        self.world = World(open_feeds([DEMO]), sources, Terms(balances=funds), WallClock())
        keys = make_keys(b"a fixed text of a test")
        self.teller = Teller(self.world, keys)
        playing = asyncio.create_task(self.world.play())
        async with serve(doors(self.world, self.teller), 0) as served:
            self.said = msgspec.json.decode(first_line(served, keys), type=dict[str, str])
            started.set()
            await self._ended.wait()
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)


@contextmanager
def served(funds: tuple[Balance, ...] = FUNDS) -> Iterator[Venue]:
    """The demo's recording, played for ever, before one account."""
    venue, started = Venue(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(venue.play(funds, started)), daemon=True)
    thread.start()
    assert started.wait(_START_S), "the servers did not start"
    try:
        yield venue
    finally:
        venue.end()
        thread.join(_START_S)
    assert not thread.is_alive(), "the servers did not stop"
