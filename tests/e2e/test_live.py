"""The daemon against the rehearsal servers, each a process: it trades, is told, killed, started again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from bot.model.commands import PlaceOrder
from bot.model.facts import Booted, ModeOrdered, SettingsChanged, Stopped
from bot.model.pair import Mode
from bot.shell.dialogue import token_file
from bot.shell.state import State
from tests.e2e.living import ENV_FILE, SMALL, TOKEN, Daemon, Venue, are, ended
from tests.e2e.process import basisbot
from tests.invariants import check

AHEAD_S = 2.0  # answers to orders and the account's events come over different sockets


def assert_hides(daemon: Daemon, *secrets: str) -> None:
    """No secret is in what the daemon said, told or wrote."""
    status = daemon.tell("status", "--json")
    exported = basisbot("journal", "export", daemon.journal, cwd=daemon.cwd)
    metrics = daemon.get("/metrics")
    assert (status.code, exported.code, metrics[0]) == (0, 0, 200)
    told = daemon.said + status.out + exported.out + metrics[1]
    assert len(told) > 10_000
    assert [secret for secret in (*secrets, "signature=") if secret in told] == []


def assert_lawful(daemon: Daemon, venue: Venue) -> None:
    """The journal verifies, breaks no law, and holds the venue's orders, each sent once."""
    verified = basisbot("journal", "verify", "--json", daemon.journal, cwd=daemon.cwd)
    assert verified.code == 0, verified.out
    assert json.loads(verified.out)["ok"]
    entries = daemon.entries
    broken, _ = check(entries, AHEAD_S)
    assert broken == []
    sent = [one.client_id for entry in entries for one in entry.commands if isinstance(one, PlaceOrder)]
    assert sorted(venue.client_ids()) == sorted(sent)


def last_fact(daemon: Daemon) -> object:
    return daemon.entries[-1].facts[-1]


def test_a_rehearsal_needs_nothing_and_leaves_nothing_running(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, SMALL, "rehearse", "--json")
    with ended(daemon):
        daemon.until_hedged()
        assert (daemon.get("/readyz")[0], daemon.get("/healthz")[0]) == (200, 200)
        waited = daemon.tell("health", "--ready", "--wait-s", "20")
        assert (waited.code, waited.out) == (0, "ready\n")
        status = daemon.tell("status", "--journal", "out/rehearsal/journal.sqlite")
        assert status.code == 0, status.err
        assert [line.split()[:2] for line in status.out.splitlines() if "HEDGED" in line] == [
            ["BTC", "HEDGED"],
            ["BTCUSD", "HEDGED"],
        ]
        token = token_file(daemon.journal)
        assert token.stat().st_mode & 0o777 == 0o600
        assert token.read_text() not in daemon.said + status.out
        again = basisbot("rehearse", cwd=tmp_path, env={"BASISBOT_API_PORT": "0"})
        assert again.code == 4
        assert "another rehearsal writes to out/rehearsal" in again.err
        pid = daemon.process.pid
        (servers,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert "--serve" in Path(f"/proc/{servers}/cmdline").read_text()
        assert b"BASISBOT_" not in Path(f"/proc/{servers}/environ").read_bytes()
        assert daemon.end() == 0
    assert not Path(f"/proc/{servers}").exists()
    assert json.loads(daemon.out.read_text()) == {"clean": True, "reason": "signal: SIGTERM"}
    assert last_fact(daemon) == Stopped(True, "signal: SIGTERM")


def test_killed_and_started_again_it_goes_on_with_the_same_orders_and_mode(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    first = Daemon(tmp_path, venue.environ())
    with ended(venue, first):
        before = first.until_hedged()
        positions = [venue.position(market) for market in ("usdm", "coinm")]
        assert "0" not in positions
        told = first.tell("pause", "BTC", "--reason", "lunch", "--actor", "ann", "--json")
        assert told.code == 0, told.err
        assert json.loads(told.out)["in_force"] == {"BTC": "paused", "BTCUSD": "active"}
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        orders = [fact for entry in first.entries for fact in entry.facts if isinstance(fact, ModeOrdered)]
        assert orders == [ModeOrdered("BTC", Mode.PAUSED, "ann", "lunch")]
        again = Daemon(tmp_path, venue.environ(), name="again")
        with ended(again):
            assert_goes_on(before, again.until_hedged())
            assert [venue.position(market) for market in ("usdm", "coinm")] == positions
            assert_lawful(again, venue)
            assert again.tell("resume", "BTC", "--reason", "back").code == 0
            assert again.tell("flatten", "--reason", "going home").code == 0
            again.until_state(lambda state: state.mode == "halted" and are(state, "FLAT"), "HALTED and flat")
            assert {venue.position(market) for market in ("usdm", "coinm")} <= {"0", "0.0", "0.000"}
            listen_key = venue.ask("usdm", "/fapi/v1/listenKey", method="POST")["listenKey"]
            assert_hides(again, *venue.secrets, TOKEN, listen_key)
            assert again.end() == 0
        assert last_fact(again) == Stopped(True, "signal: SIGTERM")
        boots = [fact for entry in again.entries for fact in entry.facts if isinstance(fact, Booted)]
        assert [boot.previous for boot in boots] == ["none", "crash"]
        assert_lawful(again, venue)
        halted = Daemon(tmp_path, venue.environ(), name="halted")
        with ended(halted):
            state = halted.until_state(lambda state: bool(state.accounts), "a state")
            assert state.mode == "halted"
            assert halted.get("/readyz")[0] == 503
            assert halted.end() == 0


def assert_goes_on(before: State, after: State) -> None:
    for name, pair in before.pairs.items():
        assert {role: leg.qty for role, leg in after.pairs[name].legs.items()} == {
            role: leg.qty for role, leg in pair.legs.items()
        }
    assert (after.pairs["BTC"].mode, after.pairs["BTCUSD"].mode) == ("paused", "active")
    assert after.run_id != before.run_id


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    venue = Venue(tmp_path, "at=0s drop usdm.orders for=600s")
    daemon = Daemon(tmp_path, venue.environ())
    with ended(venue, daemon):
        daemon.until_state(lambda state: bool(state.orders), "an order without an answer")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.until_state(lambda state: bool(state.stopping), "the stop")
        assert daemon.end() == 1
        assert "stopped before it was done: signal: SIGTERM" in daemon.said
    last = last_fact(daemon)
    assert isinstance(last, Stopped)
    assert not last.clean


def test_sighup_takes_over_what_may_change_and_refuses_the_rest_by_name(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    env_file = tmp_path / "settings.env"
    env_file.write_text(ENV_FILE.read_text())
    daemon = Daemon(tmp_path, venue.environ(), env_file=env_file)
    with ended(venue, daemon):
        daemon.until_state(lambda state: bool(state.accounts), "a state")
        settings = env_file.read_text()
        env_file.write_text(settings.replace("ENTRY_CARRY_APR=0.3", "ENTRY_CARRY_APR=0.4"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_said('"settings changed"')
        env_file.write_text(settings.replace("CLIP_QUOTE=20000", "CLIP_QUOTE=10000"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_said("no changed setting was taken over: BASISBOT_STRATEGY__CLIP_QUOTE can only change")
        env_file.write_text(f"{settings}\nBASISBOT_PAPER_FUNDING=other.csv\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_said("BASISBOT_PAPER_FUNDING can only change with a restart")
        env_file.write_text(settings.replace("ENTRY_CARRY_APR=0.3", "ENTRY_CARRY_APR=much"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_said("BASISBOT_STRATEGY__ENTRY_CARRY_APR='much'")
        assert daemon.end() == 0
    lines = [json.loads(line) for line in daemon.err.read_text().splitlines() if "settings_refused" in line]
    assert [line["level"] for line in lines] == ["warning"] * 3
    changed = [fact for entry in daemon.entries for fact in entry.facts if isinstance(fact, SettingsChanged)]
    assert [fact.config.strategy.entry_carry_apr for fact in changed] == [0.4]
    assert changed[0].config.strategy.clip_quote == 20_000


def test_a_second_daemon_is_refused_here_and_found_out_elsewhere(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    idle = venue.environ(STRATEGY__ENTRY_CARRY_APR="9")
    first = Daemon(tmp_path, idle)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "locks").mkdir(parents=True)
    with ended(venue, first):
        one = first.until_state(lambda state: state.ready, "ready")
        here = basisbot("run", "--env-file", ENV_FILE, "--journal", "other.sqlite", cwd=tmp_path, env=idle)
        assert here.code == 4
        assert "another daemon on this machine trades with" in here.err
        second = Daemon(elsewhere, {**venue.environ(), "TMPDIR": str(elsewhere / "locks")})
        with ended(second):
            first.until_state(lambda state: state.mode == "halted", "HALTED")
            other = second.until_state(lambda state: bool(state.run_id), "its run")
            first.until_said('"halted"')
            assert one.run_id in first.said
            assert other.run_id in first.said
