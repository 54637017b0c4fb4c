"""Series of settled rates to try the pure rule on: recorded ones, and made ones that are anywhere."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Struct

from bot.quant.funding_forecast import averages, forecast_7d_apr
from bot.quant.switch import Outlook, paid_since_best_bps, thresholds, turns_in, turns_out

EIGHT_H = 480
KEPT = 1000  # rows a decision sees
Rows = list[tuple[int, float]]  # minute since 1970, rate per interval


class Played(Struct):
    """What the rule did: minutes of entries and exits, and basis points received, paid and received by
    holding throughout."""

    entries: list[int]
    exits: list[int]
    funding_bps: float
    cost_bps: float
    always_bps: float

    @property
    def net_bps(self) -> float:
        return self.funding_bps - self.cost_bps


def minute(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 60


def recorded(folder: Path, symbol: str) -> Rows:
    path = folder / "funding" / "binance_linear_events_6sym_2020_2024.csv.gz"
    if not path.is_file():
        pytest.skip("the recorded funding rates of 2020 to 2024 are not here")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["symbol"] == symbol]
    return [(round(int(row["ts_ms"]) / 60_000), float(row["funding_rate"])) for row in rows]


def made(*spans: tuple[int, Callable[[int], float] | float]) -> Rows:
    """Settlements each eight hours from 2024 on: days, and a rate in per cent a year or a function of the
    settlement's number in its span."""
    rows: Rows = []
    at = minute("2024-01-01")
    for days, apr in spans:
        for number in range(days * 3):
            at += EIGHT_H
            rows.append((at, (apr(number) if callable(apr) else apr) / 100.0 / 1095.0))
    return rows


def play(rows: Rows, cost_bps: float, hurdle_apr: float, since: int = 0, until: int = 2**62) -> Played:
    """The rule on settled rates alone: decided behind each settlement from ``since`` to ``until``, beginning
    outside; its averages begin with the first row.  Half the cost is paid in, half out."""
    minutes, rates = [row[0] for row in rows], [row[1] for row in rows]
    told = Played([], [], 0.0, 0.0, 0.0)
    band = thresholds(cost_bps, hurdle_apr)
    entered: int | None = None
    for place, (at, rate) in enumerate(rows):
        if not since <= at <= until:
            continue
        told.always_bps += rate * 1e4
        told.funding_bps += rate * 1e4 if entered is not None else 0.0
        first = max(0, place + 1 - KEPT)
        path = averages(minutes[first : place + 1], rates[first : place + 1], 8.0)
        assert path is not None
        paid_bps = 0.0 if entered is None else paid_since_best_bps(rates[entered + 1 : place + 1])
        forecast_apr, count = forecast_7d_apr(path.levels_apr, 0.1095), path.settlements
        outlook = Outlook(forecast_apr, path.slow_apr, hurdle_apr, cost_bps, paid_bps, band, count)
        if entered is not None and turns_out(outlook):
            entered = None
            told.exits.append(at)
            told.cost_bps += cost_bps / 2.0
        elif entered is None and turns_in(outlook, 0.0) and not turns_out(outlook):
            entered = place
            told.entries.append(at)
            told.cost_bps += cost_bps / 2.0
    return told
