"""A seed's outcome, and a failing seed's story in words."""

from __future__ import annotations

import time
from collections import Counter

from msgspec import Struct

from tests.simulation.explorer.judge import Failure
from tests.simulation.explorer.scenario import draw
from tests.simulation.explorer.venue import SECOND_NS
from tests.simulation.explorer.words import row_words
from tests.simulation.explorer.world import START_NS, World

REFOLDED = 8  # every so many seeds the journal is folded once more
STORY_ROWS = 30


class Outcome(Struct):
    """What a seed came to.  ``met`` counts (trouble, state) pairs, ``sums`` the times that the
    ledger was summed up."""

    seed: int
    ending: str
    failures: tuple[Failure, ...]
    met: Counter[tuple[str, str]]
    excused: dict[str, int]
    states: dict[str, str]
    was_held: bool
    was_naked: bool
    rest_quote: float
    took_s: float
    cpu_s: float
    rows: int
    sums: int
    story: str = ""


def play(seed: int, *, verbose: bool = False) -> Outcome:
    """Play one seed and judge it.  A bug of the product is a failure like any other."""
    begun_s = time.process_time()
    world = World(draw(seed))
    try:
        world.play()
        if seed % REFOLDED == 0 and world.refolded() != world.store:
            world.judge.fail("fold(journal) == store", "", world.now_ns, "the journal gives another store")
    except Exception as bug:  # noqa: BLE001 whatever the product raises ends the seed, and is told with it
        world.judge.fail("bug", "", world.now_ns, f"{type(bug).__name__}: {bug}")
    met = Counter((trouble.kind, state.value) for trouble in world.scenario.troubles for state in trouble.met)
    failures = tuple(world.judge.failures)
    flat = [one.rest_quote() for one in world.measures.values() if one.is_flat(world.bounds)]
    return Outcome(
        seed=seed,
        ending=world.ending.kind,
        failures=failures,
        met=met,
        excused=world.judge.excused,
        states=world.ending.states,
        was_held=world.ending.was_held,
        was_naked=world.ending.was_naked,
        rest_quote=max(flat, default=0.0),
        took_s=world.ending.took_s,
        cpu_s=time.process_time() - begun_s,
        rows=len(world.rows),
        sums=world.sums,
        story=story(world, verbose) if failures or verbose else "",
    )


def story(world: World, verbose: bool) -> str:
    """What a person needs to see why: the seed, each broken law, and the rows before the first of them."""
    scenario = world.scenario
    strategy = scenario.config.strategy
    lines = [
        (
            f"seed {scenario.seed}, ending {world.ending.kind}, fee in {scenario.fee_in}, "
            f"{strategy.leg_policy}, clip {strategy.clip_quote}, slippage {strategy.slippage_bps}, "
            f"patience {strategy.patience_s}, attempts {strategy.repair_attempts}, "
            f"reask {strategy.reask_s}, slow {scenario.slow_s}"
        )
    ]
    lines += [f"  pair {plan.name}: {plan.long.id} / {plan.short.id}" for plan in scenario.pairs]
    for trouble in scenario.troubles:
        if trouble.began_ns:
            began_s = (trouble.began_ns - START_NS) / SECOND_NS
            where = world.leg(trouble).id
            lines.append(f"  {began_s:.1f} s, {trouble.for_s:.1f} s long: {trouble.kind} at {where}")
    if world.ending.begun_ns:
        begun_s = (world.ending.begun_ns - START_NS) / SECOND_NS
        crippled = "" if world.ending.kind == "obedient" else f" at {world.leg(scenario.cripple).id}"
        lines.append(f"  {begun_s:.1f} s: the ending begins, {world.ending.kind}{crippled}")
    for failure in world.judge.failures:
        at_s = (failure.at_ns - START_NS) / SECOND_NS
        lines.append(f"{failure.law} {failure.pair} at {at_s:.3f} s: {failure.detail}")
    until_ns = world.judge.failures[0].at_ns if world.judge.failures and not verbose else world.now_ns
    told = [line for row in world.rows if row.at_ns <= until_ns for line in row_words(row, START_NS)]
    lines += told if verbose else told[-STORY_ROWS:]
    for name, measure in world.measures.items():
        lines.append(
            f"  {name}: venue holds {measure.held(0):.8g} / {measure.held(1):.8g}, delta "
            f"{measure.delta_base():.8g}, naked {measure.naked_base():.8g}, state "
            f"{world.store.pairs[name].state.value if name in world.store.pairs else '?'}"
        )
    return "\n".join(lines)
