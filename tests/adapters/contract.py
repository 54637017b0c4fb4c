"""The one suite that every gateway must pass, whatever venue stands behind it.

A gateway's tests subclass `GatewayContract` and give it a `Harness`: the gateway with a venue behind it whose
books the suite can set.  The suite speaks in commands and facts only.

At the start the spot account holds 100000 USDT and 2 BTC, the linear account 50000 USDT, and nothing else.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

import pytest

from bot.model.commands import (
    CancelOrder,
    Flatten,
    Outward,
    PlaceOrder,
    QueryAccount,
    QueryOrder,
    TimeInForce,
)
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BalanceSeen,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    PositionSeen,
)
from bot.model.ids import ClientId, PairName
from bot.model.instrument import Instrument, Position, Side, after_fill, fill_cost
from bot.model.money import ZERO, exact_arithmetic
from bot.model.pair import Purpose, Role

D = Decimal
Quote = tuple[float, float]
FactT = TypeVar("FactT")

BIDS: tuple[Quote, ...] = ((59_999.0, 1.0), (59_998.0, 2.0))
ASKS: tuple[Quote, ...] = ((60_000.0, 1.0), (60_001.0, 2.0))


class Harness(Protocol):
    """A gateway and the venue behind it."""

    spot: Instrument
    linear: Instrument

    def show(self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        """The venue's whole book becomes this; sizes in venue units."""
        ...

    def trade(self, instrument: Instrument, price: float, qty: float, buyer_is_maker: bool) -> None:
        """Somebody else trades."""
        ...

    def send(self, *commands: Outward) -> list[AnyFact]:
        """Send all at once and play until their answers are there; returns every fact of that time."""
        ...

    def wait(self) -> list[AnyFact]:
        """Play a second; returns every fact of that time."""
        ...


def of(kind: type[FactT], facts: Sequence[AnyFact]) -> list[FactT]:
    return [fact for fact in facts if isinstance(fact, kind)]


class GatewayContract:
    """Subclasses define a fixture ``harness``."""

    _names = itertools.count(1)

    @pytest.fixture(autouse=True)
    def books(self, harness: Harness) -> None:
        for instrument in (harness.spot, harness.linear):
            harness.show(instrument, BIDS, ASKS)

    def order(
        self,
        instrument: Instrument,
        side: Side,
        qty: str,
        price: str,
        tif: TimeInForce = TimeInForce.IOC,
        reduce_only: bool = False,
    ) -> PlaceOrder:
        return PlaceOrder(
            client_id=ClientId(f"contract{next(self._names)}"),
            pair=PairName("BTC"),
            role=Role.LONG,
            instrument=instrument.id,
            side=side,
            qty=D(qty),
            price=D(price),
            tif=tif,
            reduce_only=reduce_only,
            purpose=Purpose.ENTER,
            arrival_mid=D(price),
            why=Flatten("contract"),
        )

    def test_a_taker_is_accepted_then_filled_then_told_of_its_account(self, harness: Harness) -> None:
        buy = self.order(harness.linear, Side.BUY, "0.5", "60000")
        facts = harness.send(buy)
        kinds = [type(fact) for fact in facts if not isinstance(fact, BalanceSeen)]
        assert kinds == [OrderAccepted, OrderFilled, PositionSeen]
        (fill,) = of(OrderFilled, facts)
        assert (fill.client_id, fill.side, fill.qty, fill.price) == (
            buy.client_id, Side.BUY, D("0.5"), D(60_000),
        )  # fmt: skip
        assert not fill.maker
        (position,) = of(PositionSeen, facts)
        assert (position.qty, position.cost) == (D("0.5"), D(30_000))

    def test_fills_and_fees_are_exact_decimals(self, harness: Harness) -> None:
        (fill,) = of(OrderFilled, harness.send(self.order(harness.spot, Side.BUY, "0.12345", "60000")))
        with exact_arithmetic():
            assert fill.fee == (D("0.12345") * harness.spot.taker_rate).quantize(D("1e-8"))
        assert fill.fee_asset == "BTC"
        (fill,) = of(OrderFilled, harness.send(self.order(harness.spot, Side.SELL, "0.1", "59999")))
        with exact_arithmetic():
            assert fill.fee == (D("5999.9") * harness.spot.taker_rate).quantize(D("1e-8"))
        assert fill.fee_asset == "USDT"

    def test_an_ioc_takes_what_its_limit_reaches_and_expires(self, harness: Harness) -> None:
        facts = harness.send(self.order(harness.linear, Side.BUY, "5", "60000"))
        assert [(fill.qty, fill.price) for fill in of(OrderFilled, facts)] == [(D(1), D(60_000))]
        assert len(of(OrderExpired, facts)) == 1
        assert isinstance(facts[-1], OrderExpired)

    def test_a_walk_up_the_book_is_one_fill_a_level(self, harness: Harness) -> None:
        facts = harness.send(self.order(harness.linear, Side.SELL, "1.5", "59998"))
        fills = of(OrderFilled, facts)
        assert [(fill.qty, fill.price) for fill in fills] == [(D(1), D(59_999)), (D("0.5"), D(59_998))]
        assert len({fill.trade_id for fill in fills}) == 2
        assert not of(OrderExpired, facts)

    def test_an_ioc_that_reaches_nothing_expires_whole(self, harness: Harness) -> None:
        facts = harness.send(self.order(harness.spot, Side.BUY, "1", "59999.5"))
        assert [type(fact) for fact in facts] == [OrderAccepted, OrderExpired]

    @pytest.mark.parametrize("side", Side)
    def test_a_post_only_order_that_would_take_is_rejected(self, harness: Harness, side: Side) -> None:
        price = "60000" if side is Side.BUY else "59999"
        for instrument in (harness.spot, harness.linear):
            post = self.order(instrument, side, "0.5", price, TimeInForce.POST_ONLY)
            (reject,) = harness.send(post)
            assert isinstance(reject, OrderRejected)
            assert reject.code == ("-2010" if instrument.is_spot else "-5022")

    @pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.POST_ONLY])
    def test_a_resting_order_fills_when_the_market_trades_through_it(
        self, harness: Harness, tif: TimeInForce
    ) -> None:
        rest = self.order(harness.linear, Side.BUY, "0.5", "59999.5", tif)
        facts = harness.send(rest)
        assert [type(fact) for fact in facts] == [OrderAccepted]
        harness.trade(harness.linear, 59_999.0, 3.0, buyer_is_maker=True)
        (fill,) = of(OrderFilled, harness.wait())
        assert (fill.maker, fill.qty, fill.price) == (True, D("0.5"), D("59999.5"))
        with exact_arithmetic():
            assert fill.fee == (D("29999.75") * harness.linear.maker_rate).quantize(D("1e-8"))

    def test_the_rest_of_a_gtc_order_stays_and_can_be_cancelled(self, harness: Harness) -> None:
        rest = self.order(harness.linear, Side.BUY, "1.5", "60000", TimeInForce.GTC)
        facts = harness.send(rest)
        assert [fill.qty for fill in of(OrderFilled, facts)] == [D(1)]
        assert not of(OrderExpired, facts)
        facts = harness.send(CancelOrder(rest.client_id, rest.instrument, "test"))
        assert [type(fact) for fact in facts] == [OrderCanceled]
        facts = harness.send(CancelOrder(rest.client_id, rest.instrument, "test"))
        assert [type(fact) for fact in facts] == [CancelRejected]

    def test_a_cancel_of_an_unknown_order_is_rejected(self, harness: Harness) -> None:
        (reject,) = harness.send(CancelOrder(ClientId("nobody"), harness.spot.id, "test"))
        assert isinstance(reject, CancelRejected)
        assert reject.code == "-2011"

    @pytest.mark.parametrize(
        ("market", "side", "qty", "price", "code"),
        [
            ("spot", Side.BUY, "0.1", "60000.001", "-1013"),  # tick
            ("spot", Side.BUY, "0.100001", "60000", "-1013"),  # lot
            ("spot", Side.BUY, "0.00001", "60000", "-1013"),  # notional
            ("spot", Side.BUY, "0.1", "90000", "-1013"),  # percent price
            ("spot", Side.BUY, "1.7", "60000", "-2010"),  # balance
            ("spot", Side.SELL, "2.1", "59999", "-2010"),
            ("linear", Side.BUY, "0.1", "60000.05", "-4014"),
            ("linear", Side.BUY, "0.1005", "60000", "-4023 -1111"),  # before the filter: its digits
            ("linear", Side.BUY, "0.0005", "60000", "-4004 -1111"),
            ("linear", Side.BUY, "1001", "60000", "-4005"),
            ("linear", Side.BUY, "0.001", "60000", "-4164"),
            ("linear", Side.BUY, "0.1", "70000", "-4016"),
            ("linear", Side.SELL, "0.1", "50000", "-4024"),
            ("linear", Side.BUY, "25", "60000", "-2019"),
        ],
    )
    def test_a_refused_order_is_a_reject_alone_with_the_venues_code(
        self, harness: Harness, market: str, side: Side, qty: str, price: str, code: str
    ) -> None:
        instrument = harness.spot if market == "spot" else harness.linear
        if code == "-2019":  # half of the margin goes first
            harness.show(instrument, BIDS, ((60_000.0, 100.0),))
            assert of(OrderFilled, harness.send(self.order(instrument, Side.BUY, "30", "60000")))
        facts = harness.send(self.order(instrument, side, qty, price))
        assert [type(fact) for fact in facts] == [OrderRejected]
        assert of(OrderRejected, facts)[0].code in code.split()

    def test_a_client_id_never_fills_twice(self, harness: Harness) -> None:
        for tif in (TimeInForce.IOC, TimeInForce.GTC):
            place = self.order(harness.linear, Side.BUY, "0.5", "60000", tif)
            facts = [*harness.send(place, place), *harness.send(place)]
            assert len(of(OrderFilled, facts)) == 1
            assert not of(OrderRejected, facts), "a reject in the first order's name would kill it"
            harness.show(harness.linear, BIDS, ASKS)

    def test_a_living_order_survives_its_duplicate(self, harness: Harness) -> None:
        rest = self.order(harness.linear, Side.BUY, "0.5", "59999.5", TimeInForce.GTC)
        harness.send(rest, rest)
        (report,) = of(OrderReported, harness.send(QueryOrder(rest.client_id, rest.instrument)))
        assert report.status is OrderStatus.OPEN

    def test_a_query_tells_fills_again_and_then_the_state(self, harness: Harness) -> None:
        half = self.order(harness.linear, Side.BUY, "1.5", "60000", TimeInForce.GTC)
        seen = of(OrderFilled, harness.send(half))
        answer = harness.send(QueryOrder(half.client_id, half.instrument))
        assert of(OrderFilled, answer) == seen
        assert isinstance(answer[-1], OrderReported)
        assert (answer[-1].status, answer[-1].qty, answer[-1].filled_qty) == (
            OrderStatus.OPEN,
            D("1.5"),
            D(1),
        )
        harness.send(CancelOrder(half.client_id, half.instrument, "test"))
        (report,) = of(OrderReported, harness.send(QueryOrder(half.client_id, half.instrument)))
        assert (report.status, report.filled_qty) == (OrderStatus.CANCELED, D(1))

    @pytest.mark.parametrize(("qty", "status"), [("0.5", OrderStatus.FILLED), ("9", OrderStatus.EXPIRED)])
    def test_a_query_knows_orders_that_have_ended(
        self, harness: Harness, qty: str, status: OrderStatus
    ) -> None:
        done = self.order(harness.linear, Side.BUY, qty, "60000")
        seen = of(OrderFilled, harness.send(done))
        answer = harness.send(QueryOrder(done.client_id, done.instrument))
        (report,) = of(OrderReported, answer)
        assert report.status is status
        assert of(OrderFilled, answer) == seen

    def test_a_query_of_an_order_that_never_lived_finds_nothing(self, harness: Harness) -> None:
        refused = self.order(harness.spot, Side.BUY, "0.1", "60000.001")
        harness.send(refused)
        for name in (refused.client_id, ClientId("nobody")):
            (answer,) = harness.send(QueryOrder(name, harness.spot.id))
            assert isinstance(answer, OrderNotFound)

    def test_a_reduce_only_order_cannot_open(self, harness: Harness) -> None:
        (reject,) = harness.send(self.order(harness.linear, Side.SELL, "0.5", "59999", reduce_only=True))
        assert isinstance(reject, OrderRejected)
        assert reject.code == "-2022"
        harness.send(self.order(harness.linear, Side.BUY, "0.5", "60000"))
        (reject,) = harness.send(self.order(harness.linear, Side.BUY, "0.5", "60001", reduce_only=True))
        assert isinstance(reject, OrderRejected)
        facts = harness.send(self.order(harness.linear, Side.SELL, "0.9", "59999", reduce_only=True))
        with exact_arithmetic():
            assert sum((fill.qty for fill in of(OrderFilled, facts)), ZERO) == D("0.5")
        assert of(PositionSeen, facts)[-1].qty == 0

    def test_a_small_reduce_only_order_is_exempt_from_the_minimum_notional(self, harness: Harness) -> None:
        harness.send(self.order(harness.linear, Side.BUY, "0.5", "60000"))
        facts = harness.send(self.order(harness.linear, Side.SELL, "0.001", "59999", reduce_only=True))
        assert [fill.qty for fill in of(OrderFilled, facts)] == [D("0.001")]

    def test_the_account_is_the_sum_of_its_fills(self, harness: Harness) -> None:
        orders = [
            self.order(harness.spot, Side.BUY, "1.2", "60001"),
            self.order(harness.linear, Side.SELL, "1.3", "59998"),
            self.order(harness.spot, Side.SELL, "0.7", "59998"),
            self.order(harness.linear, Side.BUY, "1.9", "60001"),
            self.order(harness.linear, Side.SELL, "0.3", "59998"),
        ]
        fills = [fill for order in orders for fill in of(OrderFilled, harness.send(order))]
        spot = {"USDT": D(100_000), "BTC": D(2)}
        cash, position = D(50_000), Position()
        with exact_arithmetic():
            for fill in fills:
                if fill.instrument == harness.spot.id:
                    sign = fill.side.sign
                    spot["BTC"] += sign * fill.qty
                    spot["USDT"] -= sign * fill_cost(harness.spot, fill.qty, fill.price)
                    spot[fill.fee_asset] -= fill.fee
                else:
                    signed = fill.side.sign * fill.qty
                    position, realised = after_fill(harness.linear, position, signed, fill.price)
                    cash += realised - fill.fee
        (report,) = of(AccountReported, harness.send(QueryAccount(harness.spot.account)))
        assert report.balances == spot
        assert report.positions == ()
        (report,) = of(AccountReported, harness.send(QueryAccount(harness.linear.account)))
        assert report.balances == {"USDT": cash}
        (held,) = report.positions
        assert (held.instrument, held.qty, held.cost) == (harness.linear.id, position.qty, position.cost)

    def test_the_account_names_its_living_orders(self, harness: Harness) -> None:
        rest = self.order(harness.linear, Side.BUY, "0.5", "59999.5", TimeInForce.GTC)
        done = self.order(harness.linear, Side.BUY, "0.5", "60000")
        harness.send(rest, done)
        (report,) = of(AccountReported, harness.send(QueryAccount(harness.linear.account)))
        assert report.open_orders == (rest.client_id,)

    def test_every_order_ends_exactly_once(self, harness: Harness) -> None:
        orders = [
            self.order(harness.linear, Side.BUY, "0.5", "60000"),
            self.order(harness.linear, Side.BUY, "9", "60000"),
            self.order(harness.linear, Side.BUY, "0.1", "60000.05"),
            self.order(harness.linear, Side.BUY, "0.4", "59999.5", TimeInForce.GTC),
            self.order(harness.linear, Side.BUY, "0.4", "59990", TimeInForce.GTC),
        ]
        facts = harness.send(*orders)
        harness.trade(harness.linear, 59_999.0, 5.0, buyer_is_maker=True)
        facts += harness.wait()
        facts += harness.send(CancelOrder(orders[-1].client_id, orders[-1].instrument, "test"))
        ends = Counter(
            fact.client_id for fact in facts if isinstance(fact, OrderRejected | OrderExpired | OrderCanceled)
        )
        filled: dict[ClientId, Decimal] = {}
        for fill in of(OrderFilled, facts):
            filled[fill.client_id] = filled.get(fill.client_id, ZERO) + fill.qty
        for order in orders:
            whole = filled.get(order.client_id, ZERO) == order.qty
            assert ends[order.client_id] + whole == 1, order
