"""A row of a list that cannot be read: its neighbours are told, and it is counted and named."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters.binance import events, replies, statements
from adapters.binance.account import AccountAnswers
from adapters.binance.decoding import Drift, Unread
from adapters.binance.private import Hearing, PrivateStream
from adapters.binance.queries import OrderAnswers
from adapters.network import Reply
from bot.model.commands import QueryAccount, QueryOrder
from bot.model.facts import AccountReported, OrderNotFound, ProtocolDrift
from bot.model.ids import ClientId
from tests.adapters.binance.canned import NOW_NS, Asked, Bench, refusal, reply, spot_order, spot_trade
from tests.adapters.binance.test_account import DAY_NS, Venue, answer, income, position, set_up
from tests.adapters.paper.build import LINEAR, SPOT
from tests.virtual.loop import run_virtual

NINES = "9" * 5000
# an order without update time and of a time in force that no documentation has, as one was seen
ODD_ORDER: dict[str, object] = {
    "orderId": 900000001, "symbol": "ETHUSDT", "status": "NEW", "clientOrderId": "web_a1", "price": "2000",
    "origQty": "1", "executedQty": "0", "timeInForce": "RPI", "type": "LIMIT", "side": "BUY", "time": 1,
}  # fmt: skip


def report_of(bench: Bench) -> AccountReported:
    report = bench.facts[-1]
    assert isinstance(report, AccountReported)
    return report


def drifts(bench: Bench) -> dict[str, str]:
    return {fact.stream: fact.reason for fact in bench.facts if isinstance(fact, ProtocolDrift)}


def test_an_order_of_somebody_else_needs_no_more_than_a_report_says_of_it() -> None:
    report = report_of(answer(Venue("100", openOrders=reply([ODD_ORDER]))))
    (order,) = report.foreign_orders
    assert (order.name, order.qty, order.kind) == ("web_a1", Decimal(1), "LIMIT")
    assert report.unread_rows == 0


def test_an_order_that_cannot_be_read_is_counted_and_hides_none_of_ours() -> None:
    odd = {**ODD_ORDER, "side": "SIDEWAYS"}
    mine = {**ODD_ORDER, "clientOrderId": "bsbt7"}
    bench = answer(Venue("100", openOrders=reply([odd, mine]), positionRisk=reply([position()])))
    report = report_of(bench)
    assert (report.open_orders, report.unread_rows, report.unread) == (("bsbt7",), 1, ())
    assert [held.instrument for held in report.positions] == [LINEAR.id]
    assert drifts(bench)["openOrders"].startswith("1 rows are unread; the first, of ETHUSDT: ")


@pytest.mark.parametrize("field", ["positionAmt", "markPrice", "unRealizedProfit", "updateTime"])
@pytest.mark.parametrize("value", [None, "NaN", "1e999999999", NINES])
def test_a_position_that_cannot_be_read_is_named(field: str, value: object) -> None:
    odd = {**position(symbol="ETHUSDT"), field: value}
    report = report_of(answer(Venue("100", positionRisk=reply([odd, position()]))))
    assert [held.instrument for held in report.positions] == [LINEAR.id]
    assert (report.unread_rows, report.unread) == (1, ("binance:usdm:ETHUSDT",))


def test_numbers_that_no_exact_cost_follows_from_are_of_that_position_alone() -> None:
    odd = {**position(), "positionAmt": "0." + "3" * 24, "markPrice": "7" * 20 + "." + "7" * 20}
    report = report_of(answer(Venue("100", positionRisk=reply([odd]))))
    assert (report.positions, report.unread) == ((), (LINEAR.id,))


def test_a_position_without_a_name_may_be_any() -> None:
    report = report_of(answer(Venue("100", positionRisk=reply([7, position()]))))
    assert (report.unread_rows, report.unread) == (1, ("",))


def test_a_contract_of_ours_that_is_not_described_is_unread() -> None:
    async def scene() -> Bench:
        bench = await set_up(Venue("100", positionRisk=reply([position()])))
        account = msgspec.structs.replace(bench.account, instruments={}, legs=(LINEAR.id,))
        await AccountAnswers(account).answer(QueryAccount(LINEAR.account))
        return bench

    assert report_of(run_virtual(scene())).unread == (LINEAR.id,)


def test_a_balance_that_cannot_be_read_is_not_told_as_zero() -> None:
    def said(asked: Asked) -> Reply | Exception:
        if asked[1].endswith("/account"):
            rows = [{"asset": "USDT", "walletBalance": "much"}, {"asset": "BNB", "walletBalance": "2"}]
            return reply({"assets": rows})
        return Venue("100")(asked)

    async def scene() -> Bench:
        bench = await set_up(said)
        await AccountAnswers(bench.account).answer(QueryAccount(LINEAR.account))
        return bench

    report = report_of(run_virtual(scene()))
    assert report.balances == {"BNB": Decimal(2)}
    assert (report.unread_rows, report.unread) == (1, ("USDT",))


def test_a_payment_that_cannot_be_read_takes_no_other_with_it() -> None:
    since_ns = NOW_NS - DAY_NS
    rows = [
        {**income("TRANSFER", "5", 1, since_ns), "income": "five"},
        income("TRANSFER", "6", 2, since_ns),
    ]
    bench = answer(Venue("100", income=reply(rows)), QueryAccount(LINEAR.account, since_ns=since_ns))
    assert bench.names() == ["ProtocolDrift", "Transferred", "AccountReported"]
    assert report_of(bench).unread == ("USDT",)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_full_page_of_payments_that_cannot_be_read_comes_to_an_end(is_whole: bool) -> None:
    row = income("TRANSFER", "5", 1, NOW_NS - 10_000_000)
    odd = row if is_whole else {**row, "income": "five"}
    bench = answer(
        Venue("100", income=reply([odd] * 1000)), QueryAccount(LINEAR.account, since_ns=NOW_NS - 20_000_000)
    )
    assert bench.names()[-1] == "AccountReported"


def test_a_trade_that_cannot_be_read_leaves_the_others_told_and_proves_no_reset() -> None:
    trades = [{**spot_trade(6, "1"), "qty": "?"}, spot_trade(7, "1"), spot_trade(8, "2")]

    def said(asked: Asked) -> Reply | Exception:
        match asked[1].rsplit("/", 1)[1]:
            case "account":
                return reply({"balances": [{"asset": "USDT", "free": "1", "locked": "0"}], "updateTime": 1})
            case "myTrades":
                return reply(trades)
            case "order":
                return reply(spot_order())
        return reply([])

    async def scene() -> Bench:
        bench = Bench("spot", said)
        query = QueryAccount(SPOT.account, after_trades={SPOT.id: "6"})
        await AccountAnswers(bench.account).answer(query)
        return bench

    bench = run_virtual(scene())
    assert bench.fills() == ["7", "8"]
    assert report_of(bench).unread_rows == 1


def test_a_trade_whose_order_the_venue_does_not_tell_is_counted() -> None:
    def said(asked: Asked) -> Reply | Exception:
        match asked[1].rsplit("/", 1)[1]:
            case "account":
                return reply({"balances": [], "updateTime": 1})
            case "myTrades":
                return reply([spot_trade(6, "1"), spot_trade(7, "1", order_id=9)])
            case "order":
                return refusal(-2026, "Order was archived.")
        return reply([])

    async def scene() -> Bench:
        bench = Bench("spot", said)
        await AccountAnswers(bench.account).answer(QueryAccount(SPOT.account, after_trades={SPOT.id: "6"}))
        return bench

    assert report_of(run_virtual(scene())).unread_rows == 1


def test_an_order_is_not_missing_where_a_row_could_not_be_read() -> None:
    def listed(rows: list[Any]) -> list[str]:
        def said(asked: Asked) -> Reply | Exception:
            match asked[1].rsplit("/", 1)[1]:
                case "allOrders":
                    return reply(rows)
                case "myTrades":
                    return reply([])
            return refusal(-2013, "Order does not exist.")

        async def scene() -> Bench:
            bench = Bench("spot", said)
            await OrderAnswers(bench.account).answer(QueryOrder(ClientId("bsbt1"), SPOT.id))
            await asyncio.sleep(1.0)
            return bench

        return run_virtual(scene()).names()

    assert listed([]) == [OrderNotFound.__name__]
    assert listed([{**spot_order(), "status": "PENDING_REVIEW"}]) == []


def test_without_a_place_for_them_the_first_such_row_is_drift() -> None:
    body = msgspec.json.encode([{"symbol": "BTCUSDT"}])
    for decode in (
        replies.orders, replies.open_orders, replies.trades, statements.positions, statements.symbol_configs,
        statements.algo_orders, statements.income, statements.funding_rates,
    ):  # fmt: skip
        with pytest.raises(Drift):
            decode("usdm", body)
        unread: list[Unread] = []
        assert decode("usdm", body, unread) == ()
        assert [row.name for row in unread] == ["BTCUSDT"]


def test_usage_rows_that_cannot_be_read_cost_no_answer() -> None:
    row = {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 9, "count": 4}
    for rate_limits in ([row, 7], [{**row, "count": None}, row]):
        body = msgspec.json.encode({"id": "1", "status": 200, "result": {}, "rateLimits": rate_limits})
        assert [usage.count for usage in replies.ws_reply(body).usage] == [4]
    assert replies.ws_reply(b'{"id":"1","status":200,"result":{},"rateLimits":"none"}').usage == ()


EVENT = {
    "e": "ACCOUNT_UPDATE", "E": 2, "T": 1,
    "a": {
        "m": "ORDER",
        "B": [{"a": "USDT", "wb": "much"}, {"a": "BNB", "wb": "2", "bc": "0"}],
        "P": [{"s": "ETHUSDT", "pa": "?"}, {"s": "BTCUSDT", "pa": "1", "ep": "60000", "ps": "BOTH"}],
    },
}  # fmt: skip


def test_an_event_tells_the_rows_that_can_be_read() -> None:
    unread: list[Unread] = []
    event = events.event("usdm", msgspec.json.encode(EVENT), unread)
    assert isinstance(event, events.AccountEvent)
    assert event.balances == {"BNB": Decimal(2)}
    assert [position.instrument for position in event.positions] == [LINEAR.id]
    assert len(unread) == 2


def test_a_margin_call_is_told_whatever_its_rows_say() -> None:
    body = msgspec.json.encode({"e": "MARGIN_CALL", "E": 2, "p": [{"s": 7}, {"s": "BTCUSDT", "pa": "?"}]})
    event = events.event("usdm", body, [])
    assert event == events.MarginCall(2_000_000, LINEAR.account, (LINEAR.id,))


def test_a_wallet_event_tells_the_assets_that_can_be_read() -> None:
    rows = [{"a": "BTC", "f": "-1", "l": "0"}, {"a": "USDT", "f": "1", "l": "2"}]
    body = msgspec.json.encode({"e": "outboundAccountPosition", "E": 2, "u": 2, "B": rows})
    event = events.event("spot", body, [])
    assert isinstance(event, events.WalletEvent)
    assert event.balances == {"USDT": Decimal(3)}


def test_an_event_with_an_unread_row_has_the_account_compared() -> None:
    async def scene() -> list[str]:
        bench = Bench("usdm", Venue("100"))
        hearing = Hearing(bench.account)
        stream = PrivateStream(bench.rest, bench.network, hearing, bench.told, bench.emit)
        assert stream.take(msgspec.json.encode(EVENT))
        return bench.names()

    assert run_virtual(scene()) == ["ProtocolDrift", "AccountTouched", "BalanceSeen"]
