"""Ladder walk, overlay and queue of one instrument."""

from __future__ import annotations

import pytest

from adapters.paper.matching import CREDIT_NS
from bot.model.instrument import Side
from tests.adapters.paper.build import D, Pit


@pytest.fixture
def pit() -> Pit:
    return Pit()


# --- takers


def test_a_take_is_remembered_until_its_level_is_updated(pit: Pit) -> None:
    assert pit.take(Side.BUY, "0.4", "101") == [(D(101), D("0.4"))]
    assert pit.take(Side.BUY, "5", "102") == [(D(101), D("0.6")), (D(102), D(2))]
    assert pit.take(Side.BUY, "5", "102") == []
    pit.book.update([], [(101.0, 1.5)])
    assert pit.take(Side.BUY, "5", "102") == [(D(101), D("1.5"))]


def test_the_other_side_and_other_levels_keep_their_overlay(pit: Pit) -> None:
    pit.take(Side.BUY, "1", "101")
    pit.take(Side.SELL, "5", "99")
    pit.book.update([(98.0, 7.0)], [(102.0, 3.0)])
    assert pit.take(Side.BUY, "1", "101") == []
    assert pit.take(Side.SELL, "1", "99") == []


def test_the_feeds_book_is_never_changed(pit: Pit) -> None:
    before = (pit.book.levels(True, 9), pit.book.levels(False, 9))
    pit.take(Side.BUY, "100", "200")
    pit.rest(Side.BUY, "1", "99")
    assert (pit.book.levels(True, 9), pit.book.levels(False, 9)) == before


def test_a_deep_order_walks_beyond_the_first_chunk_of_levels(pit: Pit) -> None:
    pit.book.show([], [(100.0 + i, 1.0) for i in range(300)])
    takes = pit.take(Side.BUY, "290", "1000")
    assert [qty for _, qty in takes] == [D(1)] * 290
    assert takes[-1][0] == D(389)


def test_a_level_is_taken_in_whole_lots(pit: Pit) -> None:
    pit.book.show([], [(101.0, 0.0015)])
    assert pit.take(Side.BUY, "1", "101") == [(D(101), D("0.001"))]


def test_crossing_counts_what_is_left(pit: Pit) -> None:
    assert pit.matcher.crosses(Side.BUY, D(101))
    assert not pit.matcher.crosses(Side.BUY, D("100.9"))
    assert pit.matcher.crosses(Side.SELL, D(99))
    pit.take(Side.BUY, "1", "101")
    assert not pit.matcher.crosses(Side.BUY, D(101))


def test_the_book_is_listened_to_only_while_it_matters(pit: Pit) -> None:
    heard = [pit.book.listener]
    pit.take(Side.BUY, "1", "101")
    heard.append(pit.book.listener)
    pit.book.update([], [(101.0, 2.0)])
    heard.append(pit.book.listener)
    maker = pit.rest(Side.BUY, "1", "99")
    heard.append(pit.book.listener)
    pit.matcher.withdraw(maker)
    heard.append(pit.book.listener)
    assert heard == [None, pit.matcher, None, pit.matcher, None]


# --- makers


def test_a_maker_queues_behind_what_is_displayed(pit: Pit) -> None:
    pit.rest(Side.BUY, "2", "99")
    pit.book.trade(99.0, 4.0, buyer_is_maker=True)
    assert pit.fills == []
    pit.book.trade(99.0, 2.5, buyer_is_maker=True)
    assert pit.fills == [("maker", D("1.5"))]
    pit.book.trade(99.0, 9.0, buyer_is_maker=True)
    assert pit.fills[1:] == [("maker", D("0.5"))]


def test_a_maker_alone_at_its_price_is_first(pit: Pit) -> None:
    pit.rest(Side.SELL, "2", "100.5")
    pit.book.trade(100.5, 0.7, buyer_is_maker=False)
    assert pit.fills == [("maker", D("0.7"))]


def test_the_queue_is_never_longer_than_what_is_displayed(pit: Pit) -> None:
    maker = pit.rest(Side.BUY, "2", "99")
    pit.book.update([(99.0, 1.0)], [])
    pit.book.update([(99.0, 8.0)], [])
    assert maker.ahead == 1
    pit.clock.now_ns += CREDIT_NS + 1
    pit.book.trade(99.0, 1.5, buyer_is_maker=True)
    assert pit.fills == [("maker", D("0.5"))]


@pytest.mark.parametrize("trade_first", [True, False])
def test_a_trade_and_the_update_that_shows_it_count_once(pit: Pit, trade_first: bool) -> None:
    maker = pit.rest(Side.BUY, "2", "99")
    if trade_first:
        pit.book.trade(99.0, 3.0, buyer_is_maker=True)
        pit.book.update([(99.0, 2.0)], [])
    else:
        pit.book.update([(99.0, 2.0)], [])
        pit.book.trade(99.0, 3.0, buyer_is_maker=True)
    assert maker.ahead == 2
    assert pit.fills == []
    pit.book.trade(99.0, 3.0, buyer_is_maker=True)
    assert pit.fills == [("maker", D(1))]


def test_with_others_behind_only_the_part_ahead_is_credited(pit: Pit) -> None:
    maker = pit.rest(Side.BUY, "3", "99")
    pit.book.update([(99.0, 9.0)], [])  # four joined behind
    pit.book.update([(99.0, 2.0)], [])  # a trade of 7: five ahead of us and two of ours
    assert maker.ahead == 2
    pit.book.trade(99.0, 7.0, buyer_is_maker=True)
    assert pit.fills == [("maker", D(2))]


def test_an_old_shrink_is_no_credit_any_more(pit: Pit) -> None:
    maker = pit.rest(Side.BUY, "2", "99")
    pit.book.update([(99.0, 3.0)], [])
    pit.clock.now_ns += CREDIT_NS + 1
    pit.book.update([(99.0, 2.0)], [])
    assert maker.credit == 1
    pit.book.trade(99.0, 3.0, buyer_is_maker=True)
    assert maker.ahead == 0
    assert pit.fills == []


def test_a_trade_through_the_price_fills_whatever_the_queue(pit: Pit) -> None:
    pit.rest(Side.BUY, "2", "99")
    pit.book.trade(98.5, 1.2, buyer_is_maker=True)
    assert pit.fills == [("maker", D("1.2"))]


@pytest.mark.parametrize(
    ("side", "price", "traded", "buyer_is_maker"),
    [
        (Side.BUY, "99.5", 99.6, True),
        (Side.BUY, "99.5", 99.5, False),
        (Side.SELL, "100.5", 100.4, False),
        (Side.SELL, "100.5", 100.5, True),
    ],
)
def test_a_trade_elsewhere_does_nothing(
    pit: Pit, side: Side, price: str, traded: float, buyer_is_maker: bool
) -> None:
    pit.rest(side, "1", price)
    pit.book.trade(traded, 5.0, buyer_is_maker=buyer_is_maker)
    assert pit.fills == []


def test_a_trade_is_shared_by_price_then_time(pit: Pit) -> None:
    pit.rest(Side.SELL, "1", "100.5", "later price")
    pit.rest(Side.SELL, "1", "100.4", "first")
    pit.rest(Side.SELL, "1", "100.4", "second")
    pit.book.trade(100.5, 2.5, buyer_is_maker=False)
    assert pit.fills == [("first", D(1)), ("second", D(1)), ("later price", D("0.5"))]
    pit.rest(Side.BUY, "1", "99.4", "lower")
    pit.rest(Side.BUY, "1", "99.5", "higher")
    pit.book.trade(99.4, 1.5, buyer_is_maker=True)
    assert pit.fills[3:] == [("higher", D(1)), ("lower", D("0.5"))]


def test_a_maker_that_the_other_side_crosses_fills_from_that_level_once(pit: Pit) -> None:
    pit.rest(Side.BUY, "5", "100")
    pit.book.update([], [(99.9, 2.0)])
    assert pit.fills == [("maker", D(2))]
    assert pit.take(Side.BUY, "1", "99.9") == []
    pit.book.update([], [(99.9, 0.0)])
    pit.book.update([], [(100.0, 4.0)])
    assert pit.fills[1:] == [("maker", D(3))]
    assert pit.take(Side.BUY, "5", "100") == [(D(100), D(1))]


def test_a_sell_maker_is_crossed_by_bids(pit: Pit) -> None:
    pit.rest(Side.SELL, "1", "100")
    pit.book.update([(100.5, 4.0), (99.9, 4.0)], [])
    assert pit.fills == [("maker", D(1))]


def test_two_makers_do_not_share_one_crossing_level_twice(pit: Pit) -> None:
    pit.rest(Side.BUY, "1.5", "100", "first")
    pit.rest(Side.BUY, "1.5", "100", "second")
    pit.book.update([], [(100.0, 2.0)])
    assert pit.fills == [("first", D("1.5")), ("second", D("0.5"))]
