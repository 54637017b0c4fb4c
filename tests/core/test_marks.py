"""Marks, indexes and cash rates: what is taken from the stream, what stands in, and what stays unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bot.core import views
from bot.model.facts import FundingSettled, MarkSeen, RateSeen
from bot.model.ids import InstrumentId, PairName
from bot.model.pair import PairSpec
from tests.core.world import INVERSE, LINEAR, SPOT, World, make_config

D = Decimal


def world(reference: str, *pairs: PairSpec, **changes: Any) -> World:
    config = msgspec.structs.replace(make_config(**changes), paper_reference=reference)
    if pairs:
        config = msgspec.structs.replace(config, pairs=pairs)
    made = World(config)
    made.boot()
    return made


def both() -> tuple[PairSpec, PairSpec]:
    return (
        PairSpec(PairName("BTC"), SPOT, LINEAR, D(10_000)),
        PairSpec(PairName("BTCUSD"), SPOT, INVERSE, D(10_000)),
    )


def prices(one: World, name: InstrumentId) -> tuple[Decimal | None, Decimal | None]:
    market = one.store.markets[name]
    return market.mark, market.index


def test_without_a_stand_in_a_contract_has_no_mark_and_nothing_opens() -> None:
    one = world("none")
    one.quote(60_000.0, 50.0)
    assert prices(one, LINEAR) == (None, None)
    assert prices(one, SPOT) == (D("60000.0"), None)
    assert not one.placed()


def test_mid_stands_in_for_both() -> None:
    one = world("mid")
    one.quote(60_000.0, 10.0)
    assert prices(one, LINEAR) == (D("60060.0"), D("60000.0"))
    assert prices(one, SPOT) == (D("60000.0"), D("60000.0"))


def test_a_stream_has_precedence_over_the_stand_in() -> None:
    one = world("mid")
    one.give(MarkSeen(LINEAR, D(60_100), D(59_900), one.at_ns, one.at_ns))
    one.quote(60_000.0, 10.0)
    assert prices(one, LINEAR) == (D(60_100), D(59_900))
    assert prices(one, SPOT) == (D("60000.0"), D(59_900))


def test_the_spot_s_mid_stands_in_for_the_index_of_a_stream_of_marks_alone() -> None:
    one = world("mid")
    one.give(MarkSeen(LINEAR, D(60_100), None, one.at_ns, one.at_ns))
    for middle in (60_000.0, 61_000.0):
        one.quote(middle, 10.0)
        one.give(MarkSeen(LINEAR, D(60_100), None, one.at_ns, one.at_ns))
        assert prices(one, LINEAR) == (D(60_100), D(str(middle)))
        assert prices(one, SPOT) == (D(str(middle)), D(str(middle)))


@pytest.mark.parametrize(
    ("reference", "mark", "index", "seen"),
    [
        ("index", None, "59900", ("59900", "59900")),
        ("mark", "60100", None, ("60100", "60100")),
        ("none", "60100", None, ("60100", None)),
        ("none", None, "59900", (None, "59900")),
    ],
)
def test_index_and_mark_stand_in_for_each_other_when_said(
    reference: str, mark: str | None, index: str | None, seen: tuple[str | None, str | None]
) -> None:
    one = world(reference)
    fact = MarkSeen(LINEAR, D(mark) if mark else None, D(index) if index else None, one.at_ns, one.at_ns)
    one.give(fact)
    assert prices(one, LINEAR) == tuple(D(text) if text else None for text in seen)


def test_the_index_of_the_same_quote_currency_wins() -> None:
    one = world("none", *both())
    one.give(MarkSeen(INVERSE, D(60_010), D(60_000), one.at_ns, one.at_ns))
    assert one.store.markets[SPOT].index == D(60_000)
    one.give(MarkSeen(LINEAR, D(60_110), D(60_100), one.at_ns, one.at_ns))
    assert one.store.markets[SPOT].index == D(60_100)
    one.give(MarkSeen(INVERSE, D(60_010), D(60_050), one.at_ns, one.at_ns))
    assert one.store.markets[SPOT].index == D(60_100)


def test_a_usd_index_reaches_a_usdt_leg_through_the_rate() -> None:
    one = world("mid", short=INVERSE)
    one.give(RateSeen("USDT", "USD", D("0.5"), one.at_ns))
    one.give(*one.books(60_000.0, 0.0))
    assert one.store.markets[INVERSE].index == D("30000.0")
    one.give(MarkSeen(INVERSE, D(30_000), D(30_500), one.at_ns, one.at_ns))
    assert one.store.markets[SPOT].index == D("61000.0")


def test_the_nav_currency_may_be_the_other_side_of_the_rate() -> None:
    one = World(make_config(nav_currency="USD"))
    one.boot()
    one.give(RateSeen("USD", "USDT", D("1.25"), one.at_ns))
    assert one.store.ledger.price["USDT"] == D("0.8")
    one.give(RateSeen("EUR", "GBP", D(1), one.at_ns))
    assert "EUR" not in one.store.ledger.price


def test_a_pair_of_two_contracts_prices_its_coin_by_one_of_them() -> None:
    one = world("mid", PairSpec(PairName("PP"), LINEAR, INVERSE, D(10_000)))
    assert one.store.routes.priced_by == {"BTC": LINEAR}
    one.give(one.book(LINEAR, 59_999.0, 60_001.0), one.book(INVERSE, 59_999.0, 60_001.0))
    assert one.store.ledger.price["BTC"] == D("60000.0")
    one.give(MarkSeen(LINEAR, D(60_000), D(60_000), one.at_ns, one.at_ns))
    one.give(MarkSeen(INVERSE, D(60_000), D(60_000), one.at_ns, one.at_ns))
    assert one.store.ledger.opened
    assert views.nav(one.store) == D(100_000) + 3 * D(60_000)


def test_a_settled_rate_of_something_not_traded_is_nobody_s_business() -> None:
    one = world("mid")
    before = one.store.markets[LINEAR].settled_rate
    one.give(FundingSettled(InstrumentId("binance:usdm:ETHUSDT"), D("0.0001"), one.at_ns))
    assert one.store.markets[LINEAR].settled_rate is before is None


def test_a_one_sided_book_moves_no_mark() -> None:
    one = world("mid")
    one.quote(60_000.0, 0.0)
    one.give(msgspec.structs.replace(one.book(SPOT, 61_000.0, 61_000.0), asks=()))
    assert one.store.markets[SPOT].mark == D("60000.0")
    assert views.mid(one.store.markets[SPOT]) is None
