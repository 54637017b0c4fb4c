"""A network whose every answer a test writes down, on virtual time, and the parts of a desk over it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from adapters.binance.account import Account
from adapters.binance.configured import Configured
from adapters.binance.endpoints import Hosts
from adapters.binance.payments import Payments
from adapters.binance.positions import Positions
from adapters.binance.queries import trades_of
from adapters.binance.replies import Trade
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.binance.signing import signer
from adapters.binance.told import Told
from adapters.network import Closed, Reply, Socket, Unsent
from adapters.ratelimit import Limit, RateBudget
from bot.model.facts import AnyFact, OrderFilled
from bot.model.ids import InstrumentId
from tests.adapters.paper.build import INSTRUMENTS, S

NOW_NS = 1_796_000_000 * S
Asked = tuple[str, str, dict[str, str]]  # method, path, parameters
Answers = Callable[[Asked], "Reply | Exception"]
JSON = Mapping[str, object] | list[Any]


def reply(body: JSON | bytes, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def refusal(code: int, text: str, status: int = 400) -> Reply:
    return reply({"code": code, "msg": text}, status)


class CannedSocket:
    """What was sent on it, and what a test lets it say."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._waiting: deque[bytes | Closed] = deque()
        self._said = asyncio.Event()

    async def send(self, text: str) -> None:
        if self.closed:
            raise Closed(1006, "gone")
        self.sent.append(json.loads(text))

    async def receive(self) -> bytes:
        while not self._waiting:
            self._said.clear()
            await self._said.wait()
        said = self._waiting.popleft()
        if isinstance(said, Closed):
            raise said
        return said

    async def close(self) -> None:
        self.closed = True

    def say(self, message: JSON) -> None:
        self._waiting.append(json.dumps(message).encode())
        self._said.set()

    def end(self, code: int = 1006, reason: str = "") -> None:
        self._waiting.append(Closed(code, reason))
        self._said.set()


class CannedNetwork:
    """Requests are answered by ``answers``; sockets open unless ``dark``."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        self.sockets: list[CannedSocket] = []
        self.dark = False

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        parts = urlsplit(url)
        asked = (method, parts.path, dict(parse_qsl(parts.query)))
        self.asked.append(asked)
        await asyncio.sleep(0.001)
        said = self.answers(asked)
        if isinstance(said, Exception):
            raise said
        return said

    async def connect(self, url: str, timeout_s: float) -> Socket:
        await asyncio.sleep(0.001)
        if self.dark:
            raise Unsent("refused")
        self.sockets.append(CannedSocket(url))
        return self.sockets[-1]

    async def close(self) -> None:
        """Nothing is held."""

    def paths(self, method: str = "GET") -> list[str]:
        return [path for asked, path, _ in self.asked if asked == method]


class LoopClock:
    """Virtual time."""

    def now_ns(self) -> int:
        return NOW_NS + round((asyncio.get_running_loop().time() - 1000.0) * 1e9)


class Bench:
    """The account side of one market over a canned network; ``told`` is everything it emitted."""

    def __init__(self, market: str, answers: Answers) -> None:
        self.network = CannedNetwork(answers)
        self.facts: list[AnyFact] = []
        self.blocks: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        budget = RateBudget(market)
        budget.learn([Limit("REQUEST_WEIGHT", "MINUTE", 1, 6000), Limit("ORDERS", "SECOND", 10, 100)])
        hosts = Hosts(f"http://{market}", f"ws://{market}", f"ws://{market}")
        self.clock = VenueClock(LoopClock())
        self.clock.offset_ns = 0
        self.rest = Rest(
            market, hosts, self.network, self.clock, budget, Access(signer("key", "secret"), 5000)
        )
        self.rest.on_block = lambda until_ns, why: self.blocks.append(until_ns)
        self.instruments = {name: one for name, one in INSTRUMENTS.items() if name.split(":")[1] == market}
        self.positions = Positions(self.instruments, self.emit)
        self.told = Told(self.emit, self._trades_of, self.spawn, self.positions.filled)
        self.payments = Payments(self.rest, self.instruments, self.positions, self.spawn, self.emit)
        self.configured = Configured(self.rest, self.instruments, self.spawn, self.emit)
        self.account = Account(
            rest=self.rest,
            instruments=self.instruments,
            bot_tag="bsbt",
            told=self.told,
            positions=self.positions,
            payments=self.payments,
            configured=self.configured,
            balances={},
            emit=self.emit,
        )

    def emit(self, fact: AnyFact) -> None:
        self.facts.append(fact)

    def spawn(self, work: Any) -> object:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def _trades_of(self, name: InstrumentId, venue_order_id: str) -> tuple[Trade, ...]:
        return await trades_of(self.account, name, venue_order_id)

    def names(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts]

    def fills(self) -> list[str]:
        return [fact.trade_id for fact in self.facts if isinstance(fact, OrderFilled)]


def spot_order(**changes: object) -> dict[str, object]:
    """An order of ours as spot states it; field names are the venue's."""
    order: dict[str, object] = {
        "symbol": "BTCUSDT",
        "orderId": 7,
        "clientOrderId": "bsbt1",
        "status": "NEW",
        "type": "LIMIT",
        "side": "BUY",
        "origQty": "1.0",
        "executedQty": "0",
        "price": "60000",
        "updateTime": NOW_NS // 1_000_000,
    }
    return cast("dict[str, object]", {**order, **changes})


def spot_trade(number: int, qty: str, order_id: int = 7, price: str = "60000") -> dict[str, object]:
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": order_id,
        "price": price,
        "qty": qty,
        "commission": "0",
        "commissionAsset": "BTC",
        "time": NOW_NS // 1_000_000,
        "isBuyer": True,
        "isMaker": False,
    }


def fill(trade_id: str, qty: str, client_id: str = "bsbt1") -> Trade:
    from adapters.binance.replies import trades

    name = "spot"
    (one,) = trades(name, json.dumps([spot_trade(int(trade_id), qty)]).encode())
    return one


ZERO = Decimal(0)
