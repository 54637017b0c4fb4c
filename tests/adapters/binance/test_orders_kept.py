"""What an order connection does beyond its answers: usage told, orders announced."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from adapters.binance.orders import Answers
from bot.model.commands import CancelOrder, Flatten, PlaceOrder, TimeInForce
from bot.model.facts import (
    OrderAccepted,
    OrderCanceled,
)
from bot.model.ids import ClientId, PairName
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from tests.adapters.binance.canned import (
    NOW_NS,
    Bench,
    reply,
    spot_order,
)
from tests.adapters.binance.test_orders import Wire, named, on_wire
from tests.adapters.paper.build import SPOT
from tests.virtual.loop import run_virtual

PLACE = PlaceOrder(
    client_id=ClientId("bsbt1"),
    pair=PairName("BTC"),
    role=Role.LONG,
    instrument=SPOT.id,
    side=Side.BUY,
    qty=Decimal(1),
    price=Decimal(60_000),
    tif=TimeInForce.IOC,
    reduce_only=False,
    purpose=Purpose.ENTER,
    arrival_mid=Decimal(60_000),
    why=Flatten("test"),
)
CANCEL = CancelOrder(ClientId("bsbt1"), SPOT.id, "test")
Sent = PlaceOrder | CancelOrder
FILLS = [{"price": "60000", "qty": "1.0", "commission": "0.001", "commissionAsset": "BTC", "tradeId": 11}]
DONE = spot_order(status="FILLED", executedQty="1.0", transactTime=NOW_NS // 1_000_000, fills=FILLS)


def test_usage_told_with_an_answer_counts_in_the_budget() -> None:
    async def scene(wire: Wire) -> None:
        wire.orders.send(PLACE)
        await asyncio.sleep(0)
        used = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": 95}
        wire.socket.say(
            {"id": wire.socket.sent[0]["id"], "status": 200, "result": DONE, "rateLimits": [used]}
        )
        await asyncio.sleep(0.1)
        wire.orders.send(named(2))

    wire = on_wire(scene)
    assert wire.bench.names()[-1] == "OrderRejected"


def test_accepted_orders_are_announced_to_the_private_stream() -> None:
    expected: list[ClientId] = []

    async def scene() -> None:
        bench = Bench("spot", lambda asked: reply({}))
        answers = Answers(bench.rest, bench.told, bench.emit, expected.append)
        answers.done(PLACE, reply(spot_order()).body)
        answers.done(CANCEL, reply(spot_order(status="CANCELED")).body)
        assert [type(fact) for fact in bench.facts] == [OrderAccepted, OrderCanceled]

    run_virtual(scene())
    assert expected == ["bsbt1"]
