"""ccxt's whole books: what is a fact, and what somebody who trades on them on paper is told."""

from __future__ import annotations

from typing import Any

from adapters.ccxt.books import WatchedBook
from adapters.materiality import Materiality
from bot.model.facts import AnyFact, BookGapped, BookSeen
from tests.adapters.paper.build import LINEAR

Told = tuple[bool, float, float]
AT_NS = 1_800_000_000_000_000_000


class Listener:
    def __init__(self) -> None:
        self.levels: list[Told] = []
        self.trades: list[tuple[float, float, bool, int]] = []

    def on_level(self, is_bid: bool, price: float, qty: float) -> None:
        self.levels.append((is_bid, price, qty))

    def on_trade(self, price: float, qty: float, buyer_is_maker: bool, venue_ns: int) -> None:
        self.trades.append((price, qty, buyer_is_maker, venue_ns))


def watched() -> tuple[WatchedBook, list[AnyFact]]:
    facts: list[AnyFact] = []
    return WatchedBook(LINEAR, Materiality(1000.0, 0.5, 10.0), facts.append), facts


def told(bids: list[list[float]], asks: list[list[float]], **more: Any) -> dict[str, Any]:
    return {"bids": bids, "asks": asks, "timestamp": 1_700_000_000_000, "nonce": 7, **more}


FIRST = told([[100.0, 1.0], [99.0, 2.0], [98.0, 3.0]], [[101.0, 4.0], [102.0, 5.0]])


def test_a_book_can_be_read_and_only_what_moves_it_is_a_fact() -> None:
    book, facts = watched()
    assert book.touch() is None
    assert book.on_book(FIRST, AT_NS)
    assert (book.touch(), book.size(True, 99.0), book.size(True, 97.0)) == ((100.0, 101.0), 2.0, 0.0)
    assert book.levels(False, 5) == [(101.0, 4.0), (102.0, 5.0)]
    (seen,) = facts
    assert isinstance(seen, BookSeen)
    assert (seen.venue_ns, seen.seen_ns) == (1_700_000_000_000_000_000, AT_NS)
    assert book.on_book(FIRST, AT_NS + 1)
    assert facts == [seen]
    book.working(is_working=True)
    book.on_book(told([[100.0, 1.5]], [[101.0, 4.0], [102.0, 5.0]]), AT_NS + 2)
    assert len(facts) == 2


def test_who_listens_is_told_what_changed_after_it_has() -> None:
    book, _ = watched()
    book.on_book(FIRST, AT_NS)
    listener = Listener()
    book.listen(listener)
    book.on_book(told([[99.0, 2.0], [98.0, 1.0]], [[100.5, 1.0], [101.0, 4.0], [103.0, 1.0]]), AT_NS + 1)
    assert listener.levels == [
        (True, 100.0, 0.0), (True, 98.0, 1.0), (False, 102.0, 0.0), (False, 100.5, 1.0), (False, 103.0, 1.0),
    ]  # fmt: skip
    book.listen(None)
    book.on_book(FIRST, AT_NS + 2)
    assert len(listener.levels) == 5


def test_a_level_beyond_the_worst_that_is_shown_is_not_said_to_be_gone() -> None:
    book, _ = watched()
    book.on_book(FIRST, AT_NS)
    listener = Listener()
    book.listen(listener)
    book.on_book(told([[100.0, 1.0]], [[101.0, 4.0]]), AT_NS + 1)
    assert listener.levels == []


def test_a_gap_and_a_loss_leave_no_touch_until_the_next_book_which_is_a_fact() -> None:
    book, facts = watched()
    book.on_book(FIRST, AT_NS)
    book.gap(AT_NS + 1)
    assert (book.touch(), facts[-1]) == (None, BookGapped(LINEAR.id, 8, 0, AT_NS + 1))
    book.on_book(FIRST, AT_NS + 2)
    assert isinstance(facts[-1], BookSeen)
    book.lose()
    assert book.touch() is None
    book.on_book(FIRST, AT_NS + 3)
    assert len([one for one in facts if isinstance(one, BookSeen)]) == 3


def test_a_crossed_or_empty_book_is_no_fact_and_the_next_whole_one_is() -> None:
    book, facts = watched()
    assert not book.on_book(told([[102.0, 1.0]], [[101.0, 1.0]]), AT_NS)
    assert book.touch() is None
    assert not book.on_book(told([], [[101.0, 1.0]]), AT_NS + 1)
    assert facts == []
    assert book.on_book(FIRST, AT_NS + 2)
    assert len(facts) == 1


def test_trades_are_passed_on_as_far_as_they_are_told() -> None:
    book, _ = watched()
    trade = {"price": 100.0, "amount": 2.0, "side": "sell", "timestamp": 1_700_000_000_000}
    book.on_trade(trade)  # nobody listens
    listener = Listener()
    book.listen(listener)
    book.on_trade(trade)
    book.on_trade({**trade, "side": "buy"})
    for lacking in ("price", "amount", "side", "timestamp"):
        book.on_trade({**trade, lacking: None})
    assert listener.trades == [
        (100.0, 2.0, True, 1_700_000_000_000_000_000),
        (100.0, 2.0, False, 1_700_000_000_000_000_000),
    ]
