"""What the client has used of the venue's limits: request weight a minute, orders in ten seconds and a
minute.

It is counted and told, in headers and in ``rateLimits``; nothing is refused for it here.  Windows are fixed
by the clock, as the venue's are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.rehearsal.catalog import RATE_LIMITS

_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS = {"SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d"}


class Usage:
    """Counters of one market."""

    def __init__(self, market: str) -> None:
        self._limits: list[dict[str, Any]] = [
            row for row in RATE_LIMITS[market] if row["rateLimitType"] in ("REQUEST_WEIGHT", "ORDERS")
        ]
        self._counts = [(0, 0)] * len(self._limits)  # window, count

    def charge(self, now_ms: int, weight: int, orders: int) -> None:
        for place, row in enumerate(self._limits):
            window, count = self._at(place, now_ms)
            added = weight if row["rateLimitType"] == "REQUEST_WEIGHT" else orders
            self._counts[place] = (window, count + added)

    def headers(self, now_ms: int, of_order: bool) -> Mapping[str, str]:
        told: dict[str, str] = {}
        for place, row in enumerate(self._limits):
            span = f"{row['intervalNum']}{_LETTERS[row['interval']]}"
            count = str(self._at(place, now_ms)[1])
            if row["rateLimitType"] == "REQUEST_WEIGHT":
                told[f"x-mbx-used-weight-{span}"] = count
                told["x-mbx-used-weight"] = count
            elif of_order:
                told[f"x-mbx-order-count-{span}"] = count
        return told

    def rows(self, now_ms: int, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        """The limits of ``kinds`` with their counts, as answers of the WebSocket API hold them."""
        return [
            row | {"count": self._at(place, now_ms)[1]}
            for place, row in enumerate(self._limits)
            if row["rateLimitType"] in kinds
        ]

    def _at(self, place: int, now_ms: int) -> tuple[int, int]:
        row = self._limits[place]
        window = now_ms // (1000 * _SECONDS[row["interval"]] * row["intervalNum"])
        kept, count = self._counts[place]
        return (window, count if kept == window else 0)
