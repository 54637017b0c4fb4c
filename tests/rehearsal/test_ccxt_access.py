"""What the ccxt gateway may trade, with whose key and from which wallets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.ccxt.exchange import Access
from adapters.ccxt.gateway import CcxtGateway, CcxtOptions
from adapters.errors import FeedError
from bot.model.commands import CancelOrder, QueryAccount, TimeInForce
from bot.model.facts import (
    AccountReported,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    InstrumentListed,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    PositionSeen,
)
from bot.model.ids import InstrumentId
from bot.model.instrument import Side
from bot.model.money import exact_arithmetic
from tests.adapters.contract import GatewayContract, of
from tests.adapters.paper.build import LINEAR, make_config
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed, called
from tests.rehearsal.ccxt_scene import Scene
from tests.rehearsal.test_ccxt_gateway import CcxtClock

D = Decimal
order = GatewayContract().order
LINEAR_ID = LINEAR.id


def test_a_wrong_secret_is_a_lost_channel_with_its_reason() -> None:
    rehearsed = CcxtRehearsed(CcxtRehearsed.linear, secret="0" * 64)
    try:
        (lost, *_) = rehearsed.heard(ChannelLost)
        assert lost.channel is Channel.ORDERS
        assert lost.reason == "-1022 Signature for this request is not valid.", "in the venue's words"
        assert lost.is_refused
        rehearsed.submit(order(rehearsed.linear, Side.BUY, "0.5", "60000"))
        (reject,) = rehearsed.heard(OrderRejected)
        assert reject.code == "NOT_CONNECTED"
    finally:
        rehearsed.close()


def test_coin_margined_contracts_trade_too() -> None:
    rehearsed = CcxtRehearsed(CcxtRehearsed.inverse)
    try:
        rehearsed.show(rehearsed.inverse, ((59_999.0, 500.0),), ((60_000.0, 500.0),))
        facts = rehearsed.send(order(rehearsed.inverse, Side.SELL, "30", "59999"))
        assert [type(fact) for fact in of(OrderAccepted, facts) + of(OrderFilled, facts)] == [
            OrderAccepted, OrderFilled,
        ]  # fmt: skip
        (fill,) = of(OrderFilled, facts)
        assert (fill.qty, fill.fee_asset) == (D(30), "BTC")
        assert of(PositionSeen, facts)[-1].qty == D(-30)
        rest = order(rehearsed.inverse, Side.BUY, "10", "59000", TimeInForce.GTC)
        rehearsed.send(rest)
        facts = rehearsed.send(CancelOrder(rest.client_id, rest.instrument, "test"))
        (report,) = of(AccountReported, rehearsed.send(QueryAccount(rehearsed.inverse.account)))
        (held,) = report.positions
        assert (held.qty, held.cost) == (D(-30), D("-0.05000083"))
        with exact_arithmetic():
            assert report.balances["BTC"] == D(2) - fill.fee
    finally:
        rehearsed.close()


def test_one_exchange_may_have_legs_in_two_wallets(scene: Scene) -> None:
    rehearsed = scene.rehearsed
    spot, linear = rehearsed.spot, called(rehearsed.linear, "binance:linear:BTCUSDT")
    for leg in rehearsed.legs:
        rehearsed.stop(leg)
    rehearsed.facts.clear()
    rehearsed.act(lambda: rehearsed.begin(spot, linear))
    wanted = {ChannelOpened(leg.account, channel) for leg in (spot, linear) for channel in Channel}
    rehearsed.loop.run_until_complete(
        rehearsed.until(lambda: wanted <= set(of(ChannelOpened, rehearsed.facts)))
    )
    bought = [order(leg, Side.BUY, "0.5", "60000") for leg in (spot, linear)]
    for command in bought:
        rehearsed.submit(command)
    fills = {fill.client_id: fill for fill in rehearsed.heard(OrderFilled, 2)}
    assert [fills[one.client_id].instrument for one in bought] == [spot.id, linear.id]
    for leg in (spot, linear):
        rehearsed.submit(QueryAccount(leg.account))
    reports = {one.account: one for one in rehearsed.heard(AccountReported, 2)}
    assert reports[spot.account].balances == {
        "USDT": D(70_000),
        "BTC": D("2.5") - fills[bought[0].client_id].fee,
    }
    (held,) = reports[linear.account].positions
    assert (held.instrument, held.qty, held.cost) == (linear.id, D("0.5"), D(30_000))


def test_without_keys_it_brings_market_data_alone(linear: CcxtRehearsed) -> None:
    linear.stop(linear.linear)
    linear.facts.clear()
    linear.act(lambda: linear.begin(linear.linear, read_only=True))
    (listed,) = linear.heard(InstrumentListed)
    assert (listed.instrument.id, listed.instrument.brackets) == (linear.linear.id, ())
    linear.heard(BookSeen)
    linear.submit(order(linear.linear, Side.BUY, "0.5", "60000"))
    (reject,) = linear.heard(OrderRejected)
    assert reject.code == "NOT_CONNECTED"


@pytest.mark.parametrize(
    ("name", "credentials", "word"),
    [("kraken", {"apiKey": "k", "secret": "s"}, "client id"), ("binance", {}, "no API key")],
)
def test_what_cannot_be_traded_safely_is_refused(name: str, credentials: dict[str, str], word: str) -> None:
    leg = InstrumentId(f"{name}:linear:BTCUSDT")
    access = Access(name=name, credentials=credentials)
    options = CcxtOptions(access=access, legs=(leg,), config=make_config())
    with pytest.raises(FeedError, match=word):
        CcxtGateway(options, CcxtClock())
    CcxtGateway(options, CcxtClock(), read_only=True)
