"""Every fault alone, in virtual time, where it hurts most: while the pair enters, holds and leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.rehearsal.faults import FAULTS
from bot.model.facts import OrderFilled
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


@pytest.mark.parametrize("market", ["spot", "usdm"])
@pytest.mark.parametrize("name", ["drop", "disconnect", "half-open", "reject", "lost-ack", "throttle", "ban"])
def test_a_fault_of_one_leg_alone(name: str, market: str, tmp_path: Path) -> None:
    kept(Story(script=f"at={ENTERING_S}s {name} {market}"), tmp_path)
