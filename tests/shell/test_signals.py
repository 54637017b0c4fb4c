"""Signals and the command line against a run in its own process: as an operator meets it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from bot.model.facts import ModeOrdered, SettingsChanged, Stopped
from bot.model.pair import Mode, PairState
from bot.shell.api import serve
from bot.shell.daemon import Daemon, Outcome, run_daemon
from bot.shell.dialogue import Access, token_file
from tests.conftest import ROOT
from tests.core.world import BTC, make_config, with_strategy
from tests.shell.live import Run, until

TOKEN = "correct-horse-battery"


def signalled(path: Path, play: Callable[[Run], Awaitable[None]]) -> tuple[Run, Outcome]:
    """A hedged run that listens to this process's signals."""
    changed = with_strategy(make_config(), entry_gap_bps=50.0)

    async def whole() -> tuple[Run, Outcome]:
        run = Run(path, reload=lambda: SettingsChanged(changed, "sighup"))
        running = asyncio.ensure_future(run_daemon(run.daemon.parts))
        await until(lambda: BTC in run.store.pairs and run.store.pairs[BTC].state is PairState.HEDGED)
        await play(run)
        return run, await asyncio.wait_for(running, 10)

    return asyncio.run(whole())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    async def play(run: Run) -> None:
        os.kill(os.getpid(), number)

    run, outcome = signalled(tmp_path / "j", play)
    assert outcome == Outcome(True, f"signal: {number.name}")
    assert run.facts[-1] == Stopped(True, f"signal: {number.name}")


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        run.gateway.gap_bps = -20.0
        run.gateway.silent.update(one.id for one in run.gateway.world.instruments)
        await until(lambda: any(order.state.is_live for order in run.store.orders.values()))
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: run.store.stopping != "")
        os.kill(os.getpid(), signal.SIGTERM)

    _, outcome = signalled(tmp_path / "j", play)
    assert outcome.exit_code == 1


def test_sighup_takes_over_changed_settings(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: run.store.config is not None and run.store.config.strategy.entry_gap_bps == 50.0)
        os.kill(os.getpid(), signal.SIGTERM)

    run, _ = signalled(tmp_path / "j", play)
    assert [one for one in run.notes if one[0].startswith("settings")] == [
        ("settings changed", {"strategy.entry_gap_bps": "5.0 → 50.0"})
    ]


def test_a_signal_before_the_boot_finds_a_process_that_has_begun_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[object] = []

    @asynccontextmanager
    async def opening(daemon: Daemon, access: Access) -> AsyncIterator[int]:
        before.append(signal.getsignal(signal.SIGTERM))
        yield 0

    monkeypatch.setattr("bot.shell.api.serve", opening)

    async def whole() -> None:
        run = Run(tmp_path / "j")
        running = asyncio.ensure_future(run_daemon(run.daemon.parts, api=Access(0, TOKEN)))
        await until(lambda: bool(run.gateway.sent))
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await asyncio.wait_for(running, 10)).clean

    asyncio.run(whole())
    assert before == [signal.SIG_DFL]


# --- the verbs --------------------------------------------------------------------------------------------


class Said(msgspec.Struct):
    code: int
    out: str
    err: str


async def basisbot(cwd: Path, env: dict[str, str], *arguments: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


def test_the_verbs_reach_a_run_by_the_token_beside_its_journal(tmp_path: Path) -> None:
    async def whole() -> None:
        run = Run(tmp_path / "j")
        async with serve(run.daemon, Access(0, TOKEN, token_file(tmp_path / "j"))) as port:
            running = asyncio.ensure_future(run.daemon.run())
            env = {"BASISBOT_API_PORT": str(port), "BASISBOT_JOURNAL": str(tmp_path / "j"), "USER": "ann"}
            await until(lambda: BTC in run.store.pairs and run.store.pairs[BTC].state is PairState.HEDGED)
            await until(lambda: all(account.reconciled for account in run.store.accounts.values()))

            said = await basisbot(tmp_path, env, "health", "--ready")
            assert (said.code, said.out) == (0, "ready\n")
            said = await basisbot(tmp_path, env, "pause", "BTC", "--reason", "lunch", "--json")
            assert said.code == 0, said.err
            seq = json.loads(said.out)["seq"]
            assert ModeOrdered("BTC", Mode.PAUSED, "ann", "lunch") in run.entries[seq - 1].facts
            said = await basisbot(tmp_path, env, "halt", "--reason", "fire", "--actor", "bob")
            assert said.code == 0, said.err
            assert said.out.endswith("halt everything; now BTC halted\n")
            said = await basisbot(tmp_path, env, "status", "--json")
            assert json.loads(said.out)["mode"] == "halted"
            said = await basisbot(tmp_path, env, "health", "--ready")
            assert (said.code, said.out) == (1, "not ready: BTC: halted bob: fire\n")
            said = await basisbot(tmp_path, env, "pause", "ETH", "--reason", "x")
            assert (said.code, said.out) == (1, "")
            assert said.err == "basisbot: there is no pair 'ETH'; there are BTC\n"

            run.daemon.stop("test", "over")
            await running

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (("status",), {"BASISBOT_API_TOKEN": TOKEN, "BASISBOT_API_PORT": "9"}, 1, "BASISBOT_API_PORT"),
        (("status",), {}, 4, "BASISBOT_API_TOKEN"),
        (
            ("halt", "--reason", "x"),
            {"BASISBOT_API_TOKEN": TOKEN, "BASISBOT_API_PORT": "0"},
            4,
            "BASISBOT_API_PORT",
        ),
        (("halt",), {"BASISBOT_API_TOKEN": TOKEN}, 2, "--reason"),
        (("halt", "--reason", "x"), {"BASISBOT_API_TOKEN_FILE": "absent"}, 4, "BASISBOT_API_TOKEN_FILE"),
    ],
)
def test_a_verb_that_cannot_reach_a_run_says_which_variable(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], code: int, words: str
) -> None:
    said = asyncio.run(basisbot(tmp_path, env, *arguments))
    assert said.code == code
    assert words in said.err
    assert TOKEN not in said.err
