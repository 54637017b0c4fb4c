"""The one reader of each kind of number that a venue sends: times, delays, counters, ids, prices, amounts.

A venue's number is bounded before anything is computed with it, stored or written to the log.  A number
beyond its bound is no number: the reader returns ``None``, or msgspec refuses the frame, and whoever asked
takes a default or leaves the row out, and reports it.  What must stay true: nothing in here raises, however
long the text; whatever it returns fits 63 bits, a float, and the ledger's exact arithmetic.

Sources: Retry-After as RFC 9110 (10.2.3) has it, seconds or a date; the longest ban is three days, by the
venue's page on limits of Binance spot (2026-11).
"""

from __future__ import annotations

import re
from datetime import UTC
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Annotated

from msgspec import Meta

DELAY_MAX_S = 3 * 86_400
COUNT_MAX = 10**12  # of requests, orders or weight in a window
MS_MAX = 9_000_000_000_000  # since 1970; beyond it, nanoseconds pass 63 bits
LEVELS_MAX = 5000  # of a side, in one update or snapshot: the deepest book that the venue offers
PLACES_MAX = 24  # digits each side of the point; far beyond any amount, far within the ledger's precision
_MS = 1_000_000
_DIGITS_MAX = 18
_TEXT_MAX = 2 * PLACES_MAX

Ms = Annotated[int, Meta(ge=0, le=MS_MAX)]
Id = Annotated[int, Meta(ge=-1, le=2**63 - 1)]  # -1 stands for none
Status = Annotated[int, Meta(ge=0, le=999)]  # HTTP's
Code = Annotated[int, Meta(ge=-(10**9), le=10**9)]  # of an error

# msgspec's comparison refuses NaN.  The bounds keep a sum of two prices within 60 digits.
PRICE_MIN, PRICE_MAX, SIZE_MAX = 1e-12, 1e12, 1e18
Price = Annotated[float, Meta(gt=PRICE_MIN, lt=PRICE_MAX)]
Size = Annotated[float, Meta(ge=0, lt=SIZE_MAX)]
SizeShown = Annotated[float, Meta(gt=0, lt=SIZE_MAX)]
Levels = Annotated[list[tuple[Price, Size]], Meta(max_length=LEVELS_MAX)]

_WHOLE = re.compile(rf"[0-9]{{1,{_DIGITS_MAX}}}")


def whole(value: object, most: int = 2**63 - 1) -> int | None:
    """A whole number from 0 to ``most``, from its text or a number; ``None`` for anything else."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if _WHOLE.fullmatch(text) else None
    elif isinstance(value, float):
        value = int(value) if 0 <= value <= most else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= most else None


def time_ns(ms: object) -> int | None:
    """A time in milliseconds since 1970, as nanoseconds; ``None`` for none, 0 and one beyond `MS_MAX`."""
    read = whole(ms, MS_MAX)
    return read * _MS if read else None


def decimal(value: object) -> Decimal | None:
    """A finite decimal of at most `PLACES_MAX` digits each side of the point, as it was written."""
    try:
        text = value if isinstance(value, str) else str(value)
        read = Decimal(text) if len(text) <= _TEXT_MAX else None
    except (InvalidOperation, ValueError):  # ``str`` refuses an int of more than 4,300 digits
        return None
    return read if read is not None and is_bounded(read) else None


def is_bounded(value: Decimal) -> bool:
    """Whether a decimal can enter the ledger's arithmetic."""
    return (
        value.is_finite()
        and abs(value.adjusted()) <= PLACES_MAX
        and len(value.as_tuple().digits) <= _TEXT_MAX
    )


def delay_s(stated: str, at_ns: int) -> float | None:
    """The seconds of a ``Retry-After``, or until its date as of ``at_ns``; ``None`` for anything else and for
    more than `DELAY_MAX_S`."""
    seconds: float | None = whole(stated, DELAY_MAX_S)
    if seconds is None and len(stated) < 64:
        try:
            until = parsedate_to_datetime(stated)
            until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
            seconds = until.timestamp() - at_ns / 1e9
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return seconds if seconds is not None and 0 <= seconds <= DELAY_MAX_S else None
