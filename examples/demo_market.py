"""The market of the demonstration recording: a price, two premiums, three books, in Binance's wire format.

One seeded generator feeds everything and its draws are used in whole numbers only: prices in cents, sizes in
thousandths of a bitcoin (or contracts of 100 USD), premiums in millionths, rates in 1e-8.  So the frames are
the same bytes on every platform.  Update ids follow the venue's rules: a diff covers all ids since the one
before it, and a snapshot's id lies inside the diff that follows it.

The story, in hours after the start (00:30 UTC): both perpetuals trade above spot and pay funding far above
costs while the price wanders by a few per cent; hour 22 is the stress (thin books from 22:00 to 23:00, the
perpetuals 2 % above spot from 22:10 to 22:26); from hour 33 the premium turns negative, and the funding
with it.
"""

from __future__ import annotations

import random
from itertools import pairwise

MINUTE = 60
HOUR = 3600

CENTS_START = 10_000_000
LEVELS = 8
LEVEL_STEP_CENTS = 2000
SETTLE_S = 8 * HOUR
SAMPLE_S = 5
SECOND_OF_DAY = 30 * MINUTE  # at the start

Course = tuple[tuple[int, int], ...]  # seconds after the start → value

THIN = (22 * HOUR, 23 * HOUR)
PRICE_CENTS: Course = (
    (0, 10_000_000), (5 * HOUR, 10_160_000), (11 * HOUR, 9_880_000), (18 * HOUR, 10_240_000),
    (22 * HOUR, 10_190_000), (23 * HOUR, 10_290_000), (28 * HOUR, 9_980_000), (34 * HOUR, 9_730_000),
    (40 * HOUR, 9_860_000),
)  # fmt: skip
SPIKE: Course = (
    (22 * HOUR + 10 * MINUTE, 0), (22 * HOUR + 13 * MINUTE, 18_000), (22 * HOUR + 18 * MINUTE, 21_000),
    (22 * HOUR + 26 * MINUTE, 0),
)  # fmt: skip
PREMIUM: dict[str, Course] = {  # millionths of the index
    "usdm": (
        (0, 1250), (9 * HOUR, 1500), (20 * HOUR, 1350), (31 * HOUR, 1100), (33 * HOUR, 700),
        (34 * HOUR, -1600), (40 * HOUR, -1900),
    ),
    "coinm": (
        (0, 1700), (9 * HOUR, 1950), (20 * HOUR, 1800), (31 * HOUR, 1500), (33 * HOUR, 900),
        (34 * HOUR, -1700), (40 * HOUR, -2000),
    ),
}  # fmt: skip


def along(path: Course, at_s: int) -> int:
    """Linear interpolation in whole numbers; constant before the first point and after the last."""
    if at_s <= path[0][0]:
        return path[0][1]
    for (from_s, start), (to_s, end) in pairwise(path):
        if at_s <= to_s:
            return start + (end - start) * (at_s - from_s) // (to_s - from_s)
    return path[-1][1]


class Dice:
    """Whole-number draws from the one generator whose sequence Python guarantees."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, count: int) -> int:
        return int(self._random() * count)

    def around(self, reach: int) -> int:
        return self.below(2 * reach + 1) - reach


class World:
    """Spot's fair price and each perpetual's premium, second by second, and the funding that follows."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.at_s = 0
        self._noise_cents = 0
        self.fair_cents = CENTS_START
        self.premium = {market: path[0][1] for market, path in PREMIUM.items()}
        self._noise = dict.fromkeys(PREMIUM, 0)
        self.funding = {market: Funding(self.premium[market] * 100) for market in PREMIUM}

    def advance(self, until_s: int) -> None:
        while self.at_s < until_s:
            self.at_s += 1
            self._noise_cents += self._dice.around(300) - self._noise_cents // 600
            self.fair_cents = along(PRICE_CENTS, self.at_s) + self._noise_cents
            for market, path in PREMIUM.items():
                noise = self._noise[market]
                self._noise[market] = noise + self._dice.around(6) - noise // 300
                self.premium[market] = along(path, self.at_s) + self._noise[market] + along(SPIKE, self.at_s)
            if self.at_s % SAMPLE_S == 0:
                for market, funding in self.funding.items():
                    funding.sample(self.premium[market] * 100, self.at_s)

    def mid_cents(self, market: str) -> int:
        return self.fair_cents * (1_000_000 + self.premium.get(market, 0)) // 1_000_000

    def is_thin(self) -> bool:
        return THIN[0] <= self.at_s < THIN[1]


class Funding:
    """A perpetual's running rate by the venue's formula, in 1e-8: linearly weighted premium, band, cap."""

    BAND = 50_000
    INTEREST = 10_000
    CAP = 300_000

    def __init__(self, premium: int) -> None:
        self._premium = premium
        self._samples = SECOND_OF_DAY // SAMPLE_S  # the interval began before the recording
        self._weighted = premium * self._samples * (self._samples + 1) // 2
        self.smooth = premium

    def sample(self, premium: int, at_s: int) -> None:
        if (SECOND_OF_DAY + at_s - SAMPLE_S) % SETTLE_S == 0:
            self._samples = self._weighted = 0
        self._samples += 1
        self._weighted += premium * self._samples
        self.smooth += (premium - self.smooth) // 8

    def average(self) -> int:
        return self._weighted * 2 // (self._samples * (self._samples + 1))

    def rate(self) -> int:
        premium = self.average()
        rate = premium + min(max(self.INTEREST - premium, -self.BAND), self.BAND)
        return min(max(rate, -self.CAP), self.CAP)


class Side:
    """One side of a book: cents → size, and the prices that changed since the last diff."""

    def __init__(self, sign: int) -> None:
        self.sign = sign  # +1 asks, −1 bids
        self.sizes: dict[int, int] = {}
        self.changed: set[int] = set()
        self.touch = 0

    def put(self, cents: int, size: int) -> None:
        if self.sizes.get(cents, 0) == size:
            return
        self.changed.add(cents)
        if size:
            self.sizes[cents] = size
        else:
            del self.sizes[cents]

    def move(self, touch: int, thin: bool, dice: Dice) -> None:
        """Put the best price at ``touch``, and eight coarser levels behind it."""
        divisor = 10 if thin else 1
        first = (touch * self.sign // LEVEL_STEP_CENTS + 1) * LEVEL_STEP_CENTS * self.sign
        step = self.sign * LEVEL_STEP_CENTS
        wanted = range(first, first + step * LEVELS, step)
        for cents in [cents for cents in self.sizes if cents != touch and cents not in wanted]:
            self.put(cents, 0)
        for cents in wanted:
            size = self.sizes.get(cents, 0)
            if size == 0 or (size > 500) == thin:
                self.put(cents, (1000 + 500 * dice.below(8)) // divisor)
        self.put(wanted[dice.below(LEVELS)], (1000 + 500 * dice.below(8)) // divisor)
        self.put(touch, (300 + 100 * dice.below(18)) // divisor)
        self.touch = touch

    def diff(self) -> list[tuple[int, int]]:
        levels = [(cents, self.sizes.get(cents, 0)) for cents in sorted(self.changed)]
        self.changed.clear()
        return levels

    def ladder(self) -> list[tuple[int, int]]:
        return sorted(self.sizes.items(), reverse=self.sign < 0)


class Market:
    """One instrument's book, update ids and trade ids, and its frames as the venue writes them."""

    half_spread_cents = 50
    tick_cents = 10
    depth = "depth@0ms"
    symbol = "BTCUSDT"
    name = ""

    def __init__(self, dice: Dice, first_id: int) -> None:
        self._dice = dice
        self.bids, self.asks = Side(-1), Side(1)
        self.update_id = first_id
        self._sent_id = first_id
        self._trade_id = first_id // 7000

    def price(self, cents: int) -> str:
        return f"{cents // 100}.{cents % 100:02d}"

    def size(self, size: int) -> str:
        return f"{size // 1000}.{size % 1000:03d}"

    def move(self, world: World) -> None:
        thin = world.is_thin()
        half = self.half_spread_cents * (40 if thin else 1)
        mid = world.mid_cents(self.name)
        self.bids.move((mid - half) // self.tick_cents * self.tick_cents, thin, self._dice)
        self.asks.move((mid + half) // self.tick_cents * self.tick_cents, thin, self._dice)

    def stream(self, kind: str) -> str:
        return f"{self.symbol.lower()}@{kind}"

    def wrap(self, kind: str, data: str) -> bytes:
        return f'{{"stream":"{self.stream(kind)}","data":{{{data}}}}}'.encode()

    def levels(self, levels: list[tuple[int, int]]) -> str:
        return ",".join(f'["{self.price(cents)}","{self.size(size)}"]' for cents, size in levels)

    def snapshot(self, at_ms: int) -> bytes:
        self.update_id += 1
        sides = f'"bids":[{self.levels(self.bids.ladder())}],"asks":[{self.levels(self.asks.ladder())}]'
        return f'{{"lastUpdateId":{self.update_id}{self.snapshot_head(at_ms)},{sides}}}'.encode()

    def diff(self, at_ms: int) -> bytes:
        first, previous = self._sent_id + 1, self._sent_id
        self.update_id += 2 + self._dice.below(6)
        self._sent_id = self.update_id
        sides = f'"b":[{self.levels(self.bids.diff())}],"a":[{self.levels(self.asks.diff())}]'
        head = self.diff_head(at_ms)
        ids = f'"U":{first},"u":{self.update_id}{self.diff_tail(previous)}'
        return self.wrap(self.depth, f'"e":"depthUpdate","E":{at_ms}{head},{ids},{sides}')

    def lose(self) -> None:
        """Updates that nobody recorded: the ids go on, the next diff does not connect."""
        self.update_id += 40_000 + self._dice.below(9000)
        self._sent_id = self.update_id

    def ticker(self, at_ms: int) -> bytes:
        self.update_id += 1 + self._dice.below(3)
        bid, ask = self.bids.touch, self.asks.touch
        touch = (
            f'"b":"{self.price(bid)}","B":"{self.size(self.bids.sizes[bid])}",'
            f'"a":"{self.price(ask)}","A":"{self.size(self.asks.sizes[ask])}"'
        )
        return self.wrap("bookTicker", self.ticker_data(at_ms, touch))

    def trade(self, at_ms: int) -> bytes:
        sold = self._dice.below(2) == 0
        cents = self.bids.touch if sold else self.asks.touch
        size = 5 + 5 * self._dice.below(20)
        self._trade_id += 1
        what = f'"t":{self._trade_id},"p":"{self.price(cents)}","q":"{self.size(size)}"'
        return self.wrap("trade", self.trade_data(at_ms, what, "true" if sold else "false"))

    def mark(self, world: World, at_ms: int) -> bytes:
        funding = world.funding[self.name]
        index = world.fair_cents
        mark = index * (100_000_000 + funding.smooth) // 100_000_000
        settle_ms = (at_ms // (SETTLE_S * 1000) + 1) * SETTLE_S * 1000
        rate = funding.rate()
        text = f"{'-' if rate < 0 else ''}0.{abs(rate):08d}"
        return self.wrap(
            "markPrice",
            f'"e":"markPriceUpdate","E":{at_ms},"s":"{self.symbol}",'
            f'"p":"{_eight(mark)}","i":"{_eight(index)}",'
            f'"P":"{_eight(index)}","r":"{text}","T":{settle_ms}',
        )

    def snapshot_head(self, at_ms: int) -> str:
        return f',"E":{at_ms},"T":{at_ms - 3}'

    def diff_head(self, at_ms: int) -> str:
        return f',"T":{at_ms - 3},"s":"{self.symbol}"'

    def diff_tail(self, previous: int) -> str:
        return f',"pu":{previous}'

    def ticker_data(self, at_ms: int, touch: str) -> str:
        times = f'"T":{at_ms - 3},"E":{at_ms}'
        return f'"e":"bookTicker","u":{self.update_id},"s":"{self.symbol}",{touch},{times}'

    def trade_data(self, at_ms: int, what: str, buyer_is_maker: str) -> str:
        head = f'"e":"trade","E":{at_ms},"T":{at_ms - 3},"s":"{self.symbol}"'
        return f'{head},{what},"X":"MARKET","m":{buyer_is_maker}'


def _eight(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}000000"


class Spot(Market):
    name = "spot"
    tick_cents = 1
    depth = "depth@100ms"

    def price(self, cents: int) -> str:
        return _eight(cents)

    def size(self, size: int) -> str:
        return f"{size // 1000}.{size % 1000:03d}00000"

    def snapshot_head(self, at_ms: int) -> str:
        return ""

    def diff_head(self, at_ms: int) -> str:
        return f',"s":"{self.symbol}"'

    def diff_tail(self, previous: int) -> str:
        return ""

    def ticker_data(self, at_ms: int, touch: str) -> str:
        return f'"u":{self.update_id},"s":"{self.symbol}",{touch}'

    def trade_data(self, at_ms: int, what: str, buyer_is_maker: str) -> str:
        head = f'"e":"trade","E":{at_ms},"s":"{self.symbol}"'
        return f'{head},{what},"T":{at_ms - 1},"m":{buyer_is_maker},"M":true'


class Linear(Market):
    name = "usdm"


class Inverse(Market):
    """Sizes are contracts of 100 USD: at these prices about a thousandth of a bitcoin each."""

    name = "coinm"
    symbol = "BTCUSD_PERP"
    half_spread_cents = 100

    def price(self, cents: int) -> str:
        return f"{cents // 100}.{cents % 100 // 10}"

    def size(self, size: int) -> str:
        return str(size)

    def snapshot_head(self, at_ms: int) -> str:
        return f'{super().snapshot_head(at_ms)},"symbol":"{self.symbol}","pair":"BTCUSD"'

    def diff_head(self, at_ms: int) -> str:
        return f'{super().diff_head(at_ms)},"ps":"BTCUSD"'

    def ticker_data(self, at_ms: int, touch: str) -> str:
        head = f'"u":{self.update_id},"e":"bookTicker","s":"{self.symbol}","ps":"BTCUSD"'
        return f'{head},{touch},"T":{at_ms - 3},"E":{at_ms}'
