"""Live prices without an account: the market feeds of the configured legs, for paper fills and for recording.

What must stay true: what describes the instruments passes the tap before the first frame of its market, in
the form that a replay reads it in, so that what is recorded is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from adapters.binance.feed import FeedOptions, MarketFeed, Tap
from adapters.binance.instruments import read_source
from adapters.binance.reference import Given, changes, measure_offset_ns, read_market
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.binance.signing import Signer
from adapters.materiality import Materiality
from adapters.network import Network
from adapters.ratelimit import RateBudget
from bot.model.ids import InstrumentId, market_of
from bot.model.instrument import Instrument
from bot.ports import Clock, Emit
from bot.settings import Settings
from bot.wiring.venues import hosts_of


class OpenedFeeds(Struct, frozen=True):
    """The legs as their venue describes them, and their data, not yet running."""

    instruments: Mapping[InstrumentId, Instrument]
    feeds: Sequence[MarketFeed]


async def open_feeds(
    settings: Settings,
    legs: Sequence[InstrumentId],
    signer: Signer | None,
    world: tuple[Network, Clock],
    emit: Emit,
    tap: Tap,
) -> OpenedFeeds:
    """Ask the venue for its clock and what ``legs`` are, tell it, and make one feed for each market.

    Without a signer the venue tells no tiers and no fees: those are the instrument files' and the settings'.
    Raises `FeedError` for an instrument that is not wholly described, `Unsent`, `Unanswered`, `Refused`.
    """
    network, clock = world
    access = Access(signer, round(settings.config.strategy.receive_window_s * 1000))
    markets: dict[str, list[InstrumentId]] = {}
    for leg in legs:
        markets.setdefault(market_of(leg), []).append(leg)
    instruments: dict[InstrumentId, Instrument] = {}
    feeds = []
    for market, names in markets.items():
        hosts = hosts_of(settings)[market]
        rest = Rest(market, hosts, network, VenueClock(clock), RateBudget(market), access)
        rest.clock.offset_ns = await measure_offset_ns(rest)
        given = Given(
            tuple(read_source(path) for path in settings.instruments), settings.config.paper_fees_bps
        )
        described = await read_market(rest, names, given)
        for _, source in described.sources:
            tap(clock.now_ns(), market, b'{"stream":"exchangeInfo","data":%b}' % source)
        for fact in changes(None, described, clock.now_ns()):
            emit(fact)
        instruments.update(described.instruments)
        options = _options(settings, market, tuple(described.instruments.values()))
        feeds.append(MarketFeed(options, network, rest, clock, emit, tap))
    return OpenedFeeds(instruments, feeds)


def _options(settings: Settings, market: str, instruments: tuple[Instrument, ...]) -> FeedOptions:
    strategy = settings.config.strategy
    filters = Materiality(float(strategy.clip_quote), strategy.materiality_bps, strategy.heartbeat_s)
    return FeedOptions(
        market=market,
        hosts=hosts_of(settings)[market],
        instruments=instruments,
        filters=dict.fromkeys([one.id for one in instruments], filters),
        trades=True,
    )
