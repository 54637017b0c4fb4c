"""What the report says of one pair, gathered row by row from the store that the journal restores.

Durations are differences of row times: what the store said after one row held until the next.  Delta and
hedge error change with fills and payments only, so they are sampled there and drawn as steps.
"""

from __future__ import annotations

from msgspec import Struct, field

from bot.core.views import gap_bps, pair_rate
from bot.model.ids import InstrumentId, PairName
from bot.model.money import text
from bot.model.pair import PairState, Role
from bot.model.store import Move, Pair, Store
from bot.quant.basis import BPS_PER_UNIT, basis_bps
from bot.shell.report_model import HedgeError, PairReport, Transition
from bot.shell.report_series import Trace
from bot.shell.report_text import instant

NS_PER_S = 1_000_000_000
_TRADING = ("", "trading")  # notes that are no reason for not trading
_ERROR_DIGITS = 4  # of a basis point: what quantiles are told to


class PairTally(Struct):
    """Sums and series of one pair.

    ``error_ns`` is how long each hedge error (bps) stood while HEDGED: few values, since only a fill or a
    payment changes it.  ``basis_*`` are basis points of the long price, long leg's currency: mid to mid,
    and what one clip would get entering (short bid over long ask) and leaving (short ask over long bid).
    """

    name: PairName
    long: InstrumentId
    short: InstrumentId
    moves: list[Move] = field(default_factory=list)
    naked_ns_max: int = 0
    naked_since_ns: int = 0
    error_ns: dict[float, int] = field(default_factory=dict)
    idle_ns: dict[str, int] = field(default_factory=dict)
    rebalances: int = 0
    fills: int = 0
    hedge_error_bps: float | None = None
    state: PairState = PairState.FLAT
    idle: str = ""
    basis_mid: Trace = field(default_factory=Trace)
    basis_entry: Trace = field(default_factory=Trace)
    basis_exit: Trace = field(default_factory=Trace)
    delta_base: Trace = field(default_factory=Trace)
    error_bps: Trace = field(default_factory=Trace)  # while HEDGED only
    funding_bps: dict[str, Trace] = field(default_factory=dict)  # by instrument, per interval


def elapse(tally: PairTally, held_ns: int, at_ns: int) -> None:
    """Book the time from the last row to ``at_ns`` on what the last row left."""
    if tally.idle not in _TRADING:
        tally.idle_ns[tally.idle] = tally.idle_ns.get(tally.idle, 0) + held_ns
    if tally.state is PairState.HEDGED and tally.hedge_error_bps is not None:
        error = round(tally.hedge_error_bps, _ERROR_DIGITS)
        tally.error_ns[error] = tally.error_ns.get(error, 0) + held_ns
    if tally.naked_since_ns:
        tally.naked_ns_max = max(tally.naked_ns_max, at_ns - tally.naked_since_ns)


def observe(tally: PairTally, pair: Pair, at_ns: int) -> None:
    """Remember what a row left of the pair."""
    if tally.state is PairState.HEDGED and pair.state is not PairState.HEDGED:
        tally.error_bps.hold(at_ns)
    tally.moves.extend(pair.moves)
    tally.naked_since_ns = pair.naked_ns
    tally.state = pair.state
    tally.idle = pair.idle


def observe_delta(tally: PairTally, at_ns: int, delta_base: float, leg_base: float) -> None:
    """Remember the pair's delta after a fill or payment; ``leg_base`` ≥ 0 is the size of its larger leg."""
    tally.delta_base.add(at_ns, delta_base)
    if leg_base == 0.0:
        tally.hedge_error_bps = None
        return
    tally.hedge_error_bps = abs(delta_base) / leg_base * BPS_PER_UNIT
    if tally.state is PairState.HEDGED:
        tally.error_bps.add(at_ns, tally.hedge_error_bps)


def end(tally: PairTally, at_ns: int) -> None:
    """Let the steps reach to the end of the run."""
    tally.delta_base.hold(at_ns)
    if tally.state is PairState.HEDGED:
        tally.error_bps.hold(at_ns)


def observe_basis(tally: PairTally, store: Store, pair: Pair, at_ns: int, clip_quote: float) -> None:
    """Remember the basis; nothing where a ladder, or the rate between the legs' currencies, is missing."""
    long, short = store.markets.get(tally.long), store.markets.get(tally.short)
    if long is None or short is None or long.gapped or short.gapped:
        return
    rate = pair_rate(store, pair)
    if rate is None or not (long.bids and long.asks and short.bids and short.asks):
        return
    long_mid = (long.bids[0][0] + long.asks[0][0]) / 2
    short_mid = (short.bids[0][0] + short.asks[0][0]) / 2
    tally.basis_mid.add(at_ns, basis_bps(short_mid * rate, long_mid))
    for trace, opening in ((tally.basis_entry, True), (tally.basis_exit, False)):
        gap = gap_bps(store, pair, clip_quote, opening)
        if gap is not None:
            trace.add(at_ns, gap)


def observe_funding(tally: PairTally, instrument: InstrumentId, at_ns: int, rate: float) -> None:
    tally.funding_bps.setdefault(instrument, Trace()).add(at_ns, rate * BPS_PER_UNIT)


def weighted_quantile(weights: dict[float, int], share: float) -> float | None:
    """The smallest value that, with all below it, has at least ``share`` of the weight; ``None`` without
    any."""
    total = sum(weights.values())
    if total == 0:
        return None
    reached = 0
    for value in sorted(weights):
        reached += weights[value]
        if reached >= share * total:
            return value
    raise AssertionError("shares are at most one")


def pair_report(tally: PairTally, pair: Pair) -> PairReport:
    return PairReport(
        name=tally.name,
        long=tally.long,
        short=tally.short,
        state=pair.state,
        mode=pair.mode,
        capital_quote=text(pair.spec.capital_quote),
        transitions=tuple(
            Transition(at=instant(move.at_ns), before=move.before, after=move.after, why=move.why)
            for move in tally.moves
        ),
        naked_s_max=tally.naked_ns_max / NS_PER_S,
        hedge_error_bps=HedgeError(
            p50=weighted_quantile(tally.error_ns, 0.5), p99=weighted_quantile(tally.error_ns, 0.99)
        ),
        rebalances=tally.rebalances,
        fills=tally.fills,
        hedged_s=sum(tally.error_ns.values()) / NS_PER_S,
        not_trading=seconds(tally.idle_ns),
    )


def seconds(by_reason_ns: dict[str, int]) -> dict[str, float]:
    """Nanoseconds by reason as seconds, the longest first, names breaking ties."""
    order = sorted(by_reason_ns, key=lambda reason: (-by_reason_ns[reason], reason))
    return {reason: by_reason_ns[reason] / NS_PER_S for reason in order}


def role_of(tally: PairTally, instrument: InstrumentId) -> Role | None:
    if instrument == tally.long:
        return Role.LONG
    return Role.SHORT if instrument == tally.short else None
