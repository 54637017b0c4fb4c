"""Instruments, settings and a book that tests move by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from adapters.paper.agenda import NEVER_NS, VenueClock
from adapters.paper.driver import FeedSource, Frame, Outlet, PaperTimeline
from adapters.paper.funding_table import FundingTable
from adapters.paper.matching import Matcher
from adapters.paper.orders import VenueOrder
from adapters.paper.terms import terms_of
from adapters.paper.venue import PaperVenue
from adapters.shown import LevelListener
from bot.model.book import Book
from bot.model.commands import Flatten, Outward, PlaceOrder, TimeInForce
from bot.model.config import Balance, Config, Fuse, Limits, Strategy
from bot.model.facts import AnyFact, OrderStatus
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.instrument import Instrument, Side
from bot.model.money import exact_arithmetic
from bot.model.pair import PairSpec, Purpose, Role
from tests import instruments

D = Decimal
S = 1_000_000_000
T0 = 1_723_161_300 * S  # 2024-08-08 23:55:00 UTC

SPOT = instruments.instrument(instruments.SPOT)
LINEAR = instruments.instrument(instruments.LINEAR, brackets=instruments.LINEAR_TIERS[:4])
INVERSE = instruments.instrument(instruments.INVERSE)
INSTRUMENTS = {one.id: one for one in (SPOT, LINEAR, INVERSE)}

BALANCES = (
    Balance("binance:spot", "USDT", D(100_000)),
    Balance("binance:spot", "BTC", D(2)),
    Balance("binance:usdm", "USDT", D(50_000)),
    Balance("binance:coinm", "BTC", D(1)),
)


def make_config(coin_margin: str = "baseline", **changes: object) -> Config:
    """Settings of a paper venue; ``changes`` replaces fields of `Config` by name."""
    large = D(10_000_000)
    strategy = Strategy(clip_quote=D(1000))
    config = Config(
        pairs=(PairSpec(PairName("BTC"), SPOT.id, LINEAR.id, large),),
        paper_balances=BALANCES,
        paper_reference="mid",
        strategy=msgspec.structs.replace(strategy, coin_margin=coin_margin),
        limits=Limits(
            order_notional_max_quote=large,
            pair_notional_max_quote=large,
            venue_notional_max_quote=large,
            gross_notional_max_quote=large,
            net_delta_max_quote=large,
            naked_max_quote=large,
        ),
        fuse=Fuse(opening_notional_per_min_quote=large, closing_notional_per_min_quote=large),
    )
    return msgspec.structs.replace(config, **changes)


class HandBook:
    """A recorded book (`adapters.paper.books.RecordedBook`) whose updates a test makes itself."""

    def __init__(self) -> None:
        self.book = Book()
        self.known = True
        self.listener: LevelListener | None = None

    def touch(self) -> tuple[float, float] | None:
        bid, ask = self.book.best_bid, self.book.best_ask
        return (bid, ask) if self.known and bid is not None and ask is not None and bid < ask else None

    def levels(self, is_bid: bool, count: int) -> Sequence[tuple[float, float]]:
        return self.book.levels(is_bid, count)

    def size(self, is_bid: bool, price: float) -> float:
        return self.book.side(is_bid).size(price)

    def listen(self, listener: LevelListener | None) -> None:
        self.listener = listener

    def update(self, bids: Iterable[tuple[float, float]], asks: Iterable[tuple[float, float]]) -> None:
        """Absolute sizes, as a depth update; the listener is told after it."""
        bids, asks = tuple(bids), tuple(asks)
        self.book.apply(bids, asks)
        for is_bid, levels in ((True, bids), (False, asks)):
            for price, qty in levels:
                if self.listener is not None:
                    self.listener.on_level(is_bid, price, qty)

    def show(self, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]) -> None:
        """The whole book: what is not named is gone."""
        gone = [[(price, 0.0) for price in self.book.side(is_bid).prices()] for is_bid in (True, False)]
        named = ({price for price, _ in bids}, {price for price, _ in asks})
        left = [[level for level in gone[i] if level[0] not in named[i]] for i in (0, 1)]
        self.update((*left[0], *bids), (*left[1], *asks))

    def trade(self, price: float, qty: float, buyer_is_maker: bool) -> None:
        if self.listener is not None:
            self.listener.on_trade(price, qty, buyer_is_maker, 0)


class ScriptedMarket:
    """A decoder (`adapters.paper.driver.MarketSource`) whose frames are names of a script's actions."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.script: dict[bytes, object] = {}
        self.heard: list[tuple[int, bytes]] = []
        self.work: frozenset[InstrumentId] = frozenset()
        self.forgotten = 0

    def on_frame(self, at_ns: int, payload: bytes) -> None:
        self.heard.append((at_ns, payload))
        action = self.script.get(payload)
        if callable(action):
            action()

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self.work = instruments

    def forget(self) -> None:
        self.forgotten += 1


class Frames:
    """Frames of a recording that is named ``test``."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)
        self.lines = 0

    def __iter__(self) -> Iterator[Frame]:
        for self.lines, frame in enumerate(self._frames, 1):  # noqa: B020
            yield frame

    def where(self) -> str:
        return f"test:{self.lines}"


class Floor:
    """A paper venue with hand-made books, and everything it told."""

    def __init__(
        self,
        config: Config | None = None,
        table: FundingTable | None = None,
        frames: Iterable[Frame] | None = None,
        bounds_ns: tuple[int, int] = (0, NEVER_NS),
    ) -> None:
        """Without ``frames`` the recording is an empty frame a second, for a day."""
        self.config = config or make_config()
        self.books = {name: HandBook() for name in INSTRUMENTS}
        self.books[SPOT.id].show([(60_000.0, 1.0), (59_999.5, 2.0)], [(60_000.01, 1.0), (60_001.0, 2.0)])
        self.books[LINEAR.id].show([(60_010.0, 1.0), (60_009.0, 2.0)], [(60_010.1, 1.0), (60_011.0, 2.0)])
        self.books[INVERSE.id].show(
            [(60_005.0, 300.0), (60_004.0, 600.0)], [(60_005.1, 300.0), (60_006.0, 600.0)]
        )
        self.outlet = Outlet()
        self.market = ScriptedMarket(self.outlet)
        self.venue = PaperVenue(
            INSTRUMENTS, self.books, terms_of(self.config), table or FundingTable({}), self.outlet.tell
        )
        if frames is None:
            frames = ((T0 + i * S, 0, b"") for i in range(86_400))
        self.timeline = PaperTimeline(
            (FeedSource("binance:test", self.market),), Frames(frames), self.venue, self.outlet, bounds_ns
        )
        self.facts: list[AnyFact] = []
        self.now_ns = self.timeline.start_ns

    def run(self, seconds: float = 1.0) -> list[AnyFact]:
        """Play on; returns what was told."""
        mark = len(self.facts)
        self.timeline.advance(self.now_ns + round(seconds * S), self.facts.append, stop=False)
        self.now_ns += round(seconds * S)
        return self.facts[mark:]

    def send(self, *commands: Outward, seconds: float = 0.1) -> list[AnyFact]:
        """Send now and play until the answers are there."""
        if not self.facts:
            self.run(0.0)
        for command in commands:
            self.timeline.submit(command, self.now_ns)
        return self.run(seconds)


_orders = iter(range(1, 1_000_000_000))


def order(
    instrument: Instrument,
    side: Side,
    qty: str,
    price: str,
    tif: TimeInForce = TimeInForce.IOC,
    **changes: object,
) -> PlaceOrder:
    """An order with a client id of its own; ``changes`` replaces fields of `PlaceOrder`."""
    command = PlaceOrder(
        client_id=ClientId(f"o{next(_orders)}"),
        pair=PairName("BTC"),
        role=Role.LONG if side is Side.BUY else Role.SHORT,
        instrument=instrument.id,
        side=side,
        qty=D(qty),
        price=D(price),
        tif=tif,
        reduce_only=False,
        purpose=Purpose.ENTER,
        arrival_mid=D(price),
        why=Flatten("test"),
    )
    return msgspec.structs.replace(command, **changes)


class Pit:
    """A matcher over a hand-made book; fills are booked on the orders as the venue does it."""

    def __init__(self) -> None:
        self.book = HandBook()
        self.book.show([(99.0, 5.0), (98.0, 5.0)], [(101.0, 1.0), (102.0, 2.0), (103.0, 4.0)])
        self.clock = VenueClock(0, 0)
        self.matcher = Matcher(LINEAR, self.book, self.clock, self._fill)
        self.fills: list[tuple[str, Decimal]] = []

    def _fill(self, maker: VenueOrder, qty: Decimal) -> None:
        assert maker.status is OrderStatus.OPEN
        maker.filled += qty
        self.fills.append((str(maker.command.client_id), qty))
        if maker.filled == maker.command.qty:
            maker.status = OrderStatus.FILLED
            self.matcher.withdraw(maker)

    def rest(self, side: Side, qty: str, price: str, name: str = "maker") -> VenueOrder:
        maker = VenueOrder(order(LINEAR, side, qty, price, TimeInForce.GTC, client_id=name), LINEAR, "1")
        self.matcher.rest(maker)
        return maker

    def take(self, side: Side, qty: str, limit: str) -> list[tuple[Decimal, Decimal]]:
        with exact_arithmetic():
            return [(take.price, take.qty) for take in self.matcher.take(side, D(qty), D(limit))]
