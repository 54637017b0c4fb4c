"""Questions over the store.  Nothing here writes, and nothing here decides."""

from __future__ import annotations

from decimal import Decimal

from bot.model.facts import Channel
from bot.model.instrument import notional_quote as contract_notional
from bot.model.instrument import unrealised
from bot.model.money import HALF, ZERO, exact_arithmetic, exact_price
from bot.model.pair import Role
from bot.model.store import Market, Pair, Store
from bot.quant.basis import walk_quote


def mid(market: Market) -> Decimal | None:
    """Middle of the book's touch, exactly; ``None`` without a two-sided book."""
    if not market.bids or not market.asks:
        return None
    return (exact_price(market.bids[0][0]) + exact_price(market.asks[0][0])) * HALF


def quote_rate(store: Store, quote: str, wanted: str) -> float | None:
    """Units of ``wanted`` for one unit of ``quote``; 1 for the same currency, ``None`` when it is not
    known."""
    if quote == wanted:
        return 1.0
    rate = store.rates.get(f"{quote}/{wanted}")
    if rate is not None:
        return float(rate)
    inverse = store.rates.get(f"{wanted}/{quote}")
    return None if inverse is None else 1.0 / float(inverse)


def pair_rate(store: Store, pair: Pair) -> float | None:
    """What one unit of the short leg's quote currency is worth in the long leg's."""
    long, short = store.markets[pair.spec.long].instrument, store.markets[pair.spec.short].instrument
    return quote_rate(store, short.quote, long.quote)


def gap_bps(store: Store, pair: Pair, clip_quote: float, opening: bool) -> float | None:
    """Executable price gap of a clip: opening sells the short leg over the ask of the long one, closing buys
    the short leg over the bid of the long one.  ``None`` when a ladder is too thin or a rate unknown."""
    rate = pair_rate(store, pair)
    long, short = store.markets[pair.spec.long], store.markets[pair.spec.short]
    long_walk = walk_quote(long.asks if opening else long.bids, clip_quote)
    short_walk = walk_quote(short.bids if opening else short.asks, clip_quote)
    if rate is None or long_walk is None or short_walk is None:
        return None
    return (short_walk[0] * rate / long_walk[0] - 1.0) * 1e4


def nav(store: Store) -> Decimal | None:
    """Net asset value in NAV currency, from the venue's statement alone: wallet balances plus unrealised
    profit of positions at their marks.  ``None`` while an account or a price is missing.

    Only assets and positions that a configured instrument trades, earns or is priced in are counted.
    """
    ledger, total = store.ledger, ZERO
    with exact_arithmetic():
        for account_id in store.routes.accounts:
            account = store.accounts[account_id]
            if account.baseline is None:
                return None
            for asset, balance in account.balances.items():
                price = ledger.price.get(asset)
                if price is not None:
                    total += balance * price
                elif asset in store.routes.priced_by:
                    return None
            for instrument_id, held in account.positions.items():
                if held.qty == 0 or instrument_id not in store.markets:
                    continue
                instrument = store.markets[instrument_id].instrument
                per_qty, price = ledger.per_qty.get(instrument_id), ledger.price.get(instrument.margin_asset)
                if per_qty is None or price is None:
                    return None
                total += unrealised(instrument, held.qty, held.cost, per_qty) * price
    return total


def residual(store: Store) -> Decimal | None:
    """Change of NAV that no posting explains: zero, or a fill or payment is missing, doubled or wrong."""
    now = nav(store)
    if now is None or not store.ledger.opened:
        return None
    with exact_arithmetic():
        return now - store.ledger.start_nav - store.ledger.total.total()


def whole_residual(store: Store) -> Decimal | None:
    """The residual, where the venue's statements are whole; ``None`` where they are not, or it is not known.

    A statement is whole when its private channel is open and it was compared since money last moved on it.
    Before that it may be ahead of the fill or the payment that explains it, or behind: a settlement moves a
    wallet seconds before the venue lists the payment.
    """
    for name in store.routes.accounts:
        account = store.accounts[name]
        if account.moved or not account.reported_ns or Channel.PRIVATE in account.lost:
            return None
    return residual(store)


def notional_quote(market: Market, qty: Decimal) -> Decimal | None:
    """Absolute value of ``qty`` at the mark, in the instrument's quote currency; ``None`` where a mark is
    needed and not known."""
    if market.mark is None and not market.instrument.inverse:
        return None
    return abs(contract_notional(market.instrument, qty, market.mark or ZERO))


def at_rest(store: Store) -> bool:
    """Whether a run could end now: no order lives, and no pair is naked."""
    if store.live:
        return False
    return not any(pair.naked_ns for pair in store.pairs.values())


def leg_market(store: Store, pair: Pair, role: Role) -> Market:
    return store.markets[pair.spec.instrument(role)]
