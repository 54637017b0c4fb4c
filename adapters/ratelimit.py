"""How much may still be asked of a venue: one budget for each market family.

A budget counts request weight (per IP, REST and WebSocket API together), orders (per account) and connection
attempts (per IP) in the venue's own fixed windows, which begin at whole multiples of their length.  A share
of each is kept for what shrinks risk: exits, cancels, queries.  The venue's own count, which comes with each
answer, is taken where it is higher than ours: others may share the address.  What must stay true: nothing
here waits.  A read that does not fit is told how long to wait; an order that does not fit is refused at once
by its sender (`OrderRejected` "RATE") and never queued, since a late order is another order.

Limits come from exchangeInfo; only the connection attempts are not in it (300 every 5 minutes per IP, Binance
spot documentation, "WebSocket limits", 2026-11; unverified for futures).  That windows are fixed and not
rolling is unverified, too; should they roll, the venue's own count corrects ours with the first answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from adapters.numbers import COUNT_MAX, delay_s, whole
from bot.ports import Reading

SECOND_NS = 1_000_000_000
RESERVE_SHARE = 0.2
UNKNOWN_WAIT_NS = SECOND_NS  # for an order while the venue has not told its limits
BLOCK_S = {429: 60, 418: 120}  # where the venue forgets to say; the shortest ban it documents
_UNITS = {"SECOND": ("s", 1), "MINUTE": ("m", 60), "HOUR": ("h", 3600), "DAY": ("d", 86_400)}
_INTERVALS_MAX = 1000  # units in a window
_WEIGHT, _ORDERS, _CONNECTIONS = "REQUEST_WEIGHT", "ORDERS", "CONNECTIONS"
_HEADERS = {"x-mbx-used-weight-": _WEIGHT, "x-mbx-order-count-": _ORDERS}


class Limit(Struct, frozen=True, rename="camel"):
    """One entry of ``rateLimits``, in the venue's JSON; ``count`` only where an answer tells the usage."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int | None = None

    @property
    def window(self) -> str:
        """As header names end: ``1m``, ``10s``."""
        return f"{self.interval_num}{_UNITS[self.interval][0]}"

    @property
    def interval_ns(self) -> int:
        return self.interval_num * _UNITS[self.interval][1] * SECOND_NS

    @property
    def is_bounded(self) -> bool:
        """Whether windows can be counted by it."""
        is_limit = 0 < self.interval_num <= _INTERVALS_MAX and 0 <= self.limit <= COUNT_MAX
        return is_limit and (self.count is None or 0 <= self.count <= COUNT_MAX)


CONNECTS = Limit(_CONNECTIONS, "MINUTE", 5, 300)


class _Window:
    """Usage of one limit in its present window."""

    __slots__ = ("index", "limit", "used")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.index = 0
        self.used = 0

    def turn(self, at_ns: int) -> None:
        index = at_ns // self.limit.interval_ns
        if index > self.index:
            self.index, self.used = index, 0

    def wait_ns(self, amount: int, urgent: bool, reserve: float, at_ns: int) -> int:
        """0 if ``amount`` fits, else the time until the next window begins."""
        self.turn(at_ns)
        most = self.limit.limit if urgent else self.limit.limit * (1 - reserve)
        return 0 if self.used + amount <= most else (self.index + 1) * self.limit.interval_ns - at_ns


class RateBudget:
    """The budget of one market family (``spot``, ``usdm``, ``coinm``): see the module head.

    ``at_ns`` is always the venue's time as well as it is known.  ``refused`` counts what did not fit.
    ``on_drift`` hears of each number that cannot be one, with what stands in for it.
    """

    def __init__(self, market: str, reserve_share: float = RESERVE_SHARE) -> None:
        self.market = market
        self.refused = 0
        self.blocked_until_ns = 0
        self.on_drift: Callable[[str], None] = lambda reason: None
        self._reserve = reserve_share
        self._windows: dict[str, list[_Window]] = {_CONNECTIONS: [_Window(CONNECTS)]}

    def learn(self, limits: Iterable[Limit]) -> None:
        """Take the limits of exchangeInfo; usage counted so far stays.  Unknown intervals are left out, and
        so is a limit that cannot be one."""
        known = {(kind, w.limit.window): w for kind, windows in self._windows.items() for w in windows}
        learnt: dict[str, list[_Window]] = {_CONNECTIONS: self._windows[_CONNECTIONS]}
        for limit in limits:
            if limit.rate_limit_type not in (_WEIGHT, _ORDERS) or limit.interval not in _UNITS:
                continue
            if not limit.is_bounded:
                self.on_drift(f"a limit of {limit.rate_limit_type} that cannot be one is left out")
                continue
            window = known.get((limit.rate_limit_type, limit.window)) or _Window(limit)
            window.limit = limit
            learnt.setdefault(limit.rate_limit_type, []).append(window)
        self._windows = learnt

    # --- asking

    def allow(self, weight: int, urgent: bool, at_ns: int) -> int:
        """Take ``weight`` and return 0, or take nothing and return the nanoseconds to wait.

        ``urgent`` requests may use the reserve.  Before the limits are known a request passes: it is how they
        become known.
        """
        return self._take(((_WEIGHT, weight),), urgent, at_ns)

    def allow_order(self, weight: int, urgent: bool, at_ns: int) -> int:
        """The same for an order, which also counts as one; refused while its limits are not known."""
        if _ORDERS not in self._windows:
            self.refused += 1
            return UNKNOWN_WAIT_NS
        return self._take(((_WEIGHT, weight), (_ORDERS, 1)), urgent, at_ns)

    def allow_connect(self, at_ns: int) -> int:
        """The same for one connection attempt."""
        return self._take(((_CONNECTIONS, 1),), True, at_ns)

    def _take(self, amounts: tuple[tuple[str, int], ...], urgent: bool, at_ns: int) -> int:
        asked = [(window, amount) for kind, amount in amounts for window in self._windows.get(kind, ())]
        wait_ns = max(
            (window.wait_ns(amount, urgent, self._reserve, at_ns) for window, amount in asked), default=0
        )
        wait_ns = max(wait_ns, self.blocked_until_ns - at_ns)
        if wait_ns > 0:
            self.refused += 1
            return wait_ns
        for window, amount in asked:
            window.used += amount
        return 0

    # --- what the venue says

    def saw_reply(
        self, status: int, headers: Mapping[str, str], at_ns: int, is_of_orders: bool = False
    ) -> int | None:
        """Correct the usage from an HTTP answer's headers (lower-case names).

        Returns the time until which the venue answers nothing more, where the answer says so (429, 418).
        ``is_of_orders``: it speaks of too many orders, and everything else is answered.
        """
        for prefix, kind in _HEADERS.items():
            for window in self._windows.get(kind, ()):
                name = prefix + window.limit.window
                if name not in headers:
                    continue
                count = whole(headers[name], COUNT_MAX)
                if count is None:
                    self.on_drift(f"{name} is no count; ours stands")
                else:
                    self._saw(window, count, at_ns)
        if is_of_orders:
            self.saw_too_many_orders(at_ns)
        if is_of_orders or status not in BLOCK_S:
            return None
        wait_s = self.delay_s(headers.get("retry-after", ""), BLOCK_S[status], at_ns)
        return self.block(at_ns + round(wait_s * SECOND_NS))

    def delay_s(self, stated: str, default_s: float, at_ns: int) -> float:
        """The silence that a ``Retry-After`` asks for, in seconds; ``default_s`` where it asks for none, or
        for one that no venue documents, which is drift."""
        wait_s = delay_s(stated, at_ns) if stated else default_s
        if wait_s is None:
            self.on_drift(f"Retry-After {stated[:40]!r} is no delay of a ban; {default_s:g} s are kept")
            return default_s
        return wait_s

    def saw_limits(self, limits: Iterable[Limit], at_ns: int) -> None:
        """Correct the usage from the ``rateLimits`` of a WebSocket answer."""
        for limit in limits:
            if not limit.is_bounded:
                self.on_drift(f"a count of {limit.rate_limit_type} that cannot be one; ours stands")
                continue
            for window in self._windows.get(limit.rate_limit_type, ()):
                mine = window.limit
                is_same = (mine.interval, mine.interval_num) == (limit.interval, limit.interval_num)
                if is_same and limit.count is not None:
                    self._saw(window, limit.count, at_ns)

    def saw_too_many_orders(self, at_ns: int) -> None:
        """The venue takes no order more for now: until the window ends that it counts as full, or where it
        shows none, the shortest."""
        windows = self._windows.get(_ORDERS, ())
        for window in windows:
            window.turn(at_ns)
        if windows and all(window.used < window.limit.limit for window in windows):
            shortest = min(windows, key=lambda window: window.limit.interval_ns)
            shortest.used = shortest.limit.limit

    def block(self, until_ns: int) -> int:
        """Let nothing pass before ``until_ns``, nor before an earlier block ends; returns when that is."""
        self.blocked_until_ns = max(self.blocked_until_ns, until_ns)
        return self.blocked_until_ns

    @staticmethod
    def _saw(window: _Window, used: int, at_ns: int) -> None:
        # requests of ours may still be on their way, so a lower count than ours proves nothing
        window.turn(at_ns)
        window.used = max(window.used, used)

    # --- watching

    def readings(self, at_ns: int) -> tuple[Reading, ...]:
        """Usage and limit of each window, and what was refused."""
        told = []
        for kind, windows in self._windows.items():
            for window in windows:
                window.turn(at_ns)
                labels = {"market": self.market, "kind": kind.lower(), "window": window.limit.window}
                told.append(Reading("rate_used_count", window.used, labels))
                told.append(Reading("rate_limit_count", window.limit.limit, labels))
        market = {"market": self.market}
        blocked_s = max(0, self.blocked_until_ns - at_ns) / SECOND_NS
        told.append(Reading("rate_blocked_seconds", blocked_s, market))
        told.append(Reading("rate_refused_total", self.refused, market))
        return tuple(told)
