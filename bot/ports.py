"""What the shell asks of the outside world.

A gateway brings facts in and carries commands out; it decides nothing.  A timeline is a gateway whose time is
virtual: a recording and a simulated venue that play forward only when told to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bot.model.commands import Outward
from bot.model.facts import AnyFact
from bot.model.ids import InstrumentId

Emit = Callable[[AnyFact], None]


class Clock(Protocol):
    def now_ns(self) -> int:
        """Nanoseconds since 1970, slewed towards the venue's clock; never goes back."""
        ...


class VenueGateway(Protocol):
    async def run(self, emit: Emit) -> None:
        """Bring facts in until cancelled or, for a recording, until it has ended."""
        ...

    def submit(self, command: Outward) -> None:
        """Send.  Never blocks and never raises for an answer: answers are facts."""
        ...

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        """Tell which instruments have an order of ours: their books are facts at any move."""
        ...


class Timeline(Protocol):
    """A recording and a venue in virtual time."""

    def advance(self, limit_ns: int, emit: Emit, stop: bool) -> int | None:
        """Play everything up to and including ``limit_ns``.

        Returns the time reached: ``limit_ns``, or, when ``stop`` is set, the time at which the first fact was
        emitted (all facts of that instant are).  ``None`` when nothing is left to play.
        """
        ...

    def submit(self, command: Outward, at_ns: int) -> None: ...

    def working(self, instruments: frozenset[InstrumentId]) -> None: ...
