"""What can go wrong, one function a kind: it begins (``on``), and it ends.

A function says whether it had any effect: nothing can be deleveraged where nothing is held.  What must stay
true: whatever begins here can end, so that an obedient venue is one that all troubles have left.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from bot.model.facts import (
    AccountSet,
    AccountTouched,
    AnyFact,
    BalanceSeen,
    BookGapped,
    Channel,
    ChannelLost,
    ChannelOpened,
    InstrumentListed,
    InstrumentStatusSeen,
    ModeOrdered,
    SettingsChanged,
    StopOrdered,
    Throttled,
    Transferred,
)
from bot.model.instrument import Instrument, Side
from bot.model.money import ZERO, exact, floor_to
from bot.model.pair import Mode, PairState
from tests.simulation.explorer.venue import price_of

if TYPE_CHECKING:
    from tests.simulation.explorer.scenario import Trouble
    from tests.simulation.explorer.world import World

Act = Callable[["World", "Trouble", bool], bool]
SECOND_NS = 1_000_000_000


def _whim(name: str, low: float, high: float) -> Act:
    def act(world: World, trouble: Trouble, on: bool) -> bool:
        whims = world.account(trouble).whims
        setattr(whims, name, low + (high - low) * trouble.size if on else 0.0)
        return True

    return act


def _lost(channel: Channel) -> Act:
    def act(world: World, trouble: Trouble, on: bool) -> bool:
        account = world.account(trouble)
        if on and channel in account.lost:
            return False
        if on:
            account.lost[channel] = None
            world.venue.lose_answers(account.id)
            world.hear([ChannelLost(account.id, channel, "connection closed")])
        elif account.lost.pop(channel, 0) is None:
            world.hear([ChannelOpened(account.id, channel)])
        return True

    return act


def _book(name: str, value: object, usual: object) -> Act:
    def act(world: World, trouble: Trouble, on: bool) -> bool:
        setattr(world.book(trouble), name, value if on else usual)
        return True

    return act


def _stale(world: World, trouble: Trouble, on: bool) -> bool:
    world.book(trouble).stale = on
    return True


def _gap(world: World, trouble: Trouble, on: bool) -> bool:
    world.book(trouble).gapped = on
    if on:
        world.hear([BookGapped(world.leg(trouble).id, 1, 3, world.now_ns)])
    return True


def _one_sided(world: World, trouble: Trouble, on: bool) -> bool:
    world.book(trouble).bare = (Side.BUY if trouble.size < 0.5 else Side.SELL) if on else None
    return True


def _thin(world: World, trouble: Trouble, on: bool) -> bool:
    world.book(trouble).depth = 0.02 + 0.8 * trouble.size**2 if on else 6.0
    return True


def _squeeze(world: World, trouble: Trouble, on: bool) -> bool:
    """The contract leaves its index by one to nine per cent."""
    book = world.books_of(trouble, contract=True)
    sign = 1 if int(trouble.size * 1000) % 2 else -1
    book.squeeze_bps = sign * (100 + 800 * trouble.size) if on else 0.0
    return True


def _jump(world: World, trouble: Trouble, on: bool) -> bool:
    if on:
        sign = 1 if int(trouble.size * 1000) % 2 else -1
        world.market.index[world.plan(trouble).coin] *= 1 + sign * (0.01 + 0.05 * trouble.size)
    return True


def _coarse_lot(world: World, trouble: Trouble, on: bool) -> bool:
    """A lot that is up to a quarter of a clip."""
    first, price = world.first(trouble), world.book(trouble).mid
    lot = first.lot
    if on:
        for _ in range(1 + int(trouble.size * 3)):
            if float(lot) * 10 * world.worth(first, price) <= float(world.clip) / 4:
                lot *= 10
        if lot == first.lot:
            return False
    _list(world, trouble, lot=lot, qty_min=lot)
    return True


def _high_minimum(world: World, trouble: Trouble, on: bool) -> bool:
    first = world.first(trouble)
    least = first.notional_min
    if on:
        least = max(first.notional_min, floor_to(world.clip * exact(0.05 + 0.2 * trouble.size), Decimal(1)))
        if least == first.notional_min or first.inverse:
            return False
    _list(world, trouble, notional_min=least)
    return True


def _list(world: World, trouble: Trouble, **changes: Decimal) -> None:
    name = world.leg(trouble).id
    made = msgspec.structs.replace(world.books.instruments[name], **changes)
    world.books.instruments[name] = world.contracts[name] = world.book(trouble).instrument = made
    world.hear([InstrumentListed(made)])


def _status(word: str) -> Act:
    def act(world: World, trouble: Trouble, on: bool) -> bool:
        name = world.leg(trouble).id
        world.venue.status[name] = word if on else "TRADING"
        world.hear([InstrumentStatusSeen(name, world.venue.status[name], world.now_ns)])
        return True

    return act


def _throttled(world: World, trouble: Trouble, on: bool) -> bool:
    account = world.account(trouble)
    if on:
        account.throttled_ns = world.now_ns + int(trouble.for_s * SECOND_NS)
        world.hear([Throttled(account.id, account.throttled_ns, "-1003", "too many requests")])
    return True  # it was told until when, and lasts as long


def _hedged(world: World, trouble: Trouble, on: bool) -> bool:
    """Somebody sets the contract's account to hold long and short apart."""
    account = world.books.account(world.contract(trouble).id)
    account.hedged = on
    world.hear([AccountSet(account.id, on, False, world.now_ns)])
    return True


def _restricted(world: World, trouble: Trouble, on: bool) -> bool:
    world.account(trouble).restricted = on
    return True


def _mute(world: World, trouble: Trouble, on: bool) -> bool:
    world.account(trouble).mute = on
    return True


def _adl(share: float) -> Act:
    def act(world: World, trouble: Trouble, on: bool) -> bool:
        if not on:
            return True
        one, qty = _part(world, trouble, share)
        if not qty:
            return False
        price = price_of(world.market.books[one.id].mark, one)
        fact = world.books.force(one.id, qty, price, world.now_ns)
        world.push(one, [fact, *world.books.stated(one.id, world.now_ns)])
        return True

    return act


def _closed_by_hand(world: World, trouble: Trouble, on: bool) -> bool:
    if not on:
        return True
    one, qty = _part(world, trouble, 0.2 + 0.8 * trouble.size)
    if not qty:
        return False
    world.books.close_by_hand(one.id, qty, price_of(world.market.books[one.id].mark, one))
    touched: AnyFact = AccountTouched(one.account, "an order of somebody else", world.now_ns)
    world.push(one, [*world.books.stated(one.id, world.now_ns), touched])
    return True


def _part(world: World, trouble: Trouble, share: float) -> tuple[Instrument, Decimal]:
    """The pair's contract, and that share of it in lots."""
    one = world.contract(trouble)
    held = abs(world.books.positions[one.id].qty)
    return one, held if share >= 1 else floor_to(held * exact(round(share, 4)), one.lot)


def _coins_missing(world: World, trouble: Trouble, on: bool) -> bool:
    """Somebody moves coins out of the spot wallet, and brings them back."""
    one = world.plan(trouble).long
    if not one.is_spot:
        return False
    account, missing = world.books.account(one.id), world.books.missing
    if on:
        held = world.books.held(one.id)
        worth = float(held) * world.market.books[one.id].mid
        if worth <= world.bounds.dust_quote or missing.get(one.id):
            return False
        part = floor_to(held * exact(round(0.2 + 0.8 * trouble.size, 4)), one.lot)
        if not part:
            return False
        missing[one.id] = part
        account.credit(one.base, -part)
    else:
        account.credit(one.base, missing.pop(one.id, ZERO))
        world.books.returned_ns[one.id] = world.now_ns
    facts: list[AnyFact] = [BalanceSeen(account.id, one.base, account.wallet[one.base], world.now_ns)]
    if trouble.size < 0.7:
        facts.append(AccountTouched(account.id, "a balance moved", world.now_ns))
    world.push(one, facts)
    return True


def _bnb_gone(world: World, trouble: Trouble, on: bool) -> bool:
    """The stock of fee coins runs out."""
    one = world.plan(trouble).long
    account = world.books.account(one.id)
    amount = account.wallet.get("BNB", ZERO)
    if not on or not amount or world.books.fee_in != "BNB":
        return not on
    account.credit("BNB", -amount)
    moved = Transferred(account.id, "BNB", -amount, f"bnb{world.now_ns}", world.now_ns)
    world.push(one, [moved, BalanceSeen(account.id, "BNB", ZERO, world.now_ns)])
    return True


def _funding(world: World, trouble: Trouble, on: bool) -> bool:
    one = world.contract(trouble)
    if not on:
        return True
    if not world.books.positions[one.id].qty:
        return False
    mark = price_of(world.market.books[one.id].mark, one)
    rate = exact(round((trouble.size - 0.5) * 0.006, 8))
    paid = world.books.fund(one.id, rate, mark, world.now_ns)
    world.push(one, [paid, *world.books.stated(one.id, world.now_ns)])
    return True


def _limit(world: World, trouble: Trouble, on: bool) -> bool:
    """New settings, below what is held: the pair is bound."""
    limits = world.first_config.limits
    if on:
        bound = floor_to(world.clip * exact(0.3 + trouble.size), Decimal(1))
        limits = msgspec.structs.replace(limits, pair_notional_max_quote=bound)
    world.config = msgspec.structs.replace(world.config, limits=limits)
    world.hear([SettingsChanged(world.config, "desk")])
    return True


def _mode(mode: Mode) -> Act:
    def act(world: World, trouble: Trouble, on: bool) -> bool:
        scope = "*" if trouble.size < 0.3 else world.plan(trouble).name
        world.hear([ModeOrdered(scope, mode if on else Mode.ACTIVE, "desk", "by hand")])
        return True

    return act


def _restart(world: World, trouble: Trouble, on: bool) -> bool:
    if on:
        world.crash(min(trouble.for_s, 6.0), "crash" if trouble.size < 0.9 else "aborted")
    return True


def _stop(world: World, trouble: Trouble, on: bool) -> bool:
    if on:
        world.hear([StopOrdered("desk", "new version")])
    else:
        world.crash(1.0, "clean")
    return True


TROUBLES: dict[str, Act] = {
    "reject": _whim("reject", 0.3, 1.0),
    "nofill": _whim("nofill", 0.3, 1.0),
    "partial": _whim("partial", 0.3, 0.9),
    "silence": _whim("silence", 0.1, 0.6),
    "late": _whim("late", 0.2, 0.9),
    "double": _whim("double", 0.3, 1.0),
    "adl_whole": _adl(1.0),
    "adl_part": _adl(0.2),
    "closed_by_hand": _closed_by_hand,
    "lost_market": _lost(Channel.MARKET),
    "lost_private": _lost(Channel.PRIVATE),
    "lost_orders": _lost(Channel.ORDERS),
    "stale": _stale,
    "stale_mark": _book("stale_mark", True, False),
    "gap": _gap,
    "one_sided": _one_sided,
    "crossed": _book("crossed", True, False),
    "thin": _thin,
    "squeeze": _squeeze,
    "jump": _jump,
    "coarse_lot": _coarse_lot,
    "high_minimum": _high_minimum,
    "halt": _status("HALT"),
    "delisting": _status("DELISTING"),
    "throttled": _throttled,
    "hedged": _hedged,
    "restricted": _restricted,
    "mute": _mute,
    "coins_missing": _coins_missing,
    "bnb_gone": _bnb_gone,
    "funding": _funding,
    "limit": _limit,
    "paused": _mode(Mode.PAUSED),
    "reduce_only": _mode(Mode.REDUCE_ONLY),
    "flattening": _mode(Mode.FLATTENING),
    "halted": _mode(Mode.HALTED),
    "restart": _restart,
    "stop": _stop,
}

# what a trouble cannot meet, and why
_NOTHING_HELD = "nothing is held that could be taken, paid for or moved"
IMPOSSIBLE: dict[tuple[str, str], str] = {
    (trouble, PairState.FLAT.value): _NOTHING_HELD
    for trouble in ("adl_whole", "adl_part", "closed_by_hand", "funding", "coins_missing")
}
