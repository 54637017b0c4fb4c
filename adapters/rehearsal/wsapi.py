"""The WebSocket API: requests with an id, sessions, and spot's user data streams.

A request is signed over its parameters sorted by name, or belongs to a session that logged on (Ed25519 only),
and then needs neither key nor signature.  An answer has the request's id, a status and a result or an error,
and the usage of the limits unless the client declines it.  A socket has one subscription, since every key is
of the one account.  What must stay true: parameters are verified by the text in which they came, numbers
included; no refusal but that of a banned address closes the socket.

Sources: websocket_api of binance_sdk_spot 13.3.0, derivatives_trading_usds_futures 18.1.0 and
derivatives_trading_coin_futures 14.1.0; request security of the documentation (2026-11-20).  The refusal of a
logon with an HMAC key, and of an unknown method, are unverified.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Raw, Struct

from adapters.errors import FeedError
from adapters.rehearsal import market as public_side
from adapters.rehearsal.auth import Params, Refused, check_time, in_milliseconds, missing, sorted_payload
from adapters.rehearsal.params import shut, unpriced, whole
from adapters.rehearsal.private import TERMINATED, Hear
from adapters.rehearsal.routes import METHODS, PUBLIC_METHODS, Operation, Security, carry_out
from adapters.rehearsal.seam import Peer
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.unread import refuse_unread_public, refuse_unread_session

PATHS = {"/ws-api/v3": "spot", "/ws-fapi/v1": "usdm", "/ws-dapi/v1": "coinm"}
_UNKNOWN_METHOD = Refused(-1020, "This operation is not supported.")
_BANNED = 418
_NOT_LOGGED_ON = Refused(-1099, "Not found, unauthenticated, or unauthorized.", 401)


class _Request(Struct):
    method: str
    params: dict[str, Raw] = {}
    id: Raw = Raw(b"null")


class _Subscription(Struct, frozen=True):
    number: int
    hear: Hear
    is_of_session: bool  # it ends with the logon


class Session:
    """One accepted socket of the WebSocket API (`adapters.rehearsal.seam.Line`)."""

    def __init__(self, teller: Teller, market: str, peer: Peer, target: str) -> None:
        self._teller = teller
        self._market = market
        self._peer = peer
        self._tells_limits = _flag(parse_qs(urlsplit(target).query).get("returnRateLimits", ["true"])[0])
        self._connected_ms = teller.now_ms()
        self._api_key: str | None = None
        self._since_ms: int | None = None
        self._subscription: _Subscription | None = None
        self._next_subscription = 0
        self._sockets = teller.world.stages[market].broadcast
        self._sockets.opened(self._cut)
        teller.opened(market, peer.send)

    # --- the transport's side ---------------------------------------------------------------------------

    def receive(self, payload: bytes) -> None:
        try:
            asked = msgspec.json.decode(payload, type=_Request)
            params = {name: _text(value) for name, value in asked.params.items()}
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._answer(Raw(b"null"), 400, {"error": {"code": -1135, "msg": "Invalid JSON Request"}}, ())
            return
        tells = _flag(params.get("returnRateLimits", "true")) and self._tells_limits
        operation = METHODS[self._market].get(asked.method)
        kinds: tuple[str, ...] = ()
        if tells:
            kinds = ("REQUEST_WEIGHT", "ORDERS") if operation and operation.orders else ("REQUEST_WEIGHT",)
        try:
            if self._teller.world.maintained:
                raise shut(self._market)
            result = self._serve(asked.method, operation, params)
            self._answer(asked.id, 200, {"result": result}, kinds)
        except Refused as error:
            self._refuse(asked.id, error, kinds)
        except FeedError:
            self._refuse(asked.id, unpriced(self._market), kinds)

    def closed(self) -> None:
        self._unsubscribe()
        self._sockets.closed(self._cut)
        self._teller.closed(self._market, self._peer.send)

    # --- serving ----------------------------------------------------------------------------------------

    def _serve(self, method: str, operation: Operation | None, params: Params) -> object:
        usage, now_ms = self._teller.usage[self._market], self._teller.now_ms()
        if operation is not None:
            usage.admit(now_ms, operation.weight)
            self._authorize(params, operation.security)
            return carry_out(self._teller, self._market, operation, in_milliseconds(self._market, params))
        name = PUBLIC_METHODS[self._market].get(method)
        if name is not None:
            usage.admit(now_ms, public_side.weight(self._market, name, params))
            refuse_unread_public(self._market, name, params)
            params = in_milliseconds(self._market, params)
            return public_side.public(self._teller.world, self._market, name, params)
        usage.admit(now_ms, 2)
        return self._serve_session(method, params)

    def _serve_session(self, method: str, params: Params) -> object:
        """Who speaks on this socket, and what it is told unasked."""
        refuse_unread_session(self._market, method, params)
        match method:
            case "session.logon":
                return self._log_on(params)
            case "session.status":
                return self._status()
            case "session.logout":
                self._api_key = self._since_ms = None
                if self._subscription is not None and self._subscription.is_of_session:
                    self._unsubscribe()
                return self._status()
            case "session.subscriptions" if self._market == "spot":
                one = self._subscription
                return [] if one is None else [{"subscriptionId": one.number}]
            case "userDataStream.subscribe.signature" if self._market == "spot":
                self._authorize(params, Security.SIGNED)
                return self._subscribe(is_of_session=False)
            case "userDataStream.subscribe" if self._market == "spot":
                if self._api_key is None:
                    raise _NOT_LOGGED_ON
                return self._subscribe(is_of_session=True)
            case "userDataStream.unsubscribe" if self._market == "spot":
                number = whole(params, "subscriptionId")
                if number is not None and (self._subscription is None or self._subscription.number != number):
                    raise Refused(-2036, "User Data Stream subscription not active.")
                self._unsubscribe()
                return {}
            case _:
                raise _UNKNOWN_METHOD

    def _authorize(self, params: Params, security: Security) -> None:
        """A session that logged on vouches for requests that bring no key of their own."""
        gate, timed = self._teller.gate, in_milliseconds(self._market, params)
        if self._api_key is not None and "apiKey" not in params:
            gate.identify(self._api_key, self._market)
            if security is Security.SIGNED:
                check_time(timed, self._teller.now_ms())
            return
        if not params.get("apiKey"):
            raise missing("apiKey")
        api_key = gate.identify(params["apiKey"], self._market)
        if security is Security.KEY:
            return
        signature = params.get("signature", "")
        if not signature:
            raise missing("signature")
        check_time(timed, self._teller.now_ms())
        gate.verify(api_key, sorted_payload(params), signature)

    def _log_on(self, params: Params) -> object:
        gate = self._teller.gate
        api_key = gate.identify(params.get("apiKey"), self._market)
        if not gate.is_ed25519(api_key):
            raise Refused(-4056, "HMAC_SHA256 API key is not supported.")
        self._authorize(params, Security.SIGNED)
        self._api_key, self._since_ms = api_key, self._teller.now_ms()
        return self._status()

    def _status(self) -> object:
        return {
            "apiKey": self._api_key,
            "authorizedSince": self._since_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._tells_limits,
            "serverTime": self._teller.now_ms(),
            "userDataStream": self._subscription is not None,
        }

    # --- user data streams ------------------------------------------------------------------------------

    def _subscribe(self, is_of_session: bool) -> object:
        if self._subscription is not None:
            raise Refused(-2035, "User Data Stream subscription already active.")
        number = self._next_subscription
        self._next_subscription += 1

        def hear(event: bytes) -> None:
            self._peer.send(b'{"subscriptionId":%d,"event":%s}' % (number, event))
            if TERMINATED.encode() in event:
                self._unsubscribe()

        self._subscription = _Subscription(number, hear, is_of_session)
        self._teller.streams.follow("spot", hear)
        return {"subscriptionId": number}

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._teller.streams.leave("spot", self._subscription.hear)
            self._subscription = None

    # --- answering --------------------------------------------------------------------------------------

    def _refuse(self, number: Raw, error: Refused, kinds: tuple[str, ...]) -> None:
        told: dict[str, object] = {"code": error.code, "msg": error.text}
        if error.until_ms:
            told["data"] = {"serverTime": self._teller.now_ms(), "retryAfter": error.until_ms}
        self._answer(number, error.status, {"error": told}, kinds)
        if error.status == _BANNED:
            self._peer.close(1008, "disconnected")

    def _answer(self, number: Raw, status: int, told: Mapping[str, object], kinds: tuple[str, ...]) -> None:
        message: dict[str, object] = {"id": number, "status": status, **told}
        if kinds:
            message["rateLimits"] = self._teller.usage[self._market].rows(self._teller.now_ms(), kinds)
        self._peer.send(msgspec.json.encode(message))

    def _cut(self, code: int, reason: str) -> None:
        """Market sockets close when the recording begins anew; these only when the whole venue does."""
        if self._teller.world.maintained:
            self._peer.close(code, reason)


def _flag(text: str) -> bool:
    return text.lower() != "false"


def _text(value: Raw) -> str:
    """A parameter's text: a string's content, and any other JSON value as it was written."""
    written = bytes(value)
    return msgspec.json.decode(written, type=str) if written.startswith(b'"') else written.decode()
