"""Accounts, balances, positions and settings as the venue writes them in answers.

Sources: response models of binance_sdk_spot 13.3.0, derivatives_trading_usds_futures 18.1.0 and
derivatives_trading_coin_futures 14.1.0 (2026-11-20).  What must stay true: every number is the holdings' own,
and what this venue does not have (isolated positions, fee tiers, BNB discounts) is stated as absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from adapters.rehearsal.auth import Permissions
from adapters.rehearsal.holdings import Held, Holdings, Purse
from adapters.rehearsal.shapes import Shape, coins
from bot.model.ids import symbol_of
from bot.model.instrument import Instrument
from bot.model.money import ZERO, text

_UID = 354937868
_BPS = 10_000


# --- spot -------------------------------------------------------------------------------------------------


def spot_account(
    balances: Iterable[tuple[str, Decimal, Decimal]],
    rates: tuple[Decimal, Decimal],
    at_ms: int,
    all_zero: bool,
) -> Shape:
    """``rates`` are the maker's and the taker's; ``all_zero`` keeps assets of which nothing is left."""
    maker, taker = rates
    return {
        "makerCommission": int(maker * _BPS),
        "takerCommission": int(taker * _BPS),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _commission(maker, taker),
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": at_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": coins(free), "locked": coins(locked)}
            for asset, free, locked in balances
            if all_zero or free + locked != 0
        ],
        "permissions": ["SPOT"],
        "uid": _UID,
    }


def spot_commission(instrument: Instrument) -> Shape:
    none = _commission(ZERO, ZERO)
    return {
        "symbol": symbol_of(instrument.id),
        "standardCommission": _commission(instrument.maker_rate, instrument.taker_rate),
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": coins(ZERO),
        },
    }


def trade_fee(instrument: Instrument) -> Shape:
    return {
        "symbol": symbol_of(instrument.id),
        "makerCommission": text(instrument.maker_rate),
        "takerCommission": text(instrument.taker_rate),
    }


def _commission(maker: Decimal, taker: Decimal) -> Shape:
    return {"maker": coins(maker), "taker": coins(taker), "buyer": coins(ZERO), "seller": coins(ZERO)}


def restrictions(permissions: Permissions, at_ms: int) -> Shape:
    """What the key may do: ``/sapi/v1/account/apiRestrictions``."""
    return {
        "ipRestrict": False,
        "createTime": at_ms,
        "enableReading": permissions.reading,
        "enableWithdrawals": permissions.withdrawals,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": permissions.futures,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": permissions.spot,
        "enablePortfolioMarginTrading": False,
    }


# --- futures ----------------------------------------------------------------------------------------------


def balance(market: str, purse: Purse, at_ms: int) -> Shape:
    """One row of ``/fapi/v3/balance`` or ``/dapi/v1/balance``."""
    shape: Shape = {
        "accountAlias": "SgsR",
        "asset": purse.asset,
        "balance": coins(purse.wallet),
        "crossWalletBalance": coins(purse.wallet),
        "crossUnPnl": coins(purse.unrealised),
        "availableBalance": coins(purse.available),
        "updateTime": at_ms,
    }
    if market == "coinm":
        return shape | {"withdrawAvailable": coins(min(purse.available, purse.wallet))}
    return shape | {"maxWithdrawAmount": coins(min(purse.available, purse.wallet)), "marginAvailable": True}


def _asset(purse: Purse, at_ms: int) -> Shape:
    return {
        "asset": purse.asset,
        "walletBalance": coins(purse.wallet),
        "unrealizedProfit": coins(purse.unrealised),
        "marginBalance": coins(purse.equity),
        "maintMargin": coins(purse.maintenance),
        "initialMargin": coins(purse.initial + purse.orders_initial),
        "positionInitialMargin": coins(purse.initial),
        "openOrderInitialMargin": coins(purse.orders_initial),
        "crossWalletBalance": coins(purse.wallet),
        "crossUnPnl": coins(purse.unrealised),
        "availableBalance": coins(purse.available),
        "maxWithdrawAmount": coins(min(purse.available, purse.wallet)),
        "updateTime": at_ms,
    }


def futures_account(market: str, version: int, holdings: Holdings, at_ms: int) -> Shape:
    """``/fapi/v2/account`` (version 2), ``/fapi/v3/account`` (3) and ``/dapi/v1/account`` (1)."""
    purses, held = holdings.purses(market), holdings.positions(market)
    settings = holdings.settings[market]
    shape: Shape = {"assets": [_asset(purse, at_ms) for purse in purses]}
    if version == 3:
        shape["positions"] = [_position_v3(one, at_ms) for one in held if _is_used(one)]
    else:
        isolated = settings.isolated
        shape["positions"] = [
            _position(market, one, symbol_of(one.instrument.id) in isolated, holdings, at_ms) for one in held
        ]
        shape |= {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": False,
            "updateTime": at_ms,
        }
    if market == "usdm":
        shape |= _totals([purse for purse in purses if purse.asset in ("USDT", "USDC")])
    if version == 2:
        shape |= {
            "feeBurn": settings.fee_burn,
            "multiAssetsMargin": settings.multi_assets,
            "tradeGroupId": -1,
        }
    return shape


def _totals(purses: list[Purse]) -> Shape:
    """Sums over the dollars of the account, each counted at par."""
    wallet = sum((one.wallet for one in purses), ZERO)
    profit = sum((one.unrealised for one in purses), ZERO)
    initial = sum((one.initial for one in purses), ZERO)
    orders_initial = sum((one.orders_initial for one in purses), ZERO)
    available = sum((one.available for one in purses), ZERO)
    return {
        "totalInitialMargin": coins(initial + orders_initial),
        "totalMaintMargin": coins(sum((one.maintenance for one in purses), ZERO)),
        "totalWalletBalance": coins(wallet),
        "totalUnrealizedProfit": coins(profit),
        "totalMarginBalance": coins(wallet + profit),
        "totalPositionInitialMargin": coins(initial),
        "totalOpenOrderInitialMargin": coins(orders_initial),
        "totalCrossWalletBalance": coins(wallet),
        "totalCrossUnPnl": coins(profit),
        "availableBalance": coins(available),
        "maxWithdrawAmount": coins(min(available, wallet)),
    }


def _is_used(held: Held) -> bool:
    return held.qty != 0 or held.orders_initial != 0


def _position(market: str, held: Held, isolated: bool, holdings: Holdings, at_ms: int) -> Shape:
    shape: Shape = {
        "symbol": symbol_of(held.instrument.id),
        "initialMargin": coins(held.initial + held.orders_initial),
        "maintMargin": coins(held.maintenance),
        "unrealizedProfit": coins(held.unrealised),
        "positionInitialMargin": coins(held.initial),
        "openOrderInitialMargin": coins(held.orders_initial),
        "leverage": str(held.leverage),
        "isolated": isolated,
        "entryPrice": text(held.entry),
        "breakEvenPrice": text(held.entry),
        "positionSide": "BOTH",
        "positionAmt": text(held.qty),
        "updateTime": at_ms,
    }
    most = holdings.value_max(held.instrument, held.leverage)
    if market == "coinm":
        return shape | {"maxQty": text(most), "notionalValue": coins(held.value)}
    return shape | {
        "maxNotional": text(most),
        "notional": coins(held.value),
        "bidNotional": text(held.bid_value),
        "askNotional": text(held.ask_value),
        "isolatedWallet": "0",
    }


def _position_v3(held: Held, at_ms: int) -> Shape:
    return {
        "symbol": symbol_of(held.instrument.id),
        "positionSide": "BOTH",
        "positionAmt": text(held.qty),
        "unrealizedProfit": coins(held.unrealised),
        "isolatedMargin": coins(ZERO),
        "notional": text(held.value),
        "isolatedWallet": "0",
        "initialMargin": coins(held.initial + held.orders_initial),
        "maintMargin": coins(held.maintenance),
        "updateTime": at_ms,
    }


def position_risk(market: str, version: int, held: Held, holdings: Holdings, at_ms: int) -> Shape:
    """``/fapi/v2|v3/positionRisk`` and ``/dapi/v1/positionRisk`` (version 1)."""
    symbol = symbol_of(held.instrument.id)
    shape: Shape = {
        "symbol": symbol,
        "positionSide": "BOTH",
        "positionAmt": text(held.qty),
        "entryPrice": text(held.entry),
        "breakEvenPrice": text(held.entry),
        "markPrice": coins(held.mark),
        "unRealizedProfit": coins(held.unrealised),
        "liquidationPrice": text(held.liquidation),
        "isolatedMargin": coins(ZERO),
        "updateTime": at_ms if held.qty != 0 else 0,
    }
    if version == 3:
        return shape | {
            "notional": coins(held.value),
            "marginAsset": held.instrument.margin_asset,
            "isolatedWallet": "0",
            "initialMargin": coins(held.initial + held.orders_initial),
            "maintMargin": coins(held.maintenance),
            "positionInitialMargin": coins(held.initial),
            "openOrderInitialMargin": coins(held.orders_initial),
            "adl": 1 if held.qty != 0 else 0,
            "bidNotional": text(held.bid_value),
            "askNotional": text(held.ask_value),
        }
    isolated = symbol in holdings.settings[market].isolated
    most = text(holdings.value_max(held.instrument, held.leverage))
    shape |= {
        "marginType": "isolated" if isolated else "cross",
        "isAutoAddMargin": "false",
        "leverage": str(held.leverage),
    }
    if market == "coinm":
        return shape | {"maxQty": most, "notionalValue": coins(held.value)}
    return shape | {"maxNotionalValue": most, "notional": coins(held.value), "isolatedWallet": "0"}


def symbol_config(held: Held, holdings: Holdings, market: str) -> Shape:
    symbol = symbol_of(held.instrument.id)
    return {
        "symbol": symbol,
        "marginType": "ISOLATED" if symbol in holdings.settings[market].isolated else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": held.leverage,
        "maxNotionalValue": text(holdings.value_max(held.instrument, held.leverage)),
    }
