"""What the budgets have counted so far: sums that the fold keeps and `risk.budgets` reads.

Each is kept in buckets of a UTC day or an hour, so that a restart loses nothing and no look walks over fills.
A bucket that has begun inside a window counts whole: a sum is never below what the exact window would give.
Amounts are in NAV currency, fees > 0 are paid.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct, field

from bot.model.money import ZERO

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000
MINUTE_NS = 60_000_000_000
DAY_H = 24
MONTH_DAYS = 30


class Fees(Struct):
    """Fees of one UTC day: ``spent`` by entries and by exits on a signal, ``other`` by everything else."""

    spent: Decimal = ZERO
    other: Decimal = ZERO


class Turn(Struct):
    """One leg in one hour: quantity opened by entries and not closed since, and the value of what exits by
    signal closed of openings not older than a day."""

    opened_qty: Decimal = ZERO
    closed: Decimal = ZERO


class PairSpending(Struct):
    """One pair's counts.  ``days`` and the turns are keyed by the number of the day or hour since 1970."""

    days: dict[int, Fees] = field(default_factory=dict)
    month: Fees = field(default_factory=Fees)  # the sum of ``days``
    long_turns: dict[int, Turn] = field(default_factory=dict)
    short_turns: dict[int, Turn] = field(default_factory=dict)
    undone_ns: tuple[int, ...] = ()  # entries of the last day that were given back
    given_back: bool = False  # the entry under way has given back something of what it filled
    refusal: str = ""  # the venue's code and text, of the last order of this pair that it refused
    exit_fee: Decimal = ZERO  # of a complete exit, valued when the legs last changed
    exit_held: tuple[Decimal, Decimal] = (ZERO, ZERO)  # the legs it was worked out for
    closed_ns: int = 0  # no entries before this
    closed_code: str = ""
    leaving: bool = False  # the last group sent was an exit
    taken_back: bool = False  # it has bought back something of what it sold
    undone_exits: int = 0  # those of this position that did, within a day of each other
    undone_exit_ns: int = 0  # when the last of them was over


class BookSpending(Struct):
    """The whole book's counts.  ``result`` is attribution without collateral and transfers."""

    day: int = 0
    today: Fees = field(default_factory=Fees)
    exit_fee: Decimal = ZERO  # the sum over all pairs
    day_result: Decimal = ZERO  # at 00:00 UTC
    peak_result: Decimal = ZERO  # since the journal began or the last `resume`
    result: Decimal = ZERO  # after the last batch
    fresh: tuple[
        tuple[str, str], ...
    ] = ()  # (kind, name): what the last batch changed, for `risk.budgets.mode_changes`


def day_of(at_ns: int) -> int:
    return at_ns // DAY_NS


def hour_of(at_ns: int) -> int:
    return at_ns // HOUR_NS
