"""The outcome table: what an answer means for the request, and that silence about it means unknown."""

from __future__ import annotations

import pytest

from adapters.binance.outcomes import Outcome, Verb, outcome, retry_after_s
from adapters.binance.replies import Failure

UNKNOWN_TEXT = "Unknown error, please check your request or try again later."
THROTTLED_TEXT = "Request throttled by system-level protection. Please try again."
INTERNAL_TEXT = "Internal error; unable to process your request. Please try again."
HTML = Failure(0, "an HTML page")

ORDER_CASES = [
    # refused by the matching engine or before it
    ("spot", "place", 400, Failure(-2010, "Account has insufficient balance."), "REFUSED"),
    ("spot", "place", 400, Failure(-2010, "Order would immediately match and take."), "REFUSED"),
    ("spot", "place", 400, Failure(-1013, "Filter failure: NOTIONAL"), "REFUSED"),
    ("spot", "place", 400, Failure(-1010, "This action is disabled on this account."), "REFUSED"),
    ("spot", "place", 400, Failure(-1121, "Invalid symbol."), "REFUSED"),
    ("usdm", "place", 400, Failure(-2019, "Margin is insufficient."), "REFUSED"),
    ("usdm", "place", 400, Failure(-2022, "ReduceOnly Order is rejected."), "REFUSED"),
    ("usdm", "place", 400, Failure(-4164, "Order's notional must be no smaller than 100"), "REFUSED"),
    ("usdm", "place", 400, Failure(-5022, "the Post Only order will be rejected."), "REFUSED"),
    ("usdm", "place", 400, Failure(-4400, "only reduceOnly order is allowed"), "REFUSED"),
    ("coinm", "place", 400, Failure(-4131, "does not meet the PERCENT_PRICE filter limit."), "REFUSED"),
    # the same name twice
    ("spot", "place", 400, Failure(-2010, "Duplicate order sent."), "DUPLICATE"),
    ("usdm", "place", 400, Failure(-4116, "ClientOrderId is duplicated."), "DUPLICATE"),
    # cancels and queries
    ("spot", "cancel", 400, Failure(-2011, "Unknown order sent."), "GONE"),
    ("usdm", "cancel", 400, Failure(-2011, "Unknown order sent."), "GONE"),
    ("spot", "cancel", 400, Failure(-2011, "Order was not canceled due to cancel restrictions."), "REFUSED"),
    ("spot", "query", 400, Failure(-2013, "Order does not exist."), "NOT_FOUND"),
    ("coinm", "query", 400, Failure(-2013, "Order does not exist."), "NOT_FOUND"),
    ("spot", "query", 400, Failure(-2026, "Order was canceled or expired with no executed qty"), "NOT_FOUND"),
    # limits, clock, key
    ("spot", "place", 429, Failure(-1003, "Too much request weight used"), "THROTTLED"),
    ("spot", "place", 429, HTML, "THROTTLED"),
    ("usdm", "place", 418, Failure(-1003, "Way too many requests; IP banned"), "THROTTLED"),
    ("usdm", "place", 400, Failure(-1015, "Too many new orders."), "THROTTLED"),
    ("spot", "place", 400, Failure(-1021, "Timestamp outside of the recvWindow."), "CLOCK"),
    ("usdm", "place", 400, Failure(-5028, "outside of the ME recvWindow."), "CLOCK"),
    ("spot", "place", 400, Failure(-1022, "Signature for this request is not valid."), "DENIED"),
    ("usdm", "place", 401, Failure(-2015, "Invalid API-key, IP, or permissions for action."), "DENIED"),
    ("usdm", "read", 400, Failure(-2015, "Invalid API-key, IP, or permissions for action."), "DENIED"),
    ("spot", "place", 400, Failure(-2014, "API-key format invalid."), "DENIED"),
    ("spot", "place", 403, HTML, "DENIED"),
    ("spot", "read", 451, HTML, "DENIED"),
    # a server error is not one case
    ("spot", "place", 503, Failure(-1008, THROTTLED_TEXT), "UNKNOWN"),
    ("spot", "place", 500, Failure(-1000, "An unknown error occurred"), "UNKNOWN"),
    ("spot", "place", 503, Failure(-1001, INTERNAL_TEXT), "UNKNOWN"),
    ("spot", "place", 502, HTML, "UNKNOWN"),
    ("spot", "cancel", 504, HTML, "UNKNOWN"),
    ("usdm", "place", 503, Failure(-1008, THROTTLED_TEXT), "BUSY"),
    ("usdm", "place", 503, Failure(-1000, UNKNOWN_TEXT), "UNKNOWN"),
    ("usdm", "place", 503, Failure(0, UNKNOWN_TEXT), "UNKNOWN"),
    ("usdm", "place", 503, Failure(0, "Service Unavailable."), "BUSY"),
    ("coinm", "place", 503, Failure(-1001, INTERNAL_TEXT), "BUSY"),
    ("usdm", "place", 500, Failure(-1001, INTERNAL_TEXT), "UNKNOWN"),
    ("usdm", "place", 502, HTML, "UNKNOWN"),
    ("usdm", "place", 503, HTML, "UNKNOWN"),
    ("usdm", "place", 408, Failure(-1007, "Timeout waiting for response from backend server."), "UNKNOWN"),
    ("spot", "place", 400, Failure(-1006, "An unexpected response was received"), "UNKNOWN"),
    ("spot", "place", 400, Failure(-1007, "Timeout waiting for response from backend server."), "UNKNOWN"),
    ("spot", "place", 409, Failure(-2021, "Order cancel-replace partially failed."), "UNKNOWN"),
]  # fmt: skip


@pytest.mark.parametrize(("market", "verb", "status", "failure", "expected"), ORDER_CASES)
def test_an_answer_means_what_the_venue_vouches_for(
    market: str, verb: Verb, status: int, failure: Failure, expected: str
) -> None:
    assert outcome(market, verb, status, failure) is Outcome[expected]


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
@pytest.mark.parametrize("verb", ["place", "cancel"])
def test_what_is_not_listed_is_unknown(market: str, verb: Verb) -> None:
    for status in (200, 302, 400, 404, 409, 500, 599):
        for code in (0, 1, -999, -1146, -1147, -2029, -3000, -4500, -6000, -9999):
            assert outcome(market, verb, status, Failure(code, "something new")) is Outcome.UNKNOWN


def test_an_order_is_never_said_to_be_refused_by_a_word_for_another_verb() -> None:
    assert outcome("spot", "place", 400, Failure(-2013, "Order does not exist.")) is Outcome.UNKNOWN
    assert outcome("spot", "place", 400, Failure(-2011, "Unknown order sent.")) is Outcome.UNKNOWN
    assert outcome("spot", "cancel", 400, Failure(-2010, "Duplicate order sent.")) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("headers", "failure", "seconds"),
    [
        ({"retry-after": "7"}, HTML, 7.0),
        ({"retry-after": "7"}, Failure(-1003, "", 90_000), 7.0),
        ({}, Failure(-1003, "", 1_500), 1.5),
        ({}, HTML, None),
        ({"retry-after": "Fri, 20 Nov 2026 18:00:00 GMT"}, HTML, None),
        ({"retry-after": "-1"}, HTML, None),
    ],
)
def test_the_silence_a_venue_wants_is_read(
    headers: dict[str, str], failure: Failure, seconds: float | None
) -> None:
    assert retry_after_s(headers, failure) == seconds
