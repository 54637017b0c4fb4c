"""Every fault alone, over real sockets and in real time, all of them side by side."""

from __future__ import annotations

from pathlib import Path

from adapters.rehearsal.faults import FAULTS
from tests.rehearsal.sockets import STRIKES_S, tell


def test_every_fault_alone_over_sockets(tmp_path: Path) -> None:
    assert tell([f"at={STRIKES_S}s {name}" for name in FAULTS], tmp_path) == {}
