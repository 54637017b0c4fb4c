"""What each position cost, exactly, where the venue states it rounded.

USD-M's account events give an entry price cut to a few places, from which no exact cost follows.  But each
position is also the last one that an account report stated plus the fills told since, by the venue's own rule
(`bot.model.instrument.after_fill`); where the event agrees with that within the rounding of its entry price,
that is what is told.  What must stay true: a cost is never told that the venue did not confirm; where it does
not, the next account report says what is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from adapters.binance.events import PositionStatement
from bot.model.facts import ForcedFilled, OrderFilled, PositionHeld, PositionSeen
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument, Position, after_fill, fill_cost
from bot.model.money import ZERO, exact_arithmetic
from bot.ports import Emit


class Positions:
    """One account's positions.  ``instruments`` is shared with whoever refreshes it."""

    def __init__(self, instruments: Mapping[InstrumentId, Instrument], emit: Emit) -> None:
        self._instruments = instruments
        self._emit = emit
        self._expected: dict[InstrumentId, Position] = {}
        self._stated: dict[InstrumentId, tuple[PositionStatement, int]] = {}  # not confirmed yet

    def reported(self, held: Iterable[PositionHeld], unread: Sequence[str] = ()) -> None:
        """An account report: the base of what follows, but for instruments ``unread``, of which it says
        nothing; an empty name stands for any that is not held."""
        self._expected = {
            name: Position() for name in self._instruments if name not in unread and "" not in unread
        }
        self._expected.update({each.instrument: Position(each.qty, each.cost) for each in held})
        self._stated.clear()

    def qty(self, name: InstrumentId) -> Decimal:
        """What is held now, venue units; 0 where that is not known."""
        return self._expected.get(name, Position()).qty

    def filled(self, fill: OrderFilled | ForcedFilled) -> None:
        instrument = self._instruments.get(fill.instrument)
        before = self._expected.get(fill.instrument)
        if instrument is None or instrument.is_spot or before is None:
            return
        with exact_arithmetic():
            after, _ = after_fill(instrument, before, fill.qty * fill.side.sign, fill.price)
        self._expected[fill.instrument] = after
        if fill.instrument in self._stated:
            self.stated(*self._stated[fill.instrument])

    def stated(self, statement: PositionStatement, venue_ns: int) -> None:
        """The venue's event; it may come before the fill that explains it."""
        instrument = self._instruments.get(statement.instrument)
        if instrument is None:
            return
        if statement.qty == 0:
            self._expected[statement.instrument] = Position()
        expected = self._expected.get(statement.instrument)
        if expected is None or not _agree(instrument, statement, expected):
            self._stated[statement.instrument] = (statement, venue_ns)
            return
        self._stated.pop(statement.instrument, None)
        self._emit(PositionSeen(statement.instrument, expected.qty, expected.cost, venue_ns))


def _agree(instrument: Instrument, statement: PositionStatement, expected: Position) -> bool:
    """Whether a stated entry price, rounded to the places it shows, can be the average of a cost."""
    if statement.qty != expected.qty:
        return False
    if statement.qty == 0:
        return expected.cost == ZERO
    exponent = statement.entry.as_tuple().exponent
    half = Decimal(5).scaleb(min(int(exponent), 0) - 1)
    if statement.entry <= half:
        return False
    with exact_arithmetic():
        one = abs(fill_cost(instrument, statement.qty, statement.entry - half))
        other = abs(fill_cost(instrument, statement.qty, statement.entry + half))
    return min(one, other) <= abs(expected.cost) <= max(one, other)
