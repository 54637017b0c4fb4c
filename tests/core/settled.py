"""A world whose contracts have a past: settlements before its first step, and those that time brings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from bot.model.commands import SetSwitch
from bot.model.facts import BookSeen, FundingSettled, Tick
from bot.model.ids import InstrumentId
from bot.model.pair import PairSpec
from bot.model.store import Pair
from tests.core.world import BTC, LINEAR, SECOND_NS, SPOT, World, make_config

D = Decimal
HOUR_NS = 3_600 * SECOND_NS
EIGHT_NS = 8 * HOUR_NS
NOON_NS = 1_704_067_200 * SECOND_NS + 4 * HOUR_NS  # four hours before a settlement at 08:00
BY_SWITCH: dict[str, Any] = {"entry_gap_bps": None, "exit_gap_bps": None, "entry_carry_apr": 0.0}


def rate_of(apr: float) -> Decimal:
    """A rate per eight hours of so much a year."""
    return D(repr(round(apr / 1095.0, 9)))


def past(aprs: list[float], name: InstrumentId = LINEAR, until_ns: int = NOON_NS) -> list[FundingSettled]:
    """Settlements each eight hours, the last one before ``until_ns``, oldest first."""
    last_ns = until_ns - until_ns % EIGHT_NS
    first_ns = last_ns - (len(aprs) - 1) * EIGHT_NS
    return [FundingSettled(name, rate_of(apr), first_ns + n * EIGHT_NS) for n, apr in enumerate(aprs)]


class Settled(World):
    """The long leg stands at 60,000 and the short one at a gap above it, at first none."""

    def __init__(
        self, long: InstrumentId = SPOT, short: InstrumentId = LINEAR, capital: int = 10_000, **changes: Any
    ) -> None:
        changes["strategy"] = BY_SWITCH | changes.get("strategy", {})
        pairs = (PairSpec(BTC, long, short, D(capital)),)
        super().__init__(msgspec.structs.replace(make_config(**changes), pairs=pairs))
        self.at_ns = NOON_NS
        self.gap_bps = 0.0

    @property
    def pair(self) -> Pair:
        return self.store.pairs[BTC]

    def books(self, price: float, gap_bps: float, half: float = 0.0) -> tuple[BookSeen, BookSeen]:
        spec, other = self.config.pairs[0], round(price * (1.0 + gap_bps / 1e4), 1)
        return (
            self.book(spec.long, price - half, price + half),
            self.book(spec.short, other - half, other + half),
        )

    def begin(self, aprs: list[float]) -> None:
        self.boot()
        if aprs:
            self.give(*past(aprs))
        self.quote(60_000.0, 0.0)

    def settle(self, apr: float, name: InstrumentId = LINEAR) -> None:
        """The next settlement of eight hours happens, and the minute after it passes."""
        due_ns = (self.at_ns // EIGHT_NS + 1) * EIGHT_NS
        self.until(due_ns + 20 * SECOND_NS)
        self.give(FundingSettled(name, rate_of(apr), due_ns))
        self.refresh()

    def until(self, at_ns: int) -> None:
        assert at_ns > self.at_ns
        self.at_ns = at_ns
        self.refresh()

    def refresh(self, gap_bps: float | None = None) -> None:
        """A second passes, all feeds are heard and the account agrees."""
        self.gap_bps = self.gap_bps if gap_bps is None else gap_bps
        self.quote(60_000.0, self.gap_bps)
        now = self.at_ns + SECOND_NS
        self.give(Tick({one.id: now for one in self.instruments}, {}), after_s=1.0)
        self.answer_accounts()

    def decisions(self) -> list[SetSwitch]:
        return [one for row in self.rows for one in row.commands if isinstance(one, SetSwitch)]


def held(aprs: list[float] | None = None, **changes: Any) -> Settled:
    """A pair that entered by carry at the start of the world."""
    world = Settled(**changes)
    world.begin(aprs or [0.2] * 60)
    world.fill_all()
    world.refresh()
    assert world.pair.state.value == "HEDGED", world.pair.idle
    return world
