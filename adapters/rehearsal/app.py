"""The three doors of the rehearsal venue: what is public is the stage's, what is an account's the teller's.

    keys = make_keys(entropy)                     # adapters.rehearsal.auth
    doors(world, Teller(world, keys))             # {"spot": …, "usdm": …, "coinm": …}

What must stay true: whatever is asked gets the venue's own answer, an error object where it is not served,
and never a page or an exception; what is asked is counted before it is read (`usage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from adapters.errors import FeedError
from adapters.rehearsal import market as public_side
from adapters.rehearsal import streams, wsapi
from adapters.rehearsal.auth import Params, Refused, read_params, signed_params
from adapters.rehearsal.history import MARKETS
from adapters.rehearsal.listening import ListeningLine, SharedLine, address
from adapters.rehearsal.microseconds import (
    MicrosecondPeer,
    in_microseconds,
    unit_of,
    wants_microseconds,
)
from adapters.rehearsal.params import shut, unpriced
from adapters.rehearsal.routes import REST, Operation, Security, carry_out
from adapters.rehearsal.seam import Line, Peer, Request, Response
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.unread import refuse_unread_public
from adapters.rehearsal.usage import TOO_MANY_REQUESTS
from adapters.rehearsal.world import World

_JSON = {"content-type": "application/json;charset=UTF-8"}


class VenueDoor:
    """One market's `adapters.rehearsal.seam.Door`."""

    def __init__(self, market: str, world: World, teller: Teller) -> None:
        self.market = market
        self._world = world
        self._teller = teller

    async def request(self, request: Request) -> Response:
        return self.answer(request)

    def answer(self, request: Request) -> Response:
        """What `request` returns; it needs no event loop."""
        try:
            is_micro = wants_microseconds(self.market, request.headers.get("x-mbx-time-unit"))
            response = self._answer(request)
        except Refused as error:
            return self._refusal(error, False)
        if not is_micro or response.status != HTTPStatus.OK:
            return response
        return Response(response.status, response.headers, in_microseconds(response.body))

    def _answer(self, request: Request) -> Response:
        """The answer, its times in milliseconds.  Raises `Refused`."""
        if self._world.maintained:
            raise shut(self.market)
        found = self._public(request)
        if found is not None:
            return found
        if (request.method, request.path) == ("GET", "/sapi/v1/system/status") and self.market == "spot":
            return self._response(200, {"status": 0, "msg": "normal"}, False)
        operation = REST[self.market].get((request.method, request.path))
        if operation is None:
            raise Refused(-5000, f"Path {request.path}, Method {request.method} is invalid", 404)
        self._admit(operation.weight)
        try:
            body = carry_out(self._teller, self.market, operation, self._params(request, operation))
        except Refused as error:
            return self._refusal(error, bool(operation.orders))
        except FeedError:  # a price that the recording has not said yet
            return self._refusal(unpriced(self.market), False)
        return self._response(200, body, bool(operation.orders))

    def _public(self, request: Request) -> Response | None:
        """The answer to a public request, ``None`` for any other."""
        found = public_side.answer(self._world, self.market, request)
        if found is None:
            return None
        self._admit(int(found.headers.get("x-mbx-used-weight", "1")))
        name = request.path.removeprefix(public_side.PREFIXES[self.market][0])
        refuse_unread_public(self.market, name, read_params(request.query, ""))
        return Response(found.status, {**found.headers, **self._headers(False)}, found.body)

    def accept(self, target: str, peer: Peer) -> Line | Response:
        try:
            if self._world.maintained:
                raise shut(self.market)
            if wants_microseconds(self.market, unit_of(target)):
                peer = MicrosecondPeer(peer)
            path = target.partition("?")[0].rstrip("/")
            is_api = wsapi.PATHS.get(path) == self.market
            if is_api:
                self._teller.usage[self.market].refuse_banned(self._teller.now_ms())
        except Refused as error:
            return self._refusal(error, False)
        if is_api:
            return wsapi.Session(self._teller, self.market, peer, target)
        where = address(self.market, target)
        if self.market != "spot" and (where.is_private or where.keys):
            return ListeningLine(self._teller, self.market, peer, where)
        line = streams.accept(self._world, self.market, target, peer)
        if line is None:
            return self._refusal(Refused(-5000, f"Path {path} is invalid", 404), False)
        if self.market == "coinm":
            return SharedLine(ListeningLine(self._teller, self.market, peer, where), line)
        return line

    def _params(self, request: Request, operation: Operation) -> Params:
        """Parameters of a request whose sender is known; raises `Refused`."""
        api_key = request.headers.get("x-mbx-apikey")
        texts = (request.query, request.body.decode(errors="replace"))
        if operation.security is Security.KEY:
            self._teller.gate.identify(api_key, self.market)
            return read_params(*texts)
        return signed_params(self._teller.gate, api_key, self.market, texts, self._teller.now_ms())

    # --- answering --------------------------------------------------------------------------------------

    def _refusal(self, error: Refused, of_order: bool) -> Response:
        response = self._response(error.status, {"code": error.code, "msg": error.text}, of_order)
        if error.code != TOO_MANY_REQUESTS:  # for too many orders the venue does not say when
            return response
        wait_ms = error.until_ms - self._teller.now_ms()
        return Response(
            error.status, {**response.headers, "retry-after": str(-(-wait_ms // 1000))}, response.body
        )

    def _response(self, status: int, body: object, of_order: bool) -> Response:
        return Response(status, {**_JSON, **self._headers(of_order)}, msgspec.json.encode(body))

    def _admit(self, weight: int) -> None:
        self._teller.usage[self.market].admit(self._teller.now_ms(), weight)

    def _headers(self, of_order: bool) -> Mapping[str, str]:
        return self._teller.usage[self.market].headers(self._teller.now_ms(), of_order)


def doors(world: World, teller: Teller) -> dict[str, VenueDoor]:
    """One door for each market, over one world and one account."""
    return {market: VenueDoor(market, world, teller) for market in MARKETS}
