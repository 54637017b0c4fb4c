"""Stories of faults over real sockets and in real time, many of them side by side in one process.

Each story has its own world, its own servers on free ports of the loopback interface, its own bot and its own
journal; side by side they take as long as one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from adapters.ws import PING_S, PONG_S
from tests.virtual.laws import broken
from tests.virtual.rig import by_tcp, play
from tests.virtual.story import Story

# two clips are filled, the third is about to be; long enough for many bots on a slow machine to have heard
# their accounts before a clock that falls back by three seconds
STRIKES_S = 4.5
SECONDS = STRIKES_S + PING_S + PONG_S + 8.0  # a dead socket is noticed by a ping; then it is to recover


def tell(scripts: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """The laws that each script broke, for those that broke any."""

    async def one(number: int, script: str) -> list[str]:
        story, journal = Story(script=script, seconds=SECONDS), folder / f"{number}.db"
        return broken(await play(story, journal, by_tcp), story, journal, PING_S + PONG_S)

    async def together() -> list[list[str]]:
        return await asyncio.gather(*(one(number, script) for number, script in enumerate(scripts)))

    found = asyncio.run(together())
    return {script: laws for script, laws in zip(scripts, found, strict=True) if laws}
