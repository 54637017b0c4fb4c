"""How much of both legs an exit takes, whatever is held and whatever filters and ladders allow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.decide import sizing
from bot.core.decide.sizing import ExitBound, Size
from bot.model.ids import InstrumentId
from bot.model.instrument import Position, base_per_qty
from bot.model.money import is_multiple
from risk.exposure import pair_delta_base, tolerance_base
from risk.tradable import is_tradable
from tests.core.world import BTC, INVERSE, LINEAR, World, hedged

D = Decimal
PRICE = 60_000.0
ALL = float("inf")
WORLDS = {name: hedged(name) for name in (LINEAR, INVERSE)}


def holding(
    long: str, short: str, name: InstrumentId = LINEAR, coins: str = "0", **filters: dict[str, Any]
) -> World:
    """A pair that holds this of its legs; ``filters`` are those of ``spot`` and of the ``contract``."""
    world = WORLDS[name]
    pair = world.store.pairs[BTC]
    for leg, key in ((pair.long, "spot"), (pair.short, "contract")):
        first = next(one for one in world.instruments if one.id == leg.instrument)
        changed = {field: D(value) for field, value in filters.get(key, {}).items()}
        world.store.markets[leg.instrument].instrument = msgspec.structs.replace(first, **changed)
    pair.long.position, pair.short.position = Position(D(long), D(0)), Position(-D(short), D(0))
    pair.short.coin_cash = D(coins)
    return world


def size_of(world: World, clip: float, long_depth: float = ALL, short_depth: float = ALL) -> Size | str:
    return sizing.exit_size(world.store, world.store.pairs[BTC], ExitBound(clip, long_depth, short_depth))


def test_what_is_left_of_an_exit_can_be_traded_in_both_legs() -> None:
    size = size_of(holding("0.25", "0.25"), 15_000.0, long_depth=0.2495)
    assert isinstance(size, Size)
    assert D("0.24") < size.short_qty < D("0.2495")
    left = D("0.25") - size.long_qty
    spot = WORLDS[LINEAR].store.markets[WORLDS[LINEAR].store.pairs[BTC].spec.long].instrument
    assert is_tradable(spot, left, D(60_000), reduces=True)
    assert D("0.25") - size.short_qty >= D("0.001")


def test_of_less_than_two_least_orders_all_goes_though_a_ladder_holds_less() -> None:
    minimum = {"notional_min": "3000"}
    size = size_of(holding("0.118", "0.118", spot=minimum), 2_000.0, short_depth=0.1)
    assert size == Size(D("0.118"), D("0.118")), "0.05 and 20 % more is the least, and 0.118 is not two of it"
    size = size_of(holding("0.130", "0.130", spot=minimum), 2_000.0, short_depth=0.1)
    assert isinstance(size, Size)
    assert D("0.06") <= size.long_qty <= D("0.07"), "and where two of it are held, each is one"


def test_a_ladder_that_holds_just_what_is_left_takes_all_of_it() -> None:
    assert size_of(holding("0.1", "0.1"), 10_000.0, 0.1, 0.1) == Size(D("0.1"), D("0.1"))


def test_the_leg_with_the_coarser_lot_is_sized_first_and_the_delta_made_good() -> None:
    """A clip is 0.166; the long leg is 0.05 too large."""
    world = holding("0.25", "0.2", spot={"lot": "0.01", "qty_min": "0.01"})
    assert size_of(world, 9_960.0) == Size(D("0.16"), D("0.11"))


def test_contracts_without_coins_to_leave_with_wait_for_a_deeper_book() -> None:
    world = holding("0", "120", INVERSE, coins="0.01", spot={"notional_min": "500"})
    assert size_of(world, 2_000.0, short_depth=0.02) == "thin_book"


def test_a_ladder_that_holds_less_than_the_least_order_gives_no_size() -> None:
    minimum = {"notional_min": "3000"}
    world = holding("0.3", "0.3", spot=minimum)
    assert size_of(world, 2_000.0, long_depth=0.044) == "thin_book"
    assert isinstance(size_of(world, 2_000.0, long_depth=0.046), Size), "three quarters of it are enough"


def test_contracts_that_a_coarser_lot_cannot_close_are_left_alone_with_the_last_of_the_rest() -> None:
    size = size_of(holding("0", "72", INVERSE, contract={"lot": "10", "qty_min": "10"}), 10_000.0)
    assert size == Size(D(0), D(70))


def test_the_last_coins_take_all_of_an_inverse_short_with_them() -> None:
    size = size_of(holding("0.05", "2", INVERSE, coins="0.01"), 500.0, short_depth=0.02)
    assert size == Size(D("0.05"), D(2))


def test_coins_worth_less_than_a_contract_go_with_one() -> None:
    lots = {"lot": "10", "qty_min": "10"}
    size = size_of(holding("0.004", "30", INVERSE, coins="-0.01", contract=lots), 2_000.0, short_depth=0.02)
    assert size == Size(D("0.004"), D(10))


LOTS = st.sampled_from(["0.00001", "0.001", "0.01", "0.1"])
HELD = st.integers(1, 300).map(lambda number: D(number) / 1000)
DEPTH = st.sampled_from([0.003, 0.02, 0.1, ALL])


@given(HELD, st.integers(-3, 3), LOTS, LOTS, st.sampled_from(["5", "500", "3000"]), DEPTH, DEPTH)
@example(D("0.25"), 0, "0.00001", "0.001", "5", 0.1, ALL)
@example(D("0.2"), 0, "0.1", "0.001", "3000", ALL, 0.1)
def test_both_legs_fall_in_ratio_by_what_each_can_close(
    held: Decimal, off: int, long_lot: str, short_lot: str, least: str, long_depth: float, short_depth: float
) -> None:
    short_held = max(D("0.001"), held + D(off) / 1000)
    world = holding(
        str(held),
        str(short_held),
        spot={"lot": long_lot, "qty_min": long_lot, "notional_min": least},
        contract={"lot": short_lot, "qty_min": short_lot},
    )
    pair, store = world.store.pairs[BTC], world.store
    size = size_of(world, 2_000.0, long_depth, short_depth)
    if isinstance(size, str):
        assert size in ("thin_book", "stranded")
        return
    before, delta = abs(pair_delta_base(store, pair)), D(0)
    for leg, qty, most in ((pair.long, size.long_qty, held), (pair.short, size.short_qty, short_held)):
        instrument = store.markets[leg.instrument].instrument
        assert 0 <= qty <= most
        assert is_multiple(qty, instrument.lot)
        assert qty == 0 or is_tradable(instrument, qty, D(60_000), reduces=True)
        assert base_per_qty(instrument, PRICE) == 1.0
        delta += (leg.position.qty - qty) if leg is pair.long else (leg.position.qty + qty)
    assert size.long_qty or size.short_qty
    assert abs(delta) <= before + tolerance_base(store, pair)
