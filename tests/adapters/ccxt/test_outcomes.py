"""Every exception of ccxt, and what it means for an order on its way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.ccxt.exchange import library
from adapters.ccxt.outcomes import TABLE, Attempt, Verdict, said, verdict

REFUSED_AT_400 = {
    "AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended", "ArgumentsRequired",
    "BadRequest", "BadSymbol", "OperationRejected", "NoChange", "MarginModeAlreadySet", "MarketClosed",
    "ManualInteractionNeeded", "RestrictedLocation", "InsufficientFunds", "InvalidAddress", "AddressPending",
    "InvalidOrder", "OrderImmediatelyFillable", "OrderNotFillable", "ContractUnavailable", "NotSupported",
    "InvalidProxySettings", "InvalidNonce", "ExchangeError",
}  # fmt: skip
THROTTLED_AT_400 = {"DDoSProtection", "RateLimitExceeded", "OnMaintenance"}
LOST = (
    "NetworkError",
    "RequestTimeout",
    "OperationFailed",
    "ExchangeNotAvailable",
    "BadResponse",
    "NullResponse",
)


def tree() -> dict[str, type[Exception]]:
    """Every exception class that ccxt exports."""
    root = library().BaseError

    def below(one: type[Exception]) -> Iterator[type[Exception]]:
        yield one
        for child in one.__subclasses__():
            if child.__module__.startswith("ccxt."):
                yield from below(child)

    return {one.__name__: one for one in below(root)}


def test_the_table_has_every_class_of_ccxt_and_no_other() -> None:
    assert set(TABLE) == set(tree())


@pytest.mark.parametrize("name", TABLE)
def test_what_each_class_means_when_the_venue_answered_400(name: str) -> None:
    found = verdict(tree()[name]("x"), Attempt(left=True, status=400, body="{}"))
    if name in REFUSED_AT_400:
        assert found is Verdict.REFUSED
    elif name in THROTTLED_AT_400:
        assert found is Verdict.THROTTLED
    elif name == "OrderNotFound":
        assert found is Verdict.NOT_FOUND
    else:
        assert found is Verdict.UNCERTAIN


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("status", [0, 408, 500, 502, 503, 504])
def test_no_answer_and_a_servers_failure_vouch_for_nothing(name: str, status: int) -> None:
    assert verdict(tree()[name]("x"), Attempt(left=True, status=status, body="{}")) is Verdict.UNCERTAIN


@pytest.mark.parametrize("name", TABLE)
def test_what_never_left_is_refused(name: str) -> None:
    assert verdict(tree()[name]("x"), Attempt()) is Verdict.REFUSED


@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_is_uncertain_under_200_too(name: str) -> None:
    assert verdict(tree()[name]("x"), Attempt(left=True, status=200, body="{}")) is Verdict.UNCERTAIN


def test_an_error_without_a_name_is_refused_by_a_4xx_alone() -> None:
    error = library().ExchangeError("binance {}")
    assert verdict(error, Attempt(left=True, status=400, body="{}")) is Verdict.REFUSED
    assert verdict(error, Attempt(left=True, status=200, body="{}")) is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    "body",
    ['{"code":-2010,"msg":"Duplicate order sent."}', '{"code":-4116,"msg":"ClientOrderId is duplicated."}'],
)
def test_a_duplicate_says_that_an_order_of_the_name_lives(body: str) -> None:
    assert (
        verdict(library().InvalidOrder("x"), Attempt(left=True, status=400, body=body)) is Verdict.UNCERTAIN
    )


def test_a_class_that_ccxt_adds_is_what_its_parent_is() -> None:
    newer = type("TooSoon", (library().InvalidOrder,), {})
    assert verdict(newer("x"), Attempt(left=True, status=400, body="{}")) is Verdict.REFUSED
    stranger = type("Stranger", (library().BaseError,), {})
    assert verdict(stranger("x"), Attempt(left=True, status=400, body="{}")) is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"code":-2019,"msg":"Margin is insufficient."}', ("-2019", "Margin is insufficient.")),
        ('{"retCode":110007,"retMsg":"not enough"}', ("110007", "not enough")),
        ('{"label":"BALANCE_NOT_ENOUGH","message":"no"}', ("BALANCE_NOT_ENOUGH", "no")),
        ("<html>", ("InvalidOrder", "HTTP 400")),
        ("[1]", ("InvalidOrder", "HTTP 400")),
        ("", ("InvalidOrder", "HTTP 400")),
    ],
)
def test_a_refusal_speaks_in_the_venues_words(body: str, expected: tuple[str, str]) -> None:
    assert said(library().InvalidOrder("x"), Attempt(left=True, status=400, body=body)) == expected


def test_what_ccxt_says_of_a_request_that_left_is_never_repeated() -> None:
    error = library().RequestTimeout("binance POST https://host/order?signature=abc")
    assert said(error, Attempt(left=True)) == ("RequestTimeout", "no answer")
    error.__cause__ = OSError("no route")
    assert said(error, Attempt()) == ("RequestTimeout", "nothing was sent")
