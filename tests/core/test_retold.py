"""What is told again: it is in the books already, however long ago it was, and nobody is woken twice."""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import PlaceOrder, RaiseAlert
from bot.model.facts import (
    Booted,
    Channel,
    ChannelOpened,
    ForcedFilled,
    ModeOrdered,
    OrderAccepted,
    ProtocolDrift,
)
from bot.model.ids import AccountId
from bot.model.instrument import Side
from bot.model.pair import Mode
from tests.core.world import BTC, LINEAR, World, hedged, make_config

D = Decimal
USDM = AccountId("binance:usdm")


def alerts(world: World) -> list[str]:
    found = [one.key for one in world.commands if isinstance(one, RaiseAlert)]
    world.commands = []
    return found


def sent() -> tuple[World, list[PlaceOrder]]:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    return world, world.placed()


def reboot(world: World) -> None:
    opened = [ChannelOpened(account, channel) for account in world.wallets for channel in Channel]
    world.give(Booted("0run0001", "0", world.config, "crash"), *opened)


def test_what_was_booked_before_a_long_absence_is_known_when_it_is_told_again() -> None:
    """Three days down: the last hour before is asked for again, and is in the books already."""
    world = hedged()
    funding = world.pay_funding(D("0.0001"), D(60_000), 1)
    world.give(*funding, world.report(USDM))
    cash = dict(world.store.ledger.cash[USDM])
    world.at_ns += 3 * 86_400 * 1_000_000_000
    reboot(world)
    world.tick()
    world.give(*funding)
    assert world.store.ledger.cash[USDM] == cash


def test_what_is_old_is_forgotten_where_every_account_agrees_or_is_another_one() -> None:
    world = hedged()
    spot, contract = (f"{order.instrument} " for order in world.store.orders.values())
    world.at_ns += 3 * 86_400 * 1_000_000_000
    world.give(*[world.report(account) for account in world.wallets])
    world.store.accounts[USDM].reconciled = False
    world.tick()
    assert [key for key in world.store.trades if key.startswith(spot)] == []
    assert [key for key in world.store.trades if key.startswith(contract)] != []
    world.give(world.report(USDM))
    world.tick()
    assert world.store.trades == {}


def test_a_partly_filled_order_that_lived_through_a_long_absence_is_not_filled_twice() -> None:
    world, (_, short) = sent()
    world.give(OrderAccepted(short.client_id, "v", world.at_ns))
    fills = world.execute(short, short.qty / 2, short.price)
    world.give(*fills)
    world.at_ns += 3 * 86_400 * 1_000_000_000
    reboot(world)
    world.tick()
    world.give(*fills)
    assert world.store.orders[short.client_id].filled_qty == short.qty / 2


def test_a_forced_fill_that_is_told_again_freezes_nothing_again() -> None:
    world = hedged()
    forced = ForcedFilled(LINEAR, "99", Side.BUY, D("0.01"), D(60_000), D(0), "USDT", "adl", world.at_ns)
    world.give(forced)
    assert alerts(world) == ["forced:99"]
    world.give(ModeOrdered(BTC, Mode.ACTIVE, "test", "seen"))
    assert alerts(world) == ["budget:resumed:BTC"]
    world.give(forced)
    assert world.store.pairs[BTC].mode is Mode.ACTIVE
    assert alerts(world) == []


def test_a_venue_that_is_not_understood_is_told_ever_more_seldom() -> None:
    world = hedged()
    alerts(world)
    drift = ProtocolDrift(USDM, "account", "BTCUSDT is held in hedge mode; set one-way mode")
    told = []
    for _ in range(25):
        world.give(drift)
        told.append(len(alerts(world)))
    assert [number for number, one in enumerate(told, 1) if one] == [1, 10]
    world.give(ProtocolDrift(USDM, "private", "unknown private event"))
    assert alerts(world) == ["drift:binance:usdm private"]
