"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# the same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder with recordings of real venues; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("BASISBOT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "wire").is_dir():
        pytest.skip("no folder of real recordings: set BASISBOT_TEST_DATA to one")
    return folder
