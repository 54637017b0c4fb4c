"""Laws of the paper venue under random orders and random books."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.paper.funding_table import FundingRow, FundingTable
from bot.model.commands import CancelOrder, Outward, PlaceOrder, QueryAccount, QueryOrder, TimeInForce
from bot.model.facts import (
    AccountReported,
    AnyFact,
    ForcedFilled,
    FundingPaid,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReported,
    OrderStatus,
)
from bot.model.ids import ClientId
from bot.model.instrument import Instrument, Position, Side, after_fill, fill_cost
from bot.model.money import ZERO, exact, exact_arithmetic
from tests.adapters.paper.build import (
    BALANCES,
    INSTRUMENTS,
    INVERSE,
    LINEAR,
    SPOT,
    T0,
    D,
    Floor,
    Pit,
    S,
    order,
)

Level = tuple[bool, float]  # is it a bid, price

UNIT = {SPOT.id: "0.001", LINEAR.id: "0.01", INVERSE.id: "10"}
MARKETS = st.sampled_from([SPOT, LINEAR, INVERSE])
OFFSETS = st.integers(-2, 2)  # in half dollars around 60000
SIZES = st.integers(0, 200)

ORDERS = st.tuples(
    st.just("order"), MARKETS, st.sampled_from(Side), st.integers(1, 200), OFFSETS,
    st.sampled_from(TimeInForce), st.booleans(),
)  # fmt: skip
UPDATES = st.tuples(st.just("update"), MARKETS, st.booleans(), OFFSETS, SIZES)
TRADES = st.tuples(st.just("trade"), MARKETS, st.booleans(), OFFSETS, st.integers(1, 200))
CANCELS = st.tuples(st.just("cancel"), st.integers(0, 30))
MARKS = st.tuples(st.just("mark"), st.sampled_from([LINEAR, INVERSE]), st.integers(50_000, 70_000))
ACTS = st.lists(
    st.one_of(ORDERS, ORDERS, ORDERS, UPDATES, TRADES, TRADES, CANCELS, MARKS), min_size=10, max_size=60
)


def price_at(offset: int) -> Decimal:
    return D(60_000) + D(offset) / 2


def size_of(instrument: Instrument, units: int) -> Decimal:
    return units * D(UNIT[instrument.id])


class Run:
    """Plays acts on a floor and keeps its own account of what may be taken."""

    def __init__(self) -> None:
        rows = (FundingRow(T0 + 300 * S, D("0.00012345"), 8),)
        self.floor = Floor(table=FundingTable({LINEAR.id: rows, INVERSE.id: rows}))
        self.displayed: dict[tuple[str, Level], Decimal] = {}
        self.taken: dict[tuple[str, Level], Decimal] = {}
        self.placed: dict[ClientId, PlaceOrder] = {}
        for name, book in self.floor.books.items():
            size = float(size_of(INSTRUMENTS[name], 100))
            book.show([(59_999.5, size), (59_999.0, size)], [(60_000.5, size), (60_001.0, size)])
            for is_bid in (True, False):
                for price, qty in book.levels(is_bid, 9):
                    self.displayed[name, (is_bid, price)] = exact(qty)
        self.floor.run(0)

    def do(self, act: tuple[object, ...]) -> None:
        match act:
            case (
                "order",
                Instrument() as one,
                Side() as side,
                int(units),
                int(offset),
                TimeInForce() as tif,
                flag,
            ):
                placed = order(
                    one, side, str(size_of(one, units)), str(price_at(offset)), tif, reduce_only=flag
                )
                self.placed[placed.client_id] = placed
                self._send(placed)
            case ("cancel", int(place)) if self.placed:
                chosen = list(self.placed.values())[place % len(self.placed)]
                self._send(CancelOrder(chosen.client_id, chosen.instrument, "test"))
            case ("update", Instrument() as one, bool(is_bid), int(offset), int(units)):
                level, qty = (is_bid, float(price_at(offset))), size_of(one, units)
                self.displayed[one.id, level] = qty
                levels = [(level[1], float(qty))]
                mark = len(self.floor.facts)
                self.floor.books[one.id].update(levels if is_bid else [], [] if is_bid else levels)
                crossed = self._makers_stay_within(mark, one, qty)
                self.taken[one.id, level] = crossed
            case ("trade", Instrument() as one, bool(buyer_is_maker), int(offset), int(units)):
                mark = len(self.floor.facts)
                traded = size_of(one, units)
                self.floor.books[one.id].trade(float(price_at(offset)), float(traded), buyer_is_maker)
                self._makers_stay_within(mark, one, traded)
                for fill in self._fills(mark):
                    sign = 1 if fill.side is Side.BUY else -1
                    assert sign * (fill.price - price_at(offset)) >= 0, "a trade short of the price"
            case ("mark", Instrument() as one, int(price)):
                self.floor.venue.on_mark(one.id, D(price), None, 0)
                self.floor.run(1)

    def _send(self, command: Outward) -> None:
        mark = len(self.floor.facts)
        self.floor.send(command, seconds=0.05)
        for fill in self._fills(mark):
            assert not fill.maker
            key = (str(fill.instrument), (fill.side is Side.SELL, float(fill.price)))
            self.taken[key] = self.taken.get(key, ZERO) + fill.qty
            assert self.taken[key] <= self.displayed[key], "a level gave more than it showed"

    def _fills(self, mark: int) -> list[OrderFilled]:
        return [fact for fact in self.floor.facts[mark:] if isinstance(fact, OrderFilled)]

    def _makers_stay_within(self, mark: int, instrument: Instrument, limit: Decimal) -> Decimal:
        fills = self._fills(mark)
        assert all(fill.maker and fill.instrument == instrument.id for fill in fills)
        total = sum((fill.qty for fill in fills), ZERO)
        assert total <= limit
        return total


def expected_balances(facts: list[AnyFact]) -> dict[tuple[str, str], Decimal]:
    """Start + realised − fees + funding (and what spot trades moved), from the facts alone."""
    cash = {(one.account, one.asset): one.amount for one in BALANCES}
    positions: dict[str, Position] = {}

    def add(account: str, asset: str, amount: Decimal) -> None:
        cash[account, asset] = cash.get((account, asset), ZERO) + amount

    for fact in facts:
        if isinstance(fact, FundingPaid):
            add(INSTRUMENTS[fact.instrument].account, fact.asset, fact.amount)
        if not isinstance(fact, OrderFilled | ForcedFilled):
            continue
        one = INSTRUMENTS[fact.instrument]
        signed = fact.side.sign * fact.qty
        if one.is_spot:
            add(one.account, one.base, signed)
            add(one.account, one.quote, -fill_cost(one, signed, fact.price))
        else:
            before = positions.get(one.id, Position())
            positions[one.id], realised = after_fill(one, before, signed, fact.price)
            add(one.account, one.margin_asset, realised)
        add(one.account, fact.fee_asset, -fact.fee)
    return cash


@settings(max_examples=100, deadline=None)
@given(ACTS)
def test_the_laws_hold_whatever_is_sent_and_shown(acts: list[tuple[object, ...]]) -> None:
    run = Run()
    for act in acts:
        run.do(act)
    floor = run.floor
    floor.run(310)
    story = list(floor.facts)
    with exact_arithmetic():
        cash = expected_balances(story)
    for account in floor.venue.accounts:
        report = floor.send(QueryAccount(account, floor.now_ns))[-1]
        assert isinstance(report, AccountReported)
        told = {asset: amount for (owner, asset), amount in cash.items() if owner == account}
        assert report.balances == told
    for placed in run.placed.values():
        every_order_ends_once(run, story, placed)


def every_order_ends_once(run: Run, story: list[AnyFact], placed: PlaceOrder) -> None:
    mine = [fact for fact in story if getattr(fact, "client_id", None) == placed.client_id]
    filled = sum((fact.qty for fact in mine if isinstance(fact, OrderFilled)), ZERO)
    ends = sum(isinstance(fact, OrderRejected | OrderExpired | OrderCanceled) for fact in mine)
    assert filled <= placed.qty
    answer = run.floor.send(QueryOrder(placed.client_id, placed.instrument))[-1]
    lives = isinstance(answer, OrderReported) and answer.status is OrderStatus.OPEN
    assert ends + (filled == placed.qty) + lives == 1
    if isinstance(answer, OrderReported):
        assert answer.filled_qty == filled


@settings(max_examples=15, deadline=None)
@given(ACTS)
def test_the_same_inputs_give_the_same_facts(acts: list[tuple[object, ...]]) -> None:
    stories = []
    for _ in range(2):
        run = Run()
        for act in acts:
            run.do(act)
        names = {name: f"order {place}" for place, name in enumerate(run.placed)}
        text = str(run.floor.facts)
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(repr(name), names[name])
        stories.append(text)
    assert stories[0] == stories[1]


PRICES = st.sampled_from([98.0, 99.0, 100.0, 101.0, 102.0])
MAKERS = st.tuples(st.just("rest"), st.sampled_from(Side), PRICES, st.integers(1, 9))
LEVELS = st.tuples(st.just("level"), st.booleans(), PRICES, st.integers(0, 9))
PRINTS = st.tuples(st.just("trade"), st.booleans(), PRICES, st.integers(1, 20))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(MAKERS, MAKERS, LEVELS, PRINTS), min_size=5, max_size=40))
def test_makers_never_fill_more_than_traded_or_shown_at_their_price(acts: list[tuple[object, ...]]) -> None:
    pit = Pit()
    pit.book.show([(98.0, 3.0)], [(102.0, 3.0)])
    for place, act in enumerate(acts):
        before = len(pit.fills)
        match act:
            case ("rest", Side() as side, float(price), int(qty)):
                if not pit.matcher.crosses(side, exact(price)):
                    pit.rest(side, str(qty), str(price), f"maker{place}")
                continue
            case ("level", bool(is_bid), float(price), int(qty)):
                level = [(price, float(qty))]
                pit.book.update(level if is_bid else [], [] if is_bid else level)
                filled = sum((qty for _, qty in pit.fills[before:]), ZERO)
                assert filled <= qty
                side = Side.SELL if is_bid else Side.BUY
                takes = pit.take(side, "100", str(price))
                left = sum((taken for at, taken in takes if at == exact(price)), ZERO)
                assert filled + left <= qty, "a crossing level was used twice"
            case ("trade", bool(buyer_is_maker), float(price), int(qty)):
                pit.book.trade(price, float(qty), buyer_is_maker)
                assert sum((qty for _, qty in pit.fills[before:]), ZERO) <= qty
