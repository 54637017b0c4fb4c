"""How long the stock of a fee coin lasts.

An account that pays its fees in a coin of their own pays them in what it trades once that coin is used up:
dearer, and purchases then keep less than they buy.  Its rate is what fees took of it in the last 24 hours.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.model.money import ZERO
from bot.model.store import Account

HOUR_NS = 3_600_000_000_000
DAY_H = 24
LEVEL_H = 24.0  # a stock that lasts less is told


class FeeStock(Struct, frozen=True):
    """``balance`` of ``coin``, and the hours it lasts; ``None`` where no fee took of it in the last day."""

    coin: str
    balance: Decimal
    left_h: float | None


def fee_stock(account: Account, at_ns: int) -> FeeStock | None:
    """``None`` for an account that has no fee coin, as far as is known."""
    if not account.fee_coin:
        return None
    since = at_ns // HOUR_NS - DAY_H
    spent = sum((fee for hour, fee in account.fee_coin_hours.items() if hour > since), ZERO)
    balance = account.balances.get(account.fee_coin, ZERO)
    left_h = max(0.0, float(balance)) / float(spent) * DAY_H if spent > 0 else None
    return FeeStock(account.fee_coin, balance, left_h)
