"""What an answer of Binance means for the request it answers: one table by market, verb, status, code and
text.

The rows are asked in order and the first that fits holds.  An order or a cancel whose answer fits none is
UNKNOWN: it keeps its reserved exposure until the venue reports it.  REFUSED and its kin are only said where
the venue vouches that the request did nothing: by a code that its gateway or its matching engine gives to
what it refused.  An HTTP 5xx is not one case: spot calls the outcome of each unknown, futures vouch for some
texts.

Sources, read on 2026-11-20: the venue's error code pages of spot (2025-08) and USD-M (2026-06), its HTTP
return code pages (spot 2026-01: 5XX unknown; futures 2026-06: 503 by text, 408 time-out); COIN-M taken as
USD-M."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal

from msgspec import Struct

from adapters.binance.replies import Failure
from adapters.numbers import DELAY_MAX_S, whole

Verb = Literal["place", "cancel", "query", "read"]


class Outcome(Enum):
    REFUSED = "refused"  # the venue vouches that the request did nothing
    UNKNOWN = "unknown"  # it may have been carried out
    NOT_FOUND = "not_found"  # query: no such order
    GONE = "gone"  # cancel: no such live order
    DUPLICATE = "duplicate"  # place: an order of this client id lives, or lived
    THROTTLED = "throttled"  # refused; wait for `retry_after_s`
    CLOCK = "clock"  # refused; our time is outside the window
    DENIED = "denied"  # refused; key, signature, address or permission
    BUSY = "busy"  # refused; the venue is overloaded or closed, later


class _Row(Struct, frozen=True):
    """A row fits where each of its conditions that is set does; ``codes`` is a closed range, ``text`` a part
    of the venue's text in lower case."""

    outcome: Outcome
    codes: tuple[int, int] | None = None
    text: str = ""
    statuses: tuple[int, int] | None = None
    verb: Verb | None = None
    markets: tuple[str, ...] = ("spot", "usdm", "coinm")


_FUTURES = ("usdm", "coinm")
_SPOT = ("spot",)


def _code(code: int) -> tuple[int, int]:
    return (code, code)


_TABLE = (
    # statuses that say it all, whatever the body
    _Row(Outcome.THROTTLED, statuses=_code(429)),
    _Row(Outcome.THROTTLED, statuses=_code(418)),
    _Row(Outcome.DENIED, statuses=_code(401)),
    _Row(Outcome.DENIED, statuses=_code(403)),  # the firewall, before the request was read
    _Row(Outcome.DENIED, statuses=_code(451)),  # a restricted place
    _Row(Outcome.UNKNOWN, statuses=_code(408)),
    # server errors: spot vouches for none, futures for some
    _Row(Outcome.UNKNOWN, statuses=(500, 599), markets=_SPOT),
    _Row(Outcome.BUSY, codes=_code(-1008), markets=_FUTURES),
    _Row(Outcome.BUSY, statuses=_code(503), text="service unavailable", markets=_FUTURES),
    _Row(Outcome.BUSY, statuses=_code(503), text="throttled by system-level protection", markets=_FUTURES),
    _Row(
        Outcome.BUSY,
        statuses=_code(503),
        text="internal error; unable to process your request",
        markets=_FUTURES,
    ),
    _Row(Outcome.UNKNOWN, statuses=(500, 599)),
    # codes that say the outcome is unknown, or nothing
    _Row(Outcome.UNKNOWN, codes=(-1001, -1000)),
    _Row(Outcome.UNKNOWN, codes=(-1007, -1006)),
    # before the matching engine
    _Row(Outcome.THROTTLED, codes=_code(-1003)),
    _Row(Outcome.THROTTLED, codes=_code(-1015)),
    _Row(Outcome.CLOCK, codes=_code(-1021)),
    _Row(Outcome.CLOCK, codes=_code(-5028), markets=_FUTURES),  # the matching engine's own window
    _Row(Outcome.DENIED, codes=_code(-1002)),
    _Row(Outcome.DENIED, codes=_code(-1005)),
    _Row(Outcome.DENIED, codes=_code(-1011), markets=_FUTURES),
    _Row(Outcome.DENIED, codes=_code(-1022)),
    _Row(Outcome.DENIED, codes=_code(-1099)),
    _Row(Outcome.DENIED, codes=_code(-1109)),
    _Row(Outcome.DENIED, codes=(-2015, -2014)),
    _Row(Outcome.DENIED, codes=_code(-2008)),
    _Row(Outcome.DENIED, codes=_code(-2017)),
    _Row(Outcome.BUSY, codes=_code(-1016)),
    _Row(Outcome.REFUSED, codes=(-1014, -1013)),
    _Row(Outcome.REFUSED, codes=_code(-1020)),
    _Row(Outcome.REFUSED, codes=_code(-1023)),
    _Row(Outcome.REFUSED, codes=(-1136, -1100)),  # the request itself: characters, parameters, precision
    # the matching engine's word
    _Row(Outcome.DUPLICATE, codes=_code(-2010), text="duplicate order", verb="place"),
    _Row(Outcome.DUPLICATE, codes=_code(-4116), markets=_FUTURES, verb="place"),
    _Row(Outcome.REFUSED, codes=_code(-1010)),
    _Row(Outcome.REFUSED, codes=_code(-2010), verb="place"),
    _Row(Outcome.GONE, codes=_code(-2011), text="unknown order", verb="cancel"),
    _Row(Outcome.GONE, codes=_code(-2013), verb="cancel"),
    _Row(Outcome.REFUSED, codes=_code(-2011), verb="cancel"),
    _Row(Outcome.NOT_FOUND, codes=_code(-2013), verb="query"),
    _Row(Outcome.NOT_FOUND, codes=_code(-2026), verb="query", markets=_SPOT),  # archived: no fill in 90 days
    _Row(Outcome.REFUSED, codes=(-2028, -2016), markets=_FUTURES),  # balance, margin, reduce-only, limits
    _Row(Outcome.REFUSED, codes=(-4088, -4000), markets=_FUTURES),  # filters, modes, permissions
    _Row(Outcome.REFUSED, codes=(-4144, -4104), markets=_FUTURES),
    _Row(Outcome.REFUSED, codes=(-4211, -4161), markets=_FUTURES),  # minimum notional, cooling-off
    _Row(Outcome.REFUSED, codes=(-4403, -4400), markets=_FUTURES),  # trading rules: only reducing is allowed
    _Row(Outcome.REFUSED, codes=(-5043, -5021), markets=_FUTURES),  # fill-or-kill, post-only, price match
)

_CLOSED = frozenset({"-4108", "-4140", "-4141"})  # futures: settling or delivered, not to be opened, closed


def outcome(market: str, verb: Verb, status: int, failure: Failure) -> Outcome:
    """The first row that fits; UNKNOWN where none does.  ``status`` is HTTP's, or that of a `WsReply`."""
    said = failure.text.lower()
    for row in _TABLE:
        if (
            market in row.markets
            and (row.verb is None or row.verb == verb)
            and (row.statuses is None or row.statuses[0] <= status <= row.statuses[1])
            and (row.codes is None or row.codes[0] <= failure.code <= row.codes[1])
            and row.text in said
        ):
            return row.outcome
    return Outcome.UNKNOWN


def says_closed(market: str, code: str, reason: str) -> bool:
    """Whether a refused order was refused for its instrument's status."""
    return "market is closed" in reason.lower() if market == "spot" else code in _CLOSED


def retry_after_s(headers: Mapping[str, str], failure: Failure) -> float | None:
    """Seconds for which the venue wants silence: by the header ``retry-after`` (names in lower case) or by
    the error of the WebSocket API; ``None`` where neither says, or says more than any ban lasts."""
    stated = whole(headers.get("retry-after", ""), DELAY_MAX_S)
    if stated is not None:
        return float(stated)
    wait_ms = failure.retry_after_ms
    return None if wait_ms is None or wait_ms > DELAY_MAX_S * 1000 else wait_ms / 1000
