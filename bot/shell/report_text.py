"""How the report writes times and reasons."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.model.commands import AnyWhy
from bot.model.config import Strategy

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


def carry_rule(strategy: Strategy) -> str:
    """What decided on carry, in a sentence."""
    if strategy.entry_carry_apr is None:
        return "Nothing is entered by carry."
    if strategy.expected_funding == "settled":
        return (
            "Carry is decided behind each settlement, by a forecast from settled rates against "
            f"{strategy.hurdle_apr + strategy.borrow_apr:.3g} a year and the cost of a round trip."
        )
    told = "running estimate" if strategy.expected_funding == "estimate" else "last settled rate"
    return (
        f"Carry is decided by the {told}, as if it went on for {strategy.hold_planned_h:g} hours: "
        "a rule for short recordings, not the default."
    )


def moment(at: str) -> str:
    """An instant of the report for people: to the second, without letters."""
    return f"{at[:10]} {at[11:19]}"
