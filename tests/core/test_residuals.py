"""The coins that an inverse pair leaves behind: told, moved towards zero by transfers, ended by a word."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.core.fold import refold
from bot.model.commands import RaiseAlert
from bot.model.facts import BalanceSeen, ResidualSettled, Transferred
from bot.model.ids import AccountId, PairName
from bot.model.instrument import Position
from bot.model.money import exact_arithmetic
from bot.model.pair import PairSpec, PairState
from bot.model.store import Leg, Pair, Store, drop_index, state_sha256
from bot.shell.state import read_state
from risk.exposure import residual_base
from tests.core.way_out import FLATTEN, pair_of, play, steady
from tests.core.world import BTC, INVERSE, SPOT, World, hedged

D = Decimal
COINM = AccountId("binance:coinm")
KEY = "margin_coins:BTC"
CHEAP, DEAR = 42_000.0, 78_000.0


def left_at(price: float) -> World:
    """An inverse pair that entered at 60,000 and was flattened at ``price``."""
    world = hedged(INVERSE)
    world.quote(price, 0.0, after_s=2.0)
    world.commands.clear()
    world.give(FLATTEN)
    play(world, 10, steady(world, price))
    assert pair_of(world).state is PairState.FLAT
    assert abs(residual(world)) * D(repr(price)) > 1_000, "the premise: more than dust is left"
    return world


def residual(world: World) -> Decimal:
    return residual_base(world.store, pair_of(world))


def moved(world: World, amount: Decimal, number: str = "t1", account: AccountId = COINM) -> None:
    """Somebody moves coins into the margin wallet (``amount`` > 0) or out of it."""
    wallet = world.wallets[account]
    wallet["BTC"] = wallet.get("BTC", D(0)) + amount
    world.give(
        Transferred(account, "BTC", amount, number, world.at_ns),
        BalanceSeen(account, "BTC", wallet["BTC"], world.at_ns),
    )


def told(world: World) -> list[str]:
    """Severities of what was told of the coins since the last look."""
    found = [one.severity for one in world.commands if isinstance(one, RaiseAlert) and one.key == KEY]
    world.commands.clear()
    return found


@pytest.mark.parametrize("price", [CHEAP, DEAR])
def test_coins_that_no_leg_hedges_are_a_figure_and_a_warning(price: float) -> None:
    world = left_at(price)
    alert = world.store.alerts[KEY]
    assert alert.severity == "warning"
    assert f"{residual(world):f} BTC" in alert.text
    view = read_state(world.store, world.at_ns, "0", 1).pairs["BTC"]
    assert D(view.residual_base) == residual(world)
    assert D(view.notional_quote or "nan") < 1, "no part of what limits groups"


def test_a_held_pair_has_no_residual() -> None:
    world = hedged(INVERSE)
    assert pair_of(world).short.coin_cash != 0, "the premise: fees were paid in coin"
    assert residual(world) == 0
    before = pair_of(world).short.coin_cash
    moved(world, -before * 2)
    world.give(ResidualSettled(BTC, "ann", "by mistake"))
    assert pair_of(world).short.coin_cash == before


@pytest.mark.parametrize("price", [CHEAP, DEAR])
def test_a_transfer_takes_the_residual_towards_zero_and_never_beyond(price: float) -> None:
    world = left_at(price)
    before = residual(world)
    told(world)
    moved(world, before, "wrong way")
    moved(world, D(0), "nothing")
    moved(world, -before, "elsewhere", AccountId("binance:spot"))
    assert (residual(world), told(world)) == (before, [])
    moved(world, -before / 2, "half")
    assert residual(world) == before / 2
    world.give(Transferred(COINM, "BTC", -before / 2, "half", world.at_ns))
    assert residual(world) == before / 2, "a transfer that is told twice counts once"
    assert told(world) == []
    moved(world, -before * 3, "more than all")
    assert residual(world) == 0
    assert told(world) == ["info"]
    assert KEY not in world.store.alerts
    assert views.residual(world.store) == 0


def test_a_transfer_is_split_over_pairs_in_their_order() -> None:
    world = left_at(CHEAP)
    name = PairName("OTHER")
    world.store.pairs[name] = Pair(
        spec=PairSpec(name, SPOT, INVERSE, D(1)),
        long=msgspec.structs.replace(pair_of(world).long, position=Position()),
        short=Leg(pair_of(world).short.role, INVERSE, coin_cash=D("0.05")),
    )
    drop_index(world.store)
    first = residual(world)
    moved(world, -first - D("0.02"))
    assert residual(world) == 0
    assert residual_base(world.store, world.store.pairs[name]) == D("0.03")


@pytest.mark.parametrize("price", [CHEAP, DEAR])
def test_an_operator_ends_the_residual_and_the_ledger_does_not_notice(price: float) -> None:
    world = left_at(price)
    told(world)
    wallet, before = dict(world.wallets[COINM]), residual(world)
    total = msgspec.structs.replace(world.store.ledger.total)
    world.give(ResidualSettled(BTC, "ann", "sold by hand"))
    assert (residual(world), told(world)) == (D(0), ["info"])
    assert world.store.ledger.cash[COINM]["BTC"] == wallet["BTC"]
    assert world.store.ledger.total == total
    assert views.residual(world.store) == 0
    spot = pair_of(world).long.position.qty
    world.quote(price + 1_000.0, 0.0)
    after = world.store.ledger.total
    coins = sum((held.get("BTC", D(0)) for held in world.wallets.values()), D(0))
    assert after.collateral - total.collateral == (coins - spot) * 1_000, "what the coins gain is collateral"
    assert abs(before) < coins
    assert views.residual(world.store) == 0
    again = Store()
    with exact_arithmetic():
        for row in world.rows:
            refold(again, row)
    assert state_sha256(again) == state_sha256(world.store)


def test_a_price_alone_does_not_begin_and_end_the_warning() -> None:
    world = left_at(CHEAP)
    told(world)
    pair_of(world).short.coin_cash = D("0.0006")  # worth 25.20: just more than dust
    drop_index(world.store)
    seen = []
    for price in (42_000.0, 41_000.0, 42_000.0, 41_000.0, 27_000.0, 41_000.0, 42_000.0):
        world.quote(price, 0.0, after_s=0.1)
        seen += told(world)
    assert seen == ["info", "warning"]
