"""The layer of faults: a door around a door, which does to the bytes what a script says.

It knows of the venue's protocol only what it takes to aim: which connection and which message belongs to
market data, to private events, to orders, to other requests.  It invents nothing but refusals in the venue's
words; what it lets through is bit for bit what the venue or its client said.  What must stay true: all times
are the event loop's, so that a run in virtual time is the same each time; without an active fault nothing is
changed, delayed or put in another order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from adapters.rehearsal.faults import EVERY_MARKET, Fault, Part, Script
from adapters.rehearsal.refusals import (
    LOST,
    Asked,
    Fate,
    Verb,
    asked_over_rest,
    fate_of,
    refusal_of,
)
from adapters.rehearsal.seam import Cut, Door, Line, Peer, Request, Response
from bot.ports import Clock

_FOR_EVER_S = 3600.0  # as long as anybody waits for an answer that was lost
_SWAP_S = 0.2  # how long a message waits for the one that is to overtake it
_GOING_AWAY = 1001
_API = {  # what the WebSocket API carries: spot's private events too
    "/ws-api/": (Part.ORDERS, Part.READS, Part.PRIVATE),
    "/ws-fapi/": (Part.ORDERS, Part.READS),
    "/ws-dapi/": (Part.ORDERS, Part.READS),
}
_TRADED = b'"x":"TRADE"'
_DEPTH = b'"e":"depthUpdate"'

_asked = msgspec.json.Decoder(Asked)


class Levers(Protocol):
    """What a fault does to the venue itself, rather than to bytes."""

    def pull(self, fault: Fault) -> None:
        """The fault begins, or happens.  Does nothing for a fault that is of bytes alone."""
        ...

    def release(self, fault: Fault) -> None:
        """It is over."""
        ...


@runtime_checkable
class Freezable(Protocol):
    """A peer whose transport can play dead, pings included."""

    def freeze(self) -> None: ...


class Disturbance:
    """One script over all doors of a venue.  ``note`` is told what begins and what ends."""

    def __init__(self, script: Script, levers: Levers, clock: Clock, note: Callable[[str], None]) -> None:
        self.active: list[Fault] = []
        self.wires: dict[Wire, None] = {}  # open, in order of opening
        self._script = script
        self._levers = levers
        self._clock = clock
        self._note = note
        self._losses = 0

    def around(self, door: Door) -> Door:
        return _DisturbedDoor(self, door)

    async def run(self) -> None:
        """Play the script, from now on, to its end."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        edges = [(one.at_s, 1, number) for number, one in enumerate(self._script)]
        edges += [(one.at_s + one.lasts_s, 0, n) for n, one in enumerate(self._script) if one.lasts_s]
        for at_s, is_begin, number in sorted(edges):
            await asyncio.sleep(max(0.0, begun_s + at_s - loop.time()))
            (self._begin if is_begin else self._end)(self._script[number])

    def find(self, name: str, market: str, part: Part) -> Fault | None:
        """The fault of that name which hits such a message now."""
        for one in self.active:
            if one.name == name and one.hits(market, part):
                return one
        return None

    def refusal(self, market: str, verb: Verb) -> Fate | None:
        """What is answered in the venue's place, without asking it."""
        at_ns = self._clock.now_ns()
        found = [refusal_of(one, market, verb, at_ns) for one in self.active if one.hits(market, verb.part)]
        return next(filter(None, found), None)

    def fate(self, market: str, verb: Verb) -> Fate | None:
        """What becomes of the venue's answer to a request that it has carried out."""
        found = [fate_of(one, market) for one in self.active if one.hits(market, verb.part)]
        return next(filter(None, found), None)

    def delay_s(self, market: str, part: Part) -> float:
        late = self.find("delay", market, part)
        return late.value if late else 0.0

    def lost_before(self) -> bool:
        """Of the requests that are lost every other one has reached the venue."""
        self._losses += 1
        return self._losses % 2 == 1

    def _begin(self, fault: Fault) -> None:
        self._note(f"{fault.name} {fault.target} begins")
        if fault.lasts_s:
            self.active.append(fault)
        self._levers.pull(fault)
        if fault.name not in ("disconnect", "half-open"):
            return
        for wire in tuple(self.wires):
            if fault.market in (EVERY_MARKET, wire.market) and set(wire.parts) & set(fault.parts):
                wire.cut() if fault.name == "disconnect" else wire.die()

    def _end(self, fault: Fault) -> None:
        self._note(f"{fault.name} {fault.target} ends")
        self.active.remove(fault)
        self._levers.release(fault)


class _DisturbedDoor:
    """`adapters.rehearsal.seam.Door` around another."""

    def __init__(self, layer: Disturbance, inner: Door) -> None:
        self._layer = layer
        self._inner = inner

    @property
    def market(self) -> str:
        return self._inner.market

    async def request(self, request: Request) -> Response:
        layer = self._layer
        if not layer.active:
            return await self._inner.request(request)
        verb = asked_over_rest(request)
        part = verb.part
        if layer.find("disconnect", self.market, part):
            raise Cut
        await asyncio.sleep(layer.delay_s(self.market, part))
        refusal = layer.refusal(self.market, verb)
        if refusal is not None:
            return refusal.response()
        lost = layer.find("drop", self.market, part)
        if lost and layer.lost_before():
            raise Cut
        fate = layer.fate(self.market, verb)
        response = await self._inner.request(request)
        if lost:
            raise Cut
        if fate is LOST:
            await asyncio.sleep(_FOR_EVER_S)
            raise Cut
        await asyncio.sleep(layer.delay_s(self.market, part))
        return response if fate is None else fate.response()

    def accept(self, target: str, peer: Peer) -> Line | Response:
        parts = _parts_of(target)
        if any(self._layer.find("disconnect", self.market, part) for part in parts):
            return Response(503, {"content-type": "text/html"}, b"")
        wire = Wire(self._layer, self.market, parts, peer)
        line = self._inner.accept(target, wire)
        if isinstance(line, Response):
            return line
        wire.opened(line)
        return wire


def _parts_of(target: str) -> tuple[Part, ...]:
    """What a connection carries, by its address: a listen key is a long word without an ``@``."""
    for start, parts in _API.items():
        if target.startswith(start):
            return parts
    last = target.split("?", 1)[0].rsplit("/", 1)[-1]
    is_private = "listenKey=" in target or "/private" in target or (len(last) >= 60 and "@" not in last)
    return (Part.PRIVATE,) if is_private else (Part.MARKET,)


class Wire:
    """One socket with the layer in between: the venue's peer and the transport's line at once."""

    def __init__(self, layer: Disturbance, market: str, parts: tuple[Part, ...], peer: Peer) -> None:
        self.market = market
        self.parts = parts
        self._is_api = Part.ORDERS in parts
        self._layer = layer
        self._peer = peer
        self._line: Line | None = None
        self._is_dead = self._is_closed = False
        self._asked: dict[bytes, Verb] = {}  # requests that wait for their answer
        self._fates: dict[bytes, Fate] = {}
        self._down = _Flow(self._to_client)
        self._late = _Flow(self._to_client)
        self._up = _Flow(self._to_venue)
        self._held: list[bytes] = []  # at most one: the message that the next one overtakes

    def opened(self, line: Line) -> None:
        self._line = line
        self._layer.wires[self] = None

    # --- from the client

    def receive(self, payload: bytes) -> None:
        if self._is_dead:
            return
        verb, part, name = Verb.OTHER, self.parts[0], b""
        if self._is_api:
            asked = _read(payload)
            verb, name = asked.verb, bytes(asked.id)
            part = verb.part
            self._asked[name] = verb
        layer = self._layer
        if layer.active:
            refusal = layer.refusal(self.market, verb) if self._is_api else None
            if refusal is not None:
                self._asked.pop(name, None)
                self._peer.send(refusal.message(msgspec.Raw(name or b"null")))
                return
            if layer.find("drop", self.market, part):
                if not name or layer.lost_before():
                    return
                self._fates[name] = LOST
            fate = layer.fate(self.market, verb)
            if fate is not None:
                self._fates[name] = fate
        self._up.put(payload, layer.delay_s(self.market, part), 0.0)

    def closed(self) -> None:
        self._layer.wires.pop(self, None)
        self._is_closed = True
        line, self._line = self._line, None
        if line is not None:
            line.closed()

    # --- from the venue

    def send(self, payload: bytes) -> None:
        part, name = self._part_of(payload)
        fate = self._fates.pop(name, None) if name else None
        if fate is LOST or self._is_dead:
            return
        if fate is not None:
            payload = fate.message(msgspec.Raw(name))
        if self._layer.active:
            self._disturb(payload, part, is_answer=bool(name))
        else:
            self._release()
            self._down.put(payload, 0.0, 0.0)

    def close(self, code: int, reason: str) -> None:
        self._peer.close(code, reason)

    # --- the layer's own doing

    def cut(self) -> None:
        self._peer.close(_GOING_AWAY, "")

    def die(self) -> None:
        self._is_dead = True
        if isinstance(self._peer, Freezable):
            self._peer.freeze()

    def _disturb(self, payload: bytes, part: Part, is_answer: bool) -> None:
        find, market = self._layer.find, self.market
        # an answer is lost with its request, which was decided when that came
        if not is_answer and find("drop", market, part):
            return
        if part is Part.MARKET and _DEPTH in payload and find("gap", market, part):
            return
        if _TRADED in payload:
            late, double = find("late-fills", market, part), find("double-fills", market, part)
            if double:
                self._late.put(payload, double.value, 0.0)
            if late:
                self._late.put(payload, late.value, 0.0)
                return
        slow = find("slow", market, part)
        pause_s = slow.value if slow else 0.0
        delay_s = self._layer.delay_s(market, part)
        for _ in range(2 if find("duplicate", market, part) else 1):
            if find("reorder", market, part) and not self._held:
                self._held.append(payload)
                asyncio.get_running_loop().call_later(_SWAP_S, self._release)
                continue
            self._down.put(payload, delay_s, pause_s)
            self._release()

    def _release(self) -> None:
        while self._held:
            self._down.put(self._held.pop(), 0.0, 0.0)

    def _part_of(self, payload: bytes) -> tuple[Part, bytes]:
        """What a message of the venue belongs to, and the id of the request that it answers."""
        if not self._is_api:
            return self.parts[0], b""
        name = bytes(_read(payload).id)
        if not name:
            return Part.PRIVATE, b""
        return self._asked.pop(name, Verb.OTHER).part, name

    def _to_client(self, payload: bytes) -> None:
        if not self._is_closed and not self._is_dead:
            self._peer.send(payload)

    def _to_venue(self, payload: bytes) -> None:
        if self._line is not None:
            self._line.receive(payload)


def _read(payload: bytes) -> Asked:
    try:
        return _asked.decode(payload)
    except msgspec.DecodeError:
        return Asked()


class _Flow:
    """Messages of one direction: each leaves when its time has come, none before the one that came first."""

    def __init__(self, leave: Callable[[bytes], None]) -> None:
        self._leave = leave
        self._waiting: deque[bytes] = deque()
        self._free_s = 0.0  # when the next one may leave

    def put(self, payload: bytes, delay_s: float, pause_s: float) -> None:
        """``pause_s`` is kept after this message."""
        if not self._waiting and not delay_s and not pause_s:
            self._leave(payload)
            return
        loop = asyncio.get_running_loop()
        at_s = max(loop.time() + delay_s, self._free_s)
        self._free_s = at_s + pause_s
        self._waiting.append(payload)
        loop.call_at(at_s, self._next)

    def _next(self) -> None:
        self._leave(self._waiting.popleft())
