"""Sums over all pairs and wallets, kept so that a step costs the same whatever their number.

Each sum is that of `risk.exposure` and `risk.margin` over everything, to the last digit: a pair or a contract
that the index names as changed has its part taken out and put in again, and exact arithmetic leaves no rest.
Where the store has no index the sums are made for the question and forgotten; `difference` compares them with
the plain ones.  Every sum is kept twice: over what is *held*, and over the *worst* case, living orders
included.

Most steps bring a price that moved by a hair.  A pair whose prices lie within `parts.NEAR` of those that its
part was made with may be *deferred*: `near_totals` leaves it so, and whoever asks it allows for that much
(`NEARLY`).  `totals` defers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.index import Index, Wallet
from bot.model.money import ZERO
from bot.model.store import Pair, Store, indexed, live_orders_on
from risk.exposure import MissingData, PairExposure, Pending, config_of, listed, living, pending
from risk.exposure_totals import Exposures
from risk.margin import account_margin, balance
from risk.parts import EMPTY, NearPrices, PairPart, bought, near_prices, part_of, repriced
from risk.shares import (
    LateShares,
    MarginTotals,
    Shares,
    deleverage_distance,
    latch_distance,
    opening_distance,
    share_of,
    share_or_none,
)


class News(Struct):
    """Whose parts have changed: pairs by more than a price, pairs by a price alone, and wallets."""

    pairs: dict[PairName, None] = {}
    priced: dict[PairName, None] = {}
    wallets: dict[Wallet, None] = {}


class Totals:
    """All sums of one store.  Those of the worst case follow when they are asked for, since only what opens
    asks: each change is paid for once."""

    def __init__(self) -> None:
        self.parts: dict[PairName, PairPart] = {}
        self.held = Exposures()
        self.changes = 0  # of parts
        self.claims: dict[Wallet, Decimal] = {}
        self._missing: dict[PairName, MissingData] = {}
        self._worst = Exposures()
        self._worst_parts: dict[PairName, PairExposure | None] = {}
        self._late_pairs: dict[PairName, None] = {}  # whose part in the worst case has changed
        self.deferred: dict[PairName, None] = {}  # whose part is of prices that are near to the present ones
        self._near: dict[PairName, NearPrices | None] = {}
        self._coins_held: dict[Wallet, Decimal] = {}
        self._coins_worst: dict[Wallet, Decimal] = {}
        self._shares_held: dict[Wallet, Shares] = {}
        self._shares_worst = LateShares(opening_distance, of_worst=True)
        self._shares_giving = LateShares(deleverage_distance, of_worst=False)
        self._contracts: dict[InstrumentId, None] = {}  # whose share is of a position or of living orders
        self._unlisted: dict[AccountId, None] = {}  # accounts with a contract that nobody has described
        self._news = News()

    # --- keeping --------------------------------------------------------------------------------------

    def make(self, store: Store, index: Index) -> None:
        """Put everything in."""
        names = dict.fromkeys(store.ledger.positions)
        for account in store.accounts.values():
            names |= dict.fromkeys(account.positions)
        names |= dict.fromkeys(index.live_on)
        for instrument in names:
            self._put_contract(store, instrument)
        for name, pair in store.pairs.items():
            self._put_pair(name, EMPTY, part_of(store, pair))
            self._news.pairs[name] = None

    def follow(self, store: Store, index: Index) -> None:
        """Put in again what has changed; pairs whose prices are near are deferred."""
        parts, news, changed = self.parts, self._news, index.changed_pairs
        for instrument in index.changed_instruments:
            if instrument in self._contracts or instrument in index.live_on or _is_held(store, instrument):
                self._put_contract(store, instrument)
            for pair in store.routes.pairs_of.get(instrument, ()):
                index.priced_pairs[pair] = None
        for pair in index.priced_pairs:
            if pair in changed or parts[pair] is EMPTY:  # to whom a price is nothing
                continue
            if self._is_near(store, pair):
                self.deferred[pair] = None
            else:
                self._reprice(store, pair)
        for pair in changed:
            self._put_pair(pair, parts[pair], part_of(store, store.pairs[pair]))
            self.deferred.pop(pair, None)
            self._near.pop(pair, None)
            news.pairs[pair] = None
        if index.changed_wallets:
            news.wallets |= index.changed_wallets

    def catch_up(self, store: Store) -> None:
        """Put in again what is deferred."""
        for pair in tuple(self.deferred):
            self._reprice(store, pair)

    def _reprice(self, store: Store, name: PairName) -> None:
        old, pair = self.parts[name], store.pairs[name]
        new = repriced(store, pair, old)
        self._put_pair(name, old, new)
        self._news.priced[name] = None
        self.deferred.pop(name, None)
        self._near[name] = near_prices(store, pair, new)

    def _is_near(self, store: Store, name: PairName) -> bool:
        near = self._near.get(name)
        return near is not None and near.holds(store, store.pairs[name])

    def _put_pair(self, name: PairName, old: PairPart, new: PairPart) -> None:
        self.parts[name] = new
        if old is new:
            return
        self.changes += 1
        self.held.replace(old.held, new.held)
        self._late_pairs[name] = None
        if new.missing is not None:
            self._missing[name] = new.missing
        elif old.missing is not None:
            del self._missing[name]
        if old.limits is not new.limits:
            self._news.pairs[name] = None
        if old.claims is not new.claims:
            for part, sign in ((old, -1), (new, 1)):
                for wallet, amount in part.claims:
                    self.claims[wallet] = self.claims.get(wallet, ZERO) + amount * sign
        if old.coins is not new.coins:
            self._exchange_coins(old, -1)
            self._exchange_coins(new, 1)

    def _exchange_coins(self, part: PairPart, sign: int) -> None:
        for wallet, held, worst in part.coins:
            self._coins_held[wallet] = self._coins_held.get(wallet, ZERO) + held * sign
            self._coins_worst[wallet] = self._coins_worst.get(wallet, ZERO) + worst * sign
            self._news.wallets[wallet] = None

    def _put_contract(self, store: Store, name: InstrumentId) -> None:
        market = store.markets.get(name)
        if market is None:
            self._unlisted[account_of(name)] = None
            return
        instrument = market.instrument
        if instrument.is_spot:
            return
        wallet = (account_of(name), instrument.margin_asset)
        shares = self._shares_held.get(wallet)
        if shares is None:
            shares = self._shares_held[wallet] = Shares(of_worst=False)
        shares.put(name, share_or_none(store, name, (), latch_distance(config_of(store))))
        if _is_held(store, name) or live_orders_on(store, name):
            self._contracts[name] = None
        else:
            self._contracts.pop(name, None)
        self._shares_worst.mark(name, wallet)
        self._shares_giving.mark(name, wallet)
        self._news.wallets[wallet] = None

    def take_news(self) -> News:
        """What has changed since this was asked last."""
        news = self._news
        if news.pairs or news.priced or news.wallets:
            self._news = News()
        return news

    # --- questions ------------------------------------------------------------------------------------

    def worst(self, store: Store) -> Exposures:
        """Exposures when any of the living orders fill.  Raises `MissingData` where a pair cannot be valued,
        of the first one."""
        if self._missing:
            place_of = indexed(store).place_of
            first = min(self._missing, key=lambda name: place_of[name])
            raise self._missing[first].with_traceback(None)
        for name in self._late_pairs:
            part = self.parts[name].worst
            self._worst.replace(self._worst_parts.get(name), part)
            self._worst_parts[name] = part
        self._late_pairs = {}
        return self._worst

    def margin(self, store: Store, wallet: Wallet) -> MarginTotals | None:
        """Margin of what is held, its stress at the distance that latches; ``None`` where nothing is, or
        where a number is missing."""
        return self._margin_of(store, wallet, self._shares_held.get(wallet))

    def margin_giving(self, store: Store, wallet: Wallet) -> MarginTotals | None:
        """The same, its stress at the distance of deleveraging."""
        return self._margin_of(store, wallet, self._shares_giving.of(store, wallet))

    def stress_of(self, name: InstrumentId, wallet: Wallet) -> Decimal:
        """What a contract loses, and needs more, at the distance that latches."""
        shares = self._shares_held.get(wallet)
        return ZERO if shares is None else shares.stress_of(name)

    def _margin_of(self, store: Store, wallet: Wallet, shares: Shares | None) -> MarginTotals | None:
        if shares is None or shares.missing or wallet[0] in self._unlisted:
            return None
        try:
            return shares.margin(balance(store, *wallet) + self._coins_held.get(wallet, ZERO))
        except MissingData:
            return None

    def margin_worst(self, store: Store, wallet: Wallet) -> MarginTotals:
        """Margin when every living order fills as badly as it can, its stress at the distance that opens.
        Raises `MissingData` and `MissingBrackets`."""
        shares = self._shares_worst.of(store, wallet)
        if shares.missing or wallet[0] in self._unlisted:
            account_margin(store, *wallet, pending(store))  # raises the first of what is missing
        return shares.margin(balance(store, *wallet) + self._coins_worst.get(wallet, ZERO))

    def margin_after(
        self, store: Store, wallet: Wallet, pair: Pair, group: Sequence[Pending]
    ) -> MarginTotals:
        """The same when the group under test, of one pair, does so too."""
        distance, changed = opening_distance(config_of(store)), {}
        for name in dict.fromkeys(order.instrument for order in group):
            instrument = listed(store, name).instrument
            if not instrument.is_spot and (instrument.account, instrument.margin_asset) == wallet:
                here = [order for order in group if order.instrument == name]
                changed[name] = share_of(store, name, (*living(live_orders_on(store, name)), *here), distance)
        coins = self._coins_worst.get(wallet, ZERO) + bought(store, pair, wallet, group)
        shares = self._shares_worst.of(store, wallet)
        return shares.margin(balance(store, *wallet) + coins, changed)


def totals(store: Store) -> Totals:
    """The sums as the store is now."""
    found = near_totals(store)
    if found.deferred:
        found.catch_up(store)
    return found


def near_totals(store: Store) -> Totals:
    """The sums as the store was when prices were within `NEAR` of the present ones."""
    index = indexed(store)
    found = index.totals
    if not isinstance(found, Totals) or index.changed_all:
        found = index.totals = Totals()
        found.make(store, index)
    elif index.has_changes:
        found.follow(store, index)
    else:
        return found
    index.forget_changes()
    return found


def _is_held(store: Store, name: InstrumentId) -> bool:
    """Whether a contract has a position, by the ledger or by the venue."""
    ours, account = store.ledger.positions.get(name), store.accounts.get(account_of(name))
    if ours is not None and ours.qty:
        return True
    told = account.positions.get(name) if account is not None else None
    return told is not None and bool(told.qty)
