"""A pair that is renamed in the settings while it is open: its contract belongs to one pair only."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.model.commands import PlaceOrder
from bot.model.config import Budget
from bot.model.facts import (
    AdoptionOrdered,
    BalanceSeen,
    Booted,
    Channel,
    ChannelOpened,
    ForcedFilled,
    FundingPaid,
    ModeOrdered,
    PositionSeen,
)
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.instrument import Position, Side, after_fill
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairSpec, PairState
from bot.model.store import Pair, drop_index
from risk import ownership, watch
from tests.core.way_out import beat, play, steady
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged

D = Decimal
NEW = PairName("BTC-USDT")


def boot_as(world: World, name: PairName, short: InstrumentId = LINEAR) -> None:
    """The next run, whose settings call the pair ``name``."""
    spec = PairSpec(name, SPOT, short, D(10_000))
    world.config = msgspec.structs.replace(world.config, pairs=(spec,))
    world.give(Booted("0run0001", "0", world.config, "clean"))
    world.give(*[ChannelOpened(account, channel) for account in world.wallets for channel in Channel])
    world.answer_accounts()
    beat(world, *world.books(60_000.0, 0.0))


def renamed(short: InstrumentId = LINEAR) -> World:
    world = hedged(short, budget=Budget(fees_day_pair_bps=10_000.0, fees_day_book_bps=10_000.0))
    boot_as(world, NEW, short)
    assert world.store.pairs[BTC].state is PairState.HEDGED, "the premise: it is open"
    world.commands.clear()
    return world


def pair(world: World, name: PairName) -> Pair:
    return world.store.pairs[name]


def test_a_contract_that_is_another_s_long_leg_has_a_rival_and_one_that_nobody_lists_has_none() -> None:
    world = renamed()
    new, spec = pair(world, NEW), PairSpec(NEW, LINEAR, INVERSE, D(10_000))
    new.spec, new.long.instrument, new.short.instrument = spec, LINEAR, INVERSE
    world.store.routes.pairs_of = {LINEAR: (BTC, NEW), INVERSE: (NEW,), SPOT: (BTC,)}
    assert ownership.rival(world.store, new) == (LINEAR, BTC)
    assert ownership.rival(world.store, pair(world, BTC)) is None
    del world.store.markets[LINEAR]
    assert ownership.rival(world.store, new) is None


def holds(world: World, name: PairName) -> list[tuple[str, str]]:
    return [(one.code, one.value) for one in watch.holds(world.store, world.at_ns, pair(world, name))]


def deleveraged(world: World, qty: Decimal) -> None:
    """The venue closes ``qty`` of the account's short."""
    one = world.instruments[1]
    held = world.positions[LINEAR]
    world.positions[LINEAR], realised = after_fill(one, held, qty, D(60_000))
    world.wallets[one.account]["USDT"] += realised
    after = world.positions[LINEAR]
    world.give(
        ForcedFilled(LINEAR, "adl1", Side.BUY, qty, D(60_000), D(0), "USDT", "adl", world.at_ns),
        PositionSeen(LINEAR, after.qty, after.cost, world.at_ns),
        BalanceSeen(one.account, "USDT", world.wallets[one.account]["USDT"], world.at_ns),
    )


def test_the_new_name_is_held_and_the_old_one_only_becomes_smaller() -> None:
    world = renamed()
    assert holds(world, NEW) == [("contract_of_open_pair", "BTC")]
    assert holds(world, BTC) == []
    assert watch.binding_mode(world.store, pair(world, BTC)) is Mode.REDUCE_ONLY
    alert = world.store.alerts[f"contract_of_open_pair:{NEW}"]
    assert (alert.severity, "flatten BTC" in alert.text) == ("warning", True)
    for _ in range(10):
        beat(world, *world.books(60_000.0, 20.0))
    assert world.placed() == []
    assert (pair(world, NEW).idle, pair(world, NEW).idle_value) == ("contract_of_open_pair", "BTC")


def test_the_new_name_trades_when_the_old_one_is_flat() -> None:
    world = renamed()
    beat(world, ModeOrdered(BTC, Mode.FLATTENING, "ann", "renamed"), after_s=2.0)
    play(world, 10, steady(world))
    assert pair(world, BTC).state is PairState.FLAT
    assert f"contract_of_open_pair:{NEW}" not in world.store.alerts
    beat(world, *world.books(60_000.0, 20.0))
    assert {order.pair for order in world.placed()} == {NEW}


def test_named_as_before_it_is_as_before() -> None:
    world = renamed()
    boot_as(world, BTC)
    assert (holds(world, BTC), holds(world, NEW)) == ([], [("contract_of_open_pair", "BTC")])
    assert f"contract_of_open_pair:{NEW}" not in world.store.alerts
    assert watch.binding_mode(world.store, pair(world, BTC)) is Mode.ACTIVE


@pytest.mark.parametrize("part", ["0.041", "0.166"])
def test_what_the_venue_takes_is_the_open_pairs(part: str) -> None:
    world = renamed()
    before = pair(world, BTC).short.position.qty
    deleveraged(world, D(part))
    assert pair(world, BTC).short.position.qty == before + D(part)
    assert pair(world, NEW).short.position.qty == 0
    assert (pair(world, BTC).mode, pair(world, NEW).mode) == (Mode.PAUSED, Mode.ACTIVE)
    sent = play(world, 30, steady(world))
    assert {order.pair for order in sent} == {BTC}
    net = world.wallets[account_of(SPOT)]["BTC"] + world.positions[LINEAR].qty
    assert abs(net) <= D("0.001"), "it is hedged at the venue"


def test_adopt_gives_the_position_to_the_pair_that_opened_it() -> None:
    world = renamed()
    held = world.positions[LINEAR]
    world.positions[LINEAR] = Position(held.qty / 2, held.cost / 2)
    world.give(AdoptionOrdered(account_of(LINEAR), "ann", "closed by hand"))
    world.give(world.report(account_of(LINEAR)))
    assert pair(world, BTC).short.position == Position(held.qty / 2, held.cost / 2)
    assert pair(world, NEW).short.position == Position()
    assert views.residual(world.store) == 0


def both_hold(world: World, old: str, new: str) -> None:
    """As a journal of an earlier version has it: both names hold a part of the contract."""
    whole = pair(world, BTC).short.position
    assert D(old) + D(new) == whole.qty, "the premise: together they hold what the account does"
    for name, qty in ((BTC, D(old)), (NEW, D(new))):
        with exact_arithmetic():
            pair(world, name).short.position = Position(qty, qty * 60_000)
    drop_index(world.store)


def test_adopt_splits_pro_rata_to_what_the_legs_hold_floored_to_lots() -> None:
    world = renamed()
    both_hold(world, "-0.110", "-0.055")
    world.positions[LINEAR] = Position(D("-0.100"), D("-6001.00000001"))
    world.give(AdoptionOrdered(account_of(LINEAR), "ann", "closed by hand"))
    world.give(world.report(account_of(LINEAR)))
    old, new = pair(world, BTC).short.position, pair(world, NEW).short.position
    assert (old.qty, new.qty) == (D("-0.067"), D("-0.033"))  # 0.100 × 55 / 165 = 0.0333
    assert old.cost + new.cost == D("-6001.00000001")
    assert new.cost == D("-1980.33")
    assert views.residual(world.store) == 0


def test_of_a_position_that_is_gone_every_holder_has_nothing() -> None:
    world = renamed()
    both_hold(world, "-0.110", "-0.055")
    found = ownership.divided(world.store, world.instruments[1], Position())
    assert [(leg.position.qty, part) for leg, part in found] == [
        (D("-0.055"), Position()), (D("-0.110"), Position()),
    ]  # fmt: skip


def test_what_nobody_holds_is_all_of_the_pair_that_the_settings_name() -> None:
    world = renamed()
    for name in (BTC, NEW):
        pair(world, name).short.position, pair(world, name).state = Position(), PairState.FLAT
    assert pair(world, NEW).in_config
    assert not pair(world, BTC).in_config
    found = ownership.split(world.store, LINEAR, D("0.5"), D("0.001"))
    assert found == [(pair(world, NEW).short, D("0.5"))]
    pair(world, BTC).in_config, pair(world, NEW).in_config = True, False
    found = ownership.split(world.store, LINEAR, D("0.5"), D("0.001"))
    assert found == [(pair(world, BTC).short, D("0.5"))]


def test_a_forced_fill_of_two_holders_is_split_and_counts_once() -> None:
    world = renamed()
    both_hold(world, "-0.110", "-0.055")
    deleveraged(world, D("0.165"))
    assert [pair(world, name).short.position.qty for name in (BTC, NEW)] == [0, 0]
    assert views.residual(world.store) == 0


@pytest.mark.parametrize("amount", ["0.00001", "-0.00000003"])
def test_funding_of_an_inverse_contract_is_the_open_pairs(amount: str) -> None:
    world = renamed(INVERSE)
    before = pair(world, BTC).short.coin_cash
    world.give(FundingPaid(INVERSE, "BTC", D(amount), D("0.0001"), D(60_000), D(-100), "f1", world.at_ns))
    assert pair(world, BTC).short.coin_cash == before + D(amount)
    assert pair(world, NEW).short.coin_cash == 0


def test_spot_that_two_pairs_share_holds_none_of_them() -> None:
    spec = PairSpec(PairName("COIN"), SPOT, INVERSE, D(10_000))
    world = hedged()
    world.config = msgspec.structs.replace(world.config, pairs=(*world.config.pairs, spec))
    world.wallets[AccountId("binance:coinm")] = {"BTC": D(3)}
    world.give(Booted("0run0001", "0", world.config, "clean"))
    codes = [code for name in (BTC, spec.name) for code, _ in holds(world, name)]
    assert "contract_of_open_pair" not in codes
    assert not any(isinstance(one, PlaceOrder) for one in world.commands)
