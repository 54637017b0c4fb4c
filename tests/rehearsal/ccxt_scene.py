"""The ccxt gateway before servers whose answers are spoilt and whose sockets are cut."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from adapters.rehearsal.seam import Door, Line, Peer, Request, Response
from bot.model.instrument import Instrument
from tests.adapters.contract import ASKS, BIDS
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed

Reply = Callable[[Response], Response]


def throttled(answer: Response) -> Response:
    body = b'{"code":-1003,"msg":"Too many requests."}'
    return Response(429, {"content-type": "application/json", "Retry-After": "7"}, body)


class Mistreated:
    """A door whose answers to orders are spoilt after the venue took them, and whose sockets are cut."""

    def __init__(self, door: Door, scene: Scene) -> None:
        self._door = door
        self._scene = scene

    @property
    def market(self) -> str:
        return self._door.market

    async def request(self, request: Request) -> Response:
        is_order = request.path.endswith("/order") and request.method == "POST"
        self._scene.orders += is_order
        if is_order and self._scene.is_shut:
            return throttled(Response(200, {}, b""))
        answer = await self._door.request(request)
        spoil, self._scene.spoil = (self._scene.spoil, None) if is_order else (None, self._scene.spoil)
        return spoil(answer) if spoil is not None else answer

    def accept(self, target: str, peer: Peer) -> Line | Response:
        self._scene.peers.append((target, peer))
        return self._door.accept(target, Leaky(peer, self._scene))


class Leaky:
    """A socket that loses what the venue says, while the scene says so."""

    def __init__(self, peer: Peer, scene: Scene) -> None:
        self._scene = scene
        self._peer = peer

    def send(self, payload: bytes) -> None:
        if not self._scene.is_leaking:
            self._peer.send(payload)

    def close(self, code: int, reason: str) -> None:
        self._peer.close(code, reason)


class Scene:
    """The gateway, the servers, and what is done to them.  ``orders`` counts what was sent."""

    def __init__(self, kind: type[CcxtRehearsed] = CcxtRehearsed, *legs: Instrument) -> None:
        self.orders = 0
        self.is_shut = False
        self.is_leaking = False
        self.spoil: Reply | None = None
        self.peers: list[tuple[str, Peer]] = []
        self.rehearsed = kind(*legs, around=lambda door: Mistreated(door, self))
        for leg in self.rehearsed.legs:
            self.rehearsed.show(leg, BIDS, ASKS)

    def cut(self, part: str) -> None:
        """Close the sockets whose target holds ``part``."""
        hit = [peer for target, peer in self.peers if part in target]
        assert hit
        self.peers = [one for one in self.peers if part not in one[0]]
        for peer in hit:
            self.rehearsed.act(partial(peer.close, 1001, "cut"))
