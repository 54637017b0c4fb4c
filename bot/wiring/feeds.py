"""Live prices without an account: the market feeds of the configured legs, for paper fills and for recording.

Binance has an adapter of its own, whose raw frames can be recorded; every other exchange is heard through
ccxt, which shows none.  What must stay true: what describes Binance's instruments passes the tap before the
first frame of its market, in the form that a replay reads it in, so that what is recorded is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from adapters.binance.feed import FeedOptions, MarketFeed, Tap
from adapters.binance.instruments import read_source
from adapters.binance.reference import Given, changes, measure_offset_ns, read_market
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.binance.signing import Signer
from adapters.ccxt.public import PublicFeed, PublicOptions, open_public
from adapters.ccxt.reference import Given as GivenToCcxt
from adapters.ccxt.reference import told_of
from adapters.ccxt.tiers import Files, Tiers, tiers_of_files
from adapters.materiality import Materiality
from adapters.network import Network
from adapters.ratelimit import RateBudget
from bot.model.ids import AccountId, InstrumentId, account_of, market_of
from bot.model.instrument import Instrument
from bot.ports import Clock, Emit
from bot.settings import Settings
from bot.wiring.venues import BINANCE, ccxt_access, hosts_of


class OpenedFeeds(Struct, frozen=True):
    """The legs as their venues describe them, their data, not yet running, and what a paper run on them takes
    for granted."""

    instruments: Mapping[InstrumentId, Instrument]
    feeds: Sequence[MarketFeed | PublicFeed]
    assumptions: Sequence[str] = ()


async def open_feeds(
    settings: Settings,
    legs: Sequence[InstrumentId],
    signer: Signer | None,
    world: tuple[Network, Clock],
    emit: Emit,
    tap: Tap,
) -> OpenedFeeds:
    """Ask the venues for their clocks and what ``legs`` are, tell it, and make one feed for each account.

    Without a signer Binance tells no tiers and no fees, and ccxt is never given a key: those are the
    instrument files' and the settings'.  Raises `FeedError` for an instrument that is not wholly described,
    `Unsent`, `Unanswered`, `Refused`.
    """
    accounts: dict[AccountId, list[InstrumentId]] = {}
    for leg in legs:
        accounts.setdefault(account_of(leg), []).append(leg)
    opening = _Opening(settings, world, emit, tap)
    for account, names in accounts.items():
        if account.split(":")[0] == BINANCE:
            await opening.binance(names, signer)
        else:
            await opening.through_ccxt(names)
    return OpenedFeeds(opening.instruments, opening.feeds, opening.assumptions)


def described_by_files(settings: Settings) -> tuple[Tiers, Files]:
    """The instrument files: leverage tiers of exchanges of ccxt, and what Binance answered.

    Raises `FeedError` for a file that cannot be read."""
    return tiers_of_files(read_source(path) for path in settings.instruments)


class _Opening:
    """Feeds that are being opened, one account after the other."""

    def __init__(self, settings: Settings, world: tuple[Network, Clock], emit: Emit, tap: Tap) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.feeds: list[MarketFeed | PublicFeed] = []
        self.assumptions: list[str] = []
        strategy = settings.config.strategy
        self._filters = Materiality(
            float(strategy.clip_quote), strategy.materiality_bps, strategy.heartbeat_s
        )
        self._tiers, self._answers = described_by_files(settings)
        self._settings = settings
        self._network, self._clock = world
        self._emit = emit
        self._tap = tap
        self._budgets: dict[str, RateBudget] = {}  # of exchanges of ccxt

    async def binance(self, legs: Sequence[InstrumentId], signer: Signer | None) -> None:
        settings, clock, market = self._settings, self._clock, market_of(legs[0])
        access = Access(signer, round(settings.config.strategy.receive_window_s * 1000))
        hosts = hosts_of(settings)[market]
        rest = Rest(market, hosts, self._network, VenueClock(clock), RateBudget(market), access)
        rest.clock.offset_ns = await measure_offset_ns(rest)
        described = await read_market(rest, legs, Given(self._answers, settings.config.paper_fees_bps))
        for error in described.refused.values():
            raise error
        for _, source in described.sources:
            self._tap(clock.now_ns(), market, b'{"stream":"exchangeInfo","data":%b}' % source)
        for fact in changes(None, described, clock.now_ns()):
            self._emit(fact)
        self.instruments.update(described.instruments)
        options = FeedOptions(
            market=market,
            hosts=hosts,
            instruments=tuple(described.instruments.values()),
            filters=dict.fromkeys(described.instruments, self._filters),
            trades=True,
        )
        self.feeds.append(MarketFeed(options, self._network, rest, clock, self._emit, self._tap))

    async def through_ccxt(self, legs: Sequence[InstrumentId]) -> None:
        account, clock = account_of(legs[0]), self._clock
        venue = account.split(":")[0]
        options = PublicOptions(
            access=ccxt_access(self._settings, venue),
            legs=tuple(legs),
            given=GivenToCcxt(self._settings.config.paper_fees_bps, self._tiers),
            filters=self._filters,
            budget=self._budgets.setdefault(venue, RateBudget(venue)),
        )
        feed = await open_public(options, clock, self._emit, lambda at_ns: self._tap(at_ns, account, b""))
        for leg in feed.legs:
            for fact in told_of(leg, None, clock.now_ns()):
                self._emit(fact)
            self.instruments[leg.id] = leg.instrument
        self.feeds.append(feed)
        self.assumptions += feed.assumptions
