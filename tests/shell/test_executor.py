"""The executor: only what was admitted, through the fuse, and silence becomes a fact."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.model.commands import (
    AnyCommand,
    CancelOrder,
    NoteIdle,
    Outward,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    RaiseAlert,
    SetMode,
)
from bot.model.facts import (
    AnyFact,
    CancelRejected,
    OrderCanceled,
    OrderExpired,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
)
from bot.model.ids import AccountId, ClientId, PairName
from bot.model.instrument import Side
from bot.model.pair import Mode, Purpose
from bot.shell.executor import Executor
from tests.instruments import instrument
from tests.shell.admission import admitted
from tests.shell.samples import SECOND, SPOT, START, accepted, book, filled, make_fuse, place

A = ClientId("a")
QTY = place("a").qty


class Desk:
    """An executor with everything it touches written down."""

    def __init__(
        self,
        *,
        deadline_s: float = 5.0,
        opening_orders_per_min: int = 120,
        closing_notional: int = 10_000_000,
    ) -> None:
        self.sent: list[tuple[Outward, int]] = []
        self.facts: list[AnyFact] = []
        self.alerts: list[tuple[RaiseAlert, int]] = []
        self.executor = Executor(
            msgspec.structs.replace(
                make_fuse(deadline_s=deadline_s, opening_orders_per_min=opening_orders_per_min),
                closing_notional_per_min_quote=Decimal(closing_notional),
            ),
            {SPOT: instrument(SPOT)},
            lambda command, at_ns: self.sent.append((command, at_ns)),
            self.facts.append,
            lambda alert, at_ns: self.alerts.append((alert, at_ns)),
        )

    def execute(self, *commands: AnyCommand, at_ns: int = START) -> None:
        self.executor.execute(admitted(*commands), at_ns)


def _reported(status: OrderStatus) -> OrderReported:
    return OrderReported(A, SPOT, "v", status, Side.BUY, Decimal(1), Decimal(0), START)


def test_commands_for_a_venue_are_sent_and_the_others_stay() -> None:
    desk = Desk()
    outward = (
        place("a"),
        CancelOrder(A, SPOT, "late"),
        QueryOrder(A, SPOT),
        QueryAccount(AccountId("binance:spot")),
    )
    alert = RaiseAlert("legged", "critical", "pair BTC is naked")
    desk.execute(
        outward[0], SetMode("*", Mode.PAUSED, "x"), NoteIdle(PairName("BTC"), "y"), alert, *outward[1:]
    )
    assert desk.sent == [(command, START) for command in outward]
    assert desk.alerts == [(alert, START)]
    assert desk.facts == []


def test_what_the_guard_did_not_admit_is_not_sent() -> None:
    desk = Desk()
    with pytest.raises(TypeError, match="only what the guard admitted is executed, not PlaceOrder"):
        desk.executor.execute((place("a"),), START)  # type: ignore[arg-type]
    assert desk.sent == []


def test_the_fuse_turns_an_order_into_a_reject_that_was_never_sent() -> None:
    desk = Desk(opening_orders_per_min=2)
    for order in (place("a"), place("b"), place("c"), place("d", Purpose.EXIT)):
        desk.execute(order)
    assert [command.client_id for command, _ in desk.sent if not isinstance(command, QueryAccount)] == [
        "a",
        "b",
        "d",
    ]
    (refused,) = desk.facts
    assert isinstance(refused, OrderRejected)
    assert (refused.client_id, refused.code, refused.venue_ns) == ("c", "FUSE", START)
    assert refused.reason
    desk.executor.saw(filled(place("a"), START))
    desk.executor.saw(filled(place("b"), START))
    desk.executor.saw(filled(place("d"), START))
    assert desk.executor.next_deadline_ns() is None, "nobody waits for an order that was not sent"


def test_the_fuse_lets_a_group_pass_whole_or_not_at_all() -> None:
    desk = Desk(opening_orders_per_min=2)
    desk.execute(place("a"), place("b"), place("c"), place("d", Purpose.EXIT))
    assert [command.client_id for command, _ in desk.sent if isinstance(command, PlaceOrder)] == ["d"]
    assert [(fact.client_id, fact.code) for fact in desk.facts if isinstance(fact, OrderRejected)] == [
        ("a", "FUSE"), ("b", "FUSE"), ("c", "FUSE"),
    ]  # fmt: skip


def test_what_expired_unfilled_gives_its_notional_back() -> None:
    desk = Desk(closing_notional=1_000)  # an order is worth 600
    for name in ("a", "b"):
        desk.execute(place(name, Purpose.EXIT))
        desk.executor.saw(OrderExpired(ClientId(name), "IOC", START))
    desk.execute(place("c", Purpose.EXIT))
    desk.executor.saw(filled(place("c", Purpose.EXIT), START))
    desk.executor.saw(OrderReported(ClientId("c"), SPOT, "v", OrderStatus.FILLED, Side.BUY, QTY, QTY, START))
    desk.execute(place("d", Purpose.EXIT))
    assert [command.client_id for command, _ in desk.sent if isinstance(command, PlaceOrder)] == [
        "a",
        "b",
        "c",
    ]
    assert [fact.client_id for fact in desk.facts if isinstance(fact, OrderRejected)] == ["d"]


def test_silence_becomes_uncertain_at_the_deadline_and_only_once() -> None:
    desk = Desk(deadline_s=1.5)
    desk.execute(place("a"))
    desk.execute(CancelOrder(ClientId("b"), SPOT, "late"), at_ns=START + SECOND)
    assert desk.executor.next_deadline_ns() == START + 3 * SECOND // 2
    desk.executor.expire(START + 3 * SECOND // 2 - 1)
    assert desk.facts == []
    desk.executor.expire(START + 3 * SECOND // 2)
    assert desk.facts == [OrderUncertain(A, "order: no answer within 1.5 s")]
    assert desk.executor.next_deadline_ns() == START + 5 * SECOND // 2
    desk.executor.expire(START + 10 * SECOND)
    assert desk.facts[1:] == [OrderUncertain(ClientId("b"), "cancel: no answer within 1.5 s")]
    assert desk.executor.next_deadline_ns() is None
    desk.executor.expire(START + 20 * SECOND)
    assert len(desk.facts) == 2


PLACED_ENDS = [
    accepted("a"),
    filled(place("a"), START),
    OrderCanceled(A, START),
    OrderExpired(A, "ioc", START),
    OrderRejected(A, "-2010", "balance", START),
    OrderNotFound(A, START),
    OrderUncertain(A, "502"),
    *(_reported(status) for status in OrderStatus),
]
CANCEL_STAYS = [accepted("a"), filled(place("a"), START), _reported(OrderStatus.OPEN)]


@pytest.mark.parametrize("answer", PLACED_ENDS, ids=lambda fact: type(fact).__name__)
def test_an_answer_ends_the_wait_for_an_order(answer: AnyFact) -> None:
    desk = Desk()
    desk.execute(place("a"), place("b"))
    desk.executor.saw(answer)
    desk.executor.expire(START + 60 * SECOND)
    assert [fact.client_id for fact in desk.facts if isinstance(fact, OrderUncertain)] == ["b"]


@pytest.mark.parametrize(
    "answer",
    [*PLACED_ENDS, CancelRejected(A, "-2011", "unknown", START)],
    ids=lambda fact: type(fact).__name__,
)
def test_an_answer_to_a_cancel_is_one_that_says_what_became_of_the_order(answer: AnyFact) -> None:
    desk = Desk()
    desk.execute(CancelOrder(A, SPOT, "late"))
    desk.executor.saw(answer)
    desk.executor.expire(START + 60 * SECOND)
    assert bool(desk.facts) == (answer in CANCEL_STAYS)


@pytest.mark.parametrize("passing", [book(START), CancelRejected(A, "-2011", "", START), accepted("b")])
def test_facts_of_others_end_no_wait(passing: AnyFact) -> None:
    desk = Desk()
    desk.execute(place("a"))
    desk.executor.saw(passing)
    assert desk.executor.next_deadline_ns() == START + 5 * SECOND


def test_a_further_cancel_waits_anew_and_the_earliest_is_still_first() -> None:
    desk = Desk()
    desk.execute(CancelOrder(A, SPOT, "late"))
    desk.execute(CancelOrder(ClientId("b"), SPOT, "late"), at_ns=START + SECOND)
    desk.execute(CancelOrder(A, SPOT, "again"), at_ns=START + 2 * SECOND)
    assert desk.executor.next_deadline_ns() == START + 6 * SECOND
    desk.executor.expire(START + 6 * SECOND)
    assert [fact.client_id for fact in desk.facts if isinstance(fact, OrderUncertain)] == ["b"]


def test_a_crash_forgets_deadlines_and_the_fuses_minute() -> None:
    desk = Desk(opening_orders_per_min=1)
    desk.execute(place("a"))
    desk.executor.lose_memory()
    assert desk.executor.next_deadline_ns() is None
    desk.execute(place("b"))
    assert desk.facts == []
    assert len(desk.sent) == 2
