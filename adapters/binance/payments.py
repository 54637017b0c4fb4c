"""Payments of a futures account: funding, transfers and the venue's charges, by the income history.

The history is the one place where each payment stands once, with the venue's own number; the private stream
only says that it is worth asking.  A funding payment is told with the rate it was computed from, which is
listed apart; mark price and quantity go with it where they can be known (COIN-M lists no mark price of the
past) and are zero else.  What must stay true: each payment is told, and asking again for a time that was told
already does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapters.binance import requests, statements
from adapters.binance.decoding import VENUE, Drift, Unread
from adapters.binance.kept import NO_SOCKET
from adapters.binance.positions import Positions
from adapters.binance.requests import PAGE
from adapters.binance.rest import MS, SECOND_NS, Rest
from adapters.binance.statements import FundingRate, Income
from adapters.binance.told import Spawn
from bot.model.facts import FundingPaid, HistoryGapped, InsuranceCharged, Transferred
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, reference_per_qty
from bot.model.money import COIN_QUANTUM, ZERO, divide, exact_arithmetic, nearest_to
from bot.ports import Emit

DAY_NS = 86_400 * SECOND_NS
KEPT_NS = 89 * DAY_NS  # the venue keeps three months
WINDOW_NS = 7 * DAY_NS  # of one question
BESIDE_NS = 60 * SECOND_NS  # how far a payment's time may lie beside its settlement's
KNOWN = 4096
FUNDING = "FUNDING_FEE"
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after an event, until its payment is listed

Payment = FundingPaid | Transferred | InsuranceCharged


class Payments:
    """One account's payments; spot has no such history and is never asked.  ``instruments`` is shared with
    whoever refreshes it; ``legs`` are the contracts of ours, those that it lacks too."""

    def __init__(
        self,
        rest: Rest,
        instruments: Mapping[InstrumentId, Instrument],
        positions: Positions,
        spawn: Spawn,
        emit: Emit,
    ) -> None:
        self.account = AccountId(f"{VENUE}:{rest.market}")
        self.legs: tuple[InstrumentId, ...] = ()
        self._rest = rest
        self._instruments = instruments
        self._positions = positions
        self._spawn = spawn
        self._emit = emit
        self._due_ns = 0  # of the newest event whose payment is being looked for
        self._held: dict[InstrumentId, Decimal] = {}  # at that event
        self._known: dict[str, None] = {}  # transactions told

    @property
    def sought(self) -> bool:
        """Whether a payment was announced that the history does not list yet: a wallet has it already."""
        return self._due_ns > 0

    def due(self, venue_ns: int) -> None:
        """The stream says that something was paid at ``venue_ns``: look until it is listed."""
        if not self._due_ns:
            self._spawn(self._look())
        self._due_ns = max(self._due_ns, venue_ns)
        self._held = {name: self._positions.qty(name) for name in self._instruments}

    async def _look(self) -> None:
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                found = await self.since(self._due_ns - BESIDE_NS, self._rest.clock.venue_ns(), [])
            except NO_SOCKET:
                continue
            is_new = self.tell(found)
            if is_new or any(abs(self._due_ns - payment.venue_ns) <= BESIDE_NS for payment in found):
                break
        self._due_ns = 0

    def tell(self, payments: Iterable[Payment]) -> bool:
        """Tell payments; whether any was new."""
        before = len(self._known)
        for payment in payments:
            self._known[payment.transaction_id] = None
            self._emit(payment)
        is_new = len(self._known) > before
        while len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
        return is_new

    async def since(self, since_ns: int, until_ns: int, unread: list[Unread]) -> list[Payment]:
        """Every payment from ``since_ns`` to ``until_ns``, each once, but for what the venue keeps no more
        and what is added to ``unread``, by its asset.

        Raises one of `kept.NO_SOCKET`.
        """
        from_ns = max(since_ns, until_ns - KEPT_NS)
        rows: dict[str, Income] = {}
        while from_ns < until_ns:
            to_ns = min(from_ns + WINDOW_NS, until_ns)
            body = await self._rest.read(requests.income(self._rest.market, from_ns // MS, to_ns // MS))
            missing: list[Unread] = []
            page = statements.income(self._rest.market, body, missing)
            unread += missing
            rows.update({row.transaction_id: row for row in page})
            last_ns = max((row.venue_ns for row in page), default=from_ns)
            # a full page may have cut off rows of its last millisecond, which are asked again
            is_full = len(page) + len(missing) >= PAGE
            from_ns = max(last_ns, from_ns + MS) if is_full and page else to_ns
        return await self._facts(list(rows.values()), unread)

    async def _facts(self, rows: list[Income], unread: list[Unread]) -> list[Payment]:
        facts: list[Payment] = []
        rates: dict[InstrumentId, tuple[FundingRate, ...]] = {}
        for row in rows:
            name = row.instrument
            if name in self.legs and name not in self._instruments:
                unread.append(Unread(row.asset, f"a payment of {name}, which is not described"))
            elif name is not None and name not in self._instruments:
                # what happens to somebody else's contract moves our wallet by somebody else's hand
                facts.append(
                    Transferred(self.account, row.asset, row.amount, row.transaction_id, row.venue_ns)
                )
            elif name is None or row.kind != FUNDING:
                fact = statements.income_fact(self.account, row)
                if fact is not None:
                    facts.append(fact)
            else:
                if name not in rates:
                    first_ns = min(each.venue_ns for each in rows if each.instrument == name)
                    rates[name] = await self._rates(name, first_ns - BESIDE_NS)
                try:
                    facts.append(self._funding(self._instruments[name], row, rates[name]))
                except Drift as drift:
                    unread.append(Unread(row.asset, str(drift)))
        return facts

    async def _rates(self, name: InstrumentId, since_ns: int) -> tuple[FundingRate, ...]:
        found: list[FundingRate] = []
        while True:
            body = await self._rest.read(requests.funding_rates(name, since_ns // MS))
            missing: list[Unread] = []  # a payment whose rate is among them is told to be without one
            page = statements.funding_rates(self._rest.market, body, missing)
            found += page
            if len(page) + len(missing) < PAGE:
                return tuple(found)
            since_ns = max(page[-1].settled_ns if page else since_ns, since_ns) + MS

    def _funding(self, instrument: Instrument, row: Income, rates: Iterable[FundingRate]) -> FundingPaid:
        """Raises `Drift` while the rate that the payment was computed from is not listed, where it is paid in
        something else than the contract's margin, whose price nobody here knows, and for numbers that do not
        belong together."""
        if row.asset != instrument.margin_asset:
            raise Drift(f"funding of {instrument.id} is paid in {row.asset}, not {instrument.margin_asset}")
        settled = next((rate for rate in rates if abs(rate.settled_ns - row.venue_ns) <= BESIDE_NS), None)
        if settled is None:
            raise Drift(f"a funding payment of {instrument.id} whose rate is not listed")
        try:
            qty, mark = self._paid_on(instrument, row, settled)
        except ArithmeticError:
            raise Drift(
                f"a funding payment of {instrument.id} that its rate and mark do not explain"
            ) from None
        return FundingPaid(
            instrument=instrument.id,
            asset=row.asset,
            amount=row.amount,
            rate=settled.rate,
            mark=mark,
            qty=qty,
            transaction_id=row.transaction_id,
            venue_ns=row.venue_ns,
        )

    def _paid_on(self, instrument: Instrument, row: Income, settled: FundingRate) -> tuple[Decimal, Decimal]:
        """Quantity and mark price of a payment, zero where they cannot be known."""
        qty, mark = ZERO, settled.mark or ZERO
        with exact_arithmetic():
            if mark and settled.rate:
                per_qty = reference_per_qty(instrument, mark)
                qty = nearest_to(divide(-row.amount, settled.rate * per_qty, COIN_QUANTUM), instrument.lot)
            elif row.amount and abs(self._due_ns - row.venue_ns) <= BESIDE_NS:
                # COIN-M lists no mark: it follows from what was held when the payment was announced
                qty = self._held.get(instrument.id, ZERO)
                value = abs(qty * instrument.contract_size * settled.rate)
                mark = divide(value, abs(row.amount), COIN_QUANTUM)
        return qty, mark

    def gap(self, since_ns: int, at_ns: int) -> HistoryGapped | None:
        """The part of a time since ``since_ns`` that the venue keeps no more."""
        kept_ns = at_ns - KEPT_NS
        return HistoryGapped(self.account, since_ns, kept_ns) if 0 < since_ns < kept_ns else None
