"""The two endings of a seed, when they are due, and what they may come to.

*Obedient*: everything is good and constant, and FLATTEN is ordered.  *Crippled*: one named thing stays broken
for good and the rest obeys.  What must stay true: the venue's own books decide, within the time that the law
of the exit gives, and a pair that is not flat has an exception that stands and is true.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bot.model.pair import Mode
from tests.simulation.explorer.market import Book
from tests.simulation.explorer.scenario import PairPlan
from tests.simulation.explorer.troubles import TROUBLES
from tests.simulation.explorer.venue import SECOND_NS

if TYPE_CHECKING:
    from tests.simulation.explorer.world import World

WAIT_S = 25.0  # the ending waits this long for a pair to be held or naked
QUIET_S = 3.0
FLAT, RATIO = "flat", "in ratio"

# What a pair may be in the end, by what stays broken and by the kind of the leg that it breaks.  Flat is
# always right; in ratio needs an exception that stands and is true.
_EITHER = frozenset((FLAT, RATIO))
_FLAT = frozenset((FLAT,))
ENDS: dict[str, dict[str, frozenset[str]]] = {
    "stale": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "one_sided": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "lost_market": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "lost_private": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "lost_orders": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "halt": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "hedged": {"spot": _FLAT, "linear": _EITHER, "inverse": _EITHER},
    "coins_missing": {"spot": _EITHER, "linear": _FLAT, "inverse": _FLAT},
    "restricted": dict.fromkeys(("spot", "linear", "inverse"), _FLAT),
    "coarse_lot": dict.fromkeys(("spot", "linear", "inverse"), _EITHER),
    "high_minimum": {"spot": _EITHER, "linear": _FLAT, "inverse": _FLAT},
    "squeeze": {"spot": _FLAT, "linear": _EITHER, "inverse": _EITHER},
}


class Ending:
    """``begun_ns`` is 0 until it begins; ``took_s`` is how long it then lasted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.begun_ns = 0
        self.due_ns = 0
        self.took_s = 0.0
        self.kind = world.scenario.ending
        self.was_held = self.was_naked = False
        self.states: dict[str, str] = {}

    # --- its beginning

    def watch(self) -> None:
        world, scenario = self.world, self.world.scenario
        if world.now_s < scenario.phase_s or world.is_down or not world.store.ledger.opened:
            return
        held = any(not one.is_flat(world.bounds) for one in world.measures.values())
        naked = any(one.naked_base() for one in world.measures.values()) or world.is_uncertain()
        is_late = world.now_s >= scenario.phase_s + WAIT_S
        if (naked if scenario.end_when_naked else held) or is_late:
            self.was_held, self.was_naked = held, naked
            self._begin()

    def _begin(self) -> None:
        world, scenario = self.world, self.world.scenario
        for trouble in list(world.active):
            world.end_trouble(trouble)
        if world.is_dead:  # a stop ended in a restart
            return
        self.begun_ns = world.now_ns
        world.waiting = []
        market = world.market
        market.moving = False
        market.basis = dict.fromkeys(market.basis, 0.0)
        for book in market.books.values():
            book.depth = scenario.last_depth
        if self.kind != "obedient" and not TROUBLES[scenario.cripple.kind](world, scenario.cripple, True):
            self.kind = "obedient"
        world.order_flatten()
        world.judge.is_lifted = True
        self.due_ns = world.now_ns + int(self.allowed_s() * SECOND_NS)

    def allowed_s(self) -> float:
        """The law's bound: 60 s and each wait that may be due, by the settings and what is held, and what is
        left of a ban."""
        world, config = self.world, self.world.config
        strategy, fuse = config.strategy, config.fuse
        clip = float(strategy.clip_quote)
        largest = max(one.size_quote() for one in world.measures.values())
        gross = 2 * sum(one.size_quote() for one in world.measures.values())
        clips = math.ceil(largest / (clip * min(1.0, world.scenario.last_depth)))
        closing = float(fuse.closing_notional_per_min_quote)
        minutes = math.ceil(max(0.0, gross + world.judge.closed_quote(world.now_ns) - closing) / closing)
        squeezed = (
            clips if self.kind == "squeeze" else 1
        )  # a fill resets the collar, and the next clip waits anew
        return (
            60.0
            + fuse.deadline_s
            + 2 * strategy.receive_window_s
            + 2 * strategy.reask_s
            + 5 * world.bounds.collar_steps * squeezed
            + clips * (1.0 + world.venue.longest_s)
            + 60 * minutes
            + max(
                0.0,
                max(account.throttled_ns for account in world.books.accounts.values()) / SECOND_NS
                - world.now_ns / SECOND_NS,
            )
        )

    # --- its end

    def second(self) -> None:
        """Once a second: over when all is flat and quiet, or when the time is up."""
        world = self.world
        if not self.begun_ns:
            return
        self.took_s = (world.now_ns - self.begun_ns) / SECOND_NS
        all_flat = all(one.is_flat(world.bounds) for one in world.measures.values())
        is_quiet = world.store.mode is Mode.HALTED and not world.store.live and self.took_s > QUIET_S
        if world.now_ns < self.due_ns and not (all_flat and is_quiet):
            return
        for plan in world.scenario.pairs:
            self._judge(plan)
        world.over = True

    def _judge(self, plan: PairPlan) -> None:
        world = self.world
        measure, judge = world.measures[plan.name], world.judge
        law = "ends crippled" if self._concerns(plan) else "ends obedient"
        stands = judge.excuse(plan.name, world.now_ns)
        if measure.is_flat(world.bounds):
            self.states[plan.name] = FLAT
            return
        delta = measure.naked_base()
        state = "naked" if delta else RATIO
        self.states[plan.name] = state if stands is None else f"{state}, {stands}"
        held = f"holds {measure.held(0):.8g} / {measure.held(1):.8g}, {world.words(plan.name)}"
        if stands is not None:
            judge.excused[stands] = judge.excused.get(stands, 0) + 1
        if law == "ends obedient":
            if stands != "margin_coins":
                judge.fail(law, plan.name, world.now_ns, f"{state}: {held}")
            return
        if delta:
            bps = world.bounds.collar_max_bps
            reach = judge.reach[plan.name]
            legs = [leg for leg in (0, 1) if reach.can_shrink(leg, delta, world.now_ns, bps)]
            if legs or stands is None:
                judge.fail(law, plan.name, world.now_ns, f"naked, legs {legs} could trade: {held}")
        elif RATIO not in self._allowed(plan):
            judge.fail(law, plan.name, world.now_ns, f"in ratio where it must be flat: {held}")
        elif stands is None:
            judge.fail("ends without alert", plan.name, world.now_ns, f"in ratio: {held}")

    def _concerns(self, plan: PairPlan) -> bool:
        """Whether what is broken touches this pair: its book, or an account of its legs."""
        world, cripple = self.world, self.world.scenario.cripple
        if self.kind == "obedient":
            return False
        if self.kind in ("lost_market", "lost_private", "lost_orders", "restricted"):
            return world.leg(cripple).account in (plan.long.account, plan.short.account)
        if self.kind == "hedged":
            return world.contract(cripple).account in (plan.long.account, plan.short.account)
        return world.plan(cripple).name == plan.name

    def _allowed(self, plan: PairPlan) -> frozenset[str]:
        world, cripple = self.world, self.world.scenario.cripple
        of_contract = self.kind in ("hedged", "squeeze")
        one = world.contract(cripple) if of_contract else world.leg(cripple)
        kind = "spot" if one.is_spot else "inverse" if one.inverse else "linear"
        if self.kind == "squeeze":
            return _EITHER if self._is_out_of_reach(world.market.books[one.id]) else _FLAT
        return ENDS[self.kind][kind]

    def _is_out_of_reach(self, book: Book) -> bool:
        """Beyond the widest collar, or beyond the venue's band."""
        band_bps = float(book.instrument.price_up - 1) * 1e4
        return book.far_bps > self.world.bounds.collar_max_bps * 0.95 or book.far_bps > band_bps * 0.9
