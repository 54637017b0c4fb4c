"""Alerts that stand: told at their beginning, again while they last, and once at their end; restarts change
nothing of that."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import fold
from bot.core.decide import alerts, conditions
from bot.core.decide.standing import STANDING, UNDER_WAY
from bot.core.pairs import set_mode
from bot.model.commands import NoteIdle, RaiseAlert
from bot.model.facts import (
    AnyFact,
    Booted,
    Channel,
    ChannelLost,
    ChannelOpened,
    InstrumentStatusSeen,
    ModeOrdered,
    SettingsChanged,
    Tick,
)
from bot.model.ids import AccountId, PairName
from bot.model.instrument import Position
from bot.model.pair import Mode
from bot.model.store import StandingAlert, Store, state_sha256
from tests.core.conditions import KINDS, WARNINGS
from tests.core.world import BTC, LINEAR, World, hedged

D = Decimal
SECOND_NS = 1_000_000_000
USDM = AccountId("binance:usdm")
TWO = PairName("TWO")


def told(world: World, *facts: AnyFact, after_s: float = 0.0) -> list[tuple[str, str]]:
    """Key and severity of each alert of one step, ``after_s`` seconds after the last; where that is long, the
    accounts were compared meanwhile."""
    world.commands = []
    world.at_ns += int(after_s * SECOND_NS)
    for account in world.store.accounts.values() if after_s >= 40 else ():
        account.agreed_ns = world.at_ns
    if facts:
        world.give(*facts)
    else:
        world.tick(after_s=0.001)
    return [(one.key, one.severity) for one in world.commands if isinstance(one, RaiseAlert)]


# --- when it is told --------------------------------------------------------------------------------------


def test_what_lasts_is_told_ever_more_seldom_and_at_least_each_hour() -> None:
    world = hedged()
    begun_ns, key = world.at_ns, f"status:{LINEAR}"
    assert told(world, InstrumentStatusSeen(LINEAR, "BREAK", begun_ns)) == [(key, "critical")]
    heard = [minute for minute in range(1, 190) if told(world, after_s=60)]
    assert heard == [1, 5, 15, 60, 120, 180]
    assert world.store.alerts[key].count == 1 + len(heard)


def test_what_was_due_while_the_bot_was_down_is_told_once() -> None:
    world = hedged()
    key = f"status:{LINEAR}"
    told(world, InstrumentStatusSeen(LINEAR, "BREAK", world.at_ns))
    opened = [ChannelOpened(account, channel) for account in world.wallets for channel in Channel]
    booted = Booted("0run0001", "0", world.config, "crash")
    assert told(world, booted, *opened, after_s=9_000) == [(key, "critical")]
    assert told(world, after_s=1_700) == []
    assert told(world, after_s=200) == [(key, "critical")]


def test_a_row_that_is_folded_again_leaves_the_same_alerts_and_a_boot_tells_none_of_them_again() -> None:
    world = hedged()
    report = world.report(USDM)
    differs = msgspec.structs.replace(report, balances={"USDT": report.balances["USDT"] - 1})
    refused = ChannelLost(USDM, Channel.MARKET, "denied", is_refused=True)
    status = InstrumentStatusSeen(LINEAR, "BREAK", world.at_ns)
    first = told(world, differs, refused, status, ModeOrdered("*", Mode.HALTED, "ann", "lunch"))
    keys = ["halted", f"reconcile:{USDM}", f"channel:{USDM} market", f"status:{LINEAR}"]
    assert [key for key, _ in first] == keys
    again = Store()
    for row in world.rows:
        fold.refold(again, row)
    assert list(again.alerts) == keys
    assert state_sha256(again) == state_sha256(world.store)
    world.store = again
    starting = ChannelLost(USDM, Channel.MARKET, "starting")
    assert told(world, Booted("0run0001", "0", world.config, "crash"), starting, after_s=30) == []
    assert list(world.store.alerts) == keys
    assert told(world, differs, after_s=5) == []
    ended = told(world, report, ModeOrdered("*", Mode.ACTIVE, "ann", "back"), after_s=5)
    assert ended == [("budget:resumed:*", "info"), ("halted", "info"), (f"reconcile:{USDM}", "info")]
    assert told(world, report) == []


def test_a_higher_severity_is_told_at_once_and_a_lower_one_when_it_is_due() -> None:
    world = hedged()
    told(world, ChannelLost(USDM, Channel.MARKET, "closed"))
    key = f"channel:{USDM} market"
    assert told(world, after_s=61) == [(key, "warning")]
    assert told(world, ChannelLost(USDM, Channel.MARKET, "denied", is_refused=True)) == [(key, "critical")]
    world.store.accounts[USDM].refused.clear()
    assert told(world, after_s=20) == []
    assert told(world, after_s=40) == [(key, "warning")]
    alert = world.store.alerts[key]
    assert (alert.severity, alert.count) == ("warning", 3)


def test_a_text_may_change_without_being_told_before_it_is_due() -> None:
    world = hedged()
    told(world, InstrumentStatusSeen(LINEAR, "BREAK", world.at_ns))
    assert told(world, InstrumentStatusSeen(LINEAR, "SETTLING", world.at_ns), after_s=10) == []
    assert world.store.alerts[f"status:{LINEAR}"].text.endswith("BREAK")
    assert told(world, after_s=51) == [(f"status:{LINEAR}", "critical")]
    assert world.store.alerts[f"status:{LINEAR}"].text.endswith("SETTLING")


def test_the_end_says_how_long_it_stood() -> None:
    world = hedged()
    told(world, InstrumentStatusSeen(LINEAR, "BREAK", world.at_ns))
    texts = []
    for after_s in (0, 200, 8_000):
        world.at_ns += after_s * SECOND_NS
        world.commands = []
        world.give(InstrumentStatusSeen(LINEAR, "TRADING", world.at_ns))
        (end,) = [one for one in world.commands if isinstance(one, RaiseAlert)]
        texts.append(end.text.rpartition(" it stood for ")[2])
        told(world, InstrumentStatusSeen(LINEAR, "BREAK", world.at_ns))
    assert texts == ["0 s", "3 min", "2 h"]


# --- every kind -------------------------------------------------------------------------------------------


def looked_at(store: Store, at_ns: int, fact: AnyFact) -> tuple[RaiseAlert, ...]:
    """What a step with this fact tells when it touches no pair but by the clock; the accounts agree."""
    for account in store.accounts.values():
        account.agreed_ns = at_ns
    found = alerts.changes(store, at_ns, (fact,), dict.fromkeys(store.pairs, True), ())
    fold.commands(store, at_ns, found)
    return found


@pytest.mark.parametrize("key", KINDS)
def test_every_kind_begins_is_repeated_by_the_clock_alone_and_ends(key: str) -> None:
    world = hedged()
    at_ns, good = world.at_ns, msgspec.json.encode(world.store)
    everything = SettingsChanged(world.config, "sighup")
    assert looked_at(world.store, at_ns, everything) == ()
    KINDS[key](world.store)
    (first,) = looked_at(world.store, at_ns, everything)
    assert (first.key, first.stands) == (key, True)
    assert first.severity == ("warning" if key.partition(":")[0] in WARNINGS else "critical")
    ticks = [looked_at(world.store, at_ns + after_s * SECOND_NS, Tick({}, {})) for after_s in range(1, 301)]
    assert [(after_s, found[0].key) for after_s, found in enumerate(ticks, 1) if found] == [
        (60, key),
        (300, key),
    ]
    standing = world.store.alerts
    world.store = msgspec.json.decode(good, type=Store)
    world.store.alerts = standing
    (end,) = looked_at(world.store, at_ns + 900 * SECOND_NS, Tick({}, {}))
    assert (end.key, end.severity) == (key, "info")
    assert "_" not in end.text.replace(key.partition(":")[0], "")
    assert world.store.alerts == {}
    assert looked_at(world.store, at_ns + 901 * SECOND_NS, everything) == ()


def test_the_kinds_are_those_of_the_table() -> None:
    assert {key.partition(":")[0] for key in KINDS} == {*conditions.KINDS, *STANDING}


def test_an_alert_of_a_subject_that_is_gone_stops_nothing() -> None:
    world = hedged()
    for key in ("legged:GONE", "reconcile:other:spot", "status:other:spot:X", "later:X"):
        world.store.alerts[key] = StandingAlert("critical", "?", 1, 1)
    assert looked_at(world.store, world.at_ns, Tick({}, {})) == ()


# --- idle codes -------------------------------------------------------------------------------------------


def idle_for(world: World, code: str, seconds: float) -> list[tuple[str, str]]:
    """The alerts of a pair that has been idle with ``code`` for so long."""
    fold.commands(world.store, world.at_ns, (NoteIdle(BTC, code, "3"),))
    at_ns = world.at_ns + int(seconds * SECOND_NS)
    return [(one.key, one.severity) for one in looked_at(world.store, at_ns, Tick({}, {}))]


@pytest.mark.parametrize("code", STANDING)
def test_an_idle_code_of_the_table_is_told_when_the_pairs_patience_is_over(code: str) -> None:
    world = hedged()
    patience_s = world.config.strategy.patience_s
    assert idle_for(world, code, patience_s) == []
    assert idle_for(world, code, patience_s + 0.1) == [(f"{code}:BTC", STANDING[code].severity)]
    assert idle_for(world, "holding", patience_s + 0.2) == []
    ended = looked_at(world.store, world.at_ns, SettingsChanged(world.config, "sighup"))
    assert [(one.key, one.severity) for one in ended] == [(f"{code}:BTC", "info")]


def test_other_idle_codes_are_no_alert() -> None:
    assert idle_for(hedged(), "holding", 3600) == []


@pytest.mark.parametrize("code", STANDING)
def test_a_pair_without_a_position_has_no_trouble_but_unanswered_orders(code: str) -> None:
    world = hedged()
    pair = world.store.pairs[BTC]
    pair.short.position, pair.long.position = Position(), Position(D("0.000001"), D("0.06"))
    expected = [(f"{code}:BTC", STANDING[code].severity)] if code == "unanswered" else []
    assert idle_for(world, code, 60) == expected


def test_the_numbers_of_an_idle_code_are_in_its_text() -> None:
    world = hedged()
    fold.commands(world.store, world.at_ns, (NoteIdle(BTC, "beyond_exit_collar", "612 bps", "500"),))
    (alert,) = looked_at(world.store, world.at_ns + 60 * SECOND_NS, Tick({}, {}))
    assert "pair BTC cannot leave" in alert.text
    assert "(612 bps, limit 500);" in alert.text


def test_a_naked_pair_has_spent_its_patience_when_it_cannot_trade() -> None:
    world = hedged()
    assert idle_for(world, "restricted", 1) == []
    world.store.pairs[BTC].naked_ns = world.at_ns - 5 * SECOND_NS
    assert idle_for(world, "restricted", 1) == [("restricted:BTC", "critical")]


@pytest.mark.parametrize("code", UNDER_WAY)
def test_an_attempt_that_fills_nothing_ends_no_alert_and_one_that_fills_does(code: str) -> None:
    world = hedged()
    pair = world.store.pairs[BTC]
    assert idle_for(world, "restricted", 3) == [("restricted:BTC", "critical")]
    pair.fruitless = 1
    text = world.store.alerts["restricted:BTC"].text
    assert idle_for(world, code, 4) == []
    assert idle_for(world, code, 63) == [("restricted:BTC", "critical")]
    assert world.store.alerts["restricted:BTC"].text == text
    pair.fruitless = 0
    books = world.books(60_000.0, 20.0)
    (end,) = alerts.changes(world.store, world.at_ns + 64 * SECOND_NS, books, {BTC: False}, ())
    assert (end.key, end.severity) == ("restricted:BTC", "info")


def test_a_repeated_note_of_the_same_code_does_not_begin_anew() -> None:
    world = hedged()
    fold.commands(world.store, world.at_ns, (NoteIdle(BTC, "venue_down", "1"),))
    since_ns = world.store.pairs[BTC].idle_ns
    assert since_ns == world.at_ns
    fold.commands(world.store, world.at_ns + SECOND_NS, (NoteIdle(BTC, "venue_down", "2"),))
    assert (world.store.pairs[BTC].idle_ns, world.store.pairs[BTC].idle_value) == (since_ns, "2")


# --- what a step looks at ---------------------------------------------------------------------------------


def test_a_book_looks_at_its_own_pairs_and_the_next_tick_at_what_time_began() -> None:
    """Another pair's trouble costs the step of a book nothing."""
    world = hedged()
    other = msgspec.structs.replace(world.store.pairs[BTC].spec, name=TWO)
    copy = msgspec.json.decode(msgspec.json.encode(world.store.pairs[BTC]), type=type(world.store.pairs[BTC]))
    copy.spec, copy.idle, copy.idle_ns = other, "venue_down", 0
    world.store.pairs[TWO] = copy
    at_ns, books = world.at_ns, world.books(60_000.0, 20.0)
    assert alerts.changes(world.store, at_ns, books, {BTC: False}, ()) == ()
    (found,) = alerts.changes(world.store, at_ns, books, {BTC: False, TWO: False}, ())
    assert found.key == "venue_down:TWO"
    assert looked_at(world.store, at_ns, Tick({}, {})) == (found,)


def test_a_limit_that_binds_another_pair_is_told_in_the_same_step() -> None:
    world = hedged(limits={"pair_notional_max_quote": D(10_500)})
    found = told(world, *world.books(66_000.0, 20.0))
    assert world.store.pairs[BTC].mode is Mode.REDUCE_ONLY
    assert found == [("limit:BTC:pair_notional", "critical")]
    assert told(world, *world.books(66_000.0, 20.0)) == []
    assert told(world, ModeOrdered("BTC", Mode.FLATTENING, "ann", "out")) == [
        ("limit:BTC:pair_notional", "info")
    ]


def test_halted_while_naked_stands_until_an_operator_resumes() -> None:
    world = hedged()
    pair = world.store.pairs[BTC]
    told(world, ModeOrdered("*", Mode.HALTED, "ann", "stop"))
    pair.short.position = Position(pair.short.position.qty / 2, pair.short.position.cost / 2)
    told(world, *world.books(60_000.0, 20.0))
    assert pair.naked_ns == world.at_ns
    keys = [key for key, _ in told(world, after_s=3)]
    assert "naked_halted:BTC" in keys
    assert (pair.mode, pair.mode_reason) == (Mode.ACTIVE, "")
    ends = told(world, ModeOrdered("*", Mode.ACTIVE, "ann", "go on"))
    assert ("naked_halted:BTC", "info") in ends
    assert ("halted", "info") in ends


def test_a_halt_by_the_program_stays_critical_and_an_operators_stays_a_warning() -> None:
    for reason, severity in (("ordered", "warning"), ("second", "critical")):
        world = hedged()
        if reason == "ordered":
            told(world, ModeOrdered("*", Mode.HALTED, "ann", "fire"))
            told(world, ModeOrdered("*", Mode.HALTED, "bob", "the same fire"))
        else:
            set_mode(world.store, "*", Mode.HALTED, "a second daemon trades here")
            told(world, *world.books(60_000.0, 20.0))
        assert told(world, after_s=61) == [("halted", severity)]
