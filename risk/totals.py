"""Sums over all pairs and wallets, kept so that a step costs the same whatever their number.

Each sum is that of `risk.exposure` and `risk.margin` over everything, to the last digit: a pair or a contract
that the index names as changed has its part taken out and put in again, and exact arithmetic leaves no rest.
Where the store has no index the sums are made for the question and forgotten; `difference` compares them with
the plain ones.  Every sum is kept twice: over what is *held*, and over the *worst* case, living orders
included.

Most steps bring a price that moved by a hair.  A pair whose prices lie within `NEAR` of those that its part
was made with may be *late*: `near_totals` leaves it so, and whoever asks it allows for that much (`NEARLY`).
`totals` leaves nothing late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import Struct

from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.index import Index, Wallet
from bot.model.instrument import Side, notional_quote
from bot.model.money import ONE, ZERO
from bot.model.pair import Role
from bot.model.store import Leg, Pair, Store, indexed, live_orders_of, live_orders_on
from risk.exposure import (
    MissingData,
    PairExposure,
    Pending,
    config_of,
    has_counting_coins,
    listed,
    living,
    pair_exposure,
    pending,
)
from risk.exposure_totals import Exposures
from risk.margin import account_margin, balance
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
from risk.tradable import quote_fee_rate

LimitKey = tuple[str, ...]  # of a limit that several pairs have a part in: a venue or a wallet, or one of
GROSS: LimitKey = ("gross", "all", "pairs")
DELTA: LimitKey = ("delta", "all", "pairs")
NEAR = Decimal("0.001")  # part of a price
NEARLY = ONE + NEAR


class PairPart(Struct, frozen=True, gc=False):
    """What one pair adds to the sums.

    ``held`` is ``None`` where it holds nothing or cannot be valued, ``worst`` where it cannot; ``missing``
    says why.  ``claims`` is the cash that its living spot purchases spend, ``coins`` what its spot leg is as
    margin of its inverse leg: held, and in the worst case.  ``limits`` are those of several pairs that what
    it holds has a part in.
    """

    held: PairExposure | None = None
    worst: PairExposure | None = None
    missing: MissingData | None = None
    claims: tuple[tuple[Wallet, Decimal], ...] = ()
    coins: tuple[tuple[Wallet, Decimal, Decimal], ...] = ()
    limits: tuple[LimitKey, ...] = ()


EMPTY = PairPart(worst=PairExposure(PairName(""), "", (), ZERO, ZERO, ZERO))  # nothing held, nothing living


class NearPrices(Struct, frozen=True, gc=False):
    """Between which marks of both legs a pair's part need not be made anew, as long as its coins count, or
    do not, as they did."""

    long_low: Decimal
    long_high: Decimal
    short_low: Decimal
    short_high: Decimal
    counts: bool

    def holds(self, store: Store, pair: Pair) -> bool:
        spec, markets = pair.spec, store.markets
        long, short = markets[spec.long].mark, markets[spec.short].mark
        return (
            long is not None
            and short is not None
            and self.long_low <= long <= self.long_high
            and self.short_low <= short <= self.short_high
            and self.counts is has_counting_coins(store, pair)
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
        self.late: dict[PairName, None] = {}  # whose part is of prices that are near to the present ones
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
        """Put in again what has changed; pairs whose prices are near become late."""
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
                self.late[pair] = None
            else:
                self._reprice(store, pair)
        for pair in changed:
            self._put_pair(pair, parts[pair], part_of(store, store.pairs[pair]))
            self.late.pop(pair, None)
            self._near.pop(pair, None)
            news.pairs[pair] = None
        if index.changed_wallets:
            news.wallets |= index.changed_wallets

    def catch_up(self, store: Store) -> None:
        """Put in again what is late."""
        for pair in tuple(self.late):
            self._reprice(store, pair)

    def _reprice(self, store: Store, name: PairName) -> None:
        old, pair = self.parts[name], store.pairs[name]
        new = _repriced(store, pair, old)
        self._put_pair(name, old, new)
        self._news.priced[name] = None
        self.late.pop(name, None)
        self._near[name] = _near_prices(store, pair, new)

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
        coins = self._coins_worst.get(wallet, ZERO) + _bought(store, pair, wallet, group)
        shares = self._shares_worst.of(store, wallet)
        return shares.margin(balance(store, *wallet) + coins, changed)


def totals(store: Store) -> Totals:
    """The sums as the store is now."""
    found = near_totals(store)
    if found.late:
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


def part_of(store: Store, pair: Pair) -> PairPart:
    live, long, short = live_orders_of(store, pair), pair.long, pair.short
    if not live and _is_empty(long) and _is_empty(short):
        return EMPTY
    orders = living(live)
    held = worst = missing = None
    try:
        if pair.long.position.qty or pair.short.position.qty:
            held = pair_exposure(store, pair, ())
        worst = held if held is not None and not orders else pair_exposure(store, pair, orders)
    except MissingData as failure:
        missing = failure
    limits = () if held is None else _limits_of(store, pair, held)
    claims: dict[Wallet, Decimal] = {}
    for order in orders:
        spends = spends_of(store, order)
        if spends is not None:
            claims[spends[0]] = claims.get(spends[0], ZERO) + spends[1]
    coins = tuple(
        [
            (wallet, leg_qty, leg_qty + _bought(store, pair, wallet, orders))
            for wallet, leg_qty in _coins(store, pair)
        ]
    )
    return PairPart(held, worst, missing, tuple(claims.items()), coins, limits)


def _repriced(store: Store, pair: Pair, old: PairPart) -> PairPart:
    """A pair's part at another price, its legs and orders being what they were."""
    if old.held is None or old.held is not old.worst:
        return part_of(store, pair)
    try:
        held = pair_exposure(store, pair, ())
    except MissingData:
        return part_of(store, pair)
    if bool(held.net_low) is not bool(old.held.net_low):  # its coins count, or count no more
        return part_of(store, pair)
    return PairPart(held, held, None, old.claims, old.coins, old.limits)


def _near_prices(store: Store, pair: Pair, part: PairPart) -> NearPrices | None:
    """``None`` where nothing is near: a price is missing, or the pair would pass its own limit there."""
    long, short = store.markets[pair.spec.long].mark, store.markets[pair.spec.short].mark
    if long is None or short is None or part.held is None:
        return None
    if part.held.notional * NEARLY > config_of(store).limits.pair_notional_max_quote:
        return None
    low, counts = ONE - NEAR, has_counting_coins(store, pair)
    return NearPrices(long * low, long * NEARLY, short * low, short * NEARLY, counts)


def _is_held(store: Store, name: InstrumentId) -> bool:
    """Whether a contract has a position, by the ledger or by the venue."""
    ours, account = store.ledger.positions.get(name), store.accounts.get(account_of(name))
    if ours is not None and ours.qty:
        return True
    told = account.positions.get(name) if account is not None else None
    return told is not None and bool(told.qty)


def _is_empty(leg: Leg) -> bool:
    return not leg.position.qty and not leg.position.cost and not leg.coin_cash


def _limits_of(store: Store, pair: Pair, held: PairExposure) -> tuple[LimitKey, ...]:
    keys: list[LimitKey] = [GROSS, *dict.fromkeys((venue,) for venue, _ in held.legs)]
    if held.net_low != 0:
        keys.append(DELTA)
    return (*keys, *wallets_of(store, pair))


def wallets_of(store: Store, pair: Pair) -> dict[Wallet, None]:
    """Where the contracts that a pair holds are margined."""
    found: dict[Wallet, None] = {}
    for leg in pair.legs:
        if leg.position.qty:
            instrument = store.markets[leg.instrument].instrument
            if not instrument.is_spot:
                found[account_of(leg.instrument), instrument.margin_asset] = None
    return found


def spends_of(store: Store, order: Pending) -> tuple[Wallet, Decimal] | None:
    """The cash that a spot purchase spends, a fee in it included, and from which wallet."""
    market = store.markets.get(order.instrument)
    if market is None or not market.instrument.is_spot or order.side is Side.SELL:
        return None
    instrument = market.instrument
    worth = notional_quote(instrument, order.qty, order.price)
    return (instrument.account, instrument.quote), worth * (ONE + quote_fee_rate(market, order.side))


def _coins(store: Store, pair: Pair) -> list[tuple[Wallet, Decimal]]:
    """Coins of a spot leg that margin the pair's inverse leg, where the settings let them."""
    found: list[tuple[Wallet, Decimal]] = []
    if config_of(store).strategy.coin_margin != "spot_leg":
        return found
    for role in Role:
        contract = store.markets.get(pair.spec.instrument(role))
        spot = store.markets.get(pair.spec.instrument(role.other))
        if contract is None or spot is None or not contract.instrument.inverse or not spot.instrument.is_spot:
            continue
        if spot.instrument.base == contract.instrument.margin_asset:
            wallet = (contract.instrument.account, contract.instrument.margin_asset)
            found.append((wallet, pair.leg(role.other).position.qty))
    return found


def _bought(store: Store, pair: Pair, wallet: Wallet, orders: Iterable[Pending]) -> Decimal:
    """Coins that a pair's orders add to what margins its inverse leg from ``wallet``."""
    if not any(mine == wallet for mine, _ in _coins(store, pair)):
        return ZERO
    spot = (order for order in orders if store.markets[order.instrument].instrument.is_spot)
    return sum((order.signed_qty for order in spot), ZERO)
