"""Parameters of a request: text as it came, read as the venue reads it, refused in the venue's words.

Sources: error code pages of spot, USD-M and COIN-M (read 2026-11-20).  What must stay true: a number is a
plain decimal, never NaN, infinite or with an exponent, and nothing that a client left out is guessed.
"""

from __future__ import annotations

import re
from decimal import Decimal

from adapters.rehearsal.auth import Params, Refused, missing

_AMOUNT = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
BAD_SYMBOL = (-1121, "Invalid symbol.")


def unpriced(market: str) -> Refused:
    """The recording has no price of the instrument just now, and the venue vouches that nothing was done."""
    if market == "spot":
        return Refused(-1013, "Market is closed.")
    return Refused(-1008, "Service Unavailable. The request was throttled by system-level protection.", 503)


def shut(market: str) -> Refused:
    """The venue is down for maintenance; on spot nobody vouches for what such an answer means."""
    if market == "spot":
        return Refused(-1016, "This service is no longer available.", 503)
    return Refused(-1008, "Service Unavailable.", 503)


def text(params: Params, name: str) -> str:
    """A mandatory text."""
    value = params.get(name, "")
    if not value:
        raise missing(name)
    return value


def amount(params: Params, name: str) -> Decimal:
    """A mandatory decimal, zero or more."""
    value = text(params, name)
    if _AMOUNT.fullmatch(value) is None:
        legal = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
    return Decimal(value)


def whole(params: Params, name: str) -> int | None:
    """An optional whole number."""
    value = params.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise Refused(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        )
    return int(value)


def flag(params: Params, name: str) -> bool:
    """An optional boolean, false where it is left out."""
    value = params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Refused(-1130, f"Data sent for parameter '{name}' is not valid.")
    return value == "true"


def mandatory_flag(params: Params, name: str) -> bool:
    text(params, name)
    return flag(params, name)


def client_id(params: Params, name: str, market: str) -> str:
    """An order's name as its client chose it; empty where the client left it to the venue."""
    value = params.get(name, "")
    if value and _CLIENT_ID.fullmatch(value) is None:
        if market == "spot":
            legal = "^[a-zA-Z0-9-_]{1,36}$"
            raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        raise Refused(-4015, "Client order id is not valid.")
    return value
