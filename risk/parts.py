"""What one pair adds to the sums of `risk.totals`, and how far its prices may move before it adds another.

What must stay true: a part is that of `risk.exposure` over one pair, to the last digit, at the prices that it
was made with.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from bot.model.ids import PairName, account_of
from bot.model.index import Wallet
from bot.model.instrument import Side, notional_quote
from bot.model.money import ONE, ZERO
from bot.model.pair import Role
from bot.model.store import Leg, Pair, Store, live_orders_of
from risk.exposure import (
    MissingData,
    PairExposure,
    Pending,
    config_of,
    has_counting_coins,
    living,
    pair_exposure,
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
            (wallet, leg_qty, leg_qty + bought(store, pair, wallet, orders))
            for wallet, leg_qty in _coins(store, pair)
        ]
    )
    return PairPart(held, worst, missing, tuple(claims.items()), coins, limits)


def repriced(store: Store, pair: Pair, old: PairPart) -> PairPart:
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


def near_prices(store: Store, pair: Pair, part: PairPart) -> NearPrices | None:
    """``None`` where nothing is near: a price is missing, or the pair would pass its own limit there."""
    long, short = store.markets[pair.spec.long].mark, store.markets[pair.spec.short].mark
    if long is None or short is None or part.held is None:
        return None
    if part.held.notional * NEARLY > config_of(store).limits.pair_notional_max_quote:
        return None
    low, counts = ONE - NEAR, has_counting_coins(store, pair)
    return NearPrices(long * low, long * NEARLY, short * low, short * NEARLY, counts)


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


def bought(store: Store, pair: Pair, wallet: Wallet, orders: Iterable[Pending]) -> Decimal:
    """Coins that a pair's orders add to what margins its inverse leg from ``wallet``."""
    if not any(mine == wallet for mine, _ in _coins(store, pair)):
        return ZERO
    spot = (order for order in orders if store.markets[order.instrument].instrument.is_spot)
    return sum((order.signed_qty for order in spot), ZERO)
