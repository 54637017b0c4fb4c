"""What one symbol's frames said last, which is what the venue's public requests answer from.

A 24 hour statistic of a venue that began a minute ago is a statistic of that minute.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from bot.model.instrument import Instrument, fill_cost
from bot.model.money import ZERO, exact_arithmetic

TRADES_KEPT = 1000

Data = dict[str, Any]


class Print(Struct, frozen=True):
    """One trade of somebody's; ``cost`` in quote currency, or in coin for an inverse contract."""

    id: int
    price: Decimal
    qty: Decimal
    cost: Decimal
    ms: int
    buyer_is_maker: bool


class Tape(Struct):
    """``book_ms`` is the event time of the last depth frame, ``mark`` the last markPrice frame; prices are
    ``None`` before the first trade."""

    instrument: Instrument
    begun_ms: int = 0
    book_ms: int = 0
    depth: Data | None = None  # the last depth frame
    ticker_id: int = 0  # update id of the last bookTicker
    ticker_ms: int = 0  # when it was told
    touch: tuple[float, float, float, float] | None = None  # as last told by bookTicker
    mark: Data | None = None
    trades: deque[Print] = field(default_factory=lambda: deque(maxlen=TRADES_KEPT))
    count: int = 0
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal = ZERO
    turnover: Decimal = ZERO

    @property
    def last(self) -> Print | None:
        return self.trades[-1] if self.trades else None

    def on_trade(self, data: Data) -> Print:
        """Take a ``trade`` or ``aggTrade`` frame."""
        with exact_arithmetic():
            price, qty = Decimal(data["p"]), Decimal(data["q"])
            cost = fill_cost(self.instrument, qty, price)
            number = data["t"] if "t" in data else data["a"]
            trade = Print(number, price, qty, cost, data["T"], data["m"])
            self.open = price if self.open is None else self.open
            self.high = price if self.high is None else max(price, self.high)
            self.low = price if self.low is None else min(price, self.low)
            self.volume += qty
            self.turnover += cost
        self.count += 1
        self.trades.append(trade)
        return trade
