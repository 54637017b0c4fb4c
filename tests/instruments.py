"""The three contracts that most tests trade: bitcoin at one venue as spot, linear and inverse perpetual.

Their numbers are of the size that the venue has; a test that turns on one of them gives its own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from bot.model.ids import InstrumentId, market_of
from bot.model.instrument import Bracket, Instrument, Kind

D = Decimal
SPOT = InstrumentId("binance:spot:BTCUSDT")
LINEAR = InstrumentId("binance:usdm:BTCUSDT")
INVERSE = InstrumentId("binance:coinm:BTCUSD_PERP")

LINEAR_TIERS = (
    Bracket(D(0), D(50_000), D("0.004"), D(0), 125),
    Bracket(D(50_000), D(600_000), D("0.005"), D(50), 100),
    Bracket(D(600_000), D(3_000_000), D("0.0065"), D(950), 75),
    Bracket(D(3_000_000), D(12_000_000), D("0.01"), D(11_450), 50),
    Bracket(D(12_000_000), D(70_000_000), D("0.02"), D(131_450), 25),
    Bracket(D(70_000_000), D(100_000_000), D("0.025"), D(481_450), 20),
)
INVERSE_TIERS = (
    Bracket(D(0), D(5), D("0.004"), D(0), 125),
    Bracket(D(5), D(10), D("0.005"), D("0.005"), 100),
    Bracket(D(10), D(200), D("0.01"), D("0.055"), 50),
)


def instrument(name: InstrumentId, **changes: Any) -> Instrument:
    """What ``name`` would be by its market; ``changes`` replaces fields."""
    made = Instrument(
        id=name, kind=Kind.PERP, inverse=False, base="BTC", quote="USDT", margin_asset="USDT",
        contract_size=D(1), tick=D("0.1"), lot=D("0.001"), qty_min=D("0.001"), qty_max=D(1000),
        notional_min=D(100), price_up=D("1.05"), price_down=D("0.95"), maker_rate=D("0.0002"),
        taker_rate=D("0.0005"), brackets=LINEAR_TIERS, funding_interval_h=8,
    )  # fmt: skip
    usual: dict[str, Any] = {}
    if market_of(name) == "spot":
        usual = {
            "kind": Kind.SPOT, "margin_asset": "", "tick": D("0.01"), "lot": D("0.00001"),
            "qty_min": D("0.00001"), "qty_max": D(9000), "notional_min": D(5), "price_up": D("1.2"),
            "price_down": D("0.8"), "maker_rate": D("0.001"), "taker_rate": D("0.001"), "brackets": (),
            "funding_interval_h": 0,
        }  # fmt: skip
    if market_of(name) == "coinm":
        usual = {
            "inverse": True, "quote": "USD", "margin_asset": "BTC", "contract_size": D(100), "lot": D(1),
            "qty_min": D(1), "qty_max": D(60_000), "notional_min": D(0), "brackets": INVERSE_TIERS,
        }  # fmt: skip
    return msgspec.structs.replace(made, **(usual | changes))
