"""The life of a pair: one table, and what moves it.

    FLAT ──► ENTERING ──► HEDGED ──► EXITING ──► FLAT
     any state ──► LEGGED ──► HEDGED | FLAT

Orders sent move a pair to the right (`sent`); fills, ends of orders and the passing of time move it on
(`settle`), once per batch. A pair is *naked* while its delta is beyond one lot of its coarser leg (while it
is held, beyond its drift band), and LEGGED once it has been so for longer than its patience: from then on
it is repaired, or unwound, before anything else.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import spending
from bot.core.orders import BrokenInvariant
from bot.core.views import drift_band_base
from bot.model.commands import PlaceOrder
from bot.model.ids import PairName
from bot.model.instrument import Position
from bot.model.money import ZERO, exact
from bot.model.pair import Mode, PairState, Purpose
from bot.model.store import Market, Move, Pair, Store, live_orders_of
from risk.exposure import pair_delta_base, tolerance_base

FLAT, ENTERING, HEDGED, EXITING, LEGGED = PairState
AT_REST = (FLAT, HEDGED)  # states that time alone does not end, unless the pair is naked

LEGAL: dict[PairState, tuple[PairState, ...]] = {
    FLAT: (ENTERING, LEGGED),
    ENTERING: (FLAT, HEDGED, LEGGED),
    HEDGED: (ENTERING, EXITING, FLAT, LEGGED),
    EXITING: (FLAT, HEDGED, LEGGED),
    LEGGED: (FLAT, HEDGED),
}


def move(pair: Pair, state: PairState, at_ns: int, why: str) -> None:
    """Change a pair's state; raises `BrokenInvariant` where the table has no such row."""
    if state not in LEGAL[pair.state]:
        raise BrokenInvariant(f"pair {pair.spec.name}: {pair.state.value} cannot become {state.value}")
    pair.moves = (*pair.moves, Move(at_ns, pair.state, state, why))
    pair.state = state
    pair.since_ns = at_ns


def set_mode(store: Store, scope: str, mode: Mode, reason: str) -> None:
    """Latch the mode of a pair, or of everything where ``scope`` is ``*``."""
    if scope == "*":
        store.mode, store.mode_reason = mode, reason
    elif scope in store.pairs:
        pair = store.pairs[PairName(scope)]
        pair.mode, pair.mode_reason = mode, reason


def is_dust(market: Market, qty: Decimal) -> bool:
    """Too little for the venue to trade: a named residual, not a position.  A contract is never dust, because
    what reduces a position may be of any size."""
    instrument = market.instrument
    if not instrument.is_spot:
        return qty == 0
    size = abs(qty)
    if size < instrument.lot or size < instrument.qty_min:
        return True
    return market.mark is not None and size * market.mark < instrument.notional_min


def is_flat(store: Store, pair: Pair) -> bool:
    """No contract is open and what spot is left is dust, or only offsets coins the inverse leg lost; spot
    that falls short of those coins by no more than a lot is flat as well: no order would bring them back."""
    coin_cash = pair.long.coin_cash + pair.short.coin_cash
    for leg in pair.legs:
        market = store.markets[leg.instrument]
        qty = leg.position.qty
        if market.instrument.is_spot and coin_cash < 0:
            qty += coin_cash
            if -tolerance_base(store, pair) <= qty < 0:
                continue
        if not is_dust(market, qty):
            return False
    return True


def sent(pair: Pair, command: PlaceOrder, at_ns: int) -> None:
    """An order of this pair left."""
    pair.why = command.why
    match command.purpose:
        case Purpose.ENTER:
            pair.clip_ns = at_ns
            if pair.state in (FLAT, HEDGED):
                if pair.state is FLAT:
                    pair.entered_ns = at_ns
                move(pair, ENTERING, at_ns, type(command.why).__name__)
                pair.repairs = 0
                pair.spending.given_back = False
            pair.growing = True
        case Purpose.EXIT:
            pair.clip_ns = at_ns
            if pair.state is HEDGED:
                move(pair, EXITING, at_ns, type(command.why).__name__)
            pair.repairs = 0
            pair.growing = False
        case Purpose.REPAIR | Purpose.UNWIND:
            pair.repairs += 1
            pair.repair_ns = at_ns
        case Purpose.DRIFT:
            pair.repair_ns = at_ns


def settle(store: Store, pair: Pair, at_ns: int) -> None:
    """Move a pair on by what is now known of its legs, its orders and the time."""
    config = store.config
    if config is None or any(leg.instrument not in store.markets for leg in pair.legs):
        return
    spending.note_legs(store, pair)
    flat, live = is_flat(store, pair), bool(live_orders_of(store, pair))
    if flat and not live:
        if pair.state is not FLAT:
            move(pair, FLAT, at_ns, "nothing held" if pair.growing else "all sold")
            spending.end_entry(store, pair, at_ns)
            release(store, pair)
        pair.naked_ns = 0
        return
    naked = abs(pair_delta_base(store, pair)) > _tolerance_base(store, pair)
    pair.naked_ns = (pair.naked_ns or at_ns) if naked else 0
    if naked:
        if pair.state is not LEGGED and at_ns - pair.naked_ns > config.strategy.patience_s * 1e9:
            move(pair, LEGGED, at_ns, "naked beyond patience")
        return
    if live or flat:
        return
    match pair.state:
        case PairState.ENTERING:
            move(pair, HEDGED, at_ns, "legs in ratio")
            spending.end_entry(store, pair, at_ns)
            pair.growing = False
        case PairState.EXITING:
            withdrawn_s = config.strategy.clip_interval_s + config.strategy.patience_s
            if at_ns - pair.clip_ns > withdrawn_s * 1e9:
                move(pair, HEDGED, at_ns, "exit withdrawn")
        case PairState.LEGGED:
            spending.end_entry(store, pair, at_ns)
            pair.repairs, pair.growing = 0, False
            move(pair, HEDGED, at_ns, "legs in ratio")
        case PairState.FLAT:
            move(pair, LEGGED, at_ns, "position without an entry")
        case PairState.HEDGED:
            pair.repairs = 0


def _tolerance_base(store: Store, pair: Pair) -> Decimal:
    """One lot of the coarser leg; while a pair is held, its drift band, within which nothing is owed."""
    if pair.state is HEDGED:
        return exact(drift_band_base(store, pair))
    return tolerance_base(store, pair)


def release(store: Store, pair: Pair) -> None:
    """A pair that went flat owns no coins: what its inverse leg earned stays in the margin wallet as
    collateral, what it lost was made good by spot coins that the pair keeps no longer."""
    coin_cash = pair.long.coin_cash + pair.short.coin_cash
    for leg in pair.legs:
        if coin_cash < 0 and store.markets[leg.instrument].instrument.is_spot:
            qty = max(ZERO, leg.position.qty + coin_cash)
            leg.position = Position(qty, leg.position.cost if qty else ZERO)
        leg.coin_cash = ZERO
    pair.entered_ns = 0
    pair.repairs = 0
    pair.growing = False
