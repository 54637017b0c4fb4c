"""Sequence rules, resync, touches and dispositions of one instrument's book."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from adapters.binance.market import RULES
from adapters.depth import WAITING_MAX, BookChannel
from bot.model.book import Quote
from bot.model.facts import AnyFact, BookGapped, BookSeen
from tests.adapters.synthetic import START_MS, START_NS, STEADY, instrument

S = 1_000_000_000
BID, ASK = (100.0, 50.0), (100.5, 50.0)


class Update(Struct):
    first: int
    last: int
    previous: int | None
    bids: Sequence[Quote] = ()
    asks: Sequence[Quote] = ()
    event_ms: int | None = START_MS


class Image(Struct):
    last: int
    bids: Sequence[Quote] = (BID,)
    asks: Sequence[Quote] = (ASK,)
    event_ms: int | None = None


class Best(Struct):
    update_id: int
    bid: float = 100.0
    bid_qty: float = 50.0
    ask: float = 100.5
    ask_qty: float = 50.0
    event_ms: int | None = None


class Scene:
    """A channel, the facts it emitted, and a clock that moves one millisecond a frame."""

    def __init__(self, market: str = "spot") -> None:
        self.facts: list[AnyFact] = []
        self.channel = BookChannel(instrument(market), RULES[market], STEADY, self.facts.append)
        self.market = market
        self.frames = 0

    @property
    def at_ns(self) -> int:
        return START_NS + self.frames * 1_000_000

    def diff(self, first: int, last: int, bids: Sequence[Quote] = (), asks: Sequence[Quote] = ()) -> None:
        """An update that follows the one before it: ``pu`` is ``first - 1``, as ids here have no holes."""
        self.frames += 1
        previous = None if self.market == "spot" else first - 1
        self.channel.on_diff(Update(first, last, previous, bids, asks), self.at_ns)

    def touch(self, update_id: int, *, bid: Quote = BID, ask: Quote = ASK) -> None:
        self.frames += 1
        self.channel.on_touch(Best(update_id, *bid, *ask), self.at_ns)

    def snapshot(self, last: int, bids: Sequence[Quote] = (BID,), asks: Sequence[Quote] = (ASK,)) -> None:
        self.frames += 1
        self.channel.on_snapshot(Image(last, bids, asks), self.at_ns)

    def assert_counted_once(self) -> None:
        channel = self.channel
        refused = sum(channel.refused.values())
        assert (
            channel.material + channel.immaterial + channel.stale + channel.waiting + refused == self.frames
        )

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts]


# first, last of each update after a snapshot with id 100; what the first one ends as
BRIDGES = [
    ("spot", 90, 100, "stale"),
    ("spot", 90, 101, "used"),
    ("spot", 101, 101, "used"),
    ("spot", 102, 105, "gap"),
    ("usdm", 90, 99, "stale"),
    ("usdm", 90, 100, "used"),
    ("usdm", 100, 103, "used"),
    ("usdm", 101, 105, "gap"),
    ("coinm", 90, 99, "stale"),
    ("coinm", 100, 100, "used"),
    ("coinm", 101, 101, "gap"),
]


@pytest.mark.parametrize(("market", "first", "last", "ends_as"), BRIDGES)
@pytest.mark.parametrize("waits", [False, True], ids=["after the snapshot", "before it"])
def test_the_first_update_must_bridge(market: str, first: int, last: int, ends_as: str, waits: bool) -> None:
    scene = Scene(market)
    if not waits:
        scene.snapshot(100)
    scene.diff(first, last, bids=[(99.0, 7.0)])
    if waits:
        scene.snapshot(100)
    channel = scene.channel
    assert channel.gaps == (ends_as == "gap")
    assert channel.stale == (ends_as == "stale")
    assert channel.is_live == (ends_as != "gap")
    assert channel.size(True, 99.0) == (7.0 if ends_as == "used" else 0.0)
    scene.assert_counted_once()


def test_a_book_found_again_is_told_at_once_though_its_snapshot_was_crossed() -> None:
    scene = Scene()
    scene.snapshot(100)
    scene.diff(101, 105)
    scene.diff(110, 120)  # 106 to 109 are missing
    scene.snapshot(130, bids=[(100.6, 1.0), BID])
    assert scene.kinds() == ["BookSeen", "BookGapped"]
    scene.touch(131)  # just as it was before the hole
    assert scene.kinds() == ["BookSeen", "BookGapped", "BookSeen"]
    scene.assert_counted_once()


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_a_hole_is_told_once_and_a_snapshot_that_connects_ends_it(market: str) -> None:
    scene = Scene(market)
    scene.snapshot(100)
    scene.diff(100, 110)
    scene.diff(115, 120)  # 111 to 114 are missing
    scene.diff(121, 130, bids=[(99.5, 3.0)])
    scene.touch(140)
    assert scene.kinds() == ["BookSeen", "BookGapped"]
    assert scene.facts[1] == BookGapped(
        instrument(market).id,
        111 if market == "spot" else 110,
        115 if market == "spot" else 114,
        START_NS + 3_000_000,
    )
    assert scene.channel.touch() is None
    assert (scene.channel.gaps, scene.channel.is_gapped) == (1, True)
    scene.snapshot(90)  # older than what waits
    assert scene.channel.refused == {"snapshot older than the updates that follow it": 1}
    assert (scene.channel.gaps, scene.channel.is_live) == (1, False)
    scene.snapshot(125)
    assert scene.kinds() == ["BookSeen", "BookGapped", "BookSeen"]
    assert (scene.channel.is_gapped, scene.channel.size(True, 99.5)) == (False, 3.0)
    scene.diff(131, 135)
    scene.assert_counted_once()
    assert scene.channel.gaps == 1


def test_a_hole_among_updates_that_waited_is_told_when_the_snapshot_comes() -> None:
    scene = Scene("usdm")
    scene.diff(95, 105)
    scene.diff(111, 115)
    scene.snapshot(100)
    assert scene.kinds() == ["BookGapped"]
    assert (scene.channel.gaps, scene.channel.material, scene.channel.waiting) == (1, 1, 1)
    scene.snapshot(112)
    assert scene.kinds() == ["BookGapped", "BookSeen"]
    scene.assert_counted_once()


def test_waiting_is_bounded_and_drops_the_oldest() -> None:
    scene = Scene()
    for update in range(WAITING_MAX + 5):
        scene.diff(update, update)
    assert (scene.channel.dropped, scene.channel.stale, scene.channel.waiting) == (5, 5, WAITING_MAX)
    scene.snapshot(WAITING_MAX)
    assert scene.channel.is_live
    scene.assert_counted_once()


def test_a_snapshot_older_than_a_living_book_is_stale_and_a_newer_one_replaces_it() -> None:
    scene = Scene()
    scene.snapshot(100)
    scene.diff(101, 110, bids=[(99.0, 1.0)])
    scene.snapshot(105)
    assert (scene.channel.stale, scene.channel.size(True, 99.0)) == (1, 1.0)
    scene.snapshot(120)
    assert scene.channel.size(True, 99.0) == 0.0
    scene.diff(111, 119)
    scene.diff(119, 125, bids=[(98.0, 1.0)])
    assert (scene.channel.stale, scene.channel.size(True, 98.0), scene.channel.gaps) == (2, 1.0, 0)
    scene.assert_counted_once()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["spot", "usdm", "coinm"]),
    st.lists(st.integers(1, 9), min_size=4, max_size=25),
    st.integers(0, 8),
    st.data(),
)
def test_any_one_update_taken_out_is_one_gap(
    market: str, spans: list[int], before: int, data: st.DataObject
) -> None:
    ranges, first = [], 1
    for span in spans:
        ranges.append((first, first + span - 1))
        first += span
    lead = RULES[market].lead
    image = data.draw(st.integers(ranges[0][0], ranges[-3][1]))
    bridge = next(n for n, (_, last) in enumerate(ranges) if last >= image + lead)
    lost = data.draw(st.integers(bridge, len(ranges) - 2))
    scenes = []
    for missing in (None, lost):
        scene = Scene(market)
        for n, (first, last) in enumerate(ranges):
            if n == before:
                scene.snapshot(image)
            if n != missing:
                scene.diff(first, last)
        if before >= len(ranges):
            scene.snapshot(image)
        scene.assert_counted_once()
        scenes.append(scene)
    assert (scenes[0].channel.gaps, scenes[0].channel.is_live) == (0, True)
    assert (scenes[1].channel.gaps, scenes[1].channel.is_live) == (1, False)
    assert scenes[1].kinds().count("BookGapped") == 1


# --- touches


def test_a_newer_touch_moves_the_book_and_survives_an_older_update() -> None:
    scene = Scene()
    scene.snapshot(100, bids=[(100.0, 1.0), (99.0, 2.0)], asks=[(100.5, 1.0), (101.0, 2.0)])
    scene.touch(110, bid=(99.0, 5.0), ask=(101.0, 6.0))
    assert scene.channel.levels(True, 5) == [(99.0, 5.0)]
    scene.diff(101, 105, bids=[(100.0, 4.0), (99.0, 9.0)])
    assert scene.channel.levels(True, 5) == [(99.0, 5.0)]
    assert scene.channel.touch() == (99.0, 101.0)
    scene.diff(106, 112, bids=[(100.0, 4.0)])
    assert scene.channel.levels(True, 5) == [(100.0, 4.0), (99.0, 5.0)]
    scene.touch(112, bid=(98.0, 1.0))
    assert scene.channel.stale == 1
    scene.assert_counted_once()


def test_a_touch_before_the_snapshot_is_applied_with_it() -> None:
    scene = Scene()
    scene.touch(120, bid=(99.5, 3.0))
    assert (scene.channel.stale, scene.facts) == (1, [])
    scene.snapshot(100)
    assert scene.channel.levels(True, 1) == [(99.5, 3.0)]
    scene.assert_counted_once()


# --- what is refused


def test_crossed_and_empty_books_are_refused_and_not_emitted() -> None:
    scene = Scene()
    scene.snapshot(100, bids=[], asks=[ASK])
    assert scene.channel.refused == {"empty book": 1}
    scene.diff(101, 101, bids=[(101.0, 1.0)])
    assert scene.channel.refused == {"empty book": 1, "crossed book": 1}
    assert (scene.facts, scene.channel.touch(), scene.channel.heard_ns) == ([], None, 0)
    scene.touch(102, bid=(103.0, 1.0), ask=(102.0, 1.0))
    assert scene.channel.refused["crossed book"] == 2
    scene.diff(102, 103, bids=[(101.0, 0.0), BID])
    assert scene.kinds() == ["BookSeen"]
    assert scene.channel.heard_ns == scene.at_ns
    scene.assert_counted_once()


def test_a_second_hole_before_any_book_was_usable_is_a_gap_of_its_own() -> None:
    scene = Scene()
    scene.snapshot(100)
    scene.diff(105, 106)
    scene.snapshot(110, bids=[(102.0, 1.0)])  # crossed: live, but nothing to emit
    scene.diff(120, 121)
    assert scene.kinds() == ["BookSeen", "BookGapped", "BookGapped"]
    assert (scene.channel.gaps, scene.channel.refused) == (2, {"crossed book": 1})
    scene.assert_counted_once()


# --- memory lost, and listeners


def test_forgetting_makes_the_next_frame_a_fact_and_retells_a_gap() -> None:
    scene = Scene()
    scene.snapshot(100)
    scene.diff(101, 101)
    scene.channel.forget()
    scene.diff(102, 102)
    assert scene.kinds() == ["BookSeen", "BookSeen"]
    scene.diff(105, 105)
    scene.channel.forget()
    scene.diff(106, 106)
    scene.diff(107, 107)
    assert scene.kinds() == ["BookSeen", "BookSeen", "BookGapped", "BookGapped"]
    assert scene.facts[2].expected == scene.facts[3].expected  # type: ignore[union-attr]
    assert scene.channel.gaps == 1
    scene.assert_counted_once()


class Listener:
    def __init__(self) -> None:
        self.told: list[tuple[bool, float, float]] = []
        self.trades: list[tuple[float, float, bool, int]] = []

    def on_level(self, is_bid: bool, price: float, qty: float) -> None:
        self.told.append((is_bid, price, qty))

    def on_trade(self, price: float, qty: float, buyer_is_maker: bool, venue_ns: int) -> None:
        self.trades.append((price, qty, buyer_is_maker, venue_ns))


def test_a_listener_hears_every_level_set_and_every_level_gone() -> None:
    scene, listener = Scene(), Listener()
    scene.snapshot(100, bids=[(100.0, 1.0), (99.0, 2.0)])
    scene.channel.listen(listener)
    scene.diff(101, 101, bids=[(98.0, 3.0)], asks=[(100.5, 0.0), (101.0, 4.0)])
    assert listener.told == [(True, 98.0, 3.0), (False, 100.5, 0.0), (False, 101.0, 4.0)]
    listener.told.clear()
    scene.touch(102, bid=(99.0, 8.0), ask=(101.0, 4.0))
    assert listener.told == [(True, 100.0, 0.0), (True, 99.0, 8.0), (False, 101.0, 4.0)]
    listener.told.clear()
    scene.snapshot(110, bids=[(99.0, 1.0)], asks=[(102.0, 1.0)])
    assert listener.told == [(True, 98.0, 0.0), (False, 101.0, 0.0), (True, 99.0, 1.0), (False, 102.0, 1.0)]
    scene.channel.on_trade(100.0, 2.0, True, 7)
    for price, qty in ((0.0, 1.0), (float("nan"), 1.0), (1.0, 0.0), (float("inf"), 1.0)):
        scene.channel.on_trade(price, qty, True, 8)
    assert listener.trades == [(100.0, 2.0, True, 7)]
    scene.channel.listen(None)
    listener.told.clear()
    scene.diff(111, 111, bids=[(98.0, 3.0)])
    assert listener.told == []


def test_a_fact_carries_both_times_and_a_spot_touch_has_none() -> None:
    scene = Scene()
    scene.snapshot(100)
    scene.diff(101, 101, bids=[(100.2, 50.0)])
    scene.touch(102, bid=(100.0, 50.0))
    seen = [fact for fact in scene.facts if isinstance(fact, BookSeen)]
    assert [fact.venue_ns for fact in seen] == [None, START_MS * 1_000_000, None]
    assert [fact.seen_ns for fact in seen] == [START_NS + n * 1_000_000 for n in (1, 2, 3)]
