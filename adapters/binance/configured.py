"""How an account is set at the venue: leverage and margin mode of each contract, position and asset mode.

Read before each account report, so that nobody compares an account without knowing how it is set, and at once
when an event or a refused order hints at a change: events tell half of it, and position mode has none.  What
must stay true: an older answer is never told after a newer one, and what is told differs from what was told
before.

Sources: ACCOUNT_CONFIG_UPDATE, positionSide/dual, multiAssetsMargin, symbolConfig and positionRisk in
binance_sdk_derivatives_trading_usds_futures 18.1.0 and _coin_futures 14.1.0 (2026-11-20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from adapters.binance import requests, statements
from adapters.binance.decoding import VENUE, Unread
from adapters.binance.kept import NO_SOCKET
from adapters.binance.rest import Rest
from adapters.binance.told import Spawn
from bot.model.facts import AccountSet, ContractSet, ProtocolDrift
from bot.model.ids import AccountId, InstrumentId, symbol_of
from bot.model.instrument import Instrument
from bot.ports import Emit

PAUSES_S = (0.0, 1.0, 5.0, 30.0)  # after a hint, until the venue answers; the next report asks again


async def read_modes(rest: Rest) -> AccountSet:
    """Position mode, and on USD-M, the one market that has it, multi-assets mode.

    Raises what `Rest.read` raises, and `Drift`."""
    market = rest.market
    is_hedged = statements.hedge_mode(await rest.read(requests.position_mode(market), urgent=True))
    is_multi = market == "usdm" and statements.multi_assets_mode(
        await rest.read(requests.multi_assets(), urgent=True)
    )
    return AccountSet(AccountId(f"{VENUE}:{market}"), is_hedged, is_multi, rest.clock.venue_ns())


async def read_contracts(rest: Rest, unread: list[Unread] | None = None) -> dict[InstrumentId, ContractSet]:
    """Every contract for which the venue states leverage and margin mode, but for the rows that are added to
    ``unread``; without it, the first of them raises `Drift`.

    Raises what `Rest.read` raises, and `Drift`."""
    body = await rest.read(requests.symbol_config(rest.market), urgent=True)
    at_ns = rest.clock.venue_ns()
    return {
        each.instrument: ContractSet(each.instrument, each.leverage, each.cross, at_ns)
        for each in statements.symbol_configs(rest.market, body, unread)
    }


class Configured:
    """One futures account's settings; spot has none.  ``instruments`` is shared with whoever refreshes it."""

    def __init__(
        self, rest: Rest, instruments: Mapping[InstrumentId, Instrument], spawn: Spawn, emit: Emit
    ) -> None:
        self._rest = rest
        self._instruments = instruments
        self._spawn = spawn
        self._emit = emit
        self._one_by_one = asyncio.Lock()
        self._is_due = False
        self._told: dict[str, tuple[object, ...]] = {}

    async def read(self) -> None:
        """Ask, and tell what is not as it was told before; all of it the first time.

        Raises one of `kept.NO_SOCKET`."""
        if self._rest.market == "spot":
            return
        async with self._one_by_one:
            modes = await read_modes(self._rest)
            unread: list[Unread] = []
            contracts = await read_contracts(self._rest, unread)
            unread_names = {row.name for row in unread}
            for row in unread[:1]:
                reason = f"{len(unread)} rows are unread; the first, of {row.name or 'no name'}: {row.reason}"
                self._emit(ProtocolDrift(modes.account, "settings", reason))
            if self._is_new(modes.account, modes.is_hedged, modes.is_multi_assets):
                self._emit(modes)
            for name in self._instruments:
                is_unsaid = name not in contracts and bool(unread_names & {"", symbol_of(name)})
                if is_unsaid and name in self._told:
                    continue  # what was told stands
                stated = contracts.get(name) or ContractSet(name, 0, True, modes.venue_ns)
                if self._is_new(name, stated.leverage, stated.is_cross):
                    self._emit(stated)

    def due(self) -> None:
        """Something hints at a change."""
        if not self._is_due:
            self._is_due = True
            self._spawn(self._look())

    async def _look(self) -> None:
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            self._is_due = False  # a hint from here on is one more question
            try:
                await self.read()
            except NO_SOCKET:
                self._is_due = True
            else:
                return
        self._is_due = False

    def _is_new(self, name: str, *settings: object) -> bool:
        is_new = self._told.get(name) != settings
        self._told[name] = settings
        return is_new
