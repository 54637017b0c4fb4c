"""What an order connection does beyond its answers: usage told, orders announced."""

from __future__ import annotations

import asyncio

from adapters.binance.orders import Answers
from bot.model.facts import (
    OrderAccepted,
    OrderCanceled,
)
from bot.model.ids import ClientId
from tests.adapters.binance.canned import (
    Bench,
    reply,
    spot_order,
)
from tests.adapters.binance.test_orders import CANCEL, DONE, PLACE, Wire, named, on_wire
from tests.virtual.loop import run_virtual


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
