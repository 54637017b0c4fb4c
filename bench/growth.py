"""What a step costs at 2 and at 200 hedged pairs: what grows must not slow down what is there.

The real step, without journal and wire, on a made book: each pair is a coin of its own, spot against a linear
perpetual, all in one spot and one futures account.  A figure counts only when every pair is HEDGED before and
after it.  Each round times both sizes, one after the other, so that both meet the same load.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from statistics import median

from bench.figure import RUNS, print_figure
from bot.core.step import step
from bot.model.commands import PlaceOrder, QueryAccount
from bot.model.config import Config, Fuse, Limits, Strategy
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BookSeen,
    Booted,
    Channel,
    ChannelOpened,
    InstrumentListed,
    MarkSeen,
    OrderAccepted,
    OrderFilled,
    PositionHeld,
    RateSeen,
    Tick,
)
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.instrument import Bracket, Instrument, Kind, Position, after_fill
from bot.model.money import ZERO, exact_arithmetic
from bot.model.pair import PairSpec, PairState
from bot.model.store import Store

FEW, MANY = 2, 200
STEPS = 400
TICKS = 8  # a book is stale after fifteen seconds without a fact of it
WARM_UP = 50
SECOND_NS = 1_000_000_000
SPOT, LINEAR = AccountId("binance:spot"), AccountId("binance:usdm")
CASH = {SPOT: Decimal(10**8), LINEAR: Decimal(10**8)}
TIERS = tuple(
    Bracket(Decimal(floor), Decimal(cap), Decimal(rate), Decimal(cum), leverage)
    for floor, cap, rate, cum, leverage in (
        (0, 50_000, "0.004", 0, 125), (50_000, 600_000, "0.005", 50, 100),
        (600_000, 3_000_000, "0.0065", 950, 75), (3_000_000, 12_000_000, "0.01", 11_450, 50),
    )
)  # fmt: skip


def instrument(account: AccountId, coin: str) -> Instrument:
    """A coin's spot market or perpetual; fees are nil, so that one clip of each leg is in ratio."""
    is_spot = account == SPOT
    return Instrument(
        id=InstrumentId(f"{account}:{coin}USDT"), kind=Kind.SPOT if is_spot else Kind.PERP, inverse=False,
        base=coin, quote="USDT", margin_asset="" if is_spot else "USDT", contract_size=Decimal(1),
        tick=Decimal("0.01"), lot=Decimal("0.001"), qty_min=Decimal("0.001"), qty_max=Decimal(10_000),
        notional_min=Decimal(5), price_up=Decimal("1.2"), price_down=Decimal("0.8"), maker_rate=ZERO,
        taker_rate=ZERO, brackets=() if is_spot else TIERS, funding_interval_h=0 if is_spot else 8,
    )  # fmt: skip


class MadeBook:
    """A store of ``size`` hedged pairs, and the facts that keep it going."""

    def __init__(self, size: int) -> None:
        self.coins = [f"C{number:03d}" for number in range(size)]
        self.instruments = [instrument(account, coin) for coin in self.coins for account in (SPOT, LINEAR)]
        self.store, self.at_ns, self.trade = Store(), 1_000 * SECOND_NS, 0
        self.told: dict[InstrumentId, int] = {}
        self.positions: dict[InstrumentId, Position] = {}
        self.cash = dict(CASH)
        pairs = tuple(
            PairSpec(PairName(coin), self.name(SPOT, coin), self.name(LINEAR, coin), Decimal(10_000))
            for coin in self.coins
        )
        wide = Decimal(10**9)
        config = Config(
            pairs=pairs,
            strategy=Strategy(entry_gap_bps=5.0, exit_gap_bps=-50.0, clip_quote=Decimal(10_000)),
            limits=Limits(
                order_notional_max_quote=wide, pair_notional_max_quote=wide, venue_notional_max_quote=wide,
                gross_notional_max_quote=wide, net_delta_max_quote=wide, naked_max_quote=wide,
                opening_orders_per_min=10**6,
            ),
            fuse=Fuse(
                opening_notional_per_min_quote=wide, closing_notional_per_min_quote=wide,
                opening_orders_per_min=10**6, closing_orders_per_min=10**6,
            ),
        )  # fmt: skip
        facts: list[AnyFact] = [Booted("0run0000", "0", config, "none")]
        facts += [InstrumentListed(one) for one in self.instruments]
        facts.append(RateSeen("USDT", "USD", Decimal(1), self.at_ns))
        facts += [ChannelOpened(account, channel) for account in CASH for channel in Channel]
        self.settle(facts)
        for coin in self.coins:
            self.settle([self.book(SPOT, coin), self.mark(coin), self.book(LINEAR, coin, 1.002)])
        for coin in self.coins:
            self.settle([self.book(SPOT, coin)])
        self.require_hedged()

    def name(self, account: AccountId, coin: str) -> InstrumentId:
        return InstrumentId(f"{account}:{coin}USDT")

    def give(self, facts: list[AnyFact], after_ns: int = 1_000_000) -> list[AnyFact]:
        """Step a batch; returns what an honest venue answers."""
        self.at_ns += after_ns
        answers: list[AnyFact] = []
        for admitted in step(self.store, self.at_ns, tuple(facts)):
            command = admitted.command
            if isinstance(command, PlaceOrder):
                answers += self.filled(command)
            elif isinstance(command, QueryAccount):
                answers.append(self.report(command.account))
        return answers

    def settle(self, facts: list[AnyFact]) -> None:
        while facts:
            facts = self.give(facts)

    def filled(self, order: PlaceOrder) -> list[AnyFact]:
        self.trade += 1
        with exact_arithmetic():
            account, qty = account_of(order.instrument), order.qty * order.side.sign
            if account == SPOT:
                self.cash[SPOT] -= qty * order.price
            listed = next(one for one in self.instruments if one.id == order.instrument)
            held = self.positions.get(order.instrument, Position())
            self.positions[order.instrument], _ = after_fill(listed, held, qty, order.price)
        return [
            OrderAccepted(order.client_id, f"v{order.client_id}", self.at_ns),
            OrderFilled(
                order.client_id, order.instrument, str(self.trade), "v", order.side, order.qty, order.price,
                ZERO, "USDT", False, self.at_ns,
            ),
        ]  # fmt: skip

    def report(self, account: AccountId) -> AccountReported:
        balances, held = {"USDT": self.cash[account]}, []
        for name, position in self.positions.items():
            if account_of(name) == account == SPOT:
                balances[name.rsplit(":", 1)[1].removesuffix("USDT")] = position.qty
            elif account_of(name) == account:
                held.append(PositionHeld(name, position.qty, position.cost))
        return AccountReported(account, balances, tuple(held), (), self.at_ns)

    def price(self, name: InstrumentId) -> float:
        """A price that is another one each time, within 4 basis points."""
        self.told[name] = self.told.get(name, 0) + 1
        return 100.0 + self.told[name] % 4 / 100.0

    def book(self, account: AccountId, coin: str, scale: float = 1.0) -> BookSeen:
        name = self.name(account, coin)
        price = round(self.price(name) * scale, 2)
        bids, asks = (
            tuple((round(price + sign * 0.01 * n, 2), 500.0) for n in range(1, 4)) for sign in (-1, 1)
        )
        return BookSeen(name, bids, asks, self.at_ns, self.at_ns)

    def mark(self, coin: str) -> MarkSeen:
        name = self.name(LINEAR, coin)
        price = Decimal(repr(self.price(name)))
        return MarkSeen(name, price, price, self.at_ns, self.at_ns)

    def tick(self) -> Tick:
        now_ns = self.at_ns + SECOND_NS
        return Tick({one.id: now_ns for one in self.instruments}, {SPOT: 0, LINEAR: 0})

    def refresh(self) -> None:
        """Tell each price again, so that none becomes stale."""
        for coin in self.coins:
            self.settle([self.book(SPOT, coin), self.book(LINEAR, coin, 1.002), self.mark(coin)])

    def require_hedged(self) -> None:
        states = [pair.state for pair in self.store.pairs.values()]
        if states != [PairState.HEDGED] * len(self.coins) or self.store.live:
            raise SystemExit(f"of {len(self.coins)} pairs {states.count(PairState.HEDGED)} are HEDGED")
        if any(
            pair.long.position.qty == 0 or pair.short.position.qty == 0 for pair in self.store.pairs.values()
        ):
            raise SystemExit("a pair is HEDGED and holds nothing")


def timed(made: MadeBook, count: int, fact: Callable[[str], AnyFact], after_ns: int) -> float:
    """CPU seconds of one step, the mean of ``count``."""
    made.refresh()
    made.require_hedged()
    taken_s = 0.0
    for number in range(count):
        facts = (fact(made.coins[number * 7 % len(made.coins)]),)
        made.at_ns += after_ns
        begun_s = time.process_time()
        step(made.store, made.at_ns, facts)
        taken_s += time.process_time() - begun_s
    made.require_hedged()
    return taken_s / count


def book_s(made: MadeBook, count: int = STEPS) -> float:
    return timed(made, count, lambda coin: made.book(SPOT, coin), 1_000_000)


def mark_s(made: MadeBook, count: int = STEPS) -> float:
    return timed(made, count, made.mark, 1_000_000)


def tick_s(made: MadeBook, count: int = TICKS) -> float:
    return timed(made, count, lambda _: made.tick(), SECOND_NS)


def main() -> None:
    few, many = MadeBook(FEW), MadeBook(MANY)
    taken: dict[str, list[float]] = {}
    for made in (few, many):
        book_s(made, WARM_UP)
        mark_s(made, WARM_UP)
    for _ in range(RUNS):
        for name, measure in (("book", book_s), ("mark", mark_s), ("tick", tick_s)):
            for made in (few, many):
                taken.setdefault(f"{name}_{len(made.coins)}", []).append(measure(made))
    middle_s = {name: median(figures) for name, figures in taken.items()}
    how = f"CPU of a step of the real core, all pairs HEDGED, medians of {RUNS}: "
    for name, what in (("book", "a spot book that moved"), ("mark", "a contract's mark that moved")):
        small, large = middle_s[f"{name}_{FEW}"], middle_s[f"{name}_{MANY}"]
        text = f"{what}, {large * 1e6:.0f} µs at {MANY} pairs over {small * 1e6:.0f} µs at {FEW}"
        print_figure(
            f"growth_{name}_ratio", large / small, "times the baseline", baseline=1.0, how=how + text
        )
    tick, book = middle_s[f"tick_{MANY}"], middle_s[f"book_{FEW}"]
    print_figure(
        "growth_tick_ratio",
        tick / (MANY * book),
        "times the baseline",
        baseline=1.0,
        how=how + f"a second that passes, {tick * 1e3:.2f} ms at {MANY} pairs, over {MANY} times "
        f"a book's step at {FEW}, {book * 1e6:.0f} µs",
    )


if __name__ == "__main__":
    main()
