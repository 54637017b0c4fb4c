"""Spot's other unit of time: answers and frames in microseconds, where a client asks for them.

It asks by the header ``X-MBX-TIME-UNIT`` or, in a socket's address, by ``timeUnit``.  The venue here counts
milliseconds, so that the digits below are zeros.  Source: general information of spot's REST API,
WebSocket API and streams (read 2026-11-20); futures have nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from adapters.rehearsal.auth import Refused
from adapters.rehearsal.seam import Peer

_TOLD = frozenset((
    "E", "T", "O", "C", "W", "time", "serverTime", "updateTime", "transactTime", "workingTime", "openTime",
    "closeTime", "authorizedSince", "connectedSince", "retryAfter",
))  # fmt: skip
_UNITS: Mapping[str, bool] = {
    "MICROSECOND": True, "microsecond": True, "MILLISECOND": False, "millisecond": False,
}  # fmt: skip


def wants_microseconds(market: str, unit: str | None) -> bool:
    """Whether a client asked for them.  Raises `Refused` for a unit that there is not."""
    if market != "spot" or unit is None:
        return False
    if unit not in _UNITS:
        raise Refused(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    return _UNITS[unit]


def unit_of(target: str) -> str | None:
    """The unit that the address of a socket asks for."""
    return parse_qs(urlsplit(target).query).get("timeUnit", [None])[0]


def in_microseconds(payload: bytes) -> bytes:
    """A message with its times in microseconds."""
    return msgspec.json.encode(_moved(msgspec.json.decode(payload)))


def _moved(value: Any) -> Any:
    if isinstance(value, list):
        return [_moved(one) for one in value]
    if not isinstance(value, dict):
        return value
    # ``u`` is a time in this event alone, and an update id in others
    names = _TOLD | {"u"} if value.get("e") == "outboundAccountPosition" else _TOLD
    return {
        name: one * 1000 if name in names and isinstance(one, int) and one > 0 else _moved(one)
        for name, one in value.items()
    }


class MicrosecondPeer:
    """A client that hears microseconds (`adapters.rehearsal.seam.Peer`)."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def send(self, payload: bytes) -> None:
        self._peer.send(in_microseconds(payload))

    def close(self, code: int, reason: str) -> None:
        self._peer.close(code, reason)
