"""Binance over the network: spot, USD-M and COIN-M behind `bot.ports.LiveGateway`.

Each market is a desk of its own, with its sockets, its rate budget and its clock; the gateway hands commands
to the desk of their market and puts nothing together.  A desk first measures the venue's clock and reads what
it trades, then opens its channels, and keeps all of it going for ever.  What must stay true: whatever the
venue does is a fact, and `run` ends by cancellation alone; an exception out of it is a bug.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct

from adapters.binance.desk import Desk, DeskOptions
from adapters.binance.endpoints import Hosts
from adapters.binance.reference import Given, follow_rates
from adapters.binance.rest import Access
from adapters.binance.signing import signer
from adapters.materiality import Materiality
from adapters.network import Network
from bot.model.commands import Outward, QueryAccount
from bot.model.config import Config
from bot.model.ids import AccountId, InstrumentId, market_of
from bot.ports import Clock, Emit, Reading

Tap = Callable[[int, str, bytes], None]


class BinanceOptions(Struct, frozen=True, kw_only=True):
    """``legs`` are the instruments to trade, ``hosts`` has an entry for each of their markets."""

    legs: tuple[InstrumentId, ...]
    config: Config
    hosts: Mapping[str, Hosts]
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"BinanceOptions(legs={self.legs})"


class BinanceGateway:
    """`bot.ports.LiveGateway`.  ``tap`` sees each raw market frame: receive time, market, bytes.

    Raises `signing.BadSecret` for a secret that signs nothing.
    """

    def __init__(
        self, options: BinanceOptions, network: Network, clock: Clock, tap: Tap | None = None
    ) -> None:
        config = options.config
        strategy = config.strategy
        access = Access(signer(options.key, options.secret), round(strategy.receive_window_s * 1000))
        filters = Materiality(float(strategy.clip_quote), strategy.materiality_bps, strategy.heartbeat_s)
        legs: dict[str, list[InstrumentId]] = {}
        for leg in options.legs:
            legs.setdefault(market_of(leg), []).append(leg)
        self._nav_currency = config.nav_currency
        self._desks = {
            market: Desk(
                DeskOptions(
                    market=market,
                    hosts=options.hosts[market],
                    legs=tuple(names),
                    filters=dict.fromkeys(names, filters),
                    given=Given(),
                    bot_tag=config.bot_tag,
                    transport=config.order_transport,
                    forgetful=config.mode != "live",
                ),
                access,
                network,
                clock,
                tap,
            )
            for market, names in legs.items()
        }

    async def run(self, emit: Emit) -> None:
        """Bring facts in until cancelled; closes its sockets and listen keys then."""
        async with asyncio.TaskGroup() as group:
            for desk in self._desks.values():
                group.create_task(desk.run(emit))
            if "spot" in self._desks:
                group.create_task(self._follow_rates(self._desks["spot"], emit))

    async def _follow_rates(self, spot: Desk, emit: Emit) -> None:
        """Price what the wallets hold, once it is known what that is."""
        for desk in self._desks.values():
            await desk.reported.wait()
        await follow_rates(spot.rest, self._unpriced, self._nav_currency, emit)

    def submit(self, command: Outward) -> None:
        """Send at once.  Never blocks; what comes of it is a fact."""
        if isinstance(command, QueryAccount):
            market = command.account.split(":", 1)[1]
        else:
            market = market_of(command.instrument)
        self._desks[market].submit(command)

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        for desk in self._desks.values():
            desk.working(instruments)

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        seen_ns: dict[InstrumentId, int] = {}
        offset_ns: dict[AccountId, int] = {}
        for desk in self._desks.values():
            seen_ns.update(desk.heard())
            if desk.rest.clock.offset_ns is not None:
                offset_ns[desk.account] = desk.rest.clock.offset_ns
        return seen_ns, offset_ns

    def readings(self) -> tuple[Reading, ...]:
        return tuple(reading for desk in self._desks.values() for reading in desk.readings())

    def _unpriced(self) -> tuple[str, ...]:
        """Assets in the wallets that no instrument prices."""
        held: dict[str, None] = {}
        priced = {self._nav_currency}
        for desk in self._desks.values():
            held.update(dict.fromkeys(desk.assets))
            priced.update(asset for each in desk.instruments.values() for asset in (each.base, each.quote))
        return tuple(asset for asset in held if asset not in priced)
