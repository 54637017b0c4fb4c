"""The path of a frame, one stage longer each time: what each stage adds is what it costs.

read: open, inflate, split and merge; decode: name the stream and decode; book: the sequence rule and the
levels; filter: judge whether the book is worth a fact.  Facts go nowhere, and no venue listens.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from adapters.binance.codec import DepthSnapshot, DepthUpdate
from adapters.binance.instruments import instruments, read_source
from adapters.binance.market import RULES, MarketStream
from adapters.binance.streams import Stream
from adapters.depth import BookChannel
from adapters.materiality import Materiality
from adapters.recorded.feeds import open_feeds
from adapters.recorded.merge import merge
from bot.model.config import Config
from bot.model.facts import AnyFact
from bot.model.ids import InstrumentId, market_of
from bot.model.instrument import Instrument
from bot.model.pair import Role
from bot.ports import Emit
from bot.settings import load

Filters = dict[InstrumentId, Materiality]
MakeStream = Callable[[str, list[Instrument], Filters], MarketStream]


def discard(fact: AnyFact) -> None:
    """Where all facts go."""


class Decoding(MarketStream):
    """Names and decodes frames, and counts the levels of depth updates and snapshots if it is to."""

    levels = 0
    counts = False

    def _open(self, name: str) -> Stream:
        stream = super()._open(name)
        stream.take = self._count if self.counts else self._drop
        return stream

    def _drop(self, frame: object, at_ns: int) -> None:
        pass

    def _count(self, frame: object, at_ns: int) -> None:
        if isinstance(frame, DepthUpdate | DepthSnapshot):
            self.levels += len(frame.bids) + len(frame.asks)


class Counting(Decoding):
    counts = True


class Unjudged(BookChannel):
    """Keeps a book that nobody looks at."""

    __slots__ = ()

    def _judge(self, at_ns: int, event_ms: int | None) -> None:
        pass


class Keeping(MarketStream):
    """Decodes frames and keeps books."""

    def __init__(self, market: str, traded: list[Instrument], filters: Filters, emit: Emit) -> None:
        super().__init__(market, traded, filters, emit)
        for one in traded:
            self.channels[one.id] = Unjudged(one, RULES[market], filters[one.id], emit)


class Paths:
    """The recordings and the instruments traded on them."""

    def __init__(self, env_file: Path, feeds: list[Path]) -> None:
        settings = load({}, env_file)
        self._config: Config = settings.config
        self._feeds = feeds
        self.streams: list[MarketStream] = []
        legs = [pair.instrument(role) for pair in self._config.pairs for role in Role]
        sources = [read_source(path) for path in settings.instruments]
        self._traded = instruments(sources, list(dict.fromkeys(legs)), self._config.paper_fees_bps)

    def read(self) -> float:
        """CPU seconds."""
        begun_s = time.process_time()
        deque(merge(open_feeds(self._feeds)), maxlen=0)
        return time.process_time() - begun_s

    def play(self, kind: type[MarketStream]) -> float:
        """CPU seconds to read, and hand each frame to a ``kind`` for its market."""
        strategy = self._config.strategy
        materiality = Materiality(float(strategy.clip_quote), strategy.materiality_bps, strategy.heartbeat_s)
        begun_s = time.process_time()
        feeds = open_feeds(self._feeds)
        self.streams = []
        for feed in feeds:
            mine = [one for one in self._traded.values() if market_of(one.id) == feed.market]
            filters = dict.fromkeys([one.id for one in mine], materiality)
            self.streams.append(kind(feed.market, mine, filters, discard))
        takers = [stream.on_frame for stream in self.streams]
        for at_ns, index, payload in merge(feeds):
            takers[index](at_ns, payload)
        return time.process_time() - begun_s

    def levels(self) -> int:
        """Levels of all depth updates and snapshots."""
        self.play(Counting)
        return sum(stream.levels for stream in self.streams if isinstance(stream, Counting))


def main(env_file: Path, feeds: list[Path]) -> None:
    paths = Paths(env_file, feeds)
    reached_s = [paths.read(), *(paths.play(kind) for kind in (Decoding, Keeping, MarketStream))]
    added_s = [later - sooner for sooner, later in zip([0.0, *reached_s], reached_s, strict=False)]
    stages = dict(zip(("read", "decode", "book", "filter"), added_s, strict=True))
    print(json.dumps({"split_s": stages, "levels": paths.levels()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
