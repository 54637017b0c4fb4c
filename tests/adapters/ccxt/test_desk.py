"""Whatever the order in which ccxt speaks of an order, its facts come in one order and once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ccxt.desk import Desk, Known, Leg, Trade, VenueTime
from bot.model.facts import (
    AnyFact,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    ProtocolDrift,
)
from bot.model.ids import ClientId
from tests.adapters.paper.build import LINEAR

D = Decimal
LEG = Leg(LINEAR, "BTC/USDT:USDT", {})
NAME = ClientId("bsbt1")


class Clock:
    def now_ns(self) -> int:
        return 1


def order(status: str, filled: str, name: str = NAME, venue_id: str = "77") -> dict[str, Any]:
    return {"id": venue_id, "clientOrderId": name, "status": status, "filled": filled, "amount": "3",
            "side": "buy", "timestamp": 5}  # fmt: skip


def trade(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": str(number), "order": "77", "side": "buy", "amount": "1", "price": "100", "timestamp": 6,
            "takerOrMaker": "maker", "fee": {"cost": "0.1", "currency": "USDT"}} | changes  # fmt: skip


class Floor:
    """A desk, what it told, and the trades that a query would find."""

    def __init__(self, shown: int = 3) -> None:
        self.facts: list[AnyFact] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.desk = Desk(VenueTime(Clock()), "bsbt", self.facts.append, self._spawn)
        self.desk.trades_of = self._trades_of
        self._shown = shown

    def _spawn(self, story: Any) -> None:
        self.tasks.append(asyncio.ensure_future(story))

    async def _trades_of(self, known: Known) -> list[Trade]:
        return [trade(number) for number in range(self._shown)]

    async def settled(self) -> None:
        while self.tasks:
            await self.tasks.pop()

    def of(self, *kinds: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kinds)]


def played(floor: Floor, events: list[tuple[str, Any]]) -> None:
    async def story() -> None:
        floor.desk.open(NAME, LEG)
        for kind, told in events:
            if kind == "order":
                floor.desk.on_order(LEG, told)
            else:
                floor.desk.on_trade(LEG, told)
            await asyncio.sleep(0)
        await floor.settled()

    asyncio.run(story())


WHOLE = [
    ("order", order("open", "0")),
    *(("trade", trade(n)) for n in range(3)),
    ("order", order("closed", "3")),
]
CUT = [("order", order("open", "0")), ("trade", trade(0)), ("order", order("canceled", "1"))]


@given(st.permutations(WHOLE * 2))
def test_a_filled_order_is_accepted_once_and_filled_once(events: list[tuple[str, Any]]) -> None:
    floor = Floor()
    played(floor, events)
    assert [type(fact) for fact in floor.facts] == [OrderAccepted, *[OrderFilled] * 3]
    assert {fill.trade_id for fill in floor.of(OrderFilled)} == {"0", "1", "2"}


@given(st.permutations(CUT * 2))
def test_the_end_of_an_order_follows_every_fill_it_counts(events: list[tuple[str, Any]]) -> None:
    floor = Floor(shown=1)
    played(floor, events)
    assert [type(fact) for fact in floor.facts] == [OrderAccepted, OrderFilled, OrderExpired]


def test_our_own_cancel_is_a_cancel() -> None:
    floor = Floor()
    floor.desk.open(NAME, LEG).is_canceling = True
    played(floor, [("order", order("canceled", "0"))])
    assert [type(fact) for fact in floor.facts] == [OrderAccepted, OrderCanceled]


def test_a_fill_the_stream_kept_back_is_asked_for() -> None:
    floor = Floor(shown=3)
    played(floor, [("order", order("expired", "3"))])
    assert [type(fact) for fact in floor.facts] == [OrderAccepted, *[OrderFilled] * 3, OrderExpired]


def test_an_end_whose_fills_nobody_shows_is_not_told() -> None:
    floor = Floor(shown=1)
    played(floor, [("order", order("canceled", "2"))])
    assert [type(fact) for fact in floor.facts] == [OrderAccepted, OrderFilled]


def test_others_orders_and_trades_are_no_facts() -> None:
    floor = Floor()
    events = [("trade", trade(1, order="88")), ("order", order("open", "0", "somebody", "88"))]
    played(floor, events)
    assert floor.facts == []


def test_an_order_of_an_earlier_run_is_ours() -> None:
    floor = Floor()
    events = [("trade", trade(1, order="88")), ("order", order("open", "1", "bsbtold9", "88"))]
    played(floor, events)
    (accepted, fill) = floor.facts
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(fill, OrderFilled)
    assert (fill.client_id, fill.venue_order_id, fill.fee) == ("bsbtold9", "88", D("0.1"))


def test_an_order_born_rejected_never_lived() -> None:
    floor = Floor()
    played(floor, [("order", order("rejected", "0"))])
    assert [type(fact) for fact in floor.facts] == [OrderRejected]
    assert NAME not in floor.desk.known


@pytest.mark.parametrize("lacking", [{"fee": None}, {"side": None}, {"side": "long"}, {"id": None}])
def test_a_trade_without_its_fee_side_or_name_is_drift_and_no_fill(lacking: dict[str, Any]) -> None:
    floor = Floor()
    played(floor, [("order", order("open", "0")), ("trade", trade(1, **lacking))])
    assert [type(fact) for fact in floor.facts] == [OrderAccepted, ProtocolDrift]
