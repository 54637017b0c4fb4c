"""Ten thousand seeds of the budgets: half an hour of one core, so it is named to pytest by its path."""

from __future__ import annotations

import pytest

from tests.simulation.test_budget_seeds import counts, explore

SEEDS = 10_000
CHUNK = 500


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_budget_is_passed(first: int) -> None:
    seeds = range(first, first + CHUNK)
    counts(explore(seeds), seeds)
