"""Small samples of what travels through the shell: facts, an order, a configuration."""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import DriftBand, PlaceOrder, TimeInForce
from bot.model.config import Balance, Config, Fuse, Limits, Strategy
from bot.model.facts import BookSeen, Booted, MarkSeen, OrderAccepted, OrderFilled
from bot.model.ids import ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import PairSpec, Purpose, Role

SECOND = 1_000_000_000
MS = 1_000_000
START = 1_723_150_800 * SECOND + 250 * MS
SPOT = InstrumentId("binance:spot:BTCUSDT")
PERP = InstrumentId("binance:usdm:BTCUSDT")


def make_fuse(*, deadline_s: float = 5.0, opening_orders_per_min: int = 120) -> Fuse:
    return Fuse(
        opening_orders_per_min=opening_orders_per_min,
        opening_notional_per_min_quote=Decimal(10_000_000),
        closing_notional_per_min_quote=Decimal(10_000_000),
        deadline_s=deadline_s,
    )


def make_config(*, step_us: float = 200.0, rate: Decimal | None = None, deadline_s: float = 5.0) -> Config:
    money = Decimal(1_000_000)
    return Config(
        pairs=(PairSpec(PairName("BTC"), SPOT, PERP, money),),
        paper_balances=(Balance("binance:spot", "USDT", money),),
        paper_step_us=step_us,
        usdt_usd_rate=rate,
        strategy=Strategy(clip_quote=Decimal(1000)),
        limits=Limits(
            order_notional_max_quote=money,
            pair_notional_max_quote=money,
            venue_notional_max_quote=money,
            gross_notional_max_quote=money,
            net_delta_max_quote=money,
            naked_max_quote=money,
        ),
        fuse=make_fuse(deadline_s=deadline_s),
    )


def book(at_ns: int, bid: float = 60_000.0, instrument: InstrumentId = SPOT) -> BookSeen:
    return BookSeen(instrument, ((bid, 1.0),), ((bid + 1, 2.0),), at_ns - MS, at_ns)


def mark(at_ns: int, price: str = "60000", index: str | None = "60001") -> MarkSeen:
    return MarkSeen(PERP, Decimal(price), Decimal(index) if index else None, at_ns, at_ns)


def boot(run: str = "00000001", config: Config | None = None) -> Booted:
    return Booted(run, "0.2.0", config if config is not None else make_config())


def place(name: str = "bsbt000000011", purpose: Purpose = Purpose.ENTER, why: float = 1.0) -> PlaceOrder:
    return PlaceOrder(
        client_id=ClientId(name),
        pair=PairName("BTC"),
        role=Role.LONG,
        instrument=SPOT,
        side=Side.BUY,
        qty=Decimal("0.010"),
        price=Decimal("60001.0"),
        tif=TimeInForce.IOC,
        reduce_only=False,
        purpose=purpose,
        arrival_mid=Decimal("60000.5"),
        why=DriftBand(why, 0.5, 2.0),
    )


def accepted(name: str) -> OrderAccepted:
    return OrderAccepted(ClientId(name), f"v-{name}", START)


def filled(order: PlaceOrder, at_ns: int) -> OrderFilled:
    return OrderFilled(
        client_id=order.client_id,
        instrument=order.instrument,
        trade_id=f"t-{order.client_id}",
        venue_order_id=f"v-{order.client_id}",
        side=order.side,
        qty=order.qty,
        price=order.price,
        fee=Decimal("0.6"),
        fee_asset="USDT",
        maker=False,
        venue_ns=at_ns,
    )
