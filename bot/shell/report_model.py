"""The run's report as a tree of types: this module is the documented interface of ``report.json``.

``docs/report.schema.json`` is generated from these types and ``decode_report`` reads a file back strictly,
so that a key that is missing, misspelt or of another shape is an error and never a surprise to whoever
reads it. Money is text of plain digits, exact; times are ISO 8601 in UTC with microseconds; seconds and
basis points are numbers.  No path, process id or wall-clock time belongs here: the same run twice gives the
same bytes.
"""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from bot.model.money import EXACT, ZERO
from bot.model.pair import Mode, PairState

Money = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="exact decimal, plain digits")]
Instant = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", description="ISO 8601, UTC")
]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, description="seconds")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every object of the report: all keys are named, none is extra."""


class Dispositions(Section, frozen=True):
    """What became of each frame: every frame has exactly one disposition, so these sum to ``frames_in``."""

    material: Count = 0
    immaterial: Count = 0
    stale: Count = 0
    conflated: Count = 0
    ignored: dict[str, Count] = {}
    refused: dict[str, Count] = {}

    def total(self) -> int:
        plain = self.material + self.immaterial + self.stale + self.conflated
        return plain + sum(self.ignored.values()) + sum(self.refused.values())


class FeedCounters(Struct, frozen=True, kw_only=True):
    """What only the feeds know of a run; everything else in a report is read from the journal.

    ``clock_offset_s`` is, per market, what was added to the recorder's clock; ``assumptions`` are sentences,
    one for each stand-in for something that the recording lacks.
    """

    frames_in: int = 0
    frames_by_stream: dict[str, int] = {}
    frames_by_disposition: Dispositions = Dispositions()
    gaps: int = 0
    clock_offset_s: dict[str, float] = {}
    assumptions: tuple[str, ...] = ()


class Origins(Section, frozen=True):
    """Facts of the journal by who brought them."""

    market: Count = 0
    venue: Count = 0
    operator: Count = 0
    clock: Count = 0
    run: Count = 0


class Transition(Section, frozen=True):
    at: Instant
    before: PairState = field(name="from")
    after: PairState = field(name="to")
    why: str


class HedgeError(Section, frozen=True):
    """Time-weighted quantiles over HEDGED of |delta of the pair| over its larger leg; null: never hedged."""

    p50: float | None
    p99: float | None


class PairReport(Section, frozen=True):
    name: str
    long: str
    short: str
    state: PairState
    mode: Mode
    capital_quote: Money
    transitions: tuple[Transition, ...]
    naked_s_max: Seconds
    hedge_error_bps: HedgeError
    rebalances: Count
    fills: Count
    hedged_s: Seconds
    not_trading: dict[str, Seconds]


class Fill(Section, frozen=True):
    """One execution.  ``qty`` is in the venue's unit; ``slippage_bps`` > 0 is worse than the mid at decision.

    ``purpose`` is ``forced`` for an execution no order of ours asked for, and ``why`` is then its cause.
    """

    at: Instant
    pair: str
    leg: Literal["long", "short", ""]
    instrument: str
    side: Literal["buy", "sell"]
    qty: Money
    price: Money
    fee: Money
    fee_asset: str
    maker: bool
    slippage_bps: float | None
    purpose: Literal["enter", "exit", "drift", "repair", "unwind", "forced", "unknown"]
    why: str
    client_id: str
    trade_id: str


class FundingPayment(Section, frozen=True):
    """One funding payment; ``amount`` > 0 was received, in ``asset``."""

    at: Instant
    pair: str
    instrument: str
    asset: str
    amount: Money
    rate: Money
    mark: Money
    qty: Money


class AttributionReport(Section, frozen=True):
    """Change of NAV by source.

    The ten sum to ``nav.end − nav.start`` exactly: ``residual`` is what the nine sources leave unexplained,
    null where NAV is not known.
    """

    funding: Money
    basis: Money
    fees: Money
    slippage: Money
    borrow: Money
    collateral: Money
    quote_fx: Money
    adl: Money
    transfers: Money
    residual: Money | None

    def total(self) -> Decimal:
        amount = ZERO
        for name in self.__struct_fields__:
            amount = EXACT.add(amount, Decimal(getattr(self, name) or 0))
        return amount


class Nav(Section, frozen=True):
    """``start`` when all accounts and prices were first known, ``end`` after the last row, positions marked.

    ``peak_drawdown`` ≥ 0 is the largest fall below an earlier maximum, over all rows.  A number is null
    where a balance or a price that it needs was never known.
    """

    currency: str
    start: Money | None
    end: Money | None
    peak_drawdown: Money | None


class Alert(Section, frozen=True):
    at: Instant
    key: str
    severity: str
    text: str


class ModeChange(Section, frozen=True):
    """``actor`` is ``program`` or the operator's name; ``scope`` is a pair's name or ``*``."""

    at: Instant
    scope: str
    mode: Mode
    actor: str
    reason: str


class Report(Section, frozen=True):
    format: Literal[1]
    run_id: str
    version: str
    mode: Literal["paper", "rehearsal", "testnet", "live"]
    start: Instant = field(name="from")
    end: Instant = field(name="until")
    rows: Count
    boots: Count
    frames_in: Count
    frames_by_stream: dict[str, Count]
    frames_by_disposition: Dispositions
    facts_by_origin: Origins
    gaps: Count
    clock_offset_s: dict[str, float]
    journal_sha256: Sha256
    state_sha256: Sha256
    nav: Nav
    attribution: AttributionReport
    pairs: tuple[PairReport, ...]
    fills: tuple[Fill, ...]
    funding_payments: tuple[FundingPayment, ...]
    not_trading: dict[str, Seconds]
    alerts: tuple[Alert, ...]
    mode_changes: tuple[ModeChange, ...]
    protocol_drift: dict[str, Count]
    assumptions: tuple[str, ...]
    settings_sha256: Sha256
    settings: dict[str, Any]


_strict = msgspec.json.Decoder(Report)


def encode_report(report: Report) -> bytes:
    """``report.json``: indented, ends with a newline; equal reports have equal bytes."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def decode_report(data: bytes) -> Report:
    """Raises ``msgspec.ValidationError`` naming the key for anything that is not exactly a report."""
    return _strict.decode(data)


def report_schema() -> bytes:
    """JSON Schema of ``report.json``, as ``docs/report.schema.json`` holds it; the same on every Python, of
    which some keep the indentation of docstrings and some do not."""
    schema = msgspec.json.schema(Report)
    for described in (schema, *schema["$defs"].values()):
        if "description" in described:
            described["description"] = inspect.cleandoc(described["description"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def inconsistencies(report: Report) -> tuple[str, ...]:
    """Sums that a report promises and does not keep, one sentence each; empty for a sound report."""
    found: list[str] = []
    dispositions = report.frames_by_disposition.total()
    if dispositions != report.frames_in:
        found.append(f"{report.frames_in} frames came in but {dispositions} have a disposition")
    streams = sum(report.frames_by_stream.values())
    if streams != report.frames_in:
        found.append(f"{report.frames_in} frames came in but {streams} are counted by stream")
    if report.nav.start is not None and report.nav.end is not None:
        change = EXACT.subtract(Decimal(report.nav.end), Decimal(report.nav.start))
        if report.attribution.total() != change:
            found.append(f"attribution sums to {report.attribution.total():f}, but NAV changed by {change:f}")
    return tuple(found)
