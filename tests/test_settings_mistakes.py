"""What is missing, wrong or contradictory is told at once, each by its variables."""

from __future__ import annotations

import pytest

from bot.knobs import ConfigError, knobs
from bot.settings import load
from tests.test_settings import NEEDED, config_of, refusal


def test_all_that_is_missing_and_all_that_is_wrong_is_told_at_once() -> None:
    required = [one.variable for one in knobs() if one.required]
    assert len(required) == 11
    with pytest.raises(ConfigError) as caught:
        load({"BASISBOT_MODE": "testnet"})
    assert str(caught.value) == (
        f"11 variables are not set: {', '.join(required)}; .env.example describes each"
    )
    wrong = {
        "BASISBOT_PAIRS": "BTC",
        "BASISBOT_STRATEGY__PATIENCE_S": "5s",
        "BASISBOT_LIMITS__LEVERAGE_MAX": "much",
        "BASISBOT_REHEARSAL_PORTS": "1",
        "BASISBOT_BINANCE_KEY_FILE": "absent",
    }
    without = {name: text for name, text in NEEDED.items() if "NAKED" not in name and "DELTA" not in name}
    with pytest.raises(ConfigError) as caught:
        load({**without, **wrong})
    *sentences, missing, _ = str(caught.value).split("; ")
    assert sorted(one.split("=")[0].split(" ")[0] for one in sentences) == sorted(wrong)
    assert missing == (
        "2 variables are not set: BASISBOT_LIMITS__NET_DELTA_MAX_QUOTE, BASISBOT_LIMITS__NAKED_MAX_QUOTE"
    )


def test_capital_that_cannot_be_read_is_one_mistake() -> None:
    sentence = refusal(BASISBOT_PAIR_CAPITAL_QUOTE="BTC=much,ETH=1")
    assert sentence.startswith("BASISBOT_PAIR_CAPITAL_QUOTE has BTC=much")
    assert "BASISBOT_PAIRS" not in sentence


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"BASISBOT_STOP_GRACE_S": "1"},
            ("BASISBOT_STOP_GRACE_S=1 ", "more than 6,", "BASISBOT_STRATEGY__PATIENCE_S=2 "),
        ),
        ({"BASISBOT_STRATEGY__REPAIR_ATTEMPTS": "27"}, ("BASISBOT_STOP_GRACE_S=30 ", "more than 30,")),
        (
            {"BASISBOT_STRATEGY__CLIP_QUOTE": "9000", "BASISBOT_LIMITS__ORDER_NOTIONAL_MAX_QUOTE": "8999.5"},
            ("BASISBOT_STRATEGY__CLIP_QUOTE=9000 ", "BASISBOT_LIMITS__ORDER_NOTIONAL_MAX_QUOTE=8999.5:"),
        ),
        (
            {"BASISBOT_STRATEGY__CLIP_QUOTE": "10001"},
            ("BASISBOT_STRATEGY__CLIP_QUOTE=10001 ", "BASISBOT_LIMITS__NAKED_MAX_QUOTE=10000:"),
        ),
    ],
)
def test_values_that_contradict_each_other_name_both_variables(
    variables: dict[str, str], words: tuple[str, ...]
) -> None:
    sentence = refusal(**variables)
    assert all(one in sentence for one in words), sentence


def test_values_on_the_edge_do_not_contradict_each_other() -> None:
    config = config_of(BASISBOT_STRATEGY__CLIP_QUOTE="10000", BASISBOT_STOP_GRACE_S="6.1")
    assert config.strategy.clip_quote == config.limits.naked_max_quote
