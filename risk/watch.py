"""What binds a pair at this moment: holds, which clear themselves, and modes, which do not.

A *hold* is a reason not to open anything now: a feed that is silent, an order nobody vouches for, an
account that has not been compared. Holds are recomputed from the store whenever they are asked for and
stored nowhere.

A *mode* is latched. The program moves it only to the right, and moves it by itself in two cases: a limit
that a price, an adoption or a new setting has passed binds the pair to REDUCE_ONLY, and a pair that is
FLATTENING and flat is HALTED.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import SetMode
from bot.model.config import Config, Limits
from bot.model.facts import Channel
from bot.model.ids import InstrumentId, PairName, account_of
from bot.model.index import Index, Wallet
from bot.model.instrument import Kind, unlike
from bot.model.money import ZERO
from bot.model.pair import Mode, PairState, Purpose
from bot.model.store import Account, Market, OrderState, Pair, Store, indexed, live_orders_of
from risk import limits as rules
from risk import opening_holds, ownership
from risk.exposure import config_of, has_rate
from risk.hold import Hold
from risk.limits import Refused
from risk.margin import INFINITE, MarginState, account_margin
from risk.parts import DELTA, GROSS, NEAR, NEARLY, LimitKey, wallets_of
from risk.shares import MarginTotals
from risk.totals import News, Totals, near_totals

# Purposes a mode lets through.  In REDUCE_ONLY and FLATTENING the guard also asks that the group shrinks.
ALLOWED: dict[Mode, frozenset[Purpose]] = {
    Mode.ACTIVE: frozenset(Purpose),
    Mode.PAUSED: frozenset((Purpose.EXIT, Purpose.DRIFT, Purpose.REPAIR, Purpose.UNWIND)),
    Mode.REDUCE_ONLY: frozenset((Purpose.EXIT, Purpose.DRIFT, Purpose.REPAIR, Purpose.UNWIND)),
    Mode.FLATTENING: frozenset((Purpose.EXIT, Purpose.REPAIR, Purpose.UNWIND)),
    Mode.HALTED: frozenset(),
}

_UNCERTAIN = OrderState.UNCERTAIN
_FREE = (Mode.ACTIVE, Mode.PAUSED)

COMPARING_NS = 30_000_000_000  # for the questions of one comparison, and for the next after one that failed
FLAT = "flat"  # why what was flattened is halted
BEYOND = " is beyond "
PASSABLE = (  # rules of limits that can be passed without an order of ours
    "pair_notional", "gross_notional", "net_delta", "venue_notional", "liquidation_distance", "leverage",
    "margin_ratio",
)  # fmt: skip


class Watched:
    """Which pairs are there at all, which wallets have passed a limit, and which pairs may still be bound by
    each limit that several have a part in: what is bound leaves it, so that a limit that stays passed costs
    nothing."""

    def __init__(self) -> None:
        self.present: dict[PairName, None] = {}
        self.wallets: dict[LimitKey, None] = {}
        self._book: Totals | None = None  # the sums that `is_far` answered for last
        self._changes, self._is_far = 0, False
        self._limits_of: dict[PairName, tuple[LimitKey, ...]] = {}
        self._pairs_of: dict[LimitKey, dict[PairName, None]] = {}

    def follow(self, store: Store, book: Totals, news: News) -> None:
        """Take in what has changed."""
        for name in news.pairs:
            pair = store.pairs[name]
            if _is_gone(store, pair):
                self.present.pop(name, None)
            else:
                self.present[name] = None
            self._put(name, book.parts[name].limits if effective_mode(store, pair) in _FREE else ())
        for wallet in news.wallets:
            if _is_passed(config_of(store).limits, book.margin(store, wallet)):
                self.wallets[wallet] = None
            elif self.wallets:
                self.wallets.pop(wallet, None)

    def _put(self, name: PairName, limits: tuple[LimitKey, ...]) -> None:
        before = self._limits_of.get(name, ())
        if before == limits:
            return
        for key in before:
            del self._pairs_of[key][name]
        for key in limits:
            self._pairs_of.setdefault(key, {})[name] = None
        self._limits_of[name] = limits

    def is_far(self, limits: Limits, book: Totals) -> bool:
        """Whether no limit on notional or delta is passed at any prices near those of the sums."""
        if self._book is not book or self._changes != book.changes:
            self._book, self._changes, self._is_far = book, book.changes, _is_far(limits, book)
        return self._is_far

    def bound_by(self, passed: list[LimitKey]) -> dict[PairName, None]:
        """The pairs that have a part in one of these limits and are free."""
        return {name: None for key in passed for name in self._pairs_of.get(key, ())}


# --- holds ------------------------------------------------------------------------------------------------


def holds(store: Store, at_ns: int, pair: Pair) -> tuple[Hold, ...]:
    """Every reason why this pair may not open now, its long leg's first."""
    found = leg_holds(store, at_ns, pair.spec.long) + leg_holds(store, at_ns, pair.spec.short)
    long, short = store.markets.get(pair.spec.long), store.markets.get(pair.spec.short)
    if long is not None and short is not None and (what := unlike(long.instrument, short.instrument)):
        found += (Hold("base_differs", what),)
    taken = ownership.rival(store, pair)
    if taken is not None:
        found += (Hold("contract_of_open_pair", taken[1]),)
    if store.config is not None and long is not None and short is not None:
        skew = opening_holds.leg_skew(store.config, long, short)
        found = found if skew is None else (*found, skew)
    if store.stopping:
        found += (Hold("stopping", store.stopping),)
    for order in live_orders_of(store, pair):
        if order.state is _UNCERTAIN:
            found += (Hold("uncertain_order", order.client_id),)
    return found


def leg_holds(store: Store, at_ns: int, instrument_id: InstrumentId) -> tuple[Hold, ...]:
    """Reasons that lie with one instrument: its feed, its prices, its account."""
    if store.config is None:
        return (Hold("no_config"),)
    market = store.markets.get(instrument_id)
    if market is None:
        return (Hold("no_book", f"{instrument_id} is not listed"),)
    config, limits, found = store.config, store.config.limits, []
    stale = rules.feed_age(limits.feed_age_max_s, PairName(""), feed_age_ns(store, market, at_ns))
    if market.ended:
        found.append(Hold("feed_ended", instrument_id))
    elif stale is not None:
        found.append(Hold("stale_feed", f"{instrument_id} {stale.value}", stale.limit))
    found += opening_holds.of_times(config, market, at_ns, is_stale=stale is not None)
    if market.gapped:
        found.append(Hold("gap", instrument_id))
    if market.status:
        found.append(Hold("not_trading", f"{instrument_id} {market.status}"))
    if not market.bids or not market.asks:
        found.append(Hold("no_book", instrument_id))
    elif market.bids[0][0] > market.asks[0][0]:
        found.append(Hold("crossed_book", instrument_id))
    if market.mark is None:
        found.append(Hold("no_mark", instrument_id))
    if market.index is None:
        found.append(Hold("no_index", instrument_id))
    if market.mark_seen_ns and stale is None and not market.ended:
        # a stream that gave a mark is told at least once a heartbeat, as books are
        age_ns = at_ns - market.mark_seen_ns - int(config.strategy.heartbeat_s * 1e9)
        stale = rules.feed_age(limits.feed_age_max_s, PairName(""), age_ns)
        if stale is not None:
            found.append(Hold("stale_mark", f"{instrument_id} {stale.value}", stale.limit))
    if market.instrument.kind is Kind.PERP and not market.funding_interval_h:
        found.append(Hold("interval_in_doubt", instrument_id))
    if market.instrument.quote != config.nav_currency and not has_rate(store, market.instrument.quote):
        found.append(Hold("missing_rate", f"{market.instrument.quote}/{config.nav_currency}"))
    account_id = account_of(instrument_id)
    account = store.accounts.get(account_id)
    if account is None:
        found.append(Hold("not_reconciled", account_id))
        return tuple(found)
    if account.lost:
        found.append(Hold("channel_lost", f"{account_id} {' '.join(one.value for one in account.lost)}"))
    found += agreement_holds(config, account, at_ns)
    if at_ns < account.throttled_ns:
        left_s = (account.throttled_ns - at_ns) / 1e9
        found.append(Hold("throttled", f"{account_id} {left_s:.0f} s"))
    if (
        account.hedged
        or account.multi_assets
        or market.leverage is not None
        or account.foreign
        or account.baseline_positions
        or account.deleveraged
    ):
        found += _rare_holds(store, market, account, at_ns)
    offset = rules.clock_offset(limits, PairName(""), account.offset_ns) if account.offset_ns else None
    if offset is not None:
        found.append(Hold("clock_offset", f"{account_id} {offset.value}", offset.limit))
    return tuple(found)


def feed_age_ns(store: Store, market: Market, at_ns: int) -> int:
    """Age of what is known of an instrument's book; 0 where it was never heard: that it has no book says
    so."""
    book_ns, heard_ns = market.book_seen_ns, market.heard_ns
    heard_ns = max(heard_ns, book_ns)
    age_ns = at_ns - heard_ns if heard_ns else 0
    if heard_ns != book_ns and book_ns and not market.gapped:
        # other streams of a feed may live on: a book that lives and has no gap is told once a heartbeat
        heartbeat_ns = int(config_of(store).strategy.heartbeat_s * 1e9)
        age_ns = max(age_ns, at_ns - book_ns - heartbeat_ns)
    return age_ns


def agreement_limit_ns(config: Config) -> int:
    """How old an agreement of an account with its ledger may be: one comparison may fail, and takes its
    time."""
    return int(2e9 * config.strategy.reconcile_s) + COMPARING_NS


def agreement_holds(config: Config, account: Account, at_ns: int) -> tuple[Hold, ...]:
    """An account that differs, was not compared since boot, or whose last agreement is too old."""
    age_ns, limit_ns = at_ns - account.agreed_ns, agreement_limit_ns(config)
    if account.reconciled and age_ns > limit_ns:
        return (Hold("not_reconciled", f"{account.id} {age_ns / 1e9:.0f} s", f"{limit_ns / 1e9:.0f} s"),)
    return () if account.reconciled else (Hold("not_reconciled", account.id),)


def is_overdue(store: Store, account: Account, at_ns: int) -> bool:
    """Whether an account should have been compared whole by now, and nothing known says why it was not."""
    is_deaf = any(channel is not Channel.MARKET for channel in account.lost)
    if account.baseline is None or is_deaf:
        return False
    since_ns = max(account.agreed_ns, store.boots_ns[-1] if store.boots_ns else 0, account.throttled_ns)
    return at_ns - since_ns > agreement_limit_ns(config_of(store))


def _rare_holds(store: Store, market: Market, account: Account, at_ns: int) -> list[Hold]:
    """Settings at the venue, orders and positions of others, a wallet that gave back: few accounts have
    any."""
    return [
        *opening_holds.of_settings(config_of(store), market, account),
        *opening_holds.of_others(account, market.instrument.id),
        *opening_holds.deleveraged(account, market, at_ns),
    ]


# --- modes ------------------------------------------------------------------------------------------------


def effective_mode(store: Store, pair: Pair) -> Mode:
    """The more bound of the pair's own mode and everything's."""
    if store.mode is pair.mode or pair.mode is Mode.ACTIVE:
        return store.mode
    if store.mode is Mode.ACTIVE:
        return pair.mode
    return pair.mode if pair.mode.rank > store.mode.rank else store.mode


def binding_mode(store: Store, pair: Pair) -> Mode:
    """The mode that a pair's orders are judged by: one that has left the settings only becomes smaller."""
    mode = effective_mode(store, pair)
    return Mode.REDUCE_ONLY if not pair.in_config and mode in _FREE else mode


def passed_rule(pair: Pair) -> str:
    """The rule whose limit bound the pair to REDUCE_ONLY, until its mode is changed; empty where none did."""
    rule = pair.mode_reason.partition(" ")[0]
    is_bound = pair.mode is Mode.REDUCE_ONLY and rule in PASSABLE and BEYOND in pair.mode_reason
    return rule if is_bound else ""


def mode_changes(store: Store, at_ns: int) -> tuple[SetMode, ...]:
    """Changes of mode that this state calls for; nothing for what is latched already.

    Only pairs that have changed, or that a passed limit concerns, are looked at: the others' modes were
    right.
    """
    if store.config is None:
        return ()
    out: list[SetMode] = []
    index, book = indexed(store), near_totals(store)
    watched = index.watched
    if not isinstance(watched, Watched):
        watched = index.watched = Watched()
    if book.deferred and (index.naked or not watched.is_far(store.config.limits, book)):
        book.catch_up(store)
    news = book.take_news()
    if not (news.pairs or news.priced or news.wallets or index.naked):
        return ()
    watched.follow(store, book, news)
    if not (news.pairs or news.priced or index.naked or watched.wallets):
        return ()
    for pair in _in_order(store, index, news.pairs):
        if effective_mode(store, pair) is Mode.HALTED:
            continue
        if pair.mode is Mode.FLATTENING and _is_gone(store, pair):
            out.append(SetMode(pair.spec.name, Mode.HALTED, FLAT))
    if store.mode is Mode.FLATTENING and not watched.present:
        out.append(SetMode("*", Mode.HALTED, FLAT))
    delta = _settled_delta(store, index, book, at_ns) if index.naked else book.held.delta
    suspects = watched.bound_by([*_passed(store, book, delta), *watched.wallets])
    largest = store.config.limits.pair_notional_max_quote
    for names in (news.pairs, news.priced):
        for name in names:
            held = book.parts[name].held
            if held is not None and held.notional > largest:
                suspects[name] = None
    if suspects:
        _bind(store, book, delta, _in_order(store, index, suspects), out)
    return tuple(out)


def _in_order(store: Store, index: Index, names: dict[PairName, None]) -> list[Pair]:
    """Pairs in the order of the store's, which is that of the commands about them."""
    return [store.pairs[name] for name in sorted(names, key=index.place_of.__getitem__)]


def _is_gone(store: Store, pair: Pair) -> bool:
    """Flat, with nothing left that could make it otherwise."""
    return pair.state is PairState.FLAT and not pair.naked_ns and not live_orders_of(store, pair)


def _settled_delta(store: Store, index: Index, book: Totals, at_ns: int) -> Decimal:
    """Net delta of what is held, without pairs that are within their patience."""
    naked = (name for name in index.naked if _within_patience(store, at_ns, name))
    parts = (book.parts[name].held for name in naked)
    return book.held.delta_with([part for part in parts if part is not None], ())


def _is_far(limits: Limits, book: Totals) -> bool:
    held = book.held
    return (
        held.gross * NEARLY <= limits.gross_notional_max_quote
        and held.delta + held.reach * NEAR <= limits.net_delta_max_quote
        and all(total * NEARLY <= limits.venue_notional_max_quote for total in held.venues.values())
    )


def _passed(store: Store, book: Totals, delta: Decimal) -> list[LimitKey]:
    """The limits on the whole book and on venues that what is held has passed."""
    limits, passed = config_of(store).limits, []
    if book.held.gross > limits.gross_notional_max_quote:
        passed.append(GROSS)
    if delta > limits.net_delta_max_quote:
        passed.append(DELTA)
    for venue, total in book.held.venues.items():
        if total > limits.venue_notional_max_quote:
            passed.append((venue,))
    return passed


def _is_passed(limits: Limits, margin: MarginTotals | None) -> bool:
    """Whether a wallet may have passed a limit; one that lacks a number lets the guard open nothing.  The
    products say whether the quotients are worth a division, and the stress whether distances are worth a
    search."""
    if margin is None:
        return False
    return (
        not margin.is_far
        or margin.notional > margin.equity * rules.exact_limit(limits.leverage_max)
        or margin.equity < margin.maintenance * rules.exact_limit(limits.margin_ratio_min)
    )


def _bind(store: Store, book: Totals, delta: Decimal, pairs: list[Pair], out: list[SetMode]) -> None:
    """Bind those of the pairs that have a part in a limit that is passed. A pair that cannot be valued is
    held (no_mark, missing_rate) and waits."""
    limits = config_of(store).limits
    margins: dict[Wallet, MarginState | None] = {}
    for pair in pairs:
        name, part = pair.spec.name, book.parts[pair.spec.name].held
        if part is None or effective_mode(store, pair) not in _FREE:
            continue
        broken = rules.pair_notional(limits, name, ZERO, part.notional)
        broken = broken or rules.gross_notional(limits, name, ZERO, book.held.gross)
        if part.net_low != 0:
            broken = broken or rules.net_delta(limits, name, ZERO, delta)
        for venue, _ in part.legs:
            broken = broken or rules.venue_notional(limits, name, ZERO, book.held.venues[venue])
        broken = broken or _passed_margin(store, book, pair, margins)
        if broken is not None:
            sentence = f"{broken.rule} {broken.value}{BEYOND}{broken.limit}"
            out.append(SetMode(name, Mode.REDUCE_ONLY, sentence))


def _within_patience(store: Store, at_ns: int, name: PairName) -> bool:
    """A delta this young may be one leg of a group whose other leg is under way."""
    patience_s = config_of(store).strategy.patience_s
    naked_ns = store.pairs[name].naked_ns
    return naked_ns != 0 and at_ns - naked_ns <= patience_s * 1e9


def _passed_margin(
    store: Store, book: Totals, pair: Pair, margins: dict[Wallet, MarginState | None]
) -> Refused | None:
    """The first margin limit that an account of the pair's contracts has passed, with its figure."""
    limits, name = config_of(store).limits, pair.spec.name
    latch = rules.latch_bounds(limits)
    for wallet in wallets_of(store, pair):
        if wallet not in margins:
            is_passed = _is_passed(limits, book.margin(store, wallet))
            margins[wallet] = account_margin(store, *wallet) if is_passed else None
        state = margins[wallet]
        if state is None:
            continue
        broken = rules.liquidation_distance(latch, name, INFINITE, state.distance)
        broken = broken or rules.leverage(limits, name, ZERO, state.leverage)
        broken = broken or rules.margin_ratio(latch, name, INFINITE, state.ratio)
        if broken is not None:
            return broken
    return None
