"""Real recordings of six minutes, linear and inverse: every frame accounted for, one hedged round trip, the
settlement at the end, and what one lost update does."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import Struct

from bot.core.fold import refold
from bot.model.commands import PlaceOrder
from bot.model.entry import Entry
from bot.model.facts import BookGapped, FundingPaid, OrderFilled
from bot.model.ids import market_of
from bot.model.instrument import Side
from bot.model.pair import PairState
from bot.model.store import Store
from bot.shell.report_model import inconsistencies
from tests.conftest import ROOT
from tests.e2e.process import Done, basisbot, lawful, moves, paper

ROUND_TRIP = ["FLAT", "ENTERING", "HEDGED", "EXITING", "FLAT"]
HELD = {"BASISBOT_STRATEGY__EXIT_GAP_BPS": "-1000"}


class Kind(Struct, frozen=True):
    """``lot_base`` is one lot of the coarser leg; ``lost_ns`` a time, by the recorder's clock, at which the
    pair is held."""

    name: str
    folders: tuple[str, str]
    frames: int
    markets: tuple[str, str]
    perpetual: str
    lot_base: Decimal
    lost_ns: int


LINEAR = Kind(
    "linear", ("spot", "usdm"), 135_203, ("spot", "usdm"), "binance:usdm:BTCUSDT", Decimal("0.001"),
    1_723_161_400_000_000_000,
)  # fmt: skip
INVERSE = Kind(
    "inverse", ("spot", "cm"), 89_519, ("coinm", "spot"), "binance:coinm:BTCUSD_PERP",
    Decimal(100) / Decimal(61_000), 1_723_161_465_000_000_000,
)  # fmt: skip
KINDS = {kind.name: kind for kind in (LINEAR, INVERSE)}


def feeds_of(recordings: Path, kind: Kind) -> list[Path]:
    return [recordings / "wire/hftbacktest" / folder for folder in kind.folders]


def run(cwd: Path, kind: Kind, feeds: list[Path], env: Mapping[str, str] | None = None) -> Done:
    return paper(cwd, feeds, env, "--env-file", ROOT / f"examples/hft-{kind.name}.env")


@pytest.fixture(scope="module", params=list(KINDS))
def whole(
    request: pytest.FixtureRequest, recordings: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Kind, Done]:
    kind = KINDS[request.param]
    return kind, run(tmp_path_factory.mktemp(kind.name), kind, feeds_of(recordings, kind))


def delta_base(fills: list[OrderFilled], perpetual: str) -> Decimal:
    """d(equity)/d(price) of a pair of spot and a perpetual by its fills alone: coins bought, less those kept
    back as fee, less contracts sold; a contract of 100 USD counts what it was worth when it was traded."""
    total = Decimal(0)
    for fill in fills:
        inverse = market_of(fill.instrument) == "coinm"
        base = Decimal(100) * fill.qty / fill.price if inverse else fill.qty
        total += base * fill.side.sign
        if fill.fee_asset == "BTC":
            total -= fill.fee
    return total


def test_every_frame_is_accounted_for(whole: tuple[Kind, Done]) -> None:
    kind, done = whole
    lawful(done)
    report = done.report
    assert report.frames_in == kind.frames
    assert report.frames_by_disposition.total() == kind.frames
    assert sum(report.frames_by_stream.values()) == kind.frames
    assert report.frames_by_disposition.refused == {}
    assert report.gaps == 0
    assert tuple(report.clock_offset_s) == kind.markets
    for offset_s in report.clock_offset_s.values():
        assert offset_s == pytest.approx(1.27, abs=0.01)


def test_the_pair_makes_one_hedged_round_trip(whole: tuple[Kind, Done]) -> None:
    kind, done = whole
    store = lawful(done)
    pair = done.report.pairs[0]
    assert moves(done.report, pair.name) == ROUND_TRIP
    assert store.config is not None
    assert pair.naked_s_max <= store.config.strategy.patience_s
    rows = 0
    store, fills = Store(), []
    for entry in done.entries:
        refold(store, entry)
        fills += [fact for fact in entry.facts if isinstance(fact, OrderFilled)]
        if store.pairs[pair.name].state is PairState.HEDGED:  # type: ignore[index]
            rows += 1
            fees = sum(
                (fill.fee for fill in fills if fill.fee_asset == "BTC" and fill.side is Side.BUY), Decimal(0)
            )
            assert abs(delta_base(fills, kind.perpetual)) <= kind.lot_base + fees, f"row {entry.seq}"
    assert rows > 50


def test_where_the_money_went_adds_up_to_the_last_digit(whole: tuple[Kind, Done]) -> None:
    _, done = whole
    report = done.report
    assert inconsistencies(report) == ()
    assert report.attribution.residual == "0"
    assert report.nav.start is not None
    assert report.nav.end is not None
    parts = [Decimal(getattr(report.attribution, name)) for name in report.attribution.__struct_fields__]
    assert len(parts) == 10
    assert sum(parts) == Decimal(report.nav.end) - Decimal(report.nav.start) != 0
    assert Decimal(report.attribution.fees) < 0


def test_the_same_run_says_the_same_whatever_the_order_of_its_feeds(
    whole: tuple[Kind, Done], recordings: Path, tmp_path: Path
) -> None:
    kind, done = whole
    again = run(tmp_path, kind, feeds_of(recordings, kind)[::-1])
    assert again.report.journal_sha256 == done.report.journal_sha256
    assert again.report.state_sha256 == done.report.state_sha256
    assert again.report_bytes == done.report_bytes


def test_its_journal_verifies(whole: tuple[Kind, Done], tmp_path: Path) -> None:
    _, done = whole
    verified = basisbot("journal", "verify", done.journal, cwd=tmp_path)
    assert verified.code == 0, verified.err
    assert done.report.state_sha256 in verified.out


# --- held to the end -------------------------------------------------------------------------------


def test_a_linear_pair_held_to_the_end_is_paid_the_settlement_once(recordings: Path, tmp_path: Path) -> None:
    done = run(tmp_path, LINEAR, feeds_of(recordings, LINEAR), HELD)
    lawful(done)
    assert moves(done.report) == ROUND_TRIP[:3]
    (payment,) = done.report.funding_payments
    assert payment.at == "2024-08-09T00:00:00.000000Z"
    assert (payment.instrument, payment.rate) == (LINEAR.perpetual, "0.00004994")
    exact = -Decimal(payment.qty) * Decimal(payment.mark) * Decimal(payment.rate)
    assert Decimal(payment.amount) == exact.quantize(Decimal("1e-8"))
    assert Decimal(payment.qty) < 0 < Decimal(payment.amount) == Decimal(done.report.attribution.funding)
    assert done.report.attribution.residual == "0"


def test_a_settlement_that_nothing_says_the_rate_of_is_refused(recordings: Path, tmp_path: Path) -> None:
    done = run(tmp_path, INVERSE, feeds_of(recordings, INVERSE), HELD)
    assert (done.code, done.out) == (4, "")
    assert "\n" not in done.sentence
    assert "BASISBOT_PAPER_MISSING_FUNDING" in done.sentence
    assert "2024-08-09T00:00:00Z" in done.sentence


def test_unless_a_setting_names_the_stand_in(recordings: Path, tmp_path: Path) -> None:
    env = {**HELD, "BASISBOT_PAPER_MISSING_FUNDING": "zero"}
    done = run(tmp_path, INVERSE, feeds_of(recordings, INVERSE), env)
    lawful(done)
    (payment,) = done.report.funding_payments
    assert (payment.rate, payment.amount) == ("0", "0")
    assert any("Zero stands for a funding rate" in sentence for sentence in done.report.assumptions)


# --- one update lost -------------------------------------------------------------------------------


def without_one_diff(feed: Path, folder: Path, lost_ns: int) -> Path:
    """A copy of a recording without the first depth update after a time."""
    (source,) = feed.iterdir()
    kept, found = [], False
    with gzip.open(source, "rb") as stream:
        for line in stream:
            if not found and int(line[:19]) >= lost_ns and b'"depthUpdate"' in line:
                found = True
                continue
            kept.append(line)
    assert found
    folder.mkdir()
    copy = folder / source.with_suffix(".jsonl").name
    copy.write_bytes(b"".join(kept))
    return copy


def sent_after(entries: list[Entry], kind: type) -> tuple[int, int]:
    """Orders sent up to the first row with a fact of this kind, and after it."""
    row = next(entry.seq for entry in entries if any(isinstance(fact, kind) for fact in entry.facts))
    rows = [entry.seq for entry in entries for command in entry.commands if isinstance(command, PlaceOrder)]
    return sum(seq < row for seq in rows), sum(seq >= row for seq in rows)


@pytest.mark.parametrize(("name", "position"), [("linear", 0), ("linear", 1), ("inverse", 1)])
def test_after_a_lost_update_the_pair_trades_no_more(
    name: str, position: int, recordings: Path, tmp_path: Path
) -> None:
    kind = KINDS[name]
    feeds = feeds_of(recordings, kind)
    feeds[position] = without_one_diff(feeds[position], tmp_path / "feed", kind.lost_ns)
    done = run(tmp_path, kind, feeds, {"BASISBOT_PAPER_MISSING_FUNDING": "zero"})
    lawful(done)
    report = done.report
    assert (report.gaps, report.frames_in) == (1, kind.frames - 1)
    before, after = sent_after(done.entries, BookGapped)
    assert before >= 2
    assert after == 0
    assert moves(report, report.pairs[0].name) == ROUND_TRIP[:3]
    assert report.not_trading["gap"] > 60
    assert any(isinstance(fact, FundingPaid) for entry in done.entries for fact in entry.facts)
