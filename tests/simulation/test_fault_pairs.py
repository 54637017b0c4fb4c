"""Every pair of faults, in virtual time: the second strikes while the first lasts, or right after it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from adapters.rehearsal.faults import FAULTS
from tests.simulation.test_fault_alone import ENTERING_S, LEAVING_S, kept
from tests.virtual.story import Story

BETWEEN_S = 0.7
PAIRS = list(combinations(FAULTS, 2))


@pytest.mark.parametrize(("number", "first", "second"), [(n, *pair) for n, pair in enumerate(PAIRS)])
def test_two_faults(number: int, first: str, second: str, tmp_path: Path) -> None:
    at_s = LEAVING_S if number % 2 else ENTERING_S
    kept(Story(script=f"at={at_s}s {first}; at={at_s + BETWEEN_S}s {second}"), tmp_path)
