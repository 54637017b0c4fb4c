"""Faults, deaths and an operator at once, drawn from a seed, in virtual time; then half a minute of peace."""

from __future__ import annotations

import pytest

from bot.model.facts import Booted, ModeOrdered, OrderFilled
from tests.virtual.explore import drawn, lived

SEEDS = 20


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_story_of_faults_deaths_and_orders(seed: int) -> None:
    told, laws = lived(seed)
    assert laws == []
    boots = sum(isinstance(fact, Booted) for row in told.entries for fact in row.facts)
    assert boots == len(told.ending.lives)


def test_the_stories_test_something() -> None:
    stories = [drawn(seed) for seed in range(1, SEEDS + 1)]
    assert sum(bool(story.kills) for story in stories) >= SEEDS / 2
    assert sum(bool(story.orders) for story in stories) >= SEEDS / 2
    told, _ = lived(next(n for n, story in enumerate(stories, 1) if story.kills and story.orders))
    facts = [fact for row in told.entries for fact in row.facts]
    assert any(isinstance(fact, OrderFilled) for fact in facts)
    assert any(isinstance(fact, ModeOrdered) for fact in facts)
