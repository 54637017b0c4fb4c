"""Sockets that follow a futures account by its listen key.

The key stands in the address (``/private/ws/<key>``, ``/private/ws?listenKey=<key>``,
``/private/stream?streams=<key>``; COIN-M without ``/private``) or is named by SUBSCRIBE.  What must stay
true: a key that is not active opens a socket that stays silent, as the venue's does, and so does any key on a
USD-M path other than ``/private``.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from adapters.rehearsal.private import KEY_EXPIRED
from adapters.rehearsal.seam import Line, Peer
from adapters.rehearsal.teller import Teller

_KEY_LENGTH = 64


class _Asked(Struct):
    method: str
    params: list[str] = []
    id: msgspec.Raw = msgspec.Raw(b"null")


class Address(Struct, frozen=True):
    """A socket's target taken apart; ``keys`` are what looks like listen keys."""

    is_private: bool
    is_wrapped: bool
    keys: tuple[str, ...]


def address(market: str, target: str) -> Address:
    split = urlsplit(target)
    parts = [part for part in split.path.split("/") if part]
    is_split = market == "usdm"
    is_private = (parts[:1] == ["private"]) if is_split else True
    query = parse_qs(split.query)
    named = [*parts, *query.get("listenKey", []), *"/".join(query.get("streams", [])).split("/")]
    keys = tuple(name for name in named if _is_key(name))
    return Address(is_private and (is_split or bool(keys)), "stream" in parts, keys)


def _is_key(name: str) -> bool:
    return len(name) == _KEY_LENGTH and name.isalnum()


class ListeningLine:
    """One accepted socket (`adapters.rehearsal.seam.Line`)."""

    def __init__(self, teller: Teller, market: str, peer: Peer, where: Address) -> None:
        self._teller = teller
        self._market = market
        self._peer = peer
        self._is_wrapped = where.is_wrapped
        self._keys = [key for key in where.keys if where.is_private and teller.is_listen_key(market, key)]
        self._sockets = teller.world.stages[market].broadcast
        teller.streams.follow(market, self._hear)
        self._sockets.opened(self._cut)

    def receive(self, payload: bytes) -> None:
        """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS of listen keys; anything else is an error object."""
        try:
            asked = msgspec.json.decode(payload, type=_Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._peer.send(b'{"error":{"code":3,"msg":"Invalid JSON: expected value"}}')
            return
        result: object = None
        match asked.method:
            case "SUBSCRIBE":
                active = [key for key in asked.params if self._teller.is_listen_key(self._market, key)]
                self._keys += [key for key in active if key not in self._keys]
            case "UNSUBSCRIBE":
                self._keys = [key for key in self._keys if key not in asked.params]
            case "LIST_SUBSCRIPTIONS":
                result = self._keys
            case _:
                error = {"code": 2, "msg": "Invalid request: unknown method"}
                self._peer.send(msgspec.json.encode({"error": error, "id": asked.id}))
                return
        self._peer.send(msgspec.json.encode({"result": result, "id": asked.id}))

    def closed(self) -> None:
        self._teller.streams.leave(self._market, self._hear)
        self._sockets.closed(self._cut)

    def _hear(self, event: bytes) -> None:
        is_last = KEY_EXPIRED.encode() in event
        for key in self._keys:
            if is_last or self._teller.is_listen_key(self._market, key):
                wrapped = b'{"stream":"%s","data":%s}' % (key.encode(), event)
                self._peer.send(wrapped if self._is_wrapped else event)
        if is_last:
            self._keys.clear()

    def _cut(self, code: int, reason: str) -> None:
        """Market sockets close when the recording begins anew; these only when the whole venue does."""
        if self._teller.world.maintained:
            self._peer.close(code, reason)


class SharedLine:
    """A COIN-M market socket on which listen keys may be subscribed to beside market streams."""

    def __init__(self, listening: ListeningLine, market_line: Line) -> None:
        self._listening = listening
        self._market_line = market_line

    def receive(self, payload: bytes) -> None:
        try:
            names = msgspec.json.decode(payload, type=_Asked).params
        except (msgspec.MsgspecError, UnicodeDecodeError):
            names = []
        is_private = bool(names) and all(_is_key(name) for name in names)
        (self._listening if is_private else self._market_line).receive(payload)

    def closed(self) -> None:
        self._listening.closed()
        self._market_line.closed()
