"""The order table: every cell, and what each fact does in each state."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from bot.core import orders
from bot.core.orders import LEGAL, BrokenInvariant
from bot.model.commands import TimeInForce
from bot.model.facts import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
)
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from bot.model.store import Order, OrderState

D = Decimal
ID = ClientId("bsbt0000000a1")
PERP = InstrumentId("binance:usdm:BTCUSDT")
SENT, OPEN, CANCELING, UNCERTAIN, DONE, DEAD = OrderState

# the design's table, typed in a second time: SENT → OPEN | DONE | DEAD | UNCERTAIN; …
ALLOWED = {
    (SENT, OPEN), (SENT, DONE), (SENT, DEAD), (SENT, UNCERTAIN),
    (OPEN, CANCELING), (OPEN, DONE), (OPEN, DEAD), (OPEN, UNCERTAIN),
    (CANCELING, OPEN), (CANCELING, DONE), (CANCELING, DEAD), (CANCELING, UNCERTAIN),
    (UNCERTAIN, OPEN), (UNCERTAIN, DONE), (UNCERTAIN, DEAD),
}  # fmt: skip


def make(state: OrderState, filled: str = "0") -> Order:
    return Order(
        client_id=ID, pair=PairName("BTC"), role=Role.SHORT, instrument=PERP, side=Side.SELL, qty=D(2),
        price=D(100), tif=TimeInForce.IOC, reduce_only=False, purpose=Purpose.ENTER, arrival_mid=D(100),
        sent_ns=1_000, state=state, state_ns=1_000, filled_qty=D(filled), ask_ns=99,
    )  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(OrderState, OrderState)))
def test_every_cell_of_the_table(before: OrderState, after: OrderState) -> None:
    order = make(before)
    if (before, after) in ALLOWED:
        orders.move(order, after, 7, "because")
        assert (order.state, order.state_ns, order.reason) == (after, 7, "because")
    else:
        with pytest.raises(BrokenInvariant, match=f"{before.value} cannot become {after.value}"):
            orders.move(order, after, 7)


def test_live_is_what_may_still_fill() -> None:
    assert [state for state in OrderState if state.is_live] == [SENT, OPEN, CANCELING, UNCERTAIN]
    assert make(UNCERTAIN, "0.5").open_qty == D("1.5")
    assert make(DONE, "0.5").open_qty == 0
    assert all(not LEGAL[state] for state in (DONE, DEAD))


ACK = OrderAccepted(ID, "v1", 5)
GONE = {
    "rejected": (orders.rejected, OrderRejected(ID, "-2010", "no money", 5), DEAD),
    "canceled": (orders.ended, OrderCanceled(ID, 5), DONE),
    "expired": (orders.ended, OrderExpired(ID, "IOC", 5), DONE),
}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("what", GONE)
def test_an_end_ends_what_lives_and_changes_nothing_else(state: OrderState, what: str) -> None:
    apply, fact, ended = GONE[what]
    order = make(state)
    apply(order, fact, 7)  # type: ignore[operator]
    assert order.state is (ended if state.is_live else state)


@pytest.mark.parametrize("state", OrderState)
def test_an_acknowledgement_opens_only_what_was_sent(state: OrderState) -> None:
    order = make(state)
    orders.accepted(order, ACK, 7)
    assert order.state is (OPEN if state is SENT else state)
    assert order.venue_order_id == "v1"
    assert order.ask_ns == (7 if state is UNCERTAIN else 99), (
        "an uncertain order waits for a report, asked for at once"
    )


@pytest.mark.parametrize("state", OrderState)
def test_silence_makes_uncertain_what_lives(state: OrderState) -> None:
    order = make(state)
    orders.uncertain(order, OrderUncertain(ID, "deadline"), 7)
    assert order.state is (UNCERTAIN if state.is_live else state)
    assert order.ask_ns == (7 if state in (SENT, OPEN, CANCELING) else 99)


@pytest.mark.parametrize("state", OrderState)
def test_a_refused_cancel_asks(state: OrderState) -> None:
    order = make(state)
    orders.cancel_rejected(order, CancelRejected(ID, "-2011", "unknown", 5), 7)
    assert order.state is (OPEN if state is CANCELING else state)
    assert order.ask_ns == (7 if state is CANCELING else 99)


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize(("filled", "full"), [("1", False), ("2", True)])
def test_a_fill_in_every_state(state: OrderState, filled: str, full: bool) -> None:
    order = make(state, filled)
    orders.filled(order, 7)
    if state in (SENT, OPEN, CANCELING):
        assert order.state is (DONE if full else (OPEN if state is SENT else state))
    else:
        assert order.state is state


def test_more_than_ordered_is_a_bug() -> None:
    with pytest.raises(BrokenInvariant, match="filled 3 of 2"):
        orders.filled(make(OPEN, "3"), 7)


def report(status: OrderStatus, filled: str = "0", qty: str = "2", side: Side = Side.SELL) -> OrderReported:
    return OrderReported(ID, PERP, "v1", status, side, D(qty), D(filled), 5)


@pytest.mark.parametrize("state", [s for s in OrderState if s.is_live])
@pytest.mark.parametrize(
    ("status", "after"),
    [
        (OrderStatus.OPEN, OPEN),
        (OrderStatus.FILLED, DONE),
        (OrderStatus.CANCELED, DONE),
        (OrderStatus.EXPIRED, DONE),
        (OrderStatus.REJECTED, DEAD),
    ],
)
def test_a_report_settles_what_lives(state: OrderState, status: OrderStatus, after: OrderState) -> None:
    order = make(state)
    order.not_found = 1
    orders.reported(order, report(status), 7)
    assert (order.state, order.not_found, order.venue_order_id) == (after, 0, "v1")


def test_a_report_does_not_wake_the_dead() -> None:
    order = make(DEAD)
    orders.reported(order, report(OrderStatus.OPEN), 7)
    assert order.state is DEAD


def test_a_report_is_of_an_order_or_of_another() -> None:
    order = make(UNCERTAIN)
    assert orders.is_of(order, report(OrderStatus.OPEN))
    assert not orders.is_of(order, report(OrderStatus.OPEN, qty="3"))
    assert not orders.is_of(order, report(OrderStatus.OPEN, side=Side.BUY))


WINDOW_NS = 5_000_000_000
SETTLED_NS = 1_000 + WINDOW_NS + orders.SETTLE_MARGIN_NS


def test_not_found_kills_only_beyond_doubt() -> None:
    order = make(UNCERTAIN)
    orders.not_found(order, OrderNotFound(ID, SETTLED_NS), 7, WINDOW_NS)
    assert (order.state, order.not_found, order.ask_ns) == (UNCERTAIN, 1, SETTLED_NS), (
        "one negative answer is not two"
    )
    orders.not_found(order, OrderNotFound(ID, SETTLED_NS - 1), 8, WINDOW_NS)
    assert order.state is UNCERTAIN, "the venue could still have accepted it"
    orders.not_found(order, OrderNotFound(ID, SETTLED_NS), 9, WINDOW_NS)
    assert order.state is DEAD


@pytest.mark.parametrize("state", [SENT, OPEN, CANCELING])
def test_not_found_of_a_living_order_makes_it_uncertain_first(state: OrderState) -> None:
    order = make(state)
    orders.not_found(order, OrderNotFound(ID, SETTLED_NS), 7, WINDOW_NS)
    assert (order.state, order.not_found) == (UNCERTAIN, 1)


def test_not_found_of_an_ended_order_says_nothing() -> None:
    order = make(DONE)
    orders.not_found(order, OrderNotFound(ID, SETTLED_NS), 7, WINDOW_NS)
    assert order.state is DONE
