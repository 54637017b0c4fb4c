"""Wiring of the recorder: the market feeds of the configured legs, written down as they are heard.

Nothing is traded; a key, where one is set, only lets the venue tell this account's fees and tiers.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters.binance.signing import signer
from adapters.recorded.recorder import Recorder
from bot.model.facts import AnyFact, BookGapped, ChannelLost, ChannelOpened, ProtocolDrift
from bot.model.ids import market_of, symbol_of
from bot.settings import Settings, load
from bot.shell.clock import LiveClock
from bot.shell.engine import culprit
from bot.shell.export import as_texts
from bot.shell.logs import configure, note
from bot.wiring.feeds import open_feeds
from bot.wiring.venues import BINANCE, in_loop, key_and_secret, legs_of, open_network

_TOLD = (BookGapped, ChannelLost, ChannelOpened, ProtocolDrift)


class RecordOptions(Struct, frozen=True, kw_only=True):
    """``out`` must hold no capture; ``part_s`` seconds make a part; ``free_bytes`` stay free on its disk."""

    environ: dict[str, str]
    env_file: Path | None
    out: Path
    part_s: int
    free_bytes: int


def record_feeds(options: RecordOptions) -> int:
    """Record until SIGINT or SIGTERM; returns the number of frames.

    Raises `ConfigError`, `DiskLow`, ``FileExistsError``, and what `bot.wiring.feeds.open_feeds` raises.
    """
    settings = load(options.environ, options.env_file)
    configure(secrets=settings.secrets.texts())
    symbols = tuple(f"{market_of(leg)}:{symbol_of(leg)}" for leg in legs_of(settings.config))
    with Recorder(options.out, BINANCE, symbols, options.part_s, options.free_bytes) as recorder:
        in_loop(_record(settings, recorder))
        return recorder.frames


async def _record(settings: Settings, recorder: Recorder) -> None:
    clock = LiveClock(time.time_ns(), time.monotonic)
    network = open_network(settings.config)
    key, secret = key_and_secret(settings)
    try:
        by = signer(key, secret) if key else None
        legs = legs_of(settings.config)
        opened = await open_feeds(settings, legs, by, (network, clock), _tell, recorder.take)
        await until_signal([feed.run() for feed in opened.feeds])
    finally:
        await network.close()


def _tell(fact: AnyFact) -> None:
    if isinstance(fact, _TOLD):
        note(type(fact).__name__, as_texts(fact))


async def until_signal(feeds: list[Coroutine[Any, Any, None]]) -> None:
    """Run the feeds until a signal, or until one of them raises; what it raised is raised."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    tasks: list[asyncio.Task[Any]] = [loop.create_task(feed) for feed in feeds]
    tasks.append(loop.create_task(stopped.wait()))
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    try:
        for task in done:
            task.result()
    except ExceptionGroup as group:
        raise culprit(group) from None
