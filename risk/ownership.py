"""Which pair a contract belongs to, where two pairs name it.

Settings give a contract to one pair.  A pair that is renamed while it is open stays under its old name until
it is flat, and the new name claims the same contract.  What must stay true: a position of the venue belongs
to the pair that opened it; a pair without a position takes none over while another one is open, and opens
nothing in that contract.  Spot coins can be told apart by nobody, and each pair has bought its own.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Instrument, Position
from bot.model.money import COIN_QUANTUM, ZERO, divide, floor_to
from bot.model.pair import PairState
from bot.model.store import Leg, Pair, Store


def owners(store: Store, contract: InstrumentId) -> tuple[PairName, ...]:
    """The pairs that a contract concerns: those that are open in it; where none is, those that name it."""
    names = store.routes.pairs_of.get(contract, ())
    if len(names) < 2:
        return names
    return tuple(name for name in names if _is_open(store.pairs[name], contract)) or names


def rival(store: Store, pair: Pair) -> tuple[InstrumentId, PairName] | None:
    """A contract of this pair that another pair is open in, and that pair."""
    pairs_of, spec = store.routes.pairs_of, pair.spec
    if len(pairs_of.get(spec.long, ())) < 2 and len(pairs_of.get(spec.short, ())) < 2:
        return None
    for leg in pair.legs:
        names = pairs_of.get(leg.instrument, ())
        if len(names) < 2 or leg.instrument not in store.markets:
            continue
        if store.markets[leg.instrument].instrument.is_spot:
            continue
        for name in names:
            if name != pair.spec.name and _is_open(store.pairs[name], leg.instrument):
                return leg.instrument, name
    return None


def divided(store: Store, contract: Instrument, held: Position) -> list[tuple[Leg, Position]]:
    """What each leg in a contract has of a position of the venue: pro rata to what the legs hold, floored to
    lots, and the rest of it with the largest leg."""
    found = []
    cost_left = held.cost
    legs = split(store, contract.id, held.qty, contract.lot)
    for leg, qty in reversed(legs):
        is_last = leg is legs[0][0]
        cost = cost_left if is_last or not held.qty else divide(held.cost * qty, held.qty, COIN_QUANTUM)
        cost_left -= cost
        found.append((leg, Position(qty, cost)))
    return found


def split(store: Store, contract: InstrumentId, amount: Decimal, unit: Decimal) -> list[tuple[Leg, Decimal]]:
    """The same of any amount, in multiples of ``unit``, the largest leg first.  Where no leg holds anything
    all of it is the first owner's, the one that the settings name before others."""
    pairs = [store.pairs[name] for name in owners(store, contract)]
    pairs.sort(key=lambda pair: not pair.in_config)
    legs = [leg for pair in pairs for leg in pair.legs if leg.instrument == contract]
    holding = sorted((leg for leg in legs if leg.position.qty), key=_size, reverse=True)
    if not holding:
        return [(leg, amount) for leg in legs[:1]]
    whole, sign = sum(map(_size, holding), ZERO), -1 if amount < 0 else 1
    parts = [
        (leg, sign * floor_to(divide(abs(amount) * _size(leg), whole, COIN_QUANTUM), unit))
        for leg in holding[1:]
    ]
    return [(holding[0], amount - sum((part for _, part in parts), ZERO)), *parts]


def _size(leg: Leg) -> Decimal:
    return abs(leg.position.qty)


def _is_open(pair: Pair, contract: InstrumentId) -> bool:
    if pair.state is not PairState.FLAT:
        return True
    return any(leg.instrument == contract and leg.position.qty for leg in pair.legs)
