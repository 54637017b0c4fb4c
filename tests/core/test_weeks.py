"""Two recorded weeks of BTC through the real step, by the minute: a calm one and that of a crash.

Bars: nothing is entered in the calm week; in the other one entry at most and no more than its fees.  Under
the rule of a running estimate each of them was entered and left some 25 times.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bot.model.commands import SetSwitch
from bot.model.facts import AnyFact, FundingSettled, OrderFilled, Tick
from bot.model.instrument import Side
from bot.model.pair import PairState, Purpose
from tests.core.settled import BY_SWITCH
from tests.core.world import BTC, LINEAR, SECOND_NS, SPOT, World, make_config

D = Decimal
MINUTE_MS = 60_000
CAPITAL = 50_000
CALM, STRESS = "calm_2025-06-02_2025-06-08", "stress_2025-10-06_2025-10-12"


class Week(World):
    """Books of a fifth of a basis point stand at the minute's mids, and all is filled at their touch."""

    def __init__(self) -> None:
        limits = dict.fromkeys(("naked_max_quote", "order_notional_max_quote"), D(60_000))
        limits["pair_notional_max_quote"] = D(80_000)
        config = make_config(capital=CAPITAL, strategy=BY_SWITCH | {"clip_quote": D(CAPITAL)}, limits=limits)
        super().__init__(msgspec.structs.replace(config, paper_reference="none"))
        self.fees_quote = D(0)
        self.sent: dict[Purpose, int] = {}
        self.paid = 0

    def settle(self, rate: Decimal, mark: Decimal) -> None:
        held = self.positions.get(LINEAR)
        if held is not None and held.qty:
            self.paid += 1
            self.give(*self.pay_funding(rate, mark, self.paid))
        self.give(FundingSettled(LINEAR, rate, self.at_ns))

    def minute(self, row: dict[str, str]) -> None:
        spot, perp = float(row["spot_mid"]), float(row["perp_mid"])
        now = self.at_ns + SECOND_NS
        self.give(
            Tick({SPOT: now, LINEAR: now}, {}),
            self.mark(LINEAR, D(row["mark_open"]), D(row["index_open"])),
            self.book(SPOT, round(spot * (1 - 1e-5), 2), round(spot * (1 + 1e-5), 2), 50.0),
            self.book(LINEAR, round(perp * (1 - 1e-5), 1), round(perp * (1 + 1e-5), 1) + 0.1, 50.0),
            after_s=1.0,
        )
        while self.store.live or self.store.pairs[BTC].state in (PairState.ENTERING, PairState.EXITING):
            self.trade_all()
        self.answer_accounts()

    def trade_all(self) -> None:
        told: list[AnyFact] = []
        for order in self.placed():
            self.sent[order.purpose] = self.sent.get(order.purpose, 0) + 1
            market = self.store.markets[order.instrument]
            price = D(repr((market.asks if order.side is Side.BUY else market.bids)[0][0]))
            for fact in self.fill(order, None, price):
                if isinstance(fact, OrderFilled):
                    self.fees_quote += fact.fee * (price if fact.fee_asset == "BTC" else 1)
                told.append(fact)
        now = self.at_ns + int(1.1 * SECOND_NS)
        self.give(*told, Tick({SPOT: now, LINEAR: now}, {}), after_s=1.1)


def rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def lived(folder: Path, name: str) -> Week:
    """A week of its own settlements, cold at its start."""
    table = folder / "funding" / "binance_BTCUSDT_windows_2025-06_2025-10.csv.gz"
    settled = {int(row["ts_ms"]) // MINUTE_MS: D(row["funding_rate"]) for row in rows(table)}
    week, minutes, settlements = Week(), 0, 0
    for row in rows(folder / "bars" / f"binance_1m_BTCUSDT_{name}.csv.gz"):
        at_ns = int(row["ts_ms"]) * 1_000_000
        if not minutes:
            week.at_ns = at_ns
            week.boot()
        minutes += 1
        week.at_ns = max(week.at_ns, at_ns)
        rate = settled.get(int(row["ts_ms"]) // MINUTE_MS)
        if rate is not None:
            settlements += 1
            week.settle(rate, D(row["mark_open"]))
        week.minute(row)
    assert (minutes, settlements) == (10_080, 21)
    decided = [one for row in week.rows for one in row.commands if isinstance(one, SetSwitch)]
    assert len(decided) == settlements, "once for each settlement and no more"
    return week


def test_a_calm_week_is_not_entered(recordings: Path) -> None:
    week = lived(recordings, CALM)
    assert week.sent == {}
    assert week.fees_quote == 0


def test_a_week_of_a_crash_is_entered_once_at_most(recordings: Path) -> None:
    week = lived(recordings, STRESS)
    assert week.sent.get(Purpose.ENTER, 0) <= 2, "an order a leg"
    assert set(week.sent) <= {Purpose.ENTER}
    assert week.fees_quote / CAPITAL * 10_000 <= 16
    assert week.store.pairs[BTC].state is PairState.HEDGED, "what it entered it holds"
