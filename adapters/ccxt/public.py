"""The public side of an exchange through ccxt: books, trades, marks and rates, without an account.

This is what a paper run trades on; nobody is signed in, and no key is needed.  What must stay true: whatever
an exchange does not tell without a key is given by settings or files, or is a refusal that says what to give;
nothing is left open that was not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from adapters.ccxt.books import DEPTH
from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.exchange import (
    Access,
    BookCheck,
    answered,
    book_stream_of,
    failures,
    may_pass,
    open_books,
    open_exchange,
    worded,
)
from adapters.ccxt.feed import Feed, Reach, Sources
from adapters.ccxt.reference import TIME_EVERY_S, Given, measure_time, read_leg
from adapters.errors import FeedError
from adapters.materiality import Materiality
from adapters.network import Unanswered
from adapters.ratelimit import RateBudget
from bot.model.facts import ProtocolDrift, Throttled
from bot.model.ids import InstrumentId, account_of, market_of
from bot.ports import Clock, Emit, Reading


class PublicOptions(Struct, frozen=True, kw_only=True):
    """``legs`` are of one account; ``access`` has no credentials, ``budget`` is the exchange's."""

    access: Access
    legs: tuple[InstrumentId, ...]
    given: Given
    filters: Materiality
    budget: RateBudget


class PublicFeed:
    """One wallet family's market data: ``stream`` has its books, ``legs`` what the exchange says they are,
    and ``assumptions``, a sentence each, what a paper run on them takes for granted.

    Made by `open_public`; opens its connections when it is run.
    """

    def __init__(self, legs: tuple[Leg, ...], options: PublicOptions, stream: Feed, sources: Sources) -> None:
        self.legs = legs
        self.stream = stream
        self.assumptions = _assumptions(legs, options.given, sources.books.has)
        self._sources = sources

    async def run(self) -> None:
        """Bring data in until cancelled, which closes the connections."""
        books, rates = self._sources.books, self._sources.rates
        books.open()
        rates.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in self.stream.work():
                    tasks.create_task(work)
                tasks.create_task(self._follow_time())
        finally:
            await asyncio.gather(books.close(), rates.close())

    def readings(self) -> tuple[Reading, ...]:
        return self.stream.readings()

    async def _follow_time(self) -> None:
        while True:
            await asyncio.sleep(TIME_EVERY_S)
            try:
                await measure_time(self._sources.rates, self.stream.time)
            except failures():
                continue  # the next minute asks again; a venue that is gone shows on its books


async def open_public(options: PublicOptions, clock: Clock, emit: Emit, reach: Reach) -> PublicFeed:
    """Ask an exchange for its clock and what ``legs`` are, and make their feed.

    Raises `FeedError` for an instrument that is not wholly described, `Unanswered` where the exchange is to
    be asked again later.
    """
    access, account = options.access, account_of(options.legs[0])
    time = VenueTime(clock)

    def on_throttled(status: int, until_ns: int) -> None:
        emit(Throttled(account, until_ns, str(status), "too many requests"))

    options.budget.on_drift = lambda reason: emit(ProtocolDrift(account, "limits", reason))
    rates = open_exchange(access, clock, options.budget, on_throttled)
    books = open_books(access, clock, options.budget)
    try:
        await measure_time(rates, time)
        await answered(rates.load_markets())
        await answered(books.load_markets())
        legs = tuple([await read_leg(rates, name, options.given) for name in options.legs])
    except failures() as error:
        if may_pass(error):
            raise Unanswered(f"{access.name}: {worded(error)}") from None
        raise FeedError(f"{access.name} does not tell what is traded there: {worded(error)}") from None
    finally:
        await asyncio.gather(rates.close(), books.close())
    for leg in legs:
        check_tiers(leg)
    sources = Sources(books, rates)
    feed = Feed(sources, legs, options.filters, time, emit, reach)
    return PublicFeed(legs, options, feed, sources)


def check_tiers(leg: Leg) -> None:
    """Raises `FeedError` for a contract whose margin nobody could compute."""
    if not leg.instrument.is_spot and not leg.instrument.brackets:
        raise FeedError(
            f"{leg.id}: the exchange tells its leverage tiers to nobody, or not without a key; name a file "
            f'with {{"leverageTiers": {{"{leg.id}": …}}}}, in ccxt\'s form, by BASISBOT_PAPER_INSTRUMENTS'
        )


def _assumptions(legs: tuple[Leg, ...], given: Given, has: Mapping[str, Any]) -> tuple[str, ...]:
    account = legs[0].instrument.account
    contracts = [leg.instrument for leg in legs if not leg.instrument.is_spot]
    is_set = market_of(legs[0].id) in given.fees
    found = [
        f"Books of {account} are ccxt's best {DEPTH} levels a side; an order beyond waits behind nobody.",
        f"Fee rates of {account} are those "
        + ("of BASISBOT_PAPER_FEES_BPS." if is_set else "that ccxt states for everybody."),
        f"{account} refuses orders for Binance's reasons, in Binance's words.",
    ]
    if not has["watchOrderBook"]:
        found.append(f"The books of {account} are asked for each second.")
    elif book_stream_of(account.split(":")[0]).check is BookCheck.UNCHECKED:
        found.append(f"Nobody notices an update that is missing of a book of {account}.")
    if not has["watchTrades"]:
        found.append(f"Nobody's trades on {account} are told: a resting order gains when its level shrinks.")
    if contracts:
        found.append(f"Margin, liquidation and funding of {account} follow Binance's rules.")
        found.append(
            f"A settlement of {account} is paid at the running rate last told before it; one that is not "
            "announced happens on the UTC grid of its interval."
        )
    found += [
        f"The leverage tiers of {one.id} are a file's."
        for one in contracts
        if one.brackets == given.tiers.get(one.id)
    ]
    return tuple(found)
