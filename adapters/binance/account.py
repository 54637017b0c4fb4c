"""A whole wallet, told at one moment: the answer to `QueryAccount`.

The venue answers one question at a time, and money may move between two of them.  So the balances are asked
first and last, and the answers count only if they are equal and nothing was heard of the account meanwhile;
else all is asked again, and in the end nothing is said, since a report that straddles a change would look
like a loss.  Before it come how the account is set, and the payments and fills that nobody told while there
was nobody to hear them.  A row that cannot be read is reported and counted, and takes no other with it: the
report is then incomplete, and says of what it says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct, field

from adapters.binance import events, replies, requests, statements
from adapters.binance.configured import Configured
from adapters.binance.decoding import VENUE, Drift, Unread, instrument
from adapters.binance.kept import NO_SOCKET
from adapters.binance.payments import Payment, Payments
from adapters.binance.positions import Positions
from adapters.binance.replies import Trade
from adapters.binance.requests import PAGE
from adapters.binance.rest import BAD_SYMBOL, SECOND_NS, Refused, Rest
from adapters.binance.statements import PositionStated
from adapters.binance.told import Told
from bot.model.commands import QueryAccount
from bot.model.facts import (
    AccountReported,
    ForcedFilled,
    ForeignOrder,
    HistoryGapped,
    OrderFilled,
    PositionHeld,
    ProtocolDrift,
    VenueReset,
)
from bot.model.ids import AccountId, ClientId, InstrumentId, account_of, symbol_of
from bot.model.instrument import Instrument
from bot.model.money import ZERO
from bot.ports import Emit

ATTEMPTS = 4
PAUSE_S = 0.25
LATE_NS = 15 * SECOND_NS  # how much later than its wallet a test network may list a trade


class Account(Struct, frozen=True):
    """What an account's parts share: who asks, what is traded, what was told.

    A ``forgetful`` venue is a test network, which begins accounts anew from time to time; no other does.
    ``legs`` are the instruments of ours, those that the venue does not describe so that they can be used
    too."""

    rest: Rest
    instruments: Mapping[InstrumentId, Instrument]
    bot_tag: str
    told: Told
    positions: Positions
    payments: Payments
    configured: Configured
    balances: dict[str, Decimal]  # as last told
    emit: Emit
    forgetful: bool = False
    legs: tuple[InstrumentId, ...] = ()

    @property
    def id(self) -> AccountId:
        return AccountId(f"{VENUE}:{self.rest.market}")


class _Missing(Struct):
    """What one round of questions could not read: rows of each list, and the names of those that say what
    the account holds, an empty one where a row names nothing."""

    rows: dict[str, list[Unread]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def of(self, what: str) -> list[Unread]:
        """The unread rows of one list, to be added to."""
        return self.rows.setdefault(what, [])

    @property
    def count(self) -> int:
        return sum(len(unread) for unread in self.rows.values())


class _Found(Struct):
    """What one round of questions found, in the order in which it is told."""

    report: AccountReported
    gap: HistoryGapped | None
    payments: list[Payment]
    reset: VenueReset | None
    fills: list[OrderFilled | ForcedFilled]
    missing: _Missing


class AccountAnswers:
    """Answers `QueryAccount` for one account, one at a time."""

    def __init__(self, account: Account) -> None:
        self._of = account
        self._is_asking = False
        self._missed_ns: dict[InstrumentId, int] = {}  # when a known trade was first not listed

    async def answer(self, query: QueryAccount) -> None:
        """Ask, and tell; or tell nothing, and the core asks again in its time."""
        if self._is_asking:
            return
        self._is_asking = True
        try:
            if not await self._read_settings():
                return
            for attempt in range(ATTEMPTS):
                await asyncio.sleep(PAUSE_S if attempt else 0)
                found = await self._round(query)
                if found is not None:
                    self._tell(found)
                    return
        except Drift as drift:
            self._of.emit(ProtocolDrift(self._of.id, "account", str(drift)))
        except NO_SOCKET as error:
            if isinstance(error, Refused) and not error.passes:
                self._of.emit(ProtocolDrift(self._of.id, "account", f"refused: {error}"))
        finally:
            self._is_asking = False

    async def _read_settings(self) -> bool:
        """How the account is set; False where the venue may say it later.  What it refuses to say for good
        is told, and keeps nobody from comparing the account."""
        try:
            await self._of.configured.read()
        except Drift as drift:
            self._of.emit(ProtocolDrift(self._of.id, "settings", str(drift)))
        except NO_SOCKET as error:
            if not isinstance(error, Refused) or error.passes:
                return False
            self._of.emit(ProtocolDrift(self._of.id, "settings", f"refused: {error}"))
        return True

    def _tell(self, found: _Found) -> None:
        of, report = self._of, found.report
        for what, unread in found.missing.rows.items():
            if unread:
                first = f"the first, of {unread[0].name or 'no name'}: {unread[0].reason}"
                of.emit(ProtocolDrift(of.id, what, f"{len(unread)} rows are unread; {first}"))
        if found.gap is not None:
            of.emit(found.gap)
        if found.reset is not None:
            of.emit(found.reset)
        of.payments.tell(found.payments)
        for fill in found.fills:
            if isinstance(fill, OrderFilled):
                of.told.refilled(fill)
            else:
                of.emit(fill)
        of.positions.reported(report.positions, report.unread)
        of.balances.clear()
        of.balances.update(report.balances)
        of.emit(report)

    async def _round(self, query: QueryAccount) -> _Found | None:
        """One round of questions; ``None`` when something changed in its course.

        Raises one of `kept.NO_SOCKET`."""
        of, rest = self._of, self._of.rest
        if of.payments.sought:
            return None
        revision, at_ns = of.told.revision, rest.clock.venue_ns()
        of.told.touched = False  # what is done from here on is not in the answers
        missing = _Missing()
        before = await self._wallet(_Missing())
        positions = () if rest.market == "spot" else await self._positions(missing)
        mine, foreign = await self._open_orders(missing)
        payments: list[Payment] = []
        if rest.market != "spot" and query.since_ns:
            unpaid = missing.of("income")
            payments = await of.payments.since(query.since_ns, rest.clock.venue_ns(), unpaid)
            missing.names += [row.name for row in unpaid if row.name]
        reset, fills = await self._fills(query.after_trades, before, at_ns, missing.of("trades"))
        balances = await self._wallet(missing)
        if balances != before or of.told.revision != revision or of.told.settling:
            return None
        report = AccountReported(
            of.id, balances, positions, mine, at_ns, foreign, missing.count, tuple(missing.names)
        )
        return _Found(report, of.payments.gap(query.since_ns, at_ns), payments, reset, fills, missing)

    async def _wallet(self, missing: _Missing) -> dict[str, Decimal]:
        """Balances that are not zero, and those of the assets that contracts are margined in."""
        rest, unread = self._of.rest, missing.of("balances")
        body = await rest.read(requests.account(rest.market), urgent=True)
        held = statements.wallet(rest.market, body, unread)
        names = [row.name for row in unread]
        missing.names += names
        margins = {each.margin_asset: ZERO for each in self._of.instruments.values() if not each.is_spot}
        if names:  # what is not read is not zero
            margins = (
                {} if "" in names else {name: zero for name, zero in margins.items() if name not in names}
            )
        return margins | held.balances

    async def _positions(self, missing: _Missing) -> tuple[PositionHeld, ...]:
        """All positions.  Those in somebody else's contracts are told by their quantity alone: what they cost
        cannot be stated here, and that they share our margin is a difference whatever it was."""
        rest, unread = self._of.rest, missing.of("positions")
        body = await rest.read(requests.positions(rest.market), urgent=True)
        held = []
        for stated in statements.positions(rest.market, body, unread):
            try:
                held.append(self._held(stated))
            except Drift as drift:
                unread.append(Unread(symbol_of(stated.instrument), str(drift)))
        symbols = [row.name for row in unread]
        missing.names += [instrument(rest.market, symbol) if symbol else "" for symbol in symbols]
        return tuple(held)

    def _held(self, stated: PositionStated) -> PositionHeld:
        """Raises `Drift` for a position whose cost cannot be known."""
        name, known = stated.instrument, self._of.instruments
        if stated.side_word != "BOTH":
            raise Drift(f"{name} is held in hedge mode; set one-way mode")
        if name in known:
            return statements.held(known[name], stated)
        if name in self._of.legs:
            raise Drift(f"{name} is held and not described")
        return PositionHeld(name, stated.qty, ZERO)

    async def _open_orders(self, missing: _Missing) -> tuple[tuple[ClientId, ...], tuple[ForeignOrder, ...]]:
        rest, tag, unread = self._of.rest, self._of.bot_tag, missing.of("openOrders")
        body = await rest.read(requests.open_orders(rest.market), urgent=True)
        orders = replies.open_orders(rest.market, body, unread)
        mine = tuple(ClientId(order.name) for order in orders if order.name.startswith(tag))
        foreign = tuple(order for order in orders if not order.name.startswith(tag))
        if rest.market == "usdm":  # the one market that lists conditional orders apart
            body = await rest.read(requests.open_algo_orders(rest.market), urgent=True)
            foreign += statements.algo_orders(rest.market, body, unread)
        return mine, foreign

    # --- fills that nobody told

    async def _fills(
        self,
        after: Mapping[InstrumentId, str],
        wallet: Mapping[str, Decimal],
        at_ns: int,
        unread: list[Unread],
    ) -> tuple[VenueReset | None, list[OrderFilled | ForcedFilled]]:
        """Raises `Drift` while a known trade is not listed and the venue has not begun anew: spot's list is
        now and then late, or empty."""
        of = self._of
        fills: list[OrderFilled | ForcedFilled] = []
        for name, trade_id in after.items():
            if account_of(name) != of.id:
                continue
            before = len(unread)
            try:
                trades = await self._trades(name, trade_id, unread)
            except Refused as refused:
                if refused.failure.code != BAD_SYMBOL:
                    raise
                continue  # nothing is traded in it any more, and no other instrument is to wait for it
            is_whole = len(unread) == before
            if of.rest.market == "spot" and is_whole and (not trades or trades[0].trade_id != trade_id):
                reason = f"trade {trade_id} of {name}, which we were told of, is not listed by the venue"
                if not of.forgetful or self._may_be_late(name, wallet, at_ns):
                    raise Drift(reason)
                self._missed_ns.clear()
                return VenueReset(of.id, reason, at_ns), []
            self._missed_ns.pop(name, None)
            fresh = [trade for trade in trades if int(trade.trade_id) > int(trade_id)]
            fills += [fill for trade in fresh if (fill := await self._attributed(trade, unread)) is not None]
        return None, fills

    def _may_be_late(self, name: InstrumentId, wallet: Mapping[str, Decimal], at_ns: int) -> bool:
        """Whether a trade may be missing from a list only: the wallet is as it was told, and not for long."""
        told = self._of.balances
        is_as_told = bool(told) and all(wallet.get(asset, ZERO) == held for asset, held in told.items())
        return is_as_told and at_ns - self._missed_ns.setdefault(name, at_ns) < LATE_NS

    async def _trades(self, name: InstrumentId, trade_id: str, unread: list[Unread]) -> list[Trade]:
        """All trades of an instrument from ``trade_id`` on."""
        found: list[Trade] = []
        while True:
            missing: list[Unread] = []
            body = await self._of.rest.read(requests.trades_after(name, trade_id), urgent=True)
            page = replies.trades(self._of.rest.market, body, missing)
            unread += missing
            found += page[1:] if found else page
            is_full = len(page) + len(missing) >= PAGE
            if not is_full or not page or page[-1].trade_id == trade_id:
                return found
            trade_id = page[-1].trade_id

    async def _attributed(self, trade: Trade, unread: list[Unread]) -> OrderFilled | ForcedFilled | None:
        """A trade with the name of its order; ``None`` for somebody else's, and where nobody can say."""
        try:
            name = await client_of(self._of, trade)
        except Drift as drift:
            unread.append(Unread(symbol_of(trade.instrument), f"trade {trade.trade_id}: {drift}"))
            return None
        except Refused as refused:
            if refused.passes:
                raise
            unread.append(Unread(symbol_of(trade.instrument), f"trade {trade.trade_id}: {refused}"))
            return None
        cause = events.forced(name)
        if cause:
            return events.forced_filled(trade, cause)
        return replies.filled(trade, name) if name.startswith(self._of.bot_tag) else None


async def client_of(of: Account, trade: Trade) -> ClientId:
    """The client id of the order that a trade belongs to.  Raises one of `kept.NO_SOCKET`."""
    name = of.told.name_of(trade.instrument, trade.venue_order_id)
    if name is None:
        call = requests.order_by_venue_id(trade.instrument, trade.venue_order_id)
        order = replies.order(of.rest.market, await of.rest.read(call, urgent=True))
        if order.venue_order_id != trade.venue_order_id:
            raise Drift("the answer speaks of another order than was asked for")
        name = order.client_id
        of.told.named(trade.instrument, trade.venue_order_id, name)
    return name
