"""The exceptions: alerts that excuse a pair that is not yet out, while the venue's side confirms their cause.

Standing alerts are read from the commands alone: ``CODE:PAIR`` begins or repeats with severity warning or
critical and ends with info.  What must stay true: an alert excuses nothing that the venue does not confirm at
that instant, and LEGGED is no excuse.
"""

from __future__ import annotations

from bot.model.commands import RaiseAlert
from bot.model.facts import Channel
from bot.model.ids import PairName
from bot.model.instrument import Side
from tests.simulation.explorer.measure import Measure, Reach
from tests.simulation.explorer.scenario import Bounds
from tests.simulation.explorer.venue import Held, Venue

CODES = (
    "venue_down", "beyond_exit_collar", "stranded", "not_held", "not_trading", "restricted", "margin_coins",
    "unanswered", "halted", "fuse_room",
)  # fmt: skip
CRITICAL = ("critical", "warning")


class Excuses:
    """Which exceptions stand for a pair and are true."""

    def __init__(self, venue: Venue, bounds: Bounds, deadline_s: float) -> None:
        self.venue, self.bounds, self.deadline_ns = venue, bounds, int(deadline_s * 1e9)
        self.standing: dict[str, str] = {}
        self.is_fuse_spent = False  # by the judge's own count of the last minute

    def hear(self, alert: RaiseAlert) -> None:
        if alert.severity in CRITICAL:
            self.standing[alert.key] = alert.text
        else:
            self.standing.pop(alert.key, None)

    def of(
        self, measure: Measure, reach: Reach, orders: list[Held], now_ns: int, is_halted: bool
    ) -> str | None:
        """The first exception that stands for the pair and whose cause is there; ``None`` without one."""
        name = measure.plan.name
        for code in CODES:
            if self._stands(code, name) and self.is_true(code, measure, reach, orders, now_ns, is_halted):
                return code
        return None

    def _stands(self, code: str, name: PairName) -> bool:
        if f"{code}:{name}" in self.standing:
            return True
        return code == "halted" and ("halted" in self.standing or f"naked_halted:{name}" in self.standing)

    def is_true(
        self,
        code: str,
        measure: Measure,
        reach: Reach,
        orders: list[Held],
        now_ns: int,
        is_halted: bool,
    ) -> bool:
        """Whether the venue's side confirms an exception's cause at this instant."""
        books, legs = measure.books, (0, 1)
        accounts = [books.account(one.id) for one in measure.plan.legs]
        match code:
            case "venue_down":
                lost = any(one.lost or one.mute or now_ns < one.throttled_ns for one in accounts)
                return lost or any(reach.is_blind(leg) or reach.is_thin(leg) for leg in legs)
            case "beyond_exit_collar":
                bps = self.bounds.collar_bps
                return any(reach.is_beyond(leg, side, bps, now_ns) for leg in legs for side in Side)
            case "stranded":
                return any(measure.is_stranded(leg, self.bounds) for leg in legs)
            case "not_held":
                missing = any(books.is_missing(one.id, now_ns) for one in measure.plan.legs)
                return missing or any(one.mute for one in accounts)
            case "not_trading":
                return not all(reach.orders_pass(leg, now_ns) for leg in legs)
            case "restricted":
                return any(account.restricted or account.hedged for account in accounts)
            case "margin_coins":
                contracts = [one for one in measure.plan.legs if not one.is_spot]
                is_inverse = any(one.inverse for one in contracts)
                return is_inverse and all(books.positions[one.id].qty == 0 for one in contracts)
            case "unanswered":
                return any(
                    not order.is_told and now_ns - order.sent_ns >= self.deadline_ns for order in orders
                ) or any(Channel.PRIVATE in account.lost for account in accounts)
            case "halted":
                return is_halted
            case "fuse_room":
                return self.is_fuse_spent
        raise AssertionError(code)
