"""On what terms the simulated venue serves: latency, money at first, fees, and what may stand in for what.

A run's settings say them (`terms_of`); a rehearsal server, which has no strategy and no limits, says them by
itself.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from adapters.paper.references import Reference
from bot.model.config import Balance, Config

Missing = Literal["refuse", "zero", "last", "estimate"]


class Terms(Struct, frozen=True, kw_only=True):
    """``up_ms`` and ``down_ms`` are a command's way to the venue and its answer's way back.

    ``spot_margin``: coins in the spot wallet are collateral of inverse contracts too.  ``fees_set`` are the
    markets whose fees a setting gave, which only words the report.
    """

    balances: tuple[Balance, ...]
    up_ms: float = 0.0
    down_ms: float = 0.0
    spot_margin: bool = False
    fees_set: frozenset[str] = frozenset()
    reference: Reference = "none"
    missing_funding: Missing = "refuse"


def terms_of(config: Config) -> Terms:
    """What a run's settings say."""
    return Terms(
        balances=config.paper_balances,
        up_ms=config.paper_up_ms,
        down_ms=config.paper_down_ms,
        spot_margin=config.strategy.coin_margin == "spot_leg",
        fees_set=frozenset(config.paper_fees_bps),
        reference=config.paper_reference,
        missing_funding=config.paper_missing_funding,
    )
