"""The report's collector: one pass over a journal, from its first row, that restores the store as it goes.

Everything in a report is read here from rows and from the store they fold to; the feeds' counters alone are
handed in.  Nothing is decided and nothing is written.  Memory grows with fills, payments and mode changes,
not with rows: series are thinned while they are read (`bot.shell.report_series`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
from msgspec import Struct, field

from bot.model.commands import AnyCommand, PlaceOrder, RaiseAlert, SetMode
from bot.model.config import Config
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BookSeen,
    Booted,
    ForcedFilled,
    FundingEstimated,
    FundingPaid,
    ModeOrdered,
    OrderFilled,
    Tick,
)
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.ledger import Attribution
from bot.model.money import EXACT, ZERO, text
from bot.model.pair import Purpose
from bot.model.store import Pair, Store, state_sha256
from bot.shell.report_fills import fill_of, forced_fill_of, payment_of
from bot.shell.report_model import (
    Alert,
    AttributionReport,
    FeedCounters,
    Fill,
    FundingPayment,
    ModeChange,
    Nav,
    Origins,
    Report,
)
from bot.shell.report_origins import ORIGIN, POSITION_MOVERS
from bot.shell.report_pairs import (
    PairTally,
    elapse,
    end,
    observe,
    observe_basis,
    observe_delta,
    observe_funding,
    pair_report,
    role_of,
    seconds,
)
from bot.shell.report_series import Levels, Trace
from bot.shell.report_text import carry_rule, instant


class ReportError(Exception):
    """A journal from which no report can be made, or a folder that takes none."""

    exit_code = 1


class Machine(Struct, frozen=True):
    """The verbs of the core that a report is made with.

    ``refold`` folds a stored row into the store; ``nav`` is the venue's own statement valued at marks,
    ``None`` where something is missing; ``leg_deltas_base`` gives the long and the short leg's delta.
    """

    refold: Callable[[Store, Entry], None]
    nav: Callable[[Store], Decimal | None]
    leg_deltas_base: Callable[[Store, Pair], tuple[Decimal, Decimal]]


class Charts(Struct):
    """Series for the page, thinned; they are not part of ``report.json``."""

    nav: Trace = field(default_factory=Trace)
    drawdown: Trace = field(default_factory=Trace)
    attribution: Levels = field(default_factory=Levels)  # in the order of `Attribution`'s fields
    pairs: dict[PairName, PairTally] = field(default_factory=dict)


class Collection(Struct, frozen=True):
    report: Report
    charts: Charts


class Collector:
    """Takes a journal's entries in order; `finish` gives the report of what was taken."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = Store()
        self._charts = Charts()
        self._first_ns: int | None = None
        self._last_ns = 0
        self._rows = 0
        self._boots = 0
        self._version = ""
        self._origins = dict.fromkeys(Origins.__struct_fields__, 0)
        self._orders: dict[ClientId, PlaceOrder] = {}
        self._seen: set[tuple[str, ...]] = set()  # membership only: never iterated
        self._fills: list[Fill] = []
        self._payments: list[FundingPayment] = []
        self._alerts: list[Alert] = []
        self._standing: dict[str, str] = {}  # severity told last, by key
        self._modes: list[ModeChange] = []
        self._peak_nav: Decimal | None = None
        self._drawdown = ZERO

    def take(self, entry: Entry) -> None:
        """Fold one row and sample what it left.  Raises whatever folding raises."""
        at_ns = entry.at_ns
        if self._first_ns is None:
            self._first_ns = self._last_ns = at_ns
        for tally in self._charts.pairs.values():
            elapse(tally, at_ns - self._last_ns, at_ns)
        self._last_ns = at_ns
        self._rows += 1
        self._machine.refold(self._store, entry)
        self._follow_pairs()
        for command in entry.commands:
            self._command(at_ns, command)
        self._count_rebalances(entry.commands)
        for fact in entry.facts:
            self._origins[ORIGIN[type(fact)]] += 1
            self._fact(at_ns, fact)
        self._observe(entry)

    def _follow_pairs(self) -> None:
        tallies = self._charts.pairs
        if len(tallies) == len(self._store.pairs):
            return
        for name, pair in self._store.pairs.items():
            if name not in tallies:
                tallies[name] = PairTally(name, pair.spec.long, pair.spec.short)

    def _fact(self, at_ns: int, fact: AnyFact) -> None:
        match fact:
            case FundingEstimated():
                for tally in self._charts.pairs.values():
                    if role_of(tally, fact.instrument) is not None:
                        observe_funding(tally, fact.instrument, at_ns, float(fact.rate))
            case OrderFilled():
                if self._is_new(fact.instrument, fact.trade_id, fact.client_id):
                    order = self._orders.get(fact.client_id)
                    if order is not None:
                        self._charts.pairs[order.pair].fills += 1
                    self._fills.append(fill_of(fact, order))
            case ForcedFilled():
                if self._is_new(fact.instrument, fact.trade_id):
                    self._fills.append(forced_fill_of(fact, self._owner(fact.instrument)))
            case FundingPaid():
                if self._is_new("funding", fact.transaction_id):
                    self._payments.append(payment_of(fact, self._owner(fact.instrument)))
            case ModeOrdered():
                self._modes.append(
                    ModeChange(
                        at=instant(at_ns),
                        scope=fact.scope,
                        mode=fact.mode,
                        actor=fact.actor,
                        reason=fact.reason,
                    )
                )
            case Booted():
                self._boots += 1
                self._version = fact.version
            case _:
                pass

    def _command(self, at_ns: int, command: AnyCommand) -> None:
        match command:
            case PlaceOrder():
                self._orders[command.client_id] = command
            case SetMode():
                self._modes.append(
                    ModeChange(
                        at=instant(at_ns),
                        scope=command.scope,
                        mode=command.mode,
                        actor="program",
                        reason=command.reason,
                    )
                )
            case RaiseAlert(key, severity, text):
                if not command.stands or self._standing.get(key) != severity:  # else it is told again
                    self._alerts.append(Alert(at=instant(at_ns), key=key, severity=severity, text=text))
                self._standing[key] = severity
            case _:
                pass

    def _count_rebalances(self, commands: tuple[AnyCommand, ...]) -> None:
        if not commands:
            return
        drifted = {
            command.pair: None
            for command in commands
            if isinstance(command, PlaceOrder) and command.purpose is Purpose.DRIFT
        }
        for name in drifted:
            self._charts.pairs[name].rebalances += 1

    def _is_new(self, *key: str) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _owner(self, instrument: InstrumentId) -> PairTally | None:
        """The pair an instrument belongs to; ``None`` where several share it and no one owns what happens."""
        owners = [tally for tally in self._charts.pairs.values() if role_of(tally, instrument) is not None]
        return owners[0] if len(owners) == 1 else None

    def _basis(self, at_ns: int, heard: set[InstrumentId]) -> None:
        """Sample the basis of each pair that has a new book; ``heard`` is only asked, never iterated."""
        config = self._store.config
        if config is None:
            return
        clip_quote = float(config.strategy.clip_quote)
        for name, tally in self._charts.pairs.items():
            if tally.long in heard or tally.short in heard:
                observe_basis(tally, self._store, self._store.pairs[name], at_ns, clip_quote)

    def _observe(self, entry: Entry) -> None:
        at_ns, store = entry.at_ns, self._store
        if heard := {fact.instrument for fact in entry.facts if type(fact) is BookSeen}:
            self._basis(at_ns, heard)
        moved = any(type(fact) in POSITION_MOVERS for fact in entry.facts)
        for name, tally in self._charts.pairs.items():
            pair = store.pairs[name]
            observe(tally, pair, at_ns)
            # going flat releases coins without a fill
            if (moved or pair.moves) and tally.long in store.markets and tally.short in store.markets:
                long, short = self._machine.leg_deltas_base(store, pair)
                observe_delta(tally, at_ns, float(EXACT.add(long, short)), float(max(abs(long), abs(short))))
        if store.ledger.opened and not all(type(fact) is Tick for fact in entry.facts):
            self._observe_nav(at_ns)

    def _observe_nav(self, at_ns: int) -> None:
        nav = self._machine.nav(self._store)
        if nav is None:
            return
        if self._peak_nav is None or nav > self._peak_nav:
            self._peak_nav = nav
        drawdown = EXACT.subtract(self._peak_nav, nav)
        self._drawdown = max(self._drawdown, drawdown)
        self._charts.nav.add(at_ns, float(nav))
        self._charts.drawdown.add(at_ns, -float(drawdown))
        total = self._store.ledger.total
        self._charts.attribution.add(
            at_ns, tuple([float(getattr(total, name)) for name in Attribution.__struct_fields__])
        )

    def finish(self, counters: FeedCounters, journal_sha256: str) -> Collection:
        """Raises `ReportError` for a journal without a boot row."""
        store, config = self._store, self._store.config
        if config is None or self._first_ns is None:
            raise ReportError("the journal holds no boot row, so there is nothing to report")
        for tally in self._charts.pairs.values():
            end(tally, self._last_ns)
        nav, attribution = self._accounts(config)
        idle_ns: dict[str, int] = {}
        for tally in self._charts.pairs.values():
            for reason, held_ns in tally.idle_ns.items():
                idle_ns[reason] = idle_ns.get(reason, 0) + held_ns
        settings = msgspec.json.encode(config)
        report = Report(
            format=1,
            run_id=store.run_id,
            version=self._version,
            mode=config.mode,
            start=instant(self._first_ns),
            end=instant(self._last_ns),
            rows=self._rows,
            boots=self._boots,
            frames_in=counters.frames_in,
            frames_by_stream=dict(sorted(counters.frames_by_stream.items())),
            frames_by_disposition=counters.frames_by_disposition,
            facts_by_origin=Origins(**self._origins),
            gaps=counters.gaps,
            clock_offset_s=dict(sorted(counters.clock_offset_s.items())),
            journal_sha256=journal_sha256,
            state_sha256=state_sha256(store),
            nav=nav,
            attribution=attribution,
            pairs=tuple(pair_report(tally, store.pairs[name]) for name, tally in self._charts.pairs.items()),
            fills=tuple(self._fills),
            funding_payments=tuple(self._payments),
            not_trading=seconds(idle_ns),
            alerts=tuple(self._alerts),
            mode_changes=tuple(self._modes),
            protocol_drift=store.drift,
            assumptions=(*counters.assumptions, carry_rule(config.strategy)),
            settings_sha256=hashlib.sha256(settings).hexdigest(),
            settings=msgspec.json.decode(settings),
        )
        return Collection(report, self._charts)

    def _accounts(self, config: Config) -> tuple[Nav, AttributionReport]:
        ledger = self._store.ledger
        start = ledger.start_nav if ledger.opened else None
        end = self._machine.nav(self._store) if ledger.opened else None
        residual = None
        if start is not None and end is not None:
            residual = text(EXACT.subtract(EXACT.subtract(end, start), _sum(ledger.total)))
        nav = Nav(
            currency=config.nav_currency,
            start=None if start is None else text(start),
            end=None if end is None else text(end),
            peak_drawdown=None if self._peak_nav is None else text(self._drawdown),
        )
        buckets = {name: text(getattr(ledger.total, name)) for name in Attribution.__struct_fields__}
        return nav, AttributionReport(**buckets, residual=residual)


def _sum(total: Attribution) -> Decimal:
    amount = ZERO
    for name in Attribution.__struct_fields__:
        amount = EXACT.add(amount, getattr(total, name))
    return amount


def collect(
    entries: Iterable[Entry], machine: Machine, counters: FeedCounters, journal_sha256: str
) -> Collection:
    """Everything a report says, from a journal's rows in order and the feeds' counters."""
    collector = Collector(machine)
    for entry in entries:
        collector.take(entry)
    return collector.finish(counters, journal_sha256)
