"""What is changed about ccxt's own class: the wire of a send, the budget, the numbers, the hosts."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from adapters.ccxt.exchange import (
    BY_CLIENT_ID,
    Access,
    Send,
    Unaffordable,
    Unreadable,
    answered,
    capability,
    library,
    may_pass,
    open_books,
    open_exchange,
    sending,
    worded,
)
from adapters.ccxt.outcomes import Attempt, Verdict, verdict
from adapters.errors import FeedError
from adapters.ratelimit import RateBudget

Served = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


class Clock:
    def now_ns(self) -> int:
        return 1_700_000_000_000_000_000


@asynccontextmanager
async def server(answer: Served) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer, access_log=None))  # type: ignore[arg-type]
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(root: str, throttled: list[tuple[int, int]] | None = None) -> AsyncIterator[Any]:
    """ccxt's binance whose public requests go to ``root``, with an exhaustible budget."""
    heard = [] if throttled is None else throttled
    urls = {"api": {"public": f"{root}/api/v3", "private": f"{root}/api/v3"}}
    access = Access(name="binance", credentials={"apiKey": "k", "secret": "s"}, urls=urls, allow_remote=False)
    exchange = open_exchange(access, Clock(), RateBudget("binance"), lambda *told: heard.append(told))
    try:
        yield exchange
    finally:
        await exchange.close()


def ran(story: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await story

    asyncio.run(main())


def test_a_connection_that_was_never_made_sent_nothing() -> None:
    async def story() -> None:
        async with server(lambda _: answer_json("{}")) as root:
            pass  # the port is free again
        async with opened(root) as exchange:
            send = Send(Attempt(), urgent=False)
            with sending(send), pytest.raises(library().ExchangeNotAvailable) as error:
                await exchange.private_post_order({"symbol": "BTCUSDT"})
            assert not send.attempt.left
            assert verdict(error.value, send.attempt, "binance") is Verdict.REFUSED

    ran(story())


def test_a_connection_that_was_cut_may_have_sent_it_once() -> None:
    asked = []

    async def cut(request: web.Request) -> web.StreamResponse:
        asked.append(await request.text())
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def story() -> None:
        async with server(cut) as root, opened(root) as exchange:
            send = Send(Attempt(), urgent=False)
            with sending(send), pytest.raises(library().NetworkError) as error:
                await exchange.private_post_order({"symbol": "BTCUSDT"})
            assert send.attempt.left
            assert verdict(error.value, send.attempt, "binance") is Verdict.UNCERTAIN
        assert len(asked) == 1

    ran(story())


async def answer_json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def test_a_refusal_is_kept_as_it_was_written() -> None:
    body = '{"code":-1013,"msg":"Filter failure: LOT_SIZE"}'

    async def story() -> None:
        async with server(lambda _: answer_json(body, 400)) as root, opened(root) as exchange:
            send = Send(Attempt(), urgent=False)
            with sending(send), pytest.raises(library().InvalidOrder) as error:
                await exchange.private_post_order({"symbol": "BTCUSDT"})
            assert (send.attempt.status, send.attempt.body) == (400, body)
            assert verdict(error.value, send.attempt, "binance") is Verdict.REFUSED

    ran(story())


def test_a_send_that_does_not_fit_the_budget_leaves_nothing_and_waits_for_nothing() -> None:
    asked = []

    async def count(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await answer_json("{}")

    async def story() -> None:
        async with server(count) as root, opened(root) as exchange:
            exchange.budget.block(Clock().now_ns() + 10**12)
            with sending(Send(Attempt(), urgent=True)), pytest.raises(Unaffordable):
                await exchange.private_post_order({"symbol": "BTCUSDT"})
        assert asked == []

    ran(story())


def test_a_throttling_answer_is_told_with_its_end() -> None:
    told: list[tuple[int, int]] = []
    body = '{"code":-1003,"msg":"Too many requests."}'

    async def story() -> None:
        async with (
            server(lambda _: answer_json(body, 429, {"Retry-After": "3"})) as root,
            opened(root, told) as exchange,
        ):
            with pytest.raises(library().DDoSProtection):
                await exchange.public_get_time()
        assert told == [(429, Clock().now_ns() + 3_000_000_000)]

    ran(story())


def test_numbers_of_an_answer_stay_text() -> None:
    text = '{"a":0.12345678901234567890,"b":[1.10],"c":7}'

    async def story() -> None:
        async with server(lambda _: answer_json(text)) as root, opened(root) as exchange:
            assert await exchange.public_get_time() == {"a": "0.12345678901234567890", "b": ["1.10"], "c": 7}
            assert exchange.parse_number("0.12345678901234567890") == "0.12345678901234567890"
            assert exchange.amount_to_precision("BTC/USDT", "0.123456789") == "0.123456789"

    ran(story())


def test_nothing_but_this_machine_is_talked_to_unless_allowed() -> None:
    async def story() -> None:
        access = Access(name="binance", allow_remote=False)
        exchange = open_books(access, Clock(), RateBudget("binance"))
        try:
            with pytest.raises(FeedError, match=r"api\.binance\.com"):
                await exchange.fetch_time()
            with pytest.raises(FeedError, match=r"stream\.binance\.com"):
                exchange.client("wss://stream.binance.com:9443/ws/0")
        finally:
            await exchange.close()

    ran(story())


def test_trial_hosts_are_the_venues_own() -> None:
    async def story() -> None:
        exchange = open_books(Access(name="binanceusdm", is_demo=True), Clock(), RateBudget("binance"))
        try:
            assert exchange.urls["api"]["fapiPrivate"].startswith("https://demo-fapi.binance.com")
        finally:
            await exchange.close()

    ran(story())


def test_keys_and_signatures_are_written_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with server(lambda _: answer_json("{}")) as root, opened(root) as exchange:
            await exchange.private_get_account()
            exchange.logger.debug("a word of ccxt")

    with caplog.at_level(logging.DEBUG):
        ran(story())
    assert "signature" not in caplog.text
    assert "a word of ccxt" not in caplog.text
    access = Access(name="binance", credentials={"apiKey": "hidden", "secret": "hidden"})
    assert "hidden" not in repr(access)


def test_an_unknown_exchange_is_named() -> None:
    with pytest.raises(FeedError, match="nosuch"):
        open_books(Access(name="nosuch"), Clock(), RateBudget("nosuch"))


def test_an_answer_that_ccxt_cannot_read_is_one_kind_of_failure() -> None:
    async def broken() -> None:
        raise KeyError("x")

    async def story() -> None:
        with pytest.raises(Unreadable, match="KeyError"):
            await answered(broken())

    ran(story())


def test_what_an_exchange_can_do_is_said_in_words() -> None:
    assert "books by stream, trades, orders by request" in capability("okx")
    assert "market data alone" in capability("kraken")
    with pytest.raises(FeedError, match="'nowhere'"):
        capability("nowhere")


def test_a_failed_question_is_told_without_its_url() -> None:
    told = library()
    refused = told.AuthenticationError('binance {"code":-2014,"msg":"API-key format invalid."}')
    assert worded(refused) == "-2014 API-key format invalid."
    lost = told.RequestTimeout("binance GET https://api.binance.com/sapi?signature=deadbeef")
    assert worded(lost) == "RequestTimeout no answer"
    assert [may_pass(one) for one in (refused, lost, Unreadable("KeyError"))] == [False, True, True]


@pytest.mark.parametrize("name", sorted(BY_CLIENT_ID))
def test_what_may_trade_looks_orders_up_by_our_name(name: str) -> None:
    base = getattr(library(), name, None) or getattr(__import__("ccxt.async_support").async_support, name)
    finders = [found for found in dir(base) if found.startswith("fetch_") and found.endswith("order")]
    assert any("clientOrderId" in inspect.getsource(getattr(base, found)) for found in finders)
