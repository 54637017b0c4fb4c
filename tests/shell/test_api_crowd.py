"""The local API under bad manners: crowds, half a request, a client that hangs up, lines without end."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.model.facts import ModeOrdered
from bot.shell import connections, logs
from bot.shell.api import serve
from bot.shell.connections import MOST
from bot.shell.dialogue import Access
from tests.core.world import BTC
from tests.shell.live import Run, until

TOKEN = "correct-horse-battery"
READY = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ANSWERS = (b"HTTP/1.1 200 OK", b"HTTP/1.1 503 Service Unavailable")
WITHIN_S = 10.0


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """The log of the test, secrets cut out as in a run."""
    out, before = io.StringIO(), list(logging.getLogger().handlers)
    logs.configure(out, secrets=(TOKEN,))
    yield out
    logging.getLogger().handlers[:] = before
    structlog.reset_defaults()


def lines(said: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


def play(path: Path, scene: Callable[[Run, int], Coroutine[Any, Any, None]], *factory: Any) -> None:
    async def whole() -> None:
        run = Run(path)
        async with serve(run.daemon, Access(0, TOKEN)) as port:
            running = asyncio.ensure_future(run.daemon.run())
            try:
                await until(lambda: BTC in run.store.pairs)
                await scene(run, port)
            finally:
                run.daemon.stop("test", "over")
                assert (await running).clean

    with asyncio.Runner(loop_factory=factory[0] if factory else None) as runner:
        runner.run(whole())


async def asked(port: int, request: bytes) -> bytes:
    """The whole answer: whoever serves closes after one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), WITHIN_S)
    finally:
        writer.close()


@pytest.mark.parametrize("kind", ["plain", "uvloop"])
@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET /readyz HTTP/1.1\r\nHo",
        b"POST /api/v1/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n\r\n{",
        b"POST /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n\r\n{",
    ],
    ids=["nothing", "half a request", "half a body", "half a body for a probe"],
)
def test_a_crowd_that_asks_nothing_shuts_nobody_out(tmp_path: Path, kind: str, half: bytes) -> None:
    async def scene(run: Run, port: int) -> None:
        crowd = []
        for _ in range(400):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(half)
            crowd.append((reader, writer))
        assert (await asked(port, READY)).startswith(ANSWERS)
        for reader, _ in crowd[: 400 - MOST]:  # all but the bound were closed: their end is there to be read
            with suppress(ConnectionResetError):
                told = await asyncio.wait_for(reader.read(), WITHIN_S)
                assert told == b"" or told.startswith((b"HTTP/1.1 401", b"HTTP/1.1 405"))
        for _, writer in crowd:
            writer.close()

    factory = (pytest.importorskip("uvloop").new_event_loop,) if kind == "uvloop" else ()
    play(tmp_path / "j", scene, *factory)


def test_a_connection_ends_after_its_time_whatever_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LIFETIME_S", 0.2)

    async def scene(run: Run, port: int) -> None:
        head = f"POST /api/v1/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        for half in (b"", b"GET /read", (head + "Content-Length: 90\r\n\r\n{").encode()):
            with suppress(ConnectionResetError):
                assert await asked(port, half) == b""
        assert (await asked(port, READY)).startswith(ANSWERS)

    play(tmp_path / "j", scene)


def test_a_body_that_does_not_come_ends_its_request_and_an_operator_is_never_shut_out(tmp_path: Path) -> None:
    """Forty crowd with half a body and no token; each order of the operator is answered meanwhile."""
    half = b"POST /api/v1/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n"
    with_token = f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
    body = b'{"scope": "*", "reason": "a look", "actor": "me"}'
    order = f"POST /api/v1/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode()

    async def scene(run: Run, port: int) -> None:
        begun_s = asyncio.get_running_loop().time()
        answer = await asked(port, half + with_token + b"{")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"within 2 s" in answer
        assert asyncio.get_running_loop().time() - begun_s < WITHIN_S
        crowd = []
        for _ in range(40):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(half + b"\r\n{")
            crowd.append(writer)
            assert (await asked(port, order + with_token + body)).startswith(b"HTTP/1.1 200")
            assert (await asked(port, READY)).startswith(ANSWERS)
        for writer in crowd:
            writer.close()

    play(tmp_path / "j", scene)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("127.0.0.1", True), ("127.0.0.1:8080", True), ("localhost:1", True), ("[::1]:8080", True),
        ("evil.example", False), ("127.0.0.1.evil.example", False), ("", False),
    ],
)  # fmt: skip
def test_a_probe_is_answered_under_this_machine_s_names_alone(
    tmp_path: Path, path: str, host: str, is_open: bool
) -> None:
    async def scene(run: Run, port: int) -> None:
        answer = await asked(port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.startswith(ANSWERS if is_open else b"HTTP/1.1 403")

    play(tmp_path / "j", scene)


def test_three_thousand_requests_that_are_none_are_one_line(tmp_path: Path, said: io.StringIO) -> None:
    async def scene(run: Run, port: int) -> None:
        before = len(run.daemon.engine.store.pairs)
        for _ in range(100):
            found = await asyncio.gather(*(asked(port, b"\x16\x03 HTTP\r\n\r\n") for _ in range(30)))
            assert all(answer[9:12] == b"400" for answer in found if answer)
        assert (await asked(port, READY)).startswith(ANSWERS)
        assert len(run.daemon.engine.store.pairs) == before

    play(tmp_path / "j", scene)
    assert len(lines(said)) <= 2  # one a minute


def test_a_client_that_hangs_up_is_one_line_at_most(tmp_path: Path, said: io.StringIO) -> None:
    async def scene(run: Run, port: int) -> None:
        head = f"POST /api/v1/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((head + 'Content-Length: 90\r\n\r\n{"reason": ').encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await asked(port, READY)  # the server has heard of it by then
        assert not any(isinstance(fact, ModeOrdered) for fact in run.facts)

    play(tmp_path / "j", scene)
    assert len(lines(said)) <= 1
    assert "Traceback" not in said.getvalue()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" + bytes(40) + b"\r\n\r\n",
        b"GET /readyz HTTP/9.9\r\nHost: x\r\n\r\n",
    ],
    ids=["long line", "long header", "TLS", "version"],
)
def test_what_is_no_request_is_refused_in_one_line(
    tmp_path: Path, said: io.StringIO, request_bytes: bytes
) -> None:
    async def scene(run: Run, port: int) -> None:
        assert (await asked(port, request_bytes)).startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))

    play(tmp_path / "j", scene)
    assert len(lines(said)) <= 1
    assert "Traceback" not in said.getvalue()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", b"200"),
        (f"bearer {TOKEN}", b"200"),
        (f"BEARER   {TOKEN}", b"200"),
        (f"Basic {TOKEN}", b"401"),
        (f"Bearer{TOKEN}", b"401"),
        (TOKEN, b"401"),
        ("bearer", b"401"),
        (f"bearer {TOKEN.upper()}", b"401"),
        (f"bearer {TOKEN} {TOKEN}", b"401"),
    ],
)
def test_the_scheme_is_known_in_any_case_and_the_token_in_its_own(
    tmp_path: Path, header: str, status: bytes
) -> None:
    async def scene(run: Run, port: int) -> None:
        request = f"GET /api/v1/state HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\n\r\n"
        answer = await asked(port, request.encode())
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert TOKEN.encode() not in answer

    play(tmp_path / "j", scene)
