"""A pair: one long leg and one short leg, held together.

A pair has legs by role and nothing else to tell them apart: what is spot, perpetual, dated, linear or inverse
is said by the instrument.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Side


class Role(Enum):
    LONG = "long"
    SHORT = "short"

    @property
    def opening_side(self) -> Side:
        return Side.BUY if self is Role.LONG else Side.SELL

    @property
    def other(self) -> Role:
        return Role.SHORT if self is Role.LONG else Role.LONG


class PairSpec(Struct, frozen=True):
    """What the operator configured: ``NAME=long/short`` and the capital the pair may use."""

    name: PairName
    long: InstrumentId
    short: InstrumentId
    capital_quote: Decimal

    def instrument(self, role: Role) -> InstrumentId:
        return self.long if role is Role.LONG else self.short


class PairState(Enum):
    FLAT = "FLAT"
    ENTERING = "ENTERING"
    HEDGED = "HEDGED"
    EXITING = "EXITING"
    LEGGED = "LEGGED"


class Mode(Enum):
    """Latched permission, from free to bound.  The program only moves right; an operator moves it left."""

    ACTIVE = "active"
    PAUSED = "paused"
    REDUCE_ONLY = "reduce_only"
    FLATTENING = "flattening"
    HALTED = "halted"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK = {mode: rank for rank, mode in enumerate(Mode)}


class Purpose(Enum):
    """Why an order exists.  The mode table and the pair's life cycle are written in these words."""

    ENTER = "enter"
    EXIT = "exit"
    DRIFT = "drift"
    REPAIR = "repair"
    UNWIND = "unwind"
