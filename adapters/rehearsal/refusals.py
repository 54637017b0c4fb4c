"""What a request is, by its bytes, and what a venue in trouble answers to it, in its own words.

Pure.  Orders, questions about orders and the rest are told apart by path and method, over the WebSocket API
by method name.  A `Fate` is an answer that a fault puts in the place of the venue's: instead of asking it
(`refusal_of`), or after it has done what was asked (`fate_of`).

Sources: error codes and HTTP status meanings of the venue's spot and futures documentation (read 2026-11-20);
the bodies of 5xx answers are its gateways' and vary: unverified.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec
from msgspec import Struct

from adapters.rehearsal.faults import Fault, Part
from adapters.rehearsal.seam import Request, Response

_MS = 1_000_000
_ORDER_PATHS = ("/order", "/allOpenOrders", "/batchOrders", "/cancelReplace", "/openOrders")


class Verb(Enum):
    PLACE = "place"
    CANCEL = "cancel"
    QUERY = "query"
    OTHER = "other"

    @property
    def part(self) -> Part:
        return Part.ORDERS if self in (Verb.PLACE, Verb.CANCEL) else Part.READS


_METHODS: Mapping[str, Verb] = {
    "order.place": Verb.PLACE,
    "order.modify": Verb.PLACE,
    "order.cancelReplace": Verb.PLACE,
    "order.cancel": Verb.CANCEL,
    "openOrders.cancelAll": Verb.CANCEL,
    "order.status": Verb.QUERY,
}
_REJECTS: Mapping[int, str] = {
    -2010: "Account has insufficient balance for requested action.",
    -2019: "Margin is insufficient.",
    -1013: "Filter failure: PERCENT_PRICE_BY_SIDE",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected.",
}
_UNKNOWN = "Unknown error, please check your request or try again later."
_TIMED_OUT = (
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
)
_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n"


class Fate(Struct, frozen=True):
    """An answer; without ``code`` there is a page of HTML instead of the venue's JSON, and with ``status`` 0
    there is none at all."""

    status: int
    code: int = 0
    text: str = ""
    retry_after_s: float = 0.0
    now_ms: int = 0

    def response(self) -> Response:
        headers = {"content-type": "application/json" if self.code else "text/html"}
        if self.retry_after_s:
            headers["retry-after"] = f"{self.retry_after_s:.0f}"
        body = msgspec.json.encode({"code": self.code, "msg": self.text}) if self.code else _PAGE
        return Response(self.status, headers, body)

    def message(self, request_id: object) -> bytes:
        """The same over the WebSocket API, which has no pages."""
        error: dict[str, object] = {"code": self.code or -1000, "msg": self.text or _UNKNOWN}
        if self.retry_after_s:
            until_ms = self.now_ms + round(self.retry_after_s * 1000)
            error["data"] = {"serverTime": self.now_ms, "retryAfter": until_ms}
        return msgspec.json.encode({"id": request_id, "status": self.status, "error": error})


LOST = Fate(0)


class Asked(Struct):
    """A message to the WebSocket API, as far as it matters here."""

    id: msgspec.Raw = msgspec.Raw()
    method: str = ""

    @property
    def verb(self) -> Verb:
        return _METHODS.get(self.method, Verb.OTHER)


def asked_over_rest(request: Request) -> Verb:
    if not request.path.endswith(_ORDER_PATHS):
        return Verb.OTHER
    if request.method == "DELETE":
        return Verb.CANCEL
    if request.method == "GET":
        return Verb.QUERY if request.path.endswith("/order") else Verb.OTHER
    return Verb.PLACE


def refusal_of(fault: Fault, market: str, verb: Verb, now_ns: int) -> Fate | None:
    """What ``fault`` answers without asking the venue, if anything."""
    now_ms = now_ns // _MS
    match fault.name:
        case "reject" if verb is Verb.PLACE:
            code = round(fault.value) or (-2010 if market == "spot" else -2019)
            return Fate(400, code, _REJECTS.get(code, "Order would be refused."))
        case "not-found" if verb is Verb.QUERY:
            return Fate(400, -2013, "Order does not exist.")
        case "throttle":
            text = "Too many requests; please use the websocket for live updates to avoid polling the API."
            return Fate(429, -1003, text, fault.value, now_ms)
        case "ban":
            until_ms = now_ms + round(fault.value * 1000)
            text = f"Way too much request weight used; IP banned until {until_ms}."
            return Fate(418, -1003, text, fault.value, now_ms)
    return None


def fate_of(fault: Fault, market: str) -> Fate | None:
    """What ``fault`` makes of the answer to an order that the venue carried out, if anything."""
    match fault.name:
        case "timeout-after-accept":
            return Fate(408, -1007, _TIMED_OUT)
        case "5xx-after-accept":
            return Fate(502) if market == "spot" else Fate(503, -1000, _UNKNOWN)
        case "lost-ack":
            return LOST
    return None
