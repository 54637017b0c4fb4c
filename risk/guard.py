"""The guard: the only way from a proposal to something that may be sent.

`admit` takes a group of commands and returns it wrapped as `Admitted`, which nothing else can make and
without which the executor sends nothing, or says which rule refuses it. A group stands or falls as a whole.
Commands that place no order always pass. Orders are judged in this sequence:

1. shape: one known pair, its own instruments, order ids never used before;
2. mode × purpose (`watch.ALLOWED`);
3. for a group that opens: no hold on the pair, and for an entry what the budgets cover;
4. filters that make a rejection certain, and coins that are not the pair's to sell: for every group;
5. for a group that opens: every exposure, margin and balance rule, worst case.

*Shrinking* is a matter of numbers, not of purpose: see `shrinks`. Everything that does not shrink opens.
Missing data refuses what opens and never stops what shrinks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from bot.model.commands import AnyCommand, PlaceOrder
from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Side, notional_quote
from bot.model.money import ZERO, exact_arithmetic
from bot.model.pair import Mode, Purpose
from bot.model.store import Market, Pair, Store, live_orders_on
from risk import budgets, watch
from risk import limits as rules
from risk.exposure import (
    UNDER_TEST,
    MissingData,
    Pending,
    config_of,
    gross_of,
    in_nav,
    index_of,
    kept_delta_base,
    listed,
    living,
    mark_of,
    order_delta_base,
    pair_delta_base,
    pair_exposure,
    pending,
    pending_in,
    pending_of,
    price_slack_base,
    residual_base,
    sums,
    tolerance_base,
    venue_of,
    venue_total,
)
from risk.limits import Refused
from risk.margin import MissingBrackets, account_margin, balance, leverage_cap
from risk.parts import spends_of
from risk.shares import share_of
from risk.totals import Totals, totals
from risk.tradable import is_dust

__all__ = ["Admitted", "Refused", "admit", "shrinks"]

_TOKEN = object()


class Admitted:
    """A command that passed the guard.  Only `admit` can make one: anybody else gets a ``TypeError``."""

    __slots__ = ("command",)
    command: AnyCommand

    def __new__(cls, command: AnyCommand, token: object = None) -> Admitted:
        if token is not _TOKEN:
            raise TypeError("only the guard admits commands")
        made = super().__new__(cls)
        object.__setattr__(made, "command", command)
        return made

    def __init_subclass__(cls) -> None:
        raise TypeError("what is admitted has no other kind")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("an admitted command does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("an admitted command does not change")

    def __reduce__(self) -> NoReturn:
        raise TypeError("an admitted command is not copied or stored")

    def __repr__(self) -> str:
        return f"Admitted({self.command!r})"


def admit(store: Store, at_ns: int, group: tuple[AnyCommand, ...]) -> tuple[Admitted, ...] | Refused:
    """Admit all commands of a group or none of them.

    Wants its own group for a cancel that must go whatever happens to an order. The caller applies what was
    admitted to the store before it asks again, so that capacity is reserved.
    """
    orders = tuple(command for command in group if type(command) is PlaceOrder)
    if orders:
        refused = _safely_judge(store, at_ns, orders)
        if refused is not None:
            return refused
    return tuple(Admitted(command, _TOKEN) for command in group)


def _safely_judge(store: Store, at_ns: int, orders: tuple[PlaceOrder, ...]) -> Refused | None:
    """The verdict, where a number that is not there is a refusal like any other."""
    try:
        with exact_arithmetic():
            return _judge(store, at_ns, orders)
    except MissingData as missing:
        return Refused(f"missing:{missing.what}", missing.where, "", orders[0].pair)
    except MissingBrackets as missing:
        return Refused("missing:brackets", str(missing), "", orders[0].pair)


def _judge(store: Store, at_ns: int, orders: tuple[PlaceOrder, ...]) -> Refused | None:
    refused = _shape(store, orders)
    if refused is not None:
        return refused
    pair = store.pairs[orders[0].pair]
    name = pair.spec.name
    everything = pending_in(store, pair, orders)
    opening = not shrinks(store, pair, everything)
    refused = _mode(store, pair, orders, opening)
    if refused is not None:
        return refused
    if opening:
        for hold in watch.holds(store, at_ns, pair):
            return Refused(f"hold:{hold.code}", hold.value, hold.limit, name)
        if any(order.purpose is Purpose.ENTER for order in orders):
            refused = budgets.entry_block(store, at_ns, pair, orders)
            if refused is not None:
                return refused
    for order in orders:
        market = store.markets[order.instrument]
        refused = rules.venue_filters(market.instrument, order, market.mark)
        refused = refused or _owned(pair, market, order, everything)
        if refused is not None:
            return refused
    if not opening:
        return None
    verdicts = _broken(store, at_ns, pair, orders, everything)
    return next((refused for refused in verdicts if refused is not None), None)


def _shape(store: Store, orders: tuple[PlaceOrder, ...]) -> Refused | None:
    name = orders[0].pair
    config_of(store)
    pair = store.pairs.get(name)
    if pair is None:
        return Refused("unknown_pair", name, "", name)
    ids = dict.fromkeys(order.client_id for order in orders)
    for order in orders:
        if order.pair != name:
            return Refused("one_pair", order.pair, name, name)
        if order.instrument != pair.spec.instrument(order.role):
            return Refused("leg_instrument", order.instrument, pair.spec.instrument(order.role), name)
        if order.instrument not in store.markets:
            return Refused("missing:instrument", order.instrument, "", name)
        if order.client_id in store.orders or len(ids) != len(orders):
            return Refused("order_id_used", order.client_id, "", name)
        if not order.qty.is_finite() or not order.price.is_finite() or order.qty <= 0 or order.price <= 0:
            return Refused("order_numbers", f"{order.qty} at {order.price}", "> 0", name)
    return None


def _mode(store: Store, pair: Pair, orders: tuple[PlaceOrder, ...], opening: bool) -> Refused | None:
    """The mode table, and that only what shrinks goes where only shrinking is allowed."""
    mode = watch.binding_mode(store, pair)
    for order in orders:
        if order.purpose not in watch.ALLOWED[mode]:
            return Refused("mode", order.purpose.value, mode.value, pair.spec.name)
    if mode in (Mode.REDUCE_ONLY, Mode.FLATTENING) and opening:
        return Refused("mode", f"{orders[0].purpose.value}, not shrinking", mode.value, pair.spec.name)
    return None


# --- shrinking --------------------------------------------------------------------------------------------


def shrinks(store: Store, pair: Pair, everything: Sequence[Pending]) -> bool:
    """Whether the orders under test can only make the pair smaller, whichever of them and of the living fill.

    Either every one of them works against the pair's delta, |delta| falls, and together with what is in
    flight the same way they do not carry it beyond zero by more than the slack. Or both legs fall, neither
    beyond zero, and |delta| does not grow by more than it: the legs fall in ratio. Or nothing is left of
    either. Reducing one leg of a hedged pair alone is neither, so it opens. The slack is a lot of the coarser
    leg, and what an inverse contract is worth at its limit beside its mark, since it was sized between them.
    ``everything`` comes from `exposure.pending`.
    """
    asked = [order for order in everything if order.group_ns == UNDER_TEST]
    delta = pair_delta_base(store, pair)
    if any(order.side is order.role.opening_side for order in asked):
        delta += residual_base(store, pair)  # coins without a leg count again once one grows
    slack = tolerance_base(store, pair) + sum((price_slack_base(store, order) for order in asked), ZERO)
    changes = [kept_delta_base(store, order) for order in asked]
    left = delta + sum(changes, ZERO)
    if abs(left) < abs(delta) and all((change > 0) != (delta > 0) for change in changes):
        against = ZERO
        for order in everything:
            if order.pair == pair.spec.name:
                change = kept_delta_base(store, order)
                if (change > 0) != (delta > 0):
                    against += abs(change)
        if against <= abs(delta) + slack:
            return True
    both = all(any(order.role is leg.role for order in asked) for leg in pair.legs)
    in_ratio = both and abs(left) <= abs(delta) + slack
    return (in_ratio or _closes(store, pair, asked)) and _reduces(pair, everything)


def _closes(store: Store, pair: Pair, asked: Sequence[Pending]) -> bool:
    """Whether the orders under test leave no more of each leg than dust. Coins that an inverse leg earned may
    then be left in its margin wallet: they are delta, but no order in either leg could sell them."""
    for leg in pair.legs:
        taken = sum((order.qty for order in asked if order.role is leg.role), ZERO)
        left, market = abs(leg.position.qty) - taken, store.markets[leg.instrument]
        if left >= market.instrument.lot and not is_dust(store, market, left):
            return False
    return True


def _reduces(pair: Pair, everything: Sequence[Pending]) -> bool:
    """Whether every order under test takes from its own leg, not beyond zero with what is in flight."""
    for leg in pair.legs:
        mine = [order for order in everything if order.pair == pair.spec.name and order.role is leg.role]
        asked = [order for order in mine if order.group_ns == UNDER_TEST]
        if not asked:
            continue
        side = Side.SELL if leg.position.qty > 0 else Side.BUY
        taken = sum((order.qty for order in mine if order.side is side), ZERO)
        if any(order.side is not side for order in asked) or taken > abs(leg.position.qty):
            return False
    return True


def _owned(pair: Pair, market: Market, order: PlaceOrder, everything: Sequence[Pending]) -> Refused | None:
    """What closes takes no more than the leg holds: coins of others are not sold, and no leg turns over."""
    if order.side is order.role.opening_side:
        return None
    mine = (one for one in everything if one.pair == order.pair and one.role is order.role)
    buying, selling = sums(mine)
    closing = selling if order.side is Side.SELL else buying
    owned = pair.leg(order.role).position.qty * order.role.opening_side.sign
    rule = rules.owned_coins if market.instrument.is_spot else rules.turned_leg
    return rule(pair.spec.name, closing, max(ZERO, owned))


# --- what opens -------------------------------------------------------------------------------------------


def _broken(
    store: Store, at_ns: int, pair: Pair, orders: tuple[PlaceOrder, ...], everything: tuple[Pending, ...]
) -> Iterator[Refused | None]:
    """The verdict of every rule for opening groups, one after the other, the cheap ones first."""
    limits, name = config_of(store).limits, pair.spec.name
    yield rules.order_rate(limits, name, store.opening_ns, at_ns, len(orders))
    for order in orders:
        yield from _order_rules(store, order)
    book = totals(store)
    worst = book.worst(store)
    before = pair_exposure(store, pair, pending_in(store, pair))
    after = pair_exposure(store, pair, everything)
    yield rules.pair_notional(limits, name, before.notional, after.notional)
    yield rules.naked(limits, name, before.naked, after.naked)
    for venue in dict.fromkeys(venue_of(order.instrument) for order in orders):
        was = worst.venues.get(venue, ZERO)
        would = was - venue_total((before,), venue) + venue_total((after,), venue)
        yield rules.venue_notional(limits, name, was, would)
    gross = worst.gross - gross_of((before,)) + gross_of((after,))
    yield rules.gross_notional(limits, name, worst.gross, gross)
    yield rules.net_delta(limits, name, worst.delta, worst.delta_with((before,), (after,)))
    yield from _cash_rules(store, book, name, orders)
    yield from _margin_rules(store, book, pair, orders)


def _order_rules(store: Store, order: PlaceOrder) -> Iterator[Refused | None]:
    limits, market = config_of(store).limits, store.markets[order.instrument]
    instrument, mark = market.instrument, mark_of(market)
    worth = notional_quote(instrument, order.qty, max(order.price, mark))
    yield rules.order_notional(limits, order.pair, in_nav(store, instrument.quote, worth))
    size = Pending(order.pair, order.role, order.instrument, Side.BUY, order.qty, order.price, UNDER_TEST)
    yield rules.order_qty(limits, order.pair, order_delta_base(store, size))
    yield rules.price_collar(limits, order.pair, order.price, index_of(market))


def _margin_rules(
    store: Store, book: Totals, pair: Pair, orders: tuple[PlaceOrder, ...]
) -> Iterator[Refused | None]:
    """The accounts of the pair's contracts: a spot order counts too where coins are their margin.  Distances
    are searched for only where one is below the limit, to say which."""
    config, name = config_of(store), pair.spec.name
    limits, opening = config.limits, rules.opening_bounds(config.limits, config.margin)
    contracts = [listed(store, leg.instrument).instrument for leg in pair.legs]
    for contract in contracts:
        yield from _bracket_rules(store, pair, contract.id, orders)
    wallets = dict.fromkeys((one.account, one.margin_asset) for one in contracts if not one.is_spot)
    for wallet in wallets:
        before = book.margin_worst(store, wallet)
        after = book.margin_after(store, wallet, pair, pending_of(orders))
        if after.initial > before.initial:
            yield rules.initial_margin(name, after.initial, after.equity)
        yield rules.leverage(limits, name, before.leverage, after.leverage)
        yield rules.margin_ratio(opening, name, before.ratio, after.ratio)
        if not after.is_far:
            was = account_margin(store, *wallet, pending(store)).distance
            would = account_margin(store, *wallet, pending(store, orders)).distance
            yield rules.liquidation_distance(opening, name, was, would)


def _bracket_rules(
    store: Store, pair: Pair, name: InstrumentId, orders: tuple[PlaceOrder, ...]
) -> Iterator[Refused | None]:
    """The largest position that a contract's set leverage allows; not judged where the venue states none."""
    market = store.markets[name]
    if not market.leverage or market.instrument.is_spot:
        return
    alive = living(live_orders_on(store, name))
    group = pending_of(order for order in orders if order.instrument == name)
    before = share_of(store, name, alive, ZERO).notional
    after = share_of(store, name, (*alive, *group), ZERO).notional
    cap = leverage_cap(market.instrument, market.leverage)
    yield rules.leverage_bracket(pair.spec.name, before, after, cap)


def _cash_rules(
    store: Store, book: Totals, name: PairName, orders: tuple[PlaceOrder, ...]
) -> Iterator[Refused | None]:
    """Cash that spot purchases spend."""
    spending = [found for order in pending_of(orders) if (found := spends_of(store, order)) is not None]
    for wallet, _ in spending:
        needed = sum((amount for spent_from, amount in spending if spent_from == wallet), ZERO)
        free = balance(store, *wallet) - book.claims.get(wallet, ZERO)
        yield rules.free_balance(name, needed, free)
