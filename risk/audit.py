"""Whether the sums that are kept are those that a look at everything gives, to the last digit.

The plain functions of `risk.exposure` and `risk.margin` are the definition of every limit; `risk.totals` and
the index answer in their place.  A difference between the two is a bug of ours and never a matter of degree.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from bot.model.ids import AccountId, PairName
from bot.model.index import Wallet
from bot.model.money import ZERO, exact_arithmetic
from bot.model.store import Store, index_of, live_orders, make_index
from risk import budgets
from risk.exposure import (
    MissingData,
    PairExposure,
    gross_of,
    net_delta_of,
    pair_exposure,
    pending,
    venue_total,
)
from risk.exposure_totals import Exposures
from risk.margin import MarginState, MissingBrackets, account_margin
from risk.parts import spends_of
from risk.shares import MarginTotals
from risk.totals import Totals, totals


def difference(store: Store) -> str:
    """The first sum that is not the plain one, with both; empty where all agree, or where none are kept."""
    if index_of(store) is None or store.config is None:
        return ""
    with exact_arithmetic():
        return next(_differences(store), "")


def _differences(store: Store) -> Iterator[str]:
    yield from _of_index(store)
    book = totals(store)
    held = _exposures(store, whole=False)
    yield from _of_exposures("held", book.held, list(held.values()))
    try:
        worst = list(_exposures(store, whole=True).values())
        yield from _of_exposures("worst", book.worst(store), worst)
    except MissingData as missing:
        yield from _of_missing(store, book, missing)
    for wallet in _wallets(store):
        yield from _of_wallet(store, book, wallet)


def _of_index(store: Store) -> Iterator[str]:
    kept, plain = index_of(store), make_index(store)
    for name in ("live_of", "live_on", "live_in", "naked", "moved", "place_of"):
        ours = {key: value for key, value in getattr(kept, name).items() if value != {}}
        if ours != getattr(plain, name):
            yield f"index {name}: {ours}, plainly {getattr(plain, name)}"
    orders = {name: list(of) for name, of in plain.live_on.items()}
    if kept is not None and any(list(kept.live_on[name]) != of for name, of in orders.items()):
        yield "index live_on: the orders are not in order of sending"
    if kept is not None and kept.loss_floor not in (None, budgets.loss_floor(store)):
        yield f"index loss_floor: {kept.loss_floor}, plainly {budgets.loss_floor(store)}"
    due = [order.ask_ns for order in live_orders(store)]
    if kept is not None and kept.ask_ns > min(due, default=kept.ask_ns):
        yield from _of_asked(store, kept.ask_ns)


def _of_asked(store: Store, ask_ns: int) -> Iterator[str]:
    """An order whose account cannot be asked is due again with the fact that ends that."""
    for order in live_orders(store):
        account = store.accounts[store.markets[order.instrument].instrument.account]
        if not account.lost and max(order.ask_ns, account.throttled_ns) < ask_ns:
            yield f"index ask_ns: {ask_ns}, order {order.client_id} is due at {order.ask_ns}"


def _exposures(store: Store, whole: bool) -> dict[PairName, PairExposure]:
    """By pair: what is held and can be valued, or (``whole``) everyone's worst case.  Raises `MissingData`
    for the latter alone."""
    found: dict[PairName, PairExposure] = {}
    orders = pending(store) if whole else ()
    for name, pair in store.pairs.items():
        try:
            if whole or pair.long.position.qty or pair.short.position.qty:
                found[name] = pair_exposure(store, pair, orders)
        except MissingData:
            if whole:
                raise
    return found


def _of_exposures(what: str, kept: Exposures, parts: list[PairExposure]) -> Iterator[str]:
    yield from _compared(f"{what} gross", kept.gross, gross_of(parts))
    yield from _compared(f"{what} net delta", kept.delta, net_delta_of(parts))
    for venue in dict.fromkeys((*kept.venues, *(venue for part in parts for venue, _ in part.legs))):
        yield from _compared(f"{what} on {venue}", kept.venues.get(venue, ZERO), venue_total(parts, venue))


def _of_missing(store: Store, book: Totals, missing: MissingData) -> Iterator[str]:
    try:
        book.worst(store)
    except MissingData as kept:
        if str(kept) != str(missing):
            yield f"worst: {kept}, plainly {missing}"
    else:
        yield f"worst: known, plainly {missing}"


def _wallets(store: Store) -> list[Wallet]:
    found: dict[Wallet, None] = {}
    for market in store.markets.values():
        instrument = market.instrument
        asset = instrument.quote if instrument.is_spot else instrument.margin_asset
        found[AccountId(instrument.account), asset] = None
    return list(found)


def _of_wallet(store: Store, book: Totals, wallet: Wallet) -> Iterator[str]:
    claimed = [spends for order in pending(store) if (spends := spends_of(store, order)) is not None]
    plainly = sum((amount for spent_from, amount in claimed if spent_from == wallet), ZERO)
    yield from _compared(f"claims on {wallet}", book.claims.get(wallet, ZERO), plainly)
    held, worst = _margin(store, wallet, whole=False), _margin(store, wallet, whole=True)
    kept = book.margin(store, wallet)
    if held is not None and held.parts and kept is None:
        yield f"margin of {wallet}: unknown, plainly {held.equity}"
    if kept is not None:
        yield from _of_margin(f"margin of {wallet}", kept, held)
    if worst is not None:
        yield from _of_margin(f"worst margin of {wallet}", book.margin_worst(store, wallet), worst)
        yield from _compared(
            f"worst initial margin of {wallet}", book.margin_worst(store, wallet).initial, worst.initial
        )


def _margin(store: Store, wallet: Wallet, whole: bool) -> MarginState | None:
    try:
        return account_margin(store, *wallet, pending(store) if whole else ())
    except (MissingData, MissingBrackets):
        return None


def _of_margin(what: str, kept: MarginTotals, plain: MarginState | None) -> Iterator[str]:
    if plain is None:
        yield f"{what}: {kept.equity}, plainly unknown"
        return
    for name in ("equity", "maintenance", "notional"):
        yield from _compared(f"{what}, {name}", getattr(kept, name), getattr(plain, name))


def _compared(what: str, kept: Decimal, plain: Decimal) -> Iterator[str]:
    if kept != plain:
        yield f"{what}: {kept}, plainly {plain}"
