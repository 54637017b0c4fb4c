"""Nothing is done again and again for nothing: sums over seeds, added up from the fills alone."""

from __future__ import annotations

from collections import Counter

import pytest

from bot.model.config import Budget
from tests.simulation.budget_market import acted, broken, plan, play, refolds

SEEDS = 200
CHUNK = 40


def explore(seeds: range) -> Counter[str]:
    """Play seeds; raises where one breaks a law, and counts how many test anything."""
    found: Counter[str] = Counter()
    for seed in seeds:
        played = play(seed)
        wrong = broken(played)
        assert not wrong, f"seed {seed}: {'; '.join(wrong[:3])}"
        found["opened"] += played.sums.opened
        found["acted"] += bool(acted(played))
        found["restarted"] += played.plan.restarts > 0
        found.update(acted(played))
    return found


def counts(found: Counter[str], seeds: range) -> None:
    """Seeds count only if they test."""
    assert found["opened"] >= 0.9 * len(seeds), found
    assert found["acted"] >= 0.3 * len(seeds), found


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_budget_is_passed(first: int) -> None:
    seeds = range(first, first + CHUNK)
    counts(explore(seeds), seeds)


def test_half_of_the_seeds_have_the_default_budgets() -> None:
    budgets = [plan(seed).config.budget for seed in range(SEEDS)]
    assert sum(1 for budget in budgets if budget == Budget()) * 2 == SEEDS


def test_every_budget_acts_in_some_seed() -> None:
    found: Counter[str] = Counter()
    for seed in range(SEEDS, SEEDS + CHUNK):
        found.update(acted(play(seed)))
    assert set(found) >= {
        "budget_fees_day", "budget_fees_book", "budget_fees_month", "budget_turnover", "entry_was_unwound",
        "alert fees_day", "alert fees_book", "alert fees_month", "alert turnover", "alert undone",
        "alert refused",
    }  # fmt: skip


def test_the_counts_are_restored_by_folding_alone() -> None:
    runs = [play(seed) for seed in range(6)]
    counted = [pair.spending.days for run in runs for pair in run.world.store.pairs.values()]
    assert sum(1 for days in counted if days) > 3
    assert any(run.plan.restarts for run in runs)
    assert all(refolds(run) for run in runs)
