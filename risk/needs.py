"""What a leg needs so that something can be closed in it.

Much binds what opens and never what shrinks: clock offset, feed lag, an account that was not compared,
orders of others, a missing mark, index or rate.  What is here binds both: without it an order has no price,
does not arrive, or is certain to be refused.
"""

from __future__ import annotations

from bot.model.facts import Channel
from bot.model.ids import InstrumentId, PairName
from bot.model.store import Account, Market, Store
from risk import limits as rules
from risk.exposure import config_of
from risk.hold import Hold
from risk.watch import feed_age_ns

ENDING = "DELISTING"  # the venue has announced the instrument's end; until then it takes orders


def exit_hold(store: Store, at_ns: int, instrument_id: InstrumentId) -> Hold | None:
    """Why nothing can be closed in an instrument now, or ``None``."""
    market = store.markets.get(instrument_id)
    if market is None:
        return Hold("no_book", f"{instrument_id} is not listed")
    if market.status not in ("", ENDING):
        return Hold("not_trading", f"{instrument_id} {market.status}")
    account = store.accounts.get(market.instrument.account)
    held = _account_hold(at_ns, market, account) if account is not None else None
    return held or _book_hold(store, at_ns, market, config_of(store).exit.feed_age_max_s)


def doubt(store: Store, at_ns: int, instrument_id: InstrumentId) -> Hold | None:
    """Why a book that is young enough to close by may yet not be the venue's: an order that was fruitless
    was perhaps priced by the past."""
    market = store.markets[instrument_id]
    account = store.accounts.get(market.instrument.account)
    if account is not None and Channel.MARKET in account.lost:
        return Hold("channel_lost", f"{account.id} {Channel.MARKET.value}")
    return _book_hold(store, at_ns, market, config_of(store).limits.feed_age_max_s)


def _account_hold(at_ns: int, market: Market, account: Account) -> Hold | None:
    if Channel.ORDERS in account.lost:
        return Hold("channel_lost", f"{account.id} {Channel.ORDERS.value}")
    if at_ns < account.throttled_ns:
        return Hold("throttled", f"{account.id} {(account.throttled_ns - at_ns) / 1e9:.0f} s")
    if account.hedged and not market.instrument.is_spot:
        return Hold("hedge_mode", account.id)
    return None


def _book_hold(store: Store, at_ns: int, market: Market, age_max_s: float) -> Hold | None:
    name = market.instrument.id
    if market.ended:
        return Hold("feed_ended", name)
    if market.gapped:
        return Hold("gap", name)
    if not market.bids or not market.asks:
        return Hold("no_book", name)
    if market.bids[0][0] > market.asks[0][0]:
        return Hold("crossed_book", name)
    stale = rules.feed_age(age_max_s, PairName(""), feed_age_ns(store, market, at_ns))
    return Hold("stale_feed", f"{name} {stale.value}", stale.limit) if stale is not None else None
