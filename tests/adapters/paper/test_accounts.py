"""Margin, liquidation, collateral, reduce-only rests, fees and what stands in for what."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from adapters.errors import FeedError
from adapters.paper.funding_table import FundingTable
from adapters.paper.terms import terms_of
from adapters.paper.venue import PaperVenue
from bot.model.commands import QueryAccount, TimeInForce
from bot.model.config import Balance, FeeRate
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BalanceSeen,
    ForcedFilled,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionSeen,
)
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, Side
from tests.adapters.paper.build import (
    BALANCES,
    INSTRUMENTS,
    INVERSE,
    LINEAR,
    SPOT,
    T0,
    D,
    Floor,
    HandBook,
    make_config,
    order,
)


def poor(amount: str, account: str = "binance:usdm", asset: str = "USDT") -> tuple[Balance, ...]:
    return (*(one for one in BALANCES if one.account != account), Balance(account, asset, D(amount)))


def codes(facts: Sequence[AnyFact]) -> list[str]:
    return [fact.code for fact in facts if isinstance(fact, OrderRejected)]


@pytest.mark.parametrize(
    ("instrument", "account", "asset", "side", "qty", "price", "needed"),
    [
        # 1 × 60010.05 at mark is in the tier of 100 times
        (LINEAR, "binance:usdm", "USDT", Side.SELL, "1", "60010", "600.1005"),
        (LINEAR, "binance:usdm", "USDT", Side.BUY, "0.5", "60010.1", "240.0402"),
        # 300 × 100 / 60005.05 coins in the tier of 125 times
        (INVERSE, "binance:coinm", "BTC", Side.SELL, "300", "60005", "0.00399966"),
    ],
)
def test_an_opening_order_needs_its_initial_margin_at_the_mark(
    instrument: Instrument, account: str, asset: str, side: Side, qty: str, price: str, needed: str
) -> None:
    for amount, expected in ((D(needed), []), (D(needed) - D("1e-8"), ["-2019"])):
        floor = Floor(make_config(paper_balances=poor(str(amount), account, asset)))
        assert codes(floor.send(order(instrument, side, qty, price))) == expected


def test_living_orders_use_margin_and_reducing_ones_do_not() -> None:
    floor = Floor(make_config(paper_balances=poor("650")))
    rest = TimeInForce.GTC
    assert not codes(floor.send(order(LINEAR, Side.BUY, "1", "60000", rest)))
    assert codes(floor.send(order(LINEAR, Side.BUY, "1", "60000", rest))) == ["-2019"]
    # the smaller side is covered by the larger one
    assert not codes(floor.send(order(LINEAR, Side.SELL, "1", "60020", rest)))


def test_a_closing_order_passes_when_equity_is_below_the_margin() -> None:
    floor = Floor(make_config(paper_balances=poor("700")))
    floor.send(order(LINEAR, Side.BUY, "1", "60010.1"))
    floor.venue.on_mark(LINEAR.id, D(59_750), None, T0)
    assert codes(floor.send(order(LINEAR, Side.BUY, "0.1", "60011"))) == ["-2019"]
    assert [type(fact) for fact in floor.send(order(LINEAR, Side.SELL, "0.5", "60010"))][:2] == [
        OrderAccepted,
        OrderFilled,
    ]


def test_a_position_beyond_the_last_tier_is_refused() -> None:
    floor = Floor(make_config(paper_balances=poor("10000000")))
    assert codes(floor.send(order(LINEAR, Side.BUY, "201", "60010.1"))) == ["-2027"]


def test_spot_coins_back_the_inverse_leg_only_where_the_setting_says() -> None:
    balances = tuple(one for one in BALANCES if one.account != "binance:coinm")
    short = order(INVERSE, Side.SELL, "300", "60005")
    assert codes(Floor(make_config(paper_balances=balances)).send(short)) == ["-2019"]
    floor = Floor(make_config("spot_leg", paper_balances=balances))
    assert not codes(floor.send(short))
    # the fee is paid in coin that the wallet does not have: it owes
    (report,) = [x for x in floor.send(QueryAccount(INVERSE.account)) if isinstance(x, AccountReported)]
    assert report.balances == {"BTC": D("-0.00024998")}
    assert codes(floor.send(order(LINEAR, Side.BUY, "100", "60010.1"))) == ["-2019"]


def test_a_position_below_its_maintenance_margin_is_closed_at_the_mark() -> None:
    floor = Floor(make_config(paper_balances=poor("1000")))
    floor.send(order(LINEAR, Side.BUY, "1", "60010.1"))
    floor.send(order(LINEAR, Side.BUY, "0.01", "60000", TimeInForce.GTC))
    # equity 1000 − 30.00505 + (mark − 60010.1); maintenance 0.005 × mark − 50
    floor.venue.on_mark(LINEAR.id, D(59_287), None, T0)
    assert floor.run(5) == []
    floor.venue.on_mark(LINEAR.id, D("59286"), None, T0)
    cancel, forced, balance, position = floor.run(1.1)
    assert isinstance(cancel, OrderCanceled)
    assert isinstance(forced, ForcedFilled)
    assert (forced.side, forced.qty, forced.price, forced.cause) == (
        Side.SELL,
        D(1),
        D("59286"),
        "liquidation",
    )
    assert forced.fee == D("29.64300000")
    assert isinstance(balance, BalanceSeen)
    assert balance.balance == D(1000) - D("30.00505") - D("724.1") - D("29.643")
    assert isinstance(position, PositionSeen)
    assert position.qty == position.cost == 0
    assert floor.run(100) == []
    facts = floor.send(QueryAccount(LINEAR.account))
    assert facts[0] == forced


def test_a_short_and_an_inverse_position_are_closed_the_other_way() -> None:
    balances = (*poor("0.006", "binance:coinm", "BTC"),)
    floor = Floor(make_config(paper_balances=balances))
    floor.send(order(INVERSE, Side.SELL, "300", "60005"))
    floor.venue.on_mark(INVERSE.id, D(61_000), None, T0)
    (forced,) = [fact for fact in floor.run(2) if isinstance(fact, ForcedFilled)]
    assert (forced.side, forced.qty, forced.fee_asset) == (Side.BUY, D(300), "BTC")


def test_one_pool_falls_and_the_others_stand() -> None:
    floor = Floor(make_config(paper_balances=poor("1000")))
    floor.send(order(LINEAR, Side.BUY, "1", "60010.1"), order(INVERSE, Side.SELL, "100", "60005"))
    floor.venue.on_mark(LINEAR.id, D(50_000), None, T0)
    forced = [fact.instrument for fact in floor.run(2) if isinstance(fact, ForcedFilled)]
    assert forced == [LINEAR.id]


def test_a_position_that_outgrew_the_tiers_keeps_the_last_rate() -> None:
    floor = Floor(make_config(paper_balances=poor("10000000")))
    floor.books[LINEAR.id].show([(60_010.0, 1.0)], [(60_010.1, 500.0)])
    floor.send(order(LINEAR, Side.BUY, "199", "60010.1"))
    floor.venue.on_mark(LINEAR.id, D(70_000), None, T0)
    assert floor.run(3) == []
    wallets, mark = floor.venue.desk.wallets, floor.venue.desk.references.mark
    assert (
        wallets.maintenance(AccountId("binance:usdm"), "USDT", mark) == D(70_000 * 199) * D("0.01") - 11_450
    )


def test_a_resting_reduce_only_order_ends_with_its_position() -> None:
    floor = Floor()
    floor.send(order(LINEAR, Side.BUY, "0.5", "60010.1"))
    rest = order(LINEAR, Side.SELL, "0.5", "60020", TimeInForce.GTC, reduce_only=True)
    floor.send(rest)
    floor.send(order(LINEAR, Side.SELL, "0.3", "60010"))
    mark = len(floor.facts)
    floor.books[LINEAR.id].trade(60_030.0, 9.0, buyer_is_maker=False)
    fill, _, _, expired = floor.facts[mark:]
    assert isinstance(fill, OrderFilled)
    assert fill.qty == D("0.2")
    assert isinstance(expired, OrderExpired)
    floor.send(order(LINEAR, Side.BUY, "0.5", "60010.1"))
    rest = order(LINEAR, Side.SELL, "0.5", "60020", TimeInForce.GTC, reduce_only=True)
    floor.send(rest)
    floor.send(order(LINEAR, Side.SELL, "0.5", "60009"))
    mark = len(floor.facts)
    floor.books[LINEAR.id].trade(60_030.0, 9.0, buyer_is_maker=False)
    (expired,) = floor.facts[mark:]
    assert isinstance(expired, OrderExpired)


def test_a_reduce_only_order_larger_than_the_position_expires_with_the_rest() -> None:
    floor = Floor()
    floor.send(order(LINEAR, Side.BUY, "0.5", "60010.1"))
    facts = floor.send(order(LINEAR, Side.SELL, "0.9", "60010", TimeInForce.GTC, reduce_only=True))
    assert isinstance(facts[-1], OrderExpired)
    assert "nothing is left to reduce" in facts[-1].reason


def test_without_a_book_the_venue_refuses_and_says_whose_refusal_it_is() -> None:
    floor = Floor()
    floor.books[SPOT.id].known = False
    assert codes(floor.send(order(SPOT, Side.BUY, "0.5", "60000"))) == ["PAPER_NO_BOOK"]


@pytest.mark.parametrize("price", ["0", "-1"])
@pytest.mark.parametrize(("instrument", "code"), [(SPOT, "-1013"), (LINEAR, "-4001")])
def test_a_price_is_positive(instrument: Instrument, code: str, price: str) -> None:
    assert codes(Floor().send(order(instrument, Side.BUY, "0.5", price))) == [code]


def test_an_unknown_symbol_is_refused_and_an_unknown_account_is_empty() -> None:
    floor = Floor()
    name = InstrumentId("binance:spot:ETHUSDT")
    assert codes(
        floor.send(msgspec.structs.replace(order(SPOT, Side.BUY, "1", "60000"), instrument=name))
    ) == ["-1121"]
    (report,) = floor.send(QueryAccount(AccountId("binance:margin")))
    assert isinstance(report, AccountReported)
    assert (report.balances, report.positions, report.open_orders) == ({}, (), ())


def test_locked_balances_are_not_spent_twice() -> None:
    floor = Floor()
    rest = TimeInForce.GTC
    assert not codes(floor.send(order(SPOT, Side.SELL, "1.5", "60002", rest)))
    assert codes(floor.send(order(SPOT, Side.SELL, "0.6", "60000"))) == ["-2010"]
    assert not codes(floor.send(order(SPOT, Side.BUY, "1.5", "59000", rest)))
    assert codes(floor.send(order(SPOT, Side.BUY, "0.2", "60001"))) == ["-2010"]


def test_a_contract_without_tiers_does_not_start() -> None:
    bare = msgspec.structs.replace(LINEAR, brackets=())
    with pytest.raises(FeedError, match="leverageBracket"):
        PaperVenue({bare.id: bare}, {bare.id: HandBook()}, terms_of(make_config()), FundingTable({}), print)


def test_every_stand_in_is_on_record_once() -> None:
    fees = {"usdm": FeeRate(D("0.0002"), D("0.0005"))}
    floor = Floor(make_config(paper_fees_bps=fees))
    for _ in range(2):
        floor.send(order(SPOT, Side.BUY, "0.1", "60001"), order(LINEAR, Side.SELL, "0.1", "60000"))
        floor.send(order(SPOT, Side.BUY, "0.1", "50000", TimeInForce.GTC))
    sentences = floor.venue.desk.assumptions.sentences
    assert len(sentences) == len(set(sentences)) == 5
    words = ("average price", "instrument file", "mid price", "BASISBOT_PAPER_FEES_BPS", "queues")
    assert all(word in sentence for word, sentence in zip(words, sentences, strict=True))


def test_accounts_are_those_of_instruments_and_balances() -> None:
    floor = Floor(make_config(paper_balances=(*BALANCES, Balance("binance:margin", "USDT", D(1)))))
    expected = [one.account for one in INSTRUMENTS.values()]
    assert list(floor.venue.accounts) == [*expected, "binance:margin"]
