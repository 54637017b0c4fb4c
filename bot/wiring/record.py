"""Wiring of the recorder: the market feeds of the configured legs, written down as they are heard.

Nothing is traded; a key, where one is set, only lets the venue tell this account's fees and tiers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters.binance.signing import signer
from adapters.recorded.recorder import Recorder
from adapters.recorded.salvage import make_folder
from bot.knobs import ConfigError
from bot.model.facts import AnyFact, BookGapped, ChannelLost, ChannelOpened, ProtocolDrift
from bot.model.ids import InstrumentId, market_of, symbol_of
from bot.settings import Settings, load
from bot.shell.clock import LiveClock
from bot.shell.engine import culprit
from bot.shell.export import as_texts
from bot.shell.lock import FileLock, LockTaken
from bot.shell.logs import configure, note
from bot.wiring.feeds import open_feeds
from bot.wiring.venues import BINANCE, in_loop, key_and_secret, legs_of, open_network

_BEHIND_MAX_S = 60  # until the clock has caught up, all frames bear the time of the last one
_TOLD = (BookGapped, ChannelLost, ChannelOpened, ProtocolDrift)


class RecordOptions(Struct, frozen=True, kw_only=True):
    """``part_s`` seconds make a part; every ``sync_s`` what was heard is brought to disk; ``free_bytes`` stay
    free there; ``resume`` goes on with the capture that ``out`` holds, if any."""

    environ: dict[str, str]
    env_file: Path | None
    out: Path
    resume: bool
    part_s: int
    sync_s: float
    free_bytes: int


def record_feeds(options: RecordOptions) -> int:
    """Record until SIGINT or SIGTERM; returns the number of frames.

    Raises `ConfigError`, `DiskLow`, `DiskFailed`, `CaptureExists`, `FeedError` for a capture that cannot be
    gone on with, and what `bot.wiring.feeds.open_feeds` raises.
    """
    settings = load(options.environ, options.env_file)
    configure(secrets=settings.secrets.texts())
    symbols = tuple(map(_recorded, legs_of(settings.config)))
    out, resume = options.out, options.resume
    with (
        _locked(out),
        Recorder(out, BINANCE, symbols, options.part_s, options.free_bytes, resume=resume) as recorder,
    ):
        for one in recorder.salvaged:
            frames = one.part.frames if one.part else 0
            note(
                "part_taken_over", {"file": one.file, "frames": str(frames), "cut_bytes": str(one.cut_bytes)}
            )
        behind_s = (recorder.last_ns - time.time_ns()) / 1e9
        if behind_s > _BEHIND_MAX_S:
            raise ConfigError(
                f"the clock stands {behind_s:.0f} s before the last frame of {out}: "
                "set it, or name another folder"
            )
        in_loop(_record(settings, recorder, options.sync_s))
        return recorder.frames


def _recorded(leg: InstrumentId) -> str:
    """A leg as captures name it.  Raises `ConfigError` for one whose frames nobody shows."""
    if leg.split(":")[0] != BINANCE:
        raise ConfigError(
            f"BASISBOT_PAIRS has the leg {leg}, but raw frames of {BINANCE} alone are recorded: ccxt has none"
        )
    return f"{market_of(leg)}:{symbol_of(leg)}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One recorder for one folder.  Raises `ConfigError` where another one writes to it, and ``OSError``."""
    make_folder(folder)
    try:
        lock = FileLock(folder / ".recorder")
    except LockTaken:
        raise ConfigError(
            f"{folder}: another recorder writes it; wait for it, or name another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


async def _record(settings: Settings, recorder: Recorder, sync_s: float) -> None:
    clock = LiveClock(time.time_ns(), time.monotonic)
    network = open_network(settings.config)
    key, secret = key_and_secret(settings)
    try:
        by = signer(key, secret) if key else None
        legs = legs_of(settings.config)
        opened = await open_feeds(settings, legs, by, (network, clock), _tell, recorder.take)
        await until_signal([*(feed.run() for feed in opened.feeds), _sync(recorder, sync_s)])
    finally:
        await network.close()


async def _sync(recorder: Recorder, every_s: float) -> None:
    """Bring what was heard to disk, in a thread, since a slow disk delays the stamps of frames; only the end
    of a part waits for it."""
    while True:
        await asyncio.sleep(every_s)
        file = recorder.flush()
        if file is None:
            continue
        try:
            await asyncio.to_thread(os.fsync, file)
        except OSError as error:
            raise recorder.failed(error) from None
        finally:
            os.close(file)


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
