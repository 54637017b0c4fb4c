"""Prices the venue measures by, and a list of everything that had to stand in for something.

A venue margins and settles at a mark price.  Where the recording carries none, a stand-in is used only if a
setting names it, and each stand-in that was used is put on record as a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from adapters.errors import FeedError
from adapters.paper.books import RecordedBook
from bot.model.ids import InstrumentId
from bot.model.money import HALF, exact

Reference = Literal["none", "index", "mark", "mid"]


class Assumptions:
    """Sentences, each once, in the order of first use."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def note(self, sentence: str) -> None:
        self._sentences.setdefault(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._sentences)


class References:
    """Marks and indexes as last heard, and the stand-in for a mark that never was."""

    def __init__(
        self, books: Mapping[InstrumentId, RecordedBook], reference: Reference, assumptions: Assumptions
    ) -> None:
        self._books = books
        self._reference = reference
        self._assumptions = assumptions
        self._marks: dict[InstrumentId, Decimal] = {}
        self._indexes: dict[InstrumentId, Decimal] = {}
        self._mids: dict[InstrumentId, Decimal] = {}

    def on_mark(
        self, instrument: InstrumentId, mark: Decimal | None, index: Decimal | None, venue_ns: int | None
    ) -> None:
        """Hear a mark price frame; ``None`` leaves what was known."""
        if mark is not None:
            self._marks[instrument] = mark
        if index is not None:
            self._indexes[instrument] = index

    def mid(self, instrument: InstrumentId) -> Decimal | None:
        """Middle of the touch; the last one read while the book is unknown; ``None`` before there was any."""
        touch = self._books[instrument].touch()
        if touch is not None:
            self._mids[instrument] = mid = (exact(touch[0]) + exact(touch[1])) * HALF
            return mid
        mid_before = self._mids.get(instrument)
        if mid_before is not None:
            self._assumptions.note(
                f"While the book of {instrument} was unknown its last mid before that stood for its price."
            )
        return mid_before

    def is_marked(self, instrument: InstrumentId) -> bool:
        """Whether a mark was heard, or what a setting lets stand in for one."""
        if instrument in self._marks:
            return True
        if self._reference == "mid":
            return self.mid(instrument) is not None
        return self._reference == "index" and instrument in self._indexes

    def mark(self, instrument: InstrumentId) -> Decimal:
        """Mark price, quote currency.

        Raises:
            FeedError: neither the recording nor the setting's stand-in has one.
        """
        mark = self._marks.get(instrument)
        if mark is not None:
            return mark
        stand_in = None
        if self._reference == "mid":
            stand_in = self.mid(instrument)
        elif self._reference == "index":
            stand_in = self._indexes.get(instrument)
        if stand_in is None:
            raise FeedError(
                f"{instrument}: the recording has no mark price for it, which margin and funding need; "
                f"set BASISBOT_PAPER_REFERENCE to mid or index, whichever the recording has "
                f"(it is {self._reference})"
            )
        self._assumptions.note(
            f"The {self._reference} price of {instrument} stands for its missing mark price."
        )
        return stand_in
