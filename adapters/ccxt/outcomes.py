"""What an exception of ccxt means for an order that was being sent: one table over ccxt's exception tree.

ccxt tells its caller by the class alone what happened, and a class says too little: `NetworkError` covers
both a connection that was never made and an answer that got lost, plain `ExchangeError` every answer its
class could not name.  So the table's word is weighed with what `Attempt` saw on the wire: whether the request
left, and with which HTTP status and text it was answered.  What must stay true: an order is refused only when
the venue vouches for it or nothing left this machine; whatever is not listed here is uncertain.

The tree is that of ccxt 4.5.90 (2026-11-20); a test compares the table with it.  No ccxt is imported: classes
are looked up by name along their line of descent.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec import Struct


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
    "ExchangeError": _UNCERTAIN,  # an answer its class has no name for: by status, see `verdict`
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
_CODES = ("code", "retCode", "ret_code", "errorCode", "err_code", "err-code", "errno", "label", "error")
_TEXTS = ("msg", "message", "retMsg", "ret_msg", "err_msg", "err-msg", "error_description", "error")
_TEXT_MAX = 200


def verdict(error: BaseException, attempt: Attempt) -> Verdict:
    """What ``error`` means for the request that ``attempt`` saw."""
    if not attempt.left:
        return _REFUSED
    if attempt.status == 0 or attempt.status >= 500 or attempt.status == _TIMEOUT_STATUS:
        return _UNCERTAIN
    if "duplicate" in attempt.body.lower():
        return _UNCERTAIN
    name = next((one.__name__ for one in type(error).__mro__ if one.__name__ in TABLE), "BaseError")
    if name == "ExchangeError" and 400 <= attempt.status < 500:
        return _REFUSED  # HTTP's own statement that the request was not carried out
    return TABLE[name]


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
