"""The rehearsal venue as one machine: orders, facts, time, levers."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from adapters.errors import FeedError
from adapters.rehearsal.catalog import Catalog
from adapters.rehearsal.looped import REST_NS
from adapters.rehearsal.world import World
from bot.model.commands import TimeInForce
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    ForcedFilled,
    FundingPaid,
    FundingSettled,
    InstrumentStatusSeen,
    MarginCalled,
    OrderAccepted,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    PositionSeen,
    Transferred,
    VenueReset,
)
from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.money import exact_arithmetic
from tests.adapters.rehearsal.build import (
    INVERSE,
    LINEAR,
    NOW_NS,
    SPOT,
    D,
    HandClock,
    Row,
    S,
    depth,
    mark,
    order,
    play,
    scene,
    snapshot,
    trade,
    world,
)
from tests.virtual.loop import run_virtual


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def venue(clock: HandClock) -> World:
    return world(clock=clock)


def heard(venue: World) -> list[AnyFact]:
    facts: list[AnyFact] = []
    venue.subscribe(facts.append)
    return facts


def test_books_and_marks_are_known_before_anybody_comes(venue: World) -> None:
    for name in (SPOT, LINEAR, INVERSE):
        assert venue.stages[name.split(":")[1]].channels[name].touch() == (60_000.0, 60_001.0)
    assert venue.stages["usdm"].tapes["BTCUSDT"].mark is not None


def test_an_order_is_answered_with_its_facts_and_listeners_hear_the_same(venue: World) -> None:
    facts = heard(venue)
    told = venue.arrive(order(LINEAR, Side.BUY, "0.5", "60001"))
    assert [type(fact) for fact in told] == [OrderAccepted, OrderFilled, BalanceSeen, PositionSeen]
    assert facts == told
    (placed,) = venue.orders.values()
    assert (placed.status, placed.filled) == (OrderStatus.FILLED, D("0.5"))
    assert placed.placed_ns == placed.changed_ns == NOW_NS


def test_nobody_hears_after_leaving(venue: World) -> None:
    facts: list[AnyFact] = []
    leave = venue.subscribe(facts.append)
    leave()
    venue.arrive(order(SPOT, Side.BUY, "0.1", "60001"))
    assert facts == []


def test_realised_profit_stands_beside_each_execution(venue: World, clock: HandClock) -> None:
    for name, qty in ((LINEAR, "0.5"), (INVERSE, "100")):
        venue.arrive(order(name, Side.BUY, qty, "60001", name=f"in{name}"))
        venue.arrive(order(name, Side.SELL, qty, "60000", name=f"out{name}"))
    opened, closed = venue.records.executions[venue.account("usdm")]
    assert opened.realised == 0
    assert closed.realised == D("-0.5")
    opened, closed = venue.records.executions[venue.account("coinm")]
    assert opened.realised == 0
    with exact_arithmetic():
        wallet = venue.wallets.balance(venue.account("coinm"), "BTC")
        assert wallet == D(2) + closed.realised - opened.fill.fee - closed.fill.fee
    assert closed.realised < 0


def test_a_resting_order_is_filled_when_somebody_trades_at_its_price(clock: HandClock) -> None:
    bought = trade("spot", 8_100, 78, 60_001.0, "9")
    bought[3]["m"] = False
    rows = sorted([*scene(20), bought], key=lambda row: row[0])
    venue = world(rows, clock)
    told = venue.arrive(order(SPOT, Side.SELL, "0.1", "60001", TimeInForce.GTC, "maker"))
    assert [type(fact) for fact in told] == [OrderAccepted]
    facts = heard(venue)
    play(venue, clock, 2)
    assert facts == []
    play(venue, clock, 3)
    (fill,) = [fact for fact in facts if isinstance(fact, OrderFilled)]
    assert (fill.price, fill.qty, fill.maker) == (D(60_001), D("0.1"), True)
    assert venue.orders[ClientId("maker")].changed_ns == NOW_NS + 3 * S


def test_due_actions_happen_in_order_of_time(clock: HandClock) -> None:
    rows = sorted([*scene(30), mark("usdm", 5_100, 60_000.5, next_ms=12_100)], key=lambda row: row[0])
    venue = world(rows, clock)
    facts = heard(venue)
    venue.arrive(order(LINEAR, Side.BUY, "1", "60001"))
    facts.clear()
    play(venue, clock, 20)
    kinds = [type(fact) for fact in facts]
    assert kinds == [FundingPaid, BalanceSeen, FundingSettled]
    (paid,) = [fact for fact in facts if isinstance(fact, FundingPaid)]
    assert paid.amount == D("-6.00005")
    assert venue.records.payments[venue.account("usdm")] == [paid]
    # the first frame, at 100 ms, was due five seconds before the clock
    assert paid.venue_ns == NOW_NS + 7 * S


def test_the_rate_before_the_first_settlement_is_the_running_one(clock: HandClock) -> None:
    venue = world(clock=clock)
    (before,) = venue.records.settled[LINEAR]
    assert (before.rate, before.mark) == (D("0.0001"), D("60000.5"))
    assert before.settled_ns < NOW_NS


def test_a_pass_ends_with_a_cut_and_the_book_is_right_again(clock: HandClock) -> None:
    venue = world(scene(10), clock)
    ends: list[tuple[int, str]] = []
    venue.stages["spot"].broadcast.opened(lambda code, reason: ends.append((code, reason)))
    first = venue.stages["spot"].channels[SPOT].update_id
    play(venue, clock, 6 + REST_NS / S)
    assert [code for code, _ in ends] == [1001]
    play(venue, clock, 3)
    channel = venue.stages["spot"].channels[SPOT]
    assert channel.touch() == (60_000.0, 60_001.0)
    assert channel.update_id > first + 1_000
    assert channel.gaps == 0


def test_equal_worlds_tell_equal_facts() -> None:
    told = []
    for _ in range(2):
        clock = HandClock()
        venue = world(clock=clock)
        facts = heard(venue)
        play(venue, clock, 3)
        venue.arrive(order(INVERSE, Side.SELL, "50", "60000"))
        play(venue, clock, 30)
        told.append(facts)
    assert told[0] == told[1]
    assert told[0]


def test_it_plays_on_the_loop_s_own_time() -> None:
    async def run() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()

        class LoopClock:
            def now_ns(self) -> int:
                return NOW_NS + round((loop.time() - began_s) * S)

        venue = world(scene(40), LoopClock())
        task = asyncio.create_task(venue.play())
        await asyncio.sleep(20)
        task.cancel()
        return venue.stages["usdm"].channels[LINEAR].update_id, loop.time() - began_s

    update_id, passed_s = run_virtual(run())
    assert passed_s == pytest.approx(20)
    assert update_id == 1240  # five seconds of the recording were over at the start


# --- levers -----------------------------------------------------------------------------------------------


def test_adl_takes_a_position_away_at_the_mark(venue: World) -> None:
    venue.arrive(order(LINEAR, Side.SELL, "1", "60000"))
    facts = heard(venue)
    assert venue.adl(LINEAR, D("0.4"))
    forced = facts[0]
    assert isinstance(forced, ForcedFilled)
    assert (forced.side, forced.qty, forced.price, forced.cause) == (Side.BUY, D("0.4"), D("60000.5"), "adl")
    assert [type(fact) for fact in facts[1:]] == [BalanceSeen, PositionSeen]
    assert venue.wallets.position(LINEAR).qty == D("-0.6")
    assert venue.adl(LINEAR)
    assert venue.wallets.position(LINEAR).qty == 0
    assert not venue.adl(LINEAR)


def test_a_contract_that_is_delivered_trades_no_more(venue: World) -> None:
    venue.arrive(order(LINEAR, Side.SELL, "1", "60000"))
    assert venue.deliver(LINEAR)
    assert venue.wallets.position(LINEAR).qty == 0
    (refused,) = venue.arrive(order(LINEAR, Side.SELL, "1", "60000", name="late"))
    assert isinstance(refused, OrderRejected)
    assert refused.code == "-4108"
    assert not venue.liquidate(LINEAR)


def test_a_symbol_that_is_halted_refuses_orders_until_it_trades_again(venue: World) -> None:
    facts = heard(venue)
    venue.set_status(SPOT, "HALT")
    assert facts == [InstrumentStatusSeen(SPOT, "HALT", NOW_NS)]
    (refused,) = venue.arrive(order(SPOT, Side.BUY, "0.1", "60001", name="halted"))
    assert isinstance(refused, OrderRejected)
    assert refused.code == "-1013"
    venue.set_status(SPOT, "TRADING")
    assert isinstance(venue.arrive(order(SPOT, Side.BUY, "0.1", "60001"))[0], OrderAccepted)


def test_a_funding_flip_changes_the_sign_of_what_is_paid(venue: World) -> None:
    venue.arrive(order(LINEAR, Side.SELL, "1", "60000"))
    facts = heard(venue)
    venue.settle_funding_now(LINEAR)
    venue.funding_flip()
    venue.settle_funding_now(LINEAR)
    amounts = [fact.amount for fact in facts if isinstance(fact, FundingPaid)]
    assert amounts == [D("6.00005"), D("-6.00005")]
    rates = [fact.rate for fact in facts if isinstance(fact, FundingSettled)]
    assert rates == [D("0.0001"), D("-0.0001")]


def test_money_moved_by_others_is_told_and_kept(venue: World) -> None:
    facts = heard(venue)
    account = venue.account("spot")
    venue.change_balance(account, "USDT", Decimal("-250.5"))
    moved, seen = facts
    assert isinstance(moved, Transferred)
    assert (moved.asset, moved.amount) == ("USDT", D("-250.5"))
    assert seen == BalanceSeen(account, "USDT", D("99749.5"), NOW_NS)
    assert venue.records.payments[account] == [moved]


def test_a_transfer_is_not_taken_for_profit(venue: World) -> None:
    account = venue.account("usdm")
    venue.arrive(order(LINEAR, Side.BUY, "0.1", "60001", name="first"))
    venue.change_balance(account, "USDT", D(1000))
    venue.arrive(order(LINEAR, Side.BUY, "0.1", "60001", name="second"))
    assert [one.realised for one in venue.records.executions[account]] == [D(0), D(0)]


def test_a_reset_account_has_its_first_balances_and_no_past(venue: World) -> None:
    account = venue.account("usdm")
    venue.arrive(order(LINEAR, Side.BUY, "0.1", "60001"))
    venue.arrive(order(LINEAR, Side.BUY, "0.1", "59990", TimeInForce.GTC, "resting"))
    venue.arrive(order(SPOT, Side.BUY, "0.1", "60001", name="other"))
    facts = heard(venue)
    venue.reset_account(account)
    assert facts == [VenueReset(account, "the account was reset", NOW_NS)]
    assert venue.wallets.balance(account, "USDT") == D(50_000)
    assert venue.wallets.position(LINEAR).qty == 0
    assert list(venue.orders) == ["other"]
    assert account not in venue.records.executions
    told = venue.arrive(order(LINEAR, Side.BUY, "0.1", "60001"))
    accepted = told[0]
    assert isinstance(accepted, OrderAccepted)
    assert accepted.venue_order_id == "4"  # ids are not given twice
    (execution,) = venue.records.executions[account]
    assert execution.realised == 0


def test_thin_books_fill_in_part(venue: World) -> None:
    venue.thin(D("0.1"))
    told = venue.arrive(order(SPOT, Side.BUY, "1", "60001"))
    (fill,) = [fact for fact in told if isinstance(fact, OrderFilled)]
    assert fill.qty == D("0.5")
    assert isinstance(told[-1], OrderExpired)


def test_a_margin_call_changes_nothing(venue: World) -> None:
    before = dict(venue.wallets.balances[venue.account("usdm")])
    facts = heard(venue)
    venue.margin_call(venue.account("usdm"))
    assert [type(fact) for fact in facts] == [MarginCalled]
    assert venue.wallets.balances[venue.account("usdm")] == before


def test_maintenance_closes_market_sockets(venue: World) -> None:
    ends: list[int] = []
    venue.stages["coinm"].broadcast.opened(lambda code, _: ends.append(code))
    venue.maintenance(on=True)
    assert (venue.maintained, ends) == (True, [1001])
    venue.maintenance(on=False)
    assert not venue.maintained


def test_a_skewed_clock_is_skewed_in_all_that_is_written(venue: World, clock: HandClock) -> None:
    venue.skew(-2 * S)
    assert venue.wire_ms(NOW_NS) == NOW_NS // 1_000_000 - 2000
    frames: list[bytes] = []
    venue.stages["usdm"].broadcast.follow("btcusdt@markPrice", frames.append)
    play(venue, clock, 1)
    assert b'"E":%d' % ((NOW_NS + S) // 1_000_000 - 2000) in frames[0]
    # the venue's own time is not: its settlements stay where they were
    assert venue.due_ns() > NOW_NS


def test_what_is_not_described_is_not_traded(clock: HandClock) -> None:
    rows: list[Row] = [snapshot("spot", 100, 1000, 60_000.0), depth("spot", 200, 1001, 1001, 60_000.0)]
    venue = world(rows, clock)
    assert list(venue.instruments) == [SPOT]
    assert venue.stages["usdm"].tapes == {}


def test_a_description_that_is_none_is_refused() -> None:
    for data in (b"<html>", b"[]", b'{"symbols":[{}]}', b'{"exchangeInfo":null}'):
        with pytest.raises(FeedError, match=r"typed\.json"):
            Catalog([("typed.json", data)])
