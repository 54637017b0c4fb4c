"""What became of an order, asked by its client id."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from adapters.binance.queries import OrderAnswers
from adapters.network import Reply, Unanswered
from bot.model.commands import QueryOrder
from bot.model.facts import OrderFilled, OrderNotFound, OrderReported, OrderStatus, ProtocolDrift
from bot.model.ids import ClientId
from tests.adapters.binance.canned import (
    NOW_NS,
    Asked,
    Bench,
    refusal,
    reply,
    spot_order,
    spot_trade,
)
from tests.adapters.paper.build import SPOT
from tests.virtual.loop import run_virtual

QUERY = QueryOrder(ClientId("bsbt1"), SPOT.id)
UNKNOWN = refusal(-2013, "Order does not exist.")
HALF = spot_order(status="PARTIALLY_FILLED", executedQty="0.5")
Said = Callable[[Asked], Reply | Exception]


def venue(
    order: Reply | Exception,
    trades: list[dict[str, object]] | None = None,
    listed: list[dict[str, object]] | None = None,
    others: dict[str, dict[str, object]] | None = None,
) -> Said:
    """A venue that says this of the order, its trades, the list of orders, and orders by its own id."""

    def said(asked: Asked) -> Reply | Exception:
        _, path, params = asked
        if path.endswith("/myTrades"):
            wanted = params.get("orderId")
            rows = [row for row in trades or [] if wanted is None or str(row["orderId"]) == wanted]
            return reply(rows)
        if path.endswith("/allOrders"):
            return reply(listed or [])
        if "orderId" in params:
            return reply((others or {})[params["orderId"]])
        return order

    return said


def ask(said: Said, *queries: QueryOrder, sent_ns: int = 0) -> Bench:
    async def scene() -> Bench:
        bench = Bench("spot", said)
        if sent_ns:
            bench.told.sends(QUERY.client_id, sent_ns)
        answers = OrderAnswers(bench.account)
        for query in queries or (QUERY,):
            await answers.answer(query)
        return bench

    return run_virtual(scene())


def test_fills_are_told_before_the_report_that_counts_them() -> None:
    bench = ask(venue(reply(HALF), [spot_trade(1, "0.2"), spot_trade(2, "0.3")]))
    assert bench.names() == ["OrderFilled", "OrderFilled", "OrderReported"]
    report = bench.facts[-1]
    assert isinstance(report, OrderReported)
    assert (report.status, report.filled_qty) == (OrderStatus.OPEN, Decimal("0.5"))


def test_asked_again_they_are_told_again() -> None:
    bench = ask(venue(reply(HALF), [spot_trade(1, "0.5")]), QUERY, QUERY)
    assert bench.names() == ["OrderFilled", "OrderReported"] * 2


def test_where_the_venue_lists_fewer_fills_than_it_counts_nothing_is_told() -> None:
    assert ask(venue(reply(HALF), [spot_trade(1, "0.2")])).facts == []


def test_an_order_that_nobody_knows_is_not_found_by_the_venues_clock() -> None:
    bench = ask(venue(UNKNOWN))
    (fact,) = bench.facts
    assert isinstance(fact, OrderNotFound)
    assert abs(fact.venue_ns - NOW_NS) < 1e9
    assert [path for path in bench.network.paths() if path.endswith("/allOrders")]
    assert [path for path in bench.network.paths() if path.endswith("/myTrades")]


def test_without_the_venues_time_nothing_is_said_of_an_unknown_order() -> None:
    async def scene() -> Bench:
        bench = Bench("spot", venue(UNKNOWN))
        bench.clock.offset_ns = None
        await OrderAnswers(bench.account).answer(QUERY)
        return bench

    assert run_virtual(scene()).facts == []


def test_an_order_in_the_list_is_not_not_found() -> None:
    assert ask(venue(UNKNOWN, listed=[spot_order()])).facts == []


def test_a_trade_of_the_order_is_not_not_found() -> None:
    bench = ask(venue(UNKNOWN, [spot_trade(1, "0.5", order_id=9)], others={"9": spot_order(orderId=9)}))
    assert bench.facts == []


def test_trades_of_other_orders_do_not_keep_it_alive() -> None:
    foreign = spot_order(orderId=9, clientOrderId="web_1")
    bench = ask(venue(UNKNOWN, [spot_trade(1, "0.5", order_id=9)], others={"9": foreign}))
    assert bench.names() == ["OrderNotFound"]


def test_only_the_time_since_it_was_sent_is_looked_through() -> None:
    bench = ask(venue(UNKNOWN), sent_ns=NOW_NS - 5_000_000_000)
    (since_ms,) = {params["startTime"] for _, path, params in bench.network.asked if "startTime" in params}
    assert int(since_ms) == (NOW_NS - 65_000_000_000) // 1_000_000


@pytest.mark.parametrize(
    "said",
    [
        Unanswered("reset"),
        refusal(-1000, "unknown", 500),
        refusal(-1003, "Too many requests", 429),
        reply(b"<html>busy</html>", 503),
    ],
)
def test_any_other_answer_is_no_answer(said: Reply | Exception) -> None:
    assert ask(venue(said)).facts == []


def test_a_refusal_that_will_not_pass_is_told_with_the_venue_s_words() -> None:
    (drift,) = ask(venue(refusal(-2015, "Invalid API-key", 401))).facts
    assert isinstance(drift, ProtocolDrift)
    assert drift.reason == "query of bsbt1 refused: 401 -2015 Invalid API-key"


@pytest.mark.parametrize("number", [1, 2])
def test_a_question_that_went_unanswered_is_asked_again_at_once(number: int) -> None:
    count = 0

    def said(asked: Asked) -> Reply | Exception:
        nonlocal count
        count += 1
        return Unanswered("reset") if count <= number else reply(spot_order())

    assert ask(said).names() == ["OrderReported"]


@pytest.mark.parametrize(
    "body", [spot_order(clientOrderId="bsbt2"), spot_order(symbol="ETHUSDT"), {"orderId": 1}, {}]
)
def test_an_answer_on_another_order_is_drift(body: dict[str, object]) -> None:
    assert ask(venue(reply(body))).names() == ["ProtocolDrift"]


def test_trades_of_another_order_are_drift() -> None:
    def said(asked: Asked) -> Reply | Exception:
        return reply([spot_trade(1, "0.5", order_id=8)] if asked[1].endswith("/myTrades") else HALF)

    bench = ask(said)
    assert bench.names() == ["ProtocolDrift"]
    assert not [fact for fact in bench.facts if isinstance(fact, OrderFilled)]
