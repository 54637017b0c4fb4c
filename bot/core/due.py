"""When the mere passing of time next changes what a pair does, so that a tick looks at that pair only then.

A pair that a fact concerns is looked at in that step.  Where it was calm, its answer can change until the
next fact by a deadline alone, and every deadline that a calm answer knows is listed here.  What must stay
true: a pair that is passed over would have answered as it did.  So calm are only the answers named here, and
none for which an order was drafted: what the guard, the fuse or a price forbade may be allowed by others or
by time.  Such pairs are looked at with each tick.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from bot.core import pairs, signals, switch
from bot.core.routes import Touched
from bot.model.config import Config
from bot.model.index import Index
from bot.model.instrument import Kind
from bot.model.pair import Mode
from bot.model.store import Pair, Store, indexed
from risk.deleverage import giving
from risk.opening_holds import settled_rate_end_ns
from risk.watch import agreement_limit_ns, effective_mode

AT_ONCE = 0
NEVER = 2**63
MARGIN_NS = 1_000_000  # the rules compare floats: around a deadline a pair is looked at
CALM = frozenset(
    {
        "capital_in_use", "carry_below_entry", "clip_interval", "entry_off",
        "gap_below_entry", "holding", "minimum_hold", "missing_funding", "mode_halted", "not_configured",
        *(f"mode_{mode.value}" for mode in Mode),
    }
)  # fmt: skip


class Spans(Struct, frozen=True):
    """The settings that deadlines follow from, nanoseconds."""

    config: Config
    clip: int
    hold_min: int
    hold_max: int
    frame_age: int
    told_age: int  # of a book or a mark that lives and is told once a heartbeat
    offset: float
    agreement: int


def due(store: Store, config: Config, touched: Touched) -> Iterator[Pair]:
    """Of the pairs that a batch concerns those to be looked at: all that more than the clock concerns, and
    those whose deadline has come, or whose feed has fallen silent."""
    index, now_ns, markets = indexed(store), store.now_ns, store.markets
    if True not in touched.values():
        for name in touched:
            index.drafted = False
            yield store.pairs[name]
        return
    due_ns, spans = index.due_ns, _spans(config, index)
    silent_ns = now_ns - spans.frame_age + MARGIN_NS
    is_off = any(abs(account.offset_ns) > spans.offset for account in store.accounts.values())
    for name, by_clock in touched.items():
        pair = store.pairs[name]
        if (
            not by_clock
            or is_off
            or due_ns.get(name, AT_ONCE) <= now_ns
            or markets[pair.spec.long].heard_ns <= silent_ns
            or markets[pair.spec.short].heard_ns <= silent_ns
        ):
            index.drafted = False
            yield pair


def note(store: Store, config: Config, pair: Pair, reason: str) -> None:
    """Note when a pair is due that has given ``reason`` for doing nothing."""
    index, name = indexed(store), pair.spec.name
    if reason not in CALM or index.drafted:
        index.due_ns.pop(name, None)
    elif index.due_ns.get(name, AT_ONCE) <= store.now_ns:
        # a deadline that was noted stays right: a price moves none nearer, and what does drops it
        due_ns = _due_ns(store, _spans(config, index), index, pair)
        if due_ns > store.now_ns:
            index.due_ns[name] = due_ns
        else:
            index.due_ns.pop(name, None)


def _due_ns(store: Store, spans: Spans, index: Index, pair: Pair) -> int:
    spec, now_ns = pair.spec, store.now_ns
    if pair.state not in pairs.AT_REST or pair.naked_ns or index.live_of.get(spec.name):
        return AT_ONCE
    if not store.ledger.opened or effective_mode(store, pair) is Mode.FLATTENING:
        return AT_ONCE
    if giving(store, pair) is not None:
        return AT_ONCE
    past_ns, first_ns = now_ns - MARGIN_NS, NEVER
    for account in store.accounts.values():
        if now_ns <= account.throttled_ns or abs(account.offset_ns) > spans.offset:
            return AT_ONCE  # it is good again with a tick alone, as what is silent below
        agreed_ns = account.agreed_ns + spans.agreement
        if past_ns <= agreed_ns < first_ns:
            first_ns = agreed_ns
    for at_ns in (
        pair.clip_ns,
        pair.clip_ns + spans.clip,
        pair.clip_ns + pairs.exit_pause_ns(pair),
        pair.entered_ns + spans.hold_min,
        pair.entered_ns + spans.hold_max,
        *(switch.deadlines(store, pair) if switch.is_on(spans.config) else ()),
    ):
        if past_ns <= at_ns < first_ns:
            first_ns = at_ns
    for name in (spec.long, spec.short):
        market = store.markets.get(name)
        if market is None or market.instrument.kind is Kind.DATED or market.instrument.expiry_ns is not None:
            return AT_ONCE  # a yield to expiry changes all the time, and an end that is known comes nearer
        told_ns = market.book_seen_ns
        if market.mark_seen_ns:
            told_ns = min(told_ns, market.mark_seen_ns)
        if market.book_venue_ns is not None:
            told_ns = min(told_ns, market.book_venue_ns)
        told_ns += spans.told_age
        if told_ns <= now_ns or market.heard_ns + spans.frame_age <= now_ns:
            return AT_ONCE
        rate_ns = settled_rate_end_ns(spans.config, market)
        if past_ns <= rate_ns < first_ns:
            first_ns = rate_ns
        estimate_ns = market.funding_next_ns + signals.ESTIMATE_GRACE_NS
        if past_ns <= estimate_ns < first_ns:
            first_ns = estimate_ns
        first_ns = min(first_ns, told_ns)
    return first_ns - MARGIN_NS


def _spans(config: Config, index: Index) -> Spans:
    spans = index.spans
    if not isinstance(spans, Spans) or spans.config is not config:
        strategy, limits = config.strategy, config.limits
        frame_age_s, hold_min_s = limits.feed_age_max_s, strategy.hold_min_s
        spans = index.spans = Spans(
            config,
            clip=int(strategy.clip_interval_s * 1e9),
            hold_min=int((signals.CARRY_HOLD_S if hold_min_s is None else hold_min_s) * 1e9),
            hold_max=int(strategy.hold_max_s * 1e9),
            frame_age=int(frame_age_s * 1e9),
            told_age=int(frame_age_s * 1e9) + int(strategy.heartbeat_s * 1e9),
            offset=limits.clock_offset_max_ms * 1e6,
            agreement=agreement_limit_ns(config),
        )
    return spans
