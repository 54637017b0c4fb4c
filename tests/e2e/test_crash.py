"""The bot loses its memory while the venue lives on: whatever was on its way, it comes back by its journal
and the venue's answers, sends nothing twice, and ends with the venue's own books."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.model.facts import Booted, FundingPaid
from bot.model.pair import Purpose
from tests.conftest import ROOT
from tests.e2e import feeds
from tests.e2e.feeds import INVERSE, LINEAR, SETTLES_NS
from tests.e2e.process import Done, lawful, moves, paper

MS = 1_000_000
SCENES = {"linear": LINEAR, "inverse": INVERSE}
# a busy engine: what is told while it works waits, and a crash takes it away
BUSY = {"PAPER_STEP_US": "20000"}


def crash_at(times_ns: Iterable[int]) -> list[str]:
    """Arguments for crashes at these times, which are whole microseconds."""
    arguments = []
    for at_ns in times_ns:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
        arguments += ["--crash-at", at.isoformat()]
    return arguments


def assert_healed(done: Done, crashes: int) -> None:
    """Every law of a run holds, and nothing but the crashes themselves tells of them."""
    store = lawful(done)
    report = done.report
    assert report.boots == 1 + crashes
    names = [order.client_id for _, order in done.orders]
    assert len(set(names)) == len(names) > 0
    assert report.protocol_drift == {}, "the venue saw a client id twice, or told of an order nobody knows"
    assert store.config is not None
    assert report.pairs[0].naked_s_max <= store.config.strategy.patience_s + 1.0
    assert report.attribution.residual == "0"
    assert not any(order.state.is_live for order in store.orders.values())


class Times:
    """When things happened in the run that nothing interrupts."""

    def __init__(self, plain: Done) -> None:
        orders = plain.orders
        self.enters = list(dict.fromkeys(at for at, order in orders if order.purpose is Purpose.ENTER))
        self.exits = list(dict.fromkeys(at for at, order in orders if order.purpose is Purpose.EXIT))
        self.paid = [
            entry.at_ns for entry in plain.entries for fact in entry.facts if isinstance(fact, FundingPaid)
        ]


@pytest.fixture(scope="module", params=list(SCENES))
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, tuple[Path, ...], Times]:
    folder = tmp_path_factory.mktemp("made")
    scene = SCENES[request.param]
    recording = feeds.record(folder / "feed", scene)
    plain = paper(folder, recording, feeds.settings(scene.perpetual))
    lawful(plain)
    times = Times(plain)
    assert (len(times.enters), len(times.exits), len(times.paid)) == (3, 3, 1)
    return scene.perpetual, recording, times


# an order arrives after 5 ms and is answered after 10
POINTS = {
    "at an entry": ("enters", 0, 0),
    "before it arrives": ("enters", 0, 1 * MS),
    "as it arrives": ("enters", 0, 5 * MS),
    "between send and answer": ("enters", 1, 6 * MS),
    "as the answer is seen": ("enters", 1, 10 * MS),
    "after the answer": ("enters", 2, 11 * MS),
    "before a settlement": ("paid", 0, -7 * MS),
    "at a settlement": ("paid", 0, -5 * MS),
    "between settlement and payment": ("paid", 0, -2 * MS),
    "as a payment is seen": ("paid", 0, 0),
    "after a payment": ("paid", 0, 3 * MS),
    "while leaving, before it arrives": ("exits", 0, 1 * MS),
    "while leaving, between send and answer": ("exits", 0, 6 * MS),
    "while leaving, after the answer": ("exits", -1, 11 * MS),
}


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("point", list(POINTS))
def test_one_crash(point: str, busy: bool, made: tuple[str, tuple[Path, ...], Times], tmp_path: Path) -> None:
    perpetual, recording, times = made
    what, number, offset_ns = POINTS[point]
    at_ns = getattr(times, what)[number] + offset_ns
    env = feeds.settings(perpetual, BUSY if busy else {})
    done = paper(tmp_path, recording, env, *crash_at([at_ns]))
    assert_healed(done, 1)
    assert moves(done.report)[-2:] == ["EXITING", "FLAT"]
    assert len(done.report.funding_payments) == 1


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_five_crashes(busy: bool, made: tuple[str, tuple[Path, ...], Times], tmp_path: Path) -> None:
    perpetual, recording, times = made
    crashes = [
        times.enters[0] + MS,
        times.enters[1] + 6 * MS,
        times.enters[2] + 11 * MS,
        times.paid[0] + 2 * MS,
        times.exits[0] + 6 * MS,
    ]
    env = feeds.settings(perpetual, BUSY if busy else {})
    done = paper(tmp_path, recording, env, *crash_at(crashes))
    assert_healed(done, 5)
    booted = [fact for entry in done.entries for fact in entry.facts if isinstance(fact, Booted)]
    assert [fact.previous for fact in booted] == ["none", *["crash"] * 5]
    assert moves(done.report)[-1] == "FLAT"


def test_one_crash_after_another_in_the_same_second(
    made: tuple[str, tuple[Path, ...], Times], tmp_path: Path
) -> None:
    perpetual, recording, times = made
    crashes = [times.enters[0] + offset_ms * MS for offset_ms in (1, 3, 6, 12, 400)]
    done = paper(tmp_path, recording, feeds.settings(perpetual), *crash_at(crashes))
    assert_healed(done, 5)


def test_the_payment_that_a_crash_took_away_is_told_again(
    made: tuple[str, tuple[Path, ...], Times], tmp_path: Path
) -> None:
    """The tick of the settlement's second keeps the engine busy while the payment arrives."""
    perpetual, recording, _ = made
    done = paper(tmp_path, recording, feeds.settings(perpetual, BUSY), *crash_at([SETTLES_NS + 12 * MS]))
    assert_healed(done, 1)
    boot = next(
        entry.seq for entry in done.entries[1:] if any(isinstance(fact, Booted) for fact in entry.facts)
    )
    paid = [entry.seq for entry in done.entries for fact in entry.facts if isinstance(fact, FundingPaid)]
    assert min(paid) > boot, "the crash came too late to lose the payment"
    assert len(done.report.funding_payments) == 1


# --- on a real recording ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Times]:
    folders = [recordings / "wire/hftbacktest" / name for name in ("spot", "usdm")]
    plain = run_real(tmp_path_factory.mktemp("plain"), folders)
    lawful(plain)
    return folders, Times(plain)


def run_real(cwd: Path, folders: list[Path], *more: str, env: dict[str, str] | None = None) -> Done:
    return paper(cwd, folders, env, "--env-file", ROOT / "examples/hft-linear.env", *more)


def test_five_crashes_of_a_round_trip_on_a_real_recording(
    real: tuple[list[Path], Times], tmp_path: Path
) -> None:
    folders, times = real
    crashes = [
        times.enters[0] + MS,
        times.enters[0] + 6 * MS,
        times.enters[0] + 11 * MS,
        times.exits[0] - 1,
        times.exits[0] + 6 * MS,
    ]
    done = run_real(tmp_path, folders, *crash_at(crashes))
    assert_healed(done, 5)
    assert moves(done.report)[-1] == "FLAT"


def test_five_crashes_around_a_real_settlement(real: tuple[list[Path], Times], tmp_path: Path) -> None:
    folders, times = real
    midnight_ns = 1_723_161_600_000_000_000
    crashes = [times.enters[0] + 6 * MS, *(midnight_ns + offset_ms * MS for offset_ms in (-1, 3, 7, 20))]
    held = {"BASISBOT_STRATEGY__EXIT_GAP_BPS": "-1000"}
    done = run_real(tmp_path, folders, *crash_at(crashes), env=held)
    assert_healed(done, 5)
    assert moves(done.report)[-1] == "HEDGED"
    assert len(done.report.funding_payments) == 1
