"""The limit on the distance to liquidation is judged without a search, and as the search would judge it."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from bot.model.instrument import Bracket, Instrument, Position, reference_per_qty
from bot.model.money import exact_arithmetic
from risk.margin import Held, margin_state, stress, tier_of
from tests.instruments import INVERSE, LINEAR, instrument
from tests.risk import build

D = Decimal
QUANTUM = Fraction(1, 10**6)  # to which a distance that is shown is rounded


def made_tiers(dice: random.Random, cap: int) -> tuple[Bracket, ...]:
    """Up to five tiers whose rates rise and whose margin is continuous, as venues state them."""
    tiers: list[Bracket] = []
    floor, cum, rate = D(0), D(0), D(0)
    for number in range(dice.randint(1, 5)):
        higher = rate + D(dice.randint(1, 60)) / 1000
        cum += floor * (higher - rate)
        rate, top = higher, floor + D(dice.randint(1, cap))
        tiers.append(Bracket(floor, top if number < 4 else D(10**12), rate, cum, 10))
        floor = top
    tiers[-1] = Bracket(tiers[-1].floor, D(10**12), rate, cum, 10)
    return tuple(tiers)


def made_account(dice: random.Random, inverse: bool) -> tuple[Decimal, list[Held]]:
    """One to four contracts, long and short, and a wallet that is near the point at which it matters."""
    held = []
    for _ in range(dice.randint(1, 4)):
        one = instrument(INVERSE if inverse else LINEAR, brackets=made_tiers(dice, 8 if inverse else 200_000))
        mark = D(dice.randint(20_000, 90_000))
        qty = D(dice.choice((-1, 1)) * dice.randint(1, 9_000)) * one.lot
        held.append(Held(one, build.at(one, str(qty), str(mark + dice.randint(-900, 900))), mark))
    return D(0), held


def exact_distance(held: Held, backing: Fraction) -> Fraction | None:
    """Distance of a position's mark to where equity meets maintenance, tier by tier, unrounded; ``None``
    where no price liquidates.  ``backing``: the wallet and the others' profit, less what they need."""
    one, position = held.instrument, held.position
    side = 1 if position.qty > 0 else -1
    free = backing + (1 if one.inverse else -1) * Fraction(position.cost)
    gain = -side if one.inverse else side
    at_mark = Fraction(abs(position.qty) * reference_per_qty(one, held.mark))
    for tier in one.brackets:
        rate, cum = Fraction(tier.maintenance_rate), Fraction(tier.cum)
        value = (free + cum) / (rate - gain)  # free + gain × value = rate × value − cum
        is_here = Fraction(tier.floor) <= value <= Fraction(tier.cap)
        if value > 0 and (is_here or (tier is one.brackets[-1] and value > Fraction(tier.floor))):
            ratio = at_mark / value if one.inverse else value / at_mark
            return side * (1 - ratio)
    if gain > 0:
        return None  # equity is above the margin at every price
    return Fraction(0) if one.inverse else Fraction(-1)  # it is below it at every price


@pytest.mark.parametrize("inverse", [False, True], ids=["linear", "inverse"])
def test_the_verdict_is_that_of_the_search(inverse: bool) -> None:
    dice = random.Random(7 + inverse)
    verdicts, shown, sides = [0, 0], 0, [0, 0]
    with exact_arithmetic():
        for _ in range(4_000):
            _, held = made_account(dice, inverse)
            limit = D(dice.randint(0, 100)) / 100
            state = margin_state(D(0), held)
            largest = max(stress_of(each, limit) for each in held)
            # the wallet is set near the verdict: a little or a lot above or below it, or exactly at it
            spread = state.notional * D(dice.choice((0, 1, -1, 100, -100, 3_000, -3_000))) / 10**4
            if not largest.is_finite():
                largest = state.notional
            wallet = largest + state.maintenance - state.equity + spread
            state = margin_state(wallet, held)
            is_far = state.equity - state.maintenance >= max(stress_of(each, limit) for each in held)
            backing = Fraction(state.equity) - Fraction(state.maintenance)
            distances = [
                exact_distance(part.held, backing - Fraction(part.gain) + Fraction(part.need))
                for part in state.parts
            ]
            least = min((each for each in distances if each is not None), default=None)
            plain = least is None or least >= Fraction(limit)
            # at the very edge the stress of an inverse contract is rounded, towards a search
            is_edge = least is not None and abs(least - Fraction(limit)) < Fraction(1, 10**15)
            assert is_far == plain or (is_edge and not is_far)
            verdicts[is_far] += 1
            if least is not None and abs(least - Fraction(limit)) > QUANTUM:
                shown += 1
                assert (state.distance >= limit) == is_far
            sides[held[0].position.qty > 0] += 1
    assert min(verdicts) > 800
    assert min(sides) > 1_000
    assert shown > 2_000


def stress_of(held: Held, limit: Decimal) -> Decimal:
    one: Instrument = held.instrument
    position: Position = held.position
    per_qty = reference_per_qty(one, held.mark)
    value = position.qty * per_qty
    return stress(one, tier_of(one, abs(value)), value, limit)


def test_what_the_largest_stress_refuses_is_named_by_its_distance() -> None:
    """The wallet at which the stress of one long contract is met exactly has exactly that distance."""
    one = build.flat_rate("0.01")
    held = Held(one, build.at(one, "1", "60000"), D(60_000))
    with exact_arithmetic():
        taken = stress_of(held, D("0.15"))
        assert taken == 60_000 * D("0.15") - 60_000 * D("0.15") * D("0.01")
        enough = margin_state(taken + 600, [held])
        assert enough.distance == D("0.15")
        assert margin_state(taken + 600 - 1, [held]).distance < D("0.15")
