"""Why nothing is traded: a stable code, with its numbers as text."""

from __future__ import annotations

from msgspec import Struct

from risk.hold import Hold
from risk.limits import Refused


class Idle(Struct, frozen=True):
    """``reason`` is a code of docs/CODES.md."""

    reason: str
    value: str = ""
    limit: str = ""


def of_hold(hold: Hold) -> Idle:
    return Idle(hold.code, hold.value, hold.limit)


def of_refusal(refused: Refused) -> Idle:
    return Idle(f"guard_{refused.rule}", refused.value, refused.limit)


# what a pair that must trade is kept from, by the hold that keeps it
_KEPT = {
    "not_trading": "not_trading",
    "hedge_mode": "restricted",
    "channel_lost": "venue_down",
    "throttled": "venue_down",
    "feed_ended": "venue_down",
    "gap": "venue_down",
    "no_book": "venue_down",
    "crossed_book": "venue_down",
    "stale_feed": "venue_down",
}


def of_kept(hold: Hold) -> Idle:
    """The same for a pair that is naked or must leave: a person is told why it cannot."""
    code = _KEPT[hold.code]
    value = hold.value if code == hold.code else f"{hold.code} {hold.value}"
    return Idle(code, value, hold.limit)
