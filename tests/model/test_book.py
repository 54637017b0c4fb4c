"""The book against a naive one: a dictionary, sorted at every reading."""

from __future__ import annotations

import random
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.book import Book, Quote

PRICES = st.integers(1, 400).map(lambda ticks: ticks / 10)
LEVELS = st.lists(st.tuples(PRICES, st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.25])), max_size=30)
SIZES = st.sampled_from([0.5, 2.0])
UPDATES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["apply", "replace"]), LEVELS, LEVELS),
        st.tuples(st.just("touch"), st.tuples(PRICES, SIZES), st.tuples(PRICES, SIZES)),
    ),
    max_size=12,
)


class NaiveBook:
    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    def apply(self, bids: list[Quote], asks: list[Quote]) -> None:
        self.bids = {price: qty for price, qty in (self.bids | dict(bids)).items() if qty}
        self.asks = {price: qty for price, qty in (self.asks | dict(asks)).items() if qty}

    def replace(self, bids: list[Quote], asks: list[Quote]) -> None:
        self.bids, self.asks = {}, {}
        self.apply(bids, asks)

    def touch(self, bid: float, bid_qty: float, ask: float, ask_qty: float) -> None:
        self.bids = {price: qty for price, qty in self.bids.items() if price < bid} | {bid: bid_qty}
        self.asks = {price: qty for price, qty in self.asks.items() if price > ask} | {ask: ask_qty}

    def levels(self, is_bid: bool, count: int) -> list[Quote]:
        book = self.bids if is_bid else self.asks
        return [(price, book[price]) for price in sorted(book, reverse=is_bid)[:count]]


def assert_alike(book: Book, naive: NaiveBook, count: int) -> None:
    for is_bid, known in ((True, naive.bids), (False, naive.asks)):
        side = book.side(is_bid)
        assert book.levels(is_bid, count) == naive.levels(is_bid, count)
        assert sorted(side.prices()) == sorted(known)
        assert len(side) == len(known)
        assert side.best == (max(known, default=None) if is_bid else min(known, default=None))
        for price in (3.0, 20.0, 300.0):
            assert side.size(price) == known.get(price, 0.0)
            assert set(side.better_than(price)) == {p for p in known if (p > price if is_bid else p < price)}
    bid, ask = book.best_bid, book.best_ask
    assert book.is_crossed == (bid is not None and ask is not None and bid >= ask)


@settings(max_examples=100, deadline=None)
@given(UPDATES, st.sampled_from([1, 3, 10, 70]))
def test_reads_as_a_naive_book(updates: list[tuple[str, list[Quote], list[Quote]]], count: int) -> None:
    book, naive = Book(), NaiveBook()
    for kind, bids, asks in updates:
        for either in (book, naive):
            getattr(either, kind)(*((*bids, *asks) if kind == "touch" else (bids, asks)))
        assert_alike(book, naive, count)


@pytest.mark.parametrize("seed", range(4))
def test_reads_as_a_naive_book_when_it_is_deep_and_moves(seed: int) -> None:
    """Prices wander, so that windows run dry, grow beyond their limit and are cut right through."""
    dice = random.Random(seed)
    book, naive = Book(), NaiveBook()
    middle = 1000
    for _ in range(300):
        middle += dice.randrange(-40, 41)
        spread = dice.choice([5, 60, 600])
        updates = [
            [(float(at + sign * dice.randrange(1, spread)), dice.choice([0.0, 1.0, 2.0])) for _ in range(40)]
            for sign, at in ((-1, middle), (1, middle))
        ]
        for either in (book, naive):
            either.apply(*updates)
        if dice.random() < 0.3:
            for either in (book, naive):
                either.touch(middle - 0.5, 1.0, middle + 0.5, 2.0)
        assert_alike(book, naive, dice.choice([1, 10, 100, 250]))


def test_a_touch_beyond_the_window_removes_all_better_levels() -> None:
    book = Book()
    book.replace([(float(p), 1.0) for p in range(1, 1001)], [(float(p), 1.0) for p in range(2001, 3001)])
    book.touch(500.5, 2.0, 2600.5, 3.0)
    assert book.levels(True, 2) == [(500.5, 2.0), (500.0, 1.0)]
    assert book.levels(False, 2) == [(2600.5, 3.0), (2601.0, 1.0)]
    assert (len(book.bids), len(book.asks)) == (501, 401)


def test_an_emptied_side_has_no_best_and_a_one_sided_book_is_not_crossed() -> None:
    book = Book()
    book.apply([(10.0, 1.0)], [])
    assert (book.best_bid, book.best_ask, book.is_crossed) == (10.0, None, False)
    book.apply([(10.0, 0.0), (11.0, 0.0)], [])
    assert book.best_bid is None
    assert book.levels(True, 5) == []


def test_holds_reads_as_deep_as_the_band() -> None:
    book = Book()
    book.apply([(10.0, 1.0), (9.0, 2.0), (8.0, 4.0)], [(11.0, 1.0), (12.0, 5.0)])
    table = [
        (True, 1.0, 10.0, inf, True),
        (True, 3.0, 9.0, 10.0, True),
        (True, 3.5, 9.0, 10.0, False),
        (True, 3.5, 8.0, 10.0, True),
        (True, 1.0, 9.0, 9.5, False),
        (True, 8.0, 0.0, inf, False),
        (False, 6.0, 11.0, 12.0, True),
        (False, 6.0, 11.0, 11.5, False),
    ]
    for is_bid, qty, low, high, held in table:
        assert book.side(is_bid).holds(qty, low, high) is held
