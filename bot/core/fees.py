"""What fees are paid in, as far as fills and the account's settings tell.

Spot takes its fee from what is received, or from a coin of its own (BNB at Binance) while the account holds
some, or from quote currency; the last fee paid on each side of a market says which.  A setting that is told
anew, and a fee coin that is used up or bought, go before what fills said earlier.

Part of `bot.core.fold`.  What must stay true: `risk.tradable.base_fee_rate` reads what is written here, and
nobody else says what a purchase keeps.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.facts import FeeAssetSet, ForcedFilled, OrderFilled
from bot.model.instrument import Instrument, Side
from bot.model.money import ZERO
from bot.model.store import Account, Market, Store, keep_index
from risk.fee_coin import DAY_H, HOUR_NS


def paid(store: Store, fact: OrderFilled | ForcedFilled) -> None:
    """A fee that was paid says what the next one is paid in, and takes from the stock of a fee coin."""
    if not fact.fee:
        return
    market = store.markets[fact.instrument]
    if market.instrument.is_spot:
        _learn(store, market, {**market.fee_assets, fact.side: fact.fee_asset})
    if not _is_apart(market.instrument, fact.fee_asset):
        return
    account, hour = store.accounts[market.instrument.account], fact.venue_ns // HOUR_NS
    _name(account, fact.fee_asset)
    hours = account.fee_coin_hours
    hours[hour] = hours.get(hour, ZERO) + fact.fee
    for old in [each for each in hours if each <= max(hours) - DAY_H]:
        del hours[old]


def told(store: Store, fact: FeeAssetSet) -> None:
    """The account's setting became known, or was changed."""
    market = store.markets[fact.instrument]
    if market.fee_coin == fact.asset:
        return
    market.fee_coin = fact.asset
    account = store.accounts[market.instrument.account]
    if fact.asset and _is_apart(market.instrument, fact.asset):
        _name(account, fact.asset)
    _expect(store, market, account)


def moved(store: Store, account: Account, before: dict[str, Decimal]) -> None:
    """Balances were told, which were ``before``: a fee coin that is used up pays no fees, and one that was
    bought does."""
    for market in store.markets.values():
        if market.instrument.account != account.id or not market.instrument.is_spot:
            continue
        for asset in dict.fromkeys((market.fee_coin or "", *market.fee_assets.values())):
            was, is_there = before.get(asset, ZERO) > 0, account.balances.get(asset, ZERO) > 0
            if was != is_there and _is_apart(market.instrument, asset):
                _expect(store, market, account)


def _expect(store: Store, market: Market, account: Account) -> None:
    """What the next fees are paid in, before a fill says so."""
    coin = market.fee_coin
    has_coin = bool(coin) and account.balances.get(coin or "", ZERO) > 0
    _learn(
        store, market, dict.fromkeys(Side, coin) if coin and has_coin and market.instrument.is_spot else {}
    )


def _learn(store: Store, market: Market, assets: dict[Side, str]) -> None:
    """What is bought along, and what living purchases spend, follows."""
    if market.fee_assets != assets:
        market.fee_assets = assets
        for name in store.routes.pairs_of.get(market.instrument.id, ()):
            keep_index(store).mark_pair(name)


def _is_apart(instrument: Instrument, asset: str) -> bool:
    """Whether an asset is none of those that the instrument is traded in."""
    return asset not in (instrument.base, instrument.quote, instrument.margin_asset)


def _name(account: Account, coin: str) -> None:
    if account.fee_coin != coin:
        account.fee_coin, account.fee_coin_hours = coin, {}
