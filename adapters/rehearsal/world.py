"""The rehearsal venue behind its three servers: one recording played for ever, one account, one clock.

Everything that the servers say is read from here: books, marks and streams from the recording (`looped`),
orders and wallets from the paper venue, history from `records`.  It is plain state that moves when `turn` is
called; `play` calls it on the loop's time, real or virtual, so that a test and a server are the same machine.

What must stay true: the frames of an instant are played before the venue acts at it; each fact is told once
to every listener, in the order in which things happened; a lever does what the venue itself would do, with
the same facts, and nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from adapters.binance.market import VENUE
from adapters.paper.funding_table import FundingTable
from adapters.paper.live import LivePaper
from adapters.paper.orders import VenueOrder
from adapters.paper.terms import Terms
from adapters.paper.wallets import Wallets
from adapters.recorded.frames import Feed
from adapters.rehearsal.catalog import MARKETS, Catalog
from adapters.rehearsal.looped import Looped
from adapters.rehearsal.records import Records
from adapters.rehearsal.stage import Stage
from bot.model.commands import CancelOrder, PlaceOrder
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    FundingSettled,
    InstrumentStatusSeen,
    MarginCalled,
    OrderRejected,
    Transferred,
    VenueReset,
)
from bot.model.ids import AccountId, ClientId, InstrumentId, instrument_id, market_of
from bot.model.instrument import Instrument, Side
from bot.model.money import ZERO, exact_arithmetic
from bot.ports import Clock

Listener = Callable[[AnyFact], None]
Leave = Callable[[], None]

_MS = 1_000_000
_HOUR_NS = 3_600_000_000_000
_BEAT_NS = 1_000_000_000  # the venue publishes marks once a second
_EARLIER_NS = 5_000_000_000  # the venue was there before anybody came: books and marks are known
_PAUSE_LEAST_S = 0.001  # a timer is never asked for less, since clocks round
_TRADING, _PAUSED = "TRADING", "PENDING_TRADING"
_CLOSED = {"spot": ("-1013", "Market is closed.")}
_CLOSED_FUTURES = ("-4108", "Symbol is on delivering or delivered or settling or closed or pre-trading.")
_AWAY = (1001, "the recording begins anew")


class World:
    """One account on ``spot``, ``usdm`` and ``coinm``.

    ``stages`` has the public side by market (`adapters.rehearsal.stage.Stage`: books, marks, tapes, streams),
    also of a market that the recording lacks, which then has no symbols.  ``orders`` are all orders ever
    accepted since the account's last reset, by client id, with ``placed_ns`` and ``changed_ns``; ``wallets``
    the balances and positions; ``records`` executions with realised profit, payments and settled rates;
    ``statuses`` the venue's word for each instrument (``TRADING``); ``maintained`` is true while the venue is
    down.  Amounts are exact: arithmetic on them stands under ``exact_arithmetic``.
    """

    def __init__(
        self, feeds: Sequence[Feed], sources: Iterable[tuple[str, bytes]], terms: Terms, clock: Clock
    ) -> None:
        """``feeds`` are those of `adapters.recorded.feeds.open_feeds`, ``sources`` the venue's descriptions
        as (name for messages, JSON), such as the files of ``examples/venue``.

        Raises `FeedError` for a recording or a description that cannot be used.
        """
        self.catalog = Catalog(sources)
        self.instruments: Mapping[InstrumentId, Instrument] = self.catalog.instruments(
            [feed.market for feed in feeds]
        )
        self.statuses: dict[InstrumentId, str] = dict.fromkeys(self.instruments, _TRADING)
        self.maintained = False
        self.skew_ns = 0
        self.stages = {
            market: Stage(market, [one for one in self.instruments.values() if market_of(one.id) == market])
            for market in MARKETS
        }
        books = {name: book for stage in self.stages.values() for name, book in stage.channels.items()}
        self.paper = LivePaper(self.instruments, books, terms, FundingTable({}), self._tell)
        venue = self.paper.venue
        for stage in self.stages.values():
            stage.decoder.listen(venue.on_mark, venue.on_rate)
        self.orders: Mapping[ClientId, VenueOrder] = venue.orders
        self.wallets: Wallets = venue.desk.wallets
        self.records = Records(self.wallets, self.instruments, venue.desk.references.mark)
        self._clock = clock
        self._terms = terms
        self._listeners: list[Listener] = []
        self._answer: list[AnyFact] = []
        self._moved = 0  # transfers by a lever
        self._stirred = asyncio.Event()
        start_ns = clock.now_ns() - _EARLIER_NS
        self._looped = Looped(feeds, start_ns)
        self._beat_ns = start_ns + _BEAT_NS
        self.paper.start(start_ns)
        self.turn(clock.now_ns())
        self._settle_before()

    # --- time -------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The world's present, by the clock it was given."""
        return self._clock.now_ns()

    def wire_ms(self, at_ns: int) -> int:
        """A time of this world as the venue writes it: milliseconds, by a clock that a lever may have put
        off."""
        return (at_ns + self.skew_ns) // _MS

    def due_ns(self) -> int:
        """When something happens next without anybody's doing."""
        return min(self._looped.due_ns, self.paper.due_ns(), self._beat_ns)

    def turn(self, now_ns: int) -> None:
        """Let happen what is due up to and including ``now_ns``."""
        while (due_ns := self.due_ns()) <= now_ns:
            if self._looped.due_ns == due_ns:
                self._show(due_ns)
            elif self._beat_ns == due_ns:
                self._beat(due_ns)
            else:
                self.paper.turn(due_ns)
        self.paper.turn(now_ns)

    async def play(self) -> None:
        """Turn whenever something is due, on the running loop's time, until cancelled."""
        while True:
            self._stirred.clear()
            self.turn(self.now_ns())
            pause_s = max((self.due_ns() - self.now_ns()) / 1e9, _PAUSE_LEAST_S)
            try:
                async with asyncio.timeout(pause_s):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    # --- the account ------------------------------------------------------------------------------------

    def instrument(self, market: str, symbol: str) -> Instrument | None:
        """By the venue's own symbol (``BTCUSDT``)."""
        return self.instruments.get(instrument_id(VENUE, market, symbol))

    def account(self, market: str) -> AccountId:
        return AccountId(f"{VENUE}:{market}")

    def arrive(self, command: PlaceOrder | CancelOrder) -> list[AnyFact]:
        """An order or a cancel reaches the venue now; its facts, which listeners have heard too.

        A client id is one account's, over all markets and for ever: a second order of the same id makes a
        `ProtocolDrift` and no order, so whoever lets ids be used again names them apart.
        """
        now_ns = self.now_ns()
        self.turn(now_ns)
        self._answer = []
        closed = self.closed(command)
        if closed is None:
            self.paper.arrive(command, now_ns)
        else:
            self._tell(closed)
        self._stirred.set()
        return self._answer

    def subscribe(self, listener: Listener) -> Leave:
        """Tell ``listener`` every fact of the account from now on; the result ends it.

        Told are ``OrderAccepted``, ``OrderRejected``, ``OrderFilled``, ``OrderCanceled``, ``OrderExpired``,
        ``CancelRejected``, ``ForcedFilled``, ``FundingPaid``, ``FundingSettled``, ``Transferred``,
        ``InsuranceCharged``, ``MarginCalled``, ``InstrumentStatusSeen``, ``VenueReset``, and after what
        changed a wallet one ``BalanceSeen`` and ``PositionSeen`` for each asset and position that changed.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # --- levers -----------------------------------------------------------------------------------------

    def adl(self, instrument: InstrumentId, qty: Decimal | None = None) -> bool:
        """Close up to ``qty`` (venue units; all for ``None``) of the position at the mark, by deleveraging;
        false where there is none."""
        return self._force(instrument, qty, "adl")

    def liquidate(self, instrument: InstrumentId) -> bool:
        """Close the whole position at the mark, as a liquidation; false where there is none."""
        return self._force(instrument, None, "liquidation")

    def deliver(self, instrument: InstrumentId) -> bool:
        """The contract is delisted: its position is settled at the mark and it trades no more; false where
        there was no position."""
        self.set_status(instrument, "SETTLING")
        return self._force(instrument, None, "settlement")

    def funding_flip(self) -> None:
        """Every rate changes its sign, now and in all frames to come; once more changes it back."""
        for stage in self.stages.values():
            stage.is_flipped = not stage.is_flipped
        self._act(lambda: self._beat_now(self.now_ns()))

    def settle_funding_now(self, instrument: InstrumentId) -> None:
        """Settle the running estimate at once, beside the settlement that is announced."""
        self._act(lambda: self.paper.venue.settle_now(instrument))

    def margin_call(self, account: AccountId) -> None:
        """Warn that positions of ``account`` are close to liquidation; nothing changes."""
        self._act(lambda: self._tell(MarginCalled(account, "margin call", self.now_ns())))

    def change_balance(self, account: AccountId, asset: str, amount: Decimal) -> None:
        """Somebody else moves ``amount`` into the wallet, or out of it where it is negative."""

        def move() -> None:
            with exact_arithmetic():
                self.wallets.credit(account, asset, amount)
            self._moved += 1
            now_ns = self.now_ns()
            self._tell(Transferred(account, asset, amount, f"transfer:{self._moved}", now_ns))
            self._tell(BalanceSeen(account, asset, self.wallets.balance(account, asset), now_ns))

        self._act(move)

    def reset_account(self, account: AccountId) -> None:
        """The venue forgets the account's orders, positions and history; the first balances are back."""

        def reset() -> None:
            held = [one for one in self._terms.balances if one.account == account]
            self.paper.venue.reset(account, held)
            self.records.forget(account)
            self._tell(VenueReset(account, "the account was reset", self.now_ns()))

        self._act(reset)

    def maintenance(self, on: bool) -> None:
        """While on, the servers answer nothing else (`adapters.rehearsal.app`).  First it is told that
        contracts do not trade, which the real venue may not do (unverified); then market sockets close."""
        self.maintained = on
        if on:
            for name, status in self.statuses.items():
                if status == _TRADING:
                    self._describe(name, _PAUSED)
            self._cut(1001, "maintenance")

    def set_status(self, instrument: InstrumentId, status: str) -> None:
        """``TRADING``, or the word for why not; orders are then refused, cancels are not."""
        self.statuses[instrument] = status
        self._act(lambda: self._tell(InstrumentStatusSeen(instrument, status, self.now_ns())))
        self._describe(instrument, status)

    def skew(self, skew_ns: int) -> None:
        """The venue's clock is ahead of ours by ``skew_ns`` in everything it writes and checks."""
        self.skew_ns = skew_ns
        for stage in self.stages.values():
            stage.skew_ms = skew_ns // _MS

    def thin(self, share: Decimal) -> None:
        """Takers get at most this share of each displayed level from now on, 0 … 1."""
        self.paper.venue.thin(share)

    # --- inside -----------------------------------------------------------------------------------------

    def _show(self, due_ns: int) -> None:
        """Play the next frame of the recording, or begin it anew."""
        shown = self._looped.take()
        if shown is None:
            self._cut(*_AWAY)
            return
        self.paper.reach(due_ns)
        self.stages[shown.market].show(shown, due_ns)

    def _beat(self, due_ns: int) -> None:
        self._beat_ns = due_ns + _BEAT_NS
        self.paper.reach(due_ns)
        self._beat_now(due_ns)

    def _beat_now(self, at_ns: int) -> None:
        for stage in self.stages.values():
            stage.beat(at_ns)

    def _cut(self, code: int, reason: str) -> None:
        for stage in self.stages.values():
            stage.broadcast.cut(code, reason)

    def _describe(self, name: InstrumentId, status: str) -> None:
        """Tell the status of a contract to whoever follows the market's stream of them; spot has none."""
        market = market_of(name)
        if market != "spot":
            self.stages[market].contract(self.catalog.contract_info(name, status, self.now_ns() // _MS))

    def _settle_before(self) -> None:
        """What was settled before anybody came, which no recording says, is taken to be the running rate."""
        for name, instrument in self.instruments.items():
            running = self.paper.venue.running(name)
            if running is None:
                continue
            rate, next_ns = running
            settled_ns = next_ns - instrument.funding_interval_h * _HOUR_NS
            if settled_ns < self.now_ns():
                self.records.keep(FundingSettled(name, rate, settled_ns))

    def _act(self, change: Callable[[], None]) -> None:
        self.turn(self.now_ns())
        change()
        self._stirred.set()

    def _force(self, instrument: InstrumentId, qty: Decimal | None, cause: str) -> bool:
        held = self.wallets.position(instrument).qty
        if held == ZERO:
            return False
        closed = abs(held) if qty is None else min(qty, abs(held))
        side = Side.SELL if held > 0 else Side.BUY
        self._act(lambda: self.paper.venue.force(instrument, side, closed, cause))
        return True

    def closed(self, command: PlaceOrder | CancelOrder) -> OrderRejected | None:
        """The refusal of an order for an instrument that does not trade now."""
        if not isinstance(command, PlaceOrder):
            return None
        if self.statuses.get(command.instrument, _TRADING) == _TRADING:
            return None
        code, reason = _CLOSED.get(market_of(command.instrument), _CLOSED_FUTURES)
        return OrderRejected(command.client_id, code, reason, self.now_ns())

    def _tell(self, fact: AnyFact) -> None:
        self.records.keep(fact)
        self._answer.append(fact)
        for listener in tuple(self._listeners):
            listener(fact)
