"""Balances, positions, income and settings: exact, and one answer never contradicts another."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.model.ids import InstrumentId
from tests.adapters.rehearsal.scene import PATHS, SYMBOLS, Scene

FUTURES = ("usdm", "coinm")
ASSET = {"usdm": "USDT", "coinm": "BTC"}
POSITIONS = {
    "usdm": ("GET /fapi/v2/positionRisk", "GET /fapi/v3/positionRisk"),
    "coinm": ("GET /dapi/v1/positionRisk",),
}
BALANCES = {"usdm": ("GET /fapi/v2/balance", "GET /fapi/v3/balance"), "coinm": ("GET /dapi/v1/balance",)}
ACCOUNTS = {"usdm": ("GET /fapi/v2/account", "GET /fapi/v3/account"), "coinm": ("GET /dapi/v1/account",)}


def traded(market: str) -> Scene:
    """A position that was opened, partly closed, paid funding for and cut by deleveraging."""
    scene = Scene()
    (instrument,) = scene.teller.holdings.instruments(market)
    take = {"type": "MARKET", "timeInForce": None, "price": None}
    scene.place(market, **take, quantity="3" if market == "coinm" else "0.03", side="SELL")
    scene.pass_s(5)
    scene.place(market, **take, quantity="1" if market == "coinm" else "0.013")
    scene.world.settle_funding_now(instrument.id)
    scene.world.adl(instrument.id, instrument.lot)
    scene.world.change_balance(instrument.account, ASSET[market], Decimal("-0.5"))
    return scene


@pytest.mark.parametrize("market", FUTURES)
def test_a_wallet_is_what_it_began_with_and_its_income(market: str) -> None:
    scene = traded(market)
    rows = scene.json(market, f"GET {PATHS[market]}/income", limit=1000)
    began = Decimal(100_000 if market == "usdm" else 2)
    earned = sum((Decimal(row["income"]) for row in rows), Decimal(0))
    for ask in BALANCES[market]:
        (row,) = scene.json(market, ask)
        assert (row["asset"], Decimal(row["balance"])) == (ASSET[market], began + earned)
    kinds = {row["incomeType"] for row in rows}
    assert kinds == {"COMMISSION", "REALIZED_PNL", "FUNDING_FEE", "TRANSFER"}
    numbers = [row["tranId"] for row in rows]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("market", FUTURES)
def test_income_is_what_the_trades_say(market: str) -> None:
    scene = traded(market)
    trades = scene.json(market, f"GET {PATHS[market]}/userTrades", symbol=SYMBOLS[market])

    def earned(kind: str) -> Decimal:
        rows = scene.json(market, f"GET {PATHS[market]}/income", incomeType=kind, symbol=SYMBOLS[market])
        assert all(row["incomeType"] == kind for row in rows)
        return sum((Decimal(row["income"]) for row in rows), Decimal(0))

    assert earned("COMMISSION") == -sum((Decimal(row["commission"]) for row in trades), Decimal(0))
    assert earned("REALIZED_PNL") == sum((Decimal(row["realizedPnl"]) for row in trades), Decimal(0))
    assert earned("FUNDING_FEE") != 0


@pytest.mark.parametrize("market", FUTURES)
def test_income_is_told_from_a_time_and_by_the_page(market: str) -> None:
    scene = traded(market)
    ask = f"GET {PATHS[market]}/income"
    rows = scene.json(market, ask)
    assert scene.json(market, ask, limit=2) == rows[-2:]
    assert scene.json(market, ask, startTime=rows[0]["time"], limit=2) == rows[:2]
    assert scene.json(market, ask, endTime=rows[0]["time"] - 1) == []
    assert scene.json(market, ask, startTime=rows[0]["time"], page=2, limit=2) == rows[2:4]


@pytest.mark.parametrize("market", FUTURES)
def test_every_answer_states_the_same_position(market: str) -> None:
    scene = traded(market)
    (held,) = scene.world.wallets.held(scene.world.account(market))
    stated = [scene.json(market, ask, symbol=SYMBOLS[market])[0] for ask in POSITIONS[market]]
    stated += [scene.json(market, ask)["positions"][0] for ask in ACCOUNTS[market]]
    assert {Decimal(row["positionAmt"]) for row in stated} == {held.qty}
    profits = {row.get("unRealizedProfit", row.get("unrealizedProfit")) for row in stated}
    assert len(profits) == 1
    account = scene.json(market, ACCOUNTS[market][0])
    (asset,) = account["assets"]
    assert Decimal(asset["marginBalance"]) == Decimal(asset["walletBalance"]) + Decimal(
        asset["unrealizedProfit"]
    )
    assert Decimal(asset["availableBalance"]) == Decimal(asset["marginBalance"]) - Decimal(
        asset["initialMargin"]
    )
    if market == "usdm":
        assert account["totalWalletBalance"] == asset["walletBalance"]


def test_an_entry_price_gives_the_cost_of_a_coin_position_back() -> None:
    scene = traded("coinm")
    (row,) = scene.json("coinm", "GET /dapi/v1/positionRisk", symbol="BTCUSD_PERP")
    (held,) = scene.world.wallets.held(scene.world.account("coinm"))
    cost = Decimal(row["positionAmt"]) * 100 / Decimal(row["entryPrice"])
    assert round(cost, 8) == held.cost


@pytest.mark.parametrize("market", FUTURES)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(market: str, side: str) -> None:
    scene = Scene()
    size = {"usdm": "8", "coinm": "3000"}[market]
    scene.place(market, side=side, price=scene.taking(market, side), quantity=size, timeInForce="IOC")
    (row,) = scene.json(market, POSITIONS[market][0], symbol=SYMBOLS[market])
    (asset,) = scene.json(market, ACCOUNTS[market][0])["assets"]
    price, entry, qty = (float(row[name]) for name in ("liquidationPrice", "entryPrice", "positionAmt"))
    (instrument,) = scene.teller.holdings.instruments(market)
    size_contract = float(instrument.contract_size)
    if market == "usdm":
        value, profit = abs(qty) * price, qty * (price - entry)
    else:
        value, profit = abs(qty) * size_contract / price, qty * size_contract * (1 / entry - 1 / price)
    then = scene.teller.holdings.positions(market)[0]
    tier = next(one for one in instrument.brackets if abs(then.value) <= one.cap)
    maintenance = value * float(tier.maintenance_rate) - float(tier.cum)
    assert float(asset["walletBalance"]) + profit == pytest.approx(maintenance, rel=1e-6)
    assert (price < entry) == (side == "BUY")


def test_spot_balances_are_free_or_locked() -> None:
    scene = Scene()
    before = {row["asset"]: row for row in scene.json("spot", "GET /api/v3/account")["balances"]}
    placed = scene.place("spot")
    locked = Decimal(placed["origQty"]) * Decimal(placed["price"])
    after = {row["asset"]: row for row in scene.json("spot", "GET /api/v3/account")["balances"]}
    assert Decimal(after["USDT"]["locked"]) == locked
    assert Decimal(after["USDT"]["free"]) + locked == Decimal(before["USDT"]["free"])
    assert after["BTC"] == before["BTC"]


def test_spot_money_moved_by_others_is_a_deposit_or_a_withdrawal() -> None:
    scene = Scene()
    account = scene.world.account("spot")
    scene.world.change_balance(account, "USDT", Decimal("12.5"))
    scene.world.change_balance(account, "BTC", Decimal("-0.25"))
    (deposit,) = scene.json("spot", "GET /sapi/v1/capital/deposit/hisrec")
    (withdrawal,) = scene.json("spot", "GET /sapi/v1/capital/withdraw/history")
    assert (deposit["coin"], deposit["amount"]) == ("USDT", "12.5")
    assert (withdrawal["coin"], withdrawal["amount"]) == ("BTC", "0.25")


def test_what_a_key_may_do_is_told_as_it_is() -> None:
    scene = Scene()
    told = scene.json("spot", "GET /sapi/v1/account/apiRestrictions")
    allowed = ("enableReading", "enableSpotAndMarginTrading", "enableFutures", "enableWithdrawals")
    assert [told[name] for name in allowed] == [True, True, True, False]
    scene.teller.gate.permissions.withdrawals = True
    assert scene.json("spot", "GET /sapi/v1/account/apiRestrictions")["enableWithdrawals"]


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", FUTURES)
def test_leverage_is_set_and_read_back(market: str) -> None:
    scene, symbol = Scene(), SYMBOLS[market]
    ask = f"POST {PATHS[market]}/leverage"
    scene.json(market, ask, symbol=symbol, leverage=7)
    (row,) = scene.json(market, POSITIONS[market][0], symbol=symbol)
    assert row["leverage"] == "7"
    for wrong, code in ((0, -4028), (126, -4028), ("x", -1100)):
        assert scene.error(market, ask, symbol=symbol, leverage=wrong)[1] == code
    if market == "usdm":
        (config,) = scene.json(market, "GET /fapi/v1/symbolConfig", symbol=symbol)
        assert (config["leverage"], config["marginType"]) == (7, "CROSSED")


@pytest.mark.parametrize("market", FUTURES)
def test_margin_type_and_position_mode_are_set_and_read_back(market: str) -> None:
    scene, symbol, path = Scene(), SYMBOLS[market], PATHS[market]
    assert scene.error(market, f"POST {path}/marginType", symbol=symbol, marginType="CROSSED")[1] == -4046
    scene.json(market, f"POST {path}/marginType", symbol=symbol, marginType="ISOLATED")
    assert scene.json(market, POSITIONS[market][0], symbol=symbol)[0]["marginType"] == "isolated"
    scene.json(market, f"POST {path}/marginType", symbol=symbol, marginType="CROSSED")
    mode = f"{path}/positionSide/dual"
    resting = scene.place(market)["orderId"]
    assert scene.error(market, f"POST {mode}", dualSidePosition="true")[1] == -4067
    scene.json(market, f"DELETE {path}/order", symbol=symbol, orderId=resting)
    scene.place(market, type="MARKET", timeInForce=None, price=None)
    assert scene.error(market, f"POST {path}/marginType", symbol=symbol, marginType="ISOLATED")[1] == -4048
    assert scene.json(market, f"GET {mode}") == {"dualSidePosition": False}
    assert scene.error(market, f"POST {mode}", dualSidePosition="false")[1] == -4059
    assert scene.error(market, f"POST {mode}", dualSidePosition="true")[1] == -4068


def test_multi_assets_mode_is_set_and_read_back() -> None:
    scene = Scene()
    assert scene.error("usdm", "POST /fapi/v1/multiAssetsMargin", multiAssetsMargin="false")[1] == -4171
    scene.json("usdm", "POST /fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    assert scene.json("usdm", "GET /fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": True}
    assert scene.json("usdm", "GET /fapi/v1/accountConfig")["multiAssetsMargin"]


@pytest.mark.parametrize("market", FUTURES)
def test_a_new_setting_is_told_to_those_who_follow(market: str) -> None:
    scene = Scene()
    prefix = "/private" if market == "usdm" else ""
    _, peer = scene.open(market, f"{prefix}/ws/{scene.teller.create_listen_key(market)}")
    scene.json(market, f"POST {PATHS[market]}/leverage", symbol=SYMBOLS[market], leverage=3)
    (event,) = peer.heard
    assert (event["e"], event["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": SYMBOLS[market], "l": 3})


def test_tiers_and_fees_are_those_of_the_venue_s_description() -> None:
    scene = Scene()
    tiers: Any = scene.json("usdm", "GET /fapi/v1/leverageBracket", symbol="BTCUSDT")["brackets"]
    (instrument,) = scene.teller.holdings.instruments("usdm")
    assert [Decimal(str(row["maintMarginRatio"])) for row in tiers] == [
        one.maintenance_rate for one in instrument.brackets
    ]
    assert len(scene.json("coinm", "GET /dapi/v2/leverageBracket", symbol="BTCUSD_PERP")[0]["brackets"]) == 7
    assert scene.json("coinm", "GET /dapi/v1/leverageBracket")[0]["pair"] == "BTCUSD"
    assert (
        scene.json("usdm", "GET /fapi/v1/commissionRate", symbol="BTCUSDT")["takerCommissionRate"] == "0.0005"
    )
    fee = scene.json("spot", "GET /api/v3/account/commission", symbol="BTCUSDT")["standardCommission"][
        "maker"
    ]
    assert fee == "0.00100000"
    assert scene.json("spot", "GET /sapi/v1/asset/tradeFee")[0]["takerCommission"] == "0.001"


@pytest.mark.parametrize("market", ["spot", *FUTURES])
def test_a_reset_account_has_its_first_balances_and_no_past(market: str) -> None:
    scene = Scene()
    began = dict(scene.world.wallets.balances[scene.world.account(market)])
    scene.place(market, type="MARKET", timeInForce=None, price=None, newClientOrderId="old")
    scene.place(market)
    scene.world.reset_account(scene.world.account(market))
    assert scene.world.wallets.balances[scene.world.account(market)] == began
    path = PATHS[market]
    trades = "myTrades" if market == "spot" else "userTrades"
    for ask in ("openOrders", "allOrders", trades):
        assert scene.json(market, f"GET {path}/{ask}", symbol=SYMBOLS[market]) == []
    asked = scene.error(market, f"GET {path}/order", symbol=SYMBOLS[market], origClientOrderId="old")
    assert asked == (400, -2013)
    scene.place(market, newClientOrderId="old")


def test_a_liquidation_is_an_order_of_the_venue_s_own() -> None:
    scene = Scene()
    scene.place("usdm", type="MARKET", timeInForce=None, price=None)
    scene.world.liquidate(InstrumentId("binance:usdm:BTCUSDT"))
    (forced,) = scene.json("usdm", "GET /fapi/v1/forceOrders")
    assert forced["clientOrderId"].startswith("autoclose-")
    assert (forced["status"], forced["side"]) == ("FILLED", "SELL")
