"""The demonstration: what forty simulated hours must show, read from its report and its journal."""

from __future__ import annotations

import fcntl
from datetime import datetime
from decimal import Decimal

import pytest

from bot.model.store import state_sha256
from bot.shell.report_model import Report, inconsistencies
from bot.shell.rows import read_entries
from tests.e2e.process import Done, basisbot, moves
from tests.invariants import check

OUTAGE_S = 360


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Done:
    """One run for all workers: the first makes it, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "demo"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "out/report.json").exists():
            return Done(0, "", "", folder / "out")
        return basisbot("demo", "--out", folder / "out", cwd=folder)


@pytest.fixture(scope="session")
def report(demo: Done) -> Report:
    assert demo.code == 0, demo.err
    return demo.report


def test_it_lasts_a_day_and_a_half_and_accounts_for_every_frame(report: Report) -> None:
    lasted = datetime.fromisoformat(report.end) - datetime.fromisoformat(report.start)
    assert lasted.total_seconds() >= 36 * 3600
    assert report.frames_by_disposition.total() == report.frames_in > 100_000
    assert report.frames_by_disposition.refused == {}
    assert inconsistencies(report) == ()


def test_funding_is_collected_by_both_pairs(report: Report) -> None:
    assert len(report.funding_payments) >= 3
    for pair in report.pairs:
        mine = [payment for payment in report.funding_payments if payment.pair == pair.name]
        assert len(mine) >= 3
        assert len({payment.at for payment in mine}) == len(mine), "no settlement is paid twice"
    assert Decimal(report.attribution.funding) > 0


def test_drift_is_rebalanced(report: Report) -> None:
    assert sum(pair.rebalances for pair in report.pairs) >= 1
    assert any(fill.purpose == "drift" for fill in report.fills)


def test_nothing_is_traded_through_the_outage(report: Report) -> None:
    assert report.gaps >= 1
    for pair in report.pairs:
        assert OUTAGE_S - 60 <= pair.not_trading["stale_feed"] <= OUTAGE_S + 60
    outage = ("2026-03-02T23:02:10", "2026-03-02T23:08:00")
    assert not [fill for fill in report.fills if outage[0] <= fill.at <= outage[1]]


def test_every_pair_ends_flat_and_hedged_all_the_way(report: Report) -> None:
    assert len(report.pairs) == 2
    for pair in report.pairs:
        states = moves(report, pair.name)
        assert states[0] == states[-1] == pair.state.value == "FLAT"
        assert {"ENTERING", "HEDGED", "EXITING"} <= set(states)
        assert "LEGGED" not in states
        assert pair.naked_s_max <= report.settings["strategy"]["patience_s"]
    assert report.attribution.residual == "0"


def test_every_non_trade_has_a_reason(report: Report) -> None:
    lasted = datetime.fromisoformat(report.end) - datetime.fromisoformat(report.start)
    for pair in report.pairs:
        assert sum(pair.not_trading.values()) == pytest.approx(lasted.total_seconds(), abs=60)


def test_its_journal_breaks_no_law(demo: Done, report: Report) -> None:
    broken, store = check(read_entries(demo.journal))
    assert not broken, "; ".join(broken[:5])
    assert state_sha256(store) == report.state_sha256
