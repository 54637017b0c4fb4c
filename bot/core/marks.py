"""How prices enter the store: books, marks, indexes and rates, and what stands in where one is missing.

A spot instrument's mark is its own mid, by definition.  A contract's mark and index come from its venue's
stream; where the recording has no such stream, ``paper_reference`` names the stand-in, and without one they
stay unknown and every opening order is refused.  A stand-in never replaces a price that the stream gave.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import ledger, views
from bot.model.facts import BookSeen, FundingEstimated, FundingSettled, MarkSeen, RateSeen
from bot.model.ids import InstrumentId
from bot.model.money import ONE, REFERENCE_QUANTUM, divide
from bot.model.store import Market, Store, keep_index
from bot.quant.funding import NEAR_NS, fits_interval, follows_h, is_on_grid


def fold_book(store: Store, fact: BookSeen) -> None:
    market = store.markets[fact.instrument]
    market.bids, market.asks = fact.bids, fact.asks
    market.book_venue_ns, market.book_seen_ns = fact.venue_ns, fact.seen_ns
    market.heard_ns = max(market.heard_ns, fact.seen_ns)
    market.gapped = False
    middle = views.mid(market)
    if middle is None:
        return
    by_mid = store.config is not None and store.config.paper_reference == "mid"
    if market.instrument.is_spot:
        _set_mark(store, market, middle)
        if by_mid:
            _index_from_spot(store, market, middle, fact.seen_ns)
    elif by_mid and market.mark_seen_ns == 0:
        _set_mark(store, market, middle)


def is_back(store: Store, fact: BookSeen) -> bool:
    """Whether a book can be believed that could not be before: it was bridged, or heard again."""
    market, config = store.markets[fact.instrument], store.config
    age_max_s = config.limits.feed_age_max_s + config.strategy.heartbeat_s if config is not None else 0.0
    return market.gapped or fact.seen_ns - market.book_seen_ns > age_max_s * 1e9


def fold_mark(store: Store, fact: MarkSeen) -> None:
    market = store.markets[fact.instrument]
    market.mark_seen_ns = fact.seen_ns
    market.heard_ns = max(market.heard_ns, fact.seen_ns)
    mark, index = fact.mark, fact.index
    reference = store.config.paper_reference if store.config else "none"
    if mark is None and reference == "index":
        mark = index
    if index is None and reference == "mark":
        index = mark
    if mark is not None:
        _set_mark(store, market, mark)
    if index is None and reference == "mid" and not market.instrument.is_spot:
        _index_by_mid(store, market, fact.seen_ns)
    if index is not None:
        _set_index(market, index, fact.seen_ns)
        _index_to_spot(store, market, index, fact.seen_ns)


def fold_estimate(store: Store, fact: FundingEstimated) -> None:
    """The running rate, and what the announced settlement says of the funding interval.

    Two settlements that follow each other tell it at once, whatever is listed.  One that is announced anew
    before it is due, or is further away than the interval, puts the interval in doubt.
    """
    market = store.markets[fact.instrument]
    before_ns, next_ns, at_ns = market.funding_next_ns, fact.next_ns, fact.venue_ns or fact.seen_ns
    listed_h = market.announced_h or market.instrument.funding_interval_h
    is_new = before_ns != 0 and abs(next_ns - before_ns) > NEAR_NS
    if is_new and (hours := follows_h(before_ns, next_ns, at_ns)):
        market.announced_h, market.interval_doubt = hours, False
    elif listed_h and next_ns > at_ns:
        is_early = is_new and at_ns < before_ns - NEAR_NS
        if is_early:
            market.interval_doubt = not is_on_grid(next_ns, listed_h)
        market.interval_doubt |= not fits_interval(next_ns, listed_h, at_ns)
    market.funding_rate, market.funding_next_ns = fact.rate, next_ns
    market.heard_ns = max(market.heard_ns, fact.seen_ns)


def fold_interval(store: Store, market: Market, listed_h: int) -> None:
    """The venue lists another interval than before: it is the newer word."""
    market.announced_h = 0
    market.interval_doubt = bool(listed_h) and not fits_interval(
        market.funding_next_ns, listed_h, store.now_ns
    )


def fold_settled(store: Store, fact: FundingSettled) -> None:
    """A settlement is kept by its time, whenever it is told; one of another's contract is passed over."""
    market = store.markets.get(fact.instrument)
    if market is None:
        return
    market.settlements.keep(fact.settled_ns, float(fact.rate))
    if fact.settled_ns >= market.settled_ns:
        market.settled_rate, market.settled_ns = fact.rate, fact.settled_ns


def fold_rate(store: Store, fact: RateSeen) -> None:
    """A cash rate: the NAV currency's counterpart gets a price, and so does everything quoted in it."""
    store.rates[f"{fact.base}/{fact.quote}"] = fact.rate
    nav_currency = store.config.nav_currency if store.config else ""
    if fact.quote == nav_currency:
        asset, price = fact.base, fact.rate
    elif fact.base == nav_currency:
        asset, price = fact.quote, divide(ONE, fact.rate, REFERENCE_QUANTUM)
    else:
        return
    ledger.asset_repriced(store, asset, price, by_fx=True)
    for base, source in store.routes.priced_by.items():
        market = store.markets[source]
        if market.instrument.quote == asset and base != asset:
            _price_asset(store, market, by_fx=True)


def _set_mark(store: Store, market: Market, mark: Decimal) -> None:
    if market.mark != mark:
        keep_index(store).changed_instruments[market.instrument.id] = None
    market.mark = mark
    if not market.instrument.is_spot:
        ledger.instrument_remarked(store, market.instrument, mark)
    if store.routes.priced_by.get(market.instrument.base) == market.instrument.id:
        _price_asset(store, market, by_fx=False)


def _set_index(market: Market, index: Decimal, seen_ns: int) -> None:
    market.index, market.index_ns = index, seen_ns


def _price_asset(store: Store, market: Market, by_fx: bool) -> None:
    quote_price = store.ledger.price.get(market.instrument.quote)
    if quote_price is not None and market.mark is not None:
        ledger.asset_repriced(store, market.instrument.base, market.mark * quote_price, by_fx)


def _others(store: Store, instrument: InstrumentId) -> list[Market]:
    """The markets that stand opposite an instrument in pairs."""
    found = []
    for name in store.routes.pairs_of.get(instrument, ()):
        spec = store.pairs[name].spec
        other = spec.short if spec.long == instrument else spec.long
        if other in store.markets:
            found.append(store.markets[other])
    return found


def _index_from_spot(store: Store, spot: Market, middle: Decimal, seen_ns: int) -> None:
    """The spot leg's mid stands in for the index of contracts whose stream has none, and for its own."""
    others = _others(store, spot.instrument.id)
    for other in others:
        if other.index is not None and other.mark_seen_ns:
            break
    else:
        _set_index(spot, middle, seen_ns)
    for other in others:
        if other.mark_seen_ns == 0 and not other.instrument.is_spot:
            rate = views.quote_rate(store, spot.instrument.quote, other.instrument.quote)
            if rate is not None:
                _set_index(other, middle * Decimal(repr(rate)), seen_ns)


def _index_by_mid(store: Store, contract: Market, seen_ns: int) -> None:
    """The same for a contract whose stream has marks alone, whenever it says one."""
    for spot in _others(store, contract.instrument.id):
        middle = views.mid(spot)
        if not spot.instrument.is_spot or middle is None:
            continue
        rate = views.quote_rate(store, spot.instrument.quote, contract.instrument.quote)
        if rate is not None:
            _set_index(contract, middle * Decimal(repr(rate)), seen_ns)
        if spot.index is None or len(_others(store, spot.instrument.id)) == 1:
            _set_index(spot, middle, seen_ns)
        return


def _index_to_spot(store: Store, contract: Market, index: Decimal, seen_ns: int) -> None:
    """A contract's index is its spot leg's too; a contract of the same quote currency has precedence."""
    for other in _others(store, contract.instrument.id):
        if not other.instrument.is_spot:
            continue
        if other.instrument.quote == contract.instrument.quote:
            _set_index(other, index, seen_ns)
        elif not any(
            peer.instrument.quote == other.instrument.quote and peer.index is not None
            for peer in _others(store, other.instrument.id)
        ):
            rate = views.quote_rate(store, contract.instrument.quote, other.instrument.quote)
            if rate is not None:
                _set_index(other, index * Decimal(repr(rate)), seen_ns)
