"""The inbox keeps order, keeps the latest of what conflates, and loses nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.facts import (
    AnyFact,
    BookGapped,
    BookSeen,
    FundingEstimated,
    FundingSettled,
    MarkSeen,
    OrderAccepted,
)
from bot.model.ids import ClientId, InstrumentId
from bot.shell.inbox import Inbox, InboxOverfull
from tests.shell.samples import PERP, SPOT, START, accepted, book, mark

INSTRUMENTS = st.sampled_from([SPOT, PERP, InstrumentId("binance:coinm:BTCUSD_PERP")])
NUMBERS = st.integers(0, 10**6)


def _estimate(instrument: InstrumentId, number: int) -> FundingEstimated:
    return FundingEstimated(instrument, Decimal(number), START, None, START)


def _mark(instrument: InstrumentId, number: int) -> MarkSeen:
    return MarkSeen(instrument, Decimal(number), Decimal(number), None, START)


FACTS = st.one_of(
    st.builds(lambda instrument, number: book(number, instrument=instrument), INSTRUMENTS, NUMBERS),
    st.builds(_estimate, INSTRUMENTS, NUMBERS),
    st.builds(_mark, INSTRUMENTS, NUMBERS),
    st.builds(lambda number: OrderAccepted(ClientId("a"), "v", number), NUMBERS),
    st.builds(lambda instrument, number: BookGapped(instrument, 1, 2, number), INSTRUMENTS, NUMBERS),
    st.builds(
        lambda instrument, number: FundingSettled(instrument, Decimal(1), number), INSTRUMENTS, NUMBERS
    ),
)


def _conflates(fact: AnyFact) -> tuple[type, InstrumentId] | None:
    if isinstance(fact, (BookSeen, FundingEstimated, MarkSeen)):
        return type(fact), fact.instrument
    return None


@given(st.lists(FACTS, max_size=60))
def test_what_drains_is_what_came_less_the_states_that_a_later_one_replaced(came: list[AnyFact]) -> None:
    inbox = Inbox()
    for fact in came:
        inbox.put(fact)
    expected = [
        fact
        for place, fact in enumerate(came)
        if (key := _conflates(fact)) is None or all(_conflates(later) != key for later in came[place + 1 :])
    ]
    assert len(inbox) == len(expected)
    drained = inbox.drain()
    assert len(drained) == len(expected)
    assert all(left is right for left, right in zip(drained, expected, strict=True))
    assert sum(inbox.conflated.values()) == len(came) - len(expected)
    assert len(inbox) == 0
    assert inbox.drain() == ()


def test_a_mark_without_index_does_not_replace_one_with_index() -> None:
    inbox = Inbox()
    with_index, without = mark(START), mark(START + 1, index=None)
    inbox.put(with_index)
    inbox.put(without)
    inbox.put(later := mark(START + 2, "60005", index=None))
    assert inbox.drain() == (with_index, later)
    assert inbox.conflated == {"BookSeen": 0, "MarkSeen": 1, "FundingEstimated": 0}


def test_an_event_beyond_the_bound_is_an_error_that_names_it() -> None:
    inbox = Inbox(capacity=3)
    for number in range(3):
        inbox.put(accepted(f"a{number}"))
    with pytest.raises(InboxOverfull, match=r"3 facts wait .* the bound is 3.* OrderAccepted"):
        inbox.put(accepted("a3"))
    assert [fact for fact in inbox.drain() if isinstance(fact, OrderAccepted)] == [
        accepted(f"a{number}") for number in range(3)
    ]


def test_states_do_not_count_towards_the_bound() -> None:
    inbox = Inbox(capacity=1)
    inbox.put(accepted("a"))
    for number in range(100):
        inbox.put(book(START + number))
    assert inbox.conflated["BookSeen"] == 99
    inbox.clear()
    assert not inbox
    inbox.put(accepted("b"))
    assert inbox.drain() == (accepted("b"),)
