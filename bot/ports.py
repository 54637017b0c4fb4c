"""What the shell asks of the outside world.

A gateway brings facts in and carries commands out; it decides nothing.  A timeline is a gateway whose time is
virtual: a recording and a simulated venue that play forward only when told to.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from msgspec import Struct

from bot.model.commands import Outward
from bot.model.facts import AnyFact
from bot.model.ids import AccountId, InstrumentId

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


class Reading(Struct, frozen=True):
    """One number for those who watch: ``name`` as in ``basisbot_<noun>_<unit>``, without the prefix; a name
    that ends in ``_total`` only grows."""

    name: str
    value: float
    labels: dict[str, str] = {}


class Verdict(Enum):
    """What a check came to: ``SKIPPED`` could not be asked here, and says why."""

    OK = "ok"
    WARNED = "warn"
    FAILED = "fail"
    SKIPPED = "skip"


class Finding(Struct, frozen=True):
    """One check before money is at stake, as a sentence a person can act on.  ``may_pass``: it failed since
    the venue did not answer, and may be answered later."""

    check: str
    verdict: Verdict
    text: str
    may_pass: bool = False


FEE_ASSET_UNKNOWN = (
    "the venue does not tell what fees are paid in: the first purchase shows it, and may leave the pair "
    "long by the fee"
)


class LiveGateway(VenueGateway, Protocol):
    """A venue over the network.  It tells first what it trades (`InstrumentListed`), then as each channel
    opens; it reconnects by itself, and whatever it missed meanwhile is told before the channel is open."""

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        """Receive time of each instrument's last frame, and each account's clock offset (venue less ours)."""
        ...

    def readings(self) -> tuple[Reading, ...]:
        """Counters and gauges of this venue: reconnects, gaps, request weight used, round trips."""
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
