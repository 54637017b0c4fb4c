"""A socket that is kept, whatever becomes of it."""

from __future__ import annotations

import asyncio

from adapters.binance.kept import DENIED_S, LIFETIME_S, KeptSocket
from adapters.binance.outcomes import Outcome
from adapters.binance.replies import Failure
from adapters.binance.rest import Refused
from adapters.network import Closed, Socket, Unsent
from bot.model.facts import AnyFact, Channel, ChannelLost, ChannelOpened
from bot.model.ids import AccountId
from tests.adapters.binance.canned import CannedSocket
from tests.virtual.loop import run_virtual

SPOT = AccountId("binance:spot")
OPENED = ChannelOpened(SPOT, Channel.PRIVATE)


class Link:
    """Opens canned sockets, unless ``failure`` is set; every message is kept."""

    account = SPOT
    channel = Channel.PRIVATE

    def __init__(self) -> None:
        self.facts: list[AnyFact] = []
        self.sockets: list[CannedSocket] = []
        self.heard: list[bytes] = []
        self.tries = 0
        self.losses = 0
        self.leavings = 0
        self.failure: Exception | None = None
        self.opening_s = 0.001
        self.kept = KeptSocket(self, self.facts.append)

    async def open(self) -> Socket:
        self.tries += 1
        await asyncio.sleep(self.opening_s)
        if self.failure is not None:
            raise self.failure
        self.sockets.append(CannedSocket("ws://spot"))
        return self.sockets[-1]

    def opened(self, socket: Socket) -> None:
        assert socket is self.sockets[-1]

    def take(self, payload: bytes) -> bool:
        self.heard.append(payload)
        if payload == b'"dead"':
            raise Closed(0, "dead")
        if payload == b'"wrong"':
            raise ValueError("wrong")
        return payload != b'"ending"'

    def lost(self) -> None:
        self.losses += 1

    def left(self) -> None:
        self.leavings += 1

    def reasons(self) -> list[str]:
        return [fact.reason for fact in self.facts if isinstance(fact, ChannelLost)]


class Kept:
    async def __aenter__(self) -> Link:
        self.link = Link()
        self.task = asyncio.ensure_future(self.link.kept.run())
        await asyncio.sleep(0.1)
        return self.link

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        assert self.task.cancelled()
        assert all(socket.closed for socket in self.link.sockets)


def test_it_opens_once_and_closes_with_its_keeper() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.sockets[0].say(["hello"])
            await asyncio.sleep(3600.0)
            assert (link.facts, link.tries) == ([OPENED], 1)
            assert link.heard == [b'["hello"]']

    run_virtual(scene())


def test_a_loss_is_told_at_once_and_mended() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.sockets[0].end(1006, "reset")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert link.reasons() == ["closed: 1006 reset"]
            assert (link.kept.is_open, link.losses) == (False, 1)
            await asyncio.sleep(2.0)
            assert link.facts[-1] == OPENED
            assert (link.kept.losses, link.losses) == (1, 1)

    run_virtual(scene())


def test_a_venue_that_is_away_is_told_once_a_reason_and_tried_ever_more_seldom() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.failure = Unsent("refused")
            link.sockets[0].end()
            await asyncio.sleep(600.0)
            assert link.reasons() == ["closed: 1006", "unsent: refused"]
            assert 20 < link.tries < 60
            link.failure = None
            await asyncio.sleep(60.0)
            assert link.facts[-1] == OPENED

    run_virtual(scene())


def test_a_refused_key_is_tried_once_a_minute() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.failure = Refused(401, Failure(-2015, "Invalid API-key, IP, or permissions"), Outcome.DENIED)
            link.sockets[0].end()
            await asyncio.sleep(10 * DENIED_S)
            assert link.tries <= 12
            told = [fact.is_refused for fact in link.facts if isinstance(fact, ChannelLost)]
            assert told == [False, True]
            assert link.reasons()[-1] == (
                "the venue refuses the key: -2015 Invalid API-key, IP, or permissions"
            )

    run_virtual(scene())


def test_it_is_replaced_before_its_day_is_over_and_the_old_one_is_heard_out() -> None:
    async def scene() -> None:
        async with Kept() as link:
            await asyncio.sleep(LIFETIME_S + 1.0)
            old, new = link.sockets
            new.say([2])
            old.say([1])
            await asyncio.sleep(1.0)
            assert sorted(link.heard) == [b"[1]", b"[2]"]
            was_closed = old.closed
            await asyncio.sleep(10.0)
            assert (was_closed, old.closed) == (False, True)
            assert (link.facts, link.leavings) == ([OPENED], 1)

    run_virtual(scene())


def test_a_connection_that_says_it_will_end_is_replaced() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.sockets[0].say("ending")  # type: ignore[arg-type]
            await asyncio.sleep(1.0)
            assert len(link.sockets) == 2
            link.sockets[0].end()
            await asyncio.sleep(10.0)
            assert link.facts == [OPENED]

    run_virtual(scene())


def test_one_whose_successor_cannot_open_serves_until_it_is_gone() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.failure = Unsent("refused")
            link.kept.renew()
            await asyncio.sleep(5.0)
            link.sockets[0].say([1])
            await asyncio.sleep(1.0)
            assert (link.heard, link.reasons()) == ([b"[1]"], [])
            link.sockets[0].end()
            await asyncio.sleep(30.0)
            assert link.reasons() == ["closed: 1006", "unsent: refused"]

    run_virtual(scene())


def test_a_loss_is_told_at_once_though_its_successor_is_being_tried() -> None:
    """The venue said that it will go down, and went: whoever opens a successor waits out its time limit."""

    async def scene() -> None:
        async with Kept() as link:
            link.opening_s = 10.0
            link.sockets[0].say("ending")  # type: ignore[arg-type]
            await asyncio.sleep(1.0)
            link.sockets[0].end(1001, "going away")
            await asyncio.sleep(0.01)
            assert link.reasons() == ["closed: 1001 going away"]
            assert (link.kept.is_open, link.losses, link.kept.losses) == (False, 1, 1)
            await asyncio.sleep(20.0)
            assert link.facts[-1] == OPENED
            assert (link.losses, link.kept.losses) == (1, 1)

    run_virtual(scene())


def test_what_goes_wrong_in_a_link_is_not_kept_quiet() -> None:
    async def scene() -> None:
        link = Link()
        running = asyncio.ensure_future(link.kept.run())
        await asyncio.sleep(0.1)
        link.sockets[0].say("wrong")  # type: ignore[arg-type]
        (group,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(group, ExceptionGroup)
        assert [str(one) for one in group.exceptions] == ["wrong"]

    run_virtual(scene())


def test_a_socket_that_is_of_no_use_is_given_up_though_it_stands() -> None:
    async def scene() -> None:
        async with Kept() as link:
            link.kept.drop("deaf")
            await asyncio.sleep(1.0)
            assert link.reasons() == ["deaf"]
            assert link.sockets[0].closed
            link.sockets[1].say("dead")  # type: ignore[arg-type]
            await asyncio.sleep(1.0)
            assert link.reasons() == ["deaf", "closed: 0 dead"]

    run_virtual(scene())
