"""The network in memory keeps TCP's promises: order, ends, and what an exception says."""

from __future__ import annotations

import asyncio

import pytest

from adapters.network import Closed, Reply, Unanswered, Unsent
from adapters.rehearsal.seam import Cut, Line, Peer, Request, Response
from tests.virtual.loop import run_virtual
from tests.virtual.network import MemoryNetwork


class EchoLine:
    def __init__(self, peer: Peer, ends: list[str]) -> None:
        self._peer = peer
        self._ends = ends

    def receive(self, payload: bytes) -> None:
        if payload == b"bye":
            self._peer.send(b"last")
            self._peer.close(1001, "going away")
        else:
            self._peer.send(payload)

    def closed(self) -> None:
        self._ends.append("closed")


class EchoDoor:
    market = "spot"

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.peers: list[Peer] = []

    async def request(self, request: Request) -> Response:
        if request.path == "/cut":
            raise Cut
        if request.path == "/slow":
            await asyncio.sleep(60.0)
        return Response(200, {"X-Seen": request.query}, request.body)

    def accept(self, target: str, peer: Peer) -> Line | Response:
        if target == "/no":
            return Response(403, {}, b"")
        self.peers.append(peer)
        return EchoLine(peer, self.ends)


def test_a_request_reaches_its_door_and_what_fails_is_told_apart() -> None:
    async def main() -> None:
        network = MemoryNetwork({"spot": EchoDoor()})
        reply = await network.request("POST", "http://spot/a?b=%20c", {"X-Key": "k"}, b"body", 5.0)
        assert reply == Reply(200, {"x-seen": "b=%20c"}, b"body")
        for path in ("cut", "slow"):
            with pytest.raises(Unanswered):
                await network.request("GET", f"http://spot/{path}", {}, b"", 5.0)
        with pytest.raises(Unsent):
            await network.request("GET", "http://nowhere/", {}, b"", 5.0)
        network.dark.add("spot")
        with pytest.raises(Unsent):
            await network.connect("ws://spot/ws", 5.0)

    run_virtual(main())


def test_messages_keep_their_order_and_are_read_before_the_end() -> None:
    async def main() -> None:
        door = EchoDoor()
        socket = await MemoryNetwork({"spot": door}).connect("ws://spot/ws?x=1", 5.0)
        texts = [str(number) for number in range(100)]
        for text in (*texts, "bye"):
            await socket.send(text)
        got = [(await socket.receive()).decode() for _ in range(101)]
        assert got == [*texts, "last"]
        with pytest.raises(Closed) as end:
            await socket.receive()
        assert (end.value.code, end.value.reason) == (1001, "going away")
        with pytest.raises(Closed):
            await socket.send("more")
        await socket.close()
        await asyncio.sleep(1.0)
        assert door.ends == ["closed"]

    run_virtual(main())


def test_a_refused_socket_is_unsent() -> None:
    async def main() -> None:
        with pytest.raises(Unsent, match="403"):
            await MemoryNetwork({"spot": EchoDoor()}).connect("ws://spot/no", 5.0)

    run_virtual(main())


def test_a_dead_line_is_silent_until_a_ping_goes_unanswered() -> None:
    async def main() -> None:
        door = EchoDoor()
        network = MemoryNetwork({"spot": door}, pong_s=20.0)
        socket = await network.connect("ws://spot/ws", 5.0)
        network.sockets[0].freeze()
        await socket.send("into the void")
        door.peers[0].send(b"unheard")
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(Closed, match="1006"):
            await socket.receive()
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(20.0)
        await asyncio.sleep(1.0)
        assert door.ends == ["closed"]
        assert network.sockets == []

    run_virtual(main())


def test_the_end_of_the_network_ends_its_sockets() -> None:
    async def main() -> None:
        door = EchoDoor()
        network = MemoryNetwork({"spot": door})
        socket = await network.connect("ws://spot/ws", 5.0)
        await network.close()
        with pytest.raises(Closed):
            await socket.receive()
        with pytest.raises(Unsent):
            await network.connect("ws://spot/ws", 5.0)
        await asyncio.sleep(1.0)
        assert door.ends == ["closed"]

    run_virtual(main())
