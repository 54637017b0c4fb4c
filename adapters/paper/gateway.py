"""The simulated venue as a gateway: virtual time behind the port that real venues have.

Time moves only while `run` is awaited, one instant with facts at a time, and whoever shares the event loop
may answer an instant's facts before the next one is played.
"""

from __future__ import annotations

import asyncio

from adapters.paper.agenda import NEVER_NS
from adapters.paper.driver import PaperTimeline
from bot.model.commands import Outward
from bot.model.ids import InstrumentId
from bot.ports import Emit


class PaperGateway:
    """`bot.ports.VenueGateway` over a timeline.  Commands are sent at the time reached."""

    def __init__(self, timeline: PaperTimeline) -> None:
        self._timeline = timeline

    async def run(self, emit: Emit) -> None:
        """Play until the recording has ended and nothing is in flight."""
        while self._timeline.advance(NEVER_NS, emit, stop=True) is not None:
            await asyncio.sleep(0)

    def submit(self, command: Outward) -> None:
        self._timeline.submit(command, self._timeline.now_ns)

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        self._timeline.working(instruments)
