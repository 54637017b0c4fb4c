"""Mark, index and rate from as many answers as an exchange needs for them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters.ccxt.desk import Leg
from adapters.ccxt.exchange import library
from adapters.ccxt.prices import read_prices
from adapters.marks import MarkUpdate
from bot.model.instrument import Kind
from tests.adapters.paper.build import LINEAR

D = Decimal
NOW_NS, TOLD_NS, NEXT_NS = 1_000_000_000, 5_000_000, 7_000_000
RATE = {"fundingRate": "0.0001", "fundingTimestamp": 7, "timestamp": 5}
WHOLE = {"markPrice": "101", "indexPrice": "100"}
CANDLES = [[60_000, "1", "1", "1", "99", None], [0, "1", "1", "1", "98", None]]


class Told:
    """An exchange that knows the given answers, and what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.has = dict.fromkeys(
            ("fetchFundingRate", "fetchMarkPrice", "fetchTicker", "fetchMarkOHLCV", "fetchIndexOHLCV"), False
        )
        self.has |= {name: True for name in answers if name in self.has}
        self.asked: list[str] = []
        self._answers = answers

    async def fetch_funding_rate(self, symbol: str) -> Any:
        return self._told("fetchFundingRate")

    async def fetch_mark_price(self, symbol: str) -> Any:
        return self._told("fetchMarkPrice")

    async def fetch_ticker(self, symbol: str) -> Any:
        return self._told("fetchTicker")

    async def fetch_mark_ohlcv(self, symbol: str, timeframe: str) -> Any:
        return self._told("fetchMarkOHLCV")

    async def fetch_index_ohlcv(self, symbol: str, timeframe: str) -> Any:
        return self._told("fetchIndexOHLCV")

    def _told(self, name: str) -> Any:
        self.asked.append(name)
        if isinstance(self._answers[name], Exception):
            raise self._answers[name]
        return self._answers[name]


@pytest.mark.parametrize(
    ("exchange", "asked", "mark", "index"),
    [
        (Told(fetchFundingRate={**RATE, **WHOLE}), 1, D(101), D(100)),
        (Told(fetchFundingRate=RATE, fetchMarkPrice=WHOLE), 2, D(101), D(100)),
        (Told(fetchFundingRate=RATE, fetchTicker=WHOLE), 2, D(101), D(100)),
        (Told(fetchFundingRate={**RATE, "markPrice": "102"}, fetchTicker=WHOLE), 2, D(102), D(100)),
        (
            Told(fetchFundingRate=RATE, fetchMarkPrice={"markPrice": "101"}, fetchIndexOHLCV=CANDLES),
            3, D(101), D(99),
        ),
        (Told(fetchFundingRate=RATE, fetchMarkOHLCV=CANDLES, fetchIndexOHLCV=[]), 3, D(99), None),
        (Told(fetchFundingRate=RATE), 1, None, None),
    ],
)  # fmt: skip
def test_nothing_is_asked_that_is_known_and_nothing_invented(
    exchange: Told, asked: int, mark: Decimal | None, index: Decimal | None
) -> None:
    leg = Leg(LINEAR, "BTC/USDT:USDT", {})
    update = asyncio.run(read_prices(exchange, leg, NOW_NS))
    assert update == MarkUpdate(TOLD_NS, mark, index, D("0.0001"), NEXT_NS)
    assert len(exchange.asked) == asked


def test_a_settlement_is_announced_in_one_of_two_words_or_not_at_all() -> None:
    leg = Leg(LINEAR, "BTC/USDT:USDT", {})
    told = {**WHOLE, "fundingRate": "0.0001", "timestamp": None}
    later = Told(fetchFundingRate={**told, "nextFundingTimestamp": 7})
    whole = MarkUpdate(NOW_NS, D(101), D(100), D("0.0001"), NEXT_NS)
    assert asyncio.run(read_prices(later, leg, NOW_NS)) == whole
    unannounced = Told(fetchFundingRate=told)
    silent = msgspec.structs.replace(whole, next_ns=0)
    assert asyncio.run(read_prices(unannounced, leg, NOW_NS)) == silent


def test_what_has_no_rate_is_not_asked_for_one() -> None:
    dated = Leg(msgspec.structs.replace(LINEAR, kind=Kind.DATED), "BTC/USDT:USDT-271231", {})
    for leg in (dated, Leg(LINEAR, "BTC/USDT:USDT", {})):
        ticker = Told(fetchTicker=WHOLE)
        assert asyncio.run(read_prices(ticker, leg, NOW_NS)) == MarkUpdate(NOW_NS, D(101), D(100))
        assert ticker.asked == ["fetchTicker"]


@pytest.mark.parametrize("kind", ["BadSymbol", "NotSupported", "BadRequest"])
def test_a_refused_question_takes_nothing_from_what_was_told(kind: str) -> None:
    leg, refusal = Leg(LINEAR, "BTC/USDT:USDT", {}), getattr(library(), kind)("no such candles")
    some = Told(fetchFundingRate={**RATE, "markPrice": "101"}, fetchTicker=refusal, fetchIndexOHLCV=refusal)
    whole = MarkUpdate(TOLD_NS, D(101), None, D("0.0001"), NEXT_NS)
    assert asyncio.run(read_prices(some, leg, NOW_NS)) == whole
    later = Told(fetchFundingRate=refusal, fetchTicker=WHOLE)
    assert asyncio.run(read_prices(later, leg, NOW_NS)) == MarkUpdate(NOW_NS, D(101), D(100))
    with pytest.raises(type(refusal)):
        asyncio.run(read_prices(Told(fetchFundingRate=refusal, fetchTicker=refusal), leg, NOW_NS))
