"""Every pair of faults over real sockets and in real time: minutes, so it is named to pytest by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.sockets import STRIKES_S, tell
from tests.simulation.test_fault_pairs import BETWEEN_S, PAIRS

TOGETHER = 25  # stories that run side by side


@pytest.mark.parametrize("first", range(0, len(PAIRS), TOGETHER))
def test_pairs_of_faults_over_sockets(first: int, tmp_path: Path) -> None:
    pairs = PAIRS[first : first + TOGETHER]
    scripts = [f"at={STRIKES_S}s {one}; at={STRIKES_S + BETWEEN_S}s {other}" for one, other in pairs]
    assert tell(scripts, tmp_path) == {}
