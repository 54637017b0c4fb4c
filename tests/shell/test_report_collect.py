"""What a report says of a journal, row by row."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from bot.model.commands import NoteIdle, PlaceOrder, RaiseAlert
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BookGapped,
    ForcedFilled,
    FundingPaid,
    OrderFilled,
    RateSeen,
    Tick,
)
from bot.model.ids import ClientId
from bot.model.instrument import Side
from bot.model.pair import Mode
from bot.model.store import Store
from bot.shell.report import MACHINE
from bot.shell.report_collect import ReportError
from bot.shell.report_model import Dispositions, FeedCounters, Report, inconsistencies
from bot.shell.report_origins import ORIGIN
from bot.shell.report_pairs import weighted_quantile
from tests.shell.report_scene import (
    PERP,
    Scene,
    entered,
    gather,
    told,
    whole_story,
)

D = Decimal


@pytest.fixture(scope="module")
def story() -> Report:
    return gather(whole_story(hours=30, step_s=60)).report


def test_the_ten_sum_to_the_change_of_nav_and_nothing_is_left_over(story: Report) -> None:
    start, end = story.nav.start, story.nav.end
    assert start is not None
    assert end is not None
    assert start == "150000"
    assert story.attribution.total() == D(end) - D(start)
    assert story.attribution.residual == "0"
    assert D(story.attribution.funding) == sum(D(paid.amount) for paid in story.funding_payments)
    assert D(story.attribution.fees) < 0
    assert inconsistencies(story) == ()


@pytest.mark.parametrize("kind", [OrderFilled, FundingPaid])
@pytest.mark.parametrize("how", ["dropped", "doubled", "moved"])
def test_residual_tells_of_one_wrong_fill_or_payment(kind: type[AnyFact], how: str) -> None:
    scene = entered()
    scene.wait(60)
    scene.settle("0.0001")
    assert told(scene).attribution.residual == "0"
    at = next(
        index for index, entry in enumerate(scene.entries) if any(type(fact) is kind for fact in entry.facts)
    )
    scene.entries[at] = _damaged(scene.entries[at], kind, how)
    report = gather([_widened(entry) for entry in scene.entries]).report
    assert report.attribution.residual not in {"0", None}
    assert report.attribution.total() == D(report.nav.end or 0) - D(report.nav.start or 0)


def _damaged(entry: Entry, kind: type[AnyFact], how: str) -> Entry:
    facts: list[AnyFact] = []
    for fact in entry.facts:
        if type(fact) is not kind:
            facts.append(fact)
        elif how == "doubled":
            other = {"trade_id": "again"} if kind is OrderFilled else {"transaction_id": "again"}
            facts += [fact, msgspec.structs.replace(fact, **other)]
        elif how == "moved" and isinstance(fact, OrderFilled):
            facts.append(msgspec.structs.replace(fact, price=fact.price + D("0.1")))
        elif how == "moved" and isinstance(fact, FundingPaid):
            facts.append(msgspec.structs.replace(fact, amount=fact.amount + D("0.00000001")))
    return msgspec.structs.replace(entry, facts=tuple(facts))


def _widened(entry: Entry) -> Entry:
    """Orders of twice the size, so that a fill told twice is within its order."""
    commands = tuple(
        msgspec.structs.replace(command, qty=2 * command.qty) if isinstance(command, PlaceOrder) else command
        for command in entry.commands
    )
    return msgspec.structs.replace(entry, commands=commands)


def test_life_of_the_pair(story: Report) -> None:
    (pair,) = story.pairs
    states = [pair.transitions[0].before.value, *(move.after.value for move in pair.transitions)]
    assert states[:3] == ["FLAT", "ENTERING", "HEDGED"]
    assert states[-2:] == ["EXITING", "FLAT"]
    assert pair.transitions[0].why == "EntryGap"
    assert pair.state.value == "FLAT"
    assert pair.rebalances == 1
    assert pair.fills == len(story.fills) == 9


def test_naked_lasts_from_the_first_fill_to_the_second(story: Report) -> None:
    assert story.pairs[0].naked_s_max == 0.1


def test_hedge_error_is_weighted_by_time() -> None:
    scene = entered()  # the spot fee, 0.00005 BTC, is missing: 5 bps of the perpetual's 0.1
    scene.wait(99)
    scene.row((Tick({}, {}),))
    report = told(scene)
    assert report.pairs[0].hedge_error_bps.p50 == pytest.approx(5.0)
    assert report.pairs[0].hedged_s == 99.0


def test_a_pair_never_hedged_has_no_hedge_error() -> None:
    scene = Scene()
    scene.boot()
    error = told(scene).pairs[0].hedge_error_bps
    assert (error.p50, error.p99) == (None, None)


@pytest.mark.parametrize(
    ("weights", "share", "value"),
    [
        ({}, 0.5, None),
        ({3.0: 0}, 0.5, None),
        ({3.0: 1}, 0.99, 3.0),
        ({1.0: 50, 2.0: 50}, 0.5, 1.0),
        ({2.0: 51, 1.0: 49}, 0.5, 2.0),
        ({1.0: 98, 9.0: 2}, 0.99, 9.0),
        ({1.0: 99, 9.0: 1}, 0.99, 1.0),
    ],
)
def test_weighted_quantile(weights: dict[float, int], share: float, value: float | None) -> None:
    assert weighted_quantile(weights, share) == value


def test_reasons_for_not_trading_are_counted_until_the_next_row() -> None:
    scene = Scene()
    scene.boot()
    scene.wait(5)
    for reason, held_s in (("gap_below_entry", 10), ("stale_feed", 7), ("trading", 50), ("stale_feed", 4)):
        scene.row((Tick({}, {}),), (NoteIdle(scene.config.pairs[0].name, reason),))
        scene.wait(held_s)
    scene.row((Tick({}, {}),))
    report = told(scene)
    assert report.not_trading == {"stale_feed": 11.0, "gap_below_entry": 10.0}
    assert list(report.not_trading) == ["stale_feed", "gap_below_entry"]
    assert report.pairs[0].not_trading == report.not_trading


def test_a_fill_tells_its_order_and_its_slippage() -> None:
    buy, sell = told(entered()).fills
    assert (buy.leg, buy.side, buy.purpose, buy.qty, buy.price) == ("long", "buy", "enter", "0.1", "55000.1")
    assert (buy.fee, buy.fee_asset, buy.maker) == ("0.00005", "BTC", False)
    assert buy.slippage_bps == pytest.approx(0.05 / 55_000.05 * 1e4, abs=1e-4)
    assert buy.why == "EntryGap gap_bps=4 needed_bps=3 cost_bps=1"
    assert (sell.leg, sell.side, sell.instrument) == ("short", "sell", PERP)
    assert sell.slippage_bps is not None
    assert sell.slippage_bps > 0
    assert buy.at == "2024-08-08T00:00:01.100000Z"


def test_a_fill_told_twice_is_one_fill() -> None:
    scene = entered()
    again = next(fact for fact in scene.entries[-1].facts if isinstance(fact, OrderFilled))
    scene.row((again,))
    report = told(scene)
    assert len(report.fills) == 2
    assert report.pairs[0].fills == 2


def test_a_fill_of_an_unknown_order_is_told_as_such() -> None:
    scene = entered()
    fill = next(fact for fact in scene.entries[-1].facts if isinstance(fact, OrderFilled))
    scene.row((msgspec.structs.replace(fill, client_id=ClientId("nobody"), trade_id="t99"),))
    report = told(scene)
    stranger = report.fills[-1]
    assert (stranger.pair, stranger.leg, stranger.purpose, stranger.why) == ("", "", "unknown", "")
    assert stranger.slippage_bps is None
    assert report.pairs[0].fills == 2
    assert sum(report.protocol_drift.values()) == 1


def test_a_forced_fill_belongs_to_the_pair_of_its_contract() -> None:
    scene = entered()
    forced = ForcedFilled(PERP, "adl1", Side.BUY, D("0.01"), D(55_000), D(0), "USDT", "ADL", scene.at_ns)
    scene.row((forced, forced))
    report = told(scene)
    assert len(report.fills) == 3
    last = report.fills[-1]
    assert (last.pair, last.leg, last.purpose, last.why) == ("BTC", "short", "forced", "ADL")
    assert D(report.attribution.adl) != 0


def test_a_funding_payment_is_told_once() -> None:
    scene = entered()
    paid = scene.settle("0.0001")
    scene.row((paid,))
    (told_once,) = told(scene).funding_payments
    assert (told_once.pair, told_once.asset, told_once.rate, told_once.qty) == (
        "BTC",
        "USDT",
        "0.0001",
        "-0.1",
    )
    assert D(told_once.amount) > 0


def test_drawdown_is_from_the_highest_nav() -> None:
    scene = entered()
    for basis_bps in (4.0, 1.0, 9.0, 2.0):  # a short future gains when the basis falls
        scene.wait(1)
        scene.row(scene.market(55_000.0, basis_bps))
    store, peak, expected = Store(), D(0), D(0)
    for entry in scene.entries:
        MACHINE.refold(store, entry)
        nav = MACHINE.nav(store)
        if nav is not None:
            peak = max(peak, nav)
            expected = max(expected, peak - nav)
    gathered = gather(scene.entries)
    assert expected > D("4.4")
    assert D(gathered.report.nav.peak_drawdown or 0) == expected
    assert min(value for _, value in gathered.charts.drawdown.points()) == -float(expected)


def test_modes_alerts_and_origins(story: Report) -> None:
    assert [(change.scope, change.mode, change.actor) for change in story.mode_changes] == [
        ("*", Mode.PAUSED, "desk"),
        ("BTC", Mode.REDUCE_ONLY, "program"),
        ("*", Mode.ACTIVE, "desk"),
    ]
    (alert,) = story.alerts
    assert alert.key == "margin"
    origins = story.facts_by_origin
    assert origins.operator == 2
    assert origins.run == 3
    assert min(origins.market, origins.venue, origins.clock) > 0


def test_a_condition_is_told_once_in_a_report_with_its_end() -> None:
    scene = entered()
    for severity in ("warning", "warning", "critical", "critical", "info", "warning"):
        scene.wait(1)
        scene.row((), (RaiseAlert("channel:x", severity, "down", stands=severity != "info"),))
    scene.row((), (RaiseAlert("drift:x", "warning", "?"), RaiseAlert("drift:x", "warning", "?")))
    found = [(alert.key, alert.severity) for alert in gather(scene.entries).report.alerts]
    channel = [("channel:x", severity) for severity in ("warning", "critical", "info", "warning")]
    assert found == [*channel, ("drift:x", "warning"), ("drift:x", "warning")]


def test_every_type_of_fact_has_an_origin() -> None:
    assert set(ORIGIN) == set(get_args(AnyFact))


def test_a_crash_in_between_is_one_report() -> None:
    scene = entered()
    scene.wait(3)
    scene.boot(previous="crash")
    scene.wait(3)
    scene.row(scene.market(55_000.0, 4.0))
    report = told(scene)
    assert report.boots == 2
    assert report.attribution.residual == "0"
    assert len(report.fills) == 2


def test_basis_is_sampled_once_both_books_are_there() -> None:
    scene = Scene()
    scene.boot()
    scene.row(scene.market(55_000.0, 4.0)[:1])
    assert gather(scene.entries).charts.pairs[scene.config.pairs[0].name].basis_mid.points() == []
    scene.wait(1)
    scene.row(scene.market(55_000.0, 4.0))
    tally = gather(scene.entries).charts.pairs[scene.config.pairs[0].name]
    assert [round(value, 2) for _, value in tally.basis_mid.points()][-1] == pytest.approx(4.0, abs=0.02)
    assert tally.basis_entry.points()[-1][1] < tally.basis_mid.points()[-1][1]
    assert tally.basis_exit.points()[-1][1] > tally.basis_mid.points()[-1][1]


def test_no_basis_is_drawn_through_a_gap() -> None:
    scene = Scene()
    scene.boot()
    scene.row(scene.market(55_000.0, 4.0))
    scene.row((BookGapped(PERP, 5, 7, scene.at_ns),))
    scene.wait(1)
    scene.row(scene.market(55_000.0, 4.0)[:1])
    assert len(gather(scene.entries).charts.pairs[scene.config.pairs[0].name].basis_mid.points()) == 1


def test_basis_against_another_currency_needs_its_rate() -> None:
    scene = Scene()
    scene.instruments[PERP] = msgspec.structs.replace(
        scene.instruments[PERP], inverse=True, quote="USD", margin_asset="BTC", contract_size=D(100), lot=D(1)
    )
    scene.boot()
    scene.row(scene.market(55_000.0, 4.0))
    assert gather(scene.entries).charts.pairs[scene.config.pairs[0].name].basis_mid.points() == []
    scene.wait(1)
    scene.row((RateSeen("USDT", "USD", D("1.0002"), scene.at_ns), *scene.market(55_000.0, 4.0)))
    tally = gather(scene.entries).charts.pairs[scene.config.pairs[0].name]
    assert tally.basis_mid.points()[-1][1] == pytest.approx(2.0, abs=0.02)


def test_without_accounts_nav_is_unknown_and_said_so() -> None:
    scene = Scene()
    scene.boot()
    scene.entries[0] = msgspec.structs.replace(scene.entries[0], facts=scene.entries[0].facts[:3])
    scene.row(scene.market(55_000.0, 4.0))
    report = told(scene)
    assert (report.nav.start, report.nav.end, report.nav.peak_drawdown) == (None, None, None)
    assert report.attribution.residual is None
    assert inconsistencies(report) == ()


def test_a_journal_without_a_boot_row_is_refused() -> None:
    with pytest.raises(ReportError, match="no boot row"):
        gather([])


def test_counters_that_do_not_add_up_are_named() -> None:
    counters = FeedCounters(
        frames_in=10,
        frames_by_stream={"b": 4, "a": 5},
        frames_by_disposition=Dispositions(material=8, refused={"zero price": 1}),
        clock_offset_s={"usdm": 1.27, "spot": 1.26},
    )
    report = gather(entered().entries, counters).report
    assert inconsistencies(report) == (
        "10 frames came in but 9 have a disposition",
        "10 frames came in but 9 are counted by stream",
    )
    assert list(report.frames_by_stream) == ["a", "b"]
    assert list(report.clock_offset_s) == ["spot", "usdm"]
