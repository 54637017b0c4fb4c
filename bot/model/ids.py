"""Names of things: instruments, accounts, pairs, orders.

Every name is a plain string so that it can be a dictionary key, a JSON value and a log field without
conversion.  The parts of an instrument's name are joined by ``:`` and always in the same order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

InstrumentId = NewType("InstrumentId", str)  # "binance:usdm:BTCUSDT"
AccountId = NewType("AccountId", str)  # "binance:usdm", one wallet of one venue
PairName = NewType("PairName", str)  # "BTC"
ClientId = NewType("ClientId", str)  # an order's name, chosen by us: [a-z0-9]{1,32}

RUN_ID_LENGTH = 8  # characters of an order's name, behind the tag, that say which run sent it
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def instrument_id(venue: str, market: str, symbol: str) -> InstrumentId:
    return InstrumentId(f"{venue}:{market}:{symbol}")


@lru_cache(maxsize=4096)
def account_of(instrument: InstrumentId) -> AccountId:
    """The wallet that an instrument is traded from: its name without the symbol."""
    return AccountId(instrument.rsplit(":", 1)[0])


def symbol_of(instrument: InstrumentId) -> str:
    return instrument.rsplit(":", 1)[1]


def market_of(instrument: InstrumentId) -> str:
    """The market family of an instrument: ``spot``, ``usdm``, ``coinm``."""
    return instrument.split(":", 2)[1]


def base36(number: int) -> str:
    """``number`` ≥ 0 in base 36, lower case."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if number == 0:
            return digits


def client_id(bot_tag: str, run_id: str, order: int) -> ClientId:
    """An order's name: 4 characters of tag, 8 of run, then the order counter in base 36."""
    return ClientId(f"{bot_tag}{run_id}{base36(order)}")
