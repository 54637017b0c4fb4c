"""Six coins as Binance and Bybit list them: spot, USD-M, COIN-M and a second linear venue.

Lots, ticks, minimum quantities and notionals are those of the venues' public exchange information; price
bands are the percent-price filters.  What must stay true: each filter is one that a venue has, because a
rule that holds for round numbers alone is the fault that this package looks for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from bot.model.ids import InstrumentId
from bot.model.instrument import Bracket, Instrument, Kind

D = Decimal


class Filter(NamedTuple):
    """``lot`` is also the minimum quantity; ``notional`` in quote currency."""

    lot: str
    tick: str
    notional: str


class Coin(NamedTuple):
    """``price`` in USDT; ``face`` is the value of a COIN-M contract in USD; ``band`` the contracts' percent
    price."""

    base: str
    price: float
    spot: Filter
    usdm: Filter
    bybit: Filter
    face: str
    coinm_tick: str
    band: str


COINS = (
    Coin("BTC", 60_000.0, Filter("0.00001", "0.01", "5"), Filter("0.001", "0.1", "100"),
         Filter("0.001", "0.1", "5"), "100", "0.1", "0.05"),
    Coin("ETH", 2_500.0, Filter("0.0001", "0.01", "5"), Filter("0.001", "0.01", "20"),
         Filter("0.01", "0.01", "5"), "10", "0.01", "0.05"),
    Coin("SOL", 150.0, Filter("0.001", "0.01", "5"), Filter("1", "0.01", "5"),
         Filter("0.1", "0.01", "5"), "10", "0.01", "0.1"),
    Coin("DOGE", 0.2, Filter("1", "0.00001", "5"), Filter("1", "0.00001", "5"),
         Filter("1", "0.00001", "5"), "10", "0.00001", "0.1"),
    Coin("XRP", 0.6, Filter("0.1", "0.0001", "5"), Filter("0.1", "0.0001", "5"),
         Filter("0.1", "0.0001", "5"), "10", "0.0001", "0.1"),
    Coin("ADA", 0.4, Filter("0.1", "0.0001", "5"), Filter("1", "0.0001", "5"),
         Filter("1", "0.0001", "5"), "10", "0.0001", "0.1"),
)  # fmt: skip

KINDS = ("spot/linear", "spot/inverse", "linear/linear", "linear/inverse")


def legs(coin: Coin, kind: str) -> tuple[Instrument, Instrument]:
    """The long and the short leg of a pair of this kind."""
    long, short = kind.split("/")
    made = {
        "spot": _spot(coin),
        "linear": _linear(coin, "binance:usdm", coin.usdm),
        "inverse": _inverse(coin),
    }
    if kind == "linear/linear":
        return made["linear"], _linear(coin, "bybit:linear", coin.bybit)
    return made[long], made[short]


def _spot(coin: Coin) -> Instrument:
    name = InstrumentId(f"binance:spot:{coin.base}USDT")
    return _made(name, Kind.SPOT, coin, coin.spot, margin_asset="", bands=(D(5), D("0.2")))


def _linear(coin: Coin, account: str, rules: Filter) -> Instrument:
    name = InstrumentId(f"{account}:{coin.base}USDT")
    return _made(name, Kind.PERP, coin, rules, margin_asset="USDT", bands=_bands(coin))


def _inverse(coin: Coin) -> Instrument:
    name = InstrumentId(f"binance:coinm:{coin.base}USD_PERP")
    rules = Filter("1", coin.coinm_tick, "0")
    return _made(name, Kind.PERP, coin, rules, margin_asset=coin.base, bands=_bands(coin))


def _bands(coin: Coin) -> tuple[Decimal, Decimal]:
    return 1 + D(coin.band), 1 - D(coin.band)


def _made(
    name: InstrumentId,
    kind: Kind,
    coin: Coin,
    rules: Filter,
    *,
    margin_asset: str,
    bands: tuple[Decimal, Decimal],
) -> Instrument:
    is_spot, is_inverse = kind is Kind.SPOT, margin_asset == coin.base
    return Instrument(
        id=name,
        kind=kind,
        inverse=is_inverse,
        base=coin.base,
        quote="USD" if is_inverse else "USDT",
        margin_asset=margin_asset,
        contract_size=D(coin.face) if is_inverse else D(1),
        tick=D(rules.tick),
        lot=D(rules.lot),
        qty_min=D(rules.lot),
        qty_max=D(10**9) * D(rules.lot),
        notional_min=D(rules.notional),
        price_up=bands[0],
        price_down=bands[1],
        maker_rate=D("0.001") if is_spot else D("0.0002"),
        taker_rate=D("0.001") if is_spot else D("0.0005"),
        brackets=() if is_spot else _tiers(coin, is_inverse),
        funding_interval_h=0 if is_spot else 8,
    )


def _tiers(coin: Coin, is_inverse: bool) -> tuple[Bracket, ...]:
    """Three tiers of the size that the venues have; of an inverse contract in coins."""
    unit = D(repr(round(1.0 / coin.price, 6))) if is_inverse else D(1)
    caps = [D(0), 50_000 * unit, 600_000 * unit, 50_000_000 * unit]
    rates, tiers, cum = (D("0.004"), D("0.005"), D("0.01")), [], D(0)
    for number, rate in enumerate(rates):
        if number:
            cum += caps[number] * (rate - rates[number - 1])
        tiers.append(Bracket(caps[number], caps[number + 1], rate, cum, (125, 100, 50)[number]))
    return tuple(tiers)
