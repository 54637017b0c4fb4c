"""The budgets before the wire."""

from __future__ import annotations

from msgspec.structs import replace

from bot.model.commands import PlaceOrder
from bot.model.config import Fuse
from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from risk.fuse import FuseBox
from tests.risk import build
from tests.risk.build import INVERSE, LINEAR, NOW, SECOND_NS, SPOT, D

MINUTE_NS = 60 * SECOND_NS
ONE = build.place(Role.SHORT, Side.SELL, "1")  # worth 60,000


def fuse(orders: int = 100, notional: int = 10**9, **repairs: int) -> Fuse:
    return Fuse(
        opening_orders_per_min=orders, closing_orders_per_min=orders,
        opening_notional_per_min_quote=D(notional), closing_notional_per_min_quote=D(notional),
        repair_orders_per_min=repairs.get("repairs"),
    )  # fmt: skip


def numbered(number: int, purpose: Purpose = Purpose.ENTER, order: PlaceOrder = ONE) -> PlaceOrder:
    return replace(order, client_id=ClientId(f"{purpose.value}{number}"), purpose=purpose)


def test_orders_of_a_sliding_minute() -> None:
    box = FuseBox(fuse(orders=2))
    assert box.allow([numbered(1)], NOW) is None
    assert box.allow([numbered(2)], NOW + 30 * SECOND_NS) is None
    assert box.allow([numbered(3)], NOW + MINUTE_NS - 1) == "2 opening orders a minute are spent"
    assert box.allow([numbered(4)], NOW + MINUTE_NS) is None
    assert box.allow([numbered(5)], NOW + MINUTE_NS) is not None


def test_notional_of_a_sliding_minute() -> None:
    box, leaving = FuseBox(fuse(notional=120_000)), Purpose.EXIT
    assert box.allow([numbered(1, leaving)], NOW) is None
    assert box.allow([numbered(2, leaving)], NOW + 1) is None
    small = numbered(3, leaving, build.place(Role.LONG, Side.SELL, "0.001"))
    refused = box.allow([small], NOW + 2)
    assert refused == "an order worth 60 exceeds the 0 that closing has left this minute"
    assert box.allow([numbered(4, leaving)], NOW + MINUTE_NS) is None


def test_a_group_passes_whole_or_not_at_all() -> None:
    box = FuseBox(fuse(notional=100_000))
    assert box.allow([numbered(1, Purpose.EXIT), numbered(2, Purpose.EXIT)], NOW) is not None
    assert box.allow([numbered(3, Purpose.EXIT)], NOW) is None, "nothing of what was refused is counted"


def test_opening_closing_and_repairing_are_apart() -> None:
    box = FuseBox(fuse(orders=1, repairs=2))
    for purpose in (Purpose.ENTER, Purpose.EXIT, Purpose.REPAIR):
        assert box.allow([numbered(1, purpose)], NOW) is None
    assert box.allow([numbered(2, Purpose.ENTER)], NOW) == "1 opening orders a minute are spent"
    assert box.allow([numbered(2, Purpose.DRIFT)], NOW) == "1 closing orders a minute are spent"
    assert box.allow([numbered(2, Purpose.UNWIND)], NOW) is None
    assert box.allow([numbered(3, Purpose.REPAIR)], NOW) == "2 repair orders a minute are spent"


def test_what_was_not_executed_gives_its_notional_back_and_not_its_count() -> None:
    box = FuseBox(fuse(orders=3, notional=60_000))
    first = numbered(1)
    assert box.allow([first], NOW) is None
    assert box.allow([numbered(2)], NOW) is not None
    box.filled(first.client_id, D("0.25"))
    box.ended(first.client_id)
    box.ended(first.client_id)
    three_quarters = replace(numbered(3), qty=D("0.75"))
    assert box.allow([replace(three_quarters, qty=D("0.751"))], NOW) is not None
    assert box.allow([three_quarters], NOW) is None
    box.ended(three_quarters.client_id)
    assert box.allow([three_quarters], NOW) is None
    box.ended(three_quarters.client_id)
    assert box.allow([three_quarters], NOW) == "3 opening orders a minute are spent"
    assert box.allow([numbered(4)], NOW + MINUTE_NS) is None, "the whole minute is over"


def test_what_is_refused_is_not_counted() -> None:
    box = FuseBox(fuse(notional=100_000))
    assert box.allow([build.place(Role.SHORT, Side.SELL, "2")], NOW) is not None
    assert box.allow([numbered(1)], NOW) is None


def test_an_inverse_contract_is_worth_what_it_says() -> None:
    listed = {one.id: one for one in (build.instrument(INVERSE), build.instrument(SPOT))}
    inverse = build.place(Role.SHORT, Side.SELL, "600", instrument=INVERSE)
    assert FuseBox(fuse(notional=60_000), listed).allow([inverse], NOW) is None
    assert FuseBox(fuse(notional=59_999), listed).allow([inverse], NOW) is not None
    assert FuseBox(fuse(notional=60_000)).allow([inverse], NOW) is not None
    assert FuseBox(fuse(), listed).allow([ONE], NOW) == f"{LINEAR} is unknown to the fuse"


def test_what_is_older_than_a_minute_gives_nothing_back_when_it_ends() -> None:
    box = FuseBox(fuse(notional=60_000))
    assert box.allow([numbered(1)], NOW) is None
    assert box.allow([numbered(2)], NOW + MINUTE_NS) is None
    box.ended(numbered(1).client_id)
    assert box.allow([numbered(3)], NOW + MINUTE_NS) is not None, "the second order's worth is spent"
    box.ended(numbered(2).client_id)
    assert box.allow([numbered(4)], NOW + MINUTE_NS) is None
