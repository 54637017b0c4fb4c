"""What a living run takes over of changed settings, and what needs a restart."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Literal, get_args, get_origin

import pytest

from bot.knobs import PREFIX, ConfigError, Knob, knobs, render_env_example
from bot.settings import changes, load
from tests.test_settings import NEEDED, load_with


def test_a_change_of_settings_is_tunable_or_needs_a_restart() -> None:
    before = load(NEEDED)
    after = load_with(
        BASISBOT_STRATEGY__ENTRY_GAP_BPS="7",
        BASISBOT_LIMITS__LEVERAGE_MAX="2",
        BASISBOT_STRATEGY__CLIP_QUOTE="123",
        BASISBOT_STRATEGY__RECEIVE_WINDOW_S="1",  # orders are signed with the old one
        BASISBOT_API_PORT="9",
    )
    tunable, fixed = changes(before, after)
    assert tunable == ("BASISBOT_STRATEGY__ENTRY_GAP_BPS", "BASISBOT_LIMITS__LEVERAGE_MAX")
    assert fixed == (
        "BASISBOT_API_PORT",
        "BASISBOT_STRATEGY__CLIP_QUOTE",
        "BASISBOT_STRATEGY__RECEIVE_WINDOW_S",
    )
    assert changes(before, before) == ((), ())


def test_a_pair_that_is_renamed_needs_a_restart() -> None:
    renamed = {name: text.replace("BTC=", "COIN=") for name, text in NEEDED.items()}
    tunable, fixed = changes(load(NEEDED), load(renamed))
    assert tunable == ()
    assert fixed == ("BASISBOT_PAIRS",)


@pytest.mark.parametrize("knob", [one for one in knobs() if one.path], ids=lambda one: one.variable)
def test_the_example_says_of_each_variable_whether_a_living_run_takes_it_over(knob: Knob) -> None:
    """The words of .env.example against what a reload makes of another value."""
    another = {
        "PAIRS": NEEDED["BASISBOT_PAIRS"].replace("ETHUSDT", "SOLUSDT"),
        "MODE": "testnet",
        "BOT_TAG": "abcd",
        "MARGIN__DELEVERAGE_RATIO": "1.5",
        "MARGIN__DELEVERAGE_DISTANCE": "0.1",
        "NAV_CURRENCY": "BTC",
        "PAPER_BALANCES": "binance:spot:USDT=1",
        "PAPER_FEES_BPS": "spot=1/1",
        "FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "300000",
    }
    choices = get_args(knob.kind) if get_origin(knob.kind) is Literal else ("7.5", "7", "0.5", "50000")
    name = knob.variable.removeprefix(PREFIX)
    for text in (another[name],) if name in another else choices:
        with suppress(ConfigError):
            tunable, fixed = changes(load(NEEDED), load_with(**{knob.variable: text}))
            if tunable or fixed:
                break
    marked = re.search(rf"^# takes .*?(; SIGHUP)?\n{knob.variable}=", render_env_example(), re.MULTILINE)
    assert marked is not None
    assert (tunable, fixed) == (((knob.variable,), ()) if marked[1] else ((), (knob.variable,)))


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PAIR_CAPITAL_QUOTE", "BTC=50001,ETH=10000"),
        ("PAPER_INSTRUMENTS", "x.json"),
        ("PAPER_FUNDING", "x.csv"),
        ("JOURNAL", "x"),
        ("REHEARSAL_PORTS", "1,2,3"),
        ("API_TOKEN", "x"),
        ("CCXT_CREDENTIALS", '{"okx": {"apiKey": "x"}}'),
        ("BINANCE_KEY", "x"),
        ("BINANCE_SECRET", "x"),
    ],
)
def test_what_is_of_this_machine_is_noticed_and_needs_a_restart(variable: str, text: str) -> None:
    assert changes(load(NEEDED), load_with(**{PREFIX + variable: text})) == ((), (PREFIX + variable,))
