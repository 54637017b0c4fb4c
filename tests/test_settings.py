"""Settings: one table of what is taken, one of what is refused and with which words."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.compact import FormError, parse_balances, parse_capital, parse_fees_bps
from bot.knobs import PREFIX, ConfigError, knobs, render_env_example
from bot.model.config import Config
from bot.settings import Settings, describe, load, settings_sha256

NEEDED = {
    "BASISBOT_PAIRS": (
        "BTC=binance:spot:BTCUSDT/binance:usdm:BTCUSDT,ETH=binance:spot:ETHUSDT/binance:usdm:ETHUSDT"
    ),
    "BASISBOT_PAIR_CAPITAL_QUOTE": "BTC=50000,ETH=10000",
    "BASISBOT_PAPER_BALANCES": "binance:spot:USDT=100000,binance:usdm:USDT=50000.5",
    "BASISBOT_STRATEGY__CLIP_QUOTE": "5000",
    "BASISBOT_LIMITS__ORDER_NOTIONAL_MAX_QUOTE": "20000",
    "BASISBOT_LIMITS__PAIR_NOTIONAL_MAX_QUOTE": "60000",
    "BASISBOT_LIMITS__VENUE_NOTIONAL_MAX_QUOTE": "200000",
    "BASISBOT_LIMITS__GROSS_NOTIONAL_MAX_QUOTE": "200000",
    "BASISBOT_LIMITS__NET_DELTA_MAX_QUOTE": "10000",
    "BASISBOT_LIMITS__NAKED_MAX_QUOTE": "10000",
    "BASISBOT_FUSE__OPENING_NOTIONAL_PER_MIN_QUOTE": "100000",
    "BASISBOT_FUSE__CLOSING_NOTIONAL_PER_MIN_QUOTE": "200000",
}


def config_of(**variables: str) -> Config:
    return load_with(**variables).config


def load_with(**variables: str) -> Settings:
    return load({**NEEDED, **variables})


def refusal(**variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config_of(**variables)
    text = str(caught.value)
    assert "\n" not in text
    return text


def env_file(folder: Path, **variables: str) -> Path:
    path = folder / "run.env"
    path.write_text("".join(f'{name}="{text}"\n' for name, text in variables.items()), encoding="utf-8")
    return path


def test_the_needed_variables_alone_make_a_configuration() -> None:
    config = config_of()
    assert [pair.name for pair in config.pairs] == ["BTC", "ETH"]
    assert config.pairs[0].long == "binance:spot:BTCUSDT"
    assert config.pairs[0].short == "binance:usdm:BTCUSDT"
    assert config.pairs[1].capital_quote == Decimal(10000)
    assert [balance.account for balance in config.paper_balances] == ["binance:spot", "binance:usdm"]
    assert config.paper_balances[1].amount == Decimal("50000.5")
    assert config.limits.naked_max_quote == Decimal(10000)


def test_defaults_are_those_of_the_declaration() -> None:
    config = config_of()
    for owner in (config, config.strategy, config.limits, config.fuse):
        for field in msgspec.structs.fields(owner):
            if field.default is not msgspec.NODEFAULT and field.name != "paper_balances":
                value = getattr(owner, field.name)
                assert value == field.default
                assert type(value) is type(field.default)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_must_be_set_is_missed_by_name(name: str) -> None:
    variables = {**NEEDED}
    del variables[name]
    with pytest.raises(ConfigError, match=f"^{name} is not set, but it takes "):
        load(variables)
    with pytest.raises(ConfigError, match=f"^{name} is empty, but it takes "):
        load({**NEEDED, name: ""})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("STRATEGY__PATIENCE_S", "5s", "it takes, a number > 0: seconds a pair may be naked"),
        ("STRATEGY__PATIENCE_S", "0", "a number > 0"),
        ("STRATEGY__PATIENCE_S", "nan", "a number > 0"),
        ("STRATEGY__PATIENCE_S", "inf", "a number > 0"),
        ("STRATEGY__PATIENCE_S", "", "is empty"),
        ("STRATEGY__ENTRY_GAP_BPS", "2bps", "a number or nothing"),
        ("STRATEGY__LEG_POLICY", "both", "one of together, sequenced"),
        ("STRATEGY__CLIP_QUOTE", "5k", "a decimal number > 0"),
        ("STRATEGY__CLIP_QUOTE", "NaN", "a decimal number > 0"),
        ("STRATEGY__CLIP_QUOTE", "-1", "a decimal number > 0"),
        ("STRATEGY__REPAIR_ATTEMPTS", "1.5", "a whole number ≥ 0"),
        ("LIMITS__LIQUIDATION_DISTANCE_MIN", "1.01", "a number ≥ 0 and ≤ 1"),
        ("LIMITS__MARGIN_RATIO_MIN", "0.99", "a number ≥ 1"),
        ("USDT_USD_RATE", "0", "a decimal number > 0 or nothing"),
        ("USDT_USD_RATE", "Infinity", "a decimal number > 0 or nothing"),
        ("BOT_TAG", "ABCD", "text of the form ^[a-z0-9]{4}$"),
        ("MODE", "papers", "one of paper, rehearsal, testnet, live"),
        ("MODE", "live", "set BASISBOT_LIVE_ACKNOWLEDGEMENT to "),
        ("REHEARSAL_PORTS", "9000,9001", "is not three port numbers"),
        ("REHEARSAL_PORTS", "9000,9001,99999", "is not three port numbers"),
        ("API_PORT", "65536", "a whole number ≥ 0 and ≤ 65535"),
        ("PAIRS", "BTC", "'BTC', which is not NAME=value"),
        ("PAIRS", " , ", "has no pair"),
        ("PAIRS", "BTC=binance:spot:BTCUSDT", "which is not NAME=long/short"),
        ("PAIRS", "B C=binance:spot:BTCUSDT/binance:usdm:BTCUSDT", "which is not NAME=long/short"),
        ("PAIRS", "BTC=binance:spot:btcusdt/binance:usdm:BTCUSDT", "'binance:spot:btcusdt'"),
        ("PAIRS", "BTC=spot:BTCUSDT/binance:usdm:BTCUSDT", "'spot:BTCUSDT'"),
        ("PAIRS", "BTC=binance:spot:BTCUSDT/binance:spot:BTCUSDT", "the same leg twice"),
        ("PAIRS", "BTC=binance:usdm:BTCUSDT/binance:spot:BTCUSDT", "spot is not sold short"),
        (
            "PAIRS",
            NEEDED["BASISBOT_PAIRS"] + ",TWO=binance:spot:X/binance:usdm:BTCUSDT",
            "belongs to one pair",
        ),
        ("PAIRS", NEEDED["BASISBOT_PAIRS"] + ",BTC=a:b:C/a:b:D", "has BTC twice"),
        ("PAIRS", "SOL=a:b:C/a:b:D", "the pair SOL, for which BASISBOT_PAIR_CAPITAL_QUOTE has no amount"),
        (
            "PAIR_CAPITAL_QUOTE",
            "BTC=1,ETH=1,BTX=1",
            "'BTX', which is no pair of BASISBOT_PAIRS (did you mean BTC?)",
        ),
        ("PAIR_CAPITAL_QUOTE", "BTC=1,ETH=1,ZZZ=1", "'ZZZ', which is no pair of BASISBOT_PAIRS (set in"),
        ("PAIR_CAPITAL_QUOTE", "BTC=1,ETH=0", "ETH=0, which is not > 0"),
        ("PAIR_CAPITAL_QUOTE", "BTC=1,ETH=much", "ETH=much, which is not a decimal number"),
        ("PAPER_BALANCES", "spot:USDT=1", "'spot:USDT', which is not of the form venue:market:ASSET"),
        ("PAPER_BALANCES", "binance:spot:USDT=-1", "which is not ≥ 0"),
        ("PAPER_BALANCES", "binance:spot:USDT=nan", "which is not a finite number"),
        ("PAPER_FEES_BPS", "spot=10", "which is not market=maker/taker"),
        ("PAPER_FEES_BPS", "spot=10/2000", "beyond 1000 basis points"),
        ("PAPER_FEES_BPS", "spot=10/", "which is not a decimal number"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_taken(name: str, text: str, words: str) -> None:
    sentence = refusal(**{PREFIX + name: text})
    assert sentence.startswith(PREFIX + name)
    assert words in sentence


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("BASISBOT_STRATEGY__PATIENSE_S", "BASISBOT_STRATEGY__PATIENCE_S"),
        ("BASISBOT_STRATEGY_PATIENCE_S", "BASISBOT_STRATEGY__PATIENCE_S"),
        ("BASISBOT_PAIR", "BASISBOT_PAIRS"),
        ("basisbot_limits__colar_bps", "BASISBOT_LIMITS__COLLAR_BPS"),
    ],
)
def test_a_misspelt_variable_names_the_nearest(wrong: str, near: str, tmp_path: Path) -> None:
    assert (
        refusal(**{wrong: "1"}) == f"{wrong.upper()} (set in environment) is no setting; did you mean {near}?"
    )
    with pytest.raises(ConfigError, match=near):
        load(NEEDED, env_file(tmp_path, **{wrong: "1"}))


def test_a_variable_like_no_other_is_refused_too() -> None:
    assert "is no setting; `basisbot config show`" in refusal(BASISBOT_QQQQQQQQQQQQQQQQQQQQQQQ="1")


def test_a_group_cannot_be_given_as_json() -> None:
    assert "BASISBOT_STRATEGY (set in environment) is no setting" in refusal(
        BASISBOT_STRATEGY='{"clip_quote": 1}'
    )


def test_the_variable_of_the_test_suite_is_left_alone() -> None:
    assert config_of(BASISBOT_TEST_DATA="/somewhere") == config_of()


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    file = env_file(tmp_path, **{**NEEDED, "BASISBOT_STRATEGY__PATIENCE_S": "7", "BASISBOT_PAPER_UP_MS": "3"})
    config = load({"BASISBOT_STRATEGY__PATIENCE_S": "9"}, file).config
    assert config.strategy.patience_s == 9
    assert config.paper_up_ms == 3
    assert config.strategy.clip_quote == 5000


def test_an_empty_variable_switches_an_optional_knob_of_the_file_off(tmp_path: Path) -> None:
    file = env_file(tmp_path, **{**NEEDED, "BASISBOT_STRATEGY__ENTRY_GAP_BPS": "-2.5"})
    assert load({}, file).config.strategy.entry_gap_bps == -2.5
    assert load({"BASISBOT_STRATEGY__ENTRY_GAP_BPS": ""}, file).config.strategy.entry_gap_bps is None


def test_paths_are_relative_to_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "conf", tmp_path / "cwd"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    file = env_file(
        folder,
        **NEEDED,
        BASISBOT_PAPER_INSTRUMENTS="venue/a.json, /abs/b.json",
        BASISBOT_PAPER_FUNDING="f.csv",
    )
    settings = load({"BASISBOT_JOURNAL": "j.sqlite"}, file)
    assert settings.instruments == (folder / "venue/a.json", Path("/abs/b.json"))
    assert settings.funding == folder / "f.csv"
    assert settings.journal == elsewhere / "j.sqlite"
    assert load(NEEDED).funding is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A=1\nthis is no assignment\n", ":2: is not of the form NAME=value"),
        (b"BASISBOT_PAPER_UP_MS\n", ":1: is not of the form NAME=value"),
        (
            b"BASISBOT_PAPER_UP_MS=1\n\nBASISBOT_PAPER_UP_MS=2\n",
            ":3: BASISBOT_PAPER_UP_MS was set in line 1 already",
        ),
        (b"A=\xff\n", "is not UTF-8 text"),
        (
            b"BASIBOT_PAPER_UP_MS=1\n",
            ":1: BASIBOT_PAPER_UP_MS is no setting; did you mean BASISBOT_PAPER_UP_MS?",
        ),
    ],
)
def test_a_bad_env_file_is_named_with_its_line(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.env"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(NEEDED, file)
    assert str(caught.value).startswith(str(file))
    assert words in str(caught.value)


def test_an_env_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.env: cannot be read: No such file"):
        load(NEEDED, tmp_path / "none.env")


def test_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    assert (
        load({"HOME": "/root"}, env_file(tmp_path, **NEEDED, COMPOSE_PROJECT_NAME="x")).config == config_of()
    )


def test_secrets_come_as_text_or_as_files_and_never_print(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t\n", encoding="utf-8")
    file = env_file(tmp_path, **NEEDED, BASISBOT_BINANCE_SECRET_FILE="secret")
    settings = load({"BASISBOT_BINANCE_KEY": "k3y"}, file)
    assert settings.secrets.binance_key is not None
    assert settings.secrets.binance_secret is not None
    assert settings.secrets.binance_key.get_secret_value() == "k3y"
    assert settings.secrets.binance_secret.get_secret_value() == "s3cr3t"
    assert settings.secrets.texts() == ("k3y", "s3cr3t")
    shown = repr(settings) + repr(describe({"BASISBOT_BINANCE_KEY": "k3y"}, file))
    assert "k3y" not in shown
    assert "s3cr3t" not in shown


def test_a_secret_is_given_once_and_from_a_file_that_has_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    both = refusal(BASISBOT_BINANCE_KEY="k3y", BASISBOT_BINANCE_KEY_FILE=str(empty))
    assert "are both set" in both
    assert "k3y" not in both
    assert "is empty" in refusal(BASISBOT_BINANCE_KEY_FILE=str(empty))
    assert "cannot be read: No such file" in refusal(BASISBOT_BINANCE_KEY_FILE=str(tmp_path / "none"))


def test_what_is_shown_says_where_it_comes_from(tmp_path: Path) -> None:
    file = env_file(tmp_path, **NEEDED)
    shown = {row.variable: row for row in describe({"BASISBOT_PAPER_UP_MS": "4"}, file)}
    assert [knob.variable for knob in knobs()] == list(shown)
    assert (shown["BASISBOT_PAPER_UP_MS"].value, shown["BASISBOT_PAPER_UP_MS"].source) == ("4", "environment")
    assert shown["BASISBOT_PAIRS"].source == str(file)
    assert (shown["BASISBOT_MODE"].value, shown["BASISBOT_MODE"].source) == ("paper", "default")


def test_the_hash_is_of_the_configuration_alone() -> None:
    plain = settings_sha256(config_of())
    assert settings_sha256(config_of(BASISBOT_JOURNAL="j", BASISBOT_BINANCE_KEY="k")) == plain
    assert settings_sha256(config_of(BASISBOT_PAPER_UP_MS="2")) != plain
    fees = [config_of(BASISBOT_PAPER_FEES_BPS=text) for text in ("spot=1/2,usdm=3/4", "usdm=3/4,spot=1/2")]
    assert settings_sha256(fees[0]) == settings_sha256(fees[1])


def test_fees_are_exact_fractions() -> None:
    fees = parse_fees_bps("spot=10/7.5,usdm=-0.5/4.5")
    assert fees["spot"].maker_rate == Decimal("0.001")
    assert fees["spot"].taker_rate == Decimal("0.00075")
    assert fees["usdm"].maker_rate == Decimal("-0.00005")
    assert parse_fees_bps("") == {}


def test_every_knob_has_a_meaning_and_stands_in_the_example() -> None:
    text = render_env_example()
    for knob in knobs():
        assert knob.meaning
        assert f"\n{knob.variable}={knob.default}\n" in text


def test_the_example_with_the_needed_variables_filled_in_is_the_default_configuration(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(render_env_example(), encoding="utf-8")
    assert load(NEEDED, file).config == config_of()


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_capital, parse_balances, parse_fees_bps):
        with suppress(FormError):
            parse(text)


@given(st.decimals(min_value="0.01", max_value=10**9, places=8), st.from_regex(r"[A-Z]{1,8}", fullmatch=True))
def test_capital_is_read_as_written(amount: Decimal, name: str) -> None:
    assert parse_capital(f"{name}={amount}") == {name: amount}


LIVE = {
    "BASISBOT_MODE": "live",
    "BASISBOT_LIVE_ACKNOWLEDGEMENT": "I trade real money and have read docs/RUNBOOK.md",
}


def test_real_money_needs_every_limit_set_by_hand() -> None:
    sentence = refusal(**LIVE)
    assert sentence.startswith("BASISBOT_MODE is 'live', where every limit is set by hand: ")
    assert "BASISBOT_LIMITS__LEVERAGE_MAX" in sentence
    assert "BASISBOT_LIMITS__NAKED_MAX_QUOTE" not in sentence
    limits = {
        knob.variable: knob.default
        for knob in knobs()
        if knob.path[:1] == ("limits",) and knob.default and knob.variable not in NEEDED
    }
    assert config_of(**LIVE, **limits).mode == "live"
    assert "set BASISBOT_LIVE_ACKNOWLEDGEMENT" in refusal(**{**LIVE, **limits, **ALMOST})


ALMOST = {"BASISBOT_LIVE_ACKNOWLEDGEMENT": "yes"}


def test_only_paper_needs_balances() -> None:
    without = {name: text for name, text in NEEDED.items() if name != "BASISBOT_PAPER_BALANCES"}
    with pytest.raises(ConfigError, match="BASISBOT_PAPER_BALANCES is not set"):
        load(without)
    assert load({**without, "BASISBOT_MODE": "testnet"}).config.paper_balances == ()


def test_rehearsal_ports_are_three_numbers() -> None:
    settings = load({**NEEDED, "BASISBOT_MODE": "rehearsal", "BASISBOT_REHEARSAL_PORTS": "9000, 9001,9002"})
    assert settings.rehearsal_ports == (9000, 9001, 9002)
    assert load(NEEDED).rehearsal_ports is None
