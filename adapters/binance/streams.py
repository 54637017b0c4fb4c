"""What each kind of Binance stream does with a frame: decode what is used, hand it to its channel.

These are the hot objects of a replay: one per stream, found by the stream's name, with slots for attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.binance.codec import (
    ContractInfo,
    DepthSnapshot,
    DepthUpdate,
    Envelope,
    IndexPrice,
    MarkPrice,
    Trade,
    decimal,
    decode_anything,
    decode_contract,
    decode_depth,
    decode_index,
    decode_mark,
    decode_snapshot,
    decode_trade,
    positive,
)
from adapters.binance.instruments import status_of
from adapters.depth import MS, BookChannel
from adapters.marks import MarkChannel, MarkUpdate
from bot.model.facts import InstrumentStatusSeen
from bot.model.ids import InstrumentId
from bot.ports import Emit

_OFFSET_WINDOW = 16  # depth updates


class Offset:
    """The venue's clock less ours: the largest difference seen lately, since a frame can only be late.

    ``ns`` is ``None`` before the first.  It is read far more often than it changes.
    """

    __slots__ = ("_before", "_count", "_now", "ns")

    def __init__(self) -> None:
        self.ns: int | None = None
        self._before: int | None = None
        self._now: int | None = None
        self._count = 0

    def take(self, offset_ns: int) -> None:
        if self._count == _OFFSET_WINDOW:
            self._before, self._now, self._count = self._now, None, 0
        self._now = offset_ns if self._now is None else max(self._now, offset_ns)
        self._count += 1
        self.ns = self._now if self._before is None else max(self._before, self._now)


class Stream:
    """One stream: how its frames are decoded, and who takes what they hold.

    Whoever calls counts ``frames``; a frame that no channel counts is counted here.  ``decode`` raises
    ``msgspec.DecodeError``, and ``take`` may raise its subclass ``msgspec.ValidationError``
    before it has changed anything.
    """

    __slots__ = ("decode", "frames", "immaterial", "refused", "take")

    def __init__(self, decode: Callable[[bytes], Envelope[Any]], take: Callable[[Any, int], None]) -> None:
        self.decode = decode
        self.take = take
        self.frames = 0
        self.immaterial = 0
        self.refused: dict[str, int] = {}

    def refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def refuse_frame(self, reason: str, at_ns: int) -> None:
        """A frame that is JSON and cannot be used is counted."""
        self.refuse(reason)


class SnapshotStream(Stream):
    """Depth snapshots of one instrument.  ``is_anew``: a recorder has begun anew, and the venue perhaps its
    ids meanwhile, so that a snapshot that is older by its id is none the less the newest."""

    __slots__ = ("_channel", "is_anew")

    def __init__(self, channel: BookChannel) -> None:
        super().__init__(decode_snapshot, self._take)
        self._channel = channel
        self.is_anew = False

    def _take(self, snapshot: DepthSnapshot, at_ns: int) -> None:
        channel = self._channel
        if self.is_anew and channel.is_live and snapshot.last < channel.update_id:
            channel.interrupt(at_ns)
        self.is_anew = False
        channel.on_snapshot(snapshot, at_ns)


class DescriptionStream(Stream):
    """What a market trades: read before a replay begins; in the middle of it, a recorder begins anew."""

    __slots__ = ("_streams",)

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        super().__init__(decode_anything, self._take)
        self._streams = streams

    def _take(self, frame: object, at_ns: int) -> None:
        self.immaterial += 1
        for stream in self._streams.values():
            if isinstance(stream, SnapshotStream):
                stream.is_anew = True


class IgnoredStream(Stream):
    """A stream that is not wanted, and why."""

    __slots__ = ("ignored", "reason")

    def __init__(self, reason: str) -> None:
        super().__init__(decode_anything, self._take)
        self.reason = reason
        self.ignored = 0

    def _take(self, frame: object, at_ns: int) -> None:
        self.ignored += 1


class DepthStream(Stream):
    """Depth updates of one instrument; their event times also tell the clock's offset."""

    __slots__ = ("_channel", "_offset")

    def __init__(self, channel: BookChannel, offset: Offset) -> None:
        super().__init__(decode_depth, self._take)
        self._channel = channel
        self._offset = offset

    def refuse_frame(self, reason: str, at_ns: int) -> None:
        """An update that cannot be used is lost, and the book unknown from here on."""
        self.refuse(reason)
        if self._channel.is_live:
            self._channel.gaps += 1
        self._channel.interrupt(at_ns)

    def _take(self, diff: DepthUpdate, at_ns: int) -> None:
        self._channel.on_diff(diff, at_ns)
        if diff.event_ms is not None:
            self._offset.take(diff.event_ms * MS - at_ns)


class TradeStream(Stream):
    """``is_told`` is false where another stream of the same instrument already tells its trades."""

    __slots__ = ("_channel", "_is_told")

    def __init__(self, channel: BookChannel, is_told: bool) -> None:
        super().__init__(decode_trade, self._take)
        self._channel = channel
        self._is_told = is_told

    def _take(self, trade: Trade, at_ns: int) -> None:
        channel = self._channel
        channel.heard_ns = at_ns
        self.immaterial += 1
        if self._is_told and channel.listener is not None:
            channel.on_trade(trade.price, trade.qty, trade.buyer_is_maker, trade.trade_ms * MS)


class MarkStream(Stream):
    """Mark, index and rate of one instrument."""

    __slots__ = ("_channel",)

    def __init__(self, channel: MarkChannel) -> None:
        super().__init__(decode_mark, self._take)
        self._channel = channel

    def _take(self, frame: MarkPrice, at_ns: int) -> None:
        mark, index = positive(frame.mark), positive(frame.index)
        rate = decimal(frame.rate) if frame.rate and frame.next_ms else None
        self._channel.on_update(MarkUpdate(frame.event_ms * MS, mark, index, rate, frame.next_ms * MS), at_ns)


class IndexStream(Stream):
    """The index of a pair, shared by its contracts; one frame emits for one of them at most."""

    __slots__ = ("_channels", "material")

    def __init__(self, channels: Sequence[MarkChannel]) -> None:
        super().__init__(decode_index, self._take)
        self._channels = channels
        self.material = 0

    def _take(self, frame: IndexPrice, at_ns: int) -> None:
        update = MarkUpdate(frame.event_ms * MS, index=positive(frame.index))
        emitted = False
        for channel in self._channels:
            emitted = channel.on_index(update, at_ns, may_emit=not emitted) or emitted
        self.material += emitted
        self.immaterial += not emitted


class ContractStream(Stream):
    """What is said of any contract of the market; only those traded here are told."""

    __slots__ = ("_emit", "_symbols", "material")

    def __init__(self, symbols: Mapping[str, InstrumentId], emit: Emit) -> None:
        super().__init__(decode_contract, self._take)
        self._symbols = symbols
        self._emit = emit
        self.material = 0

    def _take(self, frame: ContractInfo, at_ns: int) -> None:
        name = self._symbols.get(frame.symbol.lower())
        if name is None:
            self.immaterial += 1
            return
        self.material += 1
        status = status_of(frame.status, frame.contract_type, frame.delivery_ms)
        self._emit(InstrumentStatusSeen(name, status, at_ns))
