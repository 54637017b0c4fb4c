"""What `risk.watch.mode_changes` has to answer, worked out from every pair and every position.

It is the definition, written without any sum that is kept: what the tests hold the program against.
"""

from __future__ import annotations

from bot.model.commands import SetMode
from bot.model.config import Limits
from bot.model.ids import AccountId, PairName
from bot.model.money import ZERO
from bot.model.pair import Mode, PairState
from bot.model.store import Pair, Store, live_orders
from risk import limits as rules
from risk.exposure import (
    MissingData,
    PairExposure,
    config_of,
    gross_of,
    net_delta_of,
    pair_exposure,
    venue_total,
)
from risk.limits import Refused
from risk.margin import INFINITE, MarginState, MissingBrackets, account_margin
from risk.watch import BEYOND, FLAT, effective_mode

_FREE = (Mode.ACTIVE, Mode.PAUSED)


def plain_mode_changes(store: Store, at_ns: int) -> tuple[SetMode, ...]:
    """Changes of mode that this state calls for; nothing for what is latched already."""
    if store.config is None:
        return ()
    out: list[SetMode] = []
    exposed = False
    for pair in store.pairs.values():
        mode = effective_mode(store, pair)
        if mode is Mode.HALTED:
            continue
        if pair.mode is Mode.FLATTENING and _is_gone(store, pair):
            out.append(SetMode(pair.spec.name, Mode.HALTED, FLAT))
        elif pair.long.position.qty or pair.short.position.qty:
            exposed = exposed or mode in _FREE
    if store.mode is Mode.FLATTENING and all(_is_gone(store, pair) for pair in store.pairs.values()):
        out.append(SetMode("*", Mode.HALTED, FLAT))
    if exposed:
        _passed_limits(store, at_ns, store.config.limits, out)
    return tuple(out)


def _is_gone(store: Store, pair: Pair) -> bool:
    """Flat, with nothing left that could make it otherwise."""
    return pair.state is PairState.FLAT and not any(
        order.pair == pair.spec.name for order in live_orders(store)
    )


def _passed_limits(store: Store, at_ns: int, limits: Limits, out: list[SetMode]) -> None:
    """Bind every pair that has a part in a limit that is passed."""
    parts = _parts(store)
    settled = [part for part in parts.values() if not _within_patience(store, at_ns, part.pair)]
    gross, delta = gross_of(parts.values()), net_delta_of(settled)
    margins: dict[tuple[AccountId, str], MarginState | None] = {}
    for name, part in parts.items():
        pair = store.pairs[name]
        if effective_mode(store, pair) not in _FREE:
            continue
        broken = rules.pair_notional(limits, name, ZERO, part.notional)
        broken = broken or rules.gross_notional(limits, name, ZERO, gross)
        if part.net_low != 0:
            broken = broken or rules.net_delta(limits, name, ZERO, delta)
        for venue in dict.fromkeys(venue for venue, _ in part.legs):
            total = venue_total(parts.values(), venue)
            broken = broken or rules.venue_notional(limits, name, ZERO, total)
        broken = broken or _passed_margin(store, pair, margins)
        if broken is not None:
            sentence = f"{broken.rule} {broken.value}{BEYOND}{broken.limit}"
            out.append(SetMode(name, Mode.REDUCE_ONLY, sentence))


def _parts(store: Store) -> dict[PairName, PairExposure]:
    """Exposure of what is held, by pair. A pair that cannot be valued is held (no_mark, missing_rate) and
    waits."""
    parts = {}
    for pair in store.pairs.values():
        if pair.long.position.qty or pair.short.position.qty:
            try:
                parts[pair.spec.name] = pair_exposure(store, pair, ())
            except MissingData:
                continue
    return parts


def _within_patience(store: Store, at_ns: int, name: PairName) -> bool:
    """A delta this young may be one leg of a group whose other leg is under way."""
    patience_s = config_of(store).strategy.patience_s
    naked_ns = store.pairs[name].naked_ns
    return naked_ns != 0 and at_ns - naked_ns <= patience_s * 1e9


def _passed_margin(
    store: Store, pair: Pair, margins: dict[tuple[AccountId, str], MarginState | None]
) -> Refused | None:
    """The first margin limit that an account of the pair's contracts has passed."""
    limits, name = config_of(store).limits, pair.spec.name
    latch = rules.latch_bounds(limits)
    for leg in pair.legs:
        instrument = store.markets[leg.instrument].instrument
        if instrument.is_spot or leg.position.qty == 0:
            continue
        key = (instrument.account, instrument.margin_asset)
        if key not in margins:
            margins[key] = _margin(store, key)
        state = margins[key]
        if state is None:
            continue
        broken = rules.liquidation_distance(latch, name, INFINITE, state.distance)
        # the products say whether the quotients are worth a division
        if state.notional > state.equity * rules.exact_limit(limits.leverage_max):
            broken = broken or rules.leverage(limits, name, ZERO, state.leverage)
        if state.equity < state.maintenance * rules.exact_limit(limits.margin_ratio_min):
            broken = broken or rules.margin_ratio(latch, name, INFINITE, state.ratio)
        if broken is not None:
            return broken
    return None


def _margin(store: Store, key: tuple[AccountId, str]) -> MarginState | None:
    """``None`` where a number is missing: then the guard lets nothing open that needs this account."""
    try:
        return account_margin(store, *key)
    except (MissingData, MissingBrackets):
        return None
