"""What the examples say: settings that load, venue facts that agree with themselves, no path out of here."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.settings import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENV_FILES = sorted(path.name for path in EXAMPLES.glob("*.env"))
REHEARSED = "rehearsal.env"  # its instruments and its money are the servers'
REPLAYED = [name for name in ENV_FILES if name != REHEARSED]
MARKETS = ("spot", "usdm", "coinm")


def venue(market: str) -> Any:
    return msgspec.json.decode((EXAMPLES / "venue" / f"binance-{market}.json").read_bytes())


def filters(market: str) -> dict[str, dict[str, Any]]:
    [symbol] = venue(market)["exchangeInfo"]["symbols"]
    return {entry["filterType"]: entry for entry in symbol["filters"]}


def test_there_is_an_example_for_each_run() -> None:
    assert ENV_FILES == ["demo.env", "hft-inverse.env", "hft-linear.env", REHEARSED]


@pytest.mark.parametrize("name", REPLAYED)
def test_settings_load_and_name_only_files_that_are_here(name: str) -> None:
    settings = load({}, EXAMPLES / name)
    files = [*settings.instruments, *([settings.funding] if settings.funding else [])]
    assert files
    for path in files:
        assert path.resolve().is_relative_to(EXAMPLES)
        assert path.is_file()


@pytest.mark.parametrize("name", REPLAYED)
def test_every_leg_has_its_instrument_file_and_its_wallet(name: str) -> None:
    settings = load({}, EXAMPLES / name)
    listed = {
        f"binance:{path.stem.removeprefix('binance-')}:{symbol['symbol']}"
        for path in settings.instruments
        for symbol in msgspec.json.decode(path.read_bytes())["exchangeInfo"]["symbols"]
    }
    wallets = {balance.account for balance in settings.config.paper_balances}
    for pair in settings.config.pairs:
        assert {pair.long, pair.short} <= listed
        assert {leg.rpartition(":")[0] for leg in (pair.long, pair.short)} <= wallets


@pytest.mark.parametrize("name", ENV_FILES)
def test_a_clip_fits_its_limits_and_the_capital_fits_the_pair(name: str) -> None:
    mode = "rehearsal" if name == REHEARSED else "paper"
    config = load({"BASISBOT_MODE": mode}, EXAMPLES / name).config
    assert config.strategy.clip_quote < config.limits.order_notional_max_quote
    assert config.strategy.clip_quote < config.limits.naked_max_quote
    capital = [pair.capital_quote for pair in config.pairs]
    assert max(capital) < config.limits.pair_notional_max_quote
    assert 2 * sum(capital) < config.limits.gross_notional_max_quote
    assert 2 * sum(capital) < config.limits.venue_notional_max_quote


def test_clips_may_be_naked_for_a_moment_in_every_pair_of_the_rehearsal() -> None:
    config = load({"BASISBOT_MODE": "rehearsal"}, EXAMPLES / REHEARSED).config
    assert len(config.pairs) * config.strategy.clip_quote <= config.limits.net_delta_max_quote


@pytest.mark.parametrize("name", ENV_FILES)
def test_every_group_of_settings_says_why(name: str) -> None:
    for group in (EXAMPLES / name).read_text().strip().split("\n\n"):
        assert group.startswith("#"), group


def test_nothing_names_a_path_outside() -> None:
    for path in EXAMPLES.rglob("*"):
        if path.suffix in {".py", ".env", ".json", ".csv"}:
            text = path.read_text()
            assert ".." not in re.sub(r"\.\.\.", "", text), path
            assert not re.search(r"[\"'=]/(work|tmp|home|root)", text), path


@pytest.mark.parametrize(
    ("market", "tick", "lot", "notional"),
    [("spot", "0.01", "0.00001", "5"), ("usdm", "0.1", "0.001", "100"), ("coinm", "0.1", "1", None)],
)
def test_trading_rules(market: str, tick: str, lot: str, notional: str | None) -> None:
    rules = filters(market)
    assert Decimal(rules["PRICE_FILTER"]["tickSize"]) == Decimal(tick)
    assert Decimal(rules["LOT_SIZE"]["stepSize"]) == Decimal(lot)
    least = {"spot": ("NOTIONAL", "minNotional"), "usdm": ("MIN_NOTIONAL", "notional")}.get(market)
    found = Decimal(rules[least[0]][least[1]]) if least else None
    assert found == (None if notional is None else Decimal(notional))


def test_contract_of_the_inverse_perpetual() -> None:
    [symbol] = venue("coinm")["exchangeInfo"]["symbols"]
    assert (symbol["contractSize"], symbol["marginAsset"], symbol["quoteAsset"]) == (100, "BTC", "USD")


@pytest.mark.parametrize(("market", "unit"), [("usdm", "notional"), ("coinm", "qty")])
def test_brackets_join_and_their_maintenance_is_continuous(market: str, unit: str) -> None:
    [table] = venue(market)["leverageBracket"]
    tiers = table["brackets"]
    floor, rate, cum = Decimal(0), Decimal(0), Decimal(0)
    for number, tier in enumerate(tiers, 1):
        tier_rate = Decimal(str(tier["maintMarginRatio"]))
        assert tier["bracket"] == number
        assert tier[f"{unit}Floor"] == floor
        assert tier_rate > rate
        cum += floor * (tier_rate - rate)
        assert Decimal(str(tier["cum"])) == cum
        assert tier_rate * tier["initialLeverage"] <= Decimal("0.5")
        floor, rate = Decimal(tier[f"{unit}Cap"]), tier_rate


@pytest.mark.parametrize("market", MARKETS)
def test_facts_say_where_they_come_from(market: str) -> None:
    source = venue(market)["_source"]
    assert {"what", "rules", "commission", "checked"} <= set(source)
    assert source["checked"] == "2026-11-20"


def test_settlements_are_eight_hours_apart() -> None:
    with (EXAMPLES / "funding-btcusdt-20240808.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["ts_ms", "venue", "symbol", "funding_rate", "interval_h"]
    grid = [round(int(row["ts_ms"]) / 28_800_000) for row in rows]
    assert grid == list(range(grid[0], grid[0] + 6))
    assert all(abs(int(row["ts_ms"]) % 28_800_000) <= 1 for row in rows)
    assert {row["interval_h"] for row in rows} == {"8"}
    assert [row["funding_rate"] for row in rows if row["ts_ms"] == "1723161600000"] == ["0.00004994"]
