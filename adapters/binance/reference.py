"""What Binance says of the instruments themselves, read from the venue and read again.

Filters, contract sizes, fees, leverage brackets, funding intervals and whether a symbol trades change while a
bot runs, so they are asked hourly and on demand, and each change is a fact; a contract's status also comes by
a stream.  What must stay true: nothing here has a default; what the venue does not describe is not traded, a
symbol that it no longer lists has the status `ABSENT`, and a perpetual whose end is announced `DELISTING`, so
that nothing is opened in it.

Sources: exchangeInfo, leverageBracket, commissionRate (spot: account/commission), fundingInfo and
ticker/price in binance_sdk_spot 13.3.0, binance_sdk_derivatives_trading_usds_futures 18.1.0 and
binance_sdk_derivatives_trading_coin_futures 14.1.0 (2026-11-20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct, field

from adapters.backoff import Backoff
from adapters.binance import requests, statements
from adapters.binance.decoding import VENUE, Drift, Unread, reader, rows
from adapters.binance.fee_coins import fee_coin
from adapters.binance.instruments import DELISTING, TRADING, instruments, status_of
from adapters.binance.rest import BAD_SYMBOL, Refused, Rest
from adapters.errors import FeedError
from adapters.network import Unanswered, Unsent
from adapters.numbers import Ms
from adapters.ratelimit import Limit
from bot.model.config import FeeRate
from bot.model.facts import (
    AnyFact,
    FeeAssetSet,
    FundingEstimated,
    InstrumentListed,
    InstrumentStatusSeen,
    ProtocolDrift,
    RateSeen,
)
from bot.model.ids import AccountId, InstrumentId, instrument_id, symbol_of
from bot.model.instrument import Instrument
from bot.ports import Emit
from bot.quant.funding import HOUR_NS, fits_interval

ABSENT = "ABSENT"  # ours, not the venue's: it does not list the symbol
UNREADABLE = "UNREADABLE"  # ours: it lists the symbol, and not so that it can be used
REFRESH_S = 3600.0
RETRY = Backoff(first_s=1.0, longest_s=60.0)  # while the venue does not answer
CLOCK_S = 60.0
RATES_S = 60.0
HINT_NS = 60_000_000_000
SAMPLES = 5
_MS_HALF_NS = 500_000  # the venue's clock is cut to milliseconds
NoAnswer = (Unsent, Unanswered, Refused)


class Given(Struct, frozen=True):
    """What stands in where nobody is signed in: further sources (name, JSON), as of an instrument file, and
    fees by market.  ``fees`` hold over the venue's own."""

    sources: tuple[tuple[str, bytes], ...] = ()
    fees: Mapping[str, FeeRate] = {}


class Described(Struct, frozen=True):
    """One reading of a market: the instruments it lists, the status of each that was asked for, the answers
    that say so, as sources of an instrument file, and why those that are `UNREADABLE` cannot be used.
    ``fee_coins``: the coin that spot's fees are paid from while the account holds some; empty: what is
    traded; missing: the venue does not say."""

    instruments: dict[InstrumentId, Instrument]
    statuses: dict[InstrumentId, str]
    sources: tuple[tuple[str, bytes], ...] = ()
    refused: dict[InstrumentId, FeedError] = {}
    fee_coins: dict[InstrumentId, str] = {}


class _Symbol(Struct):
    symbol: str
    status: str | None = None
    contract_status: str | None = field(name="contractStatus", default=None)  # COIN-M
    contract_type: str | None = field(name="contractType", default=None)
    delivery_ms: Ms | None = field(name="deliveryDate", default=None)

    @property
    def said(self) -> str:
        status = self.status or self.contract_status
        return status_of(status, self.contract_type, self.delivery_ms) if status else UNREADABLE


class _Info(Struct):
    symbols: msgspec.Raw
    limits: msgspec.Raw = field(name="rateLimits", default=msgspec.Raw(b"[]"))


_decode_info = reader(_Info)
_read_symbol = reader(_Symbol)
_read_limit = reader(Limit)
_read_anything = reader(msgspec.Raw)
_TRADED = (TRADING, DELISTING)


async def read_market(rest: Rest, wanted: Sequence[InstrumentId], given: Given) -> Described:
    """Ask for everything that describes the ``wanted`` instruments of one market.

    The rate limits in the answers become ``rest``'s budget.  An instrument whose description cannot be used
    is `UNREADABLE`, and costs no other its own.  Raises what `Rest.read` raises, and `FeedError` for an
    answer that is none.
    """
    parts: list[tuple[str, bytes]] = []
    statuses = dict.fromkeys(wanted, ABSENT)
    for answer in await _exchange_infos(rest, wanted):
        statuses.update(_statuses(rest, wanted, answer))
        parts.append((f"{rest.market} exchangeInfo", b'{"exchangeInfo":%b}' % answer))
    listed = [name for name, status in statuses.items() if status != ABSENT]
    fee_coins: dict[InstrumentId, str] = {}
    if parts:
        more = await _particulars(rest, listed, fee_coins)
        parts[0] = (parts[0][0], parts[0][1][:-1] + b"," + more + b"}")
    refused: dict[InstrumentId, FeedError] = {}
    found = instruments([*parts, *given.sources], listed, given.fees, refused)
    for name in refused:
        statuses[name] = statuses[name] if statuses[name] not in _TRADED else UNREADABLE
    return Described(found, statuses, tuple(parts), refused, fee_coins)


async def _exchange_infos(rest: Rest, wanted: Sequence[InstrumentId]) -> list[bytes]:
    """The answers that describe ``wanted``: one, but where spot refuses all for the sake of one."""
    symbols = [symbol_of(name) for name in wanted]
    try:
        return [await rest.read(requests.exchange_info(rest.market, symbols))]
    except Refused as refused:
        if refused.failure.code != BAD_SYMBOL:
            raise
    if len(wanted) == 1:
        return []
    return [answer for name in wanted for answer in await _exchange_infos(rest, [name])]


def _statuses(rest: Rest, wanted: Sequence[InstrumentId], answer: bytes) -> dict[InstrumentId, str]:
    unread: list[Unread] = []
    try:
        info = _decode_info(answer)
        limits = rows(_read_limit, lambda row: row, bytes(info.limits), unread)
        for row in unread:
            rest.budget.on_drift(f"a rate limit is unread: {row.reason}")
        symbols = rows(_read_symbol, lambda row: (row.symbol, row.said), bytes(info.symbols), unread)
    except Drift as error:
        raise FeedError(f"{rest.market}: the exchangeInfo cannot be read ({error})") from None
    if limits:
        rest.budget.learn(limits)
    said = {row.name: UNREADABLE for row in unread} | dict(symbols)
    return {name: said[symbol_of(name)] for name in wanted if symbol_of(name) in said}


async def _particulars(
    rest: Rest, listed: Sequence[InstrumentId], fee_coins: dict[InstrumentId, str]
) -> bytes:
    """Members of a JSON object: what other requests tell of the instruments, where it can be asked.  What
    fees are paid from is put into ``fee_coins``."""
    members = []
    if rest.market != "spot":
        members.append(b'"fundingInfo":' + await rest.read(requests.funding_info(rest.market)))
    if rest.access.signer is not None:
        if rest.market != "spot":
            members.append(b'"leverageBracket":' + await rest.read(requests.brackets(rest.market)))
        rates = {name: rate for name in listed if (rate := await _commission(rest, name))}
        members.append(b'"commissionRate":[%b]' % b",".join(rates.values()))
        coins = {name: fee_coin(rate) for name, rate in rates.items() if rest.market == "spot"}
        fee_coins.update({name: coin for name, coin in coins.items() if coin is not None})
    return b",".join(members) or b'"commissionRate":[]'


async def _commission(rest: Rest, name: InstrumentId) -> bytes:
    """Empty where the venue tells none, or nothing that is JSON: then this instrument has no fee rates."""
    try:
        answer = await rest.read(requests.commission(name))
    except Refused as refused:
        if refused.failure.code != BAD_SYMBOL:
            raise
        return b""
    try:
        _read_anything(answer)
    except Drift:
        return b""
    return answer


def changes(before: Described | None, after: Described, seen_ns: int) -> tuple[AnyFact, ...]:
    """The facts that tell how ``after`` differs from ``before``; everything, where there is no before."""
    known = Described({}, {}) if before is None else before
    return (
        *(
            InstrumentListed(instrument)
            for name, instrument in after.instruments.items()
            if known.instruments.get(name) != instrument
        ),
        *(
            InstrumentStatusSeen(name, status, seen_ns)
            for name, status in after.statuses.items()
            if known.statuses.get(name) != status
        ),
        *(
            FeeAssetSet(name, coin, seen_ns)
            for name, coin in after.fee_coins.items()
            if name in after.instruments and known.fee_coins.get(name) != coin
        ),
    )


class Reference:
    """The descriptions of one market's instruments, kept up to date by `run`.

    ``described`` is the latest; an instrument that is no longer listed keeps its last description.
    """

    def __init__(self, rest: Rest, wanted: Sequence[InstrumentId], given: Given, emit: Emit) -> None:
        self.described: Described | None = None
        self.asked = asyncio.Event()  # set it to have the descriptions read at once
        self._rest = rest
        self._wanted = tuple(wanted)
        self._given = given
        self._emit = emit
        self._next_ns: dict[InstrumentId, int] = {}  # settlements announced by a stream
        self._hinted_ns = 0
        self._heard: dict[InstrumentId, str] = {}  # statuses told by a stream while an answer is under way

    async def read(self) -> Described:
        """Read once and tell what changed.  Raises as `read_market` does."""
        self._heard.clear()
        after = await read_market(self._rest, self._wanted, self._given)
        after = msgspec.structs.replace(after, statuses={**after.statuses, **self._heard})
        before = self.described
        for fact in changes(before, after, self._rest.clock.now_ns()):
            self._emit(fact)
        account = AccountId(f"{VENUE}:{self._rest.market}")
        for name, error in after.refused.items():
            self._emit(ProtocolDrift(account, "exchangeInfo", f"{name} is held: {error}"))
        kept = {**before.instruments, **after.instruments} if before is not None else after.instruments
        coins = {**before.fee_coins, **after.fee_coins} if before is not None else after.fee_coins
        self.described = Described(kept, after.statuses, fee_coins=coins)
        return self.described

    def hear(self, seen: InstrumentStatusSeen) -> None:
        """A stream tells a status: it is told on where it is another than was known.  Where it is not,
        something else has changed, and all is read; where an end is announced, so that its time is known."""
        if self.described is None:
            return
        self._heard[seen.instrument] = seen.status
        if self.described.statuses.get(seen.instrument) == seen.status:
            self.asked.set()
            return
        self.described.statuses[seen.instrument] = seen.status
        self._emit(seen)
        if seen.status == DELISTING:
            self.asked.set()

    def hear_settlement(self, told: FundingEstimated) -> None:
        """A stream announces a settlement: where it is another than the interval known here leads to, all is
        read, but once a minute at most."""
        before_ns = self._next_ns.get(told.instrument, 0)
        self._next_ns[told.instrument] = told.next_ns
        known = None if self.described is None else self.described.instruments.get(told.instrument)
        if known is None or told.seen_ns < self._hinted_ns + HINT_NS:
            return
        interval_h = known.funding_interval_h
        is_next = abs(told.next_ns - before_ns) in (0, interval_h * HOUR_NS) or not before_ns
        if not is_next or not fits_interval(told.next_ns, interval_h, told.venue_ns or told.seen_ns):
            self._hinted_ns = told.seen_ns
            self.asked.set()

    async def run(self) -> None:
        """Read hourly and when asked, until cancelled."""
        attempt, salt = 0, f"{self._rest.market} reference"
        while True:
            await _wait(self.asked, RETRY.delay_s(attempt, salt) if attempt else REFRESH_S)
            try:
                await self.read()
                attempt = 0
            except NoAnswer:
                attempt += 1
            except FeedError as error:
                attempt = 0
                account = AccountId(f"{VENUE}:{self._rest.market}")
                self._emit(ProtocolDrift(account, "exchangeInfo", str(error)))


# --- the venue's clock ------------------------------------------------------------------------------------


async def measure_offset_ns(rest: Rest, samples: int = SAMPLES) -> int:
    """The venue's clock less ours, by the quickest of a few questions, whose answer lies in its middle.

    Raises what `Rest.read` raises, and `Drift`.
    """
    clock = rest.clock
    found: list[tuple[int, int]] = []
    for _ in range(samples):
        sent_ns = clock.now_ns()
        venue_ns = statements.server_time_ns(await rest.read(requests.server_time(rest.market), urgent=True))
        back_ns = clock.now_ns()
        found.append((back_ns - sent_ns, venue_ns + _MS_HALF_NS - (sent_ns + back_ns) // 2))
    return min(found)[1]


async def follow_clock(rest: Rest) -> None:
    """Measure the offset each minute, and at once where the venue found our time wrong, until cancelled."""
    clock = rest.clock
    while True:
        try:
            clock.offset_ns = await measure_offset_ns(rest)
            clock.doubted.clear()
        except (*NoAnswer, Drift):
            await asyncio.sleep(1.0)  # a doubt that stands is not asked about without pause
        await _wait(clock.doubted, CLOCK_S)


# --- prices of assets that no leg has ---------------------------------------------------------------------


async def read_rates(rest: Rest, assets: Iterable[str], quote: str) -> tuple[RateSeen, ...]:
    """Spot prices of ``assets`` in ``quote``, asked of the spot market's ``rest``.

    An asset without such a market is left out: no price is not a price of zero.  Raises what `Rest.read`
    raises, and `Drift`.
    """
    told = []
    for asset in assets:
        try:
            body = await rest.read(requests.ticker_price(instrument_id(VENUE, "spot", asset + quote)))
        except Refused as refused:
            if refused.failure.code != BAD_SYMBOL:
                raise
            continue
        told.append(RateSeen(asset, quote, statements.ticker_price(body), rest.clock.now_ns()))
    return tuple(told)


async def follow_rates(rest: Rest, assets: Callable[[], Iterable[str]], quote: str, emit: Emit) -> None:
    """Tell the prices of ``assets()`` each minute, until cancelled."""
    while True:
        try:
            for fact in await read_rates(rest, assets(), quote):
                emit(fact)
        except NoAnswer:
            pass  # they grow old until the next minute, which the guard sees
        except Drift as drift:
            emit(ProtocolDrift(AccountId(f"{VENUE}:{rest.market}"), "ticker/price", str(drift)))
        await asyncio.sleep(RATES_S)


async def _wait(asked: asyncio.Event, longest_s: float) -> None:
    """Until asked, but no longer."""
    try:
        async with asyncio.timeout(longest_s):
            await asked.wait()
    except TimeoutError:
        return
    asked.clear()
