"""What the wiring refuses before a frame is played."""

from __future__ import annotations

import asyncio
import json
import socket
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from adapters.errors import FeedError
from adapters.recorded.recorder import DiskLow
from bot.knobs import ConfigError
from bot.model.ids import PairName
from bot.model.pair import PairSpec, PairState
from bot.model.store import OrderState, Store
from bot.ports import Finding, Verdict
from bot.progress import Progress
from bot.settings import Settings, load
from bot.wiring.doctor import port_of_api
from bot.wiring.live import refuse_unfit
from bot.wiring.paper import PaperOptions, demo_files, run_paper
from bot.wiring.record import RecordOptions, record_feeds, until_signal
from bot.wiring.rehearse import RehearsalOptions, lay_aside
from bot.wiring.venues import (
    LiveOptions,
    ccxt_access,
    keys_of,
    legs_served,
    refuse_unknown_venues,
    refuse_unusable_money,
    unusable,
)
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, hedged

SILENT = Progress(lambda begin_ns, end_ns: None, lambda at_ns: None)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("BASISBOT_PAPER_BALANCES", "binance:usdmm:USDT=1", "names the account binance:usdmm; there are"),
        ("BASISBOT_PAPER_BALANCES", "kraken:spot:USDT=1", "names the account kraken:spot; there are"),
        ("BASISBOT_PAPER_FEES_BPS", "spot=10/10,usdmm=2/5", "names the market usdmm; there are spot, usdm"),
    ],
)
def test_money_and_fees_of_a_market_that_does_not_exist_are_refused(
    variable: str, text: str, words: str, tmp_path: Path
) -> None:
    recording, env_file = demo_files()
    options = PaperOptions(
        feeds=(recording,), environ={variable: text}, env_file=env_file, report=tmp_path / "out"
    )
    with pytest.raises(ConfigError, match=f"^{variable} {words}"):
        run_paper(options, SILENT)
    assert not (tmp_path / "out").exists()


def test_the_journal_of_the_rehearsal_before_is_kept_and_only_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = RehearsalOptions(environ={}, out=tmp_path)
    lay_aside(options.journal, options.previous)
    assert list(tmp_path.iterdir()) == []
    for name in ("first", "second"):
        for suffix in ("", "-wal", ".poison.json"):
            path = options.journal.with_name(options.journal.name + suffix)
            if suffix != ".poison.json" or name == "first":
                path.write_text(name + suffix)
        lay_aside(options.journal, options.previous)
    lay_aside(options.journal, options.previous)  # a start that came to no journal costs none
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "previous-journal.sqlite": "second",
        "previous-journal.sqlite-wal": "second-wal",
    }
    assert str(options.previous) in capsys.readouterr().out


def test_what_left_the_settings_while_open_is_still_served() -> None:
    world = hedged()
    other = PairSpec(PairName("ETH"), SPOT, INVERSE, Decimal(10_000))
    config = msgspec.structs.replace(world.config, pairs=(other,))
    assert legs_served(config, world.store) == (SPOT, INVERSE, LINEAR)
    assert legs_served(config, Store()) == (SPOT, INVERSE)
    pair = world.store.pairs[BTC]
    pair.state = PairState.FLAT
    assert legs_served(config, world.store) == (SPOT, INVERSE)
    order = next(iter(world.store.orders.values()))
    order.state = OrderState.UNCERTAIN  # it may fill yet
    world.store.live[order.client_id] = None
    assert legs_served(config, world.store) == (SPOT, INVERSE, LINEAR)


def test_a_recording_that_ends_by_itself_ends_with_its_own_sentence() -> None:
    async def fed() -> None:
        raise DiskLow("1 MB are free")

    async def feed() -> None:
        async with asyncio.TaskGroup() as lines:
            lines.create_task(fed())

    with pytest.raises(DiskLow, match="1 MB"):
        asyncio.run(until_signal([feed()]))


def test_a_venue_that_does_not_answer_is_asked_again_and_one_that_refuses_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = Finding("clock spot", Verdict.FAILED, "no answer", may_pass=True)
    wrong = Finding("leverage usdm", Verdict.FAILED, "1× is below")
    answers = [[silent], [silent, silent], []]
    waited: list[float] = []
    monkeypatch.setattr("bot.wiring.live.examine", lambda options: answers.pop(0))
    monkeypatch.setattr("time.sleep", waited.append)
    refuse_unfit(LiveOptions(environ={}))
    assert answers == []
    assert len(waited) == 2
    answers = [[silent, wrong]]
    with pytest.raises(ConfigError, match="leverage usdm: 1× is below"):
        refuse_unfit(LiveOptions(environ={}))


def test_a_port_is_free_when_nobody_listens_whatever_the_run_before_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        assert port_of_api(port).verdict is Verdict.FAILED
        with socket.create_connection(("127.0.0.1", port)):
            served, _ = listening.accept()
            served.close()  # first, so that the connection's end is left waiting on this port
    assert port_of_api(port).verdict is Verdict.OK


def settings(**texts: str) -> Settings:
    """Settings that a paper run can be started with, but for ``texts``."""
    _, env_file = demo_files()
    return load({f"BASISBOT_{name}": text for name, text in texts.items()}, env_file)


@pytest.mark.parametrize(
    ("legs", "mode", "words"),
    [
        ("binance:spot:BTCUSDT/nosuch:linear:BTCUSDT", "paper", "ccxt knows no exchange 'nosuch'"),
        ("binance:spot:BTCUSDT/binance:linear:BTCUSDT", "paper", "binance's markets are spot, usdm, coinm"),
        ("binance:spot:BTCUSDT/okx:linear:BTC-USDT-SWAP", "testnet", "CCXT_CREDENTIALS holds no 'okx'"),
        ("binance:spot:BTCUSDT/okx:linear:BTC-USDT-SWAP", "rehearsal", "'rehearsal' is for binance alone"),
        (
            "binance:spot:BTCUSDT/okx:swap:BTC-USDT-SWAP",
            "paper",
            "okx are spot, linear, inverse",
        ),
    ],
)
def test_a_leg_that_no_venue_has_is_refused(legs: str, mode: str, words: str) -> None:
    given = settings(
        PAIRS=f"X={legs}", PAIR_CAPITAL_QUOTE="X=1000", MODE=mode, REHEARSAL_PORTS="9000,9001,9002"
    )
    with pytest.raises((ConfigError, FeedError), match=words):
        refuse_unknown_venues(given)


def test_an_exchange_that_can_only_be_watched_is_refused_where_it_would_trade() -> None:
    legs = {"PAIRS": "X=bybit:spot:BTCUSDT/bybit:linear:BTCUSDT", "PAIR_CAPITAL_QUOTE": "X=1000"}
    keys = json.dumps({"bybit": {"apiKey": "one", "secret": "s"}})
    given = settings(**legs, MODE="testnet", CCXT_CREDENTIALS=keys)
    with pytest.raises(ConfigError, match=r"BASISBOT_PAIRS .* BASISBOT_MODE 'testnet' cannot trade"):
        refuse_unknown_venues(given)
    refuse_unknown_venues(settings(**legs, MODE="paper"))


def test_two_families_of_an_exchange_with_one_wallet_are_not_traded_together() -> None:
    """Each account of ours would count the wallet's money as its own."""
    legs = {"PAIRS": "X=okx:spot:BTC-USDT/okx:linear:BTC-USDT-SWAP", "PAIR_CAPITAL_QUOTE": "X=1000"}
    keys = json.dumps({"okx": {"apiKey": "one", "secret": "s", "password": "p"}})
    both = settings(**legs, MODE="testnet", CCXT_CREDENTIALS=keys)
    with pytest.raises(ConfigError, match="BASISBOT_PAIRS has legs of okx in spot and linear"):
        refuse_unknown_venues(both)
    refuse_unknown_venues(settings(**legs, MODE="paper"))
    one = {"PAIRS": "X=binance:spot:BTCUSDT/okx:linear:BTC-USDT-SWAP"}
    refuse_unknown_venues(settings(**(legs | one), MODE="testnet", CCXT_CREDENTIALS=keys))


def test_all_that_keeps_settings_from_being_used_is_told_at_once() -> None:
    given = settings(MODE="testnet", BINANCE_KEY="k")
    (sentence,) = unusable(given)
    assert "BASISBOT_MODE is 'testnet', but BASISBOT_BINANCE_SECRET is not set" in sentence
    legs, money = unusable(
        settings(
            PAIRS="X=binance:spotty:BTCUSDT/binance:usdm:BTCUSDT",
            PAIR_CAPITAL_QUOTE="X=1000",
            PAPER_BALANCES="binance:usdm:USDT=1",
        )
    )
    assert "BASISBOT_PAIRS has the leg binance:spotty:BTCUSDT" in legs
    assert "BASISBOT_PAPER_BALANCES gives binance:usdm 1 of cash" in money
    assert unusable(settings()) == ()


def test_any_exchange_of_ccxt_is_good_for_paper() -> None:
    kraken = settings(
        PAIRS="X=kraken:spot:XXBTZUSD/okx:linear:BTC-USDT-SWAP",
        PAIR_CAPITAL_QUOTE="X=1000",
        MODE="paper",
        PAPER_BALANCES="kraken:spot:USD=20000,okx:linear:USDT=20000",
        PAPER_FEES_BPS="linear=2/5",
    )
    refuse_unknown_venues(kraken)
    refuse_unusable_money(kraken.config)
    access = ccxt_access(kraken, "kraken")
    assert (access.name, dict(access.credentials), access.is_demo) == ("kraken", {}, False)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("PAPER_BALANCES", "okx:swap:USDT=1", "names the account okx:swap; there are .*, okx:linear"),
        ("PAPER_FEES_BPS", "swap=2/5", "names the market swap; there are .*, linear"),
    ],
)
def test_money_and_fees_of_a_family_that_no_leg_has_are_refused(variable: str, text: str, words: str) -> None:
    legs = {"PAIRS": "X=binance:spot:BTCUSDT/okx:linear:BTC-USDT-SWAP", "PAIR_CAPITAL_QUOTE": "X=1000"}
    given = settings(**legs, **{variable: text})
    with pytest.raises(ConfigError, match=words):
        refuse_unusable_money(given.config)


def test_frames_that_nobody_shows_are_not_recorded(tmp_path: Path) -> None:
    _, env_file = demo_files()
    legs = "X=binance:spot:BTCUSDT/okx:linear:BTC-USDT-SWAP"
    options = RecordOptions(
        environ={"BASISBOT_PAIRS": legs, "BASISBOT_PAIR_CAPITAL_QUOTE": "X=1000"},
        env_file=env_file,
        out=tmp_path / "capture",
        resume=False,
        part_s=60,
        sync_s=5.0,
        free_bytes=0,
    )
    with pytest.raises(ConfigError, match="okx:linear:BTC-USDT-SWAP"):
        record_feeds(options)
    assert not options.out.exists()


def test_two_exchanges_with_one_key_are_locked_once() -> None:
    words = {"apiKey": "one", "secret": "s"}
    given = settings(
        PAIRS="X=binancecoinm:inverse:BTCUSD_PERP/binanceusdm:linear:BTCUSDT",
        PAIR_CAPITAL_QUOTE="X=1000",
        MODE="testnet",
        CCXT_CREDENTIALS=json.dumps({"binancecoinm": words, "binanceusdm": words}),
    )
    assert keys_of(given) == ("one",)
