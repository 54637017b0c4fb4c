"""Many seeds summed up: what was met, what was excused, the largest rest, the slowest seed, and what failed.

Seeds count only if they test; the shares that must hold are asserted here, with the pairs of trouble and
state that cannot be, each with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bot.model.pair import PairState
from tests.simulation.explorer.run import Outcome
from tests.simulation.explorer.troubles import IMPOSSIBLE, TROUBLES

HELD_SHARE, NAKED_SHARE, SUMMED_SHARE = 0.5, 0.2, 0.9
MET_AT_LEAST = 50  # of 10,000 seeds
OF_SEEDS = 10_000


class Summary:
    """Sums over outcomes, in the order of their seeds."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = sorted(outcomes, key=lambda one: one.seed)
        self.met: Counter[tuple[str, str]] = Counter()
        self.excused: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        for one in self.outcomes:
            self.met.update(one.met)
            self.excused.update(dict.fromkeys(one.excused, 1))
            kind = "obedient" if one.ending == "obedient" else "crippled"
            self.states.update(f"{kind}: {state}" for state in one.states.values())

    @property
    def failed(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.failures]

    def share(self, what: str) -> float:
        return sum(bool(getattr(one, what)) for one in self.outcomes) / max(1, len(self.outcomes))

    def premises(self) -> list[str]:
        """What these seeds do not test, in words."""
        count, out = len(self.outcomes), []
        if self.share("was_held") < HELD_SHARE:
            out.append(
                f"only {self.share('was_held'):.0%} of the seeds hold a position when the ending begins"
            )
        if self.share("was_naked") < NAKED_SHARE:
            out.append(f"only {self.share('was_naked'):.0%} are naked or uncertain when the ending begins")
        if self.share("sums") < SUMMED_SHARE:
            out.append(f"only in {self.share('sums'):.0%} of the seeds the ledger was summed up")
        needed = MET_AT_LEAST * count / OF_SEEDS
        for trouble in TROUBLES:
            for state in PairState:
                key = (trouble, state.value)
                if key not in IMPOSSIBLE and self.met[key] < (needed if count >= OF_SEEDS else 0):
                    out.append(f"{trouble} met {state.value} {self.met[key]} times, {needed:.0f} are needed")
        out += [
            f"{trouble} met {state}, which cannot be"
            for trouble, state in IMPOSSIBLE
            if self.met[trouble, state]
        ]
        return out

    def text(self) -> str:
        slowest = max(self.outcomes, key=lambda one: one.took_s)
        rest = max(self.outcomes, key=lambda one: one.rest_quote)
        cpu_s = sum(one.cpu_s for one in self.outcomes)
        lines = [
            f"{len(self.outcomes)} seeds, {len(self.failed)} failed; {cpu_s:.0f} s of CPU",
            (
                f"held when the ending begins: {self.share('was_held'):.1%}, "
                f"naked or uncertain: {self.share('was_naked'):.1%}"
            ),
            f"largest rest of a flat pair: {rest.rest_quote:.2f} quote (seed {rest.seed})",
            f"slowest ending: {slowest.took_s:.0f} s (seed {slowest.seed})",
            "",
            f"{'trouble met in state':<22}" + "".join(f"{state.value:>10}" for state in PairState),
        ]
        for trouble in TROUBLES:
            cells = (
                "      none"
                if (trouble, state.value) in IMPOSSIBLE
                else f"{self.met[trouble, state.value]:>10}"
                for state in PairState
            )
            lines.append(f"{trouble:<22}" + "".join(cells))
        lines += ["", "seeds that needed an exception:"]
        lines += [f"  {code:<22}{number:>8}" for code, number in self.excused.most_common()]
        lines += ["", "how pairs ended:"]
        lines += [f"  {state:<40}{number:>8}" for state, number in sorted(self.states.items())]
        lines += ["", "laws broken, by ending:"]
        laws = Counter((failure.law, one.ending) for one in self.failed for failure in one.failures)
        lines += [f"  {law:<22}{ending:<16}{number:>6}" for (law, ending), number in sorted(laws.items())]
        return "\n".join(lines)
