"""One Binance market's frames, each to the channel it belongs to, each counted once.

This is the path of every frame, so it is short: the stream's name is cut from the raw bytes and looked up,
the stream decodes what it uses and hands it to its channel, and the channel decides whether anything is a
fact.  What must stay true: whatever bytes come, a frame ends in exactly one disposition or raises
`FrameError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import DecodeError, Struct, ValidationError

from adapters.binance.codec import CONTRACT_INFO, EXCHANGE_INFO, decode_touch, enveloped
from adapters.binance.streams import (
    ContractStream,
    DepthStream,
    DescriptionStream,
    IgnoredStream,
    IndexStream,
    MarkStream,
    Offset,
    SnapshotStream,
    Stream,
    TradeStream,
)
from adapters.depth import BookChannel, SequenceRule
from adapters.errors import FrameError
from adapters.marks import MarkChannel, OnMark, OnRate
from adapters.materiality import Materiality
from bot.model.facts import ProtocolDrift
from bot.model.ids import AccountId, InstrumentId, symbol_of
from bot.model.instrument import Instrument
from bot.ports import Emit

VENUE = "binance"

# As documented under "How to manage a local order book correctly" of each market.
RULES = {
    "spot": SequenceRule(lead=1, chained=False),
    "usdm": SequenceRule(lead=0, chained=True),
    "coinm": SequenceRule(lead=0, chained=True),
}

BAD_NUMBER = "zero, negative or NaN price or size"
BAD_SHAPE = "fields missing or of another type"
NOT_JSON = "not JSON"
TOO_MANY = "more levels than a book has"
NOT_TRADED = "symbol not traded"
UNKNOWN = "unknown stream"


class Counters(Struct, frozen=True):
    """What became of a market's frames: the dispositions sum to ``frames_in``, and so do the streams."""

    frames_in: int
    frames_by_stream: dict[str, int]
    material: int
    immaterial: int
    stale: int
    ignored: dict[str, int]
    refused: dict[str, int]
    gaps: int


class MarketStream:
    """All frames of one market (``spot``, ``usdm`` or ``coinm``): see the module head.

    ``emit`` is called with each fact, while the frame that made it is being taken.  ``channels`` are the
    books by instrument, for those who read or listen.
    """

    def __init__(
        self,
        market: str,
        instruments: Iterable[Instrument],
        filters: Mapping[InstrumentId, Materiality],
        emit: Emit,
    ) -> None:
        self.venue = VENUE
        self.market = market
        self.account = AccountId(f"{VENUE}:{market}")
        self._emit = emit
        self._offset = Offset()
        self._streams: dict[str, Stream] = {}
        self._by_name: dict[bytes, Stream] = {}  # those whose frames come in the usual envelope
        self.channels: dict[InstrumentId, BookChannel] = {}
        self.marks: dict[InstrumentId, MarkChannel] = {}
        self._symbols: dict[str, InstrumentId] = {}
        for instrument in instruments:
            name = instrument.id
            self.channels[name] = BookChannel(instrument, RULES[market], filters[name], emit)
            self.marks[name] = MarkChannel(instrument, filters[name], emit)
            self._symbols[symbol_of(name).lower()] = name

    # --- frames

    def on_frame(self, at_ns: int, payload: bytes) -> None:
        """Take one frame received at ``at_ns``.  Raises `FrameError` if it is not JSON."""
        try:
            stream = self._by_name[payload[11 : payload.find(b'"', 11)]]
        except KeyError:
            stream, payload = self._first_of_stream(payload)
        stream.frames += 1
        try:
            stream.take(stream.decode(payload).data, at_ns)
        except ValidationError as error:
            self._refuse(stream, str(error), at_ns)
        except (DecodeError, RecursionError, UnicodeDecodeError) as error:
            stream.refuse(NOT_JSON)
            raise FrameError(f"not a JSON frame ({error})") from None

    def _first_of_stream(self, payload: bytes) -> tuple[Stream, bytes]:
        """The stream a frame belongs to, and the frame in an envelope."""
        symbols = list(self._symbols)
        try:
            name, payload = enveloped(payload, symbols[0] if len(symbols) == 1 else None)
        except (DecodeError, RecursionError, UnicodeDecodeError):
            name = ""  # whether it is JSON at all is told when the stream reads it
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = self._open(name)
            if isinstance(stream, IgnoredStream) and stream.reason == UNKNOWN:
                self._emit(ProtocolDrift(self.account, name, UNKNOWN))
        if name and payload.startswith(b'{"stream":"%b"' % name.encode()):
            self._by_name[name.encode()] = stream
        return stream, payload

    def _open(self, name: str) -> Stream:
        symbol, _, rest = name.partition("@")
        kind = rest.partition("@")[0]
        if name == EXCHANGE_INFO:
            return DescriptionStream(self._streams)
        if name == CONTRACT_INFO:
            return ContractStream(self._symbols, self._emit)
        if kind == "indexPrice":
            return self._open_index(symbol)
        if kind not in ("depth", "bookTicker", "snapshot", "trade", "aggTrade", "markPrice"):
            return IgnoredStream(UNKNOWN)
        instrument = self._symbols.get(symbol)
        if instrument is None:
            return IgnoredStream(NOT_TRADED)
        channel = self.channels[instrument]
        match kind:
            case "depth":
                return DepthStream(channel, self._offset)
            case "bookTicker":
                return Stream(decode_touch, channel.on_touch)
            case "snapshot":
                return SnapshotStream(channel)
            case "markPrice":
                return MarkStream(self.marks[instrument])
            case _:
                others = (f"{symbol}@trade", f"{symbol}@aggTrade")
                return TradeStream(channel, is_told=not any(other in self._streams for other in others))

    def _open_index(self, pair: str) -> Stream:
        marks = [mark for symbol, mark in self._marks_by_symbol() if symbol.partition("_")[0] == pair]
        return IndexStream(marks) if marks else IgnoredStream(NOT_TRADED)

    def _marks_by_symbol(self) -> list[tuple[str, MarkChannel]]:
        return [(symbol, self.marks[name]) for symbol, name in self._symbols.items()]

    def _refuse(self, stream: Stream, error: str, at_ns: int) -> None:
        """Count a frame that is JSON and cannot be used: a number is none, there are more levels than a book
        has, or the shape is unknown."""
        if "`array` of length <=" in error:
            reason = TOO_MANY
        else:
            reason = BAD_NUMBER if "`float`" in error or "out of range" in error else BAD_SHAPE
        if reason != BAD_NUMBER and reason not in stream.refused:
            name = next(name for name, known in self._streams.items() if known is stream)
            self._emit(ProtocolDrift(self.account, name, f"{reason}: {error}"))
        stream.refuse_frame(reason, at_ns)

    # --- the rest of the machine

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        """Which instruments have an order of ours: any change of their ladders is a fact."""
        for name, channel in self.channels.items():
            channel.working(name in instruments)

    def listen(self, on_mark: OnMark | None, on_rate: OnRate | None) -> None:
        """Tell every mark, index and rate from now on, material or not."""
        for mark in self.marks.values():
            mark.on_mark, mark.on_rate = on_mark, on_rate

    def forget(self) -> None:
        """Forget what was emitted, so that the next frame of each book and mark emits.  Books stay."""
        for name, channel in self.channels.items():
            channel.forget()
            self.marks[name].forget()

    @property
    def heard_ns(self) -> dict[InstrumentId, int]:
        """Receive time of the last frame of each instrument that was not refused; 0 for none."""
        return {
            name: max(channel.heard_ns, self.marks[name].heard_ns) for name, channel in self.channels.items()
        }

    @property
    def offset_ns(self) -> int | None:
        """The venue's clock less ours, by recent depth updates; ``None`` before the first."""
        return self._offset.ns

    def counters(self) -> Counters:
        """What became of the frames so far; a diff that still waits for a snapshot is stale."""
        books, marks = list(self.channels.values()), list(self.marks.values())
        streams = list(self._streams.values())
        ignored: dict[str, int] = {}
        refused: dict[str, int] = {}
        for counts in [book.refused for book in books] + [stream.refused for stream in streams]:
            for reason, count in counts.items():
                refused[reason] = refused.get(reason, 0) + count
        material = sum(book.material for book in books) + sum(mark.material for mark in marks)
        immaterial = sum(book.immaterial for book in books) + sum(mark.immaterial for mark in marks)
        for stream in streams:
            immaterial += stream.immaterial
            if isinstance(stream, IndexStream | ContractStream):
                material += stream.material
            elif isinstance(stream, IgnoredStream) and stream.ignored:
                ignored[stream.reason] = ignored.get(stream.reason, 0) + stream.ignored
        return Counters(
            frames_in=sum(stream.frames for stream in streams),
            frames_by_stream={
                f"{self.market}/{name}": stream.frames for name, stream in self._streams.items()
            },
            material=material,
            immaterial=immaterial,
            stale=sum(book.stale + book.waiting for book in books),
            ignored=ignored,
            refused=refused,
            gaps=sum(book.gaps for book in books),
        )
