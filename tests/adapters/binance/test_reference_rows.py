"""A contract that is not as others, and rows that cannot be read: each is held alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from adapters.binance.reference import Given, Reference, read_market
from bot.model.facts import AnyFact, FundingEstimated, ProtocolDrift
from bot.model.ids import instrument_id
from tests.adapters.binance.scripted import run
from tests.adapters.binance.test_reference import FUNDING, LIMITS, USDM, asked, described, serve, wire

ETH = instrument_id("binance", "usdm", "ETHUSDT")


@pytest.mark.parametrize(
    ("changed", "status", "is_described"),
    [
        ({"contractType": "PERPETUAL_DELIVERING", "status": "DELIVERING"}, "DELIVERING", True),
        ({"contractType": "PERPETUAL_DELIVERING"}, "DELIVERING", True),
        ({"contractType": "CURRENT_QUARTER DELIVERING"}, "DELIVERING", True),
        ({"contractType": "TRADIFI_PERPETUAL"}, "UNKNOWN_TYPE", True),
        ({"status": "SETTLING_SOMEHOW"}, "SETTLING_SOMEHOW", True),
        ({"status": None}, "UNREADABLE", True),
        ({"status": 7}, "UNREADABLE", True),
        ({"filters": []}, "UNREADABLE", False),
        ({"filters": [], "status": "BREAK"}, "BREAK", False),
        ({"filters": "none"}, "UNREADABLE", False),
        ({"deliveryDate": "soon"}, "UNREADABLE", False),
    ],
)
def test_one_contract_that_is_not_as_others_is_held_alone(
    changed: dict[str, Any], status: str, is_described: bool
) -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            (btc,) = described("usdm")["exchangeInfo"]["symbols"]
            eth = {**btc, "symbol": "ETHUSDT", "baseAsset": "ETH"}
            serve(at, "usdm", symbols=[{**eth, **changed}, btc, 7])

            async def commission(request: web.Request) -> web.StreamResponse:
                rates = {"makerCommissionRate": "0.0002", "takerCommissionRate": "0.0005"}
                return web.json_response({"symbol": request.query["symbol"], **rates})

            at.answers["/fapi/v1/commissionRate"] = commission
            found = await read_market(rest, [ETH, USDM], Given())
            assert found.statuses == {ETH: status, USDM: "TRADING"}
            assert (USDM in found.instruments, ETH in found.instruments) == (True, is_described)
            assert list(found.refused) == ([] if is_described else [ETH])
            facts: list[AnyFact] = []
            await Reference(rest, (ETH, USDM), Given(), facts.append).read()
            told = [fact.reason for fact in facts if isinstance(fact, ProtocolDrift)]
            assert len(told) == (not is_described)

    run(play())


def test_a_funding_row_that_cannot_be_read_is_no_interval_of_eight_hours() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            serve(at, "usdm")
            at.answer("/fapi/v1/fundingInfo", wire([{**FUNDING, "fundingIntervalHours": 0}, 7]))
            found = await read_market(rest, [USDM], Given())
            assert found.instruments[USDM].funding_interval_h == 0

    run(play())


@pytest.mark.parametrize("answer", [b"<html>", b'{"symbol":"BTCUSDT","makerCommissionRate":"1e999999999"}'])
def test_fees_that_cannot_be_read_are_none_of_that_instrument(answer: bytes) -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            serve(at, "usdm")
            at.answer("/fapi/v1/commissionRate", answer)
            found = await read_market(rest, [USDM], Given())
            assert (found.instruments, found.statuses) == ({}, {USDM: "UNREADABLE"})
            assert "has no fee rates" in str(found.refused[USDM])

    run(play())


def test_a_rate_limit_that_cannot_be_read_leaves_the_others() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            drifts: list[str] = []
            rest.budget.on_drift = drifts.append
            odd = [7, {**LIMITS[0], "intervalNum": 0}, {**LIMITS[0], "limit": "all"}]
            serve(at, "usdm", rateLimits=[*odd, *LIMITS])
            await read_market(rest, [USDM], Given())
            weights = [r.value for r in rest.budget.readings(0) if r.name == "rate_limit_count"]
            assert 2400 in weights
            assert len(drifts) == 3

    run(play())


HOUR_NS = 3_600_000_000_000
EIGHT_NS = 1_796_083_200_000_000_000  # 2026-12-01T00:00:00Z


@pytest.mark.parametrize(
    ("before_h", "next_h", "at_h", "is_asked"),
    [
        (4, 4, 1.0, False),
        (4, 8, 4.1, False),  # the interval is four hours
        (4, 5, 4.1, True),
        (4, 8, 1.0, True),
        (8, 1, 0.1, True),
        (0, 4, 1.0, False),
        (0, 8, 1.0, True),  # further away than the interval
    ],
)
def test_an_announced_settlement_that_is_not_of_the_interval_has_all_read(
    before_h: int, next_h: int, at_h: float, is_asked: bool
) -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            serve(at, "usdm")
            reference = Reference(rest, (USDM,), Given(), lambda fact: None)
            assert (await reference.read()).instruments[USDM].funding_interval_h == 4
            at_ns = EIGHT_NS + round(at_h * HOUR_NS)
            rate = Decimal("0.0001")
            if before_h:
                before_ns = EIGHT_NS + before_h * HOUR_NS
                told = FundingEstimated(USDM, rate, before_ns, before_ns - HOUR_NS, before_ns - HOUR_NS)
                reference.hear_settlement(told)
                reference.asked.clear()
                at_ns += 24 * HOUR_NS  # by our clock: the last hint is long ago
            next_ns = EIGHT_NS + next_h * HOUR_NS
            venue_ns = EIGHT_NS + round(at_h * HOUR_NS)
            reference.hear_settlement(FundingEstimated(USDM, rate, next_ns, venue_ns, at_ns))
            assert reference.asked.is_set() == is_asked
            reference.asked.clear()
            odd = FundingEstimated(USDM, rate, next_ns + HOUR_NS, venue_ns, at_ns + 1)
            reference.hear_settlement(odd)
            assert reference.asked.is_set() == (not is_asked), "once a minute at most"

    run(play())
