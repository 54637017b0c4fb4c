"""Market sockets: streams named in the address or by SUBSCRIBE, bare or in envelopes, as at the venue.

A name that is no stream, a stream of an unknown symbol, and one that belongs to another path are accepted and
stay silent, as they do at the venue: USD-M serves each stream on one of ``/public`` and ``/market``, and on
its old unsplit paths nothing any more (since 2026-04-23).

Sources: WebSocket stream pages and SDKs of the three markets (binance-sdk-spot 13.3.0,
-derivatives-trading-usds-futures 18.1.0, -coin-futures 14.1.0, 2026-11-20); codes of errors as on the spot
page, which the futures pages do not list.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from adapters.binance.endpoints import StreamPath, stream_path
from adapters.rehearsal.broadcast import Broadcast, Ear
from adapters.rehearsal.seam import Line, Peer
from adapters.rehearsal.world import World

_PATHS = {f"/{path.value}": path for path in StreamPath}
_INVALID_REQUEST, _INVALID_JSON = 2, 3


def accept(world: World, market: str, target: str, peer: Peer) -> Line | None:
    """Open a market socket at ``target``; ``None`` where no market streams live.

    Whether ``/ws/<name>`` names a listen key is for the account side to say first.
    """
    split = urlsplit(target)
    path, served = split.path, None
    if market == "usdm":
        served = next((prefix for prefix in _PATHS if path.startswith(f"{prefix}/")), None)
        path = path.removeprefix(served or "")
    head, *names = [part for part in path.split("/") if part] or [""]
    if head not in ("ws", "stream"):
        return None
    is_bare = head == "ws" or names[:1] == ["ws"]
    if head == "stream" and names[:1] == ["ws"]:
        names = names[1:]
    asked = parse_qs(split.query).get("streams", [""])[0]
    names += [name for name in asked.split("/") if name]
    on_path = None if market == "usdm" and served is None else _PATHS.get(served or "", StreamPath.PUBLIC)
    line = MarketLine(world.stages[market].broadcast, market, on_path, peer, is_bare)
    line.follow(names)
    return line


class MarketLine:
    """One accepted market socket (`adapters.rehearsal.seam.Line`)."""

    def __init__(
        self, broadcast: Broadcast, market: str, on_path: StreamPath | None, peer: Peer, is_bare: bool
    ) -> None:
        """``on_path`` is which of a market's paths this is; ``None`` is one that carries nothing."""
        self._broadcast = broadcast
        self._market = market
        self._on_path = on_path
        self._peer = peer
        self._is_bare = is_bare
        self._followed: dict[str, tuple[str, Ear]] = {}
        self._cut = peer.close
        broadcast.opened(self._cut)

    # --- the transport's side ---------------------------------------------------------------------------

    def receive(self, payload: bytes) -> None:
        try:
            message = msgspec.json.decode(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._refuse(_INVALID_JSON, "Invalid JSON: expected value", None)
            return
        number = message.get("id") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not _is_id(number):
            self._refuse(_INVALID_REQUEST, "Invalid request: request ID must be an unsigned integer", None)
            return
        params = message.get("params", [])
        match message.get("method"):
            case "SUBSCRIBE" if _are_names(params):
                self.follow(params)
                self._answer(number, None)
            case "UNSUBSCRIBE" if _are_names(params):
                for name in params:
                    self._leave(name)
                self._answer(number, None)
            case "LIST_SUBSCRIPTIONS":
                self._answer(number, list(self._followed))
            case "SET_PROPERTY" if isinstance(params, list) and len(params) == 2 and params[0] == "combined":
                self._is_bare = not params[1]
                self._answer(number, None)
            case "GET_PROPERTY" if params == ["combined"]:
                self._answer(number, not self._is_bare)
            case method:
                self._refuse(_INVALID_REQUEST, f"Invalid request: unknown variant {method}", number)

    def closed(self) -> None:
        for name in tuple(self._followed):
            self._leave(name)
        self._broadcast.closed(self._cut)

    # --- inside -----------------------------------------------------------------------------------------

    def follow(self, names: list[str]) -> None:
        for name in names:
            if name in self._followed:
                continue
            key, path = key_of(self._market, name)
            # what is not carried here is followed under a name that nobody tells
            key = key if path is self._on_path else f"silent:{key}"
            ear = partial(self._hear, name.encode())
            self._followed[name] = (key, ear)
            self._broadcast.follow(key, ear)

    def _leave(self, name: str) -> None:
        followed = self._followed.pop(name, None)
        if followed is not None:
            self._broadcast.leave(*followed)

    def _hear(self, name: bytes, data: bytes) -> None:
        self._peer.send(data if self._is_bare else b'{"stream":"%b","data":%b}' % (name, data))

    def _answer(self, number: Any, result: Any) -> None:
        self._peer.send(msgspec.json.encode({"result": result, "id": number}))

    def _refuse(self, code: int, text: str, number: Any) -> None:
        error: dict[str, Any] = {"error": {"code": code, "msg": text}}
        self._peer.send(msgspec.json.encode(error | ({"id": number} if number is not None else {})))


def key_of(market: str, name: str) -> tuple[str, StreamPath | None]:
    """What a stream carries (see `adapters.rehearsal.broadcast`) and on which path it lives; ``None`` for
    what is no stream."""
    head, _, rest = name.partition("@")
    kind = rest.partition("@")[0]
    if head.startswith("!"):
        key, kind = f"{head}@arr" if kind == "arr" else head, head[1:]
    else:
        key = f"{head}@{kind}"
    try:
        return key, stream_path(market, f"@{kind}")
    except KeyError:
        return key, None


def _is_id(number: object) -> bool:
    if isinstance(number, str):
        return len(number) <= 36
    return number is None or (isinstance(number, int) and not isinstance(number, bool) and number >= 0)


def _are_names(params: object) -> bool:
    return isinstance(params, list) and bool(params) and all(isinstance(name, str) for name in params)
