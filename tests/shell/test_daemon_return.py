"""How a live run fails, and how the next one finds its way back."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from bot.model.facts import (
    Booted,
    Channel,
    ChannelLost,
    ModeOrdered,
    OrderRejected,
)
from bot.model.ids import AccountId
from bot.model.pair import Mode, PairSpec
from bot.model.store import OrderState
from bot.shell.boot import ClockBehind
from bot.shell.daemon import NOT_SERVED
from bot.shell.engine import BugExit
from bot.shell.rows import JournalError
from bot.shell.verify import verify
from tests.core.world import LINEAR, SPOT, World
from tests.shell.live import (
    BOOT_NS,
    LATER_NS,
    SECOND_NS,
    Run,
    boot_and_stop,
    hedge_and_stop,
    hedged,
    pause,
    scene,
    until,
)
from tests.virtual.loop import run_virtual


class Refused(Exception):
    exit_code = 4


# --- failing ----------------------------------------------------------------------------------------------


def test_a_gateway_that_fails_is_a_bug_and_leaves_its_evidence(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await until(hedged(run))
        run.gateway.failure = ValueError("no such key")

    with pytest.raises(BugExit, match="no such key"):
        scene(tmp_path / "j", play)
    evidence = msgspec.json.decode((tmp_path / "j.poison.json").read_bytes())
    assert "no such key" in evidence["traceback"]
    assert verify(tmp_path / "j").ok
    again, _ = scene(tmp_path / "j", boot_and_stop, anchor_ns=LATER_NS)
    booted = [fact.previous for fact in again.facts if isinstance(fact, Booted)]
    assert booted == ["none", "bug"]


def test_a_gateways_refusal_stops_in_order_and_keeps_its_code(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await until(hedged(run))
        run.gateway.failure = Refused("the key may withdraw")

    with pytest.raises(Refused, match="may withdraw"):
        scene(tmp_path / "j", play)
    again, _ = scene(tmp_path / "j", boot_and_stop, anchor_ns=LATER_NS)
    assert [fact.previous for fact in again.facts if isinstance(fact, Booted)] == ["none", "clean"]


def test_a_refusal_out_of_a_task_group_keeps_its_code_and_a_bug_beside_it_does_not(tmp_path: Path) -> None:
    failures: list[Exception] = [Refused("the key may withdraw")]

    async def play(run: Run) -> None:
        await until(hedged(run))
        run.gateway.failure = ExceptionGroup("outer", [ExceptionGroup("inner", failures)])

    with pytest.raises(Refused, match="may withdraw"):
        scene(tmp_path / "j", play)
    failures.append(ValueError("no such key"))
    with pytest.raises(BugExit, match="no such key"):
        scene(tmp_path / "other", play)


async def fail_the_step(run: Run) -> None:
    await until(hedged(run))
    config = run.daemon.parts.config
    swapped = tuple(PairSpec(one.name, one.short, one.long, one.capital_quote) for one in config.pairs)
    run.gateway.tell(Booted("again", "0", msgspec.structs.replace(config, pairs=swapped)))


def test_a_venue_that_fills_an_order_twice_ends_no_run(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await until(hedged(run))
        order = run.gateway.placed[0]
        for fact in run.gateway.world.execute(order, order.qty, order.price):
            run.gateway.tell(fact)  # a second time in full, under another trade id
        await until(lambda: any(one.key.startswith("contradiction:") for one in run.alerts))
        await until(lambda: any(one.key.startswith("reconcile:") for one in run.alerts))
        assert run.store.mode is Mode.ACTIVE
        run.daemon.stop("test", "done")

    scene(tmp_path / "j", play)
    assert not (tmp_path / "j.poison.json").exists()
    assert verify(tmp_path / "j").ok


def test_a_step_that_fails_ends_the_run_with_its_evidence(tmp_path: Path) -> None:
    with pytest.raises(BugExit, match="the step failed"):
        scene(tmp_path / "j", fail_the_step)
    assert (tmp_path / "j.poison.json").is_file()


async def fail_the_gateway(run: Run) -> None:
    await until(hedged(run))
    run.gateway.failure = ValueError("no such key")


@pytest.mark.parametrize("play", [fail_the_step, fail_the_gateway])
def test_a_disk_without_room_for_the_evidence_keeps_no_run_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: Callable[[Run], Awaitable[None]]
) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BugExit, match=r"lost, since .*j\.poison\.json cannot be written \(No space left"):
        scene(tmp_path / "j", play)


def test_a_journal_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await until(hedged(run))
        run.daemon.engine.journal._db.execute("PRAGMA query_only=1")  # type: ignore[attr-defined]
        await run.daemon.order(pause())

    with pytest.raises(JournalError):
        scene(tmp_path / "j", play)


def test_a_clock_behind_the_journal_refuses_to_start(tmp_path: Path) -> None:
    scene(tmp_path / "j", hedge_and_stop)
    with pytest.raises(ClockBehind, match="3600"):
        scene(tmp_path / "j", hedge_and_stop, anchor_ns=BOOT_NS - 3_600 * SECOND_NS)


# --- coming back ------------------------------------------------------------------------------------------


def test_a_crash_between_send_and_answer_comes_back_by_asking(tmp_path: Path) -> None:
    path, left = tmp_path / "j", []

    async def crash() -> World:
        run = Run(path)
        running = asyncio.ensure_future(run.daemon.run())
        run.gateway.silent.update({SPOT, LINEAR})
        await until(lambda: len(run.gateway.placed) == 2)
        running.cancel()
        await asyncio.wait({running})
        left.append(run)
        return run.gateway.world

    world = run_virtual(crash())
    run, _ = scene(path, boot_and_stop, world=world, run_id="0run0001", anchor_ns=LATER_NS, stop_grace_s=1.0)
    assert [fact.previous for fact in run.facts if isinstance(fact, Booted)] == ["none", "crash"]
    assert {order.state for order in run.store.orders.values()} == {OrderState.UNCERTAIN}
    assert not run.gateway.placed


def test_an_order_for_an_account_that_no_setting_names_is_refused_by_ourselves(tmp_path: Path) -> None:
    path = tmp_path / "j"
    before, _ = scene(path, hedge_and_stop)

    async def play(run: Run) -> None:
        await until(lambda: run.daemon.vitals.ticked_ns > 0)
        await run.daemon.order(ModeOrdered("*", Mode.FLATTENING, "ann", "leave"))
        await until(lambda: any(isinstance(fact, OrderRejected) for fact in run.facts))

    async def whole() -> Run:
        run = Run(
            path, world=before.gateway.world, run_id="0run0001", anchor_ns=LATER_NS, served=("binance:spot",)
        )
        running = asyncio.ensure_future(run.daemon.run())
        await play(run)
        running.cancel()
        await asyncio.wait({running})
        return run

    run = run_virtual(whole())
    boot = next(entry for entry in run.entries if entry.at_ns >= LATER_NS)
    assert ChannelLost(AccountId("binance:usdm"), Channel.ORDERS, NOT_SERVED) in boot.facts
    refused = next(fact for fact in run.facts if isinstance(fact, OrderRejected))
    assert (refused.code, refused.reason) == ("NOT_SERVED", NOT_SERVED)
    assert {order.instrument for order in run.gateway.placed} == {SPOT}
