"""Binance's own descriptions of what it trades, as instruments.

A source is the venue's JSON: a bare exchangeInfo answer of any of the three markets, or an object that holds
several answers under the names of their requests (``exchangeInfo``, ``leverageBracket``, ``commissionRate``,
``fundingInfo``).  The market of a symbol is told by its fields: only COIN-M states a ``contractSize``, only
futures a ``contractType``.  What is missing is an error and never a default, but for the two that the venue
itself documents: USD-M and spot contracts are of one unit, and a perpetual that ``fundingInfo`` does not name
settles every eight hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from adapters.errors import FeedError
from bot.model.config import FeeRate
from bot.model.ids import InstrumentId, instrument_id, market_of, symbol_of
from bot.model.instrument import Bracket, Instrument, Kind
from bot.model.money import ONE, ZERO

VENUE = "binance"
FEES_VARIABLE = "BASISBOT_PAPER_FEES_BPS"
_FUNDING_INTERVAL_H = 8
TRADING = "TRADING"
DELISTING = "DELISTING"  # ours, not the venue's: it trades still, and the day of its last settlement is set
_NEVER_MS = 4_102_444_800_000  # perpetuals without such a day are to be delivered after 2100
_DATED = ("CURRENT_QUARTER", "NEXT_QUARTER", "CURRENT_MONTH", "NEXT_MONTH")
_MS = 1_000_000


class _Filter(Struct):
    kind: str = field(name="filterType")
    tick: Decimal | None = field(name="tickSize", default=None)
    step: Decimal | None = field(name="stepSize", default=None)
    qty_min: Decimal | None = field(name="minQty", default=None)
    qty_max: Decimal | None = field(name="maxQty", default=None)
    notional: Decimal | None = None  # USD-M
    notional_min: Decimal | None = field(name="minNotional", default=None)  # spot
    up: Decimal | None = field(name="multiplierUp", default=None)
    down: Decimal | None = field(name="multiplierDown", default=None)
    bid_up: Decimal | None = field(name="bidMultiplierUp", default=None)
    bid_down: Decimal | None = field(name="bidMultiplierDown", default=None)
    ask_up: Decimal | None = field(name="askMultiplierUp", default=None)
    ask_down: Decimal | None = field(name="askMultiplierDown", default=None)


class _Symbol(Struct):
    symbol: str
    base: str = field(name="baseAsset")
    quote: str = field(name="quoteAsset")
    filters: list[_Filter]
    margin_asset: str | None = field(name="marginAsset", default=None)
    contract_type: str | None = field(name="contractType", default=None)
    contract_size: Decimal | None = field(name="contractSize", default=None)
    delivery_ms: int | None = field(name="deliveryDate", default=None)

    @property
    def market(self) -> str:
        if self.contract_size is not None:
            return "coinm"
        return "spot" if self.contract_type is None else "usdm"


class _ExchangeInfo(Struct):
    symbols: list[_Symbol]


class _Tier(Struct):
    leverage: int = field(name="initialLeverage")
    rate: Decimal = field(name="maintMarginRatio")
    cum: Decimal
    notional_floor: Decimal | None = field(name="notionalFloor", default=None)
    notional_cap: Decimal | None = field(name="notionalCap", default=None)
    qty_floor: Decimal | None = field(name="qtyFloor", default=None)
    qty_cap: Decimal | None = field(name="qtyCap", default=None)


class _Tiers(Struct):
    symbol: str
    brackets: list[_Tier]


class _SpotRate(Struct):
    maker: Decimal
    taker: Decimal
    buyer: Decimal = ZERO
    seller: Decimal = ZERO


class _Commission(Struct):
    symbol: str
    maker: Decimal | None = field(name="makerCommissionRate", default=None)
    taker: Decimal | None = field(name="takerCommissionRate", default=None)
    standard: _SpotRate | None = field(name="standardCommission", default=None)
    special: _SpotRate | None = field(name="specialCommission", default=None)
    tax: _SpotRate | None = field(name="taxCommission", default=None)


class _Funding(Struct):
    symbol: str
    interval_h: int = field(name="fundingIntervalHours")
    floor: Decimal | None = field(name="adjustedFundingRateFloor", default=None)
    cap: Decimal | None = field(name="adjustedFundingRateCap", default=None)


class _Source(Struct):
    exchange_info: _ExchangeInfo | None = field(name="exchangeInfo", default=None)
    symbols: list[_Symbol] | None = None  # a bare exchangeInfo answer
    brackets: list[_Tiers] = field(name="leverageBracket", default_factory=list)
    commissions: list[_Commission] = field(name="commissionRate", default_factory=list)
    fundings: list[_Funding] = field(name="fundingInfo", default_factory=list)


_decode = msgspec.json.Decoder(_Source).decode
_Value = TypeVar("_Value")


def read_source(path: Path) -> tuple[str, bytes]:
    """A file as a source.  Raises `FeedError` if it cannot be read."""
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise FeedError(f"{path}: cannot be read ({error.strerror}); check --instruments") from None


def instruments(
    sources: Iterable[tuple[str, bytes]], wanted: Sequence[InstrumentId], fees: Mapping[str, FeeRate]
) -> dict[InstrumentId, Instrument]:
    """The ``wanted`` instruments of this venue, from sources of (name for messages, JSON).

    Where two sources describe the same thing the earlier one holds; what one lacks may stand in another.
    ``fees`` by market override the sources' own commission.  Raises `FeedError`.
    """
    listed: dict[InstrumentId, _Symbol] = {}
    brackets: dict[str, list[_Tier]] = {}
    rates: dict[InstrumentId, FeeRate] = {}
    fundings: dict[str, _Funding] = {}
    names: list[str] = []
    for name, data in sources:
        source = _read(name, data)
        names.append(name)
        symbols = source.exchange_info.symbols if source.exchange_info is not None else source.symbols or []
        for symbol in symbols:
            listed.setdefault(instrument_id(VENUE, symbol.market, symbol.symbol), symbol)
        for tiers in source.brackets:
            brackets.setdefault(tiers.symbol, tiers.brackets)
        for funding in source.fundings:
            fundings.setdefault(funding.symbol, funding)
        for commission in source.commissions:
            _add_rates(rates, commission)
    found: dict[InstrumentId, Instrument] = {}
    for wish in wanted:
        if wish not in listed:
            looked = ", ".join(names) or "nothing: no file was given and no feed holds an exchangeInfo frame"
            raise FeedError(
                f"{wish} is described nowhere (looked in {looked}); name its file by --instruments"
            )
        fee = fees.get(market_of(wish), rates.get(wish))
        if fee is None:
            raise FeedError(f"{wish} has no fee rates; set {FEES_VARIABLE} or add commissionRate to its file")
        found[wish] = _instrument(wish, listed[wish], fee, brackets.get(symbol_of(wish), []))
        told = fundings.get(symbol_of(wish))
        if told is not None and found[wish].kind is Kind.PERP:
            found[wish] = msgspec.structs.replace(
                found[wish],
                funding_interval_h=told.interval_h,
                funding_floor=told.floor,
                funding_cap=told.cap,
            )
    return found


def _read(name: str, data: bytes) -> _Source:
    try:
        source = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FeedError(
            f"{name}: is not Binance's exchange information ({error}); correct the file"
        ) from None
    if source.exchange_info is None and source.symbols is None:
        raise FeedError(f"{name}: holds no exchangeInfo; name a file with the venue's answer to that request")
    return source


def _add_rates(rates: dict[InstrumentId, FeeRate], commission: _Commission) -> None:
    """A spot commission is told from a futures one by its shape, and is the sum of its parts, of which the
    dearer side's counts; a discount for paying in another token is left out."""
    if commission.standard is not None:
        parts = [
            part for part in (commission.standard, commission.special, commission.tax) if part is not None
        ]
        side = max(sum((part.buyer for part in parts), ZERO), sum((part.seller for part in parts), ZERO))
        maker = sum((part.maker for part in parts), side)
        taker = sum((part.taker for part in parts), side)
        rate = FeeRate(maker, taker)
        rates.setdefault(instrument_id(VENUE, "spot", commission.symbol), rate)
    elif commission.maker is not None and commission.taker is not None:
        rate = FeeRate(commission.maker, commission.taker)
        for market in ("usdm", "coinm"):
            rates.setdefault(instrument_id(VENUE, market, commission.symbol), rate)


def _instrument(name: InstrumentId, symbol: _Symbol, fee: FeeRate, tiers: list[_Tier]) -> Instrument:
    market = symbol.market
    filters = {entry.kind: entry for entry in symbol.filters}
    lot = _filter(name, filters, "LOT_SIZE")
    price_down, price_up = _price_band(name, filters)
    kind = _kind(name, symbol)
    return Instrument(
        id=name,
        kind=kind,
        inverse=market == "coinm",
        base=symbol.base,
        quote=symbol.quote,
        margin_asset=symbol.quote if market == "spot" else _given(name, "marginAsset", symbol.margin_asset),
        contract_size=ONE if market != "coinm" else _positive(name, "contractSize", symbol.contract_size),
        tick=_positive(name, "tickSize", _filter(name, filters, "PRICE_FILTER").tick),
        lot=_positive(name, "stepSize", lot.step),
        qty_min=_given(name, "minQty", lot.qty_min),
        qty_max=_given(name, "maxQty", lot.qty_max),
        notional_min=_notional_min(name, market, filters),
        price_up=price_up,
        price_down=price_down,
        maker_rate=fee.maker_rate,
        taker_rate=fee.taker_rate,
        brackets=() if kind is Kind.SPOT else tuple(_bracket(name, tier) for tier in tiers),
        expiry_ns=_given(name, "deliveryDate", symbol.delivery_ms) * _MS if kind is Kind.DATED else None,
        funding_interval_h=_FUNDING_INTERVAL_H if kind is Kind.PERP else 0,
    )


def status_of(status: str, contract_type: str | None, delivery_ms: int | None) -> str:
    """The venue's word for whether something trades, or `DELISTING`."""
    is_ending = contract_type == "PERPETUAL" and 0 < (delivery_ms or 0) < _NEVER_MS
    return DELISTING if status == TRADING and is_ending else status


def _kind(name: InstrumentId, symbol: _Symbol) -> Kind:
    if symbol.market == "spot":
        return Kind.SPOT
    if symbol.contract_type == "PERPETUAL":
        return Kind.PERP
    if symbol.contract_type in _DATED:
        return Kind.DATED
    raise FeedError(
        f"{name} has contract type {symbol.contract_type!r}, which is not traded; leave it out of the pairs"
    )


def _filter(name: InstrumentId, filters: Mapping[str, _Filter], *kinds: str) -> _Filter:
    for kind in kinds:
        if kind in filters:
            return filters[kind]
    raise FeedError(f"{name} has no filter {' or '.join(kinds)} in its exchangeInfo; add it to the file")


def _given(name: InstrumentId, what: str, value: _Value | None) -> _Value:
    if value is None:
        raise FeedError(f"{name} has no {what} in its exchangeInfo; add it to the file")
    return value


def _positive(name: InstrumentId, what: str, value: Decimal | None) -> Decimal:
    given = _given(name, what, value)
    if not given.is_finite() or given <= 0:
        raise FeedError(f"{name} has {what} {given} in its exchangeInfo; it must be above zero")
    return given


def _notional_min(name: InstrumentId, market: str, filters: Mapping[str, _Filter]) -> Decimal:
    if market == "coinm":
        return ZERO  # a contract has a fixed value; one is the minimum
    if market == "usdm":
        return _given(name, "notional", _filter(name, filters, "MIN_NOTIONAL").notional)
    return _given(name, "minNotional", _filter(name, filters, "NOTIONAL", "MIN_NOTIONAL").notional_min)


def _price_band(name: InstrumentId, filters: Mapping[str, _Filter]) -> tuple[Decimal, Decimal]:
    """Lowest and highest price over the reference; where the sides differ, the narrower of each."""
    band = _filter(name, filters, "PERCENT_PRICE", "PERCENT_PRICE_BY_SIDE")
    if band.kind == "PERCENT_PRICE":
        return _given(name, "multiplierDown", band.down), _given(name, "multiplierUp", band.up)
    down = max(
        _given(name, "bidMultiplierDown", band.bid_down), _given(name, "askMultiplierDown", band.ask_down)
    )
    up = min(_given(name, "bidMultiplierUp", band.bid_up), _given(name, "askMultiplierUp", band.ask_up))
    return down, up


def _bracket(name: InstrumentId, tier: _Tier) -> Bracket:
    floor = tier.notional_floor if tier.qty_floor is None else tier.qty_floor
    cap = tier.notional_cap if tier.qty_cap is None else tier.qty_cap
    return Bracket(
        floor=_given(name, "notionalFloor or qtyFloor of a bracket", floor),
        cap=_given(name, "notionalCap or qtyCap of a bracket", cap),
        maintenance_rate=tier.rate,
        cum=tier.cum,
        leverage_max=tier.leverage,
    )
