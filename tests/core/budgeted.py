"""Worlds whose budgets bind, and what is done in them over and over."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from bot.model.commands import (
    PlaceOrder,
    RaiseAlert,
    SetMode,
)
from bot.model.config import Budget
from bot.model.facts import AnyFact, OrderRejected
from bot.model.pair import PairState, Purpose, Role
from bot.model.spending import Fees
from bot.model.store import Pair
from tests.core.world import BTC, LINEAR, SECOND_NS, D, World, make_config

SPOT_RATE, LINEAR_RATE = D("0.001"), D("0.0005")


def pair(world: World) -> Pair:
    return world.store.pairs[BTC]


def fees(world: World) -> Fees:
    (found,) = pair(world).spending.days.values()
    return found


def with_budget(**budget: float) -> World:
    """A world whose budgets bind nothing but what is given."""
    wide: dict[str, float] = {
        "fees_day_pair_bps": 1e9, "fees_day_book_bps": 1e9, "fees_month_pair_bps": 1e9,
        "turnover_day_pair": 1e9, "loss_day_bps": 1e9, "loss_peak_bps": 1e9,
    }  # fmt: skip
    strategy = {"reconcile_s": 1e7}  # nobody answers while days go by
    config = make_config(capital=10_000, strategy=strategy, limits={"net_delta_max_quote": D(20_000)})
    world = World(msgspec.structs.replace(config, budget=Budget(**(wide | budget))))  # type: ignore[arg-type]
    world.boot()
    world.quote(60_000.0, 0.0)
    return world


def alerts(world: World) -> list[str]:
    return [one.key for one in world.commands if isinstance(one, RaiseAlert)]


def look(world: World, gap_bps: float, after_s: float) -> None:
    """Fresh books after a while."""
    world.at_ns += int(after_s * SECOND_NS)
    world.quote(60_000.0, gap_bps)


def fill(world: World, order: PlaceOrder) -> None:
    world.give(*world.fill(order))


def refuse(world: World, order: PlaceOrder, times: int = 1) -> None:
    facts: list[AnyFact] = [OrderRejected(order.client_id, "-2010", "not permitted", world.at_ns)]
    world.give(*facts * times)


def undo(world: World) -> None:
    """An entry whose long leg the venue refuses until the short one has gone back."""
    look(world, 20.0, 1.1)
    for _ in range(20):
        orders = world.placed()
        if not orders:
            if pair(world).state in (PairState.FLAT, PairState.HEDGED):
                return
            look(world, 20.0, 1.1)
        for order in orders:
            if order.role is Role.LONG:
                refuse(world, order)
            else:
                fill(world, order)
    raise AssertionError("the entry is never over")


def churn(world: World, rounds: int, after_s: float = 2.0) -> int:
    """Round trips, or as many as come of these; returns the entries."""
    entries = 0
    for _ in range(rounds):
        for gap in (20.0, -20.0):
            look(world, gap, after_s)
            orders = world.placed()
            entries += any(order.purpose is Purpose.ENTER for order in orders)
            for order in orders:
                fill(world, order)
            world.fill_all()
    return entries


def lose(world: World, gap_bps: float) -> list[SetMode]:
    """The contract's mark runs away from the coin: what the pair holds loses by it."""
    mark = Decimal(60_000) * (1 + Decimal(repr(gap_bps)) / 10_000)
    before = len(world.commands)
    world.give(world.mark(LINEAR, mark, D(60_000)))
    return [one for one in world.commands[before:] if isinstance(one, SetMode)]
