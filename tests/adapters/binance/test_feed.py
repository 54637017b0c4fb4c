"""Market feeds over real sockets: books that start, gap, resync, and lines that die in every way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import pytest
from aiohttp import web

from adapters.binance.endpoints import Hosts
from adapters.binance.feed import FeedOptions, routes
from adapters.binance.lines import LineTimes
from bot.model.facts import BookGapped, BookSeen, Channel, ChannelLost, ChannelOpened, MarkSeen, ProtocolDrift
from tests.adapters.binance.feeding import (
    ASKS,
    BIDS,
    DEPTH_PATH,
    QUICK,
    Scene,
    diff,
    first_words,
    scene,
)
from tests.adapters.binance.scripted import Peer, is_a, run
from tests.adapters.synthetic import START_MS, STEADY, instrument, snapshot, ticker

LOST = is_a(ChannelLost, channel=Channel.MARKET)
OPENED = is_a(ChannelOpened, channel=Channel.MARKET)


async def opened(play: Scene, market: str, lines: int = 1, last: int = 11) -> list[Peer]:
    """The feed's channel is open and its book known at update ``last``."""
    at = play.venue
    at.answer(DEPTH_PATH[market], snapshot(market, last, BIDS, ASKS))
    peers = [await at.peer(number + 1) for number in range(lines)]
    for peer in peers:
        await peer.say(*first_words(market, peer.path, last, START_MS))
    await play.told.until(OPENED)
    await play.told.until(is_a(BookSeen))
    return peers


@pytest.mark.parametrize(("market", "lines"), [("spot", 1), ("usdm", 2), ("coinm", 1)])
def test_a_market_opens_when_every_stream_has_spoken(market: str, lines: int) -> None:
    async def play() -> None:
        async with scene(market) as at:
            peers = await opened(at, market, lines)
            asked = {peer.path: peer.streams for peer in peers}
            if market == "usdm":
                assert asked == {
                    "/public/stream": ["btcusdt@depth@100ms", "btcusdt@bookTicker"],
                    "/market/stream": ["!contractInfo", "btcusdt@markPrice@1s"],
                }
            book = at.told.of(BookSeen)[-1]
            assert book.bids[0][0] == 100.0
            assert book.asks[0][0] == 101.0
            assert len(at.told.of(MarkSeen)) == (0 if market == "spot" else 1)
            assert at.feed.heard()[instrument(market).id] > 0
            assert at.told.of(ProtocolDrift) == []
            assert {name for name, _ in at.tapped} == {market}
            assert sum(b"@snapshot" in payload for _, payload in at.tapped) == 1

    run(play())


async def touched(at: Scene, peer: Peer, last: int, *before: bytes) -> None:
    """A touch that moves, behind other frames, is a fact."""
    seen = len(at.told.all)
    await peer.say(*before, ticker("spot", last, (f"100.{last % 9}", "5"), ("101.0", "5")))
    await at.told.until(is_a(BookSeen), seen)


@pytest.mark.parametrize("updates", [False, True])
def test_updates_that_stop_alone_cost_the_line_its_connection(updates: bool) -> None:
    times = msgspec.structs.replace(QUICK, silence_s=0.6)  # longer than a busy machine stands still

    async def play() -> None:
        async with scene("spot", times) as at:
            (peer,) = await opened(at, "spot")
            end_s = asyncio.get_running_loop().time() + 3 * times.silence_s
            last = 11
            while asyncio.get_running_loop().time() < end_s and not at.told.of(ChannelLost):
                last += 1
                frames = [diff("spot", last - 1, START_MS + last)] if updates and last > 12 else []
                with suppress(TimeoutError):
                    await asyncio.wait_for(touched(at, peer, last, *frames), times.silence_s)
            reasons = [lost.reason for lost in at.told.of(ChannelLost)]
            if updates:
                assert reasons == []
            else:
                assert reasons == ["spot/public/1: btcusdt@depth@100ms is silent while others go on"]
                assert len(at.told.of(BookGapped)) == 1

    run(play())


def test_dropped_updates_are_noticed_in_one_frame_and_the_book_is_right_again() -> None:
    async def play() -> None:
        async with scene("usdm") as at:
            public, _ = await opened(at, "usdm", 2)
            at.venue.answer(DEPTH_PATH["usdm"], snapshot("usdm", 512, [("100.0", "7")], [("102.0", "7")]))
            before = len(at.told.all)
            await public.say(diff("usdm", 512, START_MS + 100))  # 12 to 511 never came
            gap = await at.told.until(is_a(BookGapped, expected=11, got=511), before)
            assert gap == before + 1
            await at.told.until(is_a(BookSeen), gap)
            book = at.told.of(BookSeen)[-1]
            assert (book.bids[0], book.asks[0]) == ((100.0, 5.0), (102.0, 7.0))
            assert at.reading("book_resyncs_total") == 2
            assert at.reading("book_gaps_total") == 1
            assert at.reading("book_unknown_count") == 0
            assert 0 < at.reading("book_resync_seconds") < 5

    run(play())


def test_a_snapshot_older_than_the_updates_is_asked_again() -> None:
    async def play() -> None:
        async with scene("spot") as at:
            old, new = snapshot("spot", 5, BIDS, ASKS), snapshot("spot", 10, BIDS, ASKS)
            peer_ready = asyncio.Event()
            asked = at.venue.requests

            async def hold(request: web.Request) -> web.StreamResponse:
                await peer_ready.wait()  # the updates are there first
                return await then(request)

            at.venue.answer(DEPTH_PATH["spot"], old, old, new)
            then = at.venue.answers[DEPTH_PATH["spot"]]
            at.venue.answers[DEPTH_PATH["spot"]] = hold
            peer = await at.venue.peer(1)
            await peer.say(*first_words("spot", peer.path, 11, START_MS))
            await at.told.until(OPENED)
            peer_ready.set()
            await at.told.until(is_a(BookSeen))
            assert len(asked.all) == 3

    run(play())


def test_a_book_that_no_snapshot_mends_costs_the_connection() -> None:
    async def play() -> None:
        async with scene("spot") as at:
            at.venue.answer(DEPTH_PATH["spot"], (400, {}, b'{"code":-1121,"msg":"Invalid symbol."}'))
            peer = await at.venue.peer(1)
            await peer.say(*first_words("spot", peer.path, 11, START_MS))
            await at.told.until(LOST)
            assert "no snapshot of BTCUSDT connects" in at.told.of(ChannelLost)[0].reason
            await at.venue.peer(2)

    run(play())


def test_too_many_requests_are_waited_for() -> None:
    async def play() -> None:
        async with scene("spot") as at:
            busy = (429, {"Retry-After": "1"}, b'{"code":-1003,"msg":"Too many requests."}')
            at.venue.answer(DEPTH_PATH["spot"], busy, snapshot("spot", 10, BIDS, ASKS))
            peer = await at.venue.peer(1)
            await peer.say(*first_words("spot", peer.path, 11, START_MS))
            await at.venue.requests.until(lambda request: True)
            await at.told.until(is_a(BookSeen))
            first, second = at.venue.requests.all
            assert len(at.venue.requests.all) == 2
            assert first.path == second.path

    run(play())


@pytest.mark.parametrize("how", ["closed", "cut"])
def test_a_lost_connection_is_told_and_made_again(how: str) -> None:
    async def play() -> None:
        async with scene("spot") as at:
            (peer,) = await opened(at, "spot")
            before = len(at.told.all)
            if how == "closed":
                await peer.close()
            else:
                peer.cut()
            lost = await at.told.until(LOST, before)
            assert await at.told.until(is_a(BookGapped), before) == lost + 1
            again = await at.venue.peer(2)
            at.venue.answer(DEPTH_PATH["spot"], snapshot("spot", 100, BIDS, ASKS))
            await again.say(*first_words("spot", again.path, 100, START_MS + 1000))
            await at.told.until(OPENED, lost)
            await at.told.until(is_a(BookSeen), lost)
            assert at.reading("feed_connects_total") == 2

    run(play())


def test_a_touch_after_a_loss_revives_no_book() -> None:
    async def play() -> None:
        async with scene("spot") as at:
            (peer,) = await opened(at, "spot")
            before = len(at.told.all)
            await peer.close()
            again = await at.venue.peer(2)
            at.venue.answer(DEPTH_PATH["spot"], (500, {}, b""))
            await again.say(
                ticker("spot", 200, ("90.0", "5"), ("91.0", "5")), diff("spot", 200, START_MS + 1)
            )
            await at.told.until(OPENED, before)
            assert [fact for fact in at.told.all[before:] if isinstance(fact, BookSeen)] == []

    run(play())


def test_a_stream_on_a_wrong_path_is_named() -> None:
    async def play() -> None:
        async with scene("usdm", msgspec.structs.replace(QUICK, first_message_s=0.2)) as at:
            at.venue.answer(DEPTH_PATH["usdm"], snapshot("usdm", 11, BIDS, ASKS))
            for number in (1, 2):
                peer = await at.venue.peer(number)
                if peer.path == "/public/stream":
                    await peer.say(*first_words("usdm", peer.path, 11, START_MS))
            await at.told.until(is_a(ProtocolDrift, stream="usdm/market/2/btcusdt@markPrice@1s"))
            await at.told.until(LOST)
            assert at.told.of(ChannelLost)[0].reason.startswith("usdm/market/2: no message within 0.2 s")
            assert at.told.of(ChannelOpened) == []

    run(play())


def test_a_silent_connection_is_given_up() -> None:
    async def play() -> None:
        async with scene("spot", msgspec.structs.replace(QUICK, silence_s=0.2)) as at:
            await opened(at, "spot")
            await at.told.until(is_a(ChannelLost, reason="spot/public/1: silent for 0.2 s"))
            await at.venue.peer(2)

    run(play())


def test_refused_streams_are_a_loss_with_the_venue_s_words() -> None:
    async def play() -> None:
        async with scene("spot") as at:
            at.venue.refusal = {"error": {"code": 2, "msg": "Invalid request: unknown variable"}}
            await at.told.until(LOST)
            assert "unknown variable" in at.told.of(ChannelLost)[0].reason

    run(play())


@dataclass
class Odd:
    payload: bytes
    reason: str


@pytest.mark.parametrize(
    "odd",
    [
        Odd(b"<html>gateway</html>", "not a JSON frame"),
        Odd(b'{"stream":"btcusdt@depth@100ms","data":{"U":"x"}}', "fields missing"),
        Odd(b'{"stream":"btcusdt@liquidations","data":{}}', "unknown stream"),
        Odd(b'{"result":["btcusdt@depth"],"id":99}', "unknown stream"),
    ],
)
def test_a_frame_that_cannot_be_used_is_drift_and_the_stream_goes_on(odd: Odd) -> None:
    async def play() -> None:
        async with scene("spot") as at:
            (peer,) = await opened(at, "spot")
            before = len(at.told.all)
            await peer.say(odd.payload, diff("spot", 12, START_MS + 100, bid="0"))
            await at.told.until(lambda fact: isinstance(fact, ProtocolDrift) and odd.reason in fact.reason)
            await peer.say(ticker("spot", 13, ("90.0", "5"), ("91.0", "5")))
            await at.told.until(is_a(BookSeen), before)
            assert at.told.of(ChannelLost) == []

    run(play())


def test_a_flood_of_drift_is_counted_and_not_all_told() -> None:
    async def play() -> None:
        async with scene("spot") as at:
            (peer,) = await opened(at, "spot")
            await peer.say(*[b"{%d" % number for number in range(500)])
            await peer.say(ticker("spot", 13, ("90.0", "5"), ("91.0", "5")))
            await at.told.until(lambda fact: isinstance(fact, BookSeen) and fact.bids[0][0] == 90.0)
            assert at.reading("feed_drifts_total") >= 500
            assert len(at.told.of(ProtocolDrift)) == 20

    run(play())


@pytest.mark.parametrize("cause", ["age", "shutdown"])
def test_a_connection_is_replaced_without_a_gap(cause: str) -> None:
    times = msgspec.structs.replace(QUICK, life_s=0.2) if cause == "age" else QUICK

    async def play() -> None:
        async with scene("usdm", times) as at:
            peers = await opened(at, "usdm", 2)
            (old,) = [peer for peer in peers if peer.path == "/public/stream"]
            before = len(at.told.all)
            if cause == "shutdown":
                await old.say(b'{"e":"serverShutdown","E":1}')
            number = 3
            while (new := await at.venue.peer(number)).path != "/public/stream":
                number += 1
            shared = diff("usdm", 13, START_MS + 200)
            await old.say(diff("usdm", 12, START_MS + 100))
            await new.say(*first_words("usdm", new.path, 12, START_MS + 100), shared)
            await old.say(shared)
            # the old one is closed by the feed once the new one has taken over
            await old.ended.wait()
            await new.say(diff("usdm", 14, START_MS + 300, bid="0"))
            await new.say(ticker("usdm", 15, ("90.0", "5"), ("91.0", "5")))
            await at.told.until(lambda fact: isinstance(fact, BookSeen) and fact.bids[0][0] == 90.0, before)
            told = at.told.all[before:]
            assert [fact for fact in told if isinstance(fact, (ChannelLost, BookGapped))] == []

    run(play())


def test_the_streams_are_spread_over_as_few_connections_as_allowed() -> None:
    many = tuple(instrument("usdm", f"A{number}USDT") for number in range(150))
    options = FeedOptions(
        market="usdm",
        hosts=Hosts("http://127.0.0.1:1", "ws://127.0.0.1:1", "ws://127.0.0.1:1"),
        instruments=many,
        filters={one.id: STEADY for one in many},
        trades=True,
        times=LineTimes(),
    )
    found = routes(options)
    assert [(route.url.rsplit("/", 2)[1], len(route.streams)) for route in found] == [
        ("public", 200),
        ("public", 100),
        ("market", 200),
        ("market", 101),
    ]
    assert len({stream for route in found for stream in route.streams}) == 601
    expected = [stream for route in found for stream in route.expected]
    assert not any("aggTrade" in stream or "contractInfo" in stream for stream in expected)
    assert all(route.expected for route in found), "a connection that only seldom speaks would seem dead"
    assert routes(msgspec.structs.replace(options, instruments=())) == []
