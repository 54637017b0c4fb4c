"""When a book is a fact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.materiality import BookFilter, Materiality
from bot.model.book import Book, Quote
from tests.adapters.synthetic import START_NS, instrument

SETTINGS = Materiality(clip_quote=1000.0, materiality_bps=10.0, heartbeat_s=10.0)
S = 1_000_000_000


def book_of(bids: list[Quote], asks: list[Quote]) -> Book:
    book = Book()
    book.replace(bids, asks)
    return book


def emitted_once(bids: list[Quote], asks: list[Quote]) -> tuple[BookFilter, Book]:
    judge, book = BookFilter(instrument("usdm"), SETTINGS), book_of(bids, asks)
    assert judge.material(book, START_NS) is not None
    return judge, book


# bid 100 × 50 and ask 101 × 50 hold a clip of 1000 at the touch
CHANGES = [
    ("nothing", [], [], False),
    ("a far level", [(90.0, 1.0)], [], False),
    ("the size at the touch", [(100.0, 11.0)], [], False),
    ("the bid by 9 bps", [(100.09, 50.0)], [], False),
    ("the bid by 11 bps", [(100.11, 50.0)], [], True),
    ("the ask down by 11 bps", [], [(100.88, 50.0)], True),
    ("a small better bid", [(100.5, 0.1)], [], False),
    ("a better bid of half a clip", [(100.5, 5.0)], [], True),
    ("the touch shrinks, the rest is 10 % away", [(100.0, 5.0), (90.0, 50.0)], [], True),
    ("the touch shrinks, the rest is near", [(100.0, 5.0), (99.95, 50.0)], [], False),
    ("no clip is left", [(100.0, 5.0)], [], True),
]


@pytest.mark.parametrize(("name", "bids", "asks", "material"), CHANGES, ids=[change[0] for change in CHANGES])
def test_what_moves_the_price_of_a_clip_is_material(
    name: str, bids: list[Quote], asks: list[Quote], material: bool
) -> None:
    judge, book = emitted_once([(100.0, 50.0)], [(101.0, 50.0)])
    book.apply(bids, asks)
    assert (judge.material(book, START_NS + 1) is not None) is material


def test_any_change_of_the_ladder_is_material_while_an_order_works() -> None:
    judge, book = emitted_once([(100.0, 50.0)], [(101.0, 50.0)])
    judge.is_working = True
    assert judge.material(book, START_NS + 1) is None
    book.apply([(90.0, 1.0)], [])  # beyond two clips: not in the ladder
    assert judge.material(book, START_NS + 2) is None
    book.apply([(100.0, 49.0)], [])
    assert judge.material(book, START_NS + 3) is not None
    judge.is_working = False
    book.apply([(100.0, 48.0)], [])
    assert judge.material(book, START_NS + 4) is None


def test_the_heartbeat_counts_from_the_last_fact() -> None:
    judge, book = emitted_once([(100.0, 50.0)], [(101.0, 50.0)])
    assert judge.material(book, START_NS + 10 * S - 1) is None
    assert judge.material(book, START_NS + 10 * S) is not None
    assert judge.material(book, START_NS + 20 * S - 1) is None


def test_pending_and_forgetting_emit_whatever_is_there() -> None:
    judge, book = emitted_once([(100.0, 50.0)], [(101.0, 50.0)])
    judge.is_pending = True
    assert judge.material(book, START_NS + 1) is not None
    assert judge.material(book, START_NS + 2) is None
    judge.forget()
    assert judge.material(book, START_NS + 3) is not None


@pytest.mark.parametrize(
    ("market", "qty", "levels"),
    [
        ("usdm", 8.0, [(100.0, 8.0), (99.0, 8.0), (98.0, 8.0)]),  # 800 + 792 + 784 pass two clips
        ("coinm", 8.0, [(100.0, 8.0), (99.0, 800 / 99), (98.0, 800 / 98)]),  # contracts of 100 USD
        ("usdm", 0.5, [(100.0 - n, 0.5) for n in range(10)]),  # never more than ten
    ],
)
def test_a_ladder_covers_two_clips_in_base_currency(market: str, qty: float, levels: list[Quote]) -> None:
    judge = BookFilter(instrument(market), SETTINGS)
    book = book_of([(100.0 - n, qty) for n in range(20)], [(101.0, 1000.0)])
    ladders = judge.material(book, START_NS)
    assert ladders is not None
    assert list(ladders[0].levels) == levels
    assert ladders[1].levels == ((101.0, 1000.0 if market == "usdm" else 100_000 / 101),)


def test_a_linear_contract_size_scales_the_ladder() -> None:
    contract = replace(instrument("usdm"), contract_size=Decimal("0.01"))
    ladders = BookFilter(contract, SETTINGS).material(book_of([(100.0, 5000.0)], [(101.0, 5000.0)]), START_NS)
    assert ladders is not None
    assert ladders[0].levels == ((100.0, 50.0),)


def test_the_price_of_a_clip_is_walked() -> None:
    judge = BookFilter(instrument("usdm"), SETTINGS)
    ladders = judge.material(book_of([(100.0, 4.0), (50.0, 100.0)], [(200.0, 1.0)]), START_NS)
    assert ladders is not None
    bids, asks = ladders
    assert (bids.is_covered, asks.is_covered) == (True, False)
    assert bids.price == pytest.approx(1000 / (4 + 600 / 50))
    assert asks.price == pytest.approx(200.0)


def test_with_a_band_of_zero_a_change_of_the_price_is_material_and_nothing_else() -> None:
    judge = BookFilter(instrument("usdm"), replace(SETTINGS, materiality_bps=0.0))
    book = book_of([(100.0, 50.0)], [(101.0, 50.0)])
    assert judge.material(book, START_NS) is not None
    book.apply([(100.0, 60.0)], [])
    assert judge.material(book, START_NS + 1) is None
    book.apply([(100.1, 60.0)], [])
    assert judge.material(book, START_NS + 2) is not None


SIDE = st.dictionaries(st.integers(1, 60), st.sampled_from([0.2, 1.0, 6.0, 30.0]), min_size=1, max_size=15)


@settings(max_examples=200, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE)
def test_the_short_cut_never_hides_a_moved_price(
    bids: dict[int, float], asks: dict[int, float], later_bids: dict[int, float], later_asks: dict[int, float]
) -> None:
    """Whatever the shortcut says, a clip's walked price has not left the band of the last fact unnoticed."""

    def built(bids: dict[int, float], asks: dict[int, float]) -> Book:
        return book_of(
            [(100.0 - n / 50, qty) for n, qty in bids.items()],
            [(100.0 + n / 50, qty) for n, qty in asks.items()],
        )

    judge = BookFilter(instrument("usdm"), SETTINGS)
    first = judge.material(built(bids, asks), START_NS)
    fresh = BookFilter(instrument("usdm"), SETTINGS).material(built(later_bids, later_asks), START_NS)
    second = judge.material(built(later_bids, later_asks), START_NS + 1)
    assert first is not None
    assert fresh is not None
    moved = any(
        abs(now.price / before.price - 1) > 10.0001e-4 or now.is_covered != before.is_covered
        for before, now in zip(first, fresh, strict=True)
    )
    if moved:
        assert second == fresh
    still = all(
        abs(now.price / before.price - 1) < 9.9999e-4 and now.is_covered == before.is_covered
        for before, now in zip(first, fresh, strict=True)
    )
    if still:
        assert second is None
