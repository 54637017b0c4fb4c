"""The prices and books of a venue: what truly stands there, and apart from it what the bot is shown.

A coin has one index, which walks; a contract's book lies a basis above it, and farther when it is squeezed.
Ladders are made anew each second, in whole lots, and shrink as orders take from them.  What must stay true:
an order matches against the true book, whatever the bot was shown.
"""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random

from bot.model.facts import BookSeen, Level, MarkSeen
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument, Side, base_per_qty

LEVELS = (0.1, 0.2, 0.3, 0.4)  # shares of a ladder's size, touch first
STEP_BPS = 1.0  # from one level to the next
HALF_BPS = 0.5  # from the mid to the touch


class Book:
    """One instrument's book, and what is wrong with it or with how it is shown."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids: list[list[float]] = []
        self.asks: list[list[float]] = []
        self.mid = 0.0
        self.mark = self.index = self.lot_base = 0.0
        self.depth = 6.0  # clips on each side
        self.squeeze_bps = 0.0
        self.stale = self.gapped = self.crossed = self.stale_mark = False
        self.bare: Side | None = None  # the side of the book that is empty
        self.heard_ns = 0
        self.told_index, self.told_ns = 0.0, 0  # as the bot heard it last
        self.digits = max(0, -int(instrument.tick.normalize().as_tuple().exponent))
        self.tick = float(instrument.tick)

    def remake(self, index: float, basis_bps: float, clip_quote: float) -> None:
        """The next second's ladders around index and basis."""
        is_spot = self.instrument.is_spot
        self.index = index
        self.mid = index if is_spot else index * (1 + (basis_bps + self.squeeze_bps) / 1e4)
        self.mark = self.mid if is_spot else index * (1 + (basis_bps + self.squeeze_bps / 2) / 1e4)
        size = self.depth * clip_quote / self.mid
        self.lot_base = float(self.instrument.lot) * base_per_qty(self.instrument, self.mid)
        self.bids = [] if self.bare is Side.BUY else self._side(-1, size)
        self.asks = [] if self.bare is Side.SELL else self._side(1, size)

    def _side(self, sign: int, size: float) -> list[list[float]]:
        out, last = [], 0.0
        for number, share in enumerate(LEVELS):
            wanted = self.mid * (1 + sign * (HALF_BPS + number * STEP_BPS) / 1e4)
            ticks = math.floor(wanted / self.tick) if sign < 0 else math.ceil(wanted / self.tick)
            if number and (ticks - last) * sign <= 0:
                ticks = int(last) + sign
            last = ticks
            lots = max(1, round(size * share / self.lot_base))
            price = round(ticks * self.tick, self.digits)
            out.append([price, lots * float(self.instrument.lot) * base_per_qty(self.instrument, price)])
        return out

    def take(self, side: Side, qty: float, limit: float) -> list[tuple[float, float]]:
        """What an order of ``qty`` (venue units) would execute at its limit: prices and quantities."""
        found, left = [], qty
        for level in self.asks if side is Side.BUY else self.bids:
            price, size = level
            if left <= 0 or (price - limit) * side.sign > 1e-12:
                break
            here = min(left, size / base_per_qty(self.instrument, price))
            if here > 0:
                found.append((price, here))
                left -= here
        return found

    def consume(self, side: Side, price: float, qty: float) -> None:
        for level in self.asks if side is Side.BUY else self.bids:
            if level[0] == price:
                level[1] = max(0.0, level[1] - qty * base_per_qty(self.instrument, price))

    def touch(self, side: Side) -> float | None:
        """The price that an order of this side would meet first."""
        levels = self.asks if side is Side.BUY else self.bids
        return levels[0][0] if levels else None

    def shown(self, at_ns: int) -> BookSeen:
        """What a feed tells; a crossed feed has old bids above its asks."""
        bids: tuple[Level, ...] = tuple((price, size) for price, size in self.bids if size > 0)
        asks: tuple[Level, ...] = tuple((price, size) for price, size in self.asks if size > 0)
        if self.crossed and bids and asks:
            bids = tuple((round(price * 1.002, self.digits), size) for price, size in asks)
        return BookSeen(self.instrument.id, bids, asks, at_ns, at_ns)

    def marked(self, at_ns: int) -> MarkSeen:
        self.told_index, self.told_ns = self.index, at_ns
        return MarkSeen(self.instrument.id, _price(self.mark), _price(self.index), at_ns, at_ns)

    @property
    def is_blind(self) -> bool:
        """Whether a feed shows no book that could be true and has two sides."""
        return self.stale or self.gapped or self.crossed or self.bare is not None

    @property
    def far_bps(self) -> float:
        """Distance of the mid from the index."""
        return abs(self.mid / self.index - 1) * 1e4 if self.index else 0.0


def _price(value: float) -> Decimal:
    return Decimal(repr(round(value, 8)))


class Market:
    """All books of a seed and the coins' indexes behind them."""

    def __init__(self, dice: Random, instruments: list[Instrument], prices: dict[str, float]) -> None:
        self.dice = dice
        self.index = dict(prices)
        self.basis = dict.fromkeys(prices, 0.0)
        self.until_s = dict.fromkeys(prices, 0.0)
        self.books: dict[InstrumentId, Book] = {one.id: Book(one) for one in instruments}
        self.moving = True
        self.vol_bps = dice.choice([0.5, 2.0, 5.0])
        self.clip_quote = 0.0

    def second(self, at_s: float) -> None:
        """Prices walk on; the basis keeps a level for a while and then jumps to another one."""
        for base in self.index:
            if self.moving:
                self.index[base] *= 1 + self.dice.gauss(0.0, self.vol_bps) / 1e4
                if at_s >= self.until_s[base]:
                    self.until_s[base] = at_s + self.dice.uniform(4, 25)
                    self.basis[base] = self.dice.choice([-30.0, -20.0, 0.0, 20.0, 25.0, 30.0])
        for book in self.books.values():
            base = book.instrument.base
            book.remake(self.index[base], self._basis(book.instrument), self.clip_quote)

    def _basis(self, instrument: Instrument) -> float:
        """The venue that is long in pairs of two contracts stays at its index."""
        return self.basis[instrument.base] if instrument.id in self.premium else 0.0

    premium: frozenset[InstrumentId] = frozenset()
