"""The budgets before the wire."""

from __future__ import annotations

from bot.model.config import Fuse
from bot.model.instrument import Side
from bot.model.pair import Role
from risk.fuse import FuseBox
from tests.risk import build
from tests.risk.build import INVERSE, LINEAR, NOW, SECOND_NS, SPOT, D

MINUTE_NS = 60 * SECOND_NS
ONE = build.place(Role.SHORT, Side.SELL, "1")  # worth 60,000


def fuse(orders: int = 100, notional: int = 10**9) -> Fuse:
    return Fuse(
        opening_orders_per_min=orders, closing_orders_per_min=orders,
        opening_notional_per_min_quote=D(notional), closing_notional_per_min_quote=D(notional),
    )  # fmt: skip


def test_orders_of_a_sliding_minute() -> None:
    box = FuseBox(fuse(orders=2))
    assert box.allow(ONE, True, NOW) is None
    assert box.allow(ONE, True, NOW + 30 * SECOND_NS) is None
    assert box.allow(ONE, True, NOW + MINUTE_NS - 1) == "2 opening orders a minute are spent"
    assert box.allow(ONE, True, NOW + MINUTE_NS) is None
    assert box.allow(ONE, True, NOW + MINUTE_NS) is not None


def test_notional_of_a_sliding_minute() -> None:
    box = FuseBox(fuse(notional=120_000))
    assert box.allow(ONE, False, NOW) is None
    assert box.allow(ONE, False, NOW + 1) is None
    small = build.place(Role.SHORT, Side.SELL, "0.001")
    refused = box.allow(small, False, NOW + 2)
    assert refused == "an order worth 60 exceeds the 0 that closing has left this minute"
    assert box.allow(ONE, False, NOW + MINUTE_NS) is None


def test_opening_does_not_use_up_what_closing_needs() -> None:
    box = FuseBox(fuse(orders=1))
    assert box.allow(ONE, True, NOW) is None
    assert box.allow(ONE, True, NOW) is not None
    assert box.allow(ONE, False, NOW) is None
    assert box.allow(ONE, False, NOW) == "1 closing orders a minute are spent"


def test_what_is_refused_is_not_counted() -> None:
    box = FuseBox(fuse(notional=100_000))
    assert box.allow(build.place(Role.SHORT, Side.SELL, "2"), True, NOW) is not None
    assert box.allow(ONE, True, NOW) is None


def test_contracts_say_what_a_unit_is_worth() -> None:
    inverse = build.place(Role.SHORT, Side.SELL, "600", instrument=INVERSE)
    listed = {name: build.instrument(name) for name in (SPOT, INVERSE)}
    assert FuseBox(fuse(notional=60_000), listed).allow(inverse, True, NOW) is None
    assert FuseBox(fuse(notional=59_999), listed).allow(inverse, True, NOW) is not None
    assert FuseBox(fuse(notional=60_000)).allow(inverse, True, NOW) is not None
    assert FuseBox(fuse(), listed).allow(ONE, True, NOW) == f"{LINEAR} is unknown to the fuse"
