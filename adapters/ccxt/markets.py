"""ccxt's markets as instruments.

The name of an instrument is ``exchange:family:SYMBOL``: ccxt's name of the exchange, the family of its wallet
(``spot``, ``linear``, ``inverse``) and the venue's own symbol (ccxt's ``id``) in capitals, as in
``bybit:linear:BTCUSDT``.  A quantity is ccxt's ``amount``: base currency where the contract size is one,
contracts elsewhere; at exchanges of `BY_VALUE` it is base or quote currency whatever the contract size.  An
exchange that keeps one wallet for two families can be used for one of them only: which wallet a family has is
all that `bot.model.ids.account_of` knows.

What is missing is an error and never a default, but for bounds: what ccxt states no limit for has none here
(`UNBOUNDED`), and the venue's own refusal stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from adapters import numbers
from adapters.errors import FeedError
from bot.model.ids import InstrumentId, instrument_id
from bot.model.instrument import USUAL_INTEREST_APR, Bracket, Instrument, Kind
from bot.model.money import ONE, ZERO, exact_arithmetic

FAMILIES = ("spot", "linear", "inverse")
# exchanges that margin and pay all families from one wallet
ONE_WALLET = ("okx", "bybit", "deribit", "gate", "hyperliquid")
# ccxt's ``amount`` is not contracts there: USD of an inverse contract, base currency of a linear one
BY_VALUE = frozenset({"deribit"})
UNBOUNDED = Decimal(10) ** 18
# their documents give a funding formula of the premium alone
WITHOUT_INTEREST = frozenset({"deribit", "krakenfutures"})
_ANY_PRICE = (ZERO, Decimal(10) ** 6)  # of the reference: no percent-price filter is known
_DECIMAL_PLACES, _TICK_SIZE = 2, 4  # ccxt's precision modes

Market = Mapping[str, Any]


def family_of(market: Market) -> str:
    if market["spot"]:
        return "spot"
    return "linear" if market["linear"] else "inverse"


def name_of(exchange: str, market: Market) -> InstrumentId:
    return instrument_id(exchange, family_of(market), str(market["id"]).upper())


def number(value: Any) -> Decimal | None:
    """A number of ccxt, text or not, as the decimal it was read from; ``None`` for none or what is none."""
    return None if value is None else numbers.decimal(value)


def find_market(exchange: Any, name: InstrumentId) -> Market:
    """The market of an instrument's name.  Raises `FeedError` where the exchange has none, or several."""
    found = [
        market
        for market in exchange.markets.values()
        if name_of(exchange.id, market) == name and (market["spot"] or market["swap"] or market["future"])
    ]
    if len(found) == 1:
        return found[0]  # type: ignore[no-any-return]
    if found:
        raise FeedError(f"{exchange.id} has {len(found)} markets {name}, told apart by small letters alone")
    listed = [name_of(exchange.id, each) for each in exchange.markets.values()]
    near = ", ".join(get_close_matches(name, listed, n=3, cutoff=0.7))
    raise FeedError(
        f"{exchange.id} has no market {name}; name it {exchange.id}:family:SYMBOL with the venue's own "
        f"symbol and one of the families {', '.join(FAMILIES)}" + (f"; near it are {near}" if near else "")
    )


def instrument(
    exchange: Any, market: Market, rates: Mapping[str, Any], brackets: tuple[Bracket, ...], interval_h: int
) -> Instrument:
    """``rates`` has ``maker`` and ``taker``.  Raises `FeedError` for a market that says too little."""
    name = name_of(exchange.id, market)
    limits, precision = market["limits"], market["precision"]
    lot = _needed(name, "amount precision", _step(exchange, name, precision["amount"]))
    qty_max = number(limits["amount"]["max"])
    price_down, price_up = _percent_price(market)
    kind = Kind.SPOT if market["spot"] else Kind.PERP if market["swap"] else Kind.DATED
    expiry_ns = numbers.time_ns(market["expiry"])
    if kind is Kind.DATED and expiry_ns is None:
        raise FeedError(f"{name}: ccxt states no expiry; this contract cannot be traded")
    return Instrument(
        id=name,
        kind=kind,
        inverse=bool(market["inverse"]),
        base=market["base"],
        quote=market["quote"],
        margin_asset=market["settle"] or market["quote"],
        contract_size=_contract_size(exchange, name, market),
        tick=_needed(name, "price precision", _step(exchange, name, precision["price"])),
        lot=lot,
        qty_min=number(limits["amount"]["min"]) or lot,
        qty_max=UNBOUNDED if qty_max is None else qty_max,
        notional_min=number(limits["cost"]["min"]) or ZERO,
        price_up=price_up,
        price_down=price_down,
        maker_rate=_needed(name, "maker fee", rates.get("maker")),
        taker_rate=_needed(name, "taker fee", rates.get("taker")),
        brackets=brackets,
        expiry_ns=None if kind is Kind.SPOT else expiry_ns,
        funding_interval_h=interval_h,
        interest_apr=0.0 if exchange.id in WITHOUT_INTEREST else USUAL_INTEREST_APR,
    )


def brackets(tiers: Sequence[Mapping[str, Any]]) -> tuple[Bracket, ...]:
    """ccxt's leverage tiers.  ``cum`` is what makes the maintenance margin continuous from tier to tier."""
    told: list[Bracket] = []
    with exact_arithmetic():
        for tier in tiers:
            floor, rate = number(tier["minNotional"]), number(tier["maintenanceMarginRate"])
            leverage = number(tier["maxLeverage"])
            if floor is None or rate is None or leverage is None:
                return ()
            cap = number(tier["maxNotional"])
            before = told[-1] if told else None
            cum = ZERO if before is None else before.cum + floor * (rate - before.maintenance_rate)
            told.append(Bracket(floor, UNBOUNDED if cap is None else cap, rate, cum, int(leverage)))
    return tuple(told)


def _contract_size(exchange: Any, name: InstrumentId, market: Market) -> Decimal:
    if market["spot"] or exchange.id in BY_VALUE:
        return ONE
    return _needed(name, "contract size", market["contractSize"])


def _step(exchange: Any, name: InstrumentId, precision: Any) -> Decimal | None:
    if exchange.precisionMode == _TICK_SIZE:
        return number(precision)
    if exchange.precisionMode == _DECIMAL_PLACES:
        places = numbers.whole(precision, numbers.PLACES_MAX)
        return None if places is None else ONE.scaleb(-places)
    raise FeedError(f"{name}: ccxt states its precision in significant digits, which no tick follows from")


def _needed(name: InstrumentId, what: str, value: Any) -> Decimal:
    read = number(value)
    if read is None:
        raise FeedError(f"{name}: ccxt states no {what}; this market cannot be traded")
    return read


def _percent_price(market: Market) -> tuple[Decimal, Decimal]:
    """Lowest and highest price over the reference, where the venue states a filter that is read here."""
    filters = market["info"].get("filters") if isinstance(market["info"], Mapping) else None
    for one in filters if isinstance(filters, list) else ():
        ups = [number(one.get(key)) for key in ("multiplierUp", "bidMultiplierUp", "askMultiplierUp")]
        downs = [number(one.get(key)) for key in ("multiplierDown", "bidMultiplierDown", "askMultiplierDown")]
        up, down = [x for x in ups if x is not None], [x for x in downs if x is not None]
        if up and down:
            return max(down), min(up)
    return _ANY_PRICE
