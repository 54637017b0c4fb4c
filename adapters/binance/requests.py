"""What the bot asks of Binance, as values: one builder per request, and two renderings of any of them.

A `Call` says what is asked, not when or by whom: time and signature are added by `http_request` and
`ws_request`, once, at the moment of sending, so that a rendered request is never kept and never sent twice.
Quantities and prices are plain digits.  REST sends every parameter in the query, in the order in which it was
signed.

Sources: as `endpoints`; signing by the venue's request security pages (2026-06), whose examples are in the
tests. The WebSocket API signs parameters sorted by name and not percent-encoded; binance_common 4.7.0 encodes
them, which differs only for values outside ASCII."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from adapters.binance.endpoints import ENDPOINTS, Endpoint, Security, depth_weight
from adapters.binance.signing import Params, Signer, encoded, plain
from bot.model.commands import CancelOrder, PlaceOrder, QueryOrder, TimeInForce
from bot.model.ids import InstrumentId, market_of, symbol_of
from bot.model.money import text

PAGE = 1000  # rows of a page of trades, orders, income or rates: the most that every market gives
_NUMBERS = frozenset({"timestamp", "recvWindow", "orderId", "fromId", "limit", "startTime", "endTime"})


class Call(Struct, frozen=True):
    """One request: ``params`` in the order in which they are sent, without time and signature."""

    market: str
    endpoint: Endpoint
    params: tuple[tuple[str, str], ...] = ()


class HttpRequest(Struct, frozen=True):
    """As `adapters.network.Network.request` takes it; ``url`` and ``headers`` hold key and signature, so it
    does not print itself."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpRequest({self.method})"


# --- orders -----------------------------------------------------------------------------------------------


def place(order: PlaceOrder) -> Call:
    """A limit order.  Post-only is a type on spot (LIMIT_MAKER) and a time in force on futures (GTX);
    reduce-only exists on futures alone."""
    market = market_of(order.instrument)
    spot = market == "spot"
    post_only = order.tif is TimeInForce.POST_ONLY
    params = [
        ("symbol", symbol_of(order.instrument)),
        ("side", order.side.name),
        ("type", "LIMIT_MAKER" if spot and post_only else "LIMIT"),
    ]
    if not (spot and post_only):
        params.append(("timeInForce", "GTX" if post_only else order.tif.value))
    params += [
        ("quantity", text(order.qty)),
        ("price", text(order.price)),
        ("newClientOrderId", order.client_id),
        ("newOrderRespType", "FULL" if spot else "RESULT"),
    ]
    if order.reduce_only and not spot:
        params.append(("reduceOnly", "true"))
    return Call(market, ENDPOINTS[market]["order_place"], tuple(params))


def cancel(order: CancelOrder) -> Call:
    return _of_instrument("order_cancel", order.instrument, ("origClientOrderId", order.client_id))


def query(order: QueryOrder) -> Call:
    return _of_instrument("order_query", order.instrument, ("origClientOrderId", order.client_id))


def order_by_venue_id(instrument: InstrumentId, venue_order_id: str) -> Call:
    return _of_instrument("order_query", instrument, ("orderId", venue_order_id))


def trades_of(instrument: InstrumentId, venue_order_id: str) -> Call:
    """Every execution of one order."""
    return _of_instrument("trades_of_order", instrument, ("orderId", venue_order_id), ("limit", str(PAGE)))


def trades_after(instrument: InstrumentId, trade_id: str) -> Call:
    """From ``trade_id`` on, that trade included (so that its absence shows), oldest first, one page."""
    return _of_instrument("trades", instrument, ("fromId", trade_id), ("limit", str(PAGE)))


def trades_since(instrument: InstrumentId, since_ms: int) -> Call:
    """From ``since_ms`` on, oldest first, one page."""
    return _of_instrument("trades", instrument, ("startTime", str(since_ms)), ("limit", str(PAGE)))


def all_orders(instrument: InstrumentId, since_ms: int) -> Call:
    return _of_instrument("all_orders", instrument, ("startTime", str(since_ms)), ("limit", str(PAGE)))


def open_orders(market: str) -> Call:
    """Of all symbols."""
    return Call(market, ENDPOINTS[market]["open_orders"])


def open_algo_orders(market: str) -> Call:
    """Conditional orders of all symbols.  USD-M alone lists them apart (``KeyError``): the other markets' are
    among their open orders."""
    return Call(market, ENDPOINTS[market]["open_algo_orders"])


# --- the account ------------------------------------------------------------------------------------------


def account(market: str) -> Call:
    if market == "spot":
        return Call(market, ENDPOINTS[market]["account"], (("omitZeroBalances", "true"),))
    return Call(market, ENDPOINTS[market]["account"])


def positions(market: str) -> Call:
    return Call(market, ENDPOINTS[market]["positions"])


def position_mode(market: str) -> Call:
    return Call(market, ENDPOINTS[market]["position_mode"])


def multi_assets() -> Call:
    """Whether USD-M's margin is all assets together; COIN-M has no such mode."""
    return Call("usdm", ENDPOINTS["usdm"]["multi_assets"])


def symbol_config(market: str) -> Call:
    """Leverage and margin mode of all symbols; COIN-M states them with its positions."""
    return Call(market, ENDPOINTS[market]["symbol_config"])


def brackets(market: str) -> Call:
    return Call(market, ENDPOINTS[market]["brackets"])


def commission(instrument: InstrumentId) -> Call:
    return _of_instrument("commission", instrument)


def income(market: str, since_ms: int, until_ms: int) -> Call:
    """All kinds, oldest first, one page; the next begins at the last row's time, which is told again."""
    times = (("startTime", str(since_ms)), ("endTime", str(until_ms)), ("limit", str(PAGE)))
    return Call(market, ENDPOINTS[market]["income"], times)


def api_restrictions() -> Call:
    """What the key may do; served by spot's live host alone."""
    return Call("spot", ENDPOINTS["spot"]["api_restrictions"])


def listen_key_start(market: str) -> Call:
    return Call(market, ENDPOINTS[market]["listen_key_start"])


def listen_key_keepalive(market: str) -> Call:
    """The key is the account's only one, so it need not be named; its validity becomes 60 minutes again."""
    return Call(market, ENDPOINTS[market]["listen_key_keepalive"])


def listen_key_close(market: str) -> Call:
    return Call(market, ENDPOINTS[market]["listen_key_close"])


# --- the market -------------------------------------------------------------------------------------------


def server_time(market: str) -> Call:
    return Call(market, ENDPOINTS[market]["time"])


def exchange_info(market: str, symbols: Sequence[str]) -> Call:
    """Of ``symbols`` on spot, one of which unknown refuses the whole; futures describe all they have."""
    if market != "spot" or not symbols:
        return Call(market, ENDPOINTS[market]["exchange_info"])
    return Call(
        market,
        ENDPOINTS[market]["exchange_info"],
        (("symbols", msgspec.json.encode(list(symbols)).decode()),),
    )


def depth(instrument: InstrumentId, limit: int) -> Call:
    call = _of_instrument("depth", instrument, ("limit", str(limit)))
    row = msgspec.structs.replace(call.endpoint, weight=depth_weight(call.market, limit))
    return msgspec.structs.replace(call, endpoint=row)


def premium_index(instrument: InstrumentId) -> Call:
    return _of_instrument("premium_index", instrument)


def funding_rates(instrument: InstrumentId, since_ms: int | None) -> Call:
    """Settled rates from ``since_ms`` on, or the latest, oldest first, one page."""
    since = () if since_ms is None else (("startTime", str(since_ms)),)
    return _of_instrument("funding_rates", instrument, *since, ("limit", str(PAGE)))


def funding_info(market: str) -> Call:
    """Only symbols whose interval or caps differ from the venue's usual ones."""
    return Call(market, ENDPOINTS[market]["funding_info"])


def ticker_price(instrument: InstrumentId) -> Call:
    return _of_instrument("ticker_price", instrument)


def _of_instrument(name: str, instrument: InstrumentId, *params: tuple[str, str]) -> Call:
    market = market_of(instrument)
    return Call(market, ENDPOINTS[market][name], (("symbol", symbol_of(instrument)), *params))


# --- renderings -------------------------------------------------------------------------------------------


def http_request(call: Call, root: str, by: Signer | None, at_ms: int, window_ms: int) -> HttpRequest:
    """``root`` is `Hosts.rest`.  ``at_ms`` is now by the venue's clock; the venue refuses the request when
    more than ``window_ms`` passed since.  ``by`` may be ``None`` for what needs no key, else
    ``ValueError``."""
    row = call.endpoint
    headers: dict[str, str] = {}
    query = encoded(call.params)
    if row.security is not Security.NONE:
        headers["X-MBX-APIKEY"] = _needed(by, row).key
    if row.security is Security.SIGNED:
        query = encoded((*call.params, ("recvWindow", str(window_ms)), ("timestamp", str(at_ms))))
        query += "&" + encoded((("signature", _needed(by, row).sign(query)),))
    return HttpRequest(row.method, f"{root}{row.path}{'?' if query else ''}{query}", headers)


def ws_request(call: Call, request_id: str, by: Signer | None, at_ms: int, window_ms: int) -> str:
    """A WebSocket API message; ``request_id`` comes back in the answer's ``id``.

    Raises ``ValueError`` for what the bot asks by REST alone, and as `http_request`.
    """
    row = call.endpoint
    if not row.ws_method:
        raise ValueError(f"{row.name} is asked by REST alone")
    return _ws_message(row.ws_method, request_id, _ws_signed(call.params, _needed(by, row), at_ms, window_ms))


def subscribe_account(request_id: str, by: Signer, at_ms: int, window_ms: int) -> str:
    """Spot's private stream on this WebSocket API connection (``userDataStream.subscribe.signature``); its
    events come wrapped with the ``subscriptionId`` of the answer."""
    return _ws_message("userDataStream.subscribe.signature", request_id, _ws_signed((), by, at_ms, window_ms))


def subscribe_streams(request_id: int, streams: Sequence[str]) -> str:
    """Answered by ``{"result": null, "id": request_id}``."""
    return msgspec.json.encode({"method": "SUBSCRIBE", "params": list(streams), "id": request_id}).decode()


def _needed(by: Signer | None, row: Endpoint) -> Signer:
    if by is None:
        raise ValueError(f"{row.name} needs a key")
    return by


def _ws_signed(params: Params, by: Signer, at_ms: int, window_ms: int) -> Params:
    whole = (*params, ("apiKey", by.key), ("recvWindow", str(window_ms)), ("timestamp", str(at_ms)))
    return (*whole, ("signature", by.sign(plain(whole))))


def _ws_message(method: str, request_id: str, params: Params) -> str:
    values = {name: int(value) if name in _NUMBERS else value for name, value in params}
    return msgspec.json.encode({"id": request_id, "method": method, "params": values}).decode()
