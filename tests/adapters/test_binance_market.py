"""One market's frames: routing, dispositions, marks and what is told of the protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.binance.market import (
    BAD_NUMBER,
    BAD_SHAPE,
    NOT_JSON,
    NOT_TRADED,
    UNKNOWN,
    Counters,
    MarketStream,
)
from adapters.errors import FrameError
from bot.model.facts import (
    AnyFact,
    BookSeen,
    FundingEstimated,
    InstrumentStatusSeen,
    MarkSeen,
    ProtocolDrift,
)
from bot.model.ids import InstrumentId
from tests.adapters.synthetic import (
    START_MS,
    START_NS,
    STEADY,
    SYMBOLS,
    depth,
    instrument,
    mark,
    snapshot,
    ticker,
    trade,
)

D = Decimal
S = 1_000_000_000
BIDS, ASKS = [("100.0", "50"), ("99.0", "50")], [("100.5", "50"), ("101.0", "50")]


class Scene:
    def __init__(self, market: str = "spot", symbols: Iterable[str] = ()) -> None:
        self.facts: list[AnyFact] = []
        traded = [instrument(market, symbol) for symbol in symbols or [SYMBOLS[market]]]
        self.stream = MarketStream(market, traded, {one.id: STEADY for one in traded}, self.facts.append)
        self.id = traded[0].id
        self.at_ns = START_NS

    def play(self, *frames: bytes) -> Counters:
        for frame in frames:
            self.at_ns += 1_000_000
            self.stream.on_frame(self.at_ns, frame)
        return self.counters()

    def counters(self) -> Counters:
        counters = self.stream.counters()
        dispositions = counters.material + counters.immaterial + counters.stale
        dispositions += sum(counters.ignored.values()) + sum(counters.refused.values())
        assert dispositions == counters.frames_in == sum(counters.frames_by_stream.values())
        return counters


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_every_kind_of_frame_has_one_disposition(market: str) -> None:
    scene = Scene(market)
    name = SYMBOLS[market].lower()
    counters = scene.play(
        depth(market, (90, 99, 89)),
        depth(market, (100, 103, 99), bids=[("99.5", "1")]),
        ticker(market, 102, ("100.0", "40"), ("100.5", "40")),
        trade(market),
        snapshot(market, 100, BIDS, ASKS),
        depth(market, (104, 106, 103), bids=[("99.0", "0")]),
        ticker(market, 107, ("100.0", "45"), ("100.5", "45")),
        ticker(market, 105, ("100.0", "45"), ("100.5", "45")),
        ticker(market, 109, ("99.0", "45"), ("100.5", "45")),
    )
    assert counters == Counters(
        frames_in=9,
        frames_by_stream={
            f"{market}/{name}@depth@100ms": 3,
            f"{market}/{name}@bookTicker": 4,
            f"{market}/{name}@trade": 1,
            f"{market}/{name}@snapshot": 1,
        },
        material=2,
        immaterial=4,
        stale=3,
        ignored={},
        refused={},
        gaps=0,
    )
    assert [type(fact) for fact in scene.facts] == [BookSeen, BookSeen]
    assert scene.stream.heard_ns == {scene.id: scene.at_ns}


def test_frames_that_wait_for_a_snapshot_are_stale_until_it_comes() -> None:
    scene = Scene()
    assert scene.play(depth("spot", (1, 5, 0)), depth("spot", (6, 8, 5))).stale == 2
    counters = scene.play(snapshot("spot", 6, BIDS, ASKS))
    assert (counters.stale, counters.immaterial, counters.material) == (1, 1, 1)


def test_a_diff_refused_for_its_price_is_a_hole_for_the_next() -> None:
    scene = Scene()
    bad = depth("spot", (101, 105, 100), bids=[("0.0", "1")])
    counters = scene.play(snapshot("spot", 100, BIDS, ASKS), bad, depth("spot", (106, 107, 105)))
    assert (counters.refused, counters.gaps) == ({BAD_NUMBER: 1}, 1)
    assert not any(isinstance(fact, ProtocolDrift) for fact in scene.facts)


BAD_FRAMES = [
    (ticker("spot", 1, ("0", "1"), ("2", "1")), BAD_NUMBER, 0),
    (ticker("spot", 1, ("NaN", "1"), ("2", "1")), BAD_NUMBER, 0),
    (ticker("spot", 1, ("1", "0"), ("2", "1")), BAD_NUMBER, 0),
    (mark("usdm", "0", "1", "0.1", 1), BAD_NUMBER, 0),
    (mark("usdm", "1", "1", "x", 1), BAD_NUMBER, 0),
    (b'{"stream":"btcusdt@bookTicker","data":{"u":"x","b":"1","B":"1","a":"2","A":"1"}}', BAD_SHAPE, 1),
    (b'{"stream":"btcusdt@bookTicker","data":{"u":1}}', BAD_SHAPE, 1),
    (b'{"stream":"btcusdt@bookTicker"}', BAD_SHAPE, 1),
    (b'{"stream":"btcusdt@depth","data":[]}', BAD_SHAPE, 1),
]


@pytest.mark.parametrize(("frame", "reason", "drifts"), BAD_FRAMES)
def test_what_cannot_be_used_is_refused_and_a_new_shape_told_once(
    frame: bytes, reason: str, drifts: int
) -> None:
    scene = Scene()
    counters = scene.play(frame, frame)
    assert counters.refused == {reason: 2}
    assert sum(isinstance(fact, ProtocolDrift) for fact in scene.facts) == drifts
    assert scene.stream.heard_ns == {scene.id: 0}


def test_other_symbols_and_unknown_streams_are_ignored() -> None:
    scene = Scene("coinm")
    counters = scene.play(
        b'{"stream":"ethusdt@depth@0ms","data":{}}',
        b'{"stream":"btcusd_perp@kline_1m","data":{}}',
        b'{"stream":"btcusd_perp@kline_1m","data":[1]}',
        b'{"stream":"btcusd_perp@depth5","data":{}}',
        b'{"stream":"ethusd@indexPrice","data":{}}',
        b'{"result":null,"id":1}',
        b"[1,2]",
        b'{"stream":"exchangeInfo","data":{"symbols":[]}}',
    )
    assert counters.ignored == {NOT_TRADED: 2, UNKNOWN: 4}
    assert counters.refused == {BAD_SHAPE: 1}
    assert counters.immaterial == 1
    drifts = [fact for fact in scene.facts if isinstance(fact, ProtocolDrift)]
    assert [(drift.account, drift.stream) for drift in drifts] == [
        ("binance:coinm", "btcusd_perp@kline_1m"),
        ("binance:coinm", "btcusd_perp@depth5"),
        ("binance:coinm", ""),
        ("binance:coinm", ""),
    ]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"x",
        b'{"stream":"btcusdt@trade","data":{"p":"1"',
        b'{"stream":"btcusdt@kline","data":{]}',
        b'{"stream":"btcusdt@bookTicker","data":' + b"[" * 100_000,
        trade("spot")[:-1],
    ],
)
def test_what_is_not_json_is_an_error(frame: bytes) -> None:
    scene = Scene()
    scene.play(trade("spot"))
    with pytest.raises(FrameError, match="not a JSON frame"):
        scene.play(frame)
    assert scene.counters().refused == {NOT_JSON: 1}


KNOWN_FRAMES = [
    snapshot("spot", 100, BIDS, ASKS),
    depth("spot", (101, 103, 0)),
    ticker("spot", 5, ("1", "1"), ("2", "1")),
    trade("spot"),
    b"{}",
    b"[]",
    b'{"stream":5}',
    b'{"stream":"\\u0000@depth","data":{}}',
    b'{"stream":"a","data":0}',
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=80) | st.sampled_from(KNOWN_FRAMES), max_size=8))
def test_whatever_comes_is_counted_once_or_is_not_json(frames: list[bytes]) -> None:
    scene = Scene()
    for frame in frames:
        try:
            scene.stream.on_frame(START_NS, frame)
        except FrameError:
            continue
    assert scene.counters().frames_in == len(frames)


def test_a_frame_is_known_whatever_the_order_of_its_envelope() -> None:
    scene = Scene()
    scene.play(snapshot("spot", 100, BIDS, ASKS))
    usual = ticker("spot", 101, ("98.0", "20"), ("100.5", "20"))
    data = usual.partition(b'"data":')[2].removesuffix(b"}")
    turned = b'{"data":' + data + b',"stream":"btcusdt@bookTicker"}'
    counters = scene.play(turned, turned)
    assert counters.frames_by_stream["spot/btcusdt@bookTicker"] == 2
    assert scene.stream.channels[scene.id].touch() == (98.0, 100.5)


def test_two_symbols_have_two_books_and_a_nameless_snapshot_is_nobodys() -> None:
    scene = Scene("usdm", ["BTCUSDT", "ETHUSDT"])
    counters = scene.play(snapshot("usdm", 100, BIDS, ASKS))
    assert counters.ignored == {UNKNOWN: 1}
    named = b'{"stream":"ethusdt@snapshot","data":' + snapshot("usdm", 100, BIDS, ASKS) + b"}"
    scene.play(named, depth("usdm", (1, 2, 0)))
    books = [channel.touch() for channel in scene.stream.channels.values()]
    assert books == [None, (100.0, 100.5)]
    assert scene.stream.heard_ns[InstrumentId("binance:usdm:ETHUSDT")] == scene.at_ns - 1_000_000


# --- trades


class Listener:
    def __init__(self) -> None:
        self.trades: list[tuple[float, float, bool, int]] = []

    def on_level(self, is_bid: bool, price: float, qty: float) -> None:
        raise AssertionError("no level was set")

    def on_trade(self, price: float, qty: float, buyer_is_maker: bool, venue_ns: int) -> None:
        self.trades.append((price, qty, buyer_is_maker, venue_ns))


def test_trades_are_told_once_where_two_streams_tell_them() -> None:
    scene, listener = Scene("usdm"), Listener()
    scene.play(trade("usdm"))
    scene.stream.channels[scene.id].listen(listener)
    counters = scene.play(
        trade("usdm", "100.5", "2", maker_buys=False),
        trade("usdm", "100.5", "2", kind="aggTrade"),
        trade("usdm", "0", "0"),
    )
    assert listener.trades == [(100.5, 2.0, False, START_MS * 1_000_000)]
    assert counters.immaterial == 4


# --- marks


def contract(symbol: str, status: str, kind: str = "PERPETUAL", until_ms: int = 4_133_404_800_000) -> bytes:
    data = {
        "e": "contractInfo",
        "E": START_MS,
        "s": symbol,
        "ct": kind,
        "dt": until_ms,
        "ot": 1,
        "cs": status,
    }
    return json.dumps({"stream": "!contractInfo", "data": data}).encode()


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_a_contract_s_status_is_told_and_those_of_others_are_not(market: str) -> None:
    scene = Scene(market)
    symbol = SYMBOLS[market]
    counters = scene.play(
        contract(symbol, "SETTLING"),
        contract("ELSEUSDT", "SETTLING"),
        contract(symbol, "TRADING"),
        contract(symbol, "TRADING", until_ms=START_MS + 86_400_000),
        contract(symbol, "TRADING", "CURRENT_QUARTER", START_MS + 86_400_000),
        json.dumps(json.loads(contract(symbol, "CLOSE"))["data"]).encode(),  # without an envelope
    )
    told = [(fact.instrument, fact.status) for fact in scene.facts if isinstance(fact, InstrumentStatusSeen)]
    assert told == [(scene.id, word) for word in ("SETTLING", "TRADING", "DELISTING", "TRADING", "CLOSE")]
    assert (counters.material, counters.immaterial) == (5, 1)
    scene.play(b'{"stream":"!contractInfo","data":{"e":"contractInfo","s":"BTCUSDT"}}')
    assert isinstance(scene.facts[-1], ProtocolDrift)


def test_marks_are_facts_when_they_move_or_the_rate_does_or_time_passes() -> None:
    scene = Scene("usdm")
    heard: list[tuple[object, ...]] = []
    rates: list[tuple[object, ...]] = []
    scene.stream.listen(lambda *mark: heard.append(mark), lambda *rate: rates.append(rate))
    frames = [
        (mark("usdm", "10000", "10001", "0.0001", 5), True),
        (mark("usdm", "10000.9", "10001", "0.0001", 5), False),
        (mark("usdm", "10001", "10001", "0.0001", 5), True),
        (mark("usdm", "10001", "10003", "0.0001", 5), True),
        (mark("usdm", "10001", "10003", "0.0002", 5), True),
        (mark("usdm", "10001", "10003", "0.0002", 6), True),
        (mark("usdm", "10001", "10003", "", 0), False),
    ]
    for frame, material in frames:
        before = len(scene.facts)
        scene.play(frame)
        assert len(scene.facts) - before == 2 * material
    scene.at_ns += 10 * S
    scene.play(frames[5][0])
    assert [type(fact) for fact in scene.facts[-2:]] == [MarkSeen, FundingEstimated]
    venue_ns = START_MS * 1_000_000
    assert scene.facts[:2] == [
        MarkSeen(scene.id, D(10000), D(10001), venue_ns, START_NS + 1_000_000),
        FundingEstimated(scene.id, D("0.0001"), 5_000_000, venue_ns, START_NS + 1_000_000),
    ]
    assert (scene.counters().material, scene.counters().immaterial) == (6, 2)
    assert len(heard) == 8
    assert heard[0] == (scene.id, D(10000), D(10001), venue_ns)
    assert rates[-1] == (scene.id, D("0.0002"), 6_000_000)
    assert len(rates) == 7
    scene.stream.forget()
    scene.play(frames[5][0])
    assert scene.counters().material == 7


def test_the_index_of_a_pair_rides_in_the_next_mark() -> None:
    scene = Scene("coinm", ["BTCUSD_PERP", "BTCUSD_240927"])
    index = b'{"stream":"btcusd@indexPrice@1s","data":{"e":"indexPriceUpdate","E":1,"i":"BTCUSD","p":"%d"}}'
    scene.play(index % 100)
    scene.play(index % 100)
    assert [
        (fact.instrument, fact.mark, fact.index) for fact in scene.facts if isinstance(fact, MarkSeen)
    ] == [
        ("binance:coinm:BTCUSD_PERP", None, D(100)),
        ("binance:coinm:BTCUSD_240927", None, D(100)),
    ]
    scene.play(mark("coinm", "101", None, "0.0001", 5))
    counters = scene.play(index % 110)
    assert scene.facts[2] == MarkSeen(scene.id, D(101), D(100), START_MS * 1_000_000, scene.at_ns - 1_000_000)
    assert isinstance(scene.facts[4], MarkSeen)  # the dated contract has no mark stream
    assert scene.facts[4].instrument == "binance:coinm:BTCUSD_240927"
    assert (counters.material, counters.immaterial) == (4, 0)


# --- the rest of the machine


def test_working_instruments_tell_any_change() -> None:
    scene = Scene()
    scene.play(snapshot("spot", 100, BIDS, ASKS))
    scene.stream.working(frozenset([scene.id]))
    scene.play(ticker("spot", 101, ("100.0", "49.9"), ("100.5", "50")))
    scene.stream.working(frozenset())
    scene.play(ticker("spot", 102, ("100.0", "49.8"), ("100.5", "50")))
    assert len(scene.facts) == 2


def test_the_offset_left_is_the_largest_of_late() -> None:
    scene = Scene("usdm")
    assert scene.stream.offset_ns is None
    scene.play(snapshot("usdm", 100, BIDS, ASKS))
    ids = 100
    for late_ms, told_ms in [(30, -30), (5, -5), (400, -5)] + [(20, -5)] * 14 + [(20, -20)] * 20:
        scene.at_ns = START_NS + late_ms * 1_000_000 - 1_000_000
        scene.play(depth("usdm", (ids, ids, ids - 1)))
        ids += 1
        if late_ms != 20:
            assert scene.stream.offset_ns == told_ms * 1_000_000
    assert scene.stream.offset_ns == -20_000_000
