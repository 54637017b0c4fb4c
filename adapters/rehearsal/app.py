"""The three doors of the rehearsal venue: what is public is the stage's, what is an account's the teller's.

    keys = make_keys(entropy)                     # adapters.rehearsal.auth
    doors(world, Teller(world, keys))             # {"spot": …, "usdm": …, "coinm": …}

What must stay true: whatever is asked gets the venue's own answer, an error object where it is not served,
and never a page or an exception; weights are counted and told in headers, and refused for by nobody here.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from adapters.errors import FeedError
from adapters.rehearsal import market as public_side
from adapters.rehearsal import streams, wsapi
from adapters.rehearsal.auth import Params, Refused, read_params, signed_params
from adapters.rehearsal.history import MARKETS
from adapters.rehearsal.listening import ListeningLine, SharedLine, address
from adapters.rehearsal.params import shut, unpriced
from adapters.rehearsal.routes import REST, Operation, Security
from adapters.rehearsal.seam import Line, Peer, Request, Response
from adapters.rehearsal.teller import Teller
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
        if self._world.maintained:
            return self._refusal(shut(self.market), False)
        found = public_side.answer(self._world, self.market, request)
        if found is not None:
            self._charge(int(found.headers.get("x-mbx-used-weight", "1")), 0)
            return Response(found.status, {**found.headers, **self._headers(False)}, found.body)
        if (request.method, request.path) == ("GET", "/sapi/v1/system/status") and self.market == "spot":
            return self._response(200, {"status": 0, "msg": "normal"}, False)
        operation = REST[self.market].get((request.method, request.path))
        if operation is None:
            text = f"Path {request.path}, Method {request.method} is invalid"
            return self._refusal(Refused(-5000, text, 404), False)
        self._charge(operation.weight, operation.orders)
        try:
            params = self._params(request, operation)
            body = operation.act(self._teller, self.market, params)
        except Refused as error:
            return self._refusal(error, bool(operation.orders))
        except FeedError:  # a price that the recording has not said yet
            return self._refusal(unpriced(self.market), False)
        return self._response(200, body, bool(operation.orders))

    def accept(self, target: str, peer: Peer) -> Line | Response:
        if self._world.maintained:
            return self._refusal(shut(self.market), False)
        path = target.partition("?")[0].rstrip("/")
        if wsapi.PATHS.get(path) == self.market:
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
        return self._response(error.status, {"code": error.code, "msg": error.text}, of_order)

    def _response(self, status: int, body: object, of_order: bool) -> Response:
        return Response(status, {**_JSON, **self._headers(of_order)}, msgspec.json.encode(body))

    def _charge(self, weight: int, orders: int) -> None:
        self._teller.usage[self.market].charge(self._teller.now_ms(), weight, orders)

    def _headers(self, of_order: bool) -> Mapping[str, str]:
        return self._teller.usage[self.market].headers(self._teller.now_ms(), of_order)


def doors(world: World, teller: Teller) -> dict[str, VenueDoor]:
    """One door for each market, over one world and one account."""
    return {market: VenueDoor(market, world, teller) for market in MARKETS}
