"""Faults drawn from a seed, in virtual time: many in a row on any market, then half a minute of peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.test_fault_alone import kept
from tests.virtual.story import Story

SEEDS = 20
TROUBLED_S = 160
SECONDS = 200.0


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_seed(seed: int, tmp_path: Path) -> None:
    kept(Story(script=f"seed={seed} for={TROUBLED_S}s", seconds=SECONDS), tmp_path)


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "other"]
    for folder in runs:
        folder.mkdir()
    story = Story(script=f"seed=3 for={TROUBLED_S}s", seconds=SECONDS)
    one, other = (kept(story, folder) for folder in runs)
    assert one.entries == other.entries
    assert one.notes == other.notes
