"""A small world to test the core in: facts go in by hand, commands come out to be looked at.

The `World` keeps an honest venue's books beside the store's, so that fills and payments arrive together
with the balances a venue would push.  It is arithmetic over lists, with no matching and no time of its own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from bot.core.step import step
from bot.model.commands import AnyCommand, PlaceOrder, QueryAccount
from bot.model.config import Config, Fuse, Limits, Strategy
from bot.model.entry import Entry
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BalanceSeen,
    BookSeen,
    Booted,
    Channel,
    ChannelOpened,
    FundingPaid,
    InstrumentListed,
    MarkSeen,
    OrderAccepted,
    OrderExpired,
    OrderFilled,
    PositionHeld,
    PositionSeen,
    RateSeen,
    Tick,
)
from bot.model.ids import AccountId, InstrumentId, PairName, account_of, market_of
from bot.model.instrument import Position, Side, after_fill, fill_cost
from bot.model.money import COIN_QUANTUM, ZERO, exact_arithmetic, multiply_rounded
from bot.model.pair import PairSpec
from bot.model.store import Store
from tests.instruments import INVERSE, LINEAR, SPOT, instrument

D = Decimal
SECOND_NS = 1_000_000_000
BTC = PairName("BTC")

START = {"spot": {"USDT": D(200_000)}, "usdm": {"USDT": D(100_000)}, "coinm": {"BTC": D(3)}}


def make_config(short: InstrumentId = LINEAR, capital: int = 50_000, **changes: Any) -> Config:
    """A configuration that trades on price gap: enter at 5 bps or more, leave at −5 or less."""
    strategy: dict[str, Any] = {"entry_gap_bps": 5.0, "exit_gap_bps": -5.0, "clip_quote": D(10_000)}
    limits: dict[str, Any] = {
        "order_notional_max_quote": D(30_000), "pair_notional_max_quote": D(60_000),
        "venue_notional_max_quote": D(200_000), "gross_notional_max_quote": D(200_000),
        "net_delta_max_quote": D(2_000), "naked_max_quote": D(30_000), "margin_ratio_min": 2.0,
    }  # fmt: skip
    strategy |= changes.pop("strategy", {})
    limits |= changes.pop("limits", {})
    fuse = Fuse(opening_notional_per_min_quote=D(10**7), closing_notional_per_min_quote=D(10**7))
    return Config(
        pairs=(PairSpec(BTC, SPOT, short, D(capital)),),
        paper_balances=(),
        paper_reference="mid",
        usdt_usd_rate=D(1),
        strategy=Strategy(**strategy),
        limits=Limits(**limits),
        fuse=fuse,
        **changes,
    )


class World:
    """One store and one honest venue.  ``give`` steps a batch; ``sent`` and ``commands`` are what came of
    it."""

    def __init__(
        self, config: Config | None = None, balances: dict[str, dict[str, Decimal]] | None = None
    ) -> None:
        self.config = config or make_config()
        self.store = Store()
        self.at_ns = 1_000 * SECOND_NS
        self.rows: list[Entry] = []
        self.commands: list[AnyCommand] = []
        self.trade = 0
        legs = dict.fromkeys(leg for pair in self.config.pairs for leg in (pair.long, pair.short))
        self.instruments = [instrument(leg) for leg in legs]
        self.wallets: dict[AccountId, dict[str, Decimal]] = {
            one.account: dict(START[market_of(one.id)]) for one in self.instruments
        }
        for account, wallet in (balances or {}).items():
            self.wallets[AccountId(account)] = dict(wallet)
        self.positions: dict[InstrumentId, Position] = {}

    def boot(self, previous: str = "none") -> None:
        """Boot and reconcile, as a run does before its first market fact."""
        facts: list[AnyFact] = [Booted("0run0000", "0", self.config, previous)]
        facts += [InstrumentListed(one) for one in self.instruments]
        facts.append(RateSeen("USDT", "USD", D(1), self.at_ns))
        for account in self.wallets:
            facts += [ChannelOpened(account, channel) for channel in Channel]
        self.give(*facts)
        self.answer_accounts()

    def give(self, *facts: AnyFact, after_s: float = 0.001) -> list[AnyCommand]:
        """Step one batch, ``after_s`` later; returns its commands."""
        self.at_ns += int(after_s * SECOND_NS)
        commands = [admitted.command for admitted in step(self.store, self.at_ns, facts)]
        row = Entry(len(self.rows) + 1, self.at_ns, facts, tuple(commands))
        self.rows.append(row)
        self.commands += commands
        return commands

    def answer_accounts(self) -> None:
        for command in [one for one in self.commands if isinstance(one, QueryAccount)]:
            self.give(self.report(command.account))
        self.commands = [one for one in self.commands if not isinstance(one, QueryAccount)]

    def report(self, account: AccountId) -> AccountReported:
        held = tuple(
            PositionHeld(name, position.qty, position.cost)
            for name, position in self.positions.items()
            if account_of(name) == account and position.qty
        )
        return AccountReported(account, dict(self.wallets[account]), held, (), self.at_ns)

    def book(self, name: InstrumentId, bid: float, ask: float, size_base: float = 5.0) -> BookSeen:
        return BookSeen(name, ((bid, size_base),), ((ask, size_base),), self.at_ns, self.at_ns)

    def books(self, price: float, gap_bps: float, half: float = 0.0) -> tuple[BookSeen, BookSeen]:
        """Spot at ``price``, the contract ``gap_bps`` above it, both ``half`` wide either side of the mid."""
        short = self.config.pairs[0].short
        other = round(price * (1.0 + gap_bps / 1e4), 1)
        return (
            self.book(SPOT, round(price - half, 2), round(price + half, 2)),
            self.book(short, other - half, other + half),
        )

    def quote(self, price: float, gap_bps: float, after_s: float = 0.001) -> list[AnyCommand]:
        return self.give(*self.books(price, gap_bps), after_s=after_s)

    def tick(self, after_s: float = 1.0) -> list[AnyCommand]:
        """One second passes with every feed heard."""
        now = self.at_ns + int(after_s * SECOND_NS)
        return self.give(Tick({one.id: now for one in self.instruments}, {}), after_s=after_s)

    def placed(self) -> list[PlaceOrder]:
        """Orders sent and not yet looked at."""
        orders = [one for one in self.commands if isinstance(one, PlaceOrder)]
        self.commands = [one for one in self.commands if not isinstance(one, PlaceOrder)]
        return orders

    def fill(
        self, order: PlaceOrder, qty: Decimal | None = None, price: Decimal | None = None
    ) -> list[AnyFact]:
        """Facts of a venue that fills ``qty`` (all) of an IOC at ``price`` (its limit) and ends it."""
        done = order.qty if qty is None else qty
        facts: list[AnyFact] = [OrderAccepted(order.client_id, f"v{order.client_id}", self.at_ns)]
        if done:
            facts += self.execute(order, done, order.price if price is None else price)
        if done < order.qty:
            facts.append(OrderExpired(order.client_id, "IOC", self.at_ns))
        return facts

    def execute(self, order: PlaceOrder, qty: Decimal, price: Decimal) -> list[AnyFact]:
        self.trade += 1
        one = next(i for i in self.instruments if i.id == order.instrument)
        wallet, signed = self.wallets[one.account], qty * order.side.sign
        with exact_arithmetic():
            cost = fill_cost(one, signed, price)
            asset = one.fee_asset(order.side)
            fee_of = qty if asset == one.base and one.is_spot else abs(cost)
            fee = multiply_rounded(fee_of, one.taker_rate, COIN_QUANTUM)
            facts: list[AnyFact] = [
                OrderFilled(
                    order.client_id,
                    one.id,
                    str(self.trade),
                    "v",
                    order.side,
                    qty,
                    price,
                    fee,
                    asset,
                    False,
                    self.at_ns,
                )
            ]
            if one.is_spot:
                wallet[one.base] = wallet.get(one.base, ZERO) + signed
                wallet[one.quote] = wallet.get(one.quote, ZERO) - cost
            else:
                before = self.positions.get(one.id, Position())
                self.positions[one.id], realised = after_fill(one, before, signed, price)
                wallet[one.margin_asset] = wallet.get(one.margin_asset, ZERO) + realised
                after = self.positions[one.id]
                facts.append(PositionSeen(one.id, after.qty, after.cost, self.at_ns))
            wallet[asset] = wallet.get(asset, ZERO) - fee
        facts += [BalanceSeen(one.account, name, amount, self.at_ns) for name, amount in wallet.items()]
        return facts

    def fill_all(self) -> None:
        """Fill every order that was sent, at its limit, until none is left."""
        for _ in range(20):
            orders = self.placed()
            if not orders:
                return
            self.give(*[fact for order in orders for fact in self.fill(order)])
        raise AssertionError("orders never end")

    def pay_funding(self, rate: Decimal, mark: Decimal, number: int) -> list[AnyFact]:
        name = self.config.pairs[0].short
        one = next(i for i in self.instruments if i.id == name)
        held = self.positions[name]
        amount = multiply_rounded(-fill_cost(one, held.qty, mark), rate, COIN_QUANTUM)
        wallet = self.wallets[one.account]
        wallet[one.margin_asset] += amount
        return [
            FundingPaid(name, one.margin_asset, amount, rate, mark, held.qty, f"f{number}", self.at_ns),
            BalanceSeen(one.account, one.margin_asset, wallet[one.margin_asset], self.at_ns),
        ]

    def mark(self, name: InstrumentId, mark: Decimal, index: Decimal) -> MarkSeen:
        return MarkSeen(name, mark, index, self.at_ns, self.at_ns)


def hedged(short: InstrumentId = LINEAR, **changes: Any) -> World:
    """A world whose pair has entered one clip of a one-clip capital and is HEDGED."""
    world = World(make_config(short, capital=10_000, **changes))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    return world


def with_strategy(config: Config, **changes: Any) -> Config:
    return msgspec.structs.replace(config, strategy=msgspec.structs.replace(config.strategy, **changes))


__all__ = [
    "INVERSE",
    "LINEAR",
    "SPOT",
    "Side",
    "World",
    "hedged",
    "instrument",
    "make_config",
    "with_strategy",
]
