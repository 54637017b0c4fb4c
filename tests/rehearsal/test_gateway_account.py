"""The gateway's private streams and account answers, at a venue that does what venues do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

import pytest

from bot.model.commands import Flatten, PlaceOrder, QueryAccount, QueryOrder, TimeInForce
from bot.model.facts import (
    AccountReported,
    AccountSet,
    AccountTouched,
    AnyFact,
    BalanceSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    ContractSet,
    ForcedFilled,
    FundingPaid,
    MarginCalled,
    OrderAccepted,
    OrderFilled,
    OrderReported,
    PositionSeen,
    Transferred,
    VenueReset,
)
from bot.model.ids import ClientId, PairName
from bot.model.instrument import Instrument, Side, fill_cost
from bot.model.money import exact_arithmetic
from bot.model.pair import Purpose, Role
from tests.adapters.paper.build import INVERSE, LINEAR, SPOT
from tests.rehearsal.rehearsed import ACCOUNTS, Rehearsed

D = Decimal
T = TypeVar("T")
ALL = (SPOT, LINEAR, INVERSE)


def of(kind: type[T], facts: Sequence[AnyFact]) -> list[T]:
    return [fact for fact in facts if isinstance(fact, kind)]


def private_lost(facts: Sequence[AnyFact]) -> list[ChannelLost]:
    """The market's channel is left out: the recording stands still."""
    return [fact for fact in of(ChannelLost, facts) if fact.channel is Channel.PRIVATE]


def order(
    name: str, instrument: Instrument, side: Side, qty: str, price: str, tif: TimeInForce = TimeInForce.IOC
) -> PlaceOrder:
    return PlaceOrder(
        client_id=ClientId(f"cont{name}"), pair=PairName("BTC"), role=Role.LONG, instrument=instrument.id,
        side=side, qty=D(qty), price=D(price), tif=tif, reduce_only=False, purpose=Purpose.ENTER,
        arrival_mid=D(price), why=Flatten("test"),
    )  # fmt: skip


@pytest.fixture(params=["ws", "rest"])
def at(request: pytest.FixtureRequest) -> Iterator[Rehearsed]:
    venue = Rehearsed(request.param, "memory", legs=ALL)
    yield venue
    venue.close()


def buy(at: Rehearsed, name: str, instrument: Instrument, qty: str = "0.5") -> OrderFilled:
    (fill,) = of(OrderFilled, at.send(order(name, instrument, Side.BUY, qty, "60000")))
    return fill


# --- the private stream


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_a_private_stream_that_ends_is_told_and_opened_anew(at: Rehearsed, market: str) -> None:
    facts = at.act(lambda: at.teller.expire_listen_keys(market), 5.0)
    (lost,) = private_lost(facts)
    assert (lost.account, lost.channel) == (ACCOUNTS[market], Channel.PRIVATE)
    assert of(ChannelOpened, facts) == [ChannelOpened(ACCOUNTS[market], Channel.PRIVATE)]
    instrument = {"spot": SPOT, "usdm": LINEAR, "coinm": INVERSE}[market]
    assert of(BalanceSeen, at.send(order("1", instrument, Side.BUY, "1", "60000")))  # it hears again


def test_a_server_that_shuts_down_costs_nothing(at: Rehearsed) -> None:
    facts = at.act(lambda: at.teller.shut_down("spot"), 10.0)
    assert not private_lost(facts)
    assert buy(at, "1", SPOT)


def test_a_stream_that_is_silent_on_an_accepted_order_is_given_up(at: Rehearsed) -> None:
    at.act(lambda: at.teller.streams.leave_all("usdm"))
    at.gateway.submit(order("1", LINEAR, Side.BUY, "0.5", "60000"))
    facts = at.act(seconds=6.0)
    assert len(of(OrderFilled, facts)) == 1  # by the list of trades
    (lost,) = private_lost(facts)
    assert "cont1" in lost.reason
    assert of(ChannelOpened, facts) == [ChannelOpened(ACCOUNTS["usdm"], Channel.PRIVATE)]


def test_listen_keys_are_kept_alive_and_given_back(at: Rehearsed) -> None:
    assert not private_lost(at.act(seconds=4000.0))  # a key lives for 3600
    key = at.teller.create_listen_key("usdm")
    at.reboot()
    assert at.teller.create_listen_key("usdm") != key


def test_a_key_that_the_venue_refuses_is_told_and_not_tried_often(at: Rehearsed) -> None:
    def refuse() -> None:
        at.teller.gate.permissions.ip_refused = True
        at.teller.expire_listen_keys("spot")

    lost = private_lost(at.act(refuse, 100.0))
    assert [fact.account for fact in lost] == [ACCOUNTS["spot"]] * 2  # that it ended, and why it stays away
    assert "refuses the key" in lost[-1].reason
    assert [fact.is_refused for fact in lost] == [False, True]

    def allow() -> None:
        at.teller.gate.permissions.ip_refused = False

    facts = at.act(allow, 120.0)
    assert ChannelOpened(ACCOUNTS["spot"], Channel.PRIVATE) in facts


def test_deleveraging_and_a_margin_call_are_facts_of_ours(at: Rehearsed) -> None:
    buy(at, "1", LINEAR)
    facts = at.act(lambda: at.world.adl(LINEAR.id, D("0.2")))
    (forced,) = of(ForcedFilled, facts)
    assert (forced.cause, forced.side, forced.qty) == ("adl", Side.SELL, D("0.2"))
    (position,) = of(PositionSeen, facts)
    assert (position.qty, position.cost) == (D("0.3"), D(18_000))
    (called,) = of(MarginCalled, at.act(lambda: at.world.margin_call(ACCOUNTS["usdm"])))
    assert called.account == ACCOUNTS["usdm"]
    facts = at.act(lambda: at.world.liquidate(LINEAR.id))
    assert of(ForcedFilled, facts)[0].cause == "liquidation"


# --- payments


@pytest.mark.parametrize("instrument", [LINEAR, INVERSE], ids=["usdm", "coinm"])
def test_funding_is_told_with_what_it_was_computed_from(at: Rehearsed, instrument: Instrument) -> None:
    at.mark(instrument, "60000", "0.0003")
    qty = "0.5" if instrument is LINEAR else "1"
    buy(at, "1", instrument, qty)
    facts = at.act(lambda: at.world.settle_funding_now(instrument.id), 10.0)
    (paid,) = of(FundingPaid, facts)
    assert (paid.instrument, paid.rate, paid.qty) == (instrument.id, D("0.0003"), D(qty))
    assert paid.asset == instrument.margin_asset
    with exact_arithmetic():
        due = -fill_cost(instrument, paid.qty, paid.mark) * paid.rate
        assert abs(paid.amount - due) <= D("1e-8")
    report = at.send(QueryAccount(instrument.account, since_ns=paid.venue_ns - 1))
    assert of(FundingPaid, report)[0].transaction_id == paid.transaction_id


def test_a_payment_while_the_gateway_was_away_is_told_before_the_report(at: Rehearsed) -> None:
    at.mark(LINEAR, "60000", "0.0003")
    buy(at, "1", LINEAR)
    since_ns = at.clock.now_ns()

    def meanwhile() -> None:
        at.world.settle_funding_now(LINEAR.id)
        at.world.change_balance(ACCOUNTS["usdm"], "USDT", D(7))

    at.reboot(meanwhile)
    facts = at.send(QueryAccount(LINEAR.account, since_ns=since_ns))
    # a gateway that remembers nothing tells first how the account is set
    told = [AccountSet, ContractSet, FundingPaid, Transferred, AccountReported]
    assert [type(fact) for fact in facts] == told


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_money_moved_by_others_is_told_once_by_its_own_number(at: Rehearsed, market: str) -> None:
    facts = at.act(lambda: at.world.change_balance(ACCOUNTS[market], "USDT", D(7)), 5.0)
    (moved,) = of(Transferred, facts)
    assert (moved.account, moved.asset, moved.amount) == (ACCOUNTS[market], "USDT", D(7))


# --- the account


def test_somebody_elses_orders_are_named_and_nothing_more(at: Rehearsed) -> None:
    def place() -> None:
        for instrument in (SPOT, LINEAR):
            at.teller.operator_stop(instrument.id, Side.SELL, D("0.1"), D(50_000))

    facts = at.act(place)
    assert not of(OrderAccepted, facts)
    assert {fact.account for fact in of(AccountTouched, facts)} == {SPOT.account, LINEAR.account}
    rest = order("1", LINEAR, Side.BUY, "0.5", "59000", TimeInForce.GTC)
    at.send(rest)
    (report,) = of(AccountReported, at.send(QueryAccount(LINEAR.account)))
    assert report.open_orders == (rest.client_id,)
    assert [(each.instrument, each.side, each.qty) for each in report.foreign_orders] == [
        (LINEAR.id, Side.SELL, D("0.1"))
    ]
    (report,) = of(AccountReported, at.send(QueryAccount(SPOT.account)))
    assert [each.kind for each in report.foreign_orders] == ["STOP_LOSS_LIMIT"]


@pytest.mark.parametrize("instrument", ALL, ids=["spot", "usdm", "coinm"])
def test_fills_while_the_gateway_was_away_are_told_before_the_report(
    at: Rehearsed, instrument: Instrument
) -> None:
    qty = "1" if instrument is INVERSE else "0.5"
    first = buy(at, "1", instrument, qty)
    rest = order("2", instrument, Side.BUY, qty, "59999.5", TimeInForce.GTC)
    at.send(rest)
    at.reboot(lambda: at.loop.create_task(at._turned(instrument, "aggTrade", _trade(at, instrument))))
    facts = at.send(QueryAccount(instrument.account, after_trades={instrument.id: first.trade_id}))
    (missed,) = of(OrderFilled, facts)
    assert missed.client_id == rest.client_id
    assert isinstance(facts[-1], AccountReported)
    answer = at.send(QueryOrder(rest.client_id, instrument.id))
    assert [type(fact) for fact in answer] == [OrderFilled, OrderReported]


def _trade(at: Rehearsed, instrument: Instrument) -> dict[str, object]:
    at_ms = at.clock.now_ns() // 1_000_000
    return {
        "e": "aggTrade", "E": at_ms, "s": "BTCUSDT", "a": 99, "p": "59000.0", "q": "100", "f": 99, "l": 99,
        "T": at_ms, "m": True, "M": True,
    }  # fmt: skip


def test_a_forced_fill_while_the_gateway_was_away_is_told_as_one(at: Rehearsed) -> None:
    first = buy(at, "1", LINEAR)
    at.reboot(lambda: at.world.adl(LINEAR.id, D("0.2")))
    facts = at.send(QueryAccount(LINEAR.account, after_trades={LINEAR.id: first.trade_id}))
    assert [type(fact) for fact in facts] == [AccountSet, ContractSet, ForcedFilled, AccountReported]


def test_an_account_that_the_venue_began_anew_is_recognised(at: Rehearsed) -> None:
    first = buy(at, "1", SPOT)
    at.act(lambda: at.world.reset_account(ACCOUNTS["spot"]), 5.0)
    facts = at.send(QueryAccount(SPOT.account, after_trades={SPOT.id: first.trade_id}))
    assert [type(fact) for fact in facts] == [VenueReset, AccountReported]


def test_a_day_of_orders_on_every_market_ends_with_equal_books(at: Rehearsed) -> None:
    for number in range(12):
        instrument = ALL[number % 3]
        side = Side.BUY if number % 2 else Side.SELL
        qty = str(number + 1) if instrument is INVERSE else f"0.{number + 1:02d}"
        price = "60000" if side is Side.BUY else "59999"
        at.show(instrument, ((59_999.0, 100.0),), ((60_000.0, 100.0),))
        assert of(OrderFilled, at.send(order(f"n{number}", instrument, side, qty, price)))
    for instrument in ALL:
        (report,) = of(AccountReported, at.send(QueryAccount(instrument.account)))
        wallets = at.world.wallets
        assert report.balances == {
            asset: amount for asset, amount in wallets.balances[instrument.account].items() if amount
        }
        if not instrument.is_spot:
            held = wallets.position(instrument.id)
            assert [(one.qty, one.cost) for one in report.positions] == [(held.qty, held.cost)]


def test_readings_say_how_it_goes(at: Rehearsed) -> None:
    at.act(lambda: at.teller.expire_listen_keys("usdm"), 5.0)
    told = {(reading.name, reading.labels.get("market"), reading.labels.get("channel")): reading.value
            for reading in at.gateway.readings()}  # fmt: skip
    assert told["channel_losses_total", "usdm", "private"] == 1
    assert told["rest_round_trip_seconds", "usdm", None] > 0
    assert abs(told["clock_offset_seconds", "spot", None]) < 0.01
    seen_ns, offset_ns = at.gateway.heard()
    assert set(offset_ns) == set(ACCOUNTS.values())
    assert set(seen_ns) == {one.id for one in ALL}


def test_no_fact_and_no_name_of_the_gateway_holds_a_secret(at: Rehearsed) -> None:
    def fail() -> None:
        at.teller.gate.permissions.ip_refused = True
        for market in ACCOUNTS:
            at.teller.expire_listen_keys(market)

    keys = [at.teller.create_listen_key(market) for market in ("usdm", "coinm")]
    facts = at.act(fail, 5.0)
    at.gateway.submit(order("1", SPOT, Side.BUY, "0.5", "60000"))
    told = f"{facts + at.act()} {at.options} {at.gateway} {at.gateway.readings()}"
    for secret in (at.options.key, at.options.secret, *keys):
        assert secret not in told
