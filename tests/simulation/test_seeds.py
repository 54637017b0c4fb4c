"""Seeds × markets × faults on the paper venue in virtual time: whatever happens, no law is broken.

Thin, jumping books make orders fill in part or not at all; cash is short at times, so that the venue rejects;
the premium comes and goes, so that pairs enter and leave several times; the bot loses its memory, or its
private connections, at random moments.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from bot.model.commands import PlaceOrder
from bot.model.pair import Purpose
from tests.e2e.feeds import START_MS, Scene
from tests.invariants import check
from tests.simulation.machine import Plan, Played, play

MS = 1_000_000
SECOND = 1000 * MS
START = START_MS * MS
MARKETS = ("usdm", "coinm")
POLICIES = ("together", "sequenced")


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
        # one leg at a time is naked by a clip on its way
        "LIMITS__NET_DELTA_MAX_QUOTE": "25000",
        "PAPER_BALANCES": balances(dice, perpetual),
        "PAPER_UP_MS": str(dice.choice([1, 5, 60])),
        "PAPER_STEP_US": str(dice.choice([0, 200, 20000])),
    }
    times = range(START + SECOND, START + seconds * SECOND)
    crashes = tuple(sorted(dice.sample(times, dice.choice([0, 0, 1, 3]))))
    edges = sorted(dice.sample(times, 2 * dice.choice([0, 0, 1, 4])))
    deaf = tuple(
        (begin, min(end, begin + dice.randint(5 * MS, 9 * SECOND)))
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    )
    return Plan(scene, changes, crashes, deaf)


def premium(dice: random.Random, seconds: int) -> tuple[tuple[int, int], ...]:
    """High and low by turns, in millionths, a few seconds to tens of seconds each."""
    course, at_s = [(0, 1500)], 0
    for level in itertools.cycle((1500, -800)):
        until_s = at_s + dice.randint(8, 30)
        course += [(at_s + 1, level), (until_s, level)]
        at_s = until_s
        if at_s > seconds:
            break
    return tuple(course)


def balances(dice: random.Random, perpetual: str) -> str:
    """Enough for every clip, or for some of them."""
    asset, enough, some = {"usdm": ("USDT", 90_000, 25_000), "coinm": ("BTC", 2, 0.25)}[perpetual]
    spot, margin = dice.choice([90_000, 90_000, 30_000]), dice.choice([enough, enough, some])
    return f"binance:spot:USDT={spot},binance:{perpetual}:{asset}={margin}"


def count(played: Played) -> Counter[str]:
    """Facts by type, and orders by purpose."""
    found: Counter[str] = Counter()
    for entry in played.entries:
        found.update(type(fact).__name__ for fact in entry.facts)
        found.update(command.purpose.value for command in entry.commands if isinstance(command, PlaceOrder))
    return found


def test_the_plans_reach_what_they_are_for(tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    lost = swallowed = 0
    for seed in range(6):
        played = play(plan("coinm", "together", seed), tmp_path / f"journal{seed}")
        found += count(played)
        lost, swallowed = lost + played.lost, swallowed + played.swallowed
    for what in ("OrderExpired", "OrderUncertain", "OrderNotFound", "FundingPaid", "ChannelLost"):
        assert found[what] > 0, what
    for purpose in Purpose:
        assert found[purpose.value] > 0 or purpose is Purpose.DRIFT, purpose
    assert found["Booted"] > 6
    assert lost > 0
    assert swallowed > 0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("perpetual", MARKETS)
def test_no_law_is_broken(perpetual: str, policy: str, seed: int, tmp_path: Path) -> None:
    played = play(plan(perpetual, policy, seed), tmp_path / "journal")
    broken, _ = check(played.entries)
    assert not broken, "; ".join(broken[:5])
    assert played.duplicates == 0
