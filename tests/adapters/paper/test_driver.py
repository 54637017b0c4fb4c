"""Virtual time: order of events, stopping, range, end, lost memory."""

from __future__ import annotations

import asyncio

import pytest

from adapters.errors import FeedError, FrameError
from adapters.paper.agenda import NEVER_NS
from adapters.paper.funding_table import FundingRow, FundingTable
from adapters.paper.gateway import PaperGateway
from bot.model.commands import CancelOrder, QueryAccount, QueryOrder, TimeInForce
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BalanceSeen,
    Channel,
    ChannelOpened,
    FeedEnded,
    FundingPaid,
    FundingSettled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderReported,
    OrderStatus,
    ProtocolDrift,
)
from bot.model.ids import AccountId
from bot.model.instrument import Side
from tests.adapters.paper.build import LINEAR, SPOT, T0, D, Floor, S, make_config, order

MS = 1_000_000
MARK = ProtocolDrift(AccountId("test"), "frame", "told by a frame")
DELAY = 10 * MS  # there and back, by default


def told(facts: list[AnyFact]) -> list[AnyFact]:
    return [fact for fact in facts if not isinstance(fact, ChannelOpened)]


def talking(times_ns: list[int], bounds_ns: tuple[int, int] | None = None) -> Floor:
    """A floor whose every frame tells a fact."""
    frames = [(at_ns, 0, b"tell") for at_ns in times_ns]
    floor = Floor(frames=frames) if bounds_ns is None else Floor(frames=frames, bounds_ns=bounds_ns)
    floor.market.script[b"tell"] = lambda: floor.outlet.tell(MARK)
    return floor


def test_the_first_facts_open_every_channel() -> None:
    floor = Floor()
    reached = floor.timeline.advance(T0, floor.facts.append, stop=True)
    assert reached == T0
    assert floor.facts == [
        ChannelOpened(AccountId(account), channel)
        for account in ("binance:spot", "binance:usdm", "binance:coinm")
        for channel in Channel
    ]
    assert floor.timeline.advance(T0 + S, floor.facts.append, stop=True) == T0 + S


def test_an_order_meets_the_book_received_when_its_answer_is_seen() -> None:
    for frame_ns, price in ((T0 + S + DELAY, D(59_000)), (T0 + S + DELAY + 1, D("60000.01"))):
        floor = Floor(frames=[(T0, 0, b""), (frame_ns, 0, b"fall"), (T0 + 9 * S, 0, b"")])
        floor.market.script[b"fall"] = lambda book=floor.books[SPOT.id]: book.show(
            [(58_999.0, 1.0)], [(59_000.0, 1.0)]
        )
        floor.run(1.0)
        facts = floor.send(order(SPOT, Side.BUY, "0.5", "60001"))
        (fill,) = [fact for fact in facts if isinstance(fact, OrderFilled)]
        assert fill.price == price
        assert fill.venue_ns == T0 + S + 5 * MS


def test_advance_stops_at_the_first_instant_with_a_fact_and_plays_it_whole() -> None:
    floor = talking([T0, T0, T0 + 1, T0 + 5])
    seen: list[AnyFact] = []
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) == T0
    assert told(seen) == [MARK, MARK]
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) == T0 + 1
    assert floor.timeline.advance(T0 + 4, seen.append, stop=True) == T0 + 4
    assert len(told(seen)) == 3
    assert floor.timeline.advance(T0 + S, seen.append, stop=False) == T0 + S
    assert told(seen)[3:] == [MARK, FeedEnded("binance:test")]
    assert floor.timeline.advance(T0 + 2 * S, seen.append, stop=True) is None


def test_a_frame_is_played_before_the_venue_acts_at_the_same_instant() -> None:
    floor = talking([T0, T0 + DELAY, T0 + 9 * S])
    floor.run(0)
    floor.timeline.submit(order(SPOT, Side.BUY, "0.5", "50000", TimeInForce.GTC), T0)
    facts = floor.run(1)
    assert [type(fact) for fact in facts] == [ProtocolDrift, OrderAccepted]


def test_commands_of_one_instant_arrive_in_the_order_sent() -> None:
    floor = Floor()
    rest = order(SPOT, Side.BUY, "0.5", "50000", TimeInForce.GTC)
    facts = floor.send(
        rest, CancelOrder(rest.client_id, SPOT.id, "test"), QueryOrder(rest.client_id, SPOT.id)
    )
    assert [type(fact) for fact in facts] == [OrderAccepted, OrderCanceled, OrderReported]


def test_the_end_of_a_feed_waits_for_what_is_in_flight() -> None:
    floor = talking([T0])
    seen: list[AnyFact] = []
    floor.timeline.submit(order(SPOT, Side.BUY, "0.5", "60001"), T0)
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) == T0
    assert told(seen) == [MARK]
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) == T0 + DELAY
    kinds = [type(fact) for fact in told(seen)]
    assert kinds == [ProtocolDrift, OrderAccepted, OrderFilled, BalanceSeen, BalanceSeen, FeedEnded]
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) is None
    floor.timeline.submit(QueryAccount(SPOT.account), T0 + DELAY)
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) == T0 + 2 * DELAY
    assert isinstance(seen[-1], AccountReported)
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) is None


def test_nothing_of_the_venues_own_happens_after_the_end() -> None:
    table = FundingTable({LINEAR.id: (FundingRow(T0 + 5 * S, D("0.1"), 8),)})
    floor = Floor(table=table, frames=[(T0, 0, b""), (T0 + 4 * S, 0, b"")])
    assert told(floor.run(3600)) == [FeedEnded("binance:test")]


def test_a_range_builds_the_past_unheard_and_ends_in_time() -> None:
    floor = talking([T0 + i * S for i in range(10)], bounds_ns=(T0 + 3 * S, T0 + 6 * S))
    assert floor.timeline.start_ns == T0 + 3 * S
    seen: list[AnyFact] = []
    assert floor.timeline.advance(T0 + S, seen.append, stop=True) == T0 + S
    assert seen == []
    assert floor.timeline.advance(T0 + 99 * S, seen.append, stop=False) == T0 + 99 * S
    assert told(seen) == [MARK] * 4 + [FeedEnded("binance:test")]
    assert len(floor.market.heard) == 7
    assert floor.market.forgotten == 1


def test_a_range_knows_what_settled_before_it() -> None:
    table = FundingTable(
        {LINEAR.id: (FundingRow(T0 + 2 * S, D("0.1"), 8), FundingRow(T0 + 7 * S, D("0.2"), 8))}
    )
    frames = [(T0 + i * S, 0, b"") for i in range(10)]
    floor = Floor(table=table, frames=frames, bounds_ns=(T0 + 3 * S, T0 + 99 * S))
    assert told(floor.run(20)) == [
        FundingSettled(LINEAR.id, D("0.1"), T0 + 2 * S),
        FundingSettled(LINEAR.id, D("0.2"), T0 + 7 * S),
        FeedEnded("binance:test"),
    ]


@pytest.mark.parametrize("bounds_s", [(5, 9), (0, -1), (2, 3)])
def test_a_range_without_a_frame_is_refused(bounds_s: tuple[int, int]) -> None:
    begin_ns, end_ns = (T0 + second * S for second in bounds_s)
    floor = talking([T0, T0 + S, T0 + 4 * S], bounds_ns=(begin_ns, end_ns))
    with pytest.raises(FeedError, match="no frame was received between --from and --until"):
        floor.run(1)


def test_a_range_that_begins_before_the_recording_begins_with_its_first_frame() -> None:
    floor = talking([T0, T0 + S], bounds_ns=(T0 - 86_400 * S, NEVER_NS))
    assert floor.timeline.start_ns == T0
    assert floor.timeline.advance(T0 + 9 * S, floor.facts.append, stop=True) == T0
    assert told(floor.facts) == [MARK]


def test_a_range_has_the_settlement_between_its_last_frame_and_its_end() -> None:
    """The recording goes on, so the venue is known to have lived to the end of the range."""
    table = FundingTable(
        {LINEAR.id: (FundingRow(T0 + 5 * S, D("0.1"), 8), FundingRow(T0 + 7 * S, D("0.2"), 8))}
    )
    frames = [(T0, 0, b""), (T0 + 4 * S, 0, b""), (T0 + 8 * S, 0, b"")]
    floor = Floor(table=table, frames=frames, bounds_ns=(0, T0 + 6 * S))
    assert told(floor.run(20)) == [
        FundingSettled(LINEAR.id, D("0.1"), T0 + 5 * S),
        FeedEnded("binance:test"),
    ]


def test_a_frame_that_is_no_frame_names_file_and_line() -> None:
    def fail() -> None:
        raise FrameError("not a JSON frame")

    floor = Floor(frames=[(T0, 0, b""), (T0 + 1, 0, b"bad"), (T0 + 2, 0, b"")])
    floor.market.script[b"bad"] = fail
    with pytest.raises(FeedError, match="test:2: not a JSON frame"):
        floor.run(1)


def test_a_command_sent_into_the_past_is_a_bug() -> None:
    floor = Floor(make_config(paper_up_ms=0.0, paper_down_ms=0.0))
    floor.run(1)
    with pytest.raises(ValueError, match="the past"):
        floor.timeline.submit(QueryAccount(SPOT.account), T0)
    floor.timeline.submit(QueryAccount(SPOT.account), T0 + S)
    assert [type(fact) for fact in floor.run(0)] == [AccountReported]


def test_working_instruments_are_passed_on() -> None:
    floor = Floor()
    floor.timeline.working(frozenset({SPOT.id}))
    assert floor.market.work == {SPOT.id}


# --- lost memory


def test_an_order_that_arrived_before_the_crash_is_answered_to_nobody() -> None:
    floor = Floor()
    lost = order(SPOT, Side.BUY, "0.5", "60001")
    floor.send(lost, seconds=0.006)  # at the venue, the answer under way
    floor.timeline.lose_memory()
    facts = floor.run(1)
    assert told(facts) == []
    assert sum(isinstance(fact, ChannelOpened) for fact in facts) == 9
    answer = floor.send(QueryOrder(lost.client_id, SPOT.id))
    assert [type(fact) for fact in answer] == [OrderFilled, OrderReported]
    assert floor.market.forgotten == 1


def test_an_order_still_on_its_way_up_is_answered_to_the_new_bot() -> None:
    floor = Floor()
    floor.send(order(SPOT, Side.BUY, "0.5", "60001"), seconds=0.004)
    floor.timeline.lose_memory()
    assert [type(fact) for fact in told(floor.run(1))] == [
        OrderAccepted, OrderFilled, BalanceSeen, BalanceSeen,
    ]  # fmt: skip


def test_a_lost_answer_does_not_silence_what_comes_after() -> None:
    floor = Floor()
    rest = order(SPOT, Side.BUY, "0.5", "60000", TimeInForce.GTC)
    floor.send(rest, seconds=0.006)
    floor.timeline.lose_memory()
    floor.run(1)
    floor.books[SPOT.id].trade(59_000.0, 1.0, buyer_is_maker=True)
    assert any(isinstance(fact, OrderFilled) for fact in floor.facts)
    (report,) = [
        fact for fact in floor.send(QueryOrder(rest.client_id, SPOT.id)) if isinstance(fact, OrderReported)
    ]
    assert report.status is OrderStatus.FILLED


def test_settled_rates_are_told_again_and_payments_when_asked() -> None:
    table = FundingTable({LINEAR.id: (FundingRow(T0 + 300 * S, D("0.1"), 8),)})
    floor = Floor(table=table)
    floor.send(order(LINEAR, Side.SELL, "1", "60000"))
    floor.run(400)
    (paid,) = [fact for fact in floor.facts if isinstance(fact, FundingPaid)]
    floor.timeline.lose_memory()
    assert told(floor.run(1)) == [FundingSettled(LINEAR.id, D("0.1"), T0 + 300 * S)]
    for since_ns, again in ((paid.venue_ns, [paid]), (paid.venue_ns + 1, [])):
        facts = floor.send(QueryAccount(LINEAR.account, since_ns))
        assert facts[:-1] == again
        assert isinstance(facts[-1], AccountReported)
    facts = floor.send(QueryAccount(SPOT.account, 0))
    assert [type(fact) for fact in facts] == [AccountReported]


# --- the gateway


def test_a_gateway_plays_to_the_end_and_answers_between_instants() -> None:
    floor = talking([T0, T0 + S, T0 + 2 * S])
    gateway = PaperGateway(floor.timeline)
    seen: list[AnyFact] = []

    def emit(fact: AnyFact) -> None:
        seen.append(fact)
        if fact is MARK:
            gateway.submit(QueryAccount(SPOT.account))

    asyncio.run(gateway.run(emit))
    reports = [fact.venue_ns for fact in seen if isinstance(fact, AccountReported)]
    assert reports == [T0 + 5 * MS, T0 + S + 5 * MS, T0 + 2 * S + 5 * MS]
    gateway.working(frozenset({SPOT.id}))
    assert floor.market.work == {SPOT.id}
