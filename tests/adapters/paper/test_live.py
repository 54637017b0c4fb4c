"""The paper venue in told time, and behind a live feed: the gateway contract, latency, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec
import pytest
from msgspec import Struct

from adapters.marks import OnMark, OnRate
from adapters.network import Unsent
from adapters.paper.agenda import NEVER_NS
from adapters.paper.books import RecordedBook
from adapters.paper.funding_table import FundingTable
from adapters.paper.live import LiveFeed, LivePaper, OpenedFeeds, PaperLiveGateway, Tap
from adapters.paper.standing import Standing, standing_of
from adapters.paper.terms import Terms, terms_of
from bot.model.commands import Outward, PlaceOrder, QueryAccount, QueryOrder
from bot.model.config import Balance
from bot.model.facts import (
    AccountReported,
    AnyFact,
    Channel,
    ChannelOpened,
    FundingPaid,
    FundingSettled,
    InstrumentListed,
    OrderAccepted,
    OrderFilled,
    OrderNotFound,
    OrderReported,
    OrderStatus,
)
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, Position, Side
from bot.model.ledger import Ledger
from bot.model.store import Order, OrderState, Store
from bot.ports import Emit, Reading
from tests.adapters.contract import GatewayContract, Quote
from tests.adapters.paper.build import INSTRUMENTS, LINEAR, SPOT, T0, D, HandBook, S, make_config, order
from tests.virtual.loop import VirtualLoop

BALANCES = (
    Balance("binance:spot", "USDT", D(100_000)),
    Balance("binance:spot", "BTC", D(2)),
    Balance("binance:usdm", "USDT", D(50_000)),
)
TERMS = terms_of(make_config(paper_balances=BALANCES))
MARK = D(60_000)


class HandBooks:
    """`adapters.paper.live.LiveBooks` of one market, moved by hand."""

    def __init__(self, account: AccountId, instruments: Sequence[Instrument]) -> None:
        self.account = account
        self.channels: dict[InstrumentId, HandBook] = {one.id: HandBook() for one in instruments}
        self.offset_ns: int | None = None
        self.work: frozenset[InstrumentId] = frozenset()
        self.on_mark: OnMark | None = None
        self.on_rate: OnRate | None = None

    @property
    def heard_ns(self) -> dict[InstrumentId, int]:
        return dict.fromkeys(self.channels, T0)

    def listen(self, on_mark: OnMark | None, on_rate: OnRate | None) -> None:
        self.on_mark, self.on_rate = on_mark, on_rate

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self.work = instruments


class HandFeed:
    """`adapters.paper.live.LiveFeed` without a network."""

    def __init__(self, stream: HandBooks) -> None:
        self.books = stream
        self.is_running = False

    @property
    def stream(self) -> HandBooks:
        return self.books

    async def run(self) -> None:
        self.is_running = True
        await asyncio.Event().wait()

    def readings(self) -> tuple[Reading, ...]:
        return (Reading("feed_frames_total", 1.0, {"account": self.books.account}),)


class Opened(Struct):
    instruments: Mapping[InstrumentId, Instrument]
    feeds: Sequence[LiveFeed]


class LiveHarness:
    """Time is the loop's and virtual; ``wait`` is a second of it."""

    spot = SPOT
    linear = LINEAR

    def __init__(self, standing: Standing | None = None) -> None:
        self.loop = VirtualLoop()
        self.begun_s = self.loop.time()
        traded = {one.account: one for one in INSTRUMENTS.values()}
        self.feeds = {name: HandFeed(HandBooks(name, [one])) for name, one in traded.items()}
        self.books = {
            name: book for feed in self.feeds.values() for name, book in feed.books.channels.items()
        }
        self.tap: Tap | None = None
        self.is_dark = False  # the venue cannot be reached
        self.facts: list[AnyFact] = []
        self.gateway = PaperLiveGateway(self._open, TERMS, self, standing)
        self.task = self.loop.create_task(self.gateway.run(self.facts.append))

    def now_ns(self) -> int:
        return T0 + round((self.loop.time() - self.begun_s) * S)

    async def _open(self, emit: Emit, tap: Tap) -> OpenedFeeds:
        self.tap = tap
        if self.is_dark:
            raise Unsent("no connection")
        for instrument in INSTRUMENTS.values():
            emit(InstrumentListed(instrument))
        return Opened(INSTRUMENTS, list(self.feeds.values()))

    def know(self) -> list[AnyFact]:
        """Books and marks are there; the account opens."""
        self.wait()
        for book in self.books.values():
            book.show([(59_999.0, 1.0)], [(60_000.0, 1.0)])
        for feed in self.feeds.values():
            for name in feed.books.channels:
                if feed.books.on_mark is not None:
                    feed.books.on_mark(name, MARK, MARK, T0)
        return self.wait()

    def show(self, instrument: Instrument, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        self._frame(instrument)
        self.books[instrument.id].show(bids, asks)

    def trade(self, instrument: Instrument, price: float, qty: float, buyer_is_maker: bool) -> None:
        self._frame(instrument)
        self.books[instrument.id].trade(price, qty, buyer_is_maker)

    def send(self, *commands: Outward) -> list[AnyFact]:
        for command in commands:
            self.gateway.submit(command)
        return self.wait()

    def wait(self, seconds: float = 1.0) -> list[AnyFact]:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        facts = list(self.facts)
        self.facts.clear()
        return facts

    def close(self) -> None:
        self.task.cancel()
        self.loop.run_until_complete(asyncio.gather(self.task, return_exceptions=True))
        self.loop.close()

    def _frame(self, instrument: Instrument) -> None:
        assert self.tap is not None
        self.tap(self.now_ns(), "market", b"{}")


@pytest.fixture
def fresh() -> Iterator[LiveHarness]:
    harness = LiveHarness()
    yield harness
    harness.close()


class TestPaperLiveGateway(GatewayContract):
    @pytest.fixture
    def harness(self, fresh: LiveHarness) -> LiveHarness:
        fresh.know()
        return fresh


def test_the_account_opens_when_every_book_and_mark_is_known(fresh: LiveHarness) -> None:
    begun = fresh.wait()
    assert [type(fact) for fact in begun] == [InstrumentListed] * 3
    assert all(feed.is_running for feed in fresh.feeds.values())
    assert fresh.send(bid(SPOT, "0.1", "60000")) == []  # its channel is not open
    opened = [fact for fact in fresh.know() if isinstance(fact, ChannelOpened)]
    accounts = {one.account for one in INSTRUMENTS.values()}
    assert {(one.account, one.channel) for one in opened} == {
        (account, channel) for account in accounts for channel in (Channel.PRIVATE, Channel.ORDERS)
    }


def test_a_venue_that_cannot_be_reached_is_tried_again(fresh: LiveHarness) -> None:
    fresh.is_dark = True
    assert fresh.wait(20.0) == []
    fresh.is_dark = False
    assert [type(fact) for fact in fresh.wait(30.0)] == [InstrumentListed] * 3


def test_an_order_meets_the_book_of_the_time_it_arrives_at(fresh: LiveHarness) -> None:
    fresh.know()
    fresh.gateway.submit(bid(SPOT, "0.1", "60000"))
    assert fresh.wait(0.009) == []  # five milliseconds there and five back
    fresh.show(SPOT, [(59_990.0, 1.0)], [(59_995.0, 1.0)])
    facts = fresh.wait(0.002)
    (fill,) = [fact for fact in facts if isinstance(fact, OrderFilled)]
    assert (fill.price, fill.venue_ns) == (D(59_995), fresh.now_ns() - 1_000_000 - 5_000_000)


def test_what_was_due_before_a_frame_happens_before_it(fresh: LiveHarness) -> None:
    fresh.know()
    fresh.gateway.submit(bid(SPOT, "0.1", "60000"))
    assert fresh.tap is not None
    fresh.tap(fresh.now_ns() + S, "spot", b"{}")  # a late loop: the frame is read a second on
    assert [type(fact) for fact in fresh.facts[:2]] == [OrderAccepted, OrderFilled]


def test_others_are_asked_through_the_feeds(fresh: LiveHarness) -> None:
    fresh.know()
    fresh.feeds[SPOT.account].books.offset_ns = 7
    assert fresh.gateway.heard() == (dict.fromkeys(INSTRUMENTS, T0), {SPOT.account: 7})
    assert len(fresh.gateway.readings()) == 3
    fresh.gateway.working(frozenset({LINEAR.id}))
    assert fresh.feeds[LINEAR.account].books.work == {LINEAR.id}


def bid(instrument: Instrument, qty: str, price: str) -> PlaceOrder:
    return order(instrument, Side.BUY, qty, price)


# --- restarts ---------------------------------------------------------------------------------------------


def stored(command: PlaceOrder, state: OrderState, filled: str, venue_order_id: str) -> Order:
    return Order(
        client_id=command.client_id,
        pair=command.pair,
        role=command.role,
        instrument=command.instrument,
        side=command.side,
        qty=command.qty,
        price=command.price,
        tif=command.tif,
        reduce_only=command.reduce_only,
        purpose=command.purpose,
        arrival_mid=command.arrival_mid,
        sent_ns=T0,
        state=state,
        filled_qty=D(filled),
        venue_order_id=venue_order_id,
    )


def test_a_restarted_venue_stands_where_the_journal_says() -> None:
    resting, unheard = bid(SPOT, "0.4", "59000"), bid(SPOT, "0.1", "60000")
    held = Position(D("-0.5"), D(-30_000))
    store = Store(
        ledger=Ledger(
            cash={SPOT.account: {"USDT": D("1000.5"), "BTC": D("2.3")}, LINEAR.account: {"USDT": D(40_000)}},
            positions={LINEAR.id: held},
        ),
        orders={
            resting.client_id: stored(resting, OrderState.OPEN, "0.3", "17"),
            unheard.client_id: stored(unheard, OrderState.SENT, "0", ""),
        },
    )
    harness = LiveHarness(standing_of(store))
    try:
        harness.know()
        questions = (
            QueryAccount(SPOT.account),
            QueryAccount(LINEAR.account),
            QueryOrder(resting.client_id, SPOT.id),
            QueryOrder(unheard.client_id, SPOT.id),
        )
        spot, linear, lived, never = harness.send(*questions)
        assert isinstance(spot, AccountReported)
        assert (spot.balances, spot.open_orders) == ({"USDT": D("1000.5"), "BTC": D("2.3")}, ())
        assert isinstance(linear, AccountReported)
        (position,) = linear.positions
        assert (position.qty, position.cost) == (held.qty, held.cost)
        assert isinstance(lived, OrderReported)
        assert (lived.status, lived.filled_qty) == (OrderStatus.CANCELED, D("0.3"))
        assert isinstance(never, OrderNotFound)
        told = harness.send(bid(LINEAR, "0.2", "60000"))
        (fill,) = [fact for fact in told if isinstance(fact, OrderFilled)]
        # ids of the run before, which began earlier, are not given again
        assert int(fill.trade_id) > T0 // 1_000_000
    finally:
        harness.close()


def test_a_store_without_a_report_says_nothing_of_the_venue() -> None:
    assert standing_of(Store()) is None


# --- told time --------------------------------------------------------------------------------------------


def live_paper(facts: list[AnyFact], terms: Terms = TERMS) -> tuple[LivePaper, dict[InstrumentId, HandBook]]:
    books = {name: HandBook() for name in INSTRUMENTS}
    for book in books.values():
        book.show([(59_999.0, 1.0)], [(60_000.0, 1.0)])
    read: Mapping[InstrumentId, RecordedBook] = books
    paper = LivePaper(INSTRUMENTS, read, terms, FundingTable({}), facts.append)
    paper.start(T0)
    return paper, books


def test_what_may_stand_in_for_a_mark_is_enough_to_begin() -> None:
    by_mid, _ = live_paper([])
    assert by_mid.venue.is_known
    by_mark, _ = live_paper([], msgspec.structs.replace(TERMS, reference="none"))
    by_index, _ = live_paper([], msgspec.structs.replace(TERMS, reference="index"))
    contracts = [name for name, one in INSTRUMENTS.items() if not one.is_spot]
    for paper, mark, index in ((by_mark, MARK, None), (by_index, None, MARK)):
        assert not paper.venue.is_known
        for name in contracts:
            paper.venue.on_mark(name, mark, index, None)
        assert paper.venue.is_known


def test_due_actions_happen_at_their_own_times_and_in_order() -> None:
    facts: list[AnyFact] = []
    paper, _ = live_paper(facts)
    assert paper.due_ns() < NEVER_NS  # the grid of the contracts' intervals
    paper.venue.on_mark(LINEAR.id, MARK, MARK, None)
    paper.venue.on_rate(LINEAR.id, D("0.0001"), T0 + 20 * S)
    paper.send(bid(LINEAR, "0.5", "60000"), T0 + S)
    paper.turn(T0 + 60 * S)
    fills = [fact.venue_ns for fact in facts if isinstance(fact, OrderFilled)]
    paid = [fact for fact in facts if isinstance(fact, FundingPaid)]
    settled = [fact.settled_ns for fact in facts if isinstance(fact, FundingSettled)]
    assert fills == [T0 + S + 5_000_000]
    assert [(one.amount, one.venue_ns) for one in paid] == [(Decimal(-3), T0 + 20 * S)]
    assert settled == [T0 + 20 * S]


def test_the_frames_of_an_instant_are_in_before_the_venue_acts_at_it() -> None:
    facts: list[AnyFact] = []
    paper, books = live_paper(facts)
    paper.send(bid(SPOT, "0.5", "60000"), T0)
    due_ns = paper.due_ns()
    paper.reach(due_ns)
    assert facts == []
    books[SPOT.id].show([(59_000.0, 1.0)], [(59_001.0, 1.0)])
    paper.turn(due_ns)
    (fill,) = [fact for fact in facts if isinstance(fact, OrderFilled)]
    assert fill.price == D(59_001)


def test_time_never_goes_back() -> None:
    paper, _ = live_paper([])
    paper.turn(T0 + S)
    paper.reach(T0)
    assert paper.venue.desk.clock.now_ns == T0 + S
