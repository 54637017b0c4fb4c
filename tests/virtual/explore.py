"""Stories drawn from a seed: faults, deaths at any step of the order path, and an operator's orders.

``python -m tests.virtual.explore FIRST LAST`` tells them and prints the laws that each broke, and how many
tested anything.  What must stay true: the same seed is the same story; the trouble ends, the last order is
ACTIVE or FLATTENING, and there is time after it to come to rest.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Literal

from bot.model.facts import OrderFilled
from bot.model.pair import Mode
from tests.virtual.laws import broken
from tests.virtual.loop import run_virtual
from tests.virtual.rig import play
from tests.virtual.story import Story, Told

TROUBLED_S = 100
SECONDS = 160.0
KILLS_MAX = 3
STEPS_MAX = 90
ORDERS_MAX = 4
MARKETS: tuple[Literal["usdm", "coinm"], ...] = ("usdm", "coinm")
TRANSPORTS: tuple[Literal["ws", "rest"], ...] = ("ws", "rest")


def drawn(seed: int) -> Story:
    """The story of a seed: a quarter each has no deaths, or no operator."""
    dice = random.Random(f"story {seed}")
    kills = tuple(dice.randint(1, STEPS_MAX) for _ in range(dice.randint(0, KILLS_MAX)))
    count = dice.randint(0, ORDERS_MAX)
    times = sorted(round(dice.uniform(2.0, TROUBLED_S), 3) for _ in range(count))
    orders = [(at_s, dice.choice(tuple(Mode))) for at_s in times]
    if orders:
        orders.append((TROUBLED_S + 5.0, dice.choice((Mode.ACTIVE, Mode.ACTIVE, Mode.FLATTENING))))
    return Story(
        script=f"seed={seed} for={TROUBLED_S}s",
        seconds=SECONDS,
        perpetual=dice.choice(MARKETS),
        transport=dice.choice(TRANSPORTS),
        changes={"STRATEGY__LEG_POLICY": dice.choice(("together", "together", "sequenced"))},
        kills=kills,
        orders=tuple(orders),
    )


def lived(seed: int) -> tuple[Told, list[str]]:
    """Tell the story of a seed; also the laws that it broke."""
    story = drawn(seed)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.db"
        told = run_virtual(play(story, journal))
        return told, broken(told, story, journal)


def main(first: int, last: int) -> int:
    """Tell every story of a range; 1 where one broke a law."""
    seen: Counter[str] = Counter()
    begun_s = time.process_time()
    for seed in range(first, last + 1):
        try:
            told, laws = lived(seed)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - each seed is judged by itself
            seen["ended in an error"] += 1
            print(f"seed {seed}: {_innermost(error)!r}", flush=True)  # noqa: T201
            continue
        filled = any(isinstance(fact, OrderFilled) for row in told.entries for fact in row.facts)
        seen["with fills"] += filled
        seen["with deaths"] += len(told.ending.lives) > 1
        seen["with an operator"] += bool(drawn(seed).orders)
        seen["broken"] += bool(laws)
        for law in laws:
            print(f"seed {seed}: {law[:300]}", flush=True)  # noqa: T201
    spent_s = time.process_time() - begun_s
    print(f"{last - first + 1} stories in {spent_s:.0f} s of CPU: {dict(seen)}")  # noqa: T201
    return 1 if seen["broken"] or seen["ended in an error"] else 0


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
