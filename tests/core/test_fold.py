"""The rest of the fold: what is counted, what is forgotten, and what concerns nobody."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bot.core import fold
from bot.core.pairs import settle
from bot.core.step import step
from bot.model.commands import (
    CancelOrder,
    LegUnwound,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMode,
)
from bot.model.entry import Entry
from bot.model.facts import (
    BookGapped,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    FeedEnded,
    ForcedFilled,
    ModeOrdered,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderUncertain,
    PositionSeen,
    ProtocolDrift,
    RateSeen,
    Tick,
)
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.instrument import Position, Side
from bot.model.pair import Mode, PairState, Purpose, Role
from bot.model.store import OrderState, Store
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, make_config

D = Decimal
USDM = AccountId("binance:usdm")
HOUR_NS = 3_600 * 10**9


def sent(**changes: Any) -> tuple[World, list[PlaceOrder]]:
    world = World(make_config(capital=10_000, **changes))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    return world, world.placed()


def test_before_a_boot_there_is_nothing_to_decide() -> None:
    store = Store()
    assert step(store, 1, (RateSeen("USDT", "USD", D(1), 1),)) == ()
    assert store.now_ns == 1


def test_what_a_venue_says_in_words_unknown_is_counted() -> None:
    world = hedged()
    for _ in range(3):
        world.give(ProtocolDrift(USDM, "orders", "new event"))
    assert world.store.drift == {"binance:usdm orders": 3}


@pytest.mark.parametrize(
    "fact",
    [
        OrderAccepted(ClientId("nobody"), "v", 1),
        OrderFilled(ClientId("nobody"), LINEAR, "1", "v", Side.BUY, D(1), D(1), D(0), "USDT", False, 1),
    ],
)
def test_an_order_that_is_not_ours_is_counted_and_moves_nothing(fact: OrderAccepted | OrderFilled) -> None:
    world = hedged()
    before = msgspec.structs.replace(world.store.ledger.total)
    world.give(fact)
    assert world.store.drift == {f"orders {type(fact).__name__} of an unknown order": 1}
    assert world.store.ledger.total == before


def test_ended_orders_and_old_trades_are_forgotten() -> None:
    world = hedged()
    assert world.store.orders
    assert world.store.trades
    world.at_ns += 2 * HOUR_NS
    world.tick()
    assert not world.store.orders
    assert world.store.trades, "the dedup horizon is longer"
    world.at_ns += 50 * HOUR_NS
    world.tick()
    assert world.store.trades, "nobody has heard of the accounts since"
    world.give(*[world.report(account) for account in world.wallets])
    world.tick()
    assert not world.store.trades


def test_a_payment_told_again_after_days_without_the_account_is_booked_once() -> None:
    world = hedged()
    account = AccountId("binance:usdm")
    payment = world.pay_funding(D("0.0001"), D(60_000), 1)
    world.give(*payment)
    world.give(world.report(account))
    cash = dict(world.store.ledger.cash[account])
    world.give(ChannelLost(account, Channel.PRIVATE, "no network"))
    world.give(Tick({}, {}), after_s=50 * 3600)
    world.give(ChannelOpened(account, Channel.PRIVATE))
    world.give(payment[0])  # it lies in what is asked for again
    assert world.store.ledger.cash[account] == cash


def test_a_tick_of_instruments_and_accounts_not_known_is_harmless() -> None:
    world = hedged()
    before = world.store.markets[LINEAR].heard_ns
    world.give(Tick({InstrumentId("binance:usdm:ETHUSDT"): 5}, {AccountId("other:spot"): 5, USDM: 7}))
    assert world.store.markets[LINEAR].heard_ns == before
    assert world.store.accounts[USDM].offset_ns == 7


def test_an_ended_feed_trades_no_more() -> None:
    world = hedged()
    world.give(FeedEnded("binance:usdm"))
    world.quote(60_000.0, -20.0)
    assert not world.placed()
    assert world.store.pairs[BTC].idle == "feed_ended"


def test_a_lost_market_channel_holds_and_touches_no_order() -> None:
    world, orders = sent()
    world.give(ChannelLost(USDM, Channel.MARKET, "socket"))
    assert {one.state for one in world.store.orders.values()} == {OrderState.SENT}
    world.give(*[fact for order in orders for fact in world.fill(order, D(0))])
    world.quote(60_000.0, 30.0)
    assert not world.placed()
    world.give(ChannelOpened(USDM, Channel.MARKET), ChannelOpened(AccountId("other:spot"), Channel.MARKET))
    world.quote(60_000.0, 31.0, after_s=1.5)
    assert world.placed()


def test_a_lost_private_channel_asks_for_what_lives() -> None:
    world, orders = sent()
    short = next(order for order in orders if order.role is Role.SHORT)
    world.give(OrderAccepted(short.client_id, "v", world.at_ns))
    world.give(ChannelLost(USDM, Channel.PRIVATE, "socket"))
    assert world.store.orders[short.client_id].state is OrderState.OPEN
    assert short.client_id in [one.client_id for one in world.commands if isinstance(one, QueryOrder)]


def test_modes_are_set_for_a_pair_for_all_and_for_nobody() -> None:
    world = hedged()
    world.give(ModeOrdered("BTC", Mode.PAUSED, "kay", "looking"))
    assert (world.store.pairs[BTC].mode, world.store.pairs[BTC].mode_reason) == (Mode.PAUSED, "kay: looking")
    world.give(ModeOrdered("nobody", Mode.HALTED, "kay", "typo"))
    assert world.store.mode is Mode.ACTIVE
    world.give(ModeOrdered("BTC", Mode.ACTIVE, "kay", "go on"))
    assert world.store.pairs[BTC].mode is Mode.ACTIVE


def test_a_limit_passed_by_price_binds_the_pair_within_one_step() -> None:
    world = hedged(limits={"pair_notional_max_quote": D(10_500)})
    world.tick()
    world.quote(66_000.0, 20.0)
    pair = world.store.pairs[BTC]
    assert pair.mode is Mode.REDUCE_ONLY
    assert any(isinstance(one, RaiseAlert) and one.severity == "critical" for one in world.commands)
    world.quote(66_000.0, 40.0)
    assert not world.placed()
    world.tick()
    world.quote(66_000.0, -20.0)
    assert len(world.placed()) == 2, "leaving is not opening"


def test_halted_while_naked_is_said_once() -> None:
    world, orders = sent()
    long = next(order for order in orders if order.role is Role.LONG)
    short = next(order for order in orders if order.role is Role.SHORT)
    world.give(ModeOrdered("*", Mode.HALTED, "kay", "stop"))
    world.give(*world.fill(long), *world.fill(short, D(0)))
    for _ in range(6):
        world.tick()
        world.quote(60_000.0, 0.0)
    assert not world.placed()
    said = [one for one in world.commands if isinstance(one, RaiseAlert) and one.key == "naked_halted:BTC"]
    assert len(said) == 1


@pytest.mark.parametrize("cause", ["adl", "settlement"])
def test_the_spot_leg_of_a_contract_that_is_gone_is_sold_at_once_though_its_book_is_gone_too(
    cause: str,
) -> None:
    world = hedged()
    held = world.store.pairs[BTC].short.position
    spot = world.store.pairs[BTC].long.position.qty
    world.placed()
    world.give(
        BookGapped(LINEAR, 2, 3, world.at_ns),
        ForcedFilled(LINEAR, "f", Side.BUY, -held.qty, D(60_000), D(0), "USDT", cause, world.at_ns),
    )
    (order,) = world.placed()
    assert (order.instrument, order.side, order.purpose) == (SPOT, Side.SELL, Purpose.REPAIR)
    assert abs(order.qty - spot) < D("0.001")
    assert order.price >= D(60_000) * (1 - D("0.0003"))  # within the slippage that is allowed


def test_a_forced_fill_of_a_paused_pair_is_told_and_leaves_the_mode() -> None:
    world = hedged()
    world.give(ModeOrdered("BTC", Mode.PAUSED, "kay", "looking"))
    world.commands.clear()
    held = world.positions[LINEAR]
    fact = ForcedFilled(LINEAR, "adl", Side.BUY, -held.qty, D(60_000), D(0), "USDT", "adl", world.at_ns)
    world.give(fact, PositionSeen(LINEAR, D(0), D(0), world.at_ns))
    assert not [one for one in world.commands if isinstance(one, SetMode) and one.mode is Mode.PAUSED]
    assert [one for one in world.commands if isinstance(one, RaiseAlert) and one.key == "forced:adl"]


def test_resting_orders_of_a_legged_pair_are_withdrawn() -> None:
    world, orders = sent(limits={"net_delta_max_quote": D(20_000)})
    long = next(order for order in orders if order.role is Role.LONG)
    short = next(order for order in orders if order.role is Role.SHORT)
    world.give(*world.fill(long), OrderAccepted(short.client_id, "v", world.at_ns))
    for _ in range(4):
        world.tick()
    assert world.store.pairs[BTC].state is PairState.LEGGED
    (cancel,) = [one for one in world.commands if isinstance(one, CancelOrder)]
    assert cancel.client_id == short.client_id
    assert world.store.orders[short.client_id].state is OrderState.CANCELING
    world.give(OrderCanceled(short.client_id, world.at_ns))
    (repair,) = world.placed()
    assert repair.purpose is Purpose.REPAIR


def test_a_missing_leg_that_cannot_be_seen_is_given_up_by_the_other() -> None:
    world, orders = sent()
    long = next(order for order in orders if order.role is Role.LONG)
    short = next(order for order in orders if order.role is Role.SHORT)
    world.give(*world.fill(long), OrderUncertain(short.client_id, "deadline"))
    world.give(BookGapped(LINEAR, 1, 2, world.at_ns))
    world.give(OrderExpired(short.client_id, "IOC", world.at_ns))
    (order,) = world.placed()
    assert (order.role, order.side) == (Role.LONG, Side.SELL)
    assert isinstance(order.why, LegUnwound)


def test_with_both_books_unknown_nothing_is_repaired_until_one_is_back() -> None:
    world, orders = sent()
    long = next(order for order in orders if order.role is Role.LONG)
    short = next(order for order in orders if order.role is Role.SHORT)
    world.give(BookGapped(LINEAR, 1, 2, world.at_ns), BookGapped(SPOT, 1, 2, world.at_ns))
    world.give(*world.fill(long), *world.fill(short, D(0)))
    assert not world.placed()
    pair = world.store.pairs[BTC]
    assert (pair.idle, pair.idle_value) == ("venue_down", f"gap {LINEAR}")
    world.quote(60_000.0, 20.0)
    assert len(world.placed()) == 1


def test_repairs_pause_between_attempts() -> None:
    world, orders = sent()
    long = next(order for order in orders if order.role is Role.LONG)
    short = next(order for order in orders if order.role is Role.SHORT)
    world.give(*world.fill(long), *world.fill(short, D(0)))
    (first,) = world.placed()
    world.give(*world.fill(first, D(0)), after_s=0.01)
    assert not world.placed()
    assert world.store.pairs[BTC].idle == "repair_pause"
    world.quote(60_000.0, 20.0, after_s=0.3)
    assert len(world.placed()) == 1


def test_a_sequenced_exit_buys_the_contract_back_first() -> None:
    world = World(
        make_config(
            capital=10_000, strategy={"leg_policy": "sequenced"}, limits={"net_delta_max_quote": D(20_000)}
        )
    )
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    assert world.store.pairs[BTC].state is PairState.HEDGED
    world.tick()
    world.quote(60_000.0, -20.0)
    (order,) = world.placed()
    assert (order.role, order.side, order.purpose) == (Role.SHORT, Side.BUY, Purpose.EXIT)
    world.give(*world.fill(order))
    (order,) = world.placed()
    assert (order.role, order.side) == (Role.LONG, Side.SELL)
    world.give(*world.fill(order))
    assert world.store.pairs[BTC].state is PairState.FLAT


def test_a_flattening_pair_takes_the_next_clip_whatever_the_signal() -> None:
    world = World(make_config(capital=40_000, strategy={"clip_interval_s": 0.0}))
    world.boot()
    world.quote(60_000.0, 0.0)
    for _ in range(6):
        world.quote(60_000.0, 20.0)
        world.fill_all()
    world.give(ModeOrdered("BTC", Mode.FLATTENING, "kay", "out"))
    for _ in range(12):
        world.tick()
        world.quote(60_000.0, 20.0)
        world.fill_all()
    assert world.store.pairs[BTC].state is PairState.FLAT
    assert world.store.pairs[BTC].mode is Mode.HALTED


@pytest.mark.parametrize(("size", "sold"), [(0.02, [D("0.02"), D("0.02")]), (0.00001, [])])
def test_an_exit_takes_what_the_book_holds(size: float, sold: list[Decimal]) -> None:
    world = hedged()
    world.tick()
    world.give(
        *[msgspec.structs.replace(one, bids=((one.bids[0][0], size),)) for one in world.books(60_000.0, 0.0)]
    )
    world.at_ns += 10**9
    world.give(ModeOrdered("BTC", Mode.FLATTENING, "kay", "out"))
    assert [order.qty for order in world.placed()] == sold
    assert world.store.pairs[BTC].idle == ("trading" if sold else "venue_down")


def test_a_pair_of_unlisted_instruments_is_left_alone() -> None:
    world = World()
    store = Store()
    world.store = store
    world.instruments = world.instruments[:1]
    world.boot()
    settle(store, store.pairs[BTC], world.at_ns)
    assert store.pairs[BTC].state is PairState.FLAT


def test_only_the_first_listing_is_new() -> None:
    world = hedged()
    world.boot()
    assert world.store.markets[LINEAR].bids, "listed anew, its book is still known"


def test_queries_do_not_cross_orders_in_flight() -> None:
    world, orders = sent()
    world.at_ns += int(world.config.strategy.reconcile_s * 1e9) + 1
    world.commands.clear()
    world.give(Tick({}, {}))
    assert not [one for one in world.commands if isinstance(one, QueryAccount)]
    assert len(orders) == 2


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
def test_folding_a_journal_row_by_row_is_the_store_at_every_row(short: InstrumentId) -> None:
    world = hedged(short)
    world.tick()
    world.quote(60_000.0, -20.0)
    world.fill_all()
    store = Store()
    for row in world.rows:
        fold.refold(store, Entry(row.seq, row.at_ns, row.facts, row.commands))
    assert store == world.store
    assert isinstance(world.rows[-1].facts[0], OrderAccepted | BookSeen)


def test_a_leg_that_was_turned_the_wrong_way_is_brought_back() -> None:
    """Forced out and filled once more: the short leg stands long, and nothing is left of the long one."""
    world = hedged()
    world.tick()
    world.quote(60_000.0, -20.0)
    orders = {order.role: order for order in world.placed()}
    held = world.positions[LINEAR]
    world.positions[LINEAR] = Position()
    fact = ForcedFilled(LINEAR, "adl", Side.BUY, -held.qty, D(60_000), D(0), "USDT", "adl", world.at_ns)
    world.give(fact, PositionSeen(LINEAR, D(0), D(0), world.at_ns))
    world.give(*world.fill(orders[Role.LONG]), *world.fill(orders[Role.SHORT]))
    assert world.store.pairs[BTC].short.position.qty > 0
    world.quote(60_000.0, -20.0)
    (order,) = world.placed()
    assert (order.role, order.side, order.reduce_only) == (Role.SHORT, Side.SELL, True)
    world.give(*world.fill(order))
    assert world.store.pairs[BTC].state is PairState.FLAT


def test_a_book_that_is_silent_is_stale_although_its_feed_is_heard() -> None:
    world = World()
    world.boot()
    world.quote(60_000.0, 0.0)
    strategy, limits = world.config.strategy, world.config.limits
    for _ in range(int(strategy.heartbeat_s + limits.feed_age_max_s) + 2):
        world.tick()
    assert world.store.pairs[BTC].idle == "stale_feed"
