"""Lines in virtual time, with the times of earnest: a day's connection, back-off, batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest

from adapters.binance.lines import BATCH_FRAMES, Line, LineTimes, Route
from adapters.network import Closed, Reply, Unanswered, Unsent
from tests.virtual.loop import run_virtual

ROUTE = Route("spot/public/1", "ws://venue", ("a@depth",), ("a@depth",), "subscribe", 1)
ANSWER = b'{"result":null,"id":1}'
FRAME = b'{"stream":"a@depth","data":{}}'


class Wire:
    """One end of a socket: what ``frames`` hold comes at once, then ``beat_s`` apart for ever, or never."""

    def __init__(self, frames: list[bytes], beat_s: float | None) -> None:
        self.frames = deque(frames)
        self.beat_s = beat_s
        self.closed = asyncio.Event()

    async def send(self, text: str) -> None:
        assert text == "subscribe"

    async def receive(self) -> bytes:
        if self.frames:
            return self.frames.popleft()
        try:
            async with asyncio.timeout(self.beat_s):
                await self.closed.wait()
        except TimeoutError:
            return FRAME
        raise Closed(1006, "gone")

    async def close(self) -> None:
        self.closed.set()


class Wires:
    """A network that gives these wires, one after the other, and then none."""

    def __init__(self, *wires: Callable[[], Wire]) -> None:
        self.waiting = deque(wires)
        self.opened: list[Wire] = []
        self.tried_s: list[float] = []

    async def connect(self, url: str, timeout_s: float) -> Wire:
        self.tried_s.append(asyncio.get_running_loop().time())
        if not self.waiting:
            raise Unsent("nobody listens")
        self.opened.append(self.waiting.popleft()())
        return self.opened[-1]

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        raise Unanswered("a line asks nothing")

    async def close(self) -> None:
        return None


class Diary:
    """A watcher that writes down what it is told; frames are counted, and the turns of others meanwhile."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        self.frames = 0
        self.waits_ns: list[int] = []

    def _note(self, what: str) -> None:
        self.events.append((asyncio.get_running_loop().time(), what))

    def took(self, at_ns: int, payload: bytes) -> None:
        self.frames += 1

    def subscribed(self, route: Route) -> None:
        self._note("subscribed")

    def opened(self, route: Route) -> None:
        self._note("opened")

    def lost(self, route: Route, reason: str) -> None:
        self._note(f"lost: {reason}")

    def drifted(self, stream: str, reason: str) -> None:
        self._note(f"drifted: {stream} {reason}")

    def connects_in_ns(self) -> int:
        return self.waits_ns.pop(0) if self.waits_ns else 0

    @property
    def words(self) -> list[str]:
        return [what for _, what in self.events]


def now_ns() -> int:
    return round(asyncio.get_running_loop().time() * 1e9)


DAY = LineTimes(check_s=10.0)  # looked at less often, so that a day is short


def lived(
    wires: Wires, seconds: float, diary: Diary | None = None, times: LineTimes | None = None
) -> tuple[Diary, Line]:
    """A line's life of so many virtual seconds."""
    told = diary or Diary()

    async def play() -> Line:
        line = Line(ROUTE, times or LineTimes(), wires, now_ns, told)
        running = asyncio.create_task(line.run())
        await asyncio.wait([running], timeout=seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return line

    return told, run_virtual(play())


def test_a_connection_is_replaced_within_the_day_and_nothing_is_lost() -> None:
    wires = Wires(*[lambda: Wire([ANSWER, FRAME], 20.0)] * 2)
    told, line = lived(wires, 24 * 3600, times=DAY)
    assert told.words == ["subscribed", "opened", "subscribed"]
    assert (line.connects, line.handovers) == (2, 1)
    replaced_s = wires.tried_s[1] - wires.tried_s[0]
    assert 23 * 3600 <= replaced_s < 23 * 3600 + 20
    assert all(wire.closed.is_set() for wire in wires.opened)


def test_a_successor_that_fails_is_tried_again_while_the_old_one_goes_on() -> None:
    wires = Wires(lambda: Wire([ANSWER, FRAME], 20.0))
    told, _ = lived(wires, 24 * 3600, times=DAY)
    assert told.words == ["subscribed", "opened"]
    assert len(wires.tried_s) > 50
    assert min(b - a for a, b in pairwise(wires.tried_s[1:])) >= 30


def test_attempts_come_at_growing_distances_and_begin_anew_after_success() -> None:
    wires = Wires()
    told, _ = lived(wires, 200)
    pauses_s = [b - a for a, b in pairwise(wires.tried_s)]
    assert pauses_s[0] < 0.3
    assert all(pause_s <= 30 for pause_s in pauses_s)
    assert all(pause_s >= 15 for pause_s in pauses_s[8:])
    assert set(told.words) == {"lost: no connection (nobody listens)"}


def test_a_silent_connection_is_left_after_its_deadline() -> None:
    wires = Wires(lambda: Wire([ANSWER, FRAME], None))
    told, _ = lived(wires, 31)
    assert told.words[:3] == ["subscribed", "opened", "lost: silent for 30 s"]


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], ["lost: silent for 30 s"]),
        ([b'{"stream":"b@depth","data":{}}'], ["lost: no answer to the subscription within 30 s"]),
        (
            [ANSWER],
            [
                "subscribed",
                "drifted: spot/public/1/a@depth no message within 30 s on this path",
                "lost: no message within 30 s of a@depth",
            ],
        ),
    ],
)
def test_a_stream_that_says_nothing_is_named(frames: list[bytes], words: list[str]) -> None:
    class Other(Wire):
        async def receive(self) -> bytes:
            frame = await super().receive()
            return frame if frame != FRAME else b'{"stream":"b@depth","data":{}}'

    told, _ = lived(Wires(lambda: Other(list(frames), 5.0 if frames else None)), 31)
    assert told.words[: len(words)] == words


def test_a_connection_waits_for_its_budget() -> None:
    diary = Diary()
    diary.waits_ns = [5_000_000_000, 2_000_000_000]
    wires = Wires(lambda: Wire([ANSWER, FRAME], 1.0))
    _, _ = lived(wires, 10, diary)
    assert wires.tried_s[0] == 1007.0


def test_the_engine_gets_its_turn_between_bounded_batches() -> None:
    wires = Wires(lambda: Wire([ANSWER] + [FRAME] * 10_000, None))
    told = Diary()
    seen: list[int] = []

    async def play() -> None:
        line = Line(ROUTE, LineTimes(), wires, now_ns, told)
        running = asyncio.create_task(line.run())
        while told.frames < 10_000:
            seen.append(told.frames)
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(play())
    assert max(b - a for a, b in pairwise(seen)) <= BATCH_FRAMES
    assert len(seen) >= 10_000 / BATCH_FRAMES


def test_a_line_given_up_by_its_owner_is_made_again() -> None:
    wires = Wires(*[lambda: Wire([ANSWER, FRAME], 1.0)] * 2)
    told = Diary()

    async def play() -> None:
        line = Line(ROUTE, LineTimes(), wires, now_ns, told)
        running = asyncio.create_task(line.run())
        await asyncio.sleep(0)
        while not line.is_open:
            await asyncio.sleep(0)
        line.restart("no book")
        await asyncio.wait([running], timeout=5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(play())
    assert told.words == ["subscribed", "opened", "lost: no book", "subscribed", "opened"]
