"""Instruments from the venue's own JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.binance.instruments import instruments, read_source
from adapters.errors import FeedError
from bot.model.config import FeeRate
from bot.model.ids import InstrumentId
from bot.model.instrument import Bracket, Kind

D = Decimal
SPOT, USDM, COINM, DATED = (
    InstrumentId(name)
    for name in (
        "binance:spot:BTCUSDT",
        "binance:usdm:BTCUSDT",
        "binance:coinm:BTCUSD_PERP",
        "binance:coinm:BTCUSD_240927",
    )
)
FEES = {market: FeeRate(D("0.001"), D("0.002")) for market in ("spot", "usdm", "coinm")}
Json = dict[str, Any]


def spot() -> Json:
    return {
        "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "5", "bidMultiplierDown": "0.2",
             "askMultiplierUp": "4", "askMultiplierDown": "0.1"},
            {"filterType": "NOTIONAL", "minNotional": "5.0"},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
        ],
    }  # fmt: skip


def usdm() -> Json:
    return {
        "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
        "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
    }  # fmt: skip


def coinm(symbol: str = "BTCUSD_PERP", contract: str = "PERPETUAL") -> Json:
    return {
        "symbol": symbol, "baseAsset": "BTC", "quoteAsset": "USD", "marginAsset": "BTC",
        "contractType": contract, "contractSize": 100,
        "deliveryDate": 4133404800000 if contract == "PERPETUAL" else 1727424000000,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
            {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "1000000", "stepSize": "1"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95"},
        ],
    }  # fmt: skip


def source(*symbols: Json, **more: Any) -> tuple[str, bytes]:
    return "venue.json", json.dumps({"exchangeInfo": {"symbols": symbols}, **more}).encode()


def test_a_spot_instrument() -> None:
    found = instruments([source(spot())], [SPOT], FEES)[SPOT]
    assert (found.kind, found.inverse, found.margin_asset, found.contract_size) == (
        Kind.SPOT,
        False,
        "USDT",
        D(1),
    )
    assert (found.tick, found.lot, found.qty_min, found.qty_max) == (
        D("0.01"),
        D("0.00001"),
        D("0.00001"),
        D(9000),
    )
    assert (found.notional_min, found.price_up, found.price_down) == (D(5), D(4), D("0.2"))
    assert (found.brackets, found.expiry_ns, found.funding_interval_h) == ((), None, 0)


def test_a_linear_perpetual_with_brackets() -> None:
    tier = {
        "initialLeverage": 125,
        "notionalFloor": 0,
        "notionalCap": 50000,
        "maintMarginRatio": 0.004,
        "cum": 0.5,
    }
    described = source(usdm(), leverageBracket=[{"symbol": "BTCUSDT", "brackets": [tier]}])
    found = instruments([described], [USDM], FEES)[USDM]
    assert (found.kind, found.quote, found.notional_min, found.funding_interval_h) == (
        Kind.PERP,
        "USDT",
        D(100),
        8,
    )
    assert (found.price_up, found.price_down, found.expiry_ns) == (D("1.05"), D("0.95"), None)
    assert found.brackets == (Bracket(D(0), D(50000), D("0.004"), D("0.5"), 125),)


def test_an_inverse_perpetual_and_a_dated_contract() -> None:
    tier = {"initialLeverage": 100, "qtyFloor": 0, "qtyCap": 5, "maintMarginRatio": "0.005", "cum": "0"}
    brackets = [{"symbol": "BTCUSD_PERP", "brackets": [tier]}]
    described = source(coinm(), coinm("BTCUSD_240927", "CURRENT_QUARTER"), leverageBracket=brackets)
    found = instruments([described], [COINM, DATED], FEES)
    perpetual, dated = found[COINM], found[DATED]
    assert (perpetual.inverse, perpetual.contract_size, perpetual.notional_min) == (True, D(100), D(0))
    assert (perpetual.margin_asset, perpetual.brackets[0].cap, perpetual.expiry_ns) == ("BTC", D(5), None)
    assert (dated.kind, dated.expiry_ns, dated.funding_interval_h) == (Kind.DATED, 1727424000000_000_000, 0)
    assert dated.brackets == ()


def test_a_bare_answer_and_what_stands_in_another_file() -> None:
    bare = ("bare.json", json.dumps({"timezone": "UTC", "symbols": [usdm(), spot()]}).encode())
    rates = [{"symbol": "BTCUSDT", "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0005"}]
    futures = source(commissionRate=rates, fundingInfo=[{"symbol": "BTCUSDT", "fundingIntervalHours": 4}])
    cash = source(
        commissionRate=[{"symbol": "BTCUSDT", "standardCommission": {"maker": "0.001", "taker": "0.003"}}]
    )
    found = instruments([bare, futures, cash], [SPOT, USDM], {})
    assert (found[USDM].maker_rate, found[USDM].taker_rate) == (D("0.0002"), D("0.0005"))
    assert (found[SPOT].maker_rate, found[SPOT].taker_rate) == (D("0.001"), D("0.003"))
    assert (found[USDM].funding_interval_h, found[SPOT].funding_interval_h) == (4, 0)


def test_given_fees_override_and_the_earlier_source_holds() -> None:
    rates = [{"symbol": "BTCUSDT", "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0005"}]
    later = usdm()
    later["filters"][0]["tickSize"] = "0.5"
    found = instruments([source(usdm(), commissionRate=rates), source(later)], [USDM], FEES)[USDM]
    assert (found.taker_rate, found.tick) == (D("0.002"), D("0.10"))


def test_a_spot_filter_of_the_older_name() -> None:
    older = spot()
    older["filters"][3] = {"filterType": "MIN_NOTIONAL", "minNotional": "10"}
    assert instruments([source(older)], [SPOT], FEES)[SPOT].notional_min == D(10)


def changed(make: Callable[[], Json], change: Callable[[Json], object]) -> tuple[str, bytes]:
    symbol = make()
    change(symbol)
    return source(symbol)


def drop(number: int) -> Callable[[Json], object]:
    return lambda symbol: symbol["filters"].pop(number)


def lot(step: str) -> Callable[[Json], object]:
    return lambda symbol: symbol["filters"][1].update(stepSize=step)


HALF_TIER = {"initialLeverage": 1, "maintMarginRatio": 0.1, "cum": 0, "notionalFloor": 0}
HALF_BRACKETS = [{"symbol": "BTCUSDT", "brackets": [HALF_TIER]}]
BAD = [
    (SPOT, source(), r"^binance:spot:BTCUSDT is described nowhere \(looked in venue.json\); name its"),
    (SPOT, ("x.json", b"{"), r"^x.json: is not Binance's exchange information \(.*\); correct"),
    (SPOT, ("x.json", b"[]"), r"^x.json: is not Binance's exchange information"),
    (SPOT, ("x.json", b"{}"), r"^x.json: holds no exchangeInfo; name a file"),
    (SPOT, changed(spot, drop(2)), r"no filter PERCENT_PRICE or PERCENT_PRICE_BY_SIDE"),
    (SPOT, changed(spot, drop(3)), r"no filter NOTIONAL or MIN_NOTIONAL"),
    (SPOT, changed(spot, lambda s: s["filters"][0].pop("tickSize")), r"has no tickSize in its"),
    (USDM, changed(usdm, lot("0")), r"has stepSize 0 .* above zero"),
    (USDM, changed(usdm, lot("NaN")), r"has stepSize NaN .* above zero"),
    (USDM, changed(usdm, lot("x")), r"BTCUSDT cannot be read: .*; correct its file, or leave it out"),
    (USDM, changed(usdm, lot("1e999999999")), r"has a lot that is no number of this world"),
    (USDM, changed(usdm, lambda s: s.pop("marginAsset")), r"has no marginAsset"),
    (USDM, changed(usdm, lambda s: s.update(contractType="DELIVERING")), r"contract type 'DELIVERING'"),
    (COINM, changed(coinm, lambda s: s.update(contractSize=0)), r"has contractSize 0 .* above zero"),
    (USDM, source(usdm(), leverageBracket=HALF_BRACKETS), r"has no notionalCap or qtyCap of a bracket"),
]


@pytest.mark.parametrize(("wanted", "given", "message"), BAD)
def test_what_is_missing_or_wrong_is_an_error(
    wanted: InstrumentId, given: tuple[str, bytes], message: str
) -> None:
    with pytest.raises(FeedError, match=message):
        instruments([given], [wanted], FEES)


def test_fees_that_nobody_gives_are_an_error() -> None:
    with pytest.raises(
        FeedError, match=r"^binance:spot:BTCUSDT has no fee rates; set BASISBOT_PAPER_FEES_BPS"
    ):
        instruments([source(spot())], [SPOT], {})


def test_no_source_at_all_is_said() -> None:
    with pytest.raises(
        FeedError, match="looked in nothing: no file was given and no feed holds an exchangeInfo"
    ):
        instruments([], [SPOT], FEES)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"absent.json: cannot be read .*; check --instruments"):
        read_source(tmp_path / "absent.json")
    (tmp_path / "venue.json").write_bytes(source(spot())[1])
    assert SPOT in instruments([read_source(tmp_path / "venue.json")], [SPOT], FEES)


def test_real_answers_are_read(recordings: Path) -> None:
    import gzip

    routes = json.loads(
        gzip.decompress((recordings / "wire/gocryptotrader/binance_public_rest.json.gz").read_bytes())
    )
    for route, wanted in (("/api/v3/exchangeInfo", SPOT), ("/dapi/v1/exchangeInfo", COINM)):
        answer = json.dumps(routes[route][0]["data"]).encode()
        found = instruments([(route, answer)], [wanted], FEES)[wanted]
        assert found.base == "BTC"
        assert found.tick > 0
