"""Funding settlements on the venue's clock.

A settlement happens at the time that the recording's mark price stream announces; where it has no such
stream, on the UTC grid of the contract's interval.  Its rate is the funding table's row for it, else the last
estimate that the stream gave for that interval, else what a setting names; without any of them a settlement
met with a position stops the run, because an invented rate is an invented profit.

What must stay true: each settlement is paid at most once; nothing is told before its own time, so a row later
than T changes nothing before T.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from adapters.errors import FeedError
from adapters.paper.agenda import RANK_ROW, RANK_SETTLEMENT
from adapters.paper.desk import Desk
from adapters.paper.funding_table import JITTER_NS, FundingRow, FundingTable
from adapters.paper.terms import Missing
from bot.model.facts import FundingPaid, FundingSettled
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument, Kind, reference_per_qty
from bot.model.money import COIN_QUANTUM, ZERO, exact_arithmetic, multiply_rounded
from bot.model.settlements import KEPT

_HOUR_NS = 3_600_000_000_000


class Contract:
    """The funding state of one perpetual.  Times are the venue's, nanoseconds."""

    __slots__ = ("estimates", "instrument", "latest", "pending", "settled")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.pending: dict[int, bool] = {}  # settlement time → announced by the stream
        self.estimates: dict[int, Decimal] = {}  # settlement time → last estimate for it
        self.latest: Decimal | None = None  # last estimate for any
        self.settled: tuple[int, Decimal] | None = None  # last settled rate


class Settlements:
    """Plans and pays the funding of every perpetual of the desk."""

    def __init__(self, desk: Desk, table: FundingTable, missing: Missing) -> None:
        self._desk = desk
        self._table = table
        self._missing = missing
        self._contracts = {
            name: Contract(instrument)
            for name, instrument in desk.instruments.items()
            if instrument.kind is Kind.PERP
        }

    def start(self) -> None:
        """Plan from the present on: the next settlement and the next table row of each perpetual."""
        now_ns = self._desk.clock.venue_ns
        for name, contract in self._contracts.items():
            row = self._table.before(name, now_ns)
            if row is not None:
                contract.settled = (row.settled_ns, row.rate)
            self._plan_grid(contract, now_ns)
            self._plan_row(contract, now_ns)

    def tell_settled(self) -> None:
        """Tell what was settled of each perpetual: as many of the table's last rows as a venue lists in one
        answer, which forecasts begin with, and the last rate."""
        for name, contract in self._contracts.items():
            rows = self._table.latest(name, self._desk.clock.venue_ns, KEPT)
            for row in rows:
                self._desk.postings.tell(FundingSettled(name, row.rate, row.settled_ns))
            if contract.settled is not None and (not rows or contract.settled[0] > rows[-1].settled_ns):
                settled_ns, rate = contract.settled
                self._desk.postings.tell(FundingSettled(name, rate, settled_ns))

    def on_rate(self, instrument: InstrumentId, rate: Decimal, next_ns: int) -> None:
        """Hear the stream's running estimate of the settlement at ``next_ns``."""
        contract = self._contracts.get(instrument)
        if contract is None:
            return
        contract.latest = rate
        if next_ns not in contract.pending:
            now_ns = self._desk.clock.now_ns
            if next_ns <= now_ns:
                return
            # one that is all but there stands: clocks differ a little, and it must not be lost
            for other_ns in [t for t in contract.pending if t > now_ns + JITTER_NS]:
                del contract.pending[other_ns]
            self._plan(contract, next_ns)
        contract.pending[next_ns] = True
        contract.estimates[next_ns] = rate

    def settle_now(self, instrument: InstrumentId) -> None:
        """Settle the running estimate at once; nothing happens before there is one.  Plans stay."""
        contract = self._contracts.get(instrument)
        if contract is None or contract.latest is None:
            return
        now_ns, rate = self._desk.clock.venue_ns, contract.latest
        qty = self._desk.wallets.position(instrument).qty
        if qty != 0:
            with exact_arithmetic():
                self._pay(contract.instrument, qty, rate, now_ns)
        contract.settled = (now_ns, rate)
        self._desk.postings.tell(FundingSettled(instrument, rate, now_ns))

    def running(self, instrument: InstrumentId) -> tuple[Decimal, int] | None:
        """The running estimate and the settlement it is for, where the stream announced one."""
        contract = self._contracts.get(instrument)
        if contract is None or contract.latest is None or not contract.estimates:
            return None
        return contract.latest, max(contract.estimates)

    # --- planning ---------------------------------------------------------------------------------------

    def _plan(self, contract: Contract, settle_ns: int) -> None:
        contract.pending[settle_ns] = False
        row = self._table.settlement(contract.instrument.id, settle_ns)
        act_ns = settle_ns if row is None else max(settle_ns, row.settled_ns)
        self._desk.agenda.add(
            act_ns + self._desk.clock.down_ns, RANK_SETTLEMENT, partial(self._settle, contract, settle_ns)
        )

    def _plan_grid(self, contract: Contract, after_ns: int) -> None:
        """The next multiple of the interval since 1970 UTC, unless something is planned already."""
        row = self._table.before(contract.instrument.id, after_ns)
        hours = contract.instrument.funding_interval_h if row is None else row.interval_h
        if hours > 0 and not contract.pending:
            interval_ns = hours * _HOUR_NS
            self._plan(contract, (after_ns // interval_ns + 1) * interval_ns)

    def _plan_row(self, contract: Contract, after_ns: int) -> None:
        row = self._table.after(contract.instrument.id, after_ns)
        if row is not None:
            due_ns = row.settled_ns + self._desk.clock.down_ns
            self._desk.agenda.add(due_ns, RANK_ROW, partial(self._publish, contract, row))

    # --- acting -----------------------------------------------------------------------------------------

    def _publish(self, contract: Contract, row: FundingRow) -> None:
        contract.settled = (row.settled_ns, row.rate)
        self._desk.postings.tell(FundingSettled(contract.instrument.id, row.rate, row.settled_ns))
        self._plan_row(contract, row.settled_ns)

    def _settle(self, contract: Contract, settle_ns: int) -> None:
        announced = contract.pending.pop(settle_ns, None)
        if announced is None:
            return  # the stream announced another time since
        name = contract.instrument.id
        qty = self._desk.wallets.position(name).qty
        row = self._table.settlement(name, settle_ns)
        estimate = contract.estimates.pop(settle_ns, None)
        if qty != 0:
            with exact_arithmetic():
                self._note_time(contract, announced)
                if row is not None:
                    rate = row.rate
                elif estimate is not None:
                    rate = estimate
                    self._note(
                        f"The last estimate of {name}'s stream before a settlement is its settled rate."
                    )
                else:
                    rate = self._stand_in(contract, settle_ns)
                self._pay(contract.instrument, qty, rate, settle_ns)
        if row is None and estimate is not None:
            contract.settled = (settle_ns, estimate)
            self._desk.postings.tell(FundingSettled(name, estimate, settle_ns))
        self._plan_grid(contract, settle_ns)

    def _pay(self, instrument: Instrument, qty: Decimal, rate: Decimal, settle_ns: int) -> None:
        """A long pays ``value at mark × rate`` when the rate is positive, in quote or, inverse, in coin.

        Binance's published rule: funding amount = nominal value of the position at mark × funding rate.
        """
        mark = self._desk.references.mark(instrument.id)
        amount = multiply_rounded(-qty * reference_per_qty(instrument, mark), rate, COIN_QUANTUM)
        self._desk.postings.pay(
            FundingPaid(
                instrument=instrument.id,
                asset=instrument.margin_asset,
                amount=amount,
                rate=rate,
                mark=mark,
                qty=qty,
                transaction_id=f"funding:{instrument.id}:{settle_ns // 1_000_000}",
                venue_ns=self._desk.clock.venue_ns,
            )
        )
        self._desk.postings.tell_changes()

    def _stand_in(self, contract: Contract, settle_ns: int) -> Decimal:
        rate = None
        if self._missing == "zero":
            rate = ZERO
        elif self._missing == "last" and contract.settled is not None:
            rate = contract.settled[1]
        elif self._missing == "estimate":
            rate = contract.latest
        name = contract.instrument.id
        if rate is None:
            at = datetime.fromtimestamp(settle_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            raise FeedError(
                f"{name}: a position meets the settlement of {at} and nothing says its rate; give a "
                f"--funding table that has it, or set BASISBOT_PAPER_MISSING_FUNDING "
                f"to a stand-in that exists (it is {self._missing})"
            )
        words = {"zero": "Zero", "last": "The last settled rate", "estimate": "The last estimate"}
        self._note(f"{words[self._missing]} stands for a funding rate of {name} that nothing says.")
        return rate

    def _note_time(self, contract: Contract, announced: bool) -> None:
        if not announced:
            self._note(
                f"{contract.instrument.id} settles on the UTC grid of its interval: "
                "the recording does not announce its settlements."
            )

    def _note(self, sentence: str) -> None:
        self._desk.assumptions.note(sentence)
