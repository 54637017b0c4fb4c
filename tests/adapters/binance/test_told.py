"""What of an order is told, whoever says it and in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from adapters.binance.orders import Answers
from adapters.binance.replies import Failure, Trade, filled
from adapters.binance.told import KEPT, Told
from adapters.network import Unanswered
from bot.model.commands import Flatten, PlaceOrder, TimeInForce
from bot.model.facts import AnyFact, OrderAccepted, OrderCanceled, OrderExpired, OrderFilled, OrderRejected
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from tests.adapters.binance.canned import Bench, fill, reply
from tests.adapters.paper.build import SPOT
from tests.virtual.loop import run_virtual

NAME = ClientId("bsbt1")
PLACE = PlaceOrder(
    client_id=NAME, pair=PairName("BTC"), role=Role.LONG, instrument=SPOT.id, side=Side.BUY, qty=Decimal(1),
    price=Decimal(60_000), tif=TimeInForce.IOC, reduce_only=False, purpose=Purpose.ENTER,
    arrival_mid=Decimal(60_000), why=Flatten("test"),
)  # fmt: skip


class Word(Struct, frozen=True):
    """The venue's word on the order."""

    filled_qty: Decimal
    client_id: ClientId = NAME
    instrument: InstrumentId = SPOT.id
    venue_order_id: str = "7"


class Scene:
    """``listed`` is what the venue lists of the order's trades; ``failing`` questions go unanswered."""

    def __init__(self, *listed: Trade, failing: int = 0) -> None:
        self.facts: list[AnyFact] = []
        self.asked = 0
        self._listed = listed
        self._failing = failing
        self._tasks: list[asyncio.Task[None]] = []
        self.told = Told(self.facts.append, self._trades, self._spawn, lambda fact: None)

    def _spawn(self, work: Coroutine[None, None, None]) -> object:
        self._tasks.append(asyncio.ensure_future(work))
        return work

    async def _trades(self, name: InstrumentId, venue_order_id: str) -> tuple[Trade, ...]:
        self.asked += 1
        if self.asked <= self._failing:
            raise Unanswered("lost")
        return self._listed

    async def settled(self) -> None:
        await asyncio.gather(*self._tasks)

    def kinds(self) -> list[type]:
        return [type(fact) for fact in self.facts]


END = OrderCanceled(NAME, 5)


def test_a_fill_implies_that_the_order_was_accepted() -> None:
    async def scene() -> None:
        at = Scene()
        at.told.filled(filled(fill("1", "0.4"), NAME))
        at.told.accepted(OrderAccepted(NAME, "7", 1))
        assert at.kinds() == [OrderAccepted, OrderFilled]

    run_virtual(scene())


def test_an_end_waits_for_the_fills_it_counts_and_asks_for_them() -> None:
    async def scene() -> None:
        at = Scene(fill("1", "0.4"), fill("2", "0.6"))
        at.told.filled(filled(fill("1", "0.4"), NAME))
        at.told.stands(Word(Decimal("1.0")), END)
        assert END not in at.facts
        await at.settled()
        assert at.kinds() == [OrderAccepted, OrderFilled, OrderFilled, OrderCanceled]
        assert at.asked == 1

    run_virtual(scene())


def test_where_the_venue_lists_too_little_no_end_is_told_until_a_fill_comes() -> None:
    async def scene() -> None:
        at = Scene(fill("1", "0.4"), failing=2)
        at.told.stands(Word(Decimal("1.0")), END)
        await at.settled()
        assert at.kinds() == [OrderAccepted, OrderFilled]
        assert at.told.settling == 0
        at.told.filled(filled(fill("2", "0.6"), NAME))
        assert at.facts[-1] == END

    run_virtual(scene())


def test_an_answer_leaves_the_end_to_the_stream_for_a_moment() -> None:
    async def scene() -> None:
        at = Scene(fill("1", "1.0"))
        at.told.stands(Word(Decimal("1.0")), OrderExpired(NAME, "answer", 5), patience_s=0.3)
        at.told.filled(filled(fill("1", "1.0"), NAME))
        assert OrderExpired not in at.kinds()
        at.told.stands(Word(Decimal("1.0")), OrderExpired(NAME, "stream", 5))
        await at.settled()
        ends = [fact for fact in at.facts if isinstance(fact, OrderExpired)]
        assert [end.reason for end in ends] == ["stream"]
        assert at.asked == 0

    run_virtual(scene())


def test_where_the_stream_stays_silent_the_answer_tells_fills_and_end() -> None:
    async def scene() -> None:
        at = Scene(fill("1", "1.0"))
        at.told.stands(Word(Decimal("1.0")), OrderExpired(NAME, "answer", 5), patience_s=0.3)
        await at.settled()
        assert at.kinds() == [OrderAccepted, OrderFilled, OrderExpired]

    run_virtual(scene())


def test_a_reject_of_a_second_order_does_not_kill_the_first() -> None:
    async def scene() -> None:
        at = Scene()
        at.told.accepted(OrderAccepted(NAME, "7", 1))
        at.told.rejected(OrderRejected(NAME, "REJECTED", "duplicate", 2))
        assert at.kinds() == [OrderAccepted]

    run_virtual(scene())


def test_asked_again_a_fill_is_told_again_and_counted_once() -> None:
    async def scene() -> None:
        at = Scene()
        at.told.filled(filled(fill("1", "0.4"), NAME))
        at.told.refilled(filled(fill("1", "0.4"), NAME))
        at.told.stands(Word(Decimal("0.4")), END)
        assert at.kinds() == [OrderAccepted, OrderFilled, OrderFilled, OrderCanceled]
        await at.settled()
        assert at.asked == 0

    run_virtual(scene())


def test_what_is_remembered_is_bounded() -> None:
    async def scene() -> None:
        at = Scene()
        for number in range(KEPT + 10):
            at.told.accepted(OrderAccepted(ClientId(f"bsbt{number}"), str(number), 1))
            at.told.named(SPOT.id, str(number), ClientId(f"bsbt{number}"))
        assert at.told.name_of(SPOT.id, "0") is None
        assert at.told.name_of(SPOT.id, str(KEPT)) == f"bsbt{KEPT}"
        assert not at.told.is_streamed(ClientId(f"bsbt{KEPT}"))

    run_virtual(scene())


@given(st.permutations(["accepted", "1", "2", "2", "end", "end"]))
def test_in_any_order_each_thing_is_told_once_and_the_end_last(said: list[str]) -> None:
    async def scene() -> None:
        at = Scene(fill("1", "0.4"), fill("2", "0.6"))
        for word in said:
            match word:
                case "accepted":
                    at.told.accepted(OrderAccepted(NAME, "7", 1))
                case "end":
                    at.told.stands(Word(Decimal("1.0")), END)
                case trade_id:
                    at.told.filled(filled(fill(trade_id, "0.4" if trade_id == "1" else "0.6"), NAME))
        await at.settled()
        assert at.kinds() == [OrderAccepted, OrderFilled, OrderFilled, OrderCanceled]

    run_virtual(scene())


def test_a_refusal_of_an_order_that_lives_is_not_believed() -> None:
    """The private stream spoke of it before: whoever refused, it was not the matching engine."""

    async def scene() -> list[str]:
        bench = Bench("spot", lambda asked: reply([]))
        answers = Answers(bench.rest, bench.told, bench.emit, lambda name: None)
        bench.told.accepted(OrderAccepted(NAME, "7", 1))
        answers.failed(PLACE, 400, Failure(-1015, "Too many new orders."))
        return bench.names()

    assert run_virtual(scene()) == ["OrderAccepted", "OrderUncertain"]
