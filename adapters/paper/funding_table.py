"""The funding table: settled rates as somebody else recorded them.

CSV with the header ``ts_ms,venue,symbol,funding_rate,interval_h``, plain or gzip: milliseconds since 1970 UTC
(settlements may be some milliseconds late, as venues are), the venue's name, its symbol, the rate as a
fraction per interval (positive: longs pay) and the interval in hours.  A row belongs to the contract of that
symbol among the instruments traded; rows of other symbols are passed over.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO

from msgspec import Struct

from adapters.errors import FeedError
from bot.model.ids import InstrumentId, symbol_of
from bot.model.instrument import Instrument

COLUMNS = ["ts_ms", "venue", "symbol", "funding_rate", "interval_h"]
JITTER_NS = 60_000_000_000  # a row this near a settlement time is that settlement's

_HOURS_MAX = 24


class FundingRow(Struct, frozen=True):
    """One settlement: ``rate`` is a fraction per ``interval_h`` hours."""

    settled_ns: int
    rate: Decimal
    interval_h: int


class FundingTable:
    """Rows of each instrument in order of time.  An empty table is valid."""

    def __init__(self, rows: Mapping[InstrumentId, tuple[FundingRow, ...]]) -> None:
        self._rows = dict(rows)

    def before(self, instrument: InstrumentId, at_ns: int) -> FundingRow | None:
        """The latest row at or before ``at_ns``."""
        rows = self._rows.get(instrument, ())
        place = bisect_right(rows, at_ns, key=_time)
        return rows[place - 1] if place else None

    def latest(self, instrument: InstrumentId, at_ns: int, count: int) -> tuple[FundingRow, ...]:
        """The last ``count`` rows at or before ``at_ns``, oldest first."""
        rows = self._rows.get(instrument, ())
        place = bisect_right(rows, at_ns, key=_time)
        return tuple(rows[max(0, place - count) : place])

    def after(self, instrument: InstrumentId, at_ns: int) -> FundingRow | None:
        """The first row later than ``at_ns``."""
        rows = self._rows.get(instrument, ())
        place = bisect_right(rows, at_ns, key=_time)
        return rows[place] if place < len(rows) else None

    def settlement(self, instrument: InstrumentId, at_ns: int) -> FundingRow | None:
        """The row of the settlement at ``at_ns``, some seconds of jitter allowed."""
        near = [self.before(instrument, at_ns), self.after(instrument, at_ns)]
        rows = [row for row in near if row is not None and abs(row.settled_ns - at_ns) <= JITTER_NS]
        return min(rows, key=lambda row: abs(row.settled_ns - at_ns), default=None)


def _time(row: FundingRow) -> int:
    return row.settled_ns


def read_funding_table(path: Path, instruments: Iterable[Instrument]) -> FundingTable:
    """Read the rows that concern ``instruments``.

    Raises:
        FeedError: the file cannot be read or a line of it is wrong; the sentence names file and line.
    """
    contracts = {
        (one.id.split(":", 1)[0], symbol_of(one.id)): one.id for one in instruments if not one.is_spot
    }
    rows: dict[InstrumentId, list[FundingRow]] = {}
    try:
        with _opened(path) as file:
            lines = csv.reader(file)
            if next(lines, None) != COLUMNS:
                raise FeedError(f"{path}:1: the header is not {','.join(COLUMNS)}; write it so")
            for cells in lines:
                _read_row(f"{path}:{lines.line_num}", cells, contracts, rows)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise FeedError(f"{path}: not readable as a funding table ({error}); give a CSV file") from error
    return FundingTable({name: tuple(kept) for name, kept in rows.items()})


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _read_row(
    place: str,
    cells: list[str],
    contracts: Mapping[tuple[str, str], InstrumentId],
    rows: dict[InstrumentId, list[FundingRow]],
) -> None:
    if len(cells) != len(COLUMNS):
        raise FeedError(f"{place}: {len(cells)} columns where {len(COLUMNS)} belong; correct the line")
    row = FundingRow(
        settled_ns=_whole(place, COLUMNS[0], cells[0]) * 1_000_000,
        rate=_rate(place, cells[3]),
        interval_h=_whole(place, COLUMNS[4], cells[4]),
    )
    if row.interval_h > _HOURS_MAX:
        raise FeedError(f"{place}: interval_h is {row.interval_h}; it is hours, at most {_HOURS_MAX}")
    name = contracts.get((cells[1], cells[2]))
    if name is None:
        return
    kept = rows.setdefault(name, [])
    if kept and kept[-1].settled_ns >= row.settled_ns:
        raise FeedError(
            f"{place}: ts_ms {cells[0]} is not later than the row of {cells[2]} before; sort the rows"
        )
    kept.append(row)


def _whole(place: str, column: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit()) or int(cell) == 0:
        raise FeedError(f"{place}: {column} is {cell!r}; it must be a whole number above 0")
    return int(cell)


def _rate(place: str, cell: str) -> Decimal:
    try:
        rate = Decimal(cell)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or abs(rate) >= 1:
        raise FeedError(
            f"{place}: funding_rate is {cell!r}; it must be a fraction per interval, such as 0.0001"
        )
    return rate
