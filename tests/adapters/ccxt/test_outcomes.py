"""Every exception of ccxt, and what it means for an order on its way."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from adapters.ccxt import codes
from adapters.ccxt.exchange import BY_CLIENT_ID, library
from adapters.ccxt.outcomes import TABLE, Attempt, Verdict, said, verdict
from tests.adapters.ccxt.rows import FOLDER, names, rows, text

REFUSED_AT_400 = {
    "AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended", "ArgumentsRequired",
    "BadRequest", "BadSymbol", "OperationRejected", "NoChange", "MarginModeAlreadySet", "MarketClosed",
    "ManualInteractionNeeded", "RestrictedLocation", "InsufficientFunds", "InvalidAddress", "AddressPending",
    "InvalidOrder", "OrderImmediatelyFillable", "OrderNotFillable", "ContractUnavailable", "NotSupported",
    "InvalidProxySettings", "InvalidNonce",
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
    found = verdict(tree()[name]("x"), Attempt(left=True, status=400, body="{}"), "binance")
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
    assert (
        verdict(tree()[name]("x"), Attempt(left=True, status=status, body="{}"), "binance")
        is Verdict.UNCERTAIN
    )


@pytest.mark.parametrize("name", TABLE)
def test_what_never_left_is_refused(name: str) -> None:
    assert verdict(tree()[name]("x"), Attempt(), "binance") is Verdict.REFUSED


@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_is_uncertain_under_200_too(name: str) -> None:
    assert (
        verdict(tree()[name]("x"), Attempt(left=True, status=200, body="{}"), "binance") is Verdict.UNCERTAIN
    )


def answer(status: int, body: str) -> Attempt:
    return Attempt(left=True, status=status, body=body)


@pytest.mark.parametrize("name", names())
def test_a_4xx_alone_vouches_for_nothing(name: str) -> None:
    for body in ("", "{}", "<html>", "[1]"):
        assert verdict(library().ExchangeError("x"), answer(400, body), name) is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    ("exchange", "status", "expected"),
    [
        ("binance", 400, Verdict.REFUSED), ("binanceusdm", 400, Verdict.REFUSED),
        ("binance", 200, Verdict.UNCERTAIN), ("bitget", 400, Verdict.UNCERTAIN),
    ],
)  # fmt: skip
def test_an_error_without_a_class_is_refused_by_a_code_of_a_venue_that_vouches(
    exchange: str, status: int, expected: Verdict
) -> None:
    error = library().ExchangeError("x")
    assert verdict(error, answer(status, '{"code":-5999,"msg":"new"}'), exchange) is expected


@pytest.mark.parametrize(
    ("exchange", "kind", "body"),
    [
        ("kucoin", "BadRequest", '{"code":"408000","msg":"Network timeout, please try again later"}'),
        ("kucoin", "InvalidOrder", '{"code":"126044","msg":"clientOid duplicate"}'),
        ("coinsph", "InvalidOrder", '{"code":-1146,"msg":"Order creation timeout"}'),
        ("coinsph", "BadRequest", '{"code":-1001,"msg":"Internal error."}'),
        ("aster", "OperationRejected", '{"code":-1000,"msg":"UNKNOWN"}'),
        ("okx", "InvalidOrder", '{"code":"1","data":[{"sCode":"0","sMsg":"ID already exists."}]}'),
        ("okx", "InvalidOrder", '{"code":"1","data":[{"sCode":"51016","sMsg":""}]}'),
        ("bitget", "AuthenticationError", '{"code":"40010","msg":"Request timed out"}'),
        ("bitget", "ExchangeError", '{"code":"40725","msg":"service return an error"}'),
        ("bitget", "ExchangeError", '{"code":"45001","msg":"Unknown error"}'),
        ("bitget", "ExchangeError", '{"code":"40015","msg":"System is abnormal, please try again later"}'),
        ("phemex", "ExchangeError", '{"code":10500,"msg":"OM_DATABASE_ERROR"}'),
        ("paradex", "ExchangeError", '{"error":"INTERNAL_ERROR","message":"x"}'),
        ("binance", "InvalidOrder", '{"code":-2010,"msg":"Duplicate order sent."}'),
        ("binanceusdm", "InvalidOrder", '{"code":-4116,"msg":"ClientOrderId is duplicated."}'),
        ("woofipro", "BadRequest", '{"success":false,"code":-1012,"message":"rejected by internal module"}'),
    ],
)  # fmt: skip
def test_a_code_that_leaves_the_fate_of_an_order_open_refuses_nothing(
    exchange: str, kind: str, body: str
) -> None:
    assert verdict(tree()[kind]("x"), answer(400, body), exchange) is Verdict.UNCERTAIN
    assert verdict(tree()[kind]("x"), answer(200, body), exchange) is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        ("okx", '{"code":"1","data":[{"sCode":"50028","sMsg":"Unable to take the order"}]}'),
        ("okx", '{"code":"1","data":[{"sCode":"51025","sMsg":"Order count exceeds the limit"}]}'),
        ("bitget", '{"code":"32020","msg":"the price is not in the range of the price limit"}'),
        ("kucoin", '{"code":"126009","msg":"Trading pair is suspended from creating orders"}'),
        ("phemex", '{"code":11023,"msg":"TE_REJECT_DUE_TO_IN_PROCESS_OF_LIQ"}'),
    ],
)
def test_a_definite_refusal_without_a_class_is_one(exchange: str, body: str) -> None:
    for status in (200, 400):
        assert verdict(library().ExchangeError("x"), answer(status, body), exchange) is Verdict.REFUSED


def test_a_rate_limit_that_ccxt_has_no_class_for_is_one() -> None:
    body = '{"code":"1","data":[{"sCode":"50061","sMsg":"maximum order rate"}]}'
    assert verdict(library().ExchangeError("x"), answer(200, body), "okx") is Verdict.THROTTLED


# --- every row ------------------------------------------------------------------------------------------


OPEN = re.compile(
    r"time.?out|timed out|internal (server )?error|unknown (error|status)|status unknown|does not indicate"
    r"|system.{0,9}(abnormal|error|exception|busy)|disconnect|not connect"
    r"|duplicated? (client )?(order|request)|order ?id duplic",
    re.IGNORECASE,
)  # of an order's fate, in the venue's words


@pytest.mark.parametrize("name", names())
def test_every_row_of_ccxt_s_exceptions_was_read(name: str) -> None:
    """Where this fails after an upgrade of ccxt: see `rows`."""
    assert text(name) == (FOLDER / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", names())
def test_no_row_whose_words_leave_it_open_is_a_refusal(name: str) -> None:
    found = [row for row in rows(name) if OPEN.search(f"{row.code} {row.words}")]
    assert {row.verdict for row in found} <= {Verdict.UNCERTAIN, Verdict.THROTTLED}, found


def test_rows_are_read_with_their_words_and_most_of_them_are_definite() -> None:
    found = [row for name in names() for row in rows(name)]
    assert len(found) > 2_000
    assert sum(bool(row.words) for row in found) > 1_500
    assert sum(row.verdict is Verdict.REFUSED for row in found) > 0.7 * len(found)
    assert sum(bool(OPEN.search(f"{row.code} {row.words}")) for row in found) > 20


def test_every_code_that_is_listed_is_of_an_exchange_that_may_trade() -> None:
    listed = (codes.UNCERTAIN, codes.REFUSED, codes.THROTTLED)
    assert {name for table in listed for name in table} | codes.VOUCHING <= BY_CLIENT_ID
    for name in codes.REFUSED:
        assert not codes.REFUSED[name] & codes.UNCERTAIN[name]


def test_a_class_that_ccxt_adds_is_what_its_parent_is() -> None:
    newer = type("TooSoon", (library().InvalidOrder,), {})
    assert verdict(newer("x"), Attempt(left=True, status=400, body="{}"), "binance") is Verdict.REFUSED
    stranger = type("Stranger", (library().BaseError,), {})
    assert verdict(stranger("x"), Attempt(left=True, status=400, body="{}"), "binance") is Verdict.UNCERTAIN


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
