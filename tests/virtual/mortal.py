"""SIGKILL in virtual time: the bot dies at the n-th step of its order path, from one line to the next.

A step is what can be told apart from outside: a batch with a command for a venue is about to be written, is
durable, an order or a cancel arrives at the venue, an answer or a private event leaves it.  Death takes what
a process loses: rows not on their way to the disk, everything in memory, every connection.  What had left
before still arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.rehearsal.seam import Door, Line, Peer, Request, Response
from bot.model.commands import AnyCommand, CancelOrder, PlaceOrder, QueryAccount, QueryOrder
from bot.model.facts import AnyFact
from bot.shell.engine import Journal

_OUTWARD = (PlaceOrder, CancelOrder, QueryOrder, QueryAccount)
_ORDERS = (b'"order.place"', b'"order.cancel"')


class Killed(Exception):
    """The process is gone: whatever was about to happen does not."""

    exit_code = 137


class Fate:
    """Counts the steps of one life; at the last one ``die`` is called, once."""

    def __init__(self, steps: int | None, die: Callable[[], None]) -> None:
        """``steps`` is ``None`` for a life that is not cut short."""
        self._left = steps
        self._die = die
        self.steps: list[str] = []  # what they were
        self.is_dead = False

    def step(self, what: str) -> None:
        if self.is_dead:
            return
        self.steps.append(what)
        if self._left is not None and len(self.steps) >= self._left:
            self.is_dead = True
            self._die()


class MortalJournal:
    """`bot.shell.engine.Journal` of a process that can die."""

    def __init__(self, inner: Journal) -> None:
        self.fate: Fate | None = None
        self._inner = inner
        self._is_weighty = False

    @property
    def path(self) -> Path:
        return self._inner.path

    @property
    def last_seq(self) -> int:
        return self._inner.last_seq

    @property
    def sha256(self) -> str:
        return self._inner.sha256

    def append(self, at_ns: int, facts: tuple[AnyFact, ...], commands: tuple[AnyCommand, ...]) -> int:
        self._live()
        self._is_weighty = self._is_weighty or any(isinstance(one, _OUTWARD) for one in commands)
        return self._inner.append(at_ns, facts, commands)

    def hand_over(self) -> None:
        if not self._is_dead:
            self._inner.hand_over()

    def flush(self) -> None:
        self._live()
        if self._is_weighty:
            self._step("before the commit")
        self._inner.flush()
        if self._is_weighty:
            self._is_weighty = False
            self._step("after the commit")

    def drop_unwritten(self) -> None:
        self._inner.drop_unwritten()

    def expect_end(self) -> None:
        self._inner.expect_end()

    def close(self) -> None:
        self._inner.close()

    @property
    def _is_dead(self) -> bool:
        return self.fate is not None and self.fate.is_dead

    def _live(self) -> None:
        if self._is_dead:
            raise Killed

    def _step(self, what: str) -> None:
        if self.fate is not None:
            self.fate.step(what)
        self._live()


class StepDoor:
    """A door at which orders, their answers and private events are steps of somebody's life."""

    def __init__(self, inner: Door, step: Callable[[str], None]) -> None:
        self._inner = inner
        self._step = step

    @property
    def market(self) -> str:
        return self._inner.market

    async def request(self, request: Request) -> Response:
        is_order = request.path.endswith("/order") and request.method in ("POST", "DELETE")
        if is_order:
            self._step(f"{self.market}: order arrives")
        response = await self._inner.request(request)
        if is_order:
            self._step(f"{self.market}: answer leaves")
        return response

    def accept(self, target: str, peer: Peer) -> Line | Response:
        is_market = target.startswith(("/stream", "/ws/", "/public", "/market")) and "listenKey" not in target
        if is_market:
            return self._inner.accept(target, peer)
        line = self._inner.accept(target, _StepPeer(peer, self.market, self._step))
        return line if isinstance(line, Response) else _StepLine(line, self.market, self._step)


class _StepPeer:
    def __init__(self, inner: Peer, market: str, step: Callable[[str], None]) -> None:
        self._inner = inner
        self._market = market
        self._step = step

    def send(self, payload: bytes) -> None:
        self._step(f"{self._market}: answer or event leaves")
        self._inner.send(payload)

    def close(self, code: int, reason: str) -> None:
        self._inner.close(code, reason)


class _StepLine:
    def __init__(self, inner: Line, market: str, step: Callable[[str], None]) -> None:
        self._inner = inner
        self._market = market
        self._step = step

    def receive(self, payload: bytes) -> None:
        if any(order in payload for order in _ORDERS):
            self._step(f"{self._market}: order arrives")
        self._inner.receive(payload)

    def closed(self) -> None:
        self._inner.closed()
