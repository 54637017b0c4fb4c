"""SIGKILL at each step of the order path, in virtual time; again while the bot recovers; and under faults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from adapters.rehearsal.faults import FAULTS
from bot.model.commands import CancelOrder
from tests.simulation.test_fault_alone import ENTERING_S, kept
from tests.virtual.story import Story

STEPS = 75  # of a life: all clips of an entry and of the exit that follows
CLIP = 20  # of them: start, and one clip
CANCEL = 35  # the last step before the row of the cancel, if a stop comes in the second clip
RECOVERY = 12
SECONDS = 45.0


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_killed_at_a_step(steps: int, tmp_path: Path) -> None:
    told = kept(Story(kills=(steps,), seconds=SECONDS), tmp_path)
    assert [len(life) for life in told.ending.lives[:-1]] == [steps]


@pytest.mark.parametrize("steps", range(1, CLIP + 1))
@pytest.mark.parametrize(
    "story",
    [
        Story(transport="rest"),
        Story(perpetual="coinm"),
        Story(changes={"STRATEGY__LEG_POLICY": "sequenced"}),
    ],
    ids=["rest", "coinm", "sequenced"],
)
def test_killed_at_a_step_of_the_first_clip(story: Story, steps: int, tmp_path: Path) -> None:
    kept(
        Story(
            kills=(steps,),
            seconds=20.0,
            transport=story.transport,
            perpetual=story.perpetual,
            changes=story.changes,
        ),
        tmp_path,
    )


@pytest.mark.parametrize("again", range(1, RECOVERY + 1))
def test_killed_again_while_it_recovers(again: int, tmp_path: Path) -> None:
    told = kept(Story(kills=(CLIP + 3, again), seconds=SECONDS), tmp_path)
    assert [len(life) for life in told.ending.lives[:-1]] == [CLIP + 3, again]


@pytest.mark.parametrize("steps", range(CANCEL, CANCEL + 6))
def test_killed_while_it_cancels(steps: int, tmp_path: Path) -> None:
    """Told to stop while the fill of an order is late, the bot withdraws the order."""
    script = f"at={ENTERING_S - 0.1}s late-fills"
    told = kept(Story(kills=(steps,), script=script, stops_s=(ENTERING_S + 0.05,), seconds=SECONDS), tmp_path)
    before = [command for entry in told.entries for command in entry.commands]
    assert steps < CANCEL + 2 or any(isinstance(one, CancelOrder) for one in before)
    assert len(told.ending.lives[0]) == steps


@pytest.mark.parametrize("name", FAULTS)
def test_killed_while_a_fault_lasts(name: str, tmp_path: Path) -> None:
    """A fault that keeps orders from the venue leaves fewer steps to die at."""
    told = kept(Story(kills=(CLIP + 2,), script=f"at={ENTERING_S - 0.5}s {name}"), tmp_path)
    assert len(told.ending.lives) == 2


@pytest.mark.parametrize("transport", ["ws", "rest"])
def test_the_steps_are_those_of_the_order_path(transport: Literal["ws", "rest"], tmp_path: Path) -> None:
    told = kept(Story(seconds=SECONDS, transport=transport), tmp_path)
    steps = told.ending.lives[0][:STEPS]
    orders = [n for n, what in enumerate(steps) if what.endswith("order arrives")]
    assert {steps[n].split(":")[0] for n in orders} == {"spot", "usdm"}
    assert steps[orders[0] - 2 : orders[0]] == ["before the commit", "after the commit"]
    assert len(orders) >= 8
