"""Everything the account side says is read by the project's own decoders, and means what happened."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from adapters.binance import events, replies, statements
from adapters.rehearsal.seam import Peer, Response
from bot.model.facts import BalanceSeen, FundingPaid, OrderAccepted, OrderCanceled, OrderFilled, OrderStatus
from bot.model.instrument import Side
from tests.adapters.rehearsal.scene import PATHS, SYMBOLS, Scene

MARKETS = ("spot", "usdm", "coinm")
FUTURES = ("usdm", "coinm")


class Tape(Peer):
    """A peer that keeps what it is sent, byte for byte."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def send(self, payload: bytes) -> None:
        self.heard.append(payload)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(reason)


def taped(scene: Scene, market: str) -> Tape:
    tape = Tape()
    if market == "spot":
        line = scene.doors["spot"].accept("/ws-api/v3", tape)
        scene.say(line, "userDataStream.subscribe.signature", **scene.signed())  # type: ignore[arg-type]
        tape.heard.clear()
    else:
        prefix = "/private" if market == "usdm" else ""
        scene.doors[market].accept(f"{prefix}/ws/{scene.teller.create_listen_key(market)}", tape)
    return tape


def lively(scene: Scene, market: str) -> None:
    """One of everything that happens to an account."""
    scene.place(market, newClientOrderId="rests")
    scene.json(market, f"DELETE {PATHS[market]}/order", symbol=SYMBOLS[market], origClientOrderId="rests")
    scene.place(market, timeInForce="IOC", newClientOrderId="expires")
    scene.place(market, type="MARKET", timeInForce=None, price=None, newClientOrderId="takes")
    scene.world.change_balance(
        scene.world.account(market), "BTC" if market == "coinm" else "USDT", Decimal(1)
    )
    if market == "spot":
        scene.teller.expire_listen_keys("spot")
        return
    (instrument,) = scene.teller.holdings.instruments(market)
    scene.world.settle_funding_now(instrument.id)
    scene.world.margin_call(instrument.account)
    scene.world.adl(instrument.id, instrument.lot)
    stop = scene.teller.operator_stop(instrument.id, Side.SELL, instrument.qty_min, instrument.tick)
    scene.teller.operator_cancel(market, stop)
    scene.json(market, f"POST {PATHS[market]}/leverage", symbol=SYMBOLS[market], leverage=5)
    scene.place(market, type="MARKET", timeInForce=None, price=None)
    scene.world.liquidate(instrument.id)
    scene.teller.expire_listen_keys(market)


@pytest.mark.parametrize("market", MARKETS)
def test_every_event_is_read(market: str) -> None:
    scene = Scene()
    tape = taped(scene, market)
    lively(scene, market)
    read = [events.event(market, payload) for payload in tape.heard]
    kinds = {type(one).__name__ for one in read}
    assert kinds == (
        {"OrderEvent", "WalletEvent", "BalanceMoved", "StreamEnding"}
        if market == "spot"
        else {"OrderEvent", "AccountEvent", "MarginCall", "ListenKeyExpired", "ForeignEvent", "SettingsMoved"}
    )
    forced = [one.forced for one in read if isinstance(one, events.OrderEvent) and one.forced]
    assert forced == ([] if market == "spot" else ["adl", "liquidation"])


@pytest.mark.parametrize("market", MARKETS)
def test_events_become_the_facts_that_the_venue_told(market: str) -> None:
    scene = Scene()
    told: list[object] = []
    scene.world.subscribe(told.append)
    tape = taped(scene, market)
    scene.place(market, newClientOrderId="rests")
    scene.json(market, f"DELETE {PATHS[market]}/order", symbol=SYMBOLS[market], origClientOrderId="rests")
    placed = scene.place(market, type="MARKET", timeInForce=None, price=None, newClientOrderId="takes")
    read = [fact for payload in tape.heard for fact in events.facts_of(events.event(market, payload))]

    def names(facts: list[object], kind: type) -> list[str]:
        return [fact.client_id for fact in facts if type(fact) is kind]  # type: ignore[attr-defined]

    for kind in (OrderAccepted, OrderCanceled):
        assert names(list(read), kind) == names(told, kind)
    # the venue writes milliseconds
    assert [msgspec.structs.replace(fill, venue_ns=0) for fill in read if isinstance(fill, OrderFilled)] == [
        msgspec.structs.replace(fill, venue_ns=0, venue_order_id=str(placed["orderId"]))
        for fill in told
        if isinstance(fill, OrderFilled)
    ]
    balances = {fact.asset: fact.balance for fact in read if isinstance(fact, BalanceSeen)}
    wallet = scene.world.wallets.balances[scene.world.account(market)]
    assert all(wallet[asset] == balance for asset, balance in balances.items())
    assert balances


@pytest.mark.parametrize("market", MARKETS)
def test_answers_on_orders_and_trades_are_read(market: str) -> None:
    scene = Scene()
    path, symbol = PATHS[market], SYMBOLS[market]
    rests = scene.ask(market, f"POST {path}/order", **scene.order(market, newClientOrderId="rests")).body
    assert replies.order(market, rests).status is OrderStatus.OPEN
    query = {"symbol": symbol, "origClientOrderId": "rests"}
    assert replies.order(market, scene.ask(market, f"GET {path}/order", **query).body).client_id == "rests"
    (listed,) = replies.orders(market, scene.ask(market, f"GET {path}/openOrders").body)
    assert (listed.client_id, listed.side) == ("rests", Side.BUY)
    gone = replies.order(market, scene.ask(market, f"DELETE {path}/order", **query).body)
    assert (gone.client_id, gone.status) == ("rests", OrderStatus.CANCELED)
    taking = scene.order(market, type="MARKET", timeInForce=None, price=None, newOrderRespType="RESULT")
    assert (
        replies.order(market, scene.ask(market, f"POST {path}/order", **taking).body).status
        is OrderStatus.FILLED
    )
    trades = "myTrades" if market == "spot" else "userTrades"
    read = replies.trades(market, scene.ask(market, f"GET {path}/{trades}", symbol=symbol).body)
    assert [trade.trade_id for trade in read] == [
        str(trade.trade_id) for trade in scene.teller.history.markets[market].trades
    ]
    refused = replies.failure(scene.ask(market, f"GET {path}/order", symbol=symbol, orderId=1).body)
    assert refused.code == -2013


@pytest.mark.parametrize("market", MARKETS)
def test_the_account_is_read_to_the_last_digit(market: str) -> None:
    scene = Scene()
    lively(scene, market)
    account = scene.world.account(market)
    ask = {"spot": "GET /api/v3/account", "usdm": "GET /fapi/v3/account", "coinm": "GET /dapi/v1/account"}[
        market
    ]
    assert statements.wallet(market, scene.ask(market, ask).body).balances == {
        asset: balance for asset, balance in scene.world.wallets.balances[account].items() if balance
    }


@pytest.mark.parametrize("market", FUTURES)
def test_positions_settings_and_income_are_read(market: str) -> None:
    scene = Scene()
    scene.place(market, type="MARKET", timeInForce=None, price=None)
    (instrument,) = scene.teller.holdings.instruments(market)
    scene.world.settle_funding_now(instrument.id)
    ask = "GET /fapi/v3/positionRisk" if market == "usdm" else "GET /dapi/v1/positionRisk"
    (position,) = statements.positions(market, scene.ask(market, ask).body)
    assert (statements.held(instrument, position),) == scene.world.wallets.held(instrument.account)
    assert not statements.hedge_mode(scene.ask(market, f"GET {PATHS[market]}/positionSide/dual").body)
    rows = statements.income(market, scene.ask(market, f"GET {PATHS[market]}/income").body)
    assert {row.kind for row in rows} == {"COMMISSION", "FUNDING_FEE"}
    configs = scene.ask(market, "GET /fapi/v1/symbolConfig" if market == "usdm" else ask).body
    (config,) = statements.symbol_configs(market, configs)
    assert config.leverage == 20
    key = statements.listen_key(scene.ask(market, f"POST {PATHS[market]}/listenKey").body)
    assert scene.teller.is_listen_key(market, key)
    stop = scene.teller.operator_stop(instrument.id, Side.SELL, instrument.qty_min, instrument.tick)
    (foreign,) = statements.algo_orders(market, scene.ask(market, f"GET {PATHS[market]}/openAlgoOrders").body)
    assert str(stop) in foreign.name


def test_what_a_key_may_do_is_read() -> None:
    scene = Scene()
    read = statements.restrictions(scene.ask("spot", "GET /sapi/v1/account/apiRestrictions").body)
    assert (read.may_read, read.may_trade_spot, read.may_trade_futures, read.may_withdraw) == (
        True, True, True, False,
    )  # fmt: skip


@pytest.mark.parametrize("market", MARKETS)
def test_answers_over_the_websocket_api_are_read(market: str) -> None:
    scene = Scene()
    tape = Tape()
    target = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1", "coinm": "/ws-dapi/v1"}[market]
    line = scene.doors[market].accept(target, tape)
    assert not isinstance(line, Response)
    scene.say(line, "order.place", "a1", **scene.signed(**scene.order(market, newClientOrderId="mine")))
    scene.say(line, "order.place", "a2", **scene.signed(**scene.order(market, newClientOrderId="mine")))
    first, second = (replies.ws_reply(payload) for payload in tape.heard)
    assert (first.id, first.status) == ("a1", 200)
    assert replies.order(market, first.result).client_id == "mine"
    assert {usage.kind for usage in first.usage} == {"REQUEST_WEIGHT", "ORDERS"}
    assert second.failure is not None
    assert second.failure.code == (-2010 if market == "spot" else -4116)


def test_funding_is_paid_as_income_says() -> None:
    scene = Scene()
    paid: list[FundingPaid] = []
    scene.world.subscribe(lambda fact: paid.append(fact) if isinstance(fact, FundingPaid) else None)
    scene.place("coinm", type="MARKET", timeInForce=None, price=None)
    (instrument,) = scene.teller.holdings.instruments("coinm")
    scene.world.settle_funding_now(instrument.id)
    body = scene.ask("coinm", "GET /dapi/v1/income", incomeType="FUNDING_FEE").body
    (row,) = statements.income("coinm", body)
    assert row.amount == paid[0].amount
