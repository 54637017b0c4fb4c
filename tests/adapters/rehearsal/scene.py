"""The rehearsal venue over the demo's recording, a clock that only a test moves, and clients that sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.paper.terms import Terms
from adapters.recorded.feeds import open_feeds
from adapters.rehearsal.app import VenueDoor, doors
from adapters.rehearsal.auth import Keys, make_keys
from adapters.rehearsal.seam import Line, Request, Response
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.config import Balance

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
START_NS = 1_795_000_000_000_000_000
KEYS = make_keys(b"a fixed text, known to everybody")
PATHS = {"spot": "/api/v3", "usdm": "/fapi/v1", "coinm": "/dapi/v1"}
QUANTITIES = {"spot": "0.01", "usdm": "0.01", "coinm": "10"}
SYMBOLS = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}
HELD = (
    Balance("binance:spot", "USDT", Decimal(100_000)),
    Balance("binance:spot", "BTC", Decimal(2)),
    Balance("binance:usdm", "USDT", Decimal(100_000)),
    Balance("binance:coinm", "BTC", Decimal(2)),
)


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at_ns = START_NS

    def now_ns(self) -> int:
        return self.at_ns


class Listener:
    """A client's end of a socket (`adapters.rehearsal.seam.Peer`)."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.closed_with: tuple[int, str] | None = None

    def send(self, payload: bytes) -> None:
        self.heard.append(msgspec.json.decode(payload))

    def close(self, code: int, reason: str) -> None:
        self.closed_with = (code, reason)


class Scene:
    """One venue.  ``ask`` signs and sends a REST request, ``open`` a socket."""

    def __init__(self, keys: Keys = KEYS) -> None:
        self.clock = Hands()
        feeds = open_feeds([EXAMPLES / "demo"])
        sources = [(one.name, one.read_bytes()) for one in sorted((EXAMPLES / "venue").glob("*.json"))]
        self.world = World(feeds, sources, Terms(balances=HELD, reference="mid"), self.clock)
        self.keys = keys
        self.teller = Teller(self.world, keys)
        self.doors: dict[str, VenueDoor] = doors(self.world, self.teller)
        self.pass_s(15)

    def pass_s(self, seconds: float) -> None:
        self.clock.at_ns += round(seconds * 1e9)
        self.world.turn(self.clock.at_ns)

    def now_ms(self) -> int:
        return self.teller.now_ms()

    def touch(self, market: str) -> tuple[float, float]:
        (channel,) = self.world.stages[market].channels.values()
        touch = channel.touch()
        assert touch is not None
        return touch

    def sign(self, payload: str, ed25519: bool = False) -> str:
        return signature(self.keys, payload, ed25519)

    def request(self, market: str, request: Request) -> Response:
        return self.doors[market].answer(request)

    def ask(self, market: str, asked: str, **params: object) -> Response:
        """A signed request, ``GET /api/v3/account``, its parameters in the query."""
        method, path = asked.split(" ")
        query = urlencode({**params, "timestamp": self.now_ms()})
        query += f"&signature={self.sign(query)}"
        return self.request(market, Request(method, path, query, {"x-mbx-apikey": self.keys.api_key}, b""))

    def json(self, market: str, asked: str, **params: object) -> Any:
        response = self.ask(market, asked, **params)
        assert response.status == 200, response.body
        return msgspec.json.decode(response.body)

    def public(self, market: str, asked: str, **params: object) -> Any:
        """A request that nobody signs, ``GET /api/v3/depth``."""
        method, path = asked.split(" ")
        response = self.request(market, Request(method, path, urlencode(params), {}, b""))
        assert response.status == 200, response.body
        return msgspec.json.decode(response.body)

    def error(self, market: str, asked: str, **params: object) -> tuple[int, int]:
        """HTTP status and code of a refusal."""
        response = self.ask(market, asked, **params)
        return response.status, msgspec.json.decode(response.body)["code"]

    def place(self, market: str, **params: object) -> Any:
        """A limit order of the market's one instrument; whatever is given comes on top."""
        return self.json(market, f"POST {PATHS[market]}/order", **self.order(market, **params))

    def order(self, market: str, **params: object) -> dict[str, object]:
        """Parameters of a bid that rests below the book, unless what is given says something else."""
        bid, _ = self.touch(market)
        usual: dict[str, object] = {
            "symbol": SYMBOLS[market],
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": QUANTITIES[market],
            "price": f"{bid - 300:.1f}",
        }
        return {name: value for name, value in (usual | params).items() if value is not None}

    def taking(self, market: str, side: str) -> str:
        """A price at which an order of ``side`` fills at once."""
        bid, ask = self.touch(market)
        return f"{ask + 50:.1f}" if side == "BUY" else f"{bid - 50:.1f}"

    def open(self, market: str, target: str) -> tuple[Line, Listener]:
        peer = Listener()
        line = self.doors[market].accept(target, peer)
        assert not isinstance(line, Response), line
        return line, peer

    def say(self, line: Line, method: str, number: object = 1, **params: object) -> None:
        line.receive(msgspec.json.encode({"id": number, "method": method, "params": params}))

    def signed(self, ed25519: bool = False, /, **params: object) -> dict[str, object]:
        """Parameters of a request over the WebSocket API, signed."""
        key = self.keys.ed25519_api_key if ed25519 else self.keys.api_key
        whole = {**params, "apiKey": key, "timestamp": self.now_ms()}
        payload = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
        return {**whole, "signature": self.sign(payload, ed25519)}


def order_path(market: str, method: str = "POST") -> str:
    return f"{method} {PATHS[market]}/order"


def refused(scene: Scene, market: str, **params: object) -> int:
    status, code = scene.error(market, order_path(market), **scene.order(market, **params))
    assert status == 400
    return code


def signature(keys: Keys, payload: str, ed25519: bool) -> str:
    if not ed25519:
        return hmac.new(keys.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    private = load_pem_private_key(keys.ed25519_secret.encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    return base64.b64encode(private.sign(payload.encode())).decode()
