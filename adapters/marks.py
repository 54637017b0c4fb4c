"""Mark, index and running funding rate of one instrument, and when they are worth a fact.

A mark becomes a fact when mark or index moved by ``materiality_bps`` since the last fact, when the rate
changed, when a new settlement time is announced, and when the heartbeat is due.  A frame that carries a rate
emits both facts or neither, `MarkSeen` first: one frame, one `MarkSeen`, which is how frames are counted
once.  Prices and rates are decimals, since they enter the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

from adapters.materiality import Materiality
from bot.model.facts import FundingEstimated, MarkSeen
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument
from bot.ports import Emit

OnMark = Callable[[InstrumentId, Decimal | None, Decimal | None, int], None]
OnRate = Callable[[InstrumentId, Decimal, int], None]


class MarkUpdate(Struct, frozen=True):
    """What one frame says; ``None`` where it says nothing.  ``rate`` is per interval."""

    venue_ns: int
    mark: Decimal | None = None
    index: Decimal | None = None
    rate: Decimal | None = None
    next_ns: int = 0


class MarkChannel:
    """The reference prices of one instrument: see the module head."""

    __slots__ = (
        "_due_ns", "_emit", "_index", "_mark", "_seen_index", "_seen_mark", "_seen_next_ns", "_seen_rate",
        "_settings", "heard_ns", "immaterial", "instrument", "material", "on_mark", "on_rate",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, settings: Materiality, emit: Emit) -> None:
        self.instrument = instrument
        self.on_mark: OnMark | None = None
        self.on_rate: OnRate | None = None
        self.heard_ns = 0
        self.material = 0
        self.immaterial = 0
        self._settings = settings
        self._emit = emit
        self._mark: Decimal | None = None
        self._index: Decimal | None = None
        self.forget()

    def forget(self) -> None:
        """Forget what was emitted, so that the next frame emits."""
        self._due_ns = 0
        self._seen_mark: Decimal | None = None
        self._seen_index: Decimal | None = None
        self._seen_rate: Decimal | None = None
        self._seen_next_ns = 0

    @property
    def has_mark(self) -> bool:
        return self._mark is not None

    def on_update(self, update: MarkUpdate, at_ns: int) -> None:
        """Take a frame of this instrument's own stream."""
        self.heard_ns = at_ns
        self._take(update)
        if self._is_material(update, at_ns):
            self.material += 1
            self._tell(update, at_ns)
        else:
            self.immaterial += 1

    def on_index(self, update: MarkUpdate, at_ns: int, may_emit: bool) -> bool:
        """Take a frame of the index, which several instruments share; true if it was emitted here.

        Where the instrument has a mark stream the index rides in its next frame; otherwise it is a fact
        itself.
        """
        self._take(update)
        if not may_emit or self.has_mark or not self._is_material(update, at_ns):
            return False
        self._tell(update, at_ns)
        return True

    def _take(self, update: MarkUpdate) -> None:
        if update.mark is not None:
            self._mark = update.mark
        if update.index is not None:
            self._index = update.index
        if self.on_mark is not None and _has_price(update):
            self.on_mark(self.instrument.id, self._mark, self._index, update.venue_ns)
        if self.on_rate is not None and update.rate is not None:
            self.on_rate(self.instrument.id, update.rate, update.next_ns)

    def _is_material(self, update: MarkUpdate, at_ns: int) -> bool:
        return (
            at_ns >= self._due_ns
            or self._moved(self._seen_mark, self._mark)
            or self._moved(self._seen_index, self._index)
            or (
                update.rate is not None
                and (update.rate, update.next_ns) != (self._seen_rate, self._seen_next_ns)
            )
        )

    def _moved(self, seen: Decimal | None, now: Decimal | None) -> bool:
        if seen is None or now is None:
            return seen is not now
        before = float(seen)
        return seen != now and abs(float(now) - before) >= before * self._settings.materiality_bps / 10_000

    def _tell(self, update: MarkUpdate, at_ns: int) -> None:
        self._due_ns = at_ns + self._settings.heartbeat_ns
        if _has_price(update):  # a rate without one is no reason to tell the last again as if it were new
            self._seen_mark, self._seen_index = self._mark, self._index
            self._emit(MarkSeen(self.instrument.id, self._mark, self._index, update.venue_ns, at_ns))
        if update.rate is None:
            return
        self._seen_rate, self._seen_next_ns = update.rate, update.next_ns
        self._emit(FundingEstimated(self.instrument.id, update.rate, update.next_ns, update.venue_ns, at_ns))


def _has_price(update: MarkUpdate) -> bool:
    return update.mark is not None or update.index is not None
