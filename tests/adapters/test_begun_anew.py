"""A recording that its recorder went on with after a break: what the venue did meanwhile is unknown."""

from __future__ import annotations

import pytest

from adapters.binance.market import MarketStream
from bot.model.facts import AnyFact, BookGapped, BookSeen
from tests.adapters.synthetic import START_MS, START_NS, STEADY, depth, instrument, snapshot

DESCRIPTION = b'{"stream":"exchangeInfo","data":{"symbols":[]}}'
MARKETS = ["spot", "usdm", "coinm"]
LATER_MS = START_MS + 60_000


class Scene:
    def __init__(self, market: str) -> None:
        self.facts: list[AnyFact] = []
        one = instrument(market)
        self.stream = MarketStream(market, [one], {one.id: STEADY}, self.facts.append)
        self.book = self.stream.channels[one.id]
        self._market = market
        self._at_ns = START_NS

    def describe(self) -> None:
        self._play(DESCRIPTION)

    def snapshot(self, last: int, best: str) -> None:
        self._play(snapshot(self._market, last, [(best, "50")], [("999.0", "50")]))

    def diff(self, number: int, ms: int = START_MS) -> None:
        self._play(depth(self._market, (number, number, number - 1), bids=[("50.0", str(number))], ms=ms))

    def before(self) -> Scene:
        self.describe()
        self.snapshot(100, "100.0")
        self.diff(100)
        self.diff(101)
        assert self.book.is_live
        return self

    def _play(self, frame: bytes) -> None:
        self._at_ns += 1_000_000
        self.stream.on_frame(self._at_ns, frame)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("begun", [500, 10], ids=["ids go on", "ids begin anew"])
@pytest.mark.parametrize("diff_first", [True, False])
def test_a_book_is_bridged_anew_whatever_the_venue_did_with_its_ids(
    market: str, begun: int, diff_first: bool
) -> None:
    scene = Scene(market).before()
    scene.describe()
    if diff_first:
        scene.diff(begun, LATER_MS)
        assert not scene.book.is_live
    scene.snapshot(begun, "200.0")
    for number in range(begun + (1 if diff_first else 0), begun + 5):
        scene.diff(number, LATER_MS)
    assert scene.book.is_live
    assert scene.book.touch() == (200.0, 999.0)
    assert scene.book.update_id == begun + 4
    assert isinstance(scene.facts[-1], BookSeen)
    assert sum(isinstance(fact, BookGapped) for fact in scene.facts) == (diff_first or begun < 100)


@pytest.mark.parametrize("market", MARKETS)
def test_only_the_first_snapshot_is_taken_whatever_its_id(market: str) -> None:
    scene = Scene(market).before()
    scene.snapshot(10, "200.0")
    assert scene.book.touch() == (100.0, 999.0)
    scene.describe()
    scene.snapshot(500, "300.0")
    scene.snapshot(10, "200.0")
    assert scene.book.touch() == (300.0, 999.0)
