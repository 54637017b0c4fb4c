"""What fees are paid in is learned from fills and settings, sized with, and kept in stock."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.core.fold import refold
from bot.model.commands import PlaceOrder
from bot.model.facts import AnyFact, BalanceSeen, FeeAssetSet, OrderFilled, RateSeen, Transferred
from bot.model.ids import account_of
from bot.model.instrument import Side, fill_cost
from bot.model.money import COIN_QUANTUM, exact_arithmetic, multiply_rounded
from bot.model.pair import PairState, Purpose, Role
from bot.model.store import Store, state_sha256
from bot.shell.state import read_state
from risk.exposure import Pending, kept_delta_base
from risk.tradable import base_fee_rate
from tests.core.way_out import FLATTEN, beat, delta_of, pair_of, play, steady
from tests.core.world import BTC, LINEAR, SPOT, World, make_config

D = Decimal
SPOT_ACCOUNT = account_of(SPOT)
KEY = f"fee_coin:{SPOT_ACCOUNT}"
HOUR_S = 3_600
BNB_FEE = D("0.001")


class Coined(World):
    """A world whose spot venue takes fees of purchases from a coin of which there is a stock, or in quote."""

    def __init__(self, asset: str, stock: str = "5") -> None:
        super().__init__(make_config(capital=50_000), {SPOT_ACCOUNT: {"USDT": D(200_000)}})
        self.asset = asset
        if asset != "USDT":
            self.wallets[SPOT_ACCOUNT][asset] = D(stock)
        # a lot that is worth less than a fee, and a minimum that is worth more
        self.instruments = [
            msgspec.structs.replace(one, lot=D("0.00001"), qty_min=D("0.00001"), notional_min=D(20))
            for one in self.instruments
        ]

    def execute(self, order: PlaceOrder, qty: Decimal, price: Decimal) -> list[AnyFact]:
        facts = super().execute(order, qty, price)
        fill, wallet = facts[0], self.wallets[SPOT_ACCOUNT]
        assert isinstance(fill, OrderFilled)
        if order.instrument != SPOT or wallet.get(self.asset, D(0)) <= 0:
            return facts
        with exact_arithmetic():
            wallet[fill.fee_asset] += fill.fee
            fee = BNB_FEE
            if self.asset == "USDT":
                cost = fill_cost(self.instruments[0], qty, price)
                fee = multiply_rounded(cost, self.instruments[0].taker_rate, COIN_QUANTUM)
            wallet[self.asset] -= fee
        told = [BalanceSeen(SPOT_ACCOUNT, name, amount, self.at_ns) for name, amount in wallet.items()]
        return [msgspec.structs.replace(fill, fee=fee, fee_asset=self.asset), *told]


def entered(
    asset: str, clips: int, told: str | None = None, stock: str = "5"
) -> tuple[Coined, list[PlaceOrder]]:
    """A pair after a number of clips, and every order that was sent; ``told``: the account's setting."""
    world = Coined(asset, stock)
    world.boot()
    world.quote(60_000.0, 0.0)
    if told is not None:
        world.give(FeeAssetSet(SPOT, told, world.at_ns))
    sent: list[PlaceOrder] = []
    for _ in range(clips):
        beat(world, *world.books(60_000.0, 20.0), after_s=1.5)
        for _ in range(10):
            orders = world.placed()
            sent += orders
            if not orders:
                break
            world.give(*[fact for order in orders for fact in world.fill(order)])
    return world, sent


def rate_of(world: World, side: Side = Side.BUY) -> Decimal:
    return base_fee_rate(world.store.markets[SPOT], side)


@pytest.mark.parametrize("asset", ["BNB", "USDT"])
def test_after_the_first_purchase_a_fee_that_is_not_paid_in_coins_is_not_bought(asset: str) -> None:
    world, sent = entered(asset, 4)
    taker = world.instruments[0].taker_rate
    assert taker > 0, "the premise: there is a fee"
    assert rate_of(world) == rate_of(world, Side.SELL) == 0
    purchases = [order for order in sent if order.role is Role.LONG and order.purpose is Purpose.ENTER]
    sales = [order for order in sent if order.role is Role.SHORT and order.purpose is Purpose.ENTER]
    assert len(purchases) == len(sales) == 4
    assert purchases[0].qty > sales[0].qty * (1 + taker / 2), "the premise: the first did not know"
    for bought, sold in list(zip(purchases, sales, strict=True))[2:]:
        assert abs(bought.qty - sold.qty) <= D("0.00002")
    assert abs(delta_of(world)) <= D("0.00002")
    assert world.wallets[SPOT_ACCOUNT]["BTC"] == pair_of(world).long.position.qty
    assert views.residual(world.store) == 0, "a fee coin without a price stops nothing"


def test_a_setting_that_is_told_spares_the_first_purchase_too() -> None:
    ignorant, _ = entered("BNB", 1)
    assert delta_of(ignorant) > D("0.0001"), "the premise: without it the first clip is long by its fee"
    world, sent = entered("BNB", 1, told="BNB")
    assert len(sent) == 2
    assert abs(delta_of(world)) <= D("0.00002")


def test_a_setting_counts_only_while_there_is_some_of_the_coin() -> None:
    world, _ = entered("BNB", 0, told="BNB", stock="0")
    assert rate_of(world) == world.instruments[0].taker_rate
    world.give(BalanceSeen(SPOT_ACCOUNT, "BNB", D(2), world.at_ns))
    assert rate_of(world) == 0
    world.give(BalanceSeen(SPOT_ACCOUNT, "BNB", D(0), world.at_ns))
    assert rate_of(world) == world.instruments[0].taker_rate
    world.wallets[SPOT_ACCOUNT]["BNB"] = D(1)
    world.give(world.report(SPOT_ACCOUNT))
    assert rate_of(world) == 0
    world.give(FeeAssetSet(SPOT, "", world.at_ns))
    assert rate_of(world) == world.instruments[0].taker_rate


def test_what_a_fill_says_holds_until_something_changes() -> None:
    """Less of the coin is left than a fee needs: the venue takes what is received."""
    world, _ = entered("BNB", 1, told="BNB")
    world.asset = "none"
    beat(world, *world.books(60_000.0, 20.0), after_s=1.5)
    world.fill_all()
    taker = world.instruments[0].taker_rate
    assert rate_of(world) == taker
    world.give(world.report(SPOT_ACCOUNT), FeeAssetSet(SPOT, "BNB", world.at_ns))
    assert rate_of(world) == taker


def test_a_fee_coin_that_is_used_up_on_the_way_is_sized_with() -> None:
    world, sent = entered("BNB", 5, stock="0.002")
    assert world.wallets[SPOT_ACCOUNT]["BNB"] == 0, "the premise: it is used up"
    assert rate_of(world) == world.instruments[0].taker_rate
    assert len([order for order in sent if order.purpose is not Purpose.ENTER]) <= 2
    assert abs(delta_of(world)) <= D("0.00002")


@pytest.mark.parametrize("asset", ["BNB", "USDT", "BTC"])
def test_the_guard_counts_what_a_purchase_keeps(asset: str) -> None:
    world, _ = entered("BNB", 0)
    world.store.markets[SPOT].fee_assets = {Side.BUY: asset}
    order = Pending(BTC, Role.LONG, SPOT, Side.BUY, D(1), D(60_000), -1)
    taker = world.instruments[0].taker_rate
    assert kept_delta_base(world.store, order) == (1 - taker if asset == "BTC" else 1)


def test_a_fee_in_quote_currency_is_cash_that_a_purchase_needs() -> None:
    for asset, is_enough in (("BNB", True), ("USDT", False)):
        world, _ = entered(asset, 1)
        out = D(9_995) - world.store.ledger.cash[SPOT_ACCOUNT]["USDT"]
        world.give(Transferred(SPOT_ACCOUNT, "USDT", out, "t1", world.at_ns))
        beat(world, *world.books(60_000.0, 20.0), after_s=1.5)
        sent = [order for order in world.placed() if order.role is Role.LONG]
        if sent:
            worth = sent[0].qty * sent[0].price
            assert worth < 9_995 < worth * (1 + world.instruments[0].taker_rate), "the premise"
        assert bool(sent) is is_enough


def test_a_contract_whose_fee_coin_is_its_base_keeps_what_it_trades() -> None:
    world, _ = entered("BNB", 0)
    market = world.store.markets[LINEAR]
    world.give(FeeAssetSet(LINEAR, market.instrument.base, world.at_ns))
    assert base_fee_rate(market, Side.BUY) == base_fee_rate(market, Side.SELL) == 0


def test_the_pair_leaves_whole_whatever_fees_are_paid_in() -> None:
    world, _ = entered("BNB", 4)
    world.commands.clear()
    beat(world, FLATTEN, after_s=2.0)
    play(world, 20, steady(world))
    assert pair_of(world).state is PairState.FLAT
    assert world.positions[LINEAR].qty == 0
    assert world.wallets[SPOT_ACCOUNT]["BTC"] * 60_000 < 25
    world.give(RateSeen("BNB", "USDT", D(600), world.at_ns))
    assert views.residual(world.store) == 0


# --- the stock --------------------------------------------------------------------------------------------


def left_h(world: World) -> float | None:
    return read_state(world.store, world.at_ns, "0", 1).accounts[SPOT_ACCOUNT].fee_coin_left_h


def test_the_stock_of_a_fee_coin_is_a_figure_with_its_hours() -> None:
    world, sent = entered("BNB", 4)
    spent = BNB_FEE * len([order for order in sent if order.instrument == SPOT])
    view = read_state(world.store, world.at_ns, "0", 1).accounts[SPOT_ACCOUNT]
    assert (view.fee_coin, D(view.fee_coin_balance or "")) == ("BNB", 5 - spent)
    assert left_h(world) == pytest.approx(float((5 - spent) / spent * 24))
    assert KEY not in world.store.alerts
    world.at_ns += 24 * HOUR_S * 10**9
    assert left_h(world) is None
    assert read_state(world.store, world.at_ns, "0", 1).accounts["binance:usdm"].fee_coin == ""


def test_less_than_a_day_of_it_is_told_until_there_is_more() -> None:
    world, _ = entered("BNB", 4, stock="0.006")
    assert (left_h(world) or 0.0) < 24
    alert = world.store.alerts[KEY]
    assert (alert.severity, "BNB" in alert.text) == ("warning", True)
    world.give(BalanceSeen(SPOT_ACCOUNT, "BNB", D(1), world.at_ns))
    assert KEY not in world.store.alerts


def test_what_was_learned_is_folded_again() -> None:
    world, _ = entered("BNB", 4, told="BNB", stock="0.003")
    again = Store()
    with exact_arithmetic():
        for row in world.rows:
            refold(again, row)
    assert state_sha256(again) == state_sha256(world.store)
