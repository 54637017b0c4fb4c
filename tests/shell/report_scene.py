"""A journal made up for tests of the report: a pair that enters, is paid funding, drifts, is rebalanced,
loses its feed for a while and exits, told row by row with a venue's own bookkeeping beside it.

The venue side is computed here from fills and payments alone and never read back from the store, so that a
residual of zero says something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from bot.model.commands import (
    AnyCommand,
    AnyWhy,
    DriftBand,
    EntryGap,
    ExitGap,
    NoteIdle,
    PlaceOrder,
    RaiseAlert,
    SetMode,
    TimeInForce,
)
from bot.model.config import Balance, Config, Fuse, Limits, Strategy
from bot.model.entry import Entry
from bot.model.facts import (
    AccountReported,
    AnyFact,
    BalanceSeen,
    BookSeen,
    Booted,
    FeedEnded,
    FundingEstimated,
    FundingPaid,
    InstrumentListed,
    MarkSeen,
    ModeOrdered,
    OrderAccepted,
    OrderFilled,
    PositionHeld,
    PositionSeen,
    Tick,
)
from bot.model.ids import AccountId, InstrumentId, PairName, client_id
from bot.model.instrument import Position, Side, after_fill
from bot.model.money import exact, exact_arithmetic, multiply_rounded
from bot.model.pair import Mode, PairSpec, Purpose, Role
from bot.shell.report import MACHINE
from bot.shell.report_collect import Collection, collect
from bot.shell.report_model import FeedCounters, Report
from tests.instruments import instrument

D = Decimal
SPOT, PERP = InstrumentId("binance:spot:BTCUSDT"), InstrumentId("binance:usdm:BTCUSDT")
SPOT_WALLET, PERP_WALLET = AccountId("binance:spot"), AccountId("binance:usdm")
PAIR = PairName("BTC")
START_NS = 1_723_075_200_000_000_000  # 2024-08-08T00:00:00Z
SECOND_NS = 1_000_000_000
CENT = D("0.00000001")


def make_config(**strategy: object) -> Config:
    thresholds = {"entry_gap_bps": 3.0, "exit_gap_bps": -2.0, "clip_quote": D(6000)} | strategy
    return Config(
        pairs=(PairSpec(PAIR, SPOT, PERP, D(60_000)),),
        paper_balances=(
            Balance("binance:spot", "USDT", D(100_000)),
            Balance("binance:usdm", "USDT", D(50_000)),
        ),
        strategy=Strategy(**thresholds),  # type: ignore[arg-type]
        limits=Limits(
            order_notional_max_quote=D(10_000),
            pair_notional_max_quote=D(60_000),
            venue_notional_max_quote=D(120_000),
            gross_notional_max_quote=D(120_000),
            net_delta_max_quote=D(7_000),
            naked_max_quote=D(7_000),
        ),
        fuse=Fuse(opening_notional_per_min_quote=D(100_000), closing_notional_per_min_quote=D(200_000)),
    )


class Scene:
    """Writes entries; keeps what the venue would say of balances and of the position."""

    def __init__(self, config: Config | None = None, start_ns: int = START_NS) -> None:
        self.config = config or make_config()
        self.entries: list[Entry] = []
        self.at_ns = start_ns
        self.cash = {SPOT_WALLET: {"USDT": D(100_000), "BTC": D(0)}, PERP_WALLET: {"USDT": D(50_000)}}
        self.position = Position()
        self.instruments = {
            SPOT: instrument(SPOT, taker_rate=D("0.0005")),
            PERP: instrument(PERP),
        }
        self.spot_price, self.basis_bps = 55_000.0, 1.0
        self.orders = 0
        self.trades = 0

    def row(self, facts: tuple[AnyFact, ...] = (), commands: tuple[AnyCommand, ...] = ()) -> None:
        self.entries.append(Entry(len(self.entries) + 1, self.at_ns, facts, commands))

    def wait(self, seconds: float) -> None:
        self.at_ns += round(seconds * SECOND_NS)

    def boot(self, previous: str = "none") -> None:
        listed = tuple(InstrumentListed(instrument) for instrument in self.instruments.values())
        self.row((Booted("abcd1234", "0.2.0", self.config, previous), *listed, *self.reports()))

    def reports(self) -> tuple[AnyFact, ...]:
        """The venue's statement of both wallets."""
        position = self.position
        held = (PositionHeld(PERP, position.qty, position.cost),) if position.qty else ()
        return tuple(
            AccountReported(
                account,
                {asset: amount for asset, amount in cash.items() if amount},
                held if account == PERP_WALLET else (),
                (),
                self.at_ns,
            )
            for account, cash in self.cash.items()
        )

    def prices(self) -> tuple[tuple[float, float], tuple[float, float], Decimal]:
        """Touch of the spot book, touch of the perpetual's, and its mark."""
        spot = round(self.spot_price, 1)
        perp = round(spot * (1 + self.basis_bps / 1e4), 1)
        return (spot, round(spot + 0.1, 1)), (perp, round(perp + 0.1, 1)), exact(round(perp + 0.05, 2))

    def market(self, spot: float, basis_bps: float, rate: str = "0.0001") -> tuple[AnyFact, ...]:
        """Books, mark, index and funding estimate at a spot price and a basis."""
        self.spot_price, self.basis_bps = spot, basis_bps
        touches = self.prices()
        books = tuple(
            BookSeen(name, ((bid, 5.0), (bid - 1, 9.0)), ((ask, 5.0), (ask + 1, 9.0)), None, self.at_ns)
            for name, (bid, ask) in zip((SPOT, PERP), touches[:2], strict=True)
        )
        next_ns = (self.at_ns // (28_800 * SECOND_NS) + 1) * 28_800 * SECOND_NS
        return (
            *books,
            MarkSeen(PERP, touches[2], exact(touches[0][0]), self.at_ns, self.at_ns),
            FundingEstimated(PERP, D(rate), next_ns, self.at_ns, self.at_ns),
        )

    def order(self, role: Role, side: Side, qty: str, purpose: Purpose, why: AnyWhy) -> PlaceOrder:
        self.orders += 1
        spot, perp, _ = self.prices()
        bid, ask = spot if role is Role.LONG else perp
        return PlaceOrder(
            client_id=client_id("bsbt", "abcd1234", self.orders),
            pair=PAIR,
            role=role,
            instrument=SPOT if role is Role.LONG else PERP,
            side=side,
            qty=D(qty),
            price=exact(ask if side is Side.BUY else bid),
            tif=TimeInForce.IOC,
            reduce_only=False,
            purpose=purpose,
            arrival_mid=(exact(bid) + exact(ask)) / 2,
            why=why,
        )

    def filled(self, order: PlaceOrder) -> tuple[AnyFact, ...]:
        """The venue fills an order whole and says what that left in the wallet."""
        self.trades += 1
        instrument = self.instruments[order.instrument]
        fee_asset = instrument.fee_asset(order.side)
        with exact_arithmetic():
            worth = order.qty * order.price
            share = order.qty if fee_asset == "BTC" else worth
            fee = multiply_rounded(share, instrument.taker_rate, CENT)
            wallet = self.cash[instrument.account]
            signed = order.qty * order.side.sign
            if instrument.is_spot:
                wallet["BTC"] += signed
                wallet["USDT"] -= worth * order.side.sign
            else:
                self.position, realised = after_fill(instrument, self.position, signed, order.price)
                wallet["USDT"] += realised
            wallet[fee_asset] -= fee
        trade, venue_order = f"t{self.trades}", f"v{self.trades}"
        fill = OrderFilled(
            order.client_id, order.instrument, trade, venue_order, order.side, order.qty, order.price, fee,
            fee_asset, False, self.at_ns,
        )  # fmt: skip
        facts: list[AnyFact] = [OrderAccepted(order.client_id, venue_order, self.at_ns), fill]
        facts += [
            BalanceSeen(instrument.account, asset, amount, self.at_ns) for asset, amount in wallet.items()
        ]
        if not instrument.is_spot:
            facts.append(PositionSeen(PERP, self.position.qty, self.position.cost, self.at_ns))
        return tuple(facts)

    def trade(self, *orders: PlaceOrder) -> None:
        """Send a group, and its fills a tenth of a second later, one row each."""
        self.row((Tick({}, {}),), orders)
        for order in orders:
            self.wait(0.1)
            self.row(self.filled(order))

    def both(self, buy_spot: bool, qty: str, purpose: Purpose, why: AnyWhy) -> None:
        spot_side = Side.BUY if buy_spot else Side.SELL
        self.trade(
            self.order(Role.LONG, spot_side, qty, purpose, why),
            self.order(Role.SHORT, spot_side.opposite, qty, purpose, why),
        )

    def settle(self, rate: str) -> FundingPaid:
        mark = self.prices()[2]
        with exact_arithmetic():
            amount = multiply_rounded(-self.position.qty * mark, D(rate), CENT)
            self.cash[PERP_WALLET]["USDT"] += amount
        paid = FundingPaid(
            PERP, "USDT", amount, D(rate), mark, self.position.qty, f"f{self.at_ns}", self.at_ns
        )
        self.row((paid, BalanceSeen(PERP_WALLET, "USDT", self.cash[PERP_WALLET]["USDT"], self.at_ns)))
        return paid

    def note(self, reason: str) -> None:
        self.row((Tick({}, {}),), (NoteIdle(PAIR, reason),))


def noise(step: int) -> float:
    """A fixed wiggle in −1 … 1, the same on every platform to the digits that are used."""
    return round(math.sin(step * 1.7) * 0.6 + math.sin(step * 0.13) * 0.4, 6)


def whole_story(hours: int = 36, step_s: int = 20) -> list[Entry]:
    """Entry in the first hour, settlements every eight, drift half way, an outage, an exit near the end."""
    scene = Scene()
    scene.boot()
    scene.row(scene.market(55_000.0, 1.0), (NoteIdle(PAIR, "gap_below_entry", "1.0", "3"),))
    for step in _steps(scene, hours, step_s):
        _play(scene, step, hours * 3600 // step_s)
    scene.row((FeedEnded("binance:spot"), FeedEnded("binance:usdm")))
    return scene.entries


def _steps(scene: Scene, hours: int, step_s: int) -> Iterator[int]:
    for step in range(1, hours * 3600 // step_s):
        scene.at_ns = START_NS + step * step_s * SECOND_NS
        yield step


def _play(scene: Scene, step: int, steps: int) -> None:
    share = step / steps
    outage = 0.70 < share < 0.74
    if outage:
        if step % 30 == 0:
            scene.note("stale_feed")
        return
    basis_bps = 4.5 if share < 0.1 else (3.0 - 6.0 * (share - 0.1))
    if 0.6 < share < 0.62:
        basis_bps += 14
    spot = 55_000 + 1_800 * math.sin(share * 7) + 30 * noise(step)
    rate = str(round(0.0001 + 0.00008 * math.sin(share * 9), 6))
    facts = scene.market(round(spot, 1), round(basis_bps + 0.4 * noise(step * 3), 3), rate)
    scene.row(facts)
    if (scene.at_ns // SECOND_NS) % 28_800 == 0:
        scene.settle(rate)
    gap = EntryGap(gap_bps=4.31, needed_bps=3.0, cost_bps=1.2)
    if step in {steps // 40, steps // 36, steps // 32}:
        scene.both(True, "0.100", Purpose.ENTER, gap)
        scene.note("holding")
    if step == steps // 2:
        why = DriftBand(delta_base=-0.00015, band_base=0.0001, error_bps=5.0)
        scene.trade(scene.order(Role.LONG, Side.BUY, "0.00015", Purpose.DRIFT, why))
        scene.row(
            (), (RaiseAlert("margin", "warning", "margin ratio of binance:usdm is 3.2, its floor is 3 <b>"),)
        )
    if step == steps * 3 // 4:
        scene.row((ModeOrdered("*", Mode.PAUSED, "desk", "feed outage"),))
        scene.row((), (SetMode("BTC", Mode.REDUCE_ONLY, "pair notional over its limit"),))
        scene.row((ModeOrdered("*", Mode.ACTIVE, "desk", "feed is back"),))
    if step == steps * 9 // 10:
        _leave(scene)


def _leave(scene: Scene) -> None:
    why = ExitGap(gap_bps=-2.4, needed_bps=-2.0)
    held = scene.cash[SPOT_WALLET]["BTC"].quantize(D("0.00001"), rounding="ROUND_DOWN")
    scene.trade(
        scene.order(Role.LONG, Side.SELL, str(held), Purpose.EXIT, why),
        scene.order(Role.SHORT, Side.BUY, str(-scene.position.qty), Purpose.EXIT, why),
    )
    scene.note("gap_below_entry")


SHA = "0" * 64
GAP = EntryGap(gap_bps=4.0, needed_bps=3.0, cost_bps=1.0)


def gather(entries: list[Entry], counters: FeedCounters | None = None) -> Collection:
    return collect(entries, MACHINE, counters or FeedCounters(), SHA)


def told(scene: Scene) -> Report:
    return gather(scene.entries).report


def entered() -> Scene:
    """A scene in which the pair is HEDGED with 0.1 BTC a leg."""
    scene = Scene()
    scene.boot()
    scene.row(scene.market(55_000.0, 4.0))
    scene.wait(1)
    scene.both(True, "0.100", Purpose.ENTER, GAP)
    return scene
