"""One round trip on recordings the tests make themselves: what the real recordings show, where there are
none."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.recorded.writer import CaptureWriter, PartLimit
from bot.model.commands import PlaceOrder
from bot.model.facts import BookGapped, Booted, FundingPaid
from bot.model.pair import Purpose
from bot.shell.report_model import inconsistencies
from bot.shell.rows import read_rows
from tests.e2e import feeds
from tests.e2e.feeds import BEHIND_NS, INVERSE, LINEAR, Scene
from tests.e2e.process import Done, basisbot, lawful, moves, paper

CLIPS = 3
ROUND_TRIP = ["FLAT", *["ENTERING", "HEDGED"] * CLIPS, "EXITING", "FLAT"]
SCENES = {"linear": LINEAR, "inverse": INVERSE}


def run(
    cwd: Path, scene: Scene, changes: Mapping[str, str] | None = None, *, recorded: feeds.Lines | None = None
) -> Done:
    paths = feeds.write(cwd / "feed", recorded or feeds.lines(scene))
    return paper(cwd, paths, feeds.settings(scene.perpetual, changes))


@pytest.fixture(scope="module", params=list(SCENES))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Done]:
    scene = SCENES[request.param]
    return scene, run(tmp_path_factory.mktemp(request.param), scene)


def test_a_pair_enters_in_clips_is_paid_and_leaves(whole: tuple[Scene, Done]) -> None:
    scene, done = whole
    store = lawful(done)
    report = done.report
    assert moves(report) == ROUND_TRIP
    assert report.frames_in == report.frames_by_disposition.total() == len(list(feeds.frames(scene)))
    assert report.frames_by_disposition.refused == {}
    assert report.gaps == 0
    for offset_s in report.clock_offset_s.values():
        assert offset_s == pytest.approx(BEHIND_NS / 1e9, abs=0.01)
    assert store.config is not None
    assert report.pairs[0].naked_s_max <= store.config.strategy.patience_s
    (payment,) = report.funding_payments
    assert payment.at == "2026-03-02T08:00:00.000000Z"
    assert inconsistencies(report) == ()
    assert report.attribution.residual == "0"
    assert report.attribution.total() == Decimal(report.nav.end or 0) - Decimal(report.nav.start or 0) != 0


def test_doing_it_again_says_the_same_whatever_the_order_and_place_of_its_feeds(
    whole: tuple[Scene, Done], tmp_path: Path
) -> None:
    scene, done = whole
    paths = feeds.record(tmp_path / "elsewhere", scene)
    again = paper(tmp_path, paths[::-1], feeds.settings(scene.perpetual))
    assert again.report_bytes == done.report_bytes
    assert basisbot("journal", "verify", again.journal, cwd=tmp_path).code == 0


def test_a_capture_split_in_parts_says_the_same_as_the_lines_it_was_made_of(tmp_path: Path) -> None:
    symbols = ("spot:BTCUSDT", "usdm:BTCUSDT")
    runs = []
    for span_s in (3600, 20):
        folder = tmp_path / str(span_s)
        with CaptureWriter(folder, "binance", symbols, limit=PartLimit(span_s=span_s)) as writer:
            for at_ms, market, frame in feeds.frames(LINEAR):
                writer.write(at_ms * 1_000_000, f"{market}/{_stream(market, frame)}", frame)
        runs.append(paper(folder, [folder], feeds.settings()))
        lawful(runs[-1])
        assert moves(runs[-1].report) == ROUND_TRIP
    assert len(list((tmp_path / "20").glob("*.zst"))) > 5
    assert runs[0].report_bytes == runs[1].report_bytes


def _stream(market: str, frame: bytes) -> str:
    if frame.startswith(b'{"stream":"'):
        return frame[11 : frame.index(b'"', 11)].decode()
    return "btcusdt@snapshot"


@pytest.mark.parametrize(("name", "market"), [("linear", "spot"), ("linear", "usdm"), ("inverse", "coinm")])
def test_after_a_lost_update_the_pair_trades_no_more(name: str, market: str, tmp_path: Path) -> None:
    scene = SCENES[name]
    recorded = feeds.lines(scene)
    lost_ns = feeds.SETTLES_NS - 20_000_000_000 - BEHIND_NS
    lost = next(line for line in recorded[market] if int(line[:19]) >= lost_ns and b'"depthUpdate"' in line)
    recorded[market].remove(lost)
    done = run(tmp_path, scene, recorded=recorded)
    lawful(done)
    report = done.report
    gap_row = next(
        entry.seq for entry in done.entries if any(isinstance(fact, BookGapped) for fact in entry.facts)
    )
    rows = [
        entry.seq
        for entry in done.entries
        if any(isinstance(command, PlaceOrder) for command in entry.commands)
    ]
    assert report.gaps == 1
    assert len(rows) == CLIPS
    assert max(rows) < gap_row
    assert moves(report) == ROUND_TRIP[:-2]
    assert report.not_trading["gap"] > 60
    assert len(report.funding_payments) == 1


def test_a_position_at_the_end_is_marked_and_not_closed(tmp_path: Path) -> None:
    done = run(tmp_path, LINEAR, {"STRATEGY__EXIT_GAP_BPS": "-1000"})
    store = lawful(done)
    pair = store.pairs[next(iter(store.pairs))]
    assert moves(done.report) == ROUND_TRIP[:-2]
    assert pair.long.position.qty > 0 > pair.short.position.qty
    assert done.report.attribution.residual == "0"


# --- a rate that is not known yet changes nothing --------------------------------------------------


def with_rates(folder: Path, rates: tuple[str, str, str]) -> Done:
    """A run whose carry is what the last settlement paid; the rates are of 00:00, 08:00 and 16:00."""
    folder.mkdir()
    table = folder / "funding.csv"
    settles_ms = [feeds.SETTLES_NS // 1_000_000 + hours * 3_600_000 for hours in (-8, 0, 8)]
    rows = [f"{at_ms},binance,BTCUSDT,{rate},8\n" for at_ms, rate in zip(settles_ms, rates, strict=True)]
    table.write_text("ts_ms,venue,symbol,funding_rate,interval_h\n" + "".join(rows), encoding="utf-8")
    changes = {
        "PAPER_FUNDING": str(table),
        "STRATEGY__ENTRY_GAP_BPS": "",
        "STRATEGY__EXIT_GAP_BPS": "",
        "STRATEGY__ENTRY_CARRY_APR": "0.1",
        "STRATEGY__EXPECTED_FUNDING": "last",
        "STRATEGY__HOLD_MIN_S": "0",
    }
    flat = Scene(premium=((0, 1500),), has_marks=False)
    return run(folder, flat, changes)


def rows_before(done: Done, at_ns: int) -> list[tuple[int, int, bytes]]:
    """The stored rows before a time, without the names that every change of an input changes: the hash of the
    funding table, and the run's own name that is made of it."""
    booted = done.entries[0].facts[0]
    assert isinstance(booted, Booted)
    table = next(origin.sha256 for origin in booted.origins if origin.name == "funding")
    names = ((booted.run_id.encode(), b"RUN"), (table.encode(), b"TABLE"))
    found = []
    for row in read_rows(done.journal):
        if row.at_ns < at_ns:
            content = row.facts + row.commands
            for name, common in names:
                content = content.replace(name, common)
            found.append((row.seq, row.at_ns, content))
    return found


def test_changing_a_later_funding_row_changes_no_earlier_decision(tmp_path: Path) -> None:
    one = with_rates(tmp_path / "one", ("0.001", "0.0007", "0.0005"))
    other = with_rates(tmp_path / "other", ("0.001", "-0.0007", "0.0005"))
    beyond = with_rates(tmp_path / "beyond", ("0.001", "0.0007", "-0.0005"))
    for done in (one, other, beyond):
        lawful(done)
    assert sum(order.purpose is Purpose.ENTER for _, order in one.orders) == 2 * CLIPS
    before = rows_before(one, feeds.SETTLES_NS)
    assert len(before) > 30
    assert rows_before(other, feeds.SETTLES_NS) == before
    # and after it everything: one goes on, the other is paid a negative rate and leaves
    assert one.report.pairs[0].state.value == "HEDGED"
    assert other.report.pairs[0].state.value == "FLAT"
    paid = [
        fact.rate for done in (one, other) for row in done.entries for fact in row.facts
        if isinstance(fact, FundingPaid)
    ]  # fmt: skip
    assert paid == [Decimal("0.0007"), Decimal("-0.0007")]
    end_ns = one.entries[-1].at_ns + 1
    assert rows_before(beyond, end_ns) == rows_before(one, end_ns)
