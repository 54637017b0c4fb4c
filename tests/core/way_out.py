"""What the tests of the way out share: seconds that pass, and a venue that fills or does not.

The venue here is `World`'s: it fills at the limit what it is told to fill, and its positions are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bot.model.commands import PlaceOrder
from bot.model.facts import (
    AnyFact,
    ModeOrdered,
    Tick,
)
from bot.model.ids import InstrumentId
from bot.model.pair import Mode, Role
from bot.model.store import Pair
from risk.exposure import pair_delta_base, tolerance_base
from tests.core.world import BTC, SECOND_NS, World, make_config

D = Decimal
FLATTEN = ModeOrdered("*", Mode.FLATTENING, "kay", "out")
WIDE: dict[str, Any] = {"limits": {"net_delta_max_quote": D(20_000)}}


def pair_of(world: World) -> Pair:
    return world.store.pairs[BTC]


def delta_of(world: World) -> Decimal:
    return pair_delta_base(world.store, pair_of(world))


def flatten(world: World, *facts: AnyFact) -> list[PlaceOrder]:
    """Two seconds after the last clip everything is ordered to go; returns what is sent at once."""
    beat(world, *world.books(60_000.0, 0.0), after_s=2.0)
    world.commands.clear()
    world.give(*facts, FLATTEN)
    return world.placed()


def is_hedged(world: World) -> bool:
    return abs(delta_of(world)) <= 2 * tolerance_base(world.store, pair_of(world))


def beat(world: World, *facts: AnyFact, silent: InstrumentId | None = None, after_s: float = 1.0) -> None:
    """A second passes: every feed but ``silent`` is heard, and ``facts`` are told."""
    now = world.at_ns + int(after_s * SECOND_NS)
    heard = {one.id: now for one in world.instruments if one.id != silent}
    world.give(Tick(heard, {}), after_s=after_s)
    world.give(*facts)


def play(
    world: World,
    seconds: int,
    facts: Callable[[], tuple[AnyFact, ...]],
    fills: Callable[[PlaceOrder], bool] = lambda order: True,
    silent: InstrumentId | None = None,
) -> list[PlaceOrder]:
    """Seconds pass, orders fill or expire; returns what was sent."""
    sent: list[PlaceOrder] = []
    for _ in range(seconds):
        beat(world, *facts(), silent=silent)
        for _ in range(20):
            orders = world.placed()
            if not orders:
                break
            sent += orders
            answers = [fact for order in orders for fact in world.fill(order, None if fills(order) else D(0))]
            world.give(*answers, after_s=0.02)
        world.answer_accounts()
    return sent


def steady(world: World, price: float = 60_000.0) -> Callable[[], tuple[AnyFact, ...]]:
    return lambda: world.books(price, 0.0)


def half_entered(short_filled: bool, **changes: Any) -> World:
    """One leg of the first clip filled, the other expired; within its patience."""
    world = World(make_config(capital=10_000, **changes))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    legs = {order.role: order for order in world.placed()}
    filled = Role.SHORT if short_filled else Role.LONG
    world.give(*world.fill(legs[filled]), *world.fill(legs[filled.other], D(0)))
    return world
