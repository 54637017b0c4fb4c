"""What the client has used of the venue's limits, and the refusal of whatever goes beyond them.

Request weight and raw requests are counted by address, orders by account; the limits are those that
exchangeInfo tells.  Windows are fixed by the clock, as the venue's are.  On spot only orders that have not
filled count: what is refused is not counted, and a first fill takes one off as a taker and five as a maker,
as in the venue's own examples.  What must stay true: what is refused for a limit was not done.

Sources: limits of the REST and WebSocket API documentation, "Spot Unfilled Order Count Rules" (read
2026-11-20).  How many refusals make a ban, and whether refused futures orders count, are unverified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.errors import FeedError
from adapters.rehearsal.auth import Refused
from adapters.rehearsal.catalog import RATE_LIMITS

TOO_MANY_REQUESTS, TOO_MANY_ORDERS = -1003, -1015
PATIENCE = 20  # refusals in a row, after which the address is banned
BAN_MS, BAN_MAX_MS = 120_000, 3 * 86_400_000  # it doubles with each ban

_TAKER, _MAKER = 1, 5  # orders that a first fill takes off
_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS = {"SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d"}


class Usage:
    """Counters of one market."""

    def __init__(self, market: str) -> None:
        self._market = market
        self._limits: list[dict[str, Any]] = RATE_LIMITS[market]
        self._counts = [(0, 0)] * len(self._limits)  # window, count
        self._refused = 0  # requests in a row
        self._bans = 0
        self._banned_until_ms = 0

    # --- requests ---------------------------------------------------------------------------------------

    def admit(self, now_ms: int, weight: int) -> None:
        """Count a request.  Raises `Refused`: 429, or 418 for an address that would not hear it."""
        self.refuse_banned(now_ms)
        self._count("REQUEST_WEIGHT", now_ms, weight)
        self._count("RAW_REQUESTS", now_ms, 1)
        full = self._beyond(now_ms, ("REQUEST_WEIGHT", "RAW_REQUESTS"), 0)
        if full is None:
            self._refused = 0
            return
        self._refused += 1
        if self._refused > PATIENCE:
            self._banned_until_ms = now_ms + min(BAN_MS << self._bans, BAN_MAX_MS)
            self._bans += 1
            self._refused = 0
            raise self._banned()
        raise Refused(TOO_MANY_REQUESTS, self._too_many(full), 429, self._end_ms(full, now_ms))

    def refuse_banned(self, now_ms: int) -> None:
        """Raises `Refused` while the address is banned."""
        if now_ms < self._banned_until_ms:
            raise self._banned()

    def _banned(self) -> Refused:
        until_ms = self._banned_until_ms
        text = (
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans."
            if self._market == "spot"
            else f"Way too many requests; IP banned until {until_ms}. "
            "Please use the websocket for live updates to avoid bans."
        )
        return Refused(TOO_MANY_REQUESTS, text, 418, until_ms)

    def _too_many(self, full: Mapping[str, Any]) -> str:
        if self._market != "spot":
            return (
                f"Too many requests; current limit is {full['limit']} requests per minute. "
                "Please use the websocket for live updates to avoid polling the API."
            )
        what = "request weight" if full["rateLimitType"] == "REQUEST_WEIGHT" else "raw requests"
        return (
            f"Too much {what} used; current limit is {full['limit']} {what} per {_span(full)}. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )

    # --- orders -----------------------------------------------------------------------------------------

    @contextmanager
    def ordering(self, now_ms: int, orders: int) -> Iterator[None]:
        """Count ``orders`` that are placed inside.  Raises `Refused` before, where they are too many."""
        full = self._beyond(now_ms, ("ORDERS",), orders) if orders else None
        if full is not None:
            text = f"Too many new orders; current limit is {full['limit']} orders per {_span(full)}."
            raise Refused(TOO_MANY_ORDERS, text, 429, self._end_ms(full, now_ms))
        self._count("ORDERS", now_ms, orders)
        try:
            yield
        except (Refused, FeedError):
            if self._market == "spot":
                self._count("ORDERS", now_ms, -orders)
            raise

    def filled(self, now_ms: int, as_maker: bool) -> None:
        """A spot order has its first fill."""
        self._count("ORDERS", now_ms, -(_MAKER if as_maker else _TAKER))

    # --- telling ----------------------------------------------------------------------------------------

    def headers(self, now_ms: int, of_order: bool) -> Mapping[str, str]:
        told: dict[str, str] = {}
        for place, row in enumerate(self._limits):
            span = f"{row['intervalNum']}{_LETTERS[row['interval']]}"
            count = str(self._at(place, now_ms)[1])
            if row["rateLimitType"] == "REQUEST_WEIGHT":
                told[f"x-mbx-used-weight-{span}"] = count
                told["x-mbx-used-weight"] = count
            elif of_order and row["rateLimitType"] == "ORDERS":
                told[f"x-mbx-order-count-{span}"] = count
        return told

    def rows(self, now_ms: int, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        """The limits of ``kinds`` with their counts, as answers of the WebSocket API hold them."""
        return [
            row | {"count": self._at(place, now_ms)[1]}
            for place, row in enumerate(self._limits)
            if row["rateLimitType"] in kinds
        ]

    # --- inside -----------------------------------------------------------------------------------------

    def _count(self, kind: str, now_ms: int, added: int) -> None:
        for place, row in enumerate(self._limits):
            if row["rateLimitType"] == kind:
                window, count = self._at(place, now_ms)
                self._counts[place] = (window, max(count + added, 0))

    def _beyond(self, now_ms: int, kinds: tuple[str, ...], more: int) -> Mapping[str, Any] | None:
        """The limit of ``kinds`` that is passed with ``more``, the one with the longest window."""
        passed = [row for row in self.rows(now_ms, kinds) if row["count"] + more > row["limit"]]
        return max(passed, key=_window_ms, default=None)

    def _end_ms(self, row: Mapping[str, Any], now_ms: int) -> int:
        """When the present window of a limit ends."""
        return (now_ms // _window_ms(row) + 1) * _window_ms(row)

    def _at(self, place: int, now_ms: int) -> tuple[int, int]:
        window = now_ms // _window_ms(self._limits[place])
        kept, count = self._counts[place]
        return (window, count if kept == window else 0)


def _window_ms(row: Mapping[str, Any]) -> int:
    return 1000 * _SECONDS[row["interval"]] * int(row["intervalNum"])


def _span(row: Mapping[str, Any]) -> str:
    return f"{row['intervalNum']} {row['interval']}"
