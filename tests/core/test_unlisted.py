"""A pair whose legs are not what the settings took them for: one that no venue describes, or two coins."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core.fold import refold
from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Mode, PairSpec, PairState, Purpose, Role
from bot.model.store import Store, state_sha256
from bot.shell.state import read_state
from risk.watch import holds
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, instrument, make_config

D = Decimal
OTHER = PairName("OTHER")
TYPO = InstrumentId("binance:usdm:BTCUSTD")


def world_of(*others: PairSpec) -> World:
    """The usual pair, and beside it pairs with legs that are not listed until a test says so."""
    config = make_config(capital=10_000)
    world = World(msgspec.structs.replace(config, pairs=(*config.pairs, *others)))
    world.instruments = [one for one in world.instruments if one.id in (SPOT, LINEAR)]
    return world


@pytest.mark.parametrize(
    "other",
    [PairSpec(OTHER, SPOT, TYPO, D(10_000)), PairSpec(OTHER, TYPO, InstrumentId(f"{TYPO}X"), D(10_000))],
    ids=["one leg", "both"],
)
def test_a_leg_that_nobody_describes_holds_its_pair_and_no_other(other: PairSpec) -> None:
    world = world_of(other)
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    for step in range(3):
        world.tick()
        world.quote(60_010.0 + step, 0.0)
    assert world.store.pairs[BTC].state is PairState.HEDGED
    found = holds(world.store, world.at_ns, world.store.pairs[OTHER])
    assert f"{TYPO} is not listed" in [hold.value for hold in found]
    read_state(world.store, world.at_ns, "0", 1)
    # gone from the settings again, it stays behind as a pair that holds nothing
    fixed = World(make_config(capital=10_000))
    fixed.store, fixed.at_ns, fixed.wallets, fixed.positions = (
        world.store, world.at_ns, world.wallets, world.positions,
    )  # fmt: skip
    fixed.boot("crash")
    fixed.tick()
    fixed.quote(60_020.0, 0.0)
    assert fixed.store.pairs[BTC].state is PairState.HEDGED
    again = Store()
    for row in (*world.rows, *fixed.rows):
        refold(again, row)
    assert state_sha256(again) == state_sha256(fixed.store)


def test_two_coins_are_no_hedge() -> None:
    world = World()
    world.instruments = [instrument(SPOT), instrument(LINEAR, base="ETH")]
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    assert not world.placed()
    found = holds(world.store, world.at_ns, world.store.pairs[BTC])
    assert [(hold.code, hold.value) for hold in found] == [("base_differs", "its legs are of BTC and ETH")]


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.PAUSED, Mode.REDUCE_ONLY])
def test_a_pair_that_only_shrinks_gives_from_the_leg_that_is_too_large(
    short: InstrumentId, mode: Mode
) -> None:
    """Somebody has bought a part of the short back at the venue, and the account was taken over so."""
    world = hedged(short)
    pair = world.store.pairs[BTC]
    held = pair.short.position
    pair.mode = mode
    with_less = held.qty + (D("0.05") if short == LINEAR else D(30))
    pair.short.position = msgspec.structs.replace(held, qty=with_less, cost=held.cost * with_less / held.qty)
    world.store.ledger.positions[short] = pair.short.position
    world.tick()
    world.quote(60_000.0, 0.0)
    (order,) = world.placed()
    assert (order.purpose, order.side) == (Purpose.DRIFT, Side.SELL)
    assert order.role is (Role.LONG if mode is Mode.REDUCE_ONLY else Role.SHORT)
