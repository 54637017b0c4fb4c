"""The live loop on a virtual one: boot, trade, stop, fail, come back."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.model.commands import PlaceOrder, QueryAccount
from bot.model.facts import (
    Booted,
    Channel,
    ChannelLost,
    ModeOrdered,
    OrderUncertain,
    SettingsChanged,
    StopOrdered,
    Stopped,
    Tick,
)
from bot.model.ids import AccountId
from bot.model.pair import Mode
from bot.model.store import state_sha256
from bot.shell.boot import reopen
from bot.shell.daemon import Outcome
from bot.shell.dialogue import RunOver
from bot.shell.snapshots import KEPT, stored
from bot.shell.verify import verify
from tests.core.world import BTC, LINEAR, SPOT, make_config, with_strategy
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


def test_a_run_boots_trades_and_ends_in_order(tmp_path: Path) -> None:
    run, outcome = scene(tmp_path / "j", hedge_and_stop)
    assert outcome == Outcome(True, "ann: done for today")
    assert outcome.exit_code == 0
    first = run.entries[0].facts
    assert isinstance(first[0], Booted)
    assert first[0].previous == "none"
    lost = [fact for fact in first if isinstance(fact, ChannelLost)]
    assert [(fact.channel, fact.reason) for fact in lost] == [(one, "starting") for one in Channel] * 2
    assert run.facts[-1] == Stopped(True, "ann: done for today")
    assert StopOrdered("ann", "done for today") in run.facts
    assert run.gateway.closed
    assert verify(tmp_path / "j").ok


def test_nothing_is_sent_before_the_boot_is_on_disk_and_the_account_is_known(tmp_path: Path) -> None:
    run, _ = scene(tmp_path / "j", hedge_and_stop)
    kinds = [type(command) for command in run.gateway.sent]
    assert kinds.index(QueryAccount) < kinds.index(PlaceOrder)
    sent = [entry for entry in run.entries for one in entry.commands if isinstance(one, PlaceOrder)]
    assert sent[0].seq > 1


def test_every_command_that_was_sent_is_in_the_journal_first(tmp_path: Path) -> None:
    path, durable = tmp_path / "j", []

    async def play(run: Run) -> None:
        submit = run.gateway.submit

        def looked_at(command: Any) -> None:
            commands = [one for entry in run.entries for one in entry.commands]
            durable.append(command in commands)
            submit(command)

        run.gateway.submit = looked_at  # type: ignore[method-assign]
        await hedge_and_stop(run)

    scene(path, play)
    assert durable
    assert all(durable)


def test_a_tick_comes_at_each_whole_second_and_steers_the_clock(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        run.gateway.offset_ns = 3_000_000
        await until(lambda: run.daemon.vitals.ticked_ns >= BOOT_NS + 3 * SECOND_NS)
        run.daemon.stop("ann", "enough")

    run, _ = scene(tmp_path / "j", play)
    ticks = [entry.at_ns for entry in run.entries for fact in entry.facts if isinstance(fact, Tick)]
    assert [round(at_ns / SECOND_NS) for at_ns in ticks] == [BOOT_NS // SECOND_NS + n for n in (1, 2, 3)]
    assert all(0 <= at_ns % SECOND_NS < 1_000_000 for at_ns in ticks)
    assert run.clock.owed_ns == pytest.approx(2_000_000, abs=100_000)  # two seconds at 500 ppm
    assert run.store.accounts[AccountId("binance:usdm")].offset_ns == 3_000_000


def test_rows_do_not_wait_longer_than_a_second_for_the_disk(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await until(hedged(run))
        seen = run.daemon.engine.journal.last_seq
        await until(lambda: bool(run.entries) and run.entries[-1].seq >= seen, within_s=1.1)
        run.daemon.stop("ann", "enough")

    scene(tmp_path / "j", play)


def test_now_and_then_a_snapshot_follows_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.shell.daemon.SNAPSHOT_ROWS", 10)

    async def play(run: Run) -> None:
        await until(lambda: run.daemon.vitals.ticked_ns >= BOOT_NS + 10 * SECOND_NS)
        run.daemon.stop("ann", "enough")

    run, _ = scene(tmp_path / "j", play)
    kept = stored(tmp_path / "j")
    assert len(kept) == KEPT
    assert all(10 <= later.seq - earlier.seq < 20 for earlier, later in itertools.pairwise(kept))
    assert verify(tmp_path / "j").ok
    again = reopen(tmp_path / "j")
    again.journal.close()
    assert state_sha256(again.engine.store) == state_sha256(run.store)


def test_silence_beyond_the_deadline_is_uncertain_without_any_fact_of_the_venue(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        run.gateway.silent.add(LINEAR)
        await until(lambda: any(isinstance(fact, OrderUncertain) for fact in run.facts))
        run.daemon.stop("ann", "enough")

    config = msgspec.structs.replace(
        make_config(), fuse=msgspec.structs.replace(make_config().fuse, deadline_s=0.3)
    )
    run, outcome = scene(tmp_path / "j", play, config=config, stop_grace_s=5.0)
    sent = next(entry.at_ns for entry in run.entries for one in entry.commands if isinstance(one, PlaceOrder))
    told = next(
        entry.at_ns for entry in run.entries for fact in entry.facts if isinstance(fact, OrderUncertain)
    )
    assert told - sent == pytest.approx(0.3e9, abs=2e6)
    assert not outcome.clean


def test_gateways_are_told_which_instruments_have_orders(tmp_path: Path) -> None:
    run, _ = scene(tmp_path / "j", hedge_and_stop)
    assert frozenset({SPOT, LINEAR}) in run.gateway.told
    assert run.gateway.told[-1] == frozenset()


def test_an_operators_order_is_answered_with_its_row(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await until(hedged(run))
        seq = await run.daemon.order(pause())
        assert pause() in run.entries[seq - 1].facts
        assert run.store.mode is Mode.PAUSED
        run.daemon.stop("ann", "enough")

    run, _ = scene(tmp_path / "j", play)
    assert any(isinstance(fact, ModeOrdered) for fact in run.facts)


def test_an_order_to_a_run_that_is_over_is_refused(tmp_path: Path) -> None:
    run, _ = scene(tmp_path / "j", hedge_and_stop)

    async def late() -> None:
        with pytest.raises(RunOver):
            await run.daemon.order(pause())

    run_virtual(late())


# --- stopping ---------------------------------------------------------------------------------------------


async def stop_with_a_resting_order(run: Run) -> None:
    run.gateway.resting.add(LINEAR)
    await until(lambda: bool(run.gateway.open))
    run.daemon.stop("signal", "SIGTERM")


def test_stopping_withdraws_what_rests_and_repairs_what_is_naked(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        await stop_with_a_resting_order(run)
        run.gateway.resting.clear()

    run, outcome = scene(tmp_path / "j", play)
    assert outcome.clean
    assert not run.gateway.open
    pair = run.store.pairs[BTC]
    assert pair.naked_ns == 0
    assert not [order for order in run.store.orders.values() if order.state.is_live]
    stop = next(entry.seq for entry in run.entries if StopOrdered("signal", "SIGTERM") in entry.facts)
    after = [one for entry in run.entries[stop:] for one in entry.commands if isinstance(one, PlaceOrder)]
    assert after
    assert all(order.purpose.value in ("repair", "unwind") for order in after)


def test_a_second_order_to_stop_ends_at_once_and_untidily(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        run.gateway.silent.add(LINEAR)
        await until(lambda: bool(run.gateway.placed))
        run.daemon.stop("signal", "SIGTERM")
        await until(lambda: run.store.stopping != "")
        run.daemon.stop("signal", "SIGTERM")

    run, outcome = scene(tmp_path / "j", play)
    assert (outcome.clean, outcome.exit_code) == (False, 1)
    last = run.facts[-1]
    assert isinstance(last, Stopped)
    assert not last.clean
    again, _ = scene(
        tmp_path / "j",
        boot_and_stop,
        world=run.gateway.world,
        run_id="0run0001",
        anchor_ns=LATER_NS,
        stop_grace_s=1.0,
    )
    booted = next(fact for fact in again.facts if isinstance(fact, Booted) and fact.run_id == "0run0001")
    assert booted.previous == "aborted"
    assert again.store.mode is Mode.REDUCE_ONLY


def test_the_grace_is_bounded(tmp_path: Path) -> None:
    began: list[float] = []

    async def play(run: Run) -> None:
        run.gateway.silent.add(LINEAR)
        await until(lambda: bool(run.gateway.placed))
        began.append(run.clock.now_ns() / 1e9)
        run.daemon.stop("signal", "SIGTERM")

    run, outcome = scene(tmp_path / "j", play, stop_grace_s=7.0)
    assert not outcome.clean
    assert "7 s" in outcome.reason
    assert run.entries[-1].at_ns / 1e9 - began[0] == pytest.approx(7.0, abs=0.1)


# --- settings ---------------------------------------------------------------------------------------------


def test_changed_settings_are_a_fact_and_their_difference_a_line(tmp_path: Path) -> None:
    changed = with_strategy(make_config(), entry_gap_bps=50.0)

    async def play(run: Run) -> None:
        await until(lambda: run.daemon.vitals.ticked_ns > 0)
        run.daemon.reload()
        await until(lambda: run.store.config == changed)
        run.daemon.stop("ann", "enough")

    run, _ = scene(tmp_path / "j", play, reload=lambda: SettingsChanged(changed, "SIGHUP"))
    assert [one for one in run.notes if one[0].startswith("settings")] == [
        ("settings changed", {"strategy.entry_gap_bps": "5.0 → 50.0"})
    ]


def test_settings_that_may_not_change_are_refused_with_a_sentence(tmp_path: Path) -> None:
    async def play(run: Run) -> None:
        run.daemon.reload()
        await boot_and_stop(run)

    run, _ = scene(tmp_path / "j", play, reload=lambda: "BASISBOT_PAIRS needs a restart")
    (alert,) = [one for one in run.alerts if one.key == "settings_refused"]
    assert (alert.severity, alert.text) == ("warning", "BASISBOT_PAIRS needs a restart")
    assert run.daemon.vitals.alerts["settings_refused"] == 1
    assert not [one for one in run.notes if one[0].startswith("settings")]
    assert not any(isinstance(fact, SettingsChanged) for fact in run.facts)
    assert run.store.config is not None
    assert run.store.config.strategy.clip_quote == Decimal(10_000)
