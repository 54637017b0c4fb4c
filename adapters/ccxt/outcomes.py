"""What an exception of ccxt means for an order that was being sent: one table over ccxt's exception tree.

ccxt tells its caller by the class alone what happened, and a class says too little: `NetworkError` covers
both a connection that was never made and an answer that got lost, plain `ExchangeError` every answer its
class could not name.  So the table's word is weighed with what `Attempt` saw on the wire: whether the
request left, and with which HTTP status, code and text it was answered.  The venue's own code comes first
(`codes`).  What must stay true: an order is refused only when the venue vouches for it or nothing left this
machine; a 4xx alone vouches for nothing, and whatever is not listed here is uncertain.

The tree is that of ccxt 4.5.90 (2026-11-20); a test compares the table with it.  No ccxt is imported: classes
are looked up by name along their line of descent.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec import Struct

from adapters.ccxt import codes


class Verdict(Enum):
    REFUSED = "refused"  # the request did nothing
    UNCERTAIN = "uncertain"  # it may have been carried out
    NOT_FOUND = "not_found"  # the venue knows no such (living) order
    THROTTLED = "throttled"  # refused, and so will be what follows for a while


class Attempt(Struct):
    """What is known of the last request of one send; ``status`` 0: no answer came."""

    left: bool = False
    status: int = 0
    body: str = ""


_REFUSED, _UNCERTAIN, _THROTTLED = Verdict.REFUSED, Verdict.UNCERTAIN, Verdict.THROTTLED

# what an answered request's exception means; below it are the cases that the answer itself decides
TABLE: dict[str, Verdict] = {
    "BaseError": _UNCERTAIN,
    "ExchangeError": _UNCERTAIN,  # an answer its class has no name for: by code, see `verdict`
    "AuthenticationError": _REFUSED,
    "PermissionDenied": _REFUSED,
    "AccountNotEnabled": _REFUSED,
    "AccountSuspended": _REFUSED,
    "ArgumentsRequired": _REFUSED,
    "BadRequest": _REFUSED,
    "BadSymbol": _REFUSED,
    "OperationRejected": _REFUSED,
    "NoChange": _REFUSED,
    "MarginModeAlreadySet": _REFUSED,
    "MarketClosed": _REFUSED,
    "ManualInteractionNeeded": _REFUSED,
    "RestrictedLocation": _REFUSED,
    "InsufficientFunds": _REFUSED,
    "InvalidAddress": _REFUSED,
    "AddressPending": _REFUSED,
    "InvalidOrder": _REFUSED,
    "OrderNotFound": Verdict.NOT_FOUND,
    "OrderNotCached": _UNCERTAIN,
    "OrderImmediatelyFillable": _REFUSED,
    "OrderNotFillable": _REFUSED,
    "DuplicateOrderId": _UNCERTAIN,  # an order of this name lives, and a reject would kill it in our books
    "ContractUnavailable": _REFUSED,
    "NotSupported": _REFUSED,
    "InvalidProxySettings": _REFUSED,
    "ExchangeClosedByUser": _UNCERTAIN,
    "OperationFailed": _UNCERTAIN,
    "NetworkError": _UNCERTAIN,
    "DDoSProtection": _THROTTLED,
    "RateLimitExceeded": _THROTTLED,
    "ExchangeNotAvailable": _UNCERTAIN,
    "OnMaintenance": _THROTTLED,
    "InvalidNonce": _REFUSED,  # our time was outside the venue's window
    "ChecksumError": _UNCERTAIN,
    "RequestTimeout": _UNCERTAIN,
    "BadResponse": _UNCERTAIN,
    "NullResponse": _UNCERTAIN,
    "CancelPending": _UNCERTAIN,
    "UnsubscribeError": _UNCERTAIN,
}
_TIMEOUT_STATUS = 408
_LIVES = ("duplicat", "already exist")  # an order of this name does, whatever its code
_CODES = ("code", "retCode", "ret_code", "errorCode", "err_code", "err-code", "errno", "label", "error")
_TEXTS = ("msg", "message", "retMsg", "ret_msg", "err_msg", "err-msg", "error_description", "error")
_TEXT_MAX = 200


def verdict(error: BaseException, attempt: Attempt, exchange: str) -> Verdict:
    """What ``error`` means for the request that ``attempt`` saw; ``exchange`` is ccxt's name of it."""
    if not attempt.left:
        return _REFUSED
    if attempt.status == 0 or attempt.status >= 500 or attempt.status == _TIMEOUT_STATUS:
        return _UNCERTAIN
    told, text = codes_in(attempt.body), attempt.body.lower()
    if any(word in text for word in _LIVES) or not told.isdisjoint(codes.UNCERTAIN.get(exchange, ())):
        return _UNCERTAIN
    if not told.isdisjoint(codes.THROTTLED.get(exchange, ())):
        return _THROTTLED
    if not told.isdisjoint(codes.REFUSED.get(exchange, ())):
        return _REFUSED
    name = next((one.__name__ for one in type(error).__mro__ if one.__name__ in TABLE), "BaseError")
    if name == "ExchangeError" and told and exchange in codes.VOUCHING and 400 <= attempt.status < 500:
        return _REFUSED
    return TABLE[name]


def codes_in(body: str) -> frozenset[str]:
    """Every code that an answer bears: its own, its error's, and those of its rows; words that stand for one
    too."""
    answer = _decoded(body)
    rows = answer.get("data")
    parts: list[object] = [answer, answer.get("error"), *(rows if isinstance(rows, list) else ())]
    return frozenset(
        str(part[key])
        for part in parts
        if isinstance(part, dict)
        for key in (*_CODES, *_TEXTS, "sCode")
        if isinstance(part.get(key), int | str)
    )


def said(error: BaseException, attempt: Attempt) -> tuple[str, str]:
    """Code and text of a refusal, in the venue's words where it answered.

    What ccxt says of a request that left holds its URL, and so its signature: it is never repeated.
    """
    name = type(error).__name__
    if not attempt.left and attempt.status == 0:
        return (name, "nothing was sent") if error.__cause__ else (name, str(error)[:_TEXT_MAX])
    answer = _decoded(attempt.body)
    code = next((str(answer[key]) for key in _CODES if isinstance(answer.get(key), int | str)), name)
    text = next((answer[key] for key in _TEXTS if isinstance(answer.get(key), str)), "")
    return code, str(text)[:_TEXT_MAX] or (f"HTTP {attempt.status}" if attempt.status else "no answer")


def _decoded(body: str) -> dict[str, object]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
