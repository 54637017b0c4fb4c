"""The metrics: one table of names, and the numbers behind them at the moment they are asked for.

Nothing is counted twice: the numbers are those of the snapshot (`bot.shell.state`), of the loop and of the
gateways, read when Prometheus asks.  Names are ``basisbot_<noun>_<unit>``; what only grows ends in
``_total``.  A series that first appears with a one shows no increase, so that what is watched for its first
time is told as zero before.  What must stay true: every name is in the table and in docs/METRICS.md, every
class of alerts and code of holds in docs/CODES.md.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from bot.core.decide import conditions, events
from bot.core.decide.standing import STANDING
from bot.model.commands import MarginStage
from bot.model.facts import Fact
from bot.model.ids import AccountId
from bot.model.pair import Mode
from bot.model.store import OrderState
from bot.ports import Reading
from bot.shell.state import State, read_state

if TYPE_CHECKING:
    from bot.shell.daemon import Daemon

PREFIX = "basisbot_"
NAMES: dict[str, str] = {
    "nav_quote": "net asset value, NAV currency",
    "attribution_quote": "change of NAV since the books opened, by where it came from, NAV currency",
    "residual_quote": "change of NAV that no posting explains, while every account was compared since money "
    "last moved on it; anything but zero is a bug, NAV currency",
    "notional_quote": "the larger leg of a pair, NAV currency",
    "delta_quote": "net delta of a pair, NAV currency",
    "residual_coins_base": "coins that an inverse pair left unhedged, base currency",
    "naked_seconds": "how long a pair has been naked; 0: it is not",
    "basis_bps": "middle of the short leg's book over the long leg's, basis points",
    "carry_ratio": "net carry of a clip entered now, fraction a year",
    "funding_ratio": "the venue's estimate of the next funding rate, fraction an interval",
    "margin_ratio": "equity over maintenance margin of a leg's account",
    "liquidation_ratio": "distance of the mark to liquidation, fraction of the mark",
    "orders_count": "orders of the last hour, by state",
    "holds_count": "reasons why a pair may not open now, by code",
    "pair_ready_bool": "1 when nothing holds a pair",
    "ready_bool": "1 when nothing holds any pair and the run is not stopping",
    "mode_rank": "mode in force: 0 active, 1 paused, 2 reduce only, 3 flattening, 4 halted",
    "leg_heard_age_seconds": "time since a leg's instrument was last heard, as the core knows it",
    "leg_book_age_seconds": "time since a leg's book was last a fact",
    "account_deleveraging_bool": "1 while both legs of an account's pairs are reduced for its margin",
    "account_age_seconds": "time since an account was last compared with the venue",
    "account_reconciled_bool": "1 when an account is what the ledger expects",
    "fee_coin_balance_coins": "what an account holds of the coin that its fees are paid from",
    "fee_coin_left_hours": "how long that lasts at the rate of fees of the last 24 hours",
    "account_offset_seconds": "the venue's clock less ours, after correction",
    "drift_total": "messages of a venue that were not understood, by account, since the journal began",
    "alerts_total": "alerts begun since the start, by the first word of their key; repeats do not count",
    "alerts_standing_count": "conditions that were told and are not over, by the first word of their key",
    "journal_rows_total": "rows of the journal",
    "journal_bytes": "size of the journal's files",
    "batches_total": "steps since the start",
    "facts_total": "facts stepped since the start, by type",
    "commands_total": "commands admitted since the start, by type",
    "conflated_total": "facts that a newer one of the same kind replaced before a step saw them",
    "loop_lag_seconds": "how late the last tick came",
    "resident_bytes_max": "largest resident memory so far",
    "cpu_seconds_total": "processor time of the process",
    # told by the gateways
    "rate_used_count": "request weight or orders used in the present window",
    "rate_limit_count": "request weight or orders a window allows",
    "rate_blocked_seconds": "time until the venue answers again",
    "rate_refused_total": "requests not sent for want of budget",
    "rest_round_trip_seconds": "the last request's way there and back",
    "clock_offset_seconds": "the venue's clock less ours, as last measured",
    "channel_losses_total": "losses of a private or an order channel",
    "feed_frames_total": "market frames received",
    "feed_drifts_total": "market frames that the codec did not know",
    "feed_connects_total": "connections of a market stream, the first included",
    "feed_age_seconds": "time since a frame of an instrument was received",
    "book_gaps_total": "holes in depth updates",
    "book_resyncs_total": "books bridged anew after a hole",
    "book_resync_seconds": "how long the last bridging took",
    "book_unknown_count": "books that are being bridged",
    "market_frames_total": "books and tickers received through ccxt",
    "market_losses_total": "losses of a market stream of ccxt",
    "private_losses_total": "losses of a private stream of ccxt",
}

CONDITIONS = (*conditions.KINDS, *(code for code in STANDING if code not in conditions.KINDS))
ALERTS = (*CONDITIONS, *(kind for kind in events.KINDS if kind not in CONDITIONS), "settings_refused")
HOLDS = (
    "no_config", "stopping", "channel_lost", "not_reconciled", "uncertain_order", "stale_feed", "stale_mark",
    "gap", "no_book", "crossed_book", "no_mark", "no_index", "missing_rate", "not_trading", "isolated_margin",
    "leverage_differs", "leverage_low", "hedge_mode", "multi_assets", "throttled", "clock_offset",
    "foreign_order", "baseline_position", "feed_ended", "base_differs", "interval_in_doubt", "feed_lag",
    "leg_skew", "settled_rate_old", "deleveraging", "deleveraged", "contract_of_open_pair",
)  # fmt: skip


def render(daemon: Daemon) -> bytes:
    """Everything there is to tell now, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(daemon))
    return generate_latest(registry)


class _Snapshot:
    """A collector of one answer."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for reading in readings(self._daemon):
            family = families.setdefault(reading.name, _family(reading.name))
            family.add_sample(PREFIX + reading.name, reading.labels, reading.value)
        yield from families.values()


def _family(name: str) -> Metric:
    kind = "counter" if name.endswith("_total") else "gauge"
    return Metric(PREFIX + name.removesuffix("_total"), NAMES.get(name, "told by a gateway"), kind)


def readings(daemon: Daemon) -> Iterator[Reading]:
    """All numbers; those that are not known are left out."""
    engine, store = daemon.engine, daemon.engine.store
    state = read_state(store, daemon.clock.now_ns(), daemon.parts.version, engine.journal.last_seq)
    yield from _money(state)
    for name in state.pairs:
        yield from _pair(state, name)
    yield from _accounts(state)
    yield Reading("ready_bool", float(state.ready))
    counts = dict.fromkeys(OrderState, 0)
    for order in store.orders.values():
        counts[order.state] += 1
    for order_state, count in counts.items():
        yield Reading("orders_count", count, {"state": order_state.value})
    drift = dict.fromkeys(store.accounts, 0)
    for key, count in store.drift.items():
        account = AccountId(key.split(" ")[0])  # an account, or what was said of none of ours
        drift[account] = drift.get(account, 0) + count
    for account, count in drift.items():
        yield Reading("drift_total", count, {"account": account})
    yield from _loop(daemon)
    for gateway in daemon.gateways:
        yield from gateway.readings()


def _money(state: State) -> Iterator[Reading]:
    money = state.money
    yield from _known("nav_quote", money.nav, {"currency": money.currency})
    yield from _known("residual_quote", money.residual, {"currency": money.currency})
    for source, amount in money.attribution.items():
        yield Reading("attribution_quote", float(amount), {"source": source})


def _pair(state: State, name: str) -> Iterator[Reading]:
    pair, labels = state.pairs[name], {"pair": name}
    yield from _known("notional_quote", pair.notional_quote, labels)
    yield from _known("delta_quote", pair.delta_quote, labels)
    yield Reading("residual_coins_base", float(pair.residual_base), labels)
    yield from _known("basis_bps", pair.basis_bps, labels)
    yield from _known("carry_ratio", pair.net_apr, labels)
    yield Reading("naked_seconds", pair.naked_s, labels)
    yield Reading("pair_ready_bool", float(pair.ready), labels)
    yield Reading("mode_rank", Mode(pair.mode).rank, labels)
    codes = dict.fromkeys(HOLDS, 0)
    for hold in pair.holds:
        codes[hold.code] += 1
    for code, count in codes.items():
        yield Reading("holds_count", count, {**labels, "code": code})
    for role, leg in pair.legs.items():
        of_leg = {**labels, "role": role, "instrument": leg.instrument}
        yield from _known("leg_heard_age_seconds", leg.heard_age_s, of_leg)
        yield from _known("leg_book_age_seconds", leg.book_age_s, of_leg)
        yield from _known("funding_ratio", leg.funding_rate, of_leg)
        yield from _known("margin_ratio", leg.margin_ratio, of_leg)
        yield from _known("liquidation_ratio", leg.liquidation_distance, of_leg)


def _accounts(state: State) -> Iterator[Reading]:
    for name, account in state.accounts.items():
        labels = {"account": name}
        yield from _known("account_age_seconds", account.reported_age_s, labels)
        yield Reading("account_reconciled_bool", float(account.reconciled), labels)
        of_coin = {**labels, "coin": account.fee_coin}
        yield from _known("fee_coin_balance_coins", account.fee_coin_balance, of_coin)
        yield from _known("fee_coin_left_hours", account.fee_coin_left_h, of_coin)
        giving = MarginStage.GIVING.value in account.deleveraged.values()
        yield Reading("account_deleveraging_bool", float(giving), labels)
        yield Reading("account_offset_seconds", account.offset_ms / 1e3, labels)


def _loop(daemon: Daemon) -> Iterator[Reading]:
    engine, vitals = daemon.engine, daemon.vitals
    yield Reading("journal_rows_total", engine.journal.last_seq)
    yield Reading("journal_bytes", _size(engine.journal.path))
    yield Reading("batches_total", engine.batches)
    for kind, count in sorted(engine.facts_by_type.items(), key=_type_name):
        yield Reading("facts_total", count, {"type": kind.__name__})
    for wanted, count in sorted(engine.commands_by_type.items(), key=lambda one: one[0].__name__):
        yield Reading("commands_total", count, {"type": wanted.__name__})
    for name, count in engine.inbox.conflated.items():
        yield Reading("conflated_total", count, {"type": name})
    for key, count in (dict.fromkeys(ALERTS, 0) | vitals.alerts).items():
        yield Reading("alerts_total", count, {"key": key})
    standing = dict.fromkeys(CONDITIONS, 0)
    for key in engine.store.alerts:
        first_word = key.partition(":")[0]
        standing[first_word] = standing.get(first_word, 0) + 1
    for key, count in standing.items():
        yield Reading("alerts_standing_count", count, {"key": key})
    yield Reading("loop_lag_seconds", vitals.tick_lag_s)
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield Reading("resident_bytes_max", used.ru_maxrss * 1024)  # kibibytes on Linux
    yield Reading("cpu_seconds_total", used.ru_utime + used.ru_stime)


def _type_name(item: tuple[type[Fact], int]) -> str:
    return item[0].__name__


def _known(name: str, value: str | float | None, labels: dict[str, str]) -> Iterator[Reading]:
    if value is not None:
        yield Reading(name, float(value), labels)


def _size(journal: Path) -> int:
    files = (journal.with_name(journal.name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
