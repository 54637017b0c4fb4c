"""Market sockets: every form of address, subscriptions, and which stream lives on which path."""

from __future__ import annotations

import pytest

from adapters.rehearsal.streams import accept
from adapters.rehearsal.world import World
from tests.adapters.rehearsal.build import NOW_NS, HandClock, Listened, play, scene, world


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def venue(clock: HandClock) -> World:
    return world(clock=clock)


def subscribe(*names: str, number: int | str | None = 1) -> bytes:
    quoted = ",".join(f'"{name}"' for name in names)
    name = f'"{number}"' if isinstance(number, str) else number
    return (
        f'{{"method":"SUBSCRIBE","params":[{quoted}],"id":{name if name is not None else "null"}}}'.encode()
    )


def heard(venue: World, clock: HandClock, market: str, target: str, *messages: bytes) -> Listened:
    """What a peer hears in three seconds."""
    peer = Listened()
    line = accept(venue, market, target, peer)
    assert line is not None
    for message in messages:
        line.receive(message)
    play(venue, clock, 3)
    return peer


@pytest.mark.parametrize(
    ("target", "is_bare"),
    [
        ("/ws/btcusdt@depth", True),
        ("/ws/btcusdt@depth@100ms/btcusdt@trade", True),
        ("/stream?streams=btcusdt@depth", False),
        ("/stream?streams=btcusdt@trade/btcusdt@depth@100ms", False),
        ("/stream?streams=btcusdt%40depth", False),
        ("/stream/ws/btcusdt@depth", True),
        ("/stream/btcusdt@depth", False),
    ],
)
def test_streams_named_in_the_address(venue: World, clock: HandClock, target: str, is_bare: bool) -> None:
    messages = heard(venue, clock, "spot", target).messages
    frames = messages if is_bare else [message["data"] for message in messages]
    depths = [frame for frame in frames if frame["e"] == "depthUpdate"]
    assert len(depths) == 3
    frame = depths[0]
    assert (frame["e"], frame["U"], frame["u"]) == ("depthUpdate", 1041, 1050)


@pytest.mark.parametrize("target", ["/ws", "/ws/0", "/stream/ws", "/stream/ws/0", "/stream", "/stream/0"])
def test_streams_named_by_a_message(venue: World, clock: HandClock, target: str) -> None:
    messages = heard(venue, clock, "coinm", target, subscribe("btcusd_perp@depth@500ms")).messages
    assert messages[0] == {"result": None, "id": 1}
    assert len(messages) == 4
    if target.startswith("/stream") and "/ws" not in target:
        assert messages[1]["stream"] == "btcusd_perp@depth@500ms"


@pytest.mark.parametrize(
    ("path", "stream", "is_carried"),
    [
        ("/public", "btcusdt@depth", True),
        ("/public", "btcusdt@bookTicker", True),
        ("/public", "!bookTicker", True),
        ("/public", "btcusdt@depth5", True),
        ("/public", "btcusdt@markPrice@1s", False),
        ("/market", "btcusdt@markPrice@1s", True),
        ("/market", "!markPrice@arr@1s", True),
        ("/market", "btcusdt@aggTrade", True),
        ("/market", "btcusdt@ticker", True),
        ("/market", "btcusdt@depth", False),
        ("/private", "btcusdt@depth", False),
        ("/private", "btcusdt@markPrice", False),
        ("", "btcusdt@depth", False),
        ("", "btcusdt@markPrice", False),
        ("/public", "ethusdt@depth", False),
        ("/public", "BTCUSDT@depth", False),
        ("/public", "nonsense", False),
    ],
)
def test_usdm_serves_each_stream_on_one_path_and_is_silent_on_others(
    clock: HandClock, path: str, stream: str, is_carried: bool
) -> None:
    rows = scene(20)
    moved = next(row for row in rows if row[1] == "usdm" and row[2].startswith("depth") and row[0] > 7_000)
    moved[3]["b"].append(["60000.5", "3"])  # the best price
    venue = world(rows, clock)
    messages = heard(venue, clock, "usdm", f"{path}/ws", subscribe(stream)).messages
    assert messages[0] == {"result": None, "id": 1}
    assert bool(messages[1:]) is is_carried


def test_frames_in_envelopes_bear_the_name_that_was_asked_for(venue: World, clock: HandClock) -> None:
    messages = heard(venue, clock, "usdm", "/market/stream", subscribe("btcusdt@markPrice@1s")).messages
    assert [message["stream"] for message in messages[1:]] == ["btcusdt@markPrice@1s"] * 3


def test_subscriptions_end_are_listed_and_do_not_double(venue: World, clock: HandClock) -> None:
    peer = Listened()
    line = accept(venue, "spot", "/stream", peer)
    assert line is not None
    for message in (
        subscribe("btcusdt@depth", "btcusdt@trade", number="abc"),
        subscribe("btcusdt@depth", number=2),
        b'{"method":"LIST_SUBSCRIPTIONS","id":3}',
        b'{"method":"UNSUBSCRIBE","params":["btcusdt@trade","never@asked"],"id":4}',
        b'{"method":"LIST_SUBSCRIPTIONS","id":null}',
    ):
        line.receive(message)
    assert peer.messages == [
        {"result": None, "id": "abc"},
        {"result": None, "id": 2},
        {"result": ["btcusdt@depth", "btcusdt@trade"], "id": 3},
        {"result": None, "id": 4},
        {"result": ["btcusdt@depth"], "id": None},
    ]
    peer.messages.clear()
    play(venue, clock, 3)
    assert len(peer.messages) == 3


def test_the_form_of_frames_can_be_changed(venue: World, clock: HandClock) -> None:
    asked = (
        b'{"method":"GET_PROPERTY","params":["combined"],"id":1}',
        b'{"method":"SET_PROPERTY","params":["combined",true],"id":2}',
        b'{"method":"GET_PROPERTY","params":["combined"],"id":3}',
    )
    messages = heard(venue, clock, "spot", "/ws/btcusdt@depth", *asked).messages
    assert [message["result"] for message in messages[:3]] == [False, None, True]
    assert messages[3]["stream"] == "btcusdt@depth"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", 3),
        (b"\xff", 3),
        (b"[]", 2),
        (b'{"method":"SUBSCRIBE","params":["a@depth"],"id":-1}', 2),
        (b'{"method":"SUBSCRIBE","params":["a@depth"],"id":true}', 2),
        (b'{"method":"SUBSCRIBE","params":"a@depth","id":1}', 2),
        (b'{"method":"SUBSCRIBE","params":[],"id":1}', 2),
        (b'{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        (b'{"method":"DANCE","id":1}', 2),
        (b'{"id":1}', 2),
    ],
)
def test_what_is_no_request_gets_an_error_and_the_socket_stays(
    venue: World, clock: HandClock, message: bytes, code: int
) -> None:
    messages = heard(venue, clock, "spot", "/ws/btcusdt@depth", message).messages
    assert messages[0]["error"]["code"] == code
    assert len(messages) == 4


def test_what_closed_is_told_nothing_any_more(venue: World, clock: HandClock) -> None:
    peer = Listened()
    line = accept(venue, "spot", "/ws/btcusdt@depth", peer)
    assert line is not None
    line.closed()
    play(venue, clock, 3)
    venue.maintenance(on=True)
    assert (peer.messages, peer.end) == ([], None)
    assert not venue.stages["spot"].broadcast.is_followed("btcusdt@depth")


def test_the_end_of_a_pass_closes_market_sockets(clock: HandClock) -> None:
    venue = world(scene(7), clock)
    peer = Listened()
    assert accept(venue, "usdm", "/public/ws/btcusdt@depth", peer) is not None
    play(venue, clock, 4)
    assert peer.end is not None
    assert peer.end[0] == 1001


@pytest.mark.parametrize("target", ["/ws-api/v3", "/", "/private", "/other/ws"])
def test_other_addresses_are_not_market_sockets(venue: World, target: str) -> None:
    assert accept(venue, "usdm", target, Listened()) is None


def test_a_best_price_is_told_when_a_diff_moved_it(clock: HandClock) -> None:
    rows = scene(20)
    moved = next(row for row in rows if row[1] == "usdm" and row[2].startswith("depth") and row[0] > 7_000)
    moved[3]["b"].append(["60000.5", "3"])
    venue = world(rows, clock)
    messages = heard(venue, clock, "usdm", "/public/ws/btcusdt@bookTicker").messages
    ticker = next(message for message in messages if message["b"] == "60000.5")
    assert (ticker["b"], ticker["B"], ticker["a"], ticker["A"]) == ("60000.5", "3.000", "60001.0", "5.000")
    assert (ticker["u"], ticker["E"]) == (moved[3]["u"], NOW_NS // 1_000_000 + moved[0] - 5_100)
    ids = [message["u"] for message in messages]
    assert ids == sorted(set(ids)), "the same update is not told twice"
    assert len(ids) == 3  # each second's diff, moved or not
    assert {"e", "T", "E", "s"} <= set(ticker)


def test_partial_books_are_cut_from_the_whole(venue: World, clock: HandClock) -> None:
    spot = heard(venue, clock, "spot", "/ws/btcusdt@depth5@100ms").messages[0]
    assert set(spot) == {"lastUpdateId", "bids", "asks"}
    assert [price for price, _ in spot["bids"]] == [f"{60_000 - i:.8f}" for i in range(5)]
    usdm = heard(venue, clock, "usdm", "/public/ws/btcusdt@depth10").messages[0]
    assert (usdm["e"], len(usdm["b"])) == ("depthUpdate", 5)


def test_a_book_that_stands_still_is_told_every_two_seconds_and_partly_every_second(
    clock: HandClock,
) -> None:
    rows = [row for row in scene(30) if row[0] < 4_000 or row[0] > 25_000]
    venue = world(rows, clock)
    messages = heard(venue, clock, "spot", "/stream?streams=btcusdt@bookTicker/btcusdt@depth5").messages
    play(venue, clock, 3)
    names = [message["stream"] for message in messages]
    assert names.count("btcusdt@bookTicker") == 3
    assert names.count("btcusdt@depth5") == 6


def test_trades_come_single_and_aggregated(venue: World, clock: HandClock) -> None:
    single, aggregate = Listened(), Listened()
    accept(venue, "spot", "/ws/btcusdt@trade", single)
    accept(venue, "spot", "/ws/btcusdt@aggTrade", aggregate)
    play(venue, clock, 3)
    assert [message["t"] for message in single.messages] == [77]
    (told,) = aggregate.messages
    assert (told["e"], told["a"], told["f"], told["l"], told["q"]) == ("aggTrade", 77, 77, 77, "2")


def test_marks_and_the_index_of_a_pair_are_told_every_second(venue: World, clock: HandClock) -> None:
    target = "/stream?streams=btcusd_perp@markPrice@1s/btcusd@indexPrice@1s/!miniTicker@arr"
    messages = heard(venue, clock, "coinm", target).messages
    marks = [message["data"] for message in messages if message["stream"] == "btcusd_perp@markPrice@1s"]
    indexes = [message["data"] for message in messages if message["stream"] == "btcusd@indexPrice@1s"]
    assert [mark["E"] - marks[0]["E"] for mark in marks] == [0, 1000, 2000]
    assert {index["p"] for index in indexes} == {"59995.50000000"}
    assert [index["E"] for index in indexes] == [mark["E"] for mark in marks]
    (statistics, *_) = [message["data"] for message in messages if message["stream"] == "!miniTicker@arr"]
    assert statistics[0]["s"] == "BTCUSD_PERP"


def test_the_day_of_a_spot_symbol_shows_the_touch_and_the_price_before_it(
    venue: World, clock: HandClock
) -> None:
    messages = heard(venue, clock, "spot", "/ws/btcusdt@ticker").messages
    told = messages[-1]
    bids, asks = (venue.stages["spot"].ladder("BTCUSDT", is_bid, 1) for is_bid in (True, False))
    assert [told["b"], told["B"]] == bids[0]
    assert [told["a"], told["A"]] == asks[0]
    assert told["x"] == told["o"]
