"""A recording that exists in memory only, as the rehearsal venue plays it.

The market is that of `tests.e2e.feeds`: two books that move with one price, and a premium that lets the pair
enter at once, leave, and enter again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from adapters.binance.codec import enveloped
from adapters.recorded.frames import Feed, Frame
from tests.e2e import feeds

SYMBOLS = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}


def scene(perpetual: str = "usdm", seconds: int = 60) -> feeds.Scene:
    """In for 20 s, out for 10, in again.  The venue has played its first five seconds when a run begins."""
    premium = ((0, 1500), (24, 1500), (25, -600), (34, -600), (35, 1500))
    return feeds.Scene(perpetual=perpetual, seconds=seconds, premium=premium, depth_ms=500)


def made(played: feeds.Scene) -> list[Feed]:
    """The scene as the feeds of one recording, in order of name."""
    recording = MemoryRecording(played)
    return [
        Feed(f"binance:{market}", market, f"{played}", 0, recording) for market in sorted(recording.markets)
    ]


class MemoryRecording:
    """`adapters.recorded.frames.Recording` of one scene."""

    def __init__(self, played: feeds.Scene) -> None:
        self._scene = played

    @property
    def markets(self) -> tuple[str, ...]:
        return ("spot", self._scene.perpetual)

    def blocks(self, index_of: Mapping[str, int]) -> Iterator[list[Frame]]:
        yield [(at_ns, index_of[market], frame) for at_ns, market, frame in _frames(self._scene)]

    def where(self, line: int) -> str:
        return f"made:{line}"


@lru_cache(maxsize=8)
def _frames(played: feeds.Scene) -> tuple[tuple[int, str, bytes], ...]:
    return tuple(
        (at_ms * 1_000_000, market, enveloped(frame, SYMBOLS[market])[1])
        for at_ms, market, frame in feeds.frames(played)
    )
