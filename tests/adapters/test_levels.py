"""Updates and snapshots of more levels than a book has: refused, told once, and the book begun anew."""

from __future__ import annotations

import random
from bisect import insort

import pytest

from adapters import depth as depth_module
from adapters.binance.market import TOO_MANY
from adapters.numbers import LEVELS_MAX
from bot.model.book import Book
from bot.model.facts import BookGapped, BookSeen, ProtocolDrift
from tests.adapters.synthetic import depth, snapshot
from tests.adapters.test_binance_market import ASKS, BIDS, Scene

MARKETS = ("spot", "usdm", "coinm")


def wide(count: int) -> list[tuple[str, str]]:
    return [(f"{99.0 - 0.001 * number:.3f}", "1") for number in range(count)]


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_an_update_of_too_many_levels_leaves_the_book_unknown_at_once(market: str, side: str) -> None:
    scene = Scene(market)
    scene.play(snapshot(market, 100, BIDS, ASKS), depth(market, (100, 102, 99)))
    channel = scene.stream.channels[scene.id]
    assert channel.touch() == (100.0, 100.5)
    too_many = wide(LEVELS_MAX + 1)
    levels = (too_many, []) if side == "bids" else ([], too_many)
    counters = scene.play(depth(market, (103, 104, 102), *levels))
    assert counters.refused == {TOO_MANY: 1}
    assert (channel.touch(), counters.gaps) == (None, 1)
    assert isinstance(scene.facts[-1], BookGapped)
    counters = scene.play(depth(market, (105, 106, 104), *levels))
    assert (counters.refused, counters.gaps) == ({TOO_MANY: 2}, 1)
    drifts = [fact.reason for fact in scene.facts if isinstance(fact, ProtocolDrift)]
    assert len(drifts) == 1, "told once"
    assert drifts[0].startswith(TOO_MANY)
    scene.play(snapshot(market, 107, BIDS, ASKS), depth(market, (107, 109, 106)))
    assert channel.touch() == (100.0, 100.5), "a snapshot mends it"
    assert isinstance(scene.facts[-1], BookSeen)


def test_as_many_levels_as_a_book_has_are_taken() -> None:
    scene = Scene()
    counters = scene.play(
        snapshot("spot", 100, wide(LEVELS_MAX), ASKS), depth("spot", (101, 102, 100), wide(LEVELS_MAX), [])
    )
    assert counters.refused == {}
    assert len(scene.stream.channels[scene.id].book.bids) == LEVELS_MAX


@pytest.mark.parametrize("market", MARKETS)
def test_a_snapshot_of_too_many_levels_begins_no_book(market: str) -> None:
    scene = Scene(market)
    counters = scene.play(snapshot(market, 100, wide(LEVELS_MAX + 1), ASKS))
    assert counters.refused == {TOO_MANY: 1}
    assert not scene.stream.channels[scene.id].is_live


def test_levels_that_only_ever_come_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth_module, "HELD_MAX", 1000)
    scene = Scene()
    scene.play(snapshot("spot", 100, BIDS, ASKS))
    channel, levels = scene.stream.channels[scene.id], wide(1200)
    for number in range(6):
        part = levels[number * 200 : (number + 1) * 200]
        scene.play(depth("spot", (101 + number, 101 + number, 100 + number), part, []))
        if not channel.is_live:
            break
    assert not channel.is_live
    assert len(channel.book.bids) < 1200 + len(BIDS)
    assert scene.counters().refused == {"more levels than are kept": 1}
    assert isinstance(scene.facts[-1], BookGapped)


def test_a_wide_update_is_sorted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each insertion into a window that is open moves all that the window holds."""
    inserted: list[float] = []

    def counted(prices: list[float], price: float) -> None:
        inserted.append(price)
        insort(prices, price)

    monkeypatch.setattr("bot.model.book.insort", counted)
    book = Book()
    book.apply([(100.0, 1.0)], [(101.0, 1.0)])
    assert inserted == [100.0, 101.0]
    book.apply([(99.0 - 0.01 * number, 1.0) for number in range(5000)], [])
    assert len(inserted) == 2
    assert (book.best_bid, len(book.bids)) == (100.0, 5001)


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_update_does_what_many_small_ones_do(seed: int) -> None:
    dice = random.Random(seed)
    at_once, one_by_one = Book(), Book()
    for _ in range(20):
        levels = [(float(dice.randrange(1, 2000)), float(dice.randrange(0, 3))) for _ in range(500)]
        at_once.apply(levels, levels)
        for level in levels:
            one_by_one.apply([level], [level])
        for is_bid in (True, False):
            assert at_once.levels(is_bid, 70) == one_by_one.levels(is_bid, 70)
            assert sorted(at_once.side(is_bid).prices()) == sorted(one_by_one.side(is_bid).prices())
