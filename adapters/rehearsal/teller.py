"""The account side of the rehearsal venue: one account, three markets, everything that is kept of it.

What a request may touch is gathered here; what it does stands in `trading`, `account` and `wsapi`, which are
functions over this.  The methods below are levers: what the venue, or another person with the same account,
does without being asked.  What must stay true: the simulated venue's facts reach history and streams in their
order, once.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from msgspec import Struct

from adapters.rehearsal.auth import Gate, Keys, Refused
from adapters.rehearsal.conditional import Conditional, conditional_event
from adapters.rehearsal.entry import Entry
from adapters.rehearsal.history import MARKETS, History, Placed
from adapters.rehearsal.holdings import Holdings
from adapters.rehearsal.private import KEY_EXPIRED, TERMINATED, Hear, Streams
from adapters.rehearsal.shapes import Shape
from adapters.rehearsal.usage import Usage
from adapters.rehearsal.world import World
from bot.model.facts import AnyFact, OrderFilled, VenueReset
from bot.model.ids import ClientId, InstrumentId, market_of, symbol_of
from bot.model.instrument import Instrument, Side

_KEY_LIFE_MS = 60 * 60 * 1000
NO_LISTEN_KEY = (-1125, "This listenKey does not exist.")


class ListenKey(Struct):
    key: str
    until_ms: int


class Teller:
    """``gate`` knows keys and permissions, ``history`` orders, trades and income, ``holdings`` the settings
    and the sums, ``entry`` places and cancels, ``streams`` tells those who follow, ``usage`` counts by
    market."""

    def __init__(self, world: World, keys: Keys) -> None:
        self.world = world
        self.gate = Gate(keys)
        self.history = History(world.instruments, world.records, world.wire_ms)
        self.holdings = Holdings(world)
        self.entry = Entry(world, self.history)
        self.streams = Streams(world, self.history, self.holdings)
        self.usage = {market: Usage(market) for market in MARKETS}
        self.conditionals: dict[str, dict[int, Conditional]] = {market: {} for market in MARKETS}
        self._listen_keys: dict[str, ListenKey] = {}
        self._keys_made = 0
        self._shutdowns: dict[str, list[Hear]] = {market: [] for market in MARKETS}
        world.subscribe(self._on_fact)

    def now_ms(self) -> int:
        """The venue's time as it writes it."""
        return self.world.wire_ms(self.world.now_ns())

    def _on_fact(self, fact: AnyFact) -> None:
        self.streams.on_fact(fact)
        if isinstance(fact, OrderFilled) and market_of(fact.instrument) == "spot":
            if self.history.is_first_fill(fact):
                self.usage["spot"].filled(self.now_ms(), fact.maker)
        elif isinstance(fact, VenueReset):
            market = fact.account.rsplit(":", 1)[1]
            self.conditionals[market].clear()
            self.expire_listen_keys(market)

    # --- listen keys ------------------------------------------------------------------------------------

    def create_listen_key(self, market: str) -> str:
        """The active key, its life extended, or a new one."""
        active = self._listen_keys.get(market)
        if active is None or active.until_ms <= self.now_ms():
            self._keys_made += 1
            seed = f"{self.gate.keys.secret}:{market}:{self._keys_made}:{self.now_ms()}"
            active = ListenKey(hashlib.sha256(seed.encode()).hexdigest(), 0)
            self._listen_keys[market] = active
        active.until_ms = self.now_ms() + _KEY_LIFE_MS
        return active.key

    def extend_listen_key(self, market: str) -> str:
        """Raises `Refused` where none is active."""
        if market not in self._listen_keys or self._listen_keys[market].until_ms <= self.now_ms():
            raise Refused(*NO_LISTEN_KEY)
        return self.create_listen_key(market)

    def close_listen_key(self, market: str) -> None:
        self._listen_keys.pop(market, None)

    def is_listen_key(self, market: str, key: str) -> bool:
        active = self._listen_keys.get(market)
        return active is not None and active.key == key and active.until_ms > self.now_ms()

    # --- levers -----------------------------------------------------------------------------------------

    def expire_listen_keys(self, market: str) -> None:
        """``listenKeyExpired`` to whoever listens, and silence after it; on spot, where there are no listen
        keys, every subscription ends with ``eventStreamTerminated``."""
        if market == "spot":
            self.streams.tell("spot", {"e": TERMINATED, "E": self.now_ms()})
            return
        active = self._listen_keys.pop(market, None)
        if active is not None:
            event: Shape = {"e": KEY_EXPIRED, "E": self.now_ms(), "listenKey": active.key}
            self.streams.tell(market, event)

    def set_leverage(self, instrument: Instrument, leverage: int) -> None:
        """Somebody sets the leverage of a contract."""
        market, symbol = market_of(instrument.id), symbol_of(instrument.id)
        self.holdings.settings[market].leverage[symbol] = leverage
        self.streams.tell_settings(market, {"ac": {"s": symbol, "l": leverage}})

    def operator_stop(self, name: InstrumentId, side: Side, qty: Decimal, trigger: Decimal) -> int:
        """Somebody else places a stop, which rests and never triggers; its number."""
        market, at_ms = market_of(name), self.now_ms()
        instrument, number = self.world.instruments[name], self.history.next_order_id()
        if market == "spot":
            self._spot_stop(instrument, side, qty, trigger, number)
            return number
        stop = Conditional(number, instrument, side, qty, trigger, at_ms)
        self.conditionals[market][number] = stop
        self.streams.tell(market, conditional_event(stop, "NEW", at_ms))
        return number

    def operator_cancel(self, market: str, number: int) -> None:
        """The same person takes the stop away.  Raises ``KeyError`` where none of that number rests."""
        if market == "spot":
            order = self.history.markets[market].living[number]
            self.history.end(order, "CANCELED")
            self.streams.tell_order(order, "CANCELED")
            return
        stop = self.conditionals[market].pop(number)
        self.streams.tell(market, conditional_event(stop, "CANCELED", self.now_ms()))

    def _spot_stop(
        self, instrument: Instrument, side: Side, qty: Decimal, trigger: Decimal, number: int
    ) -> None:
        """Spot has no requests of their own for conditional orders: they stand among the others."""
        at_ms = self.now_ms()
        order = Placed(
            market="spot",
            instrument=instrument,
            order_id=number,
            client_id=f"web_{number}",
            name=ClientId(f"web_{number}"),
            side=side,
            kind="STOP_LOSS_LIMIT",
            tif="GTC",
            price=trigger,
            qty=qty,
            reduce_only=False,
            created_ms=at_ms,
            updated_ms=at_ms,
            stop=trigger,
        )
        self.history.begin(order)
        self.streams.tell_order(order, "NEW")

    def shut_down(self, market: str) -> None:
        """``serverShutdown`` to every WebSocket API session: the server will be gone soon."""
        for tell in tuple(self._shutdowns[market]):
            tell(b'{"event":{"e":"serverShutdown","E":%d}}' % self.now_ms())

    def opened(self, market: str, tell: Hear) -> None:
        """A WebSocket API session is there."""
        self._shutdowns[market].append(tell)

    def closed(self, market: str, tell: Hear) -> None:
        self._shutdowns[market].remove(tell)
