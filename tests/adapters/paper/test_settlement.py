"""Funding: when, at which rate and mark, how much, and what is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.errors import FeedError
from adapters.paper.funding_table import FundingRow, FundingTable
from bot.model.facts import BalanceSeen, FundingPaid, FundingSettled
from bot.model.instrument import Instrument, Side
from bot.model.settlements import KEPT
from tests.adapters.paper.build import INVERSE, LINEAR, T0, D, Floor, S, make_config, order

SETTLE = 1_723_161_600 * S  # 2024-08-09 00:00 UTC, 300 s after T0
HOUR = 3600 * S


def table(*rows: tuple[Instrument, int, str]) -> FundingTable:
    kept: dict[str, list[FundingRow]] = {}
    for instrument, settled_ns, rate in rows:
        kept.setdefault(instrument.id, []).append(FundingRow(settled_ns, D(rate), 8))
    return FundingTable({one.id: tuple(kept[one.id]) for one in (LINEAR, INVERSE) if one.id in kept})


def of_funding(floor: Floor) -> list[FundingPaid]:
    return [fact for fact in floor.facts if isinstance(fact, FundingPaid)]


def short(floor: Floor, instrument: Instrument = LINEAR, qty: str = "1") -> None:
    floor.send(order(instrument, Side.SELL, qty, "60000"))


def test_a_table_row_is_told_at_its_own_time_and_pays() -> None:
    floor = Floor(table=table((LINEAR, SETTLE + 3_000_000, "0.0001")))
    short(floor)
    floor.venue.on_mark(LINEAR.id, D("60123.45"), None, T0)
    floor.run(299.9)
    assert not of_funding(floor)
    facts = floor.run(0.1)
    settled, paid, balance = facts
    assert settled == FundingSettled(LINEAR.id, D("0.0001"), SETTLE + 3_000_000)
    assert isinstance(paid, FundingPaid)
    assert (paid.amount, paid.asset, paid.mark, paid.qty) == (D("6.01234500"), "USDT", D("60123.45"), D(-1))
    assert paid.venue_ns == SETTLE + 3_000_000
    assert paid.transaction_id == f"funding:{LINEAR.id}:1723161600000"
    assert isinstance(balance, BalanceSeen)
    assert balance.balance == D(50_000) - D("30.005") + paid.amount


@pytest.mark.parametrize(
    ("instrument", "side", "qty", "rate", "amount"),
    [
        (LINEAR, Side.SELL, "1", "0.0001", "6.00000000"),
        (LINEAR, Side.BUY, "1", "0.0001", "-6.00000000"),
        (LINEAR, Side.SELL, "1", "-0.0001", "-6.00000000"),
        (LINEAR, Side.BUY, "0.003", "-0.00012345", "0.02222100"),
        (INVERSE, Side.SELL, "300", "0.0001", "0.00005000"),  # 300 × 100 / 60000 = 0.5 coin
        (INVERSE, Side.BUY, "200", "0.0001", "-0.00003333"),
    ],
)
def test_the_amount_is_value_at_mark_times_rate(
    instrument: Instrument, side: Side, qty: str, rate: str, amount: str
) -> None:
    floor = Floor(table=table((instrument, SETTLE, rate)))
    floor.send(order(instrument, side, qty, "60010.1" if side is Side.BUY else "60000"))
    floor.venue.on_mark(instrument.id, D(60_000), None, T0)
    floor.run(300)
    (paid,) = of_funding(floor)
    assert (paid.amount, paid.asset) == (D(amount), instrument.margin_asset)


def test_without_a_position_a_row_is_told_and_nothing_is_paid() -> None:
    floor = Floor(table=table((LINEAR, SETTLE, "0.0001")))
    facts = floor.run(310)
    assert facts[-1] == FundingSettled(LINEAR.id, D("0.0001"), SETTLE)
    assert not of_funding(floor)


def test_rows_of_the_past_are_told_once_and_in_order_at_the_start() -> None:
    floor = Floor(
        table=table(
            (LINEAR, SETTLE - 16 * HOUR, "0.3"), (LINEAR, SETTLE - 8 * HOUR, "0.2"), (LINEAR, SETTLE, "0.1")
        )
    )
    facts = floor.run(0)
    assert [fact for fact in facts if isinstance(fact, FundingSettled)] == [
        FundingSettled(LINEAR.id, D("0.3"), SETTLE - 16 * HOUR),
        FundingSettled(LINEAR.id, D("0.2"), SETTLE - 8 * HOUR),
    ]


def test_of_a_long_table_as_much_is_told_as_a_venue_lists() -> None:
    rows = [(LINEAR, SETTLE - back * HOUR, "0.0001") for back in range(KEPT + 5, 0, -1)]
    told = [fact for fact in Floor(table=table(*rows)).run(0) if isinstance(fact, FundingSettled)]
    assert [fact.settled_ns for fact in told] == [row[1] for row in rows[-KEPT:]]


def test_a_later_row_changes_nothing_before_it() -> None:
    runs = []
    for rate in ("0.0001", "-0.003"):
        floor = Floor(table=table((LINEAR, SETTLE - 8 * HOUR, "0.2"), (LINEAR, SETTLE + 47_000_000, rate)))
        floor.send(order(LINEAR, Side.SELL, "1", "60000", client_id="same"))
        floor.run(299.9 + 0.0519)
        runs.append(list(floor.facts))
        floor.run(1)
        assert len(of_funding(floor)) == 1
    assert runs[0] == runs[1]


def test_the_streams_last_estimate_settles_at_its_time() -> None:
    floor = Floor()
    settle_ns = SETTLE + 3600 * S
    floor.run(0)
    floor.venue.on_rate(LINEAR.id, D("0.0001"), settle_ns)
    floor.venue.on_rate(LINEAR.id, D("0.0002"), settle_ns)
    short(floor)
    floor.run(4000)
    (paid,) = of_funding(floor)
    assert (paid.rate, paid.venue_ns) == (D("0.0002"), settle_ns)
    assert FundingSettled(LINEAR.id, D("0.0002"), settle_ns) in floor.facts
    assert any("last estimate" in sentence for sentence in floor.venue.desk.assumptions.sentences)


def test_an_estimate_for_the_next_interval_does_not_pay_this_one() -> None:
    floor = Floor(make_config(paper_missing_funding="last"), table((LINEAR, SETTLE - 8 * HOUR, "0.0007")))
    short(floor)
    floor.run(298)
    floor.venue.on_rate(LINEAR.id, D("0.0001"), SETTLE + 8 * HOUR)  # a clock a little ahead
    floor.run(10)
    (paid,) = of_funding(floor)
    assert paid.rate == D("0.0007")
    floor.run(8 * 3600)
    assert [one.rate for one in of_funding(floor)] == [D("0.0007"), D("0.0001")]


def test_each_settlement_is_paid_once_whatever_the_stream_says_about_it() -> None:
    floor = Floor()
    short(floor)
    for seconds in (100, 199.9, 0.002, 0.003, 50):
        floor.run(seconds)
        next_ns = SETTLE if floor.now_ns < SETTLE else SETTLE + 8 * HOUR
        floor.venue.on_rate(LINEAR.id, D("0.0001"), next_ns)
    floor.venue.on_rate(LINEAR.id, D("0.0009"), SETTLE)  # late, for what is done
    floor.run(60)
    assert len(of_funding(floor)) == 1


def test_the_stream_may_move_a_settlement() -> None:
    floor = Floor()
    short(floor)
    floor.venue.on_rate(LINEAR.id, D("0.0001"), SETTLE + 8 * HOUR)
    floor.venue.on_rate(LINEAR.id, D("0.0002"), SETTLE + 4 * HOUR)
    floor.run(5 * 3600)
    assert [(one.rate, one.venue_ns) for one in of_funding(floor)] == [(D("0.0002"), SETTLE + 4 * HOUR)]


def test_the_tables_interval_is_the_grids() -> None:
    rows = FundingTable({LINEAR.id: (FundingRow(SETTLE - 4 * HOUR, D("0.0001"), 4),)})
    floor = Floor(make_config(paper_missing_funding="zero"), rows)
    short(floor)
    floor.run(300 + 4 * 3600)
    assert [one.venue_ns for one in of_funding(floor)] == [SETTLE, SETTLE + 4 * HOUR]


@pytest.mark.parametrize(
    ("missing", "rate"), [("zero", "0"), ("last", "0.0003"), ("estimate", "0.0005"), ("refuse", None)]
)
def test_a_missing_rate_is_what_the_setting_says(missing: str, rate: str | None) -> None:
    floor = Floor(make_config(paper_missing_funding=missing), table((LINEAR, SETTLE - 8 * HOUR, "0.0003")))
    short(floor)
    floor.venue.on_rate(LINEAR.id, D("0.0005"), T0 + 200 * S)
    floor.run(100)
    close = order(LINEAR, Side.BUY, "1", "60010.1")
    floor.send(close)  # flat while the stream's own settlement passes
    floor.books[LINEAR.id].update([(60_010.0, 3.0)], [])
    floor.run(150)
    short(floor)
    if rate is None:
        with pytest.raises(FeedError) as caught:
            floor.run(9 * 3600)
        for word in ("BASISBOT_PAPER_MISSING_FUNDING", LINEAR.id, "2024-08-09T00:00:00Z"):
            assert word in str(caught.value)
    else:
        floor.run(3600)
        (paid,) = of_funding(floor)
        expected = {"last": Decimal("0.0005")}.get(missing, D(rate))
        assert paid.rate == expected
        assert paid.venue_ns == SETTLE


@pytest.mark.parametrize("missing", ["last", "estimate"])
def test_a_stand_in_that_does_not_exist_refuses(missing: str) -> None:
    floor = Floor(make_config(paper_missing_funding=missing))
    short(floor)
    with pytest.raises(FeedError, match=f"it is {missing}"):
        floor.run(400)


def test_a_spot_rate_is_nobodys() -> None:
    floor = Floor()
    floor.venue.on_rate(next(iter(floor.venue.desk.instruments)), D("0.1"), SETTLE)
    floor.run(400)
    assert not of_funding(floor)


@pytest.mark.parametrize(
    ("reference", "mark"), [("mid", "60010.05"), ("index", "60111"), ("mark", None), ("none", None)]
)
def test_the_mark_of_a_settlement_may_stand_in(reference: str, mark: str | None) -> None:
    floor = Floor(make_config(paper_reference=reference), table((LINEAR, SETTLE, "0.0001")))
    floor.run(0)
    floor.venue.on_mark(LINEAR.id, None, D(60_111), T0)
    if mark is None:
        with pytest.raises(FeedError, match="BASISBOT_PAPER_REFERENCE"):
            short(floor)
        return
    short(floor)
    floor.run(400)
    (paid,) = of_funding(floor)
    assert paid.mark == D(mark)
    assert any(f"{reference} price" in sentence for sentence in floor.venue.desk.assumptions.sentences)


def test_a_gapped_book_leaves_its_last_mid() -> None:
    floor = Floor(table=table((LINEAR, SETTLE, "0.0001")))
    short(floor)
    floor.run(10)
    floor.books[LINEAR.id].known = False
    floor.run(400)
    (paid,) = of_funding(floor)
    assert paid.mark == D("60010.05")
    assert any("last mid" in sentence for sentence in floor.venue.desk.assumptions.sentences)
