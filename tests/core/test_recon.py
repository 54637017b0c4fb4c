"""Restart, reconciliation and the settling of unknown outcomes."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.core.orders import UNHEARD_NS, BrokenInvariant
from bot.model.commands import PlaceOrder, QueryAccount, QueryOrder, RaiseAlert
from bot.model.facts import (
    AccountReported,
    AccountTouched,
    Booted,
    Channel,
    ChannelLost,
    ChannelOpened,
    OrderNotFound,
    OrderReported,
    OrderStatus,
    OrderUncertain,
    PositionHeld,
    Tick,
)
from bot.model.ids import AccountId, ClientId
from bot.model.pair import Mode, PairSpec, PairState
from bot.model.store import OrderState
from tests.core.world import BTC, LINEAR, SPOT, World, hedged, make_config

D = Decimal
USDM = AccountId("binance:usdm")


def sent() -> tuple[World, list[PlaceOrder]]:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    return world, world.placed()


def queries(world: World) -> list[ClientId]:
    found = [one.client_id for one in world.commands if isinstance(one, QueryOrder)]
    world.commands = [one for one in world.commands if not isinstance(one, QueryOrder)]
    return found


def reopened(world: World) -> list[ChannelOpened]:
    return [ChannelOpened(account, channel) for account in world.wallets for channel in Channel]


def reboot(world: World, previous: str = "crash") -> None:
    world.give(Booted("0run0001", "0", world.config, previous), *reopened(world))


def test_the_first_report_is_the_baseline_and_opens_the_account() -> None:
    world = World()
    world.boot()
    account = world.store.accounts[USDM]
    assert account.baseline == {"USDT": D(100_000)}
    assert account.reconciled
    assert world.store.ledger.cash[USDM] == {"USDT": D(100_000)}


def test_a_position_that_stood_there_before_is_not_ours_and_holds() -> None:
    world = World()
    world.boot()
    fact = AccountReported(
        USDM, {"USDT": D(100_000)}, (PositionHeld(LINEAR, D(1), D(60_000)),), (), world.at_ns
    )
    world.give(fact)
    account = world.store.accounts[USDM]
    assert not account.reconciled
    assert account.differences == ("binance:usdm:BTCUSDT: venue 1, ledger 0",)


def test_a_balance_that_moved_by_itself_is_named_and_holds() -> None:
    world = hedged()
    wallet = dict(world.wallets[USDM])
    wallet["USDT"] -= D("0.01")
    world.give(msgspec.structs.replace(world.report(USDM), balances=wallet))
    account = world.store.accounts[USDM]
    assert len(account.differences) == 1
    assert "USDT: venue" in account.differences[0]
    world.tick()
    world.quote(60_000.0, 30.0)
    assert not world.placed()
    world.give(world.report(USDM))
    assert world.store.accounts[USDM].reconciled, "the venue said otherwise the next time"


def test_a_foreign_order_is_none_of_our_business_but_one_with_our_tag_is() -> None:
    world = hedged()
    report = world.report(USDM)
    world.give(msgspec.structs.replace(report, open_orders=(ClientId("somebody-elses"),)))
    assert world.store.accounts[USDM].reconciled
    world.give(msgspec.structs.replace(report, open_orders=(ClientId("bsbtzzzzzzzz1"),)))
    assert not world.store.accounts[USDM].reconciled


def test_a_restart_makes_live_orders_uncertain_asks_and_goes_on() -> None:
    world, orders = sent()
    world.commands.clear()
    reboot(world)
    assert {order.state for order in world.store.orders.values()} == {OrderState.UNCERTAIN}
    assert queries(world) == [order.client_id for order in orders]
    for order in orders:
        fills = world.execute(order, order.qty, order.price)
        world.give(
            *fills,
            OrderReported(
                order.client_id,
                order.instrument,
                "v",
                OrderStatus.FILLED,
                order.side,
                order.qty,
                order.qty,
                world.at_ns,
            ),
        )
    assert world.store.pairs[BTC].state is PairState.HEDGED
    world.answer_accounts()
    assert all(account.reconciled for account in world.store.accounts.values())
    assert views.residual(world.store) == 0


def test_nothing_opens_between_a_restart_and_its_reconciliation() -> None:
    world = World()
    world.boot()
    world.quote(60_000.0, 0.0)
    reboot(world)
    world.quote(60_000.0, 30.0)
    assert not world.placed()
    assert world.store.pairs[BTC].idle == "not_reconciled"
    world.answer_accounts()
    world.quote(60_000.0, 31.0)
    assert world.placed()


def test_an_order_that_never_arrived_dies_only_after_its_window() -> None:
    world, orders = sent()
    reboot(world)
    window_s = world.config.strategy.receive_window_s
    for _ in range(3):
        for client_id in queries(world):
            world.give(OrderNotFound(client_id, world.at_ns))
        assert {order.state for order in world.store.orders.values()} == {OrderState.UNCERTAIN}
        world.tick()
    assert not world.placed(), "what an uncertain order may fill stays reserved"
    for _ in range(int(window_s) + 4):
        for client_id in queries(world):
            world.give(OrderNotFound(client_id, world.at_ns))
        world.tick()
    assert {order.state for order in world.store.orders.values()} == {OrderState.DEAD}
    assert world.store.pairs[BTC].state is PairState.FLAT
    assert len(orders) == 2


def test_an_unanswered_query_is_repeated() -> None:
    world, orders = sent()
    world.give(OrderUncertain(orders[0].client_id, "deadline"))
    assert queries(world) == [orders[0].client_id]
    for _ in range(int(world.config.strategy.reask_s) + 1):
        world.tick()
    assert orders[0].client_id in queries(world)


def test_a_lost_order_channel_leaves_requests_in_flight_unvouched_for() -> None:
    world, orders = sent()
    world.give(ChannelLost(USDM, Channel.ORDERS, "socket"))
    states = {order.instrument: world.store.orders[order.client_id].state for order in orders}
    assert states == {LINEAR: OrderState.UNCERTAIN, SPOT: OrderState.SENT}
    assert len(queries(world)) == 1, "a question does not go by the channel of orders"
    world.give(ChannelLost(USDM, Channel.PRIVATE, "socket"))
    world.tick(11.0)
    assert SPOT not in [world.store.orders[name].instrument for name in queries(world)][1:]
    assert not [name for name in queries(world) if world.store.orders[name].instrument == LINEAR]


def test_a_lost_private_channel_asks_when_it_is_back() -> None:
    world = hedged()
    world.commands.clear()
    world.give(ChannelLost(USDM, Channel.PRIVATE, "socket"))
    world.quote(60_000.0, 30.0)
    assert not world.placed()
    world.give(ChannelOpened(USDM, Channel.PRIVATE))
    assert [one.account for one in world.commands if isinstance(one, QueryAccount)] == [USDM]


def test_accounts_are_compared_from_time_to_time() -> None:
    world = hedged()
    world.commands.clear()
    for _ in range(int(world.config.strategy.reconcile_s) + 2):
        world.tick()
    assert {one.account for one in world.commands if isinstance(one, QueryAccount)} == set(world.wallets)


def test_an_account_that_somebody_else_acts_on_is_compared_within_seconds() -> None:
    world = hedged()

    def asked_for(seconds: int) -> list[AccountId]:
        world.commands.clear()
        for _ in range(seconds):
            world.tick()
        return [one.account for one in world.commands if isinstance(one, QueryAccount)]

    world.give(world.report(USDM))
    assert asked_for(5) == []
    world.give(AccountTouched(USDM, "order theirs of binance:usdm:BTCUSDT", world.at_ns))
    assert asked_for(7) == [USDM]
    world.give(world.report(USDM))
    assert asked_for(15) == []


@pytest.mark.parametrize(
    ("runs", "mode"),
    [
        (("bug",), Mode.REDUCE_ONLY),
        (("bug", "bug"), Mode.REDUCE_ONLY),
        (("bug", "bug", "bug"), Mode.HALTED),
        (("clean", "clean", "bug"), Mode.REDUCE_ONLY),
        (("bug", "clean", "crash", "bug"), Mode.REDUCE_ONLY),
        (("bug", "clean", "bug", "crash", "bug"), Mode.HALTED),
    ],
)
def test_bugs_bind_the_next_run_and_nothing_else_counts(runs: tuple[str, ...], mode: Mode) -> None:
    world = World()
    world.boot()
    for previous in runs:
        reboot(world, previous)
    assert world.store.mode is mode


def test_bugs_of_more_than_ten_minutes_ago_count_no_more() -> None:
    world = World()
    world.boot()
    for _ in range(3):
        world.at_ns += 301_000_000_000
        reboot(world, "bug")
    assert world.store.mode is Mode.REDUCE_ONLY


def test_a_pair_that_left_the_settings_stays_known_and_may_not_change_its_legs() -> None:
    world = hedged()
    other = make_config()
    gone = msgspec.structs.replace(other, pairs=())
    world.give(Booted("0run0001", "0", gone, "clean"), *reopened(world))
    assert not world.store.pairs[BTC].in_config
    world.answer_accounts()
    world.quote(60_000.0, 40.0)
    assert world.store.pairs[BTC].idle != "trading"
    swapped = msgspec.structs.replace(other, pairs=(PairSpec(BTC, LINEAR, SPOT, D(1)),))
    with pytest.raises(BrokenInvariant, match="legs changed"):
        world.give(Booted("0run0002", "0", swapped, "clean"))


def test_a_difference_stands_until_the_account_agrees() -> None:
    world = hedged()
    alerts = []
    for short_of in (1, 1, 2, 0, 2):
        report = world.report(USDM)
        balances = {"USDT": report.balances["USDT"] - short_of}
        world.give(msgspec.structs.replace(report, balances=balances))
        alerts.append([one.text for one in world.commands if isinstance(one, RaiseAlert)])
        world.commands = []
    assert [len(told) for told in alerts] == [1, 0, 0, 1, 1]
    assert "binance:usdm is not what the ledger expects" in alerts[0][0]
    assert "is what the ledger expects again" in alerts[3][0]
    assert "binance:usdm is not what the ledger expects" in alerts[4][0]


def test_silent_market_data_keeps_no_order_in_doubt() -> None:
    world, (_, short) = sent()
    queries(world)
    world.give(OrderUncertain(short.client_id, "?"), ChannelLost(USDM, Channel.MARKET, "closed"))
    assert queries(world) == [short.client_id]


def test_not_found_counts_later_where_no_stream_would_have_told_of_a_fill() -> None:
    world, (_, short) = sent()
    world.give(OrderUncertain(short.client_id, "?"))
    world.give(ChannelLost(USDM, Channel.PRIVATE, "closed"))
    after_s = world.config.strategy.receive_window_s + UNHEARD_NS / 1e9
    for _ in range(3):
        world.give(OrderNotFound(short.client_id, world.at_ns), after_s=after_s / 4)
    assert world.store.orders[short.client_id].state is OrderState.UNCERTAIN
    queries(world)
    for _ in range(3):
        world.give(OrderNotFound(short.client_id, world.at_ns), after_s=after_s / 4)
    assert world.store.orders[short.client_id].state is OrderState.DEAD


def test_not_found_counts_at_once_when_the_stream_is_back() -> None:
    world, (_, short) = sent()
    world.give(OrderUncertain(short.client_id, "?"))
    world.give(ChannelLost(USDM, Channel.PRIVATE, "closed"))
    queries(world)
    world.give(*reopened(world))
    assert short.client_id in queries(world)
    for _ in range(2):
        world.give(OrderNotFound(short.client_id, world.at_ns + 10 * 10**9), after_s=10.0)
    assert world.store.orders[short.client_id].state is OrderState.DEAD


def test_a_report_of_another_order_under_our_id_halts_everything() -> None:
    world, orders = sent()
    order = orders[0]
    world.give(
        OrderReported(
            order.client_id,
            order.instrument,
            "v",
            OrderStatus.OPEN,
            order.side,
            order.qty * 2,
            D(0),
            world.at_ns,
        )
    )
    assert world.store.mode is Mode.HALTED
    assert world.store.orders[order.client_id].state is OrderState.SENT, "it says nothing of ours"
    assert [one.text for one in world.commands if isinstance(one, RaiseAlert)] == [
        f"halted: order {order.client_id}: the venue reports another order under this id"
    ]


def test_an_order_that_the_venue_still_holds_open_is_a_difference_though_we_think_it_ended() -> None:
    world = hedged()
    ended = next(iter(world.store.orders))
    world.give(msgspec.structs.replace(world.report(USDM), open_orders=(ended,)))
    assert world.store.accounts[USDM].differences == (f"order {ended}: open at the venue, ended here",)
    assert world.store.mode is Mode.ACTIVE


def test_not_found_is_judged_by_the_clock_of_the_venue() -> None:
    """The venue is three seconds ahead: what it says at its time was said three seconds earlier by ours."""
    world, (_, short) = sent()
    world.give(Tick({}, {USDM: 3_000_000_000}))
    window_s = world.config.strategy.receive_window_s
    world.give(OrderUncertain(short.client_id, "?"))
    last_ns = world.store.orders[short.client_id].sent_ns + 3_000_000_000 + int(window_s * 1e9)
    for _ in range(3):
        world.give(OrderNotFound(short.client_id, last_ns))
    assert world.store.orders[short.client_id].state is OrderState.UNCERTAIN, "it could still arrive"
    world.give(OrderNotFound(short.client_id, last_ns + 1_000_000_000))
    assert world.store.orders[short.client_id].state is OrderState.DEAD
