"""Seeds × markets × faults on the paper venue in virtual time: whatever happens, no law is broken.

Thin, jumping books make orders fill in part or not at all; the premium comes and goes, so that pairs enter
and leave several times; the bot loses its memory, or its private connection, at random moments.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from bot.model.facts import Booted, OrderExpired, OrderFilled, OrderRejected, OrderUncertain
from bot.model.pair import PairState, Purpose
from bot.model.commands import PlaceOrder
from tests.e2e.feeds import START_MS, Scene
from tests.invariants import check
from tests.simulation.machine import Plan, Played, play

MS = 1_000_000
SECOND = 1000 * MS
START = START_MS * MS
SEEDS = range(10)
CASES = [
    (perpetual, policy, seed)
    for perpetual, policy, seed in itertools.product(("usdm", "coinm"), ("together", "sequenced"), SEEDS)
]


def plan(perpetual: str, policy: str, seed: int) -> Plan:
    dice = random.Random(f"{perpetual} {policy} {seed}")
    seconds = dice.randint(95, 120)
    scene = Scene(
        seed=seed,
        perpetual=perpetual,
        seconds=seconds,
        premium=premium(dice, seconds),
        thin_s=(0, dice.choice([0, seconds, seconds])),
        shake_cents=dice.choice([0, 500, 2000, 4000]),
        depth_ms=dice.choice([60, 120, 250]),
    )
    changes = {
        "STRATEGY__LEG_POLICY": policy,
        "STRATEGY__CLIP_QUOTE": str(dice.choice([2000, 8000, 20000])),
        "STRATEGY__CLIP_INTERVAL_S": str(dice.choice([0.5, 2, 5])),
        "STRATEGY__SLIPPAGE_BPS": str(dice.choice([0, 0.2, 2])),
        "STRATEGY__PATIENCE_S": str(dice.choice([0.3, 1, 2])),
        "STRATEGY__REPAIR_ATTEMPTS": str(dice.choice([0, 1, 3])),
        "STRATEGY__MATERIALITY_BPS": "0.5",
        "PAPER_UP_MS": str(dice.choice([1, 5, 60])),
        "PAPER_STEP_US": str(dice.choice([0, 200, 20000])),
    }
    whole = range(START + SECOND, START + seconds * SECOND)
    crashes = tuple(sorted(dice.sample(whole, dice.choice([0, 0, 1, 3]))))
    deaf = ()
    if dice.random() < 0.4:
        begins = dice.choice(whole[: 80 * SECOND])
        deaf = ((begins, begins + dice.randint(5 * MS, 9 * SECOND)),)
    return Plan(scene, changes, crashes, deaf)


def premium(dice: random.Random, seconds: int) -> tuple[tuple[int, int], ...]:
    """High and low by turns, in millionths, a few seconds to tens of seconds each."""
    course, at_s = [(0, 1500)], 0
    for level in itertools.cycle((1500, -800)):
        until_s = at_s + dice.randint(8, 30)
        course += [(at_s + 1, level), (until_s, level)]
        at_s = until_s
        if at_s > seconds:
            return tuple(course)
    raise AssertionError("unreachable: the cycle has no end")


@pytest.mark.parametrize(("perpetual", "policy", "seed"), CASES)
def test_no_law_is_broken(perpetual: str, policy: str, seed: int, tmp_path: Path) -> None:
    played = play(plan(perpetual, policy, seed), tmp_path / "journal")
    broken, _ = check(played.entries)
    assert not broken, "; ".join(broken[:5])
    assert played.duplicates == 0
    assert orders_of(played)


def orders_of(played: Played) -> list[PlaceOrder]:
    return [
        command
        for entry in played.entries
        for command in entry.commands
        if isinstance(command, PlaceOrder)
    ]
