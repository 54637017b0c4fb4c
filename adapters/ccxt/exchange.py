"""One exchange of ccxt, opened as a trading bot needs it.

ccxt's own class does the talking.  Four things about it are changed, and nothing else: numbers stay the text
that the venue wrote, so that money is exact; orders go out as they were admitted, never rounded on the way;
its rate limiter, whose queue would delay an order unseen, makes room for our budget, under which reads wait
and sends are refused at once; and what happened on the wire to a send is kept for `outcomes.verdict`.  ccxt
repeats no request (``maxRetriesOnFailure`` 0); where its code cannot do with text, an answer is unreadable.
What must stay true: one send is one request.

Source: ccxt 4.5.90, `async_support/base/exchange.py` (2026-11-20).
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from math import ceil
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from adapters.ccxt.outcomes import Attempt, said
from adapters.errors import FeedError
from adapters.ratelimit import Limit, RateBudget
from bot.ports import Clock

Exchange = Any  # ccxt's classes carry no types that a checker could use
_Row = TypeVar("_Row")
OnThrottled = Callable[[int, int], None]  # HTTP status, until when

# what ccxt's parsers raise on an answer they do not know
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
_UNITS = 10  # of the budget, in one of ccxt's cost
_MINUTE_MS = 60_000

# Classes whose `fetch_order` takes ``clientOrderId`` in place of the venue's id, for all families, and whose
# venues take ids such as ours; read from ccxt 4.5.90.  Nothing else can settle an uncertain order, so nothing
# else may trade.  Read and left out: bybit (by its own id only), mexc and htx (spot only), woo (numbers),
# coinbaseexchange (UUIDs).
BY_CLIENT_ID = frozenset(
    {"aster", "binance", "binanceusdm", "binancecoinm", "binanceus", "bitget", "coinsph", "kucoin", "okx"}
    | {"paradex", "phemex", "woofipro"}
)


class BookCheck(Enum):
    """Why a class's book can be believed."""

    CHECKED = "checked"  # the class raises where an update is missing
    WHOLE = "whole"  # each message holds the whole book, so that none can be missed
    UNCHECKED = "unchecked"  # an update that is missing goes unnoticed


class BookStream(Struct, frozen=True):
    """The book that is asked for: ``limit`` levels where that makes it whole, else as the class likes."""

    check: BookCheck
    limit: int | None = None


# Who checks its book, by class: a test drives each class's own handler with an update left out.  Those that
# are not here and stream their books are unchecked; a book that is polled is whole.
BOOK_STREAMS: Mapping[str, BookStream] = {
    **dict.fromkeys(
        ("binance", "binanceusdm", "binancecoinm", "binanceus", "okx"), BookStream(BookCheck.CHECKED)
    ),
    **dict.fromkeys(("aster", "paradex", "woofipro"), BookStream(BookCheck.WHOLE)),
    "bitget": BookStream(BookCheck.WHOLE, 15),
    "kucoin": BookStream(BookCheck.WHOLE, 50),
}

# Classes that do at the venue what nobody has ordered.
UNSAFE = {
    "hyperliquid": "its class approves a builder's fee on chain and adds one to every order",
    "bybit": "its class asks the venue twice within the first send",
}


class Send(Struct):
    """One order or cancel on its way; ``urgent`` may use the part of the budget kept for exits."""

    attempt: Attempt
    urgent: bool


# ccxt compares a snapshot of positions as floats, which text is not; reports say them anyway
_OPTIONS = {
    "maxRetriesOnFailure": 0,
    "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
}
SENDING: ContextVar[Send | None] = ContextVar("SENDING", default=None)


class Unreadable(Exception):
    """The venue answered, and ccxt could not make sense of it."""


class Unaffordable(Exception):
    """The rate budget has no room for this send; nothing left."""


class Access(Struct, frozen=True, kw_only=True):
    """How to reach an exchange.

    ``name`` is ccxt's, ``credentials`` its words for them (``apiKey``, ``secret``, ``password`` …), empty for
    public data alone.  ``is_demo`` takes the venue's own trial hosts.  ``urls`` and ``options`` are laid over
    the class's own; without ``allow_remote`` nothing but loopback hosts is talked to.
    """

    name: str
    credentials: Mapping[str, str] = {}
    urls: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    is_demo: bool = False
    allow_remote: bool = True

    def __repr__(self) -> str:
        return f"Access({self.name!r})"  # never the credentials

    @property
    def may_trade(self) -> bool:
        return bool(self.credentials) and not why_not_traded(self.name)


@contextmanager
def sending(send: Send) -> Iterator[None]:
    """Have the requests of this block watched as one send."""
    token = SENDING.set(send)
    try:
        yield
    finally:
        SENDING.reset(token)


async def answered(question: Awaitable[Any]) -> Any:
    """ccxt's answer to a question.  Raises `failures`, of which what its parsers raise is made one."""
    try:
        return await question
    except UNREADABLE as error:
        raise Unreadable(type(error).__name__) from error


def read_rows(told: Iterable[Any], make: Callable[[Any], _Row], unread: list[tuple[Any, str]]) -> list[_Row]:
    """What each row of a list becomes, those left out that cannot be read: they are added to ``unread``, with
    a name of what is wrong with them."""
    found: list[_Row] = []
    for row in told:
        try:
            found.append(make(row))
        except UNREADABLE as error:
            unread.append((row, type(error).__name__))
    return found


def failures() -> tuple[type[Exception], ...]:
    """What a question through ccxt may fail with."""
    return (library().BaseError, Unreadable)


def unanswered() -> tuple[type[Exception], ...]:
    """`failures`, and what a reader of ours raises on an answer that ccxt took for a good one."""
    return (*failures(), *UNREADABLE)


def may_pass(error: BaseException) -> bool:
    """Whether a question that failed so may be answered later: nobody answered, or nothing readable."""
    return isinstance(error, (library().OperationFailed, Unreadable))


def is_denied(error: BaseException | None) -> bool:
    """Whether the exchange refuses whoever asks, so that asking again helps nobody."""
    return isinstance(error, library().AuthenticationError)


def worded(error: BaseException) -> str:
    """A failed question in the venue's words where it answered, else by ccxt's name of it: the rest of what
    ccxt says may hold a URL, and so a signature."""
    text = str(error)
    answer = Attempt(left=True, body=text[text.find("{") :])
    return " ".join(said(error, answer))


def reason_of(error: BaseException) -> str:
    """The same, with what the network said where nobody answered: the host, and why it cannot be reached."""
    cause = error.__cause__
    if isinstance(cause, OSError):  # aiohttp's and the socket's own, which name a host and no URL
        return f"{type(error).__name__}: {cause}"
    return worded(error)


def library() -> Any:
    """ccxt with its exceptions; imported here because it costs most of a second and 95 MB."""
    return importlib.import_module("ccxt.pro")


def open_exchange(access: Access, clock: Clock, budget: RateBudget, on_throttled: OnThrottled) -> Exchange:
    """An exchange for orders and money: with keys, numbers as text.  Raises `FeedError` for a wrong name."""
    exchange = _opened(access, {**access.credentials}, clock, budget)
    exchange.on_throttled = on_throttled
    exchange.number = str
    budget.learn((Limit("REQUEST_WEIGHT", "MINUTE", 1, round(_MINUTE_MS / exchange.rateLimit * _UNITS)),))
    return exchange


def open_books(access: Access, clock: Clock, budget: RateBudget) -> Exchange:
    """An exchange for books alone: without keys, numbers as floats.  Raises `FeedError` for a wrong name."""
    return _opened(access, {}, clock, budget)


def capability(name: str) -> str:
    """What can be done on an exchange through its class, in words, for a person who chooses one.

    Raises `FeedError` for a wrong name.
    """
    has: Mapping[str, Any] = _class_of(name)().has
    is_checked = book_stream_of(name).check is not BookCheck.UNCHECKED
    unsure = "" if is_checked else ", of which a missing update goes unnoticed"
    books = f"books by {_way(has, 'watchOrderBook')}{unsure}, {'' if has['watchTrades'] else 'no '}trades"
    why = why_not_traded(name)
    if why:
        return f"{books}; market data alone, since {why}"
    funding = "" if has["fetchFundingHistory"] else "no "
    return (
        f"{books}, orders by request, private events by {_way(has, 'watchOrders', 'watchMyTrades')}, "
        f"{funding}funding history"
    )


def why_not_traded(name: str) -> str:
    """Why no order goes to an exchange through its class; empty where it may."""
    if name in UNSAFE:
        return UNSAFE[name]
    if name not in BY_CLIENT_ID:
        return "its class in ccxt looks no order up by client id"
    if book_stream_of(name).check is BookCheck.UNCHECKED:
        return "its class in ccxt takes a missing update of a book silently"
    return ""


def book_stream_of(name: str) -> BookStream:
    """The book that a class is asked for, and who vouches for it.  Raises `FeedError` for a wrong name."""
    told = BOOK_STREAMS.get(name)
    if told is not None:
        return told
    return BookStream(BookCheck.UNCHECKED if _class_of(name)().has["watchOrderBook"] else BookCheck.WHOLE)


def _way(has: Mapping[str, Any], *streams: str) -> str:
    return "stream" if all(has[stream] for stream in streams) else "request"


def _class_of(name: str) -> Any:
    streaming, asking = library(), importlib.import_module("ccxt.async_support")
    if name not in asking.exchanges:
        raise FeedError(f"ccxt knows no exchange {name!r}; check the first part of the pairs' names")
    return getattr(streaming if name in streaming.exchanges else asking, name)


def _opened(access: Access, credentials: dict[str, Any], clock: Clock, budget: RateBudget) -> Exchange:
    base = _class_of(access.name)
    options = {**_OPTIONS, **access.options}
    bounded = type(base.__name__, (Wire, base), {})  # ccxt goes by the name
    exchange: Exchange = bounded({**credentials, "enableRateLimit": False, "options": options})
    if access.is_demo and "demo" in exchange.urls:  # Binance's futures refuse ccxt's sandbox mode
        exchange.enable_demo_trading(True)
    elif access.is_demo:
        exchange.set_sandbox_mode(True)
    exchange.urls = exchange.deep_extend(exchange.urls, access.urls)
    exchange.our_clock, exchange.budget, exchange.allow_remote = clock, budget, access.allow_remote
    exchange.hosts = {}
    return exchange


_Class: Any = object  # some class of ccxt, by the time one is made


class Wire(_Class):  # type: ignore[misc]
    """The changes of the module head, laid over a class of ccxt by `_opened`."""

    logger = logging.Logger("ccxt", logging.CRITICAL)  # ccxt's own would write headers and signatures
    our_clock: Clock
    budget: RateBudget
    allow_remote = True
    hosts: dict[str, None]  # that were asked, in that order
    on_throttled: OnThrottled | None = None

    async def fetch2(
        self, path: Any, api: Any = "public", method: Any = "GET", params: Any = None, config: Any = None
    ) -> Any:
        params, config = params or {}, config or {}
        cost = ceil(self.calculate_rate_limiter_cost(api, method, path, params, config) * _UNITS)
        send = SENDING.get()
        while wait_ns := self.budget.allow(cost, send is not None and send.urgent, self.our_clock.now_ns()):
            if send is not None:
                raise Unaffordable
            await asyncio.sleep(wait_ns / 1e9)
        return await super().fetch2(path, api, method, params, config)

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        _check(url, self.allow_remote)
        self.hosts.setdefault(urlsplit(url).netloc)
        send = SENDING.get()
        attempt = Attempt() if send is None else send.attempt
        attempt.left, attempt.status, attempt.body = True, 0, ""
        try:
            return await super().fetch(url, method, headers, body)
        except library().BaseError as error:
            unsent = (importlib.import_module("aiohttp").ClientConnectorError, socket.gaierror)
            attempt.left = attempt.status != 0 or not isinstance(error.__cause__, unsent)
            raise

    def on_rest_response(self, code: int, *answer: Any) -> Any:
        _, _, _, headers, body, *_ = answer
        send = SENDING.get()
        if send is not None:
            send.attempt.status, send.attempt.body = code, body
        waits = {name.lower(): value for name, value in headers.items() if name.lower() == "retry-after"}
        until_ns = self.budget.saw_reply(code, waits, self.our_clock.now_ns())
        if until_ns is not None and self.on_throttled is not None:
            self.on_throttled(code, until_ns)
        return super().on_rest_response(code, *answer)

    def on_json_response(self, text: str) -> Any:
        return json.loads(text, parse_float=str)

    def client(self, url: str) -> Any:
        _check(url, self.allow_remote)
        return super().client(url)

    def amount_to_precision(self, symbol: Any, amount: Any) -> Any:
        return amount

    def price_to_precision(self, symbol: Any, price: Any) -> Any:
        return price


def _check(url: str, allow_remote: bool) -> None:
    """Raises `FeedError` before anything leaves a machine that it must not leave."""
    parts = urlsplit(url)
    if allow_remote or not parts.netloc:
        return
    try:
        is_local = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_local = parts.hostname == "localhost"
    if not is_local:
        raise FeedError(f"{parts.hostname} is not this machine; a rehearsal talks to loopback hosts only")
