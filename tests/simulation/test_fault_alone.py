"""Every fault alone, in virtual time, where it hurts most: while the pair enters, holds and leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.rehearsal.faults import FAULTS
from bot.model.commands import PlaceOrder
from bot.model.facts import ContractSet, InstrumentStatusSeen, OrderFilled, VenueReset
from tests.virtual.laws import broken
from tests.virtual.loop import run_virtual
from tests.virtual.rig import play
from tests.virtual.story import Story, Told

ENTERING_S = 3.0  # the first clip is filled, the second is about to be
HOLDING_S = 14.0
LEAVING_S = 20.1  # just before the premium is gone
TIMES = {"entering": ENTERING_S, "holding": HOLDING_S, "leaving": LEAVING_S}


def kept(story: Story, folder: Path) -> Told:
    """Tell the story and hold it against every law."""
    journal = folder / "journal.db"
    told = run_virtual(play(story, journal))
    assert broken(told, story, journal) == []
    return told


@pytest.mark.parametrize("transport", ["ws", "rest"])
@pytest.mark.parametrize("perpetual", ["usdm", "coinm"])
def test_without_a_fault_the_pair_enters_leaves_and_enters_again(
    perpetual: str, transport: str, tmp_path: Path
) -> None:
    told = kept(Story(perpetual=perpetual, transport=transport), tmp_path)  # type: ignore[arg-type]
    filled = {
        fact.client_id for entry in told.entries for fact in entry.facts if isinstance(fact, OrderFilled)
    }
    assert len(filled) >= 12
    assert set(told.arrived) >= filled
    assert told.naked_s < 0.1


@pytest.mark.parametrize("when", TIMES)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_over_websocket(name: str, when: str, tmp_path: Path) -> None:
    told = kept(Story(script=f"at={TIMES[when]}s {name}"), tmp_path)
    assert told.notes[0] == f"{name} * begins"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_over_rest(name: str, tmp_path: Path) -> None:
    kept(Story(script=f"at={ENTERING_S}s {name}", transport="rest"), tmp_path)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_with_an_inverse_leg(name: str, tmp_path: Path) -> None:
    kept(Story(script=f"at={LEAVING_S}s {name}", perpetual="coinm"), tmp_path)


@pytest.mark.parametrize("perpetual", ["usdm", "coinm"])
def test_settings_at_the_venue_hold_the_pair_while_they_are_not_right(perpetual: str, tmp_path: Path) -> None:
    story = Story(script="at=1s settings for=10s", perpetual=perpetual)  # type: ignore[arg-type]
    told = kept(story, tmp_path)
    sets = [
        (entry.at_ns, fact.leverage)
        for entry in told.entries
        for fact in entry.facts
        if isinstance(fact, ContractSet)
    ]
    assert [leverage for _, leverage in sets] == [20, 1, 20]
    placed = [entry.at_ns for entry in told.entries for one in entry.commands if isinstance(one, PlaceOrder)]
    assert [at_ns for at_ns in placed if at_ns < sets[1][0]]
    assert not [at_ns for at_ns in placed if sets[1][0] <= at_ns < sets[2][0]]
    assert [at_ns for at_ns in placed if at_ns == sets[2][0]]  # at once
    keys = [one.key for one in told.alerts if one.key.startswith("settings:")]
    assert len(keys) == 2


def test_maintenance_that_a_stream_announces_is_over_once_the_venue_says_so(tmp_path: Path) -> None:
    told = kept(Story(script=f"at={HOLDING_S}s maintenance"), tmp_path)
    seen = [
        fact.status
        for entry in told.entries
        for fact in entry.facts
        if isinstance(fact, InstrumentStatusSeen) and "usdm" in fact.instrument
    ]
    assert seen == ["TRADING", "PENDING_TRADING", "TRADING"]


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_a_futures_account_that_was_wiped_waits_for_an_operator(market: str, tmp_path: Path) -> None:
    script, adopts = f"at={HOLDING_S}s reset {market}", ((30.0, f"binance:{market}"),)
    story = Story(script=script, perpetual=market, adopts=adopts)  # type: ignore[arg-type]
    told = kept(story, tmp_path)
    facts = [fact for entry in told.entries for fact in entry.facts]
    assert not [fact for fact in facts if isinstance(fact, VenueReset)]
    differs = [(one.key, one.severity) for one in told.alerts if one.key.startswith("reconcile:")]
    assert differs == [(f"reconcile:binance:{market}", severity) for severity in ("critical", "info")]


@pytest.mark.parametrize("market", ["spot", "usdm"])
@pytest.mark.parametrize("name", ["drop", "disconnect", "half-open", "reject", "lost-ack", "throttle", "ban"])
def test_a_fault_of_one_leg_alone(name: str, market: str, tmp_path: Path) -> None:
    kept(Story(script=f"at={ENTERING_S}s {name} {market}"), tmp_path)
