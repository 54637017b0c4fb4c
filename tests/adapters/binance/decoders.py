"""The venue's decoders by the name under which samples and docs/VENUES.md speak of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from adapters.binance import codec, events, instruments, replies, statements
from bot.model.ids import instrument_id

SAMPLES = Path(__file__).parent / "samples"

Decode = Callable[[str, bytes], object]


class Sample(Struct, frozen=True):
    """One message of our own in the documented shape: ``wire`` is its JSON, ``becomes`` what is read of it,
    ``facts`` what an event tells."""

    market: str
    decoder: str
    wire: msgspec.Raw
    becomes: msgspec.Raw = msgspec.Raw()
    facts: msgspec.Raw = msgspec.Raw()


def _instrument(market: str, body: bytes) -> object:
    symbol = "BTCUSD_PERP" if market == "coinm" else "BTCUSDT"
    wanted = instrument_id("binance", market, symbol)
    return instruments.instruments([("sample", body)], [wanted], {})[wanted]


# those that raise nothing but `Drift`
TRADING: dict[str, Decode] = {
    "event": events.event,
    "order": replies.order,
    "orders": replies.orders,
    "trades": replies.trades,
    "ws_reply": lambda _, body: replies.ws_reply(body),
    "failure": lambda _, body: replies.failure(body),
    "wallet": statements.wallet,
    "positions": statements.positions,
    "hedge_mode": lambda _, body: statements.hedge_mode(body),
    "multi_assets_mode": lambda _, body: statements.multi_assets_mode(body),
    "symbol_configs": statements.symbol_configs,
    "restrictions": lambda _, body: statements.restrictions(body),
    "algo_orders": statements.algo_orders,
    "income": statements.income,
    "funding_rates": statements.funding_rates,
    "listen_key": lambda _, body: statements.listen_key(body),
    "server_time_ns": lambda _, body: statements.server_time_ns(body),
    "ticker_price": lambda _, body: statements.ticker_price(body),
}

# those of the market side, whose callers turn a `msgspec.DecodeError` or a `FeedError` into drift
MARKET: dict[str, Decode] = {
    "depth": lambda _, body: codec.decode_depth(body).data,
    "touch": lambda _, body: codec.decode_touch(body).data,
    "trade": lambda _, body: codec.decode_trade(body).data,
    "mark": lambda _, body: codec.decode_mark(body).data,
    "index": lambda _, body: codec.decode_index(body).data,
    "contract": lambda _, body: codec.decode_contract(body).data,
    "snapshot": lambda _, body: codec.decode_snapshot(body).data,
    "instrument": _instrument,
}

DECODERS = {**TRADING, **MARKET}


def samples() -> dict[str, Sample]:
    """Every committed sample by its name, which is that of its row in docs/VENUES.md."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes(), type=Sample)
        for path in sorted(SAMPLES.glob("*.json"))
    }


def plain(value: object) -> object:
    """A decoded value as JSON would hold it: what a golden compares."""
    return msgspec.to_builtins(value, str_keys=True, builtin_types=())
