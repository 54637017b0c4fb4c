"""The faults that are of the venue itself: which lever of the simulated venue each of them pulls.

What must stay true: a lever that was pulled for a while stands as before when it is released, and a fault
that finds nothing to act on (no position to take away) does nothing.
"""

from __future__ import annotations

from decimal import Decimal

from adapters.rehearsal.faults import EVERY_MARKET, MARKETS, Fault
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.ids import InstrumentId, market_of
from bot.model.instrument import Kind
from bot.model.money import exact_arithmetic, floor_to

_WHOLE = Decimal(1)


class VenueLevers:
    """`adapters.rehearsal.disturbed.Levers` of one world and its account side."""

    def __init__(self, world: World, teller: Teller) -> None:
        self._world = world
        self._teller = teller
        self._leverage: dict[InstrumentId, int] = {}  # as it was, of contracts that a fault has set

    def pull(self, fault: Fault) -> None:
        world = self._world
        markets = MARKETS if fault.market == EVERY_MARKET else (fault.market,)
        match fault.name:
            case "partials":
                world.thin(Decimal(repr(fault.value)))
            case "skew":
                world.skew(round(fault.value * 1e9))
            case "maintenance":
                world.maintenance(on=True)
            case "listen-key":
                for market in markets:
                    self._teller.expire_listen_keys(market)
            case "adl":
                self._deleverage(markets, fault.value)
            case "funding-flip":
                world.funding_flip()
                for name in self._perpetuals(markets):
                    world.settle_funding_now(name)
            case "margin-call":
                for market in markets:
                    if market != "spot":
                        world.margin_call(world.account(market))
            case "balance":
                for market in markets:
                    if market != "coinm":
                        world.change_balance(world.account(market), "USDT", Decimal(repr(fault.value)))
            case "settings":
                self._set_leverage(markets, round(fault.value))
            case "reset":
                # test networks wipe spot; who names a futures market gets what no venue is known to do
                for market in ("spot",) if fault.market == EVERY_MARKET else markets:
                    world.reset_account(world.account(market))

    def release(self, fault: Fault) -> None:
        match fault.name:
            case "partials":
                self._world.thin(_WHOLE)
            case "skew":
                self._world.skew(0)
            case "maintenance":
                self._world.maintenance(on=False)
            case "settings":
                for name, before in self._leverage.items():
                    self._teller.set_leverage(self._world.instruments[name], before)
                self._leverage.clear()

    def _perpetuals(self, markets: tuple[str, ...]) -> list[InstrumentId]:
        world = self._world
        return [
            name
            for name, one in world.instruments.items()
            if one.kind is Kind.PERP and market_of(name) in markets
        ]

    def _set_leverage(self, markets: tuple[str, ...], leverage: int) -> None:
        for name, instrument in self._world.instruments.items():
            market = market_of(name)
            if market != "spot" and market in markets:
                self._leverage.setdefault(name, self._teller.holdings.leverage(market, instrument))
                self._teller.set_leverage(instrument, leverage)

    def _deleverage(self, markets: tuple[str, ...], share: float) -> None:
        for name in self._perpetuals(markets):
            instrument = self._world.instruments[name]
            held = abs(self._world.wallets.position(name).qty)
            with exact_arithmetic():
                wanted = floor_to(held * Decimal(repr(share)), instrument.lot)
            taken = min(held, max(instrument.lot, wanted))
            if taken:
                self._world.adl(name, taken)
