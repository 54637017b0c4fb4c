"""Compact forms: lists of pairs, capital, balances and fees, each in one variable.

``NAME=value`` items separated by commas.  A form that cannot be read raises `FormError`, whose text is the
end of a sentence that begins with the variable's name; `bot.settings` puts the two together.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal, InvalidOperation

from bot.model.config import Balance, FeeRate
from bot.model.ids import InstrumentId, PairName, market_of
from bot.model.money import BPS
from bot.model.pair import PairSpec

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_INSTRUMENT = re.compile(r"[a-z0-9]+:[a-z0-9]+:[A-Z0-9_-]+")
_MARKET = re.compile(r"[a-z0-9]+")
_FEE_MAX_BPS = 1000


class FormError(ValueError):
    """The text is not of the form; the message reads on after the variable's name."""


def parse_pairs(text: str, capital_quote: dict[str, Decimal]) -> tuple[PairSpec, ...]:
    """``NAME=venue:market:SYMBOL/venue:market:SYMBOL,…``, the long leg first, with the capital of each."""
    pairs = []
    contracts: dict[str, str] = {}
    for name, legs in _items(text):
        long, slash, short = legs.partition("/")
        if not _NAME.fullmatch(name) or not slash:
            raise FormError(f"has {name}={legs!r}, which is not NAME=long/short")
        for leg in (long, short):
            if not _INSTRUMENT.fullmatch(leg):
                raise FormError(f"has the leg {leg!r}, which is not of the form venue:market:SYMBOL")
        if long == short:
            raise FormError(f"has the pair {name} with the same leg twice")
        if market_of(InstrumentId(short)) == "spot":
            raise FormError(f"has the short leg {short}, but spot is not sold short: nothing here borrows it")
        for leg in (long, short):
            owner = contracts.setdefault(leg, name)
            if owner != name and market_of(InstrumentId(leg)) != "spot":
                raise FormError(f"gives {leg} to {owner} and to {name}, but a contract belongs to one pair")
        if name not in capital_quote:
            raise FormError(f"has the pair {name}, for which BASISBOT_PAIR_CAPITAL_QUOTE has no amount")
        pairs.append(PairSpec(PairName(name), InstrumentId(long), InstrumentId(short), capital_quote[name]))
    if not pairs:
        raise FormError("has no pair")
    return tuple(pairs)


def check_capital(capital_quote: dict[str, Decimal], pairs: tuple[PairSpec, ...]) -> None:
    """Every amount of capital is for a pair that exists."""
    known = [pair.name for pair in pairs]
    for name in capital_quote:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise FormError(f"has an amount for {name!r}, which is no pair of BASISBOT_PAIRS{hint}")


def parse_capital(text: str) -> dict[str, Decimal]:
    """``NAME=amount,…`` in quote currency, each > 0."""
    capital = {}
    for name, amount in _items(text):
        capital[name] = _number(name, amount)
        if capital[name] <= 0:
            raise FormError(f"has {name}={amount}, which is not > 0")
    return capital


def parse_balances(text: str) -> tuple[Balance, ...]:
    """``venue:market:ASSET=amount,…``, each ≥ 0."""
    balances = []
    for name, amount in _items(text):
        if not _INSTRUMENT.fullmatch(name):
            raise FormError(f"has {name!r}, which is not of the form venue:market:ASSET")
        account, _, asset = name.rpartition(":")
        value = _number(name, amount)
        if value < 0:
            raise FormError(f"has {name}={amount}, which is not ≥ 0")
        balances.append(Balance(account, asset, value))
    return tuple(balances)


def parse_fees_bps(text: str) -> dict[str, FeeRate]:
    """``market=maker/taker,…`` in basis points, a rebate negative; by market in alphabetical order."""
    fees = {}
    for market, rates in _items(text):
        maker, slash, taker = rates.partition("/")
        if not _MARKET.fullmatch(market) or not slash:
            raise FormError(f"has {market}={rates!r}, which is not market=maker/taker")
        values = [_number(market, rate) for rate in (maker, taker)]
        if max(map(abs, values)) > _FEE_MAX_BPS:
            raise FormError(f"has {market}={rates}, which is beyond {_FEE_MAX_BPS} basis points")
        fees[market] = FeeRate(values[0] * BPS, values[1] * BPS)
    return dict(sorted(fees.items()))


def _items(text: str) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not name or not value:
            raise FormError(f"has {item!r}, which is not NAME=value")
        if name in found:
            raise FormError(f"has {name} twice")
        found[name] = value
    return list(found.items())


def _number(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise FormError(f"has {name}={text}, which is not a decimal number") from None
    if not value.is_finite():
        raise FormError(f"has {name}={text}, which is not a finite number")
    return value
