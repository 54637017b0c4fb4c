"""One look at a living run: what it holds, what binds it, what it earned, each number with its age.

The API answers with it, the metrics are taken from it and the terminal prints it, so that all three say the
same.  It is read from the store and nothing else, and writes nothing.  Decimals are text in plain digits; a
number that is not known is null, never zero; an age counts to the moment of the snapshot, on the run's clock.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.core import signals, views
from bot.core.decide.idle import Idle
from bot.model.config import Config
from bot.model.instrument import Kind
from bot.model.ledger import Attribution
from bot.model.money import exact_arithmetic, text
from bot.model.pair import Mode, Role
from bot.model.store import (
    Account,
    Leg,
    Market,
    Order,
    Pair,
    StandingAlert,
    Store,
    live_orders_of,
)
from bot.quant.basis import basis_bps
from bot.quant.funding import funding_apr
from risk.exposure import MissingData, in_nav, mark_of, pair_delta_base, pair_exposure, residual_base
from risk.fee_coin import fee_stock
from risk.hold import Hold
from risk.margin import INFINITE, MissingBrackets, account_margin
from risk.watch import agreement_holds, effective_mode, holds

Number = str | None


class LegState(Struct, frozen=True, kw_only=True):
    """One leg; ``qty`` is signed, in the venue's unit.  ``margin_ratio`` and ``liquidation_distance`` (a
    fraction of the mark) are of its account, null for spot and without a position."""

    instrument: str
    status: str = ""
    qty: str = "0"
    notional_quote: Number = None
    bid: float | None = None
    ask: float | None = None
    book_age_s: float | None = None
    heard_age_s: float | None = None
    mark: Number = None
    index: Number = None
    mark_age_s: float | None = None
    funding_rate: Number = None
    funding_apr: float | None = None
    funding_in_s: float | None = None
    margin_ratio: Number = None
    liquidation_distance: Number = None


class PairView(Struct, frozen=True, kw_only=True):
    """One pair.  ``mode`` is the one in force; ``basis_bps`` compares the middles of the two books, the gaps
    what a clip could be entered and left at.  ``residual_base``: coins that an inverse leg left unhedged, no
    part of the delta."""

    state: str
    state_age_s: float
    mode: str
    mode_reason: str
    in_settings: bool
    ready: bool
    holds: tuple[Hold, ...]
    idle: str
    idle_value: str
    idle_limit: str
    capital_quote: str
    legs: dict[str, LegState]
    basis_bps: float | None
    basis_age_s: float | None
    entry_gap_bps: float | None
    exit_gap_bps: float | None
    expected_apr: float | None
    net_apr: float | None
    delta_base: Number
    delta_quote: Number
    notional_quote: Number
    naked_s: float
    orders_live: int
    residual_base: str = "0"


class OrderView(Struct, frozen=True, kw_only=True):
    """An order that lives."""

    pair: str
    instrument: str
    side: str
    purpose: str
    state: str
    qty: str
    filled_qty: str
    price: str
    age_s: float
    reason: str


class AccountView(Struct, frozen=True, kw_only=True):
    """One wallet as its venue last reported it.  ``fee_coin`` is empty where fees are paid in what is traded;
    ``fee_coin_left_h`` is null where none was paid from it for a day."""

    reconciled: bool
    reported_age_s: float | None
    differences: tuple[str, ...]
    lost: dict[str, str]
    offset_ms: float
    throttled_s: float
    balances: dict[str, str]
    foreign_orders: int
    fee_coin: str = ""
    fee_coin_balance: Number = None
    fee_coin_left_h: float | None = None
    deleveraged: dict[str, str] = {}  # margin asset → stage, since its margin passed the threshold


class AlertView(Struct, frozen=True, kw_only=True):
    """A condition that stands: ``text`` as told last, ``told`` how often."""

    severity: str
    text: str
    age_s: float
    told_age_s: float
    told: int


class MoneyView(Struct, frozen=True, kw_only=True):
    """NAV and where its change came from, in NAV currency; null until every account and price is known."""

    currency: str
    nav: Number
    nav_start: Number
    nav_start_age_s: float | None
    residual: Number
    attribution: dict[str, str]


class State(Struct, frozen=True, kw_only=True):
    """The whole snapshot.  ``seq`` is the journal's last row at that moment."""

    at_ns: int
    version: str
    run_id: str
    trades: str
    mode: str
    mode_reason: str
    stopping: str
    ready: bool
    seq: int
    pairs: dict[str, PairView]
    accounts: dict[str, AccountView]
    orders: dict[str, OrderView]
    money: MoneyView
    alerts: dict[str, AlertView] = {}


def read_state(store: Store, at_ns: int, version: str, seq: int) -> State:
    """The snapshot of a store at ``at_ns``.  A run that has not booted yet has no pairs and is not ready."""
    config = store.config
    with exact_arithmetic():
        pairs = {str(name): _pair(store, config, pair, at_ns) for name, pair in store.pairs.items() if config}
        return State(
            at_ns=at_ns,
            version=version,
            run_id=store.run_id,
            trades=config.mode if config else "",
            mode=store.mode.value,
            mode_reason=store.mode_reason,
            stopping=store.stopping,
            ready=bool(pairs)
            and not store.stopping
            and all(pair.ready for pair in pairs.values() if pair.in_settings),
            seq=seq,
            pairs=pairs,
            accounts={str(name): _account(config, each, at_ns) for name, each in store.accounts.items()},
            orders={
                str(name): _order(order, at_ns) for name, order in store.orders.items() if name in store.live
            },
            money=_money(store, config, at_ns),
            alerts={key: _alert(alert, at_ns) for key, alert in store.alerts.items()},
        )


def _pair(store: Store, config: Config, pair: Pair, at_ns: int) -> PairView:
    mode, found = effective_mode(store, pair), holds(store, at_ns, pair)
    legs = {leg.role.value: _leg(store, leg, at_ns) for leg in pair.legs}
    ages = [leg.book_age_s for leg in legs.values() if leg.book_age_s is not None]
    listed = all(leg.instrument in store.markets for leg in pair.legs)
    expected, net = _carry(store, config, pair, at_ns) if listed else (None, None)
    clip_quote = float(config.strategy.clip_quote)
    delta_base, delta_quote, notional = _exposure(store, pair)
    return PairView(
        state=pair.state.value,
        state_age_s=_seconds(at_ns - pair.since_ns),
        mode=mode.value,
        mode_reason=pair.mode_reason if pair.mode is mode and pair.mode_reason else store.mode_reason,
        in_settings=pair.in_config,
        ready=not found and mode is not Mode.HALTED,
        holds=found,
        idle=pair.idle,
        idle_value=pair.idle_value,
        idle_limit=pair.idle_limit,
        capital_quote=text(pair.spec.capital_quote),
        legs=legs,
        basis_bps=_basis_bps(store, pair) if listed else None,
        basis_age_s=max(ages) if len(ages) == len(legs) else None,
        entry_gap_bps=views.gap_bps(store, pair, clip_quote, opening=True) if listed else None,
        exit_gap_bps=views.gap_bps(store, pair, clip_quote, opening=False) if listed else None,
        expected_apr=expected,
        net_apr=net,
        delta_base=delta_base,
        delta_quote=delta_quote,
        notional_quote=notional,
        naked_s=_seconds(at_ns - pair.naked_ns) if pair.naked_ns else 0.0,
        orders_live=len(live_orders_of(store, pair)),
        residual_base=text(residual_base(store, pair)),
    )


def _leg(store: Store, leg: Leg, at_ns: int) -> LegState:
    market = store.markets.get(leg.instrument)
    if market is None:
        return LegState(instrument=leg.instrument, qty=text(leg.position.qty))
    worth = views.notional_quote(market, leg.position.qty)
    heard_ns = max(market.heard_ns, market.book_seen_ns)
    rate, interval_h = market.funding_rate, market.funding_interval_h
    ratio, distance = _margin(store, market, leg)
    return LegState(
        instrument=leg.instrument,
        status=market.status,
        qty=text(leg.position.qty),
        notional_quote=None if worth is None else text(worth),
        bid=market.bids[0][0] if market.bids else None,
        ask=market.asks[0][0] if market.asks else None,
        book_age_s=_age(at_ns, market.book_seen_ns),
        heard_age_s=_age(at_ns, heard_ns),
        mark=_text(market.mark),
        index=_text(market.index),
        mark_age_s=_age(at_ns, market.mark_seen_ns),
        funding_rate=_text(rate),
        funding_apr=funding_apr(float(rate), interval_h) if rate is not None and interval_h else None,
        funding_in_s=_seconds(market.funding_next_ns - at_ns) if market.funding_next_ns else None,
        margin_ratio=ratio,
        liquidation_distance=distance,
    )


def _margin(store: Store, market: Market, leg: Leg) -> tuple[Number, Number]:
    instrument = market.instrument
    if instrument.kind is Kind.SPOT or leg.position.qty == 0:
        return None, None
    try:
        state = account_margin(store, instrument.account, instrument.margin_asset)
    except (MissingData, MissingBrackets):
        return None, None
    return _finite(state.ratio), _finite(state.distance)


def _carry(store: Store, config: Config, pair: Pair, at_ns: int) -> tuple[float | None, float | None]:
    expected = signals.expected_apr(store, config, pair, at_ns)
    if isinstance(expected, Idle):
        return None, None
    return expected, signals.net_apr(store, config, pair, expected, at_ns)


def _basis_bps(store: Store, pair: Pair) -> float | None:
    """Middle of the short leg's book over the long leg's, in the long leg's currency."""
    long, short = (views.mid(views.leg_market(store, pair, role)) for role in (Role.LONG, Role.SHORT))
    rate = views.pair_rate(store, pair)
    if long is None or short is None or rate is None:
        return None
    return basis_bps(float(short) * rate, float(long))


def _exposure(store: Store, pair: Pair) -> tuple[Number, Number, Number]:
    """Delta in base and in NAV currency, and notional of the larger leg in NAV currency."""
    try:
        delta = pair_delta_base(store, pair)
    except MissingData:
        return None, None, None
    try:
        worst = pair_exposure(store, pair, ())
        if delta == 0:
            return "0", "0", text(worst.notional)
        market = store.markets[pair.spec.long]
        worth = delta * in_nav(store, market.instrument.quote, mark_of(market))
    except (MissingData, KeyError):
        return text(delta), None, None
    return text(delta), text(worth), text(worst.notional)


def _order(order: Order, at_ns: int) -> OrderView:
    return OrderView(
        pair=order.pair,
        instrument=order.instrument,
        side=order.side.value,
        purpose=order.purpose.value,
        state=order.state.value,
        qty=text(order.qty),
        filled_qty=text(order.filled_qty),
        price=text(order.price),
        age_s=_seconds(at_ns - order.sent_ns),
        reason=order.reason,
    )


def _account(config: Config | None, account: Account, at_ns: int) -> AccountView:
    stock = fee_stock(account, at_ns)
    return AccountView(
        reconciled=config is not None and not agreement_holds(config, account, at_ns),
        reported_age_s=_age(at_ns, account.reported_ns),
        differences=account.differences,
        lost={channel.value: reason for channel, reason in account.lost.items()},
        offset_ms=account.offset_ns / 1e6,
        throttled_s=_seconds(max(0, account.throttled_ns - at_ns)),
        balances={asset: text(amount) for asset, amount in account.balances.items()},
        foreign_orders=len(account.foreign),
        fee_coin=stock.coin if stock else "",
        fee_coin_balance=text(stock.balance) if stock else None,
        fee_coin_left_h=stock.left_h if stock else None,
        deleveraged={asset: state.stage.value for asset, state in account.deleveraged.items()},
    )


def _alert(alert: StandingAlert, at_ns: int) -> AlertView:
    return AlertView(
        severity=alert.severity,
        text=alert.text,
        age_s=_seconds(at_ns - alert.since_ns),
        told_age_s=_seconds(at_ns - alert.told_ns),
        told=alert.count,
    )


def _money(store: Store, config: Config | None, at_ns: int) -> MoneyView:
    ledger, nav = store.ledger, views.nav(store)
    known = ledger.opened and nav is not None
    return MoneyView(
        currency=config.nav_currency if config else "",
        nav=_text(nav) if known else None,
        nav_start=text(ledger.start_nav) if ledger.opened else None,
        nav_start_age_s=_age(at_ns, ledger.start_ns),
        residual=_text(views.whole_residual(store)),
        attribution={name: text(getattr(ledger.total, name)) for name in Attribution.__struct_fields__},
    )


def _text(value: Decimal | None) -> Number:
    return None if value is None else text(value)


def _finite(value: Decimal) -> Number:
    return None if value == INFINITE else text(value)


def _age(at_ns: int, then_ns: int) -> float | None:
    return _seconds(at_ns - then_ns) if then_ns else None


def _seconds(span_ns: int) -> float:
    return round(span_ns / 1e9, 3)
