"""The local API: what the run is doing, and an operator's word to it.

It listens on 127.0.0.1 alone.  Health and readiness answer everybody, since a container engine has no token
and they tell no amounts; all else wants the bearer token.  An operator's order is a fact like any other: it
is answered when its row is on disk, with the number of that row.  What must stay true: no order is acted on
that the journal does not hold, no secret is ever part of an answer, and a page of another origin can do
nothing here, because it cannot send the token.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware
from msgspec import Struct

from bot.model.facts import AdoptionOrdered, ModeOrdered, OperatorFact, ResidualSettled
from bot.model.ids import AccountId, PairName
from bot.model.pair import Mode
from bot.model.store import Store
from bot.shell.connections import MOST, Connections, OneAMinute
from bot.shell.dialogue import (
    ADOPT,
    HOST,
    MODES,
    ORDER_PATH,
    READY_PATH,
    SETTLE,
    STATE_PATH,
    Access,
    Done,
    Readiness,
    Refusal,
    RunOver,
    Wish,
)
from bot.shell.logs import note
from bot.shell.metrics import render
from bot.shell.state import State, read_state
from risk.exposure import residual_base
from risk.watch import effective_mode

if TYPE_CHECKING:
    from bot.shell.daemon import Daemon

BODY_MAX = 4096
SILENT_S = 5.0  # a loop that has not ticked for so long is not well
OPEN_TO_ALL = frozenset({"/healthz", READY_PATH})
BODY_S = 2.0  # for a body to come after its head
HERE = frozenset({"127.0.0.1", "localhost", "::1"})

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiRefused(Exception):
    """The API cannot be served."""

    exit_code = 4


@asynccontextmanager
async def serve(daemon: Daemon, access: Access) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port.  Raises `ApiRefused` without a token or a free port."""
    if not access.token:
        raise ApiRefused("BASISBOT_API_TOKEN is not set, but BASISBOT_API_PORT is: the API wants a token")
    connections = Connections(lambda: _http(runner))
    application = _application(daemon, _guarded_by(access.token, connections))
    logger = logging.getLogger("basisbot.api")
    seldom = OneAMinute()
    logger.addFilter(seldom)
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=1.0, lingering_time=BODY_S, logger=logger
    )
    await runner.setup()
    try:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(connections, HOST, access.port, backlog=MOST)
        except OSError as failure:
            raise ApiRefused(
                f"port {access.port} of {HOST} cannot be had ({failure.strerror}): "
                "free it, or set BASISBOT_API_PORT to another"
            ) from failure
        try:
            if access.kept_in is not None:
                _keep(access.token, access.kept_in)
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()
        logger.removeFilter(seldom)


def _keep(token: str, path: Path) -> None:
    """Put a token where its owner alone can read it.  Raises `ApiRefused`."""
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(token, encoding="utf-8")
    except OSError as failure:
        raise ApiRefused(
            f"{path} cannot be written ({failure.strerror}): the API's token is kept there"
        ) from failure
    note("token of the local API made", {"file": str(path), "variable": "BASISBOT_API_TOKEN_FILE"})


def _http(runner: web.AppRunner) -> asyncio.Protocol:
    assert runner.server is not None
    return runner.server()


def _application(daemon: Daemon, guard: Middleware) -> web.Application:
    desk = _Desk(daemon)
    application = web.Application(client_max_size=BODY_MAX, middlewares=[guard])
    application.router.add_get("/healthz", desk.health)
    application.router.add_get(READY_PATH, desk.readiness)
    application.router.add_get("/metrics", desk.metrics)
    application.router.add_get(STATE_PATH, desk.state)
    for name in (*MODES, ADOPT, SETTLE):
        application.router.add_post(ORDER_PATH + name, desk.order)
    return application


def _guarded_by(token: str, connections: Connections) -> Middleware:
    expected = token.encode()

    async def answered(request: web.Request, handler: Next) -> web.StreamResponse:
        if request.path not in OPEN_TO_ALL:
            # the scheme in capitals or not, one space or more (RFC 9110, 11.1 and 11.4)
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            is_known = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), expected)
            if scheme.lower() != "bearer" or not is_known:
                return _answer(401, Refusal("this needs the token of BASISBOT_API_TOKEN as a bearer token"))
            connections.know(request.transport)
        elif urlsplit(f"//{request.host}").hostname not in HERE:
            return _answer(403, Refusal(f"{request.path} answers on this machine alone: ask 127.0.0.1"))
        try:
            return await handler(request)
        except web.HTTPException as failure:
            if failure.status >= 400:
                return _answer(failure.status, Refusal(failure.reason))
            raise

    @web.middleware
    async def guard(request: web.Request, handler: Next) -> web.StreamResponse:
        response = await answered(request, handler)
        response.force_close()
        return response

    return guard


class _Desk:
    """The answers, one for each path."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def health(self, _: web.Request) -> web.Response:
        """Whether the process lives: its loop ticks, and its journal takes rows."""
        daemon = self._daemon
        age_s = (daemon.clock.now_ns() - daemon.vitals.ticked_ns) / 1e9 if daemon.vitals.ticked_ns else 0.0
        well = age_s <= SILENT_S
        return _answer(
            200 if well else 503,
            {"healthy": well, "ticked_age_s": round(age_s, 3), "seq": daemon.engine.journal.last_seq},
        )

    async def readiness(self, _: web.Request) -> web.Response:
        """Whether it is safe to trade, and if not, why."""
        state = self._state()
        why = {
            name: tuple(" ".join(filter(None, (one.code, one.value, one.limit))) for one in pair.holds)
            + ((f"halted {pair.mode_reason}",) if pair.mode == Mode.HALTED.value else ())
            for name, pair in state.pairs.items()
        }
        channels = {name: account.lost for name, account in state.accounts.items()}
        body = Readiness(state.ready, state.mode, state.stopping, why, channels)
        return _answer(200 if state.ready else 503, body)

    async def metrics(self, _: web.Request) -> web.Response:
        body = render(self._daemon)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def state(self, _: web.Request) -> web.Response:
        return _answer(200, self._state())

    async def order(self, request: web.Request) -> web.Response:
        """Set a mode, take an account over, or settle a residual; answered when its row is on disk."""
        verb = request.path.removeprefix(ORDER_PATH)
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.read()
            wish = msgspec.json.decode(body, type=Wish)
        except TimeoutError:
            return _answer(408, Refusal(f"the body did not come within {BODY_S:g} s of its head"))
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            return _answer(400, Refusal(f"the body is not an order: {failure}"))
        store = self._daemon.engine.store
        if not wish.reason.strip() or not wish.actor.strip():
            return _answer(400, Refusal("an order needs a reason and an actor: both go into the journal"))
        fact = _ordered(store, verb, wish)
        if isinstance(fact, Refusal):
            return _answer(400, fact)
        try:
            seq = await self._daemon.order(fact)
        except RunOver as failure:
            return _answer(503, Refusal(str(failure)))
        in_force = {str(name): effective_mode(store, pair).value for name, pair in store.pairs.items()}
        return _answer(200, Done(seq, wish.scope, verb, in_force))

    def _state(self) -> State:
        daemon = self._daemon
        engine = daemon.engine
        now_ns = daemon.clock.now_ns()
        return read_state(engine.store, now_ns, daemon.parts.version, engine.journal.last_seq)


def _ordered(store: Store, verb: str, wish: Wish) -> OperatorFact | Refusal:
    """The fact that an order is, or why it cannot be one."""
    what, known = ("account", [*store.accounts]) if verb == ADOPT else ("pair", [*store.pairs])
    if wish.scope not in known and (wish.scope != "*" or verb not in MODES):
        there = ", ".join(known) or "none yet"
        return Refusal(f"there is no {what} {wish.scope!r}; there are {there}")
    if verb == ADOPT:
        return AdoptionOrdered(AccountId(wish.scope), wish.actor, wish.reason)
    if verb != SETTLE:
        return ModeOrdered(wish.scope, MODES[verb], wish.actor, wish.reason)
    pair = store.pairs[PairName(wish.scope)]
    if not residual_base(store, pair):
        return Refusal(f"pair {wish.scope} leaves no coins unhedged: there is nothing to settle")
    return ResidualSettled(pair.spec.name, wish.actor, wish.reason)


def _answer(status: int, body: Struct | dict[str, object]) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body) + b"\n",
        headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
    )
