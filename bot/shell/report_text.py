"""How the report writes times and reasons."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.model.commands import AnyWhy

_NS_PER_S = 1_000_000_000


def instant(at_ns: int) -> str:
    """ISO 8601 in UTC, cut to microseconds: ``2024-08-08T12:00:00.000000Z``."""
    whole_s, rest_ns = divmod(at_ns, _NS_PER_S)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000:06d}Z"


def sentence(why: AnyWhy) -> str:
    """A reason with its numbers, ``EntryGap gap_bps=4.2 needed_bps=3 cost_bps=1.5``."""
    numbers = []
    for name in why.__struct_fields__:
        value = getattr(why, name)
        numbers.append(f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}")
    return " ".join((type(why).__name__, *numbers))


def moment(at: str) -> str:
    """An instant of the report for people: to the second, without letters."""
    return f"{at[:10]} {at[11:19]}"
