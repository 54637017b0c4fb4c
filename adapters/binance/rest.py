"""Requests of one market over HTTP: signed by the venue's clock, within its rate budget.

Reads and sends are two functions on purpose: `read` may repeat a question that changes nothing, `attempt` is
made once, whatever happens, and is what every order and cancel goes through.  What must stay true: nothing
that could place or cancel an order is ever repeated here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from adapters.binance.endpoints import Hosts
from adapters.binance.outcomes import Outcome, outcome, retry_after_s
from adapters.binance.replies import Failure, failure
from adapters.binance.requests import Call, http_request
from adapters.binance.signing import Signer
from adapters.network import Network, Reply, Unanswered, Unsent
from adapters.ratelimit import BLOCK_S, RateBudget
from bot.ports import Clock

MS = 1_000_000
SECOND_NS = 1_000_000_000
READ_ATTEMPTS = 3
READ_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 15.0  # beyond every deadline of the executor, which calls silence by its name before
_SENDING = frozenset({"order_place", "order_cancel"})
LONGEST_WAIT_NS = 10 * SECOND_NS  # whoever asks again later does so with newer needs

BAD_SYMBOL = -1121  # the venue lists it no more
TOO_MANY_ORDERS = -1015  # of this account; everything else is answered
_PASSING = (Outcome.THROTTLED, Outcome.BUSY, Outcome.CLOCK)


class Refused(Exception):
    """The venue answered, and not with what was asked; or the rate budget lets the question wait too long."""

    exit_code = 1

    def __init__(self, status: int, failure: Failure, outcome: Outcome) -> None:
        super().__init__(f"{status} {failure.code} {failure.text}")
        self.status = status
        self.failure = failure
        self.outcome = outcome

    @property
    def passes(self) -> bool:
        """Whether the same question may be answered later without anybody's help."""
        return self.status >= 500 or self.outcome in _PASSING


class VenueClock:
    """The venue's time: ours plus ``offset_ns`` (venue less ours), which whoever measures it sets.

    ``doubted`` is set when the venue found our time wrong: whoever measures clears it.
    """

    def __init__(self, clock: Clock) -> None:
        self.offset_ns: int | None = None
        self.doubted = asyncio.Event()
        self._clock = clock

    def now_ns(self) -> int:
        """Our own time."""
        return self._clock.now_ns()

    def venue_ns(self) -> int:
        """The venue's time as well as it is known."""
        return self._clock.now_ns() + (self.offset_ns or 0)


class Access(Struct, frozen=True):
    """By whom requests are signed, and how long one may take to arrive.  Without a signer only public
    questions can be asked."""

    signer: Signer | None
    window_ms: int


class Rest:
    """``budget`` is shared by everything that asks the same market family from this address.

    ``on_block`` hears of each answer by which the venue forbids further ones: until when (venue's time) and
    why.
    """

    def __init__(
        self,
        market: str,
        hosts: Hosts,
        network: Network,
        clock: VenueClock,
        budget: RateBudget,
        access: Access,
    ) -> None:
        self.market = market
        self.hosts = hosts
        self.clock = clock
        self.budget = budget
        self.access = access
        self.on_block: Callable[[int, Failure], None] = lambda until_ns, why: None
        self.round_trip_s = 0.0  # of the last answer
        self._network = network

    async def attempt(self, call: Call, timeout_s: float = SEND_TIMEOUT_S) -> Reply:
        """One request, one attempt; the caller has asked the budget.  Raises `Unsent`, `Unanswered`."""
        clock, access = self.clock, self.access
        sent_ns = clock.venue_ns()
        request = http_request(call, self.hosts.rest, access.signer, sent_ns // MS, access.window_ms)
        reply = await self._network.request(
            request.method, request.url, request.headers, request.body, timeout_s
        )
        at_ns = clock.venue_ns()
        self.round_trip_s = (at_ns - sent_ns) / SECOND_NS
        why = failure(reply.body) if reply.status in BLOCK_S else None
        is_of_orders = why is not None and why.code == TOO_MANY_ORDERS
        until_ns = self.budget.saw_reply(reply.status, reply.headers, at_ns, is_of_orders)
        if until_ns is not None and why is not None:
            self.on_block(until_ns, why)
        return reply

    def note(self, what: Outcome) -> None:
        """An answer came to this: one that finds our time wrong has it measured anew."""
        if what is Outcome.CLOCK:
            self.clock.doubted.set()

    def throttled(self, status: int, why: Failure) -> None:
        """An answer outside HTTP says that the venue wants silence, or no more orders: keep to it."""
        if why.code == TOO_MANY_ORDERS:
            self.budget.saw_too_many_orders(self.clock.venue_ns())
            return
        wait_s = retry_after_s({}, why)
        if wait_s is None and why.retry_after_ms is not None:
            self.budget.on_drift(f"retryAfter of {why.retry_after_ms} ms is no delay of a ban")
        wait_s = wait_s or BLOCK_S.get(status, 1)
        self.on_block(self.budget.block(self.clock.venue_ns() + round(wait_s * SECOND_NS)), why)

    async def read(self, call: Call, urgent: bool = False) -> bytes:
        """The body of a successful answer to a question that changes nothing; waits for the rate budget, and
        asks again, thrice in all with backoff, where no answer came or the venue was busy.

        Raises `Unsent`, `Unanswered`, `Refused`; ``ValueError`` for what places or cancels an order.
        """
        if call.endpoint.name in _SENDING:
            raise ValueError(f"{call.endpoint.name} is no question")
        attempts = AsyncRetrying(
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_exponential(multiplier=0.1, max=1.0),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )
        return await attempts(self._read_once, call, urgent)

    async def _read_once(self, call: Call, urgent: bool) -> bytes:
        await self._wait(call.endpoint.weight, urgent)
        reply = await self.attempt(call, READ_TIMEOUT_S)
        if reply.status == 200:
            return reply.body
        why = failure(reply.body)
        what = outcome(
            self.market, "query" if call.endpoint.name == "order_query" else "read", reply.status, why
        )
        self.note(what)
        raise Refused(reply.status, why, what)

    async def _wait(self, weight: int, urgent: bool) -> None:
        while wait_ns := self.budget.allow(weight, urgent, self.clock.venue_ns()):
            if wait_ns > LONGEST_WAIT_NS:
                why = Failure(0, f"the rate budget is used up for {wait_ns / SECOND_NS:.0f} s")
                raise Refused(429, why, Outcome.THROTTLED)
            await asyncio.sleep(wait_ns / SECOND_NS)


def _may_pass(error: BaseException) -> bool:
    """Whether the same question may be answered a moment later."""
    if isinstance(error, Refused):
        return error.outcome in (Outcome.UNKNOWN, Outcome.BUSY)
    return isinstance(error, (Unsent, Unanswered))
