"""Instruments, limits, statuses, the clock and prices, read from a scripted venue over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from adapters.binance.endpoints import Hosts
from adapters.binance.reference import (
    ABSENT,
    Described,
    Given,
    Reference,
    changes,
    follow_clock,
    measure_offset_ns,
    read_market,
    read_rates,
)
from adapters.binance.rest import Access, Refused, Rest, VenueClock
from adapters.binance.signing import signer
from adapters.errors import FeedError
from adapters.network import Reply, Socket, Unsent
from adapters.ratelimit import RateBudget
from adapters.tcp import TcpNetwork
from bot.model.config import FeeRate
from bot.model.facts import FeeAssetSet, InstrumentListed, InstrumentStatusSeen, RateSeen
from bot.model.ids import InstrumentId, instrument_id
from tests.adapters.binance.feeding import rest_of
from tests.adapters.binance.scripted import Heard, Venue, run, venue
from tests.conftest import ROOT

SPOT = instrument_id("binance", "spot", "BTCUSDT")
USDM = instrument_id("binance", "usdm", "BTCUSDT")
COINM = instrument_id("binance", "coinm", "BTCUSD_PERP")
LIMITS = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}]
FUNDING = {
    "symbol": "BTCUSDT",
    "adjustedFundingRateCap": "0.03000000",
    "adjustedFundingRateFloor": "-0.03000000",
    "fundingIntervalHours": 4,
    "disclaimer": False,
}
BAD_SYMBOL = b'{"code":-1121,"msg":"Invalid symbol."}'
FEES = {"spot": FeeRate(Decimal("0.001"), Decimal("0.001"))}


def described(market: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"examples/venue/binance-{market}.json").read_text("utf-8"))
    found["exchangeInfo"]["rateLimits"] = LIMITS
    return found


def wire(value: object) -> bytes:
    return json.dumps(value).encode()


def serve(at: Venue, market: str, **info: Any) -> None:
    """Let ``at`` answer everything that is asked of a market's instruments; ``info`` replaces parts."""
    root = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}[market]
    source = described(market)
    at.answer(f"{root}/exchangeInfo", wire({**source["exchangeInfo"], **info}))
    if market == "spot":
        rates = {**source["commissionRate"][0], "taxCommission": {"maker": "0.0001", "taker": "0.0002"}}
        at.answer("/api/v3/account/commission", wire(rates))
        return
    at.answer(f"{root}/commissionRate", wire(source["commissionRate"][0]))
    at.answer(f"{root}/leverageBracket", wire(source["leverageBracket"]))
    at.answer("/dapi/v2/leverageBracket", wire(source["leverageBracket"]))
    at.answer(f"{root}/fundingInfo", wire([FUNDING]))


@asynccontextmanager
async def asked(market: str, signed: bool = True) -> AsyncIterator[tuple[Venue, Rest]]:
    network = TcpNetwork(allow_remote=False)
    access = Access(signer("key", "secret") if signed else None, 5000)
    async with venue() as at:
        try:
            yield at, rest_of(market, at, network, access)
        finally:
            await network.close()


@pytest.mark.parametrize(
    ("market", "name", "taker", "interval_h"),
    [("spot", SPOT, "0.0012", 0), ("usdm", USDM, "0.0005", 4), ("coinm", COINM, "0.0005", 8)],
)
def test_an_instrument_is_what_the_venue_says(
    market: str, name: InstrumentId, taker: str, interval_h: int
) -> None:
    async def play() -> None:
        async with asked(market) as (at, rest):
            serve(at, market)
            found = await read_market(rest, [name], Given())
            assert found.statuses == {name: "TRADING"}
            one = found.instruments[name]
            assert one.taker_rate == Decimal(taker)
            assert one.funding_interval_h == interval_h
            assert one.funding_cap == (Decimal("0.03") if market == "usdm" else None)
            assert bool(one.brackets) == (market != "spot")
            weights = [r.value for r in rest.budget.readings(0) if r.name == "rate_limit_count"]
            assert 2400 in weights

    run(play())


@pytest.mark.parametrize(("market", "name"), [("usdm", USDM), ("coinm", COINM)])
def test_a_perpetual_whose_end_is_announced_is_delisting(market: str, name: InstrumentId) -> None:
    async def play() -> None:
        async with asked(market) as (at, rest):
            symbols = described(market)["exchangeInfo"]["symbols"]
            serve(at, market, symbols=[{**one, "deliveryDate": 1_800_000_000_000} for one in symbols])
            found = await read_market(rest, [name], Given())
            assert found.statuses == {name: "DELISTING"}
            assert found.instruments[name].expiry_ns == 1_800_000_000_000_000_000

    asyncio.run(play())


def test_without_a_key_fees_and_brackets_come_from_what_is_given() -> None:
    async def play() -> None:
        async with asked("usdm", signed=False) as (at, rest):
            serve(at, "usdm")
            source = (ROOT / "examples/venue/binance-usdm.json").read_bytes()
            found = await read_market(rest, [USDM], Given(sources=(("file", source),)))
            assert found.instruments[USDM].brackets
            assert found.instruments[USDM].funding_interval_h == 4
            paths = {request.path for request in at.requests.all}
            assert paths == {"/fapi/v1/exchangeInfo", "/fapi/v1/fundingInfo"}

    run(play())


def test_a_symbol_that_is_not_listed_is_absent_and_the_others_are_read() -> None:
    async def play() -> None:
        gone = instrument_id("binance", "spot", "GONEUSDT")
        async with asked("spot", signed=False) as (at, rest):
            serve(at, "spot")
            info = at.answers["/api/v3/exchangeInfo"]

            async def refuse(request: web.Request) -> web.StreamResponse:
                if "GONEUSDT" in request.query["symbols"]:
                    return web.Response(status=400, body=BAD_SYMBOL)
                return await info(request)

            at.answers["/api/v3/exchangeInfo"] = refuse
            found = await read_market(rest, [SPOT, gone], Given(fees=FEES))
            assert found.statuses == {SPOT: "TRADING", gone: ABSENT}
            assert list(found.instruments) == [SPOT]

    run(play())


@pytest.mark.parametrize(
    ("info", "what"),
    [({"symbols": "none"}, "cannot be read"), ({"symbols": None}, "cannot be read")],
)
def test_a_description_that_cannot_be_used_is_a_sentence(info: dict[str, Any], what: str) -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            serve(at, "usdm", **info)
            with pytest.raises(FeedError, match=what):
                await read_market(rest, [USDM], Given())

    run(play())


def test_a_page_instead_of_json_is_a_sentence() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            at.answer("/fapi/v1/exchangeInfo", b"<html>maintenance</html>")
            with pytest.raises(FeedError, match="cannot be read"):
                await read_market(rest, [USDM], Given())

    run(play())


def test_only_what_changed_is_told_again() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            told = Heard()
            reference = Reference(rest, [USDM], Given(), told.emit)
            serve(at, "usdm")
            await reference.read()
            assert [type(fact) for fact in told.all] == [InstrumentListed, InstrumentStatusSeen]
            await reference.read()
            assert len(told.all) == 2
            symbol = described("usdm")["exchangeInfo"]["symbols"][0]
            serve(at, "usdm", symbols=[{**symbol, "status": "SETTLING"}])
            await reference.read()
            (status,) = told.all[2:]
            assert status.status == "SETTLING"
            symbol["filters"][0]["tickSize"] = "0.50"
            serve(at, "usdm", symbols=[symbol])
            await reference.read()
            listed, status = told.all[3:]
            assert listed.instrument.tick == Decimal("0.50")
            assert status.status == "TRADING"
            serve(at, "usdm", symbols=[])
            found = await reference.read()
            assert [fact.status for fact in told.all[5:]] == [ABSENT]
            assert found.instruments[USDM] == listed.instrument

    run(play())


BNB = {"enabledForAccount": True, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75000000"}


def test_what_fees_are_paid_from_is_told_when_it_is_read_and_when_it_changes() -> None:
    async def play() -> None:
        async with asked("spot") as (at, rest):
            told = Heard()
            reference = Reference(rest, [SPOT], Given(), told.emit)
            serve(at, "spot")
            rates = described("spot")["commissionRate"][0]

            async def read(discount: object) -> list[tuple[str, str]]:
                told.all.clear()
                at.answer("/api/v3/account/commission", wire({**rates, "discount": discount}))
                await reference.read()
                return [(fact.instrument, fact.asset) for fact in told.all if isinstance(fact, FeeAssetSet)]

            for silent in (None, {}, {**BNB, "enabledForAccount": None}, "BNB", {"enabledForAccount": "yes"}):
                assert await read(silent) == []
            assert await read(BNB) == [(SPOT, "BNB")]
            assert await read(BNB) == []
            assert await read(None) == []
            assert await read({**BNB, "enabledForSymbol": False}) == [(SPOT, "")]
            assert await read({**BNB, "enabledForAccount": False}) == []
            assert await read(BNB) == [(SPOT, "BNB")]

    run(play())


def test_descriptions_are_read_again_on_demand_and_failures_wait() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            told = Heard()
            reference = Reference(rest, [USDM], Given(), told.emit)
            serve(at, "usdm")
            running = asyncio.create_task(reference.run())
            reference.asked.set()
            seen = await told.until(lambda fact: isinstance(fact, InstrumentStatusSeen))
            symbol = described("usdm")["exchangeInfo"]["symbols"][0]
            serve(at, "usdm", symbols=[{**symbol, "status": "HALT"}])
            reference.asked.set()
            await told.until(lambda fact: getattr(fact, "status", "") == "HALT", seen)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run(play())


def test_a_status_that_a_stream_tells_is_told_once_and_the_next_reading_knows_of_it() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            told = Heard()
            reference = Reference(rest, [USDM], Given(), told.emit)
            reference.hear(InstrumentStatusSeen(USDM, "HALT", 5))
            assert told.all == []  # all is told at the first reading
            serve(at, "usdm")
            await reference.read()
            closed = InstrumentStatusSeen(USDM, "SETTLING", 7)
            reference.hear(closed)
            assert told.all[2:] == [closed]
            assert not reference.asked.is_set()
            reference.hear(closed)  # it is settling still: something else about it has changed
            assert told.all[3:] == []
            assert reference.asked.is_set()
            await reference.read()  # trading began again, and no stream was there to tell
            (status,) = told.all[3:]
            assert status.status == "TRADING"
            reference.asked.clear()
            reference.hear(InstrumentStatusSeen(USDM, "DELISTING", 8))
            assert reference.asked.is_set(), "the answer says when it ends"

    run(play())


def test_a_status_that_is_told_while_an_answer_is_under_way_is_newer() -> None:
    async def play() -> None:
        async with asked("usdm") as (at, rest):
            told = Heard()
            reference = Reference(rest, [USDM], Given(), told.emit)
            serve(at, "usdm")
            await reference.read()
            reading = asyncio.create_task(reference.read())
            await at.requests.until(lambda path: True, len(at.requests.all))
            reference.hear(InstrumentStatusSeen(USDM, "SETTLING", 7))
            await reading
            assert [fact.status for fact in told.all[1:]] == ["TRADING", "SETTLING"]

    run(play())


def test_everything_is_told_where_nothing_was_known() -> None:
    assert changes(None, Described({}, {SPOT: ABSENT}), 5) == (InstrumentStatusSeen(SPOT, ABSENT, 5),)
    before = Described({}, {SPOT: "HALT"})
    assert changes(before, before, 5) == ()


class Distance:
    """A clock, and a network to a venue ``ahead_ns`` of it whose ways take what ``ways_ms`` says next."""

    def __init__(self, ahead_ns: int, ways_ms: list[tuple[int, int]]) -> None:
        self.ns = 1_700_000_000_000_000_000
        self.ahead_ns = ahead_ns
        self.ways_ms = ways_ms

    def now_ns(self) -> int:
        return self.ns

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        up_ms, down_ms = self.ways_ms.pop(0)
        self.ns += up_ms * 1_000_000
        answer = wire({"serverTime": (self.ns + self.ahead_ns) // 1_000_000})
        self.ns += down_ms * 1_000_000
        return Reply(200, {}, answer)

    async def connect(self, url: str, timeout_s: float) -> Socket:
        raise Unsent("there are no sockets here")

    async def close(self) -> None:
        return None


def test_the_offset_is_of_the_quickest_answer_and_taken_from_its_middle() -> None:
    async def play() -> None:
        away = Distance(250_300_000, [(80, 1), (1, 90), (3, 3), (40, 20), (9, 2)])
        hosts = Hosts("http://127.0.0.1:1", "", "")
        rest = Rest("spot", hosts, away, VenueClock(away), RateBudget("spot"), Access(None, 5000))
        assert await measure_offset_ns(rest) == 250_500_000  # within the millisecond that the venue says
        assert away.ways_ms == []

    run(play())


def test_a_doubted_clock_is_measured_at_once() -> None:
    async def play() -> None:
        async with asked("spot", signed=False) as (at, rest):
            at.answer("/api/v3/time", wire({"serverTime": 1_700_000_000_000}))
            following = asyncio.create_task(follow_clock(rest))
            while rest.clock.offset_ns is None:
                await asyncio.sleep(0)
            assert len(at.requests.all) == 5
            rest.clock.doubted.set()
            await at.requests.until(lambda request: True, after=9)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(play())


def test_prices_of_other_assets_are_told_where_there_is_a_market() -> None:
    async def play() -> None:
        async with asked("spot", signed=False) as (at, rest):

            async def price(request: web.Request) -> web.StreamResponse:
                if request.query["symbol"] == "BNBUSDT":
                    return web.json_response({"symbol": "BNBUSDT", "price": "612.30000000"})
                return web.Response(status=400, body=BAD_SYMBOL)

            at.answers["/api/v3/ticker/price"] = price
            (rate,) = await read_rates(rest, ["BNB", "XYZ"], "USDT")
            assert rate == RateSeen("BNB", "USDT", Decimal("612.30000000"), rate.seen_ns)

    run(play())


def test_other_refusals_are_not_taken_for_a_missing_market() -> None:
    async def play() -> None:
        async with asked("spot", signed=False) as (at, rest):
            at.answer("/api/v3/ticker/price", (403, {}, b"<html>"))
            with pytest.raises(Refused):
                await read_rates(rest, ["BNB"], "USDT")

    run(play())
