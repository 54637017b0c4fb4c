"""Our own books, kept from fills and payments only.

NAV is read elsewhere from the venue's statement (`views.nav`).  Here every change of NAV is posted to a
bucket from its own source, and none is computed as a difference, so that the sum of the buckets equals the
change of NAV exactly when, and only when, nothing was missed, doubled or altered:

=========== =================================================================================================
funding     funding payments, at the asset's price when paid
fees        fees, at the fee asset's price when paid
slippage    fills valued at the mid that the decision saw, minus what was paid
basis       everything that marks do to the legs of pairs, and the way from that mid to the mark
borrow      interest
collateral  price changes of coins that belong to no pair's spot leg: baseline margin, earned coins
quote_fx    changes of a quote currency against the NAV currency
adl         forced fills, price and fee
transfers   money moved in or out, and money that came into view: a later account, an asset's first price
=========== =================================================================================================

Prices of assets are in NAV currency.  Every function runs under the exact context: only births of prices
and of inverse costs round (`model.money`, `model.instrument`); products and sums here never do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from bot.core.orders import BrokenInvariant
from bot.model.facts import (
    ForcedFilled,
    FundingPaid,
    InsuranceCharged,
    InterestCharged,
    OrderFilled,
    PositionHeld,
    Transferred,
)
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import (
    Instrument,
    Position,
    after_fill,
    fill_cost,
    reference_per_qty,
    unrealised,
)
from bot.model.ledger import Ledger
from bot.model.money import ZERO
from bot.model.store import Store


def credit(ledger: Ledger, account: AccountId, asset: str, amount: Decimal) -> None:
    wallet = ledger.cash.setdefault(account, {})
    wallet[asset] = wallet.get(asset, ZERO) + amount


def price_of(ledger: Ledger, asset: str) -> Decimal:
    """An asset's price in NAV currency, where an order of ours made money of it: without one that is a broken
    invariant, because nothing may trade before every asset it touches has a price."""
    price = ledger.price.get(asset)
    if price is None:
        raise BrokenInvariant(f"ledger: {asset} has no price in NAV currency")
    return price


def _price_if_any(ledger: Ledger, asset: str) -> Decimal:
    """A venue may move money in an asset that nothing here prices: then the asset is no part of NAV, and what
    is moved in it is not either.  With its first price it comes into view as a transfer."""
    return ledger.price.get(asset, ZERO)


def asset_repriced(store: Store, asset: str, price: Decimal, by_fx: bool = False) -> None:
    """An asset's price changed: by its own market, or (``by_fx``) because its quote currency did."""
    ledger = store.ledger
    before = ledger.price.get(asset)
    ledger.price[asset] = price
    if not ledger.opened or before == price:
        return
    cash = sum((wallet.get(asset, ZERO) for wallet in ledger.cash.values()), ZERO)
    in_contracts = _unrealised_in(store, asset)
    if before is None:
        ledger.total.transfers += (cash + in_contracts) * price
        return
    change = price - before
    if by_fx:
        ledger.total.quote_fx += (cash + in_contracts) * change
        return
    in_pairs = spot_held(store, asset)
    ledger.total.basis += (in_pairs + in_contracts) * change
    ledger.total.collateral += (cash - in_pairs) * change


def instrument_remarked(store: Store, instrument: Instrument, mark: Decimal) -> None:
    """A contract's mark changed.  (A spot instrument's mark is its asset's price: `asset_repriced`.)"""
    ledger = store.ledger
    before = ledger.per_qty.get(instrument.id)
    after = reference_per_qty(instrument, mark)
    ledger.per_qty[instrument.id] = after
    held = ledger.positions.get(instrument.id)
    if not ledger.opened or held is None or held.qty == 0:
        return
    price = _price_if_any(ledger, instrument.margin_asset)
    worth = unrealised(instrument, held.qty, held.cost, after)
    if before is None:  # a position that stood there before its contract had a mark comes into view
        ledger.total.transfers += worth * price
        return
    ledger.total.basis += (worth - unrealised(instrument, held.qty, held.cost, before)) * price


def filled(store: Store, fact: OrderFilled, arrival_mid: Decimal) -> None:
    """Book a fill of ours: cash, position, fee, and where its effect on NAV belongs."""
    instrument = store.markets[fact.instrument].instrument
    qty = fact.qty * fact.side.sign
    cost = _book_fill(store, instrument, qty, fact)
    ledger = store.ledger
    settle_price = price_of(ledger, instrument.quote if instrument.is_spot else instrument.margin_asset)
    at_mid = unrealised(instrument, qty, cost, reference_per_qty(instrument, arrival_mid)) * settle_price
    ledger.total.slippage += at_mid
    ledger.total.basis += _value_at_mark(ledger, instrument, qty, cost) - at_mid
    ledger.total.fees -= fact.fee * _price_if_any(ledger, fact.fee_asset)


def forced(store: Store, fact: ForcedFilled) -> None:
    """Book a fill that no order of ours asked for: all of its effect is `adl`.  It may be the first that is
    told of its contract: then its price is the mark."""
    ledger, instrument = store.ledger, store.markets[fact.instrument].instrument
    if not instrument.is_spot and instrument.id not in ledger.per_qty:
        instrument_remarked(store, instrument, fact.price)
    qty = fact.qty * fact.side.sign
    cost = _book_fill(store, instrument, qty, fact)
    ledger.total.adl += _value_at_mark(ledger, instrument, qty, cost)
    ledger.total.adl -= fact.fee * _price_if_any(ledger, fact.fee_asset)


def funded(store: Store, fact: FundingPaid) -> None:
    account = store.markets[fact.instrument].instrument.account
    credit(store.ledger, account, fact.asset, fact.amount)
    store.ledger.total.funding += fact.amount * _price_if_any(store.ledger, fact.asset)


def charged(store: Store, fact: InterestCharged) -> None:
    credit(store.ledger, fact.account, fact.asset, -fact.amount)
    store.ledger.total.borrow -= fact.amount * _price_if_any(store.ledger, fact.asset)


def insured(store: Store, fact: InsuranceCharged) -> None:
    credit(store.ledger, fact.account, fact.asset, -fact.amount)
    store.ledger.total.adl -= fact.amount * _price_if_any(store.ledger, fact.asset)


def transferred(store: Store, fact: Transferred) -> None:
    """Somebody else's money may be of any asset: one without a price is no part of NAV."""
    credit(store.ledger, fact.account, fact.asset, fact.amount)
    price = store.ledger.price.get(fact.asset)
    if price is not None:
        store.ledger.total.transfers += fact.amount * price


def adopted(
    store: Store, account: AccountId, balances: Mapping[str, Decimal], positions: Iterable[PositionHeld]
) -> None:
    """Take a venue's statement of one wallet over as it stands; what it differs by was moved in or out.

    So enters a wallet that is told for the first time, and one whose past the venue has forgotten.
    """
    ledger = store.ledger
    before = ledger.cash.get(account, {})
    for asset in dict.fromkeys((*before, *balances)):
        moved = balances.get(asset, ZERO) - before.get(asset, ZERO)
        ledger.total.transfers += moved * ledger.price.get(asset, ZERO)
    ledger.cash[account] = dict(balances)
    held = {each.instrument: Position(each.qty, each.cost) for each in positions}
    known = [name for name in ledger.positions if account_of(name) == account]
    for name in dict.fromkeys((*known, *held)):
        adopted_contract(store, name, held.get(name, Position()))


def adopted_contract(store: Store, name: InstrumentId, come: Position) -> None:
    """Take a venue's statement of one contract over: what it was worth beyond ours was moved in or out."""
    if name in store.markets:
        ledger = store.ledger
        gone, ledger.positions[name] = ledger.positions.get(name, Position()), come
        ledger.total.transfers += _worth(store, name, come) - _worth(store, name, gone)


def _worth(store: Store, name: InstrumentId, position: Position) -> Decimal:
    """Unrealised profit of a position in NAV currency, nothing where the contract has no mark yet."""
    instrument = store.markets[name].instrument
    per_qty = store.ledger.per_qty.get(name)
    if position.qty == 0 or per_qty is None:
        return ZERO
    price = store.ledger.price.get(instrument.margin_asset, ZERO)
    return unrealised(instrument, position.qty, position.cost, per_qty) * price


def spot_held(store: Store, asset: str) -> Decimal:
    """Coins of ``asset`` that are spot legs of pairs."""
    total = ZERO
    for name in store.routes.held_in.get(asset, ()):
        for leg in store.pairs[name].legs:
            market = store.markets.get(leg.instrument)  # the other leg's venue may not have described it yet
            if market is not None and market.instrument.is_spot and market.instrument.base == asset:
                total += leg.position.qty
    return total


def _book_fill(
    store: Store, instrument: Instrument, qty: Decimal, fact: OrderFilled | ForcedFilled
) -> Decimal:
    """Move cash and position by a fill of signed ``qty``; returns its cost."""
    ledger, account = store.ledger, instrument.account
    cost = fill_cost(instrument, qty, fact.price)
    if instrument.is_spot:
        credit(ledger, account, instrument.base, qty)
        credit(ledger, account, instrument.quote, -cost)
    else:
        held = ledger.positions.get(instrument.id, Position())
        ledger.positions[instrument.id], realised = after_fill(instrument, held, qty, fact.price)
        credit(ledger, account, instrument.margin_asset, realised)
    credit(ledger, account, fact.fee_asset, -fact.fee)
    return cost


def _value_at_mark(ledger: Ledger, instrument: Instrument, qty: Decimal, cost: Decimal) -> Decimal:
    """What a fill did to NAV before its fee, with the position it made valued at the mark."""
    if instrument.is_spot:
        base, quote = (_price_if_any(ledger, asset) for asset in (instrument.base, instrument.quote))
        return qty * base - cost * quote
    value = unrealised(instrument, qty, cost, ledger.per_qty[instrument.id])
    return value * _price_if_any(ledger, instrument.margin_asset)


def _unrealised_in(store: Store, asset: str) -> Decimal:
    """Unrealised profit of all contracts that settle in ``asset``."""
    ledger, total = store.ledger, ZERO
    for name in store.routes.margined_in.get(asset, ()):
        held, per_qty = ledger.positions.get(name), ledger.per_qty.get(name)
        if held is not None and held.qty != 0 and per_qty is not None:
            instrument = store.markets[name].instrument
            total += unrealised(instrument, held.qty, held.cost, per_qty)
    return total
