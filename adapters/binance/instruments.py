"""Binance's own descriptions of what it trades, as instruments.

A source is the venue's JSON: a bare exchangeInfo answer of any of the three markets, or an object that holds
several answers under the names of their requests (``exchangeInfo``, ``leverageBracket``, ``commissionRate``,
``fundingInfo``).  The market of a symbol is told by its fields: only COIN-M states a ``contractSize``, only
futures a ``contractType``.  What is missing is an error and never a default, but for the two that the venue
itself documents: USD-M and spot contracts are of one unit, and a perpetual that ``fundingInfo`` does not name
settles every eight hours.  What must stay true: a row that cannot be read, and an instrument that cannot be
used, takes no other with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from adapters.binance.decoding import VENUE, Drift, Unread, reader, rows
from adapters.errors import FeedError
from adapters.numbers import Ms, is_bounded
from bot.model.config import FeeRate
from bot.model.ids import InstrumentId, instrument_id, market_of, symbol_of
from bot.model.instrument import Bracket, Instrument, Kind
from bot.model.money import ONE, ZERO

FEES_VARIABLE = "BASISBOT_PAPER_FEES_BPS"
_FUNDING_INTERVAL_H = 8
TRADING = "TRADING"
DELISTING = "DELISTING"  # ours, not the venue's: it trades still, and the day of its last settlement is set
_NEVER_MS = 4_102_444_800_000  # perpetuals without such a day are to be delivered after 2100
UNKNOWN_TYPE = "UNKNOWN_TYPE"  # ours: it may trade, but what kind of contract it is is not known here
_PERPETUAL = "PERPETUAL"
_DATED = ("CURRENT_QUARTER", "NEXT_QUARTER", "CURRENT_MONTH", "NEXT_MONTH")
_DELIVERING = "DELIVERING"  # the venue's status; a contract type may end with it, too
_MS = 1_000_000


Leverage = Annotated[int, Meta(ge=1, le=1000)]
Hours = Annotated[int, Meta(ge=1, le=168)]


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
    delivery_ms: Ms | None = field(name="deliveryDate", default=None)

    @property
    def market(self) -> str:
        if self.contract_size is not None:
            return "coinm"
        return "spot" if self.contract_type is None else "usdm"


class _ExchangeInfo(Struct):
    symbols: Raw


class _Tier(Struct):
    leverage: Leverage = field(name="initialLeverage")
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
    interval_h: Hours = field(name="fundingIntervalHours")
    floor: Decimal | None = field(name="adjustedFundingRateFloor", default=None)
    cap: Decimal | None = field(name="adjustedFundingRateCap", default=None)


class _Source(Struct):
    exchange_info: _ExchangeInfo | None = field(name="exchangeInfo", default=None)
    symbols: Raw = Raw()  # a bare exchangeInfo answer
    brackets: Raw = field(name="leverageBracket", default=Raw(b"[]"))
    commissions: Raw = field(name="commissionRate", default=Raw(b"[]"))
    fundings: Raw = field(name="fundingInfo", default=Raw(b"[]"))


class _Described(Struct):
    """What all sources say, the earlier ones first; ``unread`` and ``unread_fundings`` have a sentence for
    each symbol of which that row cannot be read.  A contract whose brackets are unread has none, and one
    whose commission is unread no rates."""

    listed: dict[InstrumentId, _Symbol] = field(default_factory=dict)
    brackets: dict[str, list[_Tier]] = field(default_factory=dict)
    rates: dict[InstrumentId, FeeRate] = field(default_factory=dict)
    fundings: dict[str, _Funding] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    unread_fundings: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


_NOTHING = "nothing: no file was given and no feed holds an exchangeInfo frame"
_decode = reader(_Source)
_read_symbol = reader(_Symbol)
_read_tiers = reader(_Tiers)
_read_commission = reader(_Commission)
_read_funding = reader(_Funding)
_Value = TypeVar("_Value")


def read_source(path: Path) -> tuple[str, bytes]:
    """A file as a source.  Raises `FeedError` if it cannot be read."""
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise FeedError(f"{path}: cannot be read ({error.strerror}); check --instruments") from None


def instruments(
    sources: Iterable[tuple[str, bytes]],
    wanted: Sequence[InstrumentId],
    fees: Mapping[str, FeeRate],
    refused: dict[InstrumentId, FeedError] | None = None,
) -> dict[InstrumentId, Instrument]:
    """The ``wanted`` instruments of this venue, from sources of (name for messages, JSON).

    Where two sources describe the same thing the earlier one holds; what one lacks may stand in another.
    ``fees`` by market override the sources' own commission.  Those that cannot be used are added to
    ``refused``, and a contract of a type that is not known here is described as what it is most like, since
    one may be held.  Raises `FeedError`, without ``refused`` for the first such instrument.
    """
    described = _Described()
    for name, data in sources:
        described.names.append(name)
        _read(name, data, described)
    found: dict[InstrumentId, Instrument] = {}
    for wish in wanted:
        try:
            found[wish] = _wanted(wish, described, fees, is_strict=refused is None)
        except FeedError as error:
            if refused is None:
                raise
            refused[wish] = error
    return found


def _wanted(
    wish: InstrumentId, described: _Described, fees: Mapping[str, FeeRate], is_strict: bool
) -> Instrument:
    symbol = symbol_of(wish)
    unread = described.unread.get(symbol)
    if unread is not None and wish not in described.listed:
        raise FeedError(f"{wish} cannot be read: {unread}; correct its file, or leave it out of the pairs")
    if wish not in described.listed:
        looked = ", ".join(described.names) or _NOTHING
        raise FeedError(f"{wish} is described nowhere (looked in {looked}); name its file by --instruments")
    fee = fees.get(market_of(wish), described.rates.get(wish))
    if fee is None:
        raise FeedError(f"{wish} has no fee rates; set {FEES_VARIABLE} or add commissionRate to its file")
    listed = described.listed[wish]
    kind = _kind(wish, listed) if is_strict else kind_like(listed.contract_type, listed.delivery_ms)
    found = _instrument(wish, listed, fee, described.brackets.get(symbol, []), kind)
    if found.kind is not Kind.PERP:
        return _bounded(found)
    funding = described.fundings.get(symbol)
    if funding is not None:
        found = msgspec.structs.replace(
            found,
            funding_interval_h=funding.interval_h,
            funding_floor=funding.floor,
            funding_cap=funding.cap,
        )
    elif symbol in described.unread_fundings:
        if is_strict:
            why = described.unread_fundings[symbol]
            raise FeedError(f"{wish}: its fundingInfo cannot be read ({why}); correct its file")
        found = msgspec.structs.replace(found, funding_interval_h=0)  # not known, which is no eight hours
    return _bounded(found)


def _read(name: str, data: bytes, described: _Described) -> None:
    try:
        source = _decode(data)
        listed = bytes(source.symbols if source.exchange_info is None else source.exchange_info.symbols)
        if not listed:
            raise FeedError(
                f"{name}: holds no exchangeInfo; name a file with the venue's answer to that request"
            )
        unread: list[Unread] = []
        fundings: list[Unread] = []
        for symbol in rows(_read_symbol, _same, listed, unread):
            described.listed.setdefault(instrument_id(VENUE, symbol.market, symbol.symbol), symbol)
        for tiers in rows(_read_tiers, _same, bytes(source.brackets), []):
            described.brackets.setdefault(tiers.symbol, tiers.brackets)
        for funding in rows(_read_funding, _same, bytes(source.fundings), fundings):
            described.fundings.setdefault(funding.symbol, funding)
        for each in rows(_read_commission, _rates, bytes(source.commissions), []):
            for instrument_name, rate in each.items():
                described.rates.setdefault(instrument_name, rate)
    except Drift as error:
        raise FeedError(
            f"{name}: is not Binance's exchange information ({error}); correct the file"
        ) from None
    for row in unread:
        described.unread.setdefault(row.name, row.reason)
    for row in fundings:
        described.unread_fundings.setdefault(row.name, row.reason)


def _same(row: _Value) -> _Value:
    return row


def _rates(commission: _Commission) -> dict[InstrumentId, FeeRate]:
    """A spot commission is told from a futures one by its shape, and is the sum of its parts, of which the
    dearer side's counts; a discount for paying in another token is left out.

    Raises `Drift` for rates that cannot be summed up."""
    if commission.standard is not None:
        parts = [
            part for part in (commission.standard, commission.special, commission.tax) if part is not None
        ]
        if not all(is_bounded(value) for part in parts for value in msgspec.structs.astuple(part)):
            raise Drift("a commission that is no rate")
        side = max(sum((part.buyer for part in parts), ZERO), sum((part.seller for part in parts), ZERO))
        maker = sum((part.maker for part in parts), side)
        taker = sum((part.taker for part in parts), side)
        return {instrument_id(VENUE, "spot", commission.symbol): FeeRate(maker, taker)}
    if commission.maker is None or commission.taker is None:
        return {}
    rate = FeeRate(commission.maker, commission.taker)
    return {instrument_id(VENUE, market, commission.symbol): rate for market in ("usdm", "coinm")}


def _instrument(
    name: InstrumentId, symbol: _Symbol, fee: FeeRate, tiers: list[_Tier], kind: Kind
) -> Instrument:
    market = symbol.market
    filters = {entry.kind: entry for entry in symbol.filters}
    lot = _filter(name, filters, "LOT_SIZE")
    price_down, price_up = _price_band(name, filters)
    ends = kind is Kind.DATED or (kind is Kind.PERP and 0 < (symbol.delivery_ms or 0) < _NEVER_MS)
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
        expiry_ns=_given(name, "deliveryDate", symbol.delivery_ms) * _MS if ends else None,
        funding_interval_h=_FUNDING_INTERVAL_H if kind is Kind.PERP else 0,
    )


def status_of(status: str, contract_type: str | None, delivery_ms: int | None) -> str:
    """The venue's word for whether something trades, `DELISTING`, or `UNKNOWN_TYPE`.  ``contract_type`` is
    empty or ``None`` where there is none."""
    if status != TRADING or not contract_type:
        return status
    if contract_type.endswith(_DELIVERING):
        return _DELIVERING
    if contract_type == _PERPETUAL:
        return DELISTING if 0 < (delivery_ms or 0) < _NEVER_MS else status
    return status if contract_type in _DATED else UNKNOWN_TYPE


def kind_like(contract_type: str | None, delivery_ms: int | None) -> Kind:
    """The kind of a contract of any type: one that is none of ours is dated where a date is set."""
    if contract_type is None:
        return Kind.SPOT
    if contract_type.startswith(_PERPETUAL):
        return Kind.PERP
    is_dated = contract_type.startswith(_DATED) or 0 < (delivery_ms or 0) < _NEVER_MS
    return Kind.DATED if is_dated else Kind.PERP


def _kind(name: InstrumentId, symbol: _Symbol) -> Kind:
    if symbol.market != "spot" and symbol.contract_type not in (_PERPETUAL, *_DATED):
        raise FeedError(
            f"{name} has contract type {symbol.contract_type!r}, which is not traded; "
            "leave it out of the pairs"
        )
    return kind_like(symbol.contract_type, symbol.delivery_ms)


def _bounded(instrument: Instrument) -> Instrument:
    """Raises `FeedError` for a number that cannot enter the ledger's arithmetic."""
    for what in (instrument, *instrument.brackets):
        for name in what.__struct_fields__:
            value = getattr(what, name)
            if isinstance(value, Decimal) and not is_bounded(value):
                raise FeedError(f"{instrument.id} has a {name} that is no number of this world")
    return instrument


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
