"""The account by request: balances, positions, settings, permissions, listen keys.

Functions of the same form as in `trading`.  Settings are kept and shown, and a changed one is told to those
who follow; what they mean for matching (hedge mode, isolated margin) is not simulated, and an order that
would need it is refused.  Sources as in `trading`, and ``/sapi`` wallet and account pages (2026-11-20).
"""

from __future__ import annotations

from decimal import Decimal

from adapters.rehearsal import statements
from adapters.rehearsal.auth import Params, Refused
from adapters.rehearsal.holdings import Held
from adapters.rehearsal.params import mandatory_flag, text, whole
from adapters.rehearsal.shapes import Shape, coins, pair_of
from adapters.rehearsal.teller import Teller
from bot.model.ids import symbol_of
from bot.model.money import exact_arithmetic
from bot.model.money import text as digits

_DONE: Shape = {"code": 200, "msg": "success"}


# --- spot -------------------------------------------------------------------------------------------------


def spot_account(teller: Teller, market: str, params: Params) -> Shape:
    account = teller.world.account("spot")
    first = next(iter(teller.holdings.instruments("spot")), None)
    rates = (first.maker_rate, first.taker_rate) if first else (Decimal(0), Decimal(0))
    with exact_arithmetic():
        return statements.spot_account(
            teller.holdings.spot_balances(account),
            rates,
            teller.now_ms(),
            params.get("omitZeroBalances", "false") != "true",
        )


def spot_commission(teller: Teller, market: str, params: Params) -> Shape:
    return statements.spot_commission(teller.entry.instrument(market, params))


def trade_fees(teller: Teller, market: str, params: Params) -> list[Shape]:
    if params.get("symbol"):
        return [statements.trade_fee(teller.entry.instrument("spot", params))]
    return [statements.trade_fee(one) for one in teller.holdings.instruments("spot")]


def restrictions(teller: Teller, market: str, params: Params) -> Shape:
    return statements.restrictions(teller.gate.permissions, teller.now_ms())


def deposits(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``/sapi/v1/capital/deposit/hisrec``: money that somebody moved into the spot wallet."""
    return [
        {
            "id": str(row.tran_id),
            "amount": digits(row.amount),
            "coin": row.asset,
            "network": row.asset,
            "status": 1,
            "address": "",
            "addressTag": "",
            "txId": str(row.tran_id),
            "insertTime": row.at_ms,
            "completeTime": row.at_ms,
            "transferType": 1,
            "confirmTimes": "1/1",
            "unlockConfirm": 1,
            "walletType": 0,
        }
        for row in teller.history.markets["spot"].income
        if row.kind == "TRANSFER" and row.amount > 0
    ]


def withdrawals(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``/sapi/v1/capital/withdraw/history``: money that somebody moved out of it."""
    return [
        {
            "id": str(row.tran_id),
            "amount": digits(-row.amount),
            "transactionFee": "0",
            "coin": row.asset,
            "status": 6,
            "address": "",
            "txId": str(row.tran_id),
            "network": row.asset,
            "transferType": 1,
            "info": "",
            "confirmNo": 1,
            "walletType": 0,
        }
        for row in teller.history.markets["spot"].income
        if row.kind == "TRANSFER" and row.amount < 0
    ]


def coins_listed(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``/sapi/v1/capital/config/getall``: every coin of the spot market; none can be moved."""
    with exact_arithmetic():
        held = {name: (free, locked) for name, free, locked in
                teller.holdings.spot_balances(teller.world.account("spot"))}  # fmt: skip
    assets = dict.fromkeys(
        asset for one in teller.holdings.instruments("spot") for asset in (one.base, one.quote)
    )
    none = (Decimal(0), Decimal(0))
    return [
        {
            "coin": asset,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "name": asset,
            "free": coins(held.get(asset, none)[0]),
            "locked": coins(held.get(asset, none)[1]),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for asset in assets
    ]


def margin_pairs(teller: Teller, market: str, params: Params) -> list[Shape]:
    """``/sapi/v1/margin/allPairs``: nothing can be borrowed here."""
    return []


def order_limits(teller: Teller, market: str, params: Params) -> list[Shape]:
    rows = teller.usage[market].rows(teller.now_ms(), ("ORDERS",))
    if market == "spot":
        return rows
    return [{name: value for name, value in row.items() if name != "count"} for row in rows]


# --- futures ----------------------------------------------------------------------------------------------


def balances(teller: Teller, market: str, params: Params) -> list[Shape]:
    with exact_arithmetic():
        return [
            statements.balance(market, purse, teller.now_ms()) for purse in teller.holdings.purses(market)
        ]


def account_v1(teller: Teller, market: str, params: Params) -> Shape:
    return _account(teller, market, 1)


def account_v2(teller: Teller, market: str, params: Params) -> Shape:
    return _account(teller, market, 2)


def account_v3(teller: Teller, market: str, params: Params) -> Shape:
    return _account(teller, market, 3)


def _account(teller: Teller, market: str, version: int) -> Shape:
    with exact_arithmetic():
        return statements.futures_account(market, version, teller.holdings, teller.now_ms())


def positions_v1(teller: Teller, market: str, params: Params) -> list[Shape]:
    return _positions(teller, market, params, 1)


def positions_v2(teller: Teller, market: str, params: Params) -> list[Shape]:
    return _positions(teller, market, params, 2)


def positions_v3(teller: Teller, market: str, params: Params) -> list[Shape]:
    """Only those that are held or worked on."""
    return _positions(teller, market, params, 3)


def _positions(teller: Teller, market: str, params: Params, version: int) -> list[Shape]:
    with exact_arithmetic():
        held = _asked(teller, market, params)
        if version == 3:
            held = [one for one in held if one.qty != 0 or one.orders_initial != 0]
        return [
            statements.position_risk(market, version, one, teller.holdings, teller.now_ms()) for one in held
        ]


def symbol_config(teller: Teller, market: str, params: Params) -> list[Shape]:
    with exact_arithmetic():
        return [
            statements.symbol_config(one, teller.holdings, market) for one in _asked(teller, market, params)
        ]


def _asked(teller: Teller, market: str, params: Params) -> list[Held]:
    held = teller.holdings.positions(market)
    if params.get("symbol"):
        wanted = teller.entry.instrument(market, params).id
        return [one for one in held if one.instrument.id == wanted]
    if params.get("pair"):
        return [one for one in held if pair_of(one.instrument) == params["pair"]]
    if params.get("marginAsset"):
        return [one for one in held if one.instrument.margin_asset == params["marginAsset"]]
    return held


def adl_quantiles(teller: Teller, market: str, params: Params) -> list[Shape]:
    """Rank in the queue for deleveraging: the first fifth for what is held, since nobody else is in it."""
    with exact_arithmetic():
        return [
            {
                "symbol": symbol_of(one.instrument.id),
                "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": 1 if one.qty != 0 else 0},
            }
            for one in _asked(teller, market, params)
        ]


def account_config(teller: Teller, market: str, params: Params) -> Shape:
    settings = teller.holdings.settings[market]
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": settings.dual_side,
        "updateTime": 0,
        "multiAssetsMargin": settings.multi_assets,
        "tradeGroupId": -1,
    }


def commission(teller: Teller, market: str, params: Params) -> Shape:
    instrument = teller.entry.instrument(market, params)
    shape: Shape = {
        "symbol": symbol_of(instrument.id),
        "makerCommissionRate": digits(instrument.maker_rate),
        "takerCommissionRate": digits(instrument.taker_rate),
    }
    return shape if market == "coinm" else shape | {"rpiCommissionRate": digits(instrument.maker_rate)}


def brackets(teller: Teller, market: str, params: Params) -> object:
    """``leverageBracket``: by symbol; the first version of COIN-M's is by pair (`pair_brackets`)."""
    wanted = [teller.entry.instrument(market, params)] if params.get("symbol") else [
        *teller.holdings.instruments(market)
    ]  # fmt: skip
    rows = [{"symbol": symbol_of(one.id), "brackets": teller.world.catalog.brackets(one)} for one in wanted]
    return rows[0] if params.get("symbol") and market == "usdm" else rows


def pair_brackets(teller: Teller, market: str, params: Params) -> list[Shape]:
    return [
        {"pair": pair_of(one), "brackets": teller.world.catalog.brackets(one)}
        for one in teller.holdings.instruments(market)
        if params.get("pair", pair_of(one)) == pair_of(one)
    ]


# --- settings ---------------------------------------------------------------------------------------------


def set_leverage(teller: Teller, market: str, params: Params) -> Shape:
    instrument = teller.entry.instrument(market, params)
    text(params, "leverage")
    leverage, symbol = whole(params, "leverage") or 0, symbol_of(instrument.id)
    if not 1 <= leverage <= instrument.brackets[0].leverage_max:
        raise Refused(-4028, f"Leverage {leverage} is not valid")
    teller.set_leverage(instrument, leverage)
    most = digits(teller.holdings.value_max(instrument, leverage))
    return {
        "leverage": leverage,
        "maxQty" if market == "coinm" else "maxNotionalValue": most,
        "symbol": symbol,
    }


def set_margin_type(teller: Teller, market: str, params: Params) -> Shape:
    instrument, word = teller.entry.instrument(market, params), text(params, "marginType")
    isolated, symbol = teller.holdings.settings[market].isolated, symbol_of(instrument.id)
    if word not in ("ISOLATED", "CROSSED"):
        raise Refused(-1130, "Data sent for parameter 'marginType' is not valid.")
    if (word == "ISOLATED") == (symbol in isolated):
        raise Refused(-4046, "No need to change margin type.")
    if teller.world.wallets.position(instrument.id).qty != 0:
        raise Refused(-4048, "Margin type cannot be changed if there exists position.")
    isolated ^= {symbol}
    teller.streams.tell_margin_type(instrument, word)
    return _DONE


def position_mode(teller: Teller, market: str, params: Params) -> Shape:
    return {"dualSidePosition": teller.holdings.settings[market].dual_side}


def set_position_mode(teller: Teller, market: str, params: Params) -> Shape:
    settings, wanted = teller.holdings.settings[market], mandatory_flag(params, "dualSidePosition")
    if wanted == settings.dual_side:
        raise Refused(-4059, "No need to change position side.")
    if teller.history.open_orders(market):
        raise Refused(-4067, "Position side cannot be changed if there exists open orders.")
    if any(one.qty != 0 for one in teller.world.wallets.held(teller.world.account(market))):
        raise Refused(-4068, "Position side cannot be changed if there exists position.")
    settings.dual_side = wanted
    return _DONE


def multi_assets(teller: Teller, market: str, params: Params) -> Shape:
    return {"multiAssetsMargin": teller.holdings.settings[market].multi_assets}


def set_multi_assets(teller: Teller, market: str, params: Params) -> Shape:
    settings, wanted = teller.holdings.settings[market], mandatory_flag(params, "multiAssetsMargin")
    if wanted == settings.multi_assets:
        raise Refused(-4171, "No need to change Joint-Margin Mode.")
    settings.multi_assets = wanted
    teller.streams.tell_settings(market, {"ai": {"j": wanted}})
    return _DONE


def fee_burn(teller: Teller, market: str, params: Params) -> Shape:
    return {"feeBurn": teller.holdings.settings[market].fee_burn}


def bnb_burn(teller: Teller, market: str, params: Params) -> Shape:
    """Spot's: fees are paid in what is traded, which is how the simulated venue books them."""
    return {"spotBNBBurn": False, "interestBNBBurn": False}


# --- listen keys ------------------------------------------------------------------------------------------


def create_listen_key(teller: Teller, market: str, params: Params) -> Shape:
    return {"listenKey": teller.create_listen_key(market)}


def extend_listen_key(teller: Teller, market: str, params: Params) -> Shape:
    return {"listenKey": teller.extend_listen_key(market)}


def close_listen_key(teller: Teller, market: str, params: Params) -> Shape:
    teller.close_listen_key(market)
    return {}
