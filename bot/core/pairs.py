"""The life of a pair: one table, and what moves it.

    FLAT ──► ENTERING ──► HEDGED ──► EXITING ──► FLAT
     any state ──► LEGGED ──► HEDGED | FLAT

Orders sent move a pair to the right (`sent`); fills, ends of orders and the passing of time move it on
(`settle`), once per batch. A pair is *naked* while its legs are not in ratio (`risk.ratio`), and LEGGED
once it has been so for longer than its patience: from then on it is repaired, or unwound, before anything
else.
"""

from __future__ import annotations

from bot.core import spending
from bot.core.orders import BrokenInvariant
from bot.model.commands import PlaceOrder
from bot.model.config import Config
from bot.model.ids import PairName
from bot.model.pair import Mode, PairState, Purpose
from bot.model.store import Move, Order, Pair, Store, keep_index, live_orders_of
from risk.ratio import in_ratio
from risk.tradable import is_dust

FLAT, ENTERING, HEDGED, EXITING, LEGGED = PairState
EXIT_PAUSE_NS = 1_000_000_000  # what is refused over and over must not spend the budget of every other exit
EXIT_PAUSE_MAX_NS = 60_000_000_000
BEYOND_COLLAR = "beyond_exit_collar"
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


def set_mode(store: Store, scope: str, mode: Mode, reason: str, *, ordered: bool = False) -> None:
    """Latch the mode of a pair, or of everything where ``scope`` is ``*``; ``ordered``: by an operator."""
    index = keep_index(store)
    if scope == "*":
        store.mode, store.mode_reason, store.mode_ordered = mode, reason, ordered
        index.mark_all()
    elif scope in store.pairs:
        pair = store.pairs[PairName(scope)]
        pair.mode, pair.mode_reason = mode, reason
        index.mark_pair(pair.spec.name)


def is_flat(store: Store, pair: Pair) -> bool:
    """No contract is open and what coins are left are dust.  Coins that an inverse leg earned or lost are the
    pair's residual, a figure of its own."""
    at_rest = pair.state is FLAT
    for leg in (pair.short, pair.long):  # a contract, which is told by its quantity alone, is mostly short
        qty = leg.position.qty
        if qty and not is_dust(store, store.markets[leg.instrument], qty, at_rest):
            return False
    return True


def completions(config: Config) -> int:
    """Orders that an entry may send to complete its missing leg; the second leg of ``sequenced`` is the
    first."""
    return config.strategy.repair_attempts + (1 if config.strategy.leg_policy == "sequenced" else 0)


def tries_max(config: Config, pair: Pair, growing: bool) -> int:
    """Fruitless attempts in one leg after which the other one is tried first."""
    entering = growing and pair.growing
    return max(1, completions(config) if entering else config.strategy.repair_attempts)


def sent(store: Store, pair: Pair, command: PlaceOrder, at_ns: int) -> None:
    """An order of this pair left."""
    pair.why = command.why
    match command.purpose:
        case Purpose.ENTER:
            pair.clip_ns = at_ns
            pair.collar_ns = pair.fruitless = 0
            if pair.state in (FLAT, HEDGED):
                if pair.state is FLAT:
                    pair.entered_ns, pair.entered_why = at_ns, command.why
                move(pair, ENTERING, at_ns, type(command.why).__name__)
                pair.repairs = 0
                pair.spending.given_back = False
            pair.growing = True
            pair.spending.leaving = False
        case Purpose.EXIT:
            pair.spending.leaving = True
            if pair.clip_ns != at_ns:  # a group counts once
                pair.fruitless += 1
                pair.exits_undone = pair.exits_undone if pair.regrown else 0
                pair.regrown = False
            pair.clip_ns = at_ns
            if pair.state is HEDGED:
                move(pair, EXITING, at_ns, type(command.why).__name__)
            pair.repairs = 0
            pair.growing = False
        case Purpose.REPAIR | Purpose.UNWIND:
            _tried(store, pair, command, at_ns)
        case Purpose.DRIFT:
            pair.repair_ns = at_ns
            pair.fruitless += 1


def _tried(store: Store, pair: Pair, command: PlaceOrder, at_ns: int) -> None:
    """One more attempt to bring a hedge back; where its leg had all of its round, a new round begins."""
    grows = command.side is command.role.opening_side
    tries = pair.grow_tries if grows else pair.shrink_tries
    if store.config is not None and tries >= tries_max(store.config, pair, grows):
        pair.rounds += 1
        pair.grow_tries = pair.shrink_tries = 0
    if grows:
        pair.grow_tries += 1
        if not pair.growing and not pair.regrown:
            pair.regrown, pair.exits_undone = True, pair.exits_undone + 1
    else:
        pair.shrink_tries += 1
    pair.repairs += 1
    pair.fruitless += 1
    pair.repair_ns = at_ns


def filled(pair: Pair) -> None:
    """Something of this pair was executed: what was tried in vain before is no measure any more."""
    pair.grow_tries = pair.shrink_tries = pair.rounds = pair.fruitless = pair.collar_ns = 0


def rearm(pair: Pair) -> None:
    """What a rule forbade may be allowed again: the round begins with the shortest pause."""
    pair.grow_tries = pair.shrink_tries = pair.rounds = pair.exits_undone = 0


def exit_pause_ns(pair: Pair) -> int:
    """Least time between two clips of an exit: it doubles with each that had to be taken back."""
    return min(EXIT_PAUSE_NS << min(pair.exits_undone, 20), EXIT_PAUSE_MAX_NS)


def withdrawn(pair: Pair, order: Order, at_ns: int) -> None:
    """The fuse refused an order of this pair, which never left: that was no attempt."""
    pair.fuse_ns = at_ns
    if order.purpose in (Purpose.REPAIR, Purpose.UNWIND):
        grows = order.side is order.role.opening_side
        pair.grow_tries -= 1 if grows and pair.grow_tries else 0
        pair.shrink_tries -= 1 if not grows and pair.shrink_tries else 0
        pair.repairs -= 1 if pair.repairs else 0
    if order.purpose is not Purpose.ENTER and pair.fruitless:
        pair.fruitless -= 1


def noted(pair: Pair, reason: str, at_ns: int) -> None:
    """A pair says why it waits: where that is its collar, the collar widens from now on."""
    if reason == BEYOND_COLLAR:
        pair.collar_ns = pair.collar_ns or at_ns


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
            spending.end_exit(store, pair, at_ns)
            release(pair)
            pair.spending.undone_exits = 0
        pair.naked_ns = 0
        return
    naked = not in_ratio(store, pair)
    pair.naked_ns = (pair.naked_ns or at_ns) if naked else 0
    if naked:
        if pair.state is not LEGGED and at_ns - pair.naked_ns > config.strategy.patience_s * 1e9:
            move(pair, LEGGED, at_ns, "naked beyond patience")
        return
    if live or flat:
        return
    spending.end_exit(store, pair, at_ns)
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


def release(pair: Pair) -> None:
    """A pair went flat: what is left of it is dust, and coins that are its residual."""
    pair.entered_ns, pair.entered_why = 0, None
    pair.repairs = 0
    pair.growing = False
    filled(pair)
