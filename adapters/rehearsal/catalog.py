"""What the rehearsal venue lists: the venue's own descriptions, completed to the shape of its answers.

The files of ``examples/venue`` hold only the fields that the project uses.  A client of the real venue reads
more, so the rest is derived here from those (precisions from filters) or is the venue's usual word, and order
types are those that are served.  Only what is described whole, with fees and, for contracts, leverage tiers,
is listed.

Shapes: ``exchangeInfo`` of binance-sdk-spot 13.3.0, -derivatives-trading-usds-futures 18.1.0 and
-coin-futures 14.1.0 (PyPI, 2026-11-20); rate limits as published by the venue, read on the same day.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from adapters.binance.instruments import instruments
from adapters.binance.market import VENUE
from adapters.errors import FeedError
from bot.model.ids import InstrumentId, instrument_id
from bot.model.instrument import Instrument
from bot.model.money import text

MARKETS = ("spot", "usdm", "coinm")

Json = dict[str, Any]

_ORDERS_MAX = 200  # open at once on an instrument whose description does not say


def _limit(kind: str, interval: str, count: int, limit: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


RATE_LIMITS: Mapping[str, list[Json]] = {
    "spot": [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        _limit("ORDERS", "SECOND", 10, 100),
        _limit("ORDERS", "DAY", 1, 200_000),
        _limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
    ],
    "usdm": [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
        _limit("ORDERS", "MINUTE", 1, 1200),
        _limit("ORDERS", "SECOND", 10, 300),
    ],
    "coinm": [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
        _limit("ORDERS", "MINUTE", 1, 1200),
    ],
}


class Catalog:
    """Descriptions by market; JSON as the venue writes it."""

    def __init__(self, sources: Iterable[tuple[str, bytes]]) -> None:
        """``sources`` as for `adapters.binance.instruments.instruments`.  Raises `FeedError`."""
        self._sources = tuple(sources)
        self._symbols: dict[InstrumentId, Json] = {}
        self._brackets: dict[str, Json] = {}
        self._commissions: dict[InstrumentId, Json] = {}
        self._fundings: dict[str, Json] = {}
        self._traded: dict[InstrumentId, Instrument] = {}
        for name, data in self._sources:
            self._read(name, data)

    def instruments(self, markets: Collection[str]) -> dict[InstrumentId, Instrument]:
        """List what is described whole on ``markets``; from then on the other answers are of these."""
        wanted = [
            name
            for name, symbol in self._symbols.items()
            if _market_of(symbol) in markets
            and name in self._commissions
            and (_market_of(symbol) == "spot" or symbol["symbol"] in self._brackets)
        ]
        self._traded = instruments(self._sources, wanted, {}) if wanted else {}
        return self._traded

    def exchange_info(
        self, market: str, names: Collection[InstrumentId], statuses: Mapping[InstrumentId, str], now_ms: int
    ) -> Json:
        """The answer to exchangeInfo, of ``names`` alone."""
        listed = [name for name in self._traded if name in names]
        info: Json = {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": RATE_LIMITS[market],
            "exchangeFilters": [],
        }
        if market == "usdm":
            assets = dict.fromkeys(self._traded[name].margin_asset for name in listed)
            info["futuresType"] = "U_MARGINED"
            info["assets"] = [
                {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in assets
            ]
        info["symbols"] = [
            _COMPLETE[market](self._symbols[name], self._traded[name], statuses[name]) for name in listed
        ]
        return info

    def brackets(self, instrument: Instrument) -> list[Json]:
        """The leverage tiers of a contract, as ``leverageBracket`` has them."""
        tiers: list[Json] = self._brackets[instrument.id.rsplit(":", 1)[1]]["brackets"]
        return tiers

    def orders_max(self, name: InstrumentId) -> int:
        """How many orders an account may have open on an instrument (``MAX_NUM_ORDERS``)."""
        filters = {one["filterType"]: one for one in _filters(self._symbols[name])}
        most = filters["MAX_NUM_ORDERS"]
        return int(most["maxNumOrders"] if "maxNumOrders" in most else most["limit"])

    def filter_name(self, name: InstrumentId, kind: str) -> str:
        """What an instrument calls its filter of a kind: ``PERCENT_PRICE_BY_SIDE`` for ``PERCENT_PRICE``."""
        listed = [one["filterType"] for one in _filters(self._symbols[name])]
        return kind if kind in listed else next((one for one in listed if kind in one), kind)

    def contract_info(self, name: InstrumentId, status: str, now_ms: int) -> Json:
        """A frame of ``!contractInfo``; brackets never change here, and are left out as the venue does."""
        symbol = _future(self._symbols[name], self._traded[name], status, "status")
        return {
            "e": "contractInfo",
            "E": now_ms,
            "s": symbol["symbol"],
            "ps": symbol["pair"],
            "ct": symbol["contractType"],
            "dt": symbol["deliveryDate"],
            "ot": symbol["onboardDate"],
            "cs": status,
        }

    def funding_info(self, market: str) -> list[Json]:
        """The answer to ``fundingInfo``: perpetuals whose interval, cap or floor is not the usual one."""
        contracts = [one for one in self._traded.values() if one.id.startswith(f"{VENUE}:{market}:")]
        symbols = [one.id.rsplit(":", 1)[1] for one in contracts]
        return [self._fundings[symbol] for symbol in symbols if symbol in self._fundings]

    def _read(self, name: str, data: bytes) -> None:
        try:
            source: Json = msgspec.json.decode(data, type=dict)
            for symbol in source.get("exchangeInfo", source).get("symbols", ()):
                listed = instrument_id(VENUE, _market_of(symbol), symbol["symbol"])
                self._symbols.setdefault(listed, symbol)
            for tiers in source.get("leverageBracket", ()):
                self._brackets.setdefault(tiers["symbol"], tiers)
            for funding in source.get("fundingInfo", ()):
                self._fundings.setdefault(funding["symbol"], funding)
            for rates in source.get("commissionRate", ()):
                for market in ("spot",) if "standardCommission" in rates else ("usdm", "coinm"):
                    self._commissions.setdefault(instrument_id(VENUE, market, rates["symbol"]), rates)
        except (msgspec.DecodeError, AttributeError, KeyError, TypeError) as error:
            raise FeedError(
                f"{name}: is not Binance's exchange information ({error!r}); correct the file"
            ) from None


def _market_of(symbol: Json) -> str:
    """Only COIN-M states a contract size, only futures a contract type."""
    if "contractSize" in symbol:
        return "coinm"
    return "usdm" if "contractType" in symbol else "spot"


def decimals(step: Decimal) -> int:
    """Digits behind the point of a tick or lot."""
    return len(text(step).partition(".")[2])


def _filters(symbol: Json) -> list[Json]:
    """The filters of a description, completed."""
    filters: list[Json] = symbol["filters"]
    known = {one["filterType"] for one in filters}
    lot = next(one for one in filters if one["filterType"] == "LOT_SIZE")
    most = {"maxNumOrders" if _market_of(symbol) == "spot" else "limit": _ORDERS_MAX}
    added = ({**lot, "filterType": "MARKET_LOT_SIZE"}, {"filterType": "MAX_NUM_ORDERS", **most})
    return [*filters, *(one for one in added if one["filterType"] not in known)]


def _spot(symbol: Json, instrument: Instrument, status: str) -> Json:
    return {
        "symbol": symbol["symbol"],
        "status": status,
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(symbol),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
        **{name: value for name, value in symbol.items() if name not in ("filters", "status")},
    }


def _future(symbol: Json, instrument: Instrument, status: str, status_name: str) -> Json:
    return {
        "pair": symbol["symbol"].partition("_")[0],
        "onboardDate": 1_569_398_400_000,
        status_name: status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "pricePrecision": decimals(instrument.tick),
        "quantityPrecision": decimals(instrument.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "filters": _filters(symbol),
        **{name: value for name, value in symbol.items() if name not in ("filters", status_name)},
    }


def _usdm(symbol: Json, instrument: Instrument, status: str) -> Json:
    return {"settlePlan": 0, **_future(symbol, instrument, status, "status")}


def _coinm(symbol: Json, instrument: Instrument, status: str) -> Json:
    return {"equalQtyPrecision": 4, **_future(symbol, instrument, status, "contractStatus")}


_COMPLETE: Mapping[str, Callable[[Json, Instrument, str], Json]] = {
    "spot": _spot,
    "usdm": _usdm,
    "coinm": _coinm,
}
