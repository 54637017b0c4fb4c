"""Values that together cannot be meant are refused, and those that hardly are meant are told."""

from __future__ import annotations

import pytest

from bot.contradictions import coin_of, paper_cash, warnings
from bot.knobs import PREFIX
from bot.model.ids import InstrumentId
from tests.test_settings import config_of, refusal

# the clip of the settings that are needed is 5,000, its limits leave room for two
TABLE: list[tuple[dict[str, str], tuple[str, ...]]] = [
    (
        {"STRATEGY__ENTRY_GAP_BPS": "10", "STRATEGY__EXIT_GAP_BPS": "15"},
        ("STRATEGY__EXIT_GAP_BPS=15 ", "STRATEGY__ENTRY_GAP_BPS=10:"),
    ),
    (
        {"STRATEGY__ENTRY_CARRY_APR": "0.05", "STRATEGY__EXIT_CARRY_APR": "0.4"},
        ("STRATEGY__EXIT_CARRY_APR=0.4 ", "STRATEGY__ENTRY_CARRY_APR=0.05:"),
    ),
    (
        # the exit's default is 0
        {"STRATEGY__ENTRY_CARRY_APR": "-0.01", "STRATEGY__EXPECTED_FUNDING": "estimate"},
        ("STRATEGY__EXIT_CARRY_APR=0 ", "STRATEGY__ENTRY_CARRY_APR=-0.01:"),
    ),
    (
        {"PAIR_CAPITAL_QUOTE": "BTC=60001,ETH=10000"},
        ("PAIR_CAPITAL_QUOTE gives BTC 60001", "LIMITS__PAIR_NOTIONAL_MAX_QUOTE=60000:"),
    ),
    (
        {"LIMITS__PAIR_NOTIONAL_MAX_QUOTE": "4999", "PAIR_CAPITAL_QUOTE": "BTC=4000,ETH=4000"},
        ("STRATEGY__CLIP_QUOTE=5000 ", "LIMITS__PAIR_NOTIONAL_MAX_QUOTE=4999:"),
    ),
    (
        {"LIMITS__VENUE_NOTIONAL_MAX_QUOTE": "9999"},
        ("LIMITS__VENUE_NOTIONAL_MAX_QUOTE=9999 ", "STRATEGY__CLIP_QUOTE=5000)"),
    ),
    (
        {"LIMITS__GROSS_NOTIONAL_MAX_QUOTE": "9999"},
        ("LIMITS__GROSS_NOTIONAL_MAX_QUOTE=9999 ", "STRATEGY__CLIP_QUOTE=5000)"),
    ),
    (
        {"FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "9999"},
        ("FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE=9999 ", "STRATEGY__CLIP_QUOTE=5000)"),
    ),
    (
        {"FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "9999", "FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "9999"},
        ("FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE=9999 is below", "STRATEGY__CLIP_QUOTE=5000)"),
    ),
    (
        {"FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "23999", "FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "23000"},
        ("FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE=23999 ", "LIMITS__PAIR_NOTIONAL_MAX_QUOTE=60000 are 240000"),
    ),
    (
        {"FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "99999"},
        ("FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE=99999 ", "FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE=100000:"),
    ),
    (
        {"FUSE__CLOSING_ORDERS_PER_MIN": "119"},
        ("FUSE__CLOSING_ORDERS_PER_MIN=119 ", "FUSE__OPENING_ORDERS_PER_MIN=120:"),
    ),
    (
        {"MARGIN__OPENING_RATIO_MIN": "2.9"},
        ("MARGIN__OPENING_RATIO_MIN=2.9 ", "LIMITS__MARGIN_RATIO_MIN=3:"),
    ),
    (
        {"MARGIN__OPENING_DISTANCE_MIN": "0.14"},
        ("MARGIN__OPENING_DISTANCE_MIN=0.14 ", "LIMITS__LIQUIDATION_DISTANCE_MIN=0.15:"),
    ),
    (
        {"MARGIN__DELEVERAGE_RATIO": "3.1"},
        ("LIMITS__MARGIN_RATIO_MIN=3 ", "MARGIN__DELEVERAGE_RATIO=3.1:"),
    ),
    (
        {"MARGIN__DELEVERAGE_DISTANCE": "0.2"},
        ("LIMITS__LIQUIDATION_DISTANCE_MIN=0.15 ", "MARGIN__DELEVERAGE_DISTANCE=0.2:"),
    ),
    (
        {"MODE": "rehearsal", "STRATEGY__COIN_MARGIN": "spot_leg"},
        ("STRATEGY__COIN_MARGIN=spot_leg ", "MODE is rehearsal:"),
    ),
    (
        {"STRATEGY__HOLD_MIN_S": "1000", "STRATEGY__HOLD_MAX_S": "10"},
        ("STRATEGY__HOLD_MAX_S=10 ", "STRATEGY__HOLD_MIN_S=1000"),
    ),
    (
        {
            "PAIRS": "BTC=binance:spot:BTCUSDT/binance:usdm:ETHUSDT",
            "PAIR_CAPITAL_QUOTE": "BTC=10000",
        },
        ("PAIRS has the pair BTC of binance:spot:BTCUSDT and binance:usdm:ETHUSDT", "of BTC and ETH,"),
    ),
]


@pytest.mark.parametrize(("variables", "words"), TABLE)
def test_a_contradiction_is_refused_and_names_both_variables(
    variables: dict[str, str], words: tuple[str, ...]
) -> None:
    sentence = refusal(**{PREFIX + name: value for name, value in variables.items()})
    assert all(one in sentence for one in words), sentence


@pytest.mark.parametrize(
    "variables",
    [
        {"STRATEGY__ENTRY_GAP_BPS": "10", "STRATEGY__EXIT_GAP_BPS": "10"},
        {"STRATEGY__EXIT_GAP_BPS": "15"},  # without an entry it is no exit above one
        {"PAIR_CAPITAL_QUOTE": "BTC=60000,ETH=10000"},
        {"LIMITS__VENUE_NOTIONAL_MAX_QUOTE": "10000"},
        {"LIMITS__GROSS_NOTIONAL_MAX_QUOTE": "10000"},
        {"FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "10000"},
        {"FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "24000", "FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "24000"},
        {"FUSE__CLOSING_ORDERS_PER_MIN": "120"},
        {"STRATEGY__HOLD_MIN_S": "1000", "STRATEGY__HOLD_MAX_S": "1000"},
        {"STRATEGY__HOLD_MIN_S": "1000"},  # 0 is no longest hold
        {"STRATEGY__ENTRY_CARRY_APR": "-0.01"},  # the exit's default is not read by the switch
        {
            "PAIRS": "BTC=binance:spot:BTCUSDT/okx:linear:BTC-USDT-SWAP",
            "PAIR_CAPITAL_QUOTE": "BTC=10000",
            "LIMITS__VENUE_NOTIONAL_MAX_QUOTE": "5000",  # one leg a venue
        },
    ],
)
def test_what_is_on_the_edge_is_taken(variables: dict[str, str]) -> None:
    config_of(**{PREFIX + name: value for name, value in variables.items()})


@pytest.mark.parametrize(
    ("balances", "words"),
    [
        ("binance:spot:USDT=4999.9,binance:usdm:USDT=5000", ["binance:spot 4999.9 of cash"]),
        ("binance:spot:USDT=5000,binance:usdm:USDT=1666", ["binance:usdm 1666 of cash"]),
        ("binance:spot:BTC=1,binance:usdm:USDT=1", ["binance:spot 0 of cash", "binance:usdm 1 of cash"]),
        ("binance:spot:USDT=3000,binance:spot:USDC=2000,binance:usdm:USDT=1667", []),
    ],
)
def test_paper_money_below_a_clip_is_refused(balances: str, words: list[str]) -> None:
    found = list(paper_cash(config_of(BASISBOT_PAPER_BALANCES=balances)))
    assert len(found) == len(words)
    for sentence, word in zip(found, words, strict=True):
        assert f"{PREFIX}PAPER_BALANCES gives {word}" in sentence
        assert f"{PREFIX}STRATEGY__CLIP_QUOTE=5000" in sentence


def test_coins_that_are_margin_have_no_price_here() -> None:
    inverse = config_of(
        BASISBOT_PAIRS="BTC=binance:spot:BTCUSDT/binance:coinm:BTCUSD_PERP",
        BASISBOT_PAIR_CAPITAL_QUOTE="BTC=10000",
        BASISBOT_PAPER_BALANCES="binance:spot:USDT=5000,binance:coinm:BTC=0.1",
    )
    assert list(paper_cash(inverse)) == []


@pytest.mark.parametrize(
    ("leg", "coin"),
    [
        ("binance:spot:BTCUSDT", "BTC"),
        ("binance:usdm:1000PEPEUSDT", "1000PEPE"),
        ("binance:coinm:BTCUSD_PERP", "BTC"),
        ("binance:coinm:ETHUSD_261225", "ETH"),
        ("okx:linear:BTC-USDT-SWAP", "BTC"),
        ("kraken:spot:XXBTZUSD", ""),  # not read: a venue names its coins as it likes
        ("binance:spot:ETHBTC", ""),
    ],
)
def test_a_symbol_names_its_coin(leg: str, coin: str) -> None:
    assert coin_of(InstrumentId(leg)) == coin


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ("STRATEGY__ENTRY_CARRY_APR and ", "STRATEGY__ENTRY_GAP_BPS are both empty")),
        ({"STRATEGY__ENTRY_CARRY_APR": "10"}, ("STRATEGY__ENTRY_CARRY_APR=10 ", "1000 %")),
        (
            {"STRATEGY__ENTRY_CARRY_APR": "0.1", "STRATEGY__EXIT_CARRY_APR": "0.01"},
            ("STRATEGY__EXIT_CARRY_APR=0.01 is not read", "STRATEGY__EXPECTED_FUNDING is settled"),
        ),
        (
            {"STRATEGY__ENTRY_CARRY_APR": "0.1", "STRATEGY__HOLD_PLANNED_H": "720"},
            ("STRATEGY__HOLD_PLANNED_H=720 is not read", "STRATEGY__EXPECTED_FUNDING is settled"),
        ),
        (
            {"STRATEGY__ENTRY_GAP_BPS": "10", "STRATEGY__BORROW_APR": "2.5"},
            ("STRATEGY__BORROW_APR=2.5 ", "250 %"),
        ),
        (
            {
                "STRATEGY__ENTRY_GAP_BPS": "10",
                "STRATEGY__LEG_POLICY": "sequenced",
                "LIMITS__NET_DELTA_MAX_QUOTE": "4999",
            },
            (
                "STRATEGY__LEG_POLICY=sequenced ",
                "LIMITS__NET_DELTA_MAX_QUOTE=4999 ",
                "STRATEGY__CLIP_QUOTE=5000:",
            ),
        ),
    ],
)
def test_what_is_hardly_meant_is_told(variables: dict[str, str], words: tuple[str, ...]) -> None:
    (sentence,) = warnings(config_of(**{PREFIX + name: value for name, value in variables.items()}))
    assert all(one in sentence for one in words), sentence


@pytest.mark.parametrize(
    "variables",
    [
        {"STRATEGY__ENTRY_CARRY_APR": "2"},
        {"STRATEGY__ENTRY_GAP_BPS": "10", "LIMITS__NET_DELTA_MAX_QUOTE": "4999"},
        {"STRATEGY__ENTRY_GAP_BPS": "10", "STRATEGY__LEG_POLICY": "sequenced"},
        {
            "STRATEGY__ENTRY_CARRY_APR": "0.1",
            "STRATEGY__HOLD_PLANNED_H": "720",
            "STRATEGY__EXPECTED_FUNDING": "estimate",
        },
    ],
)
def test_what_is_meant_is_not_told(variables: dict[str, str]) -> None:
    assert list(warnings(config_of(**{PREFIX + name: value for name, value in variables.items()}))) == []
