"""What the gateway contract does not ask: the ccxt gateway when the venue or the network misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.ccxt import feed, gateway, private
from adapters.ccxt.desk import Leg
from adapters.ccxt.exchange import open_exchange
from adapters.ccxt.reference import Given
from adapters.errors import FeedError
from adapters.rehearsal import account as requests
from adapters.rehearsal.seam import Cut, Response
from bot.model.commands import CancelOrder, QueryAccount, QueryOrder, TimeInForce
from bot.model.facts import (
    AccountReported,
    AccountSet,
    AnyFact,
    BookGapped,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    ContractSet,
    FundingEstimated,
    FundingPaid,
    FundingSettled,
    InstrumentListed,
    InstrumentStatusSeen,
    MarkSeen,
    OrderAccepted,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
    ProtocolDrift,
    Throttled,
)
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.instrument import Instrument, Side
from bot.model.money import exact_arithmetic
from tests.adapters.contract import GatewayContract, of
from tests.adapters.paper.build import LINEAR
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed, called
from tests.rehearsal.ccxt_scene import Scene
from tests.rehearsal.stock import stock

D = Decimal
order = GatewayContract().order
LINEAR_ID = LINEAR.id
ACTIVE = {"active": True}
Reply = Callable[[Response], Response]


def vanished(answer: Response) -> Response:
    raise Cut


def failed(answer: Response) -> Response:
    return Response(503, {"content-type": "text/html"}, b"<html>Service Unavailable</html>")


def garbled(answer: Response) -> Response:
    return Response(200, {"content-type": "application/json"}, b'{"unheard":"of"}')


def test_it_tells_first_what_it_trades(scene: Scene) -> None:
    greeting = scene.rehearsed.greeting
    listed = {one.instrument.id: one.instrument for one in of(InstrumentListed, greeting)}
    for leg in scene.rehearsed.legs:
        told = listed[leg.id]
        differ = {name for name in leg.__struct_fields__ if getattr(told, name) != getattr(leg, name)}
        assert differ <= {"maker_rate", "taker_rate", "margin_asset", "brackets"}
        assert told.brackets[: len(leg.brackets)] == leg.brackets
        assert 0 < told.maker_rate <= told.taker_rate
        first = next(n for n, fact in enumerate(greeting) if isinstance(fact, InstrumentListed))
        assert first < next(n for n, fact in enumerate(greeting) if isinstance(fact, ChannelOpened))


def test_books_marks_and_rates_are_facts(linear: CcxtRehearsed) -> None:
    facts: list[AnyFact] = list(linear.greeting)
    for kind in (BookSeen, MarkSeen, FundingEstimated):
        if not of(kind, facts):
            facts += linear.heard(kind)
    (book, *_), (mark, *_), (rate, *_) = of(BookSeen, facts), of(MarkSeen, facts), of(FundingEstimated, facts)
    assert (book.bids[0][0], book.asks[0][0]) in ((59_999.0, 60_000.0), (59_998.0, 60_001.0))
    assert (mark.mark, mark.index) == (D(60_000), D(60_000))
    assert rate.rate == D("0.0001")
    assert rate.next_ns > rate.seen_ns
    assert linear.gateways["binanceusdm"].heard()[0][linear.linear.id] > 0


@pytest.mark.parametrize("spoil", [vanished, failed, garbled], ids=lambda one: str(one.__name__))
def test_an_order_without_an_answer_is_uncertain_and_found_by_its_name(scene: Scene, spoil: Reply) -> None:
    scene.spoil = spoil
    buy = order(scene.rehearsed.linear, Side.BUY, "0.5", "60000", TimeInForce.GTC)
    scene.rehearsed.submit(buy)
    (doubt,) = scene.rehearsed.heard(OrderUncertain)
    assert doubt.client_id == buy.client_id
    answer = scene.rehearsed.send(QueryOrder(buy.client_id, buy.instrument))
    (report,) = of(OrderReported, answer)
    assert (report.status, report.filled_qty) == (OrderStatus.FILLED, D("0.5"))
    fills = {one.trade_id: one for one in of(OrderFilled, answer)}
    with exact_arithmetic():
        assert sum((one.qty for one in fills.values()), D(0)) == D("0.5")
    assert scene.orders == 1, "nothing is sent twice"


def test_a_throttled_order_is_refused_and_silence_is_kept(scene: Scene) -> None:
    scene.is_shut = True
    facts = []
    for _ in range(2):
        scene.rehearsed.submit(order(scene.rehearsed.linear, Side.BUY, "0.5", "60000"))
        facts += scene.rehearsed.heard(OrderRejected)
    assert [one.code for one in facts] == ["-1003", "RATE"]
    assert scene.orders == 1


def test_a_429_is_told_with_its_end(scene: Scene) -> None:
    scene.is_shut = True
    scene.rehearsed.submit(order(scene.rehearsed.linear, Side.BUY, "0.5", "60000"))
    (fact,) = scene.rehearsed.heard(Throttled)
    left_s = (fact.until_ns - scene.rehearsed.clock.now_ns()) / 1e9
    assert (fact.account, fact.code) == (scene.rehearsed.linear.account, "429")
    assert 5 < left_s <= 7


@pytest.mark.parametrize("market", ["spot", "linear"])
def test_a_lost_private_stream_is_told_and_so_is_what_it_missed(scene: Scene, market: str) -> None:
    leg = getattr(scene.rehearsed, market)
    rest = order(leg, Side.BUY, "0.5", "59999.5", TimeInForce.GTC)
    scene.rehearsed.send(rest)
    scene.cut("ws-api" if market == "spot" else "private")
    (lost,) = scene.rehearsed.heard(ChannelLost)
    assert (lost.account, lost.channel) == (leg.account, Channel.PRIVATE)
    scene.rehearsed.trade(leg, 59_999.0, 3.0, buyer_is_maker=True)
    told: list[AnyFact] = []
    rehearsed = scene.rehearsed
    rehearsed.loop.run_until_complete(
        rehearsed.until(lambda: ChannelOpened(leg.account, Channel.PRIVATE) in rehearsed.facts)
    )
    told += rehearsed.facts
    (fill,) = of(OrderFilled, told)
    assert (fill.client_id, fill.qty, fill.maker) == (rest.client_id, D("0.5"), True)
    assert told.index(fill) < told.index(ChannelOpened(leg.account, Channel.PRIVATE))


def test_a_lost_market_stream_is_told_and_opened_again(scene: Scene) -> None:
    rehearsed = scene.rehearsed
    opened = ChannelOpened(rehearsed.linear.account, Channel.MARKET)
    rehearsed.loop.run_until_complete(
        rehearsed.until(lambda: opened in (*rehearsed.greeting, *rehearsed.facts))
    )
    rehearsed.facts.clear()
    scene.cut("/public")
    (lost,) = rehearsed.heard(ChannelLost)
    assert (lost.account, lost.channel) == (rehearsed.linear.account, Channel.MARKET)
    rehearsed.loop.run_until_complete(rehearsed.until(lambda: opened in rehearsed.facts))


@pytest.mark.parametrize("market", ["spot", "linear"])
def test_a_missing_update_is_a_gap_and_the_book_is_right_again(scene: Scene, market: str) -> None:
    rehearsed = scene.rehearsed
    leg = getattr(rehearsed, market)
    opened = ChannelOpened(leg.account, Channel.MARKET)
    rehearsed.loop.run_until_complete(
        rehearsed.until(lambda: opened in (*rehearsed.greeting, *rehearsed.facts))
    )
    rehearsed.working_on(leg)
    rehearsed.change(leg, ((59_999.0, 1.5),), ())  # follows nothing that was told, since tests set books
    rehearsed.loop.run_until_complete(rehearsed.until(lambda: top_of(rehearsed.facts, leg) == 1.5))
    rehearsed.facts.clear()
    scene.is_leaking = True
    for n in range(500):
        rehearsed.change(leg, ((59_999.0, 2.0 + n / 1000),), ())
    scene.is_leaking = False
    rehearsed.change(leg, ((59_998.0, 7.0),), ())
    (gap,) = rehearsed.heard(BookGapped)
    assert gap.instrument == leg.id
    (seen, *_) = rehearsed.heard(BookSeen)
    assert seen.bids[0] == (59_999.0, 2.499)


def test_a_market_that_does_not_trade_is_told(linear: CcxtRehearsed) -> None:
    linear.stop(linear.linear)
    linear.act(lambda: linear.world.set_status(LINEAR_ID, "SETTLING"))
    linear.act(lambda: linear.begin(linear.linear))
    (told,) = linear.heard(InstrumentStatusSeen)
    assert (told.instrument, told.status) == (linear.linear.id, "INACTIVE")


def test_a_leg_that_is_not_listed_is_absent_and_the_others_are_served(linear: CcxtRehearsed) -> None:
    gone = called(linear.linear, "binanceusdm:linear:BTCUSTD")
    linear.stop(linear.linear)
    linear.facts.clear()
    linear.act(lambda: linear.begin(linear.linear, gone))
    linear.loop.run_until_complete(linear.until_open())
    told = of(InstrumentStatusSeen, linear.greeting)[-2:]
    assert [(one.instrument, one.status) for one in told] == [
        (linear.linear.id, "TRADING"), (gone.id, "ABSENT"),
    ]  # fmt: skip
    assert [one.stream for one in of(ProtocolDrift, linear.greeting)] == ["markets"]
    linear.submit(QueryAccount(AccountId("binanceusdm:inverse")))  # all of whose legs are gone
    linear.submit(order(gone, Side.BUY, "0.5", "60000"))
    assert [one.code for one in linear.heard(OrderRejected)] == ["NOT_CONNECTED"]


def test_a_leg_that_is_listed_no_more_is_absent_once_until_it_is_again(
    linear: CcxtRehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(exchange: Any, name: InstrumentId, given: Given) -> Leg:
        if not is_listed:
            raise FeedError("delivered")
        return leg

    one, facts, leg, is_listed = linear.gateways["binanceusdm"], linear.facts, Leg(LINEAR, "", ACTIVE), False
    monkeypatch.setattr(gateway, "read_leg", read)
    facts.clear()
    for _ in range(2):
        linear.loop.run_until_complete(one._list(None, (LINEAR_ID,)))
    assert [told.status for told in of(InstrumentStatusSeen, facts)] == ["ABSENT"]
    assert [told.reason for told in of(ProtocolDrift, facts)] == ["delivered"]
    is_listed = True
    linear.loop.run_until_complete(one._list(None, (LINEAR_ID,)))
    assert [told.status for told in of(InstrumentStatusSeen, facts)] == ["ABSENT", "TRADING"]


def test_a_market_stream_that_falls_silent_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SILENCE_S", 0.3)  # the venue of this test tells one book and no more
    rehearsed = CcxtRehearsed(CcxtRehearsed.linear)
    try:
        (lost,) = rehearsed.heard(ChannelLost)
        assert (lost.channel, lost.reason) == (Channel.MARKET, "BTC/USDT:USDT: no book for 0.3 s")
        (opened, *_) = rehearsed.heard(ChannelOpened)
        assert opened == ChannelOpened(rehearsed.linear.account, Channel.MARKET)
    finally:
        rehearsed.close()


def test_an_exchange_without_streams_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened_mute(*how: Any) -> Any:
        exchange = open_exchange(*how)
        exchange.has |= dict.fromkeys(
            ("watchOrders", "watchMyTrades", "watchBalance", "watchPositions"), False
        )
        return exchange

    monkeypatch.setattr(gateway, "open_exchange", opened_mute)
    monkeypatch.setattr(private, "POLL_S", 0.05)
    rehearsed = CcxtRehearsed(CcxtRehearsed.linear)
    try:
        rest = order(rehearsed.linear, Side.BUY, "0.5", "59999.5", TimeInForce.GTC)
        rehearsed.submit(rest)
        rehearsed.heard(OrderAccepted)
        rehearsed.trade(rehearsed.linear, 59_999.0, 0.2, buyer_is_maker=True)
        (fill,) = rehearsed.heard(OrderFilled)
        assert (fill.client_id, fill.qty, fill.maker) == (rest.client_id, D("0.2"), True)
        rehearsed.act(lambda: rehearsed.world.arrive(CancelOrder(rest.client_id, LINEAR_ID, "by another")))
        (ended,) = rehearsed.heard(OrderExpired)
        assert ended.client_id == rest.client_id
    finally:
        rehearsed.close()


def test_the_account_names_what_others_left_there(linear: CcxtRehearsed) -> None:
    elsewhere(linear, "somebody", 0.2, 59_000)
    linear.act(lambda: linear.teller.operator_stop(LINEAR_ID, Side.SELL, D("0.1"), D(50_000)))
    (report,) = of(AccountReported, linear.send(QueryAccount(linear.linear.account)))
    assert report.open_orders == ()
    found = {(one.side, one.qty) for one in report.foreign_orders}
    assert found == {(Side.BUY, D("0.2")), (Side.SELL, D("0.1"))}
    assert {one.instrument for one in report.foreign_orders} == {linear.linear.id}


def test_how_contracts_are_set_is_told_at_the_start_and_within_a_report_of_a_change(
    linear: CcxtRehearsed,
) -> None:
    account = linear.linear.account
    linear.stop(linear.linear)
    linear.facts.clear()
    linear.act(lambda: linear.begin(linear.linear))
    linear.loop.run_until_complete(linear.until(lambda: bool(of(ContractSet, linear.facts))))
    (stands,) = of(AccountSet, linear.facts)
    assert (stands.account, stands.is_hedged) == (account, False)
    assert [(one.leverage, one.is_cross) for one in of(ContractSet, linear.facts)] == [(20, True)]
    linear.heard(ChannelOpened, 3)
    assert not of(ContractSet, linear.send(QueryAccount(account))), "nothing has changed"
    to = {"symbol": "BTCUSDT"}
    for change, expected in (
        (lambda: requests.set_leverage(linear.teller, "usdm", {**to, "leverage": "2"}), (2, True)),
        (
            lambda: requests.set_margin_type(linear.teller, "usdm", {**to, "marginType": "ISOLATED"}),
            (2, False),
        ),
    ):
        linear.act(change)
        facts = linear.send(QueryAccount(account))
        assert [(one.leverage, one.is_cross) for one in of(ContractSet, facts)] == [expected]
        kinds = [type(fact) for fact in facts]
        assert kinds.index(ContractSet) < kinds.index(AccountReported)


def test_funding_is_told_with_its_rate_mark_and_quantity(linear: CcxtRehearsed) -> None:
    linear.send(order(linear.linear, Side.BUY, "0.5", "60000"))
    since_ns = linear.clock.now_ns() - 60_000_000_000
    linear.act(lambda: linear.world.settle_funding_now(LINEAR_ID))
    facts = linear.send(QueryAccount(linear.linear.account, since_ns))
    paid = {one.transaction_id: one for one in of(FundingPaid, facts)}
    (payment,) = paid.values()
    assert (payment.amount, payment.rate, payment.mark, payment.qty, payment.asset) == (
        D(-3), D("0.0001"), D(60_000), D("0.5"), "USDT",
    )  # fmt: skip
    (report, *_) = of(AccountReported, facts)
    with exact_arithmetic():
        assert report.balances["USDT"] == D(50_000) - D(15) - D(3)


def test_the_last_settlement_is_told_at_the_start(linear: CcxtRehearsed) -> None:
    linear.act(lambda: linear.world.settle_funding_now(LINEAR_ID))
    linear.stop(linear.linear)
    linear.facts.clear()
    linear.act(lambda: linear.begin(linear.linear))
    (settled,) = linear.heard(FundingSettled)
    assert (settled.instrument, settled.rate) == (linear.linear.id, D("0.0001"))


def test_fills_missed_while_away_are_told_when_asked_for(linear: CcxtRehearsed) -> None:
    first = order(linear.linear, Side.BUY, "0.1", "60000")
    (seen,) = of(OrderFilled, linear.send(first))
    linear.stop(linear.linear)
    elsewhere(linear, "contaway", 0.3, 60_000)
    elsewhere(linear, "stranger", 0.3, 60_000)
    linear.facts.clear()
    linear.act(lambda: linear.begin(linear.linear))
    linear.loop.run_until_complete(linear.until_open())
    query = QueryAccount(linear.linear.account, 0, {linear.linear.id: seen.trade_id})
    told = {one.trade_id: one for one in of(OrderFilled, linear.send(query))}
    assert [(one.client_id, one.qty) for one in told.values()] == [(ClientId("contaway"), D("0.3"))]


class CcxtClock:
    def now_ns(self) -> int:
        return 0


def top_of(facts: list[AnyFact], leg: Instrument) -> float:
    """Size at the best bid of the last book told."""
    return next((one.bids[0][1] for one in reversed(of(BookSeen, facts)) if one.instrument == leg.id), 0.0)


def elsewhere(rehearsed: CcxtRehearsed, name: str, qty: float, price: float) -> None:
    """Another client of the same account buys."""

    async def bought() -> None:
        exchange = stock("async_support", "binanceusdm", rehearsed.said)
        try:
            await exchange.create_order("BTC/USDT:USDT", "limit", "buy", qty, price, {"clientOrderId": name})
        finally:
            await exchange.close()

    rehearsed.loop.run_until_complete(bought())
