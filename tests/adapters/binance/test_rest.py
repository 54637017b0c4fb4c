"""Requests over HTTP: what is asked again, what is not, and what the venue's limits do."""

from __future__ import annotations

import asyncio

import pytest

from adapters.binance import requests
from adapters.binance.outcomes import Outcome
from adapters.binance.replies import Failure
from adapters.binance.rest import READ_ATTEMPTS, TOO_MANY_ORDERS, Refused
from adapters.network import Reply, Unanswered, Unsent
from adapters.ratelimit import SECOND_NS, Limit
from bot.model.commands import CancelOrder
from bot.model.ids import ClientId
from tests.adapters.binance.canned import NOW_NS, Bench, refusal, reply
from tests.adapters.binance.test_orders import PLACE
from tests.adapters.paper.build import SPOT
from tests.virtual.loop import run_virtual

TIME = requests.server_time("spot")
BUSY = refusal(-1000, "An unknown error occurred while processing the request.", 500)


def asked(*said: Reply | Exception) -> tuple[Bench, bytes | Exception]:
    """Ask once; the venue says these things in turn, the last for ever."""

    async def scene() -> tuple[Bench, bytes | Exception]:
        waiting = list(said)
        bench = Bench("spot", lambda what: waiting.pop(0) if len(waiting) > 1 else waiting[0])
        try:
            return bench, await bench.rest.read(TIME)
        except (Unsent, Unanswered, Refused) as error:
            return bench, error

    return run_virtual(scene())


@pytest.mark.parametrize("passing", [Unsent("no route"), Unanswered("reset"), BUSY])
def test_a_question_is_asked_again_where_the_answer_may_come_later(passing: Reply | Exception) -> None:
    bench, body = asked(passing, reply({"serverTime": 5}))
    assert body == b'{"serverTime": 5}'
    assert len(bench.network.asked) == 2


@pytest.mark.parametrize("lasting", [Unsent("no route"), Unanswered("reset"), BUSY])
def test_but_not_for_ever(lasting: Reply | Exception) -> None:
    bench, error = asked(lasting)
    assert isinstance(error, Exception)
    assert len(bench.network.asked) == READ_ATTEMPTS


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (refusal(-2015, "Invalid API-key", 401), Outcome.DENIED),
        (refusal(-1121, "Invalid symbol."), Outcome.REFUSED),
        (refusal(-1003, "Too many requests", 429), Outcome.THROTTLED),
        (refusal(-1021, "Timestamp"), Outcome.CLOCK),
    ],
)
def test_a_refusal_is_final(said: Reply, what: Outcome) -> None:
    bench, error = asked(said)
    assert isinstance(error, Refused)
    assert error.outcome is what
    assert len(bench.network.asked) == 1
    assert bench.clock.doubted.is_set() is (what is Outcome.CLOCK)


def test_an_order_is_never_asked_as_a_question() -> None:
    async def scene() -> Bench:
        bench = Bench("spot", lambda what: reply({}))
        for call in (requests.place(PLACE), requests.cancel(CancelOrder(ClientId("x"), SPOT.id, "test"))):
            with pytest.raises(ValueError, match="no question"):
                await bench.rest.read(call)
        return bench

    assert run_virtual(scene()).network.asked == []


def test_a_question_waits_for_the_budget_but_not_long() -> None:
    async def scene() -> None:
        bench = Bench("spot", lambda what: reply({"serverTime": 5}))
        bench.rest.budget.learn([Limit("REQUEST_WEIGHT", "SECOND", 5, 2)])
        loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for _ in range(3):
            await bench.rest.read(TIME)
        assert 4.0 < loop.time() - began_s <= 15.0
        bench.rest.budget.block(bench.clock.venue_ns() + 60_000_000_000)
        with pytest.raises(Refused, match="rate budget"):
            await bench.rest.read(TIME)

    run_virtual(scene())


def test_a_block_by_header_is_told_once_with_its_end() -> None:
    bench, _ = asked(reply({"code": -1003, "msg": "banned"}, 418, retry_after="30"))
    (until_ns,) = bench.blocks
    assert 29e9 < until_ns - NOW_NS < 31e9


def test_too_many_orders_block_no_question_however_they_are_told() -> None:
    why = Failure(TOO_MANY_ORDERS, "Too many new orders; current limit is 100 orders per 10 SECOND.")

    async def scene() -> None:
        bench = Bench("spot", lambda what: refusal(why.code, why.text, 429))
        bench.rest.budget.learn([Limit("ORDERS", "SECOND", 10, 100)])
        await bench.rest.attempt(requests.place(PLACE))
        bench.rest.throttled(429, why)
        assert bench.blocks == []
        assert bench.rest.budget.allow(1, False, NOW_NS) == 0
        assert 0 < bench.rest.budget.allow_order(1, True, NOW_NS) <= 10 * SECOND_NS

    run_virtual(scene())


@pytest.mark.parametrize(
    ("wait_ms", "seconds", "drifts"), [(30_000, 30, 0), (4 * 86_400_000, 120, 1), (0, 120, 0)]
)
def test_a_block_by_the_socket_is_three_days_at_most(wait_ms: int, seconds: int, drifts: int) -> None:
    async def scene() -> None:
        told: list[str] = []
        bench = Bench("spot", lambda what: reply({}))
        bench.rest.budget.on_drift = told.append
        bench.rest.throttled(418, Failure(-1003, "banned", wait_ms))
        (until_ns,) = bench.blocks
        assert until_ns == bench.clock.venue_ns() + seconds * SECOND_NS
        assert len(told) == drifts

    run_virtual(scene())
