"""A random venue against the core: whatever it does within its protocol, the laws hold.

Hypothesis plays the venue: it accepts, fills in parts, rejects, expires, loses its answers, crashes the
bot, pays funding, closes positions by force, moves prices and gaps books, in any order. After every step
the ledger closes and no order is sent twice; at the end the venue behaves for a while, and the bot must
have settled every order, agree with the venue to the last digit, and be hedged or flat.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.core import fold, views
from bot.model.commands import CancelOrder, PlaceOrder, QueryAccount, QueryOrder
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    BookGapped,
    Booted,
    CancelRejected,
    Channel,
    ChannelOpened,
    ForcedFilled,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
    OrderReported,
    OrderStatus,
    OrderUncertain,
    PositionSeen,
)
from bot.model.ids import ClientId
from bot.model.instrument import Side, after_fill
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, PairState
from bot.model.store import OrderState, Store
from risk.exposure import pair_delta_base, tolerance_base
from risk.ratio import drift_band_base
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, make_config

D = Decimal


class Held:
    """One order as the venue keeps it."""

    def __init__(self, command: PlaceOrder, sent_ns: int) -> None:
        self.command = command
        self.sent_ns = sent_ns
        self.known = True
        self.status: OrderStatus | None = None  # not arrived yet
        self.fills: list[OrderFilled] = []

    @property
    def filled(self) -> Decimal:
        return sum((fill.qty for fill in self.fills), D(0))

    @property
    def is_live(self) -> bool:
        return self.status in (None, OrderStatus.OPEN)


class Venue(RuleBasedStateMachine):
    @initialize(inverse=st.booleans(), sequenced=st.booleans())
    def begin(self, inverse: bool, sequenced: bool) -> None:
        strategy = {"leg_policy": "sequenced" if sequenced else "together", "clip_interval_s": 0.2}
        limits = {"net_delta_max_quote": D(25_000)}
        self.world = World(
            make_config(INVERSE if inverse else LINEAR, capital=30_000, strategy=strategy, limits=limits)
        )
        self.orders: dict[ClientId, Held] = {}
        self.boots = 0
        self.payments = 0
        self.price = 60_000.0
        self.world.boot()
        self.world.quote(self.price, 0.0)
        self.collect()

    # --- what the bot sends

    def collect(self) -> None:
        for command in self.world.commands:
            if isinstance(command, PlaceOrder):
                assert command.client_id not in self.orders, "sent twice"
                self.orders[command.client_id] = Held(command, self.world.at_ns)
        self.queries = [one for one in self.world.commands if isinstance(one, QueryOrder)]
        self.asked = [one for one in self.world.commands if isinstance(one, QueryAccount)]
        self.cancels = [one for one in self.world.commands if isinstance(one, CancelOrder)]

    def give(self, *facts: AnyFact, after_s: float = 0.01) -> None:
        self.world.give(*facts, after_s=after_s)
        self.collect()
        self.answer()

    def answer(self) -> None:
        """Questions are always answered, and truly; fills that were lost are told before the answer."""
        for _ in range(50):
            facts: list[AnyFact] = []
            for cancel in self.cancels:
                held = self.orders[cancel.client_id]
                if held.is_live:
                    held.status = OrderStatus.CANCELED
                    facts.append(OrderCanceled(cancel.client_id, self.world.at_ns))
                else:
                    facts.append(CancelRejected(cancel.client_id, "-2011", "unknown", self.world.at_ns))
            for query in self.queries:
                facts += self.report(self.orders[query.client_id])
            facts += [self.world.report(one.account) for one in self.asked]
            if not facts:
                return
            self.world.commands = []
            self.world.give(*facts)
            self.collect()
        raise AssertionError("questions never end")

    def report(self, held: Held) -> list[AnyFact]:
        command = held.command
        if held.status is None or not held.known:
            window_ns = int(self.world.config.strategy.receive_window_s * 1e9)
            if self.world.at_ns > held.sent_ns + window_ns:
                held.status, held.known = OrderStatus.REJECTED, False  # too late to arrive any more
            return [OrderNotFound(command.client_id, self.world.at_ns)]
        account = next(one.account for one in self.world.instruments if one.id == command.instrument)
        balances = [
            BalanceSeen(account, asset, amount, self.world.at_ns)
            for asset, amount in self.world.wallets[account].items()
        ]
        position = self.world.positions.get(command.instrument)
        moved = (
            [PositionSeen(command.instrument, position.qty, position.cost, self.world.at_ns)]
            if position
            else []
        )
        reported = OrderReported(
            command.client_id, command.instrument, "v", held.status, command.side, command.qty, held.filled,
            self.world.at_ns,
        )  # fmt: skip
        return [*held.fills, *balances, *moved, reported]

    def clear(self) -> None:
        self.world.commands = []

    def pick(self, number: int) -> Held | None:
        living = [held for held in self.orders.values() if held.is_live]
        return living[number % len(living)] if living else None

    # --- what the venue does

    @rule(number=st.integers(0, 9), parts=st.integers(1, 4), told=st.booleans())
    def fills(self, number: int, parts: int, told: bool) -> None:
        held = self.pick(number)
        if held is None:
            return
        command, left = held.command, held.command.qty - held.filled
        lot = next(one.lot for one in self.world.instruments if one.id == command.instrument)
        qty = max(lot, left / parts // lot * lot)
        facts: list[AnyFact] = []
        if held.status is None:
            facts.append(OrderAccepted(command.client_id, "v", self.world.at_ns))
        if command.reduce_only:  # knocked out by its own rule where nothing is left to reduce
            position = self.world.positions.get(command.instrument)
            reducible = max(D(0), -position.qty * command.side.sign) if position else D(0)
            if reducible < qty:
                self.clear()
                held.status = OrderStatus.EXPIRED
                untold = self.report(held)[:-1]
                self.give(*facts, *untold, OrderExpired(command.client_id, "reduce-only", self.world.at_ns))
                return
        executed = self.world.execute(command, qty, command.price)
        held.fills += [fact for fact in executed if isinstance(fact, OrderFilled)]
        held.status = OrderStatus.FILLED if held.filled == command.qty else OrderStatus.OPEN
        self.clear()
        self.give(*((*facts, *executed) if told else (OrderUncertain(command.client_id, "silence"),)))

    @rule(number=st.integers(0, 9), how=st.sampled_from(["reject", "expire", "silence"]))
    def ends(self, number: int, how: str) -> None:
        held = self.pick(number)
        if held is None:
            return
        client_id = held.command.client_id
        self.clear()
        if how == "reject" and held.status is None:
            held.status = OrderStatus.REJECTED
            self.give(OrderRejected(client_id, "-1", "no", self.world.at_ns))
        elif how == "expire" and held.known:
            held.status = OrderStatus.EXPIRED
            told = self.report(held)[:-1]  # a gateway tells every fill before it tells the end
            self.give(*told, OrderExpired(client_id, "IOC", self.world.at_ns))
        else:
            self.give(OrderUncertain(client_id, "silence"))

    @rule(
        tenths=st.integers(590_000, 610_000), gap=st.integers(-30, 30), size=st.sampled_from([0.02, 0.3, 5.0])
    )
    def quotes(self, tenths: int, gap: int, size: float) -> None:
        self.price = tenths / 10
        spot, other = self.world.books(self.price, float(gap))
        self.clear()
        self.give(
            self.world.book(SPOT, spot.bids[0][0], spot.asks[0][0], size),
            self.world.book(other.instrument, other.bids[0][0], other.asks[0][0], size),
        )

    @rule(seconds=st.integers(1, 5))
    def waits(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clear()
            self.world.tick()
            self.collect()
            self.answer()

    @rule(spot=st.booleans())
    def loses_a_book(self, spot: bool) -> None:
        name = SPOT if spot else self.world.instruments[1].id
        self.clear()
        self.give(BookGapped(name, 1, 3, self.world.at_ns))

    @rule()
    def crashes(self) -> None:
        self.boots += 1
        restored = Store()
        for row in self.world.rows:
            fold.refold(restored, row)
        assert restored == self.world.store
        self.world.store = restored
        opened = [ChannelOpened(account, channel) for account in self.world.wallets for channel in Channel]
        self.clear()
        self.give(Booted(f"0run{self.boots:04}", "0", self.world.config, "crash"), *opened)

    @precondition(lambda self: self.has_position())
    @rule(rate=st.integers(-50, 50))
    def pays_funding(self, rate: int) -> None:
        self.payments += 1
        self.clear()
        self.give(*self.world.pay_funding(D(rate) / 10_000, D(repr(self.price)), self.payments))

    @precondition(lambda self: self.has_position())
    @rule(share=st.sampled_from([1, 2, 3]))
    def deleverages(self, share: int) -> None:
        one = self.world.instruments[1]
        held = self.world.positions[one.id]
        qty = max(one.lot, abs(held.qty) / share // one.lot * one.lot)
        side = Side.BUY if held.qty < 0 else Side.SELL
        wallet = self.world.wallets[one.account]
        with exact_arithmetic():
            after, realised = after_fill(one, held, qty * side.sign, D(repr(self.price)))
            self.world.positions[one.id] = after
            wallet[one.margin_asset] += realised
        self.payments += 1
        fact = ForcedFilled(
            one.id,
            f"adl{self.payments}",
            side,
            qty,
            D(repr(self.price)),
            D(0),
            one.margin_asset,
            "adl",
            self.world.at_ns,
        )
        self.clear()
        self.give(
            fact,
            BalanceSeen(one.account, one.margin_asset, wallet[one.margin_asset], self.world.at_ns),
            PositionSeen(one.id, after.qty, after.cost, self.world.at_ns),
        )

    def has_position(self) -> bool:
        held = self.world.positions.get(self.world.instruments[1].id)
        return held is not None and held.qty != 0

    # --- the laws

    @invariant()
    def the_ledger_agrees_with_what_was_told(self) -> None:
        if not hasattr(self, "world"):
            return
        untold = any(
            held.fills and self.world.store.orders[name].filled_qty != held.filled
            for name, held in self.orders.items()
            if name in self.world.store.orders
        )
        if not untold:
            assert not views.residual(self.world.store)

    @invariant()
    def halted_sends_nothing(self) -> None:
        if hasattr(self, "world") and self.world.store.mode is Mode.HALTED:
            assert not self.world.placed()

    def teardown(self) -> None:
        """The venue behaves: everything is filled and answered for half a minute."""
        if not hasattr(self, "world"):
            return
        for _ in range(40):
            for number in range(len(self.orders)):
                held = self.pick(0)
                if held is None:
                    break
                self.fills(number, 1, True)
            self.quotes(int(self.price * 10), 0, 5.0)
            self.waits(1)
        store, pair = self.world.store, self.world.store.pairs[BTC]
        assert not [one for one in store.orders.values() if one.state is OrderState.UNCERTAIN]
        assert not views.residual(store)
        for account in store.accounts.values():
            assert not account.differences
        assert pair.state in (PairState.FLAT, PairState.HEDGED, PairState.EXITING), pair.idle
        if pair.state is PairState.HEDGED:
            assert abs(float(pair_delta_base(store, pair))) <= max(
                drift_band_base(store, pair), 2 * float(tolerance_base(store, pair))
            )


Venue.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestVenue = Venue.TestCase
