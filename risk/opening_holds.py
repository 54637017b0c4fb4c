"""Holds of time, of margin and of others: late books, old rates, wallets that gave back, foreign orders.

A book's age counts from its receipt (`watch.feed_age_ns`) and from the venue's own time: a stream that is
seconds behind is never silent, and its prices are of the past.  What must stay true: a time that a venue does
not tell is not judged, and nothing here binds what shrinks.
"""

from __future__ import annotations

from bot.model.commands import MarginStage
from bot.model.config import Config
from bot.model.ids import InstrumentId
from bot.model.instrument import Kind
from bot.model.store import Account, Market
from bot.model.venue_settings import account_unfit, contract_unfit
from risk.hold import Hold

HOUR_NS = 3_600_000_000_000
INSIDE_NS = HOUR_NS  # inside the limits of what opens, before a wallet that gave back opens again


def of_times(config: Config, market: Market, at_ns: int, *, is_stale: bool) -> tuple[Hold, ...]:
    """What is late or old of one market; a silent feed has a hold of its own."""
    told_ns = market.book_venue_ns
    is_young = told_ns is None or at_ns - told_ns <= config.limits.feed_age_max_s * 1e9
    late = None if is_stale or is_young else feed_lag(config, market, at_ns)
    old = settled_rate_old(config, market, at_ns) if market.settled_ns else None
    if late is None and old is None:
        return ()
    return tuple(hold for hold in (late, old) if hold is not None)


def feed_lag(config: Config, market: Market, at_ns: int) -> Hold | None:
    """A book that came too long after the venue made it, or is too old by the venue's time.

    A book that lives is told at least once a heartbeat, so that much is no lag.
    """
    if market.book_venue_ns is None or not market.book_seen_ns or market.ended:
        return None
    limit_ns, age_ns = config.limits.feed_age_max_s * 1e9, at_ns - market.book_venue_ns
    # how long it was on its way, which a clock that is behind makes negative
    lag_ns = max(market.book_seen_ns - market.book_venue_ns, age_ns - int(config.strategy.heartbeat_s * 1e9))
    if lag_ns <= limit_ns:
        return None
    return Hold(
        "feed_lag", f"{market.instrument.id} {lag_ns / 1e9:.3f} s", f"{config.limits.feed_age_max_s:g} s"
    )


def leg_skew(config: Config, long: Market, short: Market) -> Hold | None:
    """Two books of which one comes much later than the other: their gap is between two moments.

    What is compared is how long each book was on its way.  A market that is quiet sends none, and its last
    one is still true, so the time between two books says nothing.
    """
    if long.book_venue_ns is None or short.book_venue_ns is None:
        return None
    long_ns, short_ns = long.book_seen_ns - long.book_venue_ns, short.book_seen_ns - short.book_venue_ns
    skew_ns, limit_s = abs(long_ns - short_ns), config.strategy.leg_skew_max_s
    if skew_ns <= limit_s * 1e9:
        return None
    return Hold("leg_skew", f"{skew_ns / 1e9:.3f} s", f"{limit_s:g} s")


def settled_rate_end_ns(config: Config, market: Market) -> int:
    """When a settled rate becomes too old to decide by; 0 where none is known, or none is asked for."""
    interval_h = market.funding_interval_h
    if not market.settled_ns or not interval_h or market.instrument.kind is not Kind.PERP:
        return 0
    return market.settled_ns + int(config.strategy.settled_rate_max_intervals * interval_h * HOUR_NS)


def settled_rate_old(config: Config, market: Market, at_ns: int) -> Hold | None:
    """A settled rate that carry would be decided by, and that later settlements must have replaced."""
    strategy = config.strategy
    if strategy.entry_carry_apr is None or strategy.expected_funding == "estimate":
        return None
    end_ns = settled_rate_end_ns(config, market)
    if not end_ns or at_ns <= end_ns:
        return None
    age_h = (at_ns - market.settled_ns) / HOUR_NS
    limit_h = strategy.settled_rate_max_intervals * market.funding_interval_h
    return Hold("settled_rate_old", f"{market.instrument.id} {age_h:.1f} h", f"{limit_h:g} h")


def deleveraged(account: Account, market: Market, at_ns: int) -> tuple[Hold, ...]:
    """A wallet that gives back margin, or was not inside the limits of what opens for an hour since."""
    if not account.deleveraged or market.instrument.is_spot:
        return ()
    asset = market.instrument.margin_asset
    state = account.deleveraged.get(asset)
    if state is None:
        return ()
    if state.stage is MarginStage.GIVING:
        return (Hold("deleveraging", f"{account.id} {asset} {state.rule} {state.value}", state.limit),)
    inside_ns = at_ns - state.since_ns if state.stage is MarginStage.INSIDE else 0
    if inside_ns >= INSIDE_NS:
        return ()
    value, limit = f"{account.id} {asset} {inside_ns / 1e9:.0f} s", f"{INSIDE_NS / 1e9:.0f} s"
    return (Hold("deleveraged", value, limit),)


def of_others(account: Account, instrument_id: InstrumentId) -> list[Hold]:
    """What somebody else has in an instrument of ours: an order of theirs can take a leg away, and a contract
    position of theirs is one with ours at the venue."""
    found = []
    held = account.baseline_positions.get(instrument_id)
    if held is not None and held.qty:
        found.append(Hold("baseline_position", instrument_id))
    found += [
        Hold("foreign_order", f"{instrument_id} {order.name}")
        for order in account.foreign
        if order.instrument == instrument_id
    ]
    return found


def of_settings(config: Config, market: Market, account: Account) -> tuple[Hold, ...]:
    """Settings at the venue that the bot does not trade under; what nobody told is not judged, since neither
    a simulated account nor one through ccxt ever tells any."""
    name = market.instrument.id
    found = tuple(Hold(one.code, account.id) for one in account_unfit(account.hedged, account.multi_assets))
    if market.leverage is None:
        return found
    unfit = contract_unfit(config, market.leverage, not market.isolated)
    return (
        found if unfit is None else (*found, Hold(unfit.code, f"{name} {unfit.value}".rstrip(), unfit.limit))
    )
