"""Scenes that several modules of this folder play in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.contract import ASKS, BIDS
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed
from tests.rehearsal.ccxt_scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.rehearsed.close()


@pytest.fixture
def linear() -> Iterator[CcxtRehearsed]:
    rehearsed = CcxtRehearsed(CcxtRehearsed.linear)
    rehearsed.show(rehearsed.linear, BIDS, ASKS)
    yield rehearsed
    rehearsed.close()
