"""The size of an exit's clip where ladders, lots and minimums leave little room."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core.decide import sizing
from bot.model.facts import AccountReported, InstrumentListed, OrderRejected, PositionHeld
from bot.model.instrument import Position, fill_cost
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairState, Role
from risk.fuse import REFUSED
from tests.core.way_out import FLATTEN, D, beat, half_entered, pair_of, play, steady
from tests.core.world import INVERSE, LINEAR, SPOT, World, hedged, make_config


def holding(coins: str, contracts: str, short: str = LINEAR, **changes: str) -> World:
    """A hedged world whose legs are set by hand; ``changes`` are filters of the contract."""
    world = hedged(INVERSE if short == INVERSE else LINEAR)
    pair, market = pair_of(world), world.store.markets[world.config.pairs[0].short]
    filters = {name: D(value) for name, value in changes.items()}
    market.instrument = msgspec.structs.replace(market.instrument, **filters)
    with exact_arithmetic():
        pair.long.position = Position(D(coins), D(coins) * 60_000)
        cost = fill_cost(market.instrument, D(contracts), D(60_000))
    pair.short.position, pair.short.coin_cash = Position(D(contracts), cost), D(0)
    return world


def size(world: World, clip_quote: float, depth_base: float) -> tuple[Decimal, Decimal] | str:
    with exact_arithmetic():
        found = sizing.exit_size(
            world.store, pair_of(world), sizing.ExitBound(clip_quote, depth_base, depth_base)
        )
    return found if isinstance(found, str) else (found.long_qty, found.short_qty)


@pytest.mark.parametrize(
    ("depth_base", "expected"),
    [
        (0.2, ("0.166", "0.166")),  # a little more than a clip is one clip
        (0.1655, ("0.164", "0.164")),  # the ladder holds less: what is left must be tradable too
        (0.1, ("0.1", "0.1")),
        (0.0008, ("0.001", "0.001")),  # the least order, a little more than its ladder
    ],
)
def test_what_is_left_behind_can_be_traded(depth_base: float, expected: tuple[str, str]) -> None:
    assert size(holding("0.166", "-0.166"), 9_990.0, depth_base) == tuple(map(D, expected))


def test_the_last_lot_goes_whole_though_its_ladder_holds_less() -> None:
    assert size(holding("0.001", "-0.001"), 9_000.0, 0.0009) == (D("0.001"), D("0.001"))


def test_a_ladder_that_holds_less_than_most_of_the_least_order_gives_no_size() -> None:
    assert size(holding("0.166", "-0.166"), 9_000.0, 0.0007) == "thin_book"


def test_what_one_leg_cannot_trade_stays_hedged() -> None:
    coarse = {"lot": "0.01", "qty_min": "0.01"}
    assert size(holding("0.166", "-0.166", **coarse), 60_000.0, 1.0) == (D("0.160"), D("0.16"))
    assert size(holding("0.006", "-0.006", **coarse), 60_000.0, 1.0) == "stranded"


def test_a_crumb_that_would_mend_the_delta_is_left_out() -> None:
    """One contract too many is short: it alone is bought back, no coins are sold with it."""
    world = holding("0.165", "-100", INVERSE)
    assert size(world, 200.0, 0.0026) == (D(0), D(1))


def test_an_empty_book_of_a_leg_that_is_gone_prices_nothing() -> None:
    world = holding("0", "-0.166")
    market = world.store.markets[SPOT]
    market.bids, market.asks = (), ()
    assert size(world, 60_000.0, 1.0) == (D(0), D("0.166"))


# --- with the step ----------------------------------------------------------------------------------------


def test_coins_that_are_not_held_keep_an_exit_that_has_no_size() -> None:
    world = hedged()
    beat(world, after_s=301.0)
    world.quote(60_000.0, 0.0)
    spot = world.instruments[0].account
    world.wallets[spot]["BTC"] = D(0)
    world.give(AccountReported(spot, dict(world.wallets[spot]), (), (), world.at_ns))
    world.commands.clear()
    world.give(FLATTEN)
    assert pair_of(world).idle == "not_held"
    assert not world.placed()


def test_a_fuse_that_is_spent_keeps_a_group_whole_and_says_so() -> None:
    fuse = msgspec.structs.replace(
        make_config().fuse,
        closing_notional_per_min_quote=D(10**7),
        closing_orders_per_min=2,
    )
    config = msgspec.structs.replace(make_config(capital=20_000), fuse=fuse)
    world = World(config)
    world.boot()
    world.quote(60_000.0, 0.0)
    for _ in range(3):
        beat(world, *world.books(60_000.0, 20.0))
        world.fill_all()
    assert pair_of(world).state is PairState.HEDGED
    world.quote(60_000.0, 0.0)
    world.give(FLATTEN)
    sent = play(world, 5, steady(world))
    assert len(sent) == 2
    assert pair_of(world).idle == "fuse_room"
    play(world, 60, steady(world))
    assert world.store.mode is Mode.HALTED


def test_a_halted_pair_says_nothing_where_nothing_could_be_traded() -> None:
    world = hedged()
    pair = pair_of(world)
    account = world.instruments[1].account
    coarse = msgspec.structs.replace(world.instruments[1], lot=D(1), qty_min=D(1), notional_min=D(10**6))
    spot = msgspec.structs.replace(world.instruments[0], lot=D(1), qty_min=D(1))
    world.give(InstrumentListed(coarse), InstrumentListed(spot))
    held = (PositionHeld(LINEAR, D("-0.1"), D(-6_000)),)
    world.positions[LINEAR] = Position(D("-0.1"), D(-6_000))
    for _ in range(2):
        world.give(AccountReported(account, dict(world.wallets[account]), held, (), world.at_ns))
    pair.mode = Mode.HALTED
    beat(world, *world.books(60_000.0, 0.0), after_s=3.0)
    assert not world.placed()
    assert pair.leg(Role.SHORT).position.qty == D("-0.1")


def test_what_the_fuse_refuses_is_no_attempt_and_is_tried_again() -> None:
    world = half_entered(
        short_filled=True, strategy={"repair_attempts": 1}, limits={"net_delta_max_quote": D(20_000)}
    )
    refused = 0
    for _ in range(8):
        beat(world, *world.books(60_000.0, 0.0))
        for order in world.placed():
            refused += 1
            assert order.role is Role.LONG, "the first candidate is never spent"
            world.give(OrderRejected(order.client_id, REFUSED, "repair budget: 0 of 1", world.at_ns))
            pair = pair_of(world)
            assert (pair.grow_tries, pair.shrink_tries, pair.repairs, pair.fruitless) == (0, 0, 0, 0)
            assert (pair.idle, world.placed()) == ("fuse_room", []), "at once it would refuse again"
    assert 3 <= refused <= 8
    sent = play(world, 3, steady(world))
    assert sent, "it goes as soon as the fuse lets it"
    assert pair_of(world).state is PairState.HEDGED


def test_an_entry_asks_for_no_more_than_the_fuse_has_left() -> None:
    fuse = msgspec.structs.replace(make_config().fuse, opening_notional_per_min_quote=D(25_000))
    world = World(msgspec.structs.replace(make_config(capital=50_000), fuse=fuse))
    world.boot()
    world.quote(60_000.0, 0.0)
    beat(world, *world.books(60_000.0, 20.0))
    world.fill_all()
    first = pair_of(world).long.position.qty
    assert first * 60_000 > 9_000
    for _ in range(5):
        beat(world, *world.books(60_000.0, 20.0))
        world.fill_all()
    assert pair_of(world).long.position.qty == first
