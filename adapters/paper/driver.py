"""Virtual time: recorded frames and the simulated venue's own events, merged and played forward.

Time is receive time on the venue's clock.  A command sent at ``at_ns`` meets the book received at
``at_ns + up_ns + down_ns``, which is what the venue held when it arrived, and its answer is seen at that same
instant.  Frames of an instant are played before the venue acts at it.

What must stay true: time never goes back; the frames between two facts cost no more than a call and three
compares each; with the same commands at the same times the same facts come at the same times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from msgspec import Struct

from adapters.errors import FeedError, FrameError
from adapters.paper.agenda import NEVER_NS, RANK_COMMAND
from adapters.paper.venue import PaperVenue
from bot.model.commands import Outward
from bot.model.facts import AnyFact, Channel, ChannelOpened, FeedEnded
from bot.model.ids import InstrumentId
from bot.ports import Emit

Frame = tuple[int, int, bytes]  # receive time, index of the feed, payload

_END: Frame = (NEVER_NS, -1, b"")


class MarketSource(Protocol):
    """One market's decoder: frames in, facts out."""

    def on_frame(self, at_ns: int, payload: bytes) -> None: ...

    def working(self, instruments: frozenset[InstrumentId]) -> None: ...

    def forget(self) -> None:
        """Make every book's next frame a fact, as for somebody who has seen none."""
        ...


class RecordedFrames(Protocol):
    """Frames in order of time."""

    def __iter__(self) -> Iterator[Frame]: ...

    def where(self) -> str:
        """File and line of the frame handed out last."""
        ...


class FeedSource(NamedTuple):
    """A feed's name and the decoder its frames go to."""

    name: str
    market: MarketSource


class Flight(Struct):
    """A command on its way to the venue; ``mute`` when nobody will be there to hear the answer."""

    command: Outward
    arrives_ns: int  # at the venue
    mute: bool = False


def _discard(fact: AnyFact) -> None:
    """Told to nobody: the bot that would have heard it is gone, or not there yet."""


class Outlet:
    """Where the recording's decoders and the venue tell their facts; the timeline turns it to who listens."""

    __slots__ = ("sink", "told")

    def __init__(self) -> None:
        self.sink: Emit = _discard
        self.told = False

    def tell(self, fact: AnyFact) -> None:
        self.told = True
        self.sink(fact)


class PaperTimeline:
    """A recording and the simulated venue in virtual time (`bot.ports.Timeline`)."""

    def __init__(
        self,
        sources: Sequence[FeedSource],
        frames: RecordedFrames,
        venue: PaperVenue,
        outlet: Outlet,
        bounds_ns: tuple[int, int] = (0, NEVER_NS),
    ) -> None:
        """A frame's index is that of its source.

        What is before ``bounds_ns[0]`` is played unheard, and nothing after ``bounds_ns[1]`` is played.
        ``start_ns`` is the first instant played: the range's begin, or the first frame's where that is later.
        """
        self._sources = sources
        self._handlers = [source.market.on_frame for source in sources]
        self._where = frames.where
        self._frames = iter(frames)
        self._head = next(self._frames, _END)
        self._venue = venue
        self._clock = venue.desk.clock
        self._agenda = venue.desk.agenda
        self._outlet = outlet
        self._from_ns, self._until_ns = bounds_ns[0], min(bounds_ns[1], NEVER_NS - 1)
        self.start_ns = max(self._from_ns, min(self._head[0], self._until_ns))
        self._now_ns = self.start_ns
        self._begun = False
        self._greeting = True
        self._ended = False
        self._flights: list[Flight] = []

    @property
    def now_ns(self) -> int:
        """Time reached; while a fact is told, that fact's."""
        return max(self._now_ns, self._clock.now_ns)

    def submit(self, command: Outward, at_ns: int) -> None:
        """Send; raises ``ValueError`` for a time before the one reached, which no cause can come from."""
        due_ns = at_ns + self._clock.up_ns + self._clock.down_ns
        if due_ns < self.now_ns:
            raise ValueError(f"a command sent at {at_ns} would meet the past: {self.now_ns} is reached")
        flight = Flight(command, at_ns + self._clock.up_ns)
        self._flights.append(flight)
        self._agenda.add(due_ns, RANK_COMMAND, lambda: self._land(flight))

    def working(self, instruments: frozenset[InstrumentId]) -> None:
        for source in self._sources:
            source.market.working(instruments)

    def lose_memory(self) -> None:
        """The bot is gone and back at once, knowing only its journal.

        Answers on their way to it are lost.  Commands that reach the venue later are still carried out, and
        the new bot hears of them.  Books stay, as a restarted gateway gets them by asking for a snapshot.
        """
        for flight in self._flights:
            flight.mute = flight.mute or flight.arrives_ns < self._now_ns
        for source in self._sources:
            source.market.forget()
        self._greeting = True

    def advance(self, limit_ns: int, emit: Emit, stop: bool) -> int | None:
        """See `bot.ports.Timeline`.  A feed's end is told once nothing is in flight any more."""
        if not self._begun:
            self._begin()
        if self._ended and not self._flights and not self._greeting:
            return None
        if limit_ns < self._now_ns:
            return limit_ns
        self._outlet.sink = emit
        if self._greeting:
            self._greet()
        if self._run(limit_ns, stop) and stop:
            return self._now_ns
        self._now_ns = max(self._now_ns, limit_ns)
        return limit_ns

    # --- inside -----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Play what was before the range, unheard: it builds books, marks and the last settled rates.

        Raises `FeedError` where nothing was recorded in the range.
        """
        self._begun = True
        first_ns = min(self._head[0], self.start_ns)
        self._now_ns = self._clock.now_ns = first_ns
        self._venue.start()
        if first_ns < self.start_ns:
            self._run(self.start_ns - 1, stop=False)
            for source in self._sources:
                source.market.forget()
        if self._head[0] > self._until_ns:
            raise FeedError("no frame was received between --from and --until; give a range that has some")
        self._now_ns = self._clock.now_ns = self.start_ns
        self._ended = False
        self._outlet.told = False

    def _run(self, limit_ns: int, stop: bool) -> bool:
        """Play to ``limit_ns`` or, with ``stop``, through the first instant at which something is told."""
        outlet, agenda, told = self._outlet, self._agenda, False
        while True:
            told = told or outlet.told
            bound = self._now_ns if stop and told else limit_ns
            outlet.told = agenda.disturbed = False
            if self._play(min(bound, agenda.due_ns)):
                continue
            over = self._is_over()
            if agenda.due_ns <= bound and not over:
                self._now_ns = self._clock.now_ns = agenda.due_ns
                agenda.pop()()
            elif over and not self._ended:
                self._end()
            else:
                return told

    def _is_over(self) -> bool:
        """No frame of the range is left and nothing is in flight.

        Where the recording goes on beyond the range, what the venue does up to the range's end is of it too.
        """
        ahead_ns = self._head[0]
        return (
            ahead_ns > self._until_ns
            and not self._flights
            and (ahead_ns == NEVER_NS or self._agenda.due_ns > self._until_ns)
        )

    def _greet(self) -> None:
        self._greeting = False
        for account in self._venue.accounts:
            for channel in Channel:
                self._outlet.tell(ChannelOpened(account, channel))
        self._venue.greet()

    def _play(self, horizon_ns: int) -> bool:
        """Play frames up to ``horizon_ns``; true when something happened that may have moved the horizon."""
        horizon_ns = min(horizon_ns, self._until_ns)
        if self._head[0] > horizon_ns:
            return False
        handlers, clock, agenda, outlet = self._handlers, self._clock, self._agenda, self._outlet
        head = _END
        try:
            for at_ns, feed, payload in chain((self._head,), self._frames):
                if at_ns > horizon_ns:
                    head = (at_ns, feed, payload)
                    break
                clock.now_ns = at_ns
                handlers[feed](at_ns, payload)
                if outlet.told or agenda.disturbed:
                    head = next(self._frames, _END)
                    break
        except FrameError as error:
            raise FeedError(f"{self._where()}: {error}; correct or remove the line") from error
        self._head = head
        self._now_ns = clock.now_ns
        return outlet.told or agenda.disturbed

    def _land(self, flight: Flight) -> None:
        self._flights.remove(flight)
        if not flight.mute:
            self._venue.arrive(flight.command)
            return
        sink, self._outlet.sink = self._outlet.sink, _discard
        self._venue.arrive(flight.command)
        self._outlet.sink = sink

    def _end(self) -> None:
        self._ended = True
        for name in dict.fromkeys(source.name for source in self._sources):
            self._outlet.tell(FeedEnded(name))
