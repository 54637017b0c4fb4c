"""What a live verb is refused or held for: a sentence to act on, the right exit code, and no order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bot.knobs import ACKNOWLEDGEMENT
from bot.model.commands import PlaceOrder
from bot.shell.rows import read_entries
from tests.e2e.living import ENV_FILE, TOKEN, Daemon, Venue, ended, free_port
from tests.e2e.process import Done, basisbot


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("venue"))
    with ended(venue):
        yield venue


def environ(venue: Venue, **changes: str) -> dict[str, str]:
    """Without an API, and never entering: what these tests start sends nothing even where it should not."""
    return venue.environ(API_PORT="0", STRATEGY__ENTRY_CARRY_APR="9", **changes)


def run(cwd: Path, env: Mapping[str, str], *more: str) -> Done:
    return basisbot("run", "--env-file", ENV_FILE, *more, cwd=cwd, env=env)


def assert_refused(done: Done, venue: Venue, *words: str) -> None:
    assert (done.code, done.out) == (4, ""), done.err
    assert done.err.rstrip().count("\n") == 0, done.err
    assert [word for word in words if word not in done.err] == [], done.err
    assert [secret for secret in venue.secrets if secret in done.err] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BINANCE_KEY": ""}, ("BASISBOT_BINANCE_KEY is not set",)),
        ({"REHEARSAL_PORTS": "example.org:80,81,82"}, ("BASISBOT_REHEARSAL_PORTS", "three port numbers")),
        ({"REHEARSAL_PORTS": ""}, ("BASISBOT_REHEARSAL_PORTS is not set", "basisbot rehearse --serve")),
        ({"MODE": "live"}, ("BASISBOT_LIVE_ACKNOWLEDGEMENT",)),
        (
            {"MODE": "live", "LIVE_ACKNOWLEDGEMENT": ACKNOWLEDGEMENT, "LIMITS__NAKED_MAX_QUOTE": ""},
            ("BASISBOT_LIMITS__NAKED_MAX_QUOTE",),
        ),
        (
            {"MODE": "live", "LIVE_ACKNOWLEDGEMENT": ACKNOWLEDGEMENT, "LIMITS__LEVERAGE_MAX": ""},
            ("BASISBOT_LIMITS__LEVERAGE_MAX",),
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_run_is_refused(
    venue: Venue, changes: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    assert_refused(run(tmp_path, environ(venue, **changes)), venue, *words)
    journal = tmp_path / "out/rehearsal/journal.sqlite"
    assert not journal.exists() or list(read_entries(journal)) == []


def test_what_is_refused_can_end_with_0_so_that_nothing_starts_it_again(venue: Venue, tmp_path: Path) -> None:
    done = run(tmp_path, environ(venue, BINANCE_KEY=""), "--stay-down")
    assert (done.code, done.out) == (0, "")
    assert "BASISBOT_BINANCE_KEY is not set" in done.err


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"BINANCE_SECRET": "wrong"}, "binance:spot market is down: the venue refuses the key: -1022"),
        ({"BINANCE_KEY": "wrong"}, "binance:spot market is down: the venue refuses the key: -2014"),
        (
            {"PAIRS": "BTC=binance:spot:BTCDAI/binance:usdm:BTCUSDT", "PAIR_CAPITAL_QUOTE": "BTC=20000"},
            "BTC held: no_book binance:spot:BTCDAI is not listed",
        ),
    ],
    ids=["secret", "key", "symbol"],
)
def test_what_the_venue_does_not_take_holds_the_run_and_the_status_says_why(
    venue: Venue, changes: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path, venue.environ(**changes))
    with ended(daemon):
        daemon.until(lambda: sentence in daemon.tell("status").out or None, sentence)
        waited = daemon.tell("health", "--ready", "--json")
        assert waited.code == 1
        assert json.loads(waited.out)["ready"] is False
        assert daemon.end() == 0
    assert [secret for secret in venue.secrets if secret in daemon.said] == []
    alerts = [line for line in daemon.err.read_text().splitlines() if '"key": "channel:' in line]
    told = [(one["key"], one["level"]) for one in map(json.loads, alerts)]
    accounts = ("spot", "usdm", "coinm") if "refuses the key" in sentence else ()
    assert sorted(told) == sorted((f"channel:binance:{one} market", "critical") for one in accounts)
    assert [one for entry in daemon.entries for one in entry.commands if isinstance(one, PlaceOrder)] == []


def test_an_account_in_hedge_or_multi_assets_mode_fails_the_doctor(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    with ended(venue):
        venue.ask("usdm", "/fapi/v1/multiAssetsMargin", method="POST", multiAssetsMargin="true")
        venue.ask("usdm", "/fapi/v1/positionSide/dual", method="POST", dualSidePosition="true")
        done = basisbot("doctor", "--env-file", ENV_FILE, "--json", cwd=tmp_path, env=environ(venue))
    assert done.code == 1
    failed = [one["check"] for one in json.loads(done.out)["findings"] if one["verdict"] == "fail"]
    assert failed == ["position mode usdm", "assets mode usdm"]


def test_a_journal_of_another_mode_is_not_gone_on_with(venue: Venue, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, venue.environ(STRATEGY__ENTRY_CARRY_APR="9"))
    with ended(daemon):
        daemon.until_state(lambda state: bool(state.accounts), "a state")
        wrong = daemon.tell("status", API_TOKEN="wrong")
        assert (wrong.code, wrong.out) == (1, "")
        assert "refused the token: set BASISBOT_API_TOKEN" in wrong.err
        assert [daemon.get(path, "wrong")[0] for path in ("/metrics", "/api/v1/state")] == [401, 401]
        unknown = daemon.tell("halt", "ETH", "--reason", "none")
        assert (unknown.code, unknown.out) == (1, "")
        assert "there is no pair 'ETH'; there are BTC, BTCUSD" in unknown.err
        nothing = daemon.tell("settle-residual", "BTC", "--reason", "none")
        assert (nothing.code, nothing.out) == (1, "")
        assert "pair BTC leaves no coins unhedged" in nothing.err
        assert daemon.end() == 0
    paper = environ(venue, MODE="paper", PAPER_BALANCES="binance:spot:USDT=100000,binance:usdm:USDT=100000")
    done = run(tmp_path, paper, "--journal", str(daemon.journal))
    assert_refused(done, venue, "of mode 'rehearsal'", "BASISBOT_MODE is 'paper'", "BASISBOT_JOURNAL")
    nobody = daemon.tell("status")
    assert (nobody.code, nobody.out) == (1, "")
    assert f"no run answers on port {daemon.port}" in nobody.err


def test_the_doctor_is_content_with_a_rehearsal(venue: Venue, tmp_path: Path) -> None:
    env = {**environ(venue), "BASISBOT_API_PORT": str(free_port())}
    plain = basisbot("doctor", "--env-file", ENV_FILE, cwd=tmp_path, env=env)
    assert plain.code == 0, plain.out
    told = basisbot("doctor", "--env-file", ENV_FILE, "--json", cwd=tmp_path, env=env)
    assert (told.code, told.err) == (0, "")
    answer = json.loads(told.out)
    assert answer["ok"]
    assert len(plain.out.splitlines()) == len(answer["findings"]) > 20
    (budgets,) = [one["text"] for one in answer["findings"] if one["check"] == "budgets"]
    assert "by hand: none; by default: FEES_DAY_PAIR_BPS=100.0, FEES_DAY_BOOK_BPS=50.0" in budgets
    (margin,) = [one["text"] for one in answer["findings"] if one["check"] == "margin"]
    assert "opens nothing below 3.3 and 0.165, latches below 3 and 0.15, reduces below 2 and 0.075" in margin
    assert [secret for secret in (*venue.secrets, TOKEN) if secret in plain.out + told.out] == []


def test_the_doctor_says_what_is_wrong_with_a_key(venue: Venue, tmp_path: Path) -> None:
    done = basisbot(
        "doctor", "--env-file", ENV_FILE, "--json", cwd=tmp_path, env=environ(venue, BINANCE_SECRET="wrong")
    )
    assert done.code == 1
    texts = [one["text"] for one in json.loads(done.out)["findings"] if one["verdict"] == "fail"]
    assert texts
    assert all("BASISBOT_BINANCE_SECRET" in text for text in texts)
