"""Stores to ask the risk rules about: filled in directly, complete and healthy, then spoiled by the test.

One pair BTC (spot against a contract, linear unless asked otherwise) at a mark and index of 60,000, both
books fresh, both accounts reported and reconciled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from bot.model.commands import AnyCommand, DriftBand, PlaceOrder, TimeInForce
from bot.model.config import Config, Fuse, Limits, Strategy
from bot.model.ids import AccountId, ClientId, InstrumentId, PairName, account_of
from bot.model.instrument import Bracket, Instrument, Position, Side, fill_cost
from bot.model.pair import PairSpec, Purpose, Role
from bot.model.store import Account, Leg, Market, Order, OrderState, Pair, Store, state_sha256
from risk.guard import Refused, admit
from tests.instruments import INVERSE, LINEAR, SPOT, instrument

__all__ = [
    "INVERSE", "LINEAR", "SPOT", "AccountId", "Bracket", "ClientId", "InstrumentId", "PairName", "Position",
    "Store", "account_of", "instrument", "replace",
]  # fmt: skip

D = Decimal
SECOND_NS = 1_000_000_000
NOW = 1_700_000_000 * SECOND_NS
PRICE = D(60_000)

BTC = PairName("BTC")


def tiers(*rows: tuple[str, str, str, str]) -> tuple[Bracket, ...]:
    """Tiers from (floor, cap, maintenance rate, cum); the highest leverage is 1 / (2 × rate)."""
    return tuple(
        Bracket(D(floor), D(cap), D(rate), D(cum), max(1, int(1 / (2 * D(rate)))))
        for floor, cap, rate, cum in rows
    )


def flat_rate(rate: str, cum: str = "0", **changes: Any) -> Instrument:
    """A contract with one tier that holds everything."""
    return instrument(LINEAR, brackets=tiers(("0", "1e12", rate, cum)), **changes)


def at(one: Instrument, qty: str, price: str) -> Position:
    return Position(D(qty), fill_cost(one, D(qty), D(price)))


def make_config(short: InstrumentId = LINEAR, coin_margin: str = "baseline", **limits: Any) -> Config:
    """Limits so wide that only the ones given bind."""
    wide: dict[str, Any] = {
        "order_notional_max_quote": D(10**9), "pair_notional_max_quote": D(10**9),
        "venue_notional_max_quote": D(10**9), "gross_notional_max_quote": D(10**9),
        "net_delta_max_quote": D(10**9), "naked_max_quote": D(10**9), "leverage_max": 1000.0,
        "margin_ratio_min": 1.0, "liquidation_distance_min": 0.0,
    }  # fmt: skip
    strategy: dict[str, Any] = {"clip_quote": D(6000), "coin_margin": coin_margin}
    return Config(
        pairs=(PairSpec(BTC, SPOT, short, D(10**6)),),
        paper_balances=(),
        strategy=Strategy(**strategy),
        limits=Limits(**(wide | limits)),
        fuse=Fuse(opening_notional_per_min_quote=D(10**9), closing_notional_per_min_quote=D(10**9)),
    )


def make_market(one: Instrument, price: Decimal = PRICE) -> Market:
    touch = float(price)
    return Market(
        instrument=one, bids=((touch - 0.5, 10.0),), asks=((touch + 0.5, 10.0),), book_seen_ns=NOW,
        heard_ns=NOW, mark=price, index=price, mark_seen_ns=NOW,
    )  # fmt: skip


def make_store(config: Config | None = None, cash: str = "1000000", coins: str = "100") -> Store:
    """A store in which nothing keeps a pair of ``config`` from opening.  USDT is worth 1 USD."""
    config = config or make_config()
    store = Store(config=config, run_id="run00000", now_ns=NOW, rates={"USDT/USD": D(1)})
    for spec in config.pairs:
        store.routes.capital = {"USDT": store.routes.capital.get("USDT", D(0)) + spec.capital_quote}
        store.pairs[spec.name] = Pair(spec, Leg(Role.LONG, spec.long), Leg(Role.SHORT, spec.short))
        for name in (spec.long, spec.short):
            store.markets[name] = make_market(instrument(name))
            wallet = {"BTC": D(coins)} if account_of(name) == "binance:coinm" else {"USDT": D(cash)}
            store.accounts[account_of(name)] = Account(
                account_of(name),
                dict(wallet),
                baseline=dict(wallet),
                reconciled=True,
                reported_ns=NOW,
                agreed_ns=NOW,
            )
            store.ledger.cash[account_of(name)] = dict(wallet)
    return store


def hold(store: Store, role: Role, qty: str, price: Decimal = PRICE, pair: PairName = BTC) -> None:
    """Give a leg a signed position, bought at ``price``; cash is left as it is."""
    leg = store.pairs[pair].leg(role)
    one = store.markets[leg.instrument].instrument
    leg.position = Position(D(qty), fill_cost(one, D(qty), price))
    if not one.is_spot:
        store.ledger.positions[one.id] = leg.position
        store.accounts[one.account].positions[one.id] = leg.position


def hedge(store: Store, qty: str = "1", contracts: str | None = None) -> None:
    """Long ``qty`` of the long leg, short as much (or ``contracts``) of the short one."""
    hold(store, Role.LONG, qty)
    hold(store, Role.SHORT, f"-{contracts or qty}")


def place(role: Role, side: Side, qty: str, purpose: Purpose = Purpose.ENTER, **changes: Any) -> PlaceOrder:
    """An order at 60,000 in the linear pair; its id follows from its content."""
    made = PlaceOrder(
        client_id=ClientId(f"{role.value}{side.value}"), pair=BTC, role=role,
        instrument=SPOT if role is Role.LONG else LINEAR, side=side, qty=D(qty), price=PRICE,
        tif=TimeInForce.IOC, reduce_only=False, purpose=purpose, arrival_mid=PRICE,
        why=DriftBand(0.0, 0.0, 0.0),
    )  # fmt: skip
    return replace(made, **changes)


def entry(long_qty: str = "0.1", short_qty: str = "0.1", **changes: Any) -> tuple[PlaceOrder, PlaceOrder]:
    """Both legs of an entry; ``instrument`` names the contract."""
    name = changes.pop("instrument", LINEAR)
    return (
        place(Role.SHORT, Side.SELL, short_qty, instrument=name, **changes),
        place(Role.LONG, Side.BUY, long_qty, **changes),
    )


def leave(long_qty: str = "0.1", short_qty: str = "0.1", **changes: Any) -> tuple[PlaceOrder, PlaceOrder]:
    """Both legs of an exit."""
    name = changes.pop("instrument", LINEAR)
    reduce_only = replace(
        place(Role.SHORT, Side.BUY, short_qty, Purpose.EXIT, instrument=name, **changes), reduce_only=True
    )
    return reduce_only, place(Role.LONG, Side.SELL, long_qty, Purpose.EXIT, **changes)


def live(
    store: Store,
    order: PlaceOrder,
    state: OrderState = OrderState.SENT,
    filled: str = "0",
    sent_ns: int = NOW,
) -> Order:
    """Put an order into the store as if it had been sent."""
    made = Order(
        order.client_id, order.pair, order.role, order.instrument, order.side, order.qty, order.price,
        order.tif, order.reduce_only, order.purpose, order.arrival_mid, sent_ns, state, filled_qty=D(filled),
    )  # fmt: skip
    store.orders[order.client_id] = made
    if made.state.is_live:
        store.live[order.client_id] = None
    return made


def add_pair(store: Store, name: str, long: str, short: str) -> PairName:
    """One more pair, its legs ``market:SYMBOL``, of another base where the symbol says so."""
    spec = PairSpec(
        PairName(name), InstrumentId(f"binance:{long}"), InstrumentId(f"binance:{short}"), D(10**6)
    )
    store.pairs[spec.name] = Pair(spec, Leg(Role.LONG, spec.long), Leg(Role.SHORT, spec.short))
    for leg in (spec.long, spec.short):
        base = leg.rsplit(":", 1)[1][:3]
        store.markets.setdefault(leg, make_market(instrument(leg, base=base)))
    return spec.name


def decimals(*numbers: int | str) -> tuple[Decimal, ...]:
    return tuple(D(number) for number in numbers)


def account(store: Store, name: str) -> Account:
    return store.accounts[AccountId(name)]


def with_limits(store: Store, **limits: Any) -> Store:
    assert store.config is not None
    store.config = replace(store.config, limits=replace(store.config.limits, **limits))
    return store


def state(store: Store) -> str:
    return state_sha256(store)


def rule_of(store: Store, *orders: AnyCommand) -> str | None:
    """The rule that refuses a group, or ``None`` when it is admitted whole."""
    verdict = admit(store, NOW, orders)
    if isinstance(verdict, Refused):
        assert verdict.pair == BTC
        return verdict.rule
    assert tuple(one.command for one in verdict) == orders
    return None


def bound(**limits: Any) -> Store:
    """A healthy store of the linear pair with these limits."""
    return with_limits(make_store(), **limits)
