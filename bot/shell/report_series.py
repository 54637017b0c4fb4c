"""Series for charts, thinned while they are read.

A journal of days has more rows than a chart has pixels and its length is not known beforehand.  So time is
cut into buckets whose width doubles whenever there are too many of them, and a bucket keeps the lowest, the
highest and the last value that fell into it: memory is bounded, and a spike of one second is still there in a
chart of a week.
"""

from __future__ import annotations

BUCKETS_MAX = 700
FIRST_WIDTH_NS = 1_000_000_000

Point = tuple[int, float]  # at_ns, value
Row = tuple[int, tuple[float, ...]]  # at_ns, values


class Trace:
    """One value over time; at most ``BUCKETS_MAX`` buckets of three points: lowest, highest and last.

    Samples come in order of time.  Bucket borders are multiples of the width since 1970, so that equal
    samples give equal points whatever came first.
    """

    __slots__ = ("_highs", "_keys", "_lasts", "_lows", "width_ns")

    def __init__(self) -> None:
        self.width_ns = FIRST_WIDTH_NS
        self._keys: list[int] = []
        self._lows: list[Point] = []
        self._highs: list[Point] = []
        self._lasts: list[Point] = []

    def add(self, at_ns: int, value: float) -> None:
        point = (at_ns, value)
        self._merge(at_ns // self.width_ns, point, point, point)
        if len(self._keys) > BUCKETS_MAX:
            self._double()

    def hold(self, at_ns: int) -> None:
        """Repeat the last value at ``at_ns``: a step that lasts until then.  Nothing where there is none."""
        if self._lasts:
            self.add(at_ns, self._lasts[-1][1])

    def _merge(self, key: int, low: Point, high: Point, last: Point) -> None:
        if not self._keys or self._keys[-1] != key:
            self._keys.append(key)
            self._lows.append(low)
            self._highs.append(high)
            self._lasts.append(last)
            return
        if low[1] < self._lows[-1][1]:
            self._lows[-1] = low
        if high[1] > self._highs[-1][1]:
            self._highs[-1] = high
        self._lasts[-1] = last

    def _double(self) -> None:
        self.width_ns *= 2
        buckets = zip(self._keys, self._lows, self._highs, self._lasts, strict=True)
        self._keys, self._lows, self._highs, self._lasts = [], [], [], []
        for key, low, high, last in buckets:
            self._merge(key // 2, low, high, last)

    def points(self) -> list[Point]:
        """What to draw, in order of time: each bucket's lowest, highest and last point, none twice."""
        drawn: list[Point] = []
        for bucket in zip(self._lows, self._highs, self._lasts, strict=True):
            drawn.extend(sorted(dict.fromkeys(bucket)))
        return drawn


class Levels:
    """Several values over time, the last of each bucket; at most ``BUCKETS_MAX`` rows."""

    __slots__ = ("_keys", "_rows", "width_ns")

    def __init__(self) -> None:
        self.width_ns = FIRST_WIDTH_NS
        self._keys: list[int] = []
        self._rows: list[Row] = []

    def add(self, at_ns: int, values: tuple[float, ...]) -> None:
        key = at_ns // self.width_ns
        if self._keys and self._keys[-1] == key:
            self._rows[-1] = (at_ns, values)
            return
        self._keys.append(key)
        self._rows.append((at_ns, values))
        if len(self._keys) > BUCKETS_MAX:
            self._double()

    def _double(self) -> None:
        self.width_ns *= 2
        latest = {row[0] // self.width_ns: row for row in self._rows}
        self._keys, self._rows = list(latest), list(latest.values())

    def rows(self) -> list[Row]:
        return self._rows
