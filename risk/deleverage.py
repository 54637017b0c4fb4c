"""When margin is given back: a wallet that is closer to liquidation than its threshold reduces positions.

A limit that latches stops what opens and closes nothing.  Where the mark goes on, the venue would liquidate
one leg while the other leg's profit lies in another wallet.  So a second threshold, halfway to liquidation,
makes a wallet *give*: both legs of its pairs are reduced until it is inside the limits that latch.  The latch
stays, and for an hour inside the limits of what opens nothing is opened on the wallet either.

The stage of a wallet is stored (`store.Deleveraged`) and changed by `SetMargin` alone, proposed here.
What must stay true: a number that is missing begins nothing, ends nothing, and counts as outside.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import Deleverage, MarginStage, SetMargin
from bot.model.ids import AccountId, account_of
from bot.model.index import Wallet
from bot.model.money import text
from bot.model.pair import Mode
from bot.model.store import Deleveraged, Leg, Pair, Store, indexed
from risk import limits as rules
from risk.exposure import MissingData, config_of
from risk.limits import MarginBounds
from risk.margin import MarginState, MissingBrackets, account_margin
from risk.opening_holds import INSIDE_NS
from risk.parts import wallets_of
from risk.shares import MarginTotals
from risk.totals import Totals, totals
from risk.watch import Watched, effective_mode

GIVING, WAITING, INSIDE, FREE = MarginStage


# --- stages -----------------------------------------------------------------------------------------------


def changes(store: Store, at_ns: int) -> tuple[SetMargin, ...]:
    """Stages that change with this step, of wallets that passed a limit or have a stage."""
    watched = indexed(store).watched
    if not isinstance(watched, Watched) or store.config is None:
        return ()
    staged: dict[Wallet, Deleveraged] = {}
    for account in store.accounts.values():
        for asset, state in account.deleveraged.items():
            staged[account.id, asset] = state
    if not staged and not watched.wallets:
        return ()
    book, out = totals(store), []
    passed = ((AccountId(key[0]), key[1]) for key in watched.wallets)
    for wallet in dict.fromkeys((*passed, *staged)):
        change = _change(store, book, wallet, staged.get(wallet), at_ns)
        if change is not None:
            out.append(change)
    return tuple(out)


def _change(
    store: Store, book: Totals, wallet: Wallet, state: Deleveraged | None, at_ns: int
) -> SetMargin | None:
    config, (account, asset) = config_of(store), wallet
    bounds = rules.deleverage_bounds(config.limits, config.margin)
    giving = book.margin_giving(store, wallet)
    stage = None if state is None else state.stage
    if stage is not GIVING and giving is not None and _is_outside(giving, bounds):
        passed = _passed(account_margin(store, *wallet), bounds)
        if passed is not None:
            return SetMargin(account, asset, GIVING, *passed)
    if state is None:
        return None
    after = _next(store, book, wallet, state, at_ns)
    if after is state.stage:
        return None
    return SetMargin(account, asset, after, state.rule, state.value, state.limit)


def _next(store: Store, book: Totals, wallet: Wallet, state: Deleveraged, at_ns: int) -> MarginStage:
    """The stage after one that does not begin to give."""
    config = config_of(store)
    if state.stage is GIVING:
        margin = book.margin(store, wallet)
        latch = rules.latch_bounds(config.limits)
        return GIVING if margin is None or _is_outside(margin, latch) else WAITING
    try:
        worst = book.margin_worst(store, wallet)
    except (MissingData, MissingBrackets):
        return WAITING
    if _is_outside(worst, rules.opening_bounds(config.limits, config.margin)):
        return WAITING
    if state.stage is WAITING:
        return INSIDE
    return FREE if at_ns - state.since_ns >= INSIDE_NS else INSIDE


def _is_outside(margin: MarginTotals, bounds: MarginBounds) -> bool:
    """Whether a wallet is below one of the bounds, whose distance is that of the stress; by products, since
    that needs no division."""
    return not margin.is_far or margin.equity < margin.maintenance * bounds.ratio


def _passed(margin: MarginState, bounds: MarginBounds) -> tuple[str, str, str] | None:
    """The rule, its figure and its limit; ``None`` where only the stress, which rounds up, was beyond."""
    if margin.distance < bounds.distance:
        return "liquidation_distance", text(margin.distance), text(bounds.distance)
    if margin.ratio < bounds.ratio:
        return "margin_ratio", text(margin.ratio), text(bounds.ratio)
    return None


# --- what follows from them -------------------------------------------------------------------------------


def giving(store: Store, pair: Pair) -> tuple[Wallet, Deleverage] | None:
    """The wallet for which a pair's legs have to be reduced, with the reason."""
    accounts, spec = store.accounts, pair.spec
    if not accounts[account_of(spec.long)].deleveraged and not accounts[account_of(spec.short)].deleveraged:
        return None
    for wallet in wallets_of(store, pair):
        state = store.accounts[wallet[0]].deleveraged.get(wallet[1])
        if state is not None and state.stage is GIVING:
            return wallet, Deleverage(f"{wallet[0]} {wallet[1]}", state.rule, state.value, state.limit)
    return None


def ranked(store: Store, wallet: Wallet) -> list[Pair]:
    """The pairs that can give to a wallet, those first whose contract in it would lose most on the way to the
    limit that latches."""
    book, place_of = totals(store), indexed(store).place_of

    def rank(pair: Pair) -> tuple[Decimal, Decimal, int]:
        legs = [leg for leg in pair.legs if _is_margined_in(store, leg, wallet)]
        stress = max(book.stress_of(leg.instrument, wallet) for leg in legs)
        return -stress, -max(abs(leg.position.qty) for leg in legs), place_of[pair.spec.name]

    here = [pair for pair in store.pairs.values() if wallet in wallets_of(store, pair)]
    return sorted((pair for pair in here if effective_mode(store, pair) is not Mode.HALTED), key=rank)


def _is_margined_in(store: Store, leg: Leg, wallet: Wallet) -> bool:
    instrument = store.markets[leg.instrument].instrument
    is_here = (account_of(leg.instrument), instrument.margin_asset) == wallet
    return is_here and leg.position.qty != 0 and not instrument.is_spot
