"""Updates that are told twice, ids that begin anew, and a book whose updates stop."""

from __future__ import annotations

import pytest

from bot.model.facts import BookGapped, BookSeen
from tests.adapters.synthetic import START_MS
from tests.adapters.test_depth import Scene, Update


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_an_update_told_twice_is_stale_and_opens_no_gap(market: str) -> None:
    scene = Scene(market)
    scene.snapshot(100)
    for first in (100, 101, 102):
        scene.diff(first, first, bids=[(99.0, float(first))])
    before = scene.channel.stale
    scene.diff(101, 101, bids=[(99.0, 1.0)])
    scene.diff(102, 102, bids=[(99.0, 1.0)])
    assert scene.channel.stale == before + 2
    assert scene.channel.size(True, 99.0) == 102.0
    scene.diff(103, 103)
    assert scene.channel.gaps == 0
    scene.assert_counted_once()


@pytest.mark.parametrize("event_ms", [START_MS + 1, None])
def test_lower_ids_at_a_later_time_or_at_none_are_a_gap(event_ms: int | None) -> None:
    """A venue that begins its ids anew would otherwise never be heard again."""
    scene = Scene("usdm")
    scene.snapshot(100)
    scene.diff(100, 100)
    scene.frames += 1
    scene.channel.on_diff(Update(5, 5, 4, event_ms=event_ms), scene.at_ns)
    assert scene.channel.gaps == 1
    scene.assert_counted_once()


def test_a_book_whose_updates_stop_is_unknown_at_once() -> None:
    scene = Scene("usdm")
    scene.snapshot(100)
    scene.diff(100, 100)
    scene.channel.interrupt(scene.at_ns)
    assert scene.facts[-1] == BookGapped(scene.channel.instrument.id, 101, 0, scene.at_ns)
    told = len(scene.facts)
    scene.touch(500, bid=(90.0, 50.0))
    scene.channel.interrupt(scene.at_ns)
    assert len(scene.facts) == told
    scene.diff(200, 200)
    scene.snapshot(200)
    assert isinstance(scene.facts[-1], BookSeen)
    assert scene.channel.gaps == 0  # nothing was missing among what came


def test_updates_that_waited_before_an_interruption_are_stale() -> None:
    scene = Scene("spot")
    scene.diff(1, 1)
    scene.diff(2, 2)
    scene.channel.interrupt(scene.at_ns)
    assert (scene.channel.waiting, scene.channel.stale) == (0, 2)
    assert scene.facts == []
    scene.assert_counted_once()
