"""A socket that is kept: opened again whenever it is lost, and replaced before the venue ends it.

The venue closes every connection after 24 hours and says so shortly before it goes down; the successor is
open before the old one is left, so that nothing is missed in between, and what is told twice is known by its
name.  What must stay true: a loss is told at once, and the channel counts as open only while a socket stands
that the venue has confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeGuard

from adapters.backoff import Backoff
from adapters.binance.decoding import Drift
from adapters.binance.outcomes import Outcome
from adapters.binance.rest import Refused
from adapters.network import Closed, Socket, Unanswered, Unsent
from bot.model.facts import Channel, ChannelLost, ChannelOpened
from bot.model.ids import AccountId
from bot.ports import Emit

CONNECT_TIMEOUT_S = 10.0
LIFETIME_S = 23.5 * 3600
LINGER_S = 5.0  # what was asked on a socket that is replaced may still be answered on it
STEADY_S = 30.0  # a connection that held this long starts the backoff anew
BACKOFF = Backoff()
DENIED_S = 60.0  # a key that is refused is not tried often

NO_SOCKET = (Unsent, Unanswered, Closed, Refused, Drift)


def reason_of(error: Exception) -> str:
    """Why there is no socket, for people; no address or key is quoted."""
    if is_denied(error):
        return f"the venue refuses the key: {error.failure.code} {error.failure.text}"
    return f"{type(error).__name__.lower()}: {error}"


def is_denied(error: Exception | None) -> TypeGuard[Refused]:
    """Whether the venue refuses whoever asks, so that asking again helps nobody."""
    return isinstance(error, Refused) and error.outcome is Outcome.DENIED


class Link(Protocol):
    """What a kept socket is for."""

    account: AccountId
    channel: Channel

    async def open(self) -> Socket:
        """Connect, and wait until the venue confirms whatever there is to confirm.

        Raises one of `NO_SOCKET`."""
        ...

    def opened(self, socket: Socket) -> None:
        """From now on this one is the socket."""
        ...

    def take(self, payload: bytes) -> bool:
        """A message.  False when it says that this connection is about to end."""
        ...

    def lost(self) -> None:
        """There is no socket now."""
        ...

    def left(self) -> None:
        """A socket that was replaced some time ago is closed."""
        ...


class _Held:
    """One socket and the task that reads it, whose result is why it ended."""

    def __init__(self, socket: Socket, take: Callable[[bytes], bool], due: asyncio.Event) -> None:
        self.opened_s = asyncio.get_running_loop().time()
        self.useless = ""
        self._socket = socket
        self.reader = asyncio.create_task(self._read(take, due))

    async def _read(self, take: Callable[[bytes], bool], due: asyncio.Event) -> str:
        try:
            while True:
                if not take(await self._socket.receive()):
                    due.set()
        except Closed as error:
            return f"closed: {error}"
        except asyncio.CancelledError:
            if not self.useless:
                raise
            return self.useless

    async def leave(self, linger_s: float) -> None:
        """Go on reading for a while, then close."""
        try:
            await asyncio.wait({self.reader}, timeout=linger_s)
        finally:
            self.reader.cancel()
            await asyncio.gather(self.reader, return_exceptions=True)
            await self._socket.close()


class KeptSocket:
    """Keeps the socket of one link; ``losses`` counts."""

    def __init__(self, link: Link, emit: Emit) -> None:
        self.losses = 0
        self._link = link
        self._emit = emit
        self._due = asyncio.Event()
        self._held: _Held | None = None
        self._leaving = asyncio.TaskGroup()  # those that close what is not used any more
        self._reason: str | None = "not opened yet"  # why there is none; ``None`` while there is

    @property
    def is_open(self) -> bool:
        return self._reason is None

    def renew(self) -> None:
        """Replace the socket, without a loss."""
        self._due.set()

    def drop(self, reason: str) -> None:
        """Give the socket up: it stands and is of no use."""
        if self._held is not None:
            self._held.useless = reason
            self._held.reader.cancel()

    async def run(self) -> None:
        """Keep the socket until cancelled."""
        last: _Held | None = None
        try:
            async with self._leaving:
                try:
                    await self._keep()
                finally:
                    last, self._held = self._held, None  # from here on its end is no loss
        finally:
            if last is not None:
                await last.leave(0.0)

    async def _keep(self) -> None:
        attempt = 0
        while True:
            try:
                socket = await self._link.open()
            except NO_SOCKET as error:
                attempt += 1
                if self._held is None or self._held.reader.done():
                    self._lose(reason_of(error), is_refused=is_denied(error))
                await asyncio.sleep(self._pause_s(error, attempt))
                continue
            if self._held is not None and not self._held.reader.done():
                self._leaving.create_task(self._succeed(self._held))
            elif self._held is not None:
                self._lose()
            held = self._open(socket)
            if await self._serve(held):
                lived_s = asyncio.get_running_loop().time() - held.opened_s
                attempt = 0 if lived_s >= STEADY_S else attempt + 1
                if self._held is held:
                    self._lose()
                await asyncio.sleep(self._pause_s(None, attempt))

    async def _serve(self, held: _Held) -> bool:
        """Wait until the socket is lost (true) or is to be replaced (false)."""
        self._due.clear()
        due = asyncio.create_task(self._due.wait())
        try:
            await asyncio.wait({held.reader, due}, timeout=LIFETIME_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
        return held.reader.done()

    async def _succeed(self, before: _Held) -> None:
        await before.leave(LINGER_S)
        self._link.left()

    def _pause_s(self, error: Exception | None, attempt: int) -> float:
        if is_denied(error):
            return DENIED_S
        if attempt == 0:
            return 0.0
        return BACKOFF.delay_s(attempt, f"{self._link.account} {self._link.channel.value} {self.losses}")

    def _open(self, socket: Socket) -> _Held:
        self._held = held = _Held(socket, self._link.take, self._due)
        held.reader.add_done_callback(self._ended)
        self._link.opened(socket)
        if self._reason is not None:
            self._reason = None
            self._emit(ChannelOpened(self._link.account, self._link.channel))
        return held

    def _ended(self, reader: asyncio.Task[str]) -> None:
        """A socket is gone: that is told at once, though its keeper may be opening the next one."""
        is_loss = not reader.cancelled() and reader.exception() is None
        if is_loss and self._held is not None and self._held.reader is reader:
            self._lose()

    def _lose(self, reason: str = "", *, is_refused: bool = False) -> None:
        """There is no socket: tell it, and tell it again only for another reason."""
        held, self._held = self._held, None
        if held is not None:
            reason, is_refused = held.reader.result(), False
            self._leaving.create_task(held.leave(0.0))
            self.losses += 1
            self._link.lost()
        if reason != self._reason:
            self._reason = reason
            self._emit(ChannelLost(self._link.account, self._link.channel, reason, is_refused))
