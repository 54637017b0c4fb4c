"""Requests and decoders against the rehearsal venue: what the one says the other understands, both ways."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from urllib.parse import urlsplit

import msgspec
import pytest

from adapters.binance import events, replies, requests, statements
from adapters.binance.endpoints import hosts, ws_api_url
from adapters.binance.requests import Call
from adapters.binance.signing import Signer, signer
from adapters.rehearsal.seam import Request, Response
from bot.model.commands import PlaceOrder, QueryOrder, TimeInForce
from bot.model.facts import OrderFilled, OrderStatus
from bot.model.ids import ClientId, InstrumentId, instrument_id
from bot.model.instrument import Side
from tests.adapters.binance.test_requests import order
from tests.adapters.rehearsal.scene import KEYS, QUANTITIES, SYMBOLS, Scene

MARKETS = ("spot", "usdm", "coinm")
FUTURES = ("usdm", "coinm")
HOSTS = hosts("rehearsal", (1, 2, 3))
HMAC = signer(KEYS.api_key, KEYS.secret)
ED25519 = signer(KEYS.ed25519_api_key, KEYS.ed25519_secret)


def taking(scene: Scene, market: str, name: str = "bsbt0a1b2c3d1") -> PlaceOrder:
    """An order that fills at once."""
    made = order(instrument_id("binance", market, SYMBOLS[market]), TimeInForce.IOC)
    price = Decimal(scene.taking(market, "BUY"))
    return msgspec.structs.replace(
        made, client_id=ClientId(name), side=Side.BUY, qty=Decimal(QUANTITIES[market]), price=price
    )


def answered(scene: Scene, call: Call, by: Signer = HMAC) -> bytes:
    sent = requests.http_request(call, HOSTS[call.market].rest, by, scene.now_ms(), 5000)
    address = urlsplit(sent.url)
    headers = {name.lower(): value for name, value in sent.headers.items()}
    reply = scene.request(call.market, Request(sent.method, address.path, address.query, headers, sent.body))
    assert reply.status == 200, reply.body
    return reply.body


@pytest.mark.parametrize("by", [HMAC, ED25519], ids=["hmac", "ed25519"])
@pytest.mark.parametrize("market", MARKETS)
def test_an_order_by_rest_is_placed_asked_for_and_counted(market: str, by: Signer) -> None:
    scene = Scene()
    wanted = taking(scene, market)
    placed = replies.order(market, answered(scene, requests.place(wanted), by))
    assert (placed.client_id, placed.status) == (wanted.client_id, OrderStatus.FILLED)
    asked = answered(scene, requests.query(QueryOrder(wanted.client_id, wanted.instrument)), by)
    assert replies.reported(replies.order(market, asked)).filled_qty == wanted.qty
    body = answered(scene, requests.trades_of(wanted.instrument, placed.venue_order_id), by)
    fills = replies.trades(market, body)
    assert sum(fill.qty for fill in fills) == wanted.qty
    assert replies.trades(
        market, answered(scene, requests.trades_after(wanted.instrument, fills[0].trade_id))
    )
    if market == "spot":
        assert [(fill.trade_id, fill.fee) for fill in placed.trades] == [(f.trade_id, f.fee) for f in fills]


def reads(name: InstrumentId, market: str, now_ms: int) -> list[tuple[Call, Callable[[bytes], object]]]:
    everywhere: list[tuple[Call, Callable[[bytes], object]]] = [
        (requests.open_orders(market), lambda body: replies.orders(market, body)),
        (requests.all_orders(name, 0), lambda body: replies.orders(market, body)),
        (requests.account(market), lambda body: statements.wallet(market, body)),
        (requests.server_time(market), statements.server_time_ns),
        (requests.ticker_price(name), statements.ticker_price),
    ]
    if market == "spot":
        return [*everywhere, (requests.api_restrictions(), statements.restrictions)]
    return [
        *everywhere,
        (requests.positions(market), lambda body: statements.positions(market, body)),
        (requests.position_mode(market), statements.hedge_mode),
        (requests.symbol_config(market), lambda body: statements.symbol_configs(market, body)),
        (requests.income(market, 0, now_ms), lambda body: statements.income(market, body)),
        (requests.funding_rates(name, 0), lambda body: statements.funding_rates(market, body)),
        (requests.listen_key_start(market), statements.listen_key),
        (requests.listen_key_keepalive(market), bytes),
        (requests.listen_key_close(market), bytes),
    ]


@pytest.mark.parametrize("market", MARKETS)
def test_every_reading_request_is_served_and_its_answer_read(market: str) -> None:
    scene = Scene()
    wanted = taking(scene, market)
    answered(scene, requests.place(wanted))
    for call, read in reads(wanted.instrument, market, scene.now_ms()):
        read(answered(scene, call))
    if market == "usdm":
        assert statements.algo_orders("usdm", answered(scene, requests.open_algo_orders("usdm"))) == ()


@pytest.mark.parametrize("market", FUTURES)
def test_the_cost_of_a_position_is_what_its_fills_cost(market: str) -> None:
    scene = Scene()
    for number in range(3):
        answered(scene, requests.place(taking(scene, market, f"bsbt0a1b2c3d{number}")))
        scene.pass_s(2)
    name = instrument_id("binance", market, SYMBOLS[market])
    (position,) = statements.positions(market, answered(scene, requests.positions(market)))
    kept = scene.world.paper.venue.desk.wallets.positions[name]
    assert kept.qty == position.qty == 3 * Decimal(QUANTITIES[market])
    assert statements.cost(scene.world.instruments[name], position) == kept.cost


class Wire:
    """A client's end that keeps raw messages (`adapters.rehearsal.seam.Peer`)."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def send(self, payload: bytes) -> None:
        self.heard.append(payload)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError((code, reason))


@pytest.mark.parametrize("by", [HMAC, ED25519], ids=["hmac", "ed25519"])
@pytest.mark.parametrize("market", MARKETS)
def test_an_order_by_the_web_socket_api_is_answered(market: str, by: Signer) -> None:
    scene = Scene()
    wire = Wire()
    line = scene.doors[market].accept(urlsplit(ws_api_url(market, HOSTS[market])).path, wire)
    wanted = taking(scene, market)
    assert not isinstance(line, Response)
    line.receive(requests.ws_request(requests.place(wanted), "7", by, scene.now_ms(), 5000).encode())
    scene.pass_s(1)
    (reply,) = [replies.ws_reply(payload) for payload in wire.heard]
    assert (reply.id, reply.failure) == ("7", None)
    assert replies.order(market, reply.result).client_id == wanted.client_id
    assert any(usage.kind == "ORDERS" for usage in reply.usage)


def test_spot_s_private_stream_tells_what_was_done() -> None:
    scene = Scene()
    wire = Wire()
    line = scene.doors["spot"].accept("/ws-api/v3", wire)
    assert not isinstance(line, Response)
    line.receive(requests.subscribe_account("s", HMAC, scene.now_ms(), 5000).encode())
    wanted = taking(scene, "spot")
    answered(scene, requests.place(wanted))
    scene.pass_s(1)
    assert replies.ws_reply(wire.heard[0]).failure is None
    told = [fact for payload in wire.heard[1:] for fact in events.facts_of(events.event("spot", payload))]
    assert sum(fact.qty for fact in told if isinstance(fact, OrderFilled)) == wanted.qty
    assert all(replies.ws_reply_id(payload) is None for payload in wire.heard[1:])
