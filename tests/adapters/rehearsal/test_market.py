"""Public requests: the venue's shapes, its refusals, and books that agree with the streams."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from adapters.binance.codec import decode_snapshot
from adapters.binance.instruments import instruments
from adapters.binance.market import MarketStream
from adapters.materiality import Materiality
from adapters.rehearsal.market import answer, weight
from adapters.rehearsal.seam import Request
from adapters.rehearsal.world import World
from bot.model.facts import AnyFact
from bot.model.ids import InstrumentId
from bot.model.instrument import Side
from tests.adapters.rehearsal.build import (
    INVERSE,
    LINEAR,
    NOW_NS,
    SPOT,
    D,
    HandClock,
    S,
    depth,
    order,
    play,
    scene,
    sources,
    world,
)

ROOTS = {"spot": "/api/v3/", "usdm": "/fapi/v1/", "coinm": "/dapi/v1/"}
NOW_MS = NOW_NS // 1_000_000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def venue(clock: HandClock) -> World:
    return world(clock=clock)


def ask(venue: World, market: str, name: str, query: str = "", method: str = "GET") -> tuple[int, Any]:
    response = answer(venue, market, Request(method, ROOTS[market] + name, query, {}, b""))
    assert response is not None
    assert response.headers["content-type"].startswith("application/json")
    return response.status, msgspec.json.decode(response.body)


def test_time_and_ping(venue: World) -> None:
    assert ask(venue, "spot", "ping") == (200, {})
    assert ask(venue, "coinm", "time") == (200, {"serverTime": NOW_MS})


def test_what_is_listed_can_be_read_back_as_the_instruments_traded(venue: World) -> None:
    """The answers describe the same contracts as the files they are made from."""
    listed = [(market, msgspec.json.encode(ask(venue, market, "exchangeInfo")[1])) for market in ROOTS]
    again = instruments([*listed, *sources()], [SPOT, LINEAR, INVERSE], {})
    assert again == venue.instruments


@pytest.mark.parametrize(
    ("market", "symbol", "status", "fields"),
    [
        (
            "spot", "BTCUSDT", "status",
            {"baseAssetPrecision", "quotePrecision", "quoteAssetPrecision", "baseCommissionPrecision",
             "quoteCommissionPrecision", "orderTypes", "icebergAllowed", "ocoAllowed", "otoAllowed",
             "opoAllowed", "quoteOrderQtyMarketAllowed", "allowTrailingStop", "cancelReplaceAllowed",
             "amendAllowed", "pegInstructionsAllowed", "isSpotTradingAllowed", "isMarginTradingAllowed",
             "filters", "permissions", "permissionSets", "defaultSelfTradePreventionMode",
             "allowedSelfTradePreventionModes", "symbol", "baseAsset", "quoteAsset"},
        ),
        (
            "usdm", "BTCUSDT", "status",
            {"symbol", "pair", "contractType", "deliveryDate", "onboardDate", "maintMarginPercent",
             "requiredMarginPercent", "baseAsset", "quoteAsset", "marginAsset", "pricePrecision",
             "quantityPrecision", "baseAssetPrecision", "quotePrecision", "underlyingType",
             "underlyingSubType", "settlePlan", "triggerProtect", "filters", "orderTypes", "timeInForce",
             "liquidationFee", "marketTakeBound"},
        ),
        (
            "coinm", "BTCUSD_PERP", "contractStatus",
            {"symbol", "pair", "contractType", "deliveryDate", "onboardDate", "contractSize",
             "maintMarginPercent", "requiredMarginPercent", "baseAsset", "quoteAsset", "marginAsset",
             "pricePrecision", "quantityPrecision", "baseAssetPrecision", "quotePrecision",
             "equalQtyPrecision", "underlyingType", "underlyingSubType", "triggerProtect", "filters",
             "orderTypes", "timeInForce", "liquidationFee", "marketTakeBound"},
        ),
    ],
)  # fmt: skip
def test_a_symbol_has_the_documented_fields(
    venue: World, market: str, symbol: str, status: str, fields: set[str]
) -> None:
    _, info = ask(venue, market, "exchangeInfo")
    (described,) = info["symbols"]
    assert set(described) == fields | {status}
    assert (described["symbol"], described[status]) == (symbol, "TRADING")
    kinds = {limit["rateLimitType"] for limit in info["rateLimits"]}
    assert {"REQUEST_WEIGHT", "ORDERS"} <= kinds
    assert {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE"} <= {
        one["filterType"] for one in described["filters"]
    }


def test_a_status_is_the_venue_s_word(venue: World) -> None:
    venue.set_status(LINEAR, "SETTLING")
    venue.set_status(INVERSE, "DELIVERING")
    assert ask(venue, "usdm", "exchangeInfo")[1]["symbols"][0]["status"] == "SETTLING"
    assert ask(venue, "coinm", "exchangeInfo")[1]["symbols"][0]["contractStatus"] == "DELIVERING"


def test_a_book_is_the_one_that_the_streams_made(venue: World, clock: HandClock) -> None:
    frames: list[bytes] = []
    venue.stages["usdm"].broadcast.follow("btcusdt@depth", frames.append)
    play(venue, clock, 2)
    _, book = ask(venue, "usdm", "depth", "symbol=BTCUSDT&limit=5")
    told = msgspec.json.decode(frames[-1])
    assert (told["pu"], told["U"]) == (1050, 1051)
    assert book["lastUpdateId"] == told["u"] + 1  # within the next diff
    assert book["bids"][0] == ["60000.0", "5.000"]
    assert book["asks"][1] == ["60002.0", "2.000"]
    assert (book["E"], book["T"]) == (NOW_MS + 2000, told["T"])
    read = decode_snapshot(msgspec.json.encode({"stream": "x", "data": book})).data
    assert read.bids[0] == (60_000.0, 5.0)


def test_a_book_with_a_hole_in_its_updates_is_not_told_under_a_newer_id(clock: HandClock) -> None:
    rows = [row for row in scene(20) if not (row[1] == "spot" and 8_000 < row[0] < 10_000)]
    venue = world(rows, clock)
    play(venue, clock, 10)
    _, book = ask(venue, "spot", "depth", "symbol=BTCUSDT")
    assert book["lastUpdateId"] == 1070


@pytest.mark.parametrize(("market", "name"), [("spot", SPOT), ("usdm", LINEAR), ("coinm", INVERSE)])
def test_a_snapshot_connects_to_the_very_next_diff(
    venue: World, clock: HandClock, market: str, name: InstrumentId
) -> None:
    facts: list[AnyFact] = []
    instrument = venue.instruments[name]
    symbol = name.rsplit(":", 1)[1]
    client = MarketStream(market, [instrument], {name: Materiality(1000.0, 0.5, 10.0)}, facts.append)
    stream = f"{symbol.lower()}@depth"

    def take(data: bytes) -> None:
        client.on_frame(clock.at_ns, b'{"stream":"%b","data":%b}' % (stream.encode(), data))

    venue.stages[market].broadcast.follow(stream, take)
    _, book = ask(venue, market, "depth", f"symbol={symbol}")
    whole = msgspec.json.encode({"stream": f"{symbol.lower()}@snapshot", "data": book})
    client.on_frame(clock.at_ns, whole)
    play(venue, clock, 3)
    channel = client.channels[name]
    assert (channel.gaps, channel.touch()) == (0, (60_000.0, 60_001.0))
    assert channel.update_id == venue.stages[market].channels[name].update_id
    assert facts


def test_coin_margined_answers_name_symbol_and_pair_and_are_lists(venue: World) -> None:
    _, book = ask(venue, "coinm", "depth", "symbol=BTCUSD_PERP")
    assert (book["symbol"], book["pair"]) == ("BTCUSD_PERP", "BTCUSD")
    for name in ("ticker/24hr", "ticker/price", "ticker/bookTicker", "premiumIndex"):
        _, rows = ask(venue, "coinm", name, "symbol=BTCUSD_PERP")
        assert [row["symbol"] for row in rows] == ["BTCUSD_PERP"]
        _, rows = ask(venue, "coinm", name, "pair=ETHUSD")
        assert rows == []


@pytest.mark.parametrize("name", ["ticker/24hr", "ticker/price", "ticker/bookTicker"])
def test_one_symbol_is_an_object_and_all_are_a_list(venue: World, name: str) -> None:
    for market in ("spot", "usdm"):
        _, one = ask(venue, market, name, "symbol=BTCUSDT")
        _, everyone = ask(venue, market, name)
        assert everyone == [one]
    _, some = ask(venue, "spot", name, "symbols=%5B%22BTCUSDT%22%5D")
    assert [row["symbol"] for row in some] == ["BTCUSDT"]


def test_a_day_s_statistic_counts_the_trades_that_were(venue: World, clock: HandClock) -> None:
    _, before = ask(venue, "usdm", "ticker/24hr", "symbol=BTCUSDT")
    assert (before["count"], before["volume"], before["lastPrice"]) == (0, "0.000", "60000.5")
    play(venue, clock, 5)
    _, after = ask(venue, "usdm", "ticker/24hr", "symbol=BTCUSDT")
    assert (after["count"], after["volume"], after["lastPrice"]) == (1, "2.000", "60000.0")
    assert (after["firstId"], after["lastId"], after["quoteVolume"]) == (77, 77, "120000.00000000")
    _, coin = ask(venue, "coinm", "ticker/24hr", "symbol=BTCUSD_PERP")
    assert (coin[0]["volume"], coin[0]["baseVolume"]) == ("2", "0.00333333")
    _, spot = ask(venue, "spot", "ticker/24hr", "symbol=BTCUSDT")
    assert (spot["bidPrice"], spot["askQty"], spot["weightedAvgPrice"]) == (
        "60000.00000000", "5.00000000", "60000.00000000",
    )  # fmt: skip


def test_trades_are_told_with_their_cost(venue: World, clock: HandClock) -> None:
    play(venue, clock, 5)
    _, (spot,) = ask(venue, "spot", "trades", "symbol=BTCUSDT")
    assert (spot["id"], spot["quoteQty"], spot["isBestMatch"]) == (77, "120000.00000000", True)
    _, (coin,) = ask(venue, "coinm", "trades", "symbol=BTCUSD_PERP")
    assert (coin["qty"], coin["baseQty"]) == ("2", "0.00333333")
    _, (aggregate,) = ask(venue, "usdm", "aggTrades", "symbol=BTCUSDT&fromId=70")
    assert set(aggregate) == {"a", "p", "q", "f", "l", "T", "m"}
    assert ask(venue, "usdm", "aggTrades", "symbol=BTCUSDT&fromId=78")[1] == []
    assert ask(venue, "spot", "avgPrice", "symbol=BTCUSDT")[1]["price"] == "60000.00000000"


def test_marks_and_rates_are_those_of_the_stream(venue: World, clock: HandClock) -> None:
    _, index = ask(venue, "usdm", "premiumIndex", "symbol=BTCUSDT")
    assert (index["markPrice"], index["indexPrice"]) == ("60000.50000000", "59995.50000000")
    assert (index["lastFundingRate"], index["time"]) == ("0.00010000", NOW_MS)
    assert 0 < index["nextFundingTime"] - NOW_MS < 3_600_000
    venue.funding_flip()
    assert ask(venue, "usdm", "premiumIndex")[1][0]["lastFundingRate"] == "-0.00010000"


def test_settled_rates_are_oldest_first_and_can_be_asked_from_a_time(venue: World, clock: HandClock) -> None:
    play(venue, clock, 1)
    venue.settle_funding_now(LINEAR)
    _, rows = ask(venue, "usdm", "fundingRate", "symbol=BTCUSDT")
    assert [row["fundingRate"] for row in rows] == ["0.00010000", "0.00010000"]
    assert rows[1] == {
        "symbol": "BTCUSDT",
        "fundingTime": NOW_MS + 1000,
        "fundingRate": "0.00010000",
        "markPrice": "60000.50000000",
    }
    assert ask(venue, "usdm", "fundingRate", f"startTime={NOW_MS}&limit=1")[1] == [rows[1]]
    assert ask(venue, "usdm", "fundingRate", f"endTime={NOW_MS}")[1] == [rows[0]]
    _, coin = ask(venue, "coinm", "fundingRate", "symbol=BTCUSD_PERP")
    assert [set(row) for row in coin] == [{"symbol", "fundingTime", "fundingRate"}]
    assert ask(venue, "usdm", "fundingInfo") == (200, [])


@pytest.mark.parametrize(
    ("market", "name", "query", "code"),
    [
        ("spot", "depth", "", -1102),
        ("spot", "depth", "symbol=", -1102),
        ("usdm", "depth", "symbol=NOPE", -1121),
        ("spot", "depth", "symbol=btcusdt", -1121),
        ("usdm", "depth", "symbol=BTCUSDT&limit=7", -4021),
        ("spot", "depth", "symbol=BTCUSDT&limit=x", -1100),
        ("spot", "depth", "symbol=BTCUSDT&symbol=BTCUSDT", -1101),
        ("spot", "ticker/price", "symbols=BTCUSDT", -1100),
        ("spot", "ticker/24hr", "symbol=NOPE", -1121),
        ("spot", "exchangeInfo", "symbol=NOPE", -1121),
        ("coinm", "fundingRate", "", -1102),
        ("usdm", "premiumIndex", "symbol=NOPE", -1121),
        ("usdm", "fundingRate", "symbol=BTCUSDT&startTime=-1", -1100),
    ],
)
def test_a_bad_request_gets_the_venue_s_own_code(
    venue: World, market: str, name: str, query: str, code: int
) -> None:
    status, error = ask(venue, market, name, query)
    assert (status, error["code"]) == (400, code)
    assert error["msg"]


@pytest.mark.parametrize(
    ("market", "method", "path"),
    [
        ("spot", "GET", "/api/v3/order"),
        ("spot", "POST", "/api/v3/time"),
        ("spot", "GET", "/api/v3/premiumIndex"),
        ("usdm", "GET", "/fapi/v1/avgPrice"),
        ("usdm", "GET", "/dapi/v1/time"),
        ("spot", "GET", "/"),
    ],
)
def test_what_is_not_public_here_is_left_to_others(venue: World, market: str, method: str, path: str) -> None:
    assert answer(venue, market, Request(method, path, "", {}, b"")) is None


def test_a_market_without_a_recording_answers_and_lists_nothing(clock: HandClock) -> None:
    venue = world([depth("spot", 0, 1, 2, 60_000.0)], clock)
    assert ask(venue, "usdm", "exchangeInfo")[1]["symbols"] == []
    assert ask(venue, "coinm", "premiumIndex")[1] == []
    assert ask(venue, "usdm", "depth", "symbol=BTCUSDT")[1]["code"] == -1121


def test_a_skewed_clock_shows_in_every_time(venue: World) -> None:
    venue.skew(3 * S)
    assert ask(venue, "spot", "time")[1] == {"serverTime": NOW_MS + 3000}
    assert ask(venue, "usdm", "premiumIndex")[1][0]["time"] == NOW_MS + 3000


@pytest.mark.parametrize(
    ("market", "name", "params", "charged"),
    [
        ("spot", "depth", {}, 5),
        ("spot", "depth", {"limit": "1000"}, 50),
        ("spot", "depth", {"limit": "9999"}, 250),
        ("usdm", "depth", {}, 10),
        ("usdm", "depth", {"limit": "1000"}, 20),
        ("spot", "exchangeInfo", {}, 20),
        ("usdm", "ticker/24hr", {"symbol": "BTCUSDT"}, 1),
        ("usdm", "ticker/24hr", {}, 40),
        ("spot", "ticker/bookTicker", {}, 4),
        ("coinm", "premiumIndex", {}, 10),
        ("usdm", "fundingRate", {}, 0),
    ],
)
def test_requests_have_the_documented_weights(
    market: str, name: str, params: dict[str, str], charged: int
) -> None:
    assert weight(market, name, params) == charged


def test_our_own_order_is_not_in_the_public_book(venue: World) -> None:
    """The recording's book is never changed: what was taken of a level is taken from us alone."""
    before = ask(venue, "spot", "depth", "symbol=BTCUSDT")
    venue.arrive(order(SPOT, Side.BUY, "0.5", "60001"))
    assert ask(venue, "spot", "depth", "symbol=BTCUSDT") == before
    assert venue.wallets.balance(venue.account("spot"), "BTC") > D(1)
