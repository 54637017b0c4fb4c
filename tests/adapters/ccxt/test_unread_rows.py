"""Rows of ccxt's lists that cannot be read: their neighbours are told, and they are counted and named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from adapters.ccxt.books import WatchedBook
from adapters.ccxt.desk import Desk, Leg, VenueTime
from adapters.ccxt.holdings import Holdings
from adapters.ccxt.markets import brackets, number
from adapters.ccxt.orders import Orders
from adapters.ccxt.private import Private
from adapters.ccxt.reference import measure_time
from adapters.materiality import Materiality
from bot.model.commands import QueryAccount, QueryOrder
from bot.model.facts import AccountReported, AccountTouched, AnyFact, FundingPaid, ProtocolDrift
from bot.model.ids import ClientId
from tests.adapters.paper.build import LINEAR
from tests.virtual.loop import run_virtual

D = Decimal
NINES = "9" * 5000
NOW_NS = 1_796_083_200_000_000_000
NOW_MS = NOW_NS // 1_000_000
MARKET = {"spot": False, "swap": True, "linear": True, "type": "swap"}
LEG = Leg(LINEAR, "BTC/USDT:USDT", MARKET)
POSITION: dict[str, Any] = {
    "symbol": LEG.symbol, "contracts": "0.5", "entryPrice": "60000", "side": "short"
}  # fmt: skip
ORDER: dict[str, Any] = {"id": "1", "clientOrderId": "web_1", "side": "buy", "amount": "1", "type": "limit"}
PAYMENT: dict[str, Any] = {"id": "p1", "timestamp": NOW_MS, "amount": "-3", "code": "USDT"}
RATE: dict[str, Any] = {"timestamp": NOW_MS, "fundingRate": "0.0001", "info": {"markPrice": "60000"}}


class Clock:
    def now_ns(self) -> int:
        return NOW_NS


class Exchange:
    """Answers what it was given, in ccxt's structures; ``said`` is by the name of the question."""

    def __init__(self, **said: Any) -> None:
        self.said: dict[str, Any] = {
            "fetch_balance": {"total": {"USDT": "100"}, "info": {}},
            "fetch_positions": [],
            "fetch_open_orders": [],
            "fetch_funding_history": [],
            "fetch_funding_rate_history": [RATE],
        } | said
        self.has = dict.fromkeys(("fetchFundingHistory", "fetchFundingRateHistory", "fetchTime"), True)
        self.has |= {"fetchMarkOHLCV": False, "watchOrders": True, "watchMyTrades": True}
        self.options: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        async def ask(*_: Any) -> Any:
            await asyncio.sleep(0)
            return self.said[name]

        return ask

    def feature_value(self, *_: Any) -> bool:
        return False

    def safe_currency_code(self, name: str) -> str:
        return name


class Bench:
    def __init__(self, **said: Any) -> None:
        self.exchange = Exchange(**said)
        self.facts: list[AnyFact] = []
        self.desk = Desk(VenueTime(Clock()), "bsbt", self.facts.append, lambda work: None)
        self.orders = Orders(self.exchange, self.desk, self.facts.append)
        self.holdings = Holdings(self.exchange, self.orders, self.desk, self.facts.append)

    def report(self, since_ns: int = 0) -> AccountReported:
        run_virtual(self.holdings.answer(QueryAccount(LINEAR.account, since_ns=since_ns), (LEG,)))
        report = self.facts[-1]
        assert isinstance(report, AccountReported), self.facts
        return report

    def drifts(self) -> list[str]:
        return [fact.reason for fact in self.facts if isinstance(fact, ProtocolDrift)]


def test_a_good_account_is_whole() -> None:
    bench = Bench(fetch_positions=[POSITION], fetch_open_orders=[ORDER])
    report = bench.report()
    assert (report.unread_rows, report.unread, bench.drifts()) == (0, (), [])
    assert [(held.qty, held.cost) for held in report.positions] == [(D("-0.5"), D(-30_000))]


@pytest.mark.parametrize(
    "changed",
    [
        {"contracts": "much"}, {"contracts": NINES}, {"side": None}, {"side": "both"}, {"entryPrice": None},
        {"entryPrice": "1e999999999"},
    ],
)  # fmt: skip
def test_a_position_that_cannot_be_read_is_named_and_is_not_zero(changed: Mapping[str, Any]) -> None:
    bench = Bench(fetch_positions=[{**POSITION, **changed}])
    report = bench.report()
    assert (report.positions, report.unread_rows, report.unread) == ((), 1, (LINEAR.id,))
    assert len(bench.drifts()) == 1


def test_a_position_that_is_none_needs_no_side() -> None:
    flat = {**POSITION, "contracts": "0", "side": None, "entryPrice": None}
    report = Bench(fetch_positions=[flat, {**flat, "contracts": None}]).report()
    assert (report.positions, report.unread_rows) == ((), 0)


def test_a_row_that_is_none_may_be_any_position_and_hides_no_other() -> None:
    report = Bench(fetch_positions=[7, POSITION]).report()
    assert [held.instrument for held in report.positions] == [LINEAR.id]
    assert report.unread == ("",)


def test_a_balance_that_cannot_be_read_is_not_zero() -> None:
    said = {"total": {"USDT": NINES, "BNB": "2", "OLD": None}, "info": {}}
    report = Bench(fetch_balance=said).report()
    assert (report.balances, report.unread_rows, report.unread) == ({"BNB": D(2)}, 1, ("USDT",))
    stated = {"total": {"USDT": "5"}, "info": [{"asset": "USDT", "walletBalance": "five"}]}
    assert Bench(fetch_balance=stated).report().unread == ("USDT",)


def test_an_order_that_cannot_be_read_is_counted() -> None:
    odd = {**ORDER, "side": None}
    mine = {**ORDER, "clientOrderId": "bsbt1"}
    report = Bench(fetch_open_orders=[odd, 7, mine, ORDER]).report()
    assert (report.open_orders, [order.name for order in report.foreign_orders]) == (("bsbt1",), ["web_1"])
    assert (report.unread_rows, report.unread) == (2, ())


@pytest.mark.parametrize(
    "changed",
    [{"timestamp": None}, {"timestamp": "9" * 30}, {"amount": "three"}, {"timestamp": NOW_MS - 10**7}],
)
def test_a_payment_that_cannot_be_read_leaves_the_others_told(changed: Mapping[str, Any]) -> None:
    bench = Bench(fetch_funding_history=[{**PAYMENT, **changed, "id": "p2"}, PAYMENT])
    report = bench.report(since_ns=1)
    assert [fact.transaction_id for fact in bench.facts if isinstance(fact, FundingPaid)] == ["p1"]
    assert (report.unread_rows, report.unread) == (1, ("USDT",))


def test_rows_of_a_stream_that_cannot_be_read_have_the_account_compared() -> None:
    async def scene() -> list[AnyFact]:
        bench = Bench(watch_my_trades=[7, {"id": "1"}], watch_positions=[{**POSITION, "side": "?"}, POSITION])
        private = Private(bench.exchange, bench.orders, bench.holdings, bench.desk, bench.facts.append)
        tasks = [
            asyncio.ensure_future(watch()) for watch in (private._trades_of(LEG), private._positions_of(LEG))
        ]
        for _ in range(4):
            await asyncio.sleep(0)
        assert not any(task.done() for task in tasks), "no watch has ended"
        for task in tasks:
            task.cancel()
        return bench.facts

    facts = run_virtual(scene())
    assert [type(fact).__name__ for fact in facts[:2]] == ["ProtocolDrift", "AccountTouched"]
    assert any(isinstance(fact, AccountTouched) for fact in facts)
    assert "PositionSeen" in [type(fact).__name__ for fact in facts]


@pytest.mark.parametrize("said", [{"side": None, "id": "1", "status": "open", "amount": "1"}, [], "order"])
def test_the_answer_to_a_query_that_cannot_be_read_ends_nothing(said: Any) -> None:
    bench = Bench(fetch_order=said, fetch_my_trades=[])
    run_virtual(bench.orders.query(QueryOrder(ClientId("bsbt1"), LINEAR.id), LEG))
    assert [type(fact) for fact in bench.facts] == [ProtocolDrift]


@pytest.mark.parametrize("trade", [{"side": None}, {"amount": NINES}, {"price": "NaN"}, {"fee": None}])
def test_a_trade_that_cannot_be_read_is_drift(trade: Mapping[str, Any]) -> None:
    bench = Bench()
    known = bench.desk.open(ClientId("bsbt1"), LEG)
    good = {
        "id": "5", "order": "7", "side": "buy", "amount": "1", "price": "2", "timestamp": "9" * 30,
        "fee": {"cost": "0", "currency": "USDT"},
    }  # fmt: skip
    filled = bench.desk.fill(known, good)
    assert filled is not None
    assert filled.venue_ns == NOW_NS, "a time that is none is now"
    assert bench.desk.fill(known, {**good, **trade}) is None
    assert len(bench.drifts()) == 1


@pytest.mark.parametrize(
    "level", [[float("nan"), 1.0], [1e300, 1.0], [-1.0, 1.0], [1.0, 1e300], [None, 1.0], ["1", 1.0]]
)
def test_a_book_with_a_level_that_is_none_is_no_book(level: list[Any]) -> None:
    facts: list[AnyFact] = []
    book = WatchedBook(LINEAR, Materiality(1000.0, 0.5, 10.0), facts.append)
    good = {"nonce": 1, "bids": [[100.0, 1.0]], "asks": [[101.0, 1.0]], "timestamp": NOW_MS}
    assert book.on_book(good, NOW_NS)
    assert not book.on_book({**good, "bids": [level, [100.0, 1.0]]}, NOW_NS + 1)
    assert book.touch() is None
    assert book.on_book({**good, "nonce": NINES, "timestamp": NINES}, NOW_NS + 2)


def test_numbers_without_end_are_none() -> None:
    assert number(NINES) is None
    assert number(10**5000) is None
    tier = {"minNotional": "0", "maintenanceMarginRate": NINES, "maxLeverage": "5", "maxNotional": None}
    assert brackets([tier]) == ()


@pytest.mark.parametrize("told", [None, NINES, -1, "soon"])
def test_a_venue_that_tells_no_time_gives_no_answer(told: object) -> None:
    bench, time = Bench(fetch_time=told), VenueTime(Clock())
    with pytest.raises(Exception, match="no time of the venue"):
        run_virtual(measure_time(bench.exchange, time))
    assert time.offset_ns == 0
